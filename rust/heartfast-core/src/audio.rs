//! Recordings into samples: plain WAV directly, everything else through symphonia.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{FixedSync, Indexing, Resampler, WindowFunction};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result, panic_text};
use crate::memory::reserve;
use crate::wav;

/// What is read, in the words of an error message.
const READABLE: &str = "a WAV, AIFF, FLAC, OGG Vorbis, MP3, CAF or M4A recording";

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
/// damaged or empty recording, [`Error::Cancelled`] once `cancel` is set.
pub fn decode(bytes: &[u8], audio: &mut Audio, cancel: &Cancel) -> Result<()> {
    audio.interleaved.clear();
    if bytes.is_empty() {
        return Err(Error::decode(READABLE, "an empty file"));
    }
    if let Some(pcm) = wav::plain_pcm16(bytes) {
        (audio.channels, audio.sample_rate) = (pcm.channels, pcm.sample_rate);
        return pcm.samples(&mut audio.interleaved, cancel);
    }
    // Decoders have defects that only damaged files show.
    catch_unwind(AssertUnwindSafe(|| decode_any(bytes, audio, cancel))).unwrap_or_else(|panic| {
        let found = format!("damage that its decoder cannot take ({})", panic_text(&*panic));
        Err(Error::decode("sound data", found))
    })
}

/// [`decode`] by way of symphonia.
pub(crate) fn decode_any(bytes: &[u8], audio: &mut Audio, cancel: &Cancel) -> Result<()> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| not_recognised(&e, bytes))?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| Error::decode("an audio track", "none"))?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|p| p.audio())
        .ok_or_else(|| unsupported("a codec without a known description"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| unsupported(format!("a codec that is not read ({e})")))?;

    (audio.channels, audio.sample_rate) = (0, 0);
    let mut packet_samples: Vec<f32> = Vec::new();
    loop {
        cancel.check()?;
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // The header promised more than is there; what is there counts.
            Err(SymphoniaError::IoError(_)) if !audio.interleaved.is_empty() => break,
            Err(e) => return Err(damaged(&e, audio)),
        };
        if packet.track_id != track_id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(|e| damaged(&e, audio))?;
        let (channels, rate) = (decoded.spec().channels().count(), decoded.spec().rate());
        if audio.channels == 0 {
            if channels == 0 || rate == 0 || rate > MAX_SAMPLE_RATE {
                let expected = format!("channels, and a sample rate up to {MAX_SAMPLE_RATE} Hz");
                let found = format!("{channels} channels at {rate} Hz");
                return Err(Error::decode(expected, found));
            }
            (audio.channels, audio.sample_rate) = (channels, rate);
        } else if (audio.channels, audio.sample_rate) != (channels, rate) {
            let expected = format!("{} channels at {} Hz", audio.channels, audio.sample_rate);
            let found = format!(
                "{channels} at {rate} Hz after {:.3} s of the recording",
                audio.duration_s()
            );
            return Err(Error::decode(expected, found));
        }
        decoded.copy_to_vec_interleaved(&mut packet_samples);
        reserve(&mut audio.interleaved, packet_samples.len())?;
        audio.interleaved.extend_from_slice(&packet_samples);
    }
    if audio.interleaved.is_empty() {
        return Err(Error::decode("at least one sample", "none"));
    }
    Ok(())
}

/// The greatest common divisor.
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn unsupported(found: impl Into<String>) -> Error {
    Error::Unsupported { expected: READABLE.into(), found: found.into() }
}

/// The error of a file that no reader took.
fn not_recognised(error: &SymphoniaError, bytes: &[u8]) -> Error {
    let start: String =
        bytes[..bytes.len().min(12)].escape_ascii().map(char::from).collect::<String>();
    match error {
        SymphoniaError::IoError(_) => {
            let found = format!("{} bytes that start with \"{start}\" and end early", bytes.len());
            Error::decode(READABLE, found)
        }
        SymphoniaError::Unsupported(what)
            if !what.contains("probe") && !what.contains("format") =>
        {
            unsupported(format!("\"{start}...\" ({what})"))
        }
        SymphoniaError::DecodeError(what) => Error::decode(READABLE, *what),
        _ => unsupported(format!("a file that starts with \"{start}\"")),
    }
}

