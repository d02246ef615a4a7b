//! Bits into bytes.

use super::deflate::{LONGEST_CODE, SYMBOLS};
use super::huffman::Code;
use super::matches::Symbol;
use crate::simd::literals::{self, BitBuffer, Wide};

/// Appends bits to a file, lowest first, by way of a block that is flushed now and then.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    block: &'a mut [u8],
    buffer: BitBuffer,
    wide: Option<Wide>,
}

impl<'a> BitWriter<'a> {
    /// A writer to `out` whose `block` takes what comes between two flushes, and 8 bytes.
    pub(super) fn new(out: &'a mut Vec<u8>, block: &'a mut [u8], wide: Option<Wide>) -> Self {
        Self { out, block, buffer: BitBuffer::default(), wide }
    }

    /// Appends the lowest `count` (at most 56) bits of `bits`, whose others are 0.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.buffer.put(bits, count, self.block);
    }

    /// Appends a symbol and its extra bits.
    #[inline(always)]
    pub(super) fn put_symbol<const N: usize>(&mut self, code: &Code<N>, symbol: &Symbol) {
        let (bits, length) = code.of(symbol.symbol);
        self.put(bits | symbol.value << length, length + symbol.extra);
    }

    /// Appends the codes of `literals`.
    #[inline(always)]
    pub(super) fn put_literals(&mut self, mut literals: &[u8], code: &Code<SYMBOLS>) {
        let (Some(bits), Some(lengths)) = (code.bits.first_chunk(), code.lengths.first_chunk())
        else {
            unreachable!("a code of {SYMBOLS} symbols has 256 of bytes")
        };
        if let Some(wide) = self.wide {
            literals = wide.put(literals, bits, lengths, self.block, &mut self.buffer);
        }
        literals::put(literals, bits, lengths, self.block, &mut self.buffer);
    }

    /// Where the writer stands.
    pub(super) fn mark(&self) -> BitBuffer {
        self.buffer
    }

    /// Whole bytes since a mark, when nothing was flushed.
    pub(super) fn bytes_since(&self, mark: BitBuffer) -> usize {
        self.buffer.at - mark.at
    }

    /// Forgets what came after a mark, when nothing was flushed.
    pub(super) fn rewind(&mut self, mark: BitBuffer) {
        self.buffer = mark;
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.put(0, (8 - self.buffer.count) % 8);
    }

    /// Moves what is in the block to the file.
    pub(super) fn flush(&mut self) {
        self.out.extend_from_slice(&self.block[..self.buffer.at]);
        self.buffer.at = 0;
    }

    /// A block without compression (RFC 1951, 3.2.4), of at most 65,535 bytes.
    pub(super) fn stored(&mut self, data: &[u8], last: bool) {
        self.put(u64::from(last), 3);
        self.align();
        self.flush();
        let length = data.len() as u16;
        self.out.extend(length.to_le_bytes());
        self.out.extend((!length).to_le_bytes());
        self.out.extend(data);
    }
}

const _: () = assert!(LONGEST_CODE <= literals::LONGEST_CODE);
