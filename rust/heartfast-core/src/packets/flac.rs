//! FLAC streams, whose frames are found by their headers and checksums: each says where it belongs,
//! so that a damaged one shifts nothing, and what is behind the last one is told from it.
//! RFC 9639, 9.

use std::io::{self, Read};

use symphonia::core::checksum::{Crc8Ccitt, Crc16Ansi};
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoderOptions};
use symphonia::core::errors::{Error, Result, decode_error};
use symphonia::core::io::{MediaSource, Monitor};
use symphonia::core::packet::{Packet, PacketRef};
use symphonia::core::units::{Duration, Timestamp};

use super::Decoder;

const MAGIC: &[u8; 4] = b"fLaC";
/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;
/// The longest header of a frame.
const MOST_HEADER: usize = 16;
/// More headers than these are not found by chance inside of a frame: each takes a checksum.
const MOST_HEADERS: usize = 8;
/// What is damaged more often is given up: each place takes time.
const MOST_DAMAGED: u32 = 1000;
/// Bytes in which the next frame is searched for before the caller can stop it.
const MOST_PASSED: usize = 1 << 20;

/// What the first block says of the stream.
struct Info {
    bytes: [u8; 34],
    /// The samples of a channel in a block, of all but the last one.
    block: u64,
    /// Bytes of the largest frame, or 0.
    most_bytes: usize,
    rate: u32,
    channels: u8,
    bits: u8,
    /// Samples of a channel.
    total: Option<u64>,
}

impl Info {
    fn new(bytes: [u8; 34]) -> Self {
        let number = |at: usize, n: usize| {
            bytes[at..at + n].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
        };
        let total = number(13, 5) & 0xf_ffff_ffff;
        Self {
            bytes,
            block: number(2, 2),
            most_bytes: number(7, 3) as usize,
            rate: (number(10, 3) >> 4) as u32,
            channels: (bytes[12] >> 1 & 7) + 1,
            bits: ((number(12, 2) >> 4 & 31) + 1) as u8,
            total: (total > 0).then_some(total),
        }
    }

    fn decoder(&self) -> Result<Decoder> {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_FLAC).with_extra_data(Box::from(self.bytes));
        symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
    }
}

/// The header of a frame.
struct Header {
    bytes: usize,
    /// The first sample of each channel.
    position: u64,
    /// Samples of each channel.
    frames: u64,
}

impl Header {
    /// The header that is at the beginning of these bytes, if it is one of this stream.
    fn read(bytes: &[u8], info: &Info) -> Option<Self> {
        let &[0xff, second @ 0xf8..=0xf9, sizes, kinds, ..] = bytes else { return None };
        let (block, rate, channels, bits) = (sizes >> 4, sizes & 15, kinds >> 4, kinds >> 1 & 7);
        let channels = if channels < 8 { channels + 1 } else { 2 };
        let bits = [info.bits, 8, 12, 0, 16, 20, 24, 32][usize::from(bits)];
        if kinds & 1 == 1 || kinds >> 4 > 10 || (channels, bits) != (info.channels, info.bits) {
            return None;
        }
        let (number, length) = coded_number(bytes.get(4..)?)?;
        let mut at = 4 + length;
        let mut more = |n: usize| {
            let field = bytes.get(at..at + n)?;
            at += n;
            Some(field.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
        };
        let frames = match block {
            1 => 192,
            2..=5 => 576 << (block - 2),
            6 => more(1)? + 1,
            7 => more(2)? + 1,
            8.. => 256 << (block - 8),
            0 => return None,
        };
        let rate = match rate {
            0 => info.rate,
            12 => more(1)? * 1000,
            13 => more(2)?,
            14 => more(2)? * 10,
            15 => return None,
            known => {
                const RATES: [u32; 11] = [
                    88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
                    96_000,
                ];
                RATES[usize::from(known) - 1]
            }
        };
        let mut crc = Crc8Ccitt::new(0);
        crc.process_buf_bytes(bytes.get(..at)?);
        if rate != info.rate || *bytes.get(at)? != crc.crc() {
            return None;
        }
        // By blocks of one size, or by samples.
        let position = if second == 0xf8 { number * info.block } else { number };
        Some(Self { bytes: at + 1, position, frames: frames.into() })
    }

    /// What a frame takes at most: no encoder writes more than all samples as they are.
    fn most_bytes(&self, info: &Info) -> usize {
        let channel = self.frames * (u64::from(info.bits) + 1) / 8 + 64;
        (2 * channel as usize * usize::from(info.channels)).max(info.most_bytes)
    }
}

/// A number as UTF-8 codes characters, of up to 36 bits, and how many bytes it takes.
fn coded_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let &first = bytes.first()?;
    let length = match first.leading_ones() {
        0 => return Some((first.into(), 1)),
        length @ 2..=7 => length as usize,
        _ => return None,
    };
    let rest = bytes.get(1..length)?;
    let follow = rest.iter().all(|byte| byte >> 6 == 0b10);
    let start = u64::from(first) & (0x7f >> length);
    let number = rest.iter().fold(start, |number, &byte| number << 6 | u64::from(byte & 0x3f));
    follow.then_some((number, length))
}

