//! Look-ahead limiter: turns down in time for every peak above its ceiling, and lets go slowly.
//!
//! # The law
//! With the ceiling `C`, a look-ahead of `L` samples and the gain `a` (at most 1):
//!
//! ```text
//! a peak |x[n]| > C must be met with the landing gain a[n] = C / |x[n]|
//! attack:  a falls in a straight line over the L samples before n; of several peaks ahead the steepest line wins,
//!          and later peaks bend the line after the first landing
//! release: after a landing at a_k the gain rises in a straight line of slope (1 - a_k) / release
//! ```
//!
//! Source: the limiter of the Calf plugins as ffmpeg's `alimiter` has it (attack 5 ms, release 50 ms by default; its
//! automatic release control does nothing, as its level factor is negative). The code here is our own.
//!
//! # What a recording tells, and what it does not
//! Whatever came in, a limited peak comes out at `C`: the landing gain is lost. The recording does tell *when* the gain
//! can have fallen, which is where the output touches the ceiling (a *contact*), and everything between contacts: from
//! `a_k` on, the release line. So the whole gain is a function of the landing gains, one number per *attack* (the first
//! contact after a rest), and all that other evidence must supply is those numbers.
//!
//! - [`attacks`] lists where the law allows an attack.
//! - [`gain_with_attacks`] turns amounts in dB, one per attack, into the gain. This is the form for a fit: unknowns are
//!   few, each is bounded (`0 <= drop`), and each is tied to evidence on both sides: the step that sounding partials
//!   make over the attack, and the curvature of the release behind it, whose slope is `(1 - a_k) / release`.
//! - [`Law`]'s inverse, which has no such evidence, assumes that every attack lands at the same typical depth (one more
//!   constant, which a search can find), and that the input decays at a typical rate while the output stays at the
//!   ceiling. It is bounded by that depth, and never blows up.

use super::ceiling::{self, Ceiling, Edge};
use super::{GainControl, LANDED_DECAY_DB_PER_S, Landing, Law, Listened, MARK_S, Parameter, Scale, landing_at};
use std::collections::VecDeque;
use std::sync::Arc;

/// Nearness to the ceiling that counts as a contact, as an amplitude ratio (-0.1 dB): converters, codecs and the line
/// of the attack leave a landing slightly off.
const CONTACT: f64 = 0.988_5;

/// Rest without contact after which a contact is a new attack: longer than the periods of the lowest strings' partials
/// that carry level (30 Hz), shorter than the time between notes.
const REST_S: f64 = 0.035;

/// Distance over which an attack given by a caller is moved to the contact that must have caused it.
const REACH_S: f64 = 0.04;

/// Smallest gain (-80 dB): keeps `x = y / g` finite.
const SMALLEST_GAIN: f64 = 1e-4;

const PARAMETERS: [Parameter; 5] = [
    Parameter {
        name: "ceiling_db",
        unit: "dB",
        low: -30.0,
        high: 0.0,
        default: -1.0,
        scale: Scale::Linear,
        meaning: "highest output peak, dBFS of the recording; a make-up gain folds into it",
    },
    Parameter {
        name: "attack_s",
        unit: "s",
        low: 0.000_1,
        high: 0.08,
        default: 0.005,
        scale: Scale::Log,
        meaning: "look-ahead, over which the gain falls",
    },
    Parameter {
        name: "release_s",
        unit: "s",
        low: 0.005,
        high: 8.0,
        default: 0.3,
        scale: Scale::Log,
        meaning: "time in which the gain returns to 1 from any depth, along a straight line of amplitude",
    },
    Parameter {
        name: "depth_db",
        unit: "dB",
        low: 0.0,
        high: 30.0,
        default: 6.0,
        scale: Scale::Linear,
        meaning: "gain reduction on which an attack typically lands; the inverse needs it, forward does not",
    },
    Parameter {
        name: "decay_db_per_s",
        unit: "dB/s",
        low: 0.0,
        high: 60.0,
        default: 10.0,
        scale: Scale::Linear,
        meaning: "decay of the input while the output stays at the ceiling; the inverse needs it, forward does not",
    },
];

/// Look-ahead limiter with a straight release.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limiter;

impl Law for Limiter {
    fn name(&self) -> &'static str {
        "limiter"
    }

    fn summary(&self) -> &'static str {
        "look-ahead limiter with straight release (Calf; ffmpeg alimiter); depth of attacks is a guess when inverted"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn needs_landings(&self) -> bool {
        true
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Running::new(Settings::new(values, sample_rate_hz)))
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        Some(Arc::new(Recording::new(recorded, sample_rate_hz)))
    }
}

