//! What an earlier run has left: its manifest, and pictures that nothing tells of any more.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};

use super::archived::Archived;
use super::standing::is_unchanged;
use super::{Ledger, State, names_left};
use crate::batch::Monitor;
use crate::error::Result;
use crate::job::Task;
use crate::json::os_str;
use crate::lines::Lines;
use crate::manifest::{self, Entry, Subject};
use crate::sink::{Form, sweep};
use crate::tasks::Tasks;

/// A recording of an earlier run that is no task: its path, and what its last line says.
struct Other {
    path: PathBuf,
    at: u64,
    sha256: Option<[u8; 32]>,
    drawn: bool,
}

/// The lines of earlier runs, beside the tasks of this one.
struct Reading<'t> {
    tasks: &'t Tasks,
    by_name: HashMap<&'t [u8], u32>,
    paths: HashSet<&'t [u8]>,
    others: HashMap<PathBuf, Other>,
    archived: Vec<Archived>,
    replaced: usize,
    /// Whether a file is an archive that tasks are in.
    listed: RefCell<HashMap<PathBuf, bool>>,
}

impl<'t> Reading<'t> {
    fn of(tasks: &'t Tasks) -> Self {
        let mut by_name = HashMap::with_capacity(tasks.len());
        let mut paths = HashSet::with_capacity(tasks.len());
        for turn in 0..tasks.len() {
            by_name.insert(tasks.picture(turn), turn as u32);
            paths.insert(tasks.path(turn));
        }
        let (others, archived) = (HashMap::new(), Vec::new());
        let listed = RefCell::default();
        Self { tasks, by_name, paths, others, archived, replaced: 0, listed }
    }

    /// Takes a line that begins at `at`.
    fn take(
        &mut self,
        line: &(Subject, Entry),
        at: u64,
        state: &mut State,
        back: &mut Lines<'_>,
    ) -> io::Result<()> {
        let (subject, entry) = line;
        let path = subject.path.as_os_str().as_encoded_bytes();
        let named = self.by_name.get(subject.file_name.as_os_str().as_encoded_bytes()).copied();
        let turn = named.map(|turn| turn as usize).filter(|&turn| self.tasks.path(turn) == path);
        if let Some(place) = entry.place {
            let unchanged = |&turn: &usize| {
                let task = self.tasks.get(turn);
                task.subject == *subject && is_unchanged(&task, entry)
            };
            self.archived.push(Archived { place, at, turn: turn.filter(unchanged) });
        }
        let older = match turn {
            Some(turn) => {
                state.known[turn] = true;
                std::mem::replace(&mut state.begins[turn], at)
            }
            // Another recording has its name now, or it has another name.
            None if named.is_some() || self.paths.contains(path) => {
                let drawn = !entry.pictures.as_slice().is_empty();
                let lost = drawn && !self.paths.contains(path) && !self.is_gone(&subject.path);
                self.replaced += usize::from(lost);
                state.left.extend(names_left(line, subject, &Entry::default()));
                return Ok(());
            }
            None => {
                let drawn = !entry.pictures.as_slice().is_empty();
                let other = Other { path: subject.path.clone(), at, sha256: entry.sha256, drawn };
                self.others.insert(subject.file_name.clone(), other).map_or(0, |older| older.at)
            }
        };
        if older > 0 {
            // Where segments are fewer than they were, or there is no picture any more.
            state.left.extend(names_left(back.entry(older)?, subject, entry));
        }
        Ok(())
    }

    /// Whether a recording is on no disk any more, as far as can be told.
    fn is_gone(&self, path: &Path) -> bool {
        let Err(error) = fs::symlink_metadata(path) else { return false };
        match error.kind() {
            io::ErrorKind::NotFound => true,
            // It was in an archive. Whether it still is, is known of those that were listed.
            io::ErrorKind::NotADirectory => path.ancestors().any(|above| self.is_listed(above)),
            _ => false,
        }
    }

