//! The main job, end to end: what the built program makes of the recordings in `examples/data`, against what is known of
//! them.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod measure;

use agcfix::{Audio, decode};
use measure::{HOP_S, WINDOW_S, centred_rms, differences, levels_db};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Error allowed to a restored recording behind a known compressor, dB rms; doing nothing leaves 3.3.
const RESTORED_DB: f64 = 0.3;
/// Error allowed to the gain found behind noise, a phone's EQ and AAC, dB rms; doing nothing leaves 3.1.
const GAIN_DB: f64 = 0.5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name)
}

fn read(path: &Path) -> Audio {
    decode::read(path).unwrap().audio
}

/// A folder with a copy of one recording in it, restored there.
struct Restored {
    folder: tempfile::TempDir,
    recording: PathBuf,
    json: serde_json::Value,
}

impl Restored {
    fn of(name: &str, threads: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = folder.path().join(name);
        fs::copy(fixture(name), &recording).unwrap();
        let ended = Command::new(env!("CARGO_BIN_EXE_agcfix"))
            .args(["restore", name, "--quiet", "--json", "found.json", "--gain-out", "gain.csv", "--plot"])
            .env("RAYON_NUM_THREADS", threads)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
        let json = serde_json::from_str(&fs::read_to_string(folder.path().join("found.json")).unwrap()).unwrap();
        assert_eq!(fs::read(&recording).unwrap(), fs::read(fixture(name)).unwrap(), "{name} was touched");
        Self { folder, recording, json }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn wav(&self) -> PathBuf {
        self.recording.with_extension("restored.wav")
    }

    fn verdict(&self) -> &str {
        self.json["verdict"]["outcome"].as_str().unwrap()
    }

    fn constant(&self, name: &str) -> f64 {
        let constants = self.json["law"]["parameters"].as_array().unwrap();
        constants.iter().find(|p| p["name"] == name).unwrap()["value"].as_f64().unwrap()
    }

    fn keeps_the_shape(&self) {
        let (before, after) = (read(&self.recording), read(&self.wav()));
        assert_eq!(after.sample_rate_hz(), before.sample_rate_hz());
        assert_eq!(after.channels().len(), before.channels().len());
        assert_eq!(after.sample_len(), before.sample_len());
    }
}

fn compressor() -> &'static Restored {
    static ONCE: OnceLock<Restored> = OnceLock::new();
    ONCE.get_or_init(|| Restored::of("prelude-phone-compressor.flac", "2"))
}

fn phone() -> &'static Restored {
    static ONCE: OnceLock<Restored> = OnceLock::new();
    ONCE.get_or_init(|| Restored::of("prelude-phone.m4a", "2"))
}

fn microphone() -> &'static Restored {
    static ONCE: OnceLock<Restored> = OnceLock::new();
    ONCE.get_or_init(|| Restored::of("prelude-mic.flac", "2"))
}

/// What the devices heard: the microphone's channels, averaged.
fn mono_mix() -> Audio {
    let stereo = read(&fixture("prelude-mic.flac"));
    let [left, right] = stereo.channels() else { unreachable!("the microphone is stereo") };
    let mono = left.iter().zip(right).map(|(l, r)| 0.5 * (l + r)).collect();
    Audio::new(stereo.sample_rate_hz(), vec![mono]).unwrap()
}

/// A gain curve file at the middle of every level's window, held at its ends.
fn gain_db_at_levels(path: &Path, len: usize) -> Vec<f64> {
    let curve = agcfix::gain_csv::read_gain_csv(&fs::read_to_string(path).unwrap()).unwrap();
    let last = curve.gain_db.len() - 1;
    (0..len)
        .map(|k| {
            let position = (k as f64 * HOP_S + 0.5 * WINDOW_S - curve.start_s) / curve.hop_s;
            let (low, share) = (position.max(0.0).floor(), position.max(0.0).fract());
            let at = |i: usize| curve.gain_db[i.min(last)];
            at(low as usize) + share * (at(low as usize + 1) - at(low as usize))
        })
        .collect()
}

#[test]
fn a_compressor_is_undone_to_three_tenths_of_a_decibel() {
    let reference_db = levels_db(&mono_mix());
    let error_db = |path: &Path| centred_rms(&differences(&levels_db(&read(path)), &reference_db, &reference_db));
    let restored_db = error_db(&compressor().wav());
    println!("restored: {restored_db:.3} dB rms");
    assert!(restored_db <= RESTORED_DB, "{restored_db} dB");
    // The planted fault: nothing undone.
    assert!(error_db(&compressor().recording) > 10.0 * RESTORED_DB);
}

