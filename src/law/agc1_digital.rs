//! The digital stage of WebRTC's first gain control: level, gain table, gate, ramps.
//!
//! Per millisecond, with `e` the largest squared sample and levels in squared 16-bit samples:
//!
//! ```text
//! fast <- max(fast (1 - 1000/65536), e)                     instant attack, -66.8 dB/s
//! slow <- slow + 500/65536 (e - slow)          if e > slow  attack of 131 ms
//!         slow (1 - decay/65536)               otherwise    decay 0..65: up to -4.3 dB/s, by the voice measure
//! gain  = table(max(fast, slow))                            linear in power between entries 3.01 dB apart
//! ```
//!
//! then a gate pulls the gain towards that of the loudest level while the fast level is far below the slow one and the
//! level is calm, a limit keeps peaks below full scale, and the gain runs linearly from one millisecond's end to the
//! next, reductions one millisecond early.
//!
//! # Inverse
//! The recorded signal is known, the gain is not: `e = (y/g)^2` with `g` where the peak lies. All eleven gains of a frame
//! are iterated together, each by a Newton step whose slope is that of the table. Where the table is a ceiling the
//! output does not depend on the input and the slope of the equation vanishes: there the step is damped to nothing and
//! the gain stays where the law's own recovery has left it. That is finite, and it is a guess.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy/digital_agc`.

use super::agc1_hearing::{FULL_SCALE, Heard, SUBFRAMES};
use super::agc1_voice::Voice;

/// Entries of the gain table; entry `i` belongs to a peak level of `3.01 (1 - i)` dBFS.
const TABLE_LEN: usize = 32;
/// One table step, `10 log10 2` dB of level.
const STEP_DB: f64 = 3.010_299_956_639_812;
/// Ratio of the compressor below the limiter.
const RATIO: i32 = 3;

/// Share of the fast level that is lost per millisecond (-66.8 dB/s).
const FAST_DECAY: f64 = 1_000.0 / 65_536.0;
/// Share of the way to a higher peak that the slow level goes per millisecond (131 ms).
const SLOW_ATTACK: f64 = 500.0 / 65_536.0;
/// Largest share of the slow level that is lost per millisecond, in 1/65536 (-4.3 dB/s).
const SLOW_DECAY: i32 = 65;
/// Log-ratio (1/1024) from which the slow level decays at full speed.
const ACTIVE: i32 = 1_024;
/// Long-term deviation below which adaptive modes take the signal for a long silence: no decay at all.
const CALM_FROM: i32 = 4_000;
/// Long-term deviation from which the decay is not slowed.
const CALM_TO: i32 = 8_096;
/// Slow level at the start of adaptive modes: -9 dBFS.
const SLOW_START: f64 = 0.125 * FULL_SCALE * FULL_SCALE;

/// Gate units per octave of level.
const GATE_OCTAVE: f64 = 512.0;
/// Gate before levels and deviation are counted.
const GATE_OFFSET: f64 = 1_000.0;
/// Gate from which it is fully closed.
const GATE_MAX: f64 = 2_500.0;
/// Share (1/256) of the gain's distance from the loudest level's that a closed gate leaves; an open one leaves 256.
const GATE_FLOOR: f64 = 178.0;

/// Reduction (0.1 dB) by which the gain is lowered until a peak fits below full scale.
const FIT_STEP: f64 = 253.0 / 256.0;

/// Sweeps of the inverse over a frame; typical frames need 2 to 5.
const SWEEPS_MAX: usize = 24;
/// Change of every gain (natural logarithm) at which a frame counts as solved: 0.0001 dB.
const SETTLED: f64 = 1e-5;
/// Damping of the Newton step where the equation's own slope vanishes. At the compressor's 2:3 it costs nothing.
const DAMPING: f64 = 0.1;
/// Largest Newton step, natural logarithm (6 dB).
const STEP_MAX: f64 = 0.7;
/// Bounds on a gain in the inverse: what the table can hold, with room.
const GAIN_RANGE: (f64, f64) = (1e-4, 1e5);

/// What the user of the device has set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// Target level in dB below full scale, 0 to 31.
    pub target: i32,
    /// Compression gain in dB, 0 to 90.
    pub compression: i32,
    /// Whether levels above the target are held there.
    pub limiter: bool,
    /// Adaptive modes start at -9 dBFS, slow down in silence, and read the compression gain differently.
    pub adaptive: bool,
}

/// Gains by level.
#[derive(Debug, Clone)]
pub(super) struct Table([f64; TABLE_LEN]);