/// The error of a recording that breaks off or is damaged.
fn damaged(error: &SymphoniaError, audio: &Audio) -> Error {
    let at = if audio.sample_rate == 0 { 0.0 } else { audio.duration_s() };
    match error {
        SymphoniaError::Unsupported(what) => unsupported(format!("{what}, {at:.3} s in")),
        SymphoniaError::IoError(_) => Error::decode("at least one sample", "none"),
        e => Error::decode("sound data", format!("{e}, {at:.3} s in")),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Audio, decode_any};
    use crate::cancel::Cancel;
    use crate::wav::plain_pcm16;

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut chunk = [kind.as_slice(), &(body.len() as u32).to_le_bytes(), body].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    fn wav(rate: u32, channels: u16, samples: &[i16], around: &[Vec<u8>; 3]) -> Vec<u8> {
        let align = 2 * channels;
        let mut format = vec![1, 0];
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend((rate * u32::from(align)).to_le_bytes());
        format.extend(align.to_le_bytes());
        format.extend(16u16.to_le_bytes());
        let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let [before, between, after] = around.each_ref().map(|body| match body.as_slice() {
            [] => Vec::new(),
            body => chunk(b"note", body),
        });
        let parts = [before, chunk(b"fmt ", &format), between, chunk(b"data", &data), after];
        let body = [b"WAVE".to_vec(), parts.concat()].concat();
        chunk(b"RIFF", &body)
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..20)
    }

    proptest! {
        #[test]
        fn the_short_way_gives_symphonias_samples(
            rate in 1u32..400_000,
            channels in 1u16..3,
            frames in 1usize..3000,
            seed in any::<u64>(),
            around in [bytes(), bytes(), bytes()],
        ) {
            let n = frames * usize::from(channels);
            let mut state = seed | 1;
            let samples: Vec<i16> = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    (state >> 48) as i16
                })
                .collect();
            let file = wav(rate, channels, &samples, &around);
            let pcm = plain_pcm16(&file).expect("a plain file");
            let mut short = Vec::new();
            pcm.samples(&mut short, &Cancel::new()).expect("memory");
            let mut audio = Audio::default();
            decode_any(&file, &mut audio, &Cancel::new()).expect("symphonia reads it");
            prop_assert_eq!(audio.sample_rate, pcm.sample_rate);
            prop_assert_eq!(audio.channels, pcm.channels);
            prop_assert_eq!(audio.interleaved, short);
        }

        #[test]
        fn only_one_or_two_channels_are_plain(
            channels in prop_oneof![0u16..5, 0x7ffeu16..0x8003, any::<u16>()],
        ) {
            let none = [Vec::new(), Vec::new(), Vec::new()];
            let mut file = wav(8000, 1, &[1, -2, 3, -4], &none);
            file[22..24].copy_from_slice(&channels.to_le_bytes());
            file[28..32].copy_from_slice(&8000u32.wrapping_mul(2 * u32::from(channels)).to_le_bytes());
            file[32..34].copy_from_slice(&channels.wrapping_mul(2).to_le_bytes());
            prop_assert_eq!(plain_pcm16(&file).is_some(), matches!(channels, 1 | 2));
        }

        #[test]
        fn a_changed_byte_changes_both_ways_alike(
            at in 0usize..60,
            value in any::<u8>(),
            cut in 0usize..40,
        ) {
            let none = [Vec::new(), Vec::new(), Vec::new()];
            let mut file = wav(8000, 2, &[1, -2, 3, -4, 500, -600], &none);
            file[at % 44] = value;
            file.truncate(file.len() - cut.min(12));
            if let Some(pcm) = plain_pcm16(&file) {
                let mut short = Vec::new();
                pcm.samples(&mut short, &Cancel::new()).expect("memory");
                let mut audio = Audio::default();
                let read = decode_any(&file, &mut audio, &Cancel::new());
                prop_assert!(read.is_ok(), "{read:?}");
                prop_assert_eq!(audio.sample_rate, pcm.sample_rate);
                prop_assert_eq!(audio.channels, pcm.channels);
                prop_assert_eq!(audio.interleaved, short);
            }
        }
    }
}
