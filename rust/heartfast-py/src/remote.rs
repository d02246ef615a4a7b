//! Recordings that Python reads, from an object store for example.

use std::io;
use std::sync::Arc;

use heartfast_core::batch::ReadAt;
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyPermissionError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A function (start, length) that gives so many bytes, or what there is of them.
#[derive(Debug)]
pub(crate) struct Reader(Py<PyAny>);

impl Reader {
    pub(crate) fn shared(function: Py<PyAny>) -> Arc<dyn ReadAt> {
        Arc::new(Self(function))
    }
}

impl ReadAt for Reader {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let failed = |error: PyErr| as_io(py, &error);
            let got = self.0.bind(py).call1((at, buffer.len())).map_err(failed)?;
            let got = got.cast::<PyBytes>().map_err(|e| failed(e.into()))?.as_bytes();
            let n = got.len();
            if n > buffer.len() {
                let message = format!("{n} bytes where {} were asked for", buffer.len());
                return Err(io::Error::other(message));
            }
            buffer[..n].copy_from_slice(got);
            Ok(n)
        })
    }
}

/// What an exception says, on one line.
fn as_io(py: Python<'_>, error: &PyErr) -> io::Error {
    let kind = if error.is_instance_of::<PyFileNotFoundError>(py) {
        io::ErrorKind::NotFound
    } else if error.is_instance_of::<PyPermissionError>(py) {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    };
    let value = error.value(py);
    let said = match error.is_instance_of::<PyOSError>(py) {
        // Without the number and the name, which stand elsewhere.
        true => value.getattr("strerror").ok().filter(|text| !text.is_none()),
        false => None,
    };
    let text = said.map_or_else(|| value.to_string(), |text| text.to_string());
    io::Error::new(kind, text.replace('\n', " "))
}
