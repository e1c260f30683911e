//! Search over one law's constants: differential evolution for the coarse, Nelder-Mead (argmin) for the fine.
//!
//! Constants are searched as positions in the unit cube, spread by each parameter's scale. Every run is a function of
//! its seed alone: populations are evaluated whole, in any number of threads, and compared in order.
//! (R. Storn and K. Price, 1997; J. Nelder and R. Mead, 1965.)

use crate::law::{Parameter, Scale};
use argmin::core::{CostFunction, Executor, State, TerminationReason, TerminationStatus};
use argmin::solver::neldermead::NelderMead;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::cell::Cell;

/// A point in the unit cube to values in the parameters' units; outside is clamped.
#[must_use]
pub fn values_at(parameters: &[Parameter], position: &[f64]) -> Vec<f64> {
    parameters
        .iter()
        .zip(position)
        .map(|(p, u)| {
            let u = u.clamp(0.0, 1.0);
            match p.scale {
                Scale::Linear => p.low + u * (p.high - p.low),
                Scale::Log => p.low * (p.high / p.low).powf(u),
                Scale::Integer => (p.low + u * (p.high - p.low)).round(),
            }
        })
        .collect()
}

/// Values in the parameters' units to a point in the unit cube.
#[must_use]
pub fn position_of(parameters: &[Parameter], values: &[f64]) -> Vec<f64> {
    parameters
        .iter()
        .zip(values)
        .map(|(p, v)| {
            let u = match p.scale {
                Scale::Log => (v / p.low).ln() / (p.high / p.low).ln(),
                Scale::Linear | Scale::Integer => (v - p.low) / (p.high - p.low),
            };
            if u.is_finite() { u.clamp(0.0, 1.0) } else { 0.5 }
        })
        .collect()
}

/// Random numbers in [0, 1).
pub(super) struct Uniform(ChaCha8Rng);

impl Uniform {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn next(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `len`.
    pub(super) fn index(&mut self, len: usize) -> usize {
        ((self.next() * len as f64) as usize).min(len.saturating_sub(1))
    }
}

/// A Latin hypercube: in each dimension every one of `len` equal slices is used once.
pub(super) fn latin_hypercube(len: usize, dimensions: usize, random: &mut Uniform) -> Vec<Vec<f64>> {
    let mut out = vec![vec![0.0; dimensions]; len];
    for d in 0..dimensions {
        let mut slices = (0..len).collect::<Vec<_>>();
        for k in (1..len).rev() {
            slices.swap(k, random.index(k + 1));
        }
        for (point, slice) in out.iter_mut().zip(slices) {
            point[d] = (slice as f64 + random.next()) / len as f64;
        }
    }
    out
}

/// One generation of differential evolution: a trial for each member, drawn towards one of the best fifth and along
/// the difference of two others. (J. Zhang and A. Sanderson, JADE, 2009: towards several leaders, not one, so that
/// the population does not fall into the first basin.)
pub(super) fn trials(population: &[(Vec<f64>, f64)], random: &mut Uniform) -> Vec<Vec<f64>> {
    const CROSSOVER: f64 = 0.9;
    let mut ranking = (0..population.len()).collect::<Vec<_>>();
    ranking.sort_by(|&a, &b| population[a].1.total_cmp(&population[b].1));
    ranking.truncate((population.len() / 5).max(2));
    population
        .iter()
        .map(|(member, _)| {
            let best = &population[ranking[random.index(ranking.len())]].0;
            let [a, b] = [0; 2].map(|_| &population[random.index(population.len())].0);
            // A random scale for each trial keeps the population from collapsing onto a line.
            let scale = 0.4 + 0.5 * random.next();
            let sure = random.index(member.len());
            (0..member.len())
                .map(|d| {
                    let keep = random.next() > CROSSOVER && d != sure;
                    if keep {
                        return member[d];
                    }
                    let moved = member[d] + scale * (best[d] - member[d]) + scale * (a[d] - b[d]);
                    // Half way to a bound that was overstepped.
                    if moved < 0.0 {
                        0.5 * member[d]
                    } else if moved > 1.0 {
                        0.5 * (1.0 + member[d])
                    } else {
                        moved
                    }
                })
                .collect()
        })
        .collect()
}

struct Cost<F>(F);

impl<F: Fn(&[f64]) -> f64> CostFunction for Cost<F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, position: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        // Outside the cube the nearest point counts, plus a wall that leads back in.
        let outside = position.iter().map(|u| (u - u.clamp(0.0, 1.0)).abs()).sum::<f64>();
        let cost = (self.0)(position);
        Ok(cost + cost.abs().max(1e-3) * outside)
    }
}

/// Where a local search ended, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Polished {
    /// Best position in the unit cube.
    pub position: Vec<f64>,
    /// Its cost.
    pub cost: f64,
    /// Evaluations spent.
    pub evaluation_len: usize,
    /// How it ended, in words.
    pub termination: String,
}

