//! Undoing a gain, setting the level, gain curves, and files that appear whole or not at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set itself up has failed")]

use agcfix::analysis::GainCurve;
use agcfix::encode::{BitDepth, write_wav};
use agcfix::restore::{Level, apply_gain, gain_at_samples, set_level, true_peak_dbtp};
use agcfix::{Audio, Error};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

const RATE_HZ: u32 = 48_000;

fn noise(sample_len: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..sample_len).map(|_| (f64::from(random.next_u32()) / 4_294_967_296.0 - 0.5) as f32).collect()
}

fn curve(start_s: f64, hop_s: f64, gain_db: &[f64]) -> GainCurve {
    let gain_db = gain_db.to_vec();
    GainCurve { start_s, hop_s, lower_db: gain_db.clone(), upper_db: gain_db.clone(), gain_db }
}

// ---- Gain -----------------------------------------------------------------------------------------------------------

#[test]
fn a_gain_of_one_changes_no_bit() {
    let audio = Audio::new(RATE_HZ, vec![noise(5000, 1), noise(5000, 2)]).unwrap();
    let gain = gain_at_samples(&curve(0.0, 0.01, &[0.0; 20]), RATE_HZ, 5000).unwrap();
    assert!(gain.iter().all(|g| *g == 1.0));
    assert_eq!(apply_gain(&audio, &gain).unwrap(), audio.channels());
    for level in [Level::Keep, Level::KeepBelowMinusOneDbtp] {
        let restored = set_level(RATE_HZ, audio.channels().to_vec(), level).unwrap();
        assert_eq!((&restored.audio, restored.overall_gain_db), (&audio, 0.0));
    }
}

#[test]
fn forward_then_inverse_returns_the_input_in_every_channel_and_polarity() {
    let gain_db: Vec<f64> = (0..40).map(|i| 12.0 * (f64::from(i) * 0.7).sin()).collect();
    let gain = gain_at_samples(&curve(0.0, 0.01, &gain_db), RATE_HZ, 19_200).unwrap();
    let clean = noise(19_200, 3);
    let inverted: Vec<f32> = clean.iter().map(|x| -x).collect();
    let forward = |x: &[f32]| -> Vec<f32> { x.iter().zip(&gain).map(|(x, g)| x * g).collect() };
    let recorded = Audio::new(RATE_HZ, vec![forward(&clean), forward(&inverted)]).unwrap();
    let restored = apply_gain(&recorded, &gain).unwrap();
    // Two roundings of half a unit in the last place each (2^-24).
    let close = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).all(|(a, b)| f64::from(a - b).abs() <= 2.1 * 2f64.powi(-24) * f64::from(b.abs()))
    };
    assert!(close(&restored[0], &clean));
    assert!(restored[0].iter().zip(&restored[1]).all(|(a, b)| *a == -*b));
    // A gain that is one sample late is seen.
    let mut late = gain.clone();
    late.rotate_right(1);
    assert!(!close(&apply_gain(&recorded, &late).unwrap()[0], &clean));
}

#[test]
fn gains_that_cannot_be_undone_are_refused() {
    let audio = Audio::new(RATE_HZ, vec![vec![0.5; 3]]).unwrap();
    for (gain, part) in [
        (vec![1.0; 2], "2 values for 3 samples"),
        (vec![1.0, 0.0, 1.0], "sample 1 is 0"),
        (vec![1.0, -1.0, 1.0], "sample 1 is -1"),
        (vec![1.0, 1.0, f32::NAN], "sample 2 is NaN"),
        (vec![f32::INFINITY, 1.0, 1.0], "sample 0 is inf"),
    ] {
        let error = apply_gain(&audio, &gain).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(part), "{error}");
    }
    let loud = Audio::new(RATE_HZ, vec![vec![1e30]]).unwrap();
    assert!(apply_gain(&loud, &[1e-30]).unwrap_err().to_string().contains("overflows"));
}

// ---- Curve ----------------------------------------------------------------------------------------------------------

#[test]
fn a_curve_passes_through_its_points_holds_its_edges_and_never_overshoots() {
    let gain_db = [0.0, 0.0, -6.0, -6.0, -5.5, 3.0];
    let gain = gain_at_samples(&curve(0.02, 0.01, &gain_db), RATE_HZ, 4800).unwrap();
    let db_at = |n: usize| 20.0 * f64::from(gain[n]).log10();
    for (i, expected_db) in gain_db.iter().enumerate() {
        // f32 amplitudes: 2^-24 is 5e-7 dB.
        assert!((db_at(960 + 480 * i) - expected_db).abs() < 1e-6, "{i}");
    }
    assert!((0..960).all(|n| gain[n] == 1.0));
    assert!((960 + 480 * 5..4800).all(|n| (db_at(n) - 3.0).abs() < 1e-6));
    // Between two points, never outside them: a plain cubic spline overshoots this step by 0.5 dB.
    for (i, pair) in gain_db.windows(2).enumerate() {
        let (low, high) = (pair[0].min(pair[1]) - 1e-6, pair[0].max(pair[1]) + 1e-6);
        assert!((0..480).all(|n| (low..=high).contains(&db_at(960 + 480 * i + n))), "{i}");
    }
}

