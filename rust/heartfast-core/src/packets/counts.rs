//! Counts and sizes that headers claim, which symphonia believes: limits on its memory and time, asked before it reads
//! them. What real recordings have is far below.

use std::ops::Range;

use super::format::Format;
use crate::error::{Error, Result};
use crate::pcm::{Input, words};

/// Bytes of an MPEG-4 header: that of a day of AAC has 20 MB.
const MOST_HEADER: u64 = 24 << 20;
/// Boxes and chunks: a day in fragments of a second has 170,000.
const MOST_BOXES: usize = 1_000_000;
/// Packets of a CAF, each of which takes 32 bytes: a day of AAC at 96 kHz has as many.
const MOST_PACKETS: u64 = 8_100_000;
/// Bytes that describe a CAF to its decoder, which needs 50.
const MOST_COOKIE: u64 = 1 << 20;
/// Numbers in Vorbis' tables: those of libvorbis have some 10,000.
const MOST_NUMBERS: u64 = 1 << 22;
/// Of larger tables symphonia says that it cannot read them.
const MOST_DIMENSIONS: u64 = 32;
const MOST_ENTRIES: u64 = 1 << 17;
/// Bytes of the first of the headers in a Vorbis decoder's data.
const VORBIS_IDENTIFICATION: usize = 30;

/// # Errors
/// [`Error::Decode`] for a header that claims too much, and those of reading.
pub(super) fn check(input: &mut Input<'_>, format: Format, start: u64) -> Result<()> {
    let checked = match format {
        Format::Movie => check_boxes(input),
        Format::Caf => check_packets(input, start),
        Format::Adts | Format::Flac | Format::Mpeg | Format::Ogg => Ok(()),
    };
    match checked {
        Err(Error::Decode { expected, .. }) if expected.contains("in what is compressed") => Ok(()),
        checked => checked,
    }
}

fn check_boxes(input: &mut Input<'_>) -> Result<()> {
    let mut rest = 0..input.length;
    for _ in 0..MOST_BOXES {
        let at = rest.start;
        let Some((kind, body)) = next_box(input, &mut rest)? else { return Ok(()) };
        let size = body.end - body.start;
        if matches!(&kind, b"ftyp" | b"moov" | b"moof" | b"sidx" | b"meta") && size > MOST_HEADER {
            let expected = format!("a header of at most {MOST_HEADER} bytes");
            return Err(Error::decode(expected, size.to_string()).at(at));
        }
        if kind == *b"moof" {
            check_runs(input, body)?;
        }
    }
    let expected = format!("a file of at most {MOST_BOXES} boxes");
    Err(Error::decode(expected, "more").at(rest.start))
}

/// The kind and the body of the first box in here; behind it is the rest. `None` where there is none.
fn next_box(input: &mut Input<'_>, rest: &mut Range<u64>) -> Result<Option<([u8; 4], Range<u64>)>> {
    let (at, inside) = (rest.start, rest.end.saturating_sub(rest.start));
    let (head, read) = input.get_some::<16>(at, inside)?;
    let [size, kind, a, b] = words(head);
    let (header, size) = match u32::from_be_bytes(size) {
        0 => (8, inside),
        1 => (16, wide(a, b)),
        size => (8, size.into()),
    };
    if (read as u64) < header || size < header {
        return Ok(None);
    }
    rest.start = at.saturating_add(size).min(rest.end);
    Ok(Some((kind, at + header..rest.start)))
}

/// The runs of samples of a fragment, which may take no bytes: for each one symphonia counts, looking at nothing.
fn check_runs(input: &mut Input<'_>, mut rest: Range<u64>) -> Result<()> {
    let mut samples = 0;
    while let Some((kind, mut body)) = next_box(input, &mut rest)? {
        while kind == *b"traf"
            && let Some((kind, run)) = next_box(input, &mut body)?
        {
            if kind == *b"trun"
                && let Some([_, _, _, _, count @ ..]) = input.get::<8>(run.start)?
            {
                samples += u64::from(u32::from_be_bytes(count));
            }
            if samples > MOST_PACKETS {
                let expected = format!("a fragment of at most {MOST_PACKETS} samples");
                return Err(Error::decode(expected, "more").at(run.start));
            }
        }
    }
    Ok(())
}