/// Local search from `start` with simplex edges of `edge` (in the unit cube), at most `max_evaluations`.
///
/// Never ends worse than it started; that it did not move at all is said in `termination`.
pub fn polish(start: &[f64], edge: f64, max_evaluations: usize, cost: impl Fn(&[f64]) -> f64) -> Polished {
    let evaluation_len = Cell::new(0);
    let counted = |position: &[f64]| {
        evaluation_len.set(evaluation_len.get() + 1);
        let cost = cost(position);
        if cost.is_finite() { cost } else { f64::MAX / 4.0 }
    };
    let start_cost = counted(start);
    if start.is_empty() {
        let termination = "no constants to search".to_owned();
        return Polished { position: Vec::new(), cost: start_cost, evaluation_len: 1, termination };
    }
    let mut simplex = vec![start.to_vec()];
    for d in 0..start.len() {
        let mut corner = start.to_vec();
        corner[d] += if corner[d] + edge <= 1.0 { edge } else { -edge };
        simplex.push(corner);
    }
    let tolerance = start_cost.abs() * 2e-6;
    let solver = NelderMead::new(simplex).with_sd_tolerance(tolerance);
    // A Nelder-Mead iteration costs about 1.6 evaluations.
    let iterations = (max_evaluations as f64 / 1.6) as u64;
    let outcome = solver.map_err(|e| e.to_string()).and_then(|solver| {
        Executor::new(Cost(&counted), solver)
            .configure(|state| state.max_iters(iterations))
            .timer(false)
            .run()
            .map_err(|e| e.to_string())
    });
    match outcome {
        Ok(result) => {
            let state = result.state();
            let reason = match state.get_termination_status() {
                TerminationStatus::Terminated(TerminationReason::SolverConverged) => "converged".to_owned(),
                TerminationStatus::Terminated(TerminationReason::MaxItersReached) => "evaluations spent".to_owned(),
                other => format!("{other:?}"),
            };
            match state.get_best_param() {
                Some(best) if state.get_best_cost() < start_cost => Polished {
                    position: best.iter().map(|u| u.clamp(0.0, 1.0)).collect(),
                    cost: state.get_best_cost(),
                    evaluation_len: evaluation_len.get(),
                    termination: reason,
                },
                _ => Polished {
                    position: start.to_vec(),
                    cost: start_cost,
                    evaluation_len: evaluation_len.get(),
                    termination: format!("{reason}, no better than its start"),
                },
            }
        }
        Err(error) => Polished {
            position: start.to_vec(),
            cost: start_cost,
            evaluation_len: evaluation_len.get(),
            termination: error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valley(u: &[f64]) -> f64 {
        1.0 + (u[0] - 0.3).powi(2) + 10.0 * (u[1] - u[0] * u[0]).powi(2)
    }

    #[test]
    fn polishing_reaches_the_bottom_of_a_bent_valley() {
        let found = polish(&[0.9, 0.1], 0.1, 400, valley);
        assert!((found.position[0] - 0.3).abs() < 0.01 && (found.position[1] - 0.09).abs() < 0.01, "{found:?}");
        assert_eq!(found.termination, "converged");
    }

    #[test]
    fn a_start_at_the_bottom_is_reported_as_such() {
        let found = polish(&[0.3, 0.09], 0.1, 400, valley);
        assert!(found.termination.contains("no better than its start") || (found.cost - 1.0).abs() < 1e-9);
    }

    #[test]
    fn evolution_finds_a_narrow_basin_and_is_reproducible() {
        let cost = |u: &[f64]| -(-(u[0] - 0.71).powi(2) * 100.0).exp() + (u[1] - 0.2).abs();
        let run = || {
            let mut random = Uniform::new(7);
            let mut population =
                latin_hypercube(20, 2, &mut random).into_iter().map(|u| (u.clone(), cost(&u))).collect::<Vec<_>>();
            for _ in 0..40 {
                let trials = trials(&population, &mut random);
                for (member, trial) in population.iter_mut().zip(trials) {
                    let c = cost(&trial);
                    if c < member.1 {
                        *member = (trial, c);
                    }
                }
            }
            population.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let best = run();
        assert_eq!(best, run());
        assert!(best.is_some_and(|(u, _)| (u[0] - 0.71).abs() < 0.01 && (u[1] - 0.2).abs() < 0.01));
    }

    #[test]
    fn positions_and_values_are_each_others_inverse() {
        let parameters = crate::law::Law::parameters(&crate::law::Compressor::ALL[3]);
        let position = vec![0.1, 0.9, 0.5, 0.3, 0.7, 0.2];
        let back = position_of(parameters, &values_at(parameters, &position));
        assert!(position.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}
