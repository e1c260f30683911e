//! Files that people write, beside the recordings: gain curves, profiles, presets, manifests, MIDI; odd, broken, or no files.

use super::make::{plain, tone};
use super::{Desk, Ended};
use std::process::Command;

/// What reads such a file: the words before and behind its name, and the ending of the name.
const READERS: [(&[&str], &[&str], &str); 7] = [
    (&["restore", "in.wav", "-o", "out.wav", "--gain"], &[], "csv"),
    (&["restore", "in.wav", "-o", "out.wav", "--profile"], &[], "toml"),
    (&["simulate", "in.wav", "-o", "out.wav", "--preset"], &[], "toml"),
    (&["simulate", "-o", "many", "--manifest"], &[], "toml"),
    (&["dataset", "check"], &[], "csv"),
    (&["dataset", "validate"], &["-o", "out.jsonl"], "toml"),
    (&["instrument"], &["-o", "out.wav"], "mid"),
];

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("in.wav", plain(&tone(800)));
    desk
}

fn read(desk: &Desk, reader: &(&[&str], &[&str], &str), name: &str) -> Ended {
    desk.run(&[reader.0, &[name], reader.1].concat())
}

#[test]
fn files_that_people_write_odd_and_broken() {
    let contents: [(&str, Vec<u8>); 9] = [
        ("nothing", vec![]),
        ("blanks", b"\n \n\t\n".to_vec()),
        ("bytes that are no text", vec![0xff, 0xfe, 0, 0x80, b'\n', 0xc3, 0x28]),
        ("a recording", plain(&tone(100))),
        ("control characters", b"a\r = \x1b[2J\x07\x9b\n[[x\r]]\n".to_vec()),
        ("a half-written table", b"[law]\nname = \"compre".to_vec()),
        ("numbers beyond numbers", b"time_s,gain_db\n0,1e999\n1,nan\ninputs = [9e999]\n".to_vec()),
        ("ten thousand brackets", b"a = ".iter().copied().chain([b'['; 10_000]).collect()),
        (
            "a million lines",
            b"take,position,device,role,path\n".iter().copied().chain(b"x,y\n".repeat(1_000_000)).collect(),
        ),
    ];
    let mut len = 0;
    for reader in &READERS {
        for (what, content) in &contents {
            // A preset that says nothing is a chain without stages.
            if reader.0.contains(&"--preset") && content.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let desk = desk();
            let name = format!("written.{}", reader.2);
            desk.put(&name, content);
            let ended = read(&desk, reader, &name);
            assert!(matches!(ended.code, Some(1 | 2)), "{what}: {ended:?}");
            let told = ended.err.lines().next().unwrap_or_default();
            assert!(told.starts_with("agcfix: ") && !ended.err.contains("panicked"), "{what}: {ended:?}");
            // Nothing in a file moves the cursor of who reads the message.
            assert!(!ended.err.chars().any(|c| c.is_control() && c != '\n'), "{what}: {ended:?}");
            assert!(ended.err.len() < 2_000, "{what}: {} bytes are told", ended.err.len());
            let left: Vec<String> = desk.names().into_iter().filter(|n| *n != name && n != "in.wav").collect();
            assert!(left.is_empty(), "{what}: {left:?}");
            len += 1;
        }
    }
    println!("{len} files that people write");
}

#[test]
fn files_that_people_write_and_that_are_no_files() {
    let mut len = 0;
    for reader in &READERS {
        let desk = desk();
        let ending = reader.2;
        std::fs::create_dir(desk.at(format!("folder.{ending}"))).unwrap();
        assert!(Command::new("mkfifo").arg(desk.at(format!("pipe.{ending}"))).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", desk.at(format!("zero.{ending}"))).unwrap();
        for (name, words) in [
            ("absent", "No such file"),
            ("folder", "not a regular file"),
            ("pipe", "not a regular file"),
            ("zero", "not a regular file"),
        ] {
            let name = format!("{name}.{ending}");
            let ended = read(&desk, reader, &name);
            assert!(matches!(ended.code, Some(1 | 2)) && ended.err.contains(words), "{name}: {ended:?}");
            assert!(ended.err.contains(&name), "{name}: {ended:?}");
            len += 1;
        }
        assert!(!desk.at("out.wav").exists() && !desk.at("many").exists());
    }
    println!("{len} names of no files");
}
