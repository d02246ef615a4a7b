//! A zlib stream of filtered rows: Huffman codes and runs, no search for matches.
//!
//! Formats: zlib RFC 1950, DEFLATE RFC 1951, filters PNG 9.2.

use super::huffman::Code;

/// Bytes of filtered data that share one Huffman code.
const BAND: usize = 32 * 1024;
/// Shortest and longest run that a match can stand for.
const MIN_RUN: usize = 3;
const MAX_RUN: usize = 258;
/// Symbols of DEFLATE's first alphabet: bytes, end of block, lengths.
const SYMBOLS: usize = 286;
const END_OF_BLOCK: usize = 256;
/// PNG's filter that subtracts the byte above.
const UP: u8 = 2;
const ADLER_MOD: u32 = 65_521;

/// Appends the zlib stream of `pixels`, in rows of `stride` bytes, to `out`.
pub(super) fn zlib(pixels: &[u8], stride: usize, out: &mut Vec<u8>) {
    let filtered = filter_up(pixels, stride);
    // 32 KiB window, fastest level; the two bytes are a multiple of 31 as RFC 1950 asks.
    out.extend([0x78, 0x01]);
    let mut writer = BitWriter { out, bits: 0, count: 0 };
    let mut bands = filtered.chunks(BAND).peekable();
    while let Some(band) = bands.next() {
        write_band(&mut writer, band, bands.peek().is_none());
    }
    writer.align();
    out.extend(adler32(&filtered).to_be_bytes());
}

/// Each row with its filter byte in front, less the row above it.
fn filter_up(pixels: &[u8], stride: usize) -> Vec<u8> {
    let mut filtered = Vec::with_capacity(pixels.len() / stride * (stride + 1));
    let mut above: &[u8] = &[];
    for row in pixels.chunks_exact(stride) {
        filtered.push(UP);
        if above.is_empty() {
            filtered.extend_from_slice(row);
        } else {
            filtered.extend(row.iter().zip(above).map(|(a, b)| a.wrapping_sub(*b)));
        }
        above = row;
    }
    filtered
}

/// One block: with a Huffman code of its own, or stored where that is shorter.
fn write_band(writer: &mut BitWriter, band: &[u8], last: bool) {
    let mut counts = [0u32; SYMBOLS];
    counts[END_OF_BLOCK] = 1;
    let mut extra_bits = 0;
    for_each_token(band, |token| match token {
        Token::Byte(byte) => counts[usize::from(byte)] += 1,
        Token::Run(length) => {
            let (symbol, _, extra) = run_symbol(length);
            counts[symbol] += 1;
            // The distance, always 1, is one bit.
            extra_bits += u64::from(extra) + 1;
        }
    });
    let code = Code::new(&counts, 15);
    let header = BlockHeader::new(&code);
    if 3 + header.cost() + code.cost(&counts) + extra_bits > 8 * (band.len() as u64 + 5) {
        writer.stored(band, last);
        return;
    }
    writer.put(u64::from(last) | 2 << 1, 3);
    header.write(writer);
    let put = |writer: &mut BitWriter, s: usize| {
        writer.put(u64::from(code.bits[s]), u32::from(code.lengths[s]));
    };
    for_each_token(band, |token| match token {
        Token::Byte(byte) => put(writer, usize::from(byte)),
        Token::Run(length) => {
            let (symbol, value, extra) = run_symbol(length);
            put(writer, symbol);
            writer.put(u64::from(value), extra + 1);
        }
    });
    put(writer, END_OF_BLOCK);
}

enum Token {
    /// A byte as it is.
    Byte(u8),
    /// So many copies of the byte before.
    Run(usize),
}

fn for_each_token(band: &[u8], mut sink: impl FnMut(Token)) {
    let mut at = 0;
    while at < band.len() {
        let byte = band[at];
        sink(Token::Byte(byte));
        at += 1;
        let end = band.len().min(at + MAX_RUN);
        let run = band[at..end].iter().take_while(|&&b| b == byte).count();
        if run >= MIN_RUN {
            sink(Token::Run(run));
            at += run;
        }
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

/// Bits into bytes, lowest bit first.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    bits: u64,
    count: u32,
}

impl BitWriter<'_> {
    /// Appends the lowest `count` (at most 32) bits of `bits`, whose others are 0.
    #[inline]
    fn put(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend((self.bits as u32).to_le_bytes());
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the last byte with zeros.
    fn align(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend(&self.bits.to_le_bytes()[..bytes]);
        self.bits = 0;
        self.count = 0;
    }

    /// A block without compression (RFC 1951, 3.2.4).
    fn stored(&mut self, band: &[u8], last: bool) {
        self.put(u64::from(last), 3);
        self.align();
        let length = band.len() as u16;
        self.out.extend(length.to_le_bytes());
        self.out.extend((!length).to_le_bytes());
        self.out.extend(band);
    }
}

/// RFC 1950, 8.2.
fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    // The longest run for which the sums stay below 2^32.
    for run in data.chunks(5552) {
        for &byte in run {
            a += u32::from(byte);
            b += a;
        }
        a %= ADLER_MOD;
        b %= ADLER_MOD;
    }
    b << 16 | a
}
