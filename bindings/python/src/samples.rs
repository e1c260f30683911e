//! Samples between numpy and the library.

use crate::errors::{invalid, raised};
use agcfix::Audio;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

/// One contiguous array a channel.
pub type Channels<'py> = Vec<PyReadonlyArray1<'py, f32>>;

/// Takes channels in.
pub fn audio_of(py: Python<'_>, channels: &Channels<'_>, sample_rate_hz: u32) -> PyResult<Audio> {
    let slices = channels
        .iter()
        .map(|channel| channel.as_slice())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(py, "samples", error.to_string(), "give contiguous arrays"))?;
    let owned = slices.iter().map(|channel| channel.to_vec()).collect();
    Audio::new(sample_rate_hz, owned).map_err(|error| raised(py, &error))
}

/// Gives channels out, without copying them.
pub fn arrays_of(py: Python<'_>, audio: Audio) -> Vec<Bound<'_, PyArray1<f32>>> {
    audio.into_channels().into_iter().map(|channel| PyArray1::from_vec(py, channel)).collect()
}
