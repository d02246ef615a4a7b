//! How a sample is written: as a whole number, a float, or by A-law or mu-law.

use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::memory::reserve;

/// The order of a number's bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number that these bytes are.
    pub(crate) fn number(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// How a sample is written, and how it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coding {
    /// Bytes of a sample.
    pub(crate) bytes: usize,
    append: fn(&[u8], &mut Vec<f32>),
}

impl Coding {
    /// Whole numbers with a sign, of 1 to 8 bytes. Fewer bits than bytes have stand in the upper
    /// ones.
    pub(crate) fn signed(bytes: usize, order: Order) -> Option<Self> {
        let big = order == Order::Big;
        let append = match (bytes, big) {
            (1, _) => short::<1, false>,
            (2, false) => short::<2, false>,
            (2, true) => short::<2, true>,
            (3, false) => short::<3, false>,
            (3, true) => short::<3, true>,
            (4, false) => short::<4, false>,
            (4, true) => short::<4, true>,
            (5, false) => long::<5, false>,
            (5, true) => long::<5, true>,
            (6, false) => long::<6, false>,
            (6, true) => long::<6, true>,
            (7, false) => long::<7, false>,
            (7, true) => long::<7, true>,
            (8, false) => long::<8, false>,
            (8, true) => long::<8, true>,
            _ => return None,
        };
        Some(Self { bytes, append })
    }

    /// One byte, of which 128 is silence.
    pub(crate) const UNSIGNED: Self = Self {
        bytes: 1,
        append: |bytes, out| append(bytes, out, |[x]| (f32::from(x) - 128.0) / 128.0),
    };

    /// IEEE floats of 4 or 8 bytes.
    pub(crate) fn float(bytes: usize, order: Order) -> Option<Self> {
        let append: fn(&[u8], &mut Vec<f32>) = match (bytes, order) {
            (4, Order::Little) => |bytes, out| append(bytes, out, f32::from_le_bytes),
            (4, Order::Big) => |bytes, out| append(bytes, out, f32::from_be_bytes),
            (8, Order::Little) => |bytes, out| append(bytes, out, |x| f64::from_le_bytes(x) as f32),
            (8, Order::Big) => |bytes, out| append(bytes, out, |x| f64::from_be_bytes(x) as f32),
            _ => return None,
        };
        Some(Self { bytes, append })
    }

    /// ITU-T G.711's A-law.
    pub(crate) const A_LAW: Self = Self {
        bytes: 1,
        append: |bytes, out| append(bytes, out, |[x]| f32::from(A_LAW[usize::from(x)]) / 32768.0),
    };

    /// ITU-T G.711's mu-law.
    pub(crate) const MU_LAW: Self = Self {
        bytes: 1,
        append: |bytes, out| append(bytes, out, |[x]| f32::from(MU_LAW[usize::from(x)]) / 32768.0),
    };

    /// Appends the samples that these bytes are; full scale is 1.0.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) if there is no memory for them,
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(crate) fn samples(&self, data: &[u8], out: &mut Vec<f32>, cancel: &Cancel) -> Result<()> {
        reserve(out, data.len() / self.bytes)?;
        for part in data.chunks(STRIDE * self.bytes) {
            cancel.check()?;
            (self.append)(part, out);
        }
        Ok(())
    }
}

/// Appends one value for each `N` bytes.
fn append<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)));
}

/// Up to 4 bytes, in the upper ones of 32 bits, where the sign is.
fn short<const N: usize, const BIG: bool>(bytes: &[u8], out: &mut Vec<f32>) {
    append(bytes, out, |mut x: [u8; N]| {
        if BIG {
            x.reverse();
        }
        let mut wide = [0; 4];
        wide[4 - N..].copy_from_slice(&x);
        i32::from_le_bytes(wide) as f32 / 2_147_483_648.0
    });
}

/// Up to 8 bytes likewise.
fn long<const N: usize, const BIG: bool>(bytes: &[u8], out: &mut Vec<f32>) {
    append(bytes, out, |mut x: [u8; N]| {
        if BIG {
            x.reverse();
        }
        let mut wide = [0; 8];
        wide[8 - N..].copy_from_slice(&x);
        i64::from_le_bytes(wide) as f32 / 9_223_372_036_854_775_808.0
    });
}

/// G.711, table 1: a sign, 3 bits of exponent, 4 bits of mantissa; even bits are inverted.
static A_LAW: [i16; 256] = table(true);
/// G.711, table 2: the same with all bits inverted, and 33 (here: times 4) added before.
static MU_LAW: [i16; 256] = table(false);

const fn table(a_law: bool) -> [i16; 256] {
    let mut values = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = code as u8 ^ if a_law { 0x55 } else { 0xff };
        let (exponent, mantissa) = (bits >> 4 & 7, (bits & 15) as i16);
        let magnitude = match (a_law, exponent) {
            (true, 0) => mantissa << 4 | 8,
            (true, _) => (mantissa << 4 | 0x108) << (exponent - 1),
            (false, _) => ((mantissa << 3 | 0x84) << exponent) - 0x84,
        };
        // A-law's sign bit is that of positive numbers.
        let positive = (bits & 0x80 != 0) == a_law;
        values[code] = if positive { magnitude } else { -magnitude };
        code += 1;
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Coding, Order};
    use crate::cancel::Cancel;

    proptest! {
        /// A number is its bytes, times 256 to the power of their place, over its largest.
        #[test]
        fn whole_numbers(
            size in 1usize..9,
            big in any::<bool>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let order = if big { Order::Big } else { Order::Little };
            let mut samples = Vec::new();
            let coding = Coding::signed(size, order).unwrap();
            coding.samples(&bytes, &mut samples, &Cancel::new()).unwrap();
            let expected = bytes.chunks_exact(size).map(|number| {
                let mut number = number.to_vec();
                if big {
                    number.reverse();
                }
                let value = number.iter().rev().fold(0i128, |sum, &b| sum * 256 + i128::from(b));
                let full = 1i128 << (8 * size - 1);
                let value = if value >= full { value - 2 * full } else { value };
                value as f32 / full as f32
            });
            prop_assert_eq!(samples, expected.collect::<Vec<_>>());
        }
    }
}
