//! What became of every recording: kept in memory, written down as the work goes on, so that a run
//! that was killed is continued, and laid out in tables at its end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::job::{Job, Task};
use crate::manifest::{self, Entry, Place, Subject};
use crate::sink::{Form, Shards, Storage, replace, sweep, sync_folder};
use crate::tables;
use crate::threads::lock;

/// The manifest's name. While a run goes on, it has its lines in the order in which recordings
/// were finished.
pub const MANIFEST: &str = "manifest.jsonl";
/// How much may be lost with the process: these lines are done once more.
const INTERVAL: Duration = Duration::from_millis(200);

/// The entries of a run.
pub(crate) struct Ledger<'t> {
    tasks: &'t [Task],
    folder: &'t Path,
    header: &'t str,
    storage: Storage,
    /// Of recordings that are no longer among the tasks.
    others: Vec<(Subject, Entry)>,
    state: Mutex<State>,
}

struct State {
    entries: Vec<Option<Entry>>,
    /// Those that an earlier run has made, and that nobody has looked after yet.
    known: Vec<bool>,
    /// Pictures of theirs that may be told of by nothing any more.
    left: Vec<PathBuf>,
    journal: File,
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
    /// [`Error::File`] if it cannot be read or written, or another run is at work on it.
    pub(crate) fn open(tasks: &'t [Task], job: &'t Job) -> Result<Self> {
        let Job { folder, header, storage, .. } = job;
        let path = folder.join(MANIFEST);
        let failed = |error| Error::File { path: path.clone(), error };
        let begun = path.exists();
        if !begun {
            let first = |file: &mut File| writeln!(file, "{header}").map_err(Error::Write);
            replace(&path, storage.fsync, first).map_err(|e| e.with_path(&path))?;
        }
        let journal = OpenOptions::new().read(true).append(true).open(&path).map_err(failed)?;
        match journal.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let busy = "another run is at work in this folder";
                return Err(failed(io::Error::new(io::ErrorKind::ResourceBusy, busy)));
            }
            // A file system that knows no locks.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let mut entries = Vec::new();
        entries.resize_with(tasks.len(), || None);
        let state = State {
            entries,
            known: vec![false; tasks.len()],
            left: Vec::new(),
            journal,
            lines: Vec::new(),
            folders: BTreeSet::new(),
            written: Instant::now(),
            broken: None,
        };
        let (others, state) = (Vec::new(), Mutex::new(state));
        let mut ledger = Self { tasks, folder, header, storage: *storage, others, state };
        if begun {
            ledger.read().map_err(failed)?;
            if storage.form != Form::Folder {
                ledger.check_shards(job.check);
            }
            ledger.sweep();
        }
        Ok(ledger)
    }

    /// Takes over what earlier runs have written down.
    fn read(&mut self) -> io::Result<()> {
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        let mut by_name: HashMap<&Path, usize> = HashMap::new();
        let mut paths: HashSet<&Path> = HashSet::new();
        for (turn, task) in self.tasks.iter().enumerate() {
            by_name.insert(&task.subject.file_name, turn);
            paths.insert(&task.subject.path);
        }
        let mut others: HashMap<PathBuf, (Subject, Entry)> = HashMap::new();
        let mut reader = BufReader::new(state.journal.try_clone()?);
        let (mut line, mut whole) = (Vec::new(), 0);
        loop {
            line.clear();
            let n = reader.read_until(b'\n', &mut line)?;
            // What a killed process has left of a line is cut off.
            if line.pop() != Some(b'\n') {
                break;
            }
            whole += n as u64;
            let Some((subject, entry)) = manifest::parse(&line) else { continue };
            let names =
                entry.pictures.as_slice().iter().map(|picture| {
                    picture.name.as_deref().unwrap_or(&subject.file_name).to_owned()
                });
            match by_name.get(&*subject.file_name) {
                Some(&turn) if self.tasks[turn].subject.path == subject.path => {
                    if let Some(older) = state.entries[turn].replace(entry) {
                        // Where segments are fewer than they were.
                        state.left.extend(names_of(&older));
                    }
                    state.known[turn] = true;
                }
                // Another recording has its name now, or it has another name.
                Some(_) => state.left.extend(names),
                None if paths.contains(&*subject.path) => state.left.extend(names),
                None => drop(others.insert(subject.file_name.clone(), (subject, entry))),
            }
        }
        drop(reader);
        state.journal.set_len(whole)?;
        self.others = others.into_values().collect();
        Ok(())
    }

    /// Archives are continued or begun anew: in the middle of one nothing can be replaced.
    fn check_shards(&mut self, check: bool) {
        let stands = |turn: usize, entry: &Entry| {
            entry.place.is_none() || self.tasks[turn].stamp() == Some(entry.stamp)
        };
        let state = lock(&self.state);
        let mut known = state.entries.iter().enumerate();
        let good = state.left.is_empty()
            && known.all(|(turn, entry)| entry.as_ref().is_none_or(|entry| stands(turn, entry)));
        drop(state);
        let shards = Shards::new(self.folder, self.storage, self.place());
        if good && shards.are_there() && (!check || shards.hold(self.pictures())) {
            return;
        }
        self.others.clear();
        let mut state = lock(&self.state);
        state.left.clear();
        state.entries.fill(None);
        state.known.fill(false);
    }

    /// Bytes and CRC-32 of all pictures that are told of.
    fn pictures(&self) -> HashMap<OsString, (u64, u32)> {
        let state = lock(&self.state);
        let own = self.tasks.iter().zip(&state.entries);
        let own = own.filter_map(|(task, entry)| Some((&task.subject, entry.as_ref()?)));
        let others = self.others.iter().map(|(subject, entry)| (subject, entry));
        let mut pictures = HashMap::new();
        for (subject, entry) in own.chain(others) {
            for picture in entry.pictures.as_slice() {
                let name = picture.name_in(subject);
                pictures.insert(name.as_os_str().to_owned(), (picture.bytes, picture.crc32));
            }
        }
        pictures
    }

    /// Where the archives end that are told of.
    pub(crate) fn place(&self) -> Place {
        let state = lock(&self.state);
        let entries = state.entries.iter().flatten();
        let all = entries.chain(self.others.iter().map(|(_, entry)| entry));
        all.filter_map(|entry| entry.place).max().unwrap_or_default()
    }

    /// Removes leftovers of a killed run; what cannot be listed cannot be written to, either.
    fn sweep(&self) {
        let mut folders: BTreeSet<&Path> = BTreeSet::from([Path::new("")]);
        if self.storage.form == Form::Folder {
            folders.extend(self.tasks.iter().filter_map(|task| task.subject.file_name.parent()));
        }
        for folder in folders {
            let _ = sweep(&self.folder.join(folder));
        }
    }

    /// The entry that an earlier run has made for a task, once.
    pub(crate) fn known(&self, turn: usize) -> Option<Entry> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.known[turn]) { state.entries[turn].clone() } else { None }
    }

    /// Keeps an entry. It is written down with the next ones, after `before`.
    pub(crate) fn put(&self, turn: usize, entry: Entry, before: impl FnOnce() -> io::Result<()>) {
        let task = &self.tasks[turn];
        let mut state = lock(&self.state);
        manifest::write(&mut state.lines, &task.subject, &entry);
        if let Some(folder) = task.subject.file_name.parent()
            && self.storage.fsync
            && self.storage.form == Form::Folder
        {
            state.folders.insert(self.folder.join(folder));
        }
        if let Some(older) = state.entries[turn].replace(entry) {
            state.left.extend(names_of(&older));
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
            Some(error) => Err(Error::File { path: self.folder.join(MANIFEST), error }),
        }
    }

    /// Puts the manifest into order, beside a table of the pictures and one of the errors: these
    /// are the same bytes however the work went.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn finish(self, tables: bool) -> Result<Vec<Option<Entry>>> {
        self.flush()?;
        let state = self.state.into_inner().unwrap_or_else(|e| e.into_inner());
        let own = self.tasks.iter().zip(&state.entries);
        let own = own.filter_map(|(task, entry)| Some((&task.subject, entry.as_ref()?)));
        let mut rows: Vec<(&Subject, &Entry)> =
            own.chain(self.others.iter().map(|(subject, entry)| (subject, entry))).collect();
        remove_left(self.folder, &state.left, &rows);
        let fsync = self.storage.fsync;
        if tables {
            tables::write_metadata(self.folder, &rows, fsync)?;
            let failed = self.tasks.iter().zip(&state.entries).filter_map(|(task, entry)| {
                Some((task.named.as_path(), entry.as_ref()?.failure.as_deref()?))
            });
            tables::write_errors(self.folder, failed, fsync)?;
        }
        // Last: as long as it is the journal, all of this is done once more.
        rows.sort_unstable_by_key(|(subject, _)| (&subject.path, &subject.file_name));
        let lines = rows
            .into_iter()
            .map(|(subject, entry)| move |out: &mut Vec<u8>| manifest::write(out, subject, entry));
        tables::write(&self.folder.join(MANIFEST), self.header, lines, fsync)?;
        if self.storage.fsync {
            let failed = |error| Error::File { path: self.folder.to_owned(), error };
            sync_folder(self.folder).map_err(failed)?;
        }
        Ok(state.entries)
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

/// Removes pictures that nothing tells of any more.
fn remove_left(folder: &Path, left: &[PathBuf], rows: &[(&Subject, &Entry)]) {
    if left.is_empty() {
        return;
    }
    let pictures = rows.iter().flat_map(|(subject, entry)| {
        entry.pictures.as_slice().iter().map(|picture| picture.name_in(subject))
    });
    let told: HashSet<&Path> = pictures.collect();
    for name in left.iter().filter(|name| !told.contains(name.as_path())) {
        let _ = fs::remove_file(folder.join(name));
    }
}
