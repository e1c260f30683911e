//! Recordings and analyses made by hand, for the tests of this module only.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use crate::analysis::*;
use crate::audio::Audio;
use crate::law::{FittedParameter, LawFit};
use std::f64::consts::TAU;

/// Eight notes, each of four partials that decay, at the gain `gain_db(t)`; 8 kHz keeps tests fast.
pub fn audio(duration_s: f64, gain_db: impl Fn(f64) -> f64) -> Audio {
    let rate_hz = 8_000.0;
    let sample = |n: usize| {
        let time_s = n as f64 / rate_hz;
        let note = (time_s / duration_s * 8.0).floor();
        let since_s = time_s - note * duration_s / 8.0;
        let f0_hz = 130.8 * 2f64.powf(note * 5.0 / 12.0);
        let partials = (1..=4).map(|p| {
            let p = f64::from(p);
            0.2 / p * 10f64.powf(-since_s * 8.0 * p / 20.0) * (TAU * p * f0_hz * since_s).sin()
        });
        (partials.sum::<f64>() * 10f64.powf(gain_db(time_s) / 20.0)) as f32
    };
    Audio::new(8_000, vec![(0..(duration_s * rate_hz) as usize).map(sample).collect()]).unwrap()
}

/// An analysis of [`audio`] that is complete but made up.
pub fn analysis(audio: &Audio, verdict: Verdict, gain_db: impl Fn(f64) -> f64) -> Analysis {
    let duration_s = audio.duration_s();
    let hop_s = 0.01;
    let gain: Vec<f64> = (0..=(duration_s / hop_s) as usize).map(|i| gain_db(i as f64 * hop_s)).collect();
    let is_agc = verdict == Verdict::Agc;
    let parameter = |name: &str, unit: &str, value: f64| FittedParameter {
        name: name.to_owned(),
        unit: unit.to_owned(),
        value,
        lower: value - 0.05 * value.abs(),
        upper: value + 0.05 * value.abs(),
    };
    let decay = |note: usize, partial: usize| {
        let frequency_hz = 130.8 * 2f64.powf(note as f64 * 5.0 / 12.0) * partial as f64;
        let d = 8.0 * partial as f64;
        DecaySegment {
            note_index: note,
            start_s: note as f64 * duration_s / 8.0 + 0.02,
            end_s: (note + 1) as f64 * duration_s / 8.0 - 0.02,
            frequency_hz,
            level_db: -14.0 - 20.0 * (partial as f64).log10(),
            decay_db_per_s: d,
            decay_error_db_per_s: 0.4,
            alpha_per_s: d / 8.686,
            t60_s: Some(60.0 / d),
            second_stage_db: 0.5,
            residual_db: 0.2,
        }
    };
    let decays: Vec<DecaySegment> = (0..8).flat_map(|note| (1..=4).map(move |p| decay(note, p))).collect();
    let event = |i: usize| Event {
        start_s: i as f64 * duration_s / 8.0,
        end_s: i as f64 * duration_s / 8.0 + 0.03,
        kind: if i.is_multiple_of(2) { EventKind::Attack } else { EventKind::Release },
        change_db: if i.is_multiple_of(2) { -3.25 } else { 2.5 },
        error_db: 0.4,
        confidence: 0.97,
        partials_voted: 9,
        measured_db: Some(-3.1),
    };
    Analysis {
        input: InputSummary {
            sample_rate_hz: audio.sample_rate_hz(),
            channel_len: audio.channels().len(),
            sample_len: audio.sample_len(),
            duration_s,
        },
        evidence: EvidenceSummary {
            j_without_gain: 1.0704,
            j_with_gain: if is_agc { 1.0493 } else { 1.0699 },
            p_value: if is_agc { 0.002 } else { 0.41 },
            step_slope: Some(0.97),
            step_slope_error: Some(0.06),
            segment_len: decays.len(),
            note_len: 8,
            onset_len: 7,
            gain_movement_db: 2.9,
        },
        law: Some(LawFit {
            name: "compressor".to_owned(),
            parameters: vec![
                parameter("threshold_db", "dB", -17.9),
                parameter("slope", "", 0.73),
                parameter("knee_db", "dB", 4.1),
                parameter("attack_s", "s", 0.0102),
                parameter("release_s", "s", 0.61),
            ],
            landings: Vec::new(),
        }),
        events: if is_agc { (0..8).map(event).collect() } else { vec![] },
        gain_curve: GainCurve {
            start_s: 0.0,
            hop_s,
            lower_db: gain.iter().map(|g| g - 0.5).collect(),
            upper_db: gain.iter().map(|g| g + 0.5).collect(),
            gain_db: gain,
        },
        partials: PartialSummary {
            track_len: 40,
            segment_len: decays.len(),
            point_len: 4_000,
            decay_by_octave: vec![
                OctaveDecay { centre_hz: 130.8, median_db_per_s: 8.0, segment_len: 4 },
                OctaveDecay { centre_hz: 523.3, median_db_per_s: 16.0, segment_len: 12 },
            ],
        },
        decays,
        families: vec![FamilyReport {
            law: "compressor".to_owned(),
            j: 1.0493,
            evaluation_len: 4_210,
            termination: "converged".to_owned(),
        }],
        warnings: vec![Warning::Short { duration_s }],
        verdict,
    }
}
