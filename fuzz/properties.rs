//! What must hold for any bytes. Each function is a fuzz target, and `tests/properties.rs` replays the corpus through it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each target uses one of them; a broken property must stop"
)]

use agcfix::dataset::manifest::Manifest;
use agcfix::decode::{Decoded, NonFinite, ReadConfig, is_decoding, read_bytes_with};
use agcfix::encode::{BitDepth, write_wav_with};
use agcfix::gain_csv::{read_gain_csv, write_gain_csv};
use agcfix::instrument::midi;
use agcfix::law::{Direction, families, gain_of};
use agcfix::profile::{Profile, apply::ProfileLaw};
use agcfix::restore::{RestoreConfig, Trust, gain_at_samples};
use agcfix::simulate::preset::Composer;
use agcfix::simulate::{batch, simulate};
use agcfix::{Audio, Config, Error, Verdict, analyze, restore};
use std::path::Path;

/// A decoder's panic is caught by the library: only others are findings.
pub fn keep_quiet_about_decoders() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !is_decoding() {
            loud(info);
        }
    }));
}

/// Ten minutes, so that a finding is one of the reader and not of the machine's memory.
fn config() -> ReadConfig {
    ReadConfig { max_duration_s: 600.0, nonfinite: NonFinite::Zero, ..ReadConfig::default() }
}

fn read(data: &[u8]) -> Option<Decoded> {
    read_bytes_with(data.to_vec(), Path::new("fuzzed"), &config()).ok()
}

/// A RIFF, RF64 or Wave64 file: what is read has samples, and is read again from what is written of it.
pub fn wav(data: &[u8]) {
    // Without these beginnings it would be another container's turn.
    let is_wav = [&b"RIFF"[..], b"RF64", b"BW64", b"riff"].iter().any(|magic| data.starts_with(magic));
    if !is_wav {
        return;
    }
    let Some(first) = read(data) else { return };
    assert!(first.audio.sample_len() > 0);
    let mut written = Vec::new();
    write_wav_with(&mut written, &first.audio, BitDepth::Float32, &first.metadata).unwrap();
    let second = read(&written).unwrap();
    assert_eq!(first.audio, second.audio);
    assert_eq!(first.metadata, second.metadata);
    assert_eq!(second.warnings, []);
}

/// Any file: an error, or a recording with samples, of no more sound than its bytes can hold.
pub fn container(data: &[u8]) {
    if let Some(decoded) = read(data) {
        assert!(decoded.audio.sample_len() > 0);
        assert!(decoded.metadata.byte_len() <= 64 * data.len().max(1 << 10));
    }
}

/// A gain curve: what is read is finite, is read again from what is written, and can be applied.
pub fn gain_csv(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(curve) = read_gain_csv(text) else { return };
    assert!(curve.gain_db.iter().all(|gain_db| !gain_db.is_nan()));
    assert!(curve.hop_s > 0.0);
    if let Ok(gain) = gain_at_samples(&curve, 8_000, 1000) {
        assert!(gain.iter().all(|gain| gain.is_normal() && *gain > 0.0));
    }
    // Three lines can make three million entries, which is checked elsewhere.
    if curve.gain_db.len() < 10_000 {
        let again = read_gain_csv(&write_gain_csv(&curve)).map(|again| again.gain_db.len());
        assert!(again.is_err() || again.is_ok_and(|len| len > 0));
    }
}

/// Numbers out of bytes, zero where they run out.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn share(&mut self) -> f64 {
        f64::from(u16::from_le_bytes([self.byte(), self.byte()])) / f64::from(u16::MAX)
    }

    /// Up to `most` finite samples of any size; runs of them are repeated, so that few bytes make long sounds.
    fn samples(&mut self, most: usize, largest: f32) -> Vec<f32> {
        let mut out = Vec::new();
        while !self.0.is_empty() && out.len() < most {
            let repeat = 1 + usize::from(self.byte());
            let x = f32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
            let x = if x.is_finite() { x.clamp(-largest, largest) } else { 0.0 };
            out.extend((0..repeat.min(most - out.len())).map(|i| if i % 2 == 0 { x } else { -0.7 * x }));
        }
        out
    }
}

/// Every law, both ways, on any finite sound: one positive, finite gain per sample.
pub fn law(data: &[u8]) {
    let mut numbers = Numbers(data);
    let laws = families();
    let law = &laws[usize::from(numbers.byte()) % laws.len()];
    let rate_hz = [8_000.0, 16_000.0, 44_100.0, 48_000.0, 192_000.0][usize::from(numbers.byte()) % 5];
    let values: Vec<f64> = law.parameters().iter().map(|p| p.low + (p.high - p.low) * numbers.share()).collect();
    let sound = numbers.samples(1 << 14, f32::MAX);
    for direction in [Direction::Forward, Direction::Inverse] {
        let gain = gain_of(law.as_ref(), &values, rate_hz, &sound, direction);
        assert_eq!(gain.len(), sound.len());
        if let Some(n) = gain.iter().position(|gain| !gain.is_normal() || *gain <= 0.0) {
            panic!("{} {direction:?}: gain {n} is {} at {}", law.name(), gain[n], sound[n]);
        }
    }
}

