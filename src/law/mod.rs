//! Gain laws: how a gain control computes its gain from what it hears.
//!
//! A law is one piece of code with a forward step (level in, gain out). Everything reuses it: *simulate* runs it on
//! the clean signal, *invert* runs it on the recorded one with `x = y/g` of what it has already decided, *fit*
//! searches its constants. To add a law, write a file here and add it to [`families`].
//!
//! # What a law hears
//! One signed sample per instant, the *drive*: the sample of the channel that is loudest at that instant. For mono
//! recordings it is the signal itself. All channels receive the same gain.
//!
//! # Scale
//! A recording fixes its law only up to a constant gain, so laws speak in the recording's own scale: thresholds are
//! levels in dBFS *of the recording*, and a make-up gain is folded into them. Laws of devices that fix an absolute
//! scale have an explicit `volume` parameter where a later stage may have changed it.

mod agc1;
mod agc1_analog;
mod agc1_digital;
mod agc1_hearing;
mod agc1_ramp;
mod agc1_slider;
mod agc1_voice;
mod agc2_adaptive;
mod agc2_limiter;
mod agc2_voice;
mod band_edge;
mod block_means;
mod ceiling;
mod compressor;
mod elementary;
mod feedback;
mod leveller;
pub mod limiter;
mod normaliser;
mod speex;
mod together;

pub use agc1::{Agc1Adaptive, Agc1Fixed};
pub use agc1_analog::Agc1Analog;
pub use agc2_adaptive::Agc2Adaptive;
pub use agc2_limiter::Agc2Limiter;
pub use compressor::{Compressor, Smoothed};
pub use feedback::{Feedback, FeedbackCompressor};
pub use leveller::{FeedbackLeveller, Leveller};
pub use limiter::Limiter;
pub use normaliser::Normaliser;
pub use speex::Speex;

use crate::error::Error;
use crate::sound::Sound;
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;
pub(crate) use together::sum;

/// How a parameter is spread over its range when it is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly in its logarithm; the range is positive.
    Log,
    /// Whole numbers only.
    Integer,
}

/// One constant of a law: name, unit, range and meaning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parameter {
    /// Name as typed in `--law NAME:name=value`, with the unit as suffix (`attack_s`, `threshold_db`).
    pub name: &'static str,
    /// Unit for people: `dB`, `s`, `dB/s`, or empty.
    pub unit: &'static str,
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
    /// A plausible device's value.
    pub default: f64,
    /// Spread over the range.
    pub scale: Scale,
    /// What it is, in a few words, and where its range comes from.
    pub meaning: &'static str,
}

/// Values that devices usually give to a constant: those need no evidence, others do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habit {
    /// The usual values, in the parameter's unit; empty where any value is as good.
    pub usual: &'static [f64],
    /// What another value costs, in points of misfit.
    pub cost: f64,
    /// What the usual values behind the first cost: 0 where all are as common.
    pub rare_cost: f64,
}

impl Habit {
    /// A constant of which any value is as good.
    pub const NONE: Self = Self { usual: &[], cost: 0.0, rare_cost: 0.0 };

    /// Usual values that are equally common.
    #[must_use]
    pub const fn any_of(usual: &'static [f64], cost: f64) -> Self {
        Self { usual, cost, rare_cost: 0.0 }
    }
}

/// A family of gain controls that differ in their constants only.
pub trait Law: std::fmt::Debug + Send + Sync {
    /// Short name in lower case with hyphens, as typed after `--law`.
    fn name(&self) -> &'static str;

    /// One sentence: what kind of device it describes, and the source of its formulas.
    fn summary(&self) -> &'static str;

    /// Its constants, in the order that [`Law::start`] takes them.
    fn parameters(&self) -> &[Parameter];

    /// Whether it has a region of infinite ratio, where the output no longer tells the input and the inverse is only
    /// a guess that other evidence must correct.
    fn has_ceiling(&self) -> bool {
        false
    }

    /// Whether it says nothing at all without its landings: it is then not searched by running it backwards.
    fn needs_landings(&self) -> bool {
        false
    }

    /// Whether its constants are searched. Where not, only published devices are tried, as long as other laws are: decays that tell
    /// little cannot choose from many.
    fn is_searched(&self) -> bool {
        true
    }

    /// What each constant usually is, for devices that share one published implementation; empty for other laws.
    fn habits(&self) -> &[Habit] {
        &[]
    }

    /// What constants cost that few devices have, in points of misfit, where any value is possible: 0 in the middle of what is
    /// made. Of two sets that explain the decays equally well, it picks the ordinary one.
    fn implausibility(&self, values: &[f64]) -> f64 {
        let _ = values;
        0.0
    }

    /// Whether a target that is a little off makes the gain drift without end: then drift has to be held small whatever the
    /// constants are.
    fn may_drift(&self) -> bool {
        false
    }

    /// Starts the law with one value per parameter; values outside their ranges are clamped.
    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl>;

