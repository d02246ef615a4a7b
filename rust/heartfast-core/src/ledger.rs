//! What became of every recording: written down as the work goes on, so that a run that was killed
//! is continued, and read back for the tables at its end.

mod resume;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::batch::Monitor;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::lines::Lines;
use crate::manifest::{self, Entry, Place};
use crate::sink::{Directory, Form, Storage, replace, sync_folder};
use crate::source::{Extent, ReadAt, require_file};
use crate::tables::{self, Rows, Totals};
use crate::tasks::Tasks;
use crate::threads::lock;

/// The manifest's name. While a run goes on, it has its lines in the order in which recordings
/// were finished.
pub const MANIFEST: &str = "manifest.jsonl";
/// How much may be lost with the process: these lines are done once more.
const INTERVAL: Duration = Duration::from_millis(200);

/// What became of the recordings of a run. In memory there is only where that is written.
pub(crate) struct Ledger<'t> {
    tasks: &'t Tasks,
    folder: &'t Path,
    header: &'t str,
    storage: Storage,
    /// To read back from.
    manifest: Extent,
    /// Recordings that are no longer among the tasks, and where their lines begin.
    others: Tasks,
    other_lines: Vec<u64>,
    state: Mutex<State>,
    /// Where the archives go on, and the members of the ZIP in hand.
    place: Place,
    members: Directory,
    /// What a user should know.
    notes: Vec<String>,
}

struct State {
    /// Where the line of each task begins, or 0 if it has none yet: the manifest begins with
    /// its header.
    begins: Vec<u64>,
    /// Those that an earlier run has made, and that nobody has looked after yet.
    known: Vec<bool>,
    /// Pictures of theirs that may be told of by nothing any more.
    left: Vec<PathBuf>,
    journal: File,
    /// Bytes of the journal, with those that are not in it yet.
    length: u64,
    /// Lines that are not in the journal yet, and folders whose names are to outlive a power
    /// failure before they are.
    lines: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    written: Instant,
    broken: Option<io::Error>,
}

impl<'t> Ledger<'t> {
    /// Opens the manifest in the job's folder, or begins it with the line `header`.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or written, or another run is at work on it;
    /// [`Error::Cancelled`].
    pub(crate) fn open(tasks: &'t Tasks, job: &'t Job, monitor: &Monitor) -> Result<Self> {
        let Job { folder, header, storage, .. } = job;
        let path = folder.join(MANIFEST);
        let failed = |error| Error::File { path: path.clone(), error };
        let begun = path.exists();
        if !begun {
            let first = |file: &mut File| writeln!(file, "{header}").map_err(Error::Write);
            replace(&path, storage.fsync, first).map_err(|e| e.with_path(&path))?;
        }
        let journal = open_journal(&path).map_err(failed)?;
        let file: Arc<dyn ReadAt> = Arc::new(journal.try_clone().map_err(failed)?);
        let state = State {
            begins: vec![0; tasks.len()],
            known: vec![false; tasks.len()],
            left: Vec::new(),
            journal,
            length: header.len() as u64 + 1,
            lines: Vec::new(),
            folders: BTreeSet::new(),
            written: Instant::now(),
            broken: None,
        };
        let mut ledger = Self {
            tasks,
            folder,
            header,
            storage: *storage,
            manifest: Extent { file, start: 0, length: u64::MAX },
            others: Tasks::default(),
            other_lines: Vec::new(),
            state: Mutex::new(state),
            place: Place::default(),
            members: Directory::default(),
            notes: Vec::new(),
        };
        if begun {
            let placed = ledger.read(monitor)?;
            if storage.form != Form::Folder {
                ledger.check_archives(placed, job.check, monitor)?;
            }
            ledger.sweep();
        }
        Ok(ledger)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(MANIFEST)
    }

    fn failed(&self) -> impl Fn(io::Error) -> Error + use<> {
        let path = self.path();
        move |error| Error::File { path: path.clone(), error }
    }

    /// Where the archives go on, and the members of the ZIP in hand.
    pub(crate) fn place(&mut self) -> (Place, Directory) {
        (self.place, std::mem::take(&mut self.members))
    }

