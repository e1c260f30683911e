//! WebRTC's first gain control in its digital modes, as phones and browsers have run it since 2011.
//!
//! ```text
//! fixed:      x ------------------------> digital stage --> y
//! adaptive:   x --> emulated microphone --> digital stage --> y
//!                      ^ slow controller <--'
//! ```
//!
//! The digital stage is in `agc1_digital`, the emulated microphone and its controller in `agc1_slider`, the voice
//! measure in `agc1_voice`, what all of them hear in `agc1_hearing`. AOSP's automatic gain control effect is the adaptive
//! mode with target 3, compression 9, limiter on.
//!
//! # Limits
//! - Frames are taken to start with the recording, and the device to start with it: the adaptive mode's staircase
//!   belongs to its first seconds. A recording that begins later has a different, unknown state; the gain before it
//!   would have to become a parameter.
//! - Above its limiter level the device has an infinite ratio (fixed mode: from `-(compression + target)` dBFS on,
//!   adaptive: from `-(4 + 5/11 compression)`); see [`Law::has_ceiling`] and `agc1_digital`.
//! - The input is rounded to 16 bits as on the device, what follows is not: near the last bits the device differs.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy`.

use super::agc1_digital::{Digital, Effort, Gains, Guide, Settings};
use super::agc1_hearing::{BLOCKS, Blocks, FULL_SCALE, Heard, Hearing, SUBFRAMES};
use super::agc1_ramp::Ramp;
use super::agc1_slider::{Capture, Microphone, Slider, is_quiet};
use super::block_means::BlockMeans;
use super::ceiling::{self, Ceiling, Edge};
use super::{Direction, GainControl, Habit, Landing, Law, Listened, Parameter, Scale, landing_at};
use std::sync::Arc;

/// Frame of the device, in s.
const FRAME_S: f64 = 0.010;

/// How far below the target a peak may lie that touched the ceiling, in dB: the ripple of its table, codecs and noise.
const CONTACT_DB: f64 = 0.6;

/// Milliseconds of two frames in which the emulated microphone may be overloaded before it is lost how far its gain fell: it falls
/// by a quarter of a decibel with each overloaded sample, of which the recording shows one for each millisecond. Eight are 2 dB at
/// least, and 30 dB at most.
const LOST_MS: usize = 8;

/// How far a ceiling may lie from a whole target, in dB.
const WHOLE_DB: f64 = 0.35;
/// Compression gains that applications set, in dB.
const COMPRESSIONS_DB: [f64; 4] = [9.0, 15.0, 22.0, 30.0];

/// Samples that are listened to at a time: few enough to stay in the cache.
const LISTENED_SAMPLES: usize = 4096;

/// Target level, shared by every mode.
pub(super) const TARGET: Parameter = Parameter {
    name: "target_level_dbfs",
    unit: "dB",
    low: 0.0,
    high: 31.0,
    default: 3.0,
    scale: Scale::Integer,
    meaning: "level below full scale that the limiter holds; the interface allows 0 to 31",
};
/// Compression gain, shared by every mode.
pub(super) const COMPRESSION: Parameter = Parameter {
    name: "compression_gain_db",
    unit: "dB",
    low: 0.0,
    high: 45.0,
    default: 9.0,
    scale: Scale::Integer,
    meaning: "largest gain of the compressor; the interface allows 0 to 90, searched to 45",
};
/// Limiter switch, shared by every mode.
pub(super) const LIMITER: Parameter = Parameter {
    name: "limiter",
    unit: "",
    low: 0.0,
    high: 1.0,
    default: 1.0,
    scale: Scale::Integer,
    meaning: "1 holds loud levels at the target, 0 leaves the compressor alone; devices leave it on",
};
/// Later gain, shared by every mode.
pub(super) const VOLUME: Parameter = Parameter {
    name: "volume_db",
    unit: "dB",
    low: -40.0,
    high: 40.0,
    default: 0.0,
    scale: Scale::Linear,
    meaning: "gain of the recording after the device, which works on an absolute scale; 0 if nothing touched it",
};

