//! Gain laws against independent implementations and against their own inverses.
//!
//! `tests/data/*.csv` hold the gain, in dB per 20 ms, that other people's programs gave to [`melody`]; each file names
//! program, version and settings. Agreement is measured where the melody is above -55 dBFS: below it 16-bit rounding of
//! those programs' output is louder than what is measured.

// A test that cannot go on should say where.
#![allow(clippy::unwrap_used)]

use agcfix::law::limiter::{Attack, attacks, gain_with_attacks};
use agcfix::law::{Direction, Law, families, gain_of};
use std::sync::Arc;

/// Sample rate of the test signal.
const SAMPLE_RATE_HZ: f64 = 48_000.0;

/// Length of the test signal.
const LENGTH_S: f64 = 16.0;

/// Struck notes of very different loudness over a little noise: what the stored traces were made from.
fn melody() -> Vec<f32> {
    let len = (LENGTH_S * SAMPLE_RATE_HZ) as usize;
    let mut state = 20_261_123_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut out = vec![0f64; len];
    let mut at_s = 0.35;
    while at_s < LENGTH_S - 0.5 {
        let pitch_hz = 110.0 * 2f64.powf((random() * 30.0).floor() / 12.0);
        let amplitude = 0.4 * 10f64.powf(-1.5 * random());
        for partial in 1..=6 {
            let order = f64::from(partial);
            let frequency_hz = pitch_hz * order * (1.0 + 3e-4 * order * order).sqrt();
            let level = amplitude * 0.6f64.powi(partial - 1) * 0.5;
            let decay_per_s = (0.7 + random()) * (1.0 + 0.2 * order);
            let phase = random() * std::f64::consts::TAU;
            let start = (at_s * SAMPLE_RATE_HZ) as usize;
            for (i, x) in out[start..].iter_mut().take((3.0 * SAMPLE_RATE_HZ) as usize).enumerate() {
                let t = i as f64 / SAMPLE_RATE_HZ;
                let rise = 1.0 - (-t / 0.004).exp();
                *x +=
                    level * rise * (-decay_per_s * t).exp() * (std::f64::consts::TAU * frequency_hz * t + phase).sin();
            }
        }
        at_s += 0.12 + random() * random() * 1.6;
    }
    out.iter()
        .map(|x| ((x + 3e-4 * (random() - 0.5)) * 32768.0).round().clamp(-32768.0, 32767.0) as f32 / 32768.0)
        .collect()
}

/// Samples over which the stored gains are averaged.
const HOP: usize = 960;

/// Forward agreement demanded of a law whose exact form is known, dB rms.
const EXACT_DB: f64 = 0.02;

/// Error demanded of forward then inverse, dB rms.
const ROUND_TRIP_DB: f64 = 0.05;

fn law(name: &str) -> Arc<dyn Law> {
    families().into_iter().find(|law| law.name() == name).unwrap()
}

/// The law's defaults, with some of them replaced.
fn values(law: &dyn Law, settings: &[(&str, f64)]) -> Vec<f64> {
    let mut values: Vec<f64> = law.parameters().iter().map(|p| p.default).collect();
    for (name, value) in settings {
        values[law.parameters().iter().position(|p| p.name == *name).unwrap()] = *value;
    }
    values
}

fn applied(x: &[f32], gain: &[f32]) -> Vec<f32> {
    x.iter().zip(gain).map(|(x, g)| x * g).collect()
}

fn levels_db(x: &[f32]) -> Vec<f64> {
    x.chunks_exact(HOP)
        .map(|c| 10.0 * (c.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / HOP as f64 + 1e-30).log10())
        .collect()
}

fn stored(text: &str) -> Vec<f64> {
    text.lines().filter(|l| !l.starts_with('#') && *l != "gain_db").map(|l| l.parse().unwrap()).collect()
}

