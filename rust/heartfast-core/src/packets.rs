//! Recordings that symphonia decodes, packet by packet.

mod blocks;
mod bytes;
mod counts;
mod flac;
mod format;
mod frames;
mod mp4;
mod trim;

use std::sync::Arc;

use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::well_known::{FORMAT_ID_FLAC, FORMAT_ID_MP3};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::error::{Error, Result, guard};
use crate::limits::Limits;
use crate::memory::reserve;
use crate::pcm::{Input, Sound};
use crate::sniff;
pub(crate) use crate::sniff::Start;
use blocks::Blocks;
use bytes::{Bytes, Progress};
use format::Format;
use mp4::Movie;
use trim::Trim;

type Decoder = Box<dyn AudioDecoder>;

/// What a frame of MPEG audio has in common with the one before: version, layer and rate.
const SAME_FRAMES: u32 = 0xfffe_0c00;

/// What is read of a file by position, before symphonia gets it.
#[derive(Default)]
pub(crate) struct Outline {
    /// What it is, if it is of a format that symphonia reads, and where that begins.
    format: Option<(Format, u64)>,
    movie: Movie,
}

impl Outline {
    /// # Errors
    /// [`Error::Decode`] for a header that no recording has, and those of reading.
    pub(crate) fn find(input: &mut Input<'_>) -> Result<Self> {
        let format = Format::find(input)?;
        if let Some((format, start)) = format {
            counts::check(input, format, start)?;
        }
        Ok(Self { format, movie: Movie::find(input)? })
    }
}

/// A recording, and where in it the reader is.
pub(crate) struct Packets<'s> {
    container: Container<'s>,
    decoder: Decoder,
    limits: Limits,
    /// Of the whole recording, once a packet has told them.
    channels: usize,
    sample_rate: u32,
    /// The packet in hand, of which the first `used` samples are read.
    packet: Vec<f32>,
    used: usize,
    /// Samples of one channel that have been read.
    frames: u64,
    /// Of the file, for errors: a little more than was decoded.
    progress: Arc<Progress>,
}

/// What packets come from.
enum Container<'s> {
    Format {
        reader: Box<dyn FormatReader + 's>,
        track_id: u32,
        /// Samples of one channel, by the header.
        declared: Option<u64>,
        /// Where the next packet should begin, in samples: of formats that pass over damage.
        expected: Option<i64>,
        /// The beginning of the last frame of MPEG audio.
        frame: Option<u32>,
        trim: Trim,
    },
    Blocks(Blocks<'s>),
}

impl<'s> Packets<'s> {
    /// Opens a source of this outline; `start` is asked for where it is nothing that is read.
    ///
    /// # Errors
    /// [`Error::Unsupported`], [`Error::Decode`], [`Error::Limit`]; [`Error::Cancelled`] once `cancel` is set.
    pub(crate) fn open(
        source: Box<dyn MediaSource + 's>,
        outline: &Outline,
        start: impl FnOnce() -> Start,
        limits: &Limits,
        cancel: &'s Cancel,
    ) -> Result<Self> {
        let Some((format, begin)) = outline.format else {
            return Err(sniff::not_recognised(&SymphoniaError::Unsupported("no format"), &start()));
        };
        let progress = Arc::default();
        let mut source = Bytes::new(source, begin, &progress, cancel)?;
        if format == Format::Flac {
            source.hide_metadata();
        }
        let opened = guarded(|| {
            let stream = MediaSourceStream::new(Box::new(source), Default::default());
            Ok(match format.open(stream) {
                Ok(reader) => Ok(container(reader, &outline.movie, &progress, limits)?),
                Err(error) => Err(error),
            })
        });
        // A reader takes a source that stops for one that ends.
        cancel.check()?;
        let at = progress.position();
        match opened {
            Ok(Ok((container, decoder))) => Ok(Self::of(container, decoder, progress, limits)),
            Ok(Err(error)) => Err(sniff::not_recognised(&error, &start()).at(at)),
            // The container is read, what is in it is not.
            Err(Error::Unsupported { found, .. }) => {
                Err(Error::unsupported(sniff::name(&start()).map_or(found, |name| name.to_owned())))
            }
            Err(error) => Err(error.at(at)),
        }
    }

    /// The blocks of ADPCM that are known to be there.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for what symphonia does not decode.
    pub(crate) fn of_blocks(
        source: Box<dyn MediaSource + 's>,
        sound: Sound,
        limits: &Limits,
        cancel: &'s Cancel,
    ) -> Result<Self> {
        let progress = Arc::default();
        let source = Box::new(Bytes::new(source, 0, &progress, cancel)?);
        let blocks = Blocks::new(source, sound)?;
        let decoder = blocks.decoder()?;
        Ok(Self::of(Container::Blocks(blocks), decoder, progress, limits))
    }

    fn of(
        container: Container<'s>,
        decoder: Decoder,
        progress: Arc<Progress>,
        limits: &Limits,
    ) -> Self {
        let (packet, limits) = (Vec::new(), *limits);
        let (channels, sample_rate, used, frames) = (0, 0, 0, 0);
        Self { container, decoder, limits, channels, sample_rate, packet, used, frames, progress }
    }

    /// # Errors
    /// [`Error::Limit`] if the header says that the recording is too long for one picture.
    pub(crate) fn check_duration(&self) -> Result<()> {
        let (frames, sample_rate) = match &self.container {
            Container::Format { declared, .. } => {
                (declared.unwrap_or(0), self.decoder.codec_params().sample_rate.unwrap_or(0))
            }
            Container::Blocks(blocks) => (blocks.frames(), blocks.sound.sample_rate),
        };
        if sample_rate == 0 {
            return Ok(());
        }
        self.limits.check_duration(frames, sample_rate)
    }

