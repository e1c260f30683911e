//! From notes to samples.
//!
//! A mode is a number that turns and shrinks: `z[n+1] = z[n] e^((-α + iω) / rate)`. Modes of a note run side by side in
//! single precision, for vectors; every [`BLOCK`] samples each is set anew in double precision from the closed form, so
//! that nothing adds up. Onsets are exact to the sample; dampers fall and rise at the block's borders, which the truth
//! knows.

use super::hammer;
use super::passage::Passage;
use super::strings::{self, Draw};
use super::truth::{ModeTruth, PartialTruth};
use super::{Instrument, Note};
use crate::units::{alpha_from_db_per_s, amplitude_from_db};
use std::f64::consts::TAU;

/// Samples for which modes run on their own.
const BLOCK: usize = 256;
/// Modes side by side.
const LANES: usize = 8;
/// A mode below this level, in dB of the loudest possible note, is silent: the rounding of 24 bits is -144 dB.
const SILENT_DB: f64 = -125.0;
/// Partials that a fortissimo strike puts below this level are not made.
const FAINT_DB: f64 = -95.0;
/// Share of half the sample rate that modes may reach.
const HIGHEST_SHARE: f64 = 0.92;

/// One note with all its modes, before the overall level.
#[derive(Debug, Clone)]
pub(super) struct RenderedNote {
    pub(super) note: Note,
    pub(super) onset_sample: usize,
    pub(super) contact_s: f64,
    pub(super) partials: Vec<PartialTruth>,
    pub(super) damper_db_per_s: Option<f64>,
    /// Stretches of samples in which the damper lies on the string, from the onset on.
    pub(super) damped: Vec<(usize, usize)>,
    modes: Vec<Mode>,
    hiss: f64,
    hiss_seed: u64,
}

/// One mode for the machine.
#[derive(Debug, Clone)]
struct Mode {
    /// Radians and nepers per sample.
    omega: f64,
    alpha: f64,
    /// Nepers per sample that the damper adds.
    damper: f64,
    /// Level in dB at the onset, for leaving out what is silent.
    level_db: f64,
    /// For each channel amplitude and phase.
    parts: [(f64, f64); 2],
}

impl RenderedNote {
    /// Moves all levels of the truth.
    pub(super) fn turn(&mut self, by_db: f64) {
        for mode in self.partials.iter_mut().flat_map(|p| &mut p.modes) {
            mode.level_dbfs += by_db;
        }
    }
}

/// Every note of a passage with its modes.
pub(super) fn notes(passage: &Passage, instrument: &Instrument) -> Vec<RenderedNote> {
    let rate_hz = f64::from(instrument.sample_rate_hz);
    let mut order: Vec<&Note> = passage.notes.iter().collect();
    order.sort_by(|a, b| a.onset_s.total_cmp(&b.onset_s).then(a.key.cmp(&b.key)));
    let damped = dampers(passage, rate_hz);
    order
        .iter()
        .enumerate()
        .map(|(i, note)| {
            let onset_sample = (note.onset_s * rate_hz).round() as usize;
            let from_onset = damped[usize::from(note.key)]
                .iter()
                .filter(|(_, to)| *to > onset_sample)
                .map(|(from, to)| ((*from).max(onset_sample), *to))
                .collect();
            rendered(note, i, onset_sample, from_onset, instrument)
        })
        .collect()
}

/// For each key the stretches in which its damper is down, in samples at the block's borders: it is up while the key or the
/// pedal is down.
fn dampers(passage: &Passage, rate_hz: f64) -> Vec<Vec<(usize, usize)>> {
    let border = |time_s: f64| (time_s.max(0.0) * rate_hz / BLOCK as f64).round() as usize * BLOCK;
    let mut pedal_up: Vec<(usize, usize)> = Vec::new();
    let mut up_since = Some(0);
    for pedal in &passage.pedal {
        match (pedal.is_down, up_since) {
            (true, Some(since)) => {
                pedal_up.push((since, border(pedal.time_s)));
                up_since = None;
            }
            (false, None) => up_since = Some(border(pedal.time_s)),
            _ => {}
        }
    }
    pedal_up.extend(up_since.map(|since| (since, usize::MAX)));
    let mut out = vec![Vec::new(); 128];
    for (key, out) in out.iter_mut().enumerate() {
        let mut held: Vec<(usize, usize)> = passage
            .notes
            .iter()
            .filter(|note| usize::from(note.key) == key)
            // A short key press still lifts its damper.
            .map(|note| (border(note.onset_s), border(note.release_s).max(border(note.onset_s) + BLOCK)))
            .collect();
        held.sort_unstable();
        let mut free: Vec<(usize, usize)> = Vec::new();
        let mut since = 0;
        for (from, to) in held {
            if from > since {
                free.push((since, from));
            }
            since = since.max(to);
        }
        free.push((since, usize::MAX));
        for (from, to) in free {
            for (up, down) in &pedal_up {
                let (from, to) = (from.max(*up), to.min(*down));
                if from < to {
                    out.push((from, to));
                }
            }
        }
        out.sort_unstable();
    }
    out
}

