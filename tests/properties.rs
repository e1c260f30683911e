//! What holds for any sound, any constants and any bytes: random ones from a fixed seed, and the fuzzers' corpus.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "../fuzz/properties.rs"]
mod fuzzed;

use agcfix::decode::read_bytes;
use agcfix::encode::{BitDepth, write_wav_with};
use agcfix::gain_csv::{read_gain_csv, write_gain_csv};
use agcfix::law::{Direction, FittedParameter, Law, LawFit, drive, families, gain_of};
use agcfix::metadata::{Chunk, Metadata, is_carried};
use agcfix::restore::{Level, apply_gain, gain_of_law, set_level};
use agcfix::{Audio, analysis::GainCurve};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::path::Path;
use std::sync::Arc;

/// The same cases every time: a failure is found again.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(846), failure_persistence: None, ..ProptestConfig::default() }
}

/// Any float that is a number, of any size.
fn finite() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_map(|x| if x.is_finite() { x } else { 0.0 })
}

/// Sound as recordings have it: noise and tones whose level moves.
fn moving_sound() -> impl Strategy<Value = Vec<f32>> {
    (proptest::collection::vec(-60.0..0.0f32, 4..12), 0.01..0.5f32).prop_map(|(levels_db, step)| {
        let of_level = |(i, level_db): (usize, &f32)| {
            let amplitude = 10f32.powf(level_db / 20.0);
            (0..800).map(move |n| amplitude * ((i * 800 + n) as f32 * step).sin()).collect::<Vec<_>>()
        };
        levels_db.iter().enumerate().flat_map(of_level).collect()
    })
}

/// A law and constants within its ranges.
fn law_with_constants(laws: Vec<Arc<dyn Law>>) -> impl Strategy<Value = (Arc<dyn Law>, Vec<f64>)> {
    let most = laws.iter().map(|law| law.parameters().len()).max().unwrap();
    (proptest::sample::select(laws), proptest::collection::vec(0.0..=1.0f64, most)).prop_map(|(law, shares)| {
        let values = law.parameters().iter().zip(shares).map(|(p, share)| p.low + (p.high - p.low) * share).collect();
        (law, values)
    })
}

fn compressors() -> Vec<Arc<dyn Law>> {
    families().into_iter().filter(|law| law.name().starts_with("compressor")).collect()
}

fn fit(law: &dyn Law, values: &[f64]) -> LawFit {
    let parameter = |(p, value): (&agcfix::law::Parameter, &f64)| FittedParameter {
        name: p.name.to_owned(),
        unit: p.unit.to_owned(),
        value: *value,
        lower: *value,
        upper: *value,
    };
    let parameters = law.parameters().iter().zip(values).map(parameter).collect();
    LawFit { name: law.name().to_owned(), parameters, landings: Vec::new() }
}

fn ratio_db(a: f32, b: f32) -> f64 {
    20.0 * (f64::from(a) / f64::from(b)).log10().abs()
}

fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let id = proptest::collection::vec(0x20u8..0x7f, 4).prop_map(|id| [id[0], id[1], id[2], id[3]]);
    let chunk =
        (id.prop_filter("the writer has its own", |id| is_carried(*id)), proptest::collection::vec(any::<u8>(), 0..40));
    proptest::collection::vec(chunk.prop_map(|(id, payload)| Chunk { id, payload }), 0..4)
}

