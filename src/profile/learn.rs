//! Learning a device's law from pairs: what it heard is known nearly as well as what it made of it.
//!
//! Per take, on 10 ms steps of the phone's own clock, where laws count their frames:
//!
//! ```text
//! forwards    r = level(phone) - level(c m g(c m))      m: the matched microphone, c: the phone's sensitivity
//! backwards   r = level(y / g(y)) - level(m)            y: the phone's samples; the median of each take removed
//! C = mean over steps of log(1 + (r/s)²)
//! ```
//!
//! Forwards nothing is hidden by a ceiling, and every law is exact where the microphone stood beside the phone: that is how laws are
//! searched. Backwards the law hears the phone's own samples, whatever the rooms did to the microphone's, and errors count as much
//! as they will in a restoration: that is how the constants of laws without a ceiling are settled.
//!
//! Every family is scouted at a Halton sequence of constants and sensitivities (J. Halton, 1960) on the beginning of the takes; the
//! promising ones are polished by a simplex, then by damped Gauss-Newton steps (K. Levenberg, 1944; D. Marquardt, 1963) with robust
//! weights; whole numbers by trying their neighbours. Relatives of the best family start from its constants. The constants' ranges
//! come from a jackknife over stretches of the recordings, one Gauss-Newton step each.

use crate::audio::Audio;
use crate::error::Error;
use crate::fit::search::{polish, position_of, values_at};
use crate::law::{self, Direction, FittedParameter, Law, LawFit, Scale, gain_of};
use crate::pair::align::{Alignment, mic_on_phone_clock};
use crate::pair::level::{HOP_S, StaticMatch, compared, level_db, like_the_phone, median};
use crate::units::{amplitude_from_db, db_from_amplitude};
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;

/// How laws are learnt.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// Families to try.
    pub laws: Vec<Arc<dyn Law>>,
    /// Points of the Halton sequence per family and unknown.
    pub scouts_per_unknown: usize,
    /// Families that are polished, by their best scout.
    pub promising_len: usize,
    /// Scouted points that are polished, per family.
    pub polished_len: usize,
    /// Evaluations of each polish.
    pub evaluations: usize,
    /// Families that are learnt from the whole takes.
    pub finalist_len: usize,
    /// Gauss-Newton steps for each of them, at most.
    pub steps: usize,
    /// How much of each take's beginning the scouts hear, in seconds.
    pub scout_s: f64,
    /// How much of each take is heard at all, in seconds: a few minutes tell all constants.
    pub learn_s: f64,
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self {
            laws: law::families(),
            scouts_per_unknown: 8,
            promising_len: 6,
            polished_len: 2,
            evaluations: 80,
            finalist_len: 3,
            steps: 12,
            scout_s: 15.0,
            learn_s: 120.0,
        }
    }
}

/// One pair, laid out for learning.
#[derive(Debug, Clone)]
pub struct Take {
    sample_rate_hz: f64,
    /// What the device put out, and what it heard but for its sensitivity.
    recorded: Heard,
    matched: Heard,
    /// Levels of both on 10 ms steps, in dB.
    recorded_db: Vec<f64>,
    matched_db: Vec<f64>,
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

/// A recording as laws and levels take it.
#[derive(Debug, Clone)]
struct Heard {
    /// The loudest channel's sample.
    drive: Arc<[f32]>,
    /// Mean power over the channels.
    power: Arc<[f32]>,
}

impl Heard {
    fn of(audio: &Audio) -> Self {
        let channels = audio.channels();
        let mean = |n: usize| channels.iter().map(|c| c[n] * c[n]).sum::<f32>() / channels.len() as f32;
        Self { drive: law::drive(channels).into(), power: (0..audio.sample_len()).map(mean).collect() }
    }

