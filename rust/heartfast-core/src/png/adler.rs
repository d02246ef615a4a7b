//! The checksum of a zlib stream (RFC 1950, 8.2).

/// What both sums are taken modulo.
const MODULUS: u32 = 65_521;

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
        // Within 16 bytes the second sum is a weighted one, which needs no order.
        const STEP: usize = 16;
        // The most bytes for which the sums stay below 2^32, a multiple of the step.
        const MOST: usize = 5552;
        let Self { a, b } = self;
        for run in data.chunks(MOST) {
            let mut steps = run.chunks_exact(STEP);
            for step in &mut steps {
                let sum: u32 = step.iter().map(|&x| u32::from(x)).sum();
                let weighted: u32 =
                    (1..).zip(step.iter().rev()).map(|(w, &x)| w * u32::from(x)).sum();
                *b += STEP as u32 * *a + weighted;
                *a += sum;
            }
            for &byte in steps.remainder() {
                *a += u32::from(byte);
                *b += *a;
            }
            *a %= MODULUS;
            *b %= MODULUS;
        }
    }
}
