//! What is selected of a recording, as a stream of samples: a part of it, some of its channels, at
//! another rate. The memory for it does not depend on the recording's length.

use std::sync::Mutex;

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::channels::reduce;
use crate::error::{Error, Result};
use crate::findings::Findings;
use crate::limits::Limits;
use crate::memory::{fit, reserve};
use crate::packets::{Outline, Packets};
use crate::pcm::{self, Coding, Content, Input, Sound};
use crate::resample::{Resampling, Resamplings};
use crate::selection::{Channel, Selection};
use crate::source::STEP;
use crate::stream::{Hashed, Lent};
use crate::threads::lock;

/// Samples of a channel that are decoded at a time.
const STEP_FRAMES: usize = STEP / 8;

/// The selected samples of a stream, which is hashed as far as it is read.
pub(crate) struct Signal<'l, 'i> {
    taken: Taken<'l, 'i>,
    resampled: Option<Resampled<'l>>,
    /// Of what is read here.
    pub(crate) channels: usize,
    pub(crate) sample_rate: u32,
}

impl<'l, 'i> Signal<'l, 'i> {
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode) for what is no recording, or has nothing
    /// of what is selected; those of [`Resamplings::get`].
    pub(crate) fn open(
        stream: &'l Mutex<Hashed<'i>>,
        selection: &Selection,
        limits: &Limits,
        resamplings: &'l mut Resamplings,
        cancel: &'l Cancel,
    ) -> Result<Self> {
        let taken = Taken::open(stream, selection, limits, cancel)?;
        let channels = if taken.all { taken.channels } else { 1 };
        let sample_rate = selection.sample_rate.unwrap_or(taken.sample_rate);
        let resampled = if sample_rate == taken.sample_rate {
            None
        } else {
            Some(Resampled {
                resampling: resamplings.get(taken.sample_rate, sample_rate, channels)?,
                raw: Vec::new(),
                ready: Vec::new(),
                used: 0,
                finished: false,
            })
        };
        Ok(Self { taken, resampled, channels, sample_rate })
    }

    /// The channel that was chosen, counted from 1, unless it is the mean of all, or each.
    pub(crate) fn channel(&self) -> Option<u32> {
        self.taken.index.map(|index| index as u32 + 1)
    }

    /// The recording's own sample rate.
    pub(crate) fn own_rate(&self) -> u32 {
        self.taken.sample_rate
    }

    /// Where it begins in the recording, in samples at its own rate.
    pub(crate) fn start(&self) -> u64 {
        self.taken.start
    }

    /// How many there are at the recording's own rate, where that is known without reading them.
    pub(crate) fn known_frames(&self) -> Option<u64> {
        let Taken { reader: Reader::Samples { sound, coding, .. }, left, .. } = &self.taken else {
            return None;
        };
        let frame = (sound.channels * coding.bytes) as u64;
        Some(((sound.data.end - sound.data.start) / frame).min(*left))
    }

    /// What was odd so far.
    pub(crate) fn findings(&self) -> Findings {
        match &self.taken.reader {
            Reader::Samples { sound, .. } => sound.findings.clone(),
            Reader::Packets { packets, .. } => packets.findings.clone(),
        }
    }

    /// Appends so many samples of each channel to `out`; fewer only at the end.
    ///
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode).
    pub(crate) fn read(
        &mut self,
        frames: usize,
        out: &mut Vec<f32>,
        cancel: &Cancel,
    ) -> Result<()> {
        let full = out.len().saturating_add(frames.saturating_mul(self.channels));
        while out.len() < full {
            let wanted = full - out.len();
            let more = match &mut self.resampled {
                None => self.taken.read(wanted / self.channels, out, cancel)?,
                Some(resampled) => resampled.read(&mut self.taken, wanted, out, cancel)?,
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// The selected part and channels, at the recording's own rate.
struct Taken<'l, 'i> {
    stream: &'l Mutex<Hashed<'i>>,
    reader: Reader<'l>,
    channels: usize,
    sample_rate: u32,
    /// The one channel that is chosen, from 0.
    index: Option<usize>,
    /// Whether all stay beside each other.
    all: bool,
    start: u64,
    /// Samples of a channel that are still to be read.
    left: u64,
}

impl<'l, 'i> Taken<'l, 'i> {
    fn open(
        stream: &'l Mutex<Hashed<'i>>,
        selection: &Selection,
        limits: &Limits,
        cancel: &'l Cancel,
    ) -> Result<Self> {
        let mut reader = Reader::open(stream, limits, cancel)?;
        reader.more(cancel)?;
        let (channels, sample_rate) = reader.shape();
        let index = selection.channel.index(channels)?;
        let frames = |s: f64| (s * f64::from(sample_rate)).round() as u64;
        let start = frames(selection.start_s);
        let skipped = reader.skip(stream, start, cancel)?;
        if skipped < start || !reader.more(cancel)? {
            let expected =
                format!("a recording of more than the {} s that are skipped", selection.start_s);
            let found = skipped as f64 / f64::from(sample_rate.max(1));
            return Err(Error::decode(expected, format!("one of {found} s")));
        }
        let left = selection.duration_s.map_or(u64::MAX, |s| frames(s).max(1));
        let all = selection.channel == Channel::Each;
        Ok(Self { stream, reader, channels, sample_rate, index, all, start, left })
    }

    /// Appends some samples, up to so many of each channel; returns whether there were any.
    fn read(&mut self, frames: usize, out: &mut Vec<f32>, cancel: &Cancel) -> Result<bool> {
        let frames = usize::try_from(self.left).unwrap_or(usize::MAX).min(frames);
        let before = out.len();
        self.reader.read(self.stream, frames, out, cancel)?;
        let read = (out.len() - before) / self.channels;
        self.left -= read as u64;
        if !self.all {
            reduce(out, before, self.channels, self.index, cancel)?;
        }
        Ok(read > 0)
    }
}

/// That at another rate.
struct Resampled<'l> {
    resampling: &'l mut Resampling,
    raw: Vec<f32>,
    /// What came out of the resampling, of which the first `used` samples are read.
    ready: Vec<f32>,
    used: usize,
    finished: bool,
}

impl Resampled<'_> {
    /// Appends some samples, up to so many; returns whether there may be more.
    fn read(
        &mut self,
        taken: &mut Taken<'_, '_>,
        samples: usize,
        out: &mut Vec<f32>,
        cancel: &Cancel,
    ) -> Result<bool> {
        while self.used == self.ready.len() {
            if self.finished {
                return Ok(false);
            }
            self.ready.clear();
            self.raw.clear();
            self.used = 0;
            if taken.read(STEP_FRAMES, &mut self.raw, cancel)? {
                self.resampling.push(&self.raw, &mut self.ready, cancel)?;
            } else {
                self.resampling.finish(&mut self.ready, cancel)?;
                self.finished = true;
            }
        }
        let left = &self.ready[self.used..];
        let taken = &left[..left.len().min(samples)];
        reserve(out, taken.len())?;
        out.extend_from_slice(taken);
        self.used += taken.len();
        Ok(true)
    }
}

/// Decodes a recording bit by bit.
enum Reader<'l> {
    Samples {
        sound: Sound,
        coding: Coding,
        bytes: Vec<u8>,
    },
    Packets {
        packets: Box<Packets<'l>>,
        limits: Limits,
        /// What was decoded, of which the first `used` samples are read.
        step: Audio,
        used: usize,
    },
}

