//! What Speex hears of a recording, boiled down to a few numbers for each frame, and its inverse on those.

use super::speech::{BANDS_LEN, Bands, FewBins, Speech, dot};
use super::{
    CORRECTIONS_LEN, DEVICE_RATES_HZ, FRAME_MS, FULL_SCALE, LOUDEST_SAMPLE, LastFrame, Leveller, PARAMETERS, Rates,
    Running, Settings, WARM_UP_FRAMES, device_rate_index, value, within,
};
use crate::law::Listened;
use crate::law::band_edge::MeanSpectrum;
use crate::law::block_means::BlockMeans;
use std::sync::OnceLock;

/// Straight pieces that stand for a fade from gain to gain.
const FADE_PIECES: usize = 8;

/// What the law hears of a recording, for each length of frame and rate of the device once they are asked for.
#[derive(Debug)]
pub(super) struct Recording {
    recorded: Vec<f32>,
    sample_rate_hz: f64,
    /// Which of the device's rates the recording allows.
    is_possible: [bool; DEVICE_RATES_HZ.len()],
    /// From the shortest frame to the longest, in steps of 1 ms; within, the device's rates.
    by_frame_ms: Vec<[OnceLock<Frames>; DEVICE_RATES_HZ.len()]>,
}

impl Recording {
    pub(super) fn new(recorded: &[f32], sample_rate_hz: f64) -> Self {
        let lengths = (PARAMETERS[FRAME_MS].high - PARAMETERS[FRAME_MS].low) as usize + 1;
        let spectrum = MeanSpectrum::new(recorded, sample_rate_hz);
        Self {
            recorded: recorded.to_vec(),
            sample_rate_hz,
            // A codec may end a recording at any frequency; a device that is slower than the recording must.
            is_possible: DEVICE_RATES_HZ
                .map(|rate| rate == DEVICE_RATES_HZ[DEVICE_RATES_HZ.len() - 1] || spectrum.ends_at(0.5 * rate)),
            by_frame_ms: std::iter::repeat_with(Default::default).take(lengths).collect(),
        }
    }
}

impl Listened for Recording {
    fn is_possible(&self, values: &[f64]) -> bool {
        self.is_possible[device_rate_index(values)]
    }

    fn inverse_blocks(&self, values: &[f64], hop_samples: usize) -> Vec<f32> {
        let frame_ms = value(values, FRAME_MS).round();
        let rates = Rates::new(values, self.sample_rate_hz);
        let frame_len = rates.recording_len;
        let frames = self.by_frame_ms[frame_ms as usize - PARAMETERS[FRAME_MS].low as usize][device_rate_index(values)]
            .get_or_init(|| Frames::listen(&self.recorded, rates, self.sample_rate_hz));
        let mut coarse = Coarse::new(Settings::new(values, frame_len, self.sample_rate_hz), frames);
        let piece_samples = frame_len as f64 / FADE_PIECES as f64;
        let mut means = BlockMeans::new(piece_samples, hop_samples, self.recorded.len());
        for index in 0..frames.heard.len() {
            coarse.frame_inverse(index);
            // The fade that the first frame ends lies before the recording.
            if index > 0 {
                let (from, step) = (coarse.applied_before, coarse.applied - coarse.applied_before);
                for marks in frames.fade.windows(2) {
                    means.push(f64::from(from + step * marks[0]), f64::from(from + step * marks[1]));
                }
            }
        }
        means.finish()
    }
}

/// One frame of the recording.
#[derive(Debug, Clone)]
struct HeardFrame {
    /// Weighted sum of the spectrum's powers, see [`Running::loudness`].
    loudness_power: f32,
    band_power: [f32; BANDS_LEN],
    /// Share of the windowed energy that lies in the older half.
    older_share: f32,
}

/// The upper half of a power's bits, rounded: exact to 0.2 %, or 0.01 dB, of a bin among two hundred. Frames of every length are
/// kept, and memory is what they cost.
fn short(power: f32) -> u16 {
    (power.to_bits().saturating_add(0x8000) >> 16) as u16
}

/// The power that [`short`] has kept.
fn long(short: u16) -> f32 {
    f32::from_bits(u32::from(short) << 16)
}

/// The frames of a recording at one length.
#[derive(Debug)]
struct Frames {
    heard: Vec<HeardFrame>,
    /// Powers of the few bins, then the same smoothed over neighbours, frame after frame; see [`short`].
    few_power: Vec<u16>,
    few: FewBins,
    /// The squared window's rise at the ends of [`FADE_PIECES`] equal pieces.
    fade: [f32; FADE_PIECES + 1],
    /// The squared window's rise in the middle of them.
    fade_middles: [f32; FADE_PIECES],
}

