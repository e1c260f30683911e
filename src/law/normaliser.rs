//! Normaliser that looks ahead: brings the peaks of long frames to one level, smoothed over many frames.
//!
//! # The law
//! Frames `f` of half a second, peak `q_f`, filter reach `r` frames:
//!
//! ```text
//! local gain   u_f = M erf(sqrt(pi)/2 * (p / q_f) / M)      p: peak aimed at, M: largest gain, softly approached
//! minimum      m_f = min of u over f - r ... f + r
//! smooth       G_f = sum_k w_k m_{f+k}, k = -r ... r        w: Gaussian, sigma = (r - 1/2) / 3 + 1/3 frames
//! sample       g runs in a straight line from G_{f-1} to G_f within frame f
//! ```
//!
//! Before the recording `u = 1` and `m <= 1`; behind it a gain of one is assumed.
//!
//! Source: the Dynamic Audio Normalizer of LoRd_MuldeR (2015) as ffmpeg's `dynaudnorm` has it, with its defaults; the
//! code here is our own. Its DC correction, RMS mode and compression are off by default and left out.
//!
//! # The inverse
//! `q_f` of the input is the recorded peak over the gain, and the law then maps a gain curve to a gain curve that is
//! the same in shape however it is scaled. It is iterated to its fixed point over a sliding stretch of
//! [`HORIZON_FRAMES`]; the known start fixes the scale. Where all is loud the fixed point is reached slowly, so a long
//! recording may keep an error of slow drift: the law has a ceiling in this sense.

use super::{GainControl, Law, Parameter, Scale};

/// Reach of the filter in frames: 31 frames wide by default, 15 to either side.
const REACH: usize = 15;

/// Frames ahead that are solved together; the first of them is then final.
const HORIZON_FRAMES: usize = 6 * REACH;

/// Sweeps over the stretch at each new frame.
const SWEEPS_LEN: usize = 4;

/// Parts of a frame whose peaks are kept: the gain moves by little within 1/50 of a frame.
const PARTS_LEN: usize = 50;

/// Peak of a silent frame's floor, the spacing of doubles at 1.
const SMALLEST_PEAK: f64 = f64::EPSILON;

/// Smallest gain (-80 dB): keeps `x = y / g` finite.
const SMALLEST_GAIN: f64 = 1e-4;

const PARAMETERS: [Parameter; 3] = [
    Parameter {
        name: "peak_db",
        unit: "dB",
        low: -30.0,
        high: 0.0,
        default: -0.45,
        scale: Scale::Linear,
        meaning: "peak aimed at, dBFS of the recording; a later volume folds into it",
    },
    Parameter {
        name: "max_gain_db",
        unit: "dB",
        low: 3.0,
        high: 40.0,
        default: 20.0,
        scale: Scale::Linear,
        meaning: "largest gain, approached softly",
    },
    Parameter {
        name: "frame_s",
        unit: "s",
        low: 0.05,
        high: 2.0,
        default: 0.5,
        scale: Scale::Log,
        meaning: "length of a frame; the filter is 31 frames wide",
    },
];

/// Gaussian-smoothed peak normaliser.
#[derive(Debug, Clone, Copy, Default)]
pub struct Normaliser;

impl Law for Normaliser {
    fn name(&self) -> &'static str {
        "normaliser"
    }

    fn summary(&self) -> &'static str {
        "normaliser with look-ahead over peaks of long frames (Dynamic Audio Normalizer; ffmpeg dynaudnorm)"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let value = |i: usize| match values.get(i) {
            Some(v) if v.is_finite() => v.clamp(PARAMETERS[i].low, PARAMETERS[i].high),
            _ => PARAMETERS[i].default,
        };
        let db_to_gain = |db: f64| (db * std::f64::consts::LN_10 / 20.0).exp();
        let half_frame = (0.5 * value(2) * sample_rate_hz).round() as usize;
        Box::new(Running::new(db_to_gain(value(0)), db_to_gain(value(1)), (2 * half_frame).max(PARTS_LEN)))
    }
}

/// One frame: what was recorded or heard, and what is made of it.
#[derive(Debug, Clone)]
struct Frame {
    /// Peaks of its parts.
    parts: [f32; PARTS_LEN],
    /// Local gain.
    local: f64,
    /// Gain at its end.
    gain: f64,
}

struct Running {
    peak: f64,
    max_gain: f64,
    frame_len: usize,
    weights: [f64; 2 * REACH + 1],
    frames: Vec<Frame>,
    /// Frames whose gain is final.
    done: usize,
    filling: [f32; PARTS_LEN],
    filled: usize,
    ready: Vec<f32>,
    handed_out: usize,
}

impl Running {
    fn new(peak: f64, max_gain: f64, frame_len: usize) -> Self {
        let sigma = (REACH as f64 - 0.5) / 3.0 + 1.0 / 3.0;
        let mut weights = std::array::from_fn(|i| {
            let k = i as f64 - REACH as f64;
            (-k * k / (2.0 * sigma * sigma)).exp()
        });
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        Self {
            peak,
            max_gain,
            frame_len,
            weights,
            frames: Vec::new(),
            done: 0,
            filling: [0.0; PARTS_LEN],
            filled: 0,
            ready: vec![1.0; (HORIZON_FRAMES + 1) * frame_len],
            handed_out: 0,
        }
    }

