//! The device's clock: its sample rate, how fast it runs, and when the recording began.
//!
//! Sample `m` of the output is what arrived at the time
//!
//! ```text
//! t = offset + m / (rate (1 + drift))
//! ```
//!
//! of the input. Quartz clocks are off by up to some ±50 ppm: 0.18 s in an hour.

use super::resample::Resampler;
use super::{Sound, Told, within};
use crate::audio::{MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ};
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// Rate, drift and offset.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// The device's nominal rate in Hz, 8000 to 192000; as the input's where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate_hz: Option<u32>,
    /// How much too fast the device's clock runs, in parts per million, -1000 to 1000. A fast clock takes more samples: played
    /// at the nominal rate, the recording is longer and lower.
    pub drift_ppm: f64,
    /// When the device began to record, in seconds of the input, -60 to 3600: positive cuts off the beginning, negative puts
    /// silence before it.
    pub offset_s: f64,
}

impl Clock {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(rate_hz) = self.sample_rate_hz {
            let range = (f64::from(MIN_SAMPLE_RATE_HZ), f64::from(MAX_SAMPLE_RATE_HZ));
            within("clock.sample_rate_hz", f64::from(rate_hz), range, "Hz")?;
        }
        within("clock.drift_ppm", self.drift_ppm, (-1000.0, 1000.0), "ppm")?;
        within("clock.offset_s", self.offset_s, (-60.0, 3600.0), "s")
    }

    pub(crate) fn apply(&self, sound: &mut Sound) -> Result<Told, Error> {
        let from_hz = f64::from(sound.rate_hz);
        let nominal_hz = self.sample_rate_hz.unwrap_or(sound.rate_hz);
        let true_hz = f64::from(nominal_hz) * (1.0 + 1e-6 * self.drift_ppm);
        let first = self.offset_s * from_hz;
        let step = from_hz / true_hz;
        // Rounding must not cost the last sample.
        let out_len = ((sound.sample_len() as f64 - first) / step - 1e-6).ceil();
        if out_len < 1.0 {
            return Err(Error::Invalid {
                what: "clock.offset_s".to_owned(),
                cause: format!("{} s is beyond the recording's end", self.offset_s),
                remedy: "begin before it".to_owned(),
            });
        }
        let resampler = Resampler::new(step);
        sound.channels = resampler.run(&sound.channels, first, out_len as usize);
        sound.rate_hz = nominal_hz;
        // Not minus zero.
        let delay_samples = 0.0 - self.offset_s * true_hz;
        Ok(Told { delay_samples, ..Told::default() }.with("true_sample_rate_hz", true_hz))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use std::f64::consts::TAU;

    fn sine(rate_hz: f64, frequency_hz: f64, seconds: f64) -> Vec<f32> {
        (0..(rate_hz * seconds) as usize).map(|n| (TAU * frequency_hz * n as f64 / rate_hz).sin() as f32).collect()
    }

    #[test]
    fn every_sample_is_taken_at_its_time() {
        for (rate_hz, drift_ppm, offset_s) in
            [(None, 0.0, 0.25), (None, 200.0, 0.0), (Some(16_000), -37.0, 0.1), (Some(44_100), 12.5, -0.05)]
        {
            let clock = Clock { sample_rate_hz: rate_hz, drift_ppm, offset_s };
            let mut sound = Sound { rate_hz: 48_000, channels: vec![sine(48_000.0, 997.0, 2.0)] };
            let told = clock.apply(&mut sound).unwrap();
            let nominal_hz = f64::from(rate_hz.unwrap_or(48_000));
            assert_eq!(f64::from(sound.rate_hz), nominal_hz);
            let true_hz = nominal_hz * (1.0 + 1e-6 * drift_ppm);
            assert!((told.delay_samples + offset_s * true_hz).abs() < 1e-9);
            let y = &sound.channels[0];
            let expected_len = ((2.0 - offset_s) * true_hz).ceil();
            assert!((y.len() as f64 - expected_len).abs() <= 1.0);
            let margin = (0.06 * nominal_hz) as usize;
            for (m, y) in y.iter().enumerate().take(y.len() - margin).skip(margin) {
                let t = offset_s + m as f64 / true_hz;
                let error = (f64::from(*y) - (TAU * 997.0 * t).sin()).abs();
                assert!(error < 3e-5, "{clock:?}: {error} at sample {m}");
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let clock = Clock { sample_rate_hz: Some(16_000), ..Clock::default() };
        let mut sound = Sound { rate_hz: 48_000, channels: vec![sine(48_000.0, 9_000.0, 1.0)] };
        clock.apply(&mut sound).unwrap();
        let loudest = sound.channels[0][400..15_000].iter().fold(0f32, |m, y| m.max(y.abs()));
        assert!(loudest < 1e-4, "{loudest}");
    }

    #[test]
    fn an_offset_beyond_the_end_is_refused() {
        let clock = Clock { offset_s: 3.0, ..Clock::default() };
        let mut sound = Sound { rate_hz: 8_000, channels: vec![vec![0.0; 8_000]] };
        assert!(clock.apply(&mut sound).unwrap_err().to_string().contains("beyond the recording's end"));
    }
}
