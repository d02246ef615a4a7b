//! `convert`: a batch of files; and the archives that they may be in.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heartfast_core::batch::{Converted, Form, Job, Monitor, Origin, Segment, Task, run};
use heartfast_core::limits;
use heartfast_core::png::Preset;
use heartfast_core::{Cancel, Error, archive};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::config::SpectrogramConfig;
use crate::errors::raise_for;
use crate::interrupt;

/// A ZIP or tar that is read in place; its members are known by their place in its list.
#[pyclass(frozen, module = "heartfast._core")]
pub(crate) struct Archive(Arc<archive::Archive>);

/// The archive and its members' names, or None if the file is no ZIP or tar or cannot be opened.
#[pyfunction]
pub(crate) fn open_archive(
    py: Python<'_>,
    path: PathBuf,
    limits: Limits,
) -> PyResult<Option<(Archive, Vec<OsString>)>> {
    let cancel = Cancel::new();
    let limits = limits.into();
    let work = || archive::Archive::open(&path, &limits, &cancel);
    let opened = interrupt::run(py, &cancel, |_| Ok(()), work)?;
    let opened = opened.map_err(|e| raise_for(py, e, Some(&path)))?;
    Ok(opened.map(|(archive, names)| (Archive(Arc::new(archive)), names)))
}

/// A path, or a member of an archive.
#[derive(FromPyObject)]
pub(crate) enum Recording {
    File(PathBuf),
    Member((Py<Archive>, usize)),
}

/// The fields of `heartfast.Limits`.
#[derive(FromPyObject)]
pub(crate) struct Limits {
    max_channels: u32,
    max_sample_rate: u32,
    max_duration_s: f64,
    max_image_pixels: u64,
    max_archive_ratio: f64,
    max_archive_members: u64,
}

impl From<Limits> for limits::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            max_channels: limits.max_channels,
            max_sample_rate: limits.max_sample_rate,
            max_duration_s: limits.max_duration_s,
            max_image_pixels: limits.max_image_pixels,
            max_archive_ratio: limits.max_archive_ratio,
            max_archive_members: limits.max_archive_members,
        }
    }
}

type Failure = (&'static str, String);

/// (sample rate, seconds, SHA-256) of a converted recording, (kind, message) of an error, or
/// (sample rate, segments, SHA-256, error) of one that was cut, its segments (milliseconds where
/// they begin, seconds).
#[derive(IntoPyObject)]
enum Outcome {
    Converted((u32, f64, String)),
    Failed(Failure),
    Cut((u32, Vec<(u64, f64)>, String, Option<Failure>)),
}

/// Converts (recording, picture) pairs into `folder`; `progress` gets (done, failed) now and then.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    tasks: Vec<(Recording, PathBuf)>,
    folder: PathBuf,
    to: &str,
    png: &str,
    config: &SpectrogramConfig,
    segment_s: Option<f64>,
    limits: Limits,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let form = match to {
        "dir" => Form::Folder,
        "zip" => Form::Zip,
        "tar" => Form::Tar,
        _ => {
            let expected = "dir, zip or tar".to_owned();
            let error = Error::Value { field: "to", expected, found: format!("{to:?}") };
            return Err(raise_for(py, error, None));
        }
    };
    let tasks: Vec<Task> = tasks
        .into_iter()
        .map(|(recording, picture)| {
            let recording = match recording {
                Recording::File(path) => Origin::File(path),
                Recording::Member((archive, member)) => {
                    Origin::Member(Arc::clone(&archive.get().0), member)
                }
            };
            Task { recording, picture }
        })
        .collect();
    let png = Preset::from_name(png).map_err(|e| raise_for(py, e, None))?;
    let (config, limits) = (config.core.clone(), limits.into());
    let job = Job { config, png, segment_s, folder, form, limits, threads };
    let monitor = Monitor::default();
    let report = |py: Python<'_>| match &progress {
        Some(progress) => {
            let count =
                (monitor.done.load(Ordering::Relaxed), monitor.failed.load(Ordering::Relaxed));
            progress.call1(py, count).map(drop)
        }
        None => Ok(()),
    };
    let work = || run(&tasks, &job, &monitor);
    let results = interrupt::run(py, &monitor.cancel, report, work)?.map_err(|e| {
        let folder = matches!(e, Error::Write(_)).then_some(job.folder.as_path());
        raise_for(py, e, folder)
    })?;
    report(py)?;
    PyList::new(py, results.into_iter().map(|result| result.map(outcome)))
}

fn outcome(result: Result<Converted, Error>) -> Outcome {
    let failure = |error: Error| (error.kind(), error.to_string());
    match result {
        Err(error) => Outcome::Failed(failure(error)),
        Ok(Converted { recording, sha256, segments, error }) => {
            let sha256 = sha256.map_or_else(String::new, |digest| hex(&digest));
            if segments.is_empty() {
                return Outcome::Converted((recording.sample_rate, recording.duration_s, sha256));
            }
            let row = |segment: Segment| (segment.start_ms, segment.duration_s);
            let segments = segments.into_iter().map(row).collect();
            Outcome::Cut((recording.sample_rate, segments, sha256, error.map(failure)))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
