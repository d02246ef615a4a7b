//! Frames of MPEG audio, layer III, one after the other: where each begins, what is between them,
//! and whether the bytes that a frame borrows from those before it are there. ISO/IEC 11172-3, 2.4;
//! 13818-3, 2.4.

use std::io::{self, Read};

use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::trim::Trim;
use super::{Decoder, Piece};
use crate::error::{Error, Result};
use crate::findings::{EXTRA, Findings, Remark};

/// The longest frame: of 320 kbit/s at 32 kHz.
const MOST_BYTES: usize = 1441;
/// Read at a time.
const STEP: usize = 1 << 15;
/// Of a tag of the kind Lyrics3, in bytes.
const MOST_LYRICS: usize = 5120;
/// The footer of a tag of the kind APE, and its header.
const APE_FOOTER: u64 = 32;
/// What frames of one stream have in common: version, layer and rate.
const SAME: u32 = 0xfffe_0c00;
/// The bit rates of MPEG 1, and of MPEG 2 and 2.5, in kbit/s.
const RATES: [[u32; 16]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
];

/// The sound of a file, frame by frame.
pub(super) struct Mpeg<'s> {
    frames: Frames<'s>,
    decoder: Decoder,
    trim: Trim,
    /// Samples of a channel that its tag counts, if it has one.
    declared: Option<u64>,
    /// Where the next frame belongs, in samples of a channel.
    time: i64,
    /// Whether a frame had all that it borrows.
    started: bool,
}

impl<'s> Mpeg<'s> {
    /// Of a source that is at its first frame behind the tag.
    pub(super) fn new(
        source: Box<dyn Read + 's>,
        decoder: Decoder,
        trim: Trim,
        declared: Option<u64>,
        delay: u32,
    ) -> Self {
        let (frames, time) = (Frames::new(source), -i64::from(delay));
        Self { frames, decoder, trim, declared, time, started: false }
    }

    /// Channels and sample rate.
    pub(super) fn shape(&self) -> (usize, u32) {
        let parameters = self.decoder.codec_params();
        let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
        (channels, parameters.sample_rate.unwrap_or(0))
    }

    /// Reads what is next, and puts its samples into `out`, interleaved.
    ///
    /// # Errors
    /// Those of [`Frames::next`].
    pub(super) fn next(&mut self, out: &mut Vec<f32>, findings: &mut Findings) -> Result<Piece> {
        out.clear();
        match self.frames.next()? {
            Next::Frame(frame) => self.decode(frame, out, findings),
            Next::Other => Ok(Piece::default()),
            Next::End { missing } => Ok(self.end(missing, findings)),
        }
    }

    fn decode(
        &mut self,
        frame: Frame,
        out: &mut Vec<f32>,
        findings: &mut Findings,
    ) -> Result<Piece> {
        let mut piece = Piece { missing: self.lose(frame.missing), end: false };
        if frame.missing > 0 {
            // What it borrows is not that of the frame before.
            self.decoder.reset();
        } else if frame.other > 0 {
            findings.remark(Remark::new(EXTRA, format!("{} bytes between frames", frame.other)));
        }
        let (time, samples) = (Timestamp::new(self.time), Duration::from(frame.samples));
        let packet = Packet::new(0, time, samples, frame.bytes);
        let decoded = self.decoder.decode(&packet);
        if frame.starved && !self.started && decoded.is_ok() {
            findings.remark(Remark::stream("frames that need others before the beginning"));
        }
        match decoded {
            Ok(decoded) if frame.cut || !frame.starved || !self.started => {
                self.started |= !frame.starved;
                let kept = self.trim.keep(&packet, decoded.frames(), decoded.spec().rate());
                let channels = decoded.spec().channels().count();
                decoded.copy_to_vec_interleaved(out);
                out.truncate(kept.end.saturating_mul(channels));
                out.drain(..(kept.start * channels).min(out.len()));
                self.time += frame.samples as i64;
            }
            Err(_) if frame.cut => piece.end = true,
            other => {
                if other.is_err() {
                    self.frames.forget();
                }
                piece.missing += self.lose(frame.samples);
            }
        }
        Ok(piece)
    }

    /// Goes on behind so many samples that are missing; returns how many are of the recording.
    fn lose(&mut self, samples: u64) -> u64 {
        let start = self.time.max(0);
        self.time = self.time.saturating_add_unsigned(samples);
        (self.time - start).max(0) as u64
    }

