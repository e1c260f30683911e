//! A data set in parts: what several machines do is what one does.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use agcfix::encode::{BitDepth, write_wav_file};
use agcfix::{Audio, decode};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn agcfix(words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_agcfix")).args(words).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    output
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Some seconds of a recording that comes with the project.
fn excerpt(name: &str, from_s: usize, seconds: usize, to: &Path) {
    let whole = decode::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name)).unwrap().audio;
    let rate = whole.sample_rate_hz() as usize;
    let channels = whole.channels().iter().map(|c| c[from_s * rate..(from_s + seconds) * rate].to_vec()).collect();
    write_wav_file(to, false, &Audio::new(whole.sample_rate_hz(), channels).unwrap(), BitDepth::Int16).unwrap();
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn parts_of_the_pairs_are_merged_to_what_one_machine_writes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    excerpt("prelude-phone-compressor.flac", 0, 12, &at("phone.wav"));
    excerpt("prelude-mic.flac", 0, 12, &at("mic.wav"));
    let manifest = "take,position,device,role,path\n1,near,a,phone,phone.wav\n1,near,b,phone,phone.wav\n\
                    1,near,gone,phone,gone.wav\n1,near,m,mic,mic.wav\n";
    std::fs::write(at("set.csv"), manifest).unwrap();
    let (set, whole, part) = (at("set.csv"), at("whole.jsonl"), at("part.jsonl"));
    let align =
        |output: &Path, shard: &str| agcfix(&["dataset", "align", text(&set), "-o", text(output), "--shard", shard]);
    align(&whole, "1/1");
    assert!(
        String::from_utf8_lossy(&align(&part, "1/2").stdout)
            .starts_with("1 pairs measured, 0 were known already, 1 failed")
    );
    let (first, second) = (at("part.1-of-2.jsonl"), at("part.2-of-2.jsonl"));
    // A part that is missing is missed.
    let merged = at("merged.jsonl");
    let merge = |parts: &[&Path]| {
        let mut words = vec!["dataset", "merge", "-o", text(&merged)];
        words.extend(parts.iter().map(|p| text(p)));
        agcfix(&words)
    };
    let short = merge(&[&first]);
    assert_eq!(short.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&short.stderr).contains("2/2") && !merged.exists(), "{short:?}");
    assert!(!part.exists() && !second.exists());
    align(&part, "2/2");
    assert_eq!(merge(&[&second, &first]).status.code(), Some(0));
    assert_eq!(lines(&merged), lines(&whole));
    assert_eq!(lines(&merged).len(), 3);
    // Again is the same again: parts are known already, and merging them changes nothing.
    assert!(
        String::from_utf8_lossy(&align(&part, "1/2").stdout)
            .starts_with("0 pairs measured, 1 were known already, 1 failed")
    );
    assert_eq!(merge(&[&first, &second]).status.code(), Some(0));
    assert_eq!(lines(&merged), lines(&whole));
    // Results of other contents do not belong to them.
    let other = at("other.jsonl");
    std::fs::write(&other, lines(&first).join("\n").replace("\"phone_sha256\":\"", "\"phone_sha256\":\"0")).unwrap();
    let refused = merge(&[&first, &second, &other]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("other contents"), "{refused:?}");
    assert_eq!(lines(&merged), lines(&whole));
}

#[test]
fn recordings_are_restored_in_parts_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    excerpt("prelude-phone-compressor.flac", 24, 14, &at("a.wav"));
    excerpt("prelude-mic.flac", 0, 2, &at("short.wav"));
    std::fs::write(at("text.wav"), "no sound").unwrap();
    let manifest = "take,position,device,role,path\n1,near,a,phone,a.wav\n1,near,b,phone,short.wav\n\
                    1,near,c,phone,text.wav\n1,near,m,mic,gone.wav\n";
    std::fs::write(at("set.csv"), manifest).unwrap();
    let (set, out) = (at("set.csv"), at("out"));
    let restore = |shard: &str| agcfix(&["dataset", "restore", text(&set), "-o", text(&out), "--shard", shard]);
    let first = restore("1/2");
    // The second recording of this part holds no sound.
    assert_eq!(first.status.code(), Some(1), "{first:?}");
    assert!(
        String::from_utf8_lossy(&first.stdout).starts_with("1 recordings analysed, 0 were known already, 1 failed")
    );
    assert_eq!(restore("2/2").status.code(), Some(0));
    let merged = at("all.jsonl");
    let parts = ["results.1-of-2.jsonl", "results.2-of-2.jsonl"].map(|name| out.join(name));
    let merge = agcfix(&["dataset", "merge", text(&parts[0]), text(&parts[1]), "-o", text(&merged)]);
    assert_eq!(merge.status.code(), Some(0), "{merge:?}");
    let all = lines(&merged).iter().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<serde_json::Value>>();
    assert_eq!(all.len(), 3);
    let of = |device: &str| all.iter().find(|row| row["phone"] == device).unwrap();
    assert_eq!(of("a")["found"]["verdict"], "agc", "{all:?}");
    assert_eq!(of("b")["found"]["verdict"], "undecided");
    assert!(of("b")["found"]["output"].is_null() && of("c")["error"].as_str().unwrap().contains("text.wav"));
    // What it wrote is what agcfix restore writes.
    agcfix(&["restore", text(&at("a.wav")), "-o", text(&at("one.wav"))]);
    let restored = out.join(of("a")["found"]["output"].as_str().unwrap());
    assert_eq!(decode::read(&restored).unwrap().audio, decode::read(&at("one.wav")).unwrap().audio);
    // A run that was stopped before the line was written does that recording again, and no other.
    let line = lines(&parts[1]);
    assert!(String::from_utf8_lossy(&restore("1/2").stdout).starts_with("0 recordings analysed, 1 were known already"));
    std::fs::write(&restored, "half").unwrap();
    std::fs::remove_file(&restored).unwrap();
    assert!(String::from_utf8_lossy(&restore("1/2").stdout).starts_with("1 recordings analysed, 0 were known already"));
    assert!(restored.is_file() && lines(&parts[1]) == line);
    let report = agcfix(&["dataset", "report", text(&merged)]);
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains("| a | 1 | 1 | 0 | 0 |") && report.contains("text.wav"), "{report}");
    // A folder with something else in it is left alone.
    let foreign = agcfix(&["dataset", "restore", text(&set), "-o", text(folder.path())]);
    assert_eq!(foreign.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&foreign.stderr).contains("other files"), "{foreign:?}");
    for wrong in ["0/2", "3/2", "x"] {
        assert_eq!(restore(wrong).status.code(), Some(2));
    }
}
