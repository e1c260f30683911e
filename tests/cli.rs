//! The built program on real files: what it says, what it writes, how it ends.
//!
//! Tests that need the estimator are in [`estimator`] and in `main_job.rs`.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const GAIN_CSV: &str = "time_s,gain_db\n0.0,0.0\n0.5,-6.0\n1.0,0.0\n";

/// A folder with a second of a decaying tone in it, `take.wav`, and a gain curve, `take.csv`.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(folder.path().join("take.wav"), spec).unwrap();
        for n in 0..8_000 {
            let t = f64::from(n) / 8_000.0;
            writer.write_sample((8_000.0 * (-t).exp() * (2_764.6 * t).sin()) as i16).unwrap();
        }
        writer.finalize().unwrap();
        fs::write(folder.path().join("take.csv"), GAIN_CSV).unwrap();
        Self { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Ended {
        let output = self.command(words).output().unwrap();
        Ended::of(&output)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agcfix"));
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// How the program ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn is(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }

    #[track_caller]
    fn says(&self, words: &str) -> &Self {
        assert!(self.err.contains(words), "{words:?} is not in {self:?}");
        self
    }
}

fn wav(path: &Path) -> (hound::WavSpec, Vec<i32>) {
    let mut reader = hound::WavReader::open(path).unwrap();
    (reader.spec(), reader.samples().map(Result::unwrap).collect())
}

#[test]
fn help_starts_with_examples_and_succeeds() {
    let desk = Desk::new();
    for words in [&["--help"][..], &["analyze", "--help"], &["restore", "--help"], &["laws", "--help"]] {
        let ended = desk.run(words);
        assert!(ended.is(0).out.starts_with("Examples:\n  agcfix "), "{ended:?}");
    }
    assert!(desk.run(&["--version"]).is(0).out.starts_with("agcfix "));
}

#[test]
fn laws_are_listed_with_units_and_ranges() {
    let ended = Desk::new().run(&["laws"]);
    ended.is(0);
    assert!(ended.out.contains("compressor") && ended.out.contains("threshold_db") && ended.out.contains(" dB"));
}

#[test]
fn what_is_typed_wrongly_ends_with_2() {
    let desk = Desk::new();
    desk.run(&[]).is(2);
    desk.run(&["restore"]).is(2);
    desk.run(&["restore", "take.wav", "--bits", "12"]).is(2).says("12");
    desk.run(&["restore", "take.wav", "--law", "loudness"]).is(2).says("there are auto, none, compressor");
    desk.run(&["restore", "take.wav", "--law", "compressor:attack_s=99"]).is(2).says("out of its range");
    desk.run(&["restore", "take.wav", "--law", "none", "--gain", "take.csv"]).is(2).says("cannot be used with");
    desk.run(&["analyze", "take.wav", "--plot=take.jpg"]).is(2).says(".png or .svg");
    assert_eq!(desk.names(), ["take.csv", "take.wav"]);
}

#[test]
fn what_cannot_be_read_ends_with_1_and_one_line_that_names_it() {
    let desk = Desk::new();
    fs::write(desk.at("noise.m4a"), [7; 3_000]).unwrap();
    fs::write(desk.at("empty.wav"), []).unwrap();
    fs::create_dir(desk.at("folder.wav")).unwrap();
    for name in ["missing.wav", "noise.m4a", "empty.wav", "folder.wav", "take.csv", "-", ""] {
        for command in ["analyze", "restore"] {
            let ended = desk.run(&[command, "--", name]);
            // clap itself refuses an empty name.
            if name.is_empty() {
                ended.is(2);
                continue;
            }
            ended.is(1).says(name);
            assert_eq!(ended.err.trim_end().lines().count(), 1, "{ended:?}");
            assert_eq!(ended.out, "");
        }
    }
    desk.run(&["restore", "missing.wav"]).is(1).says("check the name");
}

#[test]
fn a_given_gain_is_undone() {
    let desk = Desk::new();
    let ended = desk.run(&["restore", "take.wav", "--gain", "take.csv"]);
    ended.is(0).says("restored with the gain curve you gave").says("Written: take.restored.wav");
    assert_eq!(ended.out, "");
    let (spec, after) = wav(&desk.at("take.restored.wav"));
    assert_eq!((spec.bits_per_sample, spec.sample_rate, spec.channels), (24, 8_000, 1));
    let (_, before) = wav(&desk.at("take.wav"));
    let power = |samples: &[i32], from: usize| -> f64 {
        samples[from..from + 400].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().log10() * 10.0
    };
    // The gain is 0 dB at the start and -6 dB in the middle: undone, the middle rises by 6 dB against the start.
    let moved_db = (power(&after, 3_800) - power(&before, 3_800)) - (power(&after, 0) - power(&before, 0));
    // A tenth: the windows of 50 ms lie beside the curve's turning points.
    assert!((moved_db - 6.0).abs() < 0.5, "{moved_db}");
}

#[test]
fn a_given_law_is_undone() {
    let desk = Desk::new();
    let law = "compressor:threshold_db=-30,slope=0.75";
    let args = ["restore", "take.wav", "--law", law, "--bits", "32f", "--export", "audacity-events=take.txt"];
    desk.run(&args).is(0).says("with the law you named, compressor");
    // The take swells and fades across the threshold: the gain falls and rises, and the labels say where.
    let labels = std::fs::read_to_string(desk.at("take.txt")).unwrap();
    assert!(labels.contains("attack") && labels.contains("release"), "{labels}");
    assert_eq!(hound::WavReader::open(desk.at("take.restored.wav")).unwrap().spec().bits_per_sample, 32);
}

#[test]
fn law_none_changes_no_sample() {
    let desk = Desk::new();
    desk.run(&["restore", "take.wav", "--law", "none", "--bits", "16", "-o", "same.wav"]).is(0);
    assert_eq!(wav(&desk.at("same.wav")).1, wav(&desk.at("take.wav")).1);
}

#[test]
fn json_alone_is_on_standard_output_when_it_is_asked_for_there() {
    let desk = Desk::new();
    let ended = desk.run(&["restore", "take.wav", "--gain", "take.csv", "--json", "-"]);
    ended.is(0).says("Written");
    let value: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(value["schema"], "agcfix.analysis/1");
    assert_eq!(value["input"]["file"], "take.wav");
    assert_eq!(value["restoration"]["output"], "take.restored.wav");
    assert_eq!(value["restoration"]["gain_source"], "curve_given");
}

#[test]
fn quiet_says_nothing_and_errors_still_speak() {
    let desk = Desk::new();
    let ended = desk.run(&["restore", "take.wav", "--law", "none", "--quiet"]);
    assert_eq!((ended.is(0).out.as_str(), ended.err.as_str()), ("", ""));
    desk.run(&["restore", "take.wav", "--law", "none", "--quiet"]).is(1).says("--force");
}

#[test]
fn pictures_are_what_their_names_say() {
    let desk = Desk::new();
    desk.run(&["restore", "take.wav", "--gain", "take.csv", "--plot", "-o", "a.wav"]).is(0);
    desk.run(&["restore", "take.wav", "--gain", "take.csv", "--plot=b.svg", "-o", "b.wav"]).is(0);
    assert!(fs::read(desk.at("a.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(fs::read(desk.at("b.svg")).unwrap().starts_with(b"<svg"));
}

#[test]
fn nothing_is_overwritten_without_force_and_the_recording_never() {
    let desk = Desk::new();
    let before = fs::read(desk.at("take.wav")).unwrap();
    fs::write(desk.at("old.wav"), "precious").unwrap();
    fs::hard_link(desk.at("take.wav"), desk.at("link.wav")).unwrap();
    let restore = |rest: &[&str]| desk.run(&[&["restore", "take.wav", "--law", "none"], rest].concat());
    restore(&["-o", "old.wav"]).is(1).says("old.wav").says("--force");
    assert_eq!(fs::read(desk.at("old.wav")).unwrap(), b"precious");
    for name in ["take.wav", "./take.wav", "link.wav"] {
        restore(&["-o", name, "--force"]).is(1).says("the recording itself");
    }
    restore(&["--gain-out", "take.wav", "--force"]).is(1).says("the recording itself");
    restore(&["-o", "x.wav", "--json", "x.wav"]).is(1).says("name the same file");
    restore(&["-o", "no/x.wav"]).is(1).says("does not exist");
    assert_eq!(desk.names(), ["link.wav", "old.wav", "take.csv", "take.wav"]);
    restore(&["-o", "old.wav", "--force"]).is(0);
    assert_eq!(fs::read(desk.at("take.wav")).unwrap(), before);
    assert_ne!(fs::read(desk.at("old.wav")).unwrap(), b"precious");
}

#[test]
fn a_gain_curve_that_is_none_is_told_with_its_file() {
    let desk = Desk::new();
    fs::write(desk.at("bad.csv"), "time_s,gain_db\n0,0\n1,loud\n").unwrap();
    fs::write(desk.at("binary.csv"), [0xff, 0xfe, 0]).unwrap();
    fs::write(desk.at("short.csv"), "time_s,gain_db\n0,0\n0.1,-1\n").unwrap();
    for name in ["bad.csv", "binary.csv", "missing.csv", "take.wav"] {
        desk.run(&["restore", "take.wav", "--gain", name]).is(1).says(name);
    }
    desk.run(&["restore", "take.wav", "--gain", "short.csv"]).is(0).says("its last gain is held");
}

#[cfg(unix)]
#[test]
fn a_reader_that_went_away_is_no_failure() {
    let desk = Desk::new();
    let mut child = desk.command(&["laws"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.is(0).err, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_a_failure() {
    let desk = Desk::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = desk.command(&["laws"]).stdout(full).output().unwrap();
    Ended::of(&output).is(1).says("standard output");
}

/// What the estimator makes of hardly any sound; whole recordings are in `main_job.rs`.
mod estimator {
    use super::*;

    #[test]
    fn what_is_not_decided_ends_with_3_and_writes_nothing() {
        // A second of one tone: too little for any verdict.
        let desk = Desk::new();
        let ended = desk.run(&["restore", "take.wav", "--plot", "--json", "take.json"]);
        ended.is(3).says("cannot tell").says("--law NAME");
        assert_eq!(desk.names(), ["take.csv", "take.wav"]);
    }

    #[test]
    fn a_short_recording_is_analyzed_and_told_on_standard_output() {
        let desk = Desk::new();
        let words = ["analyze", "take.wav", "--plot", "--json", "a.json", "--gain", "a.csv", "--labels", "a.txt"];
        let ended = desk.run(&[&words[..], &["--partials", "p.csv"]].concat());
        assert!(ended.is(0).out.starts_with("take.wav: "), "{ended:?}");
        let expected = ["a.csv", "a.json", "a.txt", "p.csv", "take.agcfix.png", "take.csv", "take.wav"];
        assert_eq!(desk.names(), expected);
        assert!(fs::read_to_string(desk.at("p.csv")).unwrap().starts_with("note_index,start_s,"));
    }
}
