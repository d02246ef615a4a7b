//! What is in a ZIP or tar of recordings, and where: found once, then each member is read where
//! it lies, by position, from any thread. Nothing in a header is believed before the bytes are
//! there, and a member that is not to be read says why when it is opened.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipFileHeaderRecord};

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::manifest::Stamp;
use crate::source::{Extent, open_file};

/// A ZIP or tar, with the places of its members.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// What the file was like when its members were listed.
    seen: Stamp,
    members: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    /// In a tar.
    Stored { start: u64, length: u64 },
    /// In a ZIP, behind a header of its own.
    Zipped { header: u64, packed: u64, length: u64, deflated: bool, crc: u32 },
    /// Not to be read: what was expected of it, and what it is.
    Refused { expected: &'static str, found: String },
}

/// The part of a file that a member is, its length once inflated if it is a deflate stream, and
/// its checksum.
type Found = (Extent, Option<u64>, Option<u32>);

impl Archive {
    /// Lists a file's members, with "/" in their names and none of them outside of the archive;
    /// or gives `None` if it is no ZIP or tar, or cannot be opened. What it is, is decided by its
    /// content. Where a list breaks off, an entry without a name stands for the rest.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn open(path: &Path, cancel: &Cancel) -> Result<Option<(Self, Vec<OsString>)>> {
        let Ok((file, seen)) = open_file(path) else { return Ok(None) };
        let length = seen.size;
        let file = Arc::new(file);
        let mut header = [0; 512];
        let whole = Extent { file: Arc::clone(&file), start: 0, length };
        let start = &mut header[..length.min(512) as usize];
        if whole.read_exact_at(0, start).is_err() {
            return Ok(None);
        }
        let mut list = List { zip: false, members: Vec::new() };
        let listed = if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            list.zip = true;
            list.zip(&file, cancel)?
        } else if is_tar(&header) {
            list.tar(&file, cancel)?
        } else {
            return Ok(None);
        };
        if let Err(found) = listed {
            let expected = if list.zip { "an intact ZIP" } else { "an intact tar" };
            list.members.push((Vec::new(), Place::Refused { expected, found }));
        }
        let mut members = list.members;
        members.sort_by(|a, b| a.0.cmp(&b.0));
        members.dedup_by(|other, member| {
            let same = other.0 == member.0;
            if same {
                // Which is meant? In doubt, neither.
                let (expected, found) = ("one member of this name", "several".to_owned());
                member.1 = Place::Refused { expected, found };
            }
            same
        });
        let (names, members) =
            members.into_iter().map(|(name, place)| (os_string(name), place)).unzip();
        Ok(Some((Self { path: path.to_owned(), seen, members }, names)))
    }

    /// What its file was like when its members were listed.
    pub(crate) fn stamp(&self) -> Stamp {
        self.seen
    }

    /// Its file once more, if it is still the same.
    pub(crate) fn reopen(&self) -> Result<File> {
        let (file, now) = open_file(&self.path).map_err(Error::Read)?;
        if now != self.seen {
            return Err(Error::decode("the archive as it was when the run began", "another one"));
        }
        Ok(file)
    }

    /// Where a member is in `file`, which is the archive's.
    pub(crate) fn find(&self, member: usize, file: Arc<File>) -> Result<Found> {
        let inside = |start: u64, length: u64| {
            let end = start.checked_add(length).filter(|&end| end <= self.seen.size);
            end.map(|_| Extent { file: Arc::clone(&file), start, length }).ok_or_else(|| {
                let found = format!("an archive of {} that ends before", self.seen.size);
                Error::decode(format!("{length} bytes at byte {start}"), found)
            })
        };
        match &self.members[member] {
            &Place::Stored { start, length } => Ok((inside(start, length)?, None, None)),
            &Place::Zipped { header, packed, length, deflated, crc } => {
                let mut local = [0; 30];
                inside(header, 30)?.read_exact_at(0, &mut local).map_err(Error::Read)?;
                if !local.starts_with(b"PK\x03\x04") {
                    let expected = format!("a ZIP member at byte {header}");
                    return Err(Error::decode(expected, "something else"));
                }
                let [name, extra] =
                    [26, 28].map(|at| u64::from(u16::from_le_bytes([local[at], local[at + 1]])));
                let stored = inside(header + 30 + name + extra, packed)?;
                if !deflated && packed != length {
                    let expected = format!("{length} bytes in the archive");
                    return Err(Error::decode(expected, format!("{packed}")));
                }
                Ok((stored, deflated.then_some(length), Some(crc)))
            }
            Place::Refused { expected, found } => {
                let (expected, found) = ((*expected).to_owned(), found.clone());
                Err(Error::Unsupported { expected, found })
            }
        }
    }
}

/// Whether this is the header of a tar's first member: its bytes sum up to what is written in it.
fn is_tar(header: &[u8; 512]) -> bool {
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    let written = &header[148..156];
    let blank = sum + 8 * 32 - written.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let digits = written.iter().skip_while(|byte| **byte == b' ');
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    header[0] != 0 && digits.fold(0, |sum, digit| 8 * sum + u64::from(digit - b'0')) == blank
}