proptest! {
    #![proptest_config(config(48))]

    /// Any law, any constants, any finite sound, either way: one positive, finite gain per sample.
    #[test]
    fn gains_are_positive_and_finite(
        (law, values) in law_with_constants(families()),
        sound in proptest::collection::vec(finite(), 0..3000),
        rate_hz in proptest::sample::select(vec![8_000.0, 44_100.0, 48_000.0, 192_000.0]),
    ) {
        for direction in [Direction::Forward, Direction::Inverse] {
            let gain = gain_of(law.as_ref(), &values, rate_hz, &sound, direction);
            prop_assert_eq!(gain.len(), sound.len());
            let bad = gain.iter().position(|gain| !gain.is_normal() || *gain <= 0.0);
            prop_assert_eq!(bad, None, "{} {:?} {:?}", law.name(), direction, values);
        }
    }

    /// What was restored, put through the law again, is the recording: `y = x g` and `x = y / g`.
    #[test]
    fn restored_and_compressed_again_is_the_recording(
        (law, values) in law_with_constants(compressors()),
        recorded in moving_sound(),
    ) {
        let inverse = gain_of(law.as_ref(), &values, 8_000.0, &recorded, Direction::Inverse);
        let restored: Vec<f32> = recorded.iter().zip(&inverse).map(|(y, g)| y / g).collect();
        let forward = gain_of(law.as_ref(), &values, 8_000.0, &restored, Direction::Forward);
        // A slope of 1 is a ceiling, where the output no longer tells the input: there the inverse is held (see the laws).
        let slope = law.parameters().iter().position(|p| p.name == "slope").map_or(0.0, |i| values[i]);
        if slope < 0.9 {
            let worst_db = forward.iter().zip(&inverse).map(|(a, b)| ratio_db(*a, *b)).fold(0.0, f64::max);
            prop_assert!(worst_db < 0.05, "{} {:?}: {} dB", law.name(), values, worst_db);
        }
    }

    /// Twice the sound gives twice the result and nothing else; so does the opposite sound. Powers of two are exact.
    #[test]
    fn scale_and_polarity_go_through(
        sound in proptest::collection::vec(-1.0..1.0f32, 1..500),
        gains in proptest::collection::vec(0.01..10.0f32, 500),
        factor in proptest::sample::select(vec![-1.0f32, 2.0, -0.25]),
    ) {
        let gains = &gains[..sound.len()];
        let restored = |sound: Vec<f32>| apply_gain(&Audio::new(8_000, vec![sound]).unwrap(), gains).unwrap().remove(0);
        let one: Vec<f32> = restored(sound.clone()).iter().map(|x| factor * x).collect();
        prop_assert_eq!(restored(sound.iter().map(|x| factor * x).collect()), one);
    }

    /// The gain belongs to all channels, whatever their order.
    #[test]
    fn the_order_of_channels_does_not_matter(
        (law, values) in law_with_constants(compressors()),
        left in moving_sound(),
        level in 0.1..2.0f32,
    ) {
        let right: Vec<f32> = left.iter().rev().map(|x| level * x).collect();
        let fit = fit(law.as_ref(), &values);
        let gain = |channels: Vec<Vec<f32>>| gain_of_law(&Audio::new(8_000, channels).unwrap(), &fit, &families()).unwrap();
        prop_assert_eq!(gain(vec![left.clone(), right.clone()]), gain(vec![right, left]));
    }

    /// Silence before a recording delays its gain and changes nothing. Some laws act every few samples, so whole steps.
    #[test]
    fn silence_before_the_sound_only_delays(
        (law, values) in law_with_constants(compressors()),
        sound in moving_sound(),
        steps in 1usize..30,
    ) {
        let delay = 64 * steps;
        let late: Vec<f32> = std::iter::repeat_n(0.0, delay).chain(sound.iter().copied()).collect();
        let gain = |sound: &[f32]| gain_of(law.as_ref(), &values, 8_000.0, &drive(&[sound.to_vec()]), Direction::Inverse);
        let (early, late) = (gain(&sound), gain(&late));
        let worst_db = early.iter().zip(&late[delay..]).map(|(a, b)| ratio_db(*a, *b)).fold(0.0, f64::max);
        prop_assert!(worst_db < 1e-3, "{} {:?}: {} dB", law.name(), values, worst_db);
    }

    /// Setting the level twice is setting it once.
    #[test]
    fn the_level_is_set_once(sound in proptest::collection::vec(-8.0..8.0f32, 1..3000)) {
        let once = set_level(8_000, vec![sound], Level::KeepBelowMinusOneDbtp).unwrap();
        prop_assert!(once.true_peak_dbtp <= -1.0 && once.overall_gain_db <= 0.0);
        let twice = set_level(8_000, once.audio.channels().to_vec(), Level::KeepBelowMinusOneDbtp).unwrap();
        prop_assert_eq!(twice.overall_gain_db, 0.0);
        prop_assert_eq!(twice.audio, once.audio);
    }

    /// Any sound with any chunks is read back from what was written: floats exactly, integers to half a step.
    #[test]
    fn what_is_written_is_read_back(
        sound in proptest::collection::vec(finite().prop_map(|x| if x.is_subnormal() { 0.0 } else { x }), 1..300),
        channel_len in 1usize..=8,
        (before, after) in (chunks(), chunks()),
    ) {
        let channels: Vec<Vec<f32>> = (0..channel_len).map(|c| sound.iter().map(|x| x / (1 + c) as f32).collect()).collect();
        let audio = Audio::new(44_100, channels).unwrap();
        let metadata = Metadata { before, after };
        for (bits, step) in [(BitDepth::Float32, 0.0), (BitDepth::Int24, 0.5 / 8_388_608.0), (BitDepth::Int16, 1.5 / 32_768.0)] {
            let mut file = Vec::new();
            write_wav_with(&mut file, &audio, bits, &metadata).unwrap();
            let read = read_bytes(file, Path::new("written")).unwrap();
            prop_assert_eq!(&read.metadata, &metadata);
            prop_assert_eq!(&read.warnings, &[]);
            let pairs = audio.channels().iter().flatten().zip(read.audio.channels().iter().flatten());
            for (written, read) in pairs {
                // Integers have no place beyond full scale, and one step less above than below.
                let expected = if step > 0.0 { f64::from(*written).clamp(-1.0, 1.0) } else { f64::from(*written) };
                let slack = if step > 0.0 && expected > 0.999_9 { 3.0 * step } else { step };
                prop_assert!((f64::from(*read) - expected).abs() <= slack, "{bits:?}: {written} became {read}");
            }
        }
    }

    /// A gain curve is read back from what was written, to the digits written.
    #[test]
    fn a_gain_curve_is_read_back(gain_db in proptest::collection::vec(-60.0..60.0f64, 3..200), hop_s in 0.001..2.0f64) {
        let lower_db = gain_db.iter().map(|g| g - 1.0).collect();
        let upper_db = gain_db.iter().map(|g| g + 1.0).collect();
        let curve = GainCurve { start_s: 0.0, hop_s, gain_db: gain_db.clone(), lower_db, upper_db };
        let read = read_gain_csv(&write_gain_csv(&curve)).unwrap();
        prop_assert_eq!(read.gain_db.len(), gain_db.len());
        for (read, written) in read.gain_db.windows(2).zip(gain_db.windows(2)) {
            prop_assert!(((read[1] - read[0]) - (written[1] - written[0])).abs() < 2.1e-4);
        }
    }
}

