//! What a recording says about itself is in the file that is written.

use super::make::{chunk, ds64, fixture, fmt, mono, rf64, riff, tone, w64, w64_chunk, wav};
use super::{Desk, written};
use std::fs;

/// Chunks of a WAV file, in order.
fn chunks(file: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut out = Vec::new();
    let mut at = 12;
    while at + 8 <= file.len() {
        let len = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize;
        out.push((file[at..at + 4].try_into().unwrap(), file[at + 8..at + 8 + len].to_vec()));
        at += 8 + len.next_multiple_of(2);
    }
    assert_eq!(at, file.len(), "the last chunk ends with the file");
    out
}

fn restored(file: &[u8], flags: &[&str]) -> Vec<([u8; 4], Vec<u8>)> {
    let desk = Desk::new();
    desk.put("in.bin", file);
    desk.run(&[&["restore", "in.bin", "--law", "none", "-o", "out.wav"], flags].concat()).is(0);
    written(&desk.at("out.wav"));
    chunks(&fs::read(desk.at("out.wav")).unwrap())
}

fn payload<'a>(chunks: &'a [([u8; 4], Vec<u8>)], id: &[u8; 4]) -> &'a [u8] {
    &chunks.iter().find(|(found, _)| found == id).unwrap_or_else(|| panic!("no {}", id.escape_ascii())).1
}

/// The coding history of a `bext` chunk, without the NUL that makes it even.
fn history(bext: &[u8]) -> String {
    String::from_utf8(bext[602..].to_vec()).unwrap().trim_end_matches('\0').to_owned()
}

const LINE: &str =
    concat!("A=PCM,F=8000,W=24,M=mono,T=agcfix ", env!("CARGO_PKG_VERSION"), "; nothing changed; from WAV PCM\r\n");

#[test]
fn chunks_of_a_wav_file_survive_before_and_behind_the_sound() {
    let mut bext = vec![0x20; 602];
    bext[346..348].copy_from_slice(&2u16.to_le_bytes());
    bext.extend(b"A=PCM,F=8000,W=16,M=mono,T=recorder\r\n");
    let cue = [&1u32.to_le_bytes()[..], &[0; 4], &77u32.to_le_bytes(), b"data", &[0; 8], &77u32.to_le_bytes()].concat();
    let kept: [(&[u8; 4], &[u8]); 4] = [
        (b"iXML", b"<BWFXML>odd</BWFXML>"),
        (b"LIST", b"INFOINAM\x08\0\0\0Prelude\0"),
        (b"what", b"abc"),
        (b"cue ", &cue),
    ];
    let file = riff(&[
        chunk(b"bext", &bext),
        chunk(b"fmt ", &mono()),
        chunk(b"JUNK", &[0; 20]),
        chunk(b"PEAK", &[0; 16]),
        chunk(kept[0].0, kept[0].1),
        chunk(kept[1].0, kept[1].1),
        chunk(b"data", &tone(300)),
        chunk(kept[2].0, kept[2].1),
        chunk(kept[3].0, kept[3].1),
    ]);
    let after = restored(&file, &[]);
    let ids: Vec<String> = after.iter().map(|(id, _)| id.escape_ascii().to_string()).collect();
    // Peaks of the sound as it was, and padding, are left out.
    assert_eq!(ids, ["fmt ", "bext", "iXML", "LIST", "data", "what", "cue "]);
    for (id, expected) in kept {
        assert_eq!(payload(&after, id), expected);
    }
    assert_eq!(history(payload(&after, b"bext")), format!("A=PCM,F=8000,W=16,M=mono,T=recorder\r\n{LINE}"));
    assert_eq!(payload(&after, b"bext")[..346], bext[..346]);
    // The loudness of the sound as it was is no longer known.
    assert_eq!(payload(&after, b"bext")[412..422], [0xff, 0x7f].repeat(5));
}

#[test]
fn a_restored_file_restored_again_says_so_twice() {
    let desk = Desk::new();
    desk.put("in.wav", wav(&mono(), &tone(300)));
    desk.run(&["restore", "in.wav", "--law", "none", "-o", "a.wav"]).is(0);
    desk.run(&["restore", "a.wav", "--law", "none", "-o", "b.wav"]).is(0);
    let written = chunks(&fs::read(desk.at("b.wav")).unwrap());
    assert_eq!(history(payload(&written, b"bext")), LINE.repeat(2));
}

