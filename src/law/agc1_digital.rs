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
//! The recorded signal is known, the gain is not: `e = (y/g)^2` with `g` where the peak lies. Millisecond by millisecond,
//! if the law's own recovery explains the peak, that is the gain; otherwise the level was struck, and the smallest new
//! level is sought whose gain turns it into this peak. What belongs to the whole frame (voice measure, gate, early
//! reductions) is guessed and the frame repeated until nothing changes.
//!
//! Where the table is a ceiling the output hardly depends on the input: the table's straight pieces leave a ripple of
//! 0.39 dB per 3.01 dB of level, repeated at every entry. The smallest level is then a guess that errs towards too much
//! gain. It is finite and bounded; how far the gain really fell must come from other evidence.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy/digital_agc`.

use super::agc1_hearing::{FULL_SCALE, Heard, SUBFRAMES};
use super::agc1_voice::Voice;
use super::{LANDED_DECAY_DB_PER_S, Landing};

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

/// Passes of the inverse over a frame; typical frames need 2 or 3.
const PASSES_MAX: usize = 8;
/// Change of every gain (relative) at which a frame counts as solved: 0.0001 dB.
const SETTLED: f64 = 1e-5;
/// Step in which a struck level is sought: a quarter of an octave, fine enough for the ripple of a ceiling.
const SEEK: f64 = 1.189_207_115_002_721;
/// Refinements of a struck level between two such steps.
const REFINEMENTS: usize = 24;
/// How far a level's output may miss the recorded peak per dB that the level would have to jump to meet it: between
/// near misses and jumps to the next entry of the table, the cheaper is taken. In the fixed mode the ceiling covers
/// nearly all levels and a wrong jump goes far, so misses are cheap; in the adaptive mode it covers the loudest 8 dB.
/// Measured on five pieces each: fixed 0.03 does harm (up to 9 dB rms), 0.2 does none; adaptive 0.03 leaves 0.4 to 1.5 dB,
/// 0.2 leaves 1.0 to 3.5 dB.
const MISS_PER_JUMP_FIXED: f64 = 0.2;
const MISS_PER_JUMP_ADAPTIVE: f64 = 0.03;
/// Largest level: a full-scale square.
const LEVEL_MAX: f64 = FULL_SCALE * FULL_SCALE;
/// Smallest gain, below anything the table holds.
const GAIN_MIN: f64 = 1e-4;

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
pub(super) struct Table {
    gain: [f64; TABLE_LEN],
    /// Level from which the output is the ceiling.
    ceiling_from: f64,
}

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
        let ceiling_from = LEVEL_MAX * (2.0 - limiter_len as f64).exp2();
        Self { gain: table, ceiling_from }
    }

    /// Gain of a level.
    fn gain(&self, level: f64) -> f64 {
        if level < 1.0 {
            return self.gain[TABLE_LEN - 1];
        }
        let (octave, part) = octaves(level);
        let index = 31usize.saturating_sub(octave).clamp(1, TABLE_LEN - 1);
        let (here, louder) = (self.gain[index], self.gain[index - 1]);
        here + (louder - here) * part
    }

    /// Gain of the loudest level, which the gate pulls towards.
    fn loudest(&self) -> f64 {
        self.gain[0]
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

/// How closely the inverse solves a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Passes over a frame, at most.
    passes_max: usize,
    /// Change of every gain (relative) at which a frame counts as solved.
    settled: f64,
    /// Share of the recorded peak that a struck level's output may miss it by.
    miss: f64,
}

impl Effort {
    /// For the answer.
    pub const EXACT: Self = Self { passes_max: PASSES_MAX, settled: SETTLED, miss: 1e-7 };
    /// For searching: gains to 0.01 dB, which errors of many frames hardly add to, as levels forget.
    pub const COARSE: Self = Self { passes_max: 3, settled: 1e-3, miss: 3e-4 };
}