/// What comes next in a stream.
pub(super) enum Step {
    /// A frame that is intact, and how many samples of each channel are missing in front of it.
    Frame(Packet, u64),
    /// Something was passed over; there may be more.
    Nothing,
    End,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// With its file, maybe in the middle of a frame.
    Cut,
    /// With something behind the last good frame that is none.
    Other,
    /// With another stream behind it.
    Followed,
}

/// What is known of a frame's end.
enum Extent {
    Bytes(usize),
    /// The file ends before it does.
    Cut,
    Damaged,
}

/// The frames of a stream.
pub(super) struct Flac<'s> {
    source: Box<dyn MediaSource + 's>,
    info: Info,
    /// What is read of the file and not used yet begins at `used`.
    buffer: Vec<u8>,
    used: usize,
    /// Whether all of the file is read.
    ended: bool,
    /// Bytes of the file that were used.
    pub(super) offset: u64,
    /// Where the last good frame ended, and the one before it.
    pub(super) good: u64,
    pub(super) before: u64,
    /// Where the next frame should begin, in samples. Without a known length, a stream may be a
    /// piece of a longer one.
    expected: Option<u64>,
    /// Finds out how long frames are that nothing follows.
    trial: Option<Decoder>,
    damaged: u32,
    /// Whether the last frame that was found is damaged.
    pub(super) ends_damaged: bool,
    /// Where a frame begins that is there more than once, in samples.
    pub(super) repeated: Option<u64>,
    /// How it ended, once it has.
    pub(super) end: End,
}

