//! Feedback gain controls: the gain follows the device's own output, so a recording tells it without any inversion.
//!
//! # Symbols
//! `x` what the device heard, `g` its gain, `y = g x` what it recorded, `n` the sample index.
//!
//! # The inverse is direct
//! Both laws here compute `g[n + 1]` from `g[n]` and `y[n]` alone. Running the recorded samples through the same
//! update therefore gives the very gain the device had, whatever its constants; nothing has to be solved. The price is
//! that the start gain is lost (an overall volume), and that a wrong target drifts without end: the range bounds it.

use super::block_means::BlockMeans;
use super::{GainControl, Habit, Law, Listened, Parameter, Scale};
use std::sync::Arc;

/// Natural logarithm per decibel of amplitude: `ln(10) / 20`.
const LN_PER_DB: f64 = std::f64::consts::LN_10 / 20.0;

/// Smallest factor that one sample may put on the gain: a sample far above the target would otherwise turn it negative
/// (the published update has no such bound and then never recovers).
const SMALLEST_STEP: f64 = 0.05;

/// Smallest gain of the compressor (-100 dB): keeps `x = y / g` finite.
const SMALLEST_GAIN: f64 = 1e-5;

/// Largest power that a detector takes in, as a multiple of full scale (+120 dB): keeps every state finite.
const LARGEST_POWER: f64 = 1e12;

fn power(sample: f64) -> f64 {
    let power = sample * sample;
    if power < LARGEST_POWER { power } else { LARGEST_POWER }
}

fn clamped(parameters: &[Parameter], values: &[f64], index: usize) -> f64 {
    let p = &parameters[index];
    match values.get(index) {
        Some(v) if v.is_finite() => v.clamp(p.low, p.high),
        _ => p.default,
    }
}

/// Leveller that integrates the error of its own output power: `ln g += k (1 - y^2 / r^2)` per sample.
///
/// Source: "Design and implementation of a new digital automatic gain control", hal-01397371, as the crate `dagc` does
/// it: `g *= 1 + k (1 - y^2 / r^2)`, from `g = 1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Feedback;

const FEEDBACK: [Parameter; 4] = [
    Parameter {
        name: "target_rms_db",
        unit: "dB",
        low: -60.0,
        high: -3.0,
        default: -24.0,
        scale: Scale::Linear,
        meaning: "output level at which the gain rests, dBFS rms of the recording; a later volume folds into it",
    },
    Parameter {
        name: "rate_db_per_s",
        unit: "dB/s",
        low: 0.3,
        high: 300.0,
        default: 4.2,
        scale: Scale::Log,
        meaning: "how fast the gain rises in silence; it falls faster by the output's excess power",
    },
    Parameter {
        name: "max_gain_db",
        unit: "dB",
        low: 0.0,
        high: 60.0,
        default: 30.0,
        scale: Scale::Linear,
        meaning: "highest gain over the gain at the start of the recording; devices have a range",
    },
    Parameter {
        name: "min_gain_db",
        unit: "dB",
        low: -60.0,
        high: 0.0,
        default: -30.0,
        scale: Scale::Linear,
        meaning: "lowest gain against the gain at the start of the recording",
    },
];

/// Programs write the two constants of the crate `dagc` as literals of one digit: the power aimed at, and the step per sample,
/// most often at 48 kHz. It sets no limits to the gain.
const HABITS: [Habit; 4] = [
    Habit::any_of(&TARGETS_DB, HABIT_COST),
    Habit::any_of(&RATES_DB_PER_S, HABIT_COST),
    Habit::any_of(&[60.0], 0.0),
    Habit::any_of(&[-60.0], 0.0),
];
/// What another constant costs, in points of misfit: as much as one that has no usual values.
const HABIT_COST: f64 = 25.0;

/// `10 lg` of powers from 0.00001 to 0.09 of one digit.
const TARGETS_DB: [f64; 36] = {
    const DIGITS_DB: [f64; 9] = [0.0, 3.0103, 4.7712, 6.0206, 6.9897, 7.7815, 8.4510, 9.0309, 9.5424];
    let mut out = [0.0; 36];
    let mut k = 0;
    while k < out.len() {
        out[k] = DIGITS_DB[k % 9] - 10.0 * (2 + k / 9) as f64;
        k += 1;
    }
    out
};

/// Steps of 1, 2 and 5 in a thousandth to a millionth per sample, at 48 kHz.
const RATES_DB_PER_S: [f64; 12] = {
    let mut out = [1e-3, 2e-3, 5e-3, 1e-4, 2e-4, 5e-4, 1e-5, 2e-5, 5e-5, 1e-6, 2e-6, 5e-6];
    let mut k = 0;
    while k < out.len() {
        out[k] *= 48_000.0 / LN_PER_DB;
        k += 1;
    }
    out
};

impl Law for Feedback {
    fn habits(&self) -> &[Habit] {
        &HABITS
    }

