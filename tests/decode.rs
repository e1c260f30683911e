//! Reading files: formats, exact beginnings and ends, damage, refusals.
#![cfg(feature = "decode")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set itself up has failed")]

use agcfix::decode::{Decoded, SampleFormat, read, read_bytes};
use agcfix::{Error, analysis::Warning};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn decode(bytes: Vec<u8>) -> Result<Decoded, Error> {
    read_bytes(bytes, Path::new("a recording.bin"))
}

/// The sound of the files in `tests/data` (see its README), as 16-bit values.
fn chirp(sample_len: usize, sample_rate_hz: f64, from_hz: f64, to_hz: f64) -> Vec<f32> {
    let duration_s = sample_len as f64 / sample_rate_hz;
    let value = |n: usize| {
        let t = n as f64 / sample_rate_hz;
        let phase = TAU * (from_hz * t + 0.5 * (to_hz - from_hz) / duration_s * t * t);
        ((0.5 * phase.sin() * 32_768.0).round() / 32_768.0) as f32
    };
    (0..sample_len).map(value).collect()
}

fn chirp_48k() -> Vec<f32> {
    chirp(14_401, 48_000.0, 200.0, 6_000.0)
}

fn chirp_16k() -> Vec<f32> {
    chirp(24_001, 16_000.0, 200.0, 3_000.0)
}

/// Samples by which `late` comes after `reference`: where their correlation is largest, within ±3000.
fn lag(reference: &[f32], late: &[f32]) -> i64 {
    let correlation = |lag: i64| {
        let pairs = reference.iter().enumerate().filter_map(|(n, x)| {
            let y = late.get(usize::try_from(n as i64 + lag).ok()?)?;
            Some(f64::from(*x) * f64::from(*y))
        });
        pairs.sum::<f64>()
    };
    (-3000..=3000).max_by(|a, b| correlation(*a).total_cmp(&correlation(*b))).unwrap()
}

/// Error of `decoded` against `reference` in dB of its power.
fn error_db(reference: &[f32], decoded: &[f32]) -> f64 {
    let power = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let error = power(&mut reference.iter().zip(decoded).map(|(x, y)| x - y));
    10.0 * (error / power(&mut reference.iter().copied())).log10()
}

fn is_damaged(decoded: &Decoded, part: &str) -> bool {
    decoded.warnings.iter().any(|warning| matches!(warning, Warning::Damaged { what } if what.contains(part)))
}

// ---- WAV ------------------------------------------------------------------------------------------------------------

fn chunk(id: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend(payload);
    if !payload.len().is_multiple_of(2) {
        out.push(0);
    }
    out
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut out = b"RIFF".to_vec();
    out.extend((body.len() as u32 + 4).to_le_bytes());
    out.extend(b"WAVE");
    out.extend(body);
    out
}

fn fmt(tag: u16, channel_len: u16, sample_rate_hz: u32, bits: u16) -> Vec<u8> {
    let block_align = channel_len * bits.div_ceil(8);
    let mut out = Vec::new();
    out.extend(tag.to_le_bytes());
    out.extend(channel_len.to_le_bytes());
    out.extend(sample_rate_hz.to_le_bytes());
    out.extend(sample_rate_hz.wrapping_mul(u32::from(block_align)).to_le_bytes());
    out.extend(block_align.to_le_bytes());
    out.extend(bits.to_le_bytes());
    out
}

