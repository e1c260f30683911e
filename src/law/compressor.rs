//! The compressor: threshold, ratio, knee, attack and release, in its five inner forms; and the compander, which also
//! expands below its threshold.
//!
//! Static curve (Giannoulis, Massberg and Reiss 2012): with `o` the level above the threshold, `w` the knee's width,
//! slope `s = 1 - 1/ratio` and expansion `e` (0 for compressors), the gain in dB is
//!
//! ```text
//! e o, at least -30 dB            where o <= -w/2
//! e o - (s + e) (o + w/2)² / 2w   within the knee
//! -s o                            where o >= w/2
//! ```
//!
//! What is smoothed, and before or after the curve, differs between devices and matters more than the constants
//! ([`Smoothed`]). Detectors act on instantaneous samples: a law run on block means is three times worse.
//!
//! Attack and release are time constants of one-pole smoothers (to 63 %). Programs often print other times: ffmpeg's
//! `attack=10` (milliseconds) is a time constant of 2.5 ms.

use super::elementary::{exp, log10};
use super::together::{HopSums, LANES};
use super::{GainControl, Law, Parameter, Scale};

/// What a compressor smooths with its attack and release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smoothed {
    /// The power `x²`, before the curve: an RMS detector (ffmpeg `acompressor`, many hardware units).
    Power,
    /// The magnitude `|x|`, before the curve: a peak detector (sox `compand`).
    Magnitude,
    /// The level in dB, before the curve.
    LevelDb,
    /// The gain in dB, after the curve.
    GainDb,
    /// The gain as a factor, after the curve.
    Gain,
}

/// A compressor law of one inner form.
#[derive(Debug, Clone, Copy)]
pub struct Compressor {
    smoothed: Smoothed,
    /// Whether quiet sound is made quieter, too.
    expands: bool,
}

impl Compressor {
    /// The law with the given inner form.
    #[must_use]
    pub const fn new(smoothed: Smoothed) -> Self {
        Self { smoothed, expands: false }
    }

    /// A compander of a peak detector: below the threshold it expands, so that quiet sound becomes quieter (sox and ffmpeg
    /// `compand` with points below their highest gain).
    #[must_use]
    pub const fn compander() -> Self {
        Self { smoothed: Smoothed::Magnitude, expands: true }
    }

    /// The five compressors and the compander.
    pub const ALL: [Self; 6] = [
        Self::new(Smoothed::Power),
        Self::new(Smoothed::Magnitude),
        Self::new(Smoothed::LevelDb),
        Self::new(Smoothed::GainDb),
        Self::new(Smoothed::Gain),
        Self::compander(),
    ];
}

const fn parameter(
    name: &'static str,
    unit: &'static str,
    [low, default, high]: [f64; 3],
    scale: Scale,
    meaning: &'static str,
) -> Parameter {
    Parameter { name, unit, low, high, default, scale, meaning }
}

/// The first five are common to all forms; the last is the averaging time before a curve or a logarithm.
static PARAMETERS: [Parameter; 6] = [
    parameter(
        "threshold_db",
        "dB",
        [-60.0, -24.0, 0.0],
        Scale::Linear,
        "level in the recording above which the gain falls; make-up gain is folded in",
    ),
    parameter("slope", "", [0.05, 0.67, 0.98], Scale::Linear, "1 - 1/ratio: 0.5 is 2:1, 0.75 is 4:1, 0.9 is 10:1"),
    parameter("knee_db", "dB", [0.0, 6.0, 24.0], Scale::Linear, "width of the soft knee"),
    parameter("attack_s", "s", [0.0003, 0.005, 0.2], Scale::Log, "time constant of the falling gain; phones 5-17 ms"),
    parameter("release_s", "s", [0.02, 0.2, 4.0], Scale::Log, "time constant of the rising gain; phones 30-400 ms"),
    parameter("rms_s", "s", [0.0005, 0.005, 0.05], Scale::Log, "averaging time of the power before the curve"),
];

