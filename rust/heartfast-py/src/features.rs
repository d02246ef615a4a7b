//! Features of pictures.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use heartfast_core::Cancel;
use heartfast_core::batch::{Monitor, Origin};
use heartfast_core::description::describe_all;
use heartfast_core::features::{self, Extractor, Scale};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::batch::{Limits, Recording, reporter};
use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;

thread_local! {
    static EXTRACTOR: RefCell<Extractor> = RefCell::default();
}

/// The features of a C-contiguous uint8 array (height, width), and what it stands for.
#[pyfunction]
pub(crate) fn describe<'py>(
    py: Python<'py>,
    levels: PyReadonlyArray2<'py, u8>,
    bottom_hz: f64,
    top_hz: f64,
    range_db: f64,
    seconds_per_column: f64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let shape = (levels.shape()[0], levels.shape()[1]);
    let scale = Scale { bottom_hz, top_hz, range_db, seconds_per_column };
    let levels = levels.as_slice()?;
    let cancel = Cancel::new();
    let features = interrupt::run_on(py, levels.len(), &cancel, || {
        EXTRACTOR.with_borrow_mut(|extractor| extractor.describe(levels, shape, &scale, &cancel))
    })?
    .map_err(|e| raise(py, e))?;
    Ok(PyArray1::from_vec(py, features))
}

/// Every feature's name by family, in the order of `describe`.
#[pyfunction]
pub(crate) fn feature_families() -> [(&'static str, Vec<String>); 10] {
    features::families()
}

/// Features (n, features), and what is wrong with each of n recordings or None.
type Described<'py> = (Bound<'py, PyArray2<f64>>, Vec<Option<String>>);

/// The features of recordings, given with what the caller calls them; `progress` gets (done, failed) now and then.
#[pyfunction]
pub(crate) fn describe_recordings<'py>(
    py: Python<'py>,
    recordings: Vec<(Recording, PathBuf)>,
    config: &SpectrogramConfig,
    limits: Limits,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Described<'py>> {
    let recordings: Vec<(Origin, PathBuf)> =
        recordings.into_iter().map(|(recording, named)| (recording.into(), named)).collect();
    let monitor = Arc::new(Monitor::default());
    let report = reporter(&monitor, progress.as_ref());
    let shape = [recordings.len(), features::count()];
    let (apart, config) = (Arc::clone(&monitor), config.core.clone());
    let work = move || describe_all(&recordings, &config, limits.into(), threads, &apart);
    let found =
        interrupt::run_apart(py, None, &monitor.cancel, report, work)?.map_err(|e| raise(py, e))?;
    report(py)?;
    Ok((PyArray1::from_vec(py, found.rows).reshape(shape)?, found.failures))
}