/// `log2(1 + e^x)`, linear between whole numbers as the device has it.
fn soft_plus_2(x: f64) -> f64 {
    let exact = |n: f64| n.exp().ln_1p() / std::f64::consts::LN_2;
    let (whole, part) = (x.abs().floor(), x.abs().fract());
    let above = exact(whole) + part * (exact(whole + 1.0) - exact(whole));
    if x < 0.0 { (above + x / std::f64::consts::LN_2).max(0.0) } else { above }
}

/// `2^x`, in two straight pieces per octave as the device has it: up to 0.13 dB below the exact value.
fn power_of_2(x: f64) -> f64 {
    /// Value at the middle of an octave that makes the two pieces fit best.
    const MIDDLE: f64 = 22_817.0 / 16_384.0;
    let (whole, part) = (x.floor(), x - x.floor());
    let mantissa =
        if part < 0.5 { 1.0 + 2.0 * part * (MIDDLE - 1.0) } else { 2.0 - 2.0 * (1.0 - part) * (2.0 - MIDDLE) };
    whole.exp2() * mantissa
}

impl Table {
    /// The soft-kneed 3:1 compressor, and above the reference level the limiter.
    ///
    /// With `u = D - 2/3 s`, `s` the level in dB and `D` 2/3 of the compression gain:
    /// `gain = M - D log2(1 + e^u) / log2(1 + e^D)` dB, `M` the largest gain; in the limiter `gain = -target - s`.
    pub fn new(settings: Settings) -> Self {
        // In the fixed mode target and compression add up, and the limiter begins at minus their sum; otherwise it
        // begins at 4 dB plus 5/11 of the compression gain below full scale.
        let Settings { target, compression, limiter, adaptive } = settings;
        let compression = if adaptive { compression } else { compression + target };
        let reference = if adaptive { 4 + (5 * compression + 5) / 11 } else { compression };
        let linear = reference - target;
        let gain_max = linear.max(linear + ((compression - reference) * (RATIO - 1) + RATIO / 2) / RATIO);
        let range = (compression * (RATIO - 1) + RATIO / 2) / RATIO;
        let limiter_len = 2 + (f64::from(reference) / STEP_DB) as usize;
        let (gain_max, range) = (f64::from(gain_max), f64::from(range));
        let knee = soft_plus_2(range);
        let mut table = [0.0; TABLE_LEN];
        for (i, gain) in table.iter_mut().enumerate() {
            let below_db = STEP_DB * (i as f64 - 1.0);
            let gain_db = if limiter && i < limiter_len {
                below_db - f64::from(target)
            } else {
                gain_max - range * soft_plus_2(range - below_db * f64::from(RATIO - 1) / f64::from(RATIO)) / knee
            };
            *gain = power_of_2(gain_db / 20.0 * std::f64::consts::LOG2_10);
        }
        Self(table)
    }

    /// Gain of a level, and its relative slope `-d ln gain / d ln level`.
    fn gain(&self, level: f64) -> (f64, f64) {
        if level < 1.0 {
            return (self.0[TABLE_LEN - 1], 0.0);
        }
        let (octave, part) = octaves(level);
        let index = 31usize.saturating_sub(octave).clamp(1, TABLE_LEN - 1);
        let (here, louder) = (self.0[index], self.0[index - 1]);
        let gain = here + (louder - here) * part;
        (gain, (here - louder) * (1.0 + part) / gain)
    }

    /// Gain of the loudest level, which the gate pulls towards.
    fn loudest(&self) -> f64 {
        self.0[0]
    }
}

/// Exponent and mantissa (minus 1) of a level of at least 1.
fn octaves(level: f64) -> (usize, f64) {
    let bits = level.to_bits();
    let exponent = (bits >> 52) as usize - 1_023;
    (exponent, f64::from_bits((bits & ((1 << 52) - 1)) | (1_023 << 52)) - 1.0)
}

/// Octaves of a level, straight between whole ones as the device has it; 0 for levels below 1.
fn octaves_linear(level: f64) -> f64 {
    if level < 1.0 {
        return 0.0;
    }
    let (octave, part) = octaves(level);
    octave as f64 + part
}

/// What the stage remembers from frame to frame.
#[derive(Debug, Clone, Copy)]
struct State {
    fast: f64,
    slow: f64,
    gate: f64,
    gain: f64,
    voice: Voice,
}

/// The gains of a frame at its eleven millisecond marks.
pub(super) type Gains = [f64; SUBFRAMES + 1];

/// What one pass over a frame gives.
struct Pass {
    state: State,
    gains: Gains,
    /// Share of a gain's own logarithm with which the law answers to it, per mark: 1 at a ceiling.
    answer: Gains,
}

/// The stage at work.
#[derive(Debug, Clone)]
pub(super) struct Digital {
    table: Table,
    adaptive: bool,
    state: State,
}

