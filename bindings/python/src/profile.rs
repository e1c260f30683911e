//! What a device does, learnt beside a microphone.

use crate::analysis::{told, told_or_raised};
use crate::pair::Recording;
use crate::running::run;
use crate::samples::{Channels, arrays_of, audio_of};
use agcfix::Error;
use agcfix::pair::align::{AlignConfig, Outcome, align};
use agcfix::profile::{LearnConfig, Profile, Take, Volume};
use agcfix::restore::Level;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

/// Learns a profile from pairs of phone and microphone: its TOML, or the index of a pair that is none, and why.
#[pyfunction]
#[pyo3(signature = (pairs, name, maker, mode, recordings, threads))]
pub fn learn<'py>(
    py: Python<'py>,
    pairs: Vec<(Recording<'py>, Recording<'py>)>,
    name: &str,
    maker: &str,
    mode: &str,
    recordings: Vec<String>,
    threads: Option<usize>,
) -> PyResult<String> {
    let mut audio = Vec::new();
    for (phone, mic) in &pairs {
        audio.push((audio_of(py, &phone.0, phone.1)?, audio_of(py, &mic.0, mic.1)?));
    }
    let profile = run(py, threads, None, |_| {
        let mut takes = Vec::new();
        for (index, (phone, mic)) in audio.iter().enumerate() {
            match align(phone, mic, &AlignConfig::default())? {
                Outcome::Aligned(alignment) => takes.push(Take::new(phone, mic, &alignment, (0.0, f64::INFINITY))?),
                Outcome::Unrelated { reason } => {
                    return Err(Error::Invalid {
                        what: format!("pair {index}"),
                        cause: format!("these are not the same performance: {reason}"),
                        remedy: "give two recordings made at the same time".to_owned(),
                    });
                }
            }
        }
        let learnt = agcfix::profile::learn(&takes, &LearnConfig::default())?;
        let mut profile = Profile::of(name, &takes, &learnt, recordings);
        profile.maker = maker.to_owned();
        profile.mode = mode.to_owned();
        Ok(profile)
    })?;
    told_or_raised(py, profile.to_toml())
}

/// A profile's TOML as JSON.
#[pyfunction]
pub fn parse(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(json!(told_or_raised(py, Profile::from_toml(text))?).to_string())
}

/// Analyses a recording by a profile, and undoes its law if asked to: the analysis, and channels, overall gain, true peak.
#[pyfunction]
#[pyo3(signature = (channels, sample_rate_hz, profile, volume_db, is_restored, keeps_level, threads, progress))]
#[allow(clippy::too_many_arguments, reason = "called by one Python function that names them all")]
pub fn analyze_with<'py>(
    py: Python<'py>,
    channels: Channels<'py>,
    sample_rate_hz: u32,
    profile: &str,
    volume_db: Option<f64>,
    is_restored: bool,
    keeps_level: bool,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let audio = audio_of(py, &channels, sample_rate_hz)?;
    let profile = told_or_raised(py, Profile::from_toml(profile))?;
    let volume = volume_db.map_or(Volume::Auto, Volume::Known);
    let (analysis, restored) = run(py, threads, progress, |observer| {
        let (analysis, mut config) = agcfix::profile::analyze_with(&profile, volume, &audio, observer)?;
        config.restore.level = if keeps_level { Level::Keep } else { Level::KeepBelowMinusOneDbtp };
        let restored = is_restored.then(|| agcfix::restore(&audio, &analysis, &config)).transpose()?;
        Ok((analysis, restored))
    })?;
    let out = told(py, &analysis)?;
    if let Some(restored) = restored {
        let (overall_gain_db, true_peak_dbtp) = (restored.overall_gain_db, restored.true_peak_dbtp);
        out.set_item("restored", (arrays_of(py, restored.audio), overall_gain_db, true_peak_dbtp))?;
    }
    Ok(out)
}
