//! WAV: RIFF, its big-endian twin RIFX, RF64 and BW64 for more than 4 GB, and Sony Wave64.

use super::coding::Order;
use super::fmt;
use super::sizes::Claim;
use super::{Input, MOST_CHUNKS, Sound, missing, words};
use crate::error::Result;
use crate::limits::Limits;

/// Where a file begins behind its ID3v2 tags, which some programs put in front of any format.
pub(crate) fn skip_id3(input: &mut Input<'_>) -> Result<u64> {
    let mut at = 0;
    while let Some([b'I', b'D', b'3', _, _, flags, a, b, c, d]) = input.get::<10>(at)? {
        let size = [a, b, c, d].iter().fold(0, |size, &b| size << 7 | u64::from(b & 0x7f));
        let footer = if flags & 0x10 != 0 { 10 } else { 0 };
        at += 10 + size + footer;
    }
    Ok(at)
}

/// A part of a file.
struct Chunk {
    kind: [u8; 4],
    /// Where its content begins.
    body: u64,
    /// Its length, as it is said to be.
    bytes: u64,
}

/// How a file is divided.
#[derive(Clone, Copy)]
enum Division {
    /// By names of 4 bytes and sizes of 4, content of an even length.
    Riff(Order),
    /// By GUIDs, and sizes of 8 bytes that include these; content of a multiple of 8.
    Wave64,
}

impl Division {
    fn order(self) -> Order {
        match self {
            Self::Riff(order) => order,
            Self::Wave64 => Order::Little,
        }
    }

    fn chunk(self, input: &mut Input<'_>, at: u64) -> Result<Option<Chunk>> {
        match self {
            Self::Riff(order) => Ok(input.get::<8>(at)?.map(|head| {
                let [kind, bytes] = words(head);
                Chunk { kind, body: at + 8, bytes: order.number(bytes).into() }
            })),
            Self::Wave64 => Ok(input.get::<24>(at)?.map(|head| {
                let [kind, rest @ .., low, high] = words::<24, 6>(head);
                let known = rest.as_flattened() == W64_GUID;
                let bytes = long(low, high).saturating_sub(24);
                Chunk { kind: if known { kind } else { [0; 4] }, body: at + 24, bytes }
            })),
        }
    }

    /// Where the next chunk begins; `None` if that is not in the file.
    fn next(self, input: &mut Input<'_>, chunk: &Chunk) -> Result<Option<u64>> {
        let Some(end) = chunk.body.checked_add(chunk.bytes).filter(|&end| end < input.length)
        else {
            return Ok(None);
        };
        let padded = match self {
            Self::Wave64 => end.next_multiple_of(8),
            // Some writers forget that a chunk of an odd length has one byte more.
            Self::Riff(_) if chunk.bytes % 2 == 1 => {
                let forgotten = !self.is_chunk(input, end + 1)? && self.is_chunk(input, end)?;
                if forgotten { end } else { end + 1 }
            }
            Self::Riff(_) => end,
        };
        Ok(Some(padded))
    }

    /// Whether a chunk seems to begin here: one with a name that can be read, all of it there.
    fn is_chunk(self, input: &mut Input<'_>, at: u64) -> Result<bool> {
        Ok(self.chunk(input, at)?.is_some_and(|chunk| {
            let named = chunk.kind.iter().all(|c| (b' '..=b'~').contains(c));
            let end = chunk.body.checked_add(chunk.bytes);
            named && (chunk.kind == *b"data" || end.is_some_and(|end| end <= input.length))
        }))
    }
}

/// RIFF and its kin, which is known to begin at `start`.
pub(super) fn open(input: &mut Input<'_>, start: u64, limits: &Limits) -> Result<Option<Sound>> {
    let kind = input.get::<4>(start)?;
    let order = if kind == Some(*b"RIFX") { Order::Big } else { Order::Little };
    let large = matches!(kind.as_ref(), Some(b"RF64" | b"BW64"));
    find(input, Division::Riff(order), large, start + 12, limits)
}

const W64_RIFF: &[u8] = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0";
/// What follows the four letters in the GUIDs of "wave" and of its chunks.
const W64_GUID: &[u8] = b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a";

/// Sony Wave64, if that is what begins at `start`.
pub(super) fn open_w64(
    input: &mut Input<'_>,
    start: u64,
    limits: &Limits,
) -> Result<Option<Sound>> {
    match input.get::<40>(start)? {
        Some(head)
            if head.starts_with(W64_RIFF)
                && head[24..28] == *b"wave"
                && head[28..] == *W64_GUID =>
        {
            find(input, Division::Wave64, false, start + 40, limits)
        }
        _ => Ok(None),
    }
}

/// Finds the format and the samples among the chunks, in whatever order they are.
fn find(
    input: &mut Input<'_>,
    division: Division,
    large: bool,
    start: u64,
    limits: &Limits,
) -> Result<Option<Sound>> {
    let (mut format, mut data, mut data_bytes, mut frames) = (None, None, None, None);
    let mut place = Some(start);
    for _ in 0..MOST_CHUNKS {
        let Some(at) = place else { break };
        let Some(mut chunk) = division.chunk(input, at)? else { break };
        match &chunk.kind {
            b"fmt " if format.is_none() => {
                format = Some(fmt::read(input, chunk.body, chunk.bytes, division.order())?);
            }
            // The sizes of RF64, in 64 bits.
            b"ds64" if large => {
                if let Some(sizes) = input.get::<16>(chunk.body)? {
                    let [_, _, low, high] = words(sizes);
                    data_bytes = Some(long(low, high));
                }
            }
            b"data" if data.is_none() => {
                if large && chunk.bytes == u64::from(u32::MAX) {
                    chunk.bytes = data_bytes.unwrap_or(u64::MAX);
                }
                let is_chunk = &mut |input: &mut Input<'_>, at| division.is_chunk(input, at);
                let claim = Claim { start: chunk.body, bytes: chunk.bytes, is_chunk };
                data = Some((chunk.body, claim.settle(input)?));
            }
            b"fact" => {
                let bytes = input.get::<4>(chunk.body)?;
                frames = bytes.map(|bytes| u64::from(division.order().number(bytes)));
            }
            _ => {}
        }
        if format.is_some() && data.is_some() {
            break;
        }
        place = division.next(input, &chunk)?;
    }
    let end = input.length;
    let header = format.ok_or_else(|| missing("a \"fmt \" chunk", "WAV", end))?;
    let (body, declared) = data.ok_or_else(|| missing("a \"data\" chunk", "WAV", end))?;
    Sound::new(header, body, declared, frames, end, limits).map(Some)
}

fn long([a, b, c, d]: [u8; 4], [e, f, g, h]: [u8; 4]) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
