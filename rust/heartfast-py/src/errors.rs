//! The core's errors as Python exceptions.

use std::path::Path;

use heartfast_core::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError};
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
        Error::Read(ref e) | Error::Write(ref e) => match (errno(e), path) {
            // Python chooses the subclass (FileNotFoundError...) by the number. The path is a
            // string, as Python's own `open` has it.
            (Some(errno), Some(path)) => {
                PyOSError::new_err((errno, error.to_string(), path.as_os_str().to_owned()))
            }
            _ => PyOSError::new_err(message),
        },
        Error::File { error, path } => {
            let text = error.to_string();
            match error.raw_os_error() {
                Some(number) => {
                    // Python has the number beside it.
                    let text = text.trim_end_matches(&format!(" (os error {number})")).to_owned();
                    PyOSError::new_err((number, text, path.into_os_string()))
                }
                None => PyOSError::new_err(format!("{}: {text}", path.display())),
            }
        }
        Error::Settings(_) => ours(py, "ConfigMismatchError", message),
        Error::Value { .. } => ours(py, "UsageError", message),
        Error::Panic(_) => PyRuntimeError::new_err(message),
        Error::Cancelled => PyKeyboardInterrupt::new_err(message),
        Error::Decode { .. } | Error::Limit { .. } => ours(py, "DecodeError", message),
        Error::Unsupported { .. } => ours(py, "UnsupportedFormatError", message),
        Error::Encode { .. } => ours(py, "EncodeError", message),
    }
}

fn errno(error: &std::io::Error) -> Option<i32> {
    const EISDIR: i32 = 21;
    let folder = error.kind() == std::io::ErrorKind::IsADirectory;
    error.raw_os_error().or(folder.then_some(EISDIR))
}

/// The exception for an argument that is not taken.
pub(crate) fn usage(message: impl Into<String>) -> PyErr {
    Python::attach(|py| ours(py, "UsageError", message.into()))
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
