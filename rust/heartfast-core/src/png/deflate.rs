//! A zlib stream of filtered rows: Huffman codes and runs, no search for matches.
//!
//! Formats: zlib RFC 1950, DEFLATE RFC 1951, filters PNG 9.2.

use super::adler::Adler32;
use super::huffman::Code;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::simd;
use crate::simd::lanes::Lanes;

/// Bytes of filtered data that share one Huffman code.
const BAND: usize = 32 * 1024;
/// So much is filtered before bands are written: it stays in the cache.
const AHEAD: usize = 4 * BAND;
/// Shortest and longest run that a match can stand for.
const MIN_RUN: usize = 3;
const MAX_RUN: usize = 258;
/// Symbols of DEFLATE's first alphabet: bytes, end of block, lengths.
const SYMBOLS: usize = 286;
const END_OF_BLOCK: usize = 256;
/// Longest code, in bits. DEFLATE allows 15; of these, four and a rest fit into 64 bits.
const LONGEST_CODE: usize = 14;
/// PNG's filter that subtracts the byte above.
const UP: u8 = 2;

/// The working memory of [`Deflater::zlib`].
#[derive(Default)]
pub(super) struct Deflater {
    filtered: Vec<u8>,
    block: Vec<u8>,
    spans: Vec<Span>,
}

impl Deflater {
    /// Appends the zlib stream of `pixels`, in rows of `stride` bytes, to `out`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(super) fn zlib(
        &mut self,
        pixels: &[u8],
        stride: usize,
        out: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<()> {
        simd::dispatch(Zlib { deflater: self, pixels, stride, out, cancel })
    }
}

struct Zlib<'z> {
    deflater: &'z mut Deflater,
    pixels: &'z [u8],
    stride: usize,
    out: &'z mut Vec<u8>,
    cancel: &'z Cancel,
}

impl simd::Kernel for Zlib<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { deflater: Deflater { filtered, block, spans }, pixels, stride, out, cancel } =
            self;
        // A whole band at its worst, and one write beyond.
        block.resize(BAND * LONGEST_CODE / 8 + 1024, 0);
        // 32 KiB window, fastest level; the two bytes are a multiple of 31 as RFC 1950 asks.
        out.extend([0x78, 0x01]);
        let mut writer = BitWriter { out, block, at: 0, bits: 0, count: 0 };
        let mut sum = Adler32::new();
        let mut rows = pixels.chunks_exact(stride);
        let mut above: &[u8] = &[];
        filtered.clear();
        loop {
            cancel.check()?;
            while filtered.len() < AHEAD {
                let Some(row) = rows.next() else { break };
                filter_up(row, above, filtered);
                above = row;
            }
            let ends = rows.len() == 0;
            let whole = if ends { filtered.len() } else { filtered.len() / BAND * BAND };
            let mut bands = filtered[..whole].chunks(BAND).peekable();
            while let Some(band) = bands.next() {
                cancel.check()?;
                sum.update(band);
                find_spans(band, spans);
                write_band(&mut writer, band, spans, ends && bands.peek().is_none());
                writer.flush();
            }
            if ends {
                break;
            }
            filtered.copy_within(whole.., 0);
            filtered.truncate(filtered.len() - whole);
        }
        writer.align();
        writer.flush();
        out.extend(sum.value().to_be_bytes());
        Ok(())
    }
}

/// Appends a row with its filter byte in front, less the row above it; the first has none.
#[inline(always)]
fn filter_up(row: &[u8], above: &[u8], filtered: &mut Vec<u8>) {
    let start = filtered.len() + 1;
    filtered.push(UP);
    filtered.extend_from_slice(row);
    for (x, up) in filtered[start..].iter_mut().zip(above) {
        *x = x.wrapping_sub(*up);
    }
}

