//! From power to gray levels.

/// log2 of a positive normal number, to 0.00012 (0.0004 dB of power); zero and subnormal
/// numbers give about -127.
///
/// The exponent is read from the float's bits; the mantissa goes through a polynomial that is
/// exact at both ends, so that the curve has no steps at powers of two.
#[inline(always)]
#[must_use]
pub fn fast_log2(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    let q = 0.438_725_74 + m * (-0.239_058_23 + m * 0.082_130_685);
    exponent as f32 + m * (1.0 + (1.0 - m) * q)
}

/// The largest of `value` of all numbers, 0 at the least; a NaN is passed over.
#[inline(always)]
pub(crate) fn max_of(numbers: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    // So many maxima side by side, because each must wait for itself; they vectorise.
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    let (groups, rest) = numbers.as_chunks::<LANES>();
    for group in groups {
        for (max, &x) in lanes.iter_mut().zip(group) {
            let x = value(x);
            *max = if x > *max { x } else { *max };
        }
    }
    rest.iter().map(|&x| value(x)).chain(lanes).fold(0.0, f32::max)
}

/// The line from log2(power) to gray levels: 255 at the reference, 0 at `-dynamic_range` dB.
#[derive(Debug, Clone, Copy)]
pub struct GrayScale {
    slope: f32,
    offset: f32,
}

impl GrayScale {
    /// A scale whose 255 is the power of `reference` (a magnitude).
    #[must_use]
    pub fn new(reference: f64, dynamic_range: f64) -> Self {
        let per_octave = 255.0 / dynamic_range * 10.0 * std::f64::consts::LOG10_2;
        let offset = 255.0 - per_octave * 2.0 * reference.log2();
        Self { slope: per_octave as f32, offset: offset as f32 }
    }

    /// The gray level of one power; that of no power at all is 0, whatever the reference.
    #[inline(always)]
    #[must_use]
    pub fn level(self, power: f32) -> u8 {
        let level = (self.slope * fast_log2(power) + self.offset).clamp(0.0, 255.0);
        let level = if power < f32::MIN_POSITIVE { 0.0 } else { level };
        // Adding 2^23 leaves the rounded level in the low bits: a cast would saturate first,
        // which keeps the loop from vectorising.
        (level + 8_388_608.0).to_bits() as u8
    }
}
