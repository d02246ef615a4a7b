//! Gaussian smoothing, and the unsharp mask that it gives, both of levels.

use super::{Value, copy_of, reflect};
use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::simd::lanes::Lanes;
use crate::simd::{Kernel, dispatch};

/// Smooths levels with a Gaussian of these standard deviations in frames and bins, cut off at
/// four of them; beyond the edges is the mirror image. Levels below `floor` count as that, since
/// silence has none.
///
/// In dB, as pictures show them: in magnitudes a single loud bin would outshine the tails of all
/// others over four standard deviations. A logarithm, an exponential and 4 sigma + 1
/// multiplications along each axis a value.
pub(super) fn blur<T: Value>(
    values: &mut [T],
    frames: usize,
    floor: f64,
    sigma: (f64, f64),
    cancel: &Cancel,
) -> Result<()> {
    on_levels(values, floor, cancel, |levels| smooth(levels, frames, sigma, cancel))
}

/// The unsharp mask: levels and once more what they have beyond the smoothed ones of [`blur`].
pub(super) fn sharpen<T: Value>(
    values: &mut [T],
    frames: usize,
    floor: f64,
    sigma: (f64, f64),
    cancel: &Cancel,
) -> Result<()> {
    on_levels(values, floor, cancel, |levels| {
        let mut smoothed = copy_of(levels)?;
        smooth(&mut smoothed, frames, sigma, cancel)?;
        for (level, &smoothed) in levels.iter_mut().zip(&smoothed) {
            *level = *level + (*level - smoothed);
        }
        Ok(())
    })
}

/// Lets `work` change the binary logarithms of magnitudes; silence stays what it is.
fn on_levels<T: Value>(
    values: &mut [T],
    floor: f64,
    cancel: &Cancel,
    work: impl FnOnce(&mut [T]) -> Result<()>,
) -> Result<()> {
    let floor = T::of(floor);
    if floor.partial_cmp(&T::zero()) != Some(std::cmp::Ordering::Greater) {
        return Ok(());
    }
    for part in values.chunks_mut(STRIDE) {
        cancel.check()?;
        for m in part {
            let shown = if *m > floor { *m } else { floor };
            *m = shown.log2();
        }
    }
    work(values)?;
    for part in values.chunks_mut(STRIDE) {
        cancel.check()?;
        for level in part {
            *level = level.exp2();
        }
    }
    Ok(())
}

fn smooth<T: Value>(
    values: &mut [T],
    frames: usize,
    (in_time, in_frequency): (f64, f64),
    cancel: &Cancel,
) -> Result<()> {
    if let Some(weights) = gaussian(in_time) {
        // Each row with as much of its mirror image as the Gaussian reaches.
        let reach = weights.len() - 1;
        let mut wide = vec![T::zero(); frames + 2 * reach];
        for row in values.chunks_exact_mut(frames) {
            for (x, i) in wide.iter_mut().zip(-(reach as isize)..) {
                *x = row[reflect(i, frames)];
            }
            let tap = |i: isize| &wide[reach.wrapping_add_signed(i)..][..frames];
            dispatch(Taps { out: row, weights: &weights, tap, cancel })?;
        }
    }
    if let Some(weights) = gaussian(in_frequency) {
        let source = copy_of(values)?;
        let bins = source.len() / frames;
        for (bin, row) in values.chunks_exact_mut(frames).enumerate() {
            let tap = |i: isize| &source[reflect(bin as isize + i, bins) * frames..][..frames];
            dispatch(Taps { out: row, weights: &weights, tap, cancel })?;
        }
    }
    Ok(())
}

/// The weights of a Gaussian from its middle on, which with their mirror image sum to 1; none
/// where it is no wider than one value.
fn gaussian<T: Value>(sigma: f64) -> Option<Vec<T>> {
    let reach = (4.0 * sigma + 0.5) as usize;
    let weight = |i: usize| (-0.5 * (i as f64 / sigma).powi(2)).exp();
    let sum = 1.0 + 2.0 * (1..=reach).map(weight).sum::<f64>();
    (reach > 0).then(|| (0..=reach).map(|i| T::of(weight(i) / sum)).collect())
}

/// A weighted sum of rows on both sides of one.
struct Taps<'t, T, F> {
    out: &'t mut [T],
    weights: &'t [T],
    tap: F,
    cancel: &'t Cancel,
}

impl<'s, T: Value, F: Fn(isize) -> &'s [T]> Kernel for Taps<'_, T, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { out, weights, tap, cancel } = self;
        for (x, &middle) in out.iter_mut().zip(tap(0)) {
            *x = middle * weights[0];
        }
        for (i, &weight) in (1..).zip(&weights[1..]) {
            cancel.check()?;
            for ((x, &a), &b) in out.iter_mut().zip(tap(-i)).zip(tap(i)) {
                *x = *x + (a + b) * weight;
            }
        }
        Ok(())
    }
}
