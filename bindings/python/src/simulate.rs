//! A phone, simulated.

use crate::analysis::told_or_raised;
use crate::errors::invalid;
use crate::running::run;
use crate::samples::{Channels, arrays_of, audio_of};
use agcfix::simulate::gain::GainStage;
use agcfix::simulate::preset::{Composer, built_in};
use numpy::PyArray1;
use pyo3::prelude::*;
use serde_json::json;

type Simulated<'py> = (Vec<Bound<'py, PyArray1<f32>>>, u32, String, Bound<'py, PyArray1<f64>>);

/// Sends a recording through a chain of presets, then laws (JSON), then settings: channels, rate, truth, gain every millisecond.
#[pyfunction]
#[pyo3(signature = (channels, sample_rate_hz, presets, laws, settings, seed))]
pub fn simulate<'py>(
    py: Python<'py>,
    channels: Channels<'py>,
    sample_rate_hz: u32,
    presets: Vec<String>,
    laws: Vec<String>,
    settings: Vec<String>,
    seed: u64,
) -> PyResult<Simulated<'py>> {
    let audio = audio_of(py, &channels, sample_rate_hz)?;
    let mut composer = Composer::default();
    for preset in &presets {
        told_or_raised(py, composer.preset(preset))?;
    }
    for law in &laws {
        let stage: GainStage = serde_json::from_str(law)
            .map_err(|error| invalid(py, "law", error.to_string(), "give a name and its constants"))?;
        composer.law(&stage);
    }
    for setting in &settings {
        told_or_raised(py, composer.set(setting))?;
    }
    let chain = told_or_raised(py, composer.finish())?;
    let simulated = run(py, None, None, |_| agcfix::simulate::simulate(&audio, &chain, seed))?;
    let sample_rate_hz = simulated.audio.sample_rate_hz();
    let gain_db = PyArray1::from_slice(py, &simulated.truth.gain_1ms.gain_db);
    let truth = json!(simulated.truth).to_string();
    Ok((arrays_of(py, simulated.audio), sample_rate_hz, truth, gain_db))
}

/// The chains that are built in, as JSON.
#[pyfunction]
pub fn presets() -> String {
    let listed = built_in();
    let preset = |p: &agcfix::simulate::preset::Listed| json!({ "name": p.name, "summary": p.summary, "source": p.source, "strengths": p.strengths });
    serde_json::Value::from(listed.iter().map(preset).collect::<Vec<_>>()).to_string()
}