fn wide(high: [u8; 4], low: [u8; 4]) -> u64 {
    u64::from(u32::from_be_bytes(high)) << 32 | u64::from(u32::from_be_bytes(low))
}

fn check_packets(input: &mut Input<'_>, start: u64) -> Result<()> {
    let mut at = start.saturating_add(8);
    for _ in 0..MOST_BOXES {
        let Some(head) = input.get::<20>(at)? else { break };
        let [kind, a, b, c, d] = words(head);
        let (bytes, packets) = (wide(a, b), wide(c, d));
        if matches!(&kind, b"kuki" | b"chan") && bytes > MOST_COOKIE {
            let expected = format!("a description of at most {MOST_COOKIE} bytes");
            return Err(Error::decode(expected, bytes.to_string()).at(at));
        }
        if kind == *b"pakt" && packets > MOST_PACKETS.min(bytes) {
            let expected = format!("a table of at most {} packets", MOST_PACKETS.min(bytes));
            return Err(Error::decode(expected, packets.to_string()).at(at));
        }
        match at.checked_add(12).and_then(|body| body.checked_add(bytes)) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(())
}

/// The tables of a Vorbis decoder, by its headers. Vorbis I, 3.2.1.
///
/// # Errors
/// [`Error::Decode`] for tables that take too much memory. Damaged ones are the decoder's errors.
pub(super) fn check_vorbis(headers: &[u8]) -> Result<()> {
    let Some(setup) = headers.get(VORBIS_IDENTIFICATION..) else { return Ok(()) };
    let mut bits = Bits { bytes: setup, at: 8 * b"\x05vorbis".len() };
    let count = bits.take(8).map_or(0, |count| count + 1);
    let mut numbers = 0;
    for _ in 0..count {
        let Some(more) = codebook(&mut bits) else { break };
        numbers += more;
        if numbers > MOST_NUMBERS {
            let expected = format!("Vorbis tables of at most {MOST_NUMBERS} numbers");
            return Err(Error::decode(expected, "more"));
        }
    }
    Ok(())
}

/// Passes over a table; returns how many numbers it becomes.
fn codebook(bits: &mut Bits<'_>) -> Option<u64> {
    bits.take(24)?;
    let (dimensions, entries) = (bits.take(16)?, bits.take(24)?);
    if dimensions > MOST_DIMENSIONS || entries > MOST_ENTRIES {
        return None;
    }
    if bits.take(1)? == 1 {
        bits.take(5)?;
        let mut entry = 0;
        while entry < entries {
            entry += bits.take(u64::BITS - (entries - entry).leading_zeros())?;
        }
    } else if bits.take(1)? == 1 {
        for _ in 0..entries {
            let used = bits.take(1)?;
            bits.take(5 * used as u32)?;
        }
    } else {
        bits.skip(5 * entries)?;
    }
    let lookup = bits.take(4)?;
    if lookup > 0 {
        bits.skip(64)?;
        let width = bits.take(4)? + 1;
        bits.take(1)?;
        let values = match lookup {
            1 => (0..=entries).rfind(|value| fits(*value, dimensions, entries))?,
            _ => entries * dimensions,
        };
        bits.skip(values * width)?;
    }
    // A number for each code, too.
    Some(entries + if lookup > 0 { entries * dimensions } else { 0 })
}

/// Whether so many values in so many dimensions are no more than the entries.
fn fits(value: u64, dimensions: u64, entries: u64) -> bool {
    let mut product = 1_u64;
    for _ in 0..dimensions {
        product = product.saturating_mul(value);
        if product > entries || product < 2 {
            break;
        }
    }
    product <= entries
}

/// Numbers of so many bits each, the lowest first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u64> {
        let mut number = 0;
        for i in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            number |= u64::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Some(number)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(count).ok()?)?;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }
}
