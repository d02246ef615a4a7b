//! A zlib stream of filtered rows: Huffman codes and runs, no search for matches.
//!
//! Formats: zlib RFC 1950, DEFLATE RFC 1951.

use std::ops::RangeInclusive;

use super::adler::Adler32;
use super::bits::BitWriter;
use super::filter::{Filter, Rows};
use super::header::Header;
use super::huffman::Code;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::simd::{self, literals::Wide};

/// About so many bytes of filtered rows share a filter and a Huffman code.
const BAND: usize = 32 * 1024;
/// The most bytes of a block: a stored one cannot have more.
const MOST: usize = 65_535;
/// Shortest and longest run that a match can stand for.
const MIN_RUN: usize = 3;
const MAX_RUN: usize = 258;
/// Symbols of DEFLATE's first alphabet: bytes, end of block, lengths.
pub(super) const SYMBOLS: usize = 286;
const END_OF_BLOCK: usize = 256;
/// Symbols of its second.
pub(super) const DISTANCES: usize = 30;
/// Longest code, in bits. DEFLATE allows 15; of these, four and a rest fit into 64 bits.
pub(super) const LONGEST_CODE: usize = 14;
/// Blocks of fewer bytes than this have all of them counted, others one in [`STEP`].
const FEW: usize = 16 * 1024;
const STEP: usize = 4;
/// So many bytes are looked at to choose a filter.
const SAMPLE: usize = 1024;

/// The working memory of [`Deflater::zlib`].
#[derive(Default)]
pub(super) struct Deflater {
    filtered: Vec<u8>,
    block: Vec<u8>,
    spans: Vec<Span>,
}

impl Deflater {
    /// Appends the zlib stream of a picture to `out`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(super) fn zlib(
        &mut self,
        rows: Rows,
        out: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<()> {
        simd::dispatch(Zlib { deflater: self, rows, out, cancel, wide: Wide::detect() })
    }
}

struct Zlib<'z> {
    deflater: &'z mut Deflater,
    rows: Rows<'z>,
    out: &'z mut Vec<u8>,
    cancel: &'z Cancel,
    wide: Option<Wide>,
}

impl simd::Kernel for Zlib<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        let Self { deflater: Deflater { filtered, block, spans }, rows, out, cancel, wide } = self;
        // 32 KiB window, fastest level; the two bytes are a multiple of 31 as RFC 1950 asks.
        out.extend([0x78, 0x01]);
        // A row and the byte in front that names its filter.
        let line = rows.stride + 1;
        let height = rows.len();
        let bands = (line * height).div_ceil(BAND);
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
            let filter = rows.choose(
                &[Filter::Up, Filter::None, Filter::Sub, Filter::Average],
                top..bottom,
                SAMPLE,
            );
            let end = bottom * line;
            for start in (top * line..end).step_by(block_size) {
                cancel.check()?;
                let filtered = &mut filtered[..block_size.min(end - start)];
                fill(filtered, start, rows, filter);
                sum.update(filtered);
                find_spans(filtered, spans);
                let last = start + filtered.len() == height * line;
                write_block(&mut writer, filtered, spans, last);
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

/// One block: with a Huffman code of its own, or stored where that is shorter.
#[inline(always)]
fn write_block(writer: &mut BitWriter, data: &[u8], spans: &[Span], last: bool) {
    let mut counts = [0u32; SYMBOLS];
    counts[END_OF_BLOCK] = 1;
    count_literals(data, spans, &mut counts);
    for length in spans.iter().flat_map(|span| matches(span.run)) {
        counts[run_symbol(length).0] += 1;
    }
    let code = Code::new(&counts, LONGEST_CODE);
    let mut distances = [0; DISTANCES];
    distances[0] = 1;
    let distances = Code::new(&distances, LONGEST_CODE);
    let start = writer.mark();
    writer.put(u64::from(last) | 2 << 1, 3);
    Header::new(&code, &distances).write(writer);
    for &Span { start, end, run } in spans {
        writer.put_literals(&data[start..end], &code);
        for length in matches(run) {
            let (symbol, value, extra) = run_symbol(length);
            let (bits, length) = code.of(symbol);
            // The distance, always 1, is one more bit, 0.
            writer.put(bits | u64::from(value) << length, length + extra + 1);
        }
    }
    let (bits, length) = code.of(END_OF_BLOCK);
    writer.put(bits, length);
    if writer.bytes_since(start) > data.len() + 5 {
        writer.rewind(start);
        writer.stored(data, last);
    }
}

/// Adds to `counts` how often literals occur: all, or twice those of every other piece where
/// they are many. What may occur in between then counts at least once.
#[inline(always)]
fn count_literals(data: &[u8], spans: &[Span], counts: &mut [u32; SYMBOLS]) {
    const PIECE: usize = 64;
    let step = if data.len() < FEW { 1 } else { STEP };
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

/// Literal bytes of a block, then a run of copies of the last of them.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    run: usize,
}

/// The lengths of the matches that a run is cut into.
fn matches(run: usize) -> impl Iterator<Item = usize> {
    (0..run).step_by(MAX_RUN).map(move |at| MAX_RUN.min(run - at))
}

/// Whether eight bytes are the same.
#[inline(always)]
fn is_run(word: [u8; 8]) -> bool {
    let word = u64::from_ne_bytes(word);
    word == word.rotate_left(8)
}

/// Cuts a block into spans. Runs are found where eight bytes in a row, a multiple of eight from
/// the start, are the same: shorter ones save next to nothing.
#[inline(always)]
fn find_spans(data: &[u8], spans: &mut Vec<Span>) {
    spans.clear();
    let (words, _) = data.as_chunks::<8>();
    let (mut start, mut k) = (0, 0);
    while k < words.len() {
        // Most of the time there is none: eight words at once say so fast.
        if let Some(several) = words.get(k..k + 8)
            && !several.iter().fold(false, |any, &w| any | is_run(w))
        {
            k += 8;
            continue;
        }
        let word = &words[k];
        let (word, byte) = (u64::from_ne_bytes(*word), word[0]);
        if !is_run(words[k]) {
            k += 1;
            continue;
        }
        let before = data[start..8 * k].iter().rev().take_while(|&&b| b == byte).count();
        let end = 8 * k - before + 1;
        let same = words[k..].iter().take_while(|w| u64::from_ne_bytes(**w) == word).count();
        let after = data[8 * (k + same)..].iter().take_while(|&&b| b == byte).count();
        let mut run = 8 * (k + same) + after - end;
        // What is left of a run is no match if it is too short for one.
        if run % MAX_RUN < MIN_RUN {
            run -= run % MAX_RUN;
        }
        if run > 0 {
            spans.push(Span { start, end, run });
            start = end + run;
        }
        k += same;
    }
    if start < data.len() {
        spans.push(Span { start, end: data.len(), run: 0 });
    }
}

/// The symbol of a match of this length, and the value and number of its extra bits
/// (RFC 1951, 3.2.5).
fn run_symbol(length: usize) -> (usize, u32, u32) {
    match length - MIN_RUN {
        255 => (285, 0, 0),
        rest @ 0..8 => (257 + rest, 0, 0),
        rest => {
            let extra = rest.ilog2() - 2;
            let step = rest >> extra & 3;
            (261 + 4 * extra as usize + step, rest as u32 & ((1 << extra) - 1), extra)
        }
    }
}
