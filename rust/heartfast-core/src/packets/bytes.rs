//! A recording's bytes as symphonia gets them.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use symphonia::core::io::MediaSource;

use crate::cancel::Cancel;
use crate::error::{Error, Result};

/// How far a source has been read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// In bytes of the file.
    position: AtomicU64,
}

impl Progress {
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }
}

/// A source that begins somewhere in its file, and tells how far it has been read. Once `cancel` is set it cannot be read
/// any more: readers do not look at it themselves.
pub(super) struct Bytes<'s> {
    source: Box<dyn MediaSource + 's>,
    start: u64,
    /// Whether a reader gets to know how long the file is.
    tells_length: bool,
    progress: Arc<Progress>,
    cancel: &'s Cancel,
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
        let progress = Arc::clone(progress);
        Ok(Self { source, start, tells_length: true, progress, cancel })
    }

    /// Keeps the file's length to itself; then it can only be read on.
    pub(super) fn hide_length(&mut self) {
        self.tells_length = false;
    }
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let n = self.source.read(buffer)?;
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
        self.tells_length && self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        let length = self.tells_length.then(|| self.source.byte_len())??;
        Some(length.saturating_sub(self.start))
    }
}
