//! What is in a ZIP or tar of recordings, and where: found once, then each member is read where
//! it lies, by position, from any thread. Nothing in a header is believed before the bytes are
//! there, nothing is unpacked into files, and a member that is not to be read says why when it
//! is opened.

mod names;
mod tar;
mod zip;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::error::{Error, Result, guard};
use crate::json::os_string;
use crate::limits::Limits;
use crate::manifest::Stamp;
use crate::source::{Extent, ReadAhead, ReadAt, open_file};

/// Bytes of an archive that are read at a time where each reading is a request: while it is listed,
/// and where a member's header and its data are mostly one.
const LIST_STEP: usize = 1 << 20;
const MEMBER_STEP: usize = 1 << 17;

/// A ZIP or tar, with the places of its members.
#[derive(Debug)]
pub struct Archive {
    place: Whole,
    /// What the file was like when its members were listed.
    seen: Stamp,
    members: Vec<Place>,
}

/// Where an archive is.
#[derive(Debug)]
enum Whole {
    File(PathBuf),
    Remote(Arc<dyn ReadAt>),
}

#[derive(Debug)]
enum Place {
    /// In a tar.
    Stored { start: u64, length: u64 },
    /// In a ZIP, behind a header of its own.
    Zipped(zip::Place),
    /// Not to be read. Boxed, because few are.
    Refused(Box<Refusal>),
}

/// Why a member, or the rest of a list, is not read.
#[derive(Debug, Clone)]
struct Refusal {
    expected: String,
    found: String,
}

impl Refusal {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

impl From<Refusal> for Place {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { expected, found }: Refusal) -> Self {
        Self::Unsupported { expected, found }
    }
}

/// The part of a file that a member is, its length once inflated if it is a deflate stream, and
/// its checksum.
type Found = (Extent, Option<u64>, Option<u32>);

/// How files begin that may hold recordings, but not so that they can be read in place.
const WRAPPED: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "a gzip stream; unpack it first (gzip -d)"),
    (b"\x28\xb5\x2f\xfd", "a zstd stream; unpack it first (zstd -d)"),
    (b"BZh", "a bzip2 stream; unpack it first (bzip2 -d)"),
    (b"\xfd7zXZ\0", "an xz stream; unpack it first (xz -d)"),
    (b"\x04\x22\x4d\x18", "an lz4 stream; unpack it first (lz4 -d)"),
    (b"\x1f\x9d", "a compress stream; unpack it first (uncompress)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
];

/// How programs begin that have a ZIP behind them, of what they unpack.
const PROGRAMS: [&[u8]; 3] = [b"MZ", b"\x7fELF", b"#!"];

impl Archive {
    /// Lists a file's members, with "/" in their names and none of them outside of the archive;
    /// or gives `None` if it is no ZIP or tar, or cannot be opened. What it is, is decided by its
    /// content. Where a list breaks off, an entry without a name stands for the rest.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn open(
        path: &Path,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Option<(Self, Vec<OsString>)>> {
        let Ok((file, seen)) = open_file(path) else { return Ok(None) };
        Self::list(Arc::new(file), Whole::File(path.to_owned()), seen, limits, cancel)
    }

    /// [`Archive::open`], of what somebody else reads. It is taken to stay as it is.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn open_remote(
        reader: Arc<dyn ReadAt>,
        stamp: Stamp,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Option<(Self, Vec<OsString>)>> {
        let ahead = ReadAhead::new(Arc::clone(&reader), stamp.size, LIST_STEP);
        Self::list(Arc::new(ahead), Whole::Remote(reader), stamp, limits, cancel)
    }