fn rendered(
    note: &Note,
    index: usize,
    onset_sample: usize,
    damped: Vec<(usize, usize)>,
    instrument: &Instrument,
) -> RenderedNote {
    let rate_hz = f64::from(instrument.sample_rate_hz);
    let Note { key, velocity, .. } = *note;
    let damper_db_per_s = strings::damper_db_per_s(key);
    let damper = damper_db_per_s.map_or(0.0, alpha_from_db_per_s) / rate_hz;
    let (mut partials, mut modes) = (Vec::new(), Vec::new());
    for partial in strings::partials(key, instrument.seed, HIGHEST_SHARE * 0.5 * rate_hz) {
        let level_db = hammer::partial_db(key, velocity, partial.order, partial.frequency_hz);
        let at_full_strength = hammer::partial_db(key, 127, partial.order, partial.frequency_hz);
        if at_full_strength < FAINT_DB {
            continue;
        }
        let responses = hammer::response(key, partial.order, instrument.seed, instrument.channel_len);
        let power = responses.iter().map(|(db, _)| 10f64.powf(0.1 * db)).sum::<f64>() / responses.len() as f64;
        let mean_db = 10.0 * power.log10();
        let truth = partial.modes.iter().map(|mode| ModeTruth {
            frequency_hz: mode.frequency_hz,
            level_dbfs: level_db + mean_db + mode.level_db,
            decay_db_per_s: mode.decay_db_per_s,
            phase_rad: mode.phase_rad,
        });
        partials.push(PartialTruth { order: partial.order, modes: truth.collect() });
        for mode in &partial.modes {
            let mut parts = [(0.0, 0.0); 2];
            for (part, (response_db, phase)) in parts.iter_mut().zip(&responses) {
                *part = (amplitude_from_db(level_db + mode.level_db + response_db), mode.phase_rad + phase);
            }
            modes.push(Mode {
                omega: TAU * mode.frequency_hz / rate_hz,
                alpha: alpha_from_db_per_s(mode.decay_db_per_s) / rate_hz,
                damper,
                level_db: level_db + mode.level_db + mean_db,
                parts,
            });
        }
    }
    for knock in hammer::knock(key, velocity, instrument.seed) {
        let level_db = knock.level_db + instrument.knock_db;
        let amplitude = amplitude_from_db(level_db);
        modes.push(Mode {
            omega: TAU * knock.frequency_hz / rate_hz,
            alpha: alpha_from_db_per_s(knock.decay_db_per_s) / rate_hz,
            damper: 0.0,
            level_db,
            parts: [(amplitude, knock.phase_rad), (amplitude, knock.phase_rad + 0.7)],
        });
    }
    // Those that die together run together.
    modes.sort_by(|a, b| a.alpha.total_cmp(&b.alpha));
    RenderedNote {
        note: *note,
        onset_sample,
        contact_s: hammer::contact_s(key, velocity),
        partials,
        damper_db_per_s,
        damped,
        modes,
        hiss: amplitude_from_db(hammer::hiss_db(velocity) + instrument.knock_db),
        hiss_seed: index as u64,
    }
}

/// A mode's state at a sample, or none where it is silent.
fn state(mode: &Mode, since_onset: usize, damped_samples: usize) -> Option<(f64, f64)> {
    let nepers = mode.alpha * since_onset as f64 + mode.damper * damped_samples as f64;
    if mode.level_db - nepers * crate::units::DB_PER_NEPER < SILENT_DB {
        return None;
    }
    Some(((-nepers).exp(), mode.omega * since_onset as f64))
}

/// Samples of the stretches that lie before `sample`.
fn damped_before(damped: &[(usize, usize)], sample: usize) -> usize {
    damped.iter().take_while(|(from, _)| *from < sample).map(|(from, to)| (*to).min(sample) - from).sum()
}

/// The passage as samples.
pub(super) fn sound(notes: &[RenderedNote], sample_len: usize, instrument: &Instrument) -> Vec<Vec<f32>> {
    let channel_len = instrument.channel_len;
    let mut out = vec![vec![0f32; sample_len]; channel_len];
    let rate_hz = f64::from(instrument.sample_rate_hz);
    for note in notes {
        attack(note, &mut out, rate_hz);
        hiss(note, &mut out, instrument);
    }
    let mut lanes = [vec![0f32; BLOCK * LANES], vec![0f32; BLOCK * LANES]];
    // By the border where blocks take over, which need not be the order of onsets: soft bass hammers touch longer.
    let mut waiting: Vec<(usize, &RenderedNote)> = notes.iter().map(|note| (attack_end(note, rate_hz), note)).collect();
    waiting.sort_by_key(|(end, _)| *end);
    let mut sounding: Vec<&RenderedNote> = Vec::new();
    let mut next = 0;
    for block in 0..sample_len.div_ceil(BLOCK) {
        let start = block * BLOCK;
        while let Some((_, note)) = waiting.get(next).filter(|(end, _)| *end <= start) {
            sounding.push(note);
            next += 1;
        }
        lanes.iter_mut().take(channel_len).for_each(|lane| lane.fill(0.0));
        sounding.retain(|note| run(note, start, &mut lanes[..channel_len]));
        let here = BLOCK.min(sample_len - start);
        for (channel, lane) in out.iter_mut().zip(&lanes) {
            for (y, lane) in channel[start..start + here].iter_mut().zip(lane.chunks_exact(LANES)) {
                *y += lane.iter().sum::<f32>();
            }
        }
    }
    out
}

