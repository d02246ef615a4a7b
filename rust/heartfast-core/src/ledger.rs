//! What became of every recording: written down as the work goes on, so that a run that was killed
//! is continued, and read back for the tables at its end.

mod archived;
mod journal;
mod overwrite;
mod resume;
mod standing;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::batch::Monitor;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::lines::Lines;
use crate::manifest::{self, Entry, Place, Subject};
use crate::sink::{Directory, Form, sync_folder};
use crate::source::{Extent, ReadAt};
use crate::tables::{self, Rows, Totals};
use crate::tasks::Tasks;
use crate::threads::lock;

pub(crate) use standing::{hash, stands};

/// The manifest's name. While a run goes on, it has its lines in the order in which recordings
/// were finished.
pub const MANIFEST: &str = "manifest.jsonl";
/// How much may be lost with the process: these lines are done once more.
const INTERVAL: Duration = Duration::from_millis(200);

/// What became of the recordings of a run. In memory there is only where that is written.
pub(crate) struct Ledger<'t> {
    tasks: &'t Tasks,
    job: &'t Job,
    /// Keeps other commands from the folder.
    _held: Option<File>,
    /// To read back from.
    manifest: Extent,
    /// Recordings that are no longer among the tasks.
    others: Tasks,
    /// SHA-256 of the recordings that are new, where somebody had to know.
    hashed: Option<HashMap<[u8; 32], usize>>,
    state: Mutex<State>,
    /// Where the archives go on, and the members of the ZIP in hand.
    place: Place,
    members: Directory,
    /// What a user should know.
    notes: Vec<String>,
}

/// What became of recordings that earlier runs have told of and that are no tasks.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Those found among the tasks under another name.
    moved: usize,
    /// Those that keep their rows.
    kept: usize,
    /// Those of them that are on no disk any more.
    gone: usize,
    /// Those whose pictures are removed because that was asked for.
    pruned: usize,
    /// Those whose picture's name another recording has now.
    replaced: usize,
}

struct State {
    /// Where the line of each task begins, or 0 if it has none yet: the manifest begins with
    /// its header.
    begins: Vec<u64>,
    /// Where the lines of the others begin, or 0 for those that were moved.
    other_lines: Vec<u64>,
    /// The others that are on no disk any more, by their SHA-256.
    gone: HashMap<[u8; 32], Vec<u32>>,
    counts: Counts,
    /// Those that an earlier run has made, and that nobody has looked after yet.
    known: Vec<bool>,
    /// Pictures of theirs that may be told of by nothing any more.
    left: Vec<PathBuf>,
    journal: File,
    /// Where that belongs.
    path: PathBuf,
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
    /// Opens the manifest in the job's folder, or begins it with the job's header. From here on no
    /// other run works in the folder.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or written, or another run is at work in the folder;
    /// [`Error::Settings`] if it has another header; [`Error::Cancelled`].
    pub(crate) fn open(tasks: &'t Tasks, job: &'t Job, monitor: &Monitor) -> Result<Self> {
        let path = job.folder.join(MANIFEST);
        let failed = |error| Error::File { path: path.clone(), error };
        let held = journal::hold(&job.folder)
            .map_err(|error| Error::File { path: job.folder.clone(), error })?;
        let journal = journal::open(&path).map_err(failed)?;
        if job.overwrite {
            overwrite::clear(&job.folder, &journal).map_err(failed)?;
        }
        let begun = journal::begin(&journal, &job.header).map_err(failed)?;
        let Some(begun) = begun else { return Err(Error::Settings(job.folder.clone())) };
        let file: Arc<dyn ReadAt> = Arc::new(journal.try_clone().map_err(failed)?);
        let state = State {
            begins: vec![0; tasks.len()],
            other_lines: Vec::new(),
            gone: HashMap::new(),
            counts: Counts::default(),
            known: vec![false; tasks.len()],
            left: Vec::new(),
            journal,
            path,
            length: job.header.len() as u64 + 1,
            lines: Vec::new(),
            folders: BTreeSet::new(),
            written: Instant::now(),
            broken: None,
        };
        let mut ledger = Self {
            tasks,
            job,
            _held: held,
            manifest: Extent { file, start: 0, length: u64::MAX },
            others: Tasks::default(),
            hashed: None,
            state: Mutex::new(state),
            place: Place::default(),
            members: Directory::default(),
            notes: Vec::new(),
        };
        if begun {
            ledger.take_over(monitor)?;
        }
        Ok(ledger)
    }

    fn path(&self) -> PathBuf {
        self.job.folder.join(MANIFEST)
    }

    fn failed(&self) -> impl Fn(io::Error) -> Error + use<> {
        let path = self.path();
        move |error| Error::File { path: path.clone(), error }
    }

    /// Where the archives go on, and the members of the ZIP in hand.
    pub(crate) fn place(&mut self) -> (Place, Directory) {
        (self.place, std::mem::take(&mut self.members))
    }