/// Rms difference in dB between what the law does to the melody and what was stored, without any free offset.
fn forward_error_db(name: &str, settings: &[(&str, f64)], trace: &str) -> f64 {
    let law = law(name);
    let x = melody();
    let gain = gain_of(&*law, &values(&*law, settings), SAMPLE_RATE_HZ, &x, Direction::Forward);
    let before = levels_db(&x);
    let after = levels_db(&applied(&x, &gain));
    let errors: Vec<f64> = stored(trace)
        .iter()
        .zip(before.iter().zip(&after))
        .filter(|(_, (before, _))| **before > -55.0)
        .map(|(g, (before, after))| after - before - g)
        .collect();
    assert!(errors.len() > 500, "only {} frames compared", errors.len());
    rms(&errors)
}

fn rms(errors: &[f64]) -> f64 {
    (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt()
}

fn ratio_db(a: &[f32], b: &[f32]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| 20.0 * f64::from(a / b).log10()).collect()
}

/// Rms error in dB of the gain that the inverse finds in what the law itself recorded.
fn round_trip_db(law: &dyn Law, values: &[f64], x: &[f32]) -> f64 {
    let gain = gain_of(law, values, SAMPLE_RATE_HZ, x, Direction::Forward);
    let found = gain_of(law, values, SAMPLE_RATE_HZ, &applied(x, &gain), Direction::Inverse);
    rms(&ratio_db(&found, &gain))
}

/// 4:1 above -30 dBFS without a knee; ffmpeg's 20 and 800 ms are time constants of 5 and 200 ms.
const COMPRESSOR: [(&str, f64); 5] =
    [("threshold_db", -30.0), ("slope", 0.75), ("knee_db", 0.0), ("attack_s", 0.005), ("release_s", 0.2)];
const COMPANDER: [(&str, f64); 5] =
    [("threshold_db", -30.0), ("slope", 0.6), ("knee_db", 0.0), ("attack_s", 0.005), ("release_s", 0.2)];
const DAGC: [(&str, f64); 2] = [("target_rms_db", -26.989_7), ("rate_db_per_s", 4.169_2)];
const SPEEX: [(&str, f64); 2] = [("level_db", -8.725_4), ("max_gain_db", 24.0)];
const ALIMITER: [(&str, f64); 3] = [("ceiling_db", -18.061_8), ("attack_s", 0.005), ("release_s", 0.4)];
const DYNAUDNORM: [(&str, f64); 3] = [("peak_db", -0.445_5), ("max_gain_db", 20.0), ("frame_s", 0.3)];

/// The kin of one constant a few per cent off.
fn with_slower_release() -> Vec<(&'static str, f64)> {
    COMPRESSOR.iter().map(|(name, value)| (*name, if *name == "release_s" { 1.03 * value } else { *value })).collect()
}

