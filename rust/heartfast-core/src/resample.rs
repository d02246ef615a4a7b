//! Another sample rate, block by block: a signal of any length goes through as a stream, so that
//! the parts of a recording are exactly the parts of the resampled recording.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{FixedSync, Resampler, WindowFunction};

use crate::audio::MAX_SAMPLE_RATE;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::memory::{fit, reserve};
use crate::selection::Selection;

/// Samples of the slower side in a block, which make the filter steep enough.
const STEEP: usize = 2048;
/// Samples of the faster side in a block at most: an FFT has twice as many points, and cannot be
/// stopped. Where the rates are so far apart that this comes first, the filter is less steep.
const LARGEST: usize = 1 << 19;
/// Samples of all channels in a block at most.
const LARGEST_OF_ALL: usize = 8 * LARGEST;

/// As many pairs of rates stay planned: finding a filter takes longer than resampling seconds.
const MOST_KEPT: usize = 4;

/// One thread's resampling, of recordings at several rates.
#[derive(Default)]
pub(crate) struct Resamplings(Vec<Resampling>);

impl Resamplings {
    /// A resampling at its start.
    ///
    /// # Errors
    /// Those of [`Resampling::new`].
    pub(crate) fn get(&mut self, from: u32, to: u32, channels: usize) -> Result<&mut Resampling> {
        let asked = (from, to, channels);
        let kept = self.0.iter().position(|kept| (kept.from, kept.to, kept.channels) == asked);
        let mut resampling = match kept {
            Some(at) => self.0.remove(at),
            None => Resampling::new(from, to, channels)?,
        };
        resampling.reset();
        // The last one used is the last one to go.
        self.0.truncate(MOST_KEPT - 1);
        self.0.insert(0, resampling);
        Ok(&mut self.0[0])
    }
}

/// A signal that is being resampled, with an anti-aliasing filter that passes up to about 95 % of
/// the lower of the two Nyquist frequencies.
pub(crate) struct Resampling {
    from: u32,
    to: u32,
    channels: usize,
    fft: rubato::Fft<f32>,
    /// Samples that wait until there is a block of them.
    input: Vec<f32>,
    output: Vec<f32>,
    /// Samples of a channel to come that are the filter's delay, and no part of the signal.
    delay: usize,
    /// Samples of a channel that went in and came out.
    read: u64,
    made: u64,
}

impl Resampling {
    /// # Errors
    /// [`Error::Value`] for a rate of 0 or beyond what any recording has; [`Error::Decode`] for a
    /// pair of rates with next to no common divisor, which would take blocks of megabytes.
    pub(crate) fn new(from: u32, to: u32, channels: usize) -> Result<Self> {
        if to == 0 || to > MAX_SAMPLE_RATE {
            return Err(Selection::unknown_rate(to));
        }
        let (input_frames, output_frames) = block(from as usize, to as usize);
        let frames = input_frames.max(output_frames);
        if frames > LARGEST || frames * channels > LARGEST_OF_ALL {
            let expected = format!("a sample rate with a simpler ratio to {to} Hz");
            return Err(Error::decode(expected, format!("{from} Hz")));
        }
        let window = WindowFunction::BlackmanHarris2;
        let (a, b) = (from as usize, to as usize);
        let fft = rubato::Fft::new_custom(a, b, input_frames, 1, channels, window, FixedSync::Both)
            .map_err(|e| failed(to, &e))?;
        Ok(Self {
            from,
            to,
            channels,
            delay: fft.output_delay(),
            output: vec![0.0; fft.output_frames_max() * channels],
            input: Vec::with_capacity(input_frames * channels),
            fft,
            read: 0,
            made: 0,
        })
    }

    fn reset(&mut self) {
        self.fft.reset();
        self.input.clear();
        self.delay = self.fft.output_delay();
        (self.read, self.made) = (0, 0);
    }

    /// Samples of all channels that come out of a block: so many more than the signal has come out
    /// at times.
    pub(crate) fn block_len(&self) -> usize {
        self.output.len()
    }

    /// Puts samples in, and appends to `out` what comes out: all blocks that are full.
    ///
    /// # Errors
    /// [`Error::Decode`] if there is no memory; [`Error::Cancelled`] soon after `cancel` is set.
    pub(crate) fn push(
        &mut self,
        mut samples: &[f32],
        out: &mut Vec<f32>,
        cancel: &Cancel,
    ) -> Result<()> {
        self.read += (samples.len() / self.channels) as u64;
        let full = self.fft.input_frames_next() * self.channels;
        while !samples.is_empty() {
            let (some, rest) = samples.split_at(samples.len().min(full - self.input.len()));
            // What is no finite number is damage, and would spread all over its block.
            self.input.extend(some.iter().map(|&x| if x.is_finite() { x } else { 0.0 }));
            samples = rest;
            if self.input.len() == full {
                self.block(out, cancel)?;
            }
        }
        Ok(())
    }

