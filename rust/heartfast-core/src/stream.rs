//! The bytes of a recording in the hands of a decoder: read in any order, hashed on the way.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;

use sha2::{Digest, Sha256};
use symphonia::core::io::MediaSource;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::sniff::Start;
use crate::source::{Input, STEP, check_crc};
use crate::threads::lock;

/// So much is read to be hashed on the way, where a reader passes over it.
const GAP: u64 = 1 << 20;
/// What is inflated can be read from here on once more: headers are looked through before a reader
/// is chosen.
const KEPT: u64 = 1 << 20;

/// Further than any file goes.
const NONE: u64 = 1 << 63;

/// A recording's bytes as a stream, hashed as far as it has been read.
pub(crate) struct Hashed<'i> {
    input: Input<'i>,
    pub(crate) length: u64,
    position: u64,
    /// How it begins, as far as it has been read.
    pub(crate) start: Start,
    /// The beginning of what is inflated.
    kept: Vec<u8>,
    /// All bytes before this one are in the sums.
    hashed: u64,
    sha256: Sha256,
    crc: Option<(u32, crc32fast::Hasher)>,
    /// What went wrong when a decoder read.
    failed: Option<Error>,
}

impl<'i> Hashed<'i> {
    /// A stream of so many bytes that has not been read; `crc` is what they should sum up to.
    pub(crate) fn new(input: Input<'i>, length: u64, crc: Option<u32>) -> Self {
        Self {
            input,
            length,
            position: 0,
            start: Start::new(&[], length),
            kept: Vec::new(),
            hashed: 0,
            sha256: Sha256::new(),
            crc: crc.map(|crc| (crc, crc32fast::Hasher::new())),
            failed: None,
        }
    }

    /// Has it read without sums, which are known already.
    pub(crate) fn leave_unhashed(&mut self) {
        self.hashed = NONE;
    }

    /// Whether the bytes can be read by position.
    pub(crate) fn is_seekable(&self) -> bool {
        !matches!(self.input, Input::Inflated(_))
    }

    /// Up to where [`Hashed::read_header_at`] reads.
    pub(crate) fn reach(&self) -> u64 {
        if self.is_seekable() { self.length } else { KEPT.min(self.length) }
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
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<usize> {
        if (self.hashed + 1..=self.hashed + GAP).contains(&at) {
            let mut gap = vec![0; (at - self.hashed) as usize];
            self.read_exact_at(self.hashed, &mut gap)?;
        }
        let n = match usize::try_from(at).ok().and_then(|at| self.kept.get(at..)) {
            Some(kept) if !kept.is_empty() => {
                let n = kept.len().min(buffer.len());
                buffer[..n].copy_from_slice(&kept[..n]);
                n
            }
            _ => self.input.read(at, buffer)?,
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

/// What a decoder makes of a stream, unless it could not be read: decoders take that for its end.
pub(crate) fn unless_failed<T>(stream: &Mutex<Hashed<'_>>, made: Result<T>) -> Result<T> {
    lock(stream).failed.take().map_or(made, Err)
}

/// The same stream in the hands of a decoder, which keeps it until it ends.
pub(crate) struct Lent<'l, 'i>(pub(crate) &'l Mutex<Hashed<'i>>);

impl Read for Lent<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = lock(self.0);
        let position = stream.position;
        match stream.read_at(position, buffer) {
            Ok(n) => {
                stream.position += n as u64;
                Ok(n)
            }
            Err(error) => {
                let text = error.to_string();
                stream.failed.get_or_insert(error);
                Err(io::Error::other(text))
            }
        }
    }
}

impl Seek for Lent<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut stream = lock(self.0);
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => stream.length.checked_add_signed(by),
            SeekFrom::Current(by) => stream.position.checked_add_signed(by),
        };
        match target {
            Some(at) if stream.is_seekable() || at == stream.position => {
                stream.position = at;
                Ok(at)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl MediaSource for Lent<'_, '_> {
    fn is_seekable(&self) -> bool {
        lock(self.0).is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(lock(self.0).length)
    }
}
