//! Which gain law explains the decays best, with which constants.
//!
//! For each law family a global search with the coarse inverse, then a local polish; then the partials are cut again
//! with the best gain removed (a gain control hides and feigns onsets), and the leaders are polished on those.

pub mod devices;
pub mod landings;
pub mod search;
pub mod verdict;
pub mod weighing;

use crate::error::Error;
use crate::law::{self, Law, Parameter};
use crate::progress::{Observer, Stage};
use crate::threads::map_all;
use devices::{come_home, simplified, usual_positions, with_usual_constants};
use search::{Uniform, latin_hypercube, polish, position_of, trials, values_at};
use std::sync::Arc;
pub use weighing::{Candidate, Weighing};

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
    let laws_that =
        |wanted: fn(&dyn Law) -> bool| config.laws.iter().map(|law| wanted(law.as_ref())).collect::<Vec<_>>();
    // Where nothing else is asked for, laws are searched that otherwise are not.
    let is_searched = [
        laws_that(|law| !law.needs_landings() && law.is_searched()),
        laws_that(|law| !law.needs_landings()),
        laws_that(|_| true),
    ];
    let is_searched = is_searched.into_iter().find(|laws| laws.contains(&true)).unwrap_or_default();
    for (law_index, law) in config.laws.iter().enumerate() {
        let is_drawn = is_searched[law_index] && !law.needs_landings();
        let positions = if is_drawn { first_draw(law.as_ref(), config) } else { vec![default_position(law.as_ref())] };
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
    order.retain(|&k| is_searched[k]);
    let first = order[0];
    let leader = families[first].lowest();
    // The leader stays even where it explains less than no gain at all.
    let least = CONTENDING_SHARE * (null - leader) - SCOUT_CHANCE;
    order.retain(|&k| k == first || null - families[k].lowest() >= least);
    order.truncate(CONTENDERS);
    for &index in &order {
        evolve(weighing, config, &mut families, index, &mut pool, &mut advance)?;
    }
    order.sort_by(|&a, &b| families[a].lowest().total_cmp(&families[b].lowest()));
    let null = weighing.null().loss;
    let leader = families[order[0]].lowest();
    let is_close = |index: &&usize| null - families[**index].lowest() >= CLOSE_SHARE * (null - leader);
    let close = order.iter().take(POLISHED).take_while(is_close).copied();
    let close = close.filter(|&k| config.laws[k].is_searched()).collect::<Vec<_>>();
    advance()?;
    let starts = close.iter().map(|&k| (k, families[k].drawn[0].0.clone())).collect::<Vec<_>>();
    polish_families(weighing, config, &mut families, starts, config.polish_evaluations, &mut pool);
    // What leads may be next of kin to what was at work: it has found where, not what.
    let starts = kin_of_leader(weighing, config, &families, &close, &pool);
    polish_families(weighing, config, &mut families, starts, config.polish_evaluations / 2, &mut pool);
    advance()?;
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
/// Points of misfit that chance, or the price of its constants, may cost a family on a beginning that tells little.
const SCOUT_CHANCE: f64 = 100.0;
/// Generations after which a family is measured against the leader.
const PATIENCE: usize = 3;
/// Share of the leader's improvement that a family needs to go on.
const CATCH_UP_SHARE: f64 = 0.6;
/// Share of the leader's improvement that a family needs to be polished.
const CLOSE_SHARE: f64 = 0.85;
/// Families that are polished, the best of each.
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

/// What a family draws random numbers for.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Scouting,
    Evolving,
}

/// Random source of one family: of its own name, so that what one family finds does not hang on which others there are.
fn random_of(config: &FitConfig, law: &dyn Law, phase: Phase) -> Uniform {
    // Fowler, Noll and Vo's hash.
    let named = law
        .name()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    Uniform::new(config.seed.wrapping_mul(0x9E37_79B9).wrapping_add(named).wrapping_add(phase as u64))
}

/// Where a law's defaults lie in the unit cube.
fn default_position(law: &dyn Law) -> Vec<f64> {
    let parameters = law.parameters();
    position_of(parameters, &parameters.iter().map(|p| p.default).collect::<Vec<_>>())
}