/// Middle and spread of what compressors have: knee in dB, attack and release in s (spread as a factor). Phones and camcorders
/// were measured to attack in 5 to 17 ms and to release in 30 to 400 (University of Salford, the Good Recording Project); knees are
/// 0 to 12 dB wide.
const ORDINARY: [(usize, (f64, f64)); 3] = [(2, (6.0, 6.0)), (3, (0.006, 4.0)), (4, (0.2, 4.0))];
/// What a constant costs that lies one spread off, in points of misfit: half a unit of logarithmic likelihood, at fifty
/// points for each (a note counts for dozens of points).
const ORDINARY_COST: f64 = 25.0;

/// The compander's: as the first five, with slower times, and the expansion.
static COMPANDER: [Parameter; 6] = [
    PARAMETERS[0],
    PARAMETERS[1],
    PARAMETERS[2],
    parameter("attack_s", "s", [0.0003, 0.01, 1.0], Scale::Log, "time constant of the falling gain"),
    PARAMETERS[4],
    parameter(
        "expansion",
        "",
        [0.0, 0.3, 2.0],
        Scale::Linear,
        "dB by which the gain falls for each dB below the threshold, down to -30 dB",
    ),
];

impl Law for Compressor {
    fn name(&self) -> &'static str {
        match self.smoothed {
            Smoothed::Magnitude if self.expands => "compander",
            Smoothed::Power => "compressor",
            Smoothed::Magnitude => "compressor-peak",
            Smoothed::LevelDb => "compressor-level-db",
            Smoothed::GainDb => "compressor-gain-db",
            Smoothed::Gain => "compressor-gain",
        }
    }

    fn summary(&self) -> &'static str {
        match self.smoothed {
            Smoothed::Magnitude if self.expands => {
                "compressor that also expands below its threshold, with a peak detector (sox and ffmpeg compand)"
            }
            Smoothed::Power => {
                "compressor that smooths the power before its curve (RMS detector, as ffmpeg acompressor)"
            }
            Smoothed::Magnitude => {
                "compressor that smooths the magnitude before its curve (peak detector, as sox compand)"
            }
            Smoothed::LevelDb => "compressor that smooths the level in dB before its curve (Giannoulis et al. 2012)",
            Smoothed::GainDb => "compressor that smooths its gain in dB (Giannoulis et al. 2012, log domain)",
            Smoothed::Gain => "compressor that smooths its gain linearly (Giannoulis et al. 2012, linear domain)",
        }
    }

    fn parameters(&self) -> &'static [Parameter] {
        match self.smoothed {
            Smoothed::Magnitude if self.expands => &COMPANDER,
            Smoothed::Power | Smoothed::Magnitude => &PARAMETERS[..5],
            Smoothed::LevelDb | Smoothed::GainDb | Smoothed::Gain => &PARAMETERS,
        }
    }

    fn implausibility(&self, values: &[f64]) -> f64 {
        let parameters = self.parameters();
        let spreads = |d: usize, (centre, spread): (f64, f64)| {
            let value = value_at(parameters, values, d);
            match parameters[d].scale {
                Scale::Log => (value / centre).ln() / spread.ln(),
                _ => (value - centre) / spread,
            }
        };
        ORDINARY.iter().map(|&(d, usual)| ORDINARY_COST * spreads(d, usual).powi(2)).sum()
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        match self.smoothed {
            Smoothed::Power | Smoothed::Magnitude => Box::new(self.level_smoother(values, sample_rate_hz)),
            Smoothed::LevelDb | Smoothed::GainDb | Smoothed::Gain => {
                Box::new(self.curve_smoothers::<1>(&[values.to_vec()], sample_rate_hz))
            }
        }
    }

    fn inverse_blocks_of(
        &self,
        many: &[Vec<f64>],
        sample_rate_hz: f64,
        recorded: &[f32],
        hop_samples: usize,
    ) -> Option<Vec<Vec<f32>>> {
        let groups = many.chunks(LANES).map(|values| match self.smoothed {
            Smoothed::Power | Smoothed::Magnitude => {
                let of = |values: &Vec<f64>| self.level_smoother(values, sample_rate_hz);
                let smoothers = values.iter().map(of).collect::<Vec<_>>();
                match smoothers.len() {
                    1 => LevelSmoothers::<1>::new(&smoothers).inverse_blocks(recorded, hop_samples),
                    2..=4 => LevelSmoothers::<4>::new(&smoothers).inverse_blocks(recorded, hop_samples),
                    _ => LevelSmoothers::<LANES>::new(&smoothers).inverse_blocks(recorded, hop_samples),
                }
            }
            Smoothed::LevelDb | Smoothed::GainDb | Smoothed::Gain => match values.len() {
                1 => self.curve_smoothers::<1>(values, sample_rate_hz).inverse_blocks(recorded, hop_samples),
                2..=4 => self.curve_smoothers::<4>(values, sample_rate_hz).inverse_blocks(recorded, hop_samples),
                _ => self.curve_smoothers::<LANES>(values, sample_rate_hz).inverse_blocks(recorded, hop_samples),
            },
        });
        Some(groups.flatten().collect())
    }
}