    /// The coarse inverse for many sets of constants at once: the mean gain, an amplitude factor, of each block of
    /// `hop_samples`, to the last bit as [`GainControl::inverse_coarse`] gives it, called for one block at a time. Absent where
    /// that is not faster than one after the other.
    fn inverse_blocks_of(
        &self,
        many: &[Vec<f64>],
        sample_rate_hz: f64,
        recorded: &[f32],
        hop_samples: usize,
    ) -> Option<Vec<Vec<f32>>> {
        let _ = (many, sample_rate_hz, recorded, hop_samples);
        None
    }

    /// Listens to a recording once for many coarse inverses: what the law hears of it whatever its constants are.
    /// Absent where that would save nothing.
    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        let _ = (recorded, sample_rate_hz);
        None
    }
}

/// What a law heard of a recording, boiled down to what does not depend on its constants.
///
/// Peaks and energies of a frame scale with the signal, and the gain hardly moves within one: heard once from the
/// recording, they serve every guess of the gain, `peak(y/g) = peak(y)/g`.
pub trait Listened: std::fmt::Debug + Send + Sync {
    /// Mean gain, an amplitude factor, of each block of the recording: as [`GainControl::inverse`] to within a few tenths
    /// of a dB.
    ///
    /// Shape: one gain for each `hop_samples` of the recording; the last block may be shorter.
    fn inverse_blocks(&self, values: &[f64], hop_samples: usize) -> Vec<f32>;

    /// Whether a device with these constants can have made the recording at all.
    fn is_possible(&self, values: &[f64]) -> bool {
        let _ = values;
        true
    }

    /// Times, in seconds, at which the output touches a ceiling: there the gain can have fallen to anything.
    fn contacts_s(&self, values: &[f64]) -> Vec<f64> {
        let _ = values;
        Vec::new()
    }

    /// When, in seconds, the gain first fell by an amount that nothing in the recording tells. Absent for laws that can be run
    /// backwards everywhere, and for those with a ceiling whose falls are estimated ([`Listened::contacts_s`]).
    fn lost_s(&self, values: &[f64]) -> Option<f64> {
        let _ = values;
        None
    }

    /// Constants that suit a recording whose loudest peaks all touch a ceiling; empty for laws without one.
    fn ceilings(&self) -> Vec<Vec<f64>> {
        Vec::new()
    }

    /// The gain, an amplitude factor, at every millisecond, given how far levels rose at the ceiling; straight in between.
    /// Empty for laws without a ceiling.
    fn landed_marks(&self, values: &[f64], landings: &[Landing]) -> Vec<f32> {
        let _ = (values, landings);
        Vec::new()
    }
}

/// Distance of the marks of [`Listened::landed_marks`], in seconds.
pub const MARK_S: f64 = 0.001;

/// The means over blocks of a gain given at marks.
pub(crate) fn block_means_of(marks: &[f32], sample_rate_hz: f64, hop_samples: usize, sample_len: usize) -> Vec<f32> {
    let mut means = block_means::BlockMeans::new(MARK_S * sample_rate_hz, hop_samples, sample_len);
    for pair in marks.windows(2) {
        means.push(f64::from(pair[0]), f64::from(pair[1]));
    }
    means.finish()
}

/// A gain given at marks, at every sample; the last is held.
pub(crate) fn samples_of(marks: &[f32], sample_rate_hz: f64, sample_len: usize) -> Vec<f32> {
    let at = |k: usize| marks[k.min(marks.len() - 1)];
    (0..sample_len)
        .map(|n| {
            let position = n as f64 / (MARK_S * sample_rate_hz);
            let part = position.fract() as f32;
            at(position as usize) * (1.0 - part) + at(position as usize + 1) * part
        })
        .collect()
}

/// How far the level rose when the output of a law with a ceiling touched it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Landing {
    /// Start, in seconds; it holds until the next landing.
    pub at_s: f64,
    /// Rise of the level, in dB: over what the law's own recovery had reached, or over the landing before if this one
    /// continues it. At a ceiling the gain falls by as much.
    pub rise_db: f64,
    /// Whether the output stayed at the ceiling since the landing before.
    pub continues: bool,
}

/// Level that a note loses while it stays at the ceiling, in dB/s.
const LANDED_DECAY_DB_PER_S: f64 = 10.0;

/// The landing that each step of `step_s` seconds belongs to; before the first there is none.
fn landing_at(landings: &[Landing], len: usize, step_s: f64) -> Vec<Option<u32>> {
    let mut out = vec![None; len];
    for (k, landing) in landings.iter().enumerate() {
        let index = |s: f64| ((s / step_s).round().max(0.0) as usize).min(len);
        let to = landings.get(k + 1).map_or(len, |next| index(next.at_s));
        let from = index(landing.at_s).min(to);
        out[from..to].fill(Some(k as u32));
    }
    out
}

/// A law at work on one recording, sample after sample.
///
/// Blocks of any length may be passed, in order. The `k`-th gain that comes out (counted over all calls) belongs to
/// sample `k - latency_samples()`. Gains are amplitude factors, positive and finite for any finite input.
pub trait GainControl: Send {
    /// Samples by which the gains come late; 0 for laws that need no look-ahead and no blocks.
    fn latency_samples(&self) -> usize {
        0
    }