    fn end(&mut self, missing: u64, findings: &mut Findings) -> Piece {
        let there = self.time.max(0) as u64;
        let most = self.declared.map_or(u64::MAX, |declared| declared.saturating_sub(there));
        let missing = missing.min(most);
        if missing == 0 && self.frames.other > 0 {
            let other = self.frames.other;
            findings.remark(Remark::new(EXTRA, format!("{other} bytes behind its last frame")));
        }
        if let Some(declared) = self.declared.filter(|&declared| declared > there && missing == 0) {
            findings.remark(Remark::cut(declared, there, self.shape().1));
        }
        let most = self.declared.map_or(u64::MAX, |declared| declared + self.trim.padded());
        if there > most {
            findings.remark(Remark::stream("more frames than its tag counts"));
        }
        Piece { missing, end: true }
    }
}

/// What the first four bytes of a frame say.
#[derive(Debug, Clone, Copy)]
struct Header {
    word: u32,
    sample_rate: u32,
    /// Of the whole frame, in bytes.
    size: usize,
}

impl Header {
    /// Of bytes that begin with a frame of a known bit rate.
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = u32::from_be_bytes(*bytes.first_chunk()?);
        let (version, layer) = (word >> 19 & 3, word >> 17 & 3);
        if word >> 21 != 0x7ff || version == 1 || layer != 1 {
            return None;
        }
        let one = version == 3;
        let bit_rate = 1000 * RATES[usize::from(!one)][(word >> 12 & 15) as usize];
        let sample_rate = [44_100, 48_000, 32_000].get((word >> 10 & 3) as usize)?
            >> [2, 0, 1, 0][version as usize];
        if bit_rate == 0 {
            return None;
        }
        let padding = word >> 9 & 1;
        let size = (if one { 144 } else { 72 }) * bit_rate / sample_rate + padding;
        Some(Self { word, sample_rate, size: size as usize })
    }

    fn is_mpeg_1(self) -> bool {
        self.word >> 19 & 3 == 3
    }

    fn channels(self) -> usize {
        if self.word >> 6 & 3 == 3 { 1 } else { 2 }
    }

    /// Samples of a channel.
    fn samples(self) -> u64 {
        if self.is_mpeg_1() { 1152 } else { 576 }
    }

    /// Whether both can be of one stream.
    fn is_like(self, other: Self) -> bool {
        (self.word ^ other.word) & SAME == 0 && self.channels() == other.channels()
    }

    /// Where the side information begins, and where it ends.
    fn side(self) -> (usize, usize) {
        let start = if self.word >> 16 & 1 == 0 { 6 } else { 4 };
        let size = match (self.is_mpeg_1(), self.channels()) {
            (true, 1) | (false, 2) => 17,
            (true, _) => 32,
            (false, _) => 9,
        };
        (start, start + size)
    }

    /// Whether a frame holds a tag of its stream instead of sound.
    fn is_tag(self, frame: &[u8]) -> bool {
        let (start, _) = self.side();
        let named = |at: usize, names: &[&[u8]]| {
            let name = frame.get(at..at + 4);
            name.is_some_and(|name| names.contains(&name))
                && frame[start..at].iter().all(|&byte| byte == 0)
        };
        // A checksum does not move it.
        let (_, end) = Self { word: self.word | 1 << 16, ..self }.side();
        named(end, &[b"Xing", b"Info"]) || named(36, &[b"VBRI"])
    }
}

/// A frame, and what is in front of it.
struct Frame {
    bytes: Vec<u8>,
    /// Samples of a channel.
    samples: u64,
    /// Samples of a channel that are missing in front of it.
    missing: u64,
    /// Bytes in front of it that are no frame.
    other: u64,
    /// Whether the file ends within it.
    cut: bool,
    /// Whether bytes that it borrows are missing, or it needs more than there are.
    starved: bool,
}

/// What is next in a file.
enum Next {
    Frame(Frame),
    /// No sound; some may be missing in its place.
    Other,
    /// The end, in front of which so many samples are missing.
    End {
        missing: u64,
    },
}

/// Reads the frames of a source that begins with one.
struct Frames<'s> {
    source: Box<dyn Read + 's>,
    /// What was read, of which the first `used` bytes are passed over.
    bytes: Vec<u8>,
    used: usize,
    ended: bool,
    first: Option<Header>,
    /// Of all frames so far: how many, of how many bytes, and whether their bit rates differ.
    count: u64,
    total: u64,
    varies: bool,
    /// Bytes since the last frame that are none, and whether all of them are zeros.
    other: u64,
    zeros: bool,
    /// Samples that are missing since the last frame.
    missing: u64,
    /// Bytes of the frames before that the next may borrow.
    reservoir: usize,
}