/// What the stage remembers from frame to frame.
#[derive(Debug, Clone, Copy)]
struct State {
    fast: f64,
    slow: f64,
    gate: f64,
    gain: f64,
    voice: Voice,
    /// Level of the last landing, and which one it was.
    landed: f64,
    landing: Option<u32>,
}

/// Which landing each millisecond of a frame belongs to; none where the output does not touch the ceiling.
pub(super) struct Guide<'a> {
    pub landings: &'a [Landing],
    pub at: [Option<u32>; SUBFRAMES],
}

/// Share of a landing's level that is left after a millisecond.
fn guide_decay() -> f64 {
    10f64.powf(-LANDED_DECAY_DB_PER_S / 10.0 * 0.001)
}

/// The gains of a frame at its eleven millisecond marks.
pub(super) type Gains = [f64; SUBFRAMES + 1];

/// What holds for a whole frame.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Share of the slow level lost per millisecond.
    decay: f64,
    /// Share of the gain's distance from the loudest level's that the gate leaves.
    open: f64,
}

/// The stage at work.
#[derive(Debug, Clone)]
pub(super) struct Digital {
    table: Table,
    adaptive: bool,
    effort: Effort,
    state: State,
}

impl Digital {
    pub fn new(settings: Settings, effort: Effort) -> Self {
        let slow = if settings.adaptive { SLOW_START } else { 0.0 };
        let state = State { fast: 0.0, slow, gate: 0.0, gain: 1.0, voice: Voice::new(), landed: 0.0, landing: None };
        Self { table: Table::new(settings), adaptive: settings.adaptive, effort, state }
    }

    /// The voice measure after the last frame.
    pub fn voice(&self) -> &Voice {
        &self.state.voice
    }

    /// Gains of a frame whose input is known; `quiet` holds the slow level.
    pub fn forward(&mut self, heard: &Heard, quiet: bool) -> Gains {
        self.state.voice.hear(heard.voice.iter().sum());
        let decay = self.slow_decay(&self.state.voice, quiet);
        let envelope = heard.peak.map(|peak| (peak * peak).floor());
        let mut levels = [0.0; SUBFRAMES];
        for (level, &e) in levels.iter_mut().zip(&envelope) {
            *level = self.state.hear(e, decay);
        }
        self.state.gate = self.gate(&self.state, self.state.gate, levels[SUBFRAMES - 1]);
        let frame = Frame { decay, open: openness(self.state.gate) };
        let mut marks = [self.state.gain; SUBFRAMES + 1];
        for k in 0..SUBFRAMES {
            marks[k + 1] = self.mark(frame, levels[k], envelope[k]);
        }
        self.state.gain = marks[SUBFRAMES];
        look_ahead(&marks)
    }

    /// Gains of a frame whose output is known; `quiet` tells it from the gains. `guide` says how far
    /// levels rose at the ceiling, where something is known of it.
    pub fn inverse(&mut self, recorded: &Heard, quiet: impl Fn(&Gains) -> bool, guide: Option<&Guide>) -> Gains {
        let start = self.state;
        let mut marks = [start.gain; SUBFRAMES + 1];
        let mut open = openness(start.gate);
        for pass in 0..self.effort.passes_max {
            let gains = look_ahead(&marks);
            let voice = (0..SUBFRAMES).map(|k| recorded.voice[k] / (0.5 * (gains[k] + gains[k + 1])).powi(2)).sum();
            let mut state = start;
            state.voice.hear(voice);
            let frame = Frame { decay: self.slow_decay(&state.voice, quiet(&gains)), open };
            let mut change = 0f64;
            let mut level = 0.0;
            for k in 0..SUBFRAMES {
                let neighbours = Neighbours {
                    before: marks[k],
                    // Before the first pass nothing is known of the next millisecond.
                    after: if pass == 0 { f64::INFINITY } else { marks.get(k + 2).copied().unwrap_or(f64::INFINITY) },
                    first: k == 0,
                    at: recorded.peak_at[k],
                };
                let e = match guide {
                    Some(guide) => self.landed(&mut state, frame, &neighbours, recorded.peak[k], guide, k),
                    None => self.struck(&state, frame, &neighbours, recorded.peak[k]),
                };
                level = state.hear(e, frame.decay);
                let mark = self.mark(frame, level, e).max(GAIN_MIN);
                change = change.max((mark / marks[k + 1] - 1.0).abs());
                marks[k + 1] = mark;
            }
            state.gate = self.gate(&state, start.gate, level);
            state.gain = marks[SUBFRAMES];
            self.state = state;
            let settled = openness(state.gate) == open;
            open = openness(state.gate);
            if settled && change < self.effort.settled {
                break;
            }
        }
        look_ahead(&marks)
    }

