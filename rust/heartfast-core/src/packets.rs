//! Recordings that symphonia decodes, packet by packet.

mod blocks;
mod bytes;
mod counts;
mod flac;
mod format;
mod frames;
mod mp4;
mod mpeg;
mod ogg;
mod trim;

use std::collections::VecDeque;
use std::sync::Arc;

use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_ALAC};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::well_known::FORMAT_ID_ISOMP4;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;

use crate::audio::Audio;
use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result, guard};
use crate::findings::{EXTRA, Findings, Remark, SIZE};
use crate::limits::Limits;
use crate::memory::reserve;
use crate::pcm::{Input, Sound};
use crate::sniff;
pub(crate) use crate::sniff::Start;
use blocks::Blocks;
use bytes::{Bytes, Progress};
use flac::{End, Flac, Step};
use format::{Format, Found};
use mp4::{Gap, Movie};
use mpeg::Mpeg;
use ogg::Ogg;
use trim::Trim;

type Decoder = Box<dyn AudioDecoder>;

/// Samples by which encoders and headers of lossy formats disagree about a length.
const SLACK: u64 = 4096;

/// What is read of a file by position, before symphonia gets it.
#[derive(Default)]
pub(crate) struct Outline {
    /// What it is, if it is of a format that is read here, and where that begins.
    found: Option<Found>,
    movie: Movie,
}

impl Outline {
    /// # Errors
    /// [`Error::Decode`] for a header that no recording has, and those of reading.
    pub(crate) fn find(input: &mut Input<'_>) -> Result<Self> {
        let found = Format::find(input)?;
        if let Some(Found { format, start, .. }) = found {
            counts::check(input, format, start)?;
        }
        Ok(Self { found, movie: Movie::find(input)? })
    }
}

/// A recording, and where in it the reader is.
pub(crate) struct Packets<'s> {
    container: Container<'s>,
    limits: Limits,
    /// Of the whole recording, once a packet has told them.
    channels: usize,
    sample_rate: u32,
    /// The packet in hand, of which the first `used` samples are read.
    packet: Vec<f32>,
    used: usize,
    /// Samples of one channel that have been read.
    frames: u64,
    /// Samples of one channel that are missing in front of the packet: silence.
    silence: u64,
    pub(crate) findings: Findings,
    /// Whether the end is reached.
    finished: bool,
    /// Of the file, for errors: a little more than was decoded.
    progress: Arc<Progress>,
}