/// The peaks of a recording, millisecond by millisecond: all that a limiter's contacts depend on.
#[derive(Debug)]
struct Recording {
    peaks: Vec<f32>,
    sample_rate_hz: f64,
    sample_len: usize,
}

/// Nearness to the ceiling, as an amplitude ratio (-0.3 dB), that counts as a contact where landings are sought: codecs and
/// noise move peaks by as much.
const LANDED_CONTACT: f64 = 0.966;

/// Releases that devices have, in seconds.
const RELEASES_S: [f64; 6] = [0.05, 0.15, 0.4, 0.8, 1.5, 3.0];

impl Recording {
    fn new(recorded: &[f32], sample_rate_hz: f64) -> Self {
        let len = (recorded.len() as f64 / (MARK_S * sample_rate_hz)).ceil() as usize;
        let mut peaks = vec![0f32; len];
        for (n, x) in recorded.iter().enumerate() {
            let k = ((n as f64 / (MARK_S * sample_rate_hz)) as usize).min(len - 1);
            peaks[k] = peaks[k].max(x.abs());
        }
        Self { peaks, sample_rate_hz, sample_len: recorded.len() }
    }

    fn touching(values: &[f64]) -> f32 {
        (db_to_gain(values.first().copied().unwrap_or(0.0)) * LANDED_CONTACT) as f32
    }

    /// Lets the gain fall in a straight line over the look-ahead to `gain` at mark `k`.
    fn fall(marks: &mut [f32], k: usize, look_ahead: usize, gain: f64) {
        let from = k.saturating_sub(look_ahead);
        let start = f64::from(marks[from]);
        for (n, mark) in marks[from..=k].iter_mut().enumerate() {
            let line = start + (gain - start) * n as f64 / (k - from).max(1) as f64;
            *mark = mark.min(line as f32);
        }
        marks[k] = gain as f32;
    }
}

impl Listened for Recording {
    fn inverse_blocks(&self, values: &[f64], hop_samples: usize) -> Vec<f32> {
        // Every run of contacts falls to the typical depth.
        let depth_db = values.get(3).copied().unwrap_or(6.0);
        let mut landings: Vec<Landing> = Vec::new();
        let mut last_s = f64::NEG_INFINITY;
        for at_s in self.contacts_s(values) {
            if at_s - last_s > REST_S {
                landings.push(Landing { at_s, rise_db: depth_db, continues: false });
            }
            last_s = at_s;
        }
        super::block_means_of(&self.landed_marks(values, &landings), self.sample_rate_hz, hop_samples, self.sample_len)
    }

    fn ceilings(&self) -> Vec<Vec<f64>> {
        let Some(Ceiling { level_db, edge }) = ceiling::find(self.peaks.iter().map(|&p| f64::from(p))) else {
            return Vec::new();
        };
        if edge == Edge::Step {
            return Vec::new();
        }
        RELEASES_S
            .map(|release_s| {
                vec![level_db, PARAMETERS[1].default, release_s, PARAMETERS[3].default, PARAMETERS[4].default]
            })
            .to_vec()
    }

    fn contacts_s(&self, values: &[f64]) -> Vec<f64> {
        let touching = Self::touching(values);
        let touched = |(k, peak): (usize, &f32)| (*peak >= touching).then_some(k as f64 * MARK_S);
        self.peaks.iter().enumerate().filter_map(touched).collect()
    }

    fn landed_marks(&self, values: &[f64], landings: &[Landing]) -> Vec<f32> {
        let settings = Settings::new(values, 1.0 / MARK_S);
        let look_ahead = settings.look_ahead.max(1) as usize;
        let decay = db_to_gain(LANDED_DECAY_DB_PER_S * MARK_S);
        let touching = Self::touching(values);
        let owners = landing_at(landings, self.peaks.len(), MARK_S);
        let mut marks = vec![1f32; self.peaks.len() + 1];
        let (mut gain, mut slope, mut landed) = (1f64, 0f64, 1f64);
        let mut current = None;
        for (k, peak) in self.peaks.iter().enumerate() {
            gain = (gain + slope).min(1.0);
            landed *= decay;
            if let Some(index) = owners[k].filter(|_| *peak >= touching) {
                if current != Some(index) {
                    let landing = landings[index as usize];
                    let base = if landing.continues { landed } else { gain };
                    landed = (base * db_to_gain(-landing.rise_db)).clamp(SMALLEST_GAIN, 1.0);
                    current = Some(index);
                }
                if landed < gain {
                    gain = landed;
                    slope = (1.0 - gain) / settings.release_samples;
                    Self::fall(&mut marks, k, look_ahead, gain);
                    continue;
                }
            }
            marks[k] = gain as f32;
        }
        let last = self.peaks.len();
        marks[last] = marks[last.saturating_sub(1)];
        marks
    }
}