impl<'s> Flac<'s> {
    /// The stream in a source, which begins with its magic number at byte `offset` of the file.
    pub(super) fn open(mut source: Box<dyn MediaSource + 's>, offset: u64) -> Result<Self> {
        let mut magic = [0; 4];
        source.read_exact(&mut magic)?;
        let (mut info, mut passed, mut buffer) = (None, 4, Vec::new());
        loop {
            let mut head = [0; 4];
            source.read_exact(&mut head)?;
            let [kind, rest @ ..] = head;
            if kind == 0xff {
                // No block is of this kind: a frame, in a stream without a mark of the last block.
                buffer = head.to_vec();
                break;
            }
            let length = rest.iter().fold(0, |length, &byte| length << 8 | u64::from(byte));
            passed += 4 + length;
            if kind & 0x7f == 0 && length == 34 && info.is_none() {
                let mut bytes = [0; 34];
                source.read_exact(&mut bytes)?;
                info = Some(Info::new(bytes));
            } else if io::copy(&mut source.by_ref().take(length), &mut io::sink())? < length {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if kind & 0x80 != 0 {
                break;
            }
        }
        let Some(info) = info else { return decode_error("flac: missing stream info block") };
        Ok(Self {
            source,
            expected: info.total.map(|_| 0),
            info,
            buffer,
            used: 0,
            ended: false,
            offset: offset + passed,
            good: offset + passed,
            before: offset + passed,
            trial: None,
            damaged: 0,
            ends_damaged: false,
            repeated: None,
            end: End::Cut,
        })
    }

    pub(super) fn decoder(&self) -> Result<Decoder> {
        self.info.decoder()
    }

    /// Channels and sample rate, by the header.
    pub(super) fn signal(&self) -> (usize, u32) {
        (self.info.channels.into(), self.info.rate)
    }

    /// Samples of a channel, by the header.
    pub(super) fn declared(&self) -> Option<u64> {
        self.info.total
    }

    /// Samples of a channel that are behind the last frame, by the header: negative where there
    /// are more than it says.
    pub(super) fn left(&self) -> Option<i64> {
        Some(self.info.total? as i64 - self.expected? as i64)
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    /// Reads on until so many bytes are there, or all of the file is.
    fn fill(&mut self, most: usize) -> Result<()> {
        while self.rest().len() < most && !self.ended {
            self.buffer.drain(..std::mem::take(&mut self.used));
            let start = self.buffer.len();
            self.buffer.resize(start + CHUNK, 0);
            let read = self.source.read(&mut self.buffer[start..]);
            self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(n) => self.ended = n == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn pass(&mut self, bytes: usize) {
        self.used += bytes;
        self.offset += bytes as u64;
    }

    /// Reads on to the next frame that is intact, or over some bytes that are none.
    pub(super) fn step(&mut self) -> Result<Step> {
        self.fill(MOST_HEADER)?;
        let is_whole = self.left().is_some_and(|left| left <= 0);
        let header = Header::read(self.rest(), &self.info)
            .filter(|header| !is_whole || Some(header.position) == self.expected);
        let Some(header) = header else { return self.search(is_whole) };
        let bytes = match self.extent(&header)? {
            Extent::Bytes(bytes) => bytes,
            Extent::Cut => return Ok(Step::End),
            // Where all is there already, it is no frame.
            Extent::Damaged if is_whole => return self.search(true),
            Extent::Damaged => {
                self.damaged += 1;
                self.ends_damaged = true;
                if self.damaged > MOST_DAMAGED {
                    return decode_error("flac: too many damaged frames");
                }
                self.pass(1);
                return self.search(false);
            }
        };
        let Header { position, frames, .. } = header;
        let (at, duration) = (Timestamp::new(position as i64), Duration::from(frames));
        let packet = Packet::new(0, at, duration, &self.rest()[..bytes]);
        self.pass(bytes);
        let expected = self.expected.unwrap_or(position);
        if position < expected {
            self.repeated.get_or_insert(position);
            return Ok(Step::Nothing);
        }
        self.ends_damaged = false;
        self.expected = Some(position + frames);
        (self.before, self.good) = (self.good, self.offset);
        Ok(Step::Frame(packet, position - expected))
    }

    /// Passes over what is no frame, up to what may be the next one; ends where there is none, or
    /// where all samples are there.
    fn search(&mut self, is_whole: bool) -> Result<Step> {
        let known = self.info.total.is_some();
        if self.rest().starts_with(MAGIC) && (is_whole || !known) {
            self.end = End::Followed;
            return Ok(Step::End);
        }
        if is_whole {
            self.end = End::Other;
            return Ok(Step::End);
        }
        let begins = self.rest().first().is_none_or(|&first| first == 0xff);
        if self.ended && self.rest().len() < MOST_HEADER && begins && !self.ends_damaged {
            // Nothing, or what there is of a header.
            return Ok(Step::End);
        }
        if let Some(at) = self.find_header(0, MOST_PASSED)? {
            self.pass(at);
            return Ok(Step::Nothing);
        }
        let passed = self.rest().len().min(MOST_PASSED);
        let is_end = self.ended && passed == self.rest().len();
        self.pass(passed);
        self.end = End::Other;
        Ok(if is_end { Step::End } else { Step::Nothing })
    }

    /// Where the next header is, up to `most` bytes from here.
    fn find_header(&mut self, from: usize, most: usize) -> Result<Option<usize>> {
        let mut at = from;
        while at <= most {
            self.fill(at + MOST_HEADER)?;
            let rest = self.rest();
            let Some(found) = rest[at.min(rest.len())..].iter().position(|&byte| byte == 0xff)
            else {
                if self.ended {
                    break;
                }
                at = rest.len();
                continue;
            };
            at += found;
            if at + MOST_HEADER > rest.len() && !self.ended {
                continue;
            }
            if at <= most && Header::read(&rest[at..], &self.info).is_some() {
                return Ok(Some(at));
            }
            at += 1;
        }
        Ok(None)
    }

    /// How long the frame is that begins here: its checksum fits where the next one begins, or the
    /// file ends. Where it does not, by decoding it.
    fn extent(&mut self, header: &Header) -> Result<Extent> {
        let most = header.most_bytes(&self.info);
        let mut crc = Crc16Ansi::new(0);
        let (mut summed, mut from) = (0, header.bytes);
        for _ in 0..MOST_HEADERS {
            let Some(next) = self.find_header(from, most)? else { break };
            crc.process_buf_bytes(&self.rest()[summed..next]);
            if crc.crc() == 0 {
                return Ok(Extent::Bytes(next));
            }
            (summed, from) = (next, next + 1);
        }
        let rest = self.rest();
        if summed == 0 && self.ended && rest.len() <= most {
            crc.process_buf_bytes(rest);
            if crc.crc() == 0 {
                return Ok(Extent::Bytes(rest.len()));
            }
        }
        self.fill(most)?;
        self.decoded_extent(header.bytes, most, summed == 0)
    }

    /// How long a frame is by decoding it: as many bytes as that takes, and a checksum. Where it is
    /// the last one and takes more, the file is cut off.
    fn decoded_extent(&mut self, header: usize, most: usize, is_last: bool) -> Result<Extent> {
        let mut trial = match self.trial.take() {
            Some(trial) => trial,
            None => self.info.decoder()?,
        };
        let rest = &self.rest()[..most.min(self.rest().len())];
        let is_last = is_last && self.ended && rest.len() == self.rest().len();
        let mut decode = |bytes: usize| {
            let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, &rest[..bytes]);
            trial.decode_ref(&packet).map(drop)
        };
        let extent = match decode(rest.len()) {
            Err(Error::IoError(_)) if is_last => Extent::Cut,
            Err(_) => Extent::Damaged,
            Ok(()) => {
                let (mut low, mut high) = (header, rest.len());
                while low < high {
                    let middle = low.midpoint(high);
                    if decode(middle).is_ok() {
                        high = middle;
                    } else {
                        low = middle + 1;
                    }
                }
                let mut crc = Crc16Ansi::new(0);
                crc.process_buf_bytes(rest.get(..low + 2).unwrap_or_default());
                match crc.crc() {
                    _ if low + 2 > rest.len() && is_last => Extent::Cut,
                    0 if low + 2 <= rest.len() => Extent::Bytes(low + 2),
                    _ => Extent::Damaged,
                }
            }
        };
        self.trial = Some(trial);
        Ok(extent)
    }
}