    /// The gain for each sample of what the device heard. `drive` and `gain` have the same length.
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]);

    /// The gain that each sample of what the device *recorded* has received, so that `x = y / g`.
    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]);

    /// As [`GainControl::inverse`], to within a few tenths of a dB and as fast as possible: for searching. One recording
    /// is run either coarsely or exactly, never both.
    fn inverse_coarse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.inverse(recorded, gain);
    }
}

/// One constant with its confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FittedParameter {
    /// As in [`Parameter::name`].
    pub name: String,
    /// As in [`Parameter::unit`].
    pub unit: String,
    /// Best value.
    pub value: f64,
    /// Lower edge of the 90 % band.
    pub lower: f64,
    /// Upper edge of the 90 % band.
    pub upper: f64,
}

/// A law with its constants, as found in a recording or given by the user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LawFit {
    /// As in [`Law::name`].
    pub name: String,
    /// Every parameter, in the law's order.
    pub parameters: Vec<FittedParameter>,
    /// Where a law with a ceiling landed; empty where it could be run backwards without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub landings: Vec<Landing>,
}

impl LawFit {
    /// The values alone, in the law's order.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.parameters.iter().map(|p| p.value).collect()
    }
}

/// Every law family there is.
#[must_use]
pub fn families() -> Vec<Arc<dyn Law>> {
    let mut out = Compressor::ALL.map(|law| Arc::new(law) as Arc<dyn Law>).to_vec();
    out.push(Arc::new(Feedback));
    out.push(Arc::new(FeedbackCompressor));
    out.push(Arc::new(Speex));
    out.push(Arc::new(Limiter));
    out.push(Arc::new(Leveller));
    out.push(Arc::new(FeedbackLeveller));
    out.push(Arc::new(Normaliser));
    out.push(Arc::new(Agc1Fixed));
    out.push(Arc::new(Agc1Adaptive));
    out.push(Arc::new(Agc1Analog));
    out.push(Arc::new(Agc2Adaptive));
    out.push(Arc::new(Agc2Limiter));
    out
}

/// The law families that are tried where nothing is known of the device.
#[must_use]
pub fn searched() -> Vec<Arc<dyn Law>> {
    families().into_iter().filter(|law| SEARCHED.contains(&law.name())).collect()
}

/// Names of the families in [`searched`].
const SEARCHED: [&str; 12] = [
    "compressor",
    "compressor-peak",
    "compressor-gain-db",
    "compander",
    "feedback",
    "speex",
    "leveller",
    "limiter",
    "agc1-fixed",
    "agc1-adaptive",
    "agc1-analog",
    "agc2-adaptive",
];

/// Which way a law runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From what the device heard.
    Forward,
    /// From what the device recorded.
    Inverse,
}

/// Samples handed to a law at a time: long enough that calls cost nothing, short enough to stay in the cache.
pub(crate) const BLOCK_SAMPLES: usize = 1024;

/// Runs a law over a whole recording and returns the gain of every sample, latency removed.
#[must_use]
pub fn gain_of(law: &dyn Law, values: &[f64], sample_rate_hz: f64, drive: &[f32], direction: Direction) -> Vec<f32> {
    let mut running = law.start(values, sample_rate_hz);
    let latency = running.latency_samples();
    let mut out = Vec::with_capacity(drive.len() + latency);
    let mut gain = vec![1f32; BLOCK_SAMPLES];
    let silence = vec![0f32; latency];
    for block in drive.chunks(BLOCK_SAMPLES).chain(silence.chunks(BLOCK_SAMPLES)) {
        let gain = &mut gain[..block.len()];
        match direction {
            Direction::Forward => running.forward(block, gain),
            Direction::Inverse => running.inverse(block, gain),
        }
        out.extend_from_slice(gain);
    }
    out.drain(..latency);
    out
}

/// The signed sample of the loudest channel at every instant: what a linked gain control hears.
#[must_use]
pub fn drive(channels: &[Vec<f32>]) -> Vec<f32> {
    let mut out = channels[0].clone();
    for channel in &channels[1..] {
        for (loudest, x) in out.iter_mut().zip(channel) {
            if x.abs() > loudest.abs() {
                *loudest = *x;
            }
        }
    }
    out
}

/// What a linked gain control hears in a stretch of a recording ([`drive`]), read block by block.
///
/// # Errors
/// As [`Sound::read`].
pub(crate) fn drive_of(sound: &dyn Sound, range: Range<usize>) -> Result<Vec<f32>, Error> {
    let mut out = Vec::with_capacity(range.len());
    let mut channels = Vec::new();
    for start in range.clone().step_by(DRIVE_SAMPLES) {
        sound.read(start..range.end.min(start + DRIVE_SAMPLES), &mut channels)?;
        out.extend(drive(&channels));
    }
    Ok(out)
}

/// Samples of each channel that are made into a drive at a time.
const DRIVE_SAMPLES: usize = 1 << 16;