impl<'s> Frames<'s> {
    fn new(source: Box<dyn Read + 's>) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            used: 0,
            ended: false,
            first: None,
            count: 0,
            total: 0,
            varies: false,
            other: 0,
            zeros: true,
            missing: 0,
            reservoir: 0,
        }
    }

    /// The next frame, or what is there instead; a bounded number of bytes is looked at.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Decode`] for a stream of other channels or another rate.
    fn next(&mut self) -> Result<Next> {
        self.fill(STEP)?;
        let rest = &self.bytes[self.used..];
        if rest.is_empty() {
            return Ok(self.end());
        }
        if let Some(size) = tag(rest) {
            // The items of this one are in front of it.
            if rest.starts_with(b"APETAGEX") && size == APE_FOOTER {
                let items = rest.get(12..).and_then(|rest| rest.first_chunk()).copied();
                let items = items.map_or(0, |n| u64::from(u32::from_le_bytes(n)));
                self.other = self.other.saturating_sub(items.saturating_sub(APE_FOOTER));
            }
            self.skip(size)?;
            return Ok(Next::Other);
        }
        let here =
            Header::read(rest).filter(|header| self.first.is_none_or(|f| f.is_like(*header)));
        let Some(header) = here else {
            return self.search();
        };
        // What follows is of a frame whose end is missing, where another begins within.
        let behind = rest.get(header.size..);
        let follows = behind.is_none_or(|behind| follows(behind, header));
        if !follows {
            if let Some(at) = (1..header.size).find(|&at| self.is_pair(at)) {
                self.used += at;
                self.missing += header.samples();
                return Ok(Next::Other);
            }
            // After damage, one frame alone may be none.
            if self.other > 0 {
                return self.search();
            }
        }
        Ok(self.take(header))
    }

    /// The frame here.
    fn take(&mut self, header: Header) -> Next {
        let missing = std::mem::take(&mut self.missing) + self.estimate() * header.samples();
        let rest = &self.bytes[self.used..];
        let mut bytes = rest[..rest.len().min(header.size)].to_vec();
        let cut = bytes.len() < header.size;
        bytes.resize(header.size, 0);
        self.used += header.size.min(rest.len());
        if self.first.is_some() && header.is_tag(&bytes) {
            self.missing = missing;
            return Next::Other;
        }
        let first = *self.first.get_or_insert(header);
        self.varies |= (first.word ^ header.word) >> 12 & 15 != 0;
        (self.count, self.total) = (self.count + 1, self.total + header.size as u64);
        let other = std::mem::take(&mut self.other);
        self.zeros = true;
        if missing > 0 {
            self.reservoir = 0;
        }
        let starved = self.borrow(header, &bytes);
        Next::Frame(Frame { bytes, samples: header.samples(), missing, other, cut, starved })
    }

    /// How many frames were in place of the bytes that are none.
    fn estimate(&self) -> u64 {
        let (Some(first), true) = (self.first, self.other > 0) else { return 0 };
        let size = |index: u32| Header::read(&(first.word & !0xf000 | index << 12).to_be_bytes());
        let is_size = |header: Header| (0..2).any(|n| header.size as u64 + n == self.other);
        if self.varies && (1..15).filter_map(size).any(is_size) {
            return 1;
        }
        (self.other as f64 * self.count as f64 / self.total as f64).round() as u64
    }

    /// Passes over bytes that are no frame, up to where two follow each other.
    fn search(&mut self) -> Result<Next> {
        let most = (self.bytes.len() - self.used).saturating_sub(2 * MOST_BYTES);
        let most = if self.ended { self.bytes.len() - self.used } else { most };
        let found =
            (1..most).find(|&at| tag(&self.bytes[self.used + at..]).is_some() || self.is_pair(at));
        let passed = found.unwrap_or(most).max(1);
        let bytes = &self.bytes[self.used..self.used + passed];
        self.zeros &= bytes.iter().all(|&byte| byte == 0);
        self.other += passed as u64;
        self.used += passed;
        let next = Header::read(&self.bytes[self.used..]);
        if let Some((first, next)) = self.first.zip(next).filter(|_| found.is_some())
            && !first.is_like(next)
        {
            let shape = |h: Header| format!("{} channels at {} Hz", h.channels(), h.sample_rate);
            return Err(Error::decode(shape(first), format!("{} behind them", shape(next))));
        }
        Ok(Next::Other)
    }

    /// Whether a frame begins so many bytes from here, and another one behind it. One of another
    /// stream has to be followed by two.
    fn is_pair(&self, at: usize) -> bool {
        let rest = &self.bytes[self.used + at..];
        let Some(header) = Header::read(rest) else { return false };
        let behind = rest.get(header.size..);
        if self.first.is_none_or(|first| first.is_like(header)) {
            return behind.is_some_and(|behind| follows(behind, header));
        }
        behind.and_then(Header::read).filter(|next| next.is_like(header)).is_some_and(|next| {
            let last = rest.get(header.size + next.size..).and_then(Header::read);
            last.is_some_and(|last| last.is_like(header))
        })
    }

    fn end(&mut self) -> Next {
        let samples = self.first.map_or(0, Header::samples);
        let frames = if self.zeros { 0 } else { self.estimate() };
        Next::End { missing: self.missing + frames * samples }
    }

    /// Counts the bytes that a frame borrows and leaves; returns whether some are missing.
    fn borrow(&mut self, header: Header, frame: &[u8]) -> bool {
        let (start, end) = header.side();
        let (one, channels) = (header.is_mpeg_1(), header.channels());
        let Some(side) = frame.get(start..end) else { return true };
        let bits = |at: usize, count: usize| {
            (at..at + count).fold(0, |n, i| n << 1 | usize::from(side[i / 8] >> (7 - i % 8) & 1))
        };
        let begin = bits(0, if one { 9 } else { 8 });
        let (head, granules, size) = match (one, channels) {
            (true, 1) => (18, 2, 59),
            (true, _) => (20, 4, 59),
            (false, 1) => (9, 1, 63),
            (false, _) => (10, 2, 63),
        };
        let needed: usize = (0..granules).map(|i| bits(head + i * size, 12)).sum();
        let there = begin.min(self.reservoir) + frame.len() - end;
        let missing = begin.saturating_sub(self.reservoir);
        let used = needed.div_ceil(8);
        self.reservoir = there.saturating_sub(used.saturating_sub(missing));
        missing > 0 || used > there
    }

    /// Forgets what frames may borrow, as a decoder does that fails.
    fn forget(&mut self) {
        self.reservoir = 0;
    }

    /// Passes over so many bytes.
    fn skip(&mut self, size: u64) -> Result<()> {
        let there = (self.bytes.len() - self.used) as u64;
        self.used += there.min(size) as usize;
        let beyond = size - there.min(size);
        io::copy(&mut self.source.by_ref().take(beyond), &mut io::sink()).map_err(Error::Read)?;
        Ok(())
    }

    /// Reads on until so many bytes are there, or the end is.
    fn fill(&mut self, size: usize) -> Result<()> {
        if self.bytes.len() - self.used >= size / 2 {
            return Ok(());
        }
        self.bytes.drain(..self.used);
        self.used = 0;
        while self.bytes.len() < size && !self.ended {
            let before = self.bytes.len();
            self.bytes.resize(size, 0);
            let read = self.source.read(&mut self.bytes[before..]).map_err(Error::Read)?;
            self.bytes.truncate(before + read);
            self.ended = read == 0;
        }
        Ok(())
    }
}

