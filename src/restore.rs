//! The inverse gain applied to the samples, and one overall constant for the true peak.

use crate::audio::Audio;

/// What a restoration gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// The samples: the input divided by the device's gain, times one constant.
    pub audio: Audio,
    /// That constant, in dB: 0 where nothing was changed.
    pub overall_gain_db: f64,
    /// True peak of the result, in dBTP (ITU-R BS.1770).
    pub true_peak_dbtp: f64,
}