#[test]
fn a_curve_makes_no_zipper_noise() {
    // A slow swell sampled every 10 ms. The gain's second difference, where zipper noise lives, stays near that of the
    // swell itself; linear interpolation has kinks of (slope change) per sample, ten times as large, and steps more.
    let swell_db = |t: f64| 6.0 * (TAU * t).cos();
    let points: Vec<f64> = (0..=100).map(|i| swell_db(f64::from(i) * 0.01)).collect();
    let gain = gain_at_samples(&curve(0.0, 0.01, &points), RATE_HZ, 48_000).unwrap();
    let db: Vec<f64> = gain.iter().map(|g| 20.0 * f64::from(*g).log10()).collect();
    let error_db = db.iter().enumerate().map(|(n, db)| (db - swell_db(n as f64 / 48_000.0)).abs());
    let worst_db = error_db.fold(0.0, f64::max);
    assert!(worst_db < 0.01, "{worst_db}");
    let kink = |db: &[f64]| db.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0, f64::max);
    // Linear: a slope change of 6 (2 pi)^2 0.01 = 2.4 dB/s at a point is 4.9e-5 dB. f32 noise is 2e-6 dB.
    assert!(kink(&db) < 1e-5, "{}", kink(&db));
    let between = |n: usize| (n % 480) as f64 / 480.0;
    let linear: Vec<f64> =
        (0..48_000).map(|n| points[n / 480] + between(n) * (points[n / 480 + 1] - points[n / 480])).collect();
    assert!(kink(&linear) > 4e-5, "{}", kink(&linear));
    let held: Vec<f64> = (0..48_000).map(|n| points[n / 480]).collect();
    assert!(kink(&held) > 0.1);
}

#[test]
fn one_point_is_a_constant_and_bad_curves_are_refused() {
    let gain = gain_at_samples(&curve(3.0, 1.0, &[6.0]), RATE_HZ, 10).unwrap();
    assert!(gain.iter().all(|g| (f64::from(*g) - 10f64.powf(0.3)).abs() < 1e-6));
    for (bad, part) in [
        (curve(0.0, 0.01, &[]), "empty"),
        (curve(0.0, 0.0, &[1.0]), "hop"),
        (curve(0.0, f64::NAN, &[1.0]), "hop"),
        (curve(f64::INFINITY, 0.01, &[1.0]), "start"),
        (curve(0.0, 0.01, &[0.0, f64::NAN]), "value 1"),
        (curve(0.0, 0.01, &[0.0, 1e4]), "value 1"),
    ] {
        let error = gain_at_samples(&bad, RATE_HZ, 10).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(part), "{error}");
    }
}

// ---- Level ----------------------------------------------------------------------------------------------------------

/// A sine at a quarter of the rate, sampled 45 degrees off its peaks: samples at 0.707 of the true peak.
fn between_the_samples(peak: f64) -> Vec<f32> {
    (0..4800).map(|n| (peak * (TAU * (f64::from(n) / 4.0 + 0.125)).sin()) as f32).collect()
}

#[test]
fn true_peaks_lie_between_the_samples() {
    let peak_dbtp = true_peak_dbtp(RATE_HZ, &[between_the_samples(1.0)]).unwrap();
    // BS.1770's interpolator is within 0.2 dB below, and it rings where the sine begins; the samples say -3.01 dB.
    assert!((-0.2..1.0).contains(&peak_dbtp), "{peak_dbtp}");
    // The last sample counts too.
    let mut click = vec![0f32; 1000];
    click[999] = 0.5;
    assert!((true_peak_dbtp(RATE_HZ, &[click]).unwrap() + 6.02).abs() < 0.1);
    assert_eq!(true_peak_dbtp(RATE_HZ, &[vec![0.0; 10]]).unwrap(), f64::NEG_INFINITY);
    assert_eq!(true_peak_dbtp(RATE_HZ, &[vec![]]).unwrap(), f64::NEG_INFINITY);
}

