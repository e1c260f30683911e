//! The automatic gain control of the Speex preprocessor, as voice recorders and call software embed it.
//!
//! # The law
//! Frames of 20 ms, windows of two frames. Frame `k` has the spectrum `X_k` of the windowed signal in 16-bit units,
//! divided by the window's length `2 N`.
//!
//! ```text
//! loudness   l_k = sqrt(1 + 2 N sum_i w_i |X_k(i)|^2)       w: a curve that favours 3.8 kHz
//! speech     P_k from the a-priori signal-to-noise ratio in 24 bark bands, over a minimum-tracking noise estimate
//! average    A += 0.03 P_k^2 ((l_k / 1000)^5 - A), c += 0.03 P_k^2 (1 - c)     while P_k > 0.3
//! target     t_k = level / 1000 * (A / (1e-4 + c))^(-1/5)
//! gain       g_k -> t_k, slewed (+12 / -40 dB/s), at most 30x; upwards only while P_k > 0.5
//! ```
//!
//! A frame whose peak would exceed 28000 of 32768 is turned down as a whole. Frames overlap by half under a
//! power-complementary window, so the gain of a sample is `(1 - v) g_{k-1} + v g_k` with the squared window `v`.
//!
//! Source: Jean-Marc Valin, SpeexDSP 1.2, `speex_preprocess` (the algorithm; the code here is our own). Noise
//! tracking after Cohen and Berdugo 2001, speech presence after Ephraim and Malah 1984. With noise suppression the
//! gain is the same, as it is computed from the spectrum before suppression.
//!
//! # The inverse
//! `X_k` of the recording is `X_k` of the input times a gain that moves slowly within the window, and all that the law
//! hears goes through `|X_k|^2`: one prediction of `g_k` from its last move, corrected while it is off by more than
//! [`ACCEPTED_STEP`], undoes it. Frames at the 28000 ceiling are undone as if they had not been turned down.

mod frames;
mod speech;

use super::elementary::exp;
use super::{GainControl, Habit, Law, Listened, Parameter, Scale};
use frames::Recording;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use speech::{BANDS_LEN, Bands, Speech, dot};
use std::sync::Arc;

const LN_PER_DB: f32 = std::f32::consts::LN_10 / 20.0;

/// Samples are heard as 16-bit integers: full scale.
const FULL_SCALE: f32 = 32768.0;

/// Samples are clipped to this multiple of full scale (+40 dB) before they are heard, so that powers stay finite in
/// single precision whatever comes in.
const LOUDEST_SAMPLE: f32 = 100.0;

/// Peak of a windowed frame above which the whole frame is turned down, in 16-bit units.
const FRAME_CEILING: f32 = 28000.0;

/// Amplitudes are scaled by this before they are raised to [`LOUDNESS_EXPONENT`].
const AMPLITUDE_SCALE: f32 = 0.001;

/// Loud frames count by the fifth power of their loudness.
const LOUDNESS_EXPONENT: i32 = 5;

/// Frames before the gain may rise.
const WARM_UP_FRAMES: u32 = 20;

/// The inverse accepts a prediction of the gain that is off by no more than this factor (0.004 dB).
const ACCEPTED_STEP: f32 = 1.000_5;

/// Corrections of the predicted gain of a frame, at most.
const CORRECTIONS_LEN: usize = 6;

/// Largest fall of the gain within a frame that the inverse believes (-40 dB).
const LARGEST_JUMP: f32 = 0.01;

/// Halvings of the logarithmic interval in which the inverse looks for a gain.
const BISECTIONS_LEN: usize = 24;

/// Smallest gain: keeps `x = y / g` finite.
const SMALLEST_GAIN: f32 = 1e-4;

