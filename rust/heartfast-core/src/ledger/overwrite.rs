//! Removes what earlier runs have made in a folder, whatever their settings.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;

use super::journal::is_header;
use crate::manifest;
use crate::sink::{is_archive, remove_picture};

/// Tables and pages that runs leave beside the manifest.
const BESIDE: [&str; 3] = ["metadata.csv", "errors.jsonl", "gallery.html"];

/// Removes the pictures that the manifest tells of, archives and tables, and empties the manifest.
///
/// # Errors
/// Something cannot be removed; the manifest is none.
pub(super) fn clear(folder: &Path, mut journal: &File) -> io::Result<()> {
    let top = folder.canonicalize()?;
    journal.rewind()?;
    let mut lines = BufReader::new(journal);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    if !is_header(&line) {
        let said = "expected a manifest of heartfast's, found another file";
        return Err(io::Error::new(io::ErrorKind::InvalidData, said));
    }
    line.clear();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if let Some((subject, entry)) = manifest::parse(line.trim_ascii_end()) {
            for picture in entry.pictures.as_slice() {
                remove_inside(&top, picture.name_in(&subject))?;
            }
        }
        line.clear();
    }
    for entry in fs::read_dir(&top)? {
        let name = entry?.file_name();
        if is_archive(&name.to_string_lossy()) || BESIDE.iter().any(|beside| name == *beside) {
            remove_picture(&top, Path::new(&name))?;
        }
    }
    journal.set_len(0)
}

/// Removes a picture, unless a link leads out of the folder.
fn remove_inside(top: &Path, name: &Path) -> io::Result<()> {
    let above = top.join(name).parent().and_then(|above| above.canonicalize().ok());
    if above.is_some_and(|above| above.starts_with(top)) {
        remove_picture(top, name)
    } else {
        Ok(())
    }
}
