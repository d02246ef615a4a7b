//! `convert_batch`: recordings and pictures in memory.

use std::path::Path;
use std::sync::Arc;

use heartfast_core::batch::Monitor;
use heartfast_core::in_memory::{Drawing, draw_all};
use heartfast_core::png::Preset;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use crate::batch::Limits;
use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;

/// PNG or None, sample rate, seconds, and the kind of a failure and what it says or None.
type Drawn<'py> = (Option<Bound<'py, PyBytes>>, u32, f64, Option<(&'static str, String)>);

/// The pictures of recordings, each all bytes of a file, given with their names.
#[pyfunction]
pub(crate) fn convert_bytes<'py>(
    py: Python<'py>,
    recordings: Vec<PyBackedBytes>,
    names: Vec<PyBackedStr>,
    config: &SpectrogramConfig,
    png: &str,
    limits: Limits,
    threads: usize,
) -> PyResult<Vec<Drawn<'py>>> {
    let png = Preset::from_name(png).map_err(|e| raise(py, e))?;
    let (config, limits) = (config.core.clone(), limits.into());
    // As a figure of the file has it.
    let stem = |name: &'_ PyBackedStr| {
        Path::new(&**name).file_stem().map_or_else(String::new, |s| s.to_string_lossy().into())
    };
    let titles: Vec<String> = names.iter().map(stem).collect();
    let monitor = Arc::new(Monitor::default());
    let apart = Arc::clone(&monitor);
    let work = move || {
        let drawing = Drawing { config: &config, png, limits, threads };
        let given: Vec<(&[u8], &str)> =
            recordings.iter().zip(&titles).map(|(bytes, title)| (&**bytes, &**title)).collect();
        draw_all(&given, &drawing, &apart)
    };
    let drawn = interrupt::run_apart(py, None, &monitor.cancel, |_| Ok(()), work)?
        .map_err(|e| raise(py, e))?;
    let row = |one: heartfast_core::in_memory::Drawn| match one {
        Ok((picture, known)) => {
            (Some(PyBytes::new(py, &picture)), known.sample_rate, known.duration_s, None)
        }
        Err(error) => (None, 0, 0.0, Some((error.kind(), error.to_string()))),
    };
    Ok(drawn.into_iter().map(row).collect())
}
