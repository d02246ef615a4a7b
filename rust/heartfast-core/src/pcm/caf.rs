//! Core Audio Format, as far as its samples are written one by one.

use super::coding::{Coding, Order};
use super::sizes::Claim;
use super::{Content, Header, Input, MOST_CHUNKS, Sound, missing, words};
use crate::error::Result;
use crate::limits::Limits;

/// A CAF, which is known to begin at `start`; `None` for one of another codec.
pub(super) fn open(input: &mut Input<'_>, start: u64, limits: &Limits) -> Result<Option<Sound>> {
    let mut header = None;
    let mut at = start + 8;
    for _ in 0..MOST_CHUNKS {
        let Some(head) = input.get::<12>(at)? else { break };
        let [kind, high, low] = words(head);
        let bytes = u64::from(u32::from_be_bytes(high)) << 32 | u64::from(u32::from_be_bytes(low));
        let body = at + 12;
        match &kind {
            b"desc" if header.is_none() => match input.get::<32>(body)? {
                Some(description) => match describe(description) {
                    None => return Ok(None),
                    known => header = known,
                },
                None => break,
            },
            b"data" => {
                let header = header.ok_or_else(|| missing("a \"desc\" chunk", "CAF", at))?;
                // A number of edits comes first. -1: not known when the header was written.
                let (start, is_chunk) = (body + 4, &mut is_chunk);
                let declared = match bytes.checked_sub(4) {
                    Some(bytes) if bytes != u64::MAX - 4 => {
                        Claim { start, bytes, is_chunk }.settle(input)?
                    }
                    Some(_) => (None, None),
                    None => Claim { start, bytes: 0, is_chunk }.settle(input)?,
                };
                return Sound::new(header, start, declared, None, input.length, limits).map(Some);
            }
            _ => {}
        }
        let Some(end) = body.checked_add(bytes) else { break };
        at = end;
    }
    Err(missing("a \"data\" chunk", "CAF", input.length))
}

/// Whether a chunk seems to begin here.
fn is_chunk(input: &mut Input<'_>, at: u64) -> Result<bool> {
    Ok(input.get::<12>(at)?.is_some_and(|head| {
        let [kind, high, low] = words(head);
        let bytes = u64::from(u32::from_be_bytes(high)) << 32 | u64::from(u32::from_be_bytes(low));
        let end = (at + 12).checked_add(bytes);
        kind.iter().all(|c| (b' '..=b'~').contains(c)) && end.is_some_and(|end| end <= input.length)
    }))
}

/// What the description says, if its samples are written one by one.
fn describe(description: [u8; 32]) -> Option<Header> {
    let [rate_high, rate_low, kind, rest @ ..] = words::<32, 8>(description);
    let [flags, packet_bytes, packet_frames, channels, bits] = rest.map(u32::from_be_bytes);
    let [a, b, c, d] = rate_high;
    let [e, f, g, h] = rate_low;
    let order = if flags & 2 != 0 { Order::Little } else { Order::Big };
    let size = packet_bytes.checked_div(channels)? as usize;
    let coding = match &kind {
        b"lpcm" if flags & 1 != 0 => Coding::float(size, order),
        b"lpcm" if bits as usize <= 8 * size => Coding::signed(size, order),
        b"alaw" => Some(Coding::A_LAW),
        b"ulaw" => Some(Coding::MU_LAW),
        _ => None,
    };
    let content = Content::Samples(coding?);
    let sample_rate = f64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let plain = packet_frames == 1 && packet_bytes.is_multiple_of(channels);
    plain.then_some(Header { channels, sample_rate, content })
}
