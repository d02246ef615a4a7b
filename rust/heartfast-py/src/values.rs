//! Python values of a configuration's fields, or errors that name the field.

use heartfast_core::window::Window;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors::usage;

/// What `window` takes, in the words of an error message.
pub(crate) const WINDOW: &str = "a name or (\"gaussian\", std)";

pub(crate) enum WindowArg {
    Name(String),
    Parameter(String, f64),
}

impl<'py> FromPyObject<'_, 'py> for WindowArg {
    type Error = PyErr;

    fn extract(window: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(name) = window.extract() {
            return Ok(Self::Name(name));
        }
        match as_tuple(&window).extract() {
            Ok((name, std)) => Ok(Self::Parameter(name, std)),
            Err(_) => Err(wrong("window", WINDOW, &window)),
        }
    }
}

impl WindowArg {
    pub(crate) fn parse(self) -> heartfast_core::Result<Window> {
        match self {
            Self::Name(name) => Window::from_name(&name),
            Self::Parameter(name, std) if name == "gaussian" => Window::gaussian_std(std),
            Self::Parameter(name, _) => Window::from_name(&format!("({name}, parameter)")),
        }
    }
}

/// JSON has no tuples: a list counts as one.
pub(crate) fn as_tuple<'py>(value: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    match value.cast::<PyList>() {
        Ok(list) => list.to_tuple().into_any(),
        Err(_) => value.clone(),
    }
}

pub(crate) fn wrong(field: &str, expected: &str, found: &Bound<'_, PyAny>) -> PyErr {
    let found = found.repr().map_or_else(|_| found.get_type().to_string(), |r| r.to_string());
    PyTypeError::new_err(format!("{field}: expected {expected}, found {found}"))
}

/// A value of another type, or an error that names it.
pub(crate) fn convert<'py, T: FromPyObjectOwned<'py>>(
    field: &str,
    expected: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<T> {
    value.extract().map_err(Into::into).map_err(|e: PyErr| {
        let error = wrong(field, expected, value);
        if e.is_instance_of::<PyOverflowError>(value.py()) {
            usage(error.value(value.py()).to_string())
        } else {
            error
        }
    })
}
