//! Short-time Fourier transform: power spectra of overlapping windows, one frame at a time.
//!
//! Window: periodic Hann of about 85 ms (4096 samples at 48 kHz). Shorter windows do not separate the partials of a
//! chord, longer ones smear the gain's movement; of 2048, 4096 and 8192 the middle one sees true gains best.
//!
//! In double precision: the transform's own noise then lies far below what a peak's level is rounded to, so that levels do not
//! hang on the instructions that a machine has.

use crate::error::Error;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::f64::consts::PI;
use std::sync::Arc;

/// Length of the window and distance between frames.
#[derive(Debug, Clone, PartialEq)]
pub struct StftConfig {
    /// Length of the Hann window in seconds; 4096 samples at 48 kHz. Range 0.02 to 0.5.
    pub window_s: f64,
    /// Time between frames in seconds; ten milliseconds is the update interval of common gain controls. Range 0.002
    /// to 0.05.
    pub hop_s: f64,
}

impl Default for StftConfig {
    fn default() -> Self {
        Self { window_s: 4096.0 / 48_000.0, hop_s: 0.010 }
    }
}

/// A planned transform for one sample rate.
///
/// Frame `n` covers samples `n * hop_samples .. n * hop_samples + window_samples`; its time is the window's centre.
#[derive(Clone)]
pub struct Stft {
    sample_rate_hz: f64,
    hop_samples: usize,
    window: Vec<f64>,
    plan: Arc<dyn RealToComplex<f64>>,
}

impl std::fmt::Debug for Stft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stft")
            .field("sample_rate_hz", &self.sample_rate_hz)
            .field("hop_samples", &self.hop_samples)
            .field("window_samples", &self.window.len())
            .finish_non_exhaustive()
    }
}

/// Buffers that one thread reuses from frame to frame.
#[derive(Debug)]
pub struct Scratch {
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    fft: Vec<Complex<f64>>,
}

impl Stft {
    /// Plans the transform.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a length is outside its range.
    pub fn new(config: &StftConfig, sample_rate_hz: f64) -> Result<Self, Error> {
        let check = |what: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::Invalid {
                what: what.to_owned(),
                cause: format!("{value} s"),
                remedy: format!("use {low} to {high} s"),
            })
        };
        check("window", config.window_s, 0.02, 0.5)?;
        check("hop", config.hop_s, 0.002, 0.05)?;
        let window_samples = smooth_even_length(config.window_s * sample_rate_hz);
        let hop_samples = (config.hop_s * sample_rate_hz).round() as usize;
        let unnormalised = |n: usize| 0.5 - 0.5 * (2.0 * PI * n as f64 / window_samples as f64).cos();
        // A sine of amplitude 1 shows as power 1 in its peak's bin.
        let scale = 2.0 / (0..window_samples).map(unnormalised).sum::<f64>();
        let window = (0..window_samples).map(|n| unnormalised(n) * scale).collect();
        let plan = RealFftPlanner::new().plan_fft_forward(window_samples);
        Ok(Self { sample_rate_hz, hop_samples, window, plan })
    }

    /// Frames in a recording of that many samples: whole windows only.
    #[must_use]
    pub fn frame_len(&self, sample_len: usize) -> usize {
        if sample_len < self.window.len() { 0 } else { 1 + (sample_len - self.window.len()) / self.hop_samples }
    }

    /// Bins in a frame: `window_samples / 2 + 1`.
    #[must_use]
    pub fn bin_len(&self) -> usize {
        self.window.len() / 2 + 1
    }

    /// Width of a bin in Hz.
    #[must_use]
    pub fn bin_hz(&self) -> f64 {
        self.sample_rate_hz / self.window.len() as f64
    }

    /// Samples under the window.
    #[must_use]
    pub fn window_samples(&self) -> usize {
        self.window.len()
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// Samples between frames.
    #[must_use]
    pub fn hop_samples(&self) -> usize {
        self.hop_samples
    }

    /// Seconds between frames.
    #[must_use]
    pub fn hop_s(&self) -> f64 {
        self.hop_samples as f64 / self.sample_rate_hz
    }

    /// Time of a frame: its window's centre, in seconds.
    #[must_use]
    pub fn frame_time_s(&self, frame_index: usize) -> f64 {
        (frame_index * self.hop_samples) as f64 / self.sample_rate_hz
            + 0.5 * self.window.len() as f64 / self.sample_rate_hz
    }

    /// Buffers for [`Stft::power`].
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        Scratch {
            windowed: self.plan.make_input_vec(),
            spectrum: self.plan.make_output_vec(),
            fft: self.plan.make_scratch_vec(),
        }
    }

    /// Power spectrum of one frame, averaged over channels; a sine of full scale shows as 1 at its peak.
    ///
    /// **Shape.** `power` has [`Stft::bin_len`] entries; channels shorter than the frame count as silent there.
    pub fn power(&self, channels: &[Vec<f32>], frame_index: usize, scratch: &mut Scratch, power: &mut [f32]) {
        power.fill(0.0);
        let start = frame_index * self.hop_samples;
        for channel in channels {
            let Some(samples) = channel.get(start..start + self.window.len()) else { continue };
            for ((w, x), out) in self.window.iter().zip(samples).zip(&mut scratch.windowed) {
                *out = w * f64::from(*x);
            }
            // The lengths are the plan's own, so it cannot refuse; were it to, the frame stays silent.
            if self.plan.process_with_scratch(&mut scratch.windowed, &mut scratch.spectrum, &mut scratch.fft).is_err() {
                continue;
            }
            for (p, z) in power.iter_mut().zip(&scratch.spectrum) {
                *p += z.norm_sqr() as f32;
            }
        }
        let mean = 1.0 / channels.len() as f32;
        power.iter_mut().for_each(|p| *p *= mean);
    }

    /// Share of the window that lies in each hop-long block after a frame's start: how much of each block's mean gain
    /// the frame sees. Sums to 1.
    #[must_use]
    pub fn block_weights(&self) -> Vec<f64> {
        let total: f64 = self.window.iter().sum();
        self.window.chunks(self.hop_samples).map(|b| b.iter().sum::<f64>() / total).collect()
    }
}

