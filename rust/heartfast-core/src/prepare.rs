//! Decoded samples into ones that a transform can take.

use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::simd::Kernel;
use crate::simd::lanes::Lanes;

/// Samples that are fit for transforming.
pub(crate) struct Prepared {
    /// The largest magnitude, before a mean went.
    pub(crate) peak: f32,
    /// What they were multiplied by.
    pub(crate) factor: f64,
    /// How many were no finite numbers, and are silence now.
    pub(crate) silenced: u64,
}

/// Makes samples fit for transforming.
pub(crate) struct Prepare<'p> {
    pub(crate) samples: &'p mut [f32],
    /// Whether the mean goes.
    pub(crate) detrend: bool,
    pub(crate) cancel: &'p Cancel,
}

impl Kernel for Prepare<'_> {
    type Output = Result<Prepared>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<Prepared> {
        let prepared = rescale(self.samples, self.cancel)?;
        if self.detrend {
            remove_mean(self.samples, self.cancel)?;
        }
        Ok(prepared)
    }
}

/// The largest magnitude, once samples that are not numbers are silenced, and how many these are:
/// they are damage, and the rest of the picture is worth having.
#[inline(always)]
fn peak(samples: &mut [f32]) -> (f32, u64) {
    // Without their sign, the bits of floats are in the order of what they mean, and those of
    // what is no finite number come last.
    let bits = |x: f32| x.to_bits() & 0x7fff_ffff;
    let mut largest = samples.iter().fold(0, |max, &x| bits(x).max(max));
    let mut silenced = 0;
    if largest >= f32::INFINITY.to_bits() {
        for x in samples.iter_mut().filter(|x| !x.is_finite()) {
            *x = 0.0;
            silenced += 1;
        }
        largest = samples.iter().fold(0, |max, &x| bits(x).max(max));
    }
    (f32::from_bits(largest), silenced)
}

/// Multiplies samples far from 1 by a power of two, so that their squares neither overflow nor
/// vanish.
#[inline(always)]
fn rescale(samples: &mut [f32], cancel: &Cancel) -> Result<Prepared> {
    let (mut max, mut silenced) = (0.0f32, 0);
    for part in samples.chunks_mut(STRIDE) {
        cancel.check()?;
        let (peak, more) = peak(part);
        max = max.max(peak);
        silenced += more;
    }
    if max == 0.0 || (1e-8..1e8).contains(&max) {
        return Ok(Prepared { peak: max, factor: 1.0, silenced });
    }
    let factor = f64::from(max).log2().floor().exp2().recip();
    for part in samples.chunks_mut(STRIDE) {
        cancel.check()?;
        for x in part {
            *x = (f64::from(*x) * factor) as f32;
        }
    }
    Ok(Prepared { peak: (f64::from(max) * factor) as f32, factor, silenced })
}

#[inline(always)]
fn remove_mean(samples: &mut [f32], cancel: &Cancel) -> Result<()> {
    let mut sum = 0.0;
    for part in samples.chunks(STRIDE) {
        cancel.check()?;
        sum = part.iter().fold(sum, |sum, &x| sum + f64::from(x));
    }
    let mean = sum / samples.len() as f64;
    for part in samples.chunks_mut(STRIDE) {
        cancel.check()?;
        for x in part {
            *x = (f64::from(*x) - mean) as f32;
        }
    }
    Ok(())
}
