//! What an MPEG-4 file says of where its recording begins and ends: its edit lists, and the delay
//! that iTunes notes. symphonia tells neither. ISO/IEC 14496-12:2022, 8.6.6.

mod fragments;

use std::collections::VecDeque;
use std::ops::Range;

use super::trim::Trim;
use crate::error::{Error, Result};
use crate::pcm::{Input, words};
use fragments::Fragments;
pub(super) use fragments::Gap;

/// A file with more boxes than this before its tracks are known is no recording, and would take
/// long to pass over.
const MOST_BOXES: usize = 100_000;
/// A track of sound has one edit, seldom a few; each is kept in memory.
const MOST_EDITS: usize = 1000;
/// Longer notes than iTunes writes are of something else.
const MOST_TEXT: usize = 128;
/// The longest delay that is believed of an encoder, in samples: ffmpeg's limit.
const MOST_DELAY: u64 = 16_384;

/// What the header says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Movie {
    /// Units of an edit's duration in a second.
    timescale: u32,
    tracks: Vec<Track>,
    /// Whether the samples are listed in pieces, behind the header.
    fragmented: bool,
    fragments: Fragments,
    /// Samples that an encoder has put in front, by iTunes' note.
    delay: Option<u64>,
}

#[derive(Debug, Default, PartialEq)]
struct Track {
    id: u32,
    /// Units of its own time in a second.
    timescale: u32,
    edits: Vec<Edit>,
}

/// A part of a track that is played.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Edit {
    /// In the movie's units.
    duration: u64,
    /// In the track's units; negative where nothing is played.
    start: i64,
}

impl Movie {
    /// Reads the header of a file; of any other file, an empty one.
    ///
    /// # Errors
    /// [`Error::Decode`] for more boxes or edits than a recording has, and those of reading.
    pub(super) fn find(input: &mut Input<'_>) -> Result<Self> {
        let mut movie = Self::default();
        if input.get::<8>(0)?.is_none_or(|start| start[4..] != *b"ftyp") {
            return Ok(movie);
        }
        let mut rest = 0..input.length;
        let mut boxes = Boxes { input, left: MOST_BOXES };
        while let Some((kind, body)) = boxes.next(&mut rest)? {
            if kind == *b"moov" {
                movie.read(&mut boxes, body)?;
                break;
            }
        }
        if movie.fragmented {
            movie.read_fragments(&mut boxes, rest);
        }
        Ok(movie)
    }

    /// Reads the headers of fragments, as far as they can be read by position.
    fn read_fragments(&mut self, boxes: &mut Boxes<'_, '_>, mut rest: Range<u64>) {
        while let Ok(Some((kind, body))) = boxes.next(&mut rest) {
            // They are limited where they are counted.
            boxes.left = MOST_BOXES;
            if kind == *b"moof" && self.fragments.read(boxes, body).is_err() {
                return;
            }
        }
    }

    /// Whether its samples are listed in pieces.
    pub(super) fn is_fragmented(&self) -> bool {
        self.fragmented
    }

    /// What is missing between the fragments of a track.
    pub(super) fn gaps(&self, track: u32) -> VecDeque<Gap> {
        self.fragments.gaps(track)
    }