    fn beginning(&self, samples: usize) -> Self {
        let cut = |x: &Arc<[f32]>| x[..samples.min(x.len())].into();
        Self { drive: cut(&self.drive), power: cut(&self.power) }
    }
}

impl Take {
    /// Lays an aligned pair out, using the phone's time from `from_s` to `to_s`.
    ///
    /// # Errors
    /// As [`crate::pair::resample::resample`].
    pub fn new(phone: &Audio, mic: &Audio, alignment: &Alignment, (from_s, to_s): (f64, f64)) -> Result<Self, Error> {
        let heard = like_the_phone(phone, &mic_on_phone_clock(phone, mic, alignment)?)?;
        let response = StaticMatch::of(phone, &heard)?;
        let matched = response.matched(&heard)?;
        let (recorded_db, matched_db) = (level_db(phone), level_db(&matched));
        let gain_db = recorded_db.iter().zip(&matched_db).map(|(p, m)| p - m).collect();
        let mut is_used = compared(&matched_db, &recorded_db);
        for (k, used) in is_used.iter_mut().enumerate() {
            let t = k as f64 * HOP_S;
            *used &= (from_s..to_s).contains(&t)
                && alignment.pieces.iter().any(|p| t >= p.phone_time_s(p.from_s) && t < p.phone_time_s(p.to_s));
        }
        let mut sorted = recorded_db.clone();
        sorted.sort_by(f64::total_cmp);
        let peak = phone.channels().iter().flatten().fold(0f32, |peak, x| peak.max(x.abs()));
        Ok(Self {
            sample_rate_hz: f64::from(phone.sample_rate_hz()),
            recorded: Heard::of(phone),
            matched: Heard::of(&matched),
            recorded_db,
            matched_db,
            gain_db,
            is_used,
            response,
            noise_floor_dbfs: sorted.get(sorted.len() / 100).copied().unwrap_or(-120.0),
            peak_dbfs: db_from_amplitude(f64::from(peak).max(1e-9)),
        })
    }

    /// Where the `k`-th step begins.
    fn edge(&self, k: usize) -> usize {
        (k as f64 * HOP_S * self.sample_rate_hz).round() as usize
    }

    /// The first `seconds` of what is used, and all that comes before: a law's state needs it.
    fn beginning(&self, seconds: f64) -> Self {
        let first = self.is_used.iter().position(|u| *u).unwrap_or(0);
        let last = self.is_used.iter().rposition(|u| *u).map_or(0, |k| k + 1);
        let len = first.saturating_add((seconds / HOP_S) as usize).min(last).min(self.gain_db.len());
        // A step's window is two steps long.
        let samples = self.edge(len + 1);
        let cut = |x: &[f64]| x[..len].to_vec();
        Self {
            recorded: self.recorded.beginning(samples),
            matched: self.matched.beginning(samples),
            recorded_db: cut(&self.recorded_db),
            matched_db: cut(&self.matched_db),
            gain_db: cut(&self.gain_db),
            is_used: self.is_used[..len].to_vec(),
            ..self.clone()
        }
    }

    /// Levels in dB of the used steps, the power of each sample times the square of a factor.
    fn levels_db(&self, power: &[f32], factor: impl Fn(usize) -> f32) -> Vec<f64> {
        let blocks = (0..=self.gain_db.len())
            .map(|k| {
                let range = self.edge(k).min(power.len())..self.edge(k + 1).min(power.len());
                range.map(|n| f64::from(power[n] * factor(n) * factor(n))).sum::<f64>()
            })
            .collect::<Vec<_>>();
        (0..self.gain_db.len())
            .filter(|&k| self.is_used[k])
            .map(|k| {
                let len = self.edge(k + 2).min(power.len()).saturating_sub(self.edge(k)).max(1);
                10.0 * ((blocks[k] + blocks[k + 1]) / len as f64 + 1e-13).log10()
            })
            .collect()
    }

    /// What a law leaves of the measured gain on the used steps, in dB.
    fn residual(&self, law: &dyn Law, values: &[f64], way: Way) -> Vec<f64> {
        let used = |levels: &[f64]| {
            levels.iter().zip(&self.is_used).filter(|(_, used)| **used).map(|(level, _)| *level).collect::<Vec<_>>()
        };
        match way {
            Way::Forwards { sensitivity_db } => {
                let factor = amplitude_from_db(sensitivity_db) as f32;
                let drive = self.matched.drive.iter().map(|x| x * factor).collect::<Vec<_>>();
                let gain = gain_of(law, values, self.sample_rate_hz, &drive, Direction::Forward);
                let played = self.levels_db(&self.matched.power, |n| factor * gain[n]);
                used(&self.recorded_db).iter().zip(played).map(|(measured, level)| measured - level).collect()
            }
            Way::Backwards => {
                let gain = gain_of(law, values, self.sample_rate_hz, &self.recorded.drive, Direction::Inverse);
                let undone = self.levels_db(&self.recorded.power, |n| 1.0 / gain[n].max(1e-10));
                let out = undone.iter().zip(used(&self.matched_db)).map(|(level, mic)| level - mic);
                centred(out.collect())
            }
        }
    }

