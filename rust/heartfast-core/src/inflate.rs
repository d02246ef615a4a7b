//! Deflate streams of ZIPs, with no more memory than the bytes that there are.

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::{Error, Result};
use crate::source::{Extent, STEP};

/// Memory for inflating, used again for the next stream.
pub(crate) struct Inflater {
    state: Decompress,
    input: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { state: Decompress::new(false), input: Vec::new() }
    }
}

/// A deflate stream that has a known number of bytes in it, and gives no more.
pub(crate) struct Inflated<'i> {
    inflater: &'i mut Inflater,
    packed: Extent,
    /// The next compressed byte that is not yet in `input`, and those of it that are left.
    at: u64,
    left: Range<usize>,
    /// Bytes that there should be, and that have been given.
    length: u64,
    given: u64,
    ended: bool,
}

impl<'i> Inflated<'i> {
    pub(crate) fn new(inflater: &'i mut Inflater, packed: Extent, length: u64) -> Self {
        inflater.state.reset(false);
        inflater.input.resize(STEP, 0);
        Self { inflater, packed, at: 0, left: 0..0, length, given: 0, ended: false }
    }

    /// The next bytes; none once there were as many as there should be, and the stream ends.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let room = self.length - self.given;
        let differs = |found: &str| {
            Err(Error::decode(format!("{} bytes in the archive", self.length), found))
        };
        // Where there should be no more: one, to see that there is not.
        let mut more = [0];
        let n = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let out = if room == 0 { &mut more[..] } else { &mut buffer[..n] };
        let Inflater { state, input } = &mut *self.inflater;
        while !self.ended && !out.is_empty() {
            if self.left.is_empty() {
                let n = self.packed.read_at(self.at, input).map_err(Error::Read)?;
                self.at += n as u64;
                self.left = 0..n;
            }
            let no_more_input = self.left.is_empty();
            let (read, made) = (state.total_in(), state.total_out());
            let status = state.decompress(&input[self.left.clone()], out, FlushDecompress::None);
            self.left.start += (state.total_in() - read) as usize;
            let made = state.total_out() - made;
            match status {
                Err(_) => return differs("a damaged deflate stream"),
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if made == 0 && no_more_input => return differs("a stream without an end"),
                Ok(_) => {}
            }
            if made > 0 && room == 0 {
                return differs("more");
            }
            if made > 0 {
                self.given += made;
                return Ok(made as usize);
            }
        }
        if room > 0 && self.ended { differs("fewer") } else { Ok(0) }
    }
}
