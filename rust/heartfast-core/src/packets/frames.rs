//! Frames of MPEG audio and of AAC in ADTS: streams without a header of their own, which are known by frames that follow
//! one another. ISO/IEC 11172-3:1993, 2.4.1.3; ISO/IEC 13818-3:1998, 2.4.2.3; ISO/IEC 14496-3:2019, 1.A.3.2.

/// So many frames in a row are no accident.
const RUN: usize = 4;
/// Bytes that they take at most: those of ADTS say their length in 13 bits.
pub(super) const RUN_BYTES: usize = RUN << 13;

/// What a stream consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Adts,
    Mpeg,
}

/// A frame, by its first bytes.
#[derive(Clone, Copy)]
struct Frame {
    stream: Stream,
    /// What all frames of a stream have in common.
    same: u32,
    /// In bytes.
    length: usize,
}

/// The stream of which these bytes are the beginning, if a frame is there and another one follows.
pub(super) fn first(bytes: &[u8]) -> Option<Stream> {
    let first = Frame::read(bytes)?;
    Frame::read(bytes.get(first.length..)?).map(|_| first.stream)
}

/// The stream of which these bytes are the beginning, if several frames of one kind follow one another.
pub(super) fn run(bytes: &[u8], whole: bool) -> Option<Stream> {
    let first = Frame::read(bytes)?;
    let (mut at, mut count) = (first.length, 1);
    while count < RUN {
        match bytes.get(at..).and_then(Frame::read) {
            Some(next) if next.same == first.same => at += next.length,
            // Of a short recording there are fewer.
            None if whole && at == bytes.len() && count > 1 => break,
            _ => return None,
        }
        count += 1;
    }
    Some(first.stream)
}

/// Bytes of the frame that begins here.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    Frame::read(bytes).map(|frame| frame.length)
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let head = u32::from_be_bytes(*bytes.first_chunk()?);
        match head >> 16 {
            sync if sync & 0xfff6 == 0xfff0 => Self::adts(bytes, head),
            sync if sync & 0xffe0 == 0xffe0 => Self::mpeg(head),
            _ => None,
        }
    }

    fn adts(bytes: &[u8], head: u32) -> Option<Self> {
        let &[_, _, _, high, middle, low, ..] = bytes else { return None };
        let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
        let rate = head >> 10 & 15;
        // The syncword, the version, the profile, the rate and the channels.
        let same = head & 0xfffe_fdc0;
        (rate < 13 && length > 7).then_some(Self { stream: Stream::Adts, same, length })
    }

    fn mpeg(head: u32) -> Option<Self> {
        let field = |shift: u32, bits: u32| (head >> shift & ((1 << bits) - 1)) as usize;
        // 3: version 1; 2: version 2; 0: version 2.5, which is no standard's.
        let (version, layer) = (field(19, 2), 4 - field(17, 2));
        let (bit_rate, rate, padding) = (field(12, 4), field(10, 2), field(9, 1));
        if version == 1 || layer == 4 || bit_rate == 15 || rate == 3 {
            return None;
        }
        let kbit_s = match (version, layer) {
            (3, 1) => 32 * bit_rate,
            (3, 2) => BIT_RATES[0].get(bit_rate).copied()?.into(),
            (3, _) => BIT_RATES[1].get(bit_rate).copied()?.into(),
            (_, 1) => BIT_RATES[2].get(bit_rate).copied()?.into(),
            _ => BIT_RATES[3].get(bit_rate).copied()?.into(),
        };
        let divisor = [4, 1, 2, 1][version];
        let rate = [44_100, 48_000, 32_000][rate] / divisor;
        let length = match layer {
            1 => (12_000 * kbit_s / rate + padding) * 4,
            3 if version != 3 => 72_000 * kbit_s / rate + padding,
            _ => 144_000 * kbit_s / rate + padding,
        };
        // The sync word, the version, the layer and the rate.
        let same = head & 0xfffe_0c00;
        (length > 4).then_some(Self { stream: Stream::Mpeg, same, length })
    }
}

/// Kilobits a second by index, of which 0 means that the length is not said: version 1, layer II; version 1, layer III;
/// the later versions, layer I; their layers II and III.
const BIT_RATES: [[u16; 15]; 4] = [
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
