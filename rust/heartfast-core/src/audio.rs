//! Recordings into samples: those written one by one directly, everything else through symphonia.

use std::io::Cursor;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{FixedSync, Indexing, Resampler, WindowFunction};

use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::memory::reserve;
use crate::packets::{Packets, Start};
use crate::pcm::{self, Content, Input, Sound};

/// Sample rates above this are a damaged header: four times the fastest converter.
const MAX_SAMPLE_RATE: u32 = 3_072_000;

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

    /// Makes one channel of all: their mean.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn mix(&mut self, cancel: &Cancel) -> Result<()> {
        let channels = self.channels;
        if channels > 1 {
            let share = 1.0 / channels as f32;
            for frame in 0..self.frames() {
                if frame % STRIDE == 0 {
                    cancel.check()?;
                }
                let start = frame * channels;
                let sum: f32 = self.interleaved[start..start + channels].iter().sum();
                self.interleaved[frame] = sum * share;
            }
            self.interleaved.truncate(self.interleaved.len() / channels);
            self.channels = 1;
        }
        Ok(())
    }

    /// Changes the sample rate with an anti-aliasing filter that passes up to about 95 % of the
    /// lower of the two Nyquist frequencies.
    ///
    /// # Errors
    /// [`Error::Value`] for a rate of 0 or beyond what any recording has, [`Error::Decode`] if the
    /// result does not fit into memory, [`Error::Cancelled`] soon after `cancel` is set.
    pub fn resample(&mut self, sample_rate: u32, cancel: &Cancel) -> Result<()> {
        if sample_rate == self.sample_rate {
            return Ok(());
        }
        if sample_rate == 0 || sample_rate > MAX_SAMPLE_RATE {
            let expected = format!("a sample rate of 1 to {MAX_SAMPLE_RATE} Hz");
            return Err(Error::value("sr", expected, sample_rate));
        }
        let (from, to) = (self.sample_rate as usize, sample_rate as usize);
        // Blocks of some thousand samples of the slower side make the filter steep enough. An
        // even number of them, else rubato's delay is half a sample more than it says.
        let step = 2 * from / gcd(from, to);
        let chunk = (2048 * from.div_ceil(to)).next_multiple_of(step);
        let window = WindowFunction::BlackmanHarris2;
        let failed = |e: &dyn std::fmt::Display| {
            Error::decode(format!("audio that can be resampled to {sample_rate} Hz"), e.to_string())
        };
        let channels = self.channels;
        let mut resampler =
            rubato::Fft::<f32>::new_custom(from, to, chunk, 1, channels, window, FixedSync::Input)
                .map_err(|e| failed(&e))?;
        let frames = self.frames();
        let input =
            InterleavedSlice::new(&self.interleaved, channels, frames).map_err(|e| failed(&e))?;
        let block_frames = resampler.output_frames_max();
        let mut block = vec![0.0; block_frames * channels];
        // The filter's delay, which is no part of the signal.
        let mut delay = resampler.output_delay();
        let length = (frames as u128 * to as u128).div_ceil(from as u128) as usize * channels;
        let mut resampled = Vec::new();
        reserve(&mut resampled, length + block.len())?;
        let mut read = 0;
        while resampled.len() < length {
            cancel.check()?;
            let mut output = InterleavedSlice::new_mut(&mut block, channels, block_frames)
                .map_err(|e| failed(&e))?;
            let left = frames - read;
            // Behind the end there is silence.
            let partial_len = (left < resampler.input_frames_next()).then_some(left);
            let indexing = Indexing { input_offset: read, partial_len, ..Indexing::default() };
            let (used, made) = resampler
                .process_into_buffer(&input, &mut output, Some(&indexing))
                .map_err(|e| failed(&e))?;
            read += used.min(left);
            let skipped = delay.min(made);
            delay -= skipped;
            resampled.extend_from_slice(&block[skipped * channels..made * channels]);
        }
        resampled.truncate(length);
        self.interleaved = resampled;
        self.sample_rate = sample_rate;
        Ok(())
    }
}

/// Decodes the bytes of a recording into `audio`, whose memory is used again. What the file is
/// is decided by its content.
///
/// # Errors
/// [`Error::Unsupported`] for a container or codec that is not read, [`Error::Decode`] for a
/// damaged or empty recording, [`Error::Limit`] for one that goes beyond `limits`,
/// [`Error::Cancelled`] once `cancel` is set.
pub fn decode(bytes: &[u8], audio: &mut Audio, limits: &Limits, cancel: &Cancel) -> Result<()> {
    audio.interleaved.clear();
    let mut read_at = |at: u64, buffer: &mut [u8]| {
        let start = at as usize;
        buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
        Ok(())
    };
    let mut input = Input { length: bytes.len() as u64, read_at: &mut read_at };
    let source = || Box::new(Cursor::new(bytes));
    let mut packets = match pcm::open(&mut input, limits)? {
        Some(Sound { channels, sample_rate, content: Content::Samples(coding), data }) => {
            let data = &bytes[data.start as usize..data.end as usize];
            limits.check_duration((data.len() / channels / coding.bytes) as u64, sample_rate)?;
            (audio.channels, audio.sample_rate) = (channels, sample_rate);
            return coding.samples(data, &mut audio.interleaved, cancel);
        }
        Some(sound) => Packets::of_blocks(source(), sound, limits)?,
        None => Packets::open(source(), || Start::new(bytes, bytes.len() as u64), limits)?,
    };
    packets.check_duration()?;
    packets.read(&|_| usize::MAX, audio, cancel).map(drop)
}

/// The greatest common divisor.
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