/// Device rate, for the modes with a slow controller.
pub(super) const WIDE: Parameter = Parameter {
    name: "wideband",
    unit: "",
    low: 0.0,
    high: 1.0,
    default: 1.0,
    scale: Scale::Integer,
    meaning: "1 for a device that runs at 32 or 48 kHz, 0 at 16 kHz: decides which samples the slow controller hears",
};

static FIXED: [Parameter; 4] = [TARGET, COMPRESSION, LIMITER, VOLUME];
static ADAPTIVE: [Parameter; 5] = [TARGET, COMPRESSION, LIMITER, VOLUME, WIDE];

/// What a device costs that does not have the library's own setting, in points of misfit: one in twenty, by notes of which
/// each counts for dozens of points.
const RARE_COST: f64 = 120.0;

/// What devices with a slow controller set: the library's own target and compression gain first, then round ones.
pub(super) const HABITS: [Habit; 5] = [
    Habit { usual: &[3.0, 6.0, 9.0, 0.0], cost: 40.0, rare_cost: RARE_COST },
    Habit { usual: &[9.0, 6.0, 12.0, 15.0, 18.0, 20.0, 24.0, 30.0], cost: 40.0, rare_cost: RARE_COST },
    Habit::any_of(&[1.0], 40.0),
    Habit::any_of(&[0.0], 40.0),
    Habit::any_of(&[1.0, 0.0], 40.0),
];

/// The fixed digital mode: table, envelopes and gate only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agc1Fixed;

/// The adaptive digital mode: an emulated microphone slider before the table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agc1Adaptive;

impl Law for Agc1Fixed {
    fn name(&self) -> &'static str {
        "agc1-fixed"
    }

    fn summary(&self) -> &'static str {
        "WebRTC's first gain control in fixed digital mode: peak per millisecond through a gain table \
         (WebRTC project, audio_processing/agc/legacy)"
    }

    fn parameters(&self) -> &[Parameter] {
        &FIXED
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Device::new(&FIXED, values, sample_rate_hz, None))
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        Some(Arc::new(Recording::new(&FIXED, |_| None, recorded, sample_rate_hz)))
    }
}

impl Law for Agc1Adaptive {
    fn name(&self) -> &'static str {
        "agc1-adaptive"
    }

    fn summary(&self) -> &'static str {
        "WebRTC's first gain control in adaptive digital mode, also AOSP's effect: an emulated microphone slider moved \
         in steps, then a gain table (WebRTC project, audio_processing/agc/legacy)"
    }

    fn parameters(&self) -> &[Parameter] {
        &ADAPTIVE
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn habits(&self) -> &[Habit] {
        &HABITS
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Device::new(&ADAPTIVE, values, sample_rate_hz, Some(Microphone::Emulated)))
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        Some(Arc::new(Recording::new(&ADAPTIVE, |_| Some(Microphone::Emulated), recorded, sample_rate_hz)))
    }
}

/// The value of a parameter: the default where it is missing or not a number, clamped and rounded as it must be.
pub(super) fn value(parameters: &[Parameter], values: &[f64], index: usize) -> f64 {
    let parameter = &parameters[index];
    let value = values.get(index).copied().filter(|v| !v.is_nan()).unwrap_or(parameter.default);
    let value = value.clamp(parameter.low, parameter.high);
    if parameter.scale == Scale::Integer { value.round() } else { value }
}

/// The device at work: frames in, gains out.
pub(super) struct Device {
    hearing: Hearing,
    stages: Stages,
    ramp: Ramp,
    volume: f64,
}

/// The stages that decide the gain, frame after frame.
#[derive(Debug, Clone)]
struct Stages {
    digital: Digital,
    slider: Option<Slider>,
    blocks: Blocks,
}

/// Gains of one frame: the eleven marks of the digital stage, times a factor per millisecond.
struct FrameGains {
    marks: Gains,
    before: [f64; SUBFRAMES],
    /// Milliseconds in which the emulated microphone was overloaded, as far as the recording tells.
    overloaded_ms: usize,
}