/// The points at which a family is scouted, the defaults among them.
fn first_draw(law: &dyn Law, config: &FitConfig) -> Vec<Vec<f64>> {
    let mut random = random_of(config, law, Phase::Scouting);
    let parameters = law.parameters();
    let draws = if law.is_searched() { members(law, config) * FIRST_DRAW } else { 0 };
    let mut positions = latin_hypercube(draws, parameters.len(), &mut random);
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
    let generations = match (law.is_searched(), related.is_empty()) {
        (false, _) => 0,
        (true, true) => config.generations,
        (true, false) => config.generations / 3,
    };
    positions.extend(related);
    let mut random = random_of(config, law, Phase::Evolving);
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

/// Whether two laws share most of their constants' names.
fn are_kin(known: &dyn Law, law: &dyn Law) -> bool {
    let shared = |k: &&Parameter| law.parameters().iter().any(|p| p.name == k.name);
    known.parameters().iter().filter(shared).count() * 3 >= known.parameters().len() * 2
}

/// Where a law lies that has the constants of its kin. What it has beyond them is taken at its default, and at its lowest,
/// where it matters least.
fn in_place_of(kin: &Candidate, law: &dyn Law, config: &FitConfig) -> Vec<Vec<f64>> {
    let parameters = law.parameters();
    let known = config.laws[kin.law_index].parameters();
    let with = |missing: fn(&Parameter) -> f64| {
        let value_of =
            |p: &Parameter| known.iter().position(|k| k.name == p.name).map_or(missing(p), |k| kin.values[k]);
        position_of(parameters, &parameters.iter().map(value_of).collect::<Vec<_>>())
    };
    let mut out = vec![with(|p| p.default), with(|p| p.low)];
    out.dedup();
    out
}

/// The best constants that a law's kin have found.
fn related_best(law: &dyn Law, config: &FitConfig, pool: &[Candidate]) -> Vec<Vec<f64>> {
    let related = pool.iter().filter(|c| are_kin(config.laws[c.law_index].as_ref(), law));
    let best = related.min_by(|a, b| a.loss.total_cmp(&b.loss));
    best.map_or_else(Vec::new, |best| in_place_of(best, law, config))
}

/// The leader's kin that were not polished, each in the leader's place or, if that is better, its own.
fn kin_of_leader(
    weighing: &Weighing,
    config: &FitConfig,
    families: &[Family],
    polished: &[usize],
    pool: &[Candidate],
) -> Vec<(usize, Vec<f64>)> {
    let Some(leader) = pool.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)) else { return Vec::new() };
    let leading = config.laws[leader.law_index].as_ref();
    let is_kin = |k: &usize| {
        let law = config.laws[families[*k].law_index].as_ref();
        !polished.contains(k) && are_kin(leading, law) && are_kin(law, leading)
    };
    let best_place = |k: usize| {
        let law_index = families[k].law_index;
        let law = config.laws[law_index].as_ref();
        let mut places = in_place_of(leader, law, config);
        places.push(families[k].drawn[0].0.clone());
        let scored = weighing.scores(law, law_index, &places);
        let best = places.into_iter().zip(&scored).min_by(|a, b| a.1.loss.total_cmp(&b.1.loss));
        best.map(|(position, _)| (k, position))
    };
    (0..families.len()).filter(is_kin).filter_map(best_place).collect()
}

/// Local search of these families from these places.
fn polish_families(
    weighing: &Weighing,
    config: &FitConfig,
    families: &mut [Family],
    starts: Vec<(usize, Vec<f64>)>,
    evaluations: usize,
    pool: &mut Vec<Candidate>,
) {
    let polished = map_all(&starts, |(index, start)| {
        let law_index = families[*index].law_index;
        let law = config.laws[law_index].as_ref();
        let seen = std::cell::RefCell::new(Vec::new());
        let polished = polish(start, 0.05, evaluations, |position| {
            let candidate = weighing.score(law, law_index, position);
            let loss = candidate.loss;
            seen.borrow_mut().push(candidate);
            loss
        });
        (polished, seen.into_inner())
    });
    for ((index, _), (polished, seen)) in starts.into_iter().zip(polished) {
        families[index].evaluation_len += polished.evaluation_len;
        families[index].termination = polished.termination;
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
    if !law.is_searched() {
        let gain_db = again.frame_gain_db(law.as_ref(), &leader.values, false);
        return again.weigh_law(law.as_ref(), leader.law_index, leader.values.clone(), gain_db);
    }
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

/// Keeps the best.
fn thin(pool: &mut Vec<Candidate>) {
    pool.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    pool.truncate(KEPT);
}