#[test]
fn the_history_says_what_was_undone_and_nothing_of_when() {
    let desk = Desk::new();
    desk.put("in.wav", wav(&fmt(1, 2, 8_000, 16), &tone(400)));
    desk.put("gain.csv", "time_s,gain_db\n0,0\n0.02,-3\n");
    let told = |words: &[&str], name: &str| {
        desk.run(&[&["restore", "in.wav", "-o", name], words].concat()).is(0);
        let bext = payload(&chunks(&fs::read(desk.at(name)).unwrap()), b"bext").to_vec();
        assert_eq!(bext[320..338], [0; 18], "date and time");
        history(&bext)
    };
    let law = told(&["--law", "compressor:threshold_db=-30", "--bits", "16"], "law.wav");
    assert!(law.contains("W=16,M=stereo") && law.contains("gain control undone (compressor)"), "{law}");
    let curve = told(&["--gain", "gain.csv", "--bits", "32f"], "curve.wav");
    assert!(curve.contains("W=32") && curve.contains("gain curve undone"), "{curve}");
    told(&["--gain", "gain.csv", "--bits", "32f"], "again.wav");
    assert_eq!(fs::read(desk.at("curve.wav")).unwrap(), fs::read(desk.at("again.wav")).unwrap());
}

#[test]
fn tags_of_other_containers_become_an_info_list() {
    let has = |list: &[u8], entry: &[u8]| list.windows(entry.len()).any(|window| window == entry);
    for (name, entries) in [
        (
            "tagged.m4a",
            &[
                &b"INAM\x08\0\0\0Prelude\0"[..],
                b"IART\x0b\0\0\0A. Pianist\0",
                b"ICRD\x0b\0\0\x002024-05-17\0",
                b"ICMT",
                b"J. S. Bach",
            ][..],
        ),
        ("tagged.mp3", &[b"INAM\x08\0\0\0Prelude\0", b"IART\x0b\0\0\0A. Pianist\0"]),
    ] {
        let after = restored(&fixture(name), &[]);
        let list = payload(&after, b"LIST");
        assert!(list.starts_with(b"INFO"), "{name}");
        for entry in entries {
            assert!(has(list, entry), "{name}: {} is not in {}", entry.escape_ascii(), list.escape_ascii());
        }
    }
    // AIFF: text chunks before and behind the sound.
    let text = |id: &[u8; 4], text: &[u8]| {
        let pad = vec![0; text.len() % 2];
        [id.as_slice(), &(text.len() as u32).to_be_bytes(), text, &pad].concat()
    };
    let plain = fixture("pcm.aiff");
    let before = [text(b"NAME", b"Prelude"), text(b"AUTH", b"A. Pianist"), text(b"ANNO", b"first try")].concat();
    let behind = [text(b"(c) ", b"2024 A. Pianist"), text(b"ANNO", b"window open")].concat();
    let mut tagged = [&plain[..12], &before, &plain[12..], &behind].concat();
    let form_len = tagged.len() as u32 - 8;
    tagged[4..8].copy_from_slice(&form_len.to_be_bytes());
    let after = restored(&tagged, &[]);
    for entry in [
        &b"INAM\x08\0\0\0Prelude\0"[..],
        b"IART\x0b\0\0\0A. Pianist\0",
        b"ICOP\x10\0\0\x002024 A. Pianist\0",
        b"ICMT\x16\0\0\0first try\nwindow open\0",
    ] {
        let list = payload(&after, b"LIST");
        assert!(has(list, entry), "{} is not in {}", entry.escape_ascii(), list.escape_ascii());
    }
    // The day in the index of a phone's file, which has no tags: 2024-05-17 12:00:00 UTC, counted from 1904.
    let created_s = 2_082_844_800u32 + 1_715_947_200;
    let mut phone = fixture("chirp.m4a");
    let mvhd = phone.windows(4).position(|window| window == b"mvhd").unwrap();
    phone[mvhd + 8..mvhd + 12].copy_from_slice(&created_s.to_be_bytes());
    let after = restored(&phone, &[]);
    assert!(has(payload(&after, b"LIST"), b"ICRD\x0b\0\0\x002024-05-17\0"));
}

#[test]
fn chunks_of_large_files_survive() {
    let data = tone(100);
    let elsewhere = [b"data".as_slice(), &[0xff; 4], &data].concat();
    let large = rf64(
        b"RF64",
        &ds64(200, 100),
        &[chunk(b"bext", &[1; 602]), chunk(b"fmt ", &mono()), elsewhere, chunk(b"cue ", &[0; 4])],
    );
    let after = restored(&large, &[]);
    assert_eq!(payload(&after, b"bext")[..256], [1; 256]);
    assert_eq!(payload(&after, b"cue "), [0; 4]);
    let sony = w64(&[
        w64_chunk(b"fmt ", 40, &mono()),
        w64_chunk(b"bext", 24 + 602, &[1; 602]),
        w64_chunk(b"data", 224, &data),
    ]);
    assert_eq!(payload(&restored(&sony, &[]), b"bext")[..256], [1; 256]);
}
