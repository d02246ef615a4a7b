//! What a file is that no reader takes, in words.

use symphonia::core::errors::Error as SymphoniaError;

use crate::error::{Error, READABLE};

/// Bytes that tell what a file is.
const SEEN: usize = 48;
/// Of which so many are shown where they tell nothing.
const SHOWN: usize = 12;

/// How a file begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    bytes: [u8; SEEN],
    used: usize,
    length: u64,
}

impl Start {
    /// Of a file of so many bytes that has these at its beginning.
    pub(crate) fn new(bytes: &[u8], length: u64) -> Self {
        let used = bytes.len().min(SEEN);
        let mut start = Self { length, used, bytes: [0; SEEN] };
        start.bytes[..used].copy_from_slice(&bytes[..used]);
        start
    }

    /// Whether there could be more of the beginning in here.
    pub(crate) fn is_shorter_than(&self, bytes: &[u8]) -> bool {
        self.used < bytes.len().min(SEEN)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// Files by bytes at a place near their beginning: what is met among recordings.
const KNOWN: [(usize, &[u8], &str); 53] = [
    (28, b"OpusHead", "an Opus stream in Ogg"),
    (28, b"Speex   ", "a Speex stream in Ogg"),
    (28, b"\x7fFLAC", "a FLAC stream in Ogg"),
    (28, b"\x80theora", "a Theora video in Ogg"),
    (0, b"OggS", "an Ogg stream"),
    (0, b"fLaC", "a FLAC stream"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"TTA1", "a True Audio file"),
    (0, b"OFR ", "an OptimFROG file"),
    (0, b"MPCK", "a Musepack file"),
    (0, b"MP+", "a Musepack file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"DSD ", "a DSD file"),
    (0, b"FRM8", "a DSDIFF file"),
    (0, b"NIST_1A", "a NIST SPHERE file"),
    (0, b"Creative Voice File", "a Creative Voice file"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b".RMF", "a RealMedia file"),
    (8, b"AVI ", "an AVI video"),
    (8, b"8SVX", "an IFF 8SVX file"),
    (4, b"ftyp", "an MPEG-4 file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    // Tables and archives, which may have recordings in them.
    (
        0,
        b"PAR1",
        "a Parquet table; write the recordings in it into files, or give them to convert_batch",
    ),
    (
        0,
        b"ARROW1",
        "an Arrow table; write the recordings in it into files, or give them to convert_batch",
    ),
    (
        0,
        b"\xff\xff\xff\xff",
        "an Arrow stream; write the recordings in it into files, or give them to convert_batch",
    ),
    (0, b"FEA1", "a Feather table; write the recordings in it into files"),
    (0, b"SQLite format 3\0", "an SQLite database; write the recordings in it into files"),
    (0, b"\x89HDF\r\n", "an HDF5 file; write the recordings in it into files"),
    (0, b"MATLAB 5.0 MAT-file", "a MAT file; write the recordings in it into files"),
    (0, b"\x93NUMPY", "an array of NumPy's; write it into a WAV file"),
    (0, b"\x80\x02", "a pickle, which is not opened"),
    (0, b"\x80\x03", "a pickle, which is not opened"),
    (0, b"\x80\x04\x95", "a pickle, which is not opened"),
    (0, b"\x80\x05\x95", "a pickle, which is not opened"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ\0", "an xz file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
    (0, b"\x04\x22\x4d\x18", "an lz4 file"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
    (0, b"<?xml", "an XML document"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
];

/// Those of [`KNOWN`] that are read, if they are whole and of a codec that is.
const READ: [&str; 3] = ["an Ogg stream", "a FLAC stream", "an MPEG-4 file"];

/// The error of a file that no reader took.
pub(crate) fn not_recognised(error: &SymphoniaError, start: &Start) -> Error {
    if start.length == 0 {
        return Error::decode(READABLE, "an empty file");
    }
    let shown = &start.bytes()[..start.used.min(SHOWN)];
    let text: String = shown.escape_ascii().map(char::from).collect();
    match (name(start), error) {
        (Some(name), _) if !READ.contains(&name) => Error::unsupported(name),
        (name, SymphoniaError::IoError(_)) => {
            let begin = name.map_or_else(|| format!("\"{text}\""), str::to_owned);
            let found = format!("{} bytes that start as {begin} and end early", start.length);
            Error::decode(READABLE, found)
        }
        (_, SymphoniaError::DecodeError(what)) => Error::decode(READABLE, *what),
        (Some(name), SymphoniaError::Unsupported(what)) if !is_probes(what) => {
            Error::unsupported(format!("{name} ({what})"))
        }
        (Some(name), _) => Error::unsupported(name),
        (None, _) => Error::unsupported(format!("a file that starts with \"{text}\"")),
    }
}

/// What a file with this beginning seems to be.
pub(crate) fn name(start: &Start) -> Option<&'static str> {
    let begins = |(at, magic, _): &&(usize, &[u8], &str)| {
        start.bytes().get(*at..).is_some_and(|bytes| bytes.starts_with(magic))
    };
    KNOWN.iter().find(begins).map(|(_, _, name)| *name)
}

/// Whether the words are those of the search for a format, not of one that was found.
fn is_probes(what: &str) -> bool {
    what.contains("probe") || what.contains("format")
}