/// Where the limiter can have begun to turn down: sample indices of the first contact with the ceiling after each rest.
///
/// # Units
/// `values` in [`Limiter`]'s order; only the ceiling counts here.
#[must_use]
pub fn attacks(recorded: &[f32], values: &[f64], sample_rate_hz: f64) -> Vec<usize> {
    let settings = Settings::new(values, sample_rate_hz);
    let mut contacts = Contacts::default();
    (0..recorded.len())
        .filter(|n| settings.touches(recorded[*n]) && contacts.touch(*n, settings.rest_samples))
        .collect()
}

/// What is known of one attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attack {
    /// The gain fell by so many dB (at least 0) against what the release had reached by then: what a step in sounding
    /// partials tells.
    Drop(f64),
    /// The gain landed so many dB (at least 0) below its rest: what the slope of the release behind it tells.
    Depth(f64),
}

/// The gain of every sample of `recorded`, given what is known of each attack.
///
/// `attack_events` are pairs of a sample index and what happened there; an event is moved to the nearest contact
/// within 40 ms where there is one. Contacts that belong to no event hold the gain to the typical decay, as in the
/// law's own inverse.
///
/// # Shape
/// As long as `recorded`. Events in any order.
///
/// # Units
/// `values` in [`Limiter`]'s order; the typical depth is not used.
#[must_use]
pub fn gain_with_attacks(
    recorded: &[f32],
    values: &[f64],
    sample_rate_hz: f64,
    attack_events: &[(usize, Attack)],
) -> Vec<f32> {
    let settings = Settings::new(values, sample_rate_hz);
    let reach = (REACH_S * sample_rate_hz) as usize;
    let mut events: Vec<(usize, Attack)> = attack_events
        .iter()
        .map(|(sample, attack)| {
            let window = sample.saturating_sub(reach)..sample.saturating_add(reach + 1).min(recorded.len());
            let nearest = window.filter(|n| settings.touches(recorded[*n])).min_by_key(|n| n.abs_diff(*sample));
            (nearest.unwrap_or(*sample), *attack)
        })
        .collect();
    events.sort_by_key(|(sample, _)| *sample);

    let mut events = events.into_iter().peekable();
    let mut running = Running::new(settings);
    let latency = running.latency_samples();
    let mut out = Vec::with_capacity(recorded.len() + latency);
    for (n, y) in recorded.iter().chain(std::iter::repeat_n(&0.0, latency)).enumerate() {
        let mut landing = settings.touches(*y).then(|| running.held());
        while let Some((_, attack)) = events.next_if(|(sample, _)| *sample == n) {
            landing = Some(running.attacked(attack, landing));
        }
        out.push(running.step(landing));
    }
    out.drain(..latency.min(out.len()));
    out
}

fn db_to_gain(db: f64) -> f64 {
    (db * std::f64::consts::LN_10 / 20.0).exp()
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    ceiling: f64,
    contact: f32,
    look_ahead: u64,
    /// Samples of a full release.
    release_samples: f64,
    typical_landing: f64,
    /// Factor on the gain per sample while the output stays at the ceiling.
    decay: f64,
    rest_samples: usize,
}

impl Settings {
    fn new(values: &[f64], sample_rate_hz: f64) -> Self {
        let value = |i: usize| match values.get(i) {
            Some(v) if v.is_finite() => v.clamp(PARAMETERS[i].low, PARAMETERS[i].high),
            _ => PARAMETERS[i].default,
        };
        let ceiling = db_to_gain(value(0));
        Self {
            ceiling,
            contact: (CONTACT * ceiling) as f32,
            look_ahead: ((value(1) * sample_rate_hz) as u64).max(1),
            release_samples: value(2) * sample_rate_hz,
            typical_landing: db_to_gain(-value(3)),
            decay: db_to_gain(value(4) / sample_rate_hz),
            rest_samples: (REST_S * sample_rate_hz) as usize,
        }
    }

    fn touches(&self, y: f32) -> bool {
        y.abs() >= self.contact
    }
}

/// Tells attacks from the contacts that follow them.
#[derive(Debug, Clone, Copy, Default)]
struct Contacts {
    last: Option<usize>,
}

impl Contacts {
    /// Notes a contact at sample `n`; whether it is an attack.
    fn touch(&mut self, n: usize, rest_samples: usize) -> bool {
        let attack = self.last.is_none_or(|last| n - last > rest_samples);
        self.last = Some(n);
        attack
    }
}

