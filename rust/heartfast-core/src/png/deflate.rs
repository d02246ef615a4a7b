//! A zlib stream of filtered rows: Huffman codes and runs; a search for matches only where the
//! preset asks for it.
//!
//! Formats: zlib RFC 1950, DEFLATE RFC 1951.

use std::ops::RangeInclusive;

use super::Preset;
use super::adler::Adler32;
use super::bits::BitWriter;
use super::filter::{Filter, Rows};
use super::header::Header;
use super::huffman::Code;
use super::matches::{Matcher, Span, distance_symbol, find_runs, length_symbol};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::simd::lanes::Lanes;
use crate::simd::{self, literals::Wide};

/// About so many bytes of filtered rows share a filter and a Huffman code.
const BAND: usize = 32 * 1024;
/// The most bytes of a block: a stored one cannot have more.
const MOST: usize = 65_535;
/// Symbols of DEFLATE's first alphabet: bytes, end of block, lengths.
pub(super) const SYMBOLS: usize = 286;
const END_OF_BLOCK: usize = 256;
/// Symbols of its second.
pub(super) const DISTANCES: usize = 30;
/// Longest code, in bits. DEFLATE allows 15; of these, four and a rest fit into 64 bits.
pub(super) const LONGEST_CODE: usize = 14;
/// Blocks of fewer bytes have all of them counted, others one piece in [`STEP`].
const FEW: usize = 16 * 1024;
const STEP: usize = 4;
/// The filters that are tried, the first of equals counts; and so many bytes with each of them.
const FILTERS: [Filter; 4] = [Filter::Up, Filter::None, Filter::Sub, Filter::Average];
const SAMPLE: usize = 512;
const ALL_FILTERS: [Filter; 5] =
    [Filter::Up, Filter::None, Filter::Sub, Filter::Average, Filter::Paeth];

/// The working memory of [`Deflater::zlib`].
#[derive(Default)]
pub(super) struct Deflater {
    filtered: Vec<u8>,
    block: Vec<u8>,
    runs: Vec<Span>,
    matcher: Matcher,
    matches: Vec<Span>,
}

impl Deflater {
    /// Appends the zlib stream of a picture to `out`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(super) fn zlib(
        &mut self,
        rows: Rows,
        preset: Preset,
        out: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<()> {
        simd::dispatch(Zlib { deflater: self, rows, preset, out, cancel, wide: Wide::detect() })
    }
}

struct Zlib<'z> {
    deflater: &'z mut Deflater,
    rows: Rows<'z>,
    preset: Preset,
    out: &'z mut Vec<u8>,
    cancel: &'z Cancel,
    wide: Option<Wide>,
}

impl simd::Kernel for Zlib<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { deflater, rows, preset, out, cancel, wide } = self;
        let Deflater { filtered, block, runs, matcher, matches } = deflater;
        // The parts that share a code: smaller ones suit it better to what is in them.
        let (band, few) = match preset {
            Preset::Fast => (BAND, FEW),
            Preset::Small => (BAND / 2, usize::MAX),
        };
        // 32 KiB window, fastest level; the two bytes are a multiple of 31 as RFC 1950 asks.
        out.extend([0x78, 0x01]);
        // A row and the byte in front that names its filter.
        let line = rows.stride + 1;
        let height = rows.len();
        let bands = (line * height).div_ceil(band);
        let band_height = height.div_ceil(bands);
        // A band is one block, unless a row is so long that it must be several.
        let blocks = (line * band_height).div_ceil(MOST);
        let block_size = (line * band_height).div_ceil(blocks);
        filtered.resize(block_size, 0);
        block.resize(block_size * LONGEST_CODE / 8 + 1024, 0);
        let mut writer = BitWriter::new(out, block, wide);
        let mut sum = Adler32::new();
        for top in (0..height).step_by(band_height) {
            let bottom = height.min(top + band_height);
            cancel.check()?;
            let filter = match preset {
                Preset::Fast => rows.choose(&FILTERS, top..bottom, SAMPLE),
                Preset::Small => rows.choose(&ALL_FILTERS, top..bottom, 4 * BAND),
            };
            let end = bottom * line;
            for start in (top * line..end).step_by(block_size) {
                cancel.check()?;
                let filtered = &mut filtered[..block_size.min(end - start)];
                fill(filtered, start, rows, filter);
                sum.update(filtered);
                let last = start + filtered.len() == height * line;
                let begin = writer.mark();
                find_runs(filtered, runs);
                if preset == Preset::Small {
                    matcher.find(filtered, matches);
                }
                // Of several ways the shortest is written once more, unless it was the last.
                let ways = if preset == Preset::Small { 2 } else { 1 };
                let mut shortest = (usize::MAX, 0);
                for k in 0..=ways {
                    let way = if k < ways { k } else { shortest.1 };
                    if k == ways && way + 1 == ways {
                        break;
                    }
                    writer.rewind(begin);
                    write_block(&mut writer, filtered, [&*runs, &*matches][way], last, few);
                    shortest = shortest.min((writer.bytes_since(begin), way));
                }
                if writer.bytes_since(begin) > filtered.len() + 5 {
                    writer.rewind(begin);
                    writer.stored(filtered, last);
                }
                writer.flush();
            }
        }
        writer.align();
        writer.flush();
        out.extend(sum.value().to_be_bytes());
        Ok(())
    }
}

