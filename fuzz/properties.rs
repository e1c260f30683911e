//! What must hold for any bytes. Each function is a fuzz target, and `tests/corpus.rs` replays the corpus through it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each target uses one of them; a broken property must stop"
)]

use agcfix::decode::{Decoded, NonFinite, ReadConfig, is_decoding, read_bytes_with};
use agcfix::encode::{BitDepth, write_wav_with};
use agcfix::gain_csv::{read_gain_csv, write_gain_csv};
use agcfix::law::{Direction, families, gain_of};
use agcfix::restore::{RestoreConfig, Trust, gain_at_samples};
use agcfix::{Audio, Config, Verdict, analyze, restore};
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