const PARAMETERS: [Parameter; 6] = [
    Parameter {
        name: "level_db",
        unit: "dB",
        low: -40.0,
        high: 0.0,
        default: -6.2,
        scale: Scale::Linear,
        meaning: "target loudness, dB of full scale: 16000 of 32768 is -6.2, the library's 8000 is -12.2",
    },
    Parameter {
        name: "max_gain_db",
        unit: "dB",
        low: 0.0,
        high: 45.0,
        default: 29.54,
        scale: Scale::Linear,
        meaning: "highest gain, 30-fold in the library; the gain starts at 0 dB and may not pass a limit that grows from there",
    },
    Parameter {
        name: "increase_db_per_s",
        unit: "dB/s",
        low: 2.0,
        high: 60.0,
        default: 12.0,
        scale: Scale::Log,
        meaning: "fastest rise of the gain",
    },
    Parameter {
        name: "decrease_db_per_s",
        unit: "dB/s",
        low: 5.0,
        high: 200.0,
        default: 40.0,
        scale: Scale::Log,
        meaning: "fastest fall of the gain, except when the loudness grows tenfold within a frame",
    },
    Parameter {
        name: "frame_ms",
        unit: "ms",
        low: 10.0,
        high: 30.0,
        default: 20.0,
        scale: Scale::Integer,
        meaning: "length of a frame; the documentation advises 20 ms",
    },
    Parameter {
        name: "device_rate_hz",
        unit: "Hz",
        low: 8_000.0,
        high: 48_000.0,
        default: 48_000.0,
        scale: Scale::Log,
        meaning: "rate at which the device ran: the nearest of 8, 16, 32 and 48 kHz counts, at most the recording's own",
    },
];

/// Rates that devices run at, in Hz.
const DEVICE_RATES_HZ: [f64; 4] = [8_000.0, 16_000.0, 32_000.0, 48_000.0];

/// Applications set round numbers of 16-bit units (the library has 8000), and leave the rest as the library has it.
const HABITS: [Habit; 6] = [
    Habit { usual: &LEVELS_DB, cost: 40.0, rare_cost: RARE_COST },
    Habit::any_of(&[29.54], 20.0),
    Habit::any_of(&[12.0], 40.0),
    Habit::any_of(&[40.0], 40.0),
    Habit { usual: &[20.0, 10.0], cost: 60.0, rare_cost: RARE_COST },
    Habit::any_of(&[48_000.0, 32_000.0, 16_000.0], 0.0),
];

/// What an application costs that changes the library's target or the frame of its manual, in points of misfit.
const RARE_COST: f64 = 30.0;

/// The library's 8 thousand of 32768, in dB, then 2, 4, 6, 10, 12, 16, 20, 24, 28, 30 and 32 thousand.
const LEVELS_DB: [f64; 12] =
    [-12.247, -24.288, -18.268, -14.746, -10.309, -8.725, -6.227, -4.288, -2.705, -1.366, -0.767, -0.206];

/// The gain control of the Speex preprocessor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Speex;

impl Law for Speex {
    fn name(&self) -> &'static str {
        "speex"
    }

    fn summary(&self) -> &'static str {
        "the Speex preprocessor's gain control: weighted loudness, slewed, gated by speech probability (SpeexDSP 1.2)"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn habits(&self) -> &[Habit] {
        &HABITS
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let rates = Rates::new(values, sample_rate_hz);
        let settings = Settings::new(values, rates.recording_len, sample_rate_hz);
        Box::new(Running::new(settings, rates))
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        Some(Arc::new(Recording::new(recorded, sample_rate_hz)))
    }
}

/// Indices of the frame's length and the device's rate among the parameters.
const FRAME_MS: usize = 4;
const DEVICE_RATE_HZ: usize = 5;

/// The rates of the device and of its recording, in Hz, and the samples that either takes in a frame.
#[derive(Debug, Clone, Copy)]
struct Rates {
    device_hz: f64,
    device_len: usize,
    recording_len: usize,
}

impl Rates {
    fn new(values: &[f64], sample_rate_hz: f64) -> Self {
        let frame_ms = value(values, FRAME_MS);
        let device_hz = DEVICE_RATES_HZ[device_rate_index(values)].min(sample_rate_hz);
        let recording_len = frame_len(frame_ms, sample_rate_hz);
        let device_len = (recording_len as f64 * device_hz / sample_rate_hz).round() as usize;
        Self { device_hz, device_len: device_len.clamp(BANDS_LEN, recording_len), recording_len }
    }
}

/// Index of the device's rate among [`DEVICE_RATES_HZ`].
fn device_rate_index(values: &[f64]) -> usize {
    let asked = f64::from(value(values, DEVICE_RATE_HZ));
    let distance = |hz: f64| (hz / asked).ln().abs();
    let nearest = (0..DEVICE_RATES_HZ.len())
        .min_by(|&a, &b| distance(DEVICE_RATES_HZ[a]).total_cmp(&distance(DEVICE_RATES_HZ[b])));
    nearest.unwrap_or(DEVICE_RATES_HZ.len() - 1)
}

