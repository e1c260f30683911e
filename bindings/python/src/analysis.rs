//! What a recording tells, and its undoing.

use crate::errors::{invalid, raised};
use crate::files::warning;
use crate::running::run;
use crate::samples::{Channels, arrays_of, audio_of};
use agcfix::analysis::GainCurve;
use agcfix::law::{FittedParameter, Landing, Law, LawFit, families};
use agcfix::report::json;
use agcfix::restore::{Level, RestoreConfig, Trust};
use agcfix::{Analysis, Config, Verdict};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The law of that name.
pub fn law_named(py: Python<'_>, name: &str) -> PyResult<Arc<dyn Law>> {
    let laws = families();
    let known = laws.iter().map(|law| law.name()).collect::<Vec<_>>().join(", ");
    let named = laws.into_iter().find(|law| law.name() == name);
    named.ok_or_else(|| invalid(py, "law", format!("none is called {name:?}"), &format!("there are {known}")))
}

/// Analyses a recording, searching all laws or the one that is named.
#[pyfunction]
#[pyo3(signature = (channels, sample_rate_hz, law, threads, progress))]
pub fn analyze<'py>(
    py: Python<'py>,
    channels: Channels<'py>,
    sample_rate_hz: u32,
    law: Option<&str>,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut config = Config::default();
    if let Some(name) = law {
        config.fit.laws = vec![law_named(py, name)?];
    }
    let audio = audio_of(py, &channels, sample_rate_hz)?;
    let analysis = run(py, threads, progress, |observer| agcfix::analyze(&audio, &config, observer))?;
    told(py, &analysis)
}

/// An analysis as Python takes it: numbers as JSON, curves and decays as arrays, and the document of the command line.
pub fn told<'py>(py: Python<'py>, analysis: &Analysis) -> PyResult<Bound<'py, PyDict>> {
    let facts = json!({
        "input": analysis.input,
        "verdict": analysis.verdict,
        "evidence": analysis.evidence,
        "law": analysis.law,
        "events": analysis.events,
        "partials": analysis.partials,
        "families": analysis.families,
        "warnings": analysis.warnings.iter().map(warning).collect::<Vec<_>>(),
        "start_s": analysis.gain_curve.start_s,
        "hop_s": analysis.gain_curve.hop_s,
    });
    let mut document = Vec::new();
    // Writing to memory cannot fail.
    let _ = json::write(&mut document, None, analysis, None);
    let out = PyDict::new(py);
    out.set_item("facts", facts.to_string())?;
    out.set_item("document", String::from_utf8_lossy(&document))?;
    let curve = &analysis.gain_curve;
    for (name, values) in [("gain_db", &curve.gain_db), ("lower_db", &curve.lower_db), ("upper_db", &curve.upper_db)] {
        out.set_item(name, PyArray1::from_slice(py, values))?;
    }
    let decays = PyDict::new(py);
    let notes = analysis.decays.iter().map(|d| d.note_index as i64);
    decays.set_item("note_index", PyArray1::from_iter(py, notes))?;
    type Column = (&'static str, fn(&agcfix::analysis::DecaySegment) -> f64);
    let columns: [Column; 10] = [
        ("start_s", |d| d.start_s),
        ("end_s", |d| d.end_s),
        ("frequency_hz", |d| d.frequency_hz),
        ("level_db", |d| d.level_db),
        ("decay_db_per_s", |d| d.decay_db_per_s),
        ("decay_error_db_per_s", |d| d.decay_error_db_per_s),
        ("alpha_per_s", |d| d.alpha_per_s),
        ("t60_s", |d| d.t60_s.unwrap_or(f64::NAN)),
        ("second_stage_db", |d| d.second_stage_db),
        ("residual_db", |d| d.residual_db),
    ];
    for (name, of) in columns {
        decays.set_item(name, PyArray1::from_iter(py, analysis.decays.iter().map(of)))?;
    }
    out.set_item("decays", decays)?;
    Ok(out)
}

/// A law with its constants, as Python hands it back.
#[derive(Debug, Deserialize)]
pub struct LawIn {
    name: String,
    parameters: Vec<ParameterIn>,
    #[serde(default)]
    landings: Vec<LandingIn>,
}

#[derive(Debug, Deserialize)]
struct ParameterIn {
    name: String,
    value: f64,
}

#[derive(Debug, Deserialize)]
struct LandingIn {
    at_s: f64,
    rise_db: f64,
    continues: bool,
}