    /// What no law leaves.
    fn movement(&self) -> Vec<f64> {
        let used = self.gain_db.iter().zip(&self.is_used).filter(|(_, used)| **used);
        centred(used.map(|(gain, _)| *gain).collect())
    }
}

/// Which way a law is run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Over the matched microphone.
    Forwards { sensitivity_db: f64 },
    /// Over the phone's samples.
    Backwards,
}

fn centred(mut values: Vec<f64>) -> Vec<f64> {
    let centre = median(&values);
    values.iter_mut().for_each(|v| *v -= centre);
    values
}

/// Residual scale while scouting, in dB: wide, so that rough constants are told from wrong ones.
const SCOUT_SCALE_DB: f64 = 2.0;
/// Residual scale at the end, in dB: rooms scatter levels by about this much.
const SCALE_DB: f64 = 0.5;
/// Sensitivities that are searched, in dB around the gain at rest: levellers amplify by up to 40 dB, so that a phone may hear its
/// music that much softer than it is recorded.
const SENSITIVITY_DB: (f64, f64) = (-45.0, 15.0);
/// Share of the constants that scouts leave at their defaults: devices are sold with them.
const DEFAULT_SHARE: f64 = 0.4;
/// Share of the measured gains that lie above the gain at rest: noise of the measurement.
const REST_SHARE: f64 = 0.95;
/// Edge of a simplex and step of a derivative, as shares of a constant's range.
const SIMPLEX_EDGE: f64 = 0.08;
const DERIVATIVE_STEP: f64 = 0.004;
/// Longest step of a constant, as a share of its range.
const LONGEST_STEP: f64 = 0.15;
/// Dampings tried for one step, and the first, as a share of the diagonal.
const TRIES: usize = 4;
const FIRST_DAMPING: f64 = 0.1;
/// A step that gains less than this share of the cost is the last.
const LEAST_GAIN: f64 = 1e-3;
/// Neighbours of a whole number that are tried.
const NEIGHBOURS: [f64; 6] = [-1.0, 1.0, -3.0, 3.0, -8.0, 8.0];
/// Families whose cost is at most this much higher than the best one's explain a gain about as well.
const CLOSE_COST: f64 = 1.3;
const CLOSE_COST_FLOOR: f64 = 0.005;
/// Stretches that the jackknife leaves out in turn.
const STRETCHES: usize = 10;
/// A law must leave less than this share of the movement to be believed.
const BELIEVED: f64 = 0.7;
/// Gains that move less than this, in dB rms, are none.
const LEAST_MOVEMENT_DB: f64 = 0.3;
/// What the cost of a volume after the device is multiplied by.
const TURNED_COST: f64 = 1.5;
/// Name of the constant that says what happened after the device.
const VOLUME_NAME: &str = "volume_db";

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
    let takes = &takes.iter().map(|t| t.beginning(config.learn_s)).collect::<Vec<_>>()[..];
    let movement_db = rms(&takes.iter().flat_map(Take::movement).collect::<Vec<_>>());
    if movement_db <= LEAST_MOVEMENT_DB {
        return Ok(Learnt { law: None, movement_db, left_db: movement_db, families: Vec::new() });
    }
    let scouted = takes.iter().map(|t| t.beginning(config.scout_s)).collect::<Vec<_>>();
    let families = config.laws.iter().flat_map(Family::hypotheses).collect::<Vec<_>>();
    let mut promising = map_all(&families, |family| family.clone().scouted(&scouted, config));
    promising.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    promising.truncate(config.promising_len);
    let mut found = map_all(&promising, |scouts| scouts.polished(&scouted, config));
    found.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut finished = Vec::new();
    for start in found.iter().take(config.finalist_len) {
        finished.push(start.finished(takes, config));
    }
    finished.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    // Relatives of the best start from its constants.
    if let Some(best) = finished.first().cloned() {
        for law in &config.laws {
            if let Some(relative) = best.as_relative(law) {
                finished.push(relative.finished(takes, config));
            }
        }
    }
    finished.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let best = finished.first().map(|best| best.run_backwards(&finished, takes, config));
    let left_db = finished.first().map_or(movement_db, |f| f.left_db(takes));
    let is_believed = left_db < BELIEVED * movement_db;
    let mut families: Vec<(String, f64)> = Vec::new();
    for fit in &finished {
        if families.iter().all(|f| f.0 != fit.family.law.name()) {
            families.push((fit.family.law.name().to_owned(), fit.left_db(takes)));
        }
    }
    let law = best.filter(|_| is_believed).map(|fit| fit.with_ranges(takes));
    Ok(Learnt { left_db: if law.is_some() { left_db } else { movement_db }, law, movement_db, families })
}