/// One block: with a Huffman code of its own, or stored where that is shorter.
#[inline(always)]
fn write_band(writer: &mut BitWriter, band: &[u8], spans: &[Span], last: bool) {
    let mut counts = [0u32; SYMBOLS];
    counts[END_OF_BLOCK] = 1;
    let mut extra_bits = 0;
    // Four tables, because a count waits for the one before it if the two are the same.
    let mut quarters = [[0u32; 256]; 4];
    for &Span { start, end, run } in spans {
        let mut groups = band[start..end].chunks_exact(4);
        for group in &mut groups {
            for (table, &byte) in quarters.iter_mut().zip(group) {
                table[usize::from(byte)] += 1;
            }
        }
        for &byte in groups.remainder() {
            counts[usize::from(byte)] += 1;
        }
        if run > 0 {
            let (symbol, _, extra) = run_symbol(run);
            counts[symbol] += 1;
            // The distance, always 1, is one bit.
            extra_bits += u64::from(extra) + 1;
        }
    }
    for table in quarters {
        for (count, n) in counts.iter_mut().zip(table) {
            *count += n;
        }
    }
    let code = Code::new(&counts, LONGEST_CODE);
    let header = BlockHeader::new(&code);
    if 3 + header.cost() + code.cost(&counts) + extra_bits > 8 * (band.len() as u64 + 5) {
        writer.stored(band, last);
        return;
    }
    writer.put(u64::from(last) | 2 << 1, 3);
    header.write(writer);
    let mut literal_codes = [(0, 0); 256];
    for (byte, packed) in literal_codes.iter_mut().enumerate() {
        *packed = (code.bits[byte], code.lengths[byte]);
    }
    for &Span { start, end, run } in spans {
        writer.put_literals(&band[start..end], &literal_codes);
        if run > 0 {
            let (symbol, value, extra) = run_symbol(run);
            writer.put(u64::from(code.bits[symbol]), u32::from(code.lengths[symbol]));
            writer.put(u64::from(value), extra + 1);
        }
    }
    writer.put(u64::from(code.bits[END_OF_BLOCK]), u32::from(code.lengths[END_OF_BLOCK]));
}

/// Literal bytes of a band, then a run of copies of the last of them ([`MIN_RUN`] to
/// [`MAX_RUN`]; 0 at the end).
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    run: usize,
}

/// Cuts a band into spans.
#[inline(always)]
fn find_spans(band: &[u8], spans: &mut Vec<Span>) {
    spans.clear();
    let mut start = 0;
    let mut at = 1;
    while at < band.len() {
        at = next_repeat(band, at);
        let most = band.len().min(at + MAX_RUN);
        let byte = band[at - 1];
        let run = band[at..most].iter().take_while(|&&b| b == byte).count();
        if run >= MIN_RUN {
            spans.push(Span { start, end: at, run });
            start = at + run;
            // The byte after a run is a literal, whatever it is.
            at = start + 1;
        } else {
            at += run.max(1);
        }
    }
    if start < band.len() {
        spans.push(Span { start, end: band.len(), run: 0 });
    }
}

/// The first place from `at` on whose byte, and the next, are those before them, or the end;
/// eight places at a time.
#[inline(always)]
fn next_repeat(band: &[u8], mut at: usize) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let word = |at: usize| -> Option<u64> {
        band.get(at..at + 8).and_then(|w| Some(u64::from_le_bytes(w.try_into().ok()?)))
    };
    while let (Some(here), Some(before)) = (word(at), word(at - 1)) {
        // Bytes that are equal are 0 here; the lowest of them shows right in the top bits.
        let differ = here ^ before;
        let equal = differ.wrapping_sub(LOW) & !differ & (LOW << 7);
        if equal != 0 {
            let place = at + equal.trailing_zeros() as usize / 8;
            if band.get(place + 1) == band.get(place) {
                return place;
            }
            at = place + 1;
        } else {
            at += 8;
        }
    }
    while at < band.len() && band[at] != band[at - 1] {
        at += 1;
    }
    at
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

/// The description of a block's codes (RFC 1951, 3.2.7): the code lengths, themselves with runs
/// and a Huffman code.
struct BlockHeader {
    literals: usize,
    /// Symbol, extra value, number of extra bits.
    symbols: Vec<(usize, u32, u32)>,
    counts: [u32; 19],
    code: Code<19>,
    code_lengths: usize,
}

impl BlockHeader {
    /// The order in which the lengths of the code of code lengths are written.
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

