//! Levels with a fraction: rows of numbers that transforms write, and what becomes of them.

use std::ops::Range;

use crate::cancel::{Cancel, STRIDE};
use crate::config::Geometry;
use crate::error::Result;
use crate::level::{FineGray, FineScale};
use crate::simd::Kernel;
use crate::simd::lane::{Complex, Sink};
use crate::simd::lanes::{Lanes, MOST_LANES};

/// The largest number of each `group` of the `count` frames in `fine`, into `grouped` from the column
/// `first` on, of which rows have so many.
pub(super) fn largest_of(
    group: usize,
    fine: &[Line],
    count: usize,
    grouped: &mut [Line],
    (first, columns): (usize, usize),
    cancel: &Cancel,
) -> Result<()> {
    for (from, to) in fine.chunks_exact(lines(count)).zip(grouped.chunks_exact_mut(lines(columns)))
    {
        cancel.check()?;
        let mut numbers = from.iter().flat_map(|line| line.0).take(count);
        for k in 0..count.div_ceil(group) {
            let largest = numbers.by_ref().take(group).fold(0, u16::max);
            let column = first + k;
            to[column / FRAMES].0[column % FRAMES] = largest;
        }
    }
    Ok(())
}

/// A cache line of numbers: as many frames as the widest vectors take at a time.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Line([u16; FRAMES]);

/// Frames in a line.
const FRAMES: usize = 2 * MOST_LANES;

/// Lines from one row to the next: not as many as would put neighbouring rows into the same place
/// of a cache.
pub(super) fn lines(frames: usize) -> usize {
    let lines = frames.div_ceil(FRAMES);
    lines + usize::from(lines.is_multiple_of(16))
}

/// Rows of a [`FineScale`]'s numbers, the picture's order: the highest bin first, a frame a
/// number.
pub(super) struct Numbers<'n> {
    rows: &'n mut [Line],
    geometry: Geometry,
    /// The first frame, and the one behind the last.
    first: usize,
    end: usize,
    stride: usize,
    scale: FineScale,
    /// The largest power so far: several, because each must wait for itself.
    max: [[f32; MOST_LANES]; CHAINS],
}

/// Maxima side by side.
const CHAINS: usize = 4;

impl<'n> Numbers<'n> {
    pub(super) fn new(
        rows: &'n mut [Line],
        geometry: Geometry,
        Range { start: first, end }: Range<usize>,
        scale: FineScale,
    ) -> Self {
        let max = [[0.0; MOST_LANES]; CHAINS];
        Self { rows, geometry, first, end, stride: lines(end - first), scale, max }
    }

    pub(super) fn max(&self) -> f32 {
        self.max.as_flattened().iter().copied().fold(0.0, f32::max)
    }
}

impl Sink for Numbers<'_> {
    #[inline(always)]
    fn take<V: Lanes>(&mut self, bin: usize, frame: usize, [a, b]: [Complex<V>; 2]) {
        let mut first = a.re.mul_add(a.re, a.im.mul(a.im));
        let mut second = b.re.mul_add(b.re, b.im.mul(b.im));
        if frame + 2 * V::COUNT > self.end {
            // What lies behind the last frame is none.
            first = first.before(self.end - frame);
            second = second.before(self.end.saturating_sub(frame + V::COUNT));
        }
        let max = &mut self.max[bin % CHAINS];
        first.max(second).max(V::load(max, 0)).store(max, 0);
        let Geometry { first_bin, last_bin, .. } = self.geometry;
        if (first_bin..=last_bin).contains(&bin) {
            let frame = frame - self.first;
            let line = &mut self.rows[(last_bin - bin) * self.stride + frame / FRAMES];
            let numbers = [self.scale.of(first), self.scale.of(second)];
            V::store_u16(numbers, &mut line.0, frame % FRAMES);
        }
    }
}

/// Rows of numbers into rows of gray.
pub(super) struct Quantise<'q> {
    pub(super) fine: &'q [Line],
    pub(super) stride: usize,
    pub(super) gray: FineGray,
    pub(super) flip: u8,
    pub(super) rows: &'q mut [u8],
    pub(super) width: usize,
    pub(super) cancel: &'q Cancel,
}

impl Kernel for Quantise<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { fine, stride, gray, flip, rows, width, cancel } = self;
        for (row, lines) in rows.chunks_exact_mut(width).zip(fine.chunks(stride)) {
            for (row, lines) in row.chunks_mut(STRIDE).zip(lines.chunks(STRIDE / FRAMES)) {
                cancel.check()?;
                // Whole registers of bytes at a time.
                let (levels, rest) = row.as_chunks_mut::<FRAMES>();
                for (levels, line) in levels.iter_mut().zip(lines) {
                    for (level, &number) in levels.iter_mut().zip(&line.0) {
                        *level = gray.level(number) ^ flip;
                    }
                }
                if let Some(line) = lines.get(levels.len()) {
                    for (level, &number) in rest.iter_mut().zip(&line.0) {
                        *level = gray.level(number) ^ flip;
                    }
                }
            }
        }
        Ok(())
    }
}
