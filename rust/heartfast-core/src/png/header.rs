//! The description of a block's codes (RFC 1951, 3.2.7): their lengths, themselves with runs and
//! a Huffman code.

use super::bits::BitWriter;
use super::deflate::{DISTANCES, SYMBOLS};
use super::huffman::Code;

/// The order in which the lengths of the code of code lengths are written.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The most lengths that are described.
const MOST: usize = SYMBOLS + DISTANCES;

/// A symbol of the code of code lengths, with the value and number of its extra bits.
#[derive(Clone, Copy, Default)]
struct Symbol {
    symbol: u8,
    value: u8,
    extra: u8,
}

pub(super) struct Header {
    /// Lengths of the first code and of the second.
    described: (usize, usize),
    symbols: [Symbol; MOST],
    n: usize,
    code: Code<19>,
    code_lengths: usize,
}

impl Header {
    #[inline(always)]
    pub(super) fn new(literals: &Code<SYMBOLS>, distances: &Code<DISTANCES>) -> Self {
        let used =
            |lengths: &[u8]| lengths.iter().rposition(|&length| length > 0).map_or(0, |n| n + 1);
        let described = (used(&literals.lengths).max(257), used(&distances.lengths).max(1));
        let mut lengths = [0; MOST];
        lengths[..described.0].copy_from_slice(&literals.lengths[..described.0]);
        lengths[described.0..][..described.1].copy_from_slice(&distances.lengths[..described.1]);
        let (mut symbols, mut n) = ([Symbol::default(); MOST], 0);
        let mut counts = [0; 19];
        let mut push = |symbol: u8, value: usize, extra| {
            symbols[n] = Symbol { symbol, value: value as u8, extra };
            counts[usize::from(symbol)] += 1;
            n += 1;
        };
        let mut rest = &lengths[..described.0 + described.1];
        while let Some(&length) = rest.first() {
            let run = rest.iter().take_while(|&&l| l == length).count();
            let taken = match (length, run) {
                (0, 11..) => {
                    push(18, run.min(138) - 11, 7);
                    run.min(138)
                }
                (0, 3..) => {
                    push(17, run - 3, 3);
                    run
                }
                (1.., 4..) => {
                    push(length, 0, 0);
                    push(16, (run - 1).min(6) - 3, 2);
                    run.min(7)
                }
                _ => {
                    push(length, 0, 0);
                    1
                }
            };
            rest = &rest[taken..];
        }
        let code = Code::new(&counts, 7);
        let code_lengths = ORDER.iter().rposition(|&symbol| code.lengths[symbol] > 0);
        let code_lengths = code_lengths.map_or(4, |n| (n + 1).max(4));
        Self { described, symbols, n, code, code_lengths }
    }

    #[inline(always)]
    pub(super) fn write(&self, writer: &mut BitWriter) {
        writer.put(self.described.0 as u64 - 257, 5);
        writer.put(self.described.1 as u64 - 1, 5);
        writer.put(self.code_lengths as u64 - 4, 4);
        for &symbol in &ORDER[..self.code_lengths] {
            writer.put(u64::from(self.code.lengths[symbol]), 3);
        }
        for &Symbol { symbol, value, extra } in &self.symbols[..self.n] {
            let (bits, length) = self.code.of(usize::from(symbol));
            writer.put(bits | u64::from(value) << length, length + u32::from(extra));
        }
    }
}
