//! The commonest recordings by a short way: plain PCM WAV, with every size in its header as it
//! should be. Whatever is odd in the least goes through symphonia instead, which gives the same
//! samples for those that are not. Only RF64, the WAV of more than 4 GB, it does not read.

use std::ops::Range;

use crate::audio::MAX_SAMPLE_RATE;
use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::memory::reserve;

/// Where the samples of a plain WAV file are, and what they are.
pub(crate) struct Pcm {
    pub(crate) sample_rate: u32,
    pub(crate) channels: usize,
    encoding: &'static Encoding,
    /// Bytes of the file, whole frames.
    pub(crate) data: Range<u64>,
}

/// How a sample is written.
struct Encoding {
    /// 1 is PCM, 3 IEEE floats.
    tag: u16,
    bits: u16,
    append: fn(&[u8], &mut Vec<f32>),
}

/// Appends one value for each `N` bytes.
fn append<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)));
}

const ENCODINGS: [Encoding; 5] = [
    Encoding {
        tag: 1,
        bits: 8,
        append: |bytes, out| append(bytes, out, |[x]| (f32::from(x) - 128.0) / 128.0),
    },
    Encoding {
        tag: 1,
        bits: 16,
        append: |bytes, out| append(bytes, out, |x| f32::from(i16::from_le_bytes(x)) / 32768.0),
    },
    Encoding {
        tag: 1,
        bits: 24,
        append: |bytes, out| {
            // In the upper three bytes, where the sign is.
            let value = |[a, b, c]: [u8; 3]| i32::from_le_bytes([0, a, b, c]) as f32;
            append(bytes, out, |x| value(x) / 2_147_483_648.0);
        },
    },
    Encoding {
        tag: 1,
        bits: 32,
        append: |bytes, out| {
            append(bytes, out, |x| i32::from_le_bytes(x) as f32 / 2_147_483_648.0);
        },
    },
    Encoding { tag: 3, bits: 32, append: |bytes, out| append(bytes, out, f32::from_le_bytes) },
];

impl Pcm {
    /// Bytes of one sample of all channels.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.channels * usize::from(self.encoding.bits / 8)
    }

    /// Appends the samples that these bytes of the file's `data` are; full scale is 1.0.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) if there is no memory for them,
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(crate) fn samples(&self, data: &[u8], out: &mut Vec<f32>, cancel: &Cancel) -> Result<()> {
        let size = usize::from(self.encoding.bits / 8);
        reserve(out, data.len() / size)?;
        for part in data.chunks(STRIDE * size) {
            cancel.check()?;
            (self.encoding.append)(part, out);
        }
        Ok(())
    }
}

/// Reads the header of a file of `length` bytes if it is such a file: RIFF/WAVE of exactly that
/// length, one `fmt ` chunk of 16 bytes (an encoding that is known, 1 or 2 channels) or 40 (the
/// same as "extensible"), then one `data` chunk with whole frames, with any other chunks around them. `read_at` fills a buffer
/// from a place in the file, or gives `None`.
pub(crate) fn plain(
    length: u64,
    mut read_at: impl FnMut(u64, &mut [u8]) -> Option<()>,
) -> Option<Pcm> {
    let mut header = [0; 12];
    read_at(0, &mut header)?;
    let [a, b, c] = words(header);
    let (large, form) = (a == *b"RF64", c);
    if !(large || a == *b"RIFF") || form != *b"WAVE" {
        return None;
    }
    // RF64 has its sizes in 64 bits, in a chunk that comes first.
    let (mut riff_bytes, mut large_data_bytes) = (u64::from(u32::from_le_bytes(b)), 0);
    let mut at = 12;
    if large {
        let mut sizes = [0; 36];
        read_at(12, &mut sizes)?;
        let [kind, chunk_bytes, riff_low, riff_high, data_low, data_high, ..] =
            words::<36, 9>(sizes);
        let chunk_bytes = u64::from(u32::from_le_bytes(chunk_bytes));
        if kind != *b"ds64" || chunk_bytes < 28 || riff_bytes != u64::from(u32::MAX) {
            return None;
        }
        riff_bytes = long(riff_low, riff_high);
        large_data_bytes = long(data_low, data_high);
        at += 8 + chunk_bytes + chunk_bytes % 2;
    }
    if riff_bytes.checked_add(8)? != length {
        return None;
    }
    // There is no one else who reads the channels of RF64.
    let most_channels = if large { 64 } else { 2 };
    let mut format = None;
    loop {
        let mut header = [0; 8];
        read_at(at, &mut header)?;
        let [kind, bytes] = words(header);
        let bytes = match u32::from_le_bytes(bytes) {
            u32::MAX if large && kind == *b"data" => large_data_bytes,
            bytes => u64::from(bytes),
        };
        let end = (at + 8).checked_add(bytes).filter(|&end| end <= length)?;
        match &kind {
            b"fmt " if format.is_none() && matches!(bytes, 16 | 40) => {
                let mut fields = [0; 16];
                read_at(at + 8, &mut fields)?;
                let mut extension = [0; 24];
                if bytes == 40 {
                    read_at(at + 24, &mut extension)?;
                }
                let extension = (bytes == 40).then_some(extension);
                format = Some(format_of(fields, extension, most_channels)?);
            }
            b"data" => {
                let (sample_rate, channels, encoding) = format?;
                let pcm = Pcm { sample_rate, channels, encoding, data: at + 8..end };
                let whole = bytes > 0 && bytes.is_multiple_of(pcm.frame_bytes() as u64);
                return whole.then_some(pcm);
            }
            // A second one, or one of another length.
            b"fmt " => return None,
            _ => {}
        }
        at = end + bytes % 2;
    }
}