impl Device {
    /// `parameters` begin with target, compression, limiter and volume; then the rate, where there is a microphone.
    pub(super) fn new(
        parameters: &[Parameter],
        values: &[f64],
        sample_rate_hz: f64,
        microphone: Option<Microphone>,
    ) -> Self {
        let stages = Stages::new(parameters, values, microphone, Effort::EXACT);
        let hearing = Hearing::new(sample_rate_hz, stages.blocks);
        let latency = latency_samples(&hearing, sample_rate_hz);
        let volume = volume(parameters, values);
        Self { hearing, stages, ramp: Ramp::new(latency, piece_samples(sample_rate_hz), volume), volume }
    }

    fn run(&mut self, drive: &[f32], gain: &mut [f32], direction: Direction) {
        let Self { hearing, stages, ramp, volume } = self;
        let scale = if direction == Direction::Forward { 1.0 } else { 1.0 / *volume };
        hearing.feed(drive, scale, direction == Direction::Forward, |heard| {
            let gains = match direction {
                Direction::Forward => stages.forward(heard),
                Direction::Inverse => stages.inverse(heard, None),
            };
            ramp.push((0..SUBFRAMES).map(|k| {
                let factor = *volume * gains.before[k];
                (factor * gains.marks[k], factor * gains.marks[k + 1])
            }));
        });
        ramp.pop(gain);
    }
}

impl GainControl for Device {
    fn latency_samples(&self) -> usize {
        self.ramp.latency_samples()
    }

    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        self.run(drive, gain, Direction::Forward);
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.run(recorded, gain, Direction::Inverse);
    }
}

/// Samples until the gains of a frame are known.
fn latency_samples(hearing: &Hearing, sample_rate_hz: f64) -> usize {
    (FRAME_S * sample_rate_hz).ceil() as usize + 1 + hearing.lookahead_samples()
}

/// Samples of a millisecond, over which the gain runs straight.
fn piece_samples(sample_rate_hz: f64) -> f64 {
    FRAME_S * sample_rate_hz / SUBFRAMES as f64
}

/// The later gain, as an amplitude factor.
fn volume(parameters: &[Parameter], values: &[f64]) -> f64 {
    10f64.powf(value(parameters, values, 3) / 20.0)
}

/// Recorded peak from which the output touches the ceiling.
fn touching(parameters: &[Parameter], values: &[f64]) -> f64 {
    FULL_SCALE * 10f64.powf(-(value(parameters, values, 0) + CONTACT_DB) / 20.0) * volume(parameters, values)
}

/// What a device heard of a recording at a volume of 0 dB.
#[derive(Debug)]
pub(super) struct Recording {
    parameters: &'static [Parameter],
    /// The microphone that values ask for.
    microphone: fn(&[f64]) -> Option<Microphone>,
    sample_rate_hz: f64,
    sample_len: usize,
    /// Heard at the blocks of a 16 kHz device, if there is a slow controller.
    frames: Vec<Heard>,
    /// Block energies of the same frames on a device at a higher rate; empty without a slow controller.
    first_half: Vec<[f64; BLOCKS]>,
}

impl Recording {
    pub(super) fn new(
        parameters: &'static [Parameter],
        microphone: fn(&[f64]) -> Option<Microphone>,
        recorded: &[f32],
        sample_rate_hz: f64,
    ) -> Self {
        let hear = |blocks: Blocks, sink: &mut dyn FnMut(&Heard)| {
            let mut hearing = Hearing::new(sample_rate_hz, blocks);
            let silence = vec![0.0; latency_samples(&hearing, sample_rate_hz)];
            for block in recorded.chunks(LISTENED_SAMPLES).chain([silence.as_slice()]) {
                hearing.feed(block, 1.0, false, &mut *sink);
            }
        };
        let (mut frames, mut first_half) = (Vec::new(), Vec::new());
        if microphone(&[]).is_some() {
            hear(Blocks::Halved, &mut |heard| frames.push(heard.clone()));
            hear(Blocks::FirstHalf, &mut |heard| first_half.push(heard.power));
        } else {
            hear(Blocks::None, &mut |heard| frames.push(heard.clone()));
        }
        Self { parameters, microphone, sample_rate_hz, sample_len: recorded.len(), frames, first_half }
    }
}

