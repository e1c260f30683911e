//! Recordings in files.

use crate::errors::{invalid, raised};
use crate::running::run;
use crate::samples::{Channels, arrays_of, audio_of};
use agcfix::analysis::Warning;
use agcfix::decode::{Damage, Decoded, NonFinite, ReadConfig, read_bytes_with, read_with};
use agcfix::encode::{BitDepth, write_wav_file};
use numpy::PyArray1;
use pyo3::prelude::*;
use serde_json::json;
use std::path::PathBuf;

type Loaded<'py> = (Vec<Bound<'py, PyArray1<f32>>>, u32, String);

fn config_of(max_duration_s: Option<f64>, is_strict: bool, is_zeroed: bool) -> ReadConfig {
    let default = ReadConfig::default();
    ReadConfig {
        max_duration_s: max_duration_s.unwrap_or(default.max_duration_s),
        damage: if is_strict { Damage::Refuse } else { Damage::Warn },
        nonfinite: if is_zeroed { NonFinite::Zero } else { NonFinite::Refuse },
    }
}

fn loaded(py: Python<'_>, decoded: Decoded) -> Loaded<'_> {
    let source = json!({
        "container": decoded.source.container,
        "codec": decoded.source.codec,
        "bits_per_sample": decoded.source.bits_per_sample,
        "warnings": decoded.warnings.iter().map(warning).collect::<Vec<_>>(),
    });
    let sample_rate_hz = decoded.audio.sample_rate_hz();
    (arrays_of(py, decoded.audio), sample_rate_hz, source.to_string())
}

/// A warning with its kind and its text.
pub fn warning(warning: &Warning) -> serde_json::Value {
    let kind = serde_json::to_value(warning).ok().and_then(|w| Some(w.get("kind")?.as_str()?.to_owned()));
    json!({ "kind": kind, "message": warning.to_string() })
}

/// Reads a file: channels, rate, and what the file was, as JSON.
#[pyfunction]
pub fn load(
    py: Python<'_>,
    path: PathBuf,
    max_duration_s: Option<f64>,
    is_strict: bool,
    is_zeroed: bool,
) -> PyResult<Loaded<'_>> {
    let config = config_of(max_duration_s, is_strict, is_zeroed);
    let decoded = run(py, None, None, move |_| read_with(&path, &config))?;
    Ok(loaded(py, decoded))
}

/// Reads a file's bytes, like [`load`].
#[pyfunction]
pub fn load_bytes(
    py: Python<'_>,
    bytes: Vec<u8>,
    max_duration_s: Option<f64>,
    is_strict: bool,
    is_zeroed: bool,
) -> PyResult<Loaded<'_>> {
    let config = config_of(max_duration_s, is_strict, is_zeroed);
    let name = PathBuf::from("<bytes>");
    let decoded = run(py, None, None, move |_| read_bytes_with(bytes, &name, &config))?;
    Ok(loaded(py, decoded))
}

/// Writes a WAV file, whole or not at all; how many samples were clamped.
#[pyfunction]
pub fn write_wav(
    py: Python<'_>,
    path: PathBuf,
    channels: Channels<'_>,
    sample_rate_hz: u32,
    bits: &str,
    is_forced: bool,
) -> PyResult<u64> {
    let depth = match bits {
        "16" => BitDepth::Int16,
        "24" => BitDepth::Int24,
        "32f" => BitDepth::Float32,
        other => return Err(invalid(py, "bits", format!("{other:?}"), "give \"16\", \"24\" or \"32f\"")),
    };
    let audio = audio_of(py, &channels, sample_rate_hz)?;
    py.detach(|| write_wav_file(&path, is_forced, &audio, depth))
        .map(|written| written.clamped_len)
        .map_err(|error| raised(py, &error))
}
