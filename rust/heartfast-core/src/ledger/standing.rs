//! What an earlier run's entry is still good for.

use std::fs;

use crate::cancel::Cancel;
use crate::error::Result;
use crate::job::{Job, Task};
use crate::manifest::{Entry, Failure, Stamp};
use crate::source::{Opener, Origin, read_file};

/// Whether an earlier run's entry holds: the recording is the same, and its pictures are there.
pub(crate) fn stands(task: &Task, entry: &Entry, job: &Job) -> bool {
    // In the middle of an archive nothing is made once more.
    if entry.place.is_some() {
        return true;
    }
    if !is_unchanged(task, entry) {
        return false;
    }
    entry.pictures.as_slice().iter().all(|picture| {
        let path = job.folder.join(picture.name_in(&task.subject));
        if job.check {
            read_file(&path).is_ok_and(|file| {
                file.len() as u64 == picture.bytes && crc32fast::hash(&file) == picture.crc32
            })
        } else {
            fs::metadata(path).is_ok_and(|known| known.len() == picture.bytes)
        }
    })
}

/// Whether a recording is as it was when an earlier run made this of it, for good.
pub(super) fn is_unchanged(task: &Task, entry: &Entry) -> bool {
    let passing = |failure: &Failure| PASSING.contains(&failure.kind.as_str());
    !entry.failure.as_deref().is_some_and(passing) && task.stamp() == Some(entry.stamp)
}

/// Kinds of failures that may be gone the next time.
const PASSING: [&str; 4] = ["missing", "permission", "io", "internal"];

/// SHA-256 of a recording, and what its file was like then; `buffer` is of any content.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn hash(
    opener: &mut Opener,
    recording: &Origin,
    buffer: &mut Vec<u8>,
    cancel: &Cancel,
) -> Result<([u8; 32], Stamp)> {
    let source = opener.open(recording)?;
    let stamp = source.stamp;
    let stream = opener.stream(source, buffer, cancel)?;
    Ok((stream.finish(cancel)?, stamp))
}
