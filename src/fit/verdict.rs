//! Is it a gain control, or chance? Notes are resampled, not frames: frames of one note are not independent.
//!
//! Each resample draws notes with replacement, picks the candidate law that suits the drawn notes best, and asks the
//! notes that were *not* drawn whether they agree. Choosing and judging never share a note, so the freedom of the
//! search cannot vote for itself. (B. Efron, bootstrap, 1979; L. Breiman, out-of-bag estimation, 1996.)
//!
//! The steps at onsets judge independently: no law went into their measuring.

use super::search::Uniform;
use super::{Candidate, Weighing};
use crate::analysis::Verdict;

/// When a gain control counts as found.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictConfig {
    /// Resamples of the notes.
    pub resample_len: usize,
    /// Largest chance, by resamples, that the notes left out do not agree.
    pub max_p_value: f64,
    /// Least share of the misfit that the gain must explain. True gains explain 0.002 to 0.06; the best law on untouched
    /// recordings, at most 0.0005.
    pub min_share: f64,
    /// At or below this chance, there is a hint of a gain control however small the share: over 11 untouched recordings
    /// the lowest was 0.25.
    pub hint_p_value: f64,
    /// Below this share there is no gain control to speak of.
    pub faint_share: f64,
    /// Above this chance there is no gain control to speak of.
    pub faint_p_value: f64,
    /// Least ratio of the steps' slope to its standard error.
    pub min_step_ratio: f64,
    /// Gains that move less than this, in dB (standard deviation), are not worth undoing.
    pub min_movement_db: f64,
    /// Fewest notes that can carry a verdict.
    pub min_notes: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for VerdictConfig {
    fn default() -> Self {
        Self {
            resample_len: 300,
            max_p_value: 0.02,
            min_share: 0.002,
            hint_p_value: 0.1,
            faint_share: 0.0008,
            faint_p_value: 0.4,
            min_step_ratio: 3.0,
            min_movement_db: 0.25,
            min_notes: 12,
            seed: 1,
        }
    }
}

/// What resampling and steps say of the best candidate.
#[derive(Debug, Clone)]
pub struct Weight {
    /// Share of the misfit that the gain explains.
    pub share: f64,
    /// Chance that notes which had no part in the choice do not agree.
    pub p_value: f64,
    /// Slope of measured on predicted onset steps, and its standard error.
    pub step_slope: Option<(f64, f64)>,
    /// How much better than its mirror image, louder for softer, the gain explains the notes, in standard errors: 0 on average
    /// where there is no gain.
    pub mirror_ratio: f64,
    /// Candidate that each resample picked.
    pub picks: Vec<usize>,
    /// Whether it is a published device with its usual constants: there was next to nothing to choose.
    pub is_published: bool,
    /// Whether its law has so few published devices that choosing among them is no choice, either.
    pub has_few_devices: bool,
    /// Whether another published device explains the recording as well, with another gain.
    pub has_rival: bool,
    /// When, in seconds, the gain fell by an amount that nothing in the recording tells.
    pub lost_s: Option<f64>,
    /// Whether landings were estimated: with their freedom, the steps have to be sure.
    pub has_landings: bool,
}

/// Weighs the candidates against no gain. `candidates` must not be empty; the first is the best.
#[must_use]
pub fn weigh(weighing: &Weighing, candidates: &[Candidate], config: &VerdictConfig) -> Weight {
    let null = weighing.null();
    let best = &candidates[0];
    let notes = null.loss_by_note.len();
    let mut random = Uniform::new(config.seed);
    let mut picks = Vec::with_capacity(config.resample_len);
    let mut disagree = 0usize;
    let mut drawn = vec![0f32; notes];
    for _ in 0..config.resample_len {
        drawn.fill(0.0);
        for _ in 0..notes {
            drawn[random.index(notes)] += 1.0;
        }
        let in_bag = |c: &Candidate| c.loss_by_note.iter().zip(&drawn).map(|(l, d)| l * d).sum::<f32>();
        let pick = (0..candidates.len()).min_by(|&a, &b| in_bag(&candidates[a]).total_cmp(&in_bag(&candidates[b])));
        let pick = pick.unwrap_or(0);
        let out_of_bag =
            |c: &Candidate| c.loss_by_note.iter().zip(&drawn).filter(|(_, d)| **d == 0.0).map(|(l, _)| *l).sum::<f32>();
        disagree += usize::from(out_of_bag(&candidates[pick]) >= out_of_bag(&null));
        picks.push(pick);
    }
    let mirrored = best.gain_db.iter().map(|gain_db| -gain_db).collect();
    let mirrored = weighing.weigh(best.law_index, best.values.clone(), mirrored);
    let better = |(own, other): (&f32, &f32)| f64::from(other - own);
    let better = best.loss_by_note.iter().zip(&mirrored.loss_by_note).map(better);
    let (sum, square) = better.fold((0.0, 0.0), |(sum, square), b| (sum + b, square + b * b));
    Weight {
        mirror_ratio: if square > 0.0 { sum / square.sqrt() } else { 0.0 },
        share: if null.loss > 0.0 { (null.loss - best.loss) / null.loss } else { 0.0 },
        p_value: (disagree + 1) as f64 / (config.resample_len + 1) as f64,
        step_slope: weighing.step_slope(&best.gain_db),
        picks,
        is_published: false,
        has_few_devices: false,
        has_rival: false,
        lost_s: None,
        has_landings: false,
    }
}

