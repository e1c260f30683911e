//! Noise suppression as phones do it: a gain per frequency and frame, low where the sound is no louder than the noise.
//!
//! ```text
//! noise       λ[k]: the minimum over the last 1.5 s of the smoothed power, times a bias
//! posterior   γ = |X|² / λ
//! prior       ξ = 0.98 |Y_before|² / λ + 0.02 max(γ - 1, 0)
//! gain        ξ / (1 + ξ), but not below the floor
//! ```
//!
//! Frames of 20 ms, half overlapping, with a square-root Hann window on both sides: without suppression the sound comes
//! back as it was, without delay. All channels share one gain. A note that is held for longer than the minimum's memory
//! is slowly taken for noise: phones do that too.
//!
//! **Source.** Y. Ephraim, D. Malah 1984 (decision-directed prior); R. Martin 2001 (minimum statistics), both in IEEE
//! transactions; floor and memory as commonly shipped.

use super::{Sound, Told, rms_dbfs, within};
use crate::error::Error;
use crate::units::amplitude_from_db;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Length of a frame in seconds.
const FRAME_S: f64 = 0.02;
/// Weight of the frame before in the prior (Ephraim and Malah).
const PRIOR_MEMORY: f32 = 0.98;
/// Weight of the frame before in the smoothed power: a time constant of 60 ms.
const POWER_MEMORY: f32 = 0.85;
/// Half of the minimum's memory, in seconds: two stretches take turns.
const STRETCH_S: f64 = 0.75;
/// Mean over minimum of power smoothed like this, over such a memory, for noise.
const BIAS: f32 = 2.0;
/// Frames after which the smoothed power is worth a minimum; until then all is taken for noise, as devices do.
const SETTLING_FRAMES: usize = 12;
/// Powers below this are silence.
const SILENCE: f32 = 1e-20;

/// A spectral-gain noise suppressor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppressor {
    /// Lowest gain in dB, -60 to 0. Calls -12 to -20, recorders less.
    pub floor_db: f64,
    /// Noise is taken for this much louder than it is, in dB, -10 to 20.
    pub over_subtraction_db: f64,
}

impl Default for Suppressor {
    fn default() -> Self {
        Self { floor_db: -12.0, over_subtraction_db: 0.0 }
    }
}

/// What is known of the noise in one bin.
#[derive(Debug, Clone, Copy)]
struct Bin {
    smoothed: f32,
    /// Minimum of this stretch and of the one before.
    lowest: f32,
    lowest_before: f32,
    /// Power that was let through in the frame before.
    passed: f32,
}

impl Suppressor {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("suppressor.floor_db", self.floor_db, (-60.0, 0.0), "dB")?;
        within("suppressor.over_subtraction_db", self.over_subtraction_db, (-10.0, 20.0), "dB")
    }

    pub(crate) fn apply(&self, sound: &mut Sound) -> Told {
        let before_db = rms_dbfs(&sound.channels);
        let hop = ((0.5 * FRAME_S * f64::from(sound.rate_hz)).round() as usize).max(8);
        let stretch_frames = (STRETCH_S / (0.5 * FRAME_S)).round() as usize;
        let mut frames = Frames::new(hop, sound.channels.len());
        let mut bins: Vec<Bin> = Vec::new();
        let mut gains = vec![1f32; hop + 1];
        let floor = amplitude_from_db(self.floor_db) as f32;
        let bias = BIAS * amplitude_from_db(2.0 * self.over_subtraction_db) as f32;
        // The first frame begins half a frame before the sound, so that every sample lies in two.
        for frame in 0..=sound.sample_len().div_ceil(hop) {
            frames.transform(&sound.channels, frame);
            let power = |k: usize| frames.spectra.iter().map(|s| s[k].norm_sqr()).sum::<f32>().max(SILENCE);
            if bins.is_empty() {
                let bin = |k| Bin { smoothed: power(k), lowest: f32::MAX, lowest_before: f32::MAX, passed: 0.0 };
                bins = (0..=hop).map(bin).collect();
            }
            let is_settled = frame >= SETTLING_FRAMES;
            let is_turn = frame.is_multiple_of(stretch_frames);
            for (k, (bin, gain)) in bins.iter_mut().zip(&mut gains).enumerate() {
                let p = power(k);
                bin.smoothed = POWER_MEMORY * bin.smoothed + (1.0 - POWER_MEMORY) * p;
                if is_settled {
                    bin.lowest = bin.lowest.min(bin.smoothed);
                }
                let lowest = bin.lowest.min(bin.lowest_before);
                let noise = bias * if is_settled { lowest } else { bin.smoothed };
                if is_turn && is_settled {
                    (bin.lowest_before, bin.lowest) = (bin.lowest, bin.smoothed);
                }
                let posterior = p / noise;
                let prior = PRIOR_MEMORY * bin.passed / noise + (1.0 - PRIOR_MEMORY) * (posterior - 1.0).max(0.0);
                *gain = (prior / (1.0 + prior)).max(floor);
                bin.passed = *gain * *gain * p;
            }
            frames.put_back(&mut sound.channels, frame, &gains);
        }
        let change_db = rms_dbfs(&sound.channels).zip(before_db).map(|(after, before)| after - before);
        Told::default().with("level_change_db", change_db)
    }
}

