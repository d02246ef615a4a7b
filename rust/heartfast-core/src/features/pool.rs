//! A picture's pixels into the level and power of bands over time.

use crate::cancel::Cancel;
use crate::error::Result;
use crate::features::numbers::{mean_of, quantiles};
use crate::features::{BANDS, COLUMN_S, LEAST_COLUMNS, Scale};
use crate::memory::fit;
use crate::simd::lanes::Lanes;
use crate::simd::{Kernel, dispatch};

/// The band layout is nearly linear below it, logarithmic above.
const CORNER_HZ: f64 = 200.0;

/// Bands over time, the lowest first.
pub(super) struct Bands {
    /// Mean decibels, above the recording's own 90th percentile.
    pub(super) decibels: Vec<f64>,
    /// Mean power.
    pub(super) power: Vec<f64>,
    pub(super) columns: usize,
    /// Seconds from one column to the next.
    pub(super) step: f64,
}

impl Bands {
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) if there is no memory for them;
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub(super) fn new(
        levels: &[u8],
        (height, width): (usize, usize),
        scale: &Scale,
        cancel: &Cancel,
    ) -> Result<Self> {
        // Provenance that was forged may say anything.
        let seconds = within(scale.seconds_per_column, 1e-6, 10.0);
        let range_db = within(scale.range_db, 1.0, 400.0);
        let factor = (COLUMN_S / seconds).round_ties_even().max(1.0) as usize;
        let table: [f64; 256] =
            std::array::from_fn(|level| 10f64.powf((level as f64 / 255.0 - 1.0) * range_db / 10.0));
        let columns = width.div_ceil(factor).max(LEAST_COLUMNS);
        let (mut decibels, mut power) = (Vec::new(), Vec::new());
        fit(&mut decibels, BANDS * columns, cancel)?;
        fit(&mut power, BANDS * columns, cancel)?;
        let (mut sums, mut powers) = (Vec::new(), Vec::new());
        fit(&mut sums, width, cancel)?;
        fit(&mut powers, width, cancel)?;
        for (band, (start, end)) in edges(scale, height).into_iter().enumerate() {
            sums.fill(0u32);
            powers.fill(0.0);
            // From the bottom up.
            for row in (height - end..height - start).rev() {
                cancel.check()?;
                let row = &levels[row * width..(row + 1) * width];
                dispatch(AddRow { row, table: &table, sums: &mut sums, powers: &mut powers });
            }
            let rows = (end - start) as f64;
            let part = band * columns..(band + 1) * columns;
            let level = |sum: &u32| f64::from(*sum) / rows * (range_db / 255.0);
            average(sums.iter().map(level), factor, &mut decibels[part.clone()]);
            average(powers.iter().map(|sum| sum / rows), factor, &mut power[part]);
        }
        let loudness = mean_of(decibels.chunks_exact(columns));
        let [loud] = quantiles(&loudness, [0.9]);
        decibels.iter_mut().for_each(|x| *x -= loud);
        Ok(Self { decibels, power, columns, step: seconds * factor as f64 })
    }
}

/// The first row of each band and the one after its last, counted from the bottom.
fn edges(scale: &Scale, height: usize) -> [(usize, usize); BANDS] {
    let bottom = within(scale.bottom_hz, 0.0, 1e300);
    let top = scale.top_hz.max(bottom).min(1e300);
    let (low, high) = ((bottom / CORNER_HZ).ln_1p(), (top / CORNER_HZ).ln_1p());
    let step = (high - low) / BANDS as f64;
    let first = |band: usize| {
        let hertz = (low + band as f64 * step).exp_m1() * CORNER_HZ;
        let row = (hertz - bottom) / (top - bottom).max(1e-9) * height as f64;
        (row.round_ties_even().max(0.0) as usize).min(height - 1)
    };
    std::array::from_fn(|band| {
        let next = if band + 1 < BANDS { first(band + 1) } else { height };
        (first(band), next.max(first(band) + 1))
    })
}

/// Adds a row of pixels to sums of levels and of powers.
struct AddRow<'r> {
    row: &'r [u8],
    table: &'r [f64; 256],
    sums: &'r mut [u32],
    powers: &'r mut [f64],
}

impl Kernel for AddRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for (sum, &level) in self.sums.iter_mut().zip(self.row) {
            *sum += u32::from(level);
        }
        for (power, &level) in self.powers.iter_mut().zip(self.row) {
            *power += self.table[usize::from(level)];
        }
    }
}

/// Averages groups of so many values; what has more room than there are groups is continued with
/// the last one.
fn average(mut values: impl ExactSizeIterator<Item = f64>, factor: usize, out: &mut [f64]) {
    let mut last = 0.0;
    for out in out {
        let count = factor.min(values.len());
        if count > 0 {
            last = values.by_ref().take(count).sum::<f64>() / count as f64;
        }
        *out = last;
    }
}

/// A number brought between two borders; the lower one if it is none, which `clamp` would keep.
fn within(x: f64, low: f64, high: f64) -> f64 {
    x.max(low).min(high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{average, edges};
    use crate::features::Scale;

    proptest! {
        #[test]
        fn bands_take_rows_that_are_there(
            bottom_hz in prop_oneof![Just(0.0), any::<f64>()],
            top_hz in any::<f64>(),
            height in 1usize..70_000,
        ) {
            for (start, end) in edges(&Scale { bottom_hz, top_hz, ..Scale::FOREIGN }, height) {
                prop_assert!(start < end && end <= height);
            }
        }

        #[test]
        fn averaging_keeps_the_mean(values in proptest::collection::vec(-1e3..1e3, 1..99), factor in 1usize..9) {
            let mut out = vec![0.0; values.len().div_ceil(factor)];
            average(values.iter().copied(), factor, &mut out);
            let whole = out.len() - usize::from(values.len() % factor > 0);
            let expected: f64 = values[..whole * factor].iter().sum();
            let sum: f64 = out[..whole].iter().sum::<f64>() * factor as f64;
            prop_assert!((sum - expected).abs() < 1e-9);
        }
    }
}