/// A family and how it is searched.
#[derive(Debug, Clone)]
struct Family {
    law: Arc<dyn Law>,
    /// Index of the volume after the device.
    volume: Option<usize>,
    /// Whether it is 0: the recording is as the device made it. Else it follows from the other constants.
    is_untouched: bool,
}

/// Scouted points of a family, best first.
struct Scouts {
    family: Family,
    cost: f64,
    points: Vec<(f64, Vec<f64>)>,
}

/// A point of the unit cube: one coordinate for each constant; then, forwards, one sensitivity for each take.
#[derive(Debug, Clone)]
struct Fit {
    family: Family,
    is_forwards: bool,
    position: Vec<f64>,
    /// Coordinates that matter.
    searched: Vec<usize>,
    cost: f64,
}

impl Family {
    fn new(law: &Arc<dyn Law>) -> Self {
        let volume = law.parameters().iter().position(|p| p.name == VOLUME_NAME);
        Self { law: Arc::clone(law), volume, is_untouched: true }
    }

    /// The family, and where something may have turned the volume after the device, that hypothesis too.
    fn hypotheses(law: &Arc<dyn Law>) -> Vec<Self> {
        let untouched = Self::new(law);
        let turned = untouched.volume.map(|_| Self { is_untouched: false, ..untouched.clone() });
        std::iter::once(untouched).chain(turned).collect()
    }

    /// What a cost counts: with one constant more, nearly everything is explained a little better.
    fn weighed(&self, cost: f64) -> f64 {
        if self.is_untouched { cost } else { TURNED_COST * cost }
    }

    fn constant_len(&self) -> usize {
        self.law.parameters().len()
    }

    fn sensitivity_db(take: &Take, coordinate: f64) -> f64 {
        let mut used =
            take.gain_db.iter().zip(&take.is_used).filter(|(_, used)| **used).map(|(g, _)| *g).collect::<Vec<_>>();
        used.sort_by(f64::total_cmp);
        let rest_db = used.get((REST_SHARE * used.len() as f64) as usize).or(used.last()).copied().unwrap_or(0.0);
        rest_db + SENSITIVITY_DB.0 + coordinate.clamp(0.0, 1.0) * (SENSITIVITY_DB.1 - SENSITIVITY_DB.0)
    }

    /// The residuals of all takes.
    fn residuals(&self, takes: &[Take], position: &[f64], is_forwards: bool) -> Vec<f64> {
        let mut values = values_at(self.law.parameters(), position);
        if let Some(volume) = self.volume.filter(|_| is_forwards) {
            values[volume] = 0.0;
        }
        let of_take = |(index, take): (usize, &Take)| {
            let way = if is_forwards {
                let coordinate = position.get(self.constant_len() + index).copied().unwrap_or(0.5);
                Way::Forwards { sensitivity_db: Self::sensitivity_db(take, coordinate) }
            } else {
                Way::Backwards
            };
            take.residual(self.law.as_ref(), &values, way)
        };
        let all = takes.iter().enumerate().flat_map(of_take).collect::<Vec<_>>();
        if is_forwards && self.volume.is_some() && !self.is_untouched { centred(all) } else { all }
    }

    fn cost(&self, takes: &[Take], position: &[f64], is_forwards: bool, scale_db: f64) -> f64 {
        self.weighed(cost_of(&self.residuals(takes, position, is_forwards), scale_db))
    }

