//! The microphone's own noise: level and slope of its spectrum.
//!
//! White noise through pole-zero pairs that are evenly spread over the logarithm of frequency, which makes a spectrum of
//! any constant slope in dB per octave (0 is white, -3 is pink). A phone's microphone has a signal-to-noise ratio of some
//! 60 to 65 dB(A) at 94 dB SPL, which is about -26 dBFS: noise of -86 to -91 dBFS before any gain.
//!
//! **Source.** J. O. Smith, H. F. Smith, "Closed form fractional integration and differentiation via real exponentially
//! spaced pole-zero pairs" (2016) for the slope; data sheets of MEMS microphones for the level.

use super::{Sound, Told, rms_dbfs, within};
use crate::error::Error;
use crate::units::amplitude_from_db;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Band over which the slope holds, in Hz.
const LOWEST_HZ: f64 = 20.0;
const HIGHEST_HZ: f64 = 20_000.0;
/// Pole-zero pairs in that band: one in two octaves keeps the ripple below 0.5 dB up to 6 dB per octave.
const PAIRS: usize = 5;
/// Length over which the filter's power gain is summed, in seconds: twenty time constants of its lowest pole.
const SETTLED_S: f64 = 0.2;

/// Noise added to every channel, each its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Noise {
    /// Level in dBFS rms over the whole band, -150 to 0.
    pub level_dbfs: f64,
    /// Slope of the spectrum in dB per octave, -6 to 6.
    pub slope_db_per_octave: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { level_dbfs: -75.0, slope_db_per_octave: -1.5 }
    }
}

impl Noise {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("noise.level_dbfs", self.level_dbfs, (-150.0, 0.0), "dBFS")?;
        within("noise.slope_db_per_octave", self.slope_db_per_octave, (-6.0, 6.0), "dB per octave")
    }

    pub(crate) fn apply(&self, sound: &mut Sound, random: &mut ChaCha8Rng) -> Told {
        let tilt = Tilt::new(self.slope_db_per_octave, f64::from(sound.rate_hz));
        let settled = (SETTLED_S * f64::from(sound.rate_hz)) as usize;
        let mut impulse = vec![0f32; settled.max(1)];
        impulse[0] = 1.0;
        tilt.clone().run(&mut impulse);
        let power = impulse.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let amplitude = (amplitude_from_db(self.level_dbfs) / power.sqrt()) as f32;
        let before_db = rms_dbfs(&sound.channels);
        for channel in &mut sound.channels {
            let mut tilt = tilt.clone();
            let mut noise = [0f32; 4096];
            for block in channel.chunks_mut(noise.len()) {
                let noise = &mut noise[..block.len()];
                noise.iter_mut().for_each(|n| *n = near_gaussian(random));
                tilt.run(noise);
                block.iter_mut().zip(noise).for_each(|(x, n)| *x += amplitude * *n);
            }
        }
        let snr_db = before_db.map(|level_db| level_db - self.level_dbfs);
        Told::default().with("signal_to_noise_db", snr_db)
    }
}

/// The sum of four uniform numbers, scaled to a variance of 1: as good as Gaussian up to three standard deviations, and
/// never beyond three and a half.
pub(crate) fn near_gaussian(random: &mut impl Rng) -> f32 {
    let bits = random.next_u64();
    let sum: i32 = [0, 16, 32, 48].map(|shift| ((bits >> shift) & 0xffff) as i32 - 0x8000).iter().sum();
    // Variance of one uniform number over 65536 steps: 65536^2 / 12; of four: a third of 65536^2.
    const SCALE: f32 = 1.732_050_8 / 65_536.0;
    (sum as f32 + 2.0) * SCALE
}

/// A constant slope over frequency.
#[derive(Debug, Clone)]
struct Tilt {
    pairs: [Pair; PAIRS],
}

/// `(1 - zero z^-1) / (1 - pole z^-1)`.
#[derive(Debug, Clone, Copy)]
struct Pair {
    zero: f32,
    pole: f32,
    x: f32,
    y: f32,
}

impl Tilt {
    fn new(slope_db_per_octave: f64, rate_hz: f64) -> Self {
        // An integrator falls by 6.02 dB per octave.
        let order = -slope_db_per_octave / (20.0 * 2f64.log10());
        let spacing = (HIGHEST_HZ / LOWEST_HZ).powf(1.0 / PAIRS as f64);
        let root = |hz: f64| (-TAU * hz.min(0.45 * rate_hz) / rate_hz).exp() as f32;
        let pairs = std::array::from_fn(|i| {
            let middle_hz = LOWEST_HZ * spacing.powf(i as f64 + 0.5);
            // Zero above pole by the share of the spacing that the slope asks for.
            let half = spacing.powf(0.5 * order);
            Pair { zero: root(middle_hz * half), pole: root(middle_hz / half), x: 0.0, y: 0.0 }
        });
        Self { pairs }
    }

    fn run(&mut self, samples: &mut [f32]) {
        for sample in samples {
            let mut v = *sample;
            for pair in &mut self.pairs {
                let y = v - pair.zero * pair.x + pair.pole * pair.y;
                (pair.x, pair.y) = (v, y);
                v = y;
            }
            *sample = v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;
    use realfft::RealFftPlanner;

    fn noise(slope_db_per_octave: f64) -> Vec<f32> {
        let mut sound = Sound { rate_hz: 48_000, channels: vec![vec![0.0; 1 << 18]] };
        let noise = Noise { level_dbfs: -40.0, slope_db_per_octave };
        noise.apply(&mut sound, &mut ChaCha8Rng::seed_from_u64(5));
        sound.channels.remove(0)
    }

    /// Mean power per bin in an octave from `low_hz`, in dB.
    fn density_db(x: &[f32], low_hz: f64) -> f64 {
        let transform = RealFftPlanner::<f32>::new().plan_fft_forward(x.len());
        let (mut input, mut spectrum) = (x.to_vec(), transform.make_output_vec());
        assert!(transform.process(&mut input, &mut spectrum).is_ok());
        let bin = |hz: f64| (hz * x.len() as f64 / 48_000.0) as usize;
        let octave = &spectrum[bin(low_hz)..bin(2.0 * low_hz)];
        10.0 * (octave.iter().map(|c| f64::from(c.norm_sqr())).sum::<f64>() / octave.len() as f64).log10()
    }

    #[test]
    fn level_and_slope_are_what_was_asked_for() {
        for slope in [-6.0, -3.0, 0.0, 3.0] {
            let x = noise(slope);
            let level_db = rms_dbfs(std::slice::from_ref(&x)).unwrap_or(f64::NAN);
            // 262144 samples; pink noise has fewer independent ones.
            assert!((level_db + 40.0).abs() < 0.3, "slope {slope}: {level_db} dBFS");
            let per_octave = (density_db(&x, 4000.0) - density_db(&x, 125.0)) / 5.0;
            assert!((per_octave - slope).abs() < 0.35, "{per_octave} instead of {slope} dB per octave");
        }
    }

    #[test]
    fn its_numbers_have_no_mean_unit_variance_and_the_tails_of_four_uniform_ones() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let x: Vec<f64> = (0..200_000).map(|_| f64::from(near_gaussian(&mut random))).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.015, "{mean} {variance}");
        // Kurtosis of the sum of four uniform numbers: 3 - 1.2/4.
        let fourth = x.iter().map(|x| x.powi(4)).sum::<f64>() / x.len() as f64;
        assert!((fourth - 2.7).abs() < 0.06, "{fourth}");
    }
}