impl Frames {
    fn listen(recorded: &[f32], rates: Rates, sample_rate_hz: f64) -> Self {
        let frame_len = rates.recording_len;
        let settings = Settings::new(&[], frame_len, sample_rate_hz);
        let mut running = Running::new(settings, rates);
        let few = FewBins::new(&running.speech.bands);
        let frames_len = recorded.len().div_ceil(frame_len) + 1;
        let mut heard = Vec::with_capacity(frames_len);
        let mut few_power = Vec::with_capacity(2 * frames_len * few.bins.len());
        for index in 0..frames_len {
            let start = (index * frame_len).min(recorded.len());
            let frame = &recorded[start..(start + frame_len).min(recorded.len())];
            running.input.copy_within(frame_len.., 0);
            let newest = &mut running.input[2 * frame_len..];
            newest.fill(0.0);
            for (to, x) in newest.iter_mut().zip(frame) {
                *to = FULL_SCALE * x.clamp(-LOUDEST_SAMPLE, LOUDEST_SAMPLE);
            }
            let energy = |half: usize| {
                let range = half * frame_len..(half + 1) * frame_len;
                let windowed = running.input[frame_len..][range.clone()].iter().zip(&running.window[range]);
                windowed.map(|(x, w)| (x * w) * (x * w)).sum::<f32>()
            };
            let (older, newer) = (energy(0), energy(1));
            running.analyse();
            let power = &running.power;
            heard.push(HeardFrame {
                loudness_power: dot(power, &running.loudness_weight),
                band_power: running.speech.bands.sums(power),
                older_share: if older + newer > 0.0 { older / (older + newer) } else { 0.5 },
            });
            few_power.extend(few.bins.iter().map(|&bin| short(power[bin])));
            few_power.extend(few.bins.iter().map(|&bin| match power.get(bin.wrapping_sub(1)..bin + 2) {
                Some(three) => short(0.25 * three[0] + 0.5 * three[1] + 0.25 * three[2]),
                None => short(power[bin]),
            }));
        }
        let rise = |u: f64| {
            let at = (u * frame_len as f64) as usize;
            running.window[at.min(frame_len)].powi(2)
        };
        let fade = std::array::from_fn(|k| rise(k as f64 / FADE_PIECES as f64));
        let fade_middles = std::array::from_fn(|k| rise((k as f64 + 0.5) / FADE_PIECES as f64));
        Self { heard, few_power, few, fade, fade_middles }
    }

    /// The mean of `1 / g^2` in the window of a frame over which the gain fades through three gains.
    fn power_factor(&self, index: usize, gains: [f32; 3]) -> f32 {
        let (mut older, mut newer, mut weight) = (0f32, 0f32, 0f32);
        for v in self.fade_middles {
            let (g, h) = (gains[0] + (gains[1] - gains[0]) * v, gains[1] + (gains[2] - gains[1]) * v);
            older += v / (g * g);
            newer += (1.0 - v) / (h * h);
            weight += v;
        }
        let share = self.heard[index].older_share;
        share * older / weight + (1.0 - share) * newer / (FADE_PIECES as f32 - weight)
    }

    fn loudness(&self, index: usize, power_factor: f32) -> f32 {
        (1.0 + power_factor * self.heard[index].loudness_power).sqrt()
    }
}

/// The inverse on frames that were heard before; steps as in [`Running::frame_inverse`].
struct Coarse<'a> {
    settings: Settings,
    frames: &'a Frames,
    speech: Speech,
    leveller: Leveller,
    last: LastFrame,
    applied: f32,
    applied_before: f32,
    few_power: Vec<f32>,
}

impl<'a> Coarse<'a> {
    fn new(settings: Settings, frames: &'a Frames) -> Self {
        let few_len = frames.few.bins.len();
        let no_bands = Bands { edges: [0; BANDS_LEN], upper_share: Vec::new() };
        let leveller = Leveller::new();
        Self {
            settings,
            frames,
            speech: Speech::new(few_len, no_bands),
            last: LastFrame { before: leveller.clone(), probability: 0.0, warm: false, step: 1.0 },
            leveller,
            applied: 1.0,
            applied_before: 1.0,
            few_power: vec![0.0; 2 * few_len],
        }
    }

    /// The present frame's power factor if its gain is `gain`.
    fn present(&self, index: usize, gain: f32) -> f32 {
        let next = gain * self.settings.slewed(gain / self.applied);
        self.frames.power_factor(index, [self.applied, gain, next])
    }

    fn frame_inverse(&mut self, index: usize) {
        let (settings, frames) = (self.settings, self.frames);
        let warm = self.speech.frames_len + 1 > WARM_UP_FRAMES;
        let mut guess = self.applied * settings.slewed(self.applied / self.applied_before);
        let factor = self.present(index, guess);
        let recorded = &frames.few_power[index * self.few_power.len()..];
        self.few_power.iter_mut().zip(recorded).for_each(|(p, y)| *p = factor * long(*y));
        let (power, across) = self.few_power.split_at(frames.few.bins.len());
        let band_power = frames.heard[index].band_power.map(|p| factor * p);
        let probability = self.speech.hear_few(power, across, band_power, &frames.few);
        let mut before = self.leveller.clone();
        let mut loudness = frames.loudness(index, factor);
        for correction in 0..=CORRECTIONS_LEN {
            self.leveller = before.clone();
            self.leveller.hear(settings, loudness, probability, warm);
            if correction == CORRECTIONS_LEN || within(self.leveller.gain / guess) {
                break;
            }
            guess = settings.consistent_gain(&before, loudness * guess, probability, warm);
            loudness = frames.loudness(index, self.present(index, guess));
        }
        if index > 0 && !within(settings.slewed(guess / self.applied) / self.last.step) {
            let factor = frames.power_factor(index - 1, [self.applied_before, self.applied, guess]);
            before = self.last.before.clone();
            before.hear(settings, frames.loudness(index - 1, factor), self.last.probability, self.last.warm);
            before.gain = self.applied;
            self.leveller = before.clone();
            self.leveller.hear(settings, loudness, probability, warm);
        }
        let step = settings.slewed(guess / self.applied);
        self.last = LastFrame { before, probability, warm, step };
        self.applied_before = self.applied;
        self.applied = self.leveller.gain;
    }
}
