//! AU, also known as SND: a header of six numbers, then samples up to the end.

use super::coding::{Coding, Order};
use super::sizes::Claim;
use super::{Content, Header, Input, Sound, words};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// An AU, which is known to begin at `start`.
pub(super) fn open(input: &mut Input<'_>, start: u64, limits: &Limits) -> Result<Option<Sound>> {
    let Some(head) = input.get::<24>(start)? else {
        return Err(Error::decode("an AU header of 24 bytes", "less").at(start));
    };
    let [_, offset, bytes, codec, sample_rate, channels] = words(head).map(u32::from_be_bytes);
    let coding = match codec {
        1 => Some(Coding::MU_LAW),
        2..=5 => Coding::signed(codec as usize - 1, Order::Big),
        6 => Coding::float(4, Order::Big),
        7 => Coding::float(8, Order::Big),
        27 => Some(Coding::A_LAW),
        _ => None,
    };
    let coding = coding.ok_or_else(|| {
        let name = match codec {
            23 => "G.721 ADPCM".to_owned(),
            24 => "G.722 ADPCM".to_owned(),
            25 | 26 => "G.723 ADPCM".to_owned(),
            _ => format!("an unknown codec, {codec}"),
        };
        Error::unsupported(format!("an AU of {name}"))
    })?;
    if offset < 24 {
        return Err(Error::decode("AU samples from byte 24 on", offset.to_string()).at(start));
    }
    let header =
        Header { channels, sample_rate: sample_rate.into(), content: Content::Samples(coding) };
    // The largest number: not known when the header was written.
    let body = start + u64::from(offset);
    let declared = match bytes {
        u32::MAX => (None, None),
        bytes => Claim { start: body, bytes: bytes.into(), is_chunk: &mut |_, _| Ok(false) }
            .settle(input)?,
    };
    Sound::new(header, body, declared, None, input.length, limits).map(Some)
}