    fn scouted(self, takes: &[Take], config: &LearnConfig) -> Scouts {
        let len = self.constant_len();
        let defaults = self.law.parameters().iter().map(|p| p.default).collect::<Vec<_>>();
        let defaults = position_of(self.law.parameters(), &defaults);
        let point = |i: usize| {
            let mut out = (0..len)
                .map(|d| {
                    let stays = halton(i, PRIMES[(d + 7) % PRIMES.len()]) < DEFAULT_SHARE;
                    if stays { defaults[d] } else { halton(i, PRIMES[d % PRIMES.len()]) }
                })
                .collect::<Vec<_>>();
            out.resize(len + takes.len(), halton(i, PRIMES[len % PRIMES.len()]));
            out
        };
        let mut points = (1..=config.scouts_per_unknown * (len + 1)).map(point).collect::<Vec<_>>();
        points.extend((0..8).map(|k| {
            let mut out = defaults.clone();
            out.resize(len + takes.len(), (f64::from(k) + 0.5) / 8.0);
            out
        }));
        let mut points =
            points.into_iter().map(|u| (self.cost(takes, &u, true, SCOUT_SCALE_DB), u)).collect::<Vec<_>>();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Scouts { family: self, cost: points.first().map_or(f64::INFINITY, |p| p.0), points }
    }
}

impl Scouts {
    /// The best of the polished points.
    fn polished(&self, takes: &[Take], config: &LearnConfig) -> Fit {
        let family = &self.family;
        let polished = self.points.iter().take(config.polished_len).map(|(cost, start)| {
            let searched = family.searched(takes, start, true);
            let at = |moved: &[f64]| merged(start, &searched, moved);
            let coordinates = searched.iter().map(|&d| start[d]).collect::<Vec<_>>();
            let cost_at = |moved: &[f64]| family.cost(takes, &at(moved), true, SCOUT_SCALE_DB);
            let found = polish(&coordinates, SIMPLEX_EDGE, config.evaluations, cost_at);
            Fit {
                family: family.clone(),
                is_forwards: true,
                position: at(&found.position),
                cost: found.cost.min(*cost),
                searched,
            }
        });
        let nothing = || Fit {
            family: family.clone(),
            is_forwards: true,
            position: Vec::new(),
            searched: Vec::new(),
            cost: f64::INFINITY,
        };
        polished.min_by(|a, b| a.cost.total_cmp(&b.cost)).unwrap_or_else(nothing)
    }
}

/// The value of a constant of which the takes tell nothing: its default; a range that they never left is taken to be wide.
fn unseen(parameters: &[law::Parameter], parameter: &law::Parameter) -> f64 {
    let has = |name: &str| parameters.iter().any(|p| p.name == name);
    match parameter.name {
        "max_gain_db" if has("min_gain_db") => parameter.high,
        "min_gain_db" if has("max_gain_db") => parameter.low,
        _ => parameter.default,
    }
}

/// A position with some of its coordinates moved.
fn merged(position: &[f64], searched: &[usize], moved: &[f64]) -> Vec<f64> {
    let mut out = position.to_vec();
    for (&d, u) in searched.iter().zip(moved) {
        out[d] = u.clamp(0.0, 1.0);
    }
    out
}

impl Family {
    /// The coordinates that a cost answers to: some constants only serve the other way.
    fn searched(&self, takes: &[Take], position: &[f64], is_forwards: bool) -> Vec<usize> {
        let end = if is_forwards { position.len() } else { self.constant_len() };
        let base = self.cost(takes, position, is_forwards, SCOUT_SCALE_DB);
        (0..end)
            .filter(|&d| !(is_forwards && Some(d) == self.volume))
            .filter(|&d| {
                let mut moved = position.to_vec();
                moved[d] += if moved[d] < 0.5 { 0.3 } else { -0.3 };
                (self.cost(takes, &moved, is_forwards, SCOUT_SCALE_DB) - base).abs() > 1e-9
            })
            .collect()
    }
}

