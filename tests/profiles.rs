//! Device profiles through the built program: learnt beside a microphone from the first half, used on what came later without it.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use agcfix::encode::{BitDepth, write_wav_file};
use agcfix::{Audio, decode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name)
}

fn agcfix(words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_agcfix")).args(words).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    output
}

fn succeeds(words: &[&str]) -> String {
    let output = agcfix(words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A recording's seconds from one to another, as a file of their own.
fn cut(name: &str, from_s: f64, to_s: f64, to: &Path) {
    let audio = decode::read(&data(name)).unwrap().audio;
    let at = |s: f64| ((s * f64::from(audio.sample_rate_hz())) as usize).min(audio.sample_len());
    let channels = audio.channels().iter().map(|c| c[at(from_s)..at(to_s)].to_vec()).collect();
    write_wav_file(to, false, &Audio::new(audio.sample_rate_hz(), channels).unwrap(), BitDepth::Float32).unwrap();
}

/// A constant of a profile, with its range.
fn constant(profile: &toml::Value, name: &str) -> (f64, f64, f64) {
    let constants = profile["law"]["constants"].as_array().unwrap();
    let found = constants.iter().find(|c| c["name"].as_str() == Some(name)).unwrap();
    let number = |key: &str| found[key].as_float().unwrap();
    (number("value"), number("lower"), number("upper"))
}

/// Gain error, 95th percentile in dB, of the second half and of a restoration: its first moments are not counted that way, in which
/// a recording that begins in the middle of the music does not tell the device's state.
fn errors_db(folder: &Path, restored: &Path) -> (f64, f64) {
    let at = |name: &str| folder.join(name);
    let (phone, mic, json) = (at("phone-2.wav"), at("mic-2.wav"), at("v.json"));
    succeeds(&[
        "validate",
        text(&phone),
        text(&mic),
        "--restored",
        text(restored),
        "--json",
        text(&json),
        "-q",
        "--force",
    ]);
    let validation: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let error_db = |when: &str| validation[when]["gain_p95_db"].as_f64().unwrap();
    (error_db("before"), error_db("after"))
}

/// Learns from the first half.
fn learnt(folder: &Path, phone: &str, learning: &[&str]) -> toml::Value {
    let at = |name: &str| folder.join(name);
    let (phone_1, mic_1, profile) = (at("phone-1.wav"), at("mic-1.wav"), at("device.toml"));
    cut(phone, 0.0, 22.0, &phone_1);
    cut("prelude-mic.flac", 0.0, 22.0, &mic_1);
    let mut words = vec!["profile", "learn", text(&phone_1), text(&mic_1), "-o", text(&profile), "-q"];
    words.extend(learning);
    succeeds(&words);
    std::fs::read_to_string(&profile).unwrap().parse::<toml::Table>().unwrap().into()
}

/// Learns from the first half and undoes the second; the profile, and the errors of the phone and of the restoration.
fn held_out(folder: &Path, phone: &str, learning: &[&str]) -> (toml::Value, f64, f64) {
    let at = |name: &str| folder.join(name);
    let document = learnt(folder, phone, learning);
    let (profile, restored, phone_2) = (at("device.toml"), at("restored.wav"), at("phone-2.wav"));
    cut(phone, 22.0, 45.0, &phone_2);
    cut("prelude-mic.flac", 22.0, 45.0, &at("mic-2.wav"));
    succeeds(&["restore", text(&phone_2), "--profile", text(&profile), "-o", text(&restored), "--bits", "32f", "-q"]);
    let (before_db, after_db) = errors_db(folder, &restored);
    (document, before_db, after_db)
}

#[test]
fn a_compressor_is_learnt_from_one_half_and_undone_in_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (profile, before_db, after_db) = held_out(
        folder.path(),
        "prelude-phone-compressor.flac",
        &["--law", "limiter", "--law", "feedback", "--law", "compressor-gain-db", "--law", "compressor"],
    );
    // Settings and time constants: examples/data/README.md.
    assert_eq!(profile["law"]["name"].as_str(), Some("compressor"), "{profile}");
    for (name, truth, off) in
        [("threshold_db", -18.0, 0.3), ("slope", 0.75, 0.01), ("attack_s", 0.0025, 2e-4), ("release_s", 0.15, 5e-3)]
    {
        let (value, lower, upper) = constant(&profile, name);
        assert!((value - truth).abs() < off && lower <= value && value <= upper, "{name} {value} {lower} {upper}");
    }
    assert!(before_db > 2.0 && after_db < 0.05 * before_db, "{before_db} {after_db}");
    // The planted fault: a threshold 2 dB off must show.
    let wrong = folder.path().join("wrong.toml");
    let written = std::fs::read_to_string(folder.path().join("device.toml")).unwrap();
    let mut changed: toml::Table = written.parse().unwrap();
    let constants = changed["law"]["constants"].as_array_mut().unwrap();
    let threshold = constants.iter_mut().find(|c| c["name"].as_str() == Some("threshold_db")).unwrap();
    threshold["value"] = toml::Value::Float(threshold["value"].as_float().unwrap() + 2.0);
    std::fs::write(&wrong, toml::to_string(&changed).unwrap()).unwrap();
    let at = |name: &str| folder.path().join(name);
    let (phone, restored) = (at("phone-2.wav"), at("wrong.wav"));
    succeeds(&[
        "restore",
        text(&phone),
        "--profile",
        text(&wrong),
        "--profile-volume",
        "0",
        "-o",
        text(&restored),
        "-q",
    ]);
    let (_, wrong_db) = errors_db(folder.path(), &restored);
    assert!(wrong_db > 0.05 * before_db, "{wrong_db}");
}

#[test]
fn a_phone_with_a_ceiling_noise_and_codec_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    // How far its gain fell at the ceiling in the other half is another question: the profile only says when.
    let profile = learnt(folder.path(), "prelude-phone-agc1.m4a", &["--law", "agc1-fixed"]);
    // Its compression gain cannot be told from the microphone's sensitivity; where its ceiling lies can.
    for (name, truth) in [("target_level_dbfs", 3.0), ("limiter", 1.0), ("volume_db", 0.0)] {
        let (value, _, _) = constant(&profile, name);
        assert!((value - truth).abs() < 0.5, "{name} {value}");
    }
    let left = |key: &str| profile["learnt"][key].as_float().unwrap();
    assert!(left("left_db") < 0.15 * left("movement_db"), "{profile}");
}

