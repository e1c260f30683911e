//! The analog stage before the converter: a gain, and a soft limit.
//!
//! ```text
//! y = x                                       where |x| <= knee
//! y = knee + (1 - knee) tanh((|x| - knee) / (1 - knee)), with x's sign     beyond: never above full scale
//! ```
//!
//! Slope and value are continuous at the knee. A hyperbolic tangent is the textbook form of a differential pair.

use super::{Sound, Told, within};
use crate::error::Error;
use crate::units::amplitude_from_db;
use serde::{Deserialize, Serialize};

/// Gain and soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preamp {
    /// Gain in dB, -60 to 60.
    pub gain_db: f64,
    /// Level in dBFS, -40 to 0, above which the stage gives way; 0 never does below full scale, and clips there.
    pub soft_limit_dbfs: f64,
}

impl Default for Preamp {
    fn default() -> Self {
        Self { gain_db: 0.0, soft_limit_dbfs: -3.0 }
    }
}

impl Preamp {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("preamp.gain_db", self.gain_db, (-60.0, 60.0), "dB")?;
        within("preamp.soft_limit_dbfs", self.soft_limit_dbfs, (-40.0, 0.0), "dBFS")
    }

    pub(crate) fn apply(&self, sound: &mut Sound) -> Told {
        let gain = amplitude_from_db(self.gain_db) as f32;
        let knee = amplitude_from_db(self.soft_limit_dbfs) as f32;
        let room = 1.0 - knee;
        let mut limited_len = 0u64;
        for x in sound.channels.iter_mut().flatten() {
            *x *= gain;
            let over = x.abs() - knee;
            if over > 0.0 {
                limited_len += 1;
                let bent = if room > 0.0 { room * (over / room).tanh() } else { 0.0 };
                *x = (knee + bent).copysign(*x);
            }
        }
        Told::default().with("limited_sample_len", limited_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_levels_pass_and_loud_ones_bend_below_full_scale() {
        let preamp = Preamp { gain_db: 20.0, soft_limit_dbfs: -6.020_6 };
        let mut sound = Sound { rate_hz: 8000, channels: vec![vec![0.01, -0.02, 0.1, -10.0, 0.05]] };
        let told = preamp.apply(&mut sound);
        let y = &sound.channels[0];
        assert!((y[0] - 0.1).abs() < 1e-6 && (y[1] + 0.2).abs() < 1e-6);
        // x = 1: 0.5 + 0.5 tanh(1).
        assert!((f64::from(y[2]) - 0.5 - 0.5 * 1f64.tanh()).abs() < 1e-5, "{}", y[2]);
        assert!((y[3] + 1.0).abs() < 1e-6 && (y[4] - 0.5).abs() < 1e-5);
        assert_eq!(told.measured["limited_sample_len"], 2);
    }
}