fn fmt_extensible(sub_tag: u16, channel_len: u16, container_bits: u16, valid_bits: u16) -> Vec<u8> {
    let mut out = fmt(0xfffe, channel_len, 44_100, container_bits);
    out.extend(22u16.to_le_bytes());
    out.extend(valid_bits.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(sub_tag.to_le_bytes());
    out.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    out
}

fn wav(fmt: &[u8], data: &[u8]) -> Vec<u8> {
    riff(&[chunk(b"fmt ", fmt), chunk(b"data", data)])
}

#[test]
fn wav_integers_of_every_width_have_their_values_on_paper() {
    let cases: [(u16, Vec<u8>, Vec<f32>); 4] = [
        (8, vec![0, 128, 255, 192], vec![-1.0, 0.0, 127.0 / 128.0, 0.5]),
        (16, vec![0, 0x80, 0, 0, 0xff, 0x7f, 0, 0x40], vec![-1.0, 0.0, 32_767.0 / 32_768.0, 0.5]),
        (24, vec![0, 0, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0x40], vec![-1.0, 0.0, 1.0 / 8_388_608.0, 0.5]),
        (32, vec![0, 0, 0, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x40], vec![-1.0, 0.0, 1.0 / 8_388_608.0, 0.5]),
    ];
    for (bits, data, values) in cases {
        for fmt in [fmt(1, 1, 44_100, bits), fmt_extensible(1, 1, bits, bits)] {
            let decoded = decode(wav(&fmt, &data)).unwrap();
            assert_eq!(decoded.audio.channels(), std::slice::from_ref(&values), "{bits} bits");
            assert_eq!(decoded.audio.sample_rate_hz(), 44_100);
            assert_eq!(decoded.source.bits_per_sample, Some(bits));
            assert_eq!(decoded.source.sample_format, SampleFormat::Integer);
            assert_eq!(decoded.warnings, []);
        }
    }
}

#[test]
fn wav_floats_keep_levels_beyond_full_scale() {
    let values = [0.25f32, -3.5, f32::MIN_POSITIVE, 1.0];
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    for fmt in [fmt(3, 2, 44_100, 32), fmt_extensible(3, 2, 32, 32)] {
        let decoded = decode(wav(&fmt, &data)).unwrap();
        assert_eq!(decoded.audio.channels(), [[values[0], values[2]], [values[1], values[3]]]);
        assert_eq!(decoded.source.sample_format, SampleFormat::Float);
    }
}

#[test]
fn wav_doubles_and_g711_have_their_values_on_paper() {
    let values = [0.25f64, -3.5, 1e-10, 1.0];
    let doubles: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let decoded = decode(wav(&fmt(3, 1, 44_100, 64), &doubles)).unwrap();
    assert_eq!(decoded.audio.channels(), [values.map(|x| x as f32)]);
    assert_eq!((decoded.source.bits_per_sample, decoded.source.sample_format), (Some(64), SampleFormat::Float));
    // Loudest and quietest of either sign: G.711 tables 1a and 2a, in 16 bits.
    for (tag, codes, expected, name) in [
        (6, [0xaa, 0x2a, 0xd5, 0x55], [32_256, -32_256, 8, -8], "A-law"),
        (7, [0x80, 0x00, 0xff, 0xef], [32_124, -32_124, 0, 132], "µ-law"),
    ] {
        let decoded = decode(wav(&fmt(tag, 1, 8_000, 8), &codes)).unwrap();
        assert_eq!(decoded.audio.channels(), [expected.map(|v: i32| v as f32 / 32_768.0)]);
        assert_eq!((decoded.source.codec.as_str(), decoded.source.bits_per_sample), (name, None));
    }
}

#[test]
fn wav_samples_narrower_than_their_container_are_left_justified() {
    let decoded = decode(wav(&fmt_extensible(1, 1, 32, 24), &[0, 0, 0, 0x40])).unwrap();
    assert_eq!(decoded.audio.channels(), [[0.5]]);
    assert_eq!(decoded.source.bits_per_sample, Some(24));
    let decoded = decode(wav(&fmt_extensible(1, 1, 16, 12), &[0, 0x40])).unwrap();
    assert_eq!(decoded.audio.channels(), [[0.5]]);
}

#[test]
fn wav_channels_keep_their_order_up_to_eight() {
    let data: Vec<u8> = (0..24i16).flat_map(|v| (v * 256).to_le_bytes()).collect();
    let decoded = decode(wav(&fmt(1, 8, 8_000, 16), &data)).unwrap();
    for (c, channel) in decoded.audio.channels().iter().enumerate() {
        let values: Vec<f32> = (0..3).map(|n| (n * 8 + c) as f32 / 128.0).collect();
        assert_eq!(*channel, values);
    }
    let nine = decode(wav(&fmt(1, 9, 8_000, 16), &[0; 18])).unwrap_err();
    assert!(matches!(nine, Error::Unsupported { .. }), "{nine}");
}

#[test]
fn wav_chunks_of_odd_size_are_stepped_over_with_and_without_their_pad_byte() {
    let format = fmt(1, 1, 44_100, 16);
    let data = chunk(b"data", &[0, 0x40]);
    let padded = riff(&[chunk(b"LIST", b"odd"), chunk(b"fmt ", &format), chunk(b"bext", &[7; 5]), data.clone()]);
    assert_eq!(decode(padded).unwrap().audio.channels(), [[0.5]]);
    let mut without_pad = chunk(b"note", b"odd");
    without_pad.pop();
    let unpadded = riff(&[without_pad, chunk(b"fmt ", &format), data.clone()]);
    assert_eq!(decode(unpadded).unwrap().audio.channels(), [[0.5]]);
    let after = riff(&[chunk(b"fmt ", &format), data, chunk(b"LIST", b"tail")]);
    let decoded = decode(after).unwrap();
    assert_eq!(decoded.audio.channels(), [[0.5]]);
    assert_eq!(decoded.warnings, []);
    let reversed = riff(&[chunk(b"data", &[0, 0x40]), chunk(b"fmt ", &format)]);
    assert_eq!(decode(reversed).unwrap().audio.channels(), [[0.5]]);
}

#[test]
fn wav_of_a_recorder_that_died_is_read_to_the_end_with_a_warning() {
    let samples: Vec<u8> = (0..1000i16).flat_map(i16::to_le_bytes).collect();
    let good = wav(&fmt(1, 1, 44_100, 16), &samples);
    for claimed in [0u32, 4000, u32::MAX, u32::MAX - 7] {
        let mut file = good.clone();
        file[40..44].copy_from_slice(&claimed.to_le_bytes());
        if claimed == 0 {
            file[4..8].copy_from_slice(&[0; 4]);
        }
        let decoded = decode(file).unwrap();
        assert_eq!(decoded.audio.sample_len(), 1000, "{claimed}");
        assert!(is_damaged(&decoded, "the file holds 2000"), "{:?}", decoded.warnings);
    }
    // A frame cut in two.
    let decoded = decode(good[..good.len() - 1].to_vec()).unwrap();
    assert_eq!(decoded.audio.sample_len(), 999);
    assert!(is_damaged(&decoded, "1999"));
}

#[test]
fn wav_without_sound_is_an_error_also_where_chunks_follow() {
    let format = fmt(1, 1, 44_100, 16);
    for file in [
        wav(&format, &[]),
        riff(&[chunk(b"fmt ", &format), chunk(b"data", &[]), chunk(b"LIST", b"INFO")]),
        riff(&[chunk(b"fmt ", &format)]),
        riff(&[chunk(b"data", &[0, 0])]),
        riff(&[chunk(b"fmt ", &format[..10]), chunk(b"data", &[0, 0])]),
        riff(&[]),
        wav(&fmt(1, 0, 44_100, 16), &[0, 0]),
        wav(&fmt(1, 1, 0, 16), &[0, 0]),
    ] {
        let error = decode(file).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

#[test]
fn wav_rates_and_codecs_that_are_not_read_are_named_with_a_command() {
    for (format, name) in [
        (fmt(1, 1, 1, 16), "1 Hz"),
        (fmt(1, 1, u32::MAX, 16), "4294967295 Hz"),
        (fmt(1, 1, 384_000, 16), "384000 Hz"),
        (fmt(1, 32, 48_000, 16), "32 channels"),
        (fmt(1, 1, 48_000, 64), "PCM of 64 bits"),
        (fmt(1, 1, 48_000, 0), "PCM of 0 bits"),
        (fmt(2, 1, 48_000, 4), "Microsoft ADPCM"),
        (fmt(0x55, 1, 48_000, 0), "MP3 in WAV"),
    ] {
        let error = decode(wav(&format, &[0; 64])).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.to_string().contains("ffmpeg -i 'a recording.bin'") || cfg!(windows), "{error}");
    }
}

#[test]
fn a_sample_that_is_not_finite_is_named() {
    let mut data: Vec<u8> = [0f32; 100].iter().flat_map(|x| x.to_le_bytes()).collect();
    data[4 * 42..4 * 43].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = decode(wav(&fmt(3, 2, 48_000, 32), &data)).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }));
    assert!(error.to_string().contains("sample 21 of channel 0 is NaN"), "{error}");
}

