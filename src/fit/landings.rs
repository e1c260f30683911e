//! Where a law with a ceiling landed: how far the level rose each time the output touched the ceiling, from the decays.
//!
//! At a ceiling the output is the same whatever went in, so the law cannot be run backwards there. It does say *when* the
//! gain can have fallen (a contact) and what it does afterwards; *how far* it fell is one unknown for each run of
//! contacts. The decays tell: every partial that sounds through a contact dips by the same amount.
//!
//! The unknowns are found by damped Gauss-Newton steps (K. Levenberg, 1944; D. Marquardt, 1963) on the loss that weighs
//! laws; each segment's own level, decay and second stage are projected out. The residual scale begins wide and ends
//! narrow (graduated non-convexity: A. Blake and A. Zisserman, 1987): at a narrow scale a dip that the gain does not have
//! yet looks like an outlier, and the robust loss would never put it there. Priors hold what no decay sees: strokes rise
//! by a few decibels, more if they keep the output at the ceiling for long, and all fall to about the same gain.

use super::{Candidate, Weighing};
use crate::evidence::Evidence;
use crate::law::{Landing, Listened};
use crate::onsets;
use crate::threads::map_all;
use nalgebra::{DMatrix, DVector};

/// A pause between contacts after which the next one is a stroke of its own, in seconds.
const PAUSE_S: f64 = 0.035;
/// Longest run of contacts that one landing describes, in seconds.
const LONGEST_S: f64 = 0.03;
/// Change of a landing by which the law's answer is differentiated, in dB.
const NUDGE_DB: f64 = 0.5;
/// Time that a landing's answer is followed, in seconds; afterwards it is taken to stay.
const ANSWER_S: f64 = 0.5;
/// Time after which no segment remembers a landing, in seconds.
const FORGOTTEN_S: f64 = 1.5;
/// Time after which a landing no longer matters to the gains that later strokes fall to, in seconds.
const MEMORY_S: f64 = 12.0;
/// Answers smaller than this, in dB per dB, are none.
const FAINT_ANSWER: f64 = 0.01;

/// Least rise of a stroke before any evidence, in dB.
const RISE_DB: f64 = 2.0;
/// What it grows by with the time that the stroke keeps the output at the ceiling, in dB/s: a note that decays does so until
/// its level has come down to what the law has recovered to.
const LASTING_DB_PER_S: f64 = 5.0;
/// Highest rise before any evidence, in dB.
const HIGHEST_DB: f64 = 12.0;
/// Spread of a stroke's rise, in dB.
const RISE_SPREAD_DB: f64 = 5.0;
/// Spread of the rise of a landing that continues another, in dB.
const CONTINUED_SPREAD_DB: f64 = 1.0;
/// Rises that a stroke, and a landing that continues one, may have.
const STROKE_RANGE_DB: (f64, f64) = (0.0, 30.0);
const CONTINUED_RANGE_DB: (f64, f64) = (-3.0, 6.0);
/// Farthest that one step moves a landing, in dB.
const LONGEST_STEP_DB: f64 = 3.0;
/// Spread of the gains that strokes fall to, in dB: how much their loudness varies.
const EVEN_DB: f64 = 5.0;

/// One stage of the search.
struct Stage {
    /// Residual scale, in dB.
    scale_db: f64,
    /// What it counts, in points, that strokes fall to different gains.
    even_weight: f64,
    /// Steps, at most.
    step_len: usize,
}

/// Residual scale with which the search ends, in dB.
const NARROWEST_DB: f64 = 0.5;
/// Wide scales first.
const STAGES: [Stage; 4] = [
    Stage { scale_db: 3.0, even_weight: 20.0, step_len: 15 },
    Stage { scale_db: 3.0, even_weight: 6.0, step_len: 15 },
    Stage { scale_db: 1.2, even_weight: 6.0, step_len: 10 },
    Stage { scale_db: NARROWEST_DB, even_weight: 6.0, step_len: 10 },
];
/// Enough to compare constants.
const SCOUTING: [Stage; 1] = [Stage { scale_db: 3.0, even_weight: 20.0, step_len: 8 }];