impl Digital {
    pub fn new(settings: Settings) -> Self {
        let slow = if settings.adaptive { SLOW_START } else { 0.0 };
        let state = State { fast: 0.0, slow, gate: 0.0, gain: 1.0, voice: Voice::new() };
        Self { table: Table::new(settings), adaptive: settings.adaptive, state }
    }

    /// The voice measure after the last frame.
    pub fn voice(&self) -> &Voice {
        &self.state.voice
    }

    /// Gains of a frame whose input is known.
    pub fn forward(&mut self, heard: &Heard, quiet: bool) -> Gains {
        let envelope = heard.peak.map(|peak| (peak * peak).floor());
        let Pass { state, gains, .. } = self.pass(&envelope, &heard.peak_at, heard.voice.iter().sum(), quiet);
        self.state = state;
        look_ahead(&gains)
    }

    /// Gains of a frame whose output is known; `quiet` is told of the input's energy.
    pub fn inverse(&mut self, recorded: &Heard, quiet: impl Fn(&Gains) -> bool) -> Gains {
        let mut marks = [self.state.gain; SUBFRAMES + 1];
        let mut last = None;
        for _ in 0..SWEEPS_MAX {
            let gains = look_ahead(&marks);
            let mut envelope = [0.0; SUBFRAMES];
            let mut voice = 0.0;
            for k in 0..SUBFRAMES {
                let at_peak = gains[k] + recorded.peak_at[k] * (gains[k + 1] - gains[k]);
                let peak = recorded.peak[k] / at_peak;
                envelope[k] = peak * peak;
                let middle = 0.5 * (gains[k] + gains[k + 1]);
                voice += recorded.voice[k] / (middle * middle);
            }
            let pass = self.pass(&envelope, &recorded.peak_at, voice, quiet(&gains));
            let mut change = 0f64;
            for k in 1..=SUBFRAMES {
                let (new, old) = (pass.gains[k].clamp(GAIN_RANGE.0, GAIN_RANGE.1), marks[k]);
                if new == old {
                    continue;
                }
                let slope = 1.0 - pass.answer[k];
                let newton = if slope == 1.0 { 1.0 } else { slope / (slope * slope + DAMPING * DAMPING) };
                let step = ((new / old).ln() * newton).clamp(-STEP_MAX, STEP_MAX);
                if step.abs() < 1e-12 {
                    continue;
                }
                marks[k] = if newton == 1.0 && step.abs() < STEP_MAX { new } else { old * step.exp() };
                marks[k] = marks[k].clamp(GAIN_RANGE.0, GAIN_RANGE.1);
                change = change.max(step.abs());
            }
            last = Some(pass.state);
            if change < SETTLED {
                break;
            }
        }
        if let Some(state) = last {
            self.state = State { gain: marks[SUBFRAMES], ..state };
        }
        look_ahead(&marks)
    }

    /// One frame from its envelope (squared peaks) and voice energy; the state is not touched.
    fn pass(&self, envelope: &[f64; SUBFRAMES], peak_at: &[f64; SUBFRAMES], voice: f64, quiet: bool) -> Pass {
        let mut state = self.state;
        state.voice.hear(voice);
        let decay = self.slow_decay(&state.voice, quiet);
        let mut gains = [state.gain; SUBFRAMES + 1];
        let mut answer = [0.0; SUBFRAMES + 1];
        let mut level = 0.0;
        for (k, &e) in envelope.iter().enumerate() {
            state.fast -= FAST_DECAY * state.fast;
            let struck = e > state.fast;
            if struck {
                state.fast = e;
            }
            if e > state.slow {
                state.slow += SLOW_ATTACK * (e - state.slow);
            } else {
                state.slow -= decay * state.slow;
            }
            level = state.fast.max(state.slow);
            let (gain, slope) = self.table.gain(level);
            gains[k + 1] = gain;
            if struck && state.fast >= state.slow {
                // The level is the square of the peak over the gain, of which this mark has the share `peak_at`, or
                // all where the reduction comes early.
                let share = if k > 0 && gains[k + 1] < gains[k] { 1.0 } else { peak_at[k] };
                answer[k + 1] = 2.0 * slope * share;
            }
        }
        state.gate = self.gate(&state, level);
        if state.gate > 0.0 {
            let open = ((GATE_MAX - state.gate) / 32.0).floor().max(0.0);
            let share = (GATE_FLOOR + open) / 256.0;
            let loudest = self.table.loudest();
            for gain in &mut gains[1..] {
                *gain = loudest + (*gain - loudest) * share;
            }
        }
        for (gain, &e) in gains[1..].iter_mut().zip(envelope) {
            *gain = fit_below_full_scale(*gain, e);
        }
        state.gain = gains[SUBFRAMES];
        Pass { state, gains, answer }
    }

