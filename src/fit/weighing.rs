//! How well a gain explains a recording: decays, onset steps, and what no device does.

use super::devices::{FREE_FROM, cost_of_unusual, is_usual};
use super::landings;
use super::search::values_at;
use crate::decay::{self, DecayConfig, Segment};
use crate::evidence::{Evidence, EvidenceConfig, FrameGain};
use crate::law::{self, Landing, Law, Listened};
use crate::onsets::{self, Step, StepConfig};
use crate::partials::Partials;
use crate::stft::Stft;
use crate::threads::{self, map_all};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What each law heard of a recording, by the law's name; nothing of those that do not listen.
type Ears = BTreeMap<&'static str, Option<Arc<dyn Listened>>>;

/// A recording, laid out for weighing gain laws: what it heard of itself, its decays, its onset steps.
#[derive(Debug)]
pub struct Weighing {
    sample_rate_hz: f64,
    drive: Arc<[f32]>,
    /// How much of the drive is weighed.
    sample_len: usize,
    /// What each law heard of `drive`, by its name, once it was asked.
    listened: Arc<Mutex<Ears>>,
    frame_gain: FrameGain,
    pub(super) hop_s: f64,
    pub(super) step_config: StepConfig,
    pub(super) step_weight: f64,
    range_weight: f64,
    /// How much of the price of unusual constants is charged: a beginning has that share of the evidence.
    price_share: f64,
    /// The decays.
    pub evidence: Evidence,
    /// The steps at onsets that could be measured.
    pub steps: Vec<Step>,
    /// Frames at which notes begin.
    pub onsets: Vec<u32>,
    /// The segments that `evidence` weighs.
    pub segments: Vec<Segment>,
}

/// One law with constants, and what it scored.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Index into [`super::FitConfig::laws`].
    pub law_index: usize,
    /// Values in the parameters' units.
    pub values: Vec<f64>,
    /// Loss over all notes and steps; comparable within one [`Weighing`].
    pub loss: f64,
    /// Loss of each note.
    pub loss_by_note: Vec<f32>,
    /// Gain that each frame sees, in dB.
    pub gain_db: Vec<f32>,
}

/// What steps at onsets scatter by where no gain moves, in dB: other notes beat against the partials that vote.
pub(super) const STEP_FLOOR_DB: f64 = 0.4;

/// How far devices usually move and drift, in dB.
const USUAL_RANGE_DB: f64 = 8.0;
/// What a movement or a drift of that size costs, in points of misfit: a tenth of what true gains explain.
const RANGE_WEIGHT: f64 = 40.0;

/// Sets of constants that are run over the recording at the same time.
const TOGETHER: usize = 8;

/// How far beyond the usual range a drift costs as much as the usual range does otherwise, in dB.
const RUNAWAY_DB: f64 = 2.0;

fn mean(gain_db: &[f32]) -> f64 {
    gain_db.iter().map(|&g| f64::from(g)).sum::<f64>() / gain_db.len().max(1) as f64
}

/// Mean squared distance from the mean, in squared dB.
pub(super) fn variance(gain_db: &[f32]) -> f64 {
    let centre = mean(gain_db);
    gain_db.iter().map(|&g| (f64::from(g) - centre).powi(2)).sum::<f64>() / gain_db.len().max(1) as f64
}

/// How much higher a gain is at its end than at its beginning, each of a fifth, in dB.
fn drift_db(gain_db: &[f32]) -> f64 {
    let fifth = gain_db.len() / 5;
    mean(&gain_db[gain_db.len() - fifth..]) - mean(&gain_db[..fifth])
}

/// Loss of a device that cannot have made the recording.
const IMPOSSIBLE: f64 = 1e12;

/// Gains that swing further than this, in dB, belong to no device and are walled off.
const WIDEST_SWING_DB: f32 = 45.0;

