//! Where the bytes of a recording come from: a file, or a member of a ZIP or tar that is read
//! where it lies.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result};
use crate::inflate::{Inflated, Inflater};
use crate::memory::{fit, reserve};
use crate::sniff::Start;

/// Bytes that are read, hashed or written between two looks at a [`Cancel`].
pub(crate) const IO_STRIDE: usize = 16 * STRIDE;
/// Bytes that are read at a time where they are worked on at once: they stay in the cache.
pub(crate) const STEP: usize = 1 << 17;
/// So much is read to be hashed on the way, where a reader passes over it.
const GAP: u64 = 1 << 20;
/// What is inflated can be read from here on once more: headers are looked through before a reader
/// is chosen.
const KEPT: u64 = 1 << 20;
/// Compressed members up to this are inflated before they are read: some formats are read from
/// their end. Longer ones are read as they come.
const MOST_INFLATED: u64 = 32 << 20;

/// A recording.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A member of an archive, by its place in [`Archive::open`]'s list.
    Member(Arc<Archive>, usize),
}

/// A part of a file, read by position.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) file: Arc<File>,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Extent {
    /// Reads at a place of this part; nothing at its end.
    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(at);
        let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        loop {
            match read_at(&self.file, self.start + at, &mut buffer[..n]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Fills the buffer from a place of this part, or fails.
    pub(crate) fn read_exact_at(&self, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(at, buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    at += n as u64;
                    buffer = &mut buffer[n..];
                }
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// Opens a file and finds its length. A pipe or a device, which may have no end, is not opened.
pub(crate) fn open_file(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Who opens a pipe waits for its other end; and to look first would be one more call.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let known = file.metadata()?;
    if known.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !known.is_file() {
        let message = "a pipe, a socket or a device";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok((file, known.len()))
}

/// The bytes of one recording, opened.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) stored: Extent,
    /// Its length, where `stored` is a deflate stream.
    pub(crate) inflated: Option<u64>,
    /// What its bytes should sum up to.
    pub(crate) crc: Option<u32>,
    /// Whether it may have grown since its length was found.
    may_grow: bool,
}

/// One thread's open archive, and its working memory for what is compressed in there.
#[derive(Default)]
pub(crate) struct Opener {
    archive: Option<(Arc<Archive>, Arc<File>)>,
    inflater: Inflater,
}

impl Opener {
    /// # Errors
    /// [`Error::Read`]; [`Error::Decode`] and [`Error::Unsupported`] for a member that is not to
    /// be read.
    pub(crate) fn open(&mut self, origin: &Origin) -> Result<Source> {
        match origin {
            Origin::File(path) => {
                let (file, length) = open_file(path).map_err(Error::Read)?;
                let stored = Extent { file: Arc::new(file), start: 0, length };
                Ok(Source { stored, inflated: None, crc: None, may_grow: true })
            }
            Origin::Member(archive, member) => {
                let file = match &self.archive {
                    Some((open, file)) if Arc::ptr_eq(open, archive) => Arc::clone(file),
                    _ => {
                        let file = Arc::new(archive.reopen()?);
                        self.archive = Some((Arc::clone(archive), Arc::clone(&file)));
                        file
                    }
                };
                let (stored, inflated, crc) = archive.find(*member, file)?;
                Ok(Source { stored, inflated, crc, may_grow: false })
            }
        }
    }

    /// Reads all of it into the beginning of a buffer that grows where it is too short; returns
    /// how many bytes that are.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Decode`] if it does not fit into memory, or is not what its
    /// archive says; [`Error::Cancelled`] soon after `cancel` is set.
    pub(crate) fn read(
        &mut self,
        source: Source,
        bytes: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<usize> {
        let Source { mut stored, inflated, crc, may_grow } = source;
        let known = inflated.unwrap_or(stored.length);
        if inflated.is_none() && known >= bytes.len() as u64 {
            reserve(bytes, known as usize + 1 - bytes.len())?;
        }
        if may_grow {
            stored.length = u64::MAX;
        }
        let mut input = Input::new(stored, inflated, &mut self.inflater);
        let mut used = 0;
        loop {
            cancel.check()?;
            // One byte more than there should be: then the call that reads the rest finds the end.
            let ahead = known.saturating_sub(used as u64).saturating_add(1);
            let step = usize::try_from(ahead).unwrap_or(usize::MAX).min(IO_STRIDE);
            if bytes.len() < used + step {
                fit(bytes, used + step, cancel)?;
            }
            let n = input.read(used as u64, &mut bytes[used..used + step])?;
            used += n;
            if n == 0 || (n < step && inflated.is_none()) {
                break;
            }
        }
        if let Some(expected) = crc {
            check_crc(expected, crc32fast::hash(&bytes[..used]))?;
        }
        Ok(used)
    }

    /// A source to be read bit by bit, and hashed on the way; `bytes` are working memory.
    ///
    /// # Errors
    /// Those of [`Opener::read`].
    pub(crate) fn stream<'i>(
        &'i mut self,
        mut source: Source,
        bytes: &'i mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<Hashed<'i>> {
        let length = source.inflated.unwrap_or(source.stored.length);
        let crc = source.crc.take();
        let input = if source.inflated.is_some_and(|length| length <= MOST_INFLATED) {
            let length = self.read(source, bytes, cancel)?;
            Input::Memory(&bytes[..length])
        } else {
            Input::new(source.stored, source.inflated, &mut self.inflater)
        };
        Ok(Hashed {
            input,
            length,
            position: 0,
            start: Start::new(&[], length),
            kept: Vec::new(),
            hashed: 0,
            sha256: Sha256::new(),
            crc: crc.map(|crc| (crc, crc32fast::Hasher::new())),
        })
    }
}

/// What a reader reads: bytes as they lie there, or inflated.
enum Input<'i> {
    Stored(Extent),
    Memory(&'i [u8]),
    Inflated(Inflated<'i>),
}

impl<'i> Input<'i> {
    fn new(stored: Extent, inflated: Option<u64>, inflater: &'i mut Inflater) -> Self {
        match inflated {
            None => Self::Stored(stored),
            Some(length) => Self::Inflated(Inflated::new(inflater, stored, length)),
        }
    }

    /// Reads at `position`; what is inflated is always read on.
    fn read(&mut self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Stored(extent) => extent.read_at(position, buffer).map_err(Error::Read),
            Self::Memory(bytes) => Ok(copy(bytes, position, buffer)),
            Self::Inflated(inflated) => inflated.read(buffer),
        }
    }
}

/// A recording's bytes as a stream, hashed as far as it has been read.
pub(crate) struct Hashed<'i> {
    input: Input<'i>,
    pub(crate) length: u64,
    pub(crate) position: u64,
    /// How it begins, as far as it has been read.
    pub(crate) start: Start,
    /// The beginning of what is inflated.
    kept: Vec<u8>,
    /// All bytes before this one are in the sums.
    hashed: u64,
    sha256: Sha256,
    crc: Option<(u32, crc32fast::Hasher)>,
}

impl Hashed<'_> {
    /// Whether the bytes can be read by position.
    pub(crate) fn is_seekable(&self) -> bool {
        !matches!(self.input, Input::Inflated(_))
    }

    /// Fills a buffer from a place in the file's header, by position, before all other reading.
    ///
    /// # Errors
    /// Those of reading; [`Error::Decode`] for a place that is too far in to come back from.
    pub(crate) fn read_header_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<()> {
        if !self.is_seekable() {
            if self.kept.is_empty() {
                let mut kept = vec![0; KEPT.min(self.length) as usize];
                self.read_exact_at(0, &mut kept)?;
                self.kept = kept;
            }
            if at + buffer.len() as u64 > self.kept.len() as u64 {
                let expected = format!("a header of {KEPT} bytes at most in what is compressed");
                return Err(Error::decode(expected, "more").at(at));
            }
        }
        self.read_exact_at(at, buffer)
    }

    /// Reads at a place; what is inflated can only be read on, but for its beginning.
    pub(crate) fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<usize> {
        if (self.hashed + 1..=self.hashed + GAP).contains(&at) {
            let mut gap = vec![0; (at - self.hashed) as usize];
            self.read_exact_at(self.hashed, &mut gap)?;
        }
        let n = match copy(&self.kept, at, buffer) {
            0 => self.input.read(at, buffer)?,
            n => n,
        };
        let read = &buffer[..n];
        if at == 0 && self.start.is_shorter_than(read) {
            self.start = Start::new(read, self.length);
        }
        if let Some(new) = self.hashed.checked_sub(at).and_then(|old| read.get(old as usize..)) {
            self.sha256.update(new);
            if let Some((_, crc)) = &mut self.crc {
                crc.update(new);
            }
            self.hashed += new.len() as u64;
        }
        Ok(n)
    }

    /// Fills a buffer from a place, or fails.
    pub(crate) fn read_exact_at(&mut self, mut at: u64, buffer: &mut [u8]) -> Result<()> {
        // In steps, so that what is hashed is still in the cache.
        for step in buffer.chunks_mut(STEP) {
            let mut read = 0;
            while read < step.len() {
                match self.read_at(at, &mut step[read..])? {
                    0 => return Err(Error::Read(io::ErrorKind::UnexpectedEof.into())),
                    n => {
                        at += n as u64;
                        read += n;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads what has not been read yet, and returns the SHA-256 of all.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Decode`] if the archive says something else of it;
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub(crate) fn finish(mut self, cancel: &Cancel) -> Result<[u8; 32]> {
        let mut step = vec![0; STEP];
        loop {
            cancel.check()?;
            if self.read_at(self.hashed, &mut step)? == 0 {
                break;
            }
        }
        if let Some((expected, crc)) = self.crc {
            check_crc(expected, crc.finalize())?;
        }
        Ok(self.sha256.finalize().into())
    }
}

/// Copies what there is at a place, as far as it fits; returns how much that is.
fn copy(bytes: &[u8], at: u64, buffer: &mut [u8]) -> usize {
    let left = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let n = left.len().min(buffer.len());
    buffer[..n].copy_from_slice(&left[..n]);
    n
}

fn check_crc(expected: u32, found: u32) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let expected = format!("the archive's checksum {expected:08x}");
    Err(Error::decode(expected, format!("{found:08x}")))
}