// ---- Where recordings begin and end ---------------------------------------------------------------------------------

#[test]
fn shipped_recordings_have_exactly_their_samples() {
    for (name, channel_len, sample_len) in [
        ("prelude-mic.flac", 2, 2_160_000),
        ("prelude-phone-compressor.flac", 1, 2_160_000),
        ("prelude-phone.m4a", 1, 2_160_000),
        ("prelude-phone-agc1.m4a", 1, 2_160_000),
        // Its edit list ends 16 samples early, for it counts in milliseconds; the index has the exact number.
        ("prelude-phone-late.m4a", 1, 2_225_968),
    ] {
        let decoded = read(&shipped(name)).unwrap();
        assert_eq!(decoded.audio.sample_rate_hz(), 48_000);
        assert_eq!(decoded.audio.channels().len(), channel_len);
        assert_eq!(decoded.audio.sample_len(), sample_len, "{name}");
        assert_eq!(decoded.warnings, []);
    }
}

#[test]
fn the_phone_starts_on_the_same_sample_as_the_microphone() {
    let mic = read(&shipped("prelude-mic.flac")).unwrap().audio.into_channels();
    let mono: Vec<f32> = mic[0].iter().zip(&mic[1]).map(|(l, r)| 0.5 * (l + r)).collect();
    let phone = read(&shipped("prelude-phone.m4a")).unwrap().audio.into_channels();
    // Ten seconds; the levels' slow difference does not matter. The phone's 70 Hz high-pass advances the low partials
    // and its low-pass delays the high ones: 2 samples early in sum, where priming left in would be 1024 late.
    let part = 480_000..528_000;
    let found = lag(&mono[part.clone()], &phone[0][part]);
    assert!((-3..=3).contains(&found), "{found}");
}

