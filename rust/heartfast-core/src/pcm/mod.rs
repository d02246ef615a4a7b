//! Recordings whose samples are written one by one (WAV and its kin, AIFF, AU, CAF), or in blocks
//! of one size (ADPCM): all can be found by position, so that such a recording is read in parts,
//! and as far as it goes. Headers are read as they are meant: sizes that contradict what is there
//! give way to it.

mod aiff;
mod au;
mod caf;
pub(crate) mod coding;
mod fmt;
mod riff;
mod sizes;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::findings::{Findings, Remark};
use crate::limits::Limits;
pub(crate) use coding::Coding;
pub(crate) use riff::skip_id3;

/// A file with more chunks than this before its samples is no recording, and would take long to
/// pass over.
const MOST_CHUNKS: usize = 100_000;
/// More samples than these are a number that stands for one that was not known.
const MOST_COUNT: u64 = (1 << 31) - (1 << 16);

/// A file of `length` bytes that is read by position: `read_at` fills a buffer, or fails.
pub(crate) struct Input<'i> {
    pub(crate) length: u64,
    /// Up to where it can be read by position: what is compressed, near its beginning only.
    pub(crate) reach: u64,
    pub(crate) read_at: &'i mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
}

impl Input<'_> {
    /// Whether the bytes before a place can be read, as far as they are there.
    fn reaches(&self, place: u64) -> bool {
        place.min(self.length) <= self.reach
    }

    /// The bytes at a place, or `None` where the file ends before they do.
    pub(crate) fn get<const N: usize>(&mut self, at: u64) -> Result<Option<[u8; N]>> {
        let (bytes, read) = self.get_some(at, N as u64)?;
        Ok((read == N).then_some(bytes))
    }

    /// As many bytes at a place as there are, up to `most`; and how many that are.
    pub(crate) fn get_some<const N: usize>(
        &mut self,
        at: u64,
        most: u64,
    ) -> Result<([u8; N], usize)> {
        let mut bytes = [0; N];
        let read = most.min(N as u64).min(self.length.saturating_sub(at)) as usize;
        if read > 0 {
            (self.read_at)(at, &mut bytes[..read])?;
        }
        Ok((bytes, read))
    }
}

/// A recording, found in its file.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) channels: usize,
    pub(crate) sample_rate: u32,
    pub(crate) content: Content,
    /// Where in the file it is: whole frames, or blocks of which the last may be cut off.
    pub(crate) data: Range<u64>,
    /// What is odd about it.
    pub(crate) findings: Findings,
}

/// What the bytes of a [`Sound`] are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    Samples(Coding),
    Blocks(Adpcm),
}

impl Content {
    /// Samples of each channel in so many bytes.
    pub(crate) fn frames(self, bytes: u64, channels: usize) -> u64 {
        match self {
            Self::Samples(coding) => bytes / (channels * coding.bytes) as u64,
            Self::Blocks(adpcm) => {
                let block = u64::from(adpcm.block_bytes);
                let whole = bytes / block * adpcm.frames(block, channels);
                whole + adpcm.frames(bytes % block, channels)
            }
        }
    }
}

/// The two kinds of ADPCM that WAV has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adpcm {
    /// IMA's; else Microsoft's.
    pub(crate) ima: bool,
    /// Of all channels.
    pub(crate) block_bytes: u16,
}

impl Adpcm {
    /// Samples of each channel in a block of so many bytes, or in what there is of it.
    pub(crate) fn frames(self, bytes: u64, channels: usize) -> u64 {
        let channels = channels as u64;
        let (header, frames) = if self.ima { (4 * channels, 1) } else { (7 * channels, 2) };
        match bytes.checked_sub(header) {
            None => 0,
            // Eight samples of each channel in turn.
            Some(rest) if self.ima => frames + rest / (4 * channels) * 8,
            Some(rest) => frames + rest * 2 / channels,
        }
    }
}

/// What a header says of a recording.
struct Header {
    channels: u32,
    /// A rate that is no whole number counts as the one below.
    sample_rate: f64,
    content: Content,
}

impl Sound {
    /// The recording of which a header says this, and whose bytes begin at `start`. So many
    /// `declared` bytes belong to it, as far as they are there: without, all up to the end. The
    /// header also has `frames` samples of each channel.
    ///
    /// # Errors
    /// [`Error::Decode`] if there is not one sample, [`Error::Limit`].
    fn new(
        header: Header,
        start: u64,
        (declared, remark): (Option<u64>, Option<Remark>),
        frames: Option<u64>,
        length: u64,
        limits: &Limits,
    ) -> Result<Self> {
        let Header { channels, sample_rate, content } = header;
        let (channels, sample_rate) = (channels as usize, sample_rate as u32);
        limits.check_signal(channels, sample_rate)?;
        let left = length.saturating_sub(start);
        let mut bytes = declared.unwrap_or(left).min(left);
        let mut some = bytes > 0;
        match content {
            Content::Samples(coding) => {
                bytes -= bytes % (channels * coding.bytes) as u64;
                some = bytes > 0;
            }
            Content::Blocks(adpcm) => some &= adpcm.frames(bytes, channels) > 0,
        }
        if !some {
            return Err(Error::decode("at least one sample", "none").at(start));
        }
        let mut findings = Findings::default();
        let found = content.frames(bytes, channels);
        let by_size = declared.filter(|&declared| declared > left);
        let by_size = by_size.map(|declared| content.frames(declared, channels));
        // Some writers count the samples of all channels, or do not know how many there will be.
        let by_count = frames.filter(|&n| n < MOST_COUNT && n != found * channels as u64);
        if let Some(declared) = by_size.or(by_count).filter(|&declared| declared > found) {
            findings.remark(Remark::cut(declared, found, sample_rate));
        }
        if let Some(remark) = remark {
            findings.remark(remark);
        }
        let data = start..start + bytes;
        Ok(Self { channels, sample_rate, content, data, findings })
    }
}

/// Finds the recording in a file; `None` for a format that is not one of these.
///
/// # Errors
/// [`Error::Decode`] for a header that makes no sense, [`Error::Unsupported`] for samples that are
/// not read, [`Error::Limit`]; and those of reading.
pub(crate) fn open(input: &mut Input<'_>, limits: &Limits) -> Result<Option<Sound>> {
    let start = riff::skip_id3(input)?;
    let Some(head) = input.get::<12>(start)? else { return Ok(None) };
    let [magic, _, form] = words(head);
    match (&magic, &form) {
        (b"RIFF" | b"RIFX" | b"RF64" | b"BW64", b"WAVE") => riff::open(input, start, limits),
        (b"riff", _) => riff::open_w64(input, start, limits),
        (b"FORM", b"AIFF" | b"AIFC") => aiff::open(input, start, limits),
        (b".snd", _) => au::open(input, start, limits),
        (b"caff", _) => caf::open(input, start, limits),
        _ => Ok(None),
    }
}

/// The bytes by fours.
pub(crate) fn words<const N: usize, const W: usize>(bytes: [u8; N]) -> [[u8; 4]; W] {
    std::array::from_fn(|i| [bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
}

/// What a header lacks.
fn missing(what: &str, form: &str, at: u64) -> Error {
    Error::decode(format!("{what} in the {form} file"), "none").at(at)
}

/// A name of four letters, for an error.
fn quoted(kind: [u8; 4]) -> String {
    format!("\"{}\"", kind.escape_ascii())
}

#[cfg(test)]
mod tests;