impl Weighing {
    /// Lays out the first `sample_len` samples of a recording, cutting its partials with a gain removed (per frame in
    /// dB; empty: none).
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "one configuration for each stage before this one")]
    pub fn new(
        drive: &Arc<[f32]>,
        sample_len: usize,
        stft: &Stft,
        partials: &Partials,
        gain_db: &[f32],
        decay_config: &DecayConfig,
        evidence_config: &EvidenceConfig,
        step_config: &StepConfig,
        step_weight: f64,
    ) -> Self {
        let segments = decay::segments(partials, gain_db, stft.hop_s(), decay_config);
        let onsets = onsets::find(&segments, partials.frame_len);
        let notes = onsets::notes(&segments, &onsets);
        Self {
            sample_rate_hz: stft.sample_rate_hz(),
            drive: Arc::clone(drive),
            sample_len: sample_len.min(drive.len()),
            listened: Arc::default(),
            frame_gain: FrameGain::new(stft, sample_len.min(drive.len())),
            hop_s: stft.hop_s(),
            step_config: step_config.clone(),
            step_weight,
            range_weight: RANGE_WEIGHT,
            price_share: 1.0,
            evidence: Evidence::new(partials, &segments, &notes, stft.hop_s(), evidence_config),
            steps: onsets::steps(partials, &onsets, stft.hop_s(), step_config),
            onsets,
            segments,
        }
    }

    /// The same recording's beginning, which is to foretell what the whole of it will say.
    #[must_use]
    pub fn as_scout_of(mut self, whole: &Self) -> Self {
        self.price_share = (self.sample_len as f64 / whole.sample_len.max(1) as f64).min(1.0);
        self
    }

    /// What laws have heard of this recording need not be heard again for other cuts of its partials.
    pub(crate) fn hearing_with(mut self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.drive, &other.drive) && self.sample_len == other.sample_len {
            self.listened = Arc::clone(&other.listened);
        }
        self
    }

    /// Lets go of what laws have heard: it is many times as large as the recording, and heard again when it is asked for.
    pub(crate) fn forget(&self) {
        self.listened.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Time of the middle of the first frame, in seconds.
    pub(crate) fn frame_centre_s(&self) -> f64 {
        self.frame_gain.window_samples() as f64 / 2.0 / self.sample_rate_hz
    }

    /// The gain that each frame sees, in dB, of a gain given at every millisecond.
    pub(crate) fn marks_db(&self, marks: &[f32]) -> Vec<f32> {
        let hop = self.frame_gain.hop_samples();
        self.frame_gain.frames_db(&law::block_means_of(marks, self.sample_rate_hz, hop, self.sample_len))
    }

    /// The same, of a law with a ceiling with these landings.
    #[must_use]
    pub fn landed_db(&self, law: &dyn Law, values: &[f64], landings: &[Landing]) -> Vec<f32> {
        match self.listened(law) {
            Some(listened) => self.marks_db(&listened.landed_marks(values, landings)),
            None => self.frame_gain_db(law, values, false),
        }
    }

    /// The landings of a law with a ceiling; none where its output never touches it.
    #[must_use]
    pub fn land(&self, law: &dyn Law, values: &[f64]) -> Vec<Landing> {
        let listened = self.listened(law);
        let landed = listened.and_then(|listened| landings::by_halves(self, listened.as_ref(), values));
        landed.map_or_else(Vec::new, |(landings, _)| landings)
    }

    fn drive(&self) -> &[f32] {
        &self.drive[..self.sample_len]
    }

    /// Frames that are weighed.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.frame_gain.frame_len()
    }

    /// The gain that each frame sees when a law is run backwards over the recording, in dB.
    #[must_use]
    pub fn frame_gain_db(&self, law: &dyn Law, values: &[f64], is_coarse: bool) -> Vec<f32> {
        if let Some(listened) = is_coarse.then(|| self.listened(law)).flatten() {
            return self.frame_gain.frames_db(&listened.inverse_blocks(values, self.frame_gain.hop_samples()));
        }
        let mut running = law.start(values, self.sample_rate_hz);
        let latency = running.latency_samples();
        let hop = self.frame_gain.hop_samples();
        let mut sums = vec![0f32; self.drive().len().div_ceil(hop)];
        let mut gain = vec![0f32; hop];
        let silence = vec![0f32; latency];
        let mut at = 0usize;
        for block in self.drive().chunks(hop).chain(silence.chunks(hop)) {
            let gain = &mut gain[..block.len()];
            if is_coarse {
                running.inverse_coarse(block, gain);
            } else {
                running.inverse(block, gain);
            }
            if latency == 0 {
                sums[at / hop] = law::sum(gain);
            } else {
                for (k, g) in gain.iter().enumerate() {
                    if let Some(sum) = (at + k).checked_sub(latency).and_then(|n| sums.get_mut(n / hop)) {
                        *sum += g;
                    }
                }
            }
            at += block.len();
        }
        let last = self.drive().len() % hop;
        for (b, sum) in sums.iter_mut().enumerate() {
            let len = if last != 0 && (b + 1) * hop > self.drive().len() { last } else { hop };
            *sum /= len as f32;
        }
        self.frame_gain.frames_db(&sums)
    }

    /// What a law hears of the recording; others wait while one listens.
    pub(crate) fn listened(&self, law: &dyn Law) -> Option<Arc<dyn Listened>> {
        let mut all = self.listened.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(law.name()).or_insert_with(|| law.listen(self.drive(), self.sample_rate_hz)).clone()
    }

    /// Scores a law at a position of the unit cube.
    #[must_use]
    pub fn score(&self, law: &dyn Law, law_index: usize, position: &[f64]) -> Candidate {
        let values = values_at(law.parameters(), position);
        if !self.is_possible(law, &values) {
            return self.impossible(law_index, values);
        }
        let gain_db = self.frame_gains_db(law, std::slice::from_ref(&values)).pop();
        self.weigh_law(law, law_index, values, gain_db.unwrap_or_default())
    }

    /// Scores a law at many positions of the unit cube: each as [`Weighing::score`] does, to the last bit, but together.
    #[must_use]
    pub fn scores(&self, law: &dyn Law, law_index: usize, positions: &[Vec<f64>]) -> Vec<Candidate> {
        let values = positions.iter().map(|position| values_at(law.parameters(), position)).collect::<Vec<_>>();
        let possible = values.iter().filter(|values| self.is_possible(law, values)).cloned().collect::<Vec<_>>();
        // As many groups as keep all threads at work to the end.
        let groups = possible.len().div_ceil(TOGETHER).next_multiple_of(threads::count()).max(1);
        let groups = possible.chunks(possible.len().div_ceil(groups).max(1)).collect::<Vec<_>>();
        let gains = map_all(&groups, |group| self.frame_gains_db(law, group)).into_iter().flatten();
        let pairs = possible.iter().zip(gains).collect::<Vec<_>>();
        let weigh = |(values, gain_db): &(&Vec<f64>, Vec<f32>)| {
            self.weigh_law(law, law_index, (*values).clone(), gain_db.clone())
        };
        let mut weighed = map_all(&pairs, weigh).into_iter();
        let in_order = |values: Vec<f64>| {
            if self.is_possible(law, &values) { weighed.next() } else { Some(self.impossible(law_index, values)) }
        };
        values.into_iter().filter_map(in_order).collect()
    }

    /// Whether a device of these constants can have made the recording.
    fn is_possible(&self, law: &dyn Law, values: &[f64]) -> bool {
        self.listened(law).is_none_or(|listened| listened.is_possible(values))
    }

    fn impossible(&self, law_index: usize, values: Vec<f64>) -> Candidate {
        let loss_by_note = vec![IMPOSSIBLE as f32; self.evidence.note_len()];
        Candidate { law_index, values, loss: IMPOSSIBLE, loss_by_note, gain_db: vec![0.0; self.frame_len()] }
    }

    /// The coarse gains that each frame sees, in dB, for several sets of constants.
    fn frame_gains_db(&self, law: &dyn Law, many: &[Vec<f64>]) -> Vec<Vec<f32>> {
        let hop = self.frame_gain.hop_samples();
        match law.inverse_blocks_of(many, self.sample_rate_hz, self.drive(), hop) {
            Some(blocks) => blocks.iter().map(|blocks| self.frame_gain.frames_db(blocks)).collect(),
            None => many.iter().map(|values| self.frame_gain_db(law, values, true)).collect(),
        }
    }

    /// Scores a law's gain, what unusual constants cost included.
    #[must_use]
    pub fn weigh_law(&self, law: &dyn Law, law_index: usize, values: Vec<f64>, gain_db: Vec<f32>) -> Candidate {
        let unusual = self.price_share * (cost_of_unusual(law, &values) + law.implausibility(&values));
        // A published device with its published constants may drift as it does: nothing was chosen so that it would.
        let chosen = match law.habits().is_empty() {
            true => 1.0,
            false if is_usual(law, &values) => 0.0,
            false => (unusual / FREE_FROM).min(1.0),
        };
        let range = chosen * self.range_loss(&gain_db);
        let runaway = if law.may_drift() { (1.0 - chosen) * self.runaway_loss(&gain_db) } else { 0.0 };
        self.weigh_priced(law_index, values, gain_db, unusual + range + runaway)
    }

    /// Scores a gain given per frame in dB.
    #[must_use]
    pub fn weigh(&self, law_index: usize, values: Vec<f64>, gain_db: Vec<f32>) -> Candidate {
        let price = self.range_loss(&gain_db);
        self.weigh_priced(law_index, values, gain_db, price)
    }

    /// Scores a gain that costs `price` whatever it explains.
    fn weigh_priced(&self, law_index: usize, values: Vec<f64>, gain_db: Vec<f32>, price: f64) -> Candidate {
        let loss_by_note = self.evidence.loss_by_note(&gain_db);
        let low = gain_db.iter().copied().fold(f32::INFINITY, f32::min);
        let high = gain_db.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let excess = f64::from((high - low - WIDEST_SWING_DB).max(0.0));
        let wall = excess * self.evidence.point_len() as f64 * 1e-3;
        let loss = loss_by_note.iter().sum::<f64>() + self.step_loss(&gain_db) + wall + price;
        Candidate { law_index, values, loss, loss_by_note: loss_by_note.iter().map(|&l| l as f32).collect(), gain_db }
    }

    /// Devices have a range and end near where they began: what decays alone cannot tell, a slow drift, is held small.
    pub(super) fn range_loss(&self, gain_db: &[f32]) -> f64 {
        let drift = drift_db(gain_db);
        let variance = variance(gain_db);
        self.range_weight * ((drift / USUAL_RANGE_DB).powi(2) + variance / (USUAL_RANGE_DB * USUAL_RANGE_DB))
    }

    /// A drift that no device has, whatever its constants.
    fn runaway_loss(&self, gain_db: &[f32]) -> f64 {
        let beyond = (drift_db(gain_db).abs() - USUAL_RANGE_DB).max(0.0);
        self.range_weight * (beyond / RUNAWAY_DB).powi(2)
    }

    /// Loss of the onset steps: robust squared distance between measured and predicted step, in standard errors.
    pub(super) fn step_loss(&self, gain_db: &[f32]) -> f64 {
        self.step_weight
            * self
                .steps
                .iter()
                .filter_map(|s| {
                    let predicted = onsets::predicted_step(gain_db, s.onset_frame, self.hop_s, &self.step_config)?;
                    let r = (s.step_db - predicted) / (s.error_db.hypot(STEP_FLOOR_DB));
                    Some((r * r).ln_1p())
                })
                .sum::<f64>()
    }

    /// Slope of the measured on the predicted onset steps, with its standard error (robust against unequal
    /// scatter): 1 where the gain is right, 0 where there is none. Absent with fewer than 5 onsets.
    #[must_use]
    pub fn step_slope(&self, gain_db: &[f32]) -> Option<(f64, f64)> {
        let pairs = self
            .steps
            .iter()
            .filter_map(|s| {
                let predicted = onsets::predicted_step(gain_db, s.onset_frame, self.hop_s, &self.step_config)?;
                Some((predicted, s.step_db, 1.0 / (s.error_db * s.error_db + STEP_FLOOR_DB * STEP_FLOOR_DB)))
            })
            .collect::<Vec<_>>();
        let square = pairs.iter().map(|(p, _, w)| w * p * p).sum::<f64>();
        if pairs.len() < 5 || square <= 0.0 {
            return None;
        }
        let slope = pairs.iter().map(|(p, m, w)| w * p * m).sum::<f64>() / square;
        let scatter = pairs.iter().map(|(p, m, w)| (w * p * (m - slope * p)).powi(2)).sum::<f64>();
        Some((slope, scatter.sqrt() / square))
    }

    /// No gain at all.
    #[must_use]
    pub fn null(&self) -> Candidate {
        self.weigh(usize::MAX, Vec::new(), vec![0.0; self.frame_gain.frame_len()])
    }
}
