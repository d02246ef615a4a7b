//! Lines of the manifest: JSON, one for each recording, that say what became of it. They are read
//! back by the run that continues this one, strictly as they are written here.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;
use crate::findings::{Findings, Remark};
use crate::json::{Json, Scan};

/// Size and time of a recording's file: not the same once it is written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970, when it was written to.
    pub mtime_ns: i64,
}

impl From<&std::fs::Metadata> for Stamp {
    fn from(known: &std::fs::Metadata) -> Self {
        let since = |time: std::time::SystemTime| match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Self { size: known.len(), mtime_ns: known.modified().map_or(0, since) }
    }
}

/// A picture that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its name, where it is not that of its recording's task.
    pub name: Option<Box<Path>>,
    /// Seconds of sound in it.
    pub duration_s: f64,
    /// Bytes of its file.
    pub bytes: u64,
    /// CRC-32 of them.
    pub crc32: u32,
}

impl Picture {
    /// Its name, as a picture of this recording.
    #[must_use]
    pub fn name_in<'p>(&'p self, subject: &'p Subject) -> &'p Path {
        self.name.as_deref().unwrap_or(&subject.file_name)
    }
}

/// The pictures of a recording. Nearly all have one, which then needs no memory of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Pictures {
    /// Of the whole recording.
    One(Picture),
    /// Of its segments.
    Many(Vec<Picture>),
}

impl Default for Pictures {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Pictures {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Picture] {
        match self {
            Self::One(picture) => std::slice::from_ref(picture),
            Self::Many(pictures) => pictures,
        }
    }
}

/// Why a recording failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One word, for tables by kind.
    pub kind: String,
    /// What was expected and what was found.
    pub message: String,
    /// The byte of the recording where it went wrong, where that is known.
    pub offset: Option<u64>,
}

/// A place in the archives of pictures: all before it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the archive.
    pub shard: u64,
    /// Bytes of it.
    pub end: u64,
}

/// What became of a recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Of its file when it was opened, or of the archive that it is in.
    pub stamp: Stamp,
    /// SHA-256 of all its bytes, unless they could not be read.
    pub sha256: Option<[u8; 32]>,
    /// Samples per second, or 0 where nothing of it could be read.
    pub sample_rate: u32,
    /// Samples in its pictures that are no finite numbers, and count as silence.
    pub silenced: u64,
    /// What was odd about it.
    pub remarks: Vec<Remark>,
    /// Its pictures, in order.
    pub pictures: Pictures,
    /// Why there are no further ones, if there should be.
    pub failure: Option<Box<Failure>>,
    /// Where its pictures end, where they are in an archive.
    pub place: Option<Place>,
}

impl Entry {
    /// Takes over what a reader has found: remarks, and missing sound as a failure.
    pub(crate) fn find(&mut self, findings: Findings) {
        let error = findings.error();
        self.remarks = findings.remarks;
        if let Some(error) = error {
            self.fail(&error);
        }
    }

    /// Notes why there are no further pictures, behind what has failed before.
    pub(crate) fn fail(&mut self, error: &Error) {
        let (kind, message, offset) = (error.kind().into(), error.to_string(), error.offset());
        self.failure = Some(Box::new(match self.failure.take() {
            None => Failure { kind, message, offset },
            Some(first) => {
                Failure { message: format!("{}; then {message}", first.message), ..*first }
            }
        }));
    }
}

/// Whose entry it is, and what the tables say of it beyond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The recording, from the root of the file system.
    pub path: PathBuf,
    /// What its picture is called, with "/"; those of segments add to it.
    pub file_name: PathBuf,
    /// Its class.
    pub label: OsString,
    /// What must not be split between training and test.
    pub group: OsString,
    /// The corpus or device that it came from.
    pub source: OsString,
}

