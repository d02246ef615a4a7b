//! Huffman codes of bytes, packed into bits: by instructions that look 64 bytes up at once
//! (AVX-512 with VBMI, since 2019), or four bytes at a time. Both give the same bits.

/// The longest code: four and what is left of a byte are less than 64 bits.
pub(crate) const LONGEST_CODE: usize = 14;

/// The end of a stream of bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BitBuffer {
    /// Whole bytes that are written.
    pub(crate) at: usize,
    /// Bits that wait for more, lowest first, and their number: less than 8 between calls.
    pub(crate) bits: u64,
    pub(crate) count: u32,
}

impl BitBuffer {
    /// Appends the lowest `count` (at most 56) bits of `bits`, whose others are 0.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, count: u32, out: &mut [u8]) {
        self.bits |= bits << self.count;
        self.count += count;
        // Eight bytes always, of which the whole ones stay.
        out[self.at..self.at + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count &= 7;
    }
}

/// Appends to `out` for each literal the lowest bits, `lengths` says how many, of its `bits`.
#[inline(always)]
pub(crate) fn put(
    literals: &[u8],
    bits: &[u16; 256],
    lengths: &[u8; 256],
    out: &mut [u8],
    buffer: &mut BitBuffer,
) {
    let code =
        |byte: u8| (u64::from(bits[usize::from(byte)]), u32::from(lengths[usize::from(byte)]));
    let join = |(a, n): (u64, u32), (b, m): (u64, u32)| (a | b << n, n + m);
    // In a variable, which lives in registers; behind the reference it would not.
    let mut end = *buffer;
    let (groups, rest) = literals.as_chunks::<4>();
    for &[a, b, c, d] in groups {
        let (bits, count) = join(join(code(a), code(b)), join(code(c), code(d)));
        end.put(bits, count, out);
    }
    for &byte in rest {
        let (bits, count) = code(byte);
        end.put(bits, count, out);
    }
    *buffer = end;
}

/// That this CPU has the wide instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide(());