#[test]
fn every_codec_starts_and_ends_on_the_sample_of_its_source() {
    // A lossless codec is exact; what a lossy one leaves of a chirp is below these limits, is far above them one sample off.
    let cases = [
        ("chirp.m4a", chirp_48k(), -40.0),
        ("faststart.m4a", chirp_48k(), -40.0),
        ("chirp.ogg", chirp_48k(), -16.0),
        ("chirp.mp3", chirp_16k(), -25.0),
        ("chirp.flac", chirp_16k()[..3200].to_vec(), f64::NEG_INFINITY),
        ("alac.m4a", chirp_16k()[..1600].to_vec(), f64::NEG_INFINITY),
        ("alac.caf", chirp_16k()[..1600].to_vec(), f64::NEG_INFINITY),
        ("float.caf", chirp_16k()[..1600].to_vec(), f64::NEG_INFINITY),
        ("pcm.aiff", chirp_16k()[..1600].to_vec(), f64::NEG_INFINITY),
        ("pcm24.aifc", chirp_16k()[..1600].to_vec(), f64::NEG_INFINITY),
    ];
    for (name, source, limit_db) in cases {
        let decoded = read(&fixture(name)).unwrap();
        assert_eq!(decoded.warnings, [], "{name}");
        let channel = &decoded.audio.channels()[0];
        assert_eq!(channel.len(), source.len(), "{name}");
        assert!(error_db(&source, channel) <= limit_db, "{name}: {}", error_db(&source, channel));
        if limit_db > f64::NEG_INFINITY {
            assert!(error_db(&source[1..], channel) > limit_db + 6.0, "{name}: the limit sees one sample");
            assert_eq!(lag(&source, channel), 0, "{name}");
        }
    }
}

/// Overwrites the first occurrence.
fn patched(mut file: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = file.windows(from.len()).position(|window| window == from).unwrap();
    file[at..at + to.len()].copy_from_slice(to);
    file
}

#[test]
fn without_an_edit_list_the_priming_is_there_so_the_list_is_what_removes_it() {
    let decoded = decode(patched(bytes("chirp.m4a"), b"edts", b"free")).unwrap();
    assert_eq!(decoded.audio.sample_len(), 14_401 + 1024);
    assert_eq!(lag(&chirp_48k(), &decoded.audio.channels()[0]), 1024);
}