/// How thoroughly landings are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// To compare constants.
    Scouting,
    /// For the answer.
    Full,
}

/// The landings of a law with certain constants.
#[derive(Debug, Clone)]
pub(crate) struct Landed {
    pub landings: Vec<Landing>,
    /// Gain that each frame sees, in dB.
    pub gain_db: Vec<f32>,
}

/// How the gain of each frame answers to each landing: pairs of landing and dB per dB.
type Answers = Vec<Vec<(u32, f32)>>;

/// Every run of contacts, with the rise that is expected before any evidence.
fn runs(contacts_s: &[f64]) -> Vec<Landing> {
    let mut out: Vec<Landing> = Vec::new();
    let mut last_s = f64::NEG_INFINITY;
    let mut stroke = 0;
    for &at_s in contacts_s {
        let start_s = out.last().map_or(f64::NEG_INFINITY, |l| l.at_s);
        let pauses = at_s - last_s > PAUSE_S;
        if pauses || at_s - start_s > LONGEST_S {
            if pauses {
                stroke = out.len();
            }
            out.push(Landing { at_s, rise_db: 0.0, continues: !pauses });
        }
        let landing = &mut out[stroke];
        landing.rise_db = (RISE_DB + LASTING_DB_PER_S * (at_s - landing.at_s)).min(HIGHEST_DB);
        last_s = at_s;
    }
    out
}

/// Finds the landings of a law with these constants, as `evidence` sees them. Absent where the output never touches a
/// ceiling.
pub(crate) fn land(
    weighing: &Weighing,
    evidence: &Evidence,
    listened: &dyn Listened,
    values: &[f64],
    effort: Effort,
) -> Option<Landed> {
    let expected = runs(&listened.contacts_s(values));
    if expected.is_empty() {
        return None;
    }
    let search = Search::new(weighing, listened, values, expected);
    let mut landings = search.expected.clone();
    let stages: &[Stage] = if effort == Effort::Full { &STAGES } else { &SCOUTING };
    let mut out = None;
    for (index, stage) in stages.iter().enumerate() {
        if index == 1 {
            search.even_out(&mut landings);
        }
        out = Some(search.descend(&evidence.with_scale(stage.scale_db), stage, &mut landings));
    }
    Some(Landed { landings, gain_db: out? })
}

/// What does not change while landings are sought.
struct Search<'a> {
    weighing: &'a Weighing,
    listened: &'a dyn Listened,
    values: &'a [f64],
    /// Landings with the rises that are expected before any evidence.
    expected: Vec<Landing>,
    /// Landings that are strokes, with the frames before and after them.
    strokes: Vec<(usize, usize, usize)>,
}

impl<'a> Search<'a> {
    fn new(weighing: &'a Weighing, listened: &'a dyn Listened, values: &'a [f64], expected: Vec<Landing>) -> Self {
        let mut out = Self { weighing, listened, values, expected, strokes: Vec::new() };
        let half_window_s = weighing.frame_centre_s();
        let strokes = out.expected.iter().enumerate().filter(|(_, l)| !l.continues);
        out.strokes = strokes
            .map(|(k, l)| (k, out.frame_at(l.at_s - half_window_s), out.frame_at(l.at_s + half_window_s)))
            .collect();
        out
    }

    /// The frame whose middle is nearest.
    fn frame_at(&self, time_s: f64) -> usize {
        let frame = ((time_s - self.weighing.frame_centre_s()) / self.weighing.hop_s).round().max(0.0) as usize;
        frame.min(self.weighing.frame_len() - 1)
    }

    fn run(&self, landings: &[Landing]) -> Vec<f32> {
        self.weighing.marks_db(&self.listened.landed_marks(self.values, landings))
    }