/// The value of a parameter, clamped; the default where it is missing or not finite.
fn value(values: &[f64], i: usize) -> f32 {
    match values.get(i) {
        Some(v) if v.is_finite() => v.clamp(PARAMETERS[i].low, PARAMETERS[i].high) as f32,
        _ => PARAMETERS[i].default as f32,
    }
}

/// Samples of a frame.
fn frame_len(frame_ms: f32, sample_rate_hz: f64) -> usize {
    ((f64::from(frame_ms).round() * 1e-3 * sample_rate_hz).round() as usize).max(2 * BANDS_LEN)
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    /// Target in 16-bit units.
    level: f32,
    max_gain: f32,
    /// Largest factor on the gain from one frame to the next.
    largest_rise: f32,
    /// Smallest such factor.
    largest_fall: f32,
}

impl Settings {
    fn new(values: &[f64], frame_len: usize, sample_rate_hz: f64) -> Self {
        let value = |i| value(values, i);
        let frame_s = (frame_len as f64 / sample_rate_hz) as f32;
        Self {
            level: FULL_SCALE * exp(value(0) * LN_PER_DB),
            max_gain: exp(value(1) * LN_PER_DB),
            largest_rise: exp(value(2) * frame_s * LN_PER_DB),
            largest_fall: exp(-value(3) * frame_s * LN_PER_DB),
        }
    }

    /// A step of the gain from frame to frame, within the slew limits.
    fn slewed(self, step: f32) -> f32 {
        step.clamp(self.largest_fall, self.largest_rise)
    }

    /// The gain that the law gives to a frame whose recorded loudness is `recorded`, when the frame's own loudness is
    /// that over the gain. The law's gain over the assumed one falls with the assumed one, so bisection finds it. Where
    /// a sudden frame leaves it undetermined (the loudness is then all the law knows), the slowest fall is taken.
    fn consistent_gain(self, before: &Leveller, recorded: f32, speech: f32, warm: bool) -> f32 {
        let excess = |gain: f32| {
            let mut leveller = before.clone();
            leveller.hear(self, recorded / gain, speech, warm);
            leveller.gain / gain
        };
        let mut low = (before.gain * LARGEST_JUMP).max(SMALLEST_GAIN);
        let mut high = before.gain * self.largest_rise;
        if excess(low) < 1.0 {
            return before.gain * self.largest_fall;
        }
        for _ in 0..BISECTIONS_LEN {
            let middle = (low * high).sqrt();
            if excess(middle) > 1.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low * high).sqrt()
    }
}

/// The slewed gain and the loudness average behind it.
#[derive(Debug, Clone)]
struct Leveller {
    gain: f32,
    loudness: f32,
    weight: f32,
    previous_loudness: f32,
    start_limit: f32,
}

impl Leveller {
    fn new() -> Self {
        Self { gain: 1.0, loudness: 1e-15, weight: 0.0, previous_loudness: 1.0, start_limit: 1.0 }
    }

    fn hear(&mut self, settings: Settings, loudness: f32, speech: f32, warm: bool) {
        if speech > 0.3 {
            let rate = 0.03 * speech * speech;
            self.loudness += rate * ((AMPLITUDE_SCALE * loudness).powi(LOUDNESS_EXPONENT) - self.loudness);
            self.weight += rate * (1.0 - self.weight);
            if self.start_limit < settings.max_gain && warm {
                self.start_limit *= 1.0 + 0.1 * speech * speech;
            }
        }
        let average = self.loudness / (1e-4 + self.weight);
        let mut target =
            AMPLITUDE_SCALE * settings.level * f64::from(average).powf(-1.0 / f64::from(LOUDNESS_EXPONENT)) as f32;
        if (speech > 0.5 && warm) || target < self.gain {
            target = target.min(settings.largest_rise * self.gain);
            if loudness < 10.0 * self.previous_loudness {
                target = target.max(settings.largest_fall * self.gain);
            }
            self.gain = target.min(settings.max_gain).min(self.start_limit).max(SMALLEST_GAIN);
        }
        self.previous_loudness = loudness;
    }
}

/// Which two of the three frames at hand.
#[derive(Debug, Clone, Copy)]
enum Window {
    Last,
    Present,
}

