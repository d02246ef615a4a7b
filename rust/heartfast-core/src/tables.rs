//! The tables of a run: what was made, and what failed.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::findings::Tally;
use crate::lines::Lines;
use crate::manifest::{self, Entry, Failure, Subject};
use crate::sink::{remove_picture, replace};
use crate::source::Extent;
use crate::tasks::{Tasks, by_path};

/// Bytes that are written at a time.
const BUFFER: usize = 1 << 16;

/// All rows of a run: those of its tasks, and of recordings that are no longer among them.
pub(crate) struct Rows<'t> {
    pub(crate) tasks: &'t Tasks,
    pub(crate) others: &'t Tasks,
    /// Where the line of each begins in the manifest, or 0 where there is none.
    pub(crate) begins: Vec<u64>,
    pub(crate) manifest: &'t Extent,
    /// The manifest's path.
    pub(crate) path: &'t Path,
}

/// What a run has made, by all that is known of its tasks.
#[derive(Debug, Default)]
pub struct Totals {
    /// Pictures.
    pub pictures: usize,
    /// Seconds of sound in them.
    pub duration_s: f64,
    /// Recordings that became pictures or failed.
    pub finished: usize,
    /// Those that failed, by their place among the tasks.
    pub failures: Vec<(usize, Failure)>,
    /// Recordings with samples that are no finite numbers.
    pub with_silenced: usize,
    /// These samples.
    pub silenced: u64,
    /// What was odd about recordings, by their place among the tasks.
    pub remarks: Tally,
}

/// A picture by its name, where that is not its task's, its row, and its place there.
type Named = (Option<Box<Path>>, u32, u32);

impl Rows<'_> {
    /// The row's tasks, and its place among them.
    fn of(&self, row: u32) -> (&Tasks, usize) {
        match (row as usize).checked_sub(self.tasks.len()) {
            None => (self.tasks, row as usize),
            Some(other) => (self.others, other),
        }
    }

    /// The rows that have a line.
    fn told(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.begins).filter(|(_, begin)| **begin > 0).map(|(row, _)| row)
    }

    fn entry<'l>(&self, lines: &'l mut Lines<'_>, row: u32) -> Result<&'l (Subject, Entry)> {
        lines.entry(self.begins[row as usize]).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::File { path: self.path.to_owned(), error }
    }

    /// Looks at all rows once, in the order of the tasks.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn survey(&self) -> Result<(Totals, Vec<Named>)> {
        let mut totals = Totals::default();
        let mut pictures = Vec::with_capacity(self.begins.len());
        let mut lines = Lines::of(self.manifest);
        for row in self.told() {
            let (_, entry) = self.entry(&mut lines, row)?;
            let drawn = entry.pictures.as_slice();
            pictures.extend((0..).zip(drawn).map(|(i, picture)| (picture.name.clone(), row, i)));
            if row as usize >= self.tasks.len() {
                continue;
            }
            totals.pictures += drawn.len();
            totals.duration_s += drawn.iter().map(|picture| picture.duration_s).sum::<f64>();
            totals.finished += 1;
            totals.with_silenced += usize::from(entry.silenced > 0);
            totals.silenced += entry.silenced;
            totals.remarks.add(row as usize, &entry.remarks);
            let failed = entry.failure.as_deref().cloned();
            totals.failures.extend(failed.map(|failure| (row as usize, failure)));
        }
        Ok((totals, pictures))
    }

    /// Removes those of some pictures that nothing tells of any more.
    ///
    /// # Errors
    /// [`Error::File`] of the manifest, or of a picture that cannot be removed.
    pub(crate) fn remove_left(&self, folder: &Path, left: Vec<PathBuf>) -> Result<()> {
        let mut left: HashSet<PathBuf> = left.into_iter().collect();
        let mut lines = Lines::of(self.manifest);
        for row in self.told() {
            if left.is_empty() {
                break;
            }
            let (subject, entry) = self.entry(&mut lines, row)?;
            for picture in entry.pictures.as_slice() {
                left.remove(picture.name_in(subject));
            }
        }
        left.into_iter().try_for_each(|name| {
            let removed = remove_picture(folder, &name);
            removed.map_err(|error| Error::File { path: folder.join(name), error })
        })
    }
}

/// Writes a table, by what `fill` appends to it.
fn write(
    path: &Path,
    fsync: bool,
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let written = replace(path, fsync, |file| {
        let mut out = BufWriter::with_capacity(BUFFER, file);
        fill(&mut |line| out.write_all(line).map_err(Error::Write))?;
        out.flush().map_err(Error::Write)
    });
    written.map_err(|e| e.with_path(path))
}