    fn mean_after_strokes(&self, gain_db: &[f32]) -> f64 {
        self.strokes.iter().map(|s| f64::from(gain_db[s.2])).sum::<f64>() / self.strokes.len() as f64
    }

    fn spread_of(&self, k: usize) -> f64 {
        if self.expected[k].continues { CONTINUED_SPREAD_DB } else { RISE_SPREAD_DB }
    }

    fn cost(&self, evidence: &Evidence, stage: &Stage, landings: &[Landing]) -> (f64, Vec<f32>) {
        let gain_db = self.run(landings);
        let mean = self.mean_after_strokes(&gain_db);
        let uneven = self.strokes.iter().map(|s| ((f64::from(gain_db[s.2]) - mean) / EVEN_DB).powi(2)).sum::<f64>();
        let unexpected = landings
            .iter()
            .zip(&self.expected)
            .enumerate()
            .map(|(k, (l, e))| ((l.rise_db - e.rise_db) / self.spread_of(k)).powi(2))
            .sum::<f64>();
        let loss = evidence.loss_by_note(&gain_db).iter().sum::<f64>() * weight_of(stage)
            + self.weighing.step_loss(&gain_db)
            + self.weighing.range_loss(&gain_db);
        (loss + unexpected + stage.even_weight * uneven, gain_db)
    }

    /// Damped Gauss-Newton steps until nothing improves.
    fn descend(&self, evidence: &Evidence, stage: &Stage, landings: &mut Vec<Landing>) -> Vec<f32> {
        let (mut cost, mut gain_db) = self.cost(evidence, stage, landings);
        let mut damping = FIRST_DAMPING;
        for _ in 0..stage.step_len {
            let (normal, right) = self.normal(evidence, stage, landings, &gain_db);
            let before = cost;
            for _ in 0..TRIES {
                let mut damped = normal.clone();
                for k in 0..landings.len() {
                    damped[(k, k)] *= 1.0 + damping;
                }
                let Some(step) = damped.cholesky().map(|c| c.solve(&right)) else { break };
                let mut moved = landings.clone();
                for (landing, d) in moved.iter_mut().zip(step.iter()) {
                    let (low, high) = if landing.continues { CONTINUED_RANGE_DB } else { STROKE_RANGE_DB };
                    let d = d.clamp(-LONGEST_STEP_DB, LONGEST_STEP_DB);
                    landing.rise_db = (landing.rise_db + d).clamp(low, high);
                }
                let (moved_cost, moved_db) = self.cost(evidence, stage, &moved);
                if moved_cost < cost {
                    (*landings, cost, gain_db) = (moved, moved_cost, moved_db);
                    damping = (0.4 * damping).max(0.01);
                    break;
                }
                damping *= 4.0;
            }
            if before - cost <= 3e-4 * before {
                break;
            }
        }
        gain_db
    }

    /// The normal equations of one step: decays, onset steps and priors.
    fn normal(
        &self,
        evidence: &Evidence,
        stage: &Stage,
        landings: &[Landing],
        gain_db: &[f32],
    ) -> (DMatrix<f64>, DVector<f64>) {
        let (answers, lasting) = self.answers(landings, gain_db);
        let (mut normal, mut right) = evidence.normal(gain_db, &answers, landings.len());
        normal *= weight_of(stage);
        right *= weight_of(stage);
        self.add_steps(gain_db, &answers, &mut normal, &mut right);
        for (k, (landing, expected)) in landings.iter().zip(&self.expected).enumerate() {
            let weight = self.spread_of(k).powi(-2);
            normal[(k, k)] += weight;
            right[k] -= weight * (landing.rise_db - expected.rise_db);
        }
        let mean = self.mean_after_strokes(gain_db);
        let weight = stage.even_weight / (EVEN_DB * EVEN_DB);
        let mut row = Vec::new();
        for &(k, _, after) in &self.strokes {
            row.clear();
            for j in (0..=k).rev() {
                let since_s = landings[k].at_s - landings[j].at_s;
                if since_s > MEMORY_S {
                    break;
                }
                let near = || answers[after].iter().find(|a| a.0 == j as u32).map_or(0.0, |a| f64::from(a.1));
                let slope = if since_s < FORGOTTEN_S - 0.1 { near() } else { lasting[j] * (1.0 - since_s / MEMORY_S) };
                if slope.abs() > FAINT_ANSWER {
                    row.push((j, slope));
                }
            }
            add_row(&row, weight, mean - f64::from(gain_db[after]), &mut normal, &mut right);
        }
        (normal, right)
    }