    /// What a user should know.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The entry that an earlier run has made for a task, once.
    pub(crate) fn known(&self, turn: usize) -> Option<Entry> {
        let mut state = lock(&self.state);
        if !std::mem::take(&mut state.known[turn]) {
            return None;
        }
        let begin = state.begins[turn];
        drop(state);
        Lines::of(&self.manifest).entry(begin).ok().map(|(_, entry)| entry.clone())
    }

    /// Keeps an entry. It is written down with the next ones, after `before`.
    pub(crate) fn put(&self, turn: usize, entry: &Entry, before: impl FnOnce() -> io::Result<()>) {
        let subject = self.tasks.get(turn).subject;
        let mut state = lock(&self.state);
        let begin = state.length;
        let known = state.lines.len();
        manifest::write(&mut state.lines, &subject, entry);
        state.length += (state.lines.len() - known) as u64;
        if let Some(folder) = subject.file_name.parent()
            && self.storage.fsync
            && self.storage.form == Form::Folder
        {
            state.folders.insert(self.folder.join(folder));
        }
        let older = std::mem::replace(&mut state.begins[turn], begin);
        if older > 0 {
            match Lines::of(&self.manifest).entry(older) {
                Ok((_, older)) => state.left.extend(names_of(older)),
                Err(error) => state.broken = Some(error),
            }
        }
        if state.written.elapsed() >= INTERVAL {
            state.write(self.storage.fsync, before);
        }
    }

    /// Whether nothing can be written down any more, for a reason that [`Ledger::flush`] tells.
    pub(crate) fn is_broken(&self) -> bool {
        lock(&self.state).broken.is_some()
    }

    /// Writes down what is not yet.
    ///
    /// # Errors
    /// [`Error::File`], also of an earlier time.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut state = lock(&self.state);
        state.write(self.storage.fsync, || Ok(()));
        match state.broken.take() {
            None => Ok(()),
            Some(error) => Err(self.failed()(error)),
        }
    }

    /// Puts the manifest into order, beside a table of the pictures and one of the errors: these
    /// are the same bytes however the work went.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn finish(self, tables: bool) -> Result<Totals> {
        self.flush()?;
        let (path, failed) = (self.path(), self.failed());
        let state = self.state.into_inner().unwrap_or_else(|e| e.into_inner());
        let mut begins = state.begins;
        begins.extend(&self.other_lines);
        let (tasks, others, manifest) = (self.tasks, &self.others, &self.manifest);
        let rows = Rows { tasks, others, begins, manifest, path: &path };
        rows.remove_left(self.folder, state.left)?;
        let fsync = self.storage.fsync;
        let (totals, pictures) = rows.survey()?;
        if tables {
            tables::write_metadata(self.folder, &rows, pictures, fsync)?;
            tables::write_errors(self.folder, &rows, &totals.failures, fsync)?;
        }
        // Last: as long as it is the journal, all of this is done once more.
        tables::write_manifest(self.header, &rows, fsync)?;
        if fsync {
            sync_folder(self.folder).map_err(failed)?;
        }
        Ok(totals)
    }
}

/// Opens a manifest to go on with it, unless another run does.
fn open_journal(path: &Path) -> io::Result<File> {
    require_file(&fs::metadata(path)?)?;
    let journal = OpenOptions::new().read(true).append(true).open(path)?;
    match journal.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let busy = "another run is at work in this folder";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, busy))
        }
        // A file system that knows no locks.
        Err(TryLockError::Error(_)) | Ok(()) => Ok(journal),
    }
}

impl State {
    fn write(&mut self, fsync: bool, before: impl FnOnce() -> io::Result<()>) {
        let write = || {
            before()?;
            for folder in std::mem::take(&mut self.folders) {
                sync_folder(&folder)?;
            }
            self.journal.write_all(&self.lines)?;
            if fsync { self.journal.sync_data() } else { Ok(()) }
        };
        if self.broken.is_none() {
            self.broken = write().err();
        }
        self.lines.clear();
        self.written = Instant::now();
    }
}

/// Its pictures whose names are not its task's.
fn names_of(entry: &Entry) -> impl Iterator<Item = PathBuf> {
    let named = entry.pictures.as_slice().iter();
    named.filter_map(|picture| picture.name.as_deref().map(Path::to_owned))
}
