//! Hard clipping, and the word length that samples are rounded to.

use super::{Sound, Told, within};
use crate::error::Error;
use crate::units::amplitude_from_db;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// Samples beyond a level are cut off at it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clip {
    /// Level in dBFS, -60 to 0.
    pub level_dbfs: f64,
}

impl Clip {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("clip.level_dbfs", self.level_dbfs, (-60.0, 0.0), "dBFS")
    }

    pub(crate) fn apply(&self, sound: &mut Sound) -> Told {
        let level = amplitude_from_db(self.level_dbfs) as f32;
        let mut clipped_len = 0u64;
        for x in sound.channels.iter_mut().flatten() {
            clipped_len += u64::from(x.abs() > level);
            *x = x.clamp(-level, level);
        }
        Told::default().with("clipped_sample_len", clipped_len)
    }
}

/// Word length and dither.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bits {
    /// Bits of a sample, 8 to 24.
    pub depth: u32,
    /// Noise that is added before rounding.
    pub dither: Dither,
}

impl Default for Bits {
    fn default() -> Self {
        Self { depth: 16, dither: Dither::None }
    }
}

/// Noise before rounding. Phones add none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dither {
    /// None: what is softer than half a step vanishes.
    #[default]
    None,
    /// Triangular, ±1 step: the error's mean and power do not depend on the sound (Lipshitz, Wannamaker and Vanderkooy
    /// 1992).
    Triangular,
}

impl Bits {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("bits.depth", f64::from(self.depth), (8.0, 24.0), "bits")
    }

    /// Rounds to `2^(1-depth)`; what is beyond the integers' range is cut off.
    pub(crate) fn apply(&self, sound: &mut Sound, random: &mut ChaCha8Rng) -> Told {
        // 24 bits and a sign fit into the 24 bits of f32's significand; the dither needs more.
        let scale = 2f64.powi(self.depth as i32 - 1);
        let mut clipped_len = 0u64;
        for x in sound.channels.iter_mut().flatten() {
            let dither = match self.dither {
                Dither::None => 0.0,
                Dither::Triangular => {
                    let bits = random.next_u64();
                    (f64::from(bits as u32) - f64::from((bits >> 32) as u32)) / 4_294_967_296.0
                }
            };
            let step = (f64::from(*x) * scale + dither).round();
            let kept = step.clamp(-scale, scale - 1.0);
            // +1 exactly misses the largest integer by one step: that is not clipping.
            clipped_len += u64::from((step - kept).abs() > 2.0);
            *x = (kept / scale) as f32;
        }
        Told::default().with("clipped_sample_len", clipped_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn clipping_cuts_and_counts() {
        let mut sound = Sound { rate_hz: 8000, channels: vec![vec![0.4, -0.6, 0.5], vec![9.0, 0.0, -0.5]] };
        let told = Clip { level_dbfs: 20.0 * 0.5f64.log10() }.apply(&mut sound);
        assert_eq!(sound.channels, [[0.4, -0.5, 0.5], [0.5, 0.0, -0.5]]);
        assert_eq!(told.measured["clipped_sample_len"], 2);
    }

    #[test]
    fn samples_land_on_the_grid_and_dither_keeps_their_mean() {
        for (dither, expected) in [(Dither::None, 0.0), (Dither::Triangular, 0.3)] {
            let mut sound = Sound { rate_hz: 8000, channels: vec![vec![0.3 / 128.0; 50_000]] };
            Bits { depth: 8, dither }.apply(&mut sound, &mut ChaCha8Rng::seed_from_u64(3));
            let steps: Vec<f32> = sound.channels[0].iter().map(|x| x * 128.0).collect();
            assert!(steps.iter().all(|s| s.fract() == 0.0));
            let mean = steps.iter().sum::<f32>() / steps.len() as f32;
            // Standard error 0.5 / sqrt(50000) = 0.0022.
            assert!((mean - expected).abs() < 0.009, "{dither:?}: {mean}");
        }
    }

    #[test]
    fn full_scale_is_no_clipping_but_beyond_it_is() {
        let mut sound = Sound { rate_hz: 8000, channels: vec![vec![1.0, -1.0, 1.5]] };
        let told = Bits::default().apply(&mut sound, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(sound.channels[0], [32_767.0 / 32_768.0, -1.0, 32_767.0 / 32_768.0]);
        assert_eq!(told.measured["clipped_sample_len"], 1);
    }
}