impl Fit {
    fn values(&self, takes: &[Take]) -> Vec<f64> {
        let mut values = values_at(self.family.law.parameters(), &self.position);
        if let Some(volume) = self.family.volume.filter(|_| self.is_forwards) {
            values[volume] = 0.0;
        }
        if let Some(volume) = self.family.volume.filter(|_| self.is_forwards && !self.family.is_untouched) {
            let parameter = self.family.law.parameters()[volume];
            let mut without = values.clone();
            without[volume] = 0.0;
            let left = takes.iter().enumerate().flat_map(|(index, take)| {
                let coordinate = self.position[self.family.constant_len() + index];
                let way = Way::Forwards { sensitivity_db: Family::sensitivity_db(take, coordinate) };
                take.residual(self.family.law.as_ref(), &without, way)
            });
            let volume_db = median(&left.collect::<Vec<_>>());
            values[volume] = volume_db.clamp(parameter.low, parameter.high);
        }
        values
    }

    fn left_db(&self, takes: &[Take]) -> f64 {
        rms(&self.family.residuals(takes, &self.position, self.is_forwards))
    }

    /// The same constants in another family that shares most of them; absent where it does not.
    fn as_relative(&self, law: &Arc<dyn Law>) -> Option<Self> {
        let (known, parameters) = (self.family.law.parameters(), law.parameters());
        let shared = parameters.iter().filter(|p| known.iter().any(|k| k.name == p.name)).count();
        if law.name() == self.family.law.name() || shared * 3 < known.len() * 2 {
            return None;
        }
        let values = values_at(known, &self.position);
        let value_of =
            |p: &law::Parameter| known.iter().position(|k| k.name == p.name).map_or(p.default, |k| values[k]);
        let mut position = position_of(parameters, &parameters.iter().map(value_of).collect::<Vec<_>>());
        position.extend_from_slice(self.position.get(known.len()..).unwrap_or(&[]));
        Some(Self {
            family: Family { is_untouched: self.family.is_untouched, ..Family::new(law) },
            is_forwards: true,
            searched: Vec::new(),
            position,
            cost: f64::INFINITY,
        })
    }

    /// Learnt forwards from whole takes.
    fn finished(&self, takes: &[Take], config: &LearnConfig) -> Self {
        let mut out = self.clone();
        out.searched = self.family.searched(takes, &self.position, true);
        let parameters = self.family.law.parameters();
        for (d, p) in parameters.iter().enumerate() {
            if !out.searched.contains(&d) && Some(d) != self.family.volume {
                out.position[d] = position_of(&[*p], &[unseen(parameters, p)])[0];
            }
        }
        for scale_db in [SCOUT_SCALE_DB, SCALE_DB] {
            out.descend(takes, config.steps, scale_db);
            out.try_neighbours(takes, scale_db);
        }
        out.descend(takes, config.steps, SCALE_DB);
        out
    }

    /// The same constants, settled the way that they will be used. Of several families that explain the gain about as well,
    /// that one whose inverse does.
    fn run_backwards(&self, others: &[Self], takes: &[Take], config: &LearnConfig) -> Self {
        if self.family.law.has_ceiling() {
            return self.with_inverse_constants(takes, config);
        }
        let close = others
            .iter()
            .filter(|f| !f.family.law.has_ceiling() && f.cost <= CLOSE_COST * self.cost + CLOSE_COST_FLOOR);
        let settled = close.map(|fit| {
            let mut out = fit.backwards(takes);
            out.searched = out.family.searched(takes, &out.position, false);
            out.descend(takes, config.steps, SCALE_DB);
            out
        });
        settled.min_by(|a, b| a.cost.total_cmp(&b.cost)).unwrap_or_else(|| self.clone())
    }

    fn backwards(&self, takes: &[Take]) -> Self {
        let mut out = Self { is_forwards: false, ..self.clone() };
        if let Some(volume) = self.family.volume {
            let parameters = self.family.law.parameters();
            out.position[volume] = position_of(&parameters[volume..=volume], &[self.values(takes)[volume]])[0];
        }
        out
    }

    /// What only the inverse of a law with a ceiling needs, and forwards does not tell.
    fn with_inverse_constants(&self, takes: &[Take], config: &LearnConfig) -> Self {
        let mut backwards = self.backwards(takes);
        backwards.searched = self.family.searched(takes, &backwards.position, false);
        backwards.searched.retain(|d| !self.searched.contains(d) && Some(*d) != self.family.volume);
        let mut out = self.clone();
        if !backwards.searched.is_empty() {
            backwards.descend(takes, config.steps, SCOUT_SCALE_DB);
            for &d in &backwards.searched {
                out.position[d] = backwards.position[d];
            }
        }
        out
    }