#[test]
fn without_an_edit_list_the_itunes_tag_is_used() {
    let boxed = |kind: &[u8; 4], payload: &[u8]| {
        let mut out = (payload.len() as u32 + 8).to_be_bytes().to_vec();
        out.extend(kind);
        out.extend(payload);
        out
    };
    let text = format!(" 00000000 {:08X} {:08X} {:016X} 00000000", 1024, 959, 14_401);
    let data = [&[0, 0, 0, 1, 0, 0, 0, 0], text.as_bytes()].concat();
    let tag = [boxed(b"mean", b"\0\0\0\0com.apple.iTunes"), boxed(b"name", b"\0\0\0\0iTunSMPB"), boxed(b"data", &data)];
    let meta = [vec![0; 4], boxed(b"ilst", &boxed(b"----", &tag.concat()))].concat();
    let udta = boxed(b"udta", &boxed(b"meta", &meta));

    let mut file = patched(bytes("chirp.m4a"), b"edts", b"free");
    let moov = file.windows(4).position(|window| window == b"moov").unwrap() - 4;
    let len = u32::from_be_bytes(file[moov..moov + 4].try_into().unwrap()) + udta.len() as u32;
    file[moov..moov + 4].copy_from_slice(&len.to_be_bytes());
    file.extend(udta);
    let decoded = decode(file).unwrap();
    assert_eq!(decoded.audio.sample_len(), 14_401);
    assert_eq!(lag(&chirp_48k(), &decoded.audio.channels()[0]), 0);
}

#[test]
fn an_edit_list_may_shorten_the_recording_and_an_empty_edit_moves_nothing() {
    // movie timescale 1000, one edit of 301 ms from 1024: to 100 ms.
    let elst = |duration: u32, media_time: i32| {
        let mut out = b"elst\0\0\0\0\0\0\0\x01".to_vec();
        out.extend(duration.to_be_bytes());
        out.extend(media_time.to_be_bytes());
        out
    };
    let file = bytes("chirp.m4a");
    let shortened = decode(patched(file.clone(), b"elst", &elst(100, 1024))).unwrap();
    assert_eq!(shortened.audio.sample_len(), 4800);
    assert_eq!(lag(&chirp_48k()[..4800], &shortened.audio.channels()[0]), 0);
    let to_the_end = decode(patched(file.clone(), b"elst", &elst(0, 1024))).unwrap();
    assert_eq!(to_the_end.audio.sample_len(), 14_401);
    let empty = decode(patched(file.clone(), b"elst", &elst(500, -1))).unwrap();
    assert_eq!(empty.audio.sample_len(), 14_401 + 1024);
    let beyond = decode(patched(file, b"elst", &elst(100, i32::MAX))).unwrap_err();
    assert!(matches!(beyond, Error::Malformed { .. }), "{beyond}");
}

#[test]
fn movie_fragments_are_read() {
    let decoded = read(&fixture("fragmented.mp4")).unwrap();
    // Six packets; the file does not say what of them is priming, so nothing is cut off.
    assert_eq!(decoded.audio.sample_len(), 6 * 1024);
    assert_eq!(lag(&chirp_16k()[..4800], &decoded.audio.channels()[0]), 1024);
    // Where it says so, the priming is removed; the end is not told.
    let edited = read(&fixture("fragmented-edit.mp4")).unwrap();
    assert_eq!(edited.audio.sample_len(), 5 * 1024);
    assert_eq!(lag(&chirp_16k()[..4800], &edited.audio.channels()[0]), 0);
    // Raw AAC never says.
    let adts = read(&fixture("chirp.aac")).unwrap();
    assert_eq!(adts.audio.sample_len(), 6 * 1024);
    assert_eq!(lag(&chirp_16k()[..4800], &adts.audio.channels()[0]), 1024);
}

// ---- What is refused ------------------------------------------------------------------------------------------------

