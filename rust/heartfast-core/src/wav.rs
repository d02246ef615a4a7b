//! The commonest recordings by a short way: plain 16-bit PCM WAV, with every size in its header
//! as it should be. Whatever is odd in the least goes through symphonia instead, which gives
//! the same samples for those that are not.

use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::memory::reserve;

/// The samples of a plain WAV file.
pub(crate) struct Pcm16<'b> {
    pub(crate) sample_rate: u32,
    pub(crate) channels: usize,
    /// Little-endian samples of all channels, whole frames.
    pub(crate) data: &'b [u8],
}

impl Pcm16<'_> {
    /// Appends the samples; full scale is 1.0.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) if there is no memory for them,
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(crate) fn samples(&self, out: &mut Vec<f32>, cancel: &Cancel) -> Result<()> {
        let (pairs, _) = self.data.as_chunks::<2>();
        reserve(out, pairs.len())?;
        for part in pairs.chunks(STRIDE) {
            cancel.check()?;
            out.extend(part.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32768.0));
        }
        Ok(())
    }
}

/// The file's samples if it is such a file: RIFF/WAVE of exactly the file's length, one `fmt `
/// chunk of 16 bytes (PCM, 16 bits, 1 or 2 channels), then one `data` chunk with whole frames,
/// with any other chunks around them.
pub(crate) fn plain_pcm16(file: &[u8]) -> Option<Pcm16<'_>> {
    let u16_at = |bytes: &[u8], at: usize| -> Option<u16> {
        Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
    };
    let u32_at = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    if file.get(..4)? != b"RIFF" || file.get(8..12)? != b"WAVE" {
        return None;
    }
    if u32_at(file, 4)? as usize + 8 != file.len() {
        return None;
    }
    let mut format = None;
    let mut at = 12;
    loop {
        let kind = file.get(at..at + 4)?;
        let length = u32_at(file, at + 4)? as usize;
        let body = file.get(at + 8..(at + 8).checked_add(length)?)?;
        match kind {
            b"fmt " if format.is_none() && length == 16 => {
                let (tag, channels) = (u16_at(body, 0)?, u16_at(body, 2)?);
                let (sample_rate, byte_rate) = (u32_at(body, 4)?, u32_at(body, 8)?);
                let (align, bits) = (u16_at(body, 12)?, u16_at(body, 14)?);
                // Whether it is plain comes first: twice 32769 channels is no u16.
                let plain = tag == 1
                    && bits == 16
                    && matches!(channels, 1 | 2)
                    && align == 2 * channels
                    && u64::from(byte_rate) == u64::from(sample_rate) * u64::from(align)
                    && (1..=super::audio::MAX_SAMPLE_RATE).contains(&sample_rate);
                if !plain {
                    return None;
                }
                format = Some((sample_rate, usize::from(channels)));
            }
            b"data" => {
                let (sample_rate, channels) = format?;
                let whole = !body.is_empty() && length.is_multiple_of(2 * channels);
                return whole.then_some(Pcm16 { sample_rate, channels, data: body });
            }
            // A second one, or one of another length.
            b"fmt " => return None,
            _ => {}
        }
        at += 8 + length + length % 2;
    }
}