/// `metadata.csv`: a row for each picture, by its name.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_metadata(
    folder: &Path,
    rows: &Rows<'_>,
    mut pictures: Vec<Named>,
    fsync: bool,
) -> Result<()> {
    fn name<'n>(rows: &'n Rows<'_>, (own, row, _): &'n Named) -> &'n [u8] {
        let (tasks, at) = rows.of(*row);
        own.as_deref().map_or_else(|| tasks.picture(at), |own| own.as_os_str().as_encoded_bytes())
    }
    pictures.sort_unstable_by(|a, b| name(rows, a).cmp(name(rows, b)));
    write(&folder.join("metadata.csv"), fsync, |put| {
        put(b"file_name,label,group,source,sample_rate,duration_s,sha256\n")?;
        let mut lines = Lines::of(rows.manifest);
        let mut line = Vec::new();
        for (_, row, picture) in &pictures {
            let (subject, entry) = rows.entry(&mut lines, *row)?;
            let picture = &entry.pictures.as_slice()[*picture as usize];
            line.clear();
            cell(&mut line, PATH_MARK, picture.name_in(subject).as_os_str());
            for known in [&subject.label, &subject.group, &subject.source] {
                line.push(b',');
                cell(&mut line, TEXT_MARK, known);
            }
            // Writing into memory does not fail.
            let _ = write!(line, ",{},{:?},", entry.sample_rate, picture.duration_s);
            for byte in entry.sha256.iter().flatten() {
                let _ = write!(line, "{byte:02x}");
            }
            line.push(b'\n');
            put(&line)?;
        }
        Ok(())
    })
}

/// What stands before a path that a spreadsheet would run as a formula: it means the same file.
const PATH_MARK: &[u8] = b"./";
/// What stands before another such text, and before a word that means "not known".
const TEXT_MARK: &[u8] = b"'";
/// What a cell that is a formula begins with; the last four are full width.
const FORMULA: [&str; 11] =
    ["=", "+", "-", "@", "\t", "\r", "\n", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}"];
/// What R and pandas write for a value that is not known.
const MISSING: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Whether a cell, without the marks that it may begin with, is a formula or no value. The reader
/// of tables in Python takes a mark off where this holds.
fn needs_mark(mut cell: &[u8], mark: &[u8]) -> bool {
    while let Some(rest) = cell.strip_prefix(mark) {
        cell = rest;
    }
    let blanks = |byte: &&u8| **byte == b' ';
    let word = &cell[cell.iter().take_while(blanks).count()..];
    let word_only = &word[..word.len() - word.iter().rev().take_while(blanks).count()];
    FORMULA.iter().any(|sign| word.starts_with(sign.as_bytes()))
        || (mark == TEXT_MARK && MISSING.iter().any(|known| word_only == known.as_bytes()))
}

/// A cell of a CSV, with a mark and between quotes where it has to be.
fn cell(out: &mut Vec<u8>, mark: &[u8], text: &OsStr) {
    let bytes = text.as_encoded_bytes();
    let mark = if needs_mark(bytes, mark) { mark } else { b"" };
    if !bytes.iter().any(|c| b",\"\r\n".contains(c)) {
        out.extend_from_slice(mark);
        return out.extend_from_slice(bytes);
    }
    out.push(b'"');
    out.extend_from_slice(mark);
    for &byte in bytes {
        out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    out.push(b'"');
}

/// `errors.jsonl`, in the order of the recordings; none where there is no error.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_errors(
    folder: &Path,
    rows: &Rows<'_>,
    failures: &[(usize, Failure)],
    fsync: bool,
) -> Result<()> {
    let path = folder.join("errors.jsonl");
    if failures.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { path, error })
            }
            _ => Ok(()),
        };
    }
    write(&path, fsync, |put| {
        let mut line = Vec::new();
        for (turn, failure) in failures {
            line.clear();
            manifest::write_error(&mut line, &rows.tasks.named(*turn), failure);
            put(&line)?;
        }
        Ok(())
    })
}

/// The manifest, by paths. Its lines stay as they are.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_manifest(header: &str, rows: &Rows<'_>, fsync: bool) -> Result<()> {
    let mut order: Vec<u32> = rows.told().collect();
    let place = |row: u32| {
        let (tasks, at) = rows.of(row);
        (tasks.path(at), tasks.picture(at))
    };
    order.sort_unstable_by(|&a, &b| {
        let ((path_a, name_a), (path_b, name_b)) = (place(a), place(b));
        by_path(path_a, path_b).then_with(|| by_path(name_a, name_b))
    });
    write(rows.path, fsync, |put| {
        put(header.as_bytes())?;
        put(b"\n")?;
        let mut lines = Lines::of(rows.manifest);
        for row in order {
            let begin = rows.begins[row as usize];
            put(lines.line(begin).map_err(|error| rows.failed(error))?)?;
            put(b"\n")?;
        }
        Ok(())
    })
}
