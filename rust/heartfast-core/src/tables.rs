//! The tables of a run: what was made, and what failed.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::manifest::{self, Entry, Failure, Subject};
use crate::sink::replace;

/// Bytes that are written at a time.
const BUFFER: usize = 1 << 16;

/// Writes a file of a first line and others, each of which a function appends to a buffer.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write<L: FnOnce(&mut Vec<u8>)>(
    path: &Path,
    first: &str,
    lines: impl Iterator<Item = L>,
    fsync: bool,
) -> Result<()> {
    let written = replace(path, fsync, |file| {
        let mut buffer = Vec::with_capacity(BUFFER);
        if !first.is_empty() {
            buffer.extend_from_slice(first.as_bytes());
            buffer.push(b'\n');
        }
        for line in lines {
            line(&mut buffer);
            if buffer.len() >= BUFFER {
                file.write_all(&buffer).map_err(Error::Write)?;
                buffer.clear();
            }
        }
        file.write_all(&buffer).map_err(Error::Write)
    });
    written.map_err(|e| e.with_path(path))
}

/// `metadata.csv`: a row for each picture, by its name.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_metadata(
    folder: &Path,
    rows: &[(&Subject, &Entry)],
    fsync: bool,
) -> Result<()> {
    // Places, which take less memory than names.
    let mut order: Vec<(u32, u32)> = Vec::with_capacity(rows.len());
    for (row, (_, entry)) in (0..).zip(rows) {
        order.extend((0..).zip(entry.pictures.as_slice()).map(|(picture, _)| (row, picture)));
    }
    let at = |&(row, picture): &(u32, u32)| {
        let (subject, entry) = rows[row as usize];
        let picture = &entry.pictures.as_slice()[picture as usize];
        (picture.name_in(subject), subject, entry, picture)
    };
    order.sort_unstable_by(|a, b| at(a).0.as_os_str().cmp(at(b).0.as_os_str()));
    let lines = order.iter().map(|place| {
        let (name, subject, entry, picture) = at(place);
        move |out: &mut Vec<u8>| {
            cell(out, name.as_os_str());
            for known in [&subject.label, &subject.group, &subject.source] {
                out.push(b',');
                cell(out, known);
            }
            // Writing into memory does not fail.
            let _ = write!(out, ",{},{:?},", entry.sample_rate, picture.duration_s);
            for byte in entry.sha256.iter().flatten() {
                let _ = write!(out, "{byte:02x}");
            }
            out.push(b'\n');
        }
    });
    let head = "file_name,label,group,source,sample_rate,duration_s,sha256";
    self::write(&folder.join("metadata.csv"), head, lines, fsync)
}

/// A cell of a CSV, between quotes where it has to be.
fn cell(out: &mut Vec<u8>, text: &OsStr) {
    let bytes = text.as_encoded_bytes();
    if !bytes.iter().any(|c| b",\"\r\n".contains(c)) {
        return out.extend_from_slice(bytes);
    }
    out.push(b'"');
    for &byte in bytes {
        out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    out.push(b'"');
}

/// `errors.jsonl`, in the order of the recordings; none where there is no error.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_errors<'e>(
    folder: &Path,
    failed: impl Iterator<Item = (&'e Path, &'e Failure)>,
    fsync: bool,
) -> Result<()> {
    let path = folder.join("errors.jsonl");
    let mut failed = failed.peekable();
    if failed.peek().is_none() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { path, error })
            }
            _ => Ok(()),
        };
    }
    let lines = failed.map(|(named, failure)| {
        move |out: &mut Vec<u8>| manifest::write_error(out, named.as_os_str(), failure)
    });
    self::write(&path, "", lines, fsync)
}
