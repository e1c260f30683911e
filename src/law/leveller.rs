//! Slew-limited leveller: moves its gain towards a target level, no faster than so many dB per second.
//!
//! # The law
//! Blocks of 10 ms. With the detector's level `l` (mean power over a time constant, in dB), the gain `G` in dB:
//!
//! ```text
//! feed-forward   wanted = clamp(target - l_x, min, max)          l_x: level of what the device hears
//! feedback       wanted = clamp(G + target - l_y, min, max)      l_y: level of what it puts out
//! G += clamp(wanted - G, -down * 10 ms, +up * 10 ms)             held while the level is below the gate
//! ```
//!
//! and `G` runs in a straight line of decibels over the next block. This is the general form of the "automatic level"
//! of dictation machines and camcorders, and of speech levellers (WebRTC's AGC2 moves by 3 or 6 dB/s, Speex by +12 and
//! -40 dB/s); here without their speech detectors, which are laws of their own.
//!
//! Source: Giannoulis et al. 2012 for detector and topologies; ITU-T G.169 for levellers with slew limits.
//!
//! # The inverse
//! The gain of a block depends on blocks before it only, so `x = y / g` is known when it is needed: no equation is left
//! to solve, in either topology.

use super::{GainControl, Law, Parameter, Scale};

const LN_PER_DB: f64 = std::f64::consts::LN_10 / 20.0;

/// Time between two decisions.
const BLOCK_S: f64 = 0.010;

/// Power at which the detector bottoms out (-120 dBFS), so that silence has a level.
const SILENT_POWER: f64 = 1e-12;

/// Largest power of a sample that a detector takes in, as a multiple of full scale.
const LARGEST_POWER: f64 = 1e12;

const PARAMETERS: [Parameter; 8] = [
    Parameter {
        name: "target_db",
        unit: "dB",
        low: -50.0,
        high: -3.0,
        default: -20.0,
        scale: Scale::Linear,
        meaning: "output level that the gain aims at, dBFS rms of the recording",
    },
    Parameter {
        name: "up_db_per_s",
        unit: "dB/s",
        low: 0.3,
        high: 100.0,
        default: 6.0,
        scale: Scale::Log,
        meaning: "fastest rise of the gain",
    },
    Parameter {
        name: "down_db_per_s",
        unit: "dB/s",
        low: 0.3,
        high: 1000.0,
        default: 40.0,
        scale: Scale::Log,
        meaning: "fastest fall of the gain",
    },
    Parameter {
        name: "window_s",
        unit: "s",
        low: 0.01,
        high: 3.0,
        default: 0.2,
        scale: Scale::Log,
        meaning: "time constant of the detector's mean power",
    },
    Parameter {
        name: "gate_db",
        unit: "dB",
        low: -90.0,
        high: -30.0,
        default: -60.0,
        scale: Scale::Linear,
        meaning: "level of what the device hears below which the gain is held",
    },
    Parameter {
        name: "max_gain_db",
        unit: "dB",
        low: 0.0,
        high: 50.0,
        default: 20.0,
        scale: Scale::Linear,
        meaning: "highest gain",
    },
    Parameter {
        name: "min_gain_db",
        unit: "dB",
        low: -40.0,
        high: 0.0,
        default: -10.0,
        scale: Scale::Linear,
        meaning: "lowest gain",
    },
    Parameter {
        name: "start_gain_db",
        unit: "dB",
        low: -40.0,
        high: 50.0,
        default: 0.0,
        scale: Scale::Linear,
        meaning: "gain when the recording begins: the device may have been at work before",
    },
];

/// Slew-limited leveller that hears its input.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leveller;

/// Slew-limited leveller that hears its output.
#[derive(Debug, Clone, Copy, Default)]
pub struct FeedbackLeveller;

impl Law for Leveller {
    fn name(&self) -> &'static str {
        "leveller"
    }

    fn summary(&self) -> &'static str {
        "slew-limited leveller with gate, feed-forward (Giannoulis et al. 2012; ITU-T G.169)"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Running::new(Topology::FeedForward, values, sample_rate_hz))
    }
}

