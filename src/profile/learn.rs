//! Learning a device's law from pairs: the gain is measured, only the constants are searched.
//!
//! Per take the measured gain is `phone level - matched microphone level` on 10 ms steps, on the phone's own clock, where laws
//! count their frames. A law with constants is run backwards over the phone's samples from the first one on; its gain may differ
//! from the measured one by a constant of the take. Cost:
//!
//! ```text
//! C = mean over steps of log(1 + (r/s)²),     r = measured - law's, median removed,     s = 0.5 dB
//! ```
//!
//! Every family is scouted at a Halton sequence of constants (J. Halton, 1960) with its coarse inverse, the promising ones are
//! polished, and the best of them once more with the exact inverse. The constants' ranges come from a jackknife over stretches of the recordings.

use crate::audio::Audio;
use crate::error::Error;
use crate::fit::search::{polish, position_of, values_at};
use crate::law::{self, Direction, FittedParameter, Law, LawFit, Listened, gain_of};
use crate::pair::align::{Alignment, mic_on_phone_clock};
use crate::pair::level::{HOP_S, StaticMatch, compared, level_db, like_the_phone, median};
use crate::units::db_from_amplitude;
use std::sync::Arc;

/// How laws are learnt.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// Families to try.
    pub laws: Vec<Arc<dyn Law>>,
    /// Points of the Halton sequence per family and constant.
    pub scouts_per_parameter: usize,
    /// Families that are polished, by their best scout.
    pub promising_len: usize,
    /// Scouted points that are polished, per family.
    pub polished_len: usize,
    /// Evaluations of each polish.
    pub evaluations: usize,
    /// Families that are polished again with the exact inverse.
    pub finalist_len: usize,
    /// Evaluations of that, which are ten times as slow.
    pub exact_evaluations: usize,
    /// How much of each take's beginning the scouts hear, in seconds.
    pub scout_s: f64,
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self {
            laws: law::families(),
            scouts_per_parameter: 8,
            promising_len: 6,
            polished_len: 2,
            evaluations: 100,
            finalist_len: 2,
            exact_evaluations: 40,
            scout_s: 25.0,
        }
    }
}

/// One pair, laid out for learning.
#[derive(Debug, Clone)]
pub struct Take {
    sample_rate_hz: f64,
    drive: Arc<[f32]>,
    /// Measured gain on 10 ms steps of the phone's clock, in dB; its offset is free.
    pub gain_db: Vec<f64>,
    /// Which steps are used.
    pub is_used: Vec<bool>,
    /// The static response, phone minus microphone.
    pub response: StaticMatch,
    /// Level of the phone's softest hundredth of steps, in dBFS: its noise, where the music pauses.
    pub noise_floor_dbfs: f64,
    /// Largest sample, in dBFS.
    pub peak_dbfs: f64,
}

impl Take {
    /// Lays an aligned pair out, using the phone's time from `from_s` to `to_s`.
    ///
    /// # Errors
    /// As [`crate::pair::resample::resample`].
    pub fn new(phone: &Audio, mic: &Audio, alignment: &Alignment, (from_s, to_s): (f64, f64)) -> Result<Self, Error> {
        let heard = like_the_phone(phone, &mic_on_phone_clock(phone, mic, alignment)?)?;
        let response = StaticMatch::of(phone, &heard)?;
        let (phone_db, matched_db) = (level_db(phone), level_db(&response.matched(&heard)?));
        let gain_db = phone_db.iter().zip(&matched_db).map(|(p, m)| p - m).collect();
        let mut is_used = compared(&matched_db, &phone_db);
        for (k, used) in is_used.iter_mut().enumerate() {
            let t = k as f64 * HOP_S;
            *used &= (from_s..to_s).contains(&t)
                && alignment.pieces.iter().any(|p| t >= p.phone_time_s(p.from_s) && t < p.phone_time_s(p.to_s));
        }
        let mut sorted = phone_db;
        sorted.sort_by(f64::total_cmp);
        let peak = phone.channels().iter().flatten().fold(0f32, |peak, x| peak.max(x.abs()));
        Ok(Self {
            sample_rate_hz: f64::from(phone.sample_rate_hz()),
            drive: law::drive(phone.channels()).into(),
            gain_db,
            is_used,
            response,
            noise_floor_dbfs: sorted.get(sorted.len() / 100).copied().unwrap_or(-120.0),
            peak_dbfs: db_from_amplitude(f64::from(peak).max(1e-9)),
        })
    }

    fn hop_samples(&self) -> usize {
        (HOP_S * self.sample_rate_hz).round().max(1.0) as usize
    }