/// What the leveller was told of the last frame, to be told again when its gains are known better.
#[derive(Debug, Clone)]
struct LastFrame {
    before: Leveller,
    probability: f32,
    warm: bool,
    /// Step of the gain that was assumed to follow it.
    step: f32,
}

fn within(ratio: f32) -> bool {
    (1.0 / ACCEPTED_STEP..ACCEPTED_STEP).contains(&ratio)
}

struct Running {
    settings: Settings,
    frame_len: usize,
    /// In doubles, so that what comes out does not hang on the instructions that a machine has.
    fft: Arc<dyn RealToComplex<f64>>,
    /// Analysis window over two frames; its square is power-complementary.
    window: Vec<f32>,
    /// Weight of each bin in the loudness, times the length of the window.
    loudness_weight: Vec<f32>,
    speech: Speech,
    leveller: Leveller,
    last: LastFrame,
    /// Three frames of what came in, 16-bit units; the third one is being filled.
    input: Vec<f32>,
    filled: usize,
    /// Gains that are known and not yet handed out.
    ready: Vec<f32>,
    handed_out: usize,
    /// Gain of the last frame as it was applied, and of the one before.
    applied: f32,
    applied_before: f32,
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    power: Vec<f32>,
}

impl Running {
    fn new(settings: Settings, rates: Rates) -> Self {
        let Rates { device_hz, device_len, recording_len: frame_len } = rates;
        let fft = RealFftPlanner::new().plan_fft_forward(2 * frame_len);
        let leveller = Leveller::new();
        // A slower device has the lower bins of the same spectrum.
        let loudness_weight = (0..device_len)
            .map(|i| {
                let hz = i as f64 * 0.5 * device_hz / device_len as f64;
                let weight = 0.35 - 0.35 * hz / 16_000.0 + 0.73 * (-0.5 * (hz - 3800.0).powi(2) / 9e5).exp();
                let used = if i < 2 { 0.0 } else { 2.0 * device_len as f64 };
                (used * weight.max(0.01).powi(2)) as f32
            })
            .collect();
        Self {
            settings,
            frame_len,
            window: window(2 * frame_len),
            loudness_weight,
            speech: Speech::new(device_len, Bands::new(device_len, device_hz)),
            last: LastFrame { before: leveller.clone(), probability: 0.0, warm: false, step: 1.0 },
            leveller,
            input: vec![0.0; 3 * frame_len],
            filled: 0,
            ready: vec![1.0; frame_len],
            handed_out: 0,
            applied: 1.0,
            applied_before: 1.0,
            windowed: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; device_len],
            fft,
        }
    }

    /// Fills `power` from the two frames of input and returns their windowed peak.
    fn analyse(&mut self) -> f32 {
        let mut peak = 0f32;
        for ((out, x), w) in self.windowed.iter_mut().zip(&self.input[self.frame_len..]).zip(&self.window) {
            let x = x * w;
            *out = f64::from(x);
            peak = peak.max(x.abs());
        }
        self.transform();
        peak
    }

    /// Power spectrum of the windowed frames, in the library's scale.
    fn transform(&mut self) {
        // The lengths are those the plan made, the only thing that can go wrong.
        if self.fft.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch).is_err() {
            self.spectrum.fill(Complex::default());
        }
        let scale = 1.0 / (4.0 * (self.frame_len * self.frame_len) as f32);
        for (p, x) in self.power.iter_mut().zip(&self.spectrum) {
            *p = x.norm_sqr() as f32 * scale;
        }
    }

    fn loudness(&self) -> f32 {
        (1.0 + dot(&self.power, &self.loudness_weight)).sqrt()
    }

    fn frame_forward(&mut self) {
        let peak = self.analyse();
        let probability = self.speech.hear(&self.power);
        let loudness = self.loudness();
        self.leveller.hear(self.settings, loudness, probability, self.speech.frames_len > WARM_UP_FRAMES);
        let gain = self.leveller.gain;
        self.apply(if gain * peak > FRAME_CEILING { FRAME_CEILING / peak } else { gain });
    }

    fn frame_inverse(&mut self) {
        let warm = self.speech.frames_len + 1 > WARM_UP_FRAMES;
        let mut guess = self.applied * self.settings.slewed(self.applied / self.applied_before);
        self.demodulate(Window::Present, guess);
        let probability = self.speech.hear(&self.power);
        let mut before = self.leveller.clone();
        let mut loudness = self.loudness();
        for correction in 0..=CORRECTIONS_LEN {
            self.leveller = before.clone();
            self.leveller.hear(self.settings, loudness, probability, warm);
            if correction == CORRECTIONS_LEN || within(self.leveller.gain / guess) {
                break;
            }
            guess = self.settings.consistent_gain(&before, loudness * guess, probability, warm);
            self.demodulate(Window::Present, guess);
            loudness = self.loudness();
        }
        // The last frame was heard while the gain of its newer half was only guessed; now it is known.
        if !within(self.settings.slewed(guess / self.applied) / self.last.step) {
            self.demodulate(Window::Last, guess);
            let last_loudness = self.loudness();
            let last = &self.last;
            before = last.before.clone();
            before.hear(self.settings, last_loudness, last.probability, last.warm);
            before.gain = self.applied;
            self.leveller = before.clone();
            self.leveller.hear(self.settings, loudness, probability, warm);
        }
        let gain = self.leveller.gain;
        self.last = LastFrame { before, probability, warm, step: self.settings.slewed(guess / self.applied) };
        self.apply(gain);
    }

    /// Fills `power` from two recorded frames with the gain taken off. In the present window the gain fades from that of
    /// the last frame to `gain`, and on by the same step, within the slew limits; in the last window it fades from the
    /// gain before to the last one and on to `gain`.
    fn demodulate(&mut self, which: Window, gain: f32) {
        let (start, gains) = match which {
            Window::Present => (self.frame_len, [self.applied, gain, gain * self.settings.slewed(gain / self.applied)]),
            Window::Last => (0, [self.applied_before, self.applied, gain]),
        };
        let frames = &self.input[start..start + 2 * self.frame_len];
        let rising = &self.window[..self.frame_len];
        let halves = frames.chunks_exact(self.frame_len).zip(self.window.chunks_exact(self.frame_len));
        for (((ys, ws), out), g) in halves.zip(self.windowed.chunks_exact_mut(self.frame_len)).zip(gains.windows(2)) {
            for (((out, y), w), v) in out.iter_mut().zip(ys).zip(ws).zip(rising) {
                *out = f64::from(y * w / (g[0] + (g[1] - g[0]) * v * v));
            }
        }
        self.transform();
    }

    /// Crossfades to the gain of a new frame over the older half of its window.
    fn apply(&mut self, gain: f32) {
        self.ready.drain(..self.handed_out);
        self.handed_out = 0;
        let fade = self.window[..self.frame_len].iter().map(|w| self.applied + (gain - self.applied) * w * w);
        self.ready.extend(fade);
        self.applied_before = self.applied;
        self.applied = gain;
        self.input.copy_within(self.frame_len.., 0);
        self.filled = 0;
    }

    fn run(&mut self, samples: &[f32], gain: &mut [f32], frame: fn(&mut Self)) {
        let mut at = 0;
        while at < samples.len() {
            let take = (samples.len() - at).min(self.frame_len - self.filled);
            let start = 2 * self.frame_len + self.filled;
            for (to, x) in self.input[start..start + take].iter_mut().zip(&samples[at..at + take]) {
                *to = FULL_SCALE * x.clamp(-LOUDEST_SAMPLE, LOUDEST_SAMPLE);
            }
            gain[at..at + take].copy_from_slice(&self.ready[self.handed_out..self.handed_out + take]);
            self.handed_out += take;
            self.filled += take;
            at += take;
            if self.filled == self.frame_len {
                frame(self);
            }
        }
    }
}

impl GainControl for Running {
    fn latency_samples(&self) -> usize {
        2 * self.frame_len
    }

    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        self.run(drive, gain, Self::frame_forward);
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.run(recorded, gain, Self::frame_inverse);
    }
}

/// The preprocessor's window: rises smoothly over its first half; squares of its halves add up to 1.
fn window(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| {
            let x = 4.0 * i as f64 / len as f64;
            let (x, complement) = match x {
                x if x < 1.0 => (x, false),
                x if x < 2.0 => (2.0 - x, true),
                x if x < 3.0 => (x - 2.0, true),
                x => (4.0 - x, false),
            };
            let half = 0.5 - 0.5 * (std::f64::consts::FRAC_PI_2 * 1.271_903 * x).cos();
            (if complement { 1.0 - half * half } else { half * half }).sqrt() as f32
        })
        .collect()
}