    fn list(
        file: Arc<dyn ReadAt>,
        place: Whole,
        seen: Stamp,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Option<(Self, Vec<OsString>)>> {
        let length = seen.size;
        let whole = Extent { file, start: 0, length };
        let mut header = [0; 512];
        let start = &mut header[..length.min(512) as usize];
        if whole.read_exact_at(0, start).is_err() {
            return Ok(None);
        }
        let starts = |with: &[u8]| start.starts_with(with);
        let wrapped = WRAPPED.into_iter().find(|(magic, _)| starts(magic));
        let mut list = List { limits: *limits, count: 0, members: Vec::new() };
        let broken = list.fill(|list| {
            Ok(Some(if zip::MAGICS.into_iter().any(starts) {
                zip::locate(&whole).map_or_else(
                    |refusal| Ok(Err(refusal)),
                    |archive| zip::list(&whole, archive, list, cancel),
                )?
            } else if tar::is_tar(start) || tar::is_empty(&whole) {
                tar::list(&whole, list, cancel)?
            } else if PROGRAMS.into_iter().any(starts) {
                let Ok(archive) = zip::locate(&whole) else { return Ok(None) };
                zip::list(&whole, archive, list, cancel)?
            } else if let Some((_, found)) = wrapped {
                let expected = "recordings, or a ZIP or tar that is not compressed as a whole";
                Err(Refusal::new(expected, found))
            } else {
                return Ok(None);
            }))
        })?;
        let Some(broken) = broken else { return Ok(None) };
        let mut members = list.members;
        names::refuse_twins(&mut members);
        if let Err(refusal) = broken {
            members.push((Box::default(), refusal.into()));
        }
        members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        members.dedup_by(|a, b| !a.0.is_empty() && a.0 == b.0);
        let (names, members) =
            members.into_iter().map(|(name, place)| (os_string(name.into_vec()), place)).unzip();
        Ok(Some((Self { place, seen, members }, names)))
    }

    /// What its file was like when its members were listed.
    pub(crate) fn stamp(&self) -> Stamp {
        self.seen
    }

    /// Its file once more, if it is still the same.
    pub(crate) fn reopen(&self) -> Result<Arc<dyn ReadAt>> {
        match &self.place {
            Whole::File(path) => {
                let (file, now) = open_file(path).map_err(Error::Read)?;
                if now != self.seen {
                    let expected = "the archive as it was when the run began";
                    return Err(Error::decode(expected, "another one"));
                }
                Ok(Arc::new(file))
            }
            Whole::Remote(reader) => {
                let reader = Arc::clone(reader);
                Ok(Arc::new(ReadAhead::new(reader, self.seen.size, MEMBER_STEP)))
            }
        }
    }

    /// How many bytes a member has, once inflated; 0 of one that is not to be read.
    #[must_use]
    pub fn size(&self, member: usize) -> u64 {
        match self.members.get(member) {
            Some(Place::Stored { length, .. }) => *length,
            Some(Place::Zipped(place)) => place.length(),
            Some(Place::Refused(_)) | None => 0,
        }
    }

    /// Where a member is in `file`, which is the archive's.
    pub(crate) fn find(&self, member: usize, file: Arc<dyn ReadAt>) -> Result<Found> {
        let whole = Extent { file, start: 0, length: self.seen.size };
        match &self.members[member] {
            &Place::Stored { start, length } => Ok((part(&whole, start, length)?, None, None)),
            Place::Zipped(place) => place.find(&whole),
            Place::Refused(refusal) => Err((**refusal).clone().into()),
        }
    }
}

/// These bytes of a file, if it has them.
fn part(whole: &Extent, start: u64, length: u64) -> Result<Extent> {
    if start.checked_add(length).is_none_or(|end| end > whole.length) {
        let found = format!("an archive of {} that ends before", whole.length);
        return Err(Error::decode(format!("{length} bytes at byte {start}"), found));
    }
    Ok(Extent { file: Arc::clone(&whole.file), start, length })
}

/// Members as they are found, with their names.
struct List {
    limits: Limits,
    /// Entries of any kind.
    count: u64,
    members: Vec<(Box<[u8]>, Place)>,
}

/// Why a list breaks off, unless it does not.
type Listed = std::result::Result<(), Refusal>;

impl List {
    /// Has it filled. A panic is as if the list broke off there.
    fn fill(
        &mut self,
        list: impl FnOnce(&mut Self) -> Result<Option<Listed>>,
    ) -> Result<Option<Listed>> {
        guard(|| list(self)).or_else(|error| match error {
            Error::Panic(text) => {
                let found = format!("damage that its reader cannot take ({text})");
                Ok(Some(Err(Refusal::new("an intact archive", found))))
            }
            other => Err(other),
        })
    }

    /// Counts one more entry, if there may be one.
    fn count(&mut self) -> Listed {
        let most = self.limits.max_archive_members;
        if self.count >= most {
            let expected = format!("an archive of at most {most} members");
            return Err(Refusal::new(format!("{expected} (limit max_archive_members)"), "more"));
        }
        self.count += 1;
        Ok(())
    }

    /// Adds a member, with only those parts of its name that lead into the archive.
    fn add(&mut self, name: &[u8], backslashes: bool, place: Place) {
        let (inside, leaves) = names::inside(name, backslashes);
        if inside.is_empty() {
            return;
        }
        let refused = || {
            let found = format!("\"{}\"", name.escape_ascii());
            Refusal::new("a name inside of the archive", found).into()
        };
        self.members.push((inside.into(), if leaves { refused() } else { place }));
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::{List, Place};
    use crate::limits::Limits;

    #[test]
    fn a_panic_is_the_archives_error() {
        let mut list = List { limits: Limits::default(), count: 0, members: Vec::new() };
        let filled = list.fill(|list| {
            list.add(b"before.wav", false, Place::Stored { start: 0, length: 9 });
            panic!("a defect of a reader");
        });
        let Ok(Some(Err(refusal))) = filled else { panic!("listed") };
        assert_eq!(refusal.found, "damage that its reader cannot take (a defect of a reader)");
        assert_eq!(list.members.len(), 1);
    }
}