    /// Damped Gauss-Newton steps with robust weights, until nothing improves.
    fn descend(&mut self, takes: &[Take], step_len: usize, scale_db: f64) {
        let parameters = self.family.law.parameters();
        let smooth = |d: &usize| parameters.get(*d).is_none_or(|p| p.scale != Scale::Integer);
        let searched = self.searched.iter().copied().filter(smooth).collect::<Vec<_>>();
        let mut residuals = self.family.residuals(takes, &self.position, self.is_forwards);
        self.cost = self.family.weighed(cost_of(&residuals, scale_db));
        let mut damping = FIRST_DAMPING;
        for _ in 0..step_len {
            let before = self.cost;
            let jacobian = self.jacobian(takes, &searched, &residuals);
            let all = vec![true; residuals.len()];
            let (normal, right) = normal_equations(&jacobian, &residuals, scale_db, &all);
            for _ in 0..TRIES {
                let Some(step) = solved(&normal, &right, damping) else { break };
                let moved = searched
                    .iter()
                    .zip(step.iter())
                    .map(|(&d, s)| self.position[d] + s.clamp(-LONGEST_STEP, LONGEST_STEP))
                    .collect::<Vec<_>>();
                let position = merged(&self.position, &searched, &moved);
                let tried = self.family.residuals(takes, &position, self.is_forwards);
                let cost = self.family.weighed(cost_of(&tried, scale_db));
                if cost < self.cost {
                    (self.position, self.cost, residuals) = (position, cost, tried);
                    damping = (0.3 * damping).max(1e-4);
                    break;
                }
                damping *= 8.0;
            }
            if before - self.cost <= LEAST_GAIN * before {
                break;
            }
        }
    }

    /// Derivatives of the residuals, one column for each coordinate.
    fn jacobian(&self, takes: &[Take], searched: &[usize], residuals: &[f64]) -> Vec<Vec<f64>> {
        map_all(searched, |&d| {
            let mut moved = self.position.clone();
            let step = if moved[d] + DERIVATIVE_STEP <= 1.0 { DERIVATIVE_STEP } else { -DERIVATIVE_STEP };
            moved[d] += step;
            let there = self.family.residuals(takes, &moved, self.is_forwards);
            there.iter().zip(residuals).map(|(b, a)| (b - a) / step).collect()
        })
    }

    /// Whole numbers: their neighbours, each with the sensitivities that suit it.
    fn try_neighbours(&mut self, takes: &[Take], scale_db: f64) {
        let parameters = self.family.law.parameters().to_vec();
        let constant_len = parameters.len();
        let whole =
            self.searched.iter().copied().filter(|d| parameters.get(*d).is_some_and(|p| p.scale == Scale::Integer));
        let whole = whole.collect::<Vec<_>>();
        for _ in 0..4 {
            let mut trials = Vec::new();
            for &d in &whole {
                let p = parameters[d];
                let value = values_at(&parameters, &self.position)[d];
                for by in NEIGHBOURS.iter().filter(|by| (p.low..=p.high).contains(&(value + **by))) {
                    let mut position = self.position.clone();
                    position[d] = (value + by - p.low) / (p.high - p.low);
                    trials.push(position);
                }
            }
            let only_sensitivity = self.searched.iter().copied().filter(|d| *d >= constant_len).collect::<Vec<_>>();
            let tried = map_all(&trials, |position| {
                let mut trial = Self { position: position.clone(), searched: only_sensitivity.clone(), ..self.clone() };
                trial.descend(takes, 2, scale_db);
                (trial.position, trial.cost)
            });
            match tried.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)) {
                Some((position, cost)) if cost < self.cost => (self.position, self.cost) = (position, cost),
                _ => break,
            }
        }
    }

    /// The constants with their 90 % ranges: one Gauss-Newton step without each stretch in turn.
    fn with_ranges(&self, takes: &[Take]) -> LawFit {
        let parameters = self.family.law.parameters();
        let value = self.values(takes);
        let smooth = |d: &usize| *d < parameters.len() && parameters[*d].scale != Scale::Integer;
        let others = |d: &usize| *d >= parameters.len();
        let searched = self.searched.iter().copied().filter(|d| smooth(d) || others(d)).collect::<Vec<_>>();
        let residuals = self.family.residuals(takes, &self.position, self.is_forwards);
        let jacobian = self.jacobian(takes, &searched, &residuals);
        let edge = |s: usize| s * residuals.len() / STRETCHES;
        let again = (0..STRETCHES)
            .filter_map(|stretch| {
                let left_out = edge(stretch)..edge(stretch + 1);
                let used = (0..residuals.len()).map(|k| !left_out.contains(&k)).collect::<Vec<_>>();
                let (normal, right) = normal_equations(&jacobian, &residuals, SCALE_DB, &used);
                solved(&normal, &right, 1e-6)
            })
            .collect::<Vec<_>>();
        let n = again.len().max(1) as f64;
        let fitted = |d: usize, p: &law::Parameter| {
            let half = searched.iter().position(|s| *s == d).map_or(0.0, |column| {
                let mean = again.iter().map(|step| step[column]).sum::<f64>() / n;
                let variance = (n - 1.0) / n * again.iter().map(|step| (step[column] - mean).powi(2)).sum::<f64>();
                1.645 * variance.sqrt()
            });
            let at = |shift: f64| {
                let mut moved = self.position[..parameters.len()].to_vec();
                moved[d] = (moved[d] + shift).clamp(0.0, 1.0);
                values_at(parameters, &moved)[d]
            };
            FittedParameter {
                name: p.name.to_owned(),
                unit: p.unit.to_owned(),
                value: value[d],
                lower: at(-half).min(value[d]),
                upper: at(half).max(value[d]),
            }
        };
        let parameters = parameters.iter().enumerate().map(|(d, p)| fitted(d, p)).collect();
        LawFit { name: self.family.law.name().to_owned(), parameters, landings: Vec::new() }
    }
}

