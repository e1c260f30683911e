//! Long recordings: read from disk piece by piece, the result that of the whole.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set itself up has failed")]

use agcfix::decode::{self, Decoded, Keep, NonFinite, ReadConfig, Samples};
use agcfix::encode::{BitDepth, write_wav_file};
use agcfix::sound::MOST_HELD_SAMPLES;
use agcfix::{Audio, Error};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Few enough that every recording of the tests is a long one.
fn nothing_held() -> Keep {
    Keep { most_held_samples: 100, folder: None }
}

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut out = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    out.sort();
    out
}

/// The samples of a recording, asked for in blocks of a length that nothing else has.
fn asked_for(samples: &Samples) -> Vec<Vec<f32>> {
    let sound = samples.sound();
    let mut out = vec![Vec::new(); sound.channel_len()];
    let mut block = Vec::new();
    for start in (0..sound.sample_len()).step_by(1_013) {
        sound.read(start..sound.sample_len().min(start + 1_013), &mut block).unwrap();
        out.iter_mut().zip(&block).for_each(|(out, block)| out.extend_from_slice(block));
    }
    out
}

fn assert_same(path: &Path, held: &Decoded, config: &ReadConfig) {
    let opened = decode::open(path, config, &nothing_held()).unwrap();
    assert!(matches!(opened.samples, Samples::Stored(_)), "{}", path.display());
    assert!(asked_for(&opened.samples) == held.audio.channels(), "{}: samples differ", path.display());
    assert_eq!(opened.samples.sound().sample_rate_hz(), held.audio.sample_rate_hz());
    assert_eq!(opened.warnings, held.warnings, "{}", path.display());
    assert_eq!((&opened.source, &opened.metadata), (&held.source, &held.metadata), "{}", path.display());
}

#[test]
fn what_stays_on_disk_is_what_would_be_held() {
    let mut seen = Vec::new();
    for path in recordings() {
        let config = ReadConfig::default();
        let Ok(held) = decode::read(&path) else {
            assert!(decode::open(&path, &config, &nothing_held()).is_err(), "{}", path.display());
            continue;
        };
        assert_same(&path, &held, &config);
        seen.push(held.source.container.clone());
    }
    // Edit lists, gapless tags and packet tables are among them.
    for container in ["MP4", "CAF", "FLAC", "MP3", "Ogg", "AIFF", "ADTS"] {
        assert!(seen.iter().any(|s| s == container), "no {container} in {seen:?}");
    }
}

#[test]
fn wav_files_of_every_depth_are_read_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.wav");
    let channel = |k: f32| (0..30_001).map(|n| (n as f32 * 0.01 * k).sin() * 0.5).collect();
    let audio = Audio::new(48_000, vec![channel(1.0), channel(1.3)]).unwrap();
    for bits in [BitDepth::Int16, BitDepth::Int24, BitDepth::Float32] {
        write_wav_file(&path, true, &audio, bits).unwrap();
        assert_same(&path, &decode::read(&path).unwrap(), &ReadConfig::default());
    }
    // A file that ends early.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1_001]).unwrap();
    assert_same(&path, &decode::read(&path).unwrap(), &ReadConfig::default());
}

#[test]
fn samples_that_are_no_numbers_are_met_on_disk_as_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.wav");
    let audio = Audio::new(48_000, vec![vec![0.25; 200_000]]).unwrap();
    write_wav_file(&path, true, &audio, BitDepth::Float32).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let data = bytes.len() - 4 * 200_000;
    for n in [70_000usize, 150_000] {
        bytes[data + 4 * n..data + 4 * n + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
    let refused = |result: Result<(), Error>| result.unwrap_err().to_string();
    let config = ReadConfig::default();
    let held = refused(decode::read(&path).map(|_| ()));
    assert!(held.contains("sample 70000 of channel 0 is NaN"), "{held}");
    assert_eq!(refused(decode::open(&path, &config, &nothing_held()).map(|_| ())), held);
    let config = ReadConfig { nonfinite: NonFinite::Zero, ..config };
    assert_same(&path, &decode::read_with(&path, &config).unwrap(), &config);
}

fn agcfix(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agcfix"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// The sound of a WAV file that agcfix wrote.
fn sound(path: &Path) -> Audio {
    decode::read(path).unwrap().audio
}

#[test]
fn the_program_restores_a_long_recording_as_the_library_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Eight channels at 8 kHz: many samples in little time.
    let sample_len = MOST_HELD_SAMPLES / 8 + 12_345;
    let sample = |n: usize, c: usize| 0.8 * ((n as f32 * 0.003 * (1.0 + c as f32)).sin());
    let channels = (0..8).map(|c| (0..sample_len).map(|n| sample(n, c)).collect()).collect();
    write_wav_file(&at("in.wav"), false, &Audio::new(8_000, channels).unwrap(), BitDepth::Int16).unwrap();
    let before = fs::read(at("in.wav")).unwrap();
    let seconds = sample_len / 8_000 + 1;
    let line = |k: usize| format!("{:.1},{:.3}\n", k as f64 / 2.0, 6.0 * (k as f64 * 0.7).sin());
    let csv = format!("time_s,gain_db\n{}", (0..2 * seconds).map(line).collect::<String>());
    fs::write(at("gain.csv"), &csv).unwrap();

    for bits in ["16", "24", "32f"] {
        let typed = ["restore", "in.wav", "--quiet", "--gain", "gain.csv", "--bits", bits, "--force"];
        run(agcfix(folder.path()).args(typed).args(["-o", "long.wav"]));
        // What is drawn needs the samples in memory, and changes nothing.
        if bits == "24" {
            run(agcfix(folder.path()).args(typed).args(["-o", "held.wav", "--plot=held.svg"]));
            assert!(fs::read(at("held.wav")).unwrap() == fs::read(at("long.wav")).unwrap(), "bytes differ");
        }
        let recording = sound(&at("in.wav"));
        let curve = agcfix::gain_csv::read_gain_csv(&csv).unwrap();
        let gain = agcfix::restore::gain_at_samples(&curve, 8_000, sample_len).unwrap();
        let divided = agcfix::restore::apply_gain(&recording, &gain).unwrap();
        let level =
            if bits == "32f" { agcfix::restore::Level::Keep } else { agcfix::restore::Level::KeepBelowMinusOneDbtp };
        let restored = agcfix::restore::set_level(8_000, divided, level).unwrap();
        let depth = match bits {
            "16" => BitDepth::Int16,
            "24" => BitDepth::Int24,
            _ => BitDepth::Float32,
        };
        write_wav_file(&at("whole.wav"), true, &restored.audio, depth).unwrap();
        assert!(sound(&at("long.wav")) == sound(&at("whole.wav")), "{bits}: samples differ");
    }
    // Through pipes.
    let command =
        format!("'{}' restore - --quiet --gain gain.csv -o - < in.wav > piped.wav", env!("CARGO_BIN_EXE_agcfix"));
    run(Command::new("sh").current_dir(folder.path()).args(["-c", &command]));
    run(agcfix(folder.path()).args(["restore", "in.wav", "--quiet", "--gain", "gain.csv", "--force", "-o", "long.wav"]));
    assert!(sound(&at("piped.wav")) == sound(&at("long.wav")), "piped: samples differ");
    assert!(fs::read(at("in.wav")).unwrap() == before, "the input was touched");
    // A recording that is cut short while nobody looks: nothing is written.
    let none = fs::read_dir(folder.path()).unwrap().any(|f| f.unwrap().file_name().to_string_lossy().contains(".part"));
    assert!(!none);
}
