//! What an earlier run has left: its manifest, and archives that have to agree with it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Ledger, names_of, open_journal};
use crate::batch::Monitor;
use crate::error::{Error, Result};
use crate::job::Task;
use crate::json::os_str;
use crate::lines::Lines;
use crate::manifest::{self, Place, Subject, sidecar};
use crate::sink::{Directory, Form, Shards, Walk, replace, sweep};
use crate::source::open_file;
use crate::tasks::Tasks;

/// What archives are said to have: for each recording with pictures in there, where these end and
/// where its line begins.
pub(super) type Placed = Vec<(Place, u64)>;

impl Ledger<'_> {
    /// Takes over what earlier runs have written down. `None` for archives in which something
    /// would have to be replaced.
    pub(super) fn read(&mut self, monitor: &Monitor) -> Result<Option<Placed>> {
        let failed = self.failed();
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        let tasks = self.tasks;
        let packed = self.storage.form != Form::Folder;
        let mut by_name: HashMap<&[u8], u32> = HashMap::with_capacity(tasks.len());
        let mut paths: HashSet<&[u8]> = HashSet::with_capacity(tasks.len());
        for turn in 0..tasks.len() {
            by_name.insert(tasks.picture(turn), turn as u32);
            paths.insert(tasks.path(turn));
        }
        let mut others: HashMap<PathBuf, (PathBuf, u64)> = HashMap::new();
        let (mut placed, mut changed) = (Placed::new(), false);
        let mut back = Lines::of(&self.manifest);
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
            let Some((subject, entry)) = manifest::parse(&line) else { continue };
            let path = subject.path.as_os_str().as_encoded_bytes();
            let names = || entry.pictures.as_slice().iter().map(|p| p.name_in(&subject).to_owned());
            placed.extend(entry.place.map(|place| (place, at)));
            match by_name.get(subject.file_name.as_os_str().as_encoded_bytes()) {
                Some(&turn) if tasks.path(turn as usize) == path => {
                    let turn = turn as usize;
                    let older = std::mem::replace(&mut state.begins[turn], at);
                    if older > 0 {
                        // Where segments are fewer than they were.
                        let (_, older) = back.entry(older).map_err(&failed)?;
                        state.left.extend(names_of(older));
                    }
                    state.known[turn] = true;
                    changed |= packed
                        && entry.place.is_some()
                        && tasks.get(turn).stamp() != Some(entry.stamp);
                }
                // Another recording has its name now, or it has another name.
                Some(_) => state.left.extend(names()),
                None if paths.contains(path) => state.left.extend(names()),
                None => drop(others.insert(subject.file_name, (subject.path, at))),
            }
        }
        drop(reader);
        state.journal.set_len(whole).map_err(&failed)?;
        state.length = whole;
        for (file_name, (path, at)) in others {
            self.others.push(&Task::of_another(Subject { path, file_name, ..Subject::default() }));
            self.other_lines.push(at);
        }
        placed.sort_unstable();
        Ok((!changed && state.left.is_empty()).then_some(placed))
    }

    /// Finds how far the archives are as the manifest says, and forgets what is behind: in the
    /// middle of one nothing can be replaced.
    pub(super) fn check_archives(
        &mut self,
        mut placed: Option<Placed>,
        check: bool,
        monitor: &Monitor,
    ) -> Result<()> {
        loop {
            let Some(told) = placed else {
                return self.forget(None, monitor).map(drop);
            };
            let (good, walked) = self.walk(&told, check, monitor)?;
            match walked {
                Ok(members) => {
                    (self.place, self.members) = (good, members);
                    return Ok(());
                }
                Err(damage) => {
                    self.notes.push(damage);
                    placed = self.forget(Some(good), monitor)?;
                }
            }
        }
    }

    /// Goes through the archives: how far they are good, and the members of the last one, or what
    /// is wrong with it.
    fn walk(
        &self,
        told: &Placed,
        check: bool,
        monitor: &Monitor,
    ) -> Result<(Place, std::result::Result<Directory, String>)> {
        let shards = Shards::new(self.folder, self.storage, Place::default(), Directory::default());
        let last = told.last().map(|(place, _)| place.shard).unwrap_or_default();
        let mut walk = Walk::new(shards, last, check, &monitor.stop);
        let mut lines = Lines::of(&self.manifest);
        let mut good = Place::default();
        for (place, at) in told {
            monitor.check()?;
            let (subject, entry) = lines.entry(*at).map_err(self.failed())?;
            let mut pictures = entry.pictures.as_slice().iter();
            let gone_over = pictures.try_for_each(|picture| {
                let text = sidecar(subject, picture, entry);
                walk.over(picture.name_in(subject), picture, &text)
            });
            let said = "where the manifest says that the archive ends";
            match gone_over {
                Ok(()) if walk.place() == *place => good = *place,
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                wrong => {
                    let wrong = wrong.err().unwrap_or_else(|| Error::decode(said, "elsewhere"));
                    let path = walk.path();
                    let damage = format!("{}: {wrong}; made anew from there", path.display());
                    return Ok((good, Err(damage)));
                }
            }
        }
        Ok((good, Ok(walk.finish()?)))
    }

    /// Takes lines out of the manifest: of what archives have behind a place, or all.
    fn forget(&mut self, keep: Option<Place>, monitor: &Monitor) -> Result<Option<Placed>> {
        let (path, failed) = (self.path(), self.failed());
        let old = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        let mut reader = BufReader::new(open_file(&path).map_err(&failed)?.0);
        let kept = replace(&path, self.storage.fsync, |file| {
            let mut out = io::BufWriter::new(file);
            writeln!(out, "{}", self.header).map_err(Error::Write)?;
            let mut line = Vec::new();
            while let Some(keep) = keep
                && reader.read_until(b'\n', &mut line).map_err(&failed)? > 0
            {
                let place = manifest::parse(line.trim_ascii_end()).map(|(_, entry)| entry.place);
                if place.is_some_and(|place| place.is_none_or(|place| place <= keep)) {
                    out.write_all(&line).map_err(Error::Write)?;
                }
                line.clear();
            }
            out.flush().map_err(Error::Write)
        });
        kept.map_err(|e| e.with_path(&path))?;
        old.journal = open_journal(&path).map_err(&failed)?;
        old.begins.fill(0);
        old.known.fill(false);
        old.left.clear();
        self.manifest.file = Arc::new(old.journal.try_clone().map_err(&failed)?);
        (self.others, self.other_lines) = (Tasks::default(), Vec::new());
        self.read(monitor)
    }

    /// Removes leftovers of a killed run; what cannot be listed cannot be written to, either.
    pub(super) fn sweep(&self) {
        let mut folders: BTreeSet<&[u8]> = BTreeSet::from([&[][..]]);
        if self.storage.form == Form::Folder {
            let pictures = (0..self.tasks.len()).map(|turn| self.tasks.picture(turn));
            folders.extend(
                pictures.filter_map(|name| {
                    name.iter().rposition(|&c| c == b'/').map(|end| &name[..end])
                }),
            );
        }
        for folder in folders {
            let _ = sweep(&self.folder.join(&*os_str(folder)));
        }
    }
}