#[test]
fn codecs_that_are_not_read_are_named_with_the_command_that_converts_them() {
    let m4a = || bytes("chirp.m4a");
    let cases = [
        ("Opus", bytes("chirp.opus")),
        ("Opus", bytes("opus.mp4")),
        ("Matroska/WebM", bytes("opus.webm")),
        ("AMR-NB", b"#!AMR\n\x3c\x08\xd2".to_vec()),
        ("AMR-WB", b"#!AMR-WB\n\x04\x10".to_vec()),
        ("AMR-NB", patched(m4a(), b"mp4a", b"samr")),
        ("AMR-WB", patched(m4a(), b"mp4a", b"sawb")),
        ("AC-3", patched(m4a(), b"mp4a", b"ac-3")),
        ("'zzzz'", patched(m4a(), b"mp4a", b"zzzz")),
        // The shipped AudioSpecificConfig ends in a backward-compatible SBR extension with the flag off: switch it on.
        ("HE-AAC", patched(m4a(), &[0x11, 0x88, 0x56, 0xe5, 0x00], &[0x11, 0x88, 0x56, 0xe5, 0x80])),
        // The same five bytes as type 5 (SBR), 24 kHz, mono, 48 kHz, type 2; as type 29 (PS).
        ("HE-AAC", patched(m4a(), &[0x11, 0x88, 0x56, 0xe5, 0x00], &[0x2b, 0x09, 0x88, 0x00, 0x00])),
        ("HE-AAC v2", patched(m4a(), &[0x11, 0x88, 0x56, 0xe5, 0x00], &[0xeb, 0x09, 0x88, 0x00, 0x00])),
        // Implicit SBR: a core of 24 kHz in a sample entry of 48 kHz.
        ("HE-AAC", patched(m4a(), &[0x11, 0x88, 0x56, 0xe5, 0x00], &[0x13, 0x08, 0x56, 0xe5, 0x00])),
        ("WMA", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c".to_vec()),
        ("AC-3", b"\x0b\x77\x12\x34\x1c\x40".to_vec()),
        ("QuickTime", patched(m4a(), b"ftyp", b"free")),
    ];
    for (name, file) in cases {
        let error = decode(file).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{name}: {error}");
        assert!(error.to_string().contains("convert it first: ffmpeg -i "), "{error}");
    }
}

#[test]
fn what_is_no_recording_is_said_plainly() {
    let cases: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"Monday: practise BWV 846.\n", "text"),
        (b"%PDF-1.7", "PDF"),
        (&[0; 4096], "no known kind"),
        (b"RIFF\0\0\0\0ACON", "no sound"),
        (b"RIFF", "ends within"),
    ];
    for (file, part) in cases {
        let error = decode(file.to_vec()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }) && error.to_string().contains(part), "{error}");
    }
    let mut unfinished = bytes("chirp.m4a");
    let moov = unfinished.windows(4).position(|window| window == b"moov").unwrap() - 4;
    unfinished.truncate(moov);
    assert!(decode(unfinished).unwrap_err().to_string().contains("not finished"));
    let silent = patched(bytes("chirp.m4a"), b"soun", b"vide");
    assert!(decode(silent).unwrap_err().to_string().contains("no sound track"));
}