#[test]
fn a_microphone_is_no_device_with_a_gain_control_whatever_its_equalisation() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    cut("prelude-mic.flac", 0.0, 20.0, &at("mic.wav"));
    let mic = decode::read(&at("mic.wav")).unwrap().audio;
    // A one-pole shelf, 6 dB less above some 500 Hz, and 9 dB softer.
    let shelved = mic.channels().iter().map(|c| {
        let mut low = 0f32;
        let filter = |x: &f32| {
            low += 0.063 * (x - low);
            0.355 * 0.5 * (x + low)
        };
        c.iter().map(filter).collect()
    });
    let phone = Audio::new(48_000, shelved.collect()).unwrap();
    write_wav_file(&at("phone.wav"), false, &phone, BitDepth::Float32).unwrap();
    let (phone, mic, profile, json) = (at("phone.wav"), at("mic.wav"), at("p.toml"), at("v.json"));
    succeeds(&["validate", text(&phone), text(&mic), "--json", text(&json), "-q"]);
    let validation: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let slope = validation["before"]["dynamics_slope"].as_f64().unwrap();
    assert!((slope - 1.0).abs() < 0.005, "{slope}");
    assert!(validation["before"]["gain_rms_db"].as_f64().unwrap() < 0.15, "{validation}");
    let told = succeeds(&["profile", "learn", text(&phone), text(&mic), "-o", text(&profile)]);
    assert!(told.contains("no gain control"), "{told}");
    let document: toml::Table = std::fs::read_to_string(&profile).unwrap().parse().unwrap();
    assert!(!document.contains_key("law"), "{document}");
    // Restoring by it changes nothing.
    let restored = at("restored.wav");
    succeeds(&["restore", text(&phone), "--profile", text(&profile), "-o", text(&restored), "--bits", "32f", "-q"]);
    let (a, b) = (decode::read(&phone).unwrap().audio, decode::read(&restored).unwrap().audio);
    assert_eq!(a, b);
}

#[test]
fn laws_that_cannot_be_learnt_are_refused_before_the_work() {
    let (mic, phone) = (data("prelude-mic.flac"), data("prelude-phone.m4a"));
    for law in ["auto", "nonsense", "compressor:slope=0.5"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("p.toml");
        let refused = agcfix(&["profile", "learn", text(&phone), text(&mic), "-o", text(&out), "--law", law]);
        assert_eq!(refused.status.code(), Some(2), "{law}: {refused:?}");
        assert!(!out.exists());
    }
}