/// The verdict on the best candidate.
#[must_use]
pub fn decide(weighing: &Weighing, movement_db: f64, weight: &Weight, config: &VerdictConfig) -> Verdict {
    let undecided = |reason: &str| Verdict::Undecided { reason: reason.to_owned() };
    if weighing.evidence.note_len() < config.min_notes {
        return undecided("too few notes ring long enough to show whether the level was controlled");
    }
    // Decays that speak loudly need less from the steps: slow pieces have few onsets to measure.
    let is_loud = (weight.share >= LOUD_SHARE || weight.is_published) && !weight.has_landings;
    // Steps that follow the gain closely let the notes be less sure: two witnesses, each of which could be chance.
    let steps_are_sure = movement_db >= SURE_MOVEMENT_DB
        && weight.step_slope.is_some_and(|(slope, error)| slope >= SURE_RATIO * error && SURE_SLOPES.contains(&slope));
    // Gains too slow to step at onsets cannot be told by steps. Where a gain has nothing to do with the notes, its mirror image does
    // as well.
    let steps_tell = weight.step_slope.is_some_and(|(_, error)| error < TELLING_ERROR);
    let is_mirrored = is_loud && !steps_tell && weight.mirror_ratio >= MIRROR_RATIO;
    let may_be_faint = is_mirrored && weight.has_few_devices;
    let max_p_value = if steps_are_sure || may_be_faint {
        config.max_p_value * SURE_FACTOR
    } else {
        config.max_p_value * if is_loud { LOUD_FACTOR } else { 1.0 }
    };
    let min_share = match (may_be_faint, steps_are_sure) {
        (true, _) => config.faint_share,
        (false, true) => config.min_share * SURE_SHARE_FACTOR,
        (false, false) => config.min_share,
    };
    let notes_agree = weight.p_value <= max_p_value && weight.share >= min_share;
    let needed = match (weight.has_landings, is_loud) {
        (true, _) => SURE_RATIO,
        (false, true) => config.min_step_ratio * LOUD_STEP_FACTOR,
        (false, false) => config.min_step_ratio,
    };
    // A published device that all resamples agree on, and that explains eight times what chance does, only must not be
    // contradicted: nothing was chosen so that the decays would agree.
    let is_convincing = weight.is_published && weight.share >= LOUD_SHARE && weight.p_value <= config.max_p_value;
    let agrees = |slope: f64, error: f64| slope >= needed * error && slope > MIN_SLOPE;
    let is_allowed = |slope: f64, error: f64| {
        (is_convincing && slope > -error) || (is_mirrored && (slope - 1.0).abs() <= CONTRADICTION * error)
    };
    let steps_agree = weight.step_slope.map(|(slope, error)| agrees(slope, error) || is_allowed(slope, error));
    let steps_agree = steps_agree.or(is_mirrored.then_some(true));
    let moves = movement_db >= config.min_movement_db;
    let is_found = notes_agree && moves;
    let hints = weight.p_value <= config.hint_p_value
        || (weight.share >= config.faint_share && weight.p_value <= config.faint_p_value);
    if let Some(lost_s) = weight.lost_s.filter(|_| is_found) {
        return undecided(&format!(
            "a stroke overloaded the device at {lost_s:.1} s, and how far its gain fell there cannot be told"
        ));
    }
    match (is_found, steps_agree) {
        (true, _) if weight.has_rival => {
            undecided("two kinds of gain control explain the decays equally well, and their gains differ")
        }
        (true, Some(true)) => Verdict::Agc,
        (true, Some(false)) => {
            undecided("the decays suggest a gain control, but the sounding partials do not dip with it at new notes")
        }
        (true, None) => undecided("the decays suggest a gain control, but no onset lets it be checked"),
        (false, _) if moves && hints => undecided("the decays hint at a gain control, but too faintly to tell which"),
        (false, _) => Verdict::None,
    }
}

/// Share of the misfit above which decays speak loudly: eight times what untouched recordings reach.
const LOUD_SHARE: f64 = 0.004;
/// By how much loud decays, or a published device, raise the largest chance, and lower the least ratio of the steps' slope to its error.
const LOUD_FACTOR: f64 = 5.0;
const LOUD_STEP_FACTOR: f64 = 0.5;
/// Least slope of measured on predicted steps.
const MIN_SLOPE: f64 = 0.15;
/// Steps are sure where their slope is so many times its error, lies near 1, and the gain moves by so many dB; the largest
/// chance is then raised by a factor.
const SURE_RATIO: f64 = 5.0;
const SURE_SLOPES: std::ops::RangeInclusive<f64> = 0.5..=2.0;
const SURE_MOVEMENT_DB: f64 = 0.6;
const SURE_FACTOR: f64 = 7.5;
/// By how much sure steps lower the least share of the misfit.
const SURE_SHARE_FACTOR: f64 = 0.5;
/// Standard error of the steps' slope from which they hardly tell a gain (1) from none (0).
const TELLING_ERROR: f64 = 0.3;
/// Least ratio of a gain's advantage over its mirror image to its standard error.
const MIRROR_RATIO: f64 = 2.5;
/// Standard errors from 1 at which the slope of the steps contradicts a gain.
const CONTRADICTION: f64 = 2.5;
