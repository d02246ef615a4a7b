//! The core's errors as Python exceptions.

use std::path::Path;

use heartfast_core::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception for an error that has to do with no file.
pub(crate) fn raise(py: Python<'_>, error: Error) -> PyErr {
    raise_for(py, error, None)
}

/// The exception for an error with this file.
pub(crate) fn raise_for(py: Python<'_>, error: Error, path: Option<&Path>) -> PyErr {
    let message = match path {
        Some(path) => format!("{}: {error}", path.display()),
        None => error.to_string(),
    };
    match error {
        Error::Io(e) => match (e.raw_os_error(), path) {
            (Some(errno), Some(path)) => {
                // Python chooses the subclass (FileNotFoundError...) by the number.
                let text = e.to_string();
                let text = text.split(" (os error").next().unwrap_or_default().to_owned();
                // As a string, as Python's own `open` has it.
                PyOSError::new_err((errno, text, path.as_os_str().to_owned()))
            }
            _ => PyOSError::new_err(message),
        },
        Error::Value { .. } => PyValueError::new_err(message),
        Error::Panic(_) => PyRuntimeError::new_err(message),
        Error::Cancelled => PyKeyboardInterrupt::new_err(message),
        Error::Decode { .. } => ours(py, "DecodeError", message),
        Error::Unsupported { .. } => ours(py, "UnsupportedFormatError", message),
        Error::Encode { .. } => ours(py, "EncodeError", message),
    }
}

/// An exception of `heartfast.errors`.
fn ours(py: Python<'_>, name: &str, message: String) -> PyErr {
    let class = py
        .import("heartfast.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| Ok(class.cast_into::<PyType>()?));
    match class {
        Ok(class) => PyErr::from_type(class, message),
        Err(error) => error,
    }
}
