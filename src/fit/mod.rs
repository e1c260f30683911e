//! Which gain law explains the decays best, with which constants.
//!
//! For each law family a global search with the coarse inverse, then a local polish; then the partials are cut again
//! with the best gain removed (a gain control hides and feigns onsets), and the leaders are polished on those.

pub mod landings;
pub mod search;
pub mod verdict;

use crate::decay::{self, DecayConfig, Segment};
use crate::error::Error;
use crate::evidence::{Evidence, EvidenceConfig, FrameGain};
use crate::law::{self, Landing, Law, Listened, Parameter};
use crate::onsets::{self, Step, StepConfig};
use crate::partials::Partials;
use crate::progress::{Observer, Stage};
use crate::stft::Stft;
use crate::threads::{self, map_all};
use landings::Effort;
use search::{Polished, Uniform, latin_hypercube, polish, position_of, trials, values_at};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How laws are searched.
#[derive(Debug, Clone)]
pub struct FitConfig {
    /// The law families to try, in order. Families that share parameter names are started from each other's best.
    pub laws: Vec<Arc<dyn Law>>,
    /// Members of a population, per parameter of the law.
    pub members_per_parameter: usize,
    /// Generations of the global search.
    pub generations: usize,
    /// Evaluations of each local search.
    pub polish_evaluations: usize,
    /// How much of the recording's beginning all families are scouted on, in seconds.
    pub scout_s: f64,
    /// How much of the recording's beginning the promising families are searched on, in seconds: enough notes for any
    /// law, and the cost of an hour is that of two minutes.
    pub search_s: f64,
    /// Seed of all randomness: the same seed gives the same result on any number of threads.
    pub seed: u64,
    /// Weight of the measured onset steps, in points of the misfit for each squared standard error.
    pub step_weight: f64,
}

impl Default for FitConfig {
    fn default() -> Self {
        Self {
            laws: law::searched(),
            members_per_parameter: 4,
            generations: 10,
            polish_evaluations: 100,
            scout_s: 25.0,
            search_s: 120.0,
            seed: 1,
            step_weight: 1.0,
        }
    }
}

/// A recording, laid out for weighing gain laws: what it heard of itself, its decays, its onset steps.
#[derive(Debug)]
pub struct Weighing {
    sample_rate_hz: f64,
    drive: Arc<[f32]>,
    /// How much of the drive is weighed.
    sample_len: usize,
    /// What each law heard of `drive`, by its name, once it was asked.
    listened: Mutex<BTreeMap<&'static str, Option<Arc<dyn Listened>>>>,
    frame_gain: FrameGain,
    hop_s: f64,
    step_config: StepConfig,
    step_weight: f64,
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
    /// Index into [`FitConfig::laws`].
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
const STEP_FLOOR_DB: f64 = 0.4;

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
            listened: Mutex::default(),
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
        let landed = listened.and_then(|l| landings::land(self, &self.evidence, l.as_ref(), values, Effort::Full));
        landed.map_or_else(Vec::new, |landed| landed.landings)
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
    fn listened(&self, law: &dyn Law) -> Option<Arc<dyn Listened>> {
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
        let unusual = self.price_share * cost_of_unusual(law, &values);
        let mut candidate = self.weigh(law_index, values, gain_db);
        candidate.loss += unusual;
        if !law.habits().is_empty() {
            // A published device with its published constants may drift as it does: nothing was chosen so that it would.
            let chosen = if is_usual(law, &candidate.values) { 0.0 } else { (unusual / FREE_FROM).min(1.0) };
            let held = if law.may_drift() { self.runaway_loss(&candidate.gain_db) } else { 0.0 };
            candidate.loss -= (1.0 - chosen) * (self.range_loss(&candidate.gain_db) - held);
        }
        candidate
    }