impl LawIn {
    /// The law with every constant in its place and range.
    fn fit(&self, py: Python<'_>) -> PyResult<LawFit> {
        let law = law_named(py, &self.name)?;
        let known = law.parameters();
        if let Some(odd) = self.parameters.iter().find(|p| known.iter().all(|k| k.name != p.name)) {
            let names = known.iter().map(|k| k.name).collect::<Vec<_>>().join(", ");
            let cause = format!("{} has no constant {:?}", self.name, odd.name);
            return Err(invalid(py, "law", cause, &format!("it has {names}")));
        }
        let parameters = known
            .iter()
            .map(|k| {
                let value = self.parameters.iter().find(|p| p.name == k.name).map_or(k.default, |p| p.value);
                if !(k.low..=k.high).contains(&value) {
                    let cause = format!("{} = {value} is out of its range", k.name);
                    return Err(invalid(py, "law", cause, &format!("give {} to {} {}", k.low, k.high, k.unit)));
                }
                let (name, unit) = (k.name.to_owned(), k.unit.to_owned());
                Ok(FittedParameter { name, unit, value, lower: value, upper: value })
            })
            .collect::<PyResult<Vec<_>>>()?;
        let landing = |l: &LandingIn| Landing { at_s: l.at_s, rise_db: l.rise_db, continues: l.continues };
        let landings = self.landings.iter().map(landing).collect();
        Ok(LawFit { name: self.name.clone(), parameters, landings })
    }
}

/// Arrays of the channels, then two numbers in dB.
type Restored<'py> = (Vec<Bound<'py, PyArray1<f32>>>, f64, f64);

/// Undoes a law (JSON) or, where there is none, a curve of start, hop and gain in dB. Channels, overall gain, true peak.
#[pyfunction]
#[pyo3(signature = (channels, sample_rate_hz, law, curve, keeps_level, threads))]
pub fn restore<'py>(
    py: Python<'py>,
    channels: Channels<'py>,
    sample_rate_hz: u32,
    law: Option<&str>,
    curve: Option<(f64, f64, PyReadonlyArray1<'py, f64>)>,
    keeps_level: bool,
    threads: Option<usize>,
) -> PyResult<Restored<'py>> {
    let audio = audio_of(py, &channels, sample_rate_hz)?;
    let law = law
        .map(|text| {
            let law: LawIn = serde_json::from_str(text)
                .map_err(|error| invalid(py, "law", error.to_string(), "give a Law, or its name"))?;
            law.fit(py)
        })
        .transpose()?;
    let gain_curve = match &curve {
        None => flat(),
        Some((start_s, hop_s, gain_db)) => {
            let gain_db = gain_db.as_array().to_vec();
            GainCurve {
                start_s: *start_s,
                hop_s: *hop_s,
                lower_db: gain_db.clone(),
                upper_db: gain_db.clone(),
                gain_db,
            }
        }
    };
    let is_undone = law.is_some() || curve.is_some();
    let verdict = if is_undone { Verdict::Agc } else { Verdict::None };
    let level = if keeps_level { Level::Keep } else { Level::KeepBelowMinusOneDbtp };
    let mut config = Config { restore: RestoreConfig { level, trust: Trust::Caller }, ..Config::default() };
    config.fit.laws = families();
    let analysis = Analysis::told(&audio, verdict, law, gain_curve);
    let restored = run(py, threads, None, |_| agcfix::restore(&audio, &analysis, &config))?;
    let (overall_gain_db, true_peak_dbtp) = (restored.overall_gain_db, restored.true_peak_dbtp);
    Ok((arrays_of(py, restored.audio), overall_gain_db, true_peak_dbtp))
}

fn flat() -> GainCurve {
    GainCurve { start_s: 0.0, hop_s: 0.01, gain_db: vec![0.0], lower_db: vec![0.0], upper_db: vec![0.0] }
}

/// Every law that there is, as JSON.
#[pyfunction]
pub fn laws() -> String {
    let parameter = |p: &agcfix::law::Parameter| {
        json!({
            "name": p.name, "unit": p.unit, "low": p.low, "high": p.high, "default": p.default, "meaning": p.meaning,
        })
    };
    let law = |law: &Arc<dyn Law>| {
        let parameters = law.parameters().iter().map(parameter).collect::<Vec<_>>();
        json!({ "name": law.name(), "summary": law.summary(), "parameters": parameters })
    };
    serde_json::Value::from(families().iter().map(law).collect::<Vec<_>>()).to_string()
}

/// The errors of a law's text are the caller's.
pub fn told_or_raised<T>(py: Python<'_>, result: Result<T, agcfix::Error>) -> PyResult<T> {
    result.map_err(|error| raised(py, &error))
}
