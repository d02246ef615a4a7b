//! The median of each value's neighbourhood.

use super::{Value, reflect};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::memory::fit;
use crate::simd::lanes::Lanes;
use crate::simd::{Kernel, dispatch};

/// Neighbouring frames whose medians are found side by side.
const SIDE: usize = 16;

/// The medians of `size` frames and bins around each value, odd numbers; beyond the edges is the
/// mirror image. As a median keeps any order, these are the medians in dB, too.
///
/// J. W. Tukey, "Exploratory data analysis" (1977). By forgetful selection: of half of the values
/// and two, neither the least nor the largest can be the median, and make room for the next one.
/// About r^2 / 8 comparisons a value for 2 r + 1 values.
pub(super) fn filter<T: Value>(
    values: &mut [T],
    frames: usize,
    size: (usize, usize),
    cancel: &Cancel,
) -> Result<()> {
    if size == (1, 1) {
        return Ok(());
    }
    let before = (size.0 / 2) as isize;
    let width = frames.next_multiple_of(SIDE) + size.0 - 1;
    let mut source = Vec::new();
    fit(&mut source, values.len() / frames * width, cancel)?;
    for (row, wide) in values.chunks_exact(frames).zip(source.chunks_exact_mut(width)) {
        cancel.check()?;
        for (x, i) in wide.iter_mut().zip(-before..) {
            *x = row[reflect(i, frames)];
        }
    }
    dispatch(Filter { source: &source, width, values, frames, size, cancel })
}

struct Filter<'f, T> {
    /// The values, with as many frames more on both sides as the medians need.
    source: &'f [T],
    width: usize,
    values: &'f mut [T],
    frames: usize,
    size: (usize, usize),
    cancel: &'f Cancel,
}

impl<T: Value> Kernel for Filter<'_, T> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { source, width, values, frames, size, cancel } = self;
        let bins = values.len() / frames;
        let count = size.0 * size.1;
        let mut kept = vec![[T::zero(); SIDE]; count / 2 + 2];
        let mut places = vec![0; count];
        for (bin, row) in values.chunks_exact_mut(frames).enumerate() {
            for (i, place) in places.iter_mut().enumerate() {
                let y = reflect((bin + i / size.0) as isize - (size.1 / 2) as isize, bins);
                *place = y * width + i % size.0;
            }
            for (part, medians) in row.chunks_mut(SIDE).enumerate() {
                cancel.check()?;
                let neighbour = |i: usize| {
                    let side = &source[places[i] + part * SIDE..][..SIDE];
                    std::array::from_fn(|lane| side[lane])
                };
                for (i, place) in kept.iter_mut().enumerate() {
                    *place = neighbour(i);
                }
                let (mut left, mut least) = (kept.len(), kept[0]);
                for i in kept.len()..=count {
                    // The least and the largest of those that are left go.
                    let mut largest = max(least, kept[left - 1]);
                    least = min(least, kept[left - 1]);
                    for place in &mut kept[1..left - 1] {
                        let larger = max(least, *place);
                        least = min(least, *place);
                        *place = min(larger, largest);
                        largest = max(larger, largest);
                    }
                    left -= 1;
                    if i < count {
                        least = neighbour(i);
                    }
                }
                // Three were left, of which this is the middle one.
                medians.copy_from_slice(&kept[1][..medians.len()]);
            }
        }
        Ok(())
    }
}

// By value, because the compiler makes vectors only of what cannot overlap.

#[inline(always)]
fn min<T: Value>(a: [T; SIDE], b: [T; SIDE]) -> [T; SIDE] {
    std::array::from_fn(|i| if b[i] < a[i] { b[i] } else { a[i] })
}

#[inline(always)]
fn max<T: Value>(a: [T; SIDE], b: [T; SIDE]) -> [T; SIDE] {
    std::array::from_fn(|i| if b[i] < a[i] { a[i] } else { b[i] })
}