    /// Differentiates the gain by the landings, those together whose answers can be told apart; also what lasts of each.
    fn answers(&self, landings: &[Landing], gain_db: &[f32]) -> (Answers, Vec<f64>) {
        let mut out = vec![Vec::new(); gain_db.len()];
        let mut lasting = vec![0.0; landings.len()];
        let mut waiting = (0..landings.len()).collect::<Vec<_>>();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        while !waiting.is_empty() {
            let mut group: Vec<usize> = Vec::new();
            waiting.retain(|&k| {
                let is_free = group.last().is_none_or(|&last| landings[k].at_s - landings[last].at_s > ANSWER_S + 0.1);
                if is_free {
                    group.push(k);
                }
                !is_free
            });
            groups.push(group);
        }
        let nudged = map_all(&groups, |group| {
            let mut nudged = landings.to_vec();
            for &k in group {
                nudged[k].rise_db += NUDGE_DB;
            }
            self.run(&nudged)
        });
        for (group, answer) in groups.iter().zip(&nudged) {
            let moved = |frame: usize| (answer[frame] - gain_db[frame]) / NUDGE_DB as f32;
            for &k in group {
                let at_s = landings[k].at_s;
                let before = self.frame_at(at_s - self.weighing.frame_centre_s());
                let held = self.frame_at(at_s + ANSWER_S);
                let base = moved(before);
                lasting[k] = f64::from(moved(held) - base);
                let end = self.frame_at(at_s + FORGOTTEN_S);
                for (frame, answers) in out.iter_mut().enumerate().take(end + 1).skip(before) {
                    let slope = moved(frame.min(held)) - base;
                    if f64::from(slope.abs()) > FAINT_ANSWER {
                        answers.push((k as u32, slope));
                    }
                }
            }
        }
        (out, lasting)
    }

    /// What the steps at onsets say of the landings.
    fn add_steps(&self, gain_db: &[f32], answers: &Answers, normal: &mut DMatrix<f64>, right: &mut DVector<f64>) {
        let Weighing { hop_s, ref step_config, step_weight, .. } = *self.weighing;
        let reach = (step_config.reach_s / hop_s).round() as usize + 1;
        let mut column = vec![0f32; answers.len()];
        for step in &self.weighing.steps {
            let onset = step.onset_frame as usize;
            let Some(predicted) = onsets::predicted_step(gain_db, step.onset_frame, hop_s, step_config) else {
                continue;
            };
            let spread = step.error_db.hypot(super::weighing::STEP_FLOOR_DB);
            let r = (step.step_db - predicted) / spread;
            let window = onset.saturating_sub(reach)..(onset + reach + 1).min(answers.len());
            let mut owners = answers[window.clone()].iter().flatten().map(|a| a.0).collect::<Vec<_>>();
            owners.sort_unstable();
            owners.dedup();
            let row = owners
                .iter()
                .map(|&owner| {
                    for f in window.clone() {
                        column[f] = answers[f].iter().find(|a| a.0 == owner).map_or(0.0, |a| a.1);
                    }
                    let slope = onsets::predicted_step(&column, step.onset_frame, hop_s, step_config);
                    (owner as usize, slope.unwrap_or(0.0) / spread)
                })
                .collect::<Vec<_>>();
            add_row(&row, step_weight / (1.0 + r * r), r, normal, right);
        }
    }

