//! Devices that are known: laws with the constants that were published or that people set.

use super::FitConfig;
use super::search::{Polished, polish, position_of};
use super::weighing::{Candidate, Weighing, variance};
use crate::law::{Law, Parameter};
use crate::threads::map_all;
use std::sync::Arc;

/// Distance from a usual value, as a share of the range, from which a constant costs what it costs to be unusual.
const UNUSUAL_FROM: f64 = 0.001;
/// What each constant costs that has no usual value: chance alone wins that much by choosing it.
const CHOSEN_COST: f64 = 25.0;
/// Cost of unusual constants from which a law is free to drift, so that drift has to be held small.
pub(super) const FREE_FROM: f64 = 40.0;

/// Whether every constant is one that devices of this law usually have: nothing was chosen, so nothing was won by choosing.
#[must_use]
pub fn is_usual(law: &dyn Law, values: &[f64]) -> bool {
    let is_usual = |(d, &value): (usize, &f64)| {
        let place = |v: f64| position_of(&law.parameters()[d..=d], &[v])[0];
        law.habits()[d].usual.iter().any(|&u| (place(u) - place(value)).abs() < 0.1 * UNUSUAL_FROM)
    };
    law.habits().len() == values.len() && !values.is_empty() && values.iter().enumerate().all(is_usual)
}

/// Published devices of a law among which chance hardly chooses.
const FEW_DEVICES: usize = 16;

/// Whether a law has so few published devices that the best of them is hardly better by chance.
#[must_use]
pub fn are_few(law: &dyn Law) -> bool {
    (1..=FEW_DEVICES).contains(&usual_positions(law).len())
}

/// Published devices, of each law, that `scout` hands on to the whole recording: so many, or half of them.
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
        let most = SCOUTED_DEVICES.min(positions.len().div_ceil(2));
        let mut scouted = positions.into_iter().zip(scored).collect::<Vec<_>>();
        scouted.sort_by(|a, b| a.1.total_cmp(&b.1));
        devices.extend(scouted.into_iter().take(most).map(|(position, _)| (law_index, position)));
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
    let movement_db = variance(&best.gain_db).sqrt();
    // The same device, followed coarsely, may miss a fall that hangs on one sample: that is no other device.
    let is_same = |device: &Candidate| {
        let nearly = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
        device.law_index == best.law_index && device.values.iter().zip(&best.values).all(nearly)
    };
    let own = published.iter().filter(|device| is_same(device)).map(|device| device.loss).fold(best.loss, f64::min);
    let is_close =
        |device: &&Candidate| device.loss < own + RIVAL_POINTS && rarity(device) <= commonness && !is_same(device);
    published.iter().filter(is_close).any(|device| {
        let difference = device.gain_db.iter().zip(&best.gain_db).map(|(a, b)| a - b).collect::<Vec<_>>();
        variance(&difference).sqrt() > RIVAL_SHARE * movement_db
    })
}

/// Every combination of usual constants, in the unit cube; none for laws of which some constants may be anything, or that
/// have too many.
pub(super) fn usual_positions(law: &dyn Law) -> Vec<Vec<f64>> {
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
pub(super) fn cost_of_unusual(law: &dyn Law, values: &[f64]) -> f64 {
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

/// A position with each constant at its nearest usual value where that is no worse: a limit that is never reached may be
/// anything.
pub(super) fn simplified(law: &dyn Law, mut position: Vec<f64>, score: impl Fn(&[f64]) -> f64) -> Vec<f64> {
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
pub(super) fn come_home(law: &dyn Law, mut values: Vec<f64>) -> Vec<f64> {
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
pub(super) fn with_usual_constants(
    law: &dyn Law,
    polished: &Polished,
    score: impl Fn(&[f64]) -> f64 + Sync,
) -> Option<Vec<f64>> {
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