/// A gain that must be reached at a sample ahead.
#[derive(Debug, Clone, Copy)]
struct Planned {
    at: u64,
    gain: f64,
    /// Slope after it.
    slope: f64,
}

#[derive(Debug, Clone)]
struct Running {
    settings: Settings,
    gain: f64,
    /// Change of the gain per sample.
    slope: f64,
    landings: VecDeque<Planned>,
    /// Samples heard so far.
    heard: u64,
    contacts: Contacts,
    /// Last landing of the inverse: its sample and gain.
    landed: (u64, f64),
}

impl Running {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            gain: 1.0,
            slope: 0.0,
            landings: VecDeque::new(),
            heard: 0,
            contacts: Contacts::default(),
            landed: (0, 1.0),
        }
    }

    fn release_slope(&self, gain: f64) -> f64 {
        (1.0 - gain) / self.settings.release_samples
    }

    /// Plans for a landing at the newest sample.
    fn plan(&mut self, gain: f64) {
        let landing = Planned { at: self.heard, gain, slope: self.release_slope(gain) };
        let slope = (gain - self.gain) / self.settings.look_ahead as f64;
        if slope < self.slope {
            self.slope = slope;
            self.landings.clear();
            self.landings.push_back(landing);
            return;
        }
        for (i, earlier) in self.landings.iter_mut().enumerate() {
            let slope = (gain - earlier.gain) / (landing.at - earlier.at).max(1) as f64;
            if slope < earlier.slope {
                earlier.slope = slope;
                self.landings.truncate(i + 1);
                self.landings.push_back(landing);
                break;
            }
        }
    }

    /// Hears one sample, which may demand a landing, and returns the gain of the sample one look-ahead ago.
    #[inline]
    fn step(&mut self, landing: Option<f64>) -> f32 {
        if let Some(gain) = landing {
            self.plan(gain);
        }
        self.gain += self.slope;
        let out = self.heard + 1;
        if let Some(next) = self.landings.front().copied()
            && next.at + self.settings.look_ahead == out
        {
            self.landings.pop_front();
            self.gain = next.gain;
            self.slope = next.slope;
        }
        if self.gain > 1.0 {
            self.gain = 1.0;
            self.slope = 0.0;
            self.landings.clear();
        } else if self.gain < SMALLEST_GAIN {
            self.gain = SMALLEST_GAIN;
            self.slope = self.release_slope(SMALLEST_GAIN);
        }
        self.heard = out;
        self.gain as f32
    }

    /// The gain that the present plan will have reached at the newest sample.
    fn foreseen(&self) -> f64 {
        let last = match self.landings.back() {
            Some(last) => last.gain + last.slope * (self.heard - last.at) as f64,
            None => self.gain + self.slope * self.settings.look_ahead as f64,
        };
        last.clamp(SMALLEST_GAIN, 1.0)
    }

    /// Landing of a contact that is no attack: the release goes on, but no faster than the input decays.
    fn held(&mut self) -> f64 {
        let (at, gain) = self.landed;
        let decayed = gain * self.settings.decay.powf((self.heard - at) as f64);
        let landing = self.foreseen().min(decayed);
        self.remember(landing);
        landing
    }

    /// Landing of an attack; a second one at the same sample adds to the first.
    fn attacked(&mut self, attack: Attack, already: Option<f64>) -> f64 {
        let (db, from) = match attack {
            Attack::Drop(db) => (db, already.unwrap_or_else(|| self.foreseen())),
            Attack::Depth(db) => (db, 1.0),
        };
        let db = if db.is_finite() { db.max(0.0) } else { 0.0 };
        let landing = (from * db_to_gain(-db)).max(SMALLEST_GAIN);
        self.remember(landing);
        landing
    }

    fn remember(&mut self, landing: f64) {
        self.landed = (self.heard, landing);
    }
}

impl GainControl for Running {
    fn latency_samples(&self) -> usize {
        self.settings.look_ahead as usize - 1
    }

    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        for (x, g) in drive.iter().zip(gain) {
            let peak = f64::from(*x).abs();
            let landing = (peak > self.settings.ceiling).then(|| (self.settings.ceiling / peak).max(SMALLEST_GAIN));
            *g = self.step(landing);
        }
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        for (y, g) in recorded.iter().zip(gain) {
            let landing = self.settings.touches(*y).then(|| {
                if self.contacts.touch(self.heard as usize, self.settings.rest_samples) {
                    let landing = self.foreseen().min(self.settings.typical_landing);
                    self.remember(landing);
                    landing
                } else {
                    self.held()
                }
            });
            *g = self.step(landing);
        }
    }
}
