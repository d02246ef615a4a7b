//! A recording in segments of one length, read one after the other: one that is longer than the
//! memory goes through as any other.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;

use symphonia::core::io::MediaSource;

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::memory::fit;
use crate::packets::Packets;
use crate::pcm::{self, Coding, Content, Input, Sound};
use crate::source::{Hashed, STEP};
use crate::threads::lock;

/// Shorter segments could begin in the same millisecond, which is part of their names.
const SHORTEST_S: f64 = 0.01;

/// A segment that became a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Where it begins, in milliseconds.
    pub start_ms: u64,
    /// Its length, in seconds; the last one may be shorter than the others.
    pub duration_s: f64,
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
    limits: &'l Limits,
    /// Samples of a channel that have been read.
    read: u64,
}

enum Reader<'l> {
    Samples { sound: Sound, coding: Coding, bytes: Vec<u8> },
    Packets(Box<Packets<'l>>),
}

impl<'l, 'i> Segments<'l, 'i> {
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode) for what is no recording.
    pub(crate) fn open(
        stream: &'l Mutex<Hashed<'i>>,
        segment_s: f64,
        limits: &'l Limits,
    ) -> Result<Self> {
        let found = {
            let mut stream = lock(stream);
            let length = stream.length;
            let mut read_at = |at, to: &mut [u8]| stream.read_header_at(at, to);
            pcm::open(&mut Input { length, read_at: &mut read_at }, limits)?
        };
        let source = Box::new(Lent(stream));
        let packets = match found {
            Some(sound) => match sound.content {
                Content::Samples(coding) => {
                    let reader = Reader::Samples { sound, coding, bytes: Vec::new() };
                    return Ok(Self { stream, reader, segment_s, limits, read: 0 });
                }
                Content::Blocks(_) => Packets::of_blocks(source, sound, limits)?,
            },
            None => Packets::open(source, || lock(stream).start, limits)?,
        };
        let reader = Reader::Packets(Box::new(packets));
        Ok(Self { stream, reader, segment_s, limits, read: 0 })
    }

    /// Reads the next segment's samples, or gives `None` at the end.
    ///
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode).
    pub(crate) fn next(&mut self, audio: &mut Audio, cancel: &Cancel) -> Result<Option<Segment>> {
        match &mut self.reader {
            Reader::Samples { sound, coding, bytes } => {
                let Sound { channels, sample_rate, data, .. } = sound;
                audio.interleaved.clear();
                (audio.channels, audio.sample_rate) = (*channels, *sample_rate);
                let frame = (*channels * coding.bytes) as u64;
                let most = (frames(self.segment_s, *sample_rate) as u64).saturating_mul(frame);
                let mut left = most.min(data.end - data.start);
                self.limits.check_duration(left / frame, *sample_rate)?;
                fit(bytes, (STEP / frame as usize).max(1) * frame as usize, cancel)?;
                while left > 0 {
                    let n = left.min(bytes.len() as u64);
                    let step = &mut bytes[..n as usize];
                    lock(self.stream).read_exact_at(data.start, step)?;
                    coding.samples(step, &mut audio.interleaved, cancel)?;
                    data.start += n;
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

/// The same stream in the hands of a decoder, which keeps it until it ends.
struct Lent<'l, 'i>(&'l Mutex<Hashed<'i>>);

impl Read for Lent<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = lock(self.0);
        let position = stream.position;
        let n = stream.read_at(position, buffer).map_err(io::Error::other)?;
        stream.position += n as u64;
        Ok(n)
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
