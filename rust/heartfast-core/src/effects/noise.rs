//! Subtraction of what is always there: noise, and quantiles of each bin.

use super::{Value, copy_of};
use crate::cancel::Cancel;
use crate::error::Result;

/// Spectral subtraction: `strength` times the mean spectrum of the noisiest frames, `percent` of
/// all (at least one), is subtracted from every frame; below zero is zero. The noisiest frames
/// are those whose spectra have the highest entropy; silent ones have none.
///
/// S. F. Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE Trans.
/// ASSP 27 (1979). One logarithm a value.
pub(super) fn reduce<T: Value>(
    values: &mut [T],
    frames: usize,
    strength: f64,
    percent: f64,
    cancel: &Cancel,
) -> Result<()> {
    let entropies = entropies(values, frames, cancel)?;
    let mut noisy: Vec<usize> = (0..frames).filter(|&f| entropies[f] >= 0.0).collect();
    // Of equal ones the first: the sort is stable.
    noisy.sort_by(|&a, &b| entropies[b].total_cmp(&entropies[a]));
    noisy.truncate(((percent / 100.0 * frames as f64).ceil() as usize).max(1));
    for row in values.chunks_exact_mut(frames) {
        cancel.check()?;
        let sum: f64 = noisy.iter().map(|&frame| row[frame].into()).sum();
        subtract(row, T::of(strength * sum / noisy.len().max(1) as f64));
    }
    Ok(())
}

/// Shannon's entropy in bits of each frame's power spectrum as a distribution; -1 for silence.
fn entropies<T: Value>(values: &[T], frames: usize, cancel: &Cancel) -> Result<Vec<f64>> {
    let max = values.iter().fold(0.0, |max: f64, &m| max.max(m.into()));
    // Relative to the maximum, so that squares of any magnitudes are numbers.
    let unit = if max > 0.0 { max.recip() } else { 0.0 };
    let mut sums = vec![(0.0f64, 0.0f64); frames];
    for row in values.chunks_exact(frames) {
        cancel.check()?;
        for ((sum, weighted), &m) in sums.iter_mut().zip(row) {
            let p = (m.into() * unit).powi(2);
            *sum += p;
            // Less than any normal number is nothing, and has no logarithm.
            *weighted += p * p.max(f64::MIN_POSITIVE).log2();
        }
    }
    let entropy = |(sum, weighted): (f64, f64)| {
        // Of one bin alone it is zero, but for rounding.
        if sum > 0.0 { (sum.log2() - weighted / sum).max(0.0) } else { -1.0 }
    };
    Ok(sums.into_iter().map(entropy).collect())
}

/// Subtracts from each bin its `q`-quantile over all frames, interpolated linearly between
/// neighbouring values (type 7 of Hyndman and Fan, "Sample quantiles in statistical packages",
/// The American Statistician 50 (1996)); below zero is zero. A selection for each row.
pub(super) fn subtract_quantile<T: Value>(
    values: &mut [T],
    frames: usize,
    q: f64,
    cancel: &Cancel,
) -> Result<()> {
    let mut sorted = copy_of(&values[..frames])?;
    let at = q * (frames - 1) as f64;
    let part = T::of(at.fract());
    for row in values.chunks_exact_mut(frames) {
        cancel.check()?;
        sorted.copy_from_slice(row);
        let (_, &mut below, rest) = sorted.select_nth_unstable_by(at as usize, T::total_cmp);
        let above = rest.iter().copied().min_by(T::total_cmp).unwrap_or(below);
        subtract(row, below + (above - below) * part);
    }
    Ok(())
}

fn subtract<T: Value>(row: &mut [T], x: T) {
    for m in row {
        let left = *m - x;
        *m = if left > T::zero() { left } else { T::zero() };
    }
}