/// Appends a line.
pub(crate) fn write(out: &mut Vec<u8>, subject: &Subject, entry: &Entry) {
    // Writing into memory does not fail.
    let mut put = |text: std::fmt::Arguments<'_>| drop(out.write_fmt(text));
    put(format_args!(
        "{{\"path\": {}, \"size\": {}, \"mtime_ns\": {}, \"file_name\": {}, \"label\": {}, \
         \"group\": {}, \"source\": {}, \"sample_rate\": {}, \"sha256\": \"",
        Json(subject.path.as_os_str()),
        entry.stamp.size,
        entry.stamp.mtime_ns,
        Json(subject.file_name.as_os_str()),
        Json(&subject.label),
        Json(&subject.group),
        Json(&subject.source),
        entry.sample_rate,
    ));
    for byte in entry.sha256.iter().flatten() {
        put(format_args!("{byte:02x}"));
    }
    put(format_args!("\""));
    if entry.silenced > 0 {
        put(format_args!(", \"silenced\": {}", entry.silenced));
    }
    remarks_field(&mut put, &entry.remarks);
    put(format_args!(", \"pictures\": ["));
    for (i, picture) in entry.pictures.as_slice().iter().enumerate() {
        put(format_args!(
            "{}[{}, {:?}, {}, \"{:08x}\"]",
            if i == 0 { "" } else { ", " },
            Json(picture.name_in(subject).as_os_str()),
            picture.duration_s,
            picture.bytes,
            picture.crc32,
        ));
    }
    put(format_args!("]"));
    if let Some(place) = entry.place {
        put(format_args!(", \"shard\": {}, \"end\": {}", place.shard, place.end));
    }
    if let Some(failure) = &entry.failure {
        put(format_args!(", \"error\": "));
        error_fields(&mut put, failure);
    }
    put(format_args!("}}\n"));
}

