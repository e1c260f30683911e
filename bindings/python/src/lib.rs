//! The native half of the Python package `agcfix`.
//!
//! Samples come in as contiguous 32-bit arrays, one a channel, and go out the same way; numbers come as arrays or as JSON, whose
//! decimals stand for exactly the same doubles. Everything that Python programmers see (types, units, what may be passed) is in
//! `python/agcfix`.

mod analysis;
mod errors;
mod files;
mod pair;
mod profile;
mod running;
mod samples;
mod simulate;

use pyo3::prelude::*;

/// The module `agcfix._agcfix`.
#[pymodule]
fn _agcfix(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(analysis::analyze, module)?)?;
    module.add_function(wrap_pyfunction!(analysis::restore, module)?)?;
    module.add_function(wrap_pyfunction!(analysis::laws, module)?)?;
    module.add_function(wrap_pyfunction!(files::load, module)?)?;
    module.add_function(wrap_pyfunction!(files::load_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(files::write_wav, module)?)?;
    module.add_function(wrap_pyfunction!(pair::align, module)?)?;
    module.add_function(wrap_pyfunction!(pair::aligned, module)?)?;
    module.add_function(wrap_pyfunction!(pair::validate, module)?)?;
    module.add_function(wrap_pyfunction!(profile::learn, module)?)?;
    module.add_function(wrap_pyfunction!(profile::parse, module)?)?;
    module.add_function(wrap_pyfunction!(profile::analyze_with, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::simulate, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::presets, module)?)
}