    fn soft_bound(&self, gain: f64) -> f64 {
        const HALF_ROOT_PI: f64 = 0.886_226_925_452_758;
        self.max_gain * error_function(HALF_ROOT_PI * gain / self.max_gain)
    }

    /// Local gain of a frame with that peak; frames of nothing are taken for the padding behind a recording.
    fn local_gain(&self, peak: f64) -> f64 {
        let wanted = if peak <= 0.0 { 1.0 } else { self.peak / peak.max(SMALLEST_PEAK) };
        self.soft_bound(wanted).max(SMALLEST_GAIN)
    }

    /// Minimum of the local gains around frame `f`. Frames before the recording have gain 1, and minima there that of
    /// the running minimum from the start; frames to come are as the padding.
    fn minimum(&self, f: isize) -> f64 {
        let last = self.frames.len() as isize - 1;
        let (from, to, start) = if f < 0 {
            // The filter is filled with a running minimum from the second frame on.
            (1, f + REACH as isize + 1, 1.0)
        } else {
            let start = if f < REACH as isize { 1.0 } else { f64::INFINITY };
            (f - REACH as isize, f + REACH as isize, start)
        };
        let from = from.clamp(0, last + 1);
        let ahead = if to > last { self.soft_bound(1.0) } else { f64::INFINITY };
        let known = &self.frames[from as usize..=to.clamp(from - 1, last).max(0) as usize];
        known.iter().map(|frame| frame.local).fold(start.min(ahead), f64::min)
    }

    /// Smoothed gains of frames `from..to`, from the local gains.
    fn smooth(&mut self, from: usize, to: usize) {
        let reach = REACH as isize;
        let minima: Vec<f64> = (from as isize - reach..to as isize + reach).map(|f| self.minimum(f)).collect();
        for (i, frame) in self.frames[from..to].iter_mut().enumerate() {
            frame.gain = minima[i..].iter().zip(&self.weights).map(|(m, w)| m * w).sum();
        }
    }

    fn gain_before(&self, f: usize) -> f64 {
        if f == 0 { 1.0 } else { self.frames[f - 1].gain }
    }

    fn end_frame(&mut self, undo: bool) {
        let parts = std::mem::replace(&mut self.filling, [0.0; PARTS_LEN]);
        self.filled = 0;
        let gain = self.frames.last().map_or(1.0, |frame| frame.gain);
        let peak = parts.iter().copied().fold(0.0, f32::max);
        let local = self.local_gain(f64::from(peak) / if undo { gain } else { 1.0 });
        self.frames.push(Frame { parts, local, gain });
        if undo {
            for _ in 0..SWEEPS_LEN {
                self.sweep();
            }
        }
        let known = self.frames.len();
        if known > HORIZON_FRAMES {
            self.finish(known - HORIZON_FRAMES - 1, undo);
        }
    }

    /// One step towards the fixed point over the frames that are not final.
    fn sweep(&mut self) {
        self.smooth(self.done, self.frames.len());
        for f in self.done..self.frames.len() {
            let (before, after) = (self.gain_before(f), self.frames[f].gain);
            let peak = self.frames[f].parts.iter().enumerate().fold(0f64, |peak, (part, y)| {
                let share = (part as f64 + 0.5) / PARTS_LEN as f64;
                peak.max(f64::from(*y) / (before + (after - before) * share))
            });
            self.frames[f].local = self.local_gain(peak);
        }
    }

    /// Makes the gain of frame `f` final and hands it out.
    fn finish(&mut self, f: usize, undone: bool) {
        if !undone {
            self.smooth(f, f + 1);
        }
        self.done = f + 1;
        let before = self.gain_before(f);
        let step = (self.frames[f].gain - before) / self.frame_len as f64;
        self.ready.drain(..self.handed_out);
        self.handed_out = 0;
        self.ready.extend((0..self.frame_len).map(|i| (before + step * (i + 1) as f64) as f32));
    }

    fn run(&mut self, samples: &[f32], gain: &mut [f32], undo: bool) {
        let mut at = 0;
        while at < samples.len() {
            // Up to the end of the present part of the frame.
            let part = self.filled * PARTS_LEN / self.frame_len;
            let part_end = ((part + 1) * self.frame_len).div_ceil(PARTS_LEN);
            let take = (samples.len() - at).min(part_end - self.filled);
            let peak = samples[at..at + take].iter().fold(0f32, |peak, x| peak.max(x.abs()));
            self.filling[part] = self.filling[part].max(peak.min(f32::MAX));
            gain[at..at + take].copy_from_slice(&self.ready[self.handed_out..self.handed_out + take]);
            self.handed_out += take;
            self.filled += take;
            at += take;
            if self.filled == self.frame_len {
                self.end_frame(undo);
            }
        }
    }
}

impl GainControl for Running {
    fn latency_samples(&self) -> usize {
        (HORIZON_FRAMES + 1) * self.frame_len
    }

    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        self.run(drive, gain, false);
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.run(recorded, gain, true);
    }
}

/// `erf(x)` for `x >= 0`, to 1.5e-7. Source: Abramowitz and Stegun, 7.1.26.
fn error_function(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    1.0 - polynomial * (-x * x).exp()
}