    /// Share of the slow level lost per millisecond.
    fn slow_decay(&self, voice: &Voice, quiet: bool) -> f64 {
        let mut decay = SLOW_DECAY * voice.log_ratio.clamp(0, ACTIVE) / ACTIVE;
        if self.adaptive {
            if quiet || voice.deviation_long < CALM_FROM {
                decay = 0;
            } else if voice.deviation_long < CALM_TO {
                decay = (voice.deviation_long - CALM_FROM) * decay / 4_096;
            }
        }
        f64::from(decay) / 65_536.0
    }

    /// The gate after a frame that ended at this level: above 0 it works, from 2500 it is closed.
    fn gate(&self, state: &State, level: f64) -> f64 {
        let distance = GATE_OCTAVE * (octaves_linear(level) - octaves_linear(state.fast));
        let gate = GATE_OFFSET + distance - f64::from(state.voice.deviation_short);
        if gate < 0.0 { 0.0 } else { ((gate + 7.0 * self.state.gate) / 8.0).floor() }
    }
}

/// Reductions come a millisecond early, except at the start of a frame, which is already past.
fn look_ahead(marks: &Gains) -> Gains {
    let mut gains = *marks;
    for k in 1..SUBFRAMES {
        gains[k] = gains[k].min(gains[k + 1]);
    }
    gains
}

/// Lowers a gain in steps of 0.1 dB until the peak of squared value `e` fits; the device counts gains in 64ths.
fn fit_below_full_scale(mut gain: f64, e: f64) -> f64 {
    let e = (e / 4_096.0).floor() + 1.0;
    let limit = FULL_SCALE * FULL_SCALE;
    // Far too large first, so that the loop is short.
    gain = gain.min(1.1 * (limit / e).sqrt().max(1e-3));
    while gain > GAIN_RANGE.0 && ((gain * 64.0).floor() + 1.0).powi(2) * e > limit {
        gain *= FIT_STEP;
    }
    gain
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Settings = Settings { target: 3, compression: 9, limiter: true, adaptive: true };

    fn level(dbfs: f64) -> f64 {
        FULL_SCALE * FULL_SCALE * 10f64.powf(dbfs / 10.0)
    }

    #[test]
    fn the_default_table_is_the_published_one() {
        // Design notes: +6 dB below -15 dBFS, +5.9 at -12, +5.3 at -9, +3 at -6, 0 at -3, -3 at 0.
        let table = Table::new(DEFAULTS);
        for (dbfs, expected) in [(-60.0, 6.0), (-15.05, 6.0), (-12.04, 5.9), (-9.03, 5.3), (-6.02, 3.0), (-3.01, 0.0)] {
            let gain = 20.0 * table.gain(level(dbfs)).0.log10();
            assert!((gain - expected).abs() < 0.15, "{dbfs}: {gain} for {expected}");
        }
    }

    #[test]
    fn the_fixed_table_has_its_gain_below_and_its_ceiling_above() {
        let table = Table::new(Settings { compression: 30, adaptive: false, ..DEFAULTS });
        let out = |dbfs: f64| dbfs + 20.0 * table.gain(level(dbfs)).0.log10();
        for dbfs in [-30.1, -21.07, -12.04, -3.01] {
            assert!((out(dbfs) + 3.0).abs() < 0.15, "{dbfs}: {}", out(dbfs));
        }
        assert!((out(-80.0) + 50.0).abs() < 0.2, "{}", out(-80.0));
    }

    #[test]
    fn the_slope_of_the_table_is_its_derivative() {
        let table = Table::new(DEFAULTS);
        for dbfs in [-2.0, -5.0, -7.0, -10.0, -14.0, -30.0] {
            let (l, h) = (level(dbfs), level(dbfs) * 1e-5);
            let numeric = -(table.gain(l + h).0.ln() - table.gain(l - h).0.ln()) / 2e-5;
            assert!((numeric - table.gain(l).1).abs() < 1e-4, "{dbfs}: {numeric} {}", table.gain(l).1);
        }
    }

    #[test]
    fn peaks_fit_below_full_scale() {
        for gain in [0.5, 1.0, 3.0, 30.0, 1e4] {
            for peak in [1.0, 100.0, 10_000.0, 32_768.0] {
                let fitted = fit_below_full_scale(gain, peak * peak);
                assert!(fitted * peak <= FULL_SCALE && fitted <= gain, "{gain} {peak} {fitted}");
            }
        }
    }
}