/// Whether what is behind a frame may be: another one, a tag, or the end.
fn follows(behind: &[u8], frame: Header) -> bool {
    behind.len() < 4
        || tag(behind).is_some()
        || Header::read(behind).is_some_and(|next| next.is_like(frame))
}

/// The size of the tag that begins here, if one does.
fn tag(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<10>()?;
    match head {
        [b'T', b'A', b'G', ..] => Some(128),
        // Seven bits of each byte.
        [b'I', b'D', b'3', 2..=4, _, flags, size @ ..] if size.iter().all(|&n| n < 128) => {
            let size = size.iter().fold(0, |sum, &n| sum << 7 | u64::from(n));
            Some(size + if flags & 16 != 0 { 20 } else { 10 })
        }
        _ if head.starts_with(b"APETAGEX") => {
            let size = bytes.get(12..).and_then(|rest| rest.first_chunk())?;
            let flags = bytes.get(20..).and_then(|rest| rest.first_chunk())?;
            // The flags say whether this is the header, in front of items and footer.
            let header = u32::from_le_bytes(*flags) >> 29 & 1 == 1;
            let items = u64::from(u32::from_le_bytes(*size));
            Some(if header { APE_FOOTER + items } else { APE_FOOTER })
        }
        _ if head.starts_with(b"LYRICSBEGI") => {
            // Searched for no further than the first version of it goes.
            let bytes = bytes.get(..MOST_LYRICS).unwrap_or(bytes);
            let end = bytes.windows(9).position(|at| at == b"LYRICS200" || at == b"LYRICSEND")?;
            Some(end as u64 + 9)
        }
        _ => None,
    }
}