    fn read(&mut self, boxes: &mut Boxes<'_, '_>, mut rest: Range<u64>) -> Result<()> {
        while let Some((kind, body)) = boxes.next(&mut rest)? {
            match &kind {
                b"mvhd" => self.timescale = boxes.behind_times(&body)?,
                b"mvex" => {
                    self.fragmented = true;
                    self.fragments.read_defaults(boxes, body)?;
                }
                b"trak" => {
                    let track = Track::read(boxes, body)?;
                    // Others are not asked for.
                    if !track.edits.is_empty() {
                        self.tracks.push(track);
                    }
                }
                b"udta" => self.read_notes(boxes, body)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Looks for the note of the delay among the user's data.
    fn read_notes(&mut self, boxes: &mut Boxes<'_, '_>, mut rest: Range<u64>) -> Result<()> {
        while let Some((kind, body)) = boxes.next(&mut rest)? {
            match &kind {
                // Version and flags come first.
                b"meta" => rest = body.start.saturating_add(4).min(body.end)..body.end,
                b"ilst" => rest = body,
                b"----" => {
                    if let Some(delay) = boxes.delay(body)? {
                        self.delay = Some(delay);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is to be cut off from a track of AAC, or of another codec.
    ///
    /// # Errors
    /// [`Error::Decode`] for edits that play something twice or in another order.
    pub(super) fn trim(&self, track: u32, aac: bool) -> Result<Trim> {
        let delay = self.delay.filter(|_| aac);
        let track = self.tracks.iter().find(|t| t.id == track);
        let Some(track) = track.filter(|t| t.timescale > 0 && self.timescale > 0) else {
            return Ok(Trim::new(Vec::new(), 1, delay, aac));
        };
        // ffmpeg and others look at no edit of a fragmented file: its duration is not known.
        let edits = if self.fragmented { &[][..] } else { &track.edits };
        let mut parts: Vec<Range<u64>> = Vec::new();
        // An edit's end is that exact.
        let unit = u64::from(track.timescale / self.timescale) + 1;
        for edit in edits {
            let Ok(start) = u64::try_from(edit.start) else { continue };
            let end = match edit.duration {
                // What lasts less than the movie's unit, or is not known: all.
                0 => u64::MAX,
                duration => {
                    start.saturating_add(rescale(duration, track.timescale, self.timescale))
                }
            };
            if parts.last().is_some_and(|before| start.saturating_add(unit) < before.end) {
                let found = "one that goes back";
                return Err(Error::decode("edits that play a track once, in its order", found));
            }
            parts.push(start..end);
        }
        Ok(Trim::new(parts, track.timescale, delay, aac))
    }
}

impl Track {
    fn read(boxes: &mut Boxes<'_, '_>, mut rest: Range<u64>) -> Result<Self> {
        let mut track = Self::default();
        while let Some((kind, body)) = boxes.next(&mut rest)? {
            match &kind {
                b"tkhd" => track.id = boxes.behind_times(&body)?,
                b"edts" | b"mdia" => track.read_inner(boxes, body)?,
                _ => {}
            }
        }
        Ok(track)
    }

    fn read_inner(&mut self, boxes: &mut Boxes<'_, '_>, mut rest: Range<u64>) -> Result<()> {
        while let Some((kind, body)) = boxes.next(&mut rest)? {
            match &kind {
                b"mdhd" => self.timescale = boxes.behind_times(&body)?,
                b"elst" => self.edits = boxes.edits(&body)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The boxes of a file, one after the other or one in another; how deep is up to who reads them.
struct Boxes<'r, 'i> {
    input: &'r mut Input<'i>,
    /// So many more are read.
    left: usize,
}

impl Boxes<'_, '_> {
    /// The name and the body of the first box in here, as far as it is there; behind it is the
    /// rest. `None` at the end, or where no box can be.
    fn next(&mut self, rest: &mut Range<u64>) -> Result<Option<([u8; 4], Range<u64>)>> {
        let start = rest.start;
        let inside = rest.end.saturating_sub(start);
        let (head, read) = self.input.get_some::<16>(start, inside)?;
        let [size, kind, high, low] = words(head);
        let (header, size) = match u32::from_be_bytes(size) {
            // Up to the end.
            0 => (8, inside),
            1 => (16, wide(high, low)),
            size => (8, size.into()),
        };
        if (read as u64) < header || size < header {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let expected = format!("at most {MOST_BOXES} boxes before the samples");
            Error::decode(expected, "more").at(start)
        })?;
        let end = start.saturating_add(size).min(rest.end);
        rest.start = end;
        Ok(Some((kind, start + header..end)))
    }

    /// Up to so many bytes of a body.
    fn bytes<const N: usize>(&mut self, body: &Range<u64>) -> Result<([u8; N], usize)> {
        self.input.get_some(body.start, body.end.saturating_sub(body.start))
    }

    /// The number that comes behind two times: the timescale of `mvhd` and `mdhd`, `tkhd`'s track;
    /// 0 where there is none.
    fn behind_times(&mut self, body: &Range<u64>) -> Result<u32> {
        let (bytes, read) = self.bytes::<24>(body)?;
        let at = if bytes[0] == 1 { 20 } else { 12 };
        let number = bytes[..read].get(at..).and_then(|bytes| bytes.first_chunk());
        Ok(number.map_or(0, |&number| u32::from_be_bytes(number)))
    }

    /// The edits that are there of as many as there should be.
    fn edits(&mut self, body: &Range<u64>) -> Result<Vec<Edit>> {
        let (head, read) = self.bytes::<8>(body)?;
        let [version, count] = words(head);
        let (long, size) = if version[0] == 1 { (true, 20) } else { (false, 12) };
        let inside = body.end.saturating_sub(body.start).saturating_sub(read as u64) / size;
        let count = u64::from(u32::from_be_bytes(count)).min(inside);
        if count > MOST_EDITS as u64 {
            let expected = format!("at most {MOST_EDITS} edits of a track");
            return Err(Error::decode(expected, count.to_string()).at(body.start));
        }
        let mut edits = Vec::new();
        for i in 0..count {
            // Its rate, of which nothing here depends, may be missing at the end.
            let (bytes, read) = self.input.get_some::<16>(body.start + 8 + i * size, size - 4)?;
            if (read as u64) < size - 4 {
                break;
            }
            let [a, b, c, d] = words(bytes);
            edits.push(if long {
                Edit { duration: wide(a, b), start: wide(c, d) as i64 }
            } else {
                let (duration, start) = (u32::from_be_bytes(a), i32::from_be_bytes(b));
                Edit { duration: duration.into(), start: start.into() }
            });
        }
        Ok(edits)
    }

    /// The delay, if this is the note of it: four numbers in hexadecimal, of which it is the second.
    fn delay(&mut self, mut rest: Range<u64>) -> Result<Option<u64>> {
        let (mut named, mut delay) = (false, None);
        while let Some((kind, body)) = self.next(&mut rest)? {
            // Each has four bytes in front, data four more.
            let (bytes, read) = self.bytes::<MOST_TEXT>(&body)?;
            let bytes = &bytes[..read];
            match &kind {
                b"name" => named = bytes.get(4..) == Some(&b"iTunSMPB"[..]),
                b"data" if named => delay = bytes.get(8..).and_then(noted_delay),
                _ => {}
            }
        }
        Ok(delay)
    }
}

fn wide([a, b, c, d]: [u8; 4], [e, f, g, h]: [u8; 4]) -> u64 {
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The second of at least four numbers, if it can be an encoder's delay.
fn noted_delay(text: &[u8]) -> Option<u64> {
    let mut numbers = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let delay = u64::from_str_radix(numbers.nth(1)?, 16).ok()?;
    (numbers.nth(1).is_some() && (1..MOST_DELAY).contains(&delay)).then_some(delay)
}

/// A number of units as one of others, to the nearest.
fn rescale(units: u64, to: u32, from: u32) -> u64 {
    let from = u128::from(from.max(1));
    let scaled = (u128::from(units) * u128::from(to) + from / 2) / from;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
