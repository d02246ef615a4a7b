//! Which format a file is, by how it begins, and its reader. The probe of symphonia searches a megabyte for the marks of
//! any format, so it takes a recording that is embedded in a document or a table for the file itself.

use symphonia::core::errors::{Error as SymphoniaError, Result as SymphoniaResult};
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::default::formats::{AdtsReader, CafReader, IsoMp4Reader, MpaReader};

use super::frames::{self, Stream};
use crate::error::{Error, READABLE, Result};
use crate::pcm::{Input, skip_id3};
use crate::sniff;

/// Bytes of garbage that are passed over in front of MPEG audio whose file began with a tag, or of zeros in front of
/// any: as many as ffmpeg passes over. Some tags say that they are shorter than they are.
const MOST_GARBAGE: u64 = 1 << 16;
/// Of any other file: what is left of a frame where a radio capture begins. Layer II has the longest, 1728 bytes.
const MOST_OF_A_FRAME: u64 = 2048;
/// So much of a stream that begins with garbage is looked through.
const MOST_FOLLOWED: u64 = 1 << 24;
/// What may follow the last frame.
const TAGS: [&[u8]; 4] = [b"TAG", b"ID3", b"APETAGEX", b"LYRICSBE"];
/// A tag of APEv2 has as many bytes beside those that it counts.
const APE_HEADER: u64 = 32;

/// A format that symphonia reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Adts,
    Caf,
    Flac,
    Movie,
    Mpeg,
    Ogg,
}

/// A format that was found in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) format: Format,
    /// Where it begins, behind tags and garbage.
    pub(super) start: u64,
    /// Bytes of garbage in front of it.
    pub(super) garbage: u64,
}

impl Format {
    /// The format of a file; `None` for one that is none of these.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn find(input: &mut Input<'_>) -> Result<Option<Found>> {
        let start = skip_tags(input)?;
        let (head, read) = input.get_some::<8>(start, 8)?;
        let known = match &head[..read] {
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Ogg),
            [b'c', b'a', b'f', b'f', ..] => Some(Self::Caf),
            // Its places count from the beginning of the file.
            [_, _, _, _, b'f', b't', b'y', b'p'] if start == 0 => Some(Self::Movie),
            _ => None,
        };
        match known {
            Some(format) => Ok(Some(Found { format, start, garbage: 0 })),
            None => find_frames(input, start),
        }
    }

    /// symphonia's reader of a stream that begins with this format; FLAC and Ogg have readers of our own.
    ///
    /// # Errors
    /// Those of symphonia.
    pub(super) fn open<'s>(
        self,
        mut stream: MediaSourceStream<'s>,
    ) -> SymphoniaResult<Box<dyn FormatReader + 's>> {
        let options = FormatOptions::default();
        Ok(match self {
            Self::Adts => Box::new(AdtsReader::try_new(stream, options)?),
            Self::Caf => Box::new(CafReader::try_new(stream, options)?),
            Self::Movie => {
                // It is found by its kind, which is behind its size.
                stream.ignore_bytes(4)?;
                Box::new(IsoMp4Reader::try_new(stream, options)?)
            }
            Self::Mpeg => Box::new(MpaReader::try_new(stream, options)?),
            Self::Flac | Self::Ogg => {
                return Err(SymphoniaError::Unsupported("a reader of our own"));
            }
        })
    }
}

/// Where a file begins behind the tags that programs put in front of any format.
fn skip_tags(input: &mut Input<'_>) -> Result<u64> {
    let start = skip_id3(input)?;
    Ok(match input.get::<16>(start)? {
        Some([b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, _, _, _, size @ ..]) => {
            start.saturating_add(APE_HEADER).saturating_add(u32::from_le_bytes(size).into())
        }
        _ => start,
    })
}

/// Finds where frames of MPEG audio or AAC begin.
fn find_frames(input: &mut Input<'_>, start: u64) -> Result<Option<Found>> {
    let left = input.length.saturating_sub(start);
    let length = left.min(MOST_GARBAGE + frames::RUN_BYTES as u64);
    let mut bytes = vec![0; length as usize];
    if !bytes.is_empty() {
        (input.read_at)(start, &mut bytes)?;
    }
    let whole = length == left;
    let found = |stream, at: usize| {
        let format = if stream == Stream::Adts { Format::Adts } else { Format::Mpeg };
        let garbage = at as u64;
        Found { format, start: start + garbage, garbage }
    };
    if let Some(stream) = frames::first(&bytes) {
        return Ok(Some(found(stream, 0)));
    }
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let most = match sniff::name(&sniff::Start::new(&bytes, input.length)) {
        Some(_) => 0,
        None if start > 0 => MOST_GARBAGE,
        None => zeros as u64 + MOST_OF_A_FRAME,
    };
    let last = (most.min(MOST_GARBAGE) as usize).min(bytes.len());
    let run = |at: usize| Some(found(frames::run(&bytes[at..], whole)?, at));
    let found = (zeros..last).find_map(run);
    if let Some(Found { start: first, .. }) = found
        && start == 0
    {
        check_run(input, first)?;
    }
    Ok(found)
}

/// A recording that is embedded in a file has something else behind it: frames must follow one another up to the end or
/// to a tag, as far as that is looked at.
fn check_run(input: &mut Input<'_>, first: u64) -> Result<()> {
    let mut at = first;
    let end = input.length.min(at.saturating_add(MOST_FOLLOWED));
    while at < end {
        let (head, read) = match input.get_some::<8>(at, 8) {
            // What is compressed can be read by position only at its beginning.
            Err(Error::Decode { .. }) => return Ok(()),
            read => read?,
        };
        let tag = TAGS.iter().any(|tag| head.starts_with(tag));
        match frames::length(&head[..read]) {
            _ if tag || input.length - at < MOST_OF_A_FRAME => return Ok(()),
            Some(length) => at += length as u64,
            None => {
                let expected = format!("{READABLE}, or MPEG audio from byte {first} to the end");
                return Err(Error::decode(expected, format!("something else at byte {at}")).at(at));
            }
        }
    }
    Ok(())
}
