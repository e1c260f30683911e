//! What differs between devices: every recording against one reference, by the same measures, side by side.
//!
//! Measured per device, on its aligned overlap with the reference: response by third octaves, noise floor, dynamic range (from
//! the noise floor to the loudest 10 ms), clipping, how far its gain moves and the slope of its dynamics, clock drift.

use super::align::{AlignConfig, Outcome, align};
use super::level::{BandResponse, level_db};
use super::validate::{Validation, common, validate};
use crate::audio::Audio;
use crate::error::Error;
use serde::Serialize;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "agcfix.comparison/1";
/// Samples at or above this are full scale.
const FULL_SCALE: f32 = 1.0 - 1.0 / 32_768.0;
/// Share of the steps that are taken for a recording's quietest.
const QUIET_SHARE: f64 = 0.01;

/// One device against the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceReport {
    /// The recording's name.
    pub name: String,
    /// Microphone's (reference's) time of its first sample, in seconds.
    pub offset_s: f64,
    /// Drift of its clock against the reference's, in ppm.
    pub drift_ppm: f64,
    /// Share of the windows that agree on the alignment.
    pub confidence: f64,
    /// Third octaves, device minus reference, mean 0 dB.
    pub response: Vec<BandResponse>,
    /// Level of the quietest hundredth of its 10 ms steps, in dBFS: its noise where the music pauses, else its softest music.
    pub quietest_dbfs: f64,
    /// Level of its loudest 10 ms step, in dBFS.
    pub loudest_dbfs: f64,
    /// Samples at full scale, over all channels.
    pub clipped_len: usize,
    /// How far its gain moves against the reference, in dB rms.
    pub gain_movement_db: f64,
    /// dB of its level for each dB of the reference; 1 is intact.
    pub dynamics_slope: f64,
    /// Median difference of decay rates, in dB/s.
    pub decay_bias_db_per_s: f64,
    /// Loudness range, in LU.
    pub loudness_range_lu: f64,
    /// Law that was learnt for it, where that was asked for and one explains its gain.
    pub law: Option<String>,
    /// The validation behind the numbers.
    #[serde(skip)]
    pub validation: Box<Validation>,
}

/// Compares one recording with the reference; the reason where they are not the same performance.
///
/// # Errors
/// As [`align`] and [`validate`].
pub fn compare(name: &str, device: &Audio, reference: &Audio) -> Result<Result<DeviceReport, String>, Error> {
    let alignment = match align(device, reference, &AlignConfig::default())? {
        Outcome::Aligned(alignment) => alignment,
        Outcome::Unrelated { reason } => return Ok(Err(reason)),
    };
    let validation = validate(device, reference, None, &alignment)?;
    let mut level = level_db(&common(device, reference, &alignment)?.0);
    level.sort_by(f64::total_cmp);
    let at = |share: f64| level.get((share * level.len() as f64) as usize).or(level.last()).copied().unwrap_or(-130.0);
    let clipped_len = device.channels().iter().flatten().filter(|x| x.abs() >= FULL_SCALE).count();
    Ok(Ok(DeviceReport {
        name: name.to_owned(),
        offset_s: alignment.offset_s,
        drift_ppm: alignment.drift_ppm,
        confidence: alignment.confidence,
        response: validation.response.bands.clone(),
        quietest_dbfs: at(QUIET_SHARE),
        loudest_dbfs: at(1.0),
        clipped_len,
        gain_movement_db: validation.before.gain_rms_db,
        dynamics_slope: validation.before.dynamics_slope,
        decay_bias_db_per_s: validation.before.decays.bias_db_per_s,
        loudness_range_lu: validation.before.loudness.range_lu,
        law: None,
        validation: Box::new(validation),
    }))
}