#[cfg(not(target_arch = "x86_64"))]
impl Wide {
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn put<'l>(
        self,
        literals: &'l [u8],
        _: &[u16; 256],
        _: &[u8; 256],
        _: &mut [u8],
        _: &mut BitBuffer,
    ) -> &'l [u8] {
        literals
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    use super::{BitBuffer, LONGEST_CODE, Wide};

    /// Groups of 64 literals that are looked up before their bits are written.
    const BATCH: usize = 4;

    impl Wide {
        pub(crate) fn detect() -> Option<Self> {
            let there = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("bmi2");
            there.then_some(Self(()))
        }

        /// [`put`](super::put) for as many literals as fill wide registers; returns the others.
        ///
        /// # Panics
        /// If a length is over [`LONGEST_CODE`], or `out` does not hold so many bits a literal
        /// and 8 bytes.
        pub(crate) fn put<'l>(
            self,
            literals: &'l [u8],
            bits: &[u16; 256],
            lengths: &[u8; 256],
            out: &mut [u8],
            buffer: &mut BitBuffer,
        ) -> &'l [u8] {
            let (groups, rest) = literals.as_chunks();
            if !groups.is_empty() {
                assert!(
                    lengths.iter().all(|&n| usize::from(n) <= LONGEST_CODE) && buffer.count < 8
                );
                let most = groups.len() * 64 * LONGEST_CODE / 8 + 16;
                let out = &mut out[buffer.at..];
                assert!(out.len() >= most);
                // SAFETY: a value of this type says that the CPU has the instructions; the two
                // assertions are what else the function asks for.
                *buffer = unsafe { put(groups, bits, lengths, out, *buffer) };
            }
            rest
        }
    }

    /// # Safety
    /// `lengths` are at most [`LONGEST_CODE`], less than 8 bits wait in `end`, and `out`, which
    /// begins where `end` is, has that many bits for each literal, and 16 bytes.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
    unsafe fn put(
        groups: &[[u8; 64]],
        bits: &[u16; 256],
        lengths: &[u8; 256],
        out: &mut [u8],
        mut end: BitBuffer,
    ) -> BitBuffer {
        let bits = bits.as_chunks::<32>().0;
        let halves: [_; 8] = std::array::from_fn(|k| load(&bits[k]));
        let bytes = |k: usize, halves: &[__m512i; 8]| {
            let [a, b] = [halves[2 * k], halves[2 * k + 1]].map(|h| _mm512_cvtepi16_epi8(h));
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b)
        };
        let low: [_; 4] = std::array::from_fn(|k| bytes(k, &halves));
        let halves = halves.map(|h| _mm512_srli_epi16::<8>(h));
        let high: [_; 4] = std::array::from_fn(|k| bytes(k, &halves));
        let lengths = lengths.as_chunks::<64>().0;
        let lengths: [_; 4] = std::array::from_fn(|k| load(&lengths[k]));
        // Where shifts come from, by half: for the second code of a pair the lengths of literals 0,
        // 2, 4 and 6 of 16, or 8 to 14; for the second pair of four those of pairs 0 and 2 of 8,
        // or 4 and 6. All other bytes become 0.
        const NONE: i32 = i32::from_le_bytes([0x80; 4]);
        let to = |byte| NONE & !0xff | byte;
        let pair_shift = [0, 8].map(|k| _mm512_set4_epi32(to(k + 6), to(k + 4), to(k + 2), to(k)));
        let four_shift = [0, 8].map(|k| _mm512_set4_epi32(NONE, to(k + 4), NONE, to(k)));
        let in_turn =
            [0, 4].map(|k| _mm512_set_epi64(k + 11, k + 3, k + 10, k + 2, k + 9, k + 1, k + 8, k));
        let ones = _mm512_set1_epi8(1);
        let half = _mm512_set1_epi64(0xffff_ffff);
        let start = out.as_mut_ptr();
        let mut at = start;
        let (mut waiting, mut count) = (end.bits, u64::from(end.count));
        // Words of four or eight codes, and how many bits they have, on their way from wide
        // registers to others: memory is the shortest.
        let (mut words, mut word_lengths) = ([0; 16 * BATCH], [0; 16 * BATCH]);
        for batch in groups.chunks(BATCH) {
            let mut n = 0;
            for group in batch {
                let literals = load(group);
                let quarters = (
                    _mm512_test_epi8_mask(literals, _mm512_set1_epi8(64)),
                    _mm512_movepi8_mask(literals),
                );
                let low = look_up(literals, quarters, &low);
                let high = look_up(literals, quarters, &high);
                let length = look_up(literals, quarters, &lengths);
                let pair_length = _mm512_maddubs_epi16(length, ones);
                let four_length = _mm512_madd_epi16(pair_length, _mm512_set1_epi16(1));
                // Codes of 16 bits: the first half has bytes 0 to 7 of each 16, the second the rest.
                let fours = [
                    (_mm512_unpacklo_epi8(low, high), pair_shift[0], four_shift[0]),
                    (_mm512_unpackhi_epi8(low, high), pair_shift[1], four_shift[1]),
                ]
                .map(|(codes, pair_shift, four_shift)| {
                    let shift = _mm512_shuffle_epi8(length, pair_shift);
                    let pairs = join_pairs(codes, shift);
                    let shift = _mm512_shuffle_epi8(pair_length, four_shift);
                    join(_mm512_and_si512(pairs, half), _mm512_srli_epi64::<32>(pairs), shift)
                });
                let even = _mm512_unpacklo_epi64(fours[0], fours[1]);
                let odd = _mm512_unpackhi_epi64(fours[0], fours[1]);
                let even_length = _mm512_and_si512(four_length, half);
                let odd_length = _mm512_srli_epi64::<32>(four_length);
                let eight_length = _mm512_add_epi64(even_length, odd_length);
                let mut push = |bits, lengths| {
                    words[n..n + 8].copy_from_slice(&array(bits));
                    word_lengths[n..n + 8].copy_from_slice(&array(lengths));
                    n += 8;
                };
                if _mm512_cmpgt_epu64_mask(eight_length, _mm512_set1_epi64(56)) == 0 {
                    push(join(even, odd, even_length), eight_length);
                } else {
                    for order in in_turn {
                        push(
                            _mm512_permutex2var_epi64(even, order, odd),
                            _mm512_permutex2var_epi64(even_length, order, odd_length),
                        );
                    }
                }
            }
            for (&bits, &length) in words[..n].iter().zip(&word_lengths[..n]) {
                waiting |= bits << count;
                count += length;
                // SAFETY: what the function asks for: fewer bits than that are written so far,
                // and eight bytes fit behind them.
                unsafe {
                    at.cast::<u64>().write_unaligned(waiting.to_le());
                    at = at.add((count / 8) as usize);
                }
                waiting >>= count & !7;
                count &= 7;
            }
        }
        // SAFETY: both point into `out`.
        end.at += unsafe { at.offset_from_unsigned(start) };
        (end.bits, end.count) = (waiting, count as u32);
        end
    }

    /// The entries of a table of 256 for 64 indexes, whose bits 6 and 7 are in the masks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn look_up(
        indexes: __m512i,
        (six, seven): (__mmask64, __mmask64),
        table: &[__m512i; 4],
    ) -> __m512i {
        let found = _mm512_permutexvar_epi8(indexes, table[0]);
        let found = _mm512_mask_permutexvar_epi8(found, six, indexes, table[1]);
        let found = _mm512_mask_permutexvar_epi8(found, seven, indexes, table[2]);
        _mm512_mask_permutexvar_epi8(found, six & seven, indexes, table[3])
    }

    /// Words of `first` and, from bit `shift` (less than 64) on, `second`.
    #[target_feature(enable = "avx512f")]
    fn join(first: __m512i, second: __m512i, shift: __m512i) -> __m512i {
        // Without the mask the compiler makes sure of other shifts, at three times the cost.
        let shift = _mm512_and_si512(shift, _mm512_set1_epi64(63));
        _mm512_or_si512(first, _mm512_sllv_epi64(second, shift))
    }

    /// Words of 32 bits: their lower half and, from bit `shift` (less than 32) on, their upper.
    #[target_feature(enable = "avx512f")]
    fn join_pairs(codes: __m512i, shift: __m512i) -> __m512i {
        let shift = _mm512_and_si512(shift, _mm512_set1_epi32(31));
        let first = _mm512_and_si512(codes, _mm512_set1_epi32(0xffff));
        _mm512_or_si512(first, _mm512_sllv_epi32(_mm512_srli_epi32::<16>(codes), shift))
    }

    #[target_feature(enable = "avx512f")]
    fn load<T>(values: &T) -> __m512i {
        const { assert!(size_of::<T>() == 64) }
        // SAFETY: any 64 bytes are a value of that type.
        unsafe { std::mem::transmute_copy(values) }
    }

    #[target_feature(enable = "avx512f")]
    fn array(vector: __m512i) -> [u64; 8] {
        // SAFETY: any 64 bytes are eight words.
        unsafe { std::mem::transmute(vector) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BitBuffer, Wide, put};

    proptest! {
        /// Miri cannot run the wide instructions: this is what they are checked by.
        #[test]
        fn wide_instructions_give_the_same_bits(
            literals in proptest::collection::vec(any::<u8>(), 0..1000),
            longest in 1u8..=14,
            seed in any::<[u16; 256]>(),
            count in 0u32..8,
        ) {
            let Some(wide) = Wide::detect() else { return Ok(()) };
            let lengths = seed.map(|s| (s >> 8) as u8 % (longest + 1));
            let mut bits = seed;
            bits.iter_mut().zip(lengths).for_each(|(b, n)| *b &= (1 << n) - 1);
            let start = BitBuffer { at: 3, bits: 0x55 & ((1 << count) - 1), count };
            let (mut one, mut other) = ([0; 2000], [0; 2000]);
            let (mut end, mut wide_end) = (start, start);
            put(&literals, &bits, &lengths, &mut one, &mut end);
            let rest = wide.put(&literals, &bits, &lengths, &mut other, &mut wide_end);
            prop_assert_eq!(rest.len(), literals.len() % 64);
            put(rest, &bits, &lengths, &mut other, &mut wide_end);
            prop_assert_eq!(end, wide_end);
            prop_assert_eq!(&one[..end.at], &other[..end.at]);
        }
    }
}
