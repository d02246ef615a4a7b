//! Recordings into samples: plain WAV directly, everything else through symphonia.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use crate::cancel::Cancel;
use crate::channels::reduce;
use crate::error::{Error, Result, panic_text};
use crate::memory::reserve;
use crate::resample::{Resampling, resampled_length};
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
/// is decided by its content.
///
/// # Errors
/// [`Error::Unsupported`] for a container or codec that is not read, [`Error::Decode`] for a
/// damaged or empty recording, [`Error::Cancelled`] once `cancel` is set.
pub fn decode(bytes: &[u8], audio: &mut Audio, cancel: &Cancel) -> Result<()> {
    if let Some(pcm) = wav::plain_bytes(bytes) {
        audio.interleaved.clear();
        (audio.channels, audio.sample_rate) = (pcm.channels, pcm.sample_rate);
        let data = &bytes[pcm.data.start as usize..pcm.data.end as usize];
        return pcm.samples(data, &mut audio.interleaved, cancel);
    }
    decode_any(bytes, audio, cancel)
}

/// [`decode`] by way of symphonia.
pub(crate) fn decode_any(bytes: &[u8], audio: &mut Audio, cancel: &Cancel) -> Result<()> {
    audio.interleaved.clear();
    let start = || Start::new(bytes, bytes.len() as u64);
    let mut packets = Packets::open(Box::new(Cursor::new(bytes)), start)?;
    packets.read(&|_| usize::MAX, audio, cancel).map(drop)
}

/// A recording that symphonia reads, packet by packet.
pub(crate) struct Packets<'s> {
    format: Box<dyn FormatReader + 's>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    /// Of the whole recording, once a packet has told them.
    channels: usize,
    sample_rate: u32,
    /// The packet in hand, of which the first `used` samples are read.
    packet: Vec<f32>,
    used: usize,
    /// Samples of one channel that have been read.
    frames: u64,
}

/// How a file begins and how long it is, for the error that it is none of ours.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Start {
    bytes: [u8; 12],
    used: usize,
    length: u64,
}

impl Start {
    /// Of a file of so many bytes that has these at its beginning.
    pub(crate) fn new(bytes: &[u8], length: u64) -> Self {
        let mut start = Self { length, used: bytes.len().min(12), ..Self::default() };
        start.bytes[..start.used].copy_from_slice(&bytes[..start.used]);
        start
    }

    /// Whether there could be more of the beginning in here.
    pub(crate) fn is_shorter_than(&self, bytes: &[u8]) -> bool {
        self.used < bytes.len().min(12)
    }
}

impl<'s> Packets<'s> {
    /// Finds out what the source is; `start` is asked for where it is nothing that is read.
    pub(crate) fn open(
        source: Box<dyn MediaSource + 's>,
        start: impl FnOnce() -> Start,
    ) -> Result<Self> {
        let opened = guarded(|| {
            let stream = MediaSourceStream::new(source, Default::default());
            let format = symphonia::default::get_probe().probe(
                &Hint::new(),
                stream,
                FormatOptions::default(),
                MetadataOptions::default(),
            );
            Ok(match format {
                Ok(format) => Ok(Self::with(format)?),
                Err(error) => Err(error),
            })
        })?;
        opened.map_err(|error| not_recognised(&error, start()))
    }

