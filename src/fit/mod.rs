//! Which gain law explains the decays best, with which constants.
//!
//! For each law family a global search with the coarse inverse, then a local polish; then the partials are cut again
//! with the best gain removed (a gain control hides and feigns onsets), and the leaders are polished on those.

pub mod search;
pub mod verdict;

use crate::audio::Audio;
use crate::decay::{self, DecayConfig, Segment};
use crate::error::Error;
use crate::evidence::{Evidence, EvidenceConfig, FrameGain};
use crate::law::{self, Law};
use crate::onsets::{self, Step, StepConfig};
use crate::partials::Partials;
use crate::progress::{Observer, Stage};
use crate::stft::Stft;
use search::{Uniform, latin_hypercube, polish, position_of, trials, values_at};
use std::sync::Arc;

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
            generations: 12,
            polish_evaluations: 120,
            seed: 1,
            step_weight: 1.0,
        }
    }
}

/// A recording, laid out for weighing gain laws: what it heard of itself, its decays, its onset steps.
#[derive(Debug)]
pub struct Weighing {
    sample_rate_hz: f64,
    drive: Vec<f32>,
    frame_gain: FrameGain,
    hop_s: f64,
    step_config: StepConfig,
    step_weight: f64,
    range_weight: f64,
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

/// Gains that swing further than this, in dB, belong to no device and are walled off.
const WIDEST_SWING_DB: f32 = 45.0;

impl Weighing {
    /// Lays out a recording, cutting its partials with a gain removed (per frame in dB; empty: none).
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "one configuration for each stage before this one")]
    pub fn new(
        audio: &Audio,
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
            sample_rate_hz: f64::from(audio.sample_rate_hz()),
            drive: law::drive(audio.channels()),
            frame_gain: FrameGain::new(stft, audio.sample_len()),
            hop_s: stft.hop_s(),
            step_config: step_config.clone(),
            step_weight,
            range_weight: RANGE_WEIGHT,
            evidence: Evidence::new(partials, &segments, &notes, stft.hop_s(), evidence_config),
            steps: onsets::steps(partials, &onsets, stft.hop_s(), step_config),
            onsets,
            segments,
        }
    }

    /// The gain that each frame sees when a law is run backwards over the recording, in dB.
    #[must_use]
    pub fn frame_gain_db(&self, law: &dyn Law, values: &[f64], is_coarse: bool) -> Vec<f32> {
        let mut running = law.start(values, self.sample_rate_hz);
        let latency = running.latency_samples();
        let hop = self.frame_gain.hop_samples();
        let mut sums = vec![0f32; self.drive.len().div_ceil(hop)];
        let mut gain = vec![0f32; hop];
        let silence = vec![0f32; latency];
        let mut at = 0usize;
        for block in self.drive.chunks(hop).chain(silence.chunks(hop)) {
            let gain = &mut gain[..block.len()];
            if is_coarse {
                running.inverse_coarse(block, gain);
            } else {
                running.inverse(block, gain);
            }
            if latency == 0 {
                sums[at / hop] = gain.iter().sum();
            } else {
                for (k, g) in gain.iter().enumerate() {
                    if let Some(sum) = (at + k).checked_sub(latency).and_then(|n| sums.get_mut(n / hop)) {
                        *sum += g;
                    }
                }
            }
            at += block.len();
        }
        let last = self.drive.len() % hop;
        for (b, sum) in sums.iter_mut().enumerate() {
            let len = if last != 0 && (b + 1) * hop > self.drive.len() { last } else { hop };
            *sum /= len as f32;
        }
        self.frame_gain.frames_db(&sums)
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
        let mean = |part: &[f32]| part.iter().map(|&g| f64::from(g)).sum::<f64>() / part.len().max(1) as f64;
        let fifth = gain_db.len() / 5;
        let drift = mean(&gain_db[gain_db.len() - fifth..]) - mean(&gain_db[..fifth]);
        let centre = mean(gain_db);
        let variance =
            gain_db.iter().map(|&g| (f64::from(g) - centre).powi(2)).sum::<f64>() / gain_db.len().max(1) as f64;
        self.range_weight * ((drift / USUAL_RANGE_DB).powi(2) + variance / (USUAL_RANGE_DB * USUAL_RANGE_DB))
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

/// Runs `f` over `items`, on several threads where the feature allows, results in order.
fn map_all<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        items.par_iter().map(f).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        items.iter().map(f).collect()
    }
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
const FIRST_DRAW: usize = 6;

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