    /// The squared peak of a millisecond from its recorded peak.
    fn struck(&self, state: &State, frame: Frame, neighbours: &Neighbours, recorded: f64) -> f64 {
        let rest = (state.fast - FAST_DECAY * state.fast).max(state.slow - frame.decay * state.slow);
        let heard = recorded / neighbours.at_peak(self.mark(frame, rest, 0.0).max(GAIN_MIN));
        let undisturbed = heard * heard;
        if undisturbed <= rest {
            return undisturbed;
        }
        let output = |e: f64| e.sqrt() * neighbours.at_peak(self.mark(frame, e.max(rest), e).max(GAIN_MIN));
        let mut low = rest.max(1.0);
        let mut low_output = output(low);
        if low_output >= recorded {
            return undisturbed.min(low);
        }
        let miss_per_jump = if self.adaptive { MISS_PER_JUMP_ADAPTIVE } else { MISS_PER_JUMP_FIXED };
        let (floor, mut best) = (low, low);
        let jump = |e: f64| (10.0 * (e / floor).log10()).powi(2);
        let miss = |out: f64| (20.0 * (recorded / out).log10() / miss_per_jump).powi(2);
        let mut best_cost = miss(low_output);
        while low < LEVEL_MAX {
            let high = low * SEEK;
            if jump(low) >= best_cost {
                break;
            }
            let high_output = output(high);
            if high_output >= recorded {
                let e = self.refine(&output, recorded, (low, low_output), (high, high_output));
                return if jump(e) < best_cost { e } else { best };
            }
            let cost = jump(high) + miss(high_output);
            if cost < best_cost {
                (best, best_cost) = (high, cost);
            }
            (low, low_output) = (high, high_output);
        }
        best.min(LEVEL_MAX)
    }

    /// Where `output` crosses `recorded` between two levels, by false position (Illinois).
    fn refine(&self, output: &impl Fn(f64) -> f64, recorded: f64, low: (f64, f64), high: (f64, f64)) -> f64 {
        let (mut a, mut fa) = (low.0, low.1 - recorded);
        let (mut b, mut fb) = (high.0, high.1 - recorded);
        for _ in 0..REFINEMENTS {
            let c = if fb - fa > 0.0 { a - fa * (b - a) / (fb - fa) } else { 0.5 * (a + b) };
            let fc = output(c) - recorded;
            if fc.abs() <= self.effort.miss * recorded || (b - a).abs() <= self.effort.miss * b {
                return c;
            }
            if fc < 0.0 {
                (a, fa) = (c, fc);
                fb *= 0.5;
            } else {
                (b, fb) = (c, fc);
                fa *= 0.5;
            }
        }
        0.5 * (a + b)
    }

    /// Gain at the end of a millisecond that ended at a level and had a squared peak.
    fn mark(&self, frame: Frame, level: f64, e: f64) -> f64 {
        let loudest = self.table.loudest();
        fit_below_full_scale(loudest + (self.table.gain(level) - loudest) * frame.open, e)
    }