    /// What a user should know, once all tasks are done.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        let Counts { moved, kept, gone, pruned, replaced } = lock(&self.state).counts;
        let mut note = |count: usize, said: String| {
            if count > 0 {
                self.notes.push(format!("{count} recordings of earlier runs {said}"));
            }
        };
        note(
            moved,
            "were moved: their pictures have the new names, the old ones are removed".into(),
        );
        note(replaced, "had pictures of names that others have now: those are replaced".into());
        note(pruned, "are not among the sources: their pictures are removed".into());
        note(
            kept,
            format!(
                "are not among the sources ({gone} are on no disk any more): their pictures and \
                 rows stay, --prune (prune=True) removes them"
            ),
        );
        std::mem::take(&mut self.notes)
    }

    /// The entry that an earlier run has made for a task, once, and what it says of the task.
    pub(crate) fn known(&self, turn: usize) -> Option<(Subject, Entry)> {
        let mut state = lock(&self.state);
        if !std::mem::take(&mut state.known[turn]) {
            return None;
        }
        let begin = state.begins[turn];
        drop(state);
        Lines::of(&self.manifest).entry(begin).ok().cloned()
    }

    /// Keeps an entry. It is written down with the next ones, after `before`.
    pub(crate) fn put(&self, turn: usize, entry: &Entry, before: impl FnOnce() -> io::Result<()>) {
        let subject = self.tasks.get(turn).subject;
        let storage = self.job.storage;
        let loose = storage.form == Form::Folder;
        let mut state = lock(&self.state);
        let older = state.begins[turn];
        let replaced = if !loose {
            Ok(())
        } else if older > 0 {
            let mut lines = Lines::of(&self.manifest);
            let older = lines.entry(older);
            older.map(|older| state.left.extend(names_left(older, &subject, entry)))
        } else {
            self.absorb(&mut state, entry)
        };
        if let Err(error) = replaced {
            state.broken = Some(error);
        }
        state.begins[turn] = state.append(&subject, entry);
        if let Some(folder) = subject.file_name.parent()
            && storage.fsync
            && loose
        {
            state.folders.insert(self.job.folder.join(folder));
        }
        if state.written.elapsed() >= INTERVAL {
            state.write(storage.fsync, before);
        }
    }

    /// Takes the row of a recording that is gone where a new one has the same bytes: it was moved,
    /// or has another label. A line says so, for a run that goes on from here.
    fn absorb(&self, state: &mut State, entry: &Entry) -> io::Result<()> {
        let same = entry.sha256.as_ref().and_then(|sha256| state.gone.get_mut(sha256)?.pop());
        let Some(other) = same.map(|other| other as usize) else { return Ok(()) };
        let begin = std::mem::take(&mut state.other_lines[other]);
        let mut lines = Lines::of(&self.manifest);
        let (subject, older) = lines.entry(begin)?;
        let nothing = Entry::default();
        state.left.extend(names_left(&(subject.clone(), older.clone()), subject, &nothing));
        state.append(subject, &nothing);
        state.counts.moved += 1;
        state.counts.kept -= 1;
        state.counts.gone -= 1;
        Ok(())
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
        state.write(self.job.storage.fsync, || Ok(()));
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
        journal::require_at(&state.journal, &path).map_err(&failed)?;
        let (mut begins, left) = (state.begins, state.left);
        begins.extend(&state.other_lines);
        let (tasks, others, manifest) = (self.tasks, &self.others, &self.manifest);
        let rows = Rows { tasks, others, begins, manifest, path: &path };
        let (folder, fsync) = (&self.job.folder, self.job.storage.fsync);
        rows.remove_left(folder, left)?;
        let (totals, pictures) = rows.survey()?;
        if tables {
            tables::write_metadata(folder, &rows, pictures, fsync)?;
            tables::write_errors(folder, &rows, &totals.failures, fsync)?;
        }
        // Last: as long as it is the journal, all of this is done once more.
        tables::write_manifest(&self.job.header, &rows, fsync)?;
        if fsync {
            sync_folder(folder).map_err(failed)?;
        }
        Ok(totals)
    }
}

impl State {
    /// Adds a line to those that are not in the journal yet; gives where it begins.
    fn append(&mut self, subject: &Subject, entry: &Entry) -> u64 {
        let (begin, known) = (self.length, self.lines.len());
        manifest::write(&mut self.lines, subject, entry);
        self.length += (self.lines.len() - known) as u64;
        begin
    }

    fn write(&mut self, fsync: bool, before: impl FnOnce() -> io::Result<()>) {
        let write = || {
            journal::require_at(&self.journal, &self.path)?;
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

/// Names of pictures that an older entry has, and the newer one of a recording has not.
fn names_left(older: &(Subject, Entry), subject: &Subject, newer: &Entry) -> Vec<PathBuf> {
    let kept: HashSet<&Path> =
        newer.pictures.as_slice().iter().map(|picture| picture.name_in(subject)).collect();
    let (subject, older) = older;
    let names = older.pictures.as_slice().iter().map(|picture| picture.name_in(subject));
    names.filter(|name| !kept.contains(name)).map(Path::to_owned).collect()
}
