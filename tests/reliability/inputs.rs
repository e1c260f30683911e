//! Odd and broken files, each with what is promised of it.

use super::make::{
    boundaries, chunk, claiming, cut, ds64, fixture, floats, fmt, fmt_extensible, mono, patched, plain, rf64, riff,
    silent_flac, tone, w64, w64_chunk, wav, with,
};
use super::{Desk, Ended, written};
use std::fs;
use std::path::Path;

/// What becomes of a file.
enum Becomes {
    /// So many samples in each channel, and a warning with these words; none where they are empty.
    Sound(usize, &'static str),
    /// One line with these words.
    Refused(&'static str),
}

struct Case {
    name: &'static str,
    file: Vec<u8>,
    flags: &'static [&'static str],
    becomes: Becomes,
}

/// A sound file.
fn sound(name: &'static str, file: Vec<u8>, sample_len: usize) -> Case {
    Case { name, file, flags: &[], becomes: Becomes::Sound(sample_len, "") }
}

/// A damaged file of which something is left.
fn damaged(name: &'static str, file: Vec<u8>, sample_len: usize, warning: &'static str) -> Case {
    Case { name, file, flags: &[], becomes: Becomes::Sound(sample_len, warning) }
}

/// A file that gives nothing.
fn refused(name: &'static str, file: Vec<u8>, words: &'static str) -> Case {
    Case { name, file, flags: &[], becomes: Becomes::Refused(words) }
}

impl Case {
    fn flagged(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    /// Runs the program on it and holds it to everything that is promised of every file.
    fn check(&self) {
        let desk = Desk::new();
        let name = self.name;
        desk.put("in.bin", &self.file);
        let words = ["restore", "in.bin", "--law", "none", "--bits", "32f", "-o", "out.wav", "--json", "-"];
        let ended = desk.run(&[&words, self.flags].concat());
        assert!(fs::read(desk.at("in.bin")).unwrap() == self.file, "{name}: the recording was touched");
        match self.becomes {
            Becomes::Sound(sample_len, warning) => {
                assert_eq!(
                    (ended.code, desk.names()),
                    (Some(0), vec!["in.bin".to_owned(), "out.wav".to_owned()]),
                    "{name}: {ended:?}"
                );
                assert_eq!(written(&desk.at("out.wav")).sample_len(), sample_len, "{name}");
                let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
                let told = json["warnings"].to_string();
                if warning.is_empty() {
                    assert_eq!(told, "[]", "{name}");
                } else {
                    assert!(told.contains(warning), "{name}: {warning:?} is not in {told}");
                }
            }
            Becomes::Refused(words) => {
                assert_eq!((ended.code, desk.names()), (Some(1), vec!["in.bin".to_owned()]), "{name}: {ended:?}");
                assert!(ended.err.contains(words), "{name}: {words:?} is not in {ended:?}");
                is_one_line(name, &ended);
            }
        }
        assert!(!ended.err.contains("panicked"), "{name}: {ended:?}");
    }
}

fn is_one_line(name: &str, ended: &Ended) {
    assert!(
        ended.err.starts_with("agcfix: in.bin: ") && ended.err.trim_end().lines().count() == 1,
        "{name}: {ended:?}"
    );
    assert_eq!(ended.out, "", "{name}");
}

/// Runs all; prints how many there were.
fn check_all(cases: &[Case]) {
    for case in cases {
        case.check();
    }
    println!("{} files behaved as documented", cases.len());
}

// ---- WAV ------------------------------------------------------------------------------------------------------------

#[test]
fn wav_headers_that_do_not_tell_the_truth() {
    let data = tone(1000);
    let good = plain(&data);
    let junk = |len: usize| chunk(b"junk", &vec![7; len]);
    let (format, sound_chunk) = (chunk(b"fmt ", &mono()), chunk(b"data", &data));
    check_all(&[
        sound("as it should be", good.clone(), 1000),
        sound("RIFF size 0", with(good.clone(), 4, &[0; 4]), 1000),
        sound("RIFF size too large", with(good.clone(), 4, &[0xff; 4]), 1000),
        sound("RIFF size too small", with(good.clone(), 4, &[8, 0, 0, 0]), 1000),
        damaged("data size 0: a recorder that died", with(good.clone(), 40, &[0; 4]), 1000, "claims 0 bytes"),
        damaged("data size of a stream", with(good.clone(), 40, &[0xff; 4]), 1000, "claims 4294967295 bytes"),
        damaged("data size one too large", with(good.clone(), 40, &2001u32.to_le_bytes()), 1000, "claims 2001 bytes"),
        damaged("data size of 2 GiB", with(good.clone(), 40, &(1u32 << 31).to_le_bytes()), 1000, "file holds 2000"),
        damaged("half a frame at the end", plain(&data[..1999]), 999, "not a whole frame"),
        damaged(
            "two data chunks",
            riff(&[format.clone(), sound_chunk.clone(), sound_chunk.clone()]),
            1000,
            "second data",
        ),
        refused("no sound", plain(&[]), "no sound could be decoded"),
        refused("no data chunk", riff(std::slice::from_ref(&format)), "no data chunk"),
        refused("no fmt chunk", riff(std::slice::from_ref(&sound_chunk)), "no complete fmt chunk"),
        refused("nothing but RIFF", riff(&[]), "no complete fmt chunk"),
        refused("an fmt chunk of 14 bytes", wav(&mono()[..14], &data), "no complete fmt chunk"),
        sound("an fmt chunk of 18 bytes", wav(&[mono(), vec![0, 0]].concat(), &data), 1000),
        sound("an fmt chunk of 1000 bytes", wav(&[mono(), vec![0; 984]].concat(), &data), 1000),
        sound("fmt behind data", riff(&[sound_chunk.clone(), format.clone()]), 1000),
        sound(
            "a second fmt chunk",
            riff(&[format.clone(), chunk(b"fmt ", &fmt(1, 2, 44_100, 24)), sound_chunk.clone()]),
            1000,
        ),
        refused("an fmt chunk of 4 GiB", riff(&[claiming(b"fmt ", u32::MAX, &mono())]), "no data chunk"),
        refused(
            "a chunk of 4 GiB before the sound",
            riff(&[format.clone(), claiming(b"LIST", u32::MAX, b"INFO"), sound_chunk.clone()]),
            "no data chunk",
        ),
        sound(
            "a hundred chunks of nothing",
            riff(&[vec![format.clone()], vec![junk(0); 100], vec![sound_chunk.clone()]].concat()),
            1000,
        ),
        refused(
            "20000 chunks of nothing",
            riff(&[vec![format.clone()], vec![junk(0); 20_000], vec![sound_chunk.clone()]].concat()),
            "no data chunk",
        ),
        sound("an odd chunk with its pad byte", riff(&[junk(3), format.clone(), sound_chunk.clone()]), 1000),
        sound(
            "an odd chunk without its pad byte",
            riff(&[cut(chunk(b"note", b"odd"), 11), format.clone(), sound_chunk.clone()]),
            1000,
        ),
        sound("garbage behind the sound", [good.clone(), vec![0xee; 300]].concat(), 1000),
        sound("an ID3v1 tag behind the sound", [good.clone(), b"TAG".to_vec(), vec![0; 125]].concat(), 1000),
        sound("zeros behind the sound", [good.clone(), vec![0; 4096]].concat(), 1000),
        damaged(
            "a chunk behind the sound that is cut off",
            [good.clone(), claiming(b"LIST", 500, b"INFO")].concat(),
            1000,
            "'LIST' is cut off",
        ),
        sound("an ID3v2 tag before the file", [b"ID3\x04\0\0\0\0\0\x02xx".to_vec(), good.clone()].concat(), 1000),
        refused("big-endian", with(good.clone(), 0, b"RIFX"), "big-endian WAV (RIFX)"),
        refused("RIFF of another kind", with(good.clone(), 8, b"ACON"), "holds no sound"),
        refused("AVI", with(good.clone(), 8, b"AVI "), "AVI is not supported"),
    ]);
}

#[test]
fn wav_codings_rates_and_channels() {
    let bytes = [0x40; 96];
    check_all(&[
        sound("8 bits", wav(&fmt(1, 1, 8_000, 8), &bytes), 96),
        sound("16 bits", wav(&fmt(1, 1, 8_000, 16), &bytes), 48),
        sound("24 bits", wav(&fmt(1, 1, 8_000, 24), &bytes), 32),
        sound("32 bits", wav(&fmt(1, 1, 8_000, 32), &bytes), 24),
        sound("float of 32 bits", wav(&fmt(3, 1, 8_000, 32), &bytes), 24),
        sound("float of 64 bits", wav(&fmt(3, 1, 8_000, 64), &bytes), 12),
        sound("A-law", wav(&fmt(6, 1, 8_000, 8), &bytes), 96),
        sound("µ-law", wav(&fmt(7, 2, 8_000, 8), &bytes), 48),
        sound("extensible, 16 bits", wav(&fmt_extensible(1, 2, 16, 16), &bytes), 24),
        sound("extensible, 20 of 24 bits", wav(&fmt_extensible(1, 1, 24, 20), &bytes), 32),
        sound("extensible, 0 of 16 bits", wav(&fmt_extensible(1, 1, 16, 0), &bytes), 48),
        sound("extensible, 99 of 16 bits", wav(&fmt_extensible(1, 1, 16, 99), &bytes), 48),
        sound("extensible float of 64 bits", wav(&fmt_extensible(3, 1, 64, 64), &bytes), 12),
        sound("extensible A-law", wav(&fmt_extensible(6, 1, 8, 8), &bytes), 96),
        sound("extensible without its extension", wav(&fmt(0xfffe, 1, 8_000, 16), &bytes), 48),
        sound("12 bits in 16", wav(&fmt(1, 1, 8_000, 12), &bytes), 48),
        sound("a frame size of 0", wav(&with(mono(), 12, &[0, 0]), &bytes), 48),
        sound("a frame size of nonsense", wav(&with(mono(), 12, &[0xff, 0xff]), &bytes), 48),
        sound("a byte rate of nonsense", wav(&with(mono(), 8, &[0xff; 4]), &bytes), 48),
        refused("0 bits", wav(&fmt(1, 1, 8_000, 0), &bytes), "PCM of 0 bits"),
        refused("64-bit integers", wav(&fmt(1, 1, 8_000, 64), &bytes), "PCM of 64 bits"),
        refused("65535 bits", wav(&fmt(1, 1, 8_000, u16::MAX), &bytes), "bits is not supported"),
        refused("float of 16 bits", wav(&fmt(3, 1, 8_000, 16), &bytes), "floating point of 16 bits"),
        refused("A-law of 16 bits", wav(&fmt(6, 1, 8_000, 16), &bytes), "A-law of 16 bits"),
        refused("Microsoft ADPCM", wav(&fmt(2, 1, 8_000, 4), &bytes), "Microsoft ADPCM"),
        refused("IMA ADPCM", wav(&fmt(0x11, 1, 8_000, 4), &bytes), "IMA ADPCM"),
        refused("GSM", wav(&fmt(0x31, 1, 8_000, 0), &bytes), "GSM 6.10"),
        refused("MP3 in WAV", wav(&fmt(0x55, 1, 8_000, 0), &bytes), "MP3 in WAV"),
        refused("AAC in WAV", wav(&fmt(0xff, 1, 8_000, 0), &bytes), "AAC in WAV"),
        refused("a coding nobody knows", wav(&fmt(0xabcd, 1, 8_000, 16), &bytes), "the WAV codec 0xabcd"),
        refused("0 Hz", wav(&fmt(1, 1, 0, 16), &bytes), "claims 0 Hz"),
        refused("1 Hz", wav(&fmt(1, 1, 1, 16), &bytes), "a sample rate of 1 Hz"),
        refused("7999 Hz", wav(&fmt(1, 1, 7_999, 16), &bytes), "-ar 48000"),
        sound("192000 Hz", wav(&fmt(1, 1, 192_000, 16), &bytes), 48),
        refused("192001 Hz", wav(&fmt(1, 1, 192_001, 16), &bytes), "a sample rate of 192001 Hz"),
        refused("2^32 - 1 Hz", wav(&fmt(1, 1, u32::MAX, 16), &bytes), "a sample rate of 4294967295 Hz"),
        refused("0 channels", wav(&fmt(1, 0, 8_000, 16), &bytes), "0 channels"),
        sound("8 channels", wav(&fmt(1, 8, 8_000, 16), &bytes), 6),
        refused("9 channels", wav(&fmt(1, 9, 8_000, 16), &bytes), "sound of 9 channels"),
        refused("32 channels", wav(&fmt(1, 32, 8_000, 16), &bytes), "-ac 2"),
        refused("65535 channels", wav(&fmt(1, u16::MAX, 8_000, 16), &bytes), "sound of 65535 channels"),
    ]);
}

#[test]
fn wav_lengths_and_values() {
    let nan_at = |n: usize| floats(&(0..100).map(|i| if i == n { f32::NAN } else { 0.1 }).collect::<Vec<_>>());
    let stereo_f64: Vec<u8> = [0.1, 0.2, 1e300, 0.1].iter().flat_map(|x: &f64| x.to_le_bytes()).collect();
    let zero: &[&str] = &["--nonfinite", "zero"];
    let strict: &[&str] = &["--nonfinite", "zero", "--strict"];
    check_all(&[
        sound("one sample", plain(&tone(1)), 1),
        sound("two samples", plain(&tone(2)), 2),
        sound("shorter than a window", plain(&tone(4095)), 4095),
        sound("as long as a window", plain(&tone(4096)), 4096),
        sound("silence", plain(&[0; 8000]), 4000),
        sound("a constant", plain(&[0x40; 8000]), 4000),
        Case {
            name: "full scale",
            file: plain(&[0xff, 0x7f].repeat(4000)),
            flags: &[],
            becomes: Becomes::Sound(4000, ""),
        },
        sound("denormals", floats(&[1e-40; 500]), 500),
        sound("beyond full scale", floats(&[3.5; 500]), 500),
        sound("as large as floats are", floats(&[f32::MAX, -f32::MAX, 0.0]), 3),
        refused("a NaN", nan_at(42), "sample 42 of channel 0 is NaN, at 0.005 s"),
        refused("a NaN at the start", nan_at(0), "sample 0 of channel 0 is NaN"),
        refused("an infinity", floats(&[0.0, f32::INFINITY]), "sample 1 of channel 0 is inf"),
        refused("a negative infinity", floats(&[f32::NEG_INFINITY, f32::NAN]), "sample 0 of channel 0 is -inf"),
        refused(
            "a double too large for single precision",
            wav(&fmt(3, 2, 8_000, 64), &stereo_f64),
            "sample 1 of channel 0 is inf",
        ),
        damaged("a NaN, repaired", nan_at(42), 100, "sample 42 of channel 0 is NaN").flagged(zero),
        damaged("nothing but NaN, repaired", floats(&[f32::NAN; 50]), 50, "and 49 more are not finite").flagged(zero),
        refused("a NaN, repaired, but strictly", nan_at(42), "without --strict").flagged(strict),
        refused("damage, strictly", with(plain(&tone(100)), 40, &[0xff; 4]), "without --strict").flagged(&["--strict"]),
        sound("no damage, strictly", plain(&tone(100)), 100).flagged(&["--strict"]),
        refused("longer than allowed", plain(&tone(8001)), "--max-duration 2").flagged(&["--max-duration", "1"]),
        sound("as long as allowed", plain(&tone(8000)), 8000).flagged(&["--max-duration", "1"]),
    ]);
}

#[test]
fn wav_of_more_than_four_gigabytes() {
    let data = tone(100);
    let format = chunk(b"fmt ", &mono());
    let elsewhere = [b"data".as_slice(), &[0xff; 4], &data].concat();
    let with_table = [200u64, 200, 100].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    let with_table = [with_table, 1u32.to_le_bytes().to_vec(), b"axml".to_vec(), 4u64.to_le_bytes().to_vec()].concat();
    let axml = [b"axml".as_slice(), &[0xff; 4], b"<x/>"].concat();
    let w64_format = w64_chunk(b"fmt ", 24 + 16, &mono());
    let w64_data = w64_chunk(b"data", 24 + 200, &data);
    check_all(&[
        sound("RF64", rf64(b"RF64", &ds64(200, 100), &[format.clone(), elsewhere.clone()]), 100),
        sound("BW64", rf64(b"BW64", &ds64(200, 100), &[format.clone(), elsewhere.clone()]), 100),
        sound("RF64 whose sizes are short", rf64(b"RF64", &ds64(0, 0), &[format.clone(), chunk(b"data", &data)]), 100),
        sound(
            "RF64 with a table of sizes",
            rf64(b"RF64", &with_table, &[format.clone(), axml, elsewhere.clone()]),
            100,
        ),
        damaged(
            "RF64 that claims too much",
            rf64(b"RF64", &ds64(5 << 30, 0), &[format.clone(), elsewhere.clone()]),
            100,
            "claims 5368709120 bytes",
        ),
        damaged(
            "RF64 that claims all there is",
            rf64(b"RF64", &ds64(u64::MAX, 0), &[format.clone(), elsewhere.clone()]),
            100,
            "the file holds 200",
        ),
        damaged(
            "RF64 that claims nothing",
            rf64(b"RF64", &ds64(0, 0), &[format.clone(), elsewhere.clone()]),
            100,
            "claims 0 bytes",
        ),
        damaged(
            "RF64 whose sizes are cut off",
            rf64(b"RF64", &[0; 8], &[format.clone(), elsewhere.clone()]),
            100,
            "claims 4294967295 bytes",
        ),
        sound(
            "RF64 whose table claims 2^32 sizes",
            rf64(b"RF64", &with(ds64(200, 100), 24, &[0xff; 4]), &[format.clone(), elsewhere]),
            100,
        ),
        refused("RF64 without sound", rf64(b"RF64", &ds64(0, 0), &[format]), "no data chunk"),
        sound("Wave64", w64(&[w64_format.clone(), w64_data.clone()]), 100),
        damaged(
            "Wave64 that claims too much",
            w64(&[w64_format.clone(), w64_chunk(b"data", 5 << 30, &data)]),
            100,
            "the file holds 200",
        ),
        damaged(
            "Wave64 that claims all there is",
            w64(&[w64_format.clone(), w64_chunk(b"data", u64::MAX, &data)]),
            100,
            "the file holds 200",
        ),
        refused(
            "Wave64 with a chunk smaller than its head",
            w64(&[w64_format.clone(), w64_chunk(b"data", 23, &data)]),
            "no data chunk",
        ),
        sound(
            "Wave64 with a chunk nobody knows",
            w64(&[w64_format.clone(), with(w64_chunk(b"what", 32, &[1; 8]), 5, &[9]), w64_data]),
            100,
        ),
        refused("Wave64 without sound", w64(&[w64_format]), "no data chunk"),
        refused("Wave64 cut in its head", cut(w64(&[]), 20), "no complete fmt chunk"),
    ]);
}

/// Five gigabytes that take no room on the disk: refused before they are read.
#[test]
fn five_gigabytes_are_refused_at_once() {
    let desk = Desk::new();
    let format = chunk(b"fmt ", &mono());
    desk.put("in.bin", rf64(b"RF64", &ds64(5 << 30, 5 << 29), &[format, b"data\xff\xff\xff\xff".to_vec()]));
    let file = fs::OpenOptions::new().append(true).open(desk.at("in.bin")).unwrap();
    file.set_len((5 << 30) + 80).unwrap();
    let ended = desk.run(&["restore", "in.bin", "--law", "none"]);
    ended.fails("93:12:24 h of 1 channels at 8000 Hz").says("--max-duration 335545");
    assert_eq!(desk.names(), ["in.bin"]);
}

/// A file that a fuzzer found.
fn fuzzed(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/container").join(name)).unwrap()
}

// ---- MP4 ------------------------------------------------------------------------------------------------------------

#[test]
fn mp4_odd_and_broken() {
    let m4a = || fixture("chirp.m4a");
    let at = |file: &[u8], kind: &[u8]| file.windows(4).position(|w| w == kind).unwrap();
    let moov = at(&m4a(), b"moov") - 4;
    let mdat = at(&m4a(), b"mdat") + 4;
    let zeroed = with(m4a(), mdat as isize, &vec![0; moov - mdat]);
    let entry = |kind: &[u8; 4], count: u32, first: u32| {
        [kind.as_slice(), &[0; 4], &count.to_be_bytes(), &first.to_be_bytes()].concat()
    };
    let offsets = |offset: u32| patched(m4a(), b"stco", &entry(b"stco", 1, offset));
    let sizes = |size: u32| {
        let file = m4a();
        let at = at(&file, b"stsz") as isize;
        with(file, at + 8, &size.to_be_bytes())
    };
    check_all(&[
        refused("one on which the decoder panics", fuzzed("decoder-panics"), "the decoder failed on this file"),
        refused(
            "one that kept the decoder counting",
            fuzzed("found-timeout-e51ca3f1"),
            "more packets than the file has bytes",
        ),
        sound("as it should be", m4a(), 14_401),
        sound("the index at the front", fixture("faststart.m4a"), 14_401),
        sound("ALAC", fixture("alac.m4a"), 1600),
        sound("with tags", fixture("tagged.m4a"), 4800),
        sound("a video", fixture("video.mp4"), 4800),
        sound("two tracks, the first not readable", fixture("two-tracks.mp4"), 4800),
        sound("in fragments, without an edit list: nothing is cut off", fixture("fragmented.mp4"), 6 * 1024),
        sound("in fragments, with an edit list", fixture("fragmented-edit.mp4"), 5 * 1024),
        refused("a video without sound", fixture("silent.mp4"), "no sound track"),
        refused("never finished: no index", cut(m4a(), moov), "the recording was not finished"),
        refused("nothing but its first box", cut(m4a(), 28), "the recording was not finished"),
        refused("the sound is zeros", zeroed, "no sound could be decoded"),
        refused("the index is empty", with(cut(m4a(), moov + 8), moov as isize, &[0, 0, 0, 8]), "no sound track"),
        refused("the index is cut off", cut(m4a(), moov + 200), "in.bin"),
        refused("no sample table", patched(m4a(), b"stbl", b"free"), "does not say how the sound is coded"),
        refused("no sample description", patched(m4a(), b"stsd", b"free"), "does not say how the sound is coded"),
        refused("no media header", patched(m4a(), b"mdhd", b"free"), "in.bin"),
        refused("no track header", patched(m4a(), b"tkhd", b"free"), "in.bin"),
        refused("Opus", fixture("opus.mp4"), "Opus is not supported"),
        refused("AMR", patched(m4a(), b"mp4a", b"samr"), "AMR-NB is not supported"),
        refused("a codec nobody knows", patched(m4a(), b"mp4a", b"zzzz"), "the codec 'zzzz'"),
        refused("copy-protected", patched(m4a(), b"mp4a", b"drms"), "copy-protected AAC"),
        refused("QuickTime before MP4", patched(m4a(), b"ftyp", b"free"), "old QuickTime"),
        refused("the sound lies beyond the file", offsets(u32::MAX), "in.bin"),
        refused("the chunk table claims 2^32 entries", patched(m4a(), b"stco", &entry(b"stco", u32::MAX, 0)), "in.bin"),
        refused("all samples of 4 GiB", sizes(u32::MAX), "in.bin"),
        refused(
            "the size table claims 2^32 entries",
            patched(m4a(), b"stsz", &[b"stsz".as_slice(), &[0; 8], &[0xff; 4]].concat()),
            "more packets than the file has bytes",
        ),
        refused(
            "a fragment claims 2^32 packets of no length",
            patched(fixture("fragmented.mp4"), b"trun", b"trun\0\0\0\0\xff\xff\xff\xff"),
            "more packets than the file has bytes",
        ),
        refused(
            "the time table claims 2^32 packets",
            patched(m4a(), b"stts", b"stts\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\0\0\0\0"),
            "more packets than the file has bytes",
        ),
        refused(
            "an edit list far beyond the sound",
            patched(
                m4a(),
                b"elst",
                &[b"elst".as_slice(), &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff]].concat(),
            ),
            "no sound could be decoded",
        ),
        refused(
            "an edit list of 2^32 edits, one of which is there",
            patched(m4a(), b"elst", b"elst\0\0\0\0\xff\xff\xff\xff"),
            "unexpected end of atom",
        ),
    ]);
}

// ---- FLAC, MP3, Ogg, AIFF, CAF, AAC ---------------------------------------------------------------------------------

#[test]
fn other_containers_odd_and_broken() {
    let (flac, mp3, ogg) = (|| fixture("chirp.flac"), || fixture("chirp.mp3"), || fixture("chirp.ogg"));
    let (aiff, caf, adts) = (|| fixture("pcm.aiff"), || fixture("alac.caf"), || fixture("chirp.aac"));
    let middle = |file: Vec<u8>, len: usize| {
        let at = file.len() / 2;
        with(file, at as isize, &vec![0x55; len])
    };
    // Where the pages of the longer Ogg file begin.
    let long = |page: usize| {
        let is_page = |(_, window): &(usize, &[u8])| *window == b"OggS";
        fixture("long.ogg").windows(4).enumerate().filter(is_page).nth(page).unwrap().0
    };
    let flipped = |at: usize| {
        let mut file = fixture("long.ogg");
        file[at] ^= 0xff;
        file
    };
    let id3 = b"ID3\x04\0\0\0\0\x02\x01".iter().copied().chain([0xff; 257]).collect::<Vec<_>>();
    check_all(&[
        sound("FLAC", flac(), 3200),
        sound("FLAC behind an ID3 tag", [id3.clone(), flac()].concat(), 3200),
        damaged("FLAC, its checksum wrong", with(flac(), 8 + 18, &[1; 16]), 3200, "does not match the checksum"),
        damaged(
            "FLAC that claims more",
            with(flac(), 8 + 16, &[0xff]),
            3200,
            "the file ends in the middle of the sound",
        ),
        refused("FLAC without its first block", with(flac(), 4, &[4]), "in.bin"),
        refused("FLAC of 0 Hz", with(flac(), 8 + 10, &[0, 0, 0x02]), "in.bin"),
        refused("FLAC that claims hours", silent_flac(20, 60 << 32), "in.bin"),
        sound("FLAC of silence", silent_flac(20, 20 * 4096), 20 * 4096),
        refused(
            "FLAC of 5 hours in 3 MB, as it claims",
            silent_flac(210_938, 210_938 * 4096),
            "more sound than the limit",
        ),
        refused("FLAC of an hour in 600 kB, which it does not tell", silent_flac(42_000, 0), "cannot hold"),
        sound("MP3", mp3(), 24_001),
        sound("MP3 with tags", fixture("tagged.mp3"), 4800),
        damaged(
            "MP3 of another rate from its eleventh frame on, 40 MB of it",
            [[0xff, 0xfb, 0x18, 0xc4].into_iter().chain([0; 140]).collect::<Vec<u8>>().repeat(10), {
                [0xff, 0xfb, 0x10, 0xc4].into_iter().chain([0; 100]).collect::<Vec<u8>>().repeat(400_000)
            }]
            .concat(),
            // What cannot be decoded is silence, for half a minute at most.
            10 * 1152 + 30 * 32_000,
            "silence from 0.36 s",
        ),
        refused("MP3 cut in its first frame", cut(mp3(), 100), "in.bin"),
        refused("MP2", fixture("chirp.mp2"), "MPEG layer II (MP2)"),
        sound("Ogg", ogg(), 14_401),
        sound("Ogg of many pages", fixture("long.ogg"), 64_000),
        damaged("Ogg, one of whose pages is damaged", flipped(long(7) + 60), 64_000, "silence from 1.89 s to 2.21 s"),
        damaged(
            "Ogg without two of its pages",
            [&fixture("long.ogg")[..long(6)], &fixture("long.ogg")[long(8)..]].concat(),
            64_000,
            "silence from 1.57 s to 2.21 s",
        ),
        sound(
            "Ogg with a hole of zeros between two pages",
            [&fixture("long.ogg")[..long(7)], &[0; 500], &fixture("long.ogg")[long(7)..]].concat(),
            64_000,
        ),
        refused("Ogg whose only page of sound is damaged", middle(ogg(), 400), "crc mismatch"),
        refused("Ogg of its first page", cut(ogg(), 58), "in.bin"),
        refused("Ogg with another codec", patched(ogg(), b"\x01vorbis", b"\x01nobody"), "this kind of Ogg file"),
        refused("Ogg Opus", fixture("chirp.opus"), "Opus is not supported"),
        sound("AIFF", aiff(), 1600),
        sound("AIFF-C", fixture("pcm24.aifc"), 1600),
        refused("AIFF without COMM", patched(aiff(), b"COMM", b"JUNK"), "no usable common chunk"),
        refused("AIFF without sound", patched(aiff(), b"SSND", b"JUNK"), "in.bin"),
        refused("AIFF of 0 channels", patched(aiff(), b"COMM\0\0\0\x12\0\x01", b"COMM\0\0\0\x12\0\0"), "0 channels"),
        refused("AIFF of 9 channels", patched(aiff(), b"COMM\0\0\0\x12\0\x01", b"COMM\0\0\0\x12\0\x09"), "9 channels"),
        sound("CAF", caf(), 1600),
        sound("CAF of floats", fixture("float.caf"), 1600),
        refused("CAF without desc", patched(caf(), b"desc", b"free"), "no usable desc"),
        refused("CAF cut off", cut(fixture("float.caf"), 5000), "a CAF file that is cut off"),
        sound("raw AAC: nothing is cut off", adts(), 6 * 1024),
        refused("Matroska", fixture("opus.webm"), "Matroska/WebM"),
    ]);
    // Damage in the middle: what is left depends on where frames begin; it is told, and strictly it is an error.
    for (name, file) in [
        ("FLAC", middle(flac(), 40)),
        ("MP3", middle(mp3(), 400)),
        ("MP4", middle(fixture("faststart.m4a"), 40)),
        ("AAC", middle(adts(), 40)),
    ] {
        let desk = Desk::new();
        desk.put("in.bin", &file);
        let ended = desk.run(&["restore", "in.bin", "--law", "none", "-o", "out.wav"]);
        ended.is(0).says("damaged");
        assert!(written(&desk.at("out.wav")).sample_len() > 600, "{name}");
        desk.run(&["restore", "in.bin", "--law", "none", "-o", "strict.wav", "--strict"]).fails("without --strict");
        assert_eq!(desk.names(), ["in.bin", "out.wav"], "{name}");
    }
}

// ---- What is no recording -------------------------------------------------------------------------------------------

#[test]
fn files_that_are_no_recordings_or_not_read() {
    let padded = |magic: &[u8]| [magic, &[0x11; 200]].concat();
    let mut transport_stream = vec![0; 188 * 5];
    transport_stream.iter_mut().step_by(188).for_each(|sync| *sync = 0x47);
    check_all(&[
        refused("nothing", vec![], "the file is empty"),
        refused("one byte", vec![0], "in.bin"),
        refused("four bytes of WAV", b"RIFF".to_vec(), "ends within its first twelve bytes"),
        refused("four bytes of AIFF", b"FORM".to_vec(), "ends within its first twelve bytes"),
        refused("four bytes of FLAC", b"fLaC".to_vec(), "in.bin"),
        refused("four bytes of Ogg", b"OggS".to_vec(), "in.bin"),
        refused("four bytes of CAF", b"caff".to_vec(), "in.bin"),
        refused("an ID3 tag alone", b"ID3\x04\0\0\0\0\0\0".to_vec(), "the file is empty"),
        refused("an ID3 tag that is cut off", b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), "the file is empty"),
        refused("ID3 tags without end", b"ID3\x04\0\0\0\0\0\0".repeat(1000), "in.bin"),
        refused("text", b"Monday: practise BWV 846.\n".repeat(20), "looks like text"),
        refused("text in another alphabet", "Präludium, Прелюдия\n".repeat(20).into_bytes(), "looks like text"),
        refused("a gain curve", b"time_s,gain_db\n0,0\n".to_vec(), "looks like text"),
        refused("zeros", vec![0; 5000], "no known kind"),
        refused("ones", vec![0xff; 5000], "in.bin"),
        refused("a sync word and noise", [vec![0xff, 0xfb, 0x90, 0x64], vec![1; 5000]].concat(), "no known kind"),
        refused("PDF", padded(b"%PDF-1.7"), "a PDF document"),
        refused("ZIP", padded(b"PK\x03\x04"), "a ZIP archive"),
        refused("gzip", padded(b"\x1f\x8b\x08"), "a gzip archive"),
        refused("PNG", padded(b"\x89PNG\r\n\x1a\n"), "a picture"),
        refused("JPEG", padded(b"\xff\xd8\xff\xe0"), "a picture"),
        refused("GIF", padded(b"GIF89a"), "a picture"),
        refused("a program", padded(b"\x7fELF"), "a program"),
        refused("MIDI", padded(b"MThd"), "MIDI (notes, no sound)"),
        refused("AMR-NB", padded(b"#!AMR\n"), "AMR-NB"),
        refused("AMR-WB", padded(b"#!AMR-WB\n"), "AMR-WB"),
        refused("SILK", padded(b"#!SILK_V3"), "SILK"),
        refused("WMA", padded(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "WMA"),
        refused("AC-3", padded(b"\x0b\x77\x12\x34"), "AC-3"),
        refused("DTS", padded(b"\x7f\xfe\x80\x01"), "DTS"),
        refused("WavPack", padded(b"wvpk"), "WavPack"),
        refused("Monkey's Audio", padded(b"MAC "), "Monkey's Audio"),
        refused("True Audio", padded(b"TTA1"), "True Audio"),
        refused("Musepack", padded(b"MPCK"), "Musepack"),
        refused("DSF", padded(b"DSD "), "DSD (DSF)"),
        refused("DFF", padded(b"FRM8"), "DSD (DFF)"),
        refused("AU", padded(b".snd"), "Sun/NeXT audio"),
        refused("RealAudio", padded(b".RMF"), "RealAudio"),
        refused("Flash", padded(b"FLV\x01"), "Flash video"),
        refused("MPEG program stream", padded(b"\0\0\x01\xba"), "MPEG program stream"),
        refused("MPEG transport stream", transport_stream, "MPEG transport stream"),
        refused("VOC", padded(b"Creative Voice File\x1a"), "Creative Voice"),
        refused("OptimFROG", padded(b"OFR "), "OptimFROG"),
        refused("8SVX", padded(b"FORM\0\0\0\x108SVX"), "Amiga 8SVX"),
        refused("a picture of an Amiga", padded(b"FORM\0\0\0\x10ILBM"), "holds no sound"),
        refused("LATM", padded(&[0x56, 0xe0]), "AAC in LATM/LOAS"),
    ]);
}

// ---- Cut off everywhere ---------------------------------------------------------------------------------------------

/// Cut at every structure's beginning, inside its head, and a byte to either side: a shorter recording with a warning or one
/// line, never anything else. Most in one process, because they are many; every fifth through the built program, within its
/// limits of time and memory.
#[test]
fn cut_off_at_every_boundary() {
    let wav = riff(&[
        chunk(b"bext", &[1; 610]),
        chunk(b"fmt ", &mono()),
        chunk(b"LIST", b"INFOINAM\x02\0\0\0a\0"),
        chunk(b"data", &tone(500)),
        chunk(b"cue ", &[0; 4]),
    ]);
    type Boundaries = fn(&[u8]) -> Vec<usize>;
    let files: [(&str, Vec<u8>, Boundaries); 11] = [
        ("wav", wav, boundaries::of_wav),
        ("chirp.m4a", fixture("chirp.m4a"), boundaries::of_mp4),
        ("faststart.m4a", fixture("faststart.m4a"), boundaries::of_mp4),
        ("alac.m4a", fixture("alac.m4a"), boundaries::of_mp4),
        ("tagged.m4a", fixture("tagged.m4a"), boundaries::of_mp4),
        ("fragmented.mp4", fixture("fragmented.mp4"), boundaries::of_mp4),
        ("chirp.flac", fixture("chirp.flac"), boundaries::of_flac),
        ("chirp.ogg", fixture("chirp.ogg"), boundaries::of_ogg),
        ("pcm.aiff", fixture("pcm.aiff"), boundaries::of_aiff),
        ("alac.caf", fixture("alac.caf"), boundaries::of_caf),
        ("float.caf", fixture("float.caf"), boundaries::of_caf),
    ];
    let mut cut_len = 0;
    let read = |file: Vec<u8>| agcfix::decode::read_bytes(file, "in.bin".as_ref());
    for (name, file, boundaries) in files {
        let whole = read(file.clone()).unwrap().audio.sample_len();
        let mut places: Vec<usize> =
            boundaries(&file).into_iter().flat_map(|at| [at.saturating_sub(1), at, at + 1]).collect();
        places.retain(|at| *at < file.len());
        places.sort_unstable();
        places.dedup();
        for at in places {
            cut_len += 1;
            match read(cut(file.clone(), at)) {
                Ok(part) => assert!((1..=whole).contains(&part.audio.sample_len()), "{name} cut to {at}"),
                Err(error) => assert!(!error.to_string().contains('\n'), "{name} cut to {at}: {error}"),
            }
            if cut_len % 5 == 0 {
                is_whole_or_absent(&cut(file.clone(), at), &format!("{name} cut to {at}"));
            }
        }
    }
    println!("{cut_len} files cut off");
    assert!(cut_len > 400, "{cut_len}");
}

/// The built program makes a whole file of it, or tells why not in one line and leaves nothing.
fn is_whole_or_absent(file: &[u8], name: &str) {
    let desk = Desk::new();
    desk.put("in.bin", file);
    let ended = desk.run(&["restore", "in.bin", "--law", "none", "-o", "out.wav"]);
    if ended.code == Some(0) {
        assert!(written(&desk.at("out.wav")).sample_len() > 0, "{name}: {ended:?}");
    } else {
        assert_eq!((ended.code, desk.names()), (Some(1), vec!["in.bin".to_owned()]), "{name}: {ended:?}");
        is_one_line(name, &ended);
    }
    assert!(!ended.err.contains("panicked"), "{name}: {ended:?}");
}
