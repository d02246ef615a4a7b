//! Where fragments of a track are missing: each says when its samples begin.
//! ISO/IEC 14496-12:2022, 8.8.

use std::collections::VecDeque;
use std::ops::Range;

use super::{Boxes, wide};
use crate::error::Result;
use crate::pcm::words;

/// More gaps than this are not kept: the recording is damaged all the same.
const MOST_GAPS: usize = 1000;
/// Bytes of a list of samples that are read at a time.
const STEP: usize = 4096;

/// Samples that are missing in front of a fragment, in the track's own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::packets) struct Gap {
    /// Where it is, counting what is there only.
    pub(in crate::packets) at: u64,
    pub(in crate::packets) missing: u64,
}

/// What fragments say of each track.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fragments {
    tracks: Vec<Track>,
}

#[derive(Debug, Default, PartialEq)]
struct Track {
    id: u32,
    /// How long a sample is where its fragment does not say it.
    duration: u32,
    /// How long all samples are that are there.
    played: u64,
    /// Where the next fragment should begin.
    next: Option<u64>,
    gaps: VecDeque<Gap>,
}

impl Fragments {
    /// What is missing of a track, in order.
    pub(super) fn gaps(&self, track: u32) -> VecDeque<Gap> {
        let found = self.tracks.iter().find(|known| known.id == track);
        found.map(|known| known.gaps.clone()).unwrap_or_default()
    }

    /// Reads the defaults of the tracks, in the header.
    pub(super) fn read_defaults(
        &mut self,
        boxes: &mut Boxes<'_, '_>,
        mut rest: Range<u64>,
    ) -> Result<()> {
        while let Some((kind, body)) = boxes.next(&mut rest)? {
            if kind == *b"trex" {
                let [_, id, _, duration] = words(boxes.bytes::<16>(&body)?.0);
                let [id, duration] = [id, duration].map(u32::from_be_bytes);
                self.tracks.push(Track { id, duration, ..Track::default() });
            }
        }
        Ok(())
    }

    /// Reads a fragment's header.
    pub(super) fn read(&mut self, boxes: &mut Boxes<'_, '_>, mut rest: Range<u64>) -> Result<()> {
        while let Some((kind, mut inner)) = boxes.next(&mut rest)? {
            if kind != *b"traf" {
                continue;
            }
            let (mut id, mut duration, mut begin, mut played) = (0, None, None, 0);
            while let Some((kind, body)) = boxes.next(&mut inner)? {
                match &kind {
                    b"tfhd" => (id, duration) = track_header(boxes, &body)?,
                    b"tfdt" => begin = Some(decode_time(boxes, &body)?),
                    b"trun" => {
                        let usual = self.tracks.iter().find(|track| track.id == id);
                        let usual = duration.or(usual.map(|track| track.duration));
                        played += run_duration(boxes, &body, usual.unwrap_or(0).into())?;
                    }
                    _ => {}
                }
            }
            if let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) {
                track.add(begin, played);
            }
        }
        Ok(())
    }
}

impl Track {
    fn add(&mut self, begin: Option<u64>, played: u64) {
        if let (Some(begin), Some(next)) = (begin, self.next)
            && begin > next
            && self.gaps.len() < MOST_GAPS
        {
            self.gaps.push_back(Gap { at: self.played, missing: begin - next });
        }
        self.next = begin.or(self.next).map(|begin| begin.saturating_add(played));
        self.played = self.played.saturating_add(played);
    }
}

/// The track of a fragment, and how long its samples are unless they say it themselves.
fn track_header(boxes: &mut Boxes<'_, '_>, body: &Range<u64>) -> Result<(u32, Option<u32>)> {
    let bytes = boxes.bytes::<24>(body)?.0;
    let [flags, id, ..]: [[u8; 4]; 6] = words(bytes);
    let flags = u32::from_be_bytes(flags);
    let at = 8 + if flags & 1 > 0 { 8 } else { 0 } + if flags & 2 > 0 { 4 } else { 0 };
    let duration = bytes.get(at..).and_then(|rest| rest.first_chunk());
    let duration = duration.filter(|_| flags & 8 > 0).map(|&bytes| u32::from_be_bytes(bytes));
    Ok((u32::from_be_bytes(id), duration))
}

/// When the samples of a fragment begin.
fn decode_time(boxes: &mut Boxes<'_, '_>, body: &Range<u64>) -> Result<u64> {
    let [version, high, low] = words(boxes.bytes::<12>(body)?.0);
    Ok(if version[0] == 1 { wide(high, low) } else { u32::from_be_bytes(high).into() })
}

/// How long the samples of a run are together.
fn run_duration(boxes: &mut Boxes<'_, '_>, body: &Range<u64>, usual: u64) -> Result<u64> {
    let [flags, count] = words(boxes.bytes::<8>(body)?.0);
    let (flags, count) = (u32::from_be_bytes(flags), u64::from(u32::from_be_bytes(count)));
    if flags & 0x100 == 0 {
        return Ok(count.saturating_mul(usual));
    }
    let fields = 4 * (flags >> 8 & 0xf).count_ones() as usize;
    let mut at = body.start + 8 + 4 * u64::from((flags & 1) + (flags >> 2 & 1));
    let (mut left, mut sum) = (count, 0_u64);
    while left > 0 {
        let most = (STEP / fields * fields) as u64;
        let (bytes, read) =
            boxes.input.get_some::<STEP>(at, most.min(body.end.saturating_sub(at)))?;
        let entries = (read / fields).min(usize::try_from(left).unwrap_or(usize::MAX));
        if entries == 0 {
            break;
        }
        for entry in bytes[..entries * fields].chunks_exact(fields) {
            let duration = entry.first_chunk().map_or(0, |&bytes| u32::from_be_bytes(bytes));
            sum = sum.saturating_add(duration.into());
        }
        at += (entries * fields) as u64;
        left -= entries as u64;
    }
    Ok(sum)
}
