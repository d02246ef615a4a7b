//! Archives of an earlier run. They have to be what one run over all tasks would have written so
//! far: from the first difference on they are made anew.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex};

use super::standing::{hash, is_unchanged};
use super::{Ledger, journal};
use crate::batch::Monitor;
use crate::error::{Error, Result};
use crate::lines::Lines;
use crate::manifest::{self, Place, sidecar};
use crate::sink::{Directory, Shards, Walk, replace};
use crate::source::{Opener, open_file};
use crate::tasks::Tasks;
use crate::threads::{lock, share};

/// A line of a recording with pictures in the archives: where these end, and where it begins.
pub(super) struct Archived {
    pub(super) place: Place,
    pub(super) at: u64,
    /// Its task, where that is as it was.
    pub(super) turn: Option<usize>,
}

impl Ledger<'_> {
    /// Finds how far the archives are as the manifest and the tasks say, and forgets what is
    /// behind: in the middle of one nothing can be replaced.
    pub(super) fn check_archives(&mut self, monitor: &Monitor) -> Result<()> {
        loop {
            let archived = self.read(monitor)?;
            self.find_moved(monitor)?;
            if let Some(good) = self.first_change(&archived) {
                let lost = self.others_behind(&archived, good);
                if lost > 0 {
                    return Err(self.would_lose(lost));
                }
                self.forget(good)?;
                continue;
            }
            let (good, walked) = self.walk(&archived, monitor)?;
            match walked {
                Ok(members) => {
                    (self.place, self.members) = (good, members);
                    // Nothing of theirs is a file.
                    lock(&self.state).left.clear();
                    return Ok(());
                }
                Err(damage) => {
                    let lost = self.others_behind(&archived, good);
                    self.notes.push(damage);
                    if lost > 0 {
                        let said = "recordings that are not among the sources had pictures there";
                        self.notes.push(format!("{lost} {said}: they are lost"));
                    }
                    self.forget(good)?;
                }
            }
        }
    }

    /// Takes away the rows of recordings that are gone and whose bytes new ones have.
    fn find_moved(&mut self, monitor: &Monitor) -> Result<()> {
        if lock(&self.state).gone.is_empty() {
            return Ok(());
        }
        let mut hashed = match self.hashed.take() {
            Some(hashed) => hashed,
            None => self.hash_new(monitor)?,
        };
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        for (sha256, others) in &mut state.gone {
            let Some(found) = hashed.get_mut(sha256) else { continue };
            while *found > 0
                && let Some(other) = others.pop()
            {
                *found -= 1;
                state.other_lines[other as usize] = 0;
                state.counts.moved += 1;
            }
        }
        self.hashed = Some(hashed);
        Ok(())
    }

    /// SHA-256 of the tasks that have no line yet, with how many have it.
    fn hash_new(&self, monitor: &Monitor) -> Result<HashMap<[u8; 32], usize>> {
        let new: Vec<usize> = {
            let state = lock(&self.state);
            (0..self.tasks.len()).filter(|&turn| state.begins[turn] == 0).collect()
        };
        let found = Mutex::new(HashMap::new());
        let buffers = || Ok((Opener::default(), Vec::new()));
        share(new.into_iter(), self.job.threads, buffers, |(opener, buffer), turn| {
            monitor.check()?;
            let recording = &self.tasks.get(turn).recording;
            // What cannot be read fails where it is converted.
            if let Ok((sha256, _)) = hash(opener, recording, buffer, &monitor.cancel) {
                *lock(&found).entry(sha256).or_insert(0) += 1;
            }
            Ok(())
        })?;
        Ok(found.into_inner().unwrap_or_else(|e| e.into_inner()))
    }

    /// Where the archives end that one run over all tasks would have begun with, if that is
    /// before their end.
    fn first_change(&self, archived: &[Archived]) -> Option<Place> {
        let state = lock(&self.state);
        let others: HashSet<u64> = state.other_lines.iter().copied().collect();
        let mut opener = Opener::default();
        let mut lines = Lines::of(&self.manifest);
        // Whether a task had no picture before, and has none now.
        let mut settled = |turn: usize| {
            let begin = state.begins[turn];
            let task = self.tasks.get(turn);
            let entry = lines.entry(begin).ok().filter(|_| begin > 0);
            entry.is_some_and(|(_, entry)| {
                let none = entry.place.is_none();
                none && (is_unchanged(&task, entry) || opener.open(&task.recording).is_err())
            })
        };
        let (mut good, mut next) = (Place::default(), 0);
        for Archived { place, at, turn } in archived {
            match *turn {
                Some(turn) if state.begins[turn] == *at && turn >= next => {
                    if !(next..turn).all(&mut settled) {
                        return Some(good);
                    }
                    next = turn + 1;
                }
                None if others.contains(at) => {}
                _ => return Some(good),
            }
            good = *place;
        }
        None
    }

    /// How many recordings that are no tasks have pictures behind a place.
    fn others_behind(&self, archived: &[Archived], good: Place) -> usize {
        let state = lock(&self.state);
        let others: HashSet<u64> = state.other_lines.iter().copied().collect();
        archived.iter().filter(|line| line.place > good && others.contains(&line.at)).count()
    }

    fn would_lose(&self, lost: usize) -> Error {
        let said = format!(
            "expected the {lost} recordings of earlier runs whose pictures stand behind a change \
             in the archive, found them not among the sources; name their sources as well, or \
             remove their pictures with --prune (prune=True)"
        );
        Error::File { path: self.job.folder.clone(), error: io::Error::other(said) }
    }

    /// Goes through the archives: how far they are good, and the members of the last one, or what
    /// is wrong with it.
    fn walk(
        &self,
        archived: &[Archived],
        monitor: &Monitor,
    ) -> Result<(Place, std::result::Result<Directory, String>)> {
        let (folder, storage) = (&self.job.folder, self.job.storage);
        let shards = Shards::new(folder, storage, Place::default(), Directory::default());
        let last = archived.last().map(|line| line.place.shard).unwrap_or_default();
        let mut walk = Walk::new(shards, last, self.job.check, &monitor.stop);
        let mut lines = Lines::of(&self.manifest);
        let mut good = Place::default();
        for Archived { place, at, .. } in archived {
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

    /// Takes lines out of the manifest: of what archives have behind a place.
    fn forget(&mut self, keep: Place) -> Result<()> {
        let (path, failed) = (self.path(), self.failed());
        let old = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        let mut reader = BufReader::new(open_file(&path).map_err(&failed)?.0);
        let kept = replace(&path, self.job.storage.fsync, |file| {
            let mut out = io::BufWriter::new(file);
            writeln!(out, "{}", self.job.header).map_err(Error::Write)?;
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).map_err(&failed)? > 0 {
                let place = manifest::parse(line.trim_ascii_end()).map(|(_, entry)| entry.place);
                if place.is_some_and(|place| place.is_none_or(|place| place <= keep)) {
                    out.write_all(&line).map_err(Error::Write)?;
                }
                line.clear();
            }
            out.flush().map_err(Error::Write)
        });
        kept.map_err(|e| e.with_path(&path))?;
        old.journal = journal::open(&path).map_err(&failed)?;
        old.begins.fill(0);
        old.known.fill(false);
        old.left.clear();
        old.gone.clear();
        old.other_lines.clear();
        self.manifest.file = Arc::new(old.journal.try_clone().map_err(&failed)?);
        self.others = Tasks::default();
        Ok(())
    }
}