impl Compressor {
    fn level_smoother(&self, values: &[f64], sample_rate_hz: f64) -> LevelSmoother {
        let parameters = self.parameters();
        let at = |k| value_at(parameters, values, k);
        let (attack_s, release_s) = (at(3), at(4));
        LevelSmoother {
            curve: Curve::of(values, if self.expands { at(5) } else { 0.0 }),
            is_power: self.smoothed == Smoothed::Power,
            attack: one_pole(attack_s, sample_rate_hz),
            release: one_pole(release_s, sample_rate_hz),
            coarse_attack: one_pole(attack_s, sample_rate_hz / COARSE_SAMPLES as f64),
            coarse_release: one_pole(release_s, sample_rate_hz / COARSE_SAMPLES as f64),
            envelope: 1e-20,
        }
    }

    /// One to a lane.
    fn curve_smoothers<const L: usize>(&self, many: &[Vec<f64>], sample_rate_hz: f64) -> CurveSmoothers<L> {
        let values: [&[f64]; L] = in_lanes(&many.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let pole = |d: usize, rate_hz: f64| values.map(|values| one_pole(value_at(&PARAMETERS, values, d), rate_hz));
        let step_rate_hz = sample_rate_hz / CURVE_STEP as f64;
        let state = match self.smoothed {
            Smoothed::LevelDb => SILENCE_DB,
            Smoothed::GainDb => 0.0,
            _ => 1.0,
        };
        CurveSmoothers {
            smoothed: self.smoothed,
            len: many.len(),
            curve: Curves::new(values.map(|values| Curve::of(values, 0.0))),
            keep: pole(5, sample_rate_hz).map(|mean| 1.0 - mean),
            keep_step: pole(5, sample_rate_hz).map(|mean| (1.0 - mean).powi(CURVE_STEP as i32)),
            attack: pole(3, step_rate_hz),
            release: pole(4, step_rate_hz),
            heard: [0.0; L],
            power: [0.0; L],
            state: [state; L],
            gain: [1.0; L],
            until_step: 0,
        }
    }
}

/// Constant `k`, within its range; its default where it is missing.
fn value_at(parameters: &[Parameter], values: &[f64], k: usize) -> f64 {
    let p = &parameters[k];
    values.get(k).copied().filter(|v| v.is_finite()).unwrap_or(p.default).clamp(p.low, p.high)
}

/// Coefficient of a one-pole smoother: `1 - e^(-1 / (time * rate))`.
fn one_pole(time_s: f64, rate_hz: f64) -> f32 {
    -f64::exp_m1(-1.0 / (time_s * rate_hz)) as f32
}

/// Powers and magnitudes are held below this, so that absurd samples cannot overflow.
const LOUDEST: f32 = 1e20;

/// Levels are held above this: far below any recording's noise.
const SILENCE_DB: f32 = -100.0;

/// Most that a compander makes quiet sound quieter, in dB.
const WIDEST_EXPANSION_DB: f32 = 30.0;

/// The static curve.
#[derive(Debug, Clone, Copy)]
struct Curve {
    threshold_db: f32,
    slope: f32,
    knee_db: f32,
    /// `1 / 2w`; 0 where there is no knee.
    knee_share: f32,
    expansion: f32,
}

impl Curve {
    fn of(values: &[f64], expansion: f64) -> Self {
        let at = |k| value_at(&PARAMETERS, values, k) as f32;
        let knee_db = at(2);
        Self {
            threshold_db: at(0),
            slope: at(1),
            knee_db,
            knee_share: if knee_db > 0.0 { 0.5 / knee_db } else { 0.0 },
            expansion: expansion as f32,
        }
    }

