//! AIFF and AIFF-C.

use super::coding::{Coding, Order};
use super::sizes::Claim;
use super::{Content, Header, Input, MOST_CHUNKS, Sound, missing, quoted, words};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// An AIFF, which is known to begin at `start`.
pub(super) fn open(input: &mut Input<'_>, start: u64, limits: &Limits) -> Result<Option<Sound>> {
    let compressed = input.get::<12>(start)?.is_some_and(|head| head[11] == b'C');
    let (mut header, mut data) = (None, None);
    let mut at = start + 12;
    for _ in 0..MOST_CHUNKS {
        let Some(head) = input.get::<8>(at)? else { break };
        let [kind, bytes] = words(head);
        let (body, bytes) = (at + 8, u64::from(u32::from_be_bytes(bytes)));
        match &kind {
            b"COMM" if header.is_none() => header = Some(common(input, body, bytes, compressed)?),
            b"SSND" if data.is_none() => {
                if let Some(fields) = input.get::<8>(body)? {
                    let [offset, _] = words(fields);
                    let offset = 8 + u64::from(u32::from_be_bytes(offset));
                    let is_chunk = &mut is_chunk;
                    let claim = bytes.saturating_sub(offset);
                    let claim = Claim { start: body + offset, bytes: claim, is_chunk };
                    data = Some((body + offset, claim.settle(input)?));
                }
            }
            _ => {}
        }
        if header.is_some() && data.is_some() {
            break;
        }
        at = body + bytes + bytes % 2;
    }
    let end = input.length;
    let (header, frames) = header.ok_or_else(|| missing("a \"COMM\" chunk", "AIFF", end))?;
    let (body, declared) = match data {
        Some(data) => data,
        // It may be left out where there are no samples.
        None if frames == 0 => return Err(Error::decode("at least one sample", "none").at(end)),
        None => return Err(missing("an \"SSND\" chunk", "AIFF", end)),
    };
    Sound::new(header, body, declared, Some(frames.into()), end, limits).map(Some)
}

/// Whether a chunk seems to begin here.
fn is_chunk(input: &mut Input<'_>, at: u64) -> Result<bool> {
    Ok(input.get::<8>(at)?.is_some_and(|head| {
        let [kind, bytes] = words(head);
        let end = at + 8 + u64::from(u32::from_be_bytes(bytes));
        kind.iter().all(|c| (b' '..=b'~').contains(c)) && end <= input.length
    }))
}

/// The common chunk, and how many frames it says that there are.
fn common(input: &mut Input<'_>, at: u64, bytes: u64, compressed: bool) -> Result<(Header, u32)> {
    let (fields, read) = input.get_some::<22>(at, bytes)?;
    let least = if compressed { 22 } else { 18 };
    if read < least {
        let expected = format!("a \"COMM\" chunk of at least {least} bytes");
        return Err(Error::decode(expected, format!("{read}")).at(at));
    }
    let [c0, c1, f0, f1, f2, f3, b0, b1, rate @ .., k0, k1, k2, k3] = fields;
    let kind = if compressed { [k0, k1, k2, k3] } else { *b"NONE" };
    let bits = u16::from_be_bytes([b0, b1]);
    let size = usize::from(bits.div_ceil(8));
    let coding = match &kind.map(|letter| letter.to_ascii_lowercase()) {
        b"none" | b"twos" => Coding::signed(size, Order::Big),
        b"in24" => Coding::signed(3, Order::Big),
        b"in32" => Coding::signed(4, Order::Big),
        b"sowt" => Coding::signed(size, Order::Little),
        b"42ni" => Coding::signed(3, Order::Little),
        b"23ni" => Coding::signed(4, Order::Little),
        b"raw " if size == 1 => Some(Coding::UNSIGNED),
        b"fl32" => Coding::float(4, Order::Big),
        b"fl64" => Coding::float(8, Order::Big),
        b"alaw" => Some(Coding::A_LAW),
        b"ulaw" => Some(Coding::MU_LAW),
        _ => {
            let found = format!("an AIFF of the codec {}", quoted(kind));
            return Err(Error::unsupported(found));
        }
    };
    let coding =
        coding.ok_or_else(|| Error::decode("1 to 64 bits to a sample", bits.to_string()).at(at))?;
    let header = Header {
        channels: u16::from_be_bytes([c0, c1]).into(),
        sample_rate: extended(rate),
        content: Content::Samples(coding),
    };
    Ok((header, u32::from_be_bytes([f0, f1, f2, f3])))
}

/// A number of IEEE's extended precision: a sign, 15 bits of exponent, and 64 of mantissa, of
/// which the first is the integer.
fn extended([e0, e1, mantissa @ ..]: [u8; 10]) -> f64 {
    let exponent = i32::from(u16::from_be_bytes([e0 & 0x7f, e1]));
    let magnitude = u64::from_be_bytes(mantissa) as f64 * f64::from(exponent - 16383 - 63).exp2();
    if e0 & 0x80 != 0 { -magnitude } else { magnitude }
}
