//! `stage_times`: where the time of a conversion goes.

use std::path::PathBuf;

use heartfast_core::Cancel;
use heartfast_core::batch::Origin;
use heartfast_core::stages::{self, STAGES};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;

/// Seconds of each stage for (recording, picture) pairs of paths, one thread, by name.
#[pyfunction]
pub(crate) fn stage_times<'py>(
    py: Python<'py>,
    tasks: Vec<(PathBuf, PathBuf)>,
    config: &SpectrogramConfig,
    passes: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let tasks: Vec<(Origin, PathBuf)> =
        tasks.into_iter().map(|(recording, picture)| (Origin::File(recording), picture)).collect();
    let cancel = Cancel::new();
    let work = || stages::stage_times(&tasks, &config.core, passes, &cancel);
    let times = interrupt::run(py, &cancel, |_| Ok(()), work)?.map_err(|e| raise(py, e))?;
    let by_name = PyDict::new(py);
    for (stage, time) in STAGES.into_iter().zip(times) {
        by_name.set_item(stage, time.as_secs_f64())?;
    }
    Ok(by_name)
}