/// Overlapping frames of all channels, there and back.
struct Frames {
    hop: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    buffer: Vec<f32>,
    spectra: Vec<Vec<Complex<f32>>>,
    scratch: Vec<Complex<f32>>,
    scratch_back: Vec<Complex<f32>>,
    /// Second half of each channel's last frame, which the next one completes.
    tails: Vec<Vec<f32>>,
    /// Input that the next frame needs and the output has overwritten.
    saved: Vec<Vec<f32>>,
}

impl Frames {
    fn new(hop: usize, channel_len: usize) -> Self {
        let len = 2 * hop;
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, backward) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
        let window = (0..len).map(|n| (std::f64::consts::PI * (n as f64 + 0.5) / len as f64).sin() as f32).collect();
        Self {
            hop,
            window,
            buffer: forward.make_input_vec(),
            spectra: vec![forward.make_output_vec(); channel_len],
            scratch: forward.make_scratch_vec(),
            scratch_back: backward.make_scratch_vec(),
            forward,
            backward,
            tails: vec![vec![0.0; hop]; channel_len],
            saved: vec![vec![0.0; hop]; channel_len],
        }
    }

    /// Spectra of the frame that ends with the hop `frame`.
    fn transform(&mut self, channels: &[Vec<f32>], frame: usize) {
        let start = frame * self.hop;
        for ((channel, spectrum), saved) in channels.iter().zip(&mut self.spectra).zip(&mut self.saved) {
            let (first, second) = self.buffer.split_at_mut(self.hop);
            first.copy_from_slice(saved);
            let there = &channel[start.min(channel.len())..(start + self.hop).min(channel.len())];
            second[..there.len()].copy_from_slice(there);
            second[there.len()..].fill(0.0);
            saved.copy_from_slice(second);
            self.buffer.iter_mut().zip(&self.window).for_each(|(x, w)| *x *= w);
            // The lengths agree by construction.
            let _ = self.forward.process_with_scratch(&mut self.buffer, spectrum, &mut self.scratch);
        }
    }

    /// Adds the frame's first half to the hop before `frame`, times the gains.
    fn put_back(&mut self, channels: &mut [Vec<f32>], frame: usize, gains: &[f32]) {
        let scale = 1.0 / (2 * self.hop) as f32;
        let start = frame * self.hop;
        for ((channel, spectrum), tail) in channels.iter_mut().zip(&mut self.spectra).zip(&mut self.tails) {
            spectrum.iter_mut().zip(gains).for_each(|(bin, gain)| *bin *= *gain);
            // Both are real by definition; a transform refuses anything else.
            spectrum[0].im = 0.0;
            spectrum[self.hop].im = 0.0;
            let _ = self.backward.process_with_scratch(spectrum, &mut self.buffer, &mut self.scratch_back);
            self.buffer.iter_mut().zip(&self.window).for_each(|(x, w)| *x *= scale * w);
            let (first, second) = self.buffer.split_at(self.hop);
            if let Some(before) = start.checked_sub(self.hop) {
                let end = (before + self.hop).min(channel.len());
                for ((x, tail), y) in channel[before..end].iter_mut().zip(&*tail).zip(first) {
                    *x = tail + y;
                }
            }
            tail.copy_from_slice(second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::noise::near_gaussian;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn hiss(len: usize, amplitude: f32) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        (0..len).map(|_| amplitude * near_gaussian(&mut random)).collect()
    }

    #[test]
    fn without_suppression_the_sound_comes_back_in_place() {
        for len in [1, 500, 20_011] {
            let x = hiss(len, 0.1);
            let mut sound = Sound { rate_hz: 44_100, channels: vec![x.clone()] };
            Suppressor { floor_db: 0.0, ..Suppressor::default() }.apply(&mut sound);
            let worst = sound.channels[0].iter().zip(&x).map(|(y, x)| (y - x).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{worst}");
        }
    }

    #[test]
    fn the_minimum_of_white_noise_is_its_mean_over_the_bias() {
        let x = hiss(20 * 48_000, 1.0);
        let mut frames = Frames::new(480, 1);
        // Power of a bin of white noise: the sum of the squared window, which is half of its length.
        let mean = 480.0;
        let (mut smoothed, mut lowest, mut before) = ([480f32; 481], [f32::MAX; 481], [f32::MAX; 481]);
        let (mut sum, mut count) = (0.0, 0.0);
        for frame in 1..2000 {
            frames.transform(std::slice::from_ref(&x), frame);
            for k in 10..470 {
                smoothed[k] = POWER_MEMORY * smoothed[k] + (1.0 - POWER_MEMORY) * frames.spectra[0][k].norm_sqr();
                lowest[k] = lowest[k].min(smoothed[k]);
                if frame > 200 {
                    sum += f64::from(lowest[k].min(before[k]));
                    count += 1.0;
                }
                if frame % 75 == 0 {
                    (before[k], lowest[k]) = (lowest[k], smoothed[k]);
                }
            }
        }
        let bias = mean / (sum / count);
        assert!((bias / f64::from(BIAS) - 1.0).abs() < 0.03, "{bias}");
    }

    #[test]
    fn noise_falls_to_the_floor_and_a_tone_above_it_stays() {
        let rate_hz = 48_000;
        let noise = hiss(6 * rate_hz, 0.003);
        let tone = |n: usize| {
            let t = n as f64 / rate_hz as f64;
            // Half a second of sound every second: the minimum sees the noise between.
            if t > 2.0 && t.fract() < 0.5 { 0.2 * (std::f64::consts::TAU * 1000.0 * t).sin() } else { 0.0 }
        };
        let x: Vec<f32> = noise.iter().enumerate().map(|(n, v)| v + tone(n) as f32).collect();
        let mut sound = Sound { rate_hz: rate_hz as u32, channels: vec![x.clone()] };
        Suppressor { floor_db: -18.0, over_subtraction_db: 3.0 }.apply(&mut sound);
        let change_db = |from_s: f64, to_s: f64| {
            let range = (from_s * rate_hz as f64) as usize..(to_s * rate_hz as f64) as usize;
            let level = |x: &[f32]| rms_dbfs(&[x[range.clone()].to_vec()]).unwrap_or(f64::NAN);
            level(&sound.channels[0]) - level(&x)
        };
        let (noise_db, tone_db) = (change_db(0.5, 2.0), change_db(3.1, 3.45));
        assert!((-18.5..-14.0).contains(&noise_db), "{noise_db} dB");
        assert!(tone_db.abs() < 0.3, "{tone_db} dB");
    }
}