impl<'l> Reader<'l> {
    fn open(stream: &'l Mutex<Hashed<'_>>, limits: &Limits, cancel: &'l Cancel) -> Result<Self> {
        let (found, outline) = {
            let mut stream = lock(stream);
            let (length, reach) = (stream.length, stream.reach());
            let mut read_at = |at, to: &mut [u8]| stream.read_header_at(at, to);
            let mut input = Input { length, reach, read_at: &mut read_at };
            match pcm::open(&mut input, limits)? {
                None => (None, Outline::find(&mut input)?),
                found => (found, Outline::default()),
            }
        };
        let source = Box::new(Lent(stream));
        let packets = match found {
            Some(sound) => match sound.content {
                Content::Samples(coding) => {
                    return Ok(Self::Samples { sound, coding, bytes: Vec::new() });
                }
                Content::Blocks(_) => Packets::of_blocks(source, sound, limits, cancel)?,
            },
            None => Packets::open(source, &outline, || lock(stream).start, limits, cancel)?,
        };
        let (packets, limits) = (Box::new(packets), *limits);
        Ok(Self::Packets { packets, limits, step: Audio::default(), used: 0 })
    }

    /// Whether there are more samples. Before this is asked, the shape may not be known.
    fn more(&mut self, cancel: &Cancel) -> Result<bool> {
        match self {
            Self::Samples { sound, .. } => Ok(!sound.data.is_empty()),
            Self::Packets { step, used, .. } if *used < step.interleaved.len() => Ok(true),
            Self::Packets { packets, limits, step, used } => {
                *used = 0;
                // No more at a time than may be in one picture.
                let most = |rate| (limits.max_duration_s * f64::from(rate)) as usize;
                packets.read(&|rate| most(rate).clamp(1, STEP_FRAMES), step, cancel)
            }
        }
    }