    /// Gain in dB at a level in dB. Without branches, so that several become vector instructions.
    #[inline]
    fn gain_db(&self, level_db: f32) -> f32 {
        let over = level_db - self.threshold_db;
        let half = 0.5 * self.knee_db;
        let into_knee = (over + half).clamp(0.0, self.knee_db);
        let bent = into_knee * into_knee * self.knee_share + (over - half).max(0.0);
        (self.expansion * over).max(-WIDEST_EXPANSION_DB) - (self.slope + self.expansion) * bent
    }

    /// How many dB the gain falls for each dB of level, at a level in dB.
    fn slope_at(&self, level_db: f32) -> f32 {
        let over = level_db - self.threshold_db;
        let half = 0.5 * self.knee_db;
        if over <= -half {
            if self.expansion * over > -WIDEST_EXPANSION_DB { -self.expansion } else { 0.0 }
        } else if over >= half {
            self.slope
        } else {
            (self.slope + self.expansion) * (over + half) / self.knee_db - self.expansion
        }
    }
}

const LN_10_OVER_20: f32 = std::f32::consts::LN_10 / 20.0;

/// Smooths the level before the curve: [`Smoothed::Power`] and [`Smoothed::Magnitude`].
#[derive(Debug, Clone)]
struct LevelSmoother {
    curve: Curve,
    is_power: bool,
    attack: f32,
    release: f32,
    coarse_attack: f32,
    coarse_release: f32,
    /// Smoothed `x²` or `|x|`.
    envelope: f32,
}

impl LevelSmoother {
    fn smooth(&self, envelope: f32, heard: f32) -> f32 {
        let step = heard - envelope;
        // The floor keeps the recursion out of subnormal numbers, which are slow.
        (envelope + step * if step > 0.0 { self.attack } else { self.release }).max(1e-20)
    }

    fn gain(&self, envelope: f32) -> f32 {
        let level_db = if self.is_power { 10.0 } else { 20.0 } * log10(envelope.max(1e-20));
        exp(LN_10_OVER_20 * self.curve.gain_db(level_db))
    }

    fn heard(&self, x: f32) -> f32 {
        (if self.is_power { x * x } else { x.abs() }).min(LOUDEST)
    }
}

impl GainControl for LevelSmoother {
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        for (x, g) in drive.iter().zip(gain) {
            self.envelope = self.smooth(self.envelope, self.heard(*x));
            *g = self.gain(self.envelope);
        }
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        let mut last = self.gain(self.envelope);
        let steepest = self.curve.slope + self.curve.expansion;
        for (y, g) in recorded.iter().zip(gain) {
            // x = y/g and g depends on x through one smoothing step: contracts fast, as the step is small.
            let mut next = last;
            let mut envelope = self.envelope;
            for _ in 0..12 {
                let heard = self.heard(y / next);
                envelope = self.smooth(self.envelope, heard);
                let better = self.gain(envelope);
                let change = (better - next).abs();
                // Of an error, the share that is left after a round, times the envelope.
                let left = steepest * heard * if heard > self.envelope { self.attack } else { self.release };
                let is_there = left * change < 1e-6 * envelope * next;
                next = better;
                if is_there {
                    break;
                }
            }
            self.envelope = envelope;
            last = next;
            *g = next;
        }
    }

    fn inverse_coarse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        let mut near = self.near(self.envelope);
        let (attack, release) = (self.coarse_attack, self.coarse_release);
        let mut envelope = self.envelope;
        for (ys, gs) in recorded.chunks(COARSE_SAMPLES).zip(gain.chunks_mut(COARSE_SAMPLES)) {
            let recorded = if self.is_power {
                ys.iter().map(|y| y * y).sum::<f32>()
            } else {
                ys.iter().map(|y| y.abs()).sum::<f32>()
            };
            let undo = near.offset + near.tilt * envelope;
            let step = recorded * (1.0 / COARSE_SAMPLES as f32) * undo - envelope;
            envelope += step * if step > 0.0 { attack } else { release };
            if envelope < near.low || envelope > near.high {
                envelope = envelope.clamp(1e-20, LOUDEST);
                near = self.near(envelope);
            }
            gs.fill(undo);
        }
        self.envelope = envelope;
        // So far each gain stands as what undoes it: `1/g`, or `1/g²` for powers.
        if self.is_power {
            gain.iter_mut().for_each(|g| *g = 1.0 / g.sqrt());
        } else {
            gain.iter_mut().for_each(|g| *g = 1.0 / *g);
        }
    }
}