/// What the fuzzers found worth keeping, every file of it, through the property it was found for.
#[test]
fn the_corpus_is_replayed() {
    fuzzed::keep_quiet_about_decoders();
    type Property = fn(&[u8]);
    let targets: [(&str, Property); 8] = [
        ("wav", fuzzed::wav),
        ("container", fuzzed::container),
        ("gain_csv", fuzzed::gain_csv),
        ("law", fuzzed::law),
        ("analysis", fuzzed::analysis),
        ("profile", fuzzed::profile),
        ("manifest", fuzzed::manifest),
        ("midi", fuzzed::midi),
    ];
    for (name, property) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= 10, "{name}");
        for path in &paths {
            println!("{}", path.display());
            property(&std::fs::read(path).unwrap());
        }
    }
}

/// Five gigabytes, written and read back. `cargo test --release --test properties -- --ignored`
#[test]
#[ignore = "needs 11 GB of memory and 5 GB of disk"]
fn more_than_four_gigabytes_are_written_and_read_back() {
    let frame_len = 160_000_000usize;
    let channel = |c: usize| (0..frame_len).map(|n| ((n * 7 + c) % 65_536) as f32 / 65_536.0).collect::<Vec<f32>>();
    let audio = Audio::new(192_000, (0..8).map(channel).collect()).unwrap();
    let metadata = Metadata { after: vec![Chunk { id: *b"cue ", payload: vec![0; 4] }], ..Metadata::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    let file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    write_wav_with(file, &audio, BitDepth::Float32, &metadata).unwrap();
    assert!(path.metadata().unwrap().len() > 1 << 32);
    let read = agcfix::decode::read(&path).unwrap();
    assert_eq!((read.source.container.as_str(), &read.warnings[..]), ("RF64", &[][..]));
    assert_eq!(read.metadata, metadata);
    assert!(read.audio == audio);
}