    /// Lets strokes from the highest gain fall to where the others fall: no partial sounds through them that would tell.
    fn even_out(&self, landings: &mut [Landing]) {
        for _ in 0..EVENING_ROUNDS {
            let gain_db = self.run(landings);
            let highest = gain_db.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mean = self.mean_after_strokes(&gain_db);
            for &(k, before, after) in &self.strokes {
                if gain_db[before] > highest - 1.0 {
                    let excess = f64::from(gain_db[after]) - mean;
                    let rise_db = landings[k].rise_db + 0.7 * excess;
                    landings[k].rise_db = rise_db.clamp(STROKE_RANGE_DB.0, STROKE_RANGE_DB.1);
                }
            }
        }
    }
}

/// Damping of the first step, as a share of the diagonal.
const FIRST_DAMPING: f64 = 0.3;
/// Dampings tried for one step.
const TRIES: usize = 4;
/// Rounds of evening out; each goes most of the way.
const EVENING_ROUNDS: usize = 10;

/// What the misfit counts at a residual scale: wide scales see less in each point.
fn weight_of(stage: &Stage) -> f64 {
    stage.scale_db / NARROWEST_DB
}

/// Adds one weighted equation, `row · step = residual`.
fn add_row(row: &[(usize, f64)], weight: f64, residual: f64, normal: &mut DMatrix<f64>, right: &mut DVector<f64>) {
    for &(a, va) in row {
        right[a] += weight * va * residual;
        for &(b, vb) in row {
            normal[(a, b)] += weight * va * vb;
        }
    }
}

/// Landings that each half of the partials asks for, and their mean: what one half asks for and the other does not is
/// chance, and the mean moves less by it than landings asked of all at once.
pub(crate) fn by_halves(
    weighing: &Weighing,
    listened: &dyn Listened,
    values: &[f64],
) -> Option<(Vec<Landing>, [Half; 2])> {
    let halves = [weighing.evidence.half(false), weighing.evidence.half(true)];
    let landed = map_all(&halves, |half| land(weighing, half, listened, values, Effort::Full));
    let [first, second] = <[Option<Landed>; 2]>::try_from(landed).ok()?;
    let (first, second) = (first?, second?);
    let mut landings = first.landings;
    for (landing, other) in landings.iter_mut().zip(&second.landings) {
        landing.rise_db = 0.5 * (landing.rise_db + other.rise_db);
    }
    let [one, other] = halves;
    let halves = [Half { evidence: one, gain_db: first.gain_db }, Half { evidence: other, gain_db: second.gain_db }];
    Some((landings, halves))
}

/// Half of the partials, and the gain that its landings make.
pub(crate) struct Half {
    evidence: Evidence,
    gain_db: Vec<f32>,
}

/// The loss of each note, each half of the partials judged under the gain that the other asked for.
///
/// The landings are many; judged by the partials that they were fitted to, they would vote for themselves.
fn crossed(weighing: &Weighing, [first, second]: &[Half; 2]) -> Vec<f32> {
    let mut loss_by_note = weighing.null().loss_by_note;
    let flat = vec![0.0; first.gain_db.len()];
    for (judge, asked) in [(second, first), (first, second)] {
        let with = judge.evidence.loss_by_note(&asked.gain_db);
        let explained = with.into_iter().zip(judge.evidence.loss_by_note(&flat));
        for (loss, (with, without)) in loss_by_note.iter_mut().zip(explained) {
            *loss += (with - without) as f32;
        }
    }
    loss_by_note
}

/// A law with a ceiling, its constants, and where it landed.
#[derive(Debug, Clone)]
pub struct CeilingFit {
    /// The gain and its loss on all notes.
    pub candidate: Candidate,
    /// The same gain with the losses that each half of the partials has under landings that the other was asked for.
    pub crossed: Candidate,
    /// Gains that halves of the partials tell, in dB per frame.
    pub halves_db: [Vec<f32>; 2],
    /// Where it landed.
    pub landings: Vec<Landing>,
    /// Loss, priors and the number of landings included.
    pub cost: f64,
}

