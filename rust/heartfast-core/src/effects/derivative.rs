//! How fast magnitudes change.

use super::settings::Axis;
use super::{Value, copy_of};
use crate::cancel::Cancel;
use crate::error::Result;

/// The magnitude of the derivative along `axis` of each value, in units of magnitude per frame or
/// per bin: central differences, at the edges those of neighbours, as `numpy.gradient` has them.
/// Along both axes it is the length of the gradient. A few operations a value.
///
/// Spectral derivatives, here by differences instead of multitapers: O. Tchernichovski et al., "A
/// procedure for an automated measurement of song similarity", Animal Behaviour 59 (2000).
pub(super) fn derive<T: Value>(
    values: &mut [T],
    frames: usize,
    axis: Axis,
    cancel: &Cancel,
) -> Result<()> {
    let source = copy_of(values)?;
    let bins = source.len() / frames;
    let row = |bin: usize| &source[bin * frames..][..frames];
    for (bin, out) in values.chunks_exact_mut(frames).enumerate() {
        cancel.check()?;
        let here = row(bin);
        let (low, high) = (bin.saturating_sub(1), (bin + 1).min(bins - 1));
        let across = || row(high).iter().zip(row(low)).map(step(high - low));
        match axis {
            Axis::Frequency => out.iter_mut().zip(across()).for_each(|(x, d)| *x = d.abs()),
            Axis::Time => along(here, |frame, d| out[frame] = d.abs()),
            Axis::Both => {
                along(here, |frame, d| out[frame] = d);
                for (x, d) in out.iter_mut().zip(across()) {
                    let (dt, df): (f64, f64) = ((*x).into(), d.into());
                    *x = T::of((dt * dt + df * df).sqrt());
                }
            }
        }
    }
    Ok(())
}

/// Gives the derivative at each frame of a row to `sink`.
#[inline(always)]
fn along<T: Value>(row: &[T], mut sink: impl FnMut(usize, T)) {
    let last = row.len() - 1;
    for (frame, d) in (1..).zip(row.iter().skip(2).zip(row).map(step(2))) {
        sink(frame, d);
    }
    for (frame, low, high) in [(0, 0, 1.min(last)), (last, last.saturating_sub(1), last)] {
        sink(frame, step(high - low)((&row[high], &row[low])));
    }
}

/// The slope between values so far apart; none where they are the same.
#[inline(always)]
fn step<T: Value>(distance: usize) -> impl Fn((&T, &T)) -> T {
    let per_step = T::of(1.0 / distance.max(1) as f64);
    move |(&high, &low)| (high - low) * per_step
}
