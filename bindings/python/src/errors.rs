//! The library's errors as the exceptions of `agcfix.errors`, one class a kind, with path, cause and remedy as attributes.

use agcfix::Error;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::path::Path;

/// Turns an error into the exception of its kind.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failed| failed)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let classes = py.import("agcfix.errors")?;
    let class = |name: &str| Ok::<_, PyErr>(classes.getattr(name)?.cast_into::<PyType>()?);
    let message = error.to_string();
    let (name, path, cause, remedy): (&str, Option<&Path>, Option<&str>, Option<&str>) = match error {
        Error::Io { path, source } => {
            // As the system's own errors: number, text, file name.
            let number = source.raw_os_error();
            let told = source.to_string();
            return Ok(PyErr::from_value(class("IoError")?.call1((number, told, path.as_os_str()))?));
        }
        Error::Malformed { path, cause, remedy } => ("MalformedError", Some(path), Some(cause), Some(remedy)),
        Error::Unsupported { path, what, remedy } => ("UnsupportedError", Some(path), Some(what), Some(remedy)),
        Error::Limit { path, what, remedy } => ("LimitError", Some(path), Some(what), Some(remedy)),
        Error::Invalid { cause, remedy, .. } => ("InvalidError", None, Some(cause), Some(remedy)),
        Error::Cancelled => ("CancelledError", None, None, None),
        _ => ("Error", None, None, None),
    };
    let value = class(name)?.call1((message,))?;
    value.setattr("path", path.map(|path| path.to_string_lossy()))?;
    value.setattr("cause", cause)?;
    value.setattr("remedy", remedy)?;
    Ok(PyErr::from_value(value))
}

/// A mistake of the caller's that the library does not get to see.
pub fn invalid(py: Python<'_>, what: &str, cause: String, remedy: &str) -> PyErr {
    raised(py, &Error::Invalid { what: what.to_owned(), cause, remedy: remedy.to_owned() })
}
