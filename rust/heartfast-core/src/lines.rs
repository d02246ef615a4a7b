//! Lines of the manifest, read back by their places: they take no memory while the work goes on.

use std::io;

use crate::manifest::{self, Entry, Subject};
use crate::source::Extent;

/// Bytes that are read at a time: some lines, as the next one asked for is mostly close behind.
const STEP: usize = 4096;

/// A manifest, and what was read last of it.
pub(crate) struct Lines<'m> {
    manifest: &'m Extent,
    /// Its bytes from `start` on.
    read: Vec<u8>,
    start: u64,
    /// The entry that was asked for last, with its place.
    last: Option<(u64, (Subject, Entry))>,
}

impl<'m> Lines<'m> {
    pub(crate) fn of(manifest: &'m Extent) -> Self {
        Self { manifest, read: Vec::new(), start: 0, last: None }
    }

    /// The line that begins there, without its end.
    ///
    /// # Errors
    /// Those of reading; [`io::ErrorKind::UnexpectedEof`] where there is no whole line.
    pub(crate) fn line(&mut self, at: u64) -> io::Result<&[u8]> {
        let ahead = at.checked_sub(self.start).filter(|&n| n < self.read.len() as u64);
        let mut from = ahead.unwrap_or(self.read.len() as u64) as usize;
        if ahead.is_none() {
            (self.start, from) = (at, 0);
            self.read.clear();
        }
        let length = loop {
            if let Some(length) = self.read[from..].iter().position(|&c| c == b'\n') {
                break length;
            }
            self.read.drain(..from);
            (self.start, from) = (at, 0);
            let known = self.read.len();
            self.read.resize(known + known.max(STEP), 0);
            let n = self.manifest.read_at(at + known as u64, &mut self.read[known..])?;
            self.read.truncate(known + n);
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        Ok(&self.read[from..from + length])
    }

    /// What the line that begins there says. Asked for once more, it is not read anew.
    ///
    /// # Errors
    /// Those of [`Lines::line`]; [`io::ErrorKind::InvalidData`] where it is none.
    pub(crate) fn entry(&mut self, at: u64) -> io::Result<&(Subject, Entry)> {
        let last = match self.last.take() {
            Some(last) if last.0 == at => last,
            _ => (at, manifest::parse(self.line(at)?).ok_or(io::ErrorKind::InvalidData)?),
        };
        Ok(&self.last.insert(last).1)
    }
}