impl Law for FeedbackLeveller {
    fn name(&self) -> &'static str {
        "feedback-leveller"
    }

    fn summary(&self) -> &'static str {
        "slew-limited leveller with gate that hears its own output (Giannoulis et al. 2012; ITU-T G.169)"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Running::new(Topology::Feedback, values, sample_rate_hz))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topology {
    FeedForward,
    Feedback,
}

#[derive(Debug, Clone)]
struct Running {
    topology: Topology,
    target_db: f64,
    gate_db: f64,
    lowest_db: f64,
    highest_db: f64,
    rise_db: f64,
    fall_db: f64,
    block_len: usize,
    /// Share of a new block in the mean power.
    share: f64,
    /// Mean power of what the detector hears.
    power: f64,
    block_power: f64,
    filled: usize,
    gain_db: f64,
    gain: f64,
    /// Factor on the gain per sample within this block.
    step: f64,
}

impl Running {
    fn new(topology: Topology, values: &[f64], sample_rate_hz: f64) -> Self {
        let value = |i: usize| match values.get(i) {
            Some(v) if v.is_finite() => v.clamp(PARAMETERS[i].low, PARAMETERS[i].high),
            _ => PARAMETERS[i].default,
        };
        let block_len = ((BLOCK_S * sample_rate_hz).round() as usize).max(1);
        let block_s = block_len as f64 / sample_rate_hz;
        let (lowest_db, highest_db) = (value(6), value(5));
        let gain_db = value(7).clamp(lowest_db, highest_db);
        Self {
            topology,
            target_db: value(0),
            gate_db: value(4),
            lowest_db,
            highest_db,
            rise_db: value(1) * block_s,
            fall_db: value(2) * block_s,
            block_len,
            share: -(-block_s / value(3)).exp_m1(),
            power: SILENT_POWER,
            block_power: 0.0,
            filled: 0,
            gain_db,
            gain: (gain_db * LN_PER_DB).exp(),
            step: 1.0,
        }
    }

    /// Ends a block: decides where the gain goes over the next one.
    fn decide(&mut self) {
        let mean = self.block_power / self.block_len as f64;
        self.power += self.share * (mean - self.power);
        self.block_power = 0.0;
        self.filled = 0;
        let level_db = 0.5 * self.power.max(SILENT_POWER).ln() / LN_PER_DB;
        let (heard_db, wanted_db) = match self.topology {
            Topology::FeedForward => (level_db, self.target_db - level_db),
            Topology::Feedback => (level_db - self.gain_db, self.gain_db + self.target_db - level_db),
        };
        // Straight lines of decibels accumulate rounding; each block starts from the exact value.
        self.gain = (self.gain_db * LN_PER_DB).exp();
        self.step = 1.0;
        if heard_db >= self.gate_db {
            let wanted_db = wanted_db.clamp(self.lowest_db, self.highest_db);
            let move_db = (wanted_db - self.gain_db).clamp(-self.fall_db, self.rise_db);
            self.gain_db += move_db;
            self.step = (move_db * LN_PER_DB / self.block_len as f64).exp();
        }
    }

    /// Runs over samples; `power_scale` turns the power of a sample and the gain into the power that the detector hears.
    fn run(&mut self, samples: &[f32], gain: &mut [f32], power_scale: impl Fn(f64) -> f64) {
        let mut at = 0;
        while at < samples.len() {
            let take = (samples.len() - at).min(self.block_len - self.filled);
            let mut heard = 0.0;
            for (x, g) in samples[at..at + take].iter().zip(&mut gain[at..at + take]) {
                *g = self.gain as f32;
                heard += (f64::from(*x) * f64::from(*x)).min(LARGEST_POWER) * power_scale(self.gain);
                self.gain *= self.step;
            }
            self.block_power += heard;
            self.filled += take;
            at += take;
            if self.filled == self.block_len {
                self.decide();
            }
        }
    }
}

impl GainControl for Running {
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        match self.topology {
            Topology::FeedForward => self.run(drive, gain, |_| 1.0),
            Topology::Feedback => self.run(drive, gain, |g| g * g),
        }
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        match self.topology {
            Topology::FeedForward => self.run(recorded, gain, |g| 1.0 / (g * g)),
            Topology::Feedback => self.run(recorded, gain, |_| 1.0),
        }
    }
}
