//! The pages of an Ogg file: where they begin, whether they are whole, and what is in them.
//! RFC 3533, 6.

use std::io::{self, Read};

use symphonia::core::io::MediaSource;

use crate::error::{Error, Result};

const MARK: &[u8] = b"OggS";
const HEADER: usize = 27;
const MOST_BYTES: usize = HEADER + 255 + 255 * 255;
/// Read at a time.
const STEP: usize = 1 << 16;
/// A file with more damaged pages than this is not searched any further: each costs a sum.
const MOST_DAMAGED: u32 = 10_000;

/// A page whose sum is right.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Whether it goes on with a packet of the page before.
    pub(super) continued: bool,
    /// Whether it is the first or the last of its stream.
    pub(super) first: bool,
    pub(super) last: bool,
    /// Samples of the stream up to the end of the last packet that ends here.
    pub(super) granule: Option<i64>,
    /// Of its stream.
    pub(super) serial: u32,
    /// Its number in its stream.
    pub(super) number: u32,
    /// Lengths of parts of packets; one of 255 is followed by more of its packet.
    lacing: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    /// What is in it of each packet, and whether the packet ends here.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut rest = &self.body[..];
        let last = self.lacing.len();
        self.lacing
            .split_inclusive(|&n| n < 255)
            .scan(0, move |before, lengths| {
                *before += lengths.len();
                Some((lengths, *before == last))
            })
            .map(move |(lengths, _)| {
                let size = lengths.iter().map(|&n| usize::from(n)).sum();
                let (part, behind) = rest.split_at(size);
                rest = behind;
                (part, lengths.last().is_some_and(|&n| n < 255))
            })
    }
}

/// What is next in a file.
pub(super) enum Next {
    Page(Page),
    /// So many bytes that are no page.
    Other(u64),
    End,
}

/// Reads pages, one after the other, from a source that need not be seekable.
pub(super) struct Pages<'s> {
    source: Box<dyn MediaSource + 's>,
    /// What was read, of which the first `used` bytes are passed over.
    bytes: Vec<u8>,
    used: usize,
    /// Whether the source has no more.
    ended: bool,
    damaged: u32,
    /// Whether the file ends within a page.
    pub(super) cut: bool,
}

impl<'s> Pages<'s> {
    pub(super) fn new(source: Box<dyn MediaSource + 's>) -> Self {
        let (bytes, used, ended, damaged, cut) = (Vec::new(), 0, false, 0, false);
        Self { source, bytes, used, ended, damaged, cut }
    }

    /// The next page, or what is there instead.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Decode`] for a file that is nothing but damage.
    pub(super) fn next(&mut self) -> Result<Next> {
        self.fill(HEADER)?;
        let header = &self.bytes[self.used..];
        if header.is_empty() {
            return Ok(Next::End);
        }
        if header.starts_with(MARK)
            && let Some(page) = self.page()?
        {
            return Ok(Next::Page(page));
        }
        // The search goes on behind the mark, within what may have been a page.
        let rest = &self.bytes[self.used + 1..];
        let found = rest.windows(MARK.len()).position(|at| at == MARK);
        let kept = if self.ended { 0 } else { MARK.len() - 1 };
        let passed = 1 + found.unwrap_or(rest.len().saturating_sub(kept));
        self.used += passed;
        Ok(Next::Other(passed as u64))
    }

    /// The page that begins here, if there is a whole one.
    fn page(&mut self) -> Result<Option<Page>> {
        let Some(header) = self.bytes[self.used..].first_chunk::<HEADER>().copied() else {
            self.cut = true;
            return Ok(None);
        };
        let lacing = usize::from(header[26]);
        // Of version 0, with flags that are known.
        if header[4] != 0 || header[5] > 7 {
            return Ok(None);
        }
        self.fill(HEADER + lacing)?;
        let lengths = self.bytes[self.used..].get(HEADER..HEADER + lacing);
        let body = lengths.map(|all| all.iter().map(|&n| usize::from(n)).sum::<usize>());
        let size = HEADER + lacing + body.unwrap_or(1);
        self.fill(size)?;
        let Some(page) = self.bytes[self.used..].get(..size) else {
            self.cut = true;
            return Ok(None);
        };
        let [.., a, b, c, d, _] = header;
        let sum = crc(crc(0, &header[..22]), &[0; 4]);
        if crc(sum, &page[26..]) != u32::from_le_bytes([a, b, c, d]) {
            self.damaged += 1;
            if self.damaged > MOST_DAMAGED {
                let expected = format!("at most {MOST_DAMAGED} damaged Ogg pages");
                return Err(Error::decode(expected, "more"));
            }
            return Ok(None);
        }
        let (flags, number) = (header[5], |at: usize| {
            header[at..].first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes))
        });
        let granule = i64::from(number(6)) | i64::from(number(10)) << 32;
        let page = Page {
            continued: flags & 1 != 0,
            first: flags & 2 != 0,
            last: flags & 4 != 0,
            granule: (granule >= 0).then_some(granule),
            serial: number(14),
            number: number(18),
            lacing: page[HEADER..HEADER + lacing].to_vec(),
            body: page[HEADER + lacing..].to_vec(),
        };
        self.used += size;
        // What was cut off before was no page.
        self.cut = false;
        Ok(Some(page))
    }

    /// Reads on until so many bytes are there, or the end is.
    fn fill(&mut self, size: usize) -> Result<()> {
        while self.bytes.len() - self.used < size && !self.ended {
            if self.used > MOST_BYTES {
                self.bytes.drain(..self.used);
                self.used = 0;
            }
            let before = self.bytes.len();
            self.bytes.resize(before + STEP, 0);
            let read = loop {
                match self.source.read(&mut self.bytes[before..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other.map_err(Error::Read)?,
                }
            };
            self.bytes.truncate(before + read);
            self.ended = read == 0;
        }
        Ok(())
    }
}

/// Goes on with the sum of a page: of the polynomial 0x04c11db7, the highest bit first.
fn crc(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| sum << 8 ^ CRC[usize::from((sum >> 24) as u8 ^ byte)])
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < table.len() {
        let mut sum = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        table[i] = sum;
        i += 1;
    }
    table
};