/// Samples that the coarse inverse takes at once: a sixteenth of a millisecond at 48 kHz, in which the power of a
/// piano's sound, most of it below 3 kHz, hardly moves.
const COARSE_SAMPLES: usize = 3;

/// How far an envelope may move, as a share of itself, before the straight line for its gain is drawn anew.
const LINE_REACH: f32 = 0.08;

/// The inverse gain as a straight line in the envelope, near one envelope: no logarithm per sample.
#[derive(Debug, Clone, Copy)]
struct Line {
    low: f32,
    high: f32,
    offset: f32,
    tilt: f32,
}

impl LevelSmoother {
    fn near(&self, envelope: f32) -> Line {
        let level_db = if self.is_power { 10.0 } else { 20.0 } * log10(envelope.max(1e-20));
        let undo = exp(-LN_10_OVER_20 * self.curve.gain_db(level_db) * if self.is_power { 2.0 } else { 1.0 });
        // d ln(undo) / d ln(envelope) is the curve's slope, in either form.
        let envelope = envelope.max(1e-20);
        let tilt = undo * self.curve.slope_at(level_db) / envelope;
        Line {
            low: envelope * (1.0 - LINE_REACH),
            high: envelope * (1.0 + LINE_REACH),
            offset: undo - tilt * envelope,
            tilt,
        }
    }
}

/// One to a lane; the lanes behind repeat the first.
fn in_lanes<T: Clone, const L: usize>(smoothers: &[T]) -> [T; L] {
    std::array::from_fn(|k| smoothers[if k < smoothers.len() { k } else { 0 }].clone())
}

/// Several of them side by side; each does what [`LevelSmoother::inverse_coarse`] does.
struct LevelSmoothers<const L: usize> {
    each: [LevelSmoother; L],
    /// How many there are; the lanes behind repeat the first.
    len: usize,
    envelope: [f32; L],
    attack: [f32; L],
    release: [f32; L],
    low: [f32; L],
    high: [f32; L],
    offset: [f32; L],
    tilt: [f32; L],
}

impl<const L: usize> LevelSmoothers<L> {
    fn new(smoothers: &[LevelSmoother]) -> Self {
        let each: [LevelSmoother; L] = in_lanes(smoothers);
        Self {
            len: smoothers.len(),
            envelope: [1e-20; L],
            attack: std::array::from_fn(|k| each[k].coarse_attack),
            release: std::array::from_fn(|k| each[k].coarse_release),
            low: [0.0; L],
            high: [0.0; L],
            offset: [0.0; L],
            tilt: [0.0; L],
            each,
        }
    }

    fn draw_line(&mut self, k: usize) {
        let line = self.each[k].near(self.envelope[k]);
        (self.low[k], self.high[k], self.offset[k], self.tilt[k]) = (line.low, line.high, line.offset, line.tilt);
    }

    /// Hears means of up to three samples until an envelope has left its line, or there are no more; writes what undoes the
    /// gain. Returns how many it heard.
    ///
    /// A function of its own on copies of everything: the form that becomes vector instructions.
    #[inline(never)]
    fn follow_lines(&mut self, heard: &[f32], undo: &mut [[f32; L]]) -> usize {
        let Self { mut envelope, attack, release, low, high, offset, tilt, .. } = *self;
        let mut done = 0;
        for (heard, undo) in heard.iter().zip(undo) {
            let mut is_out = [0u32; L];
            for k in 0..L {
                undo[k] = offset[k] + tilt[k] * envelope[k];
                let step = heard * undo[k] - envelope[k];
                envelope[k] += step * if step > 0.0 { attack[k] } else { release[k] };
                is_out[k] = u32::from(envelope[k] < low[k]) | u32::from(envelope[k] > high[k]);
            }
            done += 1;
            if is_out.iter().fold(0, |any, out| any | out) != 0 {
                break;
            }
        }
        self.envelope = envelope;
        done
    }

