//! `convert`: a batch of files; and the archives that they may be in.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heartfast_core::batch::{
    Form, Job, Monitor, Origin, ReadAt, Stamp, Storage, Subject, Task, Tasks, run,
};
use heartfast_core::findings::{Count, Tally};
use heartfast_core::limits;
use heartfast_core::png::Preset;
use heartfast_core::{Cancel, Error, archive};
use pyo3::prelude::*;

use crate::config::SpectrogramConfig;
use crate::errors::raise_for;
use crate::figure::{Mark, intervals};
use crate::interrupt;
use crate::remote::Reader;
use crate::selection::Selection;

/// A ZIP or tar that is read in place; its members are known by their place in its list.
#[pyclass(frozen, module = "heartfast._core")]
pub(crate) struct Archive(Arc<archive::Archive>);

/// Where an archive is.
#[derive(FromPyObject)]
pub(crate) enum Place {
    File(PathBuf),
    Remote(Remote),
}

/// The archive and its members' names, or None if the file is no ZIP or tar or cannot be opened.
#[pyfunction]
pub(crate) fn open_archive(
    py: Python<'_>,
    place: Place,
    limits: Limits,
) -> PyResult<Option<(Archive, Vec<OsString>)>> {
    let cancel = Arc::new(Cancel::new());
    let limits = limits.into();
    let path = match &place {
        Place::File(path) => Some(path.clone()),
        Place::Remote(_) => None,
    };
    let apart = Arc::clone(&cancel);
    let work = move || match place {
        Place::File(path) => archive::Archive::open(&path, &limits, &apart),
        Place::Remote(given) => {
            let (reader, stamp) = remote(given);
            archive::Archive::open_remote(reader, stamp, &limits, &apart)
        }
    };
    let opened = interrupt::run_apart(py, None, &cancel, |_| Ok(()), work)?;
    let opened = opened.map_err(|e| raise_for(py, e, path.as_deref()))?;
    Ok(opened.map(|(archive, names)| (Archive(Arc::new(archive)), names)))
}

#[pymethods]
impl Archive {
    /// Bytes of a member, inflated.
    fn size(&self, member: usize) -> u64 {
        self.0.size(member)
    }
}

/// What Python reads: a function, the size, and when it was written to, in nanoseconds.
pub(crate) type Remote = (Py<PyAny>, u64, i64);

/// A path, a member of an archive, or what Python reads.
#[derive(FromPyObject)]
pub(crate) enum Recording {
    File(PathBuf),
    Member((Py<Archive>, usize)),
    Remote(Remote),
}

fn remote((function, size, mtime_ns): Remote) -> (Arc<dyn ReadAt>, Stamp) {
    (Reader::shared(function), Stamp { size, mtime_ns })
}