    /// Reads on, into `audio`, as many samples of a channel as `most` says for the sample rate,
    /// or what is left; returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Decode`] and [`Error::Unsupported`] for a damaged recording, or one without a
    /// sample; [`Error::Limit`]; [`Error::Cancelled`] once `cancel` is set.
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
                let frames = (audio.interleaved.len() + taken.len()) / self.channels;
                self.limits.check_duration(frames as u64, self.sample_rate)?;
                reserve(&mut audio.interleaved, taken.len())?;
                audio.interleaved.extend_from_slice(taken);
                self.used += taken.len();
                self.frames += (taken.len() / self.channels) as u64;
                if audio.interleaved.len() == full {
                    break;
                }
            }
            let more = guarded(|| self.next_packet());
            if !more.map_err(|error| error.at(self.progress.position()))? {
                // A reader takes a source that stops for one that ends.
                cancel.check()?;
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
        let at = self.frames as f64 / f64::from(self.sample_rate.max(1));
        let next = match &mut self.container {
            Container::Format { reader, .. } => reader.next_packet(),
            Container::Blocks(blocks) => blocks.next_packet(),
        };
        let packet = match next {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(false),
            // The header promised more than is there; what is there counts.
            Err(SymphoniaError::IoError(_)) if self.frames > 0 => return Ok(false),
            Err(e) => return Err(damaged(&e, at)),
        };
        self.packet.clear();
        self.used = 0;
        // Whether its end is not there.
        let mut cut = false;
        match &mut self.container {
            Container::Format { track_id, .. } if packet.track_id != *track_id => return Ok(true),
            Container::Format { expected: Some(expected), .. } => {
                let missing = packet.pts.get() - *expected;
                if missing > 0 {
                    let found = format!("{missing} samples missing, {at:.3} s in");
                    return Err(Error::decode("sound data", found));
                }
                *expected = packet.pts.get() + packet.dur.get() as i64;
            }
            Container::Format { frame, .. } => {
                let head = packet.data.first_chunk().map(|&head| u32::from_be_bytes(head));
                cut = self.progress.is_beyond();
                // What looks like a frame, in a tag at the end.
                let same = |(a, b): (u32, u32)| (a ^ b) & SAME_FRAMES == 0;
                if cut && !head.zip(*frame).is_some_and(same) {
                    return Ok(false);
                }
                *frame = head;
            }
            Container::Blocks(_) => {}
        }
        let decoded = match self.decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(_) if cut => return Ok(false),
            Err(e) => return Err(damaged(&e, at)),
        };
        let (channels, rate) = (decoded.spec().channels().count(), decoded.spec().rate());
        if self.channels == 0 {
            self.limits.check_signal(channels, rate)?;
            (self.channels, self.sample_rate) = (channels, rate);
        } else if (self.channels, self.sample_rate) != (channels, rate) {
            let expected = format!("{} channels at {} Hz", self.channels, self.sample_rate);
            let found = format!("{channels} at {rate} Hz after {at:.3} s of the recording");
            return Err(Error::decode(expected, found));
        }
        let kept = match &mut self.container {
            Container::Format { trim, .. } => trim.keep(&packet, decoded.frames(), rate),
            Container::Blocks(_) => 0..packet.dur.get() as usize,
        };
        decoded.copy_to_vec_interleaved(&mut self.packet);
        self.packet.truncate(kept.end.saturating_mul(channels));
        self.used = (kept.start * channels).min(self.packet.len());
        Ok(true)
    }
}

/// A format's first track of sound, and the decoder for it.
fn container<'s>(
    reader: Box<dyn FormatReader + 's>,
    movie: &Movie,
    progress: &Progress,
    limits: &Limits,
) -> Result<(Container<'s>, Decoder)> {
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| Error::decode("an audio track", "none"))?;
    let (track_id, declared) = (track.id, track.num_frames);
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|p| p.audio())
        .ok_or_else(|| Error::unsupported("a codec without a known description"))?;
    if let (Some(channels), Some(rate)) = (&parameters.channels, parameters.sample_rate) {
        limits.check_signal(channels.count(), rate)?;
    }
    if parameters.codec == CODEC_ID_VORBIS {
        counts::check_vorbis(parameters.extra_data.as_deref().unwrap_or_default())?;
    }
    let format = reader.format_info().format;
    let mp3 = format == FORMAT_ID_MP3;
    let trim = if mp3 {
        progress.fill_up();
        Trim::of_mp3(track)
    } else {
        movie.trim(track_id, parameters.codec == CODEC_ID_AAC)?
    };
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default().gapless(!mp3))
        .map_err(|e| Error::unsupported(format!("a codec that is not read ({e})")))?;
    // A FLAC reader passes over frames that are damaged; each says where it belongs. Without a
    // length, it may be a piece of a longer one.
    let expected = (format == FORMAT_ID_FLAC && declared.is_some()).then_some(0);
    Ok((Container::Format { reader, track_id, declared, expected, frame: None, trim }, decoder))
}

/// Calls a decoder, all of which have defects that only damaged files show.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    guard(call).map_err(|error| match error {
        Error::Panic(text) => {
            let found = format!("damage that its decoder cannot take ({text})");
            Error::decode("sound data", found)
        }
        other => other,
    })
}

/// The error of a recording that breaks off or is damaged, so many seconds in.
fn damaged(error: &SymphoniaError, at: f64) -> Error {
    match error {
        SymphoniaError::Unsupported(what) => Error::unsupported(format!("{what}, {at:.3} s in")),
        SymphoniaError::IoError(_) => Error::decode("at least one sample", "none"),
        e => Error::decode("sound data", format!("{e}, {at:.3} s in")),
    }
}