#[test]
fn what_is_too_loud_is_turned_down_to_minus_one_and_nothing_is_turned_up() {
    let loud = vec![between_the_samples(2.0), between_the_samples(0.1)];
    let restored = set_level(RATE_HZ, loud.clone(), Level::KeepBelowMinusOneDbtp).unwrap();
    let measured = true_peak_dbtp(RATE_HZ, restored.audio.channels()).unwrap();
    assert!((-1.002..=-1.0).contains(&measured), "{measured}");
    assert!((restored.true_peak_dbtp - measured).abs() < 1e-4);
    // One constant for all channels.
    let factor = 10f64.powf(restored.overall_gain_db / 20.0);
    assert!(restored.overall_gain_db < -6.0);
    for (before, after) in loud.iter().flatten().zip(restored.audio.channels().iter().flatten()) {
        assert!((f64::from(*before) * factor - f64::from(*after)).abs() < 1e-6);
    }
    // 16 bits with dither stay below it too.
    let mut file = Vec::new();
    assert_eq!(write_wav(&mut file, &restored.audio, BitDepth::Int16).unwrap().clamped_len, 0);
    let kept = set_level(RATE_HZ, loud.clone(), Level::Keep).unwrap();
    assert_eq!((kept.audio.channels(), kept.overall_gain_db), (loud.as_slice(), 0.0));
    let soft = vec![between_the_samples(0.01)];
    let restored = set_level(RATE_HZ, soft.clone(), Level::KeepBelowMinusOneDbtp).unwrap();
    assert_eq!((restored.audio.channels(), restored.overall_gain_db), (soft.as_slice(), 0.0));
}

// ---- Files ----------------------------------------------------------------------------------------------------------

#[cfg(feature = "files")]
mod files {
    use agcfix::encode::write_atomically;
    use std::io::Write;

    fn names(folder: &std::path::Path) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        std::fs::read_dir(folder).unwrap().map(name).collect()
    }

    #[test]
    fn a_failure_leaves_the_target_as_it_was_and_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.wav");
        let fail = |force| {
            write_atomically(&path, force, |writer| -> std::io::Result<()> {
                writer.write_all(&[7; 1 << 20])?;
                Err(std::io::Error::other("disk full"))
            })
        };
        let error = fail(false).unwrap_err().to_string();
        assert!(error.contains("out.wav") && error.contains("disk full"), "{error}");
        assert!(names(folder.path()).is_empty());
        std::fs::write(&path, b"precious").unwrap();
        assert!(fail(true).is_err());
        assert_eq!(names(folder.path()), ["out.wav"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn an_existing_file_needs_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.wav");
        write_atomically(&path, false, |writer| writer.write_all(b"one")).unwrap();
        let error = write_atomically(&path, false, |writer| writer.write_all(b"two")).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_atomically(&path, true, |writer| writer.write_all(b"two")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["out.wav"]);
        // A file that appears while this one is written is not overwritten either.
        let late = folder.path().join("late.wav");
        let raced = write_atomically(&late, false, |_| std::fs::write(&late, b"theirs"));
        assert!(raced.unwrap_err().to_string().contains("exists already"));
        assert_eq!(std::fs::read(&late).unwrap(), b"theirs");
        for path in [folder.path().to_owned(), folder.path().join("no such folder/out.wav")] {
            assert!(write_atomically(&path, true, |_| Ok(())).is_err());
        }
    }

    #[cfg(feature = "decode")]
    #[test]
    fn what_is_written_is_read_back_at_every_depth() {
        use super::{Audio, BitDepth, noise};
        use agcfix::encode::write_wav_file;
        let folder = tempfile::tempdir().unwrap();
        let sixteen: Vec<f32> = noise(1001, 5).iter().map(|x| (x * 32_768.0).round() / 32_768.0).collect();
        let audio = Audio::new(44_100, vec![sixteen.clone(), noise(1001, 6), noise(1001, 7)]).unwrap();
        for (bits, tolerance) in [
            (BitDepth::Float32, 0.0),
            // Half a step.
            (BitDepth::Int24, 0.5 / 8_388_608.0),
            // Half a step of rounding, one of dither.
            (BitDepth::Int16, 1.5 / 32_768.0),
        ] {
            let path = folder.path().join(format!("{bits:?}.wav"));
            write_wav_file(&path, false, &audio, bits).unwrap();
            let read = agcfix::decode::read(&path).unwrap();
            assert_eq!(read.warnings, []);
            assert_eq!(read.audio.sample_rate_hz(), 44_100);
            assert_eq!((read.audio.channels().len(), read.audio.sample_len()), (3, 1001));
            for (a, b) in audio.channels().iter().flatten().zip(read.audio.channels().iter().flatten()) {
                assert!((a - b).abs() <= tolerance, "{bits:?}");
            }
        }
        // Untouched 16-bit sound comes back bit by bit.
        let path = folder.path().join("untouched.wav");
        let audio = Audio::new(44_100, vec![sixteen]).unwrap();
        write_wav_file(&path, false, &audio, BitDepth::Int16).unwrap();
        assert_eq!(agcfix::decode::read(&path).unwrap().audio, audio);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_atomically(&ours, false, |_| Ok(())).unwrap();
        std::fs::write(&plain, b"").unwrap();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