    /// The first `seconds` of what is used, and all that comes before: a law's state needs it.
    fn beginning(&self, seconds: f64) -> Self {
        let first = self.is_used.iter().position(|u| *u).unwrap_or(0);
        let last = self.is_used.iter().rposition(|u| *u).map_or(0, |k| k + 2);
        let len = first.saturating_add((seconds / HOP_S) as usize).min(last).min(self.gain_db.len());
        let samples = (len * self.hop_samples()).min(self.drive.len());
        Self {
            drive: self.drive[..samples].into(),
            gain_db: self.gain_db[..len].to_vec(),
            is_used: self.is_used[..len].to_vec(),
            ..self.clone()
        }
    }

    /// Measured gain minus the law's, per used step, its median removed.
    fn residual(&self, block_gain: &[f32]) -> Vec<f64> {
        let db = |b: usize| {
            let gain = block_gain.get(b).or(block_gain.last()).copied().unwrap_or(1.0);
            db_from_amplitude(f64::from(gain).max(1e-10))
        };
        let mut out = (0..self.gain_db.len())
            .filter(|&k| self.is_used[k])
            .map(|k| self.gain_db[k] - 0.5 * (db(k) + db(k + 1)))
            .collect::<Vec<_>>();
        let centre = median(&out);
        out.iter_mut().for_each(|r| *r -= centre);
        out
    }

    fn exact(&self, law: &dyn Law, values: &[f64]) -> Vec<f32> {
        let gain = gain_of(law, values, self.sample_rate_hz, &self.drive, Direction::Inverse);
        gain.chunks(self.hop_samples()).map(|c| c.iter().sum::<f32>() / c.len() as f32).collect()
    }
}

/// Residual scale, in dB: rooms scatter levels by about this much.
const SCALE_DB: f64 = 0.5;
/// Stretches that the jackknife leaves out in turn.
const STRETCHES: usize = 5;
/// A law must leave less than this share of the movement to be believed.
const BELIEVED: f64 = 0.8;
/// Gains that move less than this, in dB rms, are none.
const LEAST_MOVEMENT_DB: f64 = 0.3;

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// The law with its constants; absent where the gain does not move, or no law explains it.
    pub law: Option<LawFit>,
    /// How far the measured gain moves, in dB rms.
    pub movement_db: f64,
    /// What the law leaves of it, in dB rms.
    pub left_db: f64,
    /// What each family leaves, in dB rms, best first.
    pub families: Vec<(String, f64)>,
}

/// Learns a device's law from its takes.
///
/// # Errors
/// [`Error::Invalid`] where there is no take, or the takes have less than 5 s that can be compared.
pub fn learn(takes: &[Take], config: &LearnConfig) -> Result<Learnt, Error> {
    let used = takes.iter().flat_map(|t| &t.is_used).filter(|u| **u).count();
    if (used as f64) * HOP_S < 5.0 {
        return Err(Error::Invalid {
            what: "learning".to_owned(),
            cause: format!(
                "the pairs have only {:.1} s of music in common that stands clear of noise",
                used as f64 * HOP_S
            ),
            remedy: "give longer recordings".to_owned(),
        });
    }
    let takes = &takes.iter().map(|t| t.beginning(f64::INFINITY)).collect::<Vec<_>>()[..];
    let scouted = takes.iter().map(|t| t.beginning(config.scout_s)).collect::<Vec<_>>();
    let mut promising = map_all(&config.laws, |law| Scouted::of(Arc::clone(law), &scouted, config));
    promising.sort_by(|a, b| a.best_cost().total_cmp(&b.best_cost()));
    promising.truncate(config.promising_len);
    let polished = map_all(&promising, |family| family.polished(&scouted, config));
    let mut found = promising.iter().zip(polished).collect::<Vec<_>>();
    found.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
    let finalists = &found[..found.len().min(config.finalist_len)];
    let mut finished = map_all(finalists, |(family, (position, _))| {
        let cost = |u: &[f64]| exact_cost(family.law.as_ref(), takes, u);
        let polished = polish(position, 0.03, config.exact_evaluations, cost);
        (*family, polished.position, polished.cost)
    });
    finished.sort_by(|a, b| a.2.total_cmp(&b.2));
    let movement_db = rms(&takes.iter().flat_map(|t| t.residual(&[1.0])).collect::<Vec<_>>());
    let mut families = finished
        .iter()
        .map(|(family, position, _)| (family.law.name().to_owned(), left(family.law.as_ref(), takes, position)))
        .collect::<Vec<_>>();
    let left_db = families.first().map_or(movement_db, |f| f.1);
    families.extend(
        found.iter().skip(config.finalist_len).map(|(family, (position, _))| {
            (family.law.name().to_owned(), left(family.law.as_ref(), &scouted, position))
        }),
    );
    let is_believed = movement_db > LEAST_MOVEMENT_DB && left_db < BELIEVED * movement_db;
    let best = finished.first().filter(|_| is_believed);
    let law = best.map(|(family, position, _)| family.with_ranges(&scouted, position));
    Ok(Learnt { left_db: if law.is_some() { left_db } else { movement_db }, law, movement_db, families })
}