/// The even length nearest to `samples` without prime factors above 7: there the transform is fast.
fn smooth_even_length(samples: f64) -> usize {
    let is_smooth = |mut n: usize| {
        for p in [2, 3, 5, 7] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    let centre = (samples / 2.0).round() as usize;
    (0..centre).flat_map(|d| [centre - d, centre + d]).find(|&n| is_smooth(n)).unwrap_or(centre) * 2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_sine_of_full_scale_on_a_bin_has_power_one() {
        let stft = Stft::new(&StftConfig::default(), 48_000.0).unwrap();
        assert_eq!(stft.window_samples(), 4096);
        let frequency_hz = 100.0 * stft.bin_hz();
        let x = (0..8192).map(|n| (2.0 * PI * frequency_hz * f64::from(n) / 48_000.0).sin() as f32).collect::<Vec<_>>();
        let mut power = vec![0.0; stft.bin_len()];
        stft.power(&[x.clone(), x], 3, &mut stft.scratch(), &mut power);
        assert!((power[100] - 1.0).abs() < 1e-4, "{}", power[100]);
    }

    #[test]
    fn it_agrees_with_the_plain_sum() {
        let stft = Stft::new(&StftConfig { window_s: 0.02, hop_s: 0.005 }, 8_000.0).unwrap();
        let x = (0..400).map(|n| ((n * n) as f32 * 0.37).sin()).collect::<Vec<_>>();
        let mut power = vec![0.0; stft.bin_len()];
        stft.power(std::slice::from_ref(&x), 2, &mut stft.scratch(), &mut power);
        let len = stft.window_samples();
        for (k, p) in power.iter().enumerate() {
            let (mut re, mut im) = (0.0f64, 0.0f64);
            for n in 0..len {
                let w = 0.5 - 0.5 * (2.0 * PI * n as f64 / len as f64).cos();
                let v = w * f64::from(x[2 * stft.hop_samples() + n]) * 4.0 / len as f64;
                re += v * (2.0 * PI * (k * n) as f64 / len as f64).cos();
                im -= v * (2.0 * PI * (k * n) as f64 / len as f64).sin();
            }
            assert!((f64::from(*p) - re * re - im * im).abs() < 1e-6);
        }
    }

    #[test]
    fn lengths_follow_the_rate_and_block_weights_sum_to_one() {
        for rate in [8_000.0, 11_025.0, 44_100.0, 96_000.0, 192_000.0] {
            let stft = Stft::new(&StftConfig::default(), rate).unwrap();
            assert!((stft.window_samples() as f64 / rate / (4096.0 / 48_000.0) - 1.0).abs() < 0.03);
            assert!((stft.block_weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        assert_eq!(Stft::new(&StftConfig::default(), 48_000.0).unwrap().frame_len(4095), 0);
    }
}
