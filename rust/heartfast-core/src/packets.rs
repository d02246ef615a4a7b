//! Recordings that symphonia decodes, packet by packet.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use symphonia::core::audio::layouts;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::FORMAT_ID_FLAC;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::error::{Error, Result, guard};
use crate::limits::Limits;
use crate::memory::reserve;
use crate::pcm::{Adpcm, Content, Sound};
use crate::sniff;
pub(crate) use crate::sniff::Start;

type Decoder = Box<dyn AudioDecoder>;

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
    /// Bytes of the file that have been read, for errors: a little more than were decoded.
    position: Arc<AtomicU64>,
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
    },
    Blocks(Blocks<'s>),
}

impl<'s> Packets<'s> {
    /// Finds out what the source is; `start` is asked for where it is nothing that is read.
    ///
    /// # Errors
    /// [`Error::Unsupported`], [`Error::Decode`], [`Error::Limit`].
    pub(crate) fn open(
        source: Box<dyn MediaSource + 's>,
        start: impl FnOnce() -> Start,
        limits: &Limits,
    ) -> Result<Self> {
        let position = Arc::default();
        let source = Box::new(Counted { source, position: Arc::clone(&position) });
        let opened = guarded(|| {
            let stream = MediaSourceStream::new(source, Default::default());
            let format = symphonia::default::get_probe().probe(
                &Hint::new(),
                stream,
                FormatOptions::default(),
                MetadataOptions::default(),
            );
            Ok(match format {
                Ok(reader) => Ok(container(reader, limits)?),
                Err(error) => Err(error),
            })
        });
        let at = position.load(Ordering::Relaxed);
        match opened {
            Ok(Ok((container, decoder))) => Ok(Self::of(container, decoder, position, limits)),
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
    ) -> Result<Self> {
        let position = Arc::default();
        let source = Box::new(Counted { source, position: Arc::clone(&position) });
        let blocks = Blocks::new(source, sound)?;
        let decoder = blocks.decoder()?;
        Ok(Self::of(Container::Blocks(blocks), decoder, position, limits))
    }

    fn of(
        container: Container<'s>,
        decoder: Decoder,
        position: Arc<AtomicU64>,
        limits: &Limits,
    ) -> Self {
        let (packet, limits) = (Vec::new(), *limits);
        let (channels, sample_rate, used, frames) = (0, 0, 0, 0);
        Self { container, decoder, limits, channels, sample_rate, packet, used, frames, position }
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
            if !more.map_err(|error| error.at(self.position.load(Ordering::Relaxed)))? {
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
        let mut frames = usize::MAX;
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
            Container::Format { .. } => {}
            Container::Blocks(_) => frames = packet.dur.get() as usize,
        }
        let decoded = self.decoder.decode(&packet).map_err(|e| damaged(&e, at))?;
        let (channels, rate) = (decoded.spec().channels().count(), decoded.spec().rate());
        if self.channels == 0 {
            self.limits.check_signal(channels, rate)?;
            (self.channels, self.sample_rate) = (channels, rate);
        } else if (self.channels, self.sample_rate) != (channels, rate) {
            let expected = format!("{} channels at {} Hz", self.channels, self.sample_rate);
            let found = format!("{channels} at {rate} Hz after {at:.3} s of the recording");
            return Err(Error::decode(expected, found));
        }
        decoded.copy_to_vec_interleaved(&mut self.packet);
        self.packet.truncate(frames.saturating_mul(channels));
        Ok(true)
    }
}

/// A format's first track of sound, and the decoder for it.
fn container<'s>(
    reader: Box<dyn FormatReader + 's>,
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
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| Error::unsupported(format!("a codec that is not read ({e})")))?;
    // A FLAC reader passes over frames that are damaged; each says where it belongs. Without a
    // length, it may be a piece of a longer one.
    let flac = reader.format_info().format == FORMAT_ID_FLAC;
    let expected = (flac && declared.is_some()).then_some(0);
    Ok((Container::Format { reader, track_id, declared, expected }, decoder))
}

/// Blocks of ADPCM, one after the other.
struct Blocks<'s> {
    source: Box<dyn MediaSource + 's>,
    sound: Sound,
    adpcm: Adpcm,
}

impl<'s> Blocks<'s> {
    fn new(mut source: Box<dyn MediaSource + 's>, sound: Sound) -> Result<Self> {
        let Content::Blocks(adpcm) = sound.content else {
            return Err(Error::decode("blocks of ADPCM", "none"));
        };
        // By reading, since not all sources can be read from anywhere.
        io::copy(&mut source.by_ref().take(sound.data.start), &mut io::sink())
            .map_err(Error::Read)?;
        Ok(Self { source, sound, adpcm })
    }

    fn block_frames(&self) -> u64 {
        self.adpcm.frames(self.adpcm.block_bytes.into(), self.sound.channels)
    }

    /// Samples of a channel that are left.
    fn frames(&self) -> u64 {
        let bytes = self.sound.data.end - self.sound.data.start;
        let block = u64::from(self.adpcm.block_bytes);
        bytes / block * self.block_frames() + self.adpcm.frames(bytes % block, self.sound.channels)
    }

    fn decoder(&self) -> Result<Decoder> {
        let codec = if self.adpcm.ima { CODEC_ID_ADPCM_IMA_WAV } else { CODEC_ID_ADPCM_MS };
        let mut parameters = AudioCodecParameters::new();
        let mono = self.sound.channels == 1;
        parameters
            .for_codec(codec)
            .with_sample_rate(self.sound.sample_rate)
            .with_channels(if mono {
                layouts::CHANNEL_LAYOUT_MONO
            } else {
                layouts::CHANNEL_LAYOUT_STEREO
            })
            .with_frames_per_block(self.block_frames())
            .with_max_frames_per_packet(self.block_frames());
        symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .map_err(|e| Error::unsupported(format!("ADPCM that is not read ({e})")))
    }

    /// The next block. One that is cut off is filled up with zeros; its duration tells how much
    /// of it counts.
    fn next_packet(&mut self) -> symphonia::core::errors::Result<Option<Packet>> {
        let data = &mut self.sound.data;
        let bytes = (data.end - data.start).min(self.adpcm.block_bytes.into());
        let frames = self.adpcm.frames(bytes, self.sound.channels);
        if frames == 0 {
            return Ok(None);
        }
        let mut block = vec![0; self.adpcm.block_bytes.into()];
        self.source.read_exact(&mut block[..bytes as usize])?;
        data.start += bytes;
        let mut packet = Packet::new(0, Timestamp::new(0), Duration::from(frames), block);
        packet.trim_end = Duration::from(self.block_frames() - frames);
        Ok(Some(packet))
    }
}

/// A source that tells how far it has been read.
struct Counted<'s> {
    source: Box<dyn MediaSource + 's>,
    position: Arc<AtomicU64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.position.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.source.seek(to)?;
        self.position.store(at, Ordering::Relaxed);
        Ok(at)
    }
}

impl MediaSource for Counted<'_> {
    fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.source.byte_len()
    }
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