    #[cold]
    #[inline(never)]
    fn draw_lines(&mut self) {
        for k in 0..L {
            if self.envelope[k] < self.low[k] || self.envelope[k] > self.high[k] {
                self.envelope[k] = self.envelope[k].clamp(1e-20, LOUDEST);
                self.draw_line(k);
            }
        }
    }

    fn inverse_blocks(mut self, recorded: &[f32], hop_samples: usize) -> Vec<Vec<f32>> {
        let is_power = self.each[0].is_power;
        let mut out = vec![Vec::with_capacity(recorded.len().div_ceil(hop_samples)); self.len];
        let mut heard = Vec::with_capacity(hop_samples.div_ceil(COARSE_SAMPLES));
        let mut gains = Vec::with_capacity(hop_samples.div_ceil(COARSE_SAMPLES));
        for hop in recorded.chunks(hop_samples) {
            // As a single run does at the start of every block.
            (0..L).for_each(|k| self.draw_line(k));
            heard.clear();
            heard.extend(hop.chunks(COARSE_SAMPLES).map(|ys| {
                let sum = if is_power {
                    ys.iter().map(|y| y * y).sum::<f32>()
                } else {
                    ys.iter().map(|y| y.abs()).sum::<f32>()
                };
                sum * (1.0 / COARSE_SAMPLES as f32)
            }));
            gains.clear();
            gains.resize(heard.len(), [0f32; L]);
            let mut done = 0;
            while done < heard.len() {
                done += self.follow_lines(&heard[done..], &mut gains[done..]);
                self.draw_lines();
            }
            if is_power {
                gains.as_flattened_mut().iter_mut().for_each(|g| *g = 1.0 / g.sqrt());
            } else {
                gains.as_flattened_mut().iter_mut().for_each(|g| *g = 1.0 / *g);
            }
            let mut sums = HopSums::<L>::new(hop.len());
            for (ys, gain) in hop.chunks(COARSE_SAMPLES).zip(&gains) {
                ys.iter().for_each(|_| sums.add(gain));
            }
            for (out, mean) in out.iter_mut().zip(sums.mean(hop.len())) {
                out.push(mean);
            }
        }
        out
    }
}

/// Samples between evaluations of the curve where it stands before the smoother: the averaged power hardly moves in
/// between.
const CURVE_STEP: usize = 8;

/// Average the power, then smooth what the logarithm or the curve make of it: [`Smoothed::LevelDb`], [`Smoothed::GainDb`] and
/// [`Smoothed::Gain`]. Several sets of constants side by side.
#[derive(Debug, Clone)]
struct CurveSmoothers<const L: usize> {
    smoothed: Smoothed,
    /// How many there are; the lanes behind repeat the first.
    len: usize,
    curve: Curves<L>,
    /// What the averaged power keeps of itself at each sample, and from one evaluation of the curve to the next.
    keep: [f32; L],
    keep_step: [f32; L],
    attack: [f32; L],
    release: [f32; L],
    /// What the samples since the last evaluation of the curve add to the power, before their gain.
    heard: [f32; L],
    power: [f32; L],
    /// Level in dB, gain in dB or gain, by form.
    state: [f32; L],
    gain: [f32; L],
    /// Samples until the next evaluation of the curve.
    until_step: usize,
}

/// Static curves side by side.
#[derive(Debug, Clone, Copy)]
struct Curves<const L: usize> {
    threshold_db: [f32; L],
    slope: [f32; L],
    half_knee_db: [f32; L],
    knee_share: [f32; L],
}

impl<const L: usize> Curves<L> {
    fn new(curves: [Curve; L]) -> Self {
        Self {
            threshold_db: curves.map(|c| c.threshold_db),
            slope: curves.map(|c| c.slope),
            half_knee_db: curves.map(|c| 0.5 * c.knee_db),
            knee_share: curves.map(|c| c.knee_share),
        }
    }