/// The whole analysis of any short sound: finite numbers, a curve inside its band, and a restoration of the same shape.
pub fn analysis(data: &[u8]) {
    let mut numbers = Numbers(data);
    let rate_hz = [8_000, 11_025, 16_000][usize::from(numbers.byte()) % 3];
    let channel_len = 1 + usize::from(numbers.byte() % 2);
    let sound = numbers.samples(12_000, 4.0);
    let channels = (0..channel_len).map(|c| sound.iter().map(|x| x / (1 + c) as f32).collect()).collect();
    let audio = Audio::new(rate_hz, channels).unwrap();
    let mut config = Config::default();
    let analysis = analyze(&audio, &config, &()).unwrap();
    let curve = &analysis.gain_curve;
    for ((lower, gain), upper) in curve.lower_db.iter().zip(&curve.gain_db).zip(&curve.upper_db) {
        assert!(gain.is_finite() && lower <= gain && gain <= upper);
    }
    assert!((0.0..=1.0).contains(&analysis.evidence.p_value));
    let restored = restore(&audio, &analysis, &config).unwrap();
    if analysis.verdict != Verdict::Agc {
        assert_eq!(restored.audio, audio);
    }
    config.restore = RestoreConfig { trust: Trust::Caller, ..RestoreConfig::default() };
    let trusted = restore(&audio, &analysis, &config).unwrap();
    assert_eq!(trusted.audio.sample_len(), audio.sample_len());
}

/// What an error says is one line, and names the file where there is one.
fn one_line(error: &Error) {
    let told = error.to_string();
    assert!(!told.trim().is_empty() && !told.contains(['\n', '\r']), "{told:?}");
}

/// A device profile: what is read is read again from what is written of it, and its law gives positive, finite gains.
pub fn profile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let profile = match Profile::from_toml(text) {
        Ok(profile) => profile,
        Err(error) => return one_line(&error),
    };
    let written = profile.to_toml().unwrap();
    // Twice, because what is no number is not equal to itself.
    assert_eq!(Profile::from_toml(&written).unwrap().to_toml().unwrap(), written);
    match ProfileLaw::new(&profile, Some(0.0)) {
        Ok(law) => {
            let sound: Vec<f32> = (0..800).map(|n| 0.9 * (0.3 * n as f32).sin() * (n % 400) as f32 / 400.0).collect();
            let gain = gain_of(&law, &[], 8_000.0, &sound, Direction::Inverse);
            assert!(gain.iter().all(|gain| gain.is_normal() && *gain > 0.0));
        }
        Err(error) => one_line(&error),
    }
}

/// Lists of recordings and of simulations, and presets: an error of one line, or what can be worked on. The first byte says
/// which of them it is.
pub fn manifest(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match kind % 4 {
        0 | 1 => match Manifest::parse(text, Path::new(["m.csv", "m.toml"][usize::from(kind % 2)])) {
            Ok(manifest) => {
                assert!(!manifest.recordings.is_empty());
                let most = manifest.recordings.len().pow(2);
                assert!(manifest.pairs().len() <= most);
            }
            Err(error) => one_line(&error),
        },
        2 => match batch::parse_manifest(text, Path::new("m.toml")) {
            Ok(jobs) => assert!(jobs.iter().all(|job| job.chain.check().is_ok() && !job.name.starts_with('/'))),
            Err(error) => one_line(&error),
        },
        _ => preset(text),
    }
}

/// Any chain that is let in gives a finite sound, of a tenth of a second.
fn preset(text: &str) {
    let mut composer = Composer::default();
    let composed = composer.document(text, None, Path::new("preset.toml")).and_then(|()| composer.finish());
    let mut chain = match composed {
        Ok(chain) => chain,
        Err(error) => return one_line(&error),
    };
    // What an installed ffmpeg makes of it is not looked for here.
    chain.codec = None;
    let sound = (0..800).map(|n| 0.9 * (0.3 * n as f32).sin()).collect();
    let clean = Audio::new(8_000, vec![sound]).unwrap();
    match simulate(&clean, &chain, 1) {
        Ok(simulated) => {
            assert!(simulated.audio.channels().iter().flatten().all(|x| x.is_finite()));
            assert!(simulated.truth.gain_1ms.gain_db.iter().all(|gain_db| gain_db.is_finite()));
        }
        Err(error) => one_line(&error),
    }
}

/// A MIDI file: an error of one line, or notes of the piano's keys in their order, none let go before it was struck.
pub fn midi(data: &[u8]) {
    match midi::read(data, Path::new("fuzzed.mid")) {
        Ok(read) => {
            assert!(!read.passage.notes.is_empty());
            assert!(read.passage.notes.is_sorted_by(|a, b| a.onset_s <= b.onset_s));
            assert!(read.passage.notes.iter().all(|n| (21..=108).contains(&n.key) && n.onset_s <= n.release_s));
            assert!(read.passage.notes.iter().all(|n| n.release_s.is_finite()));
        }
        Err(error) => one_line(&error),
    }
}
