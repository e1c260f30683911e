//! Two recordings of one performance.

use crate::errors::invalid;
use crate::running::run;
use crate::samples::{Channels, arrays_of, audio_of};
use agcfix::pair::align::{AlignConfig, AlignedPiece, Alignment, ChannelOrder, Outcome, Polarity};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Deserialize;
use serde_json::{Value, json};

/// A recording: channels and rate.
pub type Recording<'py> = (Channels<'py>, u32);

fn unrelated(reason: &str) -> Value {
    json!({ "unrelated": reason })
}

/// Offset and drift of a phone's recording against a microphone's, as JSON; or why they do not belong together.
#[pyfunction]
pub fn align(py: Python<'_>, phone: Recording<'_>, mic: Recording<'_>, threads: Option<usize>) -> PyResult<String> {
    let (phone, mic) = (audio_of(py, &phone.0, phone.1)?, audio_of(py, &mic.0, mic.1)?);
    let outcome = run(py, threads, None, |_| agcfix::pair::align(&phone, &mic, &AlignConfig::default()))?;
    let told = match outcome {
        Outcome::Aligned(alignment) => json!(alignment),
        Outcome::Unrelated { reason } => unrelated(&reason),
    };
    Ok(told.to_string())
}

#[derive(Deserialize)]
struct AlignmentIn {
    polarity: String,
    channels: String,
    pieces: Vec<PieceIn>,
}

#[derive(Deserialize)]
struct PieceIn {
    from_s: f64,
    to_s: f64,
    offset_s: f64,
    drift_ppm: f64,
}

impl AlignmentIn {
    /// What is needed to lay one recording on the other's clock.
    fn alignment(&self) -> Alignment {
        let piece =
            |p: &PieceIn| AlignedPiece { from_s: p.from_s, to_s: p.to_s, offset_s: p.offset_s, drift_ppm: p.drift_ppm };
        Alignment {
            offset_s: f64::NAN,
            offset_error_s: f64::NAN,
            drift_ppm: f64::NAN,
            drift_error_ppm: f64::NAN,
            jitter_s: f64::NAN,
            window_len: 0,
            agreeing_len: 0,
            confidence: f64::NAN,
            overlap_s: f64::NAN,
            polarity: if self.polarity == "inverted" { Polarity::Inverted } else { Polarity::Same },
            channels: match self.channels.as_str() {
                "same" => ChannelOrder::Same,
                "swapped" => ChannelOrder::Swapped,
                _ => ChannelOrder::Unclear,
            },
            pieces: self.pieces.iter().map(piece).collect(),
        }
    }
}

/// The phone's channels on the microphone's clock.
#[pyfunction]
pub fn aligned<'py>(
    py: Python<'py>,
    phone: Recording<'py>,
    mic: Recording<'py>,
    alignment: &str,
) -> PyResult<Vec<Bound<'py, PyArray1<f32>>>> {
    let (phone, mic) = (audio_of(py, &phone.0, phone.1)?, audio_of(py, &mic.0, mic.1)?);
    let alignment: AlignmentIn = serde_json::from_str(alignment)
        .map_err(|error| invalid(py, "alignment", error.to_string(), "give what align returned"))?;
    let alignment = alignment.alignment();
    let audio = run(py, None, None, |_| agcfix::pair::align::aligned(&phone, &mic, &alignment))?;
    Ok(arrays_of(py, audio))
}

/// How much of the dynamics is there, as JSON and arrays; or why the two do not belong together.
#[pyfunction]
#[pyo3(signature = (phone, mic, restored, threads))]
pub fn validate<'py>(
    py: Python<'py>,
    phone: Recording<'py>,
    mic: Recording<'py>,
    restored: Option<Channels<'py>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let rate_hz = phone.1;
    let (phone, mic) = (audio_of(py, &phone.0, rate_hz)?, audio_of(py, &mic.0, mic.1)?);
    let restored = restored.map(|channels| audio_of(py, &channels, rate_hz)).transpose()?;
    let out = PyDict::new(py);
    let found = run(py, threads, None, |_| {
        Ok(match agcfix::pair::align(&phone, &mic, &AlignConfig::default())? {
            Outcome::Unrelated { reason } => Err(reason),
            Outcome::Aligned(alignment) => Ok(agcfix::pair::validate(&phone, &mic, restored.as_ref(), &alignment)?),
        })
    })?;
    let validation = match found {
        Err(reason) => {
            out.set_item("facts", unrelated(&reason).to_string())?;
            return Ok(out);
        }
        Ok(validation) => validation,
    };
    out.set_item("facts", json!(validation).to_string())?;
    out.set_item("matched_db", PyArray1::from_vec(py, validation.matched_db))?;
    out.set_item("compared", PyArray1::from_vec(py, validation.compared))?;
    for (name, measures) in [("before", Some(validation.before)), ("after", validation.after)] {
        let Some(measures) = measures else { continue };
        let (mic, device): (Vec<f64>, Vec<f64>) = measures.decays.pairs.into_iter().unzip();
        let arrays =
            (PyArray1::from_vec(py, measures.level_db), PyArray1::from_vec(py, mic), PyArray1::from_vec(py, device));
        out.set_item(name, arrays)?;
    }
    Ok(out)
}
