//! Where pictures go: into a folder, or into one ZIP or tar in the order of the recordings,
//! whatever the threads. Either way nothing half-written is ever seen under its final name.

mod tar;
mod zip;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::source::IO_STRIDE;
use crate::threads::lock;

/// Pictures that wait for those before them take so many bytes at most, and one a thread.
const MOST_WAITING: usize = 16 << 20;
/// Bytes that are written to an archive at a time.
const BUFFER: usize = 1 << 18;
/// How often a thread that waits for its turn looks whether the work is cancelled.
const PATIENCE: Duration = Duration::from_millis(20);

/// What pictures are gathered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A file each.
    Folder,
    /// `pictures.zip`, in which they are stored.
    Zip,
    /// `pictures.tar`.
    Tar,
}

/// Takes pictures from several threads.
pub(crate) enum Sink {
    Folder(PathBuf),
    Archive(Box<Archive>),
}

impl Sink {
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn new(folder: &Path, form: Form) -> Result<Self> {
        let name = match form {
            Form::Folder => return Ok(Self::Folder(folder.to_owned())),
            Form::Zip => "pictures.zip",
            Form::Tar => "pictures.tar",
        };
        Ok(Self::Archive(Box::new(Archive::new(folder.join(name), form)?)))
    }

    /// Takes a picture of the task `turn` by its name, with "/", in a folder that exists.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Cancelled`] soon after `cancel` is set.
    pub(crate) fn put(&self, turn: usize, name: &Path, file: &[u8], cancel: &Cancel) -> Result<()> {
        match self {
            Self::Folder(folder) => write_file(&folder.join(name), file, cancel),
            Self::Archive(archive) => archive.put(turn, name, file, cancel),
        }
    }

    /// The task `turn` has no more pictures. Each is to be told of once.
    pub(crate) fn finish(&self, turn: usize) {
        if let Self::Archive(archive) = self {
            archive.finish(turn);
        }
    }

    /// Whether no further picture can be taken, for a reason that [`Sink::close`] tells.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Archive(archive) if archive.is_broken())
    }

    /// Gives an archive its name, now that it is complete.
    ///
    /// # Errors
    /// [`Error::Write`], also of an earlier picture.
    pub(crate) fn close(self) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Archive(archive) => archive.close(),
        }
    }
}

/// A name beside `path` for what is not complete. It is short: the picture's own may be as long
/// as the file system allows.
fn temporary(path: &Path) -> PathBuf {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let number = GIVEN.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{}-{number}.part", std::process::id()))
}

/// Writes under another name first, so that no half of a picture is ever seen under its own.
pub(crate) fn write_file(path: &Path, bytes: &[u8], cancel: &Cancel) -> Result<()> {
    let temporary = temporary(path);
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

/// One archive, into which the tasks write by turns.
pub(crate) struct Archive {
    path: PathBuf,
    temporary: PathBuf,
    queue: Mutex<Queue>,
    /// Told when the turn passes on.
    passed: Condvar,
}

struct Queue {
    /// The task whose pictures come now.
    turn: usize,
    /// Those of later ones.
    waiting: BTreeMap<usize, Ahead>,
    waiting_bytes: usize,
    output: Output,
    /// Why the archive cannot be completed.
    broken: Option<io::Error>,
}

/// What a task has got ready before its turn.
#[derive(Default)]
struct Ahead {
    pictures: Vec<(PathBuf, Vec<u8>)>,
    finished: bool,
}

enum Output {
    Zip(zip::Writer<BufWriter<File>>),
    Tar(tar::Writer<BufWriter<File>>),
}

impl Archive {
    fn new(path: PathBuf, form: Form) -> Result<Self> {
        let temporary = temporary(&path);
        let file = File::create_new(&temporary).map_err(Error::Write)?;
        let file = BufWriter::with_capacity(BUFFER, file);
        let output = match form {
            Form::Tar => Output::Tar(tar::Writer::new(file)),
            _ => Output::Zip(zip::Writer::new(file)),
        };
        let (waiting, waiting_bytes) = (BTreeMap::new(), 0);
        let queue = Queue { turn: 0, waiting, waiting_bytes, output, broken: None };
        Ok(Self { path, temporary, queue: Mutex::new(queue), passed: Condvar::new() })
    }

    fn put(&self, turn: usize, name: &Path, file: &[u8], cancel: &Cancel) -> Result<()> {
        let mut queue = lock(&self.queue);
        // The thread whose turn it is never waits here, so the others' turns come.
        while queue.turn != turn && queue.waiting_bytes + file.len() > MOST_WAITING {
            cancel.check()?;
            let waited = self.passed.wait_timeout(queue, PATIENCE);
            queue = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
        if queue.turn == turn {
            return queue.add(name, file);
        }
        queue.waiting_bytes += file.len();
        let ahead = queue.waiting.entry(turn).or_default();
        ahead.pictures.push((name.to_owned(), file.to_owned()));
        Ok(())
    }

    fn finish(&self, turn: usize) {
        let mut queue = lock(&self.queue);
        if queue.turn != turn {
            queue.waiting.entry(turn).or_default().finished = true;
            return;
        }
        let mut finished = true;
        while finished {
            queue.turn += 1;
            let next = queue.turn;
            let ahead = queue.waiting.remove(&next).unwrap_or_default();
            for (name, file) in ahead.pictures {
                queue.waiting_bytes -= file.len();
                // The queue keeps its error for `close`.
                let _ = queue.add(&name, &file);
            }
            finished = ahead.finished;
        }
        drop(queue);
        self.passed.notify_all();
    }

    fn is_broken(&self) -> bool {
        lock(&self.queue).broken.is_some()
    }

    fn close(&self) -> Result<()> {
        let mut queue = lock(&self.queue);
        if let Some(error) = queue.broken.take() {
            return Err(Error::Write(error));
        }
        let Queue { output, .. } = &mut *queue;
        let closed = match output {
            Output::Zip(writer) => writer.close(),
            Output::Tar(writer) => writer.close(),
        };
        closed.and_then(|()| fs::rename(&self.temporary, &self.path)).map_err(Error::Write)
    }
}

impl Queue {
    fn add(&mut self, name: &Path, file: &[u8]) -> Result<()> {
        if self.broken.is_none() {
            let name = name.as_os_str().as_encoded_bytes();
            let added = match &mut self.output {
                Output::Zip(writer) => writer.add(name, file),
                Output::Tar(writer) => writer.add(name, file),
            };
            self.broken = added.err();
        }
        match &self.broken {
            None => Ok(()),
            Some(e) => Err(Error::Write(io::Error::new(e.kind(), e.to_string()))),
        }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // Nothing, once it has its name.
        let _ = fs::remove_file(&self.temporary);
    }
}