/// The remarks, where there are some.
fn remarks_field(put: &mut impl FnMut(std::fmt::Arguments<'_>), remarks: &[Remark]) {
    for (i, Remark { kind, text }) in remarks.iter().enumerate() {
        let before = if i == 0 { ", \"remarks\": [" } else { ", " };
        let (kind, text) = (Json(kind.as_ref()), Json(text.as_ref()));
        put(format_args!("{before}[{kind}, {text}]"));
    }
    if !remarks.is_empty() {
        put(format_args!("]"));
    }
}

/// The line of a recording that failed, in the table of errors; `path` as the caller named it.
pub(crate) fn write_error(out: &mut Vec<u8>, path: &OsStr, failure: &Failure) {
    let mut put = |text: std::fmt::Arguments<'_>| drop(out.write_fmt(text));
    put(format_args!("{{\"path\": {}, ", Json(path)));
    error_body(&mut put, failure);
    put(format_args!("\n"));
}

fn error_fields(put: &mut impl FnMut(std::fmt::Arguments<'_>), failure: &Failure) {
    put(format_args!("{{"));
    error_body(put, failure);
}

fn error_body(put: &mut impl FnMut(std::fmt::Arguments<'_>), failure: &Failure) {
    let (kind, message) = (Json(failure.kind.as_ref()), Json(failure.message.as_ref()));
    put(format_args!("\"kind\": {kind}, \"message\": {message}"));
    if let Some(offset) = failure.offset {
        put(format_args!(", \"offset\": {offset}"));
    }
    put(format_args!("}}"));
}

/// What WebDataset keeps beside a picture: its row of the table, as JSON.
pub(crate) fn sidecar(subject: &Subject, picture: &Picture, entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let name = picture.name_in(subject);
    let mut put = |text: std::fmt::Arguments<'_>| drop(out.write_fmt(text));
    put(format_args!(
        "{{\"file_name\": {}, \"label\": {}, \"group\": {}, \"source\": {}, \"sample_rate\": {}, \
         \"duration_s\": {:?}",
        Json(name.as_os_str()),
        Json(&subject.label),
        Json(&subject.group),
        Json(&subject.source),
        entry.sample_rate,
        picture.duration_s,
    ));
    if let Some(sha256) = entry.sha256 {
        put(format_args!(", \"sha256\": \""));
        for byte in sha256 {
            put(format_args!("{byte:02x}"));
        }
        put(format_args!("\""));
    }
    put(format_args!("}}"));
    out
}

/// Whether a name leads to a place inside of the folder, as all do that are written here.
fn stays_inside(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Reads a line, without its end; `None` where it is not exactly as one is written, or names what
/// is outside of the folder: pictures are removed by what manifests say.
#[must_use]
pub fn parse(line: &[u8]) -> Option<(Subject, Entry)> {
    let mut scan = Scan(line);
    let path = scan.after("{\"path\": ")?.string()?;
    let size = scan.after(", \"size\": ")?.number()?;
    let mtime_ns = scan.after(", \"mtime_ns\": ")?.number()?;
    let file_name = scan.after(", \"file_name\": ")?.string()?;
    stays_inside(file_name.as_ref()).then_some(())?;
    let label = scan.after(", \"label\": ")?.string()?;
    let group = scan.after(", \"group\": ")?.string()?;
    let source = scan.after(", \"source\": ")?.string()?;
    let sample_rate = scan.after(", \"sample_rate\": ")?.number()?;
    let digest = scan.after(", \"sha256\": ")?.text()?;
    let sha256 = if digest.is_empty() { None } else { Some(hex(&digest)?) };
    let mut silenced = 0;
    if scan.0.starts_with(b", \"silenced\"") {
        silenced = scan.after(", \"silenced\": ")?.number()?;
    }
    let remarks = read_remarks(&mut scan)?;
    scan.after(", \"pictures\": [")?;
    let mut pictures = Vec::new();
    while scan.0.first() == Some(&b'[') {
        let name = PathBuf::from(scan.after("[")?.string()?);
        stays_inside(&name).then_some(())?;
        let duration_s = scan.after(", ")?.number()?;
        let bytes = scan.after(", ")?.number()?;
        let crc32 = u32::from_str_radix(&scan.after(", ")?.text()?, 16).ok()?;
        scan.after("]")?;
        let name = (name.as_os_str() != file_name).then(|| name.into_boxed_path());
        pictures.push(Picture { name, duration_s, bytes, crc32 });
        if scan.0.starts_with(b", ") {
            scan.after(", ")?;
        }
    }
    scan.after("]")?;
    let mut place = None;
    if scan.0.starts_with(b", \"shard\"") {
        let shard = scan.after(", \"shard\": ")?.number()?;
        place = Some(Place { shard, end: scan.after(", \"end\": ")?.number()? });
    }
    let mut failure = None;
    if scan.0.starts_with(b", \"error\"") {
        let kind = scan.after(", \"error\": {\"kind\": ")?.text()?;
        let message = scan.after(", \"message\": ")?.text()?;
        let mut offset = None;
        if scan.0.starts_with(b", \"offset\"") {
            offset = Some(scan.after(", \"offset\": ")?.number()?);
        }
        scan.after("}")?;
        failure = Some(Box::new(Failure { kind, message, offset }));
    }
    scan.after("}")?.0.is_empty().then_some(())?;
    let pictures = match <[Picture; 1]>::try_from(pictures) {
        Ok([picture]) if picture.name.is_none() => Pictures::One(picture),
        Ok(one) => Pictures::Many(one.into()),
        Err(many) => Pictures::Many(many),
    };
    let stamp = Stamp { size, mtime_ns };
    let subject = Subject { path: path.into(), file_name: file_name.into(), label, group, source };
    let entry = Entry { stamp, sha256, sample_rate, silenced, remarks, pictures, failure, place };
    Some((subject, entry))
}

/// The remarks of a line, which are either left out or some.
fn read_remarks(scan: &mut Scan<'_>) -> Option<Vec<Remark>> {
    let mut remarks = Vec::new();
    let mut before = ", \"remarks\": [";
    while scan.0.starts_with(before.as_bytes()) {
        let kind = scan.after(before)?.after("[")?.text()?;
        let text = scan.after(", ")?.text()?;
        scan.after("]")?;
        remarks.push(Remark { kind, text });
        before = ", ";
    }
    if !remarks.is_empty() {
        scan.after("]")?;
    }
    Some(remarks)
}

fn hex(digest: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, []) = digest.as_bytes().as_chunks::<2>() else { return None };
    (pairs.len() == 32).then_some(())?;
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::ffi::OsString;

    use proptest::prelude::*;

    use super::{Entry, Failure, Picture, Pictures, Place, Remark, Stamp, Subject, parse, write};
    use crate::json::os_string;

    fn name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            any::<String>().prop_map(String::into_bytes)
        ]
    }

    /// A name without folders, and not one of a folder.
    fn inside(mut name: Vec<u8>) -> OsString {
        name.retain(|&c| c != b'/');
        name.insert(0, b'x');
        os_string(name)
    }

    fn picture() -> impl Strategy<Value = Picture> {
        (0.0..1e9, any::<u64>(), any::<u32>()).prop_map(|(duration_s, bytes, crc32)| Picture {
            name: None,
            duration_s,
            bytes,
            crc32,
        })
    }

    proptest! {
        #[test]
        fn a_line_says_all_of_an_entry(
            (path, file_name, label) in (name(), name(), any::<String>()),
            (size, mtime_ns, sha256) in (any::<u64>(), any::<i64>(), any::<Option<[u8; 32]>>()),
            one in picture(),
            many in proptest::option::of(proptest::collection::vec((name(), picture()), 0..4)),
            failure in proptest::option::of((any::<String>(), any::<Option<u64>>())),
            place in proptest::option::of((any::<u64>(), any::<u64>())),
            remarks in proptest::collection::vec((any::<String>(), any::<String>()), 0..4),
        ) {
            let file_name = std::path::PathBuf::from(inside(file_name));
            let subject = Subject {
                path: os_string(path).into(),
                file_name: file_name.clone(),
                label: label.into(),
                group: "g".into(),
                source: OsString::new(),
            };
            let pictures = match many {
                None => Pictures::One(one),
                Some(many) => Pictures::Many(
                    many.into_iter()
                        .enumerate()
                        .map(|(i, (name, picture))| {
                            let mut named = inside(name);
                            named.push(format!("{i}{}", file_name.display()));
                            Picture { name: Some(std::path::PathBuf::from(named).into()), ..picture }
                        })
                        .collect(),
                ),
            };
            let failure = failure.map(|(message, offset)| {
                Box::new(Failure { kind: "decode".into(), message, offset })
            });
            let place = place.map(|(shard, end)| Place { shard, end });
            let stamp = Stamp { size, mtime_ns };
            let silenced = size % 3;
            let remark = |(kind, text)| Remark { kind, text };
            let remarks = remarks.into_iter().map(remark).collect();
            let sample_rate = 4000;
            let entry = Entry {
                stamp, sha256, sample_rate, silenced, remarks, pictures, failure, place,
            };
            let mut line = Vec::new();
            write(&mut line, &subject, &entry);
            prop_assert_eq!(line.pop(), Some(b'\n'));
            prop_assert!(line.iter().all(|c| (b' '..=b'~').contains(c)));
            prop_assert_eq!(parse(&line), Some((subject, entry)));
            // What a killed process has left of it is no line.
            for cut in 0..line.len() {
                prop_assert_eq!(parse(&line[..cut]), None);
            }
        }

        #[test]
        fn names_outside_of_the_folder_are_none(
            name in prop_oneof![Just("/etc/x.png"), Just("../x.png"), Just("a/../../x.png")],
        ) {
            let subject = Subject { file_name: name.into(), ..Subject::default() };
            let mut line = Vec::new();
            write(&mut line, &subject, &Entry::default());
            line.pop();
            prop_assert_eq!(parse(&line), None);
        }

        #[test]
        fn any_bytes_are_read_or_not(line in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = parse(&line);
        }
    }
}