    fn may_drift(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "feedback"
    }

    fn summary(&self) -> &'static str {
        "leveller that integrates its own output's power error (hal-01397371; the crate dagc)"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &FEEDBACK
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(RunningFeedback::new(values, sample_rate_hz))
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        let pieces = recorded.chunks(PIECE_SAMPLES).map(|piece| {
            let powers = || piece.iter().map(|y| power(f64::from(*y)));
            (powers().sum(), powers().map(|p| p * p).sum())
        });
        Some(Arc::new(Recording { pieces: pieces.collect(), sample_rate_hz, sample_len: recorded.len() }))
    }
}

/// Samples over which the power is added up for the coarse inverse: 1 ms at 48 kHz.
const PIECE_SAMPLES: usize = 48;

/// What the coarse inverse needs of a recording: the gain's logarithm moves by the sum of `ln(1 + k (1 - y^2 / r^2))`, which is
/// `u - u^2 / 2` summed for the small `u` that all but the fastest rates have, so that sums of `y^2` and `y^4` tell it.
#[derive(Debug)]
struct Recording {
    /// Sums of `y^2` and `y^4`, piece by piece.
    pieces: Vec<(f64, f64)>,
    sample_rate_hz: f64,
    sample_len: usize,
}

impl Listened for Recording {
    fn inverse_blocks(&self, values: &[f64], hop_samples: usize) -> Vec<f32> {
        let RunningFeedback { rise, fall_per_power, max_gain, min_gain, gain } =
            RunningFeedback::new(values, self.sample_rate_hz);
        let rise = rise - 1.0;
        let mut means = BlockMeans::new(PIECE_SAMPLES as f64, hop_samples, self.sample_len);
        let mut before = gain;
        for (power, square) in &self.pieces {
            let len = PIECE_SAMPLES as f64;
            let sum = len * rise - fall_per_power * power;
            let squares =
                len * rise * rise - 2.0 * rise * fall_per_power * power + fall_per_power * fall_per_power * square;
            let after = (before * (sum - 0.5 * squares).exp()).clamp(min_gain, max_gain);
            means.push(before, after);
            before = after;
        }
        means.finish()
    }
}

#[derive(Debug, Clone)]
struct RunningFeedback {
    /// Factor on the gain per sample of silence: `1 + k`.
    rise: f64,
    /// What a unit of output power takes off that factor: `k / r^2`.
    fall_per_power: f64,
    max_gain: f64,
    min_gain: f64,
    gain: f64,
}

impl RunningFeedback {
    fn new(values: &[f64], sample_rate_hz: f64) -> Self {
        let value = |i| clamped(&FEEDBACK, values, i);
        let step = value(1) * LN_PER_DB / sample_rate_hz;
        Self {
            rise: 1.0 + step,
            fall_per_power: step * (-2.0 * LN_PER_DB * value(0)).exp(),
            max_gain: (value(2) * LN_PER_DB).exp(),
            min_gain: (value(3) * LN_PER_DB).exp(),
            gain: 1.0,
        }
    }

    #[inline]
    fn hear(&mut self, output: f64) {
        let factor = (self.rise - self.fall_per_power * power(output)).max(SMALLEST_STEP);
        self.gain = (self.gain * factor).clamp(self.min_gain, self.max_gain);
    }
}

impl GainControl for RunningFeedback {
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        for (x, g) in drive.iter().zip(gain) {
            *g = self.gain as f32;
            self.hear(f64::from(*x) * self.gain);
        }
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        for (y, g) in recorded.iter().zip(gain) {
            *g = self.gain as f32;
            self.hear(f64::from(*y));
        }
    }
}

/// Compressor whose detector sits behind its gain cell, as in the classic analogue designs.
///
/// `e += (y^2 - e) (attack or release)`, `L = 10 log10 e`, and `20 log10 g = -slope (L - threshold)` above the
/// threshold, with a quadratic knee. In terms of the input the ratio is `1 + slope`.
///
/// Source: Giannoulis, Massberg, Reiss, "Digital Dynamic Range Compressor Design", J. Audio Eng. Soc. 60 (2012), the
/// feedback topology.
#[derive(Debug, Clone, Copy, Default)]
pub struct FeedbackCompressor;

const FEEDBACK_COMPRESSOR: [Parameter; 5] = [
    Parameter {
        name: "threshold_db",
        unit: "dB",
        low: -60.0,
        high: -3.0,
        default: -30.0,
        scale: Scale::Linear,
        meaning: "output level above which the gain falls, dBFS rms of the recording",
    },
    Parameter {
        name: "slope",
        unit: "",
        low: 0.2,
        high: 20.0,
        default: 3.0,
        scale: Scale::Log,
        meaning: "dB of gain reduction per dB of output above the threshold; the ratio is 1 + slope",
    },
    Parameter {
        name: "attack_s",
        unit: "s",
        low: 0.000_5,
        high: 0.5,
        default: 0.02,
        scale: Scale::Log,
        meaning: "time constant of the detector while the output power rises",
    },
    Parameter {
        name: "release_s",
        unit: "s",
        low: 0.01,
        high: 5.0,
        default: 0.5,
        scale: Scale::Log,
        meaning: "time constant of the detector while the output power falls",
    },
    Parameter {
        name: "knee_db",
        unit: "dB",
        low: 0.0,
        high: 12.0,
        default: 6.0,
        scale: Scale::Linear,
        meaning: "width of the quadratic knee around the threshold",
    },
];