/// What packets come from.
enum Container<'s> {
    Format {
        reader: Box<dyn FormatReader + 's>,
        decoder: Decoder,
        /// Another one, that finds out whether packets are what they should be.
        checker: Option<Decoder>,
        track_id: u32,
        /// Seconds, by the header, and how many samples may be missing at the end.
        declared: Option<(f64, u64)>,
        clock: Clock,
        trim: Trim,
    },
    Blocks(Blocks<'s>, Decoder),
    Flac(Box<Flac<'s>>, Decoder),
    Ogg(Box<Ogg<'s>>),
    Mpeg(Box<Mpeg<'s>>),
}

impl Container<'_> {
    /// What the header says.
    fn sample_rate(&self) -> u32 {
        match self {
            Self::Format { decoder, .. } | Self::Blocks(_, decoder) | Self::Flac(_, decoder) => {
                decoder.codec_params().sample_rate.unwrap_or(0)
            }
            Self::Ogg(ogg) => ogg.shape().1,
            Self::Mpeg(mpeg) => mpeg.shape().1,
        }
    }
}

/// Where packets should begin, of formats that tell the time of each in samples.
#[derive(Debug)]
struct Clock {
    /// Units of their times in a second.
    timescale: u32,
    /// Where the next one should begin.
    next: Option<i64>,
    /// Whether times may be a little off.
    loose: bool,
    /// What is missing between fragments, which the times of packets do not show.
    gaps: VecDeque<Gap>,
    /// The time of the first packet.
    begin: Option<i64>,
}

impl Clock {
    /// How many samples of a channel are missing in front of a packet.
    fn missing(&mut self, packet: &Packet, sample_rate: u32) -> u64 {
        let next = self.next.filter(|_| sample_rate == self.timescale || sample_rate == 0);
        let missing = next.map_or(0, |next| packet.pts.get().saturating_sub(next));
        let missing = u64::try_from(missing).unwrap_or(0);
        let missing = if self.loose && missing * 2 < packet.dur.get() { 0 } else { missing };
        missing.saturating_add(self.missing_fragments(packet, sample_rate))
    }

    fn missing_fragments(&mut self, packet: &Packet, sample_rate: u32) -> u64 {
        let begin = *self.begin.get_or_insert(packet.pts.get());
        let played = u64::try_from(packet.pts.get().saturating_sub(begin)).unwrap_or(0);
        let mut units = 0_u64;
        while let Some(gap) = self.gaps.front()
            && played >= gap.at
        {
            units = units.saturating_add(gap.missing);
            self.gaps.pop_front();
        }
        let samples = u128::from(units) * u128::from(sample_rate);
        u64::try_from(samples / u128::from(self.timescale.max(1))).unwrap_or(u64::MAX)
    }

    /// Goes on behind a packet of so many samples.
    fn advance(&mut self, packet: &Packet, frames: u64) {
        self.next = Some(packet.pts.get().saturating_add_unsigned(frames));
    }
}

/// What a reader of pages or frames has read: sound, or nothing yet.
#[derive(Debug, Default)]
struct Piece {
    /// Samples of a channel that are missing in front.
    missing: u64,
    /// Whether there is no more.
    end: bool,
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
        let Some(found) = outline.found else {
            return Err(sniff::not_recognised(&SymphoniaError::Unsupported("no format"), &start()));
        };
        let Found { format, start: begin, garbage } = found;
        let progress = Arc::default();
        let mut source = Box::new(Bytes::new(source, begin, &progress, cancel)?);
        if format == Format::Mpeg {
            // Where it is not told how long a recording is, symphonia would guess it.
            source.hide_length();
        }
        let opened = guarded(|| {
            match format {
                Format::Flac => return flac(source, begin, limits),
                Format::Ogg => {
                    return Ok(Ok(Container::Ogg(Box::new(Ogg::open(source, limits)?))));
                }
                Format::Adts | Format::Caf | Format::Movie | Format::Mpeg => {}
            }
            Ok(match format.open(MediaSourceStream::new(source, Default::default())) {
                Ok(reader) => Ok(container(reader, &found, &outline.movie, limits)?),
                Err(error) => Err(error),
            })
        });
        // A reader takes a source that stops for one that ends.
        cancel.check()?;
        let at = progress.position();
        match opened {
            Ok(Ok(container)) => {
                let mut packets = Self::of(container, progress, limits);
                if garbage > 0 {
                    let text = format!("{garbage} bytes in front of its first frame");
                    packets.findings.remark(Remark::new(EXTRA, text));
                }
                Ok(packets)
            }
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
        mut sound: Sound,
        limits: &Limits,
        cancel: &'s Cancel,
    ) -> Result<Self> {
        let findings = std::mem::take(&mut sound.findings);
        let progress = Arc::default();
        let source = Box::new(Bytes::new(source, 0, &progress, cancel)?);
        let blocks = Blocks::new(source, sound)?;
        let decoder = blocks.decoder()?;
        let packets = Self::of(Container::Blocks(blocks, decoder), progress, limits);
        Ok(Self { findings, ..packets })
    }

    fn of(container: Container<'s>, progress: Arc<Progress>, limits: &Limits) -> Self {
        let (channels, sample_rate) = match &container {
            Container::Ogg(ogg) => ogg.shape(),
            Container::Mpeg(mpeg) => mpeg.shape(),
            _ => (0, 0),
        };
        Self {
            container,
            limits: *limits,
            channels,
            sample_rate,
            packet: Vec::new(),
            used: 0,
            frames: 0,
            silence: 0,
            findings: Findings::default(),
            finished: false,
            progress,
        }
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
            // Where sound is missing at the start, it is the first packet that tells the channels.
            while self.channels > 0 && (self.silence > 0 || self.used < self.packet.len()) {
                cancel.check()?;
                let full = most(self.sample_rate).saturating_mul(self.channels);
                self.take(full - audio.interleaved.len(), &mut audio.interleaved)?;
                if audio.interleaved.len() == full {
                    (audio.channels, audio.sample_rate) = (self.channels, self.sample_rate);
                    return Ok(true);
                }
            }
            let more = guarded(|| self.next_packet());
            if !more.map_err(|error| error.at(self.position()))? {
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

    /// Appends up to so many values: silence where sound is missing, else of the packet.
    fn take(&mut self, most: usize, out: &mut Vec<f32>) -> Result<()> {
        let left = &self.packet[self.used..];
        let silent = (self.silence as usize).min(STRIDE / self.channels + 1) * self.channels;
        let n = if silent > 0 { silent } else { left.len() }.min(most);
        let frames = (out.len() + n) / self.channels;
        self.limits.check_duration(frames as u64, self.sample_rate)?;
        reserve(out, n)?;
        if silent > 0 {
            out.resize(out.len() + n, 0.0);
            self.silence -= (n / self.channels) as u64;
        } else {
            out.extend_from_slice(&left[..n]);
            self.used += n;
        }
        self.frames += (n / self.channels) as u64;
        Ok(())
    }

    /// Puts silence for so many samples of each channel that are missing here, and notes the gap.
    /// Nothing longer is believed than the recording is said to be, or than a picture may be.
    ///
    /// # Errors
    /// [`Error::Decode`] for a longer gap.
    fn lose(&mut self, missing: u64) -> Result<()> {
        let place = self.frames + self.silence;
        let rate = f64::from(self.rate().max(1));
        let (at_s, missing_s) = (place as f64 / rate, missing as f64 / rate);
        let declared = self.declared().map_or(u64::MAX, |(frames, _)| frames);
        // Where a caller sets no limit, the default one holds here: silence takes no bytes of the
        // file, so that a few of them could ask for any amount of memory.
        let most_s = self.limits.max_duration_s.min(Limits::default().max_duration_s);
        let lost_s = self.findings.lost.map_or(0.0, |lost| lost.total_s) + missing_s;
        if place.saturating_add(missing) > declared || lost_s > most_s {
            let found = format!("{missing} samples missing, {at_s:.3} s in");
            return Err(Error::decode("sound data", found));
        }
        self.silence += missing;
        let offset = match &self.container {
            Container::Flac(flac, _) => flac.before,
            _ => self.position(),
        };
        self.findings.lose(at_s, missing_s, offset);
        Ok(())
    }

    /// Samples of one channel, by the header, and by how many they may be fewer.
    fn declared(&self) -> Option<(u64, u64)> {
        match &self.container {
            Container::Format { declared, .. } => declared
                .map(|(seconds, slack)| ((seconds * f64::from(self.rate())).round() as u64, slack)),
            Container::Blocks(..) | Container::Ogg(_) | Container::Mpeg(_) => None,
            Container::Flac(flac, _) => flac.declared().map(|frames| (frames, 0)),
        }
    }

    /// Samples per second, as far as known.
    fn rate(&self) -> u32 {
        match self.sample_rate {
            0 => self.container.sample_rate(),
            rate => rate,
        }
    }

    /// How far the file is read.
    fn position(&self) -> u64 {
        match &self.container {
            Container::Flac(flac, _) => flac.offset,
            _ => self.progress.position(),
        }
    }

    /// Notes what is odd about the end, once it is reached: `false`.
    ///
    /// # Errors
    /// [`Error::Decode`] for damage at the end of a recording of unknown length.
    fn finish(&mut self) -> Result<bool> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(false);
        }
        let (found, rate) = (self.frames, self.sample_rate);
        let mut is_cut = true;
        if let Container::Flac(flac, _) = &self.container {
            is_cut = flac.end == End::Cut;
            let seconds = |frames: u64| frames as f64 / f64::from(rate.max(1));
            match flac.left() {
                None if flac.ends_damaged => {
                    let found = format!("damage, {:.3} s in", seconds(found));
                    return Err(Error::decode("sound data", found));
                }
                Some(left @ 1..) if !is_cut => {
                    self.findings.lose(seconds(found), seconds(left as u64), flac.good);
                }
                Some(left) if left < 0 => {
                    let declared = seconds(flac.declared().unwrap_or(0));
                    let text = format!("header {declared:.3} s, found {:.3} s", seconds(found));
                    self.findings.remark(Remark::new(SIZE, text));
                }
                _ => {}
            }
            if let Some(repeated) = flac.repeated {
                let text = format!("a block {:.3} s in is there twice", seconds(repeated));
                self.findings.remark(Remark::new(EXTRA, text));
            }
            if flac.end == End::Followed {
                let text = "another FLAC stream behind the end".to_owned();
                self.findings.remark(Remark::new(EXTRA, text));
            }
        }
        if let Some((declared, slack)) = self.declared()
            && is_cut
            && found + slack < declared
        {
            self.findings.remark(Remark::cut(declared, found, rate));
        }
        Ok(false)
    }

    /// Decodes the next packet of the track, whatever is in it; `false` at the end.
    fn next_packet(&mut self) -> Result<bool> {
        let at = self.frames as f64 / f64::from(self.sample_rate.max(1));
        let mut missing = 0;
        let next = match &mut self.container {
            Container::Format { reader, .. } => reader.next_packet(),
            Container::Blocks(blocks, _) => blocks.next_packet(),
            Container::Ogg(ogg) => {
                let piece = ogg.next(&mut self.packet, &mut self.findings)?;
                return self.take_piece(&piece);
            }
            Container::Mpeg(mpeg) => {
                let piece = mpeg.next(&mut self.packet, &mut self.findings)?;
                return self.take_piece(&piece);
            }
            Container::Flac(flac, _) => match flac.step() {
                Ok(Step::Frame(packet, before)) => {
                    missing = before;
                    Ok(Some(packet))
                }
                Ok(Step::Nothing) => return Ok(true),
                Ok(Step::End) => Ok(None),
                Err(error) => Err(error),
            },
        };
        let packet = match next {
            Ok(Some(packet)) => packet,
            Ok(None) => return self.finish(),
            // The header promised more than is there; what is there counts.
            Err(SymphoniaError::IoError(_)) if self.frames > 0 => return self.finish(),
            Err(e) => return Err(damaged(&e, at)),
        };
        self.packet.clear();
        self.used = 0;
        let damaged = matches!(&self.container, Container::Blocks(blocks, _) if blocks.is_damaged(&packet.data));
        match &mut self.container {
            Container::Format { track_id, .. } if packet.track_id != *track_id => return Ok(true),
            Container::Format { clock, .. } => missing = clock.missing(&packet, self.sample_rate),
            _ => {}
        }
        if missing > 0 {
            self.lose(missing)?;
        }
        if damaged {
            // The next block begins anew.
            self.lose(packet.dur.get())?;
            return Ok(true);
        }
        self.decode(&packet, at)
    }

    /// Decodes a packet. What cannot be decoded is missing, once something could.
    fn decode(&mut self, packet: &Packet, at: f64) -> Result<bool> {
        let (decoder, checker, mut timed) = match &mut self.container {
            Container::Format { decoder, checker, trim, clock, .. } => {
                (decoder, checker, Some((trim, clock)))
            }
            Container::Blocks(_, decoder) | Container::Flac(_, decoder) => {
                (decoder, &mut None, None)
            }
            Container::Ogg(_) | Container::Mpeg(_) => return Ok(false),
        };
        // Each block begins anew; a packet before the first sound may be no sound at all.
        let alone = timed.is_none();
        let mut keep = |frames: usize, rate: u32| match &mut timed {
            Some((trim, clock)) => {
                clock.advance(packet, frames as u64);
                trim.keep(packet, frames, rate)
            }
            None => 0..packet.dur.get() as usize,
        };
        let frames = packet.dur.get() as usize;
        let ends = checker.as_mut().is_none_or(|checker| ends_in_time(checker, packet));
        let lossless = decoder.codec_params().codec == CODEC_ID_ALAC;
        let begun = self.channels > 0 || alone;
        // A block whose header names what no codec has is damaged.
        let lost = |error: &SymphoniaError| match error {
            SymphoniaError::DecodeError(_) => begun && frames > 0,
            SymphoniaError::Unsupported(_) => alone && frames > 0,
            _ => false,
        };
        if !ends && !lossless {
            self.findings.remark(Remark::stream("packets that end before their bytes do"));
        } else if !ends && frames > 0 {
            let rate = decoder.codec_params().sample_rate.unwrap_or(0);
            let kept = keep(frames, rate);
            self.lose(kept.len() as u64)?;
            return Ok(true);
        }
        let decoded = match decoder.decode(packet) {
            Ok(decoded) => decoded,
            Err(e) if lost(&e) => {
                let kept = keep(frames, self.sample_rate);
                decoder.reset();
                self.lose(kept.len() as u64)?;
                return Ok(true);
            }
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
        let kept = keep(decoded.frames(), rate);
        decoded.copy_to_vec_interleaved(&mut self.packet);
        self.packet.truncate(kept.end.saturating_mul(channels));
        self.used = (kept.start * channels).min(self.packet.len());
        Ok(true)
    }

    /// Notes what is missing in front of the samples in hand; `false` at the end.
    fn take_piece(&mut self, piece: &Piece) -> Result<bool> {
        self.used = 0;
        if piece.missing > 0 {
            self.lose(piece.missing)?;
        }
        Ok(!piece.end || !self.packet.is_empty())
    }
}

/// A format's first track of sound, with the decoder for it.
fn container<'s>(
    reader: Box<dyn FormatReader + 's>,
    found: &Found,
    movie: &Movie,
    limits: &Limits,
) -> Result<Container<'s>> {
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| Error::decode("an audio track", "none"))?;
    let (track_id, declared) = (track.id, track.num_frames);
    let unit_s = track
        .time_base
        .map_or(0.0, |base| f64::from(base.numer.get()) / f64::from(base.denom.get()));
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|p| p.audio())
        .ok_or_else(|| Error::unsupported("a codec without a known description"))?;
    if let (Some(channels), Some(rate)) = (&parameters.channels, parameters.sample_rate) {
        limits.check_signal(channels.count(), rate)?;
    }
    let format = reader.format_info().format;
    let mp3 = found.format == Format::Mpeg;
    let trim = if mp3 {
        Trim::of_mp3(track)
    } else {
        movie.trim(track_id, parameters.codec == CODEC_ID_AAC)?
    };
    let decoder = || {
        symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default().gapless(!mp3))
            .map_err(|e| Error::unsupported(format!("a codec that is not read ({e})")))
    };
    let checked = matches!(parameters.codec, CODEC_ID_AAC | CODEC_ID_ALAC);
    let checker = checked.then(decoder).transpose()?;
    let decoder = decoder()?;
    if mp3 {
        let delay = track.delay.unwrap_or(0);
        let declared = declared.filter(|_| found.garbage == 0);
        let mpeg = Mpeg::new(Box::new(reader.into_inner()), decoder, trim, declared, delay);
        return Ok(Container::Mpeg(Box::new(mpeg)));
    }
    // ffmpeg fills up the last packet of a CAF in its table.
    let exact = parameters.codec == CODEC_ID_ALAC && format == FORMAT_ID_ISOMP4;
    let slack = if exact { 0 } else { SLACK };
    // Of fragments only those that are there are counted.
    let declared = declared.filter(|_| !movie.is_fragmented());
    let declared = declared.map(|units| (trim.played(units) as f64 * unit_s, slack));
    let clock = Clock {
        timescale: track.time_base.map_or(0, |base| base.denom.get() / base.numer.get()),
        next: None,
        loose: parameters.codec == CODEC_ID_AAC,
        gaps: movie.gaps(track_id),
        begin: None,
    };
    Ok(Container::Format { reader, decoder, checker, track_id, declared, clock, trim })
}

/// A FLAC stream that begins at byte `start` of the file, and the decoder for it.
fn flac<'s>(
    source: Box<Bytes<'s>>,
    start: u64,
    limits: &Limits,
) -> Result<symphonia::core::errors::Result<Container<'s>>> {
    let opened = Flac::open(source, start).and_then(|flac| Ok((flac.decoder()?, flac)));
    Ok(match opened {
        Ok((decoder, flac)) => {
            let (channels, rate) = flac.signal();
            limits.check_signal(channels, rate)?;
            Ok(Container::Flac(Box::new(flac), decoder))
        }
        Err(error) => Err(error),
    })
}

/// Whether the sound of a packet of AAC or ALAC uses it up. They have no checksum, but what is
/// damaged mostly ends elsewhere. The last bits are a mark of the end and up to seven zeros: with
/// two bytes less, the decoder has to miss some.
fn ends_in_time(decoder: &mut Decoder, packet: &Packet) -> bool {
    let bytes = packet.data.get(..packet.data.len().saturating_sub(2)).unwrap_or_default();
    decoder.decode(&Packet::new(0, packet.pts, packet.dur, bytes)).is_err()
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
