//! Where the bytes of a recording come from: a file, somewhere that the caller reads from (an
//! object store), or a member of a ZIP or tar that is read where it lies.

use std::fmt::Debug;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::archive::Archive;
use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result};
use crate::inflate::{Inflated, Inflater};
use crate::manifest::Stamp;
use crate::memory::{fit, reserve};
use crate::stream::Hashed;
use crate::threads::lock;

/// Bytes that are read, hashed or written between two looks at a [`Cancel`].
pub(crate) const IO_STRIDE: usize = 16 * STRIDE;
/// Bytes that are read at a time where they are worked on at once: they stay in the cache.
pub(crate) const STEP: usize = 1 << 17;
/// Bytes of a stream that are read at a time where each reading is a request.
const STREAM_STEP: usize = 1 << 20;
/// Compressed members up to this are inflated before they are read: some formats are read from
/// their end. Longer ones are read as they come.
const MOST_INFLATED: u64 = 32 << 20;
/// Files up to this are read in one go, which is the fastest. Longer ones are read as they come, so that what is no
/// recording, or goes beyond a limit, takes no memory.
const MOST_WHOLE: u64 = MOST_INFLATED;
/// What is never opened: who waits for the other end of a pipe may wait for ever, and opening a device may change it.
pub(crate) const SPECIAL: &str =
    "a pipe, a socket or a device, which is not opened; give a file, or - for standard input";

/// A recording.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A member of an archive, by its place in [`Archive::open`]'s list.
    Member(Arc<Archive>, usize),
    /// What somebody else reads; it is as long as it is said to be.
    Remote(Arc<dyn ReadAt>, Stamp),
}

/// Bytes that are read by position, from any thread.
pub trait ReadAt: Debug + Send + Sync {
    /// Reads into a buffer: all of it, or as much as there is up to the end.
    ///
    /// # Errors
    /// What reading gives; `NotFound` and `PermissionDenied` mean what they mean of files.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, at)
    }

    #[cfg(windows)]
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, at)
    }
}

/// Reads more than is asked for, where each call is a request: small pieces that lie close behind
/// one another then are one. Made for one thread.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    reader: Arc<dyn ReadAt>,
    length: u64,
    step: usize,
    /// What was read last, and where it begins.
    read: Mutex<(u64, Vec<u8>)>,
}

impl ReadAhead {
    pub(crate) fn new(reader: Arc<dyn ReadAt>, length: u64, step: usize) -> Self {
        Self { reader, length, step, read: Mutex::default() }
    }
}

impl ReadAt for ReadAhead {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(at);
        let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (start, read) = &mut *lock(&self.read);
        let inside = at.checked_sub(*start).and_then(|from| usize::try_from(from).ok());
        if let Some(known) = inside.and_then(|from| read.get(from..from.checked_add(n)?)) {
            buffer[..n].copy_from_slice(known);
            return Ok(n);
        }
        if n >= self.step {
            return self.reader.read_at(at, &mut buffer[..n]);
        }
        read.resize(self.step.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
        *start = at;
        let found = self.reader.read_at(at, read);
        read.truncate(*found.as_ref().unwrap_or(&0));
        let n = n.min(found?);
        buffer[..n].copy_from_slice(&read[..n]);
        Ok(n)
    }
}

/// A part of a file, or of what takes its place, read by position.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) file: Arc<dyn ReadAt>,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Extent {
    /// Reads at a place of this part; nothing at its end.
    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(at);
        let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        loop {
            match self.file.read_at(self.start + at, &mut buffer[..n]) {
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

/// Opens a file and finds its length and time. A pipe, a socket or a device is not opened.
pub(crate) fn open_file(path: &Path) -> io::Result<(File, Stamp)> {
    require_file(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    // Something else may have its name by now.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let known = file.metadata()?;
    require_file(&known)?;
    let stamp = Stamp::from(&known);
    Ok((file, stamp))
}

/// All bytes of a file.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let (mut file, _) = open_file(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// # Errors
/// Unless it is a file.
pub(crate) fn require_file(known: &Metadata) -> io::Result<()> {
    if known.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !known.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, SPECIAL));
    }
    Ok(())
}

/// The bytes of one recording, opened.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) stored: Extent,
    /// Its length, where `stored` is a deflate stream.
    pub(crate) inflated: Option<u64>,
    /// What its bytes should sum up to.
    pub(crate) crc: Option<u32>,
    /// Of its file, or of the archive that it is in.
    pub(crate) stamp: Stamp,
    /// Whether it may have grown since its length was found.
    may_grow: bool,
    /// Whether each reading is a request.
    far: bool,
}