    fn with(format: Box<dyn FormatReader + 's>) -> Result<Self> {
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| Error::decode("an audio track", "none"))?;
        let track_id = track.id;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|p| p.audio())
            .ok_or_else(|| unsupported("a codec without a known description"))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|e| unsupported(format!("a codec that is not read ({e})")))?;
        let (packet, used) = (Vec::new(), 0);
        Ok(Self { format, decoder, track_id, channels: 0, sample_rate: 0, packet, used, frames: 0 })
    }

    /// Reads on, into `audio`, as many samples of a channel as `most` says for the sample rate,
    /// or what is left; returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Decode`] and [`Error::Unsupported`] for a damaged recording, or one without a
    /// sample; [`Error::Cancelled`] once `cancel` is set.
    pub(crate) fn read(
        &mut self,
        most: &dyn Fn(u32) -> usize,
        audio: &mut Audio,
        cancel: &Cancel,
    ) -> Result<bool> {
        audio.interleaved.clear();
        loop {
            cancel.check()?;
            if self.used < self.packet.len() {
                let full = most(self.sample_rate).saturating_mul(self.channels);
                let left = &self.packet[self.used..];
                let taken = &left[..left.len().min(full - audio.interleaved.len())];
                reserve(&mut audio.interleaved, taken.len())?;
                audio.interleaved.extend_from_slice(taken);
                self.used += taken.len();
                self.frames += (taken.len() / self.channels) as u64;
                if audio.interleaved.len() == full {
                    break;
                }
            }
            if !guarded(|| self.next_packet())? {
                break;
            }
        }
        if self.frames == 0 {
            return Err(Error::decode("at least one sample", "none"));
        }
        (audio.channels, audio.sample_rate) = (self.channels, self.sample_rate);
        Ok(!audio.interleaved.is_empty())
    }

    /// Decodes the next packet of the track, whatever is in it; `false` at the end.
    fn next_packet(&mut self) -> Result<bool> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(false),
            // The header promised more than is there; what is there counts.
            Err(SymphoniaError::IoError(_)) if self.frames > 0 => return Ok(false),
            Err(e) => return Err(self.damaged(&e)),
        };
        self.packet.clear();
        self.used = 0;
        if packet.track_id != self.track_id {
            return Ok(true);
        }
        let at = self.seconds();
        let decoded = self.decoder.decode(&packet).map_err(|e| damaged(&e, at))?;
        let (channels, rate) = (decoded.spec().channels().count(), decoded.spec().rate());
        if self.channels == 0 {
            if channels == 0 || rate == 0 || rate > MAX_SAMPLE_RATE {
                let expected = format!("channels, and a sample rate up to {MAX_SAMPLE_RATE} Hz");
                let found = format!("{channels} channels at {rate} Hz");
                return Err(Error::decode(expected, found));
            }
            (self.channels, self.sample_rate) = (channels, rate);
        } else if (self.channels, self.sample_rate) != (channels, rate) {
            let expected = format!("{} channels at {} Hz", self.channels, self.sample_rate);
            let found = format!("{channels} at {rate} Hz after {at:.3} s of the recording");
            return Err(Error::decode(expected, found));
        }
        decoded.copy_to_vec_interleaved(&mut self.packet);
        Ok(true)
    }

    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate.max(1))
    }

    fn damaged(&self, error: &SymphoniaError) -> Error {
        damaged(error, self.seconds())
    }
}

/// Calls a decoder, all of which have defects that only damaged files show.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let found = format!("damage that its decoder cannot take ({})", panic_text(&*panic));
        Err(Error::decode("sound data", found))
    })
}

fn unsupported(found: impl Into<String>) -> Error {
    Error::Unsupported { expected: READABLE.into(), found: found.into() }
}

/// The error of a file that no reader took.
fn not_recognised(error: &SymphoniaError, start: Start) -> Error {
    if start.length == 0 {
        return Error::decode(READABLE, "an empty file");
    }
    let text: String = start.bytes[..start.used].escape_ascii().map(char::from).collect();
    match error {
        SymphoniaError::IoError(_) => {
            let found = format!("{} bytes that start with \"{text}\" and end early", start.length);
            Error::decode(READABLE, found)
        }
        SymphoniaError::Unsupported(what)
            if !what.contains("probe") && !what.contains("format") =>
        {
            unsupported(format!("\"{text}...\" ({what})"))
        }
        SymphoniaError::DecodeError(what) => Error::decode(READABLE, *what),
        _ => unsupported(format!("a file that starts with \"{text}\"")),
    }
}

/// The error of a recording that breaks off or is damaged, so many seconds in.
fn damaged(error: &SymphoniaError, at: f64) -> Error {
    match error {
        SymphoniaError::Unsupported(what) => unsupported(format!("{what}, {at:.3} s in")),
        SymphoniaError::IoError(_) => Error::decode("at least one sample", "none"),
        e => Error::decode("sound data", format!("{e}, {at:.3} s in")),
    }
}