    /// Channels and sample rate.
    fn shape(&self) -> (usize, u32) {
        match self {
            Self::Samples { sound, .. } => (sound.channels, sound.sample_rate),
            Self::Packets { step, .. } => (step.channels, step.sample_rate),
        }
    }

    /// Passes over so many samples of each channel, or those that are left; returns how many.
    fn skip(&mut self, stream: &Mutex<Hashed<'_>>, frames: u64, cancel: &Cancel) -> Result<u64> {
        let mut skipped = 0;
        while skipped < frames && self.more(cancel)? {
            let wanted = frames - skipped;
            skipped += match self {
                Self::Samples { sound: Sound { channels, data, .. }, coding, bytes } => {
                    let frame = (*channels * coding.bytes) as u64;
                    let mut n = wanted.min((data.end - data.start) / frame);
                    let mut stream = lock(stream);
                    if !stream.is_seekable() {
                        cancel.check()?;
                        n = n.min((STEP as u64 / frame).max(1));
                        fit(bytes, (n * frame) as usize, cancel)?;
                        stream.read_exact_at(data.start, bytes)?;
                    }
                    data.start += n * frame;
                    n
                }
                Self::Packets { step, used, .. } => {
                    let left = (step.interleaved.len() - *used) / step.channels;
                    let n = wanted.min(left as u64);
                    *used += n as usize * step.channels;
                    n
                }
            };
        }
        Ok(skipped)
    }

    /// Appends some samples, up to so many of each channel; none only at the end.
    fn read(
        &mut self,
        stream: &Mutex<Hashed<'_>>,
        frames: usize,
        out: &mut Vec<f32>,
        cancel: &Cancel,
    ) -> Result<()> {
        if frames == 0 || !self.more(cancel)? {
            return Ok(());
        }
        match self {
            Self::Samples { sound: Sound { channels, data, .. }, coding, bytes } => {
                let frame = *channels * coding.bytes;
                fit(bytes, (STEP / frame).max(1) * frame, cancel)?;
                let left = (data.end - data.start).min(bytes.len() as u64);
                let n = frames.saturating_mul(frame).min(left as usize);
                let step = &mut bytes[..n];
                lock(stream).read_exact_at(data.start, step)?;
                coding.samples(step, out, cancel)?;
                data.start += n as u64;
            }
            Self::Packets { step, used, .. } => {
                let left = &step.interleaved[*used..];
                let taken = &left[..left.len().min(frames.saturating_mul(step.channels))];
                reserve(out, taken.len())?;
                out.extend_from_slice(taken);
                *used += taken.len();
            }
        }
        Ok(())
    }
}
