//! Gain laws in the chain: any of the library's, one after the other, and a peak limiter behind them.
//!
//! Each hears what the one before it put out, on the loudest channel at every instant, as [`crate::law`] defines it.

use super::{Sound, Told, within};
use crate::error::Error;
use crate::law::{Direction, Law, drive, families, gain_of};
use crate::units::{amplitude_from_db, db_from_amplitude};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One gain law with its constants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainStage {
    /// Name of the law, as `agcfix laws` lists them.
    pub law: String,
    /// Its constants; those that are not given keep the law's defaults.
    #[serde(default)]
    pub parameters: BTreeMap<String, f64>,
    /// Constant gain behind it in dB, -60 to 60.
    #[serde(default)]
    pub make_up_db: f64,
}

impl GainStage {
    /// A law with some of its constants.
    #[must_use]
    pub fn new(law: &str, parameters: &[(&str, f64)]) -> Self {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Self { law: law.to_owned(), parameters, make_up_db: 0.0 }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.law_and_values()?;
        within("gain.make_up_db", self.make_up_db, (-60.0, 60.0), "dB")
    }

    /// The law, and a value for each of its constants.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such law or constant, or a value is out of its range.
    pub fn law_and_values(&self) -> Result<(Arc<dyn Law>, Vec<f64>), Error> {
        let laws = families();
        let invalid = |cause: String, remedy: String| Error::Invalid { what: "gain.law".to_owned(), cause, remedy };
        let Some(law) = laws.iter().find(|law| law.name() == self.law) else {
            let names: Vec<&str> = laws.iter().map(|law| law.name()).collect();
            return Err(invalid(format!("no law is called {:?}", self.law), format!("there are {}", names.join(", "))));
        };
        let known = law.parameters();
        if let Some(name) = self.parameters.keys().find(|name| known.iter().all(|p| p.name != name.as_str())) {
            let names: Vec<&str> = known.iter().map(|p| p.name).collect();
            return Err(invalid(
                format!("{} has no constant {name:?}", self.law),
                format!("it has {}", names.join(", ")),
            ));
        }
        let mut values = Vec::with_capacity(known.len());
        for p in known {
            let value = self.parameters.get(p.name).copied().unwrap_or(p.default);
            within(&format!("gain ({}).{}", self.law, p.name), value, (p.low, p.high), p.unit)?;
            values.push(value);
        }
        Ok((Arc::clone(law), values))
    }

    pub(crate) fn apply(&self, sound: &mut Sound, total: &mut [f32]) -> Result<Told, Error> {
        let (law, values) = self.law_and_values()?;
        let told = apply(sound, total, law.as_ref(), &values, self.make_up_db);
        let all: serde_json::Map<String, serde_json::Value> =
            law.parameters().iter().zip(&values).map(|(p, value)| (p.name.to_owned(), (*value).into())).collect();
        Ok(told.with("parameters_used", all))
    }
}

/// A look-ahead limiter: the law `limiter`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeakLimiter {
    /// Highest output peak in dBFS, -30 to 0.
    pub ceiling_dbfs: f64,
    /// Look-ahead in seconds, 0.0001 to 0.08.
    pub look_ahead_s: f64,
    /// Time in seconds, 0.005 to 8, in which the gain returns.
    pub release_s: f64,
}

impl Default for PeakLimiter {
    fn default() -> Self {
        Self { ceiling_dbfs: -1.0, look_ahead_s: 0.002, release_s: 0.05 }
    }
}

impl PeakLimiter {
    fn stage(&self) -> GainStage {
        GainStage::new(
            "limiter",
            &[("ceiling_db", self.ceiling_dbfs), ("attack_s", self.look_ahead_s), ("release_s", self.release_s)],
        )
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        within("limiter.ceiling_dbfs", self.ceiling_dbfs, (-30.0, 0.0), "dBFS")?;
        within("limiter.look_ahead_s", self.look_ahead_s, (0.0001, 0.08), "s")?;
        within("limiter.release_s", self.release_s, (0.005, 8.0), "s")
    }

