//! Many recordings into many pictures, on all cores.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::cancel::{Cancel, STRIDE};
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result, panic_text};
use crate::memory::reserve;
use crate::pipeline::{Converter, Recording};
use crate::threads::{lock, share};

/// Bytes that are read, hashed or written between two looks at a [`Cancel`].
const IO_STRIDE: usize = 16 * STRIDE;

/// One recording and the place of its picture, whose folder exists.
#[derive(Debug, Clone)]
pub struct Task {
    /// The recording's file.
    pub recording: PathBuf,
    /// The PNG to write.
    pub picture: PathBuf,
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Converted {
    /// Its rate and length.
    pub recording: Recording,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// A running batch, seen from another thread.
#[derive(Debug, Default)]
pub struct Monitor {
    /// Recordings finished, failed ones included.
    pub done: AtomicUsize,
    /// Recordings failed.
    pub failed: AtomicUsize,
    /// Set to stop: what is in hand is dropped, no further recording is begun.
    pub cancel: Cancel,
}

/// Converts all tasks on `threads` threads. Entry `i` is what became of task `i`: `None` if the
/// batch was cancelled before it. The pictures do not depend on the number of threads.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`]; a failed recording is only its own entry's error.
pub fn run(
    tasks: &[Task],
    config: &SpectrogramConfig,
    threads: usize,
    monitor: &Monitor,
) -> Result<Vec<Option<Result<Converted>>>> {
    config.validate()?;
    let results = Mutex::new(Vec::new());
    lock(&results).resize_with(tasks.len(), || None);
    let work = |worker: &mut Worker<'_>, (i, task): (usize, &Task)| {
        monitor.cancel.check()?;
        let outcome = worker.convert_guarded(task, &monitor.cancel);
        if matches!(outcome, Err(Error::Cancelled)) {
            return outcome.map(drop);
        }
        monitor.failed.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
        lock(&results)[i] = Some(outcome);
        monitor.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let threads = threads.min(tasks.len());
    // A thread's own end is not the others': what there is, counts.
    let _ = share(tasks.iter().enumerate(), threads, || Worker::new(config), work);
    Ok(results.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// One thread's converter and buffers.
struct Worker<'a> {
    converter: Converter<'a>,
    recording: Vec<u8>,
    picture: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(config: &'a SpectrogramConfig) -> Result<Self> {
        let converter = Converter::new(config)?;
        Ok(Self { converter, recording: Vec::new(), picture: Vec::new() })
    }

    /// [`Worker::convert`], with a panic (of a decoder, most likely) as that file's error.
    fn convert_guarded(&mut self, task: &Task, cancel: &Cancel) -> Result<Converted> {
        let converted = catch_unwind(AssertUnwindSafe(|| self.convert(task, cancel)));
        converted.unwrap_or_else(|panic| {
            *self = Self::new(self.converter.config())?;
            Err(Error::Panic(panic_text(&*panic)))
        })
    }

    fn convert(&mut self, task: &Task, cancel: &Cancel) -> Result<Converted> {
        read_file(&task.recording, &mut self.recording, cancel)?;
        let recording = self.converter.convert(&self.recording, &mut self.picture, cancel)?;
        let mut sha256 = Sha256::new();
        for part in self.recording.chunks(IO_STRIDE) {
            cancel.check()?;
            sha256.update(part);
        }
        write_file(&task.picture, &self.picture, cancel)?;
        Ok(Converted { recording, sha256: sha256.finalize().into() })
    }
}

/// The whole file, into a buffer whose memory is used again.
///
/// # Errors
/// [`Error::Read`], [`Error::Decode`] if it does not fit into memory, [`Error::Cancelled`] soon
/// after `cancel` is set. A pipe or a device, which may have no end, is not read.
pub fn read_file(path: &Path, bytes: &mut Vec<u8>, cancel: &Cancel) -> Result<()> {
    bytes.clear();
    let known = fs::metadata(path).map_err(Error::Read)?;
    if known.is_dir() {
        return Err(Error::Read(io::ErrorKind::IsADirectory.into()));
    }
    if !known.is_file() {
        let message = "a pipe, a socket or a device";
        return Err(Error::Read(io::Error::new(io::ErrorKind::InvalidInput, message)));
    }
    let mut file = File::open(path).map_err(Error::Read)?;
    // One byte more: a buffer that is just full would be doubled to find the end of the file.
    reserve(bytes, known.len() as usize + 1)?;
    while (&mut file).take(IO_STRIDE as u64).read_to_end(bytes).map_err(Error::Read)? > 0 {
        cancel.check()?;
    }
    Ok(())
}

/// Writes under another name first, so that no half of a picture is ever seen under its own.
/// The other name is short: the picture's own may be as long as the file system allows.
pub(crate) fn write_file(path: &Path, bytes: &[u8], cancel: &Cancel) -> Result<()> {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{}-{number}.part", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary).map_err(Error::Write)?;
        for part in bytes.chunks(IO_STRIDE) {
            cancel.check()?;
            file.write_all(part).map_err(Error::Write)?;
        }
        fs::rename(&temporary, path).map_err(Error::Write)
    };
    let written = write();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}