/// The fixture's attack of 10 ms and release of 600 ms are time constants of 2.5 and 150 ms; its threshold of -30 dBFS
/// plus 12 dB of make-up gain is -18 dBFS in the recording; 4:1 is a slope of 0.75.
#[test]
fn the_compressors_constants_are_found() {
    let found = |name| compressor().constant(name);
    assert_eq!(compressor().verdict(), "agc");
    assert_eq!(compressor().json["law"]["name"], "compressor");
    let (threshold_db, slope) = (found("threshold_db"), found("slope"));
    let (attack_s, release_s) = (found("attack_s"), found("release_s"));
    println!("threshold {threshold_db:.2} dB, slope {slope:.3}, attack {attack_s:.5} s, release {release_s:.4} s");
    assert!((threshold_db + 18.0).abs() <= 1.0, "{threshold_db} dB");
    assert!((slope - 0.75).abs() <= 0.05, "{slope}");
    let within = |value: f64, truth: f64, factor: f64| (value / truth).ln().abs() <= factor.ln();
    assert!(within(attack_s, 0.0025, 1.3), "{attack_s} s");
    assert!(within(release_s, 0.150, 1.3), "{release_s} s");
}

#[test]
fn a_phones_gain_is_found_behind_noise_eq_and_aac() {
    assert_eq!(phone().verdict(), "agc");
    let heard_db = levels_db(&mono_mix());
    let truth_db = gain_db_at_levels(&fixture("prelude-phone.gain.csv"), heard_db.len());
    let error_db = |gain_db: &[f64]| centred_rms(&differences(gain_db, &truth_db, &heard_db));
    let curve_db = error_db(&gain_db_at_levels(&phone().at("gain.csv"), heard_db.len()));
    // What was really undone, as finely as the truth was measured.
    let (before_db, after_db) = (levels_db(&read(&phone().recording)), levels_db(&read(&phone().wav())));
    let undone_db = error_db(&before_db.iter().zip(&after_db).map(|(b, a)| b - a).collect::<Vec<_>>());
    let nothing_db = error_db(&vec![0.0; heard_db.len()]);
    println!("gain curve {curve_db:.3}, undone {undone_db:.3} of {nothing_db:.3} dB rms");
    assert!(curve_db <= GAIN_DB, "{curve_db} dB");
    assert!(undone_db <= GAIN_DB, "{undone_db} dB");
    assert!(nothing_db > 5.0 * GAIN_DB, "{nothing_db} dB");
}

/// Width, height and bytes of a picture.
fn pixels(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap()));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut out = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut out).unwrap();
    out.truncate(info.buffer_size());
    (info.width, info.height, out)
}

/// Share of two pictures' bytes that differ by more than a shade.
fn unlike(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 16).count() as f64 / a.len() as f64
}

/// Bytes that may differ: another processor's last bits move the edge of a line here and there.
const SAME_PICTURE: f64 = 0.01;

#[test]
fn the_picture_in_the_readme_is_the_program_s() {
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images/prelude-phone.png");
    let (shown, drawn) = (pixels(&shown), pixels(&phone().at("prelude-phone.restored.png")));
    assert_eq!((shown.0, shown.1), (drawn.0, drawn.1));
    let share = unlike(&shown.2, &drawn.2);
    assert!(share < SAME_PICTURE, "{share} of it differs: .ci/documents --write draws it again");
    // The planted fault: another recording's picture.
    let other = pixels(&compressor().at("prelude-phone-compressor.restored.png"));
    assert!(unlike(&shown.2, &other.2) > SAME_PICTURE);
}

#[test]
fn a_microphone_is_left_sample_for_sample() {
    assert_eq!(microphone().verdict(), "none");
    assert_eq!(read(&microphone().wav()), read(&microphone().recording));
}

#[test]
fn what_was_restored_is_found_untouched() {
    for restored in [phone(), compressor()] {
        let ended = Command::new(env!("CARGO_BIN_EXE_agcfix"))
            .args(["restore", "--quiet", "--json", "again.json", "-o", "again.wav"])
            .arg(restored.wav())
            .current_dir(restored.folder.path())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let again: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(restored.at("again.json")).unwrap()).unwrap();
        assert_eq!(again["verdict"]["outcome"], "none");
        assert!(read(&restored.at("again.wav")).channels() == read(&restored.wav()).channels());
    }
}

#[test]
fn rate_channels_and_length_stay_and_peaks_keep_clear() {
    for restored in [compressor(), phone(), microphone()] {
        restored.keeps_the_shape();
    }
    assert_eq!(compressor().json["restoration"]["gain_source"], "found");
    assert!(compressor().json["restoration"]["true_peak_dbtp"].as_f64().unwrap() <= -1.0);
}

#[test]
fn a_second_run_gives_the_same_bytes_on_another_number_of_threads() {
    let again = Restored::of("prelude-phone.m4a", "1");
    for name in ["prelude-phone.restored.wav", "gain.csv", "found.json"] {
        assert!(fs::read(again.at(name)).unwrap() == fs::read(phone().at(name)).unwrap(), "{name} differs");
    }
}