#[test]
fn compressor_equals_acompressor() {
    let trace = include_str!("data/compressor-acompressor.csv");
    let error_db = forward_error_db("compressor", &COMPRESSOR, trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    // Planted faults: a release 3 % too long, and the kin that smooths the magnitude.
    for (name, settings) in [("compressor", &with_slower_release()[..]), ("compressor-peak", &COMPRESSOR)] {
        let error_db = forward_error_db(name, settings, trace);
        assert!(error_db > EXACT_DB, "{name}: {error_db} dB");
    }
}

/// The trace was made with an initial level of -100 dB: by default compand begins as if full scale had just sounded.
#[test]
fn compressor_peak_equals_compand() {
    let trace = include_str!("data/compressor-peak-compand.csv");
    let error_db = forward_error_db("compressor-peak", &COMPRESSOR, trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    for (name, settings) in [("compressor-peak", &with_slower_release()[..]), ("compressor", &COMPRESSOR)] {
        let error_db = forward_error_db(name, settings, trace);
        assert!(error_db > EXACT_DB, "{name}: {error_db} dB");
    }
}

/// Below its threshold the curve of this trace falls by 0.3 dB a dB.
#[test]
fn compander_equals_compand() {
    let trace = include_str!("data/compander-compand.csv");
    let settings = |expansion: f64| [&COMPANDER[..], &[("expansion", expansion)]].concat();
    let error_db = forward_error_db("compander", &settings(0.3), trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    // Planted faults: a tenth more expansion, and none.
    for expansion in [0.33, 0.0] {
        let error_db = forward_error_db("compander", &settings(expansion), trace);
        assert!(error_db > EXACT_DB, "{expansion}: {error_db} dB");
    }
}

#[test]
fn feedback_equals_the_crate_dagc() {
    let trace = include_str!("data/feedback-dagc.csv");
    let error_db = forward_error_db("feedback", &DAGC, trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    // Planted fault: a rate 2 % too high.
    let error_db = forward_error_db("feedback", &[DAGC[0], ("rate_db_per_s", 1.02 * 4.169_2)], trace);
    assert!(error_db > EXACT_DB, "{error_db} dB");
}

#[test]
fn speex_equals_the_library() {
    let trace = include_str!("data/speex.csv");
    let error_db = forward_error_db("speex", &SPEEX, trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    // Planted fault: a frame of 19 ms instead of 20.
    let error_db = forward_error_db("speex", &[SPEEX[0], SPEEX[1], ("frame_ms", 19.0)], trace);
    assert!(error_db > EXACT_DB, "{error_db} dB");
}

#[test]
fn limiter_equals_alimiter() {
    let trace = include_str!("data/limiter-alimiter.csv");
    let error_db = forward_error_db("limiter", &ALIMITER, trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    // Planted fault: a release 3 % too long.
    let error_db = forward_error_db("limiter", &[ALIMITER[0], ALIMITER[1], ("release_s", 0.412)], trace);
    assert!(error_db > EXACT_DB, "{error_db} dB");
}

#[test]
fn normaliser_equals_dynaudnorm() {
    let trace = include_str!("data/normaliser-dynaudnorm.csv");
    let error_db = forward_error_db("normaliser", &DYNAUDNORM, trace);
    assert!(error_db < EXACT_DB, "{error_db} dB");
    // Planted fault: frames 3 % too long.
    let error_db = forward_error_db("normaliser", &[DYNAUDNORM[0], DYNAUDNORM[1], ("frame_s", 0.309)], trace);
    assert!(error_db > EXACT_DB, "{error_db} dB");
}

/// Whether this file's law is checked by this test file.
fn ours(law: &dyn Law) -> bool {
    let names = ["feedback", "feedback-compressor", "speex", "limiter", "leveller", "feedback-leveller", "normaliser"];
    names.contains(&law.name())
}

#[test]
fn forward_then_inverse_returns_the_input() {
    let x = melody();
    let cases: [(&str, &[(&str, f64)]); 8] = [
        ("compander", &COMPANDER),
        ("feedback", &DAGC),
        ("feedback-compressor", &[("threshold_db", -40.0)]),
        ("speex", &SPEEX),
        ("leveller", &[("start_gain_db", 6.0)]),
        ("feedback-leveller", &[("start_gain_db", 6.0)]),
        ("normaliser", &DYNAUDNORM),
        // Nothing of the melody reaches this ceiling.
        ("limiter", &[("ceiling_db", -1.0)]),
    ];
    for (name, settings) in cases {
        let law = law(name);
        let values = values(&*law, settings);
        let error_db = round_trip_db(&*law, &values, &x);
        assert!(error_db < ROUND_TRIP_DB, "{name}: {error_db} dB");
        let gain = gain_of(&*law, &values, SAMPLE_RATE_HZ, &x, Direction::Forward);
        let moved = gain.iter().copied().fold(0f32, f32::max) / gain.iter().copied().fold(f32::MAX, f32::min);
        assert!(name == "limiter" || moved > 1.4, "{name} did not move its gain: {moved}");
    }
}

#[test]
fn round_trip_notices_a_wrong_constant() {
    let law = law("speex");
    let x = melody();
    let gain = gain_of(&*law, &values(&*law, &SPEEX), SAMPLE_RATE_HZ, &x, Direction::Forward);
    let wrong = values(&*law, &[SPEEX[0], SPEEX[1], ("increase_db_per_s", 12.5)]);
    let found = gain_of(&*law, &wrong, SAMPLE_RATE_HZ, &applied(&x, &gain), Direction::Inverse);
    assert!(rms(&ratio_db(&found, &gain)) > ROUND_TRIP_DB);
}

#[test]
fn limiter_comes_back_from_its_landings() {
    let law = law("limiter");
    let values = values(&*law, &ALIMITER);
    let x = melody();
    let gain = gain_of(&*law, &values, SAMPLE_RATE_HZ, &x, Direction::Forward);
    let y = applied(&x, &gain);
    let centred_db = |found: &[f32]| {
        let errors = ratio_db(found, &gain);
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        rms(&errors.iter().map(|e| e - mean).collect::<Vec<_>>())
    };
    let nothing_db = centred_db(&vec![1.0; y.len()]);

    // Every contact told: the law itself. The remainder is the 0.1 dB in which a contact is recognised.
    let depth = |n: usize| Attack::Depth(-20.0 * f64::from(gain[n]).log10());
    let ceiling = 10f32.powf(-18.061_8 / 20.0);
    let contacts: Vec<_> = (0..y.len()).filter(|n| y[*n].abs() > 0.989 * ceiling).map(|n| (n, depth(n))).collect();
    let all_db = centred_db(&gain_with_attacks(&y, &values, SAMPLE_RATE_HZ, &contacts));
    assert!(all_db < 0.1, "{all_db} of {nothing_db} dB");

    // One number per attack, the deepest gain until the next one.
    let starts = attacks(&y, &values, SAMPLE_RATE_HZ);
    assert!(starts.len() >= 5 && starts.len() < contacts.len() / 4);
    let events: Vec<_> = starts
        .iter()
        .enumerate()
        .map(|(i, n)| {
            let end = starts.get(i + 1).copied().unwrap_or(y.len());
            let deepest = (*n..end).min_by(|a, b| gain[*a].total_cmp(&gain[*b])).unwrap();
            (*n, depth(deepest))
        })
        .collect();
    let few_db = centred_db(&gain_with_attacks(&y, &values, SAMPLE_RATE_HZ, &events));
    assert!(few_db < 0.3 * nothing_db, "{few_db} of {nothing_db} dB");
}

#[test]
fn limiter_without_attacks_stays_at_rest() {
    let law = law("limiter");
    let y = melody();
    let values = values(&*law, &[("ceiling_db", -1.0)]);
    assert!(attacks(&y, &values, SAMPLE_RATE_HZ).is_empty());
    assert!(gain_with_attacks(&y, &values, SAMPLE_RATE_HZ, &[]).iter().all(|g| *g == 1.0));
    // A drop of 6 dB on paper: the gain halves, and is back to 0.75 half a release later.
    let gain = gain_with_attacks(&y, &values, SAMPLE_RATE_HZ, &[(96_000, Attack::Drop(6.020_6))]);
    let release = (0.3 * SAMPLE_RATE_HZ) as usize;
    assert!((gain[96_000] - 0.5).abs() < 1e-4 && gain[96_000 - 300] == 1.0);
    assert!((gain[96_000 + release / 2] - 0.75).abs() < 1e-3 && gain[96_000 + release + 10] == 1.0);
}

#[test]
fn gains_stay_positive_and_finite_whatever_comes_in() {
    let len = 96_000;
    let square = |n: usize, level: f32| if (n / 40).is_multiple_of(2) { level } else { -level };
    let inputs: [(&str, Vec<f32>); 6] = [
        ("silence", vec![0.0; len]),
        ("full scale", (0..len).map(|n| square(n, 1.0)).collect()),
        ("largest numbers", (0..len).map(|n| square(n, f32::MAX)).collect()),
        ("smallest numbers", (0..len).map(|n| square(n, f32::MIN_POSITIVE)).collect()),
        ("one click", (0..len).map(|n| if n == 30_000 { 1.0 } else { 0.0 }).collect()),
        ("bursts", (0..len).map(|n| if (n / 4800).is_multiple_of(2) { square(n, 1e4) } else { 0.0 }).collect()),
    ];
    for law in families().iter().filter(|law| ours(&***law)) {
        let extremes: [Vec<f64>; 4] = [
            law.parameters().iter().map(|p| p.default).collect(),
            law.parameters().iter().map(|p| p.low).collect(),
            law.parameters().iter().map(|p| p.high).collect(),
            vec![f64::NAN; law.parameters().len()],
        ];
        for (what, input) in &inputs {
            for values in &extremes {
                for direction in [Direction::Forward, Direction::Inverse] {
                    let gain = gain_of(&**law, values, SAMPLE_RATE_HZ, input, direction);
                    assert_eq!(gain.len(), input.len());
                    let bad = gain.iter().position(|g| !(*g > 0.0 && g.is_finite()));
                    assert_eq!(bad, None, "{} {direction:?} on {what} with {values:?}", law.name());
                }
            }
        }
    }
}

#[test]
fn polarity_changes_nothing() {
    let x = melody();
    let flipped: Vec<f32> = x.iter().map(|x| -x).collect();
    for law in families().iter().filter(|law| ours(&***law)) {
        let values = values(&**law, &[]);
        for direction in [Direction::Forward, Direction::Inverse] {
            let gain = gain_of(&**law, &values, SAMPLE_RATE_HZ, &x, direction);
            assert!(gain == gain_of(&**law, &values, SAMPLE_RATE_HZ, &flipped, direction), "{}", law.name());
        }
    }
}

/// A recording scaled by a power of two has the same gain once the law's levels move along (6.0206 dB).
#[test]
fn a_later_volume_folds_into_the_levels() {
    let x = melody();
    let louder: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
    let shift_db = 20.0 * 2f64.log10();
    let cases = [
        ("feedback", vec!["target_rms_db"]),
        ("feedback-compressor", vec!["threshold_db"]),
        ("limiter", vec!["ceiling_db"]),
        ("leveller", vec!["target_db", "gate_db"]),
        ("feedback-leveller", vec!["target_db", "gate_db"]),
        ("normaliser", vec!["peak_db"]),
        ("speex", vec!["level_db"]),
    ];
    for (name, levels) in cases {
        let law = law(name);
        let base = |shift: f64| -> Vec<f64> {
            let moved = |p: &agcfix::law::Parameter| levels.contains(&p.name);
            law.parameters().iter().map(|p| if moved(p) { p.default - 10.0 + shift } else { p.default }).collect()
        };
        let one = gain_of(&*law, &base(0.0), SAMPLE_RATE_HZ, &x, Direction::Inverse);
        let two = gain_of(&*law, &base(shift_db), SAMPLE_RATE_HZ, &louder, Direction::Inverse);
        // Speex adds 1 to its noise in 16-bit units, so it knows an absolute scale, faintly.
        let allowed_db = if name == "speex" { 0.1 } else { 1e-3 };
        let error_db = rms(&ratio_db(&one, &two));
        assert!(error_db < allowed_db, "{name}: {error_db} dB");
    }
}

#[test]
fn blocks_of_any_length_give_the_same_gain() {
    let x = &melody()[..200_000];
    for law in families().iter().filter(|law| ours(&***law)) {
        let values = values(&**law, &[]);
        let run = |block: usize, inverse: bool| {
            let mut running = law.start(&values, SAMPLE_RATE_HZ);
            let mut gain = vec![0f32; x.len()];
            for (x, g) in x.chunks(block).zip(gain.chunks_mut(block)) {
                if inverse {
                    running.inverse(x, g);
                } else {
                    running.forward(x, g);
                }
            }
            gain
        };
        for inverse in [false, true] {
            let (whole, pieces) = (run(x.len(), inverse), run(777, inverse));
            let largest_db = ratio_db(&whole, &pieces).iter().fold(0f64, |a, e| a.max(e.abs()));
            assert!(largest_db < 1e-4, "{}: {largest_db} dB", law.name());
        }
    }
}

/// Known on paper: at rest the mean output power is the target's, so a steady square wave ends there.
#[test]
fn levellers_bring_a_steady_tone_to_their_target() {
    let x: Vec<f32> = (0..960_000).map(|n: usize| if (n / 50).is_multiple_of(2) { 0.05 } else { -0.05 }).collect();
    for (name, target) in [("feedback", "target_rms_db"), ("leveller", "target_db"), ("feedback-leveller", "target_db")]
    {
        let law = law(name);
        let gain = gain_of(&*law, &values(&*law, &[(target, -20.0)]), SAMPLE_RATE_HZ, &x, Direction::Forward);
        let end_db = 20.0 * f64::from(gain[x.len() - 1] * 0.05).log10();
        assert!((end_db + 20.0).abs() < 0.05, "{name}: {end_db} dB");
    }
}