/// Searches every family.
///
/// # Errors
/// [`Error::Cancelled`] when the observer says so.
pub fn search(weighing: &Weighing, config: &FitConfig, observer: &dyn Observer) -> Result<Search, Error> {
    let mut pool: Vec<Candidate> = Vec::new();
    let mut families: Vec<FamilySearch> = Vec::new();
    for (law_index, law) in config.laws.iter().enumerate() {
        let parameters = law.parameters();
        let dimensions = parameters.len();
        let fraction = |share: f64| (law_index as f64 + share) / config.laws.len() as f64;
        let score = |position: &Vec<f64>| {
            let values = values_at(parameters, position);
            let gain_db = weighing.frame_gain_db(law.as_ref(), &values, true);
            weighing.weigh(law_index, values, gain_db)
        };
        let mut random = Uniform::new(config.seed.wrapping_mul(0x9E37_79B9).wrapping_add(law_index as u64));
        let members = (config.members_per_parameter * dimensions).max(8);
        // A family that shares its constants with one already searched starts where that one ended.
        let kin = families
            .iter()
            .filter(|f| {
                let known = config.laws[f.best.law_index].parameters();
                known.iter().filter(|k| parameters.iter().any(|p| p.name == k.name)).count() * 3 >= known.len() * 2
            })
            .min_by(|a, b| a.best.loss.total_cmp(&b.best.loss));
        let (mut positions, generations) = match kin {
            None => {
                let mut positions = latin_hypercube(members * FIRST_DRAW, dimensions, &mut random);
                positions.push(position_of(parameters, &parameters.iter().map(|p| p.default).collect::<Vec<_>>()));
                (positions, config.generations)
            }
            Some(kin) => {
                let known = config.laws[kin.best.law_index].parameters();
                let centre = parameters
                    .iter()
                    .map(|p| known.iter().position(|k| k.name == p.name).map_or(p.default, |k| kin.best.values[k]))
                    .collect::<Vec<_>>();
                let centre = position_of(parameters, &centre);
                let mut positions = latin_hypercube(members, dimensions, &mut random);
                for position in &mut positions {
                    for (u, c) in position.iter_mut().zip(&centre) {
                        *u = (c + 0.3 * (*u - 0.5)).clamp(0.0, 1.0);
                    }
                }
                positions.push(centre);
                (positions, config.generations / 3)
            }
        };
        let mut evaluation_len = positions.len();
        let scored = map_all(&positions, &score);
        let mut population = positions.drain(..).zip(&scored).map(|(p, c)| (p, c.loss)).collect::<Vec<_>>();
        population.sort_by(|a, b| a.1.total_cmp(&b.1));
        population.truncate(members);
        pool.extend(scored);
        for generation in 0..generations {
            if !observer.progress(Stage::Fit, fraction(0.8 * generation as f64 / generations as f64)) {
                return Err(Error::Cancelled);
            }
            let trials = trials(&population, &mut random);
            evaluation_len += trials.len();
            let scored = map_all(&trials, &score);
            for ((member, trial), candidate) in population.iter_mut().zip(trials).zip(&scored) {
                if candidate.loss < member.1 {
                    *member = (trial, candidate.loss);
                }
            }
            pool.extend(scored);
            thin(&mut pool);
        }
        population.sort_by(|a, b| a.1.total_cmp(&b.1));
        let starts = population.iter().take(2).map(|m| m.0.clone()).collect::<Vec<_>>();
        let polished = map_all(&starts, |start| {
            let seen = std::cell::RefCell::new(Vec::new());
            let polished = polish(start, 0.05, config.polish_evaluations, |u| {
                let candidate = score(&u.to_vec());
                let loss = candidate.loss;
                seen.borrow_mut().push(candidate);
                loss
            });
            (polished, seen.into_inner())
        });
        let mut termination = String::new();
        let mut lowest = f64::INFINITY;
        for (polished, seen) in polished {
            evaluation_len += polished.evaluation_len;
            if polished.cost < lowest {
                lowest = polished.cost;
                termination = polished.termination;
            }
            pool.extend(seen);
        }
        let best = pool
            .iter()
            .filter(|c| c.law_index == law_index)
            .min_by(|a, b| a.loss.total_cmp(&b.loss))
            .cloned()
            .unwrap_or_else(|| weighing.null());
        thin(&mut pool);
        families.push(FamilySearch { best, evaluation_len, termination });
    }
    Ok(Search { families, candidates: pool })
}

/// Evaluations spent on settling the constants.
const SETTLING_EVALUATIONS: usize = 90;

/// Polishes the leader of a search on other cuts of the partials, with the exact inverse.
#[must_use]
pub fn settle(again: &Weighing, search: &Search, config: &FitConfig) -> Candidate {
    let leader = &search.candidates[0];
    let law = &config.laws[leader.law_index];
    let parameters = law.parameters();
    let score = |position: &[f64]| {
        let values = values_at(parameters, position);
        let gain_db = again.frame_gain_db(law.as_ref(), &values, true);
        again.weigh(leader.law_index, values, gain_db).loss
    };
    let polished = polish(&position_of(parameters, &leader.values), 0.03, SETTLING_EVALUATIONS, score);
    let values = values_at(parameters, &polished.position);
    let gain_db = again.frame_gain_db(law.as_ref(), &values, false);
    again.weigh(leader.law_index, values, gain_db)
}

/// Keeps the best.
fn thin(pool: &mut Vec<Candidate>) {
    pool.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    pool.truncate(KEPT);
}
