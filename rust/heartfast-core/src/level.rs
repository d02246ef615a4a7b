//! From power to gray levels.

use crate::simd::lanes::Lanes;

/// log2(1 + m) = m + m (1 - m) q(m): exact at both ends, so that the curve has no steps at
/// powers of two. These are q's coefficients, that of 1 first.
const Q: [f32; 3] = [0.438_725_74, -0.239_058_23, 0.082_130_685];

/// log2 of a positive normal number, to 0.00012 (0.0004 dB of power); zero and subnormal
/// numbers give about -127.
///
/// The exponent is read from the float's bits; the mantissa goes through a polynomial.
#[inline(always)]
#[must_use]
pub fn fast_log2(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    let q = Q[0] + m * (Q[1] + m * Q[2]);
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

/// The line from log2(power) to gray levels with a fraction, in 16 bits: what a transform writes
/// while the picture's maximum is still to be seen. The top of the numbers stands at a guess of
/// the reference; [`FineScale::gray`] finds the picture's levels below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FineScale {
    /// Bits of fraction.
    fraction: u32,
    per_octave: f32,
    offset: f32,
    /// The coefficients of m, m^2, ... in log2(1 + m) times `per_octave`.
    mantissa: [f32; 4],
    top: f64,
}

impl FineScale {
    /// A scale for references of 2^`top` (a power) and up to `headroom` dB below. The more of
    /// that, the fewer bits has the fraction: 8 at the most, 7 for 60 dB at a range of 60 dB.
    pub(crate) fn new(top: f64, headroom: f64, dynamic_range: f64) -> Self {
        // Below a thousandth of a dB float logarithms are steps anyway.
        let levels_per_db = 255.0 / dynamic_range.max(1e-3);
        let levels = (256.0 + headroom * levels_per_db).min(65_536.0);
        let fraction = 16 - levels.log2().ceil() as u32;
        let one = f64::from(1 << fraction);
        let per_octave = one * levels_per_db * 10.0 * std::f64::consts::LOG10_2;
        let [a, b, c] = Q.map(f64::from);
        let mantissa = [1.0 + a, b - a, c - b, -c].map(|k| (k * per_octave) as f32);
        let offset = (65_536.0 - one - per_octave * top) as f32;
        Self { fraction, per_octave: per_octave as f32, offset, mantissa, top }
    }

    /// The numbers of these powers, still to be rounded and brought into 16 bits.
    #[inline(always)]
    pub(crate) fn of<V: Lanes>(&self, power: V) -> V {
        let (exponent, mantissa) = power.exponent_and_mantissa();
        let m = mantissa.sub(V::splat(1.0));
        let [a, b, c, d] = self.mantissa;
        let p = V::splat(d).mul_add(m, V::splat(c));
        let p = p.mul_add(m, V::splat(b)).mul_add(m, V::splat(a));
        let whole = exponent.mul_add(V::splat(self.per_octave), V::splat(self.offset));
        p.mul_add(m, whole)
    }

    /// The levels of a picture whose reference is 2^`reference` (a power); none if that is above
    /// the top, or too far below it for the numbers to reach down to level 0.
    pub(crate) fn gray(&self, reference: f64) -> Option<FineGray> {
        let one = f64::from(1 << self.fraction);
        let below = (self.top - reference) * f64::from(self.per_octave);
        let zero = (65_536.0 - 256.0 * one - below).round();
        (below >= 0.0 && zero >= 0.0)
            .then_some(FineGray { zero: zero as u16, fraction: self.fraction })
    }
}

/// From the numbers of a [`FineScale`] to gray levels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FineGray {
    /// The number of level 0.
    zero: u16,
    fraction: u32,
}

impl FineGray {
    /// The gray level of one number.
    #[inline(always)]
    pub(crate) fn level(self, number: u16) -> u8 {
        let half = (1u16 << self.fraction) >> 1;
        let above = number.saturating_sub(self.zero).min(255 << self.fraction);
        ((above + half) >> self.fraction) as u8
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::FineScale;
    use crate::simd::lanes::{Lanes, MOST_LANES};
    use crate::simd::{Kernel, Level};

    /// The numbers of 32 powers.
    struct Numbers<'n>(FineScale, &'n [f32; 2 * MOST_LANES]);

    impl Kernel for Numbers<'_> {
        type Output = [u16; 2 * MOST_LANES];

        #[inline(always)]
        fn run<V: Lanes>(self) -> Self::Output {
            let Self(scale, powers) = self;
            let mut numbers = [0; 2 * MOST_LANES];
            for at in (0..2 * MOST_LANES).step_by(2 * V::COUNT) {
                let a = scale.of(V::load(powers, at));
                let b = scale.of(V::load(powers, at + V::COUNT));
                V::store_u16([a, b], &mut numbers, at);
            }
            numbers
        }
    }

    proptest! {
        #[test]
        fn fine_levels_are_the_formula_to_a_part_of_a_level(
            decibels in proptest::array::uniform32(-250.0f64..60.0),
            reference in -60.0f64..60.0,
            above in 0.0f64..80.0,
            dynamic_range in 1.0f64..200.0,
        ) {
            let powers = decibels.map(|db| 10f64.powf(db / 10.0) as f32);
            let octaves = |db: f64| db / 10.0 / std::f64::consts::LOG10_2;
            let guess = FineScale::new(octaves(reference + above), 60.0, dynamic_range);
            // A wrong guess is refused, and only that is.
            let gray = guess.gray(octaves(reference));
            prop_assert!(gray.is_some() || above > 60.0, "{} dB", above);
            let exact = FineScale::new(octaves(reference), 0.0, dynamic_range);
            let exact = (exact, exact.gray(octaves(reference)).unwrap());
            for (scale, gray) in gray.map(|gray| (guess, gray)).into_iter().chain([exact]) {
                for level in Level::all() {
                    for (db, number) in decibels.iter().zip(level.run(Numbers(scale, &powers))) {
                        let expected = 255.0 * (1.0 + (db - reference) / dynamic_range);
                        let found = f64::from(gray.level(number));
                        // Half a level of rounding; a float's logarithm is off by 0.0005 dB.
                        let most = 0.65 + 0.0005 * 255.0 / dynamic_range;
                        let apart = (found - expected.clamp(0.0, 255.0)).abs();
                        prop_assert!(apart <= most, "{level:?}, {db} dB: {found}, not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_power_is_level_0_at_any_range() {
        for (top, dynamic_range) in [(0.0, 1000.0), (-5000.0, 80.0), (5000.0, 80.0), (20.0, 1e-6)] {
            let scale = FineScale::new(top, 0.0, dynamic_range);
            let gray = scale.gray(top).unwrap();
            for level in Level::all() {
                let numbers = level.run(Numbers(scale, &[0.0; 2 * MOST_LANES]));
                assert_eq!(numbers.map(|n| gray.level(n)), [0; 2 * MOST_LANES], "{level:?}");
            }
        }
        // Nor is there a level between the two where all there is lies far above the reference.
        let scale = FineScale::new(-5000.0, 0.0, 1e-6);
        let gray = scale.gray(-5000.0).unwrap();
        for level in Level::all() {
            let numbers = level.run(Numbers(scale, &[1e30; 2 * MOST_LANES]));
            assert_eq!(numbers.map(|n| gray.level(n)), [255; 2 * MOST_LANES], "{level:?}");
        }
    }
}