/// First border at which a note runs by blocks: its attack is over.
fn attack_end(note: &RenderedNote, rate_hz: f64) -> usize {
    (note.onset_sample + attack_len(note, rate_hz)).next_multiple_of(BLOCK)
}

fn attack_len(note: &RenderedNote, rate_hz: f64) -> usize {
    (note.contact_s * rate_hz).ceil() as usize
}

/// The first samples of a note, up to the border where blocks take over: the strings' motion grows while the hammer touches
/// them, as a raised cosine.
fn attack(note: &RenderedNote, out: &mut [Vec<f32>], rate_hz: f64) {
    let contact = attack_len(note, rate_hz).max(1);
    let end = attack_end(note, rate_hz);
    for mode in &note.modes {
        for (channel, (amplitude, phase)) in out.iter_mut().zip(mode.parts) {
            let end = end.min(channel.len());
            for (since, y) in channel[note.onset_sample.min(end)..end].iter_mut().enumerate() {
                let n = note.onset_sample + since;
                let damped = damped_before(&note.damped, n);
                let rise = if since < contact {
                    0.5 - 0.5 * (std::f64::consts::PI * since as f64 / contact as f64).cos()
                } else {
                    1.0
                };
                let nepers = mode.alpha * since as f64 + mode.damper * damped as f64;
                *y += (rise * amplitude * (-nepers).exp() * (mode.omega * since as f64 + phase).sin()) as f32;
            }
        }
    }
}

/// The felt's hiss: noise between 1 and 6 kHz that dies within milliseconds, drawn for each strike.
fn hiss(note: &RenderedNote, out: &mut [Vec<f32>], instrument: &Instrument) {
    let rate_hz = f64::from(instrument.sample_rate_hz);
    let len = (1.5 * hammer::HISS_T60_S * rate_hz) as usize;
    let fall = 10f64.powf(-3.0 / (hammer::HISS_T60_S * rate_hz));
    let corner = |hz: f64| 1.0 - (-TAU * hz.min(0.4 * rate_hz) / rate_hz).exp();
    let (low, high) = (corner(1_000.0), corner(6_000.0));
    for (c, channel) in out.iter_mut().enumerate() {
        let mut draw = Draw::new(instrument.seed, 5 << 32 | note.hiss_seed << 1 | c as u64);
        let (mut amplitude, mut smooth, mut slow) = (note.hiss, 0.0, 0.0);
        for x in channel.iter_mut().skip(note.onset_sample).take(len) {
            smooth += high * (draw.uniform(-1.7, 1.7) - smooth);
            slow += low * (smooth - slow);
            *x += (amplitude * (smooth - slow)) as f32;
            amplitude *= fall;
        }
    }
}

/// Adds a note's block to the lanes; `false` where nothing is left of it.
fn run(note: &RenderedNote, start: usize, lanes: &mut [Vec<f32>]) -> bool {
    let since = start - note.onset_sample;
    let damped = damped_before(&note.damped, start);
    let is_damped = damped_before(&note.damped, start + 1) > damped;
    let mut is_alive = false;
    for group in note.modes.chunks(LANES) {
        let mut turn = [(0f32, 0f32); LANES];
        let mut z = [[(0f32, 0f32); LANES]; 2];
        let mut is_sounding = false;
        for (i, mode) in group.iter().enumerate() {
            let Some((amplitude, angle)) = state(mode, since, damped) else { continue };
            is_sounding = true;
            let shrink = (-mode.alpha - if is_damped { mode.damper } else { 0.0 }).exp();
            turn[i] = ((shrink * mode.omega.cos()) as f32, (shrink * mode.omega.sin()) as f32);
            for (z, (level, phase)) in z.iter_mut().zip(mode.parts) {
                let (sin, cos) = (angle + phase).sin_cos();
                z[i] = ((amplitude * level * cos) as f32, (amplitude * level * sin) as f32);
            }
        }
        if !is_sounding {
            continue;
        }
        is_alive = true;
        for (lane, z) in lanes.iter_mut().zip(z) {
            spin(lane, &turn, z);
        }
    }
    is_alive
}

/// The sines of one group of modes for one block, added lane by lane.
fn spin(lane: &mut [f32], turn: &[(f32, f32); LANES], z: [(f32, f32); LANES]) {
    let (turn_re, turn_im) = (turn.map(|t| t.0), turn.map(|t| t.1));
    let (mut re, mut im) = (z.map(|z| z.0), z.map(|z| z.1));
    for sample in lane.chunks_exact_mut(LANES) {
        for i in 0..LANES {
            sample[i] += im[i];
            let next = re[i] * turn_re[i] - im[i] * turn_im[i];
            im[i] = re[i] * turn_im[i] + im[i] * turn_re[i];
            re[i] = next;
        }
    }
}
