//! Recordings into samples: those written one by one directly, everything else through symphonia.

use std::io::Cursor;

use crate::cancel::Cancel;
use crate::channels::reduce;
use crate::error::Result;
use crate::findings::Findings;
use crate::limits::Limits;
use crate::memory::reserve;
use crate::packets::{Outline, Packets, Start};
use crate::pcm::{self, Content, Input, Sound};
use crate::resample::{Resampling, resampled_length};

/// Sample rates above this are a damaged header: four times the fastest converter.
pub(crate) const MAX_SAMPLE_RATE: u32 = 3_072_000;

/// Samples of one or more channels.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Audio {
    /// Channels one sample at a time: left, right, left, right...; full scale is 1.0.
    pub interleaved: Vec<f32>,
    /// How many channels there are.
    pub channels: usize,
    /// Samples per second of one channel.
    pub sample_rate: u32,
}

impl Audio {
    /// Samples of one channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.interleaved.len() / self.channels.max(1)
    }

    /// Seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate)
    }

    /// One of several channels, counted from 0, into `one`, whose memory is used again.
    ///
    /// # Errors
    /// [`Error::Decode`] if there is no memory for it.
    pub(crate) fn channel(&self, index: usize, one: &mut Self) -> Result<()> {
        one.interleaved.clear();
        reserve(&mut one.interleaved, self.frames())?;
        one.interleaved.extend(self.interleaved.iter().skip(index).step_by(self.channels));
        (one.channels, one.sample_rate) = (1, self.sample_rate);
        Ok(())
    }

    /// Makes one channel of all: their mean.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn mix(&mut self, cancel: &Cancel) -> Result<()> {
        reduce(&mut self.interleaved, 0, self.channels, None, cancel)?;
        self.channels = self.channels.min(1);
        Ok(())
    }

    /// Changes the sample rate with an anti-aliasing filter that passes up to about 95 % of the
    /// lower of the two Nyquist frequencies.
    ///
    /// # Errors
    /// [`Error::Value`] for a rate of 0 or beyond what any recording has, [`Error::Decode`] if the
    /// result does not fit into memory, or for two rates with next to no common divisor,
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn resample(&mut self, sample_rate: u32, cancel: &Cancel) -> Result<()> {
        if sample_rate == self.sample_rate {
            return Ok(());
        }
        let mut resampling = Resampling::new(self.sample_rate, sample_rate, self.channels)?;
        let length = resampled_length(self.frames() as u64, self.sample_rate, sample_rate);
        let mut resampled = Vec::new();
        let beyond = resampling.block_len();
        reserve(&mut resampled, length as usize * self.channels + beyond)?;
        resampling.push(&self.interleaved, &mut resampled, cancel)?;
        resampling.finish(&mut resampled, cancel)?;
        self.interleaved = resampled;
        self.sample_rate = sample_rate;
        Ok(())
    }
}

/// Decodes the bytes of a recording into `audio`, whose memory is used again. What the file is
/// is decided by its content. Sound that is missing is silence, and in what is returned.
///
/// # Errors
/// [`Error::Unsupported`] for a container or codec that is not read, [`Error::Decode`] for a
/// damaged or empty recording, [`Error::Limit`] for one that goes beyond `limits`,
/// [`Error::Cancelled`] once `cancel` is set.
pub fn decode(
    bytes: &[u8],
    audio: &mut Audio,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Findings> {
    audio.interleaved.clear();
    let mut read_at = |at: u64, buffer: &mut [u8]| {
        let start = at as usize;
        buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
        Ok(())
    };
    let length = bytes.len() as u64;
    let mut input = Input { length, reach: length, read_at: &mut read_at };
    let source = || Box::new(Cursor::new(bytes));
    let mut packets = match pcm::open(&mut input, limits)? {
        Some(Sound {
            channels,
            sample_rate,
            content: Content::Samples(coding),
            data,
            findings,
        }) => {
            let data = &bytes[data.start as usize..data.end as usize];
            limits.check_duration((data.len() / channels / coding.bytes) as u64, sample_rate)?;
            (audio.channels, audio.sample_rate) = (channels, sample_rate);
            coding.samples(data, &mut audio.interleaved, cancel)?;
            return Ok(findings);
        }
        Some(sound) => Packets::of_blocks(source(), sound, limits, cancel)?,
        None => {
            let outline = Outline::find(&mut input)?;
            let start = || Start::new(bytes, bytes.len() as u64);
            Packets::open(source(), &outline, start, limits, cancel)?
        }
    };
    packets.read(&|_| usize::MAX, audio, cancel)?;
    Ok(packets.findings)
}