/// `JᵀWJ` and `-JᵀWr` of the steps that are used, with the weights of the robust cost.
fn normal_equations(
    jacobian: &[Vec<f64>],
    residuals: &[f64],
    scale_db: f64,
    is_used: &[bool],
) -> (DMatrix<f64>, DVector<f64>) {
    let len = jacobian.len();
    let (mut normal, mut right) = (DMatrix::zeros(len, len), DVector::zeros(len));
    let weights = residuals
        .iter()
        .zip(is_used)
        .map(|(r, used)| if *used { 1.0 / (1.0 + (r / scale_db).powi(2)) } else { 0.0 })
        .collect::<Vec<_>>();
    for a in 0..len {
        let weighted = jacobian[a].iter().zip(&weights).map(|(j, w)| j * w).collect::<Vec<_>>();
        right[a] = -weighted.iter().zip(residuals).map(|(j, r)| j * r).sum::<f64>();
        for b in 0..=a {
            let product = weighted.iter().zip(&jacobian[b]).map(|(x, y)| x * y).sum::<f64>();
            normal[(a, b)] = product;
            normal[(b, a)] = product;
        }
    }
    (normal, right)
}

/// Solution of the damped normal equations.
fn solved(normal: &DMatrix<f64>, right: &DVector<f64>, damping: f64) -> Option<DVector<f64>> {
    let mut damped = normal.clone();
    for k in 0..right.len() {
        damped[(k, k)] = damped[(k, k)] * (1.0 + damping) + 1e-9;
    }
    damped.cholesky().map(|c| c.solve(right))
}

fn cost_of(residuals: &[f64], scale_db: f64) -> f64 {
    residuals.iter().map(|r| (r / scale_db).powi(2).ln_1p()).sum::<f64>() / residuals.len().max(1) as f64
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Bases of the Halton sequence.
const PRIMES: [usize; 16] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53];

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
        // The microphone is 7 dB softer than what the device heard.
        let mic = played.iter().map(|x| 0.446_7 * x).collect::<Vec<_>>();
        let audio = |x: &[f32]| Audio::new(8_000, vec![x.to_vec()]).unwrap();
        let (recorded, mic) = (audio(&recorded), audio(&mic));
        let (recorded_db, matched_db) = (level_db(&recorded), level_db(&mic));
        Take {
            sample_rate_hz: rate_hz,
            recorded: Heard::of(&recorded),
            matched: Heard::of(&mic),
            gain_db: recorded_db.iter().zip(&matched_db).map(|(p, m)| p - m).collect(),
            is_used: vec![true; recorded_db.len()],
            recorded_db,
            matched_db,
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
