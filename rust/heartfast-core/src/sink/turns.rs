//! Archives into which tasks write by turns: their bytes do not depend on the threads.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::manifest::Entry;
use crate::sink::{Member, Shards};
use crate::threads::lock;

/// Pictures that wait for those before them take so many bytes at most, and one a thread.
const MOST_WAITING: usize = 16 << 20;
/// How often a thread that waits for its turn looks whether the work is cancelled.
const PATIENCE: Duration = Duration::from_millis(20);

/// The archives, and what waits for its turn.
pub(crate) struct Turns {
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
    shards: Shards,
    /// Why the archives cannot be completed.
    broken: Option<io::Error>,
}

/// What a task has got ready before its turn.
#[derive(Default)]
struct Ahead {
    pictures: Vec<(PathBuf, Vec<u8>, u32, Vec<u8>)>,
    finished: Option<Option<Entry>>,
}

impl Turns {
    pub(crate) fn new(shards: Shards) -> Self {
        let (waiting, waiting_bytes) = (BTreeMap::new(), 0);
        let queue = Queue { turn: 0, waiting, waiting_bytes, shards, broken: None };
        Self { queue: Mutex::new(queue), passed: Condvar::new() }
    }

    pub(crate) fn put(&self, turn: usize, member: Member<'_>, cancel: &Cancel) -> Result<()> {
        let mut queue = lock(&self.queue);
        // The thread whose turn it is never waits here, so the others' turns come.
        while queue.turn != turn && queue.waiting_bytes + member.file.len() > MOST_WAITING {
            cancel.check()?;
            let waited = self.passed.wait_timeout(queue, PATIENCE);
            queue = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
        if queue.turn == turn {
            return queue.add(&member);
        }
        queue.waiting_bytes += member.file.len();
        let ahead = queue.waiting.entry(turn).or_default();
        let Member { name, file, crc32, sidecar } = member;
        ahead.pictures.push((name.to_owned(), file.to_owned(), crc32, sidecar));
        Ok(())
    }

    pub(crate) fn finish(&self, turn: usize, entry: Option<Entry>, ledger: &Ledger<'_>) {
        let mut queue = lock(&self.queue);
        if queue.turn != turn {
            queue.waiting.entry(turn).or_default().finished = Some(entry);
            return;
        }
        let mut finished = Some(entry);
        while let Some(entry) = finished {
            queue.enter(entry, ledger);
            queue.turn += 1;
            let next = queue.turn;
            let ahead = queue.waiting.remove(&next).unwrap_or_default();
            for (name, file, crc32, sidecar) in ahead.pictures {
                queue.waiting_bytes -= file.len();
                // The queue keeps its error for `close`.
                let _ = queue.add(&Member { name: &name, file: &file, crc32, sidecar });
            }
            finished = ahead.finished;
        }
        drop(queue);
        self.passed.notify_all();
    }

    pub(crate) fn is_broken(&self) -> bool {
        lock(&self.queue).broken.is_some()
    }

    pub(crate) fn close(self, complete: bool) -> Result<()> {
        let mut queue = self.queue.into_inner().unwrap_or_else(|e| e.into_inner());
        let closed = match queue.broken.take() {
            Some(error) => Err(error),
            None => queue.shards.close(complete),
        };
        closed.map_err(|error| Error::File { path: queue.shards.path(), error })
    }
}

impl Queue {
    fn add(&mut self, member: &Member<'_>) -> Result<()> {
        if self.broken.is_none() {
            self.broken = self.shards.add(member).err();
        }
        match &self.broken {
            None => Ok(()),
            Some(e) => Err(Error::Write(io::Error::new(e.kind(), e.to_string()))),
        }
    }

    /// Has an entry written down, whose pictures are all in the archives.
    fn enter(&mut self, entry: Option<Entry>, ledger: &Ledger<'_>) {
        // What an archive lacks was never done.
        let (Some(mut entry), None) = (entry, &self.broken) else { return };
        if !entry.pictures.as_slice().is_empty() {
            entry.place = Some(self.shards.place());
        }
        let turn = self.turn;
        ledger.put(turn, &entry, || self.shards.flush());
    }
}
