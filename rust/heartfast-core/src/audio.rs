//! Recordings into samples, through symphonia.

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{FixedSync, Resampler, WindowFunction};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use crate::error::{Error, Result};

/// What is read, in the words of an error message.
const READABLE: &str = "a WAV, AIFF, FLAC, OGG Vorbis, MP3, CAF or M4A recording";

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
    pub fn mix(&mut self) {
        let channels = self.channels;
        if channels > 1 {
            let share = 1.0 / channels as f32;
            for frame in 0..self.frames() {
                let start = frame * channels;
                let sum: f32 = self.interleaved[start..start + channels].iter().sum();
                self.interleaved[frame] = sum * share;
            }
            self.interleaved.truncate(self.interleaved.len() / channels);
            self.channels = 1;
        }
    }

    /// Changes the sample rate with an anti-aliasing filter that passes up to about 95 % of the
    /// lower of the two Nyquist frequencies.
    ///
    /// # Errors
    /// [`Error::Value`] for a rate of 0 or beyond what any recording has.
    pub fn resample(&mut self, sample_rate: u32) -> Result<()> {
        if sample_rate == self.sample_rate {
            return Ok(());
        }
        if sample_rate == 0 || sample_rate > MAX_SAMPLE_RATE {
            let expected = format!("a sample rate of 1 to {MAX_SAMPLE_RATE} Hz");
            return Err(Error::value("sr", expected, sample_rate));
        }
        let (from, to) = (self.sample_rate as usize, sample_rate as usize);
        // Blocks of some thousand samples of the slower side make the filter steep enough.
        let chunk = 2048 * from.div_ceil(to);
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
        let output = resampler.process_all(&input, frames, None).map_err(|e| failed(&e))?;
        self.interleaved = output.take_data();
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
pub fn decode(bytes: &[u8], audio: &mut Audio, cancel: &AtomicBool) -> Result<()> {
    audio.interleaved.clear();
    if bytes.is_empty() {
        return Err(Error::decode(READABLE, "an empty file"));
    }
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
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
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
        audio.interleaved.extend_from_slice(&packet_samples);
    }
    if audio.interleaved.is_empty() {
        return Err(Error::decode("at least one sample", "none"));
    }
    Ok(())
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