/// [`plain`] of a file in memory.
pub(crate) fn plain_bytes(file: &[u8]) -> Option<Pcm> {
    plain(file.len() as u64, |at, buffer| {
        let at = usize::try_from(at).ok()?;
        buffer.copy_from_slice(file.get(at..at.checked_add(buffer.len())?)?);
        Some(())
    })
}

/// The tag of a format whose extension has the real one, in front of the rest of its GUID.
const EXTENSIBLE: u16 = 0xfffe;
const GUID: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Rate, channels and encoding of a `fmt ` chunk that contradicts itself in nothing.
fn format_of(
    fields: [u8; 16],
    extension: Option<[u8; 24]>,
    most_channels: u16,
) -> Option<(u32, usize, &'static Encoding)> {
    let [tag_channels, sample_rate, byte_rate, align_bits] = words(fields);
    let (sample_rate, byte_rate) = (u32::from_le_bytes(sample_rate), u32::from_le_bytes(byte_rate));
    let [(tag, channels), (align, bits)] = [tag_channels, align_bits]
        .map(|[a, b, c, d]| (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])));
    let tag = match extension {
        None => tag,
        Some([22, 0, a, b, _, _, _, _, c, d, ref guid @ ..])
            if tag == EXTENSIBLE && u16::from_le_bytes([a, b]) == bits && *guid == GUID =>
        {
            u16::from_le_bytes([c, d])
        }
        Some(_) => return None,
    };
    let encoding = ENCODINGS.iter().find(|known| (known.tag, known.bits) == (tag, bits))?;
    let plain = (1..=most_channels).contains(&channels)
        && align == channels * bits / 8
        && u64::from(byte_rate) == u64::from(sample_rate) * u64::from(align)
        && (1..=MAX_SAMPLE_RATE).contains(&sample_rate);
    plain.then_some((sample_rate, usize::from(channels), encoding))
}

