//! Laws that listen once: their coarse inverse against the exact one.
#![allow(clippy::unwrap_used)]

use agcfix::law::{Direction, Law, Listened, families, gain_of};
use std::f64::consts::TAU;
use std::sync::Arc;

const RATE_HZ: f64 = 44_100.0;

/// Neither a divisor nor a multiple of any frame.
const HOP_SAMPLES: usize = 1_000;

/// Difference allowed between the coarse and the exact inverse, dB rms.
const COARSE_DB: f64 = 0.3;

/// Struck notes, loud and soft, that stay below the laws' ceilings: onset in s, frequency in Hz, amplitude.
fn tones() -> Vec<f32> {
    const NOTES: [(f64, f64, f64); 9] = [
        (0.3, 220.0, 0.06),
        (1.1, 277.18, 0.03),
        (1.9, 164.81, 0.09),
        (3.4, 440.0, 0.02),
        (4.1, 110.0, 0.09),
        (5.7, 329.63, 0.01),
        (6.5, 146.83, 0.08),
        (8.2, 523.25, 0.04),
        (9.3, 196.0, 0.015),
    ];
    // Not a multiple of the hop: the last block is short.
    (0..(11.03 * RATE_HZ) as usize)
        .map(|n| {
            let note = |(onset_s, hz, amplitude): (f64, f64, f64)| {
                let t = n as f64 / RATE_HZ - onset_s;
                let partial = |h: f64| amplitude / h * (-(0.8 + 0.5 * h) * t).exp() * (TAU * h * hz * t).sin();
                (1..=6).map(|h| partial(f64::from(h))).sum::<f64>() * (1.0 - (-t / 0.003).exp())
            };
            // A recording is never quite silent: -66 dBFS of hiss.
            let hiss = 1e-3 * ((n as f64 * 12.9898).sin() * 43_758.545_3).fract();
            (hiss + NOTES.into_iter().filter(|note| n as f64 >= note.0 * RATE_HZ).map(note).sum::<f64>()) as f32
        })
        .collect()
}

struct Case {
    law: Arc<dyn Law>,
    values: Vec<f64>,
    recorded: Vec<f32>,
}

/// Every law that listens, at its defaults and with some of them changed, on its own recording.
fn cases() -> Vec<Case> {
    const CHANGES: [&[(&str, f64)]; 3] = [
        &[],
        &[("compression_gain_db", 14.0), ("wideband", 0.0), ("volume_db", -4.0), ("frame_ms", 16.0)],
        &[("limiter", 0.0), ("level_db", -15.0), ("increase_db_per_s", 5.0), ("decrease_db_per_s", 80.0)],
    ];
    let clean = tones();
    let mut out = Vec::new();
    for law in families().into_iter().filter(|law| law.listen(&clean[..100], RATE_HZ).is_some()) {
        for changes in CHANGES {
            let value = |name, default| changes.iter().find(|c| c.0 == name).map_or(default, |c| c.1);
            let values = law.parameters().iter().map(|p| value(p.name, p.default)).collect::<Vec<_>>();
            let gain = gain_of(law.as_ref(), &values, RATE_HZ, &clean, Direction::Forward);
            let recorded = clean.iter().zip(&gain).map(|(x, g)| x * g).collect();
            out.push(Case { law: Arc::clone(&law), values, recorded });
        }
    }
    out
}

impl Case {
    /// Difference of the blocks' gains from those of the exact inverse, dB rms.
    fn error_db(&self, listened: &dyn Listened) -> f64 {
        let exact = gain_of(self.law.as_ref(), &self.values, RATE_HZ, &self.recorded, Direction::Inverse);
        let coarse = listened.inverse_blocks(&self.values, HOP_SAMPLES);
        assert_eq!(coarse.len(), exact.len().div_ceil(HOP_SAMPLES));
        let mean = |block: &[f32]| block.iter().map(|&g| f64::from(g)).sum::<f64>() / block.len() as f64;
        let differences = exact.chunks(HOP_SAMPLES).zip(&coarse).map(|(e, &c)| 20.0 * (f64::from(c) / mean(e)).log10());
        (differences.map(|d| d * d).sum::<f64>() / coarse.len() as f64).sqrt()
    }
}

#[test]
fn laws_that_listen_once_agree_with_their_exact_inverse() {
    let cases = cases();
    assert!(cases.len() >= 12, "{} cases", cases.len());
    for case in &cases {
        let listened = case.law.listen(&case.recorded, RATE_HZ).unwrap();
        let error_db = case.error_db(listened.as_ref());
        println!("{} {:?}: {error_db:.3} dB", case.law.name(), case.values);
        assert!(error_db < COARSE_DB, "{} {:?}: {error_db:.3} dB", case.law.name(), case.values);
    }
}

/// The planted faults: a recording heard 20 dB too loud, and one heard 0.2 s late.
#[test]
fn laws_that_mishear_do_not_agree() {
    for case in &cases() {
        let louder = case.recorded.iter().map(|y| 10.0 * y).collect::<Vec<_>>();
        let mut late = vec![0.0; (0.2 * RATE_HZ) as usize];
        late.extend_from_slice(&case.recorded[..case.recorded.len() - late.len()]);
        let errors_db = [louder, late].map(|heard| case.error_db(case.law.listen(&heard, RATE_HZ).unwrap().as_ref()));
        println!("{} {:?}: {errors_db:.3?} dB", case.law.name(), case.values);
        assert!(errors_db.iter().any(|&e| e > COARSE_DB), "{} {:?}: {errors_db:?}", case.law.name(), case.values);
    }
}

#[test]
fn a_recording_shorter_than_a_frame_has_its_one_block() {
    for case in &cases() {
        for len in [0, 1, 100] {
            let gains =
                case.law.listen(&case.recorded[..len], RATE_HZ).unwrap().inverse_blocks(&case.values, HOP_SAMPLES);
            assert_eq!(gains.len(), len.div_ceil(HOP_SAMPLES));
            assert!(gains.iter().all(|g| g.is_finite() && *g > 0.0), "{} {gains:?}", case.law.name());
        }
    }
}

/// A soft tone, after which the emulated microphone stands at its loudest, and a louder one: what is recorded of both.
fn soft_then(amplitude: f64) -> (Arc<dyn Law>, Vec<f64>, Vec<f32>) {
    let law = families().into_iter().find(|law| law.name() == "agc1-adaptive").unwrap();
    let values = law.parameters().iter().map(|p| p.default).collect::<Vec<_>>();
    let sample = |n: usize| {
        let t = n as f64 / RATE_HZ;
        (if t < TURN_S { 0.005 } else { amplitude }) * (TAU * 220.0 * t).sin()
    };
    let clean = (0..(12.0 * RATE_HZ) as usize).map(|n| sample(n) as f32).collect::<Vec<_>>();
    let gain = gain_of(law.as_ref(), &values, RATE_HZ, &clean, Direction::Forward);
    let recorded = clean.iter().zip(&gain).map(|(x, g)| x * g).collect();
    (law, values, recorded)
}

/// When the louder tone begins, in seconds.
const TURN_S: f64 = 9.0;

#[test]
fn a_fall_that_cannot_be_told_is_told_with_its_time() {
    let lost_s = |amplitude| {
        let (law, values, recorded) = soft_then(amplitude);
        law.listen(&recorded, RATE_HZ).unwrap().lost_s(&values)
    };
    let told = lost_s(0.9);
    assert!(told.is_some_and(|at_s| (at_s - TURN_S).abs() < 0.1), "{told:?}");
    // Twice as loud overloads nothing.
    assert_eq!(lost_s(0.01), None);
}
