//! `convert_batch`: recordings and pictures in memory.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use heartfast_core::batch::Monitor;
use heartfast_core::findings::Tally;
use heartfast_core::in_memory::{Drawing, draw_all};
use heartfast_core::png::Preset;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use crate::batch::{Limits, Remarks, remarks};
use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;

/// PNG or None, sample rate, seconds, and the kind of a failure and what it says or None.
type Drawn<'py> = (Option<Bound<'py, PyBytes>>, u32, f64, Option<(&'static str, String)>);

/// A row for each recording, what was odd, and notes.
type Rows<'py> = (Vec<Drawn<'py>>, Vec<Remarks>, Vec<String>);

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
) -> PyResult<Rows<'py>> {
    let png = Preset::from_name(png).map_err(|e| raise(py, e))?;
    let (config, limits) = (config.core.clone(), limits.into());
    // As a figure of the file has it.
    let stem = |name: &'_ PyBackedStr| {
        Path::new(&**name).file_stem().map_or_else(String::new, |s| s.to_string_lossy().into())
    };
    let titles: Vec<String> = names.iter().map(stem).collect();
    let monitor = Arc::new(Monitor::default());
    let (apart, drawn_by) = (Arc::clone(&monitor), config.clone());
    let work = move || {
        let drawing = Drawing { config: &drawn_by, png, limits, threads };
        let given: Vec<(&[u8], &str)> =
            recordings.iter().zip(&titles).map(|(bytes, title)| (&**bytes, &**title)).collect();
        draw_all(&given, &drawing, &apart)
    };
    let drawn = interrupt::run_apart(py, None, &monitor.cancel, |_| Ok(()), work)?
        .map_err(|e| raise(py, e))?;
    let mut tally = Tally::default();
    for (at, one) in drawn.iter().enumerate() {
        tally.add(at, one.as_ref().map_or(&[][..], |(_, _, remarks)| remarks));
    }
    let mut notes = monitor.notes(&config);
    let silenced: Vec<u64> =
        drawn.iter().flatten().map(|(_, known, _)| known.silenced).filter(|n| *n > 0).collect();
    if !silenced.is_empty() {
        notes.push(format!(
            "{} recordings have {} samples that are no finite numbers: they count as silence",
            silenced.len(),
            silenced.iter().sum::<u64>(),
        ));
    }
    let row = |one: heartfast_core::in_memory::Drawn| match one {
        Ok((picture, known, _)) => {
            (Some(PyBytes::new(py, &picture)), known.sample_rate, known.duration_s, None)
        }
        Err(error) => (None, 0, 0.0, Some((error.kind(), error.to_string()))),
    };
    let name = |at: usize| match &*names[at] {
        "" => format!("row {at}").into(),
        name => OsString::from(name),
    };
    Ok((drawn.into_iter().map(row).collect(), remarks(tally, name), notes))
}