impl From<Recording> for Origin {
    fn from(recording: Recording) -> Self {
        match recording {
            Recording::File(path) => Self::File(path),
            Recording::Member((archive, member)) => {
                Self::Member(Arc::clone(&archive.get().0), member)
            }
            Recording::Remote(given) => {
                let (reader, stamp) = remote(given);
                Self::Remote(reader, stamp)
            }
        }
    }
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

/// What `heartfast.convert` asks for beyond the configuration.
#[derive(FromPyObject)]
pub(crate) struct Options {
    folder: PathBuf,
    header: String,
    to: String,
    shard_bytes: Option<u64>,
    fsync: bool,
    check: bool,
    overwrite: bool,
    prune: bool,
    png: String,
    selection: Selection,
    limits: Limits,
    max_errors: Option<u64>,
    threads: usize,
    intervals: HashMap<String, Vec<Mark>>,
}

/// A recording with what the caller calls it, its picture, label, group and source.
type Row = (Recording, PathBuf, PathBuf, OsString, OsString, OsString);

/// (path, kind, message, offset) of a recording that failed.
type Failure = (OsString, String, String, Option<u64>);

/// Remarks of one kind: (kind, how many recordings have one, the first of them, its text).
pub(crate) type Remarks = (String, usize, OsString, String);

/// Remarks by kind; `named` says what a recording is called.
pub(crate) fn remarks(tally: Tally, named: impl Fn(usize) -> OsString) -> Vec<Remarks> {
    let told = |Count { kind, recordings, first, text }| (kind, recordings, named(first), text);
    tally.0.into_iter().map(told).collect()
}

/// The recordings of a batch, for as long as somebody may ask what they were called.
#[pyclass(frozen, module = "heartfast._core")]
pub(crate) struct Recordings(Arc<Tasks>);

#[pymethods]
impl Recordings {
    /// What the caller called each, by its picture.
    fn named(&self) -> HashMap<OsString, OsString> {
        let names = |at| (self.0.file_name(at).into_owned(), self.0.named(at).into_owned());
        (0..self.0.len()).map(names).collect()
    }
}

/// What became of a batch.
#[derive(IntoPyObject)]
pub(crate) struct Outcome {
    recordings: Recordings,
    pictures: usize,
    duration_s: f64,
    failures: Vec<Failure>,
    finished: usize,
    known: usize,
    remade: usize,
    silenced: (usize, u64),
    remarks: Vec<Remarks>,
    interrupted: bool,
    too_many_errors: bool,
    notes: Vec<String>,
}

/// Calls Python's `progress` with how many are done and how many failed.
pub(crate) fn reporter<'a>(
    monitor: &'a Monitor,
    progress: Option<&'a Py<PyAny>>,
) -> impl Fn(Python<'_>) -> PyResult<()> + Copy + 'a {
    move |py| match progress {
        Some(progress) => {
            let count =
                (monitor.done.load(Ordering::Relaxed), monitor.failed.load(Ordering::Relaxed));
            progress.call1(py, count).map(drop)
        }
        None => Ok(()),
    }
}

/// Converts recordings, given row by row; `progress` gets (done, failed) now and then. A first Ctrl-C lets it finish
/// what is in hand, a second one raises.
#[pyfunction]
pub(crate) fn convert(
    py: Python<'_>,
    rows: &Bound<'_, PyAny>,
    config: &SpectrogramConfig,
    options: Options,
    progress: Option<Py<PyAny>>,
) -> PyResult<Outcome> {
    let raised = |e: Error| raise_for(py, e, None);
    let form = match options.to.as_str() {
        "dir" => Form::Folder,
        "zip" => Form::Zip,
        "tar" => Form::Tar,
        _ => {
            let (expected, found) = ("dir, zip or tar".to_owned(), format!("{:?}", options.to));
            return Err(raised(Error::Value { field: "to", expected, found }));
        }
    };
    // One by one: a list of them would stay in memory as long as the work goes on.
    let mut tasks = Tasks::default();
    for row in rows.try_iter()? {
        tasks.push(&task(row?.extract()?)?);
    }
    let tasks = Arc::new(tasks);
    let Options { folder, header, selection, max_errors, threads, .. } = options;
    let (shard_bytes, fsync) = (options.shard_bytes, options.fsync);
    let (check, overwrite, prune) = (options.check, options.overwrite, options.prune);
    let job = Job {
        config: config.core.clone(),
        png: Preset::from_name(&options.png).map_err(raised)?,
        selection: selection.core(py)?,
        folder,
        storage: Storage { form, shard_bytes, fsync },
        header,
        check,
        overwrite,
        prune,
        limits: options.limits.into(),
        max_errors,
        threads,
        intervals: options.intervals.into_iter().map(|(name, i)| (name, intervals(i))).collect(),
    };
    let monitor = Arc::new(Monitor::default());
    let report = reporter(&monitor, progress.as_ref());
    report(py)?; // that it begins
    let apart = (Arc::clone(&tasks), Arc::clone(&monitor));
    let work = move || run(&apart.0, &job, &apart.1);
    let outcome = interrupt::run_apart(py, Some(&monitor.stop), &monitor.cancel, report, work)?
        .map_err(raised)?;
    report(py)?;
    let totals = outcome.totals;
    let failures = totals.failures.into_iter().map(|(at, failure)| {
        (tasks.named(at).into_owned(), failure.kind, failure.message, failure.offset)
    });
    Ok(Outcome {
        pictures: totals.pictures,
        duration_s: totals.duration_s,
        failures: failures.collect(),
        finished: totals.finished,
        known: outcome.known,
        remade: outcome.remade,
        silenced: (totals.with_silenced, totals.silenced),
        remarks: remarks(totals.remarks, |at| tasks.named(at).into_owned()),
        interrupted: monitor.stop.is_requested(),
        too_many_errors: outcome.too_many_errors,
        notes: outcome.notes,
        recordings: Recordings(tasks),
    })
}

fn task((recording, named, file_name, label, group, source): Row) -> PyResult<Task> {
    // A URL is what it is.
    let path = match recording {
        Recording::Remote(_) => named.clone(),
        Recording::File(_) | Recording::Member(_) => absolute(&named)?,
    };
    Ok(Task {
        recording: recording.into(),
        named,
        subject: Subject { path, file_name, label, group, source },
    })
}