/// Fewest strokes at the ceiling that make a limiter.
const MIN_STROKES: usize = 8;
/// Share of the best law's improvement from which another is looked at closely.
const CLOSE_SHARE: f64 = 0.7;
/// What each landing costs, in points: freedom that any law could use.
const LANDING_COST: f64 = 1.5;

/// Looks for a law with a ceiling.
pub(crate) fn search(weighing: &Weighing, laws: &[std::sync::Arc<dyn crate::law::Law>]) -> Option<CeilingFit> {
    let mut trials = Vec::new();
    for (law_index, law) in laws.iter().enumerate().filter(|(_, law)| law.has_ceiling()) {
        let Some(listened) = weighing.listened(law.as_ref()) else { continue };
        for values in listened.ceilings() {
            let stroke_len = runs(&listened.contacts_s(&values)).iter().filter(|l| !l.continues).count();
            if stroke_len >= MIN_STROKES {
                trials.push((law_index, values, listened.clone()));
            }
        }
    }
    // Rough landings are judged by a scale that forgives them.
    let judge = weighing.evidence.with_scale(NARROWEST_DB);
    let null = judge.misfit(&vec![0.0; weighing.frame_len()]) * judge.point_len() as f64;
    let costs = map_all(&trials, |(_, values, listened)| {
        let landed = land(weighing, &weighing.evidence, listened.as_ref(), values, Effort::Scouting);
        landed.map_or(f64::INFINITY, |l| {
            judge.loss_by_note(&l.gain_db).iter().sum::<f64>()
                + weighing.step_loss(&l.gain_db)
                + weighing.range_loss(&l.gain_db)
                + LANDING_COST * l.landings.len() as f64
        })
    });
    // The best constants of each law that explains about as much as the best law.
    let lowest = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let of_law = |law_index: usize| {
        let of_it = (0..trials.len()).filter(|&k| trials[k].0 == law_index);
        of_it.min_by(|&a, &b| costs[a].total_cmp(&costs[b]))
    };
    let contenders = (0..laws.len())
        .filter_map(of_law)
        .filter(|&k| costs[k] < null && null - costs[k] >= CLOSE_SHARE * (null - lowest))
        .collect::<Vec<_>>();
    // By partials that had no say: a law with less memory bends more easily to those that had.
    let total = |notes: &[f32]| notes.iter().map(|&l| f64::from(l)).sum::<f64>();
    let landed = map_all(&contenders, |&k| by_halves(weighing, trials[k].2.as_ref(), &trials[k].1));
    let (best, landings, halves, crossed_loss_by_note) = contenders
        .into_iter()
        .zip(landed)
        .filter_map(|(k, landed)| {
            let (landings, halves) = landed?;
            let crossed = crossed(weighing, &halves);
            Some((k, landings, halves, crossed))
        })
        .min_by(|a, b| total(&a.3).total_cmp(&total(&b.3)))?;
    let (law_index, values, listened) = &trials[best];
    let search = Search::new(weighing, listened.as_ref(), values, runs(&listened.contacts_s(values)));
    let (cost, gain_db) = search.cost(&weighing.evidence, &STAGES[STAGES.len() - 1], &landings);
    let cost = cost + LANDING_COST * landings.len() as f64;
    let candidate = weighing.weigh(*law_index, values.clone(), gain_db);
    let halves_db = halves.map(|half| half.gain_db);
    let loss = candidate.loss + total(&crossed_loss_by_note) - total(&candidate.loss_by_note);
    let crossed = Candidate { loss, loss_by_note: crossed_loss_by_note, ..candidate.clone() };
    Some(CeilingFit { candidate, crossed, halves_db, landings, cost })
}