/// Makes the bytes of a picture's filtered rows from `start` on.
#[inline(always)]
fn fill(mut filtered: &mut [u8], start: usize, rows: Rows, filter: Filter) {
    let (mut y, mut x) = (start / (rows.stride + 1), start % (rows.stride + 1));
    while !filtered.is_empty() {
        if x == 0 {
            filtered[0] = filter.number(y);
            filtered = &mut filtered[1..];
            x = 1;
        }
        let n = filtered.len().min(rows.stride + 1 - x);
        let (here, rest) = filtered.split_at_mut(n);
        rows.filter(filter, y, x - 1, here);
        filtered = rest;
        (y, x) = (y + 1, 0);
    }
}

/// One block with Huffman codes of its own.
#[inline(always)]
fn write_block(writer: &mut BitWriter, data: &[u8], spans: &[Span], last: bool, few: usize) {
    let (mut counts, mut distances) = ([0; SYMBOLS], [0; DISTANCES]);
    counts[END_OF_BLOCK] = 1;
    count_literals(data, spans, few, &mut counts);
    for span in spans {
        for length in span.matches() {
            counts[length_symbol(length).symbol] += 1;
            distances[distance_symbol(span.distance).symbol] += 1;
        }
    }
    // There is always one: not every reader knows that there may be none.
    distances[0] += 1;
    let code = Code::new(&counts, LONGEST_CODE);
    let distances = Code::new(&distances, LONGEST_CODE);
    writer.put(u64::from(last) | 2 << 1, 3);
    Header::new(&code, &distances).write(writer);
    for span in spans {
        writer.put_literals(&data[span.start..span.end], &code);
        for length in span.matches() {
            writer.put_symbol(&code, &length_symbol(length));
            writer.put_symbol(&distances, &distance_symbol(span.distance));
        }
    }
    let (bits, length) = code.of(END_OF_BLOCK);
    writer.put(bits, length);
}

/// Adds to `counts` how often literals occur: all, or in a block of `few` bytes or more
/// those of one piece in [`STEP`], in proportion. What may occur in between then counts once.
#[inline(always)]
fn count_literals(data: &[u8], spans: &[Span], few: usize, counts: &mut [u32; SYMBOLS]) {
    const PIECE: usize = 64;
    let step = if data.len() < few { 1 } else { STEP };
    // Four tables, because a count waits for the one before it if the two are the same.
    let mut tables = [[0u32; 256]; 4];
    for span in spans {
        for pieces in data[span.start..span.end].chunks(PIECE * step) {
            let (groups, rest) = pieces[..PIECE.min(pieces.len())].as_chunks::<4>();
            for group in groups {
                for (table, &byte) in tables.iter_mut().zip(group) {
                    table[usize::from(byte)] += 1;
                }
            }
            for &byte in rest {
                tables[0][usize::from(byte)] += 1;
            }
        }
    }
    for table in tables {
        for (count, n) in counts.iter_mut().zip(table) {
            *count += step as u32 * n;
        }
    }
    if step > 1 {
        // Residuals lie around 0, levels anywhere: so in one of two orders they are together.
        let (levels, residuals) = (range(data, 0), range(data, 0x80));
        for (byte, count) in (0..=255u8).zip(counts) {
            let occurs = levels.contains(&byte) && residuals.contains(&(byte ^ 0x80));
            *count += u32::from(occurs);
        }
    }
}

/// The lowest and the highest byte once some bits are flipped.
#[inline(always)]
fn range(data: &[u8], flip: u8) -> RangeInclusive<u8> {
    let (lanes, rest) = data.as_chunks::<32>();
    let (mut low, mut high) = ([255; 32], [0; 32]);
    for lane in lanes {
        for ((low, high), byte) in low.iter_mut().zip(&mut high).zip(lane) {
            *low = (*low).min(byte ^ flip);
            *high = (*high).max(byte ^ flip);
        }
    }
    let rest = rest.iter().map(|byte| byte ^ flip);
    let low = low.into_iter().chain(rest.clone()).min().unwrap_or(255);
    let high = high.into_iter().chain(rest).max().unwrap_or(0);
    low..=high
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Deflater, Preset, Rows, Zlib};
    use crate::cancel::Cancel;
    use crate::simd::Level;
    use crate::simd::literals::Wide;

    proptest! {
        #[test]
        fn every_cpu_writes_the_same_bytes(
            pixels in proptest::collection::vec(any::<u8>(), 1..60_000),
            spread in 0u32..8,
            stride in 1usize..1000,
            small in any::<bool>(),
        ) {
            let pixels: Vec<u8> = pixels.iter().map(|p| p >> spread).collect();
            let height = pixels.len() / stride;
            prop_assume!(height > 0);
            let rows = Rows { pixels: &pixels[..height * stride], stride, step: 1 };
            let preset = if small { Preset::Small } else { Preset::Fast };
            let stream = |any_cpu: bool| {
                let (mut deflater, mut out) = (Deflater::default(), Vec::new());
                let (cancel, wide) = (&Cancel::new(), Wide::detect().filter(|_| !any_cpu));
                let kernel =
                    Zlib { deflater: &mut deflater, rows, preset, out: &mut out, cancel, wide };
                let level = if any_cpu { Level::Portable } else { Level::best() };
                let done = level.run(kernel);
                done.map(|()| out).unwrap_or_default()
            };
            let bytes = stream(true);
            prop_assert!(!bytes.is_empty());
            prop_assert!(bytes == stream(false));
        }
    }
}