    pub(crate) fn apply(&self, sound: &mut Sound, total: &mut [f32]) -> Result<Told, Error> {
        self.stage().apply(sound, total)
    }
}

/// Multiplies the sound by a law's gain, and `total` with it.
fn apply(sound: &mut Sound, total: &mut [f32], law: &dyn Law, values: &[f64], make_up_db: f64) -> Told {
    let gain = {
        let heard = drive(&sound.channels);
        let mut gain = gain_of(law, values, f64::from(sound.rate_hz), &heard, Direction::Forward);
        let make_up = amplitude_from_db(make_up_db) as f32;
        gain.iter_mut().for_each(|g| *g *= make_up);
        gain
    };
    for channel in &mut sound.channels {
        channel.iter_mut().zip(&gain).for_each(|(x, g)| *x *= g);
    }
    total.iter_mut().zip(&gain).for_each(|(total, g)| *total *= g);
    let extreme = |pick: fn(f32, f32) -> f32| gain.iter().copied().reduce(pick).map(|g| db_from_amplitude(g.into()));
    Told::default().with("lowest_gain_db", extreme(f32::min)).with("highest_gain_db", extreme(f32::max))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn sound() -> Sound {
        let tone = |n: usize, level: f64| (level * (0.1 * n as f64).sin()) as f32;
        let channel = |level: f64| (0..48_000).map(|n| tone(n, if n < 24_000 { level } else { 0.1 * level })).collect();
        Sound { rate_hz: 48_000, channels: vec![channel(0.8), channel(0.3)] }
    }

    #[test]
    fn every_channel_gets_the_law_s_gain_and_the_total_keeps_account() {
        let stage = GainStage { make_up_db: 6.0, ..GainStage::new("compressor", &[("threshold_db", -30.0)]) };
        let (before, mut after) = (sound(), sound());
        let mut total = vec![0.5; 48_000];
        let told = stage.apply(&mut after, &mut total).unwrap();
        let (law, values) = stage.law_and_values().unwrap();
        let alone = gain_of(law.as_ref(), &values, 48_000.0, &drive(&before.channels), Direction::Forward);
        let make_up = 10f32.powf(0.3);
        for n in (0..48_000).step_by(777) {
            let g = alone[n] * make_up;
            assert!((total[n] - 0.5 * g).abs() < 1e-6);
            for c in 0..2 {
                assert!((after.channels[c][n] - g * before.channels[c][n]).abs() < 1e-6);
            }
        }
        assert_eq!(told.measured["parameters_used"]["threshold_db"], -30.0);
        assert_eq!(told.measured["parameters_used"]["knee_db"], 6.0);
    }

    #[test]
    fn a_second_law_hears_what_the_first_put_out() {
        // A limiter behind a compressor never sees what the compressor holds down.
        let compressor = GainStage::new("compressor", &[("threshold_db", -50.0), ("slope", 0.95)]);
        let limiter = PeakLimiter { ceiling_dbfs: -20.0, ..PeakLimiter::default() };
        let depth_db = |stages: bool| {
            let (mut sound, mut total) = (sound(), vec![1.0; 48_000]);
            if stages {
                compressor.apply(&mut sound, &mut total).unwrap();
            }
            // The compressor needs its attack; what comes before is not asked.
            sound.channels.iter_mut().for_each(|c| c[..9_600].fill(0.0));
            let told = limiter.apply(&mut sound, &mut total).unwrap();
            told.measured["lowest_gain_db"].as_f64().unwrap()
        };
        assert!(depth_db(false) < -17.0 && depth_db(true) > -0.01, "{} {}", depth_db(false), depth_db(true));
    }

    #[test]
    fn wrong_names_and_values_are_told_what_would_be_right() {
        for (stage, told) in [
            (GainStage::new("loudness", &[]), "there are compressor"),
            (GainStage::new("compressor", &[("treshold_db", -3.0)]), "it has threshold_db"),
            (GainStage::new("compressor", &[("threshold_db", 3.0)]), "give -60 to 0 dB"),
            (GainStage::new("compressor", &[("threshold_db", f64::NAN)]), "give -60 to 0 dB"),
        ] {
            let error = stage.check().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