/// Members as they are found, with their names.
struct List {
    zip: bool,
    members: Vec<(Vec<u8>, Place)>,
}

/// What is wrong with an archive, unless nothing is.
type Listed = std::result::Result<(), String>;

impl List {
    fn zip(&mut self, file: &File, cancel: &Cancel) -> Result<Listed> {
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = file.try_clone().map_err(rawzip::Error::from);
        let archive = match archive.and_then(|file| ZipArchive::from_file(file, &mut buffer)) {
            Ok(archive) => archive,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut entries = archive.entries(&mut buffer);
        loop {
            cancel.check()?;
            match entries.next_entry() {
                Ok(Some(entry)) if entry.is_dir() => {}
                Ok(Some(entry)) => self.add(entry.file_path().as_ref(), zip_place(&entry)),
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    }

    fn tar(&mut self, mut file: &File, cancel: &Cancel) -> Result<Listed> {
        // Of the handle that is read by position elsewhere: the place in it is this loop's only.
        if let Err(error) = file.rewind() {
            return Ok(Err(error.to_string()));
        }
        let mut archive = tar::Archive::new(file);
        let entries = match archive.entries_with_seek() {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error.to_string())),
        };
        for entry in entries {
            cancel.check()?;
            match entry.and_then(|mut entry| Ok((tar_place(&mut entry)?, entry))) {
                Ok((Some(place), entry)) => self.add(&entry.path_bytes(), place),
                Ok((None, _)) => {}
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(Ok(()))
    }

    /// Adds a member, with only those parts of its name that lead into the archive.
    fn add(&mut self, name: &[u8], place: Place) {
        let slashed: Vec<u8>;
        let mut path = name;
        // Windows programs have written such.
        if self.zip && name.contains(&b'\\') {
            slashed = name.iter().map(|&c| if c == b'\\' { b'/' } else { c }).collect();
            path = &slashed;
        }
        let parts = || path.split(|&c| c == b'/').filter(|part| !part.is_empty() && *part != b".");
        let drive =
            |part: &[u8]| part.len() == 2 && part[0].is_ascii_alphabetic() && part[1] == b':';
        let mut kept = parts().filter(|part| *part != b".." && !drive(part));
        let mut inside = kept.next().unwrap_or_default().to_vec();
        for part in kept {
            inside.push(b'/');
            inside.extend(part);
        }
        let leaves = path.starts_with(b"/")
            || path.contains(&0)
            || parts().any(|part| part == b"..")
            || parts().next().is_some_and(drive);
        inside.retain(|&c| c != 0);
        if inside.is_empty() {
            return;
        }
        let refused = || {
            let expected = "a name inside of the archive";
            Place::Refused { expected, found: format!("\"{}\"", name.escape_ascii()) }
        };
        self.members.push((inside, if leaves { refused() } else { place }));
    }
}

fn zip_place(entry: &ZipFileHeaderRecord<'_>) -> Place {
    let refused = |expected, found: &str| Place::Refused { expected, found: found.to_owned() };
    let method = entry.compression_method();
    if entry.mode().is_symlink() {
        return refused("a file in the archive", "a link");
    }
    if entry.flags().is_encrypted() {
        return refused("a ZIP member that is not encrypted", "one that is");
    }
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        let found = format!("method {}", method.as_u16());
        return refused("a ZIP member that is stored or deflated", &found);
    }
    Place::Zipped {
        header: entry.local_header_offset(),
        packed: entry.compressed_size_hint(),
        length: entry.uncompressed_size_hint(),
        deflated: method == CompressionMethod::DEFLATE,
        crc: entry.crc32(),
    }
}

/// Where the file of this entry is; `None` for a folder.
fn tar_place<R: io::Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<Place>> {
    let refused = |found: &str| {
        let (expected, found) = ("a file in the archive", found.to_owned());
        Ok(Some(Place::Refused { expected, found }))
    };
    let kind = entry.header().entry_type();
    if kind.is_dir() {
        return Ok(None);
    }
    if kind.is_symlink() || kind.is_hard_link() {
        return refused("a link");
    }
    let mut sparse = kind.is_gnu_sparse();
    if let Some(records) = entry.pax_extensions()? {
        for record in records {
            sparse |= record?.key_bytes().starts_with(b"GNU.sparse.");
        }
    }
    if sparse {
        return refused("a sparse file, whose holes are not there");
    }
    if !kind.is_file() && !kind.is_contiguous() {
        return refused("a pipe, a device or something unknown");
    }
    Ok(Some(Place::Stored { start: entry.raw_file_position(), length: entry.size() }))
}

/// The name that these bytes are.
#[cfg(unix)]
pub(crate) fn os_string(name: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(name)
}

/// The name that these bytes are.
#[cfg(windows)]
pub(crate) fn os_string(name: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&name).into_owned().into()
}