impl Source {
    /// Whether it is too long to be read in one go.
    pub(crate) fn is_long(&self) -> bool {
        self.inflated.unwrap_or(self.stored.length) > MOST_WHOLE
    }
}

/// One thread's open archive, and its working memory for what is compressed in there.
#[derive(Default)]
pub(crate) struct Opener {
    archive: Option<(Arc<Archive>, Arc<dyn ReadAt>)>,
    inflater: Inflater,
}

impl Opener {
    /// # Errors
    /// [`Error::Read`]; [`Error::Decode`] and [`Error::Unsupported`] for a member that is not to
    /// be read.
    pub(crate) fn open(&mut self, origin: &Origin) -> Result<Source> {
        match origin {
            Origin::File(path) => {
                let (file, stamp) = open_file(path).map_err(Error::Read)?;
                let stored = Extent { file: Arc::new(file), start: 0, length: stamp.size };
                Ok(Source { stored, inflated: None, crc: None, stamp, may_grow: true, far: false })
            }
            Origin::Member(archive, member) => {
                let file = match &self.archive {
                    Some((open, file)) if Arc::ptr_eq(open, archive) => Arc::clone(file),
                    _ => {
                        let file = archive.reopen()?;
                        self.archive = Some((Arc::clone(archive), Arc::clone(&file)));
                        file
                    }
                };
                let (stored, inflated, crc) = archive.find(*member, file)?;
                let stamp = archive.stamp();
                Ok(Source { stored, inflated, crc, stamp, may_grow: false, far: false })
            }
            Origin::Remote(reader, stamp) => {
                let stored = Extent { file: Arc::clone(reader), start: 0, length: stamp.size };
                Ok(Source {
                    stored,
                    inflated: None,
                    crc: None,
                    stamp: *stamp,
                    may_grow: false,
                    far: true,
                })
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
        let Source { mut stored, inflated, crc, may_grow, .. } = source;
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
        if !may_grow && inflated.is_none() && (used as u64) < known {
            return Err(Error::decode(format!("{known} bytes"), used.to_string()));
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
        if source.far {
            let stored = &mut source.stored;
            let ahead = ReadAhead::new(Arc::clone(&stored.file), length, STREAM_STEP);
            stored.file = Arc::new(ahead);
        }
        let input = if source.inflated.is_some_and(|length| length <= MOST_INFLATED) {
            let length = self.read(source, bytes, cancel)?;
            Input::Memory(&bytes[..length])
        } else {
            Input::new(source.stored, source.inflated, &mut self.inflater)
        };
        Ok(Hashed::new(input, length, crc))
    }
}

/// Whether a recording is too long to be read in one go.
///
/// # Errors
/// Those of [`read`] for what cannot be opened.
pub fn is_long(recording: &Origin) -> Result<bool> {
    Ok(Opener::default().open(recording)?.is_long())
}

/// All bytes of a recording, into a buffer whose memory is used again.
///
/// # Errors
/// [`Error::Read`]; [`Error::Decode`] if it does not fit into memory, or is not what its archive
/// says; [`Error::Unsupported`] for a member of an archive that is not read; [`Error::Cancelled`]
/// soon after `cancel` is set. A pipe or a device, which may have no end, is not read.
pub fn read(recording: &Origin, bytes: &mut Vec<u8>, cancel: &Cancel) -> Result<()> {
    let mut opener = Opener::default();
    let source = opener.open(recording)?;
    let length = opener.read(source, bytes, cancel)?;
    bytes.truncate(length);
    Ok(())
}

/// What a reader reads: bytes as they lie there, or inflated.
pub(crate) enum Input<'i> {
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
    pub(crate) fn read(&mut self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Stored(extent) => extent.read_at(position, buffer).map_err(Error::Read),
            Self::Memory(bytes) => {
                let left = bytes.get(position as usize..).unwrap_or_default();
                let n = left.len().min(buffer.len());
                buffer[..n].copy_from_slice(&left[..n]);
                Ok(n)
            }
            Self::Inflated(inflated) => inflated.read(buffer),
        }
    }
}

pub(crate) fn check_crc(expected: u32, found: u32) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let expected = format!("the archive's checksum {expected:08x}");
    Err(Error::decode(expected, format!("{found:08x}")))
}