    /// As [`Curve::gain_db`], without expansion.
    #[inline]
    fn gain_db(&self, level_db: &[f32; L]) -> [f32; L] {
        let mut out = [0f32; L];
        for k in 0..L {
            let over = level_db[k] - self.threshold_db[k];
            let half = self.half_knee_db[k];
            let into_knee = smaller(larger(over + half, 0.0), 2.0 * half);
            out[k] = -self.slope[k] * (into_knee * into_knee * self.knee_share[k] + larger(over - half, 0.0));
        }
        out
    }
}

/// The larger of two numbers; one instruction.
#[inline]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller of two numbers; one instruction.
#[inline]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline]
fn gains<const L: usize>(gain_db: &[f32; L]) -> [f32; L] {
    let mut out = [0f32; L];
    for k in 0..L {
        out[k] = exp(LN_10_OVER_20 * gain_db[k]);
    }
    out
}

impl<const L: usize> CurveSmoothers<L> {
    /// Evaluates the curve. Loops over copies: the form that becomes vector instructions.
    fn step(&mut self, is_inverse: bool) {
        let Self { smoothed, curve, keep_step, attack, release, heard, mut power, mut state, gain, .. } = *self;
        let mut level_db = [0f32; L];
        for k in 0..L {
            let undo = if is_inverse { 1.0 / (gain[k] * gain[k]) } else { 1.0 };
            // The floor keeps the recursion out of subnormal numbers, which are slow.
            power[k] = larger(power[k] * keep_step[k] + smaller(heard[k] * undo, LOUDEST), 1e-20);
            level_db[k] = larger(10.0 * log10(power[k]), SILENCE_DB);
        }
        let target = match smoothed {
            Smoothed::LevelDb => level_db,
            Smoothed::GainDb => curve.gain_db(&level_db),
            _ => gains(&curve.gain_db(&level_db)),
        };
        // A rising level and a falling gain are attacks.
        let is_level = smoothed == Smoothed::LevelDb;
        let (rising, falling) = if is_level { (attack, release) } else { (release, attack) };
        for k in 0..L {
            let step = target[k] - state[k];
            state[k] += step * if step > 0.0 { rising[k] } else { falling[k] };
        }
        self.gain = match smoothed {
            Smoothed::LevelDb => gains(&curve.gain_db(&state)),
            Smoothed::GainDb => gains(&state),
            _ => state,
        };
        (self.power, self.state, self.heard) = (power, state, [0.0; L]);
    }

    /// Hears samples up to the next evaluation of the curve: the gain is the same for all of them.
    fn hear(&mut self, samples: &[f32]) {
        let Self { keep, mut heard, .. } = *self;
        for sample in samples {
            let square = smaller(sample * sample, LOUDEST);
            for k in 0..L {
                heard[k] = heard[k] * keep[k] + square * (1.0 - keep[k]);
            }
        }
        self.heard = heard;
    }

    /// Runs over samples; `take` is told the gain of the next so many.
    fn run(&mut self, mut samples: &[f32], is_inverse: bool, mut take: impl FnMut(&[f32; L], usize)) {
        while !samples.is_empty() {
            if self.until_step == 0 {
                self.step(is_inverse);
                self.until_step = CURVE_STEP;
            }
            let (now, later) = samples.split_at(samples.len().min(self.until_step));
            self.until_step -= now.len();
            take(&self.gain, now.len());
            self.hear(now);
            samples = later;
        }
    }

    fn inverse_blocks(mut self, recorded: &[f32], hop_samples: usize) -> Vec<Vec<f32>> {
        let mut out = vec![Vec::with_capacity(recorded.len().div_ceil(hop_samples)); self.len];
        for hop in recorded.chunks(hop_samples) {
            let mut sums = HopSums::<L>::new(hop.len());
            self.run(hop, true, |gain, len| (0..len).for_each(|_| sums.add(gain)));
            for (out, mean) in out.iter_mut().zip(sums.mean(hop.len())) {
                out.push(mean);
            }
        }
        out
    }
}