    /// Appends the rest to `out`, now that the signal is at its end.
    ///
    /// # Errors
    /// Those of [`Resampling::push`].
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>, cancel: &Cancel) -> Result<()> {
        let length = resampled_length(self.read, self.from, self.to);
        while self.made < length {
            // Behind the end there is silence.
            let full = self.fft.input_frames_next() * self.channels;
            fit(&mut self.input, full, cancel)?;
            self.block(out, cancel)?;
        }
        let beyond = (self.made - length) as usize * self.channels;
        out.truncate(out.len() - beyond);
        self.made = length;
        Ok(())
    }

    fn block(&mut self, out: &mut Vec<f32>, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        let to = self.to;
        let (ins, outs) = (self.input.len() / self.channels, self.output.len() / self.channels);
        let input =
            InterleavedSlice::new(&self.input, self.channels, ins).map_err(|e| failed(to, &e))?;
        let mut output = InterleavedSlice::new_mut(&mut self.output, self.channels, outs)
            .map_err(|e| failed(to, &e))?;
        let (_, made) =
            self.fft.process_into_buffer(&input, &mut output, None).map_err(|e| failed(to, &e))?;
        self.input.clear();
        let skipped = self.delay.min(made);
        self.delay -= skipped;
        self.made += (made - skipped) as u64;
        let new = &self.output[skipped * self.channels..made * self.channels];
        reserve(out, new.len())?;
        out.extend_from_slice(new);
        Ok(())
    }
}

/// Samples that so many become.
pub(crate) fn resampled_length(frames: u64, from: u32, to: u32) -> u64 {
    (u128::from(frames) * u128::from(to)).div_ceil(u128::from(from)) as u64
}

/// Samples that go into a block, and come out of it. Their numbers are even, else rubato's delay
/// is half a sample more than it says.
fn block(from: usize, to: usize) -> (usize, usize) {
    let common = gcd(from, to);
    let (step_in, step_out) = (2 * from / common, 2 * to / common);
    let steep = STEEP.div_ceil(step_in.min(step_out));
    let most = (LARGEST / step_in.max(step_out)).max(1);
    let steps = steep.min(most);
    (steps * step_in, steps * step_out)
}

fn failed(to: u32, error: &dyn std::fmt::Display) -> Error {
    Error::decode(format!("audio that can be resampled to {to} Hz"), error.to_string())
}

/// The greatest common divisor.
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::{LARGEST, MOST_KEPT, Resampling, Resamplings, STEEP, block, resampled_length};
    use crate::cancel::Cancel;

    proptest! {
        /// However it is cut, what comes out is the same, to the bit.
        #[test]
        fn a_stream_is_its_parts(
            from in 1u32..3000, to in 1u32..3000, channels in 1usize..4,
            lengths in proptest::collection::vec(0usize..5000, 1..6),
        ) {
            let cancel = Cancel::new();
            let n = lengths.iter().sum::<usize>() * channels;
            let samples: Vec<f32> = (0..n).map(|k| (k * k % 1013) as f32 / 1013.0 - 0.5).collect();
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            let mut resampling = Resampling::new(from, to, channels).expect("two rates");
            resampling.push(&samples, &mut whole, &cancel).expect("memory");
            resampling.finish(&mut whole, &cancel).expect("memory");
            let mut resampling = Resampling::new(from, to, channels).expect("two rates");
            let mut rest = samples.as_slice();
            for length in lengths {
                let (part, after) = rest.split_at(length * channels);
                resampling.push(part, &mut parts, &cancel).expect("memory");
                rest = after;
            }
            resampling.finish(&mut parts, &cancel).expect("memory");
            let frames = resampled_length((n / channels) as u64, from, to) as usize;
            prop_assert_eq!(whole.len(), frames * channels);
            prop_assert!(whole == parts);
        }

        #[test]
        fn blocks(from in 1usize..400_000, to in 1usize..400_000) {
            let (a, b) = block(from, to);
            prop_assert_eq!(a * to, b * from);
            prop_assert_eq!((a % 2, b % 2), (0, 0));
            prop_assert!(a.min(b) >= STEEP || 2 * a.max(b) > LARGEST);
        }
    }

    /// Also after one that broke off, and after others.
    #[test]
    fn kept_ones_are_as_new() {
        let cancel = Cancel::new();
        let samples: Vec<f32> = (0..9000).map(|k| (k * k % 1013) as f32 / 1013.0).collect();
        let resampled = |resampling: &mut Resampling| {
            let mut out = Vec::new();
            resampling.push(&samples, &mut out, &cancel).expect("memory");
            resampling.finish(&mut out, &cancel).expect("memory");
            out
        };
        let mut kept = Resamplings::default();
        for round in 0..4 {
            for to in 1000..1000 + MOST_KEPT as u32 + round % 2 {
                let mut new = Resampling::new(8000, to, 2).expect("two rates");
                let resampling = kept.get(8000, to, 2).expect("two rates");
                assert!(resampled(resampling) == resampled(&mut new));
                let broken = kept.get(8000, to, 2).expect("two rates");
                broken.push(&samples[..5000], &mut Vec::new(), &cancel).expect("memory");
            }
        }
        assert_eq!(kept.0.len(), MOST_KEPT);
    }

    #[test]
    fn what_is_no_number_is_silence() {
        let cancel = Cancel::new();
        let resampled = |damage: f32| {
            let mut samples = vec![0.25; 10_000];
            samples[5000] = damage;
            let mut resampling = Resampling::new(8000, 4000, 1).expect("two rates");
            let mut out = Vec::new();
            resampling.push(&samples, &mut out, &cancel).expect("memory");
            resampling.finish(&mut out, &cancel).expect("memory");
            out
        };
        assert_eq!(resampled(f32::NAN), resampled(0.0));
        assert_eq!(resampled(f32::NEG_INFINITY), resampled(0.0));
    }

    #[test]
    fn rates_far_apart_take_no_gigabytes() {
        assert!(block(192_000, 1).0 <= LARGEST);
        for (from, to, channels) in [(3_071_999, 8000, 1), (1, 3_072_000, 1), (262_143, 1, 100)] {
            let error = Resampling::new(from, to, channels).err().expect("too much");
            assert_eq!(error.kind(), "decode");
        }
    }
}