impl Listened for Recording {
    fn inverse_blocks(&self, values: &[f64], hop_samples: usize) -> Vec<f32> {
        let mut means = BlockMeans::new(piece_samples(self.sample_rate_hz), hop_samples, self.sample_len);
        self.run(values, &[], |left, right| means.push(left, right));
        means.finish()
    }

    fn landed_marks(&self, values: &[f64], landings: &[Landing]) -> Vec<f32> {
        let mut marks = Vec::with_capacity(self.frames.len() * SUBFRAMES + 1);
        self.run(values, landings, |left, right| {
            if marks.is_empty() {
                marks.push(left as f32);
            }
            marks.push(right as f32);
        });
        marks
    }

    fn ceilings(&self) -> Vec<Vec<f64>> {
        if (self.microphone)(&[]).is_some() {
            return Vec::new();
        }
        let peaks = self.frames.iter().flat_map(|f| f.peak).map(|p| p / FULL_SCALE);
        let Some(Ceiling { level_db: ceiling_db, edge }) = ceiling::find(peaks) else { return Vec::new() };
        if edge == Edge::Spike {
            return Vec::new();
        }
        // A whole target says that nothing came after the device.
        let whole = -ceiling_db.round();
        let target = if (0.0..=31.0).contains(&whole) && (ceiling_db + whole).abs() < WHOLE_DB { whole } else { 3.0 };
        let volume_db = if target == whole { 0.0 } else { ceiling_db + target };
        COMPRESSIONS_DB.map(|compression| vec![target, compression, 1.0, volume_db]).to_vec()
    }

    fn lost_s(&self, values: &[f64]) -> Option<f64> {
        let (mut index, mut before_ms, mut lost_s) = (0usize, 0, None);
        self.each_frame(values, &[], |gains| {
            if lost_s.is_none() && before_ms + gains.overloaded_ms > LOST_MS {
                lost_s = Some(index as f64 * FRAME_S);
            }
            before_ms = gains.overloaded_ms;
            index += 1;
        });
        lost_s
    }

    fn contacts_s(&self, values: &[f64]) -> Vec<f64> {
        let touching = touching(self.parameters, values);
        let mut out = Vec::new();
        for (index, frame) in self.frames.iter().enumerate() {
            for (k, peak) in frame.peak.iter().enumerate() {
                if *peak >= touching {
                    out.push((index as f64 + (k as f64) / SUBFRAMES as f64) * FRAME_S);
                }
            }
        }
        out
    }
}

impl Recording {
    /// Runs the stages backwards over the frames and hands out the gain in straight pieces of a millisecond.
    fn run(&self, values: &[f64], landings: &[Landing], mut push: impl FnMut(f64, f64)) {
        let volume = volume(self.parameters, values);
        self.each_frame(values, landings, |gains| {
            for k in 0..SUBFRAMES {
                let factor = volume * gains.before[k];
                push(factor * gains.marks[k], factor * gains.marks[k + 1]);
            }
        });
    }

    /// Runs the stages backwards over the frames.
    fn each_frame(&self, values: &[f64], landings: &[Landing], mut take: impl FnMut(&FrameGains)) {
        let touching = touching(self.parameters, values);
        let owners = landing_at(landings, self.frames.len() * SUBFRAMES, FRAME_S / SUBFRAMES as f64);
        let mut stages = Stages::new(self.parameters, values, (self.microphone)(values), Effort::COARSE);
        let volume = volume(self.parameters, values);
        for (index, frame) in self.frames.iter().enumerate() {
            let mut heard = frame.clone();
            if stages.blocks == Blocks::FirstHalf {
                heard.power = self.first_half[index];
            }
            let guide = (!landings.is_empty()).then(|| Guide {
                landings,
                at: std::array::from_fn(|k| owners[index * SUBFRAMES + k].filter(|_| frame.peak[k] >= touching)),
            });
            take(&stages.inverse(&heard.scaled(1.0 / volume), guide.as_ref()));
        }
    }
}

