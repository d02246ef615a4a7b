//! A recording in segments of one length, read one after the other: one that is longer than the
//! memory goes through as any other.

use std::sync::Mutex;

use crate::audio::{Audio, Packets};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::memory::fit;
use crate::source::{Hashed, Lent, STEP};
use crate::threads::lock;
use crate::wav::{self, Pcm};

/// Shorter segments could begin in the same millisecond, which is part of their names.
const SHORTEST_S: f64 = 0.01;

/// A segment that became a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Segment {
    /// Where it begins, in milliseconds.
    pub(crate) start_ms: u64,
    /// Its length, in seconds; the last one may be shorter than the others.
    pub(crate) duration_s: f64,
}

/// # Errors
/// [`Error::Value`] unless recordings can be cut into segments of this length.
pub(crate) fn check(segment_s: Option<f64>) -> Result<()> {
    match segment_s {
        Some(s) if !s.is_finite() || s < SHORTEST_S => {
            let expected = format!("at least {SHORTEST_S} seconds");
            Err(Error::value("segment_s", expected, s))
        }
        _ => Ok(()),
    }
}

/// Samples of a segment. All have as many, so that all pictures have one size: where the seconds
/// are no whole samples, segments begin a little beside their multiples.
fn frames(segment_s: f64, sample_rate: u32) -> usize {
    ((segment_s * f64::from(sample_rate)).round() as usize).max(1)
}

/// Cuts a stream, which is hashed meanwhile.
pub(crate) struct Segments<'l, 'i> {
    stream: &'l Mutex<Hashed<'i>>,
    reader: Reader<'l>,
    segment_s: f64,
    /// Samples of a channel that have been read.
    read: u64,
}

enum Reader<'l> {
    Pcm { pcm: Pcm, bytes: Vec<u8> },
    Packets(Box<Packets<'l>>),
}

impl<'l, 'i> Segments<'l, 'i> {
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode) for what is no recording.
    pub(crate) fn open(stream: &'l Mutex<Hashed<'i>>, segment_s: f64) -> Result<Self> {
        let plain = {
            let mut stream = lock(stream);
            let length = stream.length;
            // Else the header could only be read once.
            let seekable = stream.is_seekable();
            seekable
                .then(|| wav::plain(length, |at, to| stream.read_exact_at(at, to).ok()))
                .flatten()
        };
        let reader = match plain {
            Some(pcm) => Reader::Pcm { pcm, bytes: Vec::new() },
            None => {
                let start = || lock(stream).start;
                Reader::Packets(Box::new(Packets::open(Box::new(Lent(stream)), start)?))
            }
        };
        Ok(Self { stream, reader, segment_s, read: 0 })
    }

    /// Reads the next segment's samples, or gives `None` at the end.
    ///
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode).
    pub(crate) fn next(&mut self, audio: &mut Audio, cancel: &Cancel) -> Result<Option<Segment>> {
        match &mut self.reader {
            Reader::Pcm { pcm, bytes } => {
                audio.interleaved.clear();
                (audio.channels, audio.sample_rate) = (pcm.channels, pcm.sample_rate);
                let frame = pcm.frame_bytes();
                let mut left = frames(self.segment_s, pcm.sample_rate).saturating_mul(frame) as u64;
                fit(bytes, STEP / frame * frame, cancel)?;
                while left > 0 && !pcm.data.is_empty() {
                    let n = left.min(pcm.data.end - pcm.data.start).min(bytes.len() as u64);
                    let step = &mut bytes[..n as usize];
                    lock(self.stream).read_exact_at(pcm.data.start, step)?;
                    pcm.samples(step, &mut audio.interleaved, cancel)?;
                    pcm.data.start += n;
                    left -= n;
                }
            }
            Reader::Packets(packets) => {
                let most = |sample_rate| frames(self.segment_s, sample_rate);
                packets.read(&most, audio, cancel)?;
            }
        }
        if audio.interleaved.is_empty() {
            return Ok(None);
        }
        let rate = u64::from(audio.sample_rate);
        let start_ms = (1000 * self.read + rate / 2) / rate;
        self.read += audio.frames() as u64;
        Ok(Some(Segment { start_ms, duration_s: audio.duration_s() }))
    }
}