    /// Scores a gain given per frame in dB.
    #[must_use]
    pub fn weigh(&self, law_index: usize, values: Vec<f64>, gain_db: Vec<f32>) -> Candidate {
        let loss_by_note = self.evidence.loss_by_note(&gain_db);
        let low = gain_db.iter().copied().fold(f32::INFINITY, f32::min);
        let high = gain_db.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let excess = f64::from((high - low - WIDEST_SWING_DB).max(0.0));
        let wall = excess * self.evidence.point_len() as f64 * 1e-3;
        let loss = loss_by_note.iter().sum::<f64>() + self.step_loss(&gain_db) + self.range_loss(&gain_db) + wall;
        Candidate { law_index, values, loss, loss_by_note: loss_by_note.iter().map(|&l| l as f32).collect(), gain_db }
    }

    /// Devices have a range and end near where they began: what decays alone cannot tell, a slow drift, is held small.
    fn range_loss(&self, gain_db: &[f32]) -> f64 {
        let drift = drift_db(gain_db);
        let centre = mean(gain_db);
        let variance =
            gain_db.iter().map(|&g| (f64::from(g) - centre).powi(2)).sum::<f64>() / gain_db.len().max(1) as f64;
        self.range_weight * ((drift / USUAL_RANGE_DB).powi(2) + variance / (USUAL_RANGE_DB * USUAL_RANGE_DB))
    }

    /// A drift that no device has, whatever its constants.
    fn runaway_loss(&self, gain_db: &[f32]) -> f64 {
        let beyond = (drift_db(gain_db).abs() - USUAL_RANGE_DB).max(0.0);
        self.range_weight * (beyond / RUNAWAY_DB).powi(2)
    }