impl Stages {
    /// Parameters as for [`Device::new`].
    fn new(parameters: &[Parameter], values: &[f64], microphone: Option<Microphone>, effort: Effort) -> Self {
        let value = |index| value(parameters, values, index);
        let settings = Settings {
            target: value(0) as i32,
            compression: value(1) as i32,
            limiter: value(2) > 0.5,
            adaptive: microphone.is_some(),
        };
        let blocks = match microphone {
            None => Blocks::None,
            Some(_) if value(4) > 0.5 => Blocks::FirstHalf,
            Some(_) => Blocks::Halved,
        };
        Self { digital: Digital::new(settings, effort), slider: microphone.map(Slider::new), blocks }
    }

    fn forward(&mut self, heard: &Heard) -> FrameGains {
        let Some(slider) = &mut self.slider else {
            let marks = self.digital.forward(heard, false);
            return FrameGains { marks, before: [1.0; SUBFRAMES], overloaded_ms: 0 };
        };
        let quiet = slider.is_emulated() && is_quiet(heard.energy, heard.crossings);
        let capture = slider.capture(|k, gain| heard.peak[k] * gain >= FULL_SCALE);
        let captured = heard.times(&capture.gain, self.blocks);
        let marks = self.digital.forward(&captured, quiet);
        slide(slider, &capture, &captured, &self.digital, quiet);
        FrameGains { marks, before: capture.gain, overloaded_ms: 0 }
    }

    fn inverse(&mut self, recorded: &Heard, guide: Option<&Guide>) -> FrameGains {
        let Some(slider) = &mut self.slider else {
            let marks = self.digital.inverse(recorded, |_| false, guide);
            return FrameGains { marks, before: [1.0; SUBFRAMES], overloaded_ms: 0 };
        };
        // What left the microphone is at hand as soon as the digital stage is undone; only whether the frame was quiet
        // before the microphone depends on its gain, which is known from the frames before.
        let rest = slider.clone().capture(|_, _| false).gain[0];
        let energy = |marks: &Gains| {
            let mean = marks.iter().sum::<f64>() / marks.len() as f64 * rest;
            recorded.energy / (mean * mean)
        };
        let emulated = slider.is_emulated();
        let is_quiet = |marks: &Gains| emulated && is_quiet(energy(marks), recorded.crossings);
        let marks = self.digital.inverse(recorded, is_quiet, guide);
        let quiet = is_quiet(&marks);
        let mut middles = [1.0; SUBFRAMES];
        for (k, middle) in middles.iter_mut().enumerate() {
            *middle = 1.0 / (marks[k] + recorded.peak_at[k] * (marks[k + 1] - marks[k]));
        }
        let captured = recorded.times(&middles, self.blocks);
        // An overloaded microphone puts out full scale: one position per such millisecond, no more can be told.
        let full = captured.peak.map(|peak| peak >= 0.9999 * FULL_SCALE);
        let steps = std::cell::Cell::new(usize::MAX);
        let capture = slider.capture(|k, _| full[k] && steps.replace(k) != k);
        slide(slider, &capture, &captured, &self.digital, quiet);
        let overloaded_ms = if emulated { full.iter().filter(|full| **full).count() } else { 0 };
        FrameGains { marks, before: capture.gain, overloaded_ms }
    }
}

fn slide(slider: &mut Slider, capture: &Capture, captured: &Heard, digital: &Digital, quiet: bool) {
    // Only an emulated microphone knows quiet frames, in which it is left alone.
    if !quiet {
        let peaks = captured.peak.map(|peak| peak.min(FULL_SCALE).powi(2));
        slider.hear(capture.told(), &peaks, &captured.power, digital.voice());
    }
}

impl Heard {
    /// The same frame through a gain per millisecond; the count of sign changes and the peaks' places stay.
    fn times(&self, gain: &[f64; SUBFRAMES], blocks: Blocks) -> Self {
        let mut out = self.clone();
        for (k, g) in gain.iter().enumerate() {
            out.peak[k] *= g;
            out.voice[k] *= g * g;
        }
        for block in 0..BLOCKS {
            out.power[block] *= match blocks {
                Blocks::FirstHalf => gain[block] * gain[block],
                Blocks::Halved | Blocks::None => gain[2 * block] * gain[2 * block + 1],
            };
        }
        out
    }
}