    fn new(code: &Code<SYMBOLS>) -> Self {
        let literals = (257..=SYMBOLS).rev().find(|&n| code.lengths[n - 1] > 0).unwrap_or(257);
        // One distance code, of one bit: the byte just before.
        let lengths: Vec<u8> = code.lengths[..literals].iter().copied().chain([1]).collect();
        let mut symbols = Vec::with_capacity(lengths.len());
        let mut rest = lengths.as_slice();
        while let Some(&length) = rest.first() {
            let run = rest.iter().take_while(|&&l| l == length).count();
            let used = match (length, run) {
                (0, 11..) => (18, run.min(138), 11, 7),
                (0, 3..11) => (17, run, 3, 3),
                (1.., 4..) => {
                    symbols.push((usize::from(length), 0, 0));
                    rest = &rest[1..];
                    (16, (run - 1).min(6), 3, 2)
                }
                _ => (usize::from(length), 1, 1, 0),
            };
            let (symbol, n, base, extra) = used;
            symbols.push((symbol, (n - base) as u32, extra));
            rest = &rest[n..];
        }
        let mut counts = [0; 19];
        for &(symbol, ..) in &symbols {
            counts[symbol] += 1;
        }
        let code = Code::new(&counts, 7);
        let code_lengths = (4..=19).rev().find(|&n| code.lengths[Self::ORDER[n - 1]] > 0);
        Self { literals, symbols, counts, code, code_lengths: code_lengths.unwrap_or(4) }
    }

    fn cost(&self) -> u64 {
        let extra: u64 = self.symbols.iter().map(|&(_, _, extra)| u64::from(extra)).sum();
        14 + 3 * self.code_lengths as u64 + self.code.cost(&self.counts) + extra
    }

    fn write(&self, writer: &mut BitWriter) {
        writer.put(self.literals as u64 - 257, 5);
        writer.put(0, 5);
        writer.put(self.code_lengths as u64 - 4, 4);
        for &symbol in &Self::ORDER[..self.code_lengths] {
            writer.put(u64::from(self.code.lengths[symbol]), 3);
        }
        for &(symbol, value, extra) in &self.symbols {
            writer.put(u64::from(self.code.bits[symbol]), u32::from(self.code.lengths[symbol]));
            writer.put(u64::from(value), extra);
        }
    }
}

/// Bits into bytes, lowest bit first, by way of a block that is flushed after each band.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    block: &'a mut [u8],
    at: usize,
    bits: u64,
    /// Bits that wait in `bits`: less than 8 between calls.
    count: u32,
}

impl BitWriter<'_> {
    /// Appends the lowest `count` (at most 56) bits of `bits`, whose others are 0.
    #[inline(always)]
    fn put(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
        // Eight bytes always, of which the whole ones stay.
        self.block[self.at..self.at + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count &= 7;
    }

    /// Appends the codes of `literals`, four at a time.
    #[inline(always)]
    fn put_literals(&mut self, literals: &[u8], codes: &[(u16, u8); 256]) {
        // In variables, which live in registers; behind the reference they would not.
        let (mut at, mut bits, mut count) = (self.at, self.bits, self.count);
        let mut groups = literals.chunks_exact(4);
        for group in &mut groups {
            for &byte in group {
                let (code, length) = codes[usize::from(byte)];
                bits |= u64::from(code) << count;
                count += u32::from(length);
            }
            self.block[at..at + 8].copy_from_slice(&bits.to_le_bytes());
            at += (count / 8) as usize;
            bits >>= count & !7;
            count &= 7;
        }
        (self.at, self.bits, self.count) = (at, bits, count);
        for &byte in groups.remainder() {
            let (code, length) = codes[usize::from(byte)];
            self.put(u64::from(code), u32::from(length));
        }
    }

    /// Fills the last byte with zeros.
    fn align(&mut self) {
        self.put(0, (8 - self.count) % 8);
    }

    /// Moves what is in the block to the output.
    fn flush(&mut self) {
        self.out.extend_from_slice(&self.block[..self.at]);
        self.at = 0;
    }

    /// A block without compression (RFC 1951, 3.2.4).
    fn stored(&mut self, band: &[u8], last: bool) {
        self.put(u64::from(last), 3);
        self.align();
        self.flush();
        let length = band.len() as u16;
        self.out.extend(length.to_le_bytes());
        self.out.extend((!length).to_le_bytes());
        self.out.extend(band);
    }
}