/// The bytes by fours.
fn words<const N: usize, const W: usize>(bytes: [u8; N]) -> [[u8; 4]; W] {
    std::array::from_fn(|i| [bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
}

fn long([a, b, c, d]: [u8; 4], [e, f, g, h]: [u8; 4]) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::{ENCODINGS, plain_bytes};
    use crate::audio::{Audio, decode_any};
    use crate::cancel::Cancel;

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut chunk = [kind.as_slice(), &(body.len() as u32).to_le_bytes(), body].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    /// With a mask of channels: an extensible one.
    fn wav(
        (tag, bits): (u16, u16),
        mask: Option<u32>,
        rate: u32,
        channels: u16,
        data: &[u8],
        around: &[Vec<u8>; 3],
    ) -> Vec<u8> {
        let align = bits / 8 * channels;
        let mut format = mask.map_or(tag, |_| 0xfffe).to_le_bytes().to_vec();
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend((rate * u32::from(align)).to_le_bytes());
        format.extend(align.to_le_bytes());
        format.extend(bits.to_le_bytes());
        if let Some(mask) = mask {
            format.extend([22, 0]);
            format.extend(bits.to_le_bytes());
            format.extend(mask.to_le_bytes());
            format.extend(tag.to_le_bytes());
            format.extend(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        }
        let [before, between, after] = around.each_ref().map(|body| match body.as_slice() {
            [] => Vec::new(),
            body => chunk(b"note", body),
        });
        let parts = [before, chunk(b"fmt ", &format), between, chunk(b"data", data), after];
        let body = [b"WAVE".to_vec(), parts.concat()].concat();
        chunk(b"RIFF", &body)
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..20)
    }

    fn short_way(file: &[u8]) -> Option<Audio> {
        let pcm = plain_bytes(file)?;
        let mut interleaved = Vec::new();
        let data = &file[pcm.data.start as usize..pcm.data.end as usize];
        pcm.samples(data, &mut interleaved, &Cancel::new()).expect("memory");
        Some(Audio { interleaved, channels: pcm.channels, sample_rate: pcm.sample_rate })
    }

    fn long_way(file: &[u8]) -> Audio {
        let mut audio = Audio::default();
        decode_any(file, &mut audio, &Cancel::new()).expect("symphonia reads it");
        audio
    }

    /// With not-a-number equal to itself.
    fn same(a: &Audio, b: &Audio) -> bool {
        let bits =
            |audio: &Audio| audio.interleaved.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        (a.channels, a.sample_rate) == (b.channels, b.sample_rate) && bits(a) == bits(b)
    }

    proptest! {
        #[test]
        fn the_short_way_gives_symphonias_samples(
            encoding in 0..ENCODINGS.len(),
            mask in proptest::option::of(0u32..8),
            rate in 1u32..400_000,
            channels in 1u16..3,
            frames in 1usize..3000,
            seed in any::<u64>(),
            around in [bytes(), bytes(), bytes()],
        ) {
            let (tag, bits) = (ENCODINGS[encoding].tag, ENCODINGS[encoding].bits);
            let n = frames * usize::from(channels) * usize::from(bits / 8);
            let mut state = seed | 1;
            let data: Vec<u8> = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    (state >> 56) as u8
                })
                .collect();
            let file = wav((tag, bits), mask, rate, channels, &data, &around);
            let short = short_way(&file).expect("a plain file");
            prop_assert_eq!(short.frames(), frames);
            prop_assert!(same(&short, &long_way(&file)));
        }

        #[test]
        fn only_one_or_two_channels_are_plain(
            channels in prop_oneof![0u16..5, 0x7ffeu16..0x8003, any::<u16>()],
        ) {
            let none = [Vec::new(), Vec::new(), Vec::new()];
            let mut file = wav((1, 16), None, 8000, 1, &[1, 2, 3, 4, 5, 6, 7, 8], &none);
            file[22..24].copy_from_slice(&channels.to_le_bytes());
            file[28..32].copy_from_slice(&8000u32.wrapping_mul(2 * u32::from(channels)).to_le_bytes());
            file[32..34].copy_from_slice(&channels.wrapping_mul(2).to_le_bytes());
            prop_assert_eq!(plain_bytes(&file).is_some(), matches!(channels, 1 | 2));
        }

        #[test]
        fn a_changed_byte_changes_both_ways_alike(
            encoding in 0..ENCODINGS.len(),
            mask in proptest::option::of(Just(3)),
            at in 0usize..80,
            value in any::<u8>(),
            cut in 0usize..40,
        ) {
            let none = [Vec::new(), Vec::new(), Vec::new()];
            let (tag, bits) = (ENCODINGS[encoding].tag, ENCODINGS[encoding].bits);
            let data: Vec<u8> = (0..24).map(|k| k * 9).collect();
            let mut file = wav((tag, bits), mask, 8000, 2, &data, &none);
            file[at % if mask.is_some() { 68 } else { 44 }] = value;
            file.truncate(file.len() - cut.min(24));
            if let Some(short) = short_way(&file) {
                prop_assert!(same(&short, &long_way(&file)));
            }
        }

        /// What a file of more than 4 GB is, at a size that fits a test.
        #[test]
        fn rf64_is_riff_with_larger_sizes(
            encoding in 0..ENCODINGS.len(),
            data in proptest::collection::vec(any::<u8>(), 1..50),
            after in bytes(),
            table in 0usize..3,
            plain_size in any::<bool>(),
        ) {
            let (tag, bits) = (ENCODINGS[encoding].tag, ENCODINGS[encoding].bits);
            let data = data.repeat(usize::from(bits / 8));
            let riff = wav((tag, bits), None, 8000, 1, &data, &[Vec::new(), Vec::new(), after]);
            let mut sizes = (riff.len() as u64 + 28 + 12 * table as u64).to_le_bytes().to_vec();
            sizes.extend((data.len() as u64).to_le_bytes());
            sizes.extend([0; 12]);
            sizes.extend(vec![7; 12 * table]);
            let head = [b"RF64\xff\xff\xff\xffWAVE".as_slice(), &chunk(b"ds64", &sizes)].concat();
            let mut file = [head.as_slice(), &riff[12..]].concat();
            if !plain_size {
                file[head.len() + 28..head.len() + 32].fill(0xff);
            }
            let short = short_way(&file).expect("a plain file");
            prop_assert!(same(&short, &long_way(&riff)));
            file.push(0);
            prop_assert!(plain_bytes(&file).is_none());
        }
    }
}
