//! The checksum of a zlib stream (RFC 1950, 8.2).

/// What both sums are taken modulo.
const MODULUS: u32 = 65_521;
/// Bytes that are summed side by side, each in its own pair of sums.
const LANES: usize = 64;
/// The most steps after which those pairs still fit into 16 bits: 255 * 22 * 23 / 2 < 2^16.
const STEPS: usize = 22;

/// The sum of what it was updated with.
pub(super) struct Adler32 {
    a: u32,
    b: u32,
}

impl Adler32 {
    /// The sum of nothing.
    pub(super) fn new() -> Self {
        Self { a: 1, b: 0 }
    }

    pub(super) fn value(&self) -> u32 {
        self.b << 16 | self.a
    }

    #[inline(always)]
    pub(super) fn update(&mut self, data: &[u8]) {
        for part in data.chunks(LANES * STEPS) {
            let (steps, rest) = part.as_chunks::<LANES>();
            let (mut sums, mut sums_of_sums) = ([0u16; LANES], [0u16; LANES]);
            for step in steps {
                for ((sum, sums), &byte) in sums.iter_mut().zip(&mut sums_of_sums).zip(step) {
                    *sums += *sum;
                    *sum += u16::from(byte);
                }
            }
            // Each byte counts once in `a`, and in `b` as often as bytes follow it, itself
            // included: for whole steps after its own by the sum of sums, for the rest of its
            // own step by its lane.
            let (mut a, mut whole, mut own) = (0, 0, 0);
            for ((lane, sum), sums) in (1..).zip(sums.into_iter().rev()).zip(sums_of_sums) {
                a += u32::from(sum);
                whole += u32::from(sums);
                own += lane * u32::from(sum);
            }
            let n = (steps.len() * LANES) as u32;
            self.b += n * self.a + LANES as u32 * whole + own;
            self.a += a;
            for &byte in rest {
                self.a += u32::from(byte);
                self.b += self.a;
            }
            self.a %= MODULUS;
            self.b %= MODULUS;
        }
    }
}