    /// Loss of the onset steps: robust squared distance between measured and predicted step, in standard errors.
    fn step_loss(&self, gain_db: &[f32]) -> f64 {
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

/// Distance from a usual value, as a share of the range, from which a constant costs what it costs to be unusual.
const UNUSUAL_FROM: f64 = 0.001;
/// What each constant costs that has no usual value: chance alone wins that much by choosing it.
const CHOSEN_COST: f64 = 25.0;
/// Cost of unusual constants from which a law is free to drift, so that drift has to be held small.
const FREE_FROM: f64 = 40.0;

/// Whether every constant is one that devices of this law usually have: nothing was chosen, so nothing was won by choosing.
#[must_use]
pub fn is_usual(law: &dyn Law, values: &[f64]) -> bool {
    let is_usual = |(d, &value): (usize, &f64)| {
        let place = |v: f64| position_of(&law.parameters()[d..=d], &[v])[0];
        law.habits()[d].usual.iter().any(|&u| (place(u) - place(value)).abs() < 0.1 * UNUSUAL_FROM)
    };
    law.habits().len() == values.len() && !values.is_empty() && values.iter().enumerate().all(is_usual)
}

/// Published devices, of each law, that `scout` hands on to the whole recording.
const SCOUTED_DEVICES: usize = 6;

/// The published devices, with usual constants only, that suit the recording best, best first. All are tried on `scout`, a
/// beginning of the recording, the best of each law on the whole.
#[must_use]
pub fn published(weighing: &Weighing, scout: &Weighing, config: &FitConfig) -> Vec<Candidate> {
    let mut devices = Vec::new();
    for (law_index, law) in config.laws.iter().enumerate() {
        let law = law.as_ref();
        let positions = usual_positions(law);
        let scored = map_all(&positions, |position| scout.score(law, law_index, position).loss);
        let mut scouted = positions.into_iter().zip(scored).collect::<Vec<_>>();
        scouted.sort_by(|a, b| a.1.total_cmp(&b.1));
        devices.extend(scouted.into_iter().take(SCOUTED_DEVICES).map(|(position, _)| (law_index, position)));
    }
    let mut scored = map_all(&devices, |(law_index, position)| {
        weighing.score(config.laws[*law_index].as_ref(), *law_index, position)
    });
    scored.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    scored
}

/// Devices of one law that can be tried one by one.
const MOST_DEVICES: usize = 400;

/// Points of misfit within which two devices explain a recording as well: of right ones, the next that put another gain in
/// lay 100 to 1200 points behind; where that was 21, the wrong one led.
const RIVAL_POINTS: f64 = 60.0;
/// Share of its movement from which a gain is another.
const RIVAL_SHARE: f64 = 0.5;

/// Whether another published device, no rarer, explains the recording as well, with another gain.
#[must_use]
pub fn has_rival(best: &Candidate, published: &[Candidate], laws: &[Arc<dyn Law>]) -> bool {
    let rarity = |device: &Candidate| cost_of_unusual(laws[device.law_index].as_ref(), &device.values);
    let commonness = rarity(best) + 1.0;
    let deviation = |gain_db: &mut dyn Iterator<Item = f32>| {
        let gain_db = gain_db.collect::<Vec<_>>();
        let centre = mean(&gain_db);
        gain_db.iter().map(|&g| (f64::from(g) - centre).powi(2)).sum::<f64>().sqrt()
    };
    let movement = deviation(&mut best.gain_db.iter().copied());
    let is_close = |device: &&Candidate| device.loss < best.loss + RIVAL_POINTS && rarity(device) <= commonness;
    published.iter().filter(is_close).any(|device| {
        let difference = device.gain_db.iter().zip(&best.gain_db).map(|(a, b)| a - b);
        deviation(&mut difference.into_iter()) > RIVAL_SHARE * movement
    })
}

/// Every combination of usual constants, in the unit cube; none for laws of which some constants may be anything, or that
/// have too many.
fn usual_positions(law: &dyn Law) -> Vec<Vec<f64>> {
    let len = law.habits().iter().map(|h| h.usual.len()).product::<usize>();
    if law.habits().is_empty() || len == 0 || len > MOST_DEVICES {
        return Vec::new();
    }
    let mut values = vec![Vec::new()];
    for habit in law.habits() {
        values = values
            .iter()
            .flat_map(|known: &Vec<f64>| habit.usual.iter().map(|&u| [known.as_slice(), &[u]].concat()))
            .collect();
    }
    values.iter().map(|values| position_of(law.parameters(), values)).collect()
}

/// What the constants cost that are not where devices of this law have them, or that few devices have.
fn cost_of_unusual(law: &dyn Law, values: &[f64]) -> f64 {
    let place = |parameter: &Parameter, value: f64| position_of(&[*parameter], &[value])[0];
    let constants = law.parameters().iter().zip(values).enumerate();
    constants
        .map(|(d, (parameter, &value))| {
            let Some(habit) = law.habits().get(d).filter(|habit| !habit.usual.is_empty()) else { return CHOSEN_COST };
            let distance = |u: f64| (place(parameter, u) - place(parameter, value)).abs();
            let cost_beside = |(k, &u): (usize, &f64)| {
                let here = if k == 0 { 0.0 } else { habit.rare_cost };
                let beside = habit.cost + habit.rare_cost;
                here + (beside - here) * (distance(u) / UNUSUAL_FROM).min(1.0).powi(2)
            };
            habit.usual.iter().enumerate().map(cost_beside).fold(f64::INFINITY, f64::min)
        })
        .sum()
}

/// What the search of one family came to.
#[derive(Debug, Clone)]
pub struct FamilySearch {
    /// The best found.
    pub best: Candidate,
    /// Evaluations spent.
    pub evaluation_len: usize,
    /// How the local search ended.
    pub termination: String,
}

/// Points drawn before the first generation, for each member of the population: basins are found here or never.
const FIRST_DRAW: usize = 4;

/// Share of the constants that the first draw leaves at their defaults.
const DEFAULT_SHARE: f64 = 0.3;

/// Candidates kept for confidence: enough to cover the basin, few enough to hold in memory.
const KEPT: usize = 300;

/// All that a search leaves behind.
#[derive(Debug)]
pub struct Search {
    /// One for each law of the configuration, in its order.
    pub families: Vec<FamilySearch>,
    /// The best candidates seen in any family, best first.
    pub candidates: Vec<Candidate>,
}

/// Searches the families: all of them are scouted on the beginning of the recording, the most promising are searched
/// on the whole of it, and the best are polished.
///
/// `scout` lays out a beginning of the recording that `weighing` lays out whole. Laws run from the first sample on,
/// because they have a state: the recording is thinned, never the rate.
///
/// # Errors
/// [`Error::Cancelled`] when the observer says so.
pub fn search(
    weighing: &Weighing,
    scout: &Weighing,
    config: &FitConfig,
    observer: &dyn Observer,
) -> Result<Search, Error> {
    let steps = config.laws.len() + CONTENDERS * config.generations + CONTENDERS;
    let mut step = 0;
    let mut advance = || {
        step += 1;
        if observer.progress(Stage::Fit, (step as f64 / steps as f64).min(1.0)) {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    };
    let mut pool: Vec<Candidate> = Vec::new();
    let mut families = Vec::new();
    for (law_index, law) in config.laws.iter().enumerate() {
        let positions = if law.needs_landings() {
            vec![default_position(law.as_ref())]
        } else {
            first_draw(law.as_ref(), config, law_index)
        };
        let scored = scout.scores(law.as_ref(), law_index, &positions);
        let scored = scored.into_iter().map(|candidate| candidate.loss).collect::<Vec<_>>();
        let mut drawn = positions.into_iter().zip(scored).collect::<Vec<_>>();
        drawn.sort_by(|a, b| a.1.total_cmp(&b.1));
        let evaluation_len = drawn.len();
        drawn.truncate(members(law.as_ref(), config));
        families.push(Family { law_index, drawn, evaluation_len, termination: "scouted only".to_owned() });
        advance()?;
    }
    let mut order = (0..families.len()).collect::<Vec<_>>();
    order.sort_by(|&a, &b| families[a].lowest().total_cmp(&families[b].lowest()));
    let null = scout.null().loss;
    if config.laws.iter().any(|law| !law.needs_landings()) {
        order.retain(|&k| !config.laws[k].needs_landings());
    }
    let first = order[0];
    let leader = families[first].lowest();
    // The leader stays even where it explains less than no gain at all.
    order.retain(|&k| k == first || null - families[k].lowest() >= CONTENDING_SHARE * (null - leader));
    order.truncate(CONTENDERS);
    for &index in &order {
        evolve(weighing, config, &mut families, index, &mut pool, &mut advance)?;
    }
    order.sort_by(|&a, &b| families[a].lowest().total_cmp(&families[b].lowest()));
    let null = weighing.null().loss;
    let leader = families[order[0]].lowest();
    for &index in order.iter().take(POLISHED) {
        advance()?;
        if null - families[index].lowest() < CLOSE_SHARE * (null - leader) {
            break;
        }
        polish_family(weighing, config, &mut families[index], &mut pool);
    }
    let families = families
        .into_iter()
        .map(|family| {
            let of_family = |c: &&Candidate| c.law_index == family.law_index;
            let best = pool.iter().filter(of_family).min_by(|a, b| a.loss.total_cmp(&b.loss)).cloned();
            let law = config.laws[family.law_index].as_ref();
            FamilySearch {
                best: best.unwrap_or_else(|| weighing.score(law, family.law_index, &family.drawn[0].0)),
                evaluation_len: family.evaluation_len,
                termination: family.termination,
            }
        })
        .collect();
    thin(&mut pool);
    Ok(Search { families, candidates: pool })
}

/// Members of the largest population.
const MOST_MEMBERS: usize = 24;
/// Families that are searched on the whole recording.
const CONTENDERS: usize = 4;
/// A family contends if its first draw explains this share of what the leader's explains.
const CONTENDING_SHARE: f64 = 0.35;
/// Generations after which a family is measured against the leader.
const PATIENCE: usize = 3;
/// Share of the leader's improvement that a family needs to go on.
const CATCH_UP_SHARE: f64 = 0.6;
/// Share of the leader's improvement that a family needs to be polished.
const CLOSE_SHARE: f64 = 0.85;
/// Families that are polished.
const POLISHED: usize = 2;

/// A family in the course of its search: its population, best first.
struct Family {
    law_index: usize,
    drawn: Vec<(Vec<f64>, f64)>,
    evaluation_len: usize,
    termination: String,
}

impl Family {
    fn lowest(&self) -> f64 {
        self.drawn.iter().map(|d| d.1).fold(f64::INFINITY, f64::min)
    }
}

/// Members of a law's population.
fn members(law: &dyn Law, config: &FitConfig) -> usize {
    (config.members_per_parameter * law.parameters().len()).clamp(8, MOST_MEMBERS)
}

/// Random source of one family.
fn random_of(config: &FitConfig, law_index: usize) -> Uniform {
    Uniform::new(config.seed.wrapping_mul(0x9E37_79B9).wrapping_add(law_index as u64))
}

/// Where a law's defaults lie in the unit cube.
fn default_position(law: &dyn Law) -> Vec<f64> {
    let parameters = law.parameters();
    position_of(parameters, &parameters.iter().map(|p| p.default).collect::<Vec<_>>())
}

/// The points at which a family is scouted, the defaults among them.
fn first_draw(law: &dyn Law, config: &FitConfig, law_index: usize) -> Vec<Vec<f64>> {
    let mut random = random_of(config, law_index);
    let parameters = law.parameters();
    let mut positions = latin_hypercube(members(law, config) * FIRST_DRAW, parameters.len(), &mut random);
    // Devices are sold with their defaults: a good part of the draws leaves constants where they were.
    let defaults = default_position(law);
    for (u, default) in positions.iter_mut().flat_map(|p| p.iter_mut().zip(&defaults)) {
        if random.next() < DEFAULT_SHARE {
            *u = *default;
        }
    }
    // Published devices are few enough to be tried one by one.
    positions.extend(usual_positions(law));
    positions.push(defaults);
    positions
}

/// Differential evolution of one family on the whole recording, joined by what related families have found.
fn evolve(
    weighing: &Weighing,
    config: &FitConfig,
    families: &mut [Family],
    index: usize,
    pool: &mut Vec<Candidate>,
    advance: &mut impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    let law_index = families[index].law_index;
    let law = config.laws[law_index].as_ref();
    let mut positions = families[index].drawn.iter().map(|d| d.0.clone()).collect::<Vec<_>>();
    let related = related_best(law, config, pool);
    let generations = config.generations / if related.is_some() { 3 } else { 1 };
    positions.extend(related);
    let mut random = random_of(config, law_index + config.laws.len());
    let scored = weighing.scores(law, law_index, &positions);
    families[index].evaluation_len += scored.len();
    let mut population = positions.into_iter().zip(scored.iter().map(|c| c.loss)).collect::<Vec<_>>();
    pool.extend(scored);
    let null = weighing.null().loss;
    for generation in 0..generations {
        advance()?;
        // A family that is far behind after a few generations does not catch up.
        let lowest = population.iter().map(|m| m.1).fold(f64::INFINITY, f64::min);
        let leader = pool.iter().map(|c| c.loss).fold(f64::INFINITY, f64::min);
        if generation >= PATIENCE && null - lowest < CATCH_UP_SHARE * (null - leader) {
            break;
        }
        let trials = trials(&population, &mut random);
        let scored = weighing.scores(law, law_index, &trials);
        families[index].evaluation_len += scored.len();
        for ((member, trial), candidate) in population.iter_mut().zip(trials).zip(&scored) {
            if candidate.loss < member.1 {
                *member = (trial, candidate.loss);
            }
        }
        pool.extend(scored);
        thin(pool);
    }
    population.sort_by(|a, b| a.1.total_cmp(&b.1));
    families[index].drawn = population;
    families[index].termination = "evolved".to_owned();
    Ok(())
}

/// The best constants of the families already searched that share most of this law's parameter names.
fn related_best(law: &dyn Law, config: &FitConfig, pool: &[Candidate]) -> Option<Vec<f64>> {
    let parameters = law.parameters();
    let related = |c: &&Candidate| {
        let known = config.laws[c.law_index].parameters();
        known.iter().filter(|k| parameters.iter().any(|p| p.name == k.name)).count() * 3 >= known.len() * 2
    };
    let best = pool.iter().filter(related).min_by(|a, b| a.loss.total_cmp(&b.loss))?;
    let known = config.laws[best.law_index].parameters();
    let value_of = |p: &Parameter| known.iter().position(|k| k.name == p.name).map_or(p.default, |k| best.values[k]);
    Some(position_of(parameters, &parameters.iter().map(value_of).collect::<Vec<_>>()))
}

/// Local search from the two best members of a family.
fn polish_family(weighing: &Weighing, config: &FitConfig, family: &mut Family, pool: &mut Vec<Candidate>) {
    let law = config.laws[family.law_index].as_ref();
    let starts = family.drawn.iter().take(2).map(|m| m.0.clone()).collect::<Vec<_>>();
    let polished = map_all(&starts, |start| {
        let seen = std::cell::RefCell::new(Vec::new());
        let polished = polish(start, 0.05, config.polish_evaluations, |position| {
            let candidate = weighing.score(law, family.law_index, position);
            let loss = candidate.loss;
            seen.borrow_mut().push(candidate);
            loss
        });
        (polished, seen.into_inner())
    });
    let mut lowest = f64::INFINITY;
    for (polished, seen) in polished {
        family.evaluation_len += polished.evaluation_len;
        if polished.cost < lowest {
            lowest = polished.cost;
            family.termination = polished.termination;
        }
        pool.extend(seen);
        thin(pool);
    }
}

/// Evaluations spent on settling the constants.
const SETTLING_EVALUATIONS: usize = 70;

/// Polishes the leader of a search on other cuts of the partials; the gain it ends with is from the exact inverse.
#[must_use]
pub fn settle(again: &Weighing, search: &Search, config: &FitConfig) -> Candidate {
    let leader = &search.candidates[0];
    let law = &config.laws[leader.law_index];
    let parameters = law.parameters();
    let score = |position: &[f64]| again.score(law.as_ref(), leader.law_index, position).loss;
    // Twice: a simplex that has collapsed starts afresh.
    let first = polish(&position_of(parameters, &leader.values), 0.03, SETTLING_EVALUATIONS, score);
    let polished = polish(&first.position, 0.03, SETTLING_EVALUATIONS, score);
    let usual = if law.habits().is_empty() { None } else { with_usual_constants(law.as_ref(), &polished, score) };
    let position = simplified(law.as_ref(), usual.unwrap_or(polished.position), score);
    let values = come_home(law.as_ref(), values_at(parameters, &position));
    let gain_db = again.frame_gain_db(law.as_ref(), &values, false);
    again.weigh_law(law.as_ref(), leader.law_index, values, gain_db)
}

/// A position with each constant at its nearest usual value where that is no worse: a limit that is never reached may be
/// anything.
fn simplified(law: &dyn Law, mut position: Vec<f64>, score: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    if law.habits().is_empty() {
        return position;
    }
    let mut lowest = score(&position);
    for (d, habit) in law.habits().iter().enumerate() {
        let places = habit.usual.iter().map(|&u| position_of(&law.parameters()[d..=d], &[u])[0]);
        let distance = |place: &f64| (place - position[d]).abs();
        let Some(nearest) = places.min_by(|a, b| distance(a).total_cmp(&distance(b))) else { continue };
        let mut simpler = position.clone();
        simpler[d] = nearest;
        let loss = score(&simpler);
        if loss <= lowest {
            (position, lowest) = (simpler, loss);
        }
    }
    position
}

/// Constants next to a usual value, brought to it: what lies between is the end of a search, not a device.
fn come_home(law: &dyn Law, mut values: Vec<f64>) -> Vec<f64> {
    let constants = values.iter_mut().zip(law.parameters()).zip(law.habits());
    for ((value, parameter), habit) in constants {
        let place = |v: f64| position_of(&[*parameter], &[v])[0];
        let distance = |u: f64| (place(u) - place(*value)).abs();
        if let Some(&nearest) = habit.usual.iter().min_by(|a, b| distance(**a).total_cmp(&distance(**b)))
            && distance(nearest) <= UNUSUAL_FROM
        {
            *value = nearest;
        }
    }
    values
}

/// Evaluations spent on each constant that does not keep its usual value, when others do.
const USUAL_EVALUATIONS: usize = 12;
/// Choices of usual constants that are polished.
const HOPEFUL: usize = 12;
/// Usual values of one constant that are tried, the nearest.
const NEAREST_USUAL: usize = 2;

/// The best position that keeps all usual constants but two at most, if that is better than one that was polished freely:
/// constants make up for each other, so that they have to come home together.
fn with_usual_constants(law: &dyn Law, polished: &Polished, score: impl Fn(&[f64]) -> f64 + Sync) -> Option<Vec<f64>> {
    let parameters = law.parameters();
    let mut choices = vec![(polished.position.clone(), Vec::new())];
    for (d, habit) in law.habits().iter().enumerate().filter(|(_, habit)| !habit.usual.is_empty()) {
        let mut usual =
            habit.usual.iter().map(|&value| position_of(&parameters[d..=d], &[value])[0]).collect::<Vec<_>>();
        usual.sort_by(|a, b| (a - polished.position[d]).abs().total_cmp(&(b - polished.position[d]).abs()));
        usual.truncate(NEAREST_USUAL);
        choices = choices
            .into_iter()
            .flat_map(|(position, free)| {
                let kept = usual.iter().map(|&u| {
                    let mut position = position.clone();
                    position[d] = u;
                    (position, free.clone())
                });
                let freed = (free.len() < 2).then(|| (position.clone(), [free.as_slice(), &[d]].concat()));
                kept.chain(freed).collect::<Vec<_>>()
            })
            .collect();
    }
    // Constants without a usual value are always free.
    let always = (0..parameters.len()).filter(|&d| law.habits().get(d).is_none_or(|h| h.usual.is_empty()));
    let always = always.collect::<Vec<_>>();
    // Most choices are hopeless where they start.
    let starts = map_all(&choices, |(position, _)| score(position));
    let mut choices = choices.into_iter().zip(starts).collect::<Vec<_>>();
    choices.sort_by(|a, b| a.1.total_cmp(&b.1));
    choices.truncate(HOPEFUL);
    let tried = map_all(&choices, |((position, free), _)| {
        let free = always.iter().chain(free).copied().collect::<Vec<_>>();
        let at = |u: &[f64]| {
            let mut out = position.clone();
            for (&d, u) in free.iter().zip(u) {
                out[d] = *u;
            }
            out
        };
        let start = free.iter().map(|&d| position[d]).collect::<Vec<_>>();
        let found = polish(&start, 0.03, USUAL_EVALUATIONS * free.len(), |u| score(&at(u)));
        (found.cost, at(&found.position))
    });
    let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 < polished.cost).then_some(best.1)
}

/// Keeps the best.
fn thin(pool: &mut Vec<Candidate>) {
    pool.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    pool.truncate(KEPT);
}
