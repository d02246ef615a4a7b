//! A recording's bytes as symphonia gets them.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use symphonia::core::io::MediaSource;

use super::flac::Metadata;
use crate::cancel::Cancel;
use crate::error::{Error, Result};

/// At least as many as are in a frame of MPEG audio.
const MOST_ZEROS: u64 = 2048;

/// How far a source has been read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// In bytes of the file.
    position: AtomicU64,
    /// Zeros that may follow the end.
    zeros: AtomicU64,
    /// Whether one was read.
    beyond: AtomicBool,
}

impl Progress {
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Lets zeros follow the end, which fill up a frame of MPEG audio that is cut off.
    pub(super) fn fill_up(&self) {
        self.zeros.store(MOST_ZEROS, Ordering::Relaxed);
    }

    /// Whether something behind the end has been read.
    pub(super) fn is_beyond(&self) -> bool {
        self.beyond.load(Ordering::Relaxed)
    }
}

/// A source that begins somewhere in its file, and tells how far it has been read. Once `cancel` is set it cannot be read
/// any more: readers do not look at it themselves.
pub(super) struct Bytes<'s> {
    source: Box<dyn MediaSource + 's>,
    start: u64,
    progress: Arc<Progress>,
    cancel: &'s Cancel,
    /// Of FLAC, which then is read in one go.
    metadata: Option<Metadata>,
}

impl<'s> Bytes<'s> {
    /// Those from `start` on.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub(super) fn new(
        mut source: Box<dyn MediaSource + 's>,
        start: u64,
        progress: &Arc<Progress>,
        cancel: &'s Cancel,
    ) -> Result<Self> {
        // By reading, since not all sources can be read from anywhere.
        io::copy(&mut source.by_ref().take(start), &mut io::sink()).map_err(Error::Read)?;
        progress.position.store(start, Ordering::Relaxed);
        Ok(Self { source, start, progress: Arc::clone(progress), cancel, metadata: None })
    }

    /// Presents the metadata of FLAC as padding, which is passed over.
    pub(super) fn hide_metadata(&mut self) {
        self.metadata = Some(Metadata::new());
    }
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let n = self.source.read(buffer)?;
        if let Some(metadata) = &mut self.metadata {
            metadata.hide(&mut buffer[..n]);
        }
        let zeros = self.progress.zeros.load(Ordering::Relaxed);
        if n == 0 && zeros > 0 && !buffer.is_empty() {
            let n = buffer.len().min(zeros as usize);
            buffer[..n].fill(0);
            self.progress.zeros.store(zeros - n as u64, Ordering::Relaxed);
            self.progress.beyond.store(true, Ordering::Relaxed);
            return Ok(n);
        }
        self.progress.position.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Bytes<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(at.saturating_add(self.start)),
            other => other,
        };
        let at = self.source.seek(to)?;
        self.progress.position.store(at, Ordering::Relaxed);
        at.checked_sub(self.start).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl MediaSource for Bytes<'_> {
    fn is_seekable(&self) -> bool {
        self.metadata.is_none() && self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.source.byte_len()?.saturating_sub(self.start))
    }
}
