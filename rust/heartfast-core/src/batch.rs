//! Many recordings into many pictures, on all cores. The only place that knows threads.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::config::SpectrogramConfig;
use crate::error::{Error, Result};
use crate::pipeline::{Converter, Recording};

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
    pub cancel: AtomicBool,
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
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    results.lock().unwrap_or_else(|e| e.into_inner()).resize_with(tasks.len(), || None);
    let work = || {
        let mut worker = Worker::new(config)?;
        while !monitor.cancel.load(Ordering::Relaxed) {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(i) else { break };
            let outcome = worker.convert_guarded(task, monitor, config);
            if matches!(outcome, Err(Error::Cancelled)) {
                break;
            }
            monitor.failed.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
            // A panic is caught above and cannot happen while the lock is held.
            results.lock().unwrap_or_else(|e| e.into_inner())[i] = Some(outcome);
            monitor.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let threads = threads.clamp(1, tasks.len().max(1));
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            // Where the system gives no more threads, those that there are do all the work.
            .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mine = work();
        others.into_iter().map(|t| t.join().unwrap_or(Ok(()))).fold(mine, Result::and)
    })?;
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
    fn convert_guarded(
        &mut self,
        task: &Task,
        monitor: &Monitor,
        config: &'a SpectrogramConfig,
    ) -> Result<Converted> {
        catch_unwind(AssertUnwindSafe(|| self.convert(task, &monitor.cancel))).unwrap_or_else(
            |panic| {
                *self = Self::new(config)?;
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(Error::Panic(text.unwrap_or("a panic without a message").to_owned()))
            },
        )
    }

    fn convert(&mut self, task: &Task, cancel: &AtomicBool) -> Result<Converted> {
        read_file(&task.recording, &mut self.recording)?;
        let recording = self.converter.convert(&self.recording, &mut self.picture, cancel)?;
        write_file(&task.picture, &self.picture)?;
        let sha256 = Sha256::digest(&self.recording).into();
        Ok(Converted { recording, sha256 })
    }
}

/// The whole file, into a buffer whose memory is used again.
///
/// # Errors
/// [`Error::Io`]. A pipe or a device, which may have no end, is not read.
pub fn read_file(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let message = "expected a file, found a pipe, a socket or a device";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
    }
    // A folder gives the system's own error.
    File::open(path)?.read_to_end(bytes)?;
    Ok(())
}

/// Writes under another name first, so that no half of a picture is ever seen under its own.
/// The other name is short: the picture's own may be as long as the file system allows.
fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{}-{number}.part", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    Ok(written?)
}