    /// Whether a path is that of an archive that tasks are in.
    fn is_listed(&self, path: &Path) -> bool {
        if let Some(&listed) = self.listed.borrow().get(path) {
            return listed;
        }
        let inside = |turn| Path::new(&*os_str(self.tasks.path(turn))).starts_with(path);
        let listed = path.is_file() && (0..self.tasks.len()).any(inside);
        if path.is_file() {
            self.listed.borrow_mut().insert(path.to_owned(), listed);
        }
        listed
    }

    /// Whether a recording may be in a folder or an archive that could not be listed.
    fn is_unseen(&self, path: &Path) -> bool {
        path.ancestors()
            .skip(1)
            .any(|above| self.paths.contains(above.as_os_str().as_encoded_bytes()))
    }
}

impl Ledger<'_> {
    /// Takes over what earlier runs have made.
    pub(super) fn take_over(&mut self, monitor: &Monitor) -> Result<()> {
        if self.job.storage.form == Form::Folder {
            self.read(monitor)?;
        } else {
            self.check_archives(monitor)?;
        }
        self.sweep();
        Ok(())
    }

    /// Takes over what earlier runs have written down; gives the lines of pictures in archives, by
    /// their places there.
    pub(super) fn read(&mut self, monitor: &Monitor) -> Result<Vec<Archived>> {
        let failed = self.failed();
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        let mut reading = Reading::of(self.tasks);
        let mut back = Lines::of(&self.manifest);
        state.journal.rewind().map_err(&failed)?;
        let mut reader = BufReader::new(state.journal.try_clone().map_err(&failed)?);
        let (mut line, mut whole) = (Vec::new(), 0);
        loop {
            monitor.check()?;
            line.clear();
            let at = whole;
            let n = reader.read_until(b'\n', &mut line).map_err(&failed)?;
            // What a killed process has left of a line is cut off.
            if line.pop() != Some(b'\n') {
                break;
            }
            whole += n as u64;
            if let Some(said) = manifest::parse(&line) {
                reading.take(&said, at, state, &mut back).map_err(&failed)?;
            }
        }
        drop(reader);
        state.journal.set_len(whole).map_err(&failed)?;
        state.length = whole;
        state.counts.replaced += reading.replaced;
        let mut archived = std::mem::take(&mut reading.archived);
        archived.sort_unstable_by_key(|line| line.place);
        self.keep_others(reading).map_err(failed)?;
        Ok(archived)
    }

    /// Keeps the recordings that are no tasks, unless they are to be removed.
    fn keep_others(&mut self, mut reading: Reading<'_>) -> io::Result<()> {
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        let mut back = Lines::of(&self.manifest);
        let mut others: Vec<_> = std::mem::take(&mut reading.others).into_iter().collect();
        // Backwards: those that are gone are taken from the end.
        others.sort_unstable_by(|(_, a), (_, b)| b.path.cmp(&a.path));
        (state.counts.kept, state.counts.gone) = (0, 0);
        for (file_name, Other { path, at, sha256, drawn }) in others {
            let gone = reading.is_gone(&path);
            let seen = !reading.is_unseen(&path);
            if seen && ((gone && !drawn) || self.job.prune) {
                state.counts.pruned += usize::from(drawn);
                let line = back.entry(at)?;
                state.left.extend(names_left(line, &line.0, &Entry::default()));
                continue;
            }
            state.counts.kept += usize::from(drawn);
            state.counts.gone += usize::from(drawn && gone);
            if let Some(sha256) = sha256.filter(|_| drawn && gone) {
                state.gone.entry(sha256).or_default().push(self.others.len() as u32);
            }
            self.others.push(&Task::of_another(Subject { path, file_name, ..Subject::default() }));
            state.other_lines.push(at);
        }
        Ok(())
    }

    /// Removes leftovers of a killed run; what cannot be listed cannot be written to, either.
    fn sweep(&self) {
        let mut folders: BTreeSet<&[u8]> = BTreeSet::from([&[][..]]);
        if self.job.storage.form == Form::Folder {
            let pictures = (0..self.tasks.len()).map(|turn| self.tasks.picture(turn));
            folders.extend(
                pictures.filter_map(|name| {
                    name.iter().rposition(|&c| c == b'/').map(|end| &name[..end])
                }),
            );
        }
        for folder in folders {
            let _ = sweep(&self.job.folder.join(&*os_str(folder)));
        }
    }
}
