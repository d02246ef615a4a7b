//! WAV's `fmt ` chunk.

use super::coding::{Coding, Order};
use super::{Adpcm, Content, Header, Input};
use crate::error::{Error, Result};

const PCM: u16 = 1;
const MS_ADPCM: u16 = 2;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const IMA_ADPCM: u16 = 0x11;
/// The tag of a format whose extension has the real one, in front of the rest of a GUID.
const EXTENSIBLE: u16 = 0xfffe;

/// The rest of the GUIDs that stand for tags, and of those for Ambisonics, as they are written.
const GUIDS: [[u8; 8]; 2] = [*b"\x80\0\0\xaa\0\x38\x9b\x71", *b"\x86\x44\xc8\xc1\xca\0\0\0"];

/// Codecs by their tags, as far as they are met in files.
const NAMES: [(u16, &str); 37] = [
    (0x0010, "OKI ADPCM"),
    (0x0014, "G.723 ADPCM"),
    (0x0020, "Yamaha ADPCM"),
    (0x0022, "DSP Group TrueSpeech"),
    (0x0031, "GSM 6.10"),
    (0x0038, "NMS ADPCM"),
    (0x0040, "G.721 ADPCM"),
    (0x0041, "G.728 CELP"),
    (0x0042, "G.723.1"),
    (0x0045, "G.726 ADPCM"),
    (0x0050, "MPEG audio"),
    (0x0055, "MP3"),
    (0x0061, "Duck DK4 ADPCM"),
    (0x0062, "Duck DK3 ADPCM"),
    (0x0064, "G.726 ADPCM"),
    (0x0065, "G.722 ADPCM"),
    (0x0069, "Xbox ADPCM"),
    (0x0075, "Voxware"),
    (0x0083, "G.729"),
    (0x0085, "G.726 ADPCM"),
    (0x00ff, "AAC"),
    (0x0130, "ACELP.net"),
    (0x0160, "Windows Media Audio"),
    (0x0161, "Windows Media Audio"),
    (0x0162, "Windows Media Audio"),
    (0x0163, "Windows Media Audio"),
    (0x0200, "Creative ADPCM"),
    (0x0270, "ATRAC3"),
    (0x0401, "Intel Music Coder"),
    (0x1610, "AAC"),
    (0x2000, "AC-3"),
    (0x2001, "DTS"),
    (0x566f, "Vorbis"),
    (0x5756, "WavPack"),
    (0x704f, "Opus"),
    (0xa109, "Speex"),
    (0xf1ac, "FLAC"),
];

/// Fields by their places, in one order of bytes.
struct Fields {
    bytes: [u8; 40],
    order: Order,
}

impl Fields {
    fn short(&self, at: usize) -> u16 {
        let bytes = [self.bytes[at], self.bytes[at + 1]];
        match self.order {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    fn long(&self, at: usize) -> u32 {
        let (first, second) = (u32::from(self.short(at)), u32::from(self.short(at + 2)));
        match self.order {
            Order::Little => second << 16 | first,
            Order::Big => first << 16 | second,
        }
    }
}

/// What a format chunk of so many `bytes` at `at` says. Shorter ones than the usual 16, 18 or 40
/// bytes lack what comes last; of longer ones the rest does not matter.
///
/// # Errors
/// [`Error::Decode`] for one that makes no sense, [`Error::Unsupported`] for a codec that is not
/// read.
pub(super) fn read(input: &mut Input<'_>, at: u64, bytes: u64, order: Order) -> Result<Header> {
    let (bytes, read) = input.get_some::<40>(at, bytes)?;
    if read < 14 {
        let expected = "a WAV format of at least 14 bytes";
        return Err(Error::decode(expected, format!("{read}")).at(at));
    }
    let fields = Fields { bytes, order };
    let mut tag = fields.short(0);
    let (channels, sample_rate) = (fields.short(2), fields.long(4));
    let (block_bytes, bits) = (fields.short(12), fields.short(14));
    if tag == EXTENSIBLE {
        if read < 40 {
            let expected = "an extensible WAV format of 40 bytes";
            return Err(Error::decode(expected, format!("{read}")).at(at));
        }
        let mut guid = [0; 8];
        guid.copy_from_slice(&fields.bytes[32..]);
        let known = fields.long(24) <= 0xffff && GUIDS.contains(&guid);
        if !known {
            let text: String = fields.bytes[24..].iter().map(|b| format!("{b:02x}")).collect();
            return Err(Error::unsupported(format!("a WAV of the sub-format {text}")));
        }
        tag = fields.long(24) as u16;
    }
    // By its bits; where it has none, by the frame's bytes.
    let place = block_bytes.checked_div(channels).unwrap_or(0);
    let size = usize::from(if bits == 0 { place } else { bits.div_ceil(8) });
    let nonsense =
        |expected: &str| Error::decode(expected, format!("{bits} bits in {place} bytes")).at(at);
    let wider = usize::from(place) > size && place <= 8 && block_bytes.is_multiple_of(channels);
    if wider && matches!(tag, PCM | FLOAT) {
        // No one knows where in these bytes they are: readers differ.
        return Err(nonsense("samples as wide as their bits"));
    }
    let samples = match tag {
        PCM if size == 1 => Coding::UNSIGNED,
        PCM => Coding::signed(size, order).ok_or_else(|| nonsense("1 to 64 bits to a sample"))?,
        FLOAT if matches!(bits, 0 | 32 | 64) => {
            Coding::float(size, order).ok_or_else(|| nonsense("floats of 32 or 64 bits"))?
        }
        FLOAT => return Err(Error::unsupported(format!("a WAV of {bits}-bit floats"))),
        A_LAW => Coding::A_LAW,
        MU_LAW => Coding::MU_LAW,
        MS_ADPCM | IMA_ADPCM => {
            let ima = tag == IMA_ADPCM;
            return adpcm(Adpcm { ima, block_bytes }, channels, sample_rate, bits, at);
        }
        _ => return Err(Error::unsupported(format!("a WAV of {}", name(tag)))),
    };
    let content = Content::Samples(samples);
    Ok(Header { channels: channels.into(), sample_rate: sample_rate.into(), content })
}

fn adpcm(adpcm: Adpcm, channels: u16, sample_rate: u32, bits: u16, at: u64) -> Result<Header> {
    let codec = if adpcm.ima { "IMA ADPCM" } else { "Microsoft ADPCM" };
    if channels > 2 || !matches!(bits, 0 | 4) {
        let found = format!("a WAV of {bits}-bit {codec} with {channels} channels");
        return Err(Error::unsupported(found));
    }
    if channels > 0 && adpcm.frames(adpcm.block_bytes.into(), channels.into()) < 3 {
        let expected = format!("a block of {codec}");
        return Err(Error::decode(expected, format!("{} bytes", adpcm.block_bytes)).at(at));
    }
    let content = Content::Blocks(adpcm);
    Ok(Header { channels: channels.into(), sample_rate: sample_rate.into(), content })
}

fn name(tag: u16) -> String {
    let name = NAMES.iter().find(|known| known.0 == tag);
    name.map_or_else(|| format!("an unknown codec, 0x{tag:04x}"), |(_, name)| (*name).to_owned())
}