impl Law for FeedbackCompressor {
    fn name(&self) -> &'static str {
        "feedback-compressor"
    }

    fn summary(&self) -> &'static str {
        "compressor whose detector hears its own output (Giannoulis et al. 2012, feedback topology)"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &FEEDBACK_COMPRESSOR
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let value = |i| clamped(&FEEDBACK_COMPRESSOR, values, i);
        let coefficient = |seconds: f64| -(-1.0 / (seconds * sample_rate_hz)).exp_m1();
        let half_knee_db = 0.5 * value(4);
        Box::new(RunningFeedbackCompressor {
            attack: coefficient(value(2)),
            release: coefficient(value(3)),
            threshold_db: value(0),
            slope: value(1),
            half_knee_db,
            silent_power: (2.0 * LN_PER_DB * (value(0) - half_knee_db)).exp(),
            power: 0.0,
            gain: 1.0,
            next_gain: 1.0,
            clock: 0,
        })
    }
}

/// Samples between two readings of the static curve; the gain is interpolated linearly between them. At 48 kHz 1/6 ms,
/// a third of the shortest attack; it only saves logarithms.
const CURVE_SAMPLES: u32 = 8;

#[derive(Debug, Clone)]
struct RunningFeedbackCompressor {
    attack: f64,
    release: f64,
    threshold_db: f64,
    slope: f64,
    half_knee_db: f64,
    /// Power below which the gain is 1: the lower end of the knee.
    silent_power: f64,
    power: f64,
    gain: f64,
    next_gain: f64,
    clock: u32,
}

impl RunningFeedbackCompressor {
    fn curve(&self) -> f64 {
        if self.power <= self.silent_power {
            return 1.0;
        }
        let over_db = 0.5 * self.power.ln() / LN_PER_DB - self.threshold_db;
        let bent_db = if over_db < self.half_knee_db {
            (over_db + self.half_knee_db).powi(2) / (4.0 * self.half_knee_db)
        } else {
            over_db
        };
        (-self.slope * bent_db * LN_PER_DB).exp().max(SMALLEST_GAIN)
    }

    #[inline]
    fn hear(&mut self, output: f64) {
        let power = power(output);
        self.power += (power - self.power) * if power > self.power { self.attack } else { self.release };
        self.clock += 1;
        if self.clock == CURVE_SAMPLES {
            self.clock = 0;
            self.gain = self.next_gain;
            self.next_gain = self.curve();
        }
    }

    #[inline]
    fn gain_now(&self) -> f64 {
        self.gain + (self.next_gain - self.gain) * f64::from(self.clock) * (1.0 / f64::from(CURVE_SAMPLES))
    }
}

impl GainControl for RunningFeedbackCompressor {
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        for (x, g) in drive.iter().zip(gain) {
            let now = self.gain_now();
            *g = now as f32;
            self.hear(f64::from(*x) * now);
        }
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        for (y, g) in recorded.iter().zip(gain) {
            *g = self.gain_now() as f32;
            self.hear(f64::from(*y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::together::tests::struck_notes;

    #[test]
    fn what_was_heard_gives_the_gain_of_every_sample() {
        let (heard, hop) = (struck_notes(), 480);
        let listened = Feedback.listen(&heard, 48_000.0).map(|l| move |values: &[f64]| l.inverse_blocks(values, hop));
        let coarse_of = listened.unwrap_or_else(|| unreachable!("feedback listens"));
        // At the last rate the loudest samples move the gain by more than the series holds for.
        for (values, most_db) in [
            ([-24.0, 4.2, 60.0, -60.0], 0.01),
            ([-12.0, 40.0, 6.0, -6.0], 0.02),
            ([-30.0, 1.0, 60.0, -60.0], 0.01),
            ([-24.0, 150.0, 60.0, -60.0], 1.0),
        ] {
            let mut running = Feedback.start(&values, 48_000.0);
            let mut gain = vec![0.0; hop];
            for (block, coarse) in heard.chunks(hop).zip(coarse_of(&values)) {
                running.inverse(block, &mut gain);
                let exact = gain.iter().sum::<f32>() / hop as f32;
                let error_db = 20.0 * (coarse / exact).log10();
                assert!(error_db.abs() < most_db, "{values:?}: {error_db} dB");
            }
        }
    }
}