#[test]
fn names_do_not_matter_and_what_is_not_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really flac.wav");
    std::fs::write(&path, bytes("chirp.flac")).unwrap();
    assert_eq!(read(&path).unwrap().source.container, "FLAC");
    for path in [folder.path().to_owned(), folder.path().join("absent.wav")] {
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

#[test]
fn tags_before_the_stream_are_stepped_over() {
    let mut tag = b"ID3\x04\0\0\0\0\x02\x01".to_vec();
    tag.extend([0xff; 257]);
    for name in ["chirp.mp3", "chirp.flac"] {
        let plain = decode(bytes(name)).unwrap();
        let tagged = decode([tag.clone(), tag.clone(), bytes(name)].concat()).unwrap();
        assert_eq!(tagged, plain);
    }
}

// ---- Damage ---------------------------------------------------------------------------------------------------------

#[test]
fn a_damaged_flac_keeps_its_length_and_all_that_is_sound() {
    let file = std::fs::read(shipped("prelude-phone-compressor.flac")).unwrap();
    let sound = decode(file.clone()).unwrap();
    let mut damaged = file;
    let middle = damaged.len() / 2;
    for byte in &mut damaged[middle..middle + 3000] {
        *byte ^= 0x5a;
    }
    let found = decode(damaged).unwrap();
    assert_eq!(found.audio.sample_len(), sound.audio.sample_len());
    let pairs = sound.audio.channels()[0].iter().zip(&found.audio.channels()[0]);
    let wrong: Vec<usize> = pairs.enumerate().filter(|(_, (a, b))| a != b).map(|(n, _)| n).collect();
    let (first, last) = (*wrong.first().unwrap(), *wrong.last().unwrap());
    // 3000 bytes at 220 kbit/s are some 0.11 s, in blocks of 4608 samples.
    assert!(last - first < 5 * 4608, "{first} to {last}");
    let start_s = first as f64 / 48_000.0;
    let told = found.warnings.iter().any(|warning| {
        let Warning::Damaged { what } = warning else { return false };
        (0..=10).any(|back| what.contains(&format!("from {:.2} s", start_s - f64::from(back) * 0.01)))
    });
    assert!(told, "{start_s}: {:?}", found.warnings);
}

#[test]
fn a_damaged_mp3_is_decoded_around_the_damage() {
    let mut file = bytes("chirp.mp3");
    let middle = file.len() / 2;
    for byte in &mut file[middle..middle + 400] {
        *byte = 0;
    }
    let found = decode(file).unwrap();
    // Byte 3268 of 6536 at 32 kbit/s; the first frame is a tag, and a frame may begin up to 144 bytes (0.036 s) before.
    let told = |centi_s: u32| is_damaged(&found, &format!("at about {:.2} s", f64::from(centi_s) / 100.0));
    assert!((76..=84).any(told), "{:?}", found.warnings);
    // Lost frames of 576 samples cannot be counted; the beginning is untouched.
    let source = chirp_16k();
    assert!(error_db(&source[..8000], &found.audio.channels()[0][..8000]) < -25.0);
    assert!(found.audio.sample_len().abs_diff(source.len()) < 6 * 576, "{}", found.audio.sample_len());
}

#[test]
fn a_truncated_file_is_read_as_far_as_it_goes_with_a_warning() {
    for (name, keep) in [("faststart.m4a", 0.7), ("chirp.flac", 0.6), ("chirp.ogg", 0.97), ("pcm.aiff", 0.8)] {
        let mut file = bytes(name);
        let whole = decode(file.clone()).unwrap();
        file.truncate((file.len() as f64 * keep) as usize);
        let part = decode(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(part.audio.sample_len() < whole.audio.sample_len(), "{name}");
        assert!(!part.warnings.is_empty(), "{name}");
    }
    let mut caf = bytes("float.caf");
    caf.truncate(5000);
    assert!(decode(caf).unwrap_err().to_string().contains("a CAF file that is cut off is not supported"));
}

/// Whatever is cut off, the answer is a recording or an error, and a recording has samples.
#[test]
fn truncation_anywhere_is_survived() {
    let mut files: Vec<(String, Vec<u8>)> = vec![("wav".to_owned(), wav(&fmt(1, 2, 44_100, 16), &[1; 4000]))];
    for entry in std::fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        files.push((path.display().to_string(), std::fs::read(path).unwrap()));
    }
    for (name, file) in files {
        for len in (0..file.len()).step_by(97) {
            if let Ok(decoded) = decode(file[..len].to_vec()) {
                assert!(decoded.audio.sample_len() > 0, "{name} cut to {len}");
            }
        }
    }
}

/// Flipped bytes anywhere: no panic gets out (symphonia has some, on overflow in debug builds), no hang, no sound from
/// nowhere.
#[test]
fn flipped_bytes_anywhere_are_survived() {
    let mut random = ChaCha8Rng::seed_from_u64(846);
    let mut files = vec![wav(&fmt_extensible(1, 2, 24, 24), &[1; 600])];
    for entry in std::fs::read_dir(fixture("")).unwrap() {
        files.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    for file in files {
        for _ in 0..60 {
            let mut flipped = file.clone();
            for _ in 0..1 + random.next_u32() % 8 {
                // Half of the flips go to the first 256 bytes, where the headers are.
                let range = if random.next_u32() % 2 == 0 { flipped.len().min(256) } else { flipped.len() };
                let at = random.next_u32() as usize % range;
                flipped[at] = random.next_u32() as u8;
            }
            if let Ok(decoded) = decode(flipped) {
                assert!((1..2_000_000).contains(&decoded.audio.sample_len()));
            }
        }
    }
}
