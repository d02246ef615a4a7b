//! The manifest while a run is at work: opened by one run only, and where it belongs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

use crate::source::require_file;

/// How a header begins.
const HEADER: &[u8] = b"{\"heartfast\": ";
/// Bytes that no header has.
const LONGEST: u64 = 1 << 20;

/// Takes a folder for this process, where the system can do that; `pack` and `run` do the same.
///
/// # Errors
/// Another command is at work in there.
pub(super) fn hold(folder: &Path) -> io::Result<Option<File>> {
    // Windows opens no folders.
    let Some(held) = File::open(folder).ok().filter(|_| cfg!(unix)) else { return Ok(None) };
    lock(&held)?;
    Ok(Some(held))
}

/// Opens the manifest at a path, or makes it, unless another run is at work on it.
///
/// # Errors
/// Those of opening; [`io::ErrorKind::ResourceBusy`].
pub(super) fn open(path: &Path) -> io::Result<File> {
    loop {
        if let Ok(known) = fs::metadata(path) {
            require_file(&known)?;
        }
        let mut options = OpenOptions::new();
        let journal = options.read(true).append(true).create(true).open(path)?;
        lock(&journal)?;
        // A run that ended in this moment has put another file there.
        if is_at(&journal, path)? {
            return Ok(journal);
        }
    }
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let busy = "another run is at work in this folder";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, busy))
        }
        // A file system that knows no locks.
        Err(TryLockError::Error(_)) | Ok(()) => Ok(()),
    }
}

/// Whether a file is the one at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs::metadata(path) {
        Ok(there) => there,
        Err(error) if crate::sink::is_gone(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = file.metadata()?;
        Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
    }
    // Where open files cannot be moved, they are where they were.
    #[cfg(not(unix))]
    {
        let _ = (file, there);
        Ok(true)
    }
}

/// # Errors
/// The manifest is no longer at its path: somebody has moved, removed or replaced the folder.
pub(super) fn require_at(journal: &File, path: &Path) -> io::Result<()> {
    if is_at(journal, path)? {
        return Ok(());
    }
    let said = "expected the manifest that this run has begun, found another or none: the folder \
                was moved, removed or replaced while the run was at work; start it again";
    Err(io::Error::other(said))
}

/// Compares the header, or writes it where there is none; whether there was one, or `None` where
/// that is another.
///
/// # Errors
/// Those of reading and writing.
pub(super) fn begin(mut journal: &File, header: &str) -> io::Result<Option<bool>> {
    let mut first = Vec::new();
    journal.rewind()?;
    BufReader::new(journal).take(LONGEST).read_until(b'\n', &mut first)?;
    if first.pop() == Some(b'\n') {
        return Ok((first == header.as_bytes()).then_some(true));
    }
    // A run that was killed as it began has left the start of a header, or nothing.
    if !first.is_empty() && !is_header(&first) {
        return Ok(None);
    }
    journal.set_len(0)?;
    journal.write_all(format!("{header}\n").as_bytes())?;
    Ok(Some(false))
}

/// Whether a line is a header, or the start of one.
pub(super) fn is_header(line: &[u8]) -> bool {
    line.starts_with(HEADER) || HEADER.starts_with(line)
}