    /// The squared peak of a millisecond where landings are known.
    fn landed(
        &self,
        state: &mut State,
        frame: Frame,
        neighbours: &Neighbours,
        recorded: f64,
        guide: &Guide,
        k: usize,
    ) -> f64 {
        let rest = (state.fast - FAST_DECAY * state.fast).max(state.slow - frame.decay * state.slow);
        state.landed *= guide_decay();
        let Some(index) = guide.at[k] else { return self.struck(state, frame, neighbours, recorded) };
        if state.landing != Some(index) {
            let landing = guide.landings[index as usize];
            let base = if landing.continues { state.landed } else { rest.max(self.table.ceiling_from) };
            state.landed = base * 10f64.powf(landing.rise_db / 10.0);
            state.landing = Some(index);
        }
        state.landed.min(LEVEL_MAX)
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
    fn gate(&self, state: &State, before: f64, level: f64) -> f64 {
        let distance = GATE_OCTAVE * (octaves_linear(level) - octaves_linear(state.fast));
        let gate = GATE_OFFSET + distance - f64::from(state.voice.deviation_short);
        if gate < 0.0 { 0.0 } else { ((gate + 7.0 * before) / 8.0).floor() }
    }
}

impl State {
    /// One millisecond with a squared peak; returns the level.
    fn hear(&mut self, e: f64, decay: f64) -> f64 {
        self.fast = (self.fast - FAST_DECAY * self.fast).max(e);
        if e > self.slow {
            self.slow += SLOW_ATTACK * (e - self.slow);
        } else {
            self.slow -= decay * self.slow;
        }
        self.fast.max(self.slow)
    }
}

/// The gains around a millisecond whose end is sought.
struct Neighbours {
    /// Gain at its start, before early reductions.
    before: f64,
    /// Gain at the end of the next one.
    after: f64,
    /// Whether it is the first of its frame, whose start is already past.
    first: bool,
    /// Where its peak lies, 0 to 1.
    at: f64,
}

impl Neighbours {
    /// Gain where the peak lies if the gain at the end is `mark`.
    fn at_peak(&self, mark: f64) -> f64 {
        let start = if self.first { self.before } else { self.before.min(mark) };
        let end = mark.min(self.after);
        (start + self.at * (end - start)).max(GAIN_MIN)
    }
}

/// Share of the gain's distance from the loudest level's that a gate leaves.
fn openness(gate: f64) -> f64 {
    if gate <= 0.0 {
        return 1.0;
    }
    (GATE_FLOOR + ((GATE_MAX - gate) / 32.0).floor().max(0.0)) / 256.0
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
    let limit = FULL_SCALE * FULL_SCALE;
    let unrounded = gain * 64.0 + 1.0;
    if unrounded * unrounded * (e / 4_096.0 + 1.0) <= limit {
        return gain;
    }
    let e = (e / 4_096.0).floor() + 1.0;
    // Far too large first, so that the loop is short.
    gain = gain.min(1.1 * (limit / e).sqrt().max(1e-3));
    while gain > GAIN_MIN && ((gain * 64.0).floor() + 1.0).powi(2) * e > limit {
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
            let gain = 20.0 * table.gain(level(dbfs)).log10();
            assert!((gain - expected).abs() < 0.15, "{dbfs}: {gain} for {expected}");
        }
    }

    #[test]
    fn the_fixed_table_has_its_gain_below_and_its_ceiling_above() {
        let table = Table::new(Settings { compression: 30, adaptive: false, ..DEFAULTS });
        let out = |dbfs: f64| dbfs + 20.0 * table.gain(level(dbfs)).log10();
        for dbfs in [-30.1, -21.07, -12.04, -3.01] {
            assert!((out(dbfs) + 3.0).abs() < 0.15, "{dbfs}: {}", out(dbfs));
        }
        assert!((out(-80.0) + 50.0).abs() < 0.2, "{}", out(-80.0));
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