impl GainControl for CurveSmoothers<1> {
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        let mut gain = gain.iter_mut();
        self.run(drive, false, |[now], len| gain.by_ref().take(len).for_each(|g| *g = *now));
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        let mut gain = gain.iter_mut();
        self.run(recorded, true, |[now], len| gain.by_ref().take(len).for_each(|g| *g = *now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::together::tests::{assert_same_alone, struck_notes};
    use crate::law::{Direction, gain_of};

    #[test]
    fn side_by_side_is_one_after_the_other_to_the_last_bit() {
        let many = (0..11).map(|k| {
            let k = f64::from(k);
            vec![-50.0 + 4.0 * k, 0.1 + 0.08 * k, 2.0 * k, 0.0005 * (k + 1.0), 0.03 * (k + 1.0), 0.001 * (k + 1.0)]
        });
        let many = many.collect::<Vec<_>>();
        for law in Compressor::ALL {
            assert_same_alone(&law, &many);
        }
    }

    #[test]
    fn a_steady_tone_settles_on_the_static_curve() {
        let tone = (0..96_000).map(|n| (f64::from(n) * 0.2).sin() as f32).collect::<Vec<_>>();
        // Power of a full-scale sine is -3 dB: 21 dB above the threshold, so 4:1 takes 15.75 dB away.
        let gain = gain_of(
            &Compressor::new(Smoothed::Power),
            &[-24.0, 0.75, 6.0, 0.05, 0.05],
            48_000.0,
            &tone,
            Direction::Forward,
        );
        let level = 20.0 * gain[95_000].log10();
        assert!((level + 15.75).abs() < 0.1, "{level}");
        assert!((gain[0] - 1.0).abs() < 0.01);
    }

    #[test]
    fn inverse_undoes_forward_in_every_form() {
        let clean = struck_notes();
        for law in Compressor::ALL {
            let values = [-30.0, 0.75, 6.0, 0.005, 0.15, 0.004];
            let forward = gain_of(&law, &values, 48_000.0, &clean, Direction::Forward);
            let recorded = clean.iter().zip(&forward).map(|(x, g)| x * g).collect::<Vec<_>>();
            let inverse = gain_of(&law, &values, 48_000.0, &recorded, Direction::Inverse);
            let worst = forward.iter().zip(&inverse).map(|(f, i)| (20.0 * (f / i).log10()).abs()).fold(0.0, f32::max);
            assert!(worst < 0.05, "{}: {worst} dB", law.name());
            // The planted fault: a wrong threshold must be seen.
            let wrong = gain_of(&law, &[-29.0, 0.75, 6.0, 0.005, 0.15, 0.004], 48_000.0, &recorded, Direction::Inverse);
            let seen = forward.iter().zip(&wrong).map(|(f, i)| (20.0 * (f / i).log10()).abs()).fold(0.0, f32::max);
            assert!(seen > 0.5, "{}: {seen} dB", law.name());
        }
    }

    #[test]
    fn the_coarse_inverse_stays_close() {
        let clean = struck_notes();
        for law in [Compressor::new(Smoothed::Power), Compressor::new(Smoothed::Magnitude)] {
            let values = [-30.0, 0.75, 6.0, 0.005, 0.15];
            let mut gain = gain_of(&law, &values, 48_000.0, &clean, Direction::Forward);
            let recorded = clean.iter().zip(&gain).map(|(x, g)| x * g).collect::<Vec<_>>();
            let truth = gain.clone();
            law.start(&values, 48_000.0).inverse_coarse(&recorded, &mut gain);
            let square = truth.iter().zip(&gain).map(|(f, i)| (20.0 * (f / i).log10()).powi(2)).sum::<f32>();
            let rms = (square / truth.len() as f32).sqrt();
            assert!(rms < 0.4, "{}: {rms} dB", law.name());
        }
    }

    #[test]
    fn any_input_and_any_values_give_a_finite_positive_gain() {
        let odd = [0.0, 1.0, -1.0, 1e30, -1e-30, f32::MAX, 0.5, 1e-45].repeat(50);
        for law in Compressor::ALL {
            for values in [vec![], vec![f64::NAN; 6], vec![1e9; 6], vec![-1e9; 6]] {
                for direction in [Direction::Forward, Direction::Inverse] {
                    let gain = gain_of(&law, &values, 8_000.0, &odd, direction);
                    assert!(gain.iter().all(|g| g.is_finite() && *g > 0.0), "{} {values:?} {direction:?}", law.name());
                }
            }
        }
    }
}
