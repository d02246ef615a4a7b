//! `convert`: a batch of files.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use heartfast_core::batch::{Converted, Monitor, Task, run};
use pyo3::prelude::*;

use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;

/// (sample rate, seconds, SHA-256) of a converted recording, or (kind, message) of an error.
#[derive(IntoPyObject)]
enum Outcome {
    Converted((u32, f64, String)),
    Failed((&'static str, String)),
}

/// Converts (recording, picture) pairs of paths; `progress` gets (done, failed) now and then.
#[pyfunction]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    tasks: Vec<(PathBuf, PathBuf)>,
    config: &SpectrogramConfig,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let tasks: Vec<Task> =
        tasks.into_iter().map(|(recording, picture)| Task { recording, picture }).collect();
    let monitor = Monitor::default();
    let report = |py: Python<'_>| match &progress {
        Some(progress) => {
            let count =
                (monitor.done.load(Ordering::Relaxed), monitor.failed.load(Ordering::Relaxed));
            progress.call1(py, count).map(drop)
        }
        None => Ok(()),
    };
    let work = || run(&tasks, &config.core, threads, &monitor);
    let results = interrupt::run(py, &monitor.cancel, report, work)?.map_err(|e| raise(py, e))?;
    report(py)?;
    let outcomes: Vec<Option<Outcome>> = results
        .into_iter()
        .map(|result| {
            result.map(|result| match result {
                Ok(Converted { recording, sha256 }) => {
                    let hex = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
                    Outcome::Converted((recording.sample_rate, recording.duration_s, hex))
                }
                Err(error) => Outcome::Failed((error.kind(), error.to_string())),
            })
        })
        .collect();
    Ok(outcomes.into_pyobject(py)?.into_any())
}