/// A family, what it heard of the takes, and its scouts with their costs, best first.
struct Scouted {
    law: Arc<dyn Law>,
    listened: Vec<Option<Arc<dyn Listened>>>,
    scouts: Vec<(f64, Vec<f64>)>,
}

impl Scouted {
    fn of(law: Arc<dyn Law>, takes: &[Take], config: &LearnConfig) -> Self {
        let listened = takes.iter().map(|t| law.listen(&t.drive, t.sample_rate_hz)).collect();
        let dimensions = law.parameters().len();
        let mut points = (1..=config.scouts_per_parameter * dimensions)
            .map(|i| (0..dimensions).map(|d| halton(i, PRIMES[d % PRIMES.len()])).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        points.push(position_of(law.parameters(), &law.parameters().iter().map(|p| p.default).collect::<Vec<_>>()));
        let mut out = Self { law, listened, scouts: Vec::new() };
        out.scouts = points.into_iter().map(|u| (out.cost(takes, &u, None), u)).collect();
        out.scouts.sort_by(|a, b| a.0.total_cmp(&b.0));
        out
    }

    fn best_cost(&self) -> f64 {
        self.scouts.first().map_or(f64::INFINITY, |s| s.0)
    }

    /// Cost with the coarse inverse; `without` leaves one stretch of each take out.
    fn cost(&self, takes: &[Take], position: &[f64], without: Option<usize>) -> f64 {
        let values = values_at(self.law.parameters(), position);
        let gains =
            takes.iter().zip(&self.listened).map(|(t, l)| (t, coarse(self.law.as_ref(), t, l.as_ref(), &values)));
        cost_of(gains.map(|(t, gain)| {
            let residual = t.residual(&gain);
            let Some(stretch) = without else { return residual };
            let edge = |s: usize| s * residual.len() / STRETCHES;
            let left_out = edge(stretch)..edge(stretch + 1);
            residual.iter().enumerate().filter(|(k, _)| !left_out.contains(k)).map(|(_, r)| *r).collect()
        }))
    }

    /// Best position and its cost.
    fn polished(&self, takes: &[Take], config: &LearnConfig) -> (Vec<f64>, f64) {
        let polished = self
            .scouts
            .iter()
            .take(config.polished_len)
            .map(|(_, u)| polish(u, 0.1, config.evaluations, |u| self.cost(takes, u, None)))
            .min_by(|a, b| a.cost.total_cmp(&b.cost));
        polished.map_or((Vec::new(), f64::INFINITY), |p| (p.position, p.cost))
    }

    /// The constants with their 90 % ranges, from leaving out one stretch after the other.
    fn with_ranges(&self, takes: &[Take], position: &[f64]) -> LawFit {
        let law = self.law.as_ref();
        let again = map_all(&(0..STRETCHES).collect::<Vec<_>>(), |&stretch| {
            let found = polish(position, 0.02, 12 * position.len().max(1), |u| self.cost(takes, u, Some(stretch)));
            found.position
        });
        let value = values_at(law.parameters(), position);
        let parameters = law
            .parameters()
            .iter()
            .enumerate()
            .map(|(d, p)| {
                let mean = again.iter().map(|u| u[d]).sum::<f64>() / STRETCHES as f64;
                let n = STRETCHES as f64;
                let variance = (n - 1.0) / n * again.iter().map(|u| (u[d] - mean).powi(2)).sum::<f64>();
                let half = 1.645 * variance.sqrt();
                let at = |shift: f64| {
                    let mut moved = position.to_vec();
                    moved[d] = (moved[d] + shift).clamp(0.0, 1.0);
                    values_at(law.parameters(), &moved)[d]
                };
                FittedParameter {
                    name: p.name.to_owned(),
                    unit: p.unit.to_owned(),
                    value: value[d],
                    lower: at(-half).min(value[d]),
                    upper: at(half).max(value[d]),
                }
            })
            .collect();
        LawFit { name: law.name().to_owned(), parameters, landings: Vec::new() }
    }
}

/// Mean gain of each 10 ms block, as fast as the law can.
fn coarse(law: &dyn Law, take: &Take, listened: Option<&Arc<dyn Listened>>, values: &[f64]) -> Vec<f32> {
    let hop = take.hop_samples();
    if let Some(listened) = listened {
        return listened.inverse_blocks(values, hop);
    }
    let mut running = law.start(values, take.sample_rate_hz);
    let latency = running.latency_samples();
    let mut gain = Vec::with_capacity(take.drive.len() + latency);
    let mut block_gain = vec![1f32; hop];
    let silence = vec![0f32; latency];
    for block in take.drive.chunks(hop).chain(silence.chunks(hop)) {
        running.inverse_coarse(block, &mut block_gain[..block.len()]);
        gain.extend_from_slice(&block_gain[..block.len()]);
    }
    gain[latency..].chunks(hop).map(|c| c.iter().sum::<f32>() / c.len() as f32).collect()
}

fn cost_of(residuals: impl Iterator<Item = Vec<f64>>) -> f64 {
    let (mut sum, mut len) = (0.0, 0usize);
    for residual in residuals {
        sum += residual.iter().map(|r| (r / SCALE_DB).powi(2).ln_1p()).sum::<f64>();
        len += residual.len();
    }
    sum / len.max(1) as f64
}

/// Cost with the exact inverse.
fn exact_cost(law: &dyn Law, takes: &[Take], position: &[f64]) -> f64 {
    let values = values_at(law.parameters(), position);
    cost_of(takes.iter().map(|t| t.residual(&t.exact(law, &values))))
}

fn left(law: &dyn Law, takes: &[Take], position: &[f64]) -> f64 {
    let values = values_at(law.parameters(), position);
    rms(&takes.iter().flat_map(|t| t.residual(&t.exact(law, &values))).collect::<Vec<_>>())
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Bases of the Halton sequence.
const PRIMES: [usize; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// The radical inverse of `index`: digits mirrored behind the point.
fn halton(mut index: usize, base: usize) -> f64 {
    let (mut out, mut place) = (0.0, 1.0);
    while index > 0 {
        place /= base as f64;
        out += place * (index % base) as f64;
        index /= base;
    }
    out
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn the_halton_sequence_mirrors_digits() {
        assert_eq!([1, 2, 3, 4].map(|i| halton(i, 2)), [0.5, 0.25, 0.75, 0.125]);
        assert!((halton(5, 3) - (2.0 / 3.0 + 1.0 / 9.0)).abs() < 1e-12);
    }

    /// A take whose gain is exactly that of a law.
    fn take(law: &dyn Law, values: &[f64]) -> Take {
        let rate_hz = 8_000.0;
        let played = (0..160_000)
            .map(|n| {
                let note = n / 6_000;
                let t = (n % 6_000) as f32 / 8_000.0;
                let loud = [0.9f32, 0.1, 0.5, 0.05, 0.7][note % 5];
                loud * (-3.0 * t).exp() * (2.0 * std::f32::consts::PI * 440.0 * t).sin()
            })
            .collect::<Vec<_>>();
        let gain = gain_of(law, values, rate_hz, &played, Direction::Forward);
        let recorded = played.iter().zip(&gain).map(|(x, g)| x * g).collect::<Vec<_>>();
        let blocks = gain.chunks(80).map(|c| c.iter().sum::<f32>() / 80.0).collect::<Vec<_>>();
        let gain_db = blocks.windows(2).map(|w| 0.5 * (w[0].log10() + w[1].log10()) as f64 * 20.0).collect::<Vec<_>>();
        Take {
            sample_rate_hz: rate_hz,
            drive: recorded.into(),
            is_used: vec![true; gain_db.len()],
            gain_db,
            response: StaticMatch { bands: Vec::new() },
            noise_floor_dbfs: -90.0,
            peak_dbfs: 0.0,
        }
    }

    #[test]
    fn the_law_that_made_a_gain_is_learnt_from_it_and_no_gain_teaches_none() {
        let law = law::families().into_iter().find(|l| l.name() == "compressor").unwrap();
        let mut values = law.parameters().iter().map(|p| p.default).collect::<Vec<_>>();
        let threshold = law.parameters().iter().position(|p| p.name == "threshold_db").unwrap();
        values[threshold] = -26.0;
        let config = LearnConfig { laws: vec![Arc::clone(&law)], ..LearnConfig::default() };
        let made = take(law.as_ref(), &values);
        let learnt = learn(std::slice::from_ref(&made), &config).unwrap();
        assert!(learnt.left_db < 0.05 * learnt.movement_db, "{learnt:?}");
        let fit = learnt.law.unwrap();
        assert!((fit.parameters[threshold].value + 26.0).abs() < 1.0, "{fit:?}");
        let still = Take { gain_db: vec![0.0; made.gain_db.len()], ..made };
        assert!(learn(&[still], &config).unwrap().law.is_none());
        assert!(learn(&[], &config).is_err());
    }
}
