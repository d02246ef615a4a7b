//! Where pictures go: into a folder, or into ZIPs or tars in the order of the recordings, whatever
//! the threads. Either way nothing half-written is ever seen under its final name.

mod shards;
mod tar;
mod turns;
mod walk;
mod zip;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::manifest::{Entry, Place};
pub(crate) use crate::sink::shards::Shards;
use crate::sink::turns::Turns;
pub(crate) use crate::sink::walk::Walk;
pub(crate) use crate::sink::zip::Directory;
use crate::source::IO_STRIDE;

/// What pictures are gathered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A file each.
    Folder,
    /// ZIPs, in which they are stored.
    Zip,
    /// Tars.
    Tar,
}

/// How pictures are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// In what.
    pub form: Form,
    /// The most bytes of members in one archive, where they fit; `None` for a single archive.
    pub shard_bytes: Option<u64>,
    /// Whether they are to outlive a power failure, too.
    pub fsync: bool,
}

/// A finished picture on its way.
pub(crate) struct Member<'m> {
    /// Its name, with "/".
    pub(crate) name: &'m Path,
    pub(crate) file: &'m [u8],
    /// CRC-32 of the file.
    pub(crate) crc32: u32,
    /// What an archive has beside it, under the same name with `.json`.
    pub(crate) sidecar: Vec<u8>,
}

/// Takes pictures from several threads.
pub(crate) enum Sink {
    Folder { folder: PathBuf, fsync: bool },
    Shards(Box<Turns>),
}

impl Sink {
    /// A sink that goes on at `place`, behind these members of a ZIP.
    pub(crate) fn new(folder: &Path, storage: Storage, place: Place, members: Directory) -> Self {
        match storage.form {
            Form::Folder => Self::Folder { folder: folder.to_owned(), fsync: storage.fsync },
            _ => Self::Shards(Box::new(Turns::new(Shards::new(folder, storage, place, members)))),
        }
    }

    /// Takes a picture of the task `turn`. The folders in its name are made with the first picture.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Cancelled`] soon after `cancel` is set.
    pub(crate) fn put(&self, turn: usize, member: Member<'_>, cancel: &Cancel) -> Result<()> {
        let (folder, fsync) = match self {
            Self::Folder { folder, fsync } => (folder, *fsync),
            Self::Shards(turns) => return turns.put(turn, member, cancel),
        };
        let path = folder.join(member.name);
        match write_file(&path, member.file, fsync, cancel) {
            Err(Error::Write(error)) if error.kind() == io::ErrorKind::NotFound => {
                make_folders(folder, member.name).map_err(Error::Write)?;
                write_file(&path, member.file, fsync, cancel)
            }
            written => written,
        }
    }

    /// The task `turn` has no more pictures: its entry goes into the ledger once they are
    /// written, or `None` if it is there already. Each is to be told of once.
    pub(crate) fn finish(&self, turn: usize, entry: Option<Entry>, ledger: &Ledger<'_>) {
        match (self, entry) {
            (Self::Folder { .. }, Some(entry)) => ledger.put(turn, &entry, || Ok(())),
            (Self::Folder { .. }, None) => {}
            (Self::Shards(turns), entry) => turns.finish(turn, entry, ledger),
        }
    }

    /// Whether no further picture can be taken, for a reason that [`Sink::close`] tells.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Shards(turns) if turns.is_broken())
    }

    /// Ends an archive, and gives it its name if it is `complete`.
    ///
    /// # Errors
    /// [`Error::File`], also of an earlier picture.
    pub(crate) fn close(self, complete: bool) -> Result<()> {
        match self {
            Self::Folder { .. } => Ok(()),
            Self::Shards(turns) => turns.close(complete),
        }
    }
}

/// Makes the folders in a picture's name, but not the one that all are in: should that be gone, it
/// stays so.
fn make_folders(folder: &Path, name: &Path) -> io::Result<()> {
    let mut path = folder.to_owned();
    for part in name.parent().iter().flat_map(|parent| parent.components()) {
        path.push(part);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes a picture, if it is there, and the folders in its name that are empty then.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn remove_picture(folder: &Path, name: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if !is_gone(&error) => return Err(error),
        _ => {}
    }
    let above = name.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    for above in above {
        if fs::remove_dir(folder.join(above)).is_err() {
            break; // it has something else in it
        }
    }
    Ok(())
}

/// Whether a file of this name is an archive of pictures, or one that is not complete.
pub(crate) fn is_archive(name: &str) -> bool {
    let whole = name.strip_prefix('.').unwrap_or(name);
    let whole = whole.strip_suffix(".part").unwrap_or(whole);
    let stem = whole.strip_suffix(".zip").or_else(|| whole.strip_suffix(".tar"));
    let number = stem.and_then(|stem| stem.strip_prefix("pictures"));
    number.is_some_and(|number| {
        let digits = number.strip_prefix('-').unwrap_or_default();
        number.is_empty() || (digits.len() >= 6 && digits.bytes().all(|c| c.is_ascii_digit()))
    })
}

/// Whether an error says that there is no file of this name.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What a name begins and ends with that is not a file's final one.
const TEMPORARY: (&str, &str) = (".heartfast-", ".part");

/// A name beside `path` for what is not complete. It is short: the picture's own may be as long
/// as the file system allows.
fn temporary(path: &Path) -> PathBuf {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let number = GIVEN.fetch_add(1, Ordering::Relaxed);
    let (start, end) = TEMPORARY;
    path.with_file_name(format!("{start}{}-{number}{end}", std::process::id()))
}

/// Removes from a folder what a process that was killed has left there half-written.
pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(TEMPORARY.0.as_bytes()) && name.ends_with(TEMPORARY.1.as_bytes()) {
            fs::remove_file(folder.join(crate::json::os_string(name.to_vec())))?;
        }
    }
    Ok(())
}

/// Writes under another name first, so that no half of a file is ever seen under its own.
pub(crate) fn write_file(path: &Path, bytes: &[u8], fsync: bool, cancel: &Cancel) -> Result<()> {
    replace(path, fsync, |file| {
        for part in bytes.chunks(IO_STRIDE) {
            cancel.check()?;
            file.write_all(part).map_err(Error::Write)?;
        }
        Ok(())
    })
}

/// [`write_file`], of what `write` writes.
pub(crate) fn replace(
    path: &Path,
    fsync: bool,
    write: impl FnOnce(&mut File) -> Result<()>,
) -> Result<()> {
    let temporary = temporary(path);
    let written = (|| {
        let mut file = File::create(&temporary).map_err(Error::Write)?;
        write(&mut file)?;
        if fsync {
            file.sync_data().map_err(Error::Write)?;
        }
        fs::rename(&temporary, path).map_err(Error::Write)
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Makes the names in a folder outlive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows opens no folders, and needs none of it.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
