//! PNG's filters (PNG, 9.2): each row less what its neighbours let expect.

use std::ops::Range;

/// A filter, by its number in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    None = 0,
    Sub = 1,
    Up = 2,
    Average = 3,
    Paeth = 4,
}

/// The rows of a picture as bytes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'r> {
    pub(super) pixels: &'r [u8],
    /// Bytes in a row.
    pub(super) stride: usize,
    /// Bytes in a pixel: so far to the left is a byte's neighbour.
    pub(super) step: usize,
}

impl<'r> Rows<'r> {
    pub(super) fn len(&self) -> usize {
        self.pixels.len() / self.stride
    }

    fn row(&self, y: usize) -> &'r [u8] {
        &self.pixels[y * self.stride..][..self.stride]
    }

    /// Writes the filtered bytes of row `y` from byte `x` on.
    #[inline(always)]
    pub(super) fn filter(&self, filter: Filter, y: usize, x: usize, out: &mut [u8]) {
        let range = x..x + out.len();
        let row = &self.row(y)[range.clone()];
        let up = if y > 0 { &self.row(y - 1)[range] } else { &[] };
        // Bytes of the first pixel have nothing to their left.
        let edge = self.step.saturating_sub(x).min(row.len());
        for k in 0..edge {
            out[k] = row[k].wrapping_sub(match filter.of_row(y) {
                Filter::None | Filter::Sub => 0,
                Filter::Up | Filter::Paeth => up[k],
                Filter::Average => up[k] / 2,
            });
        }
        let (out, row) = (&mut out[edge..], &row[edge..]);
        if row.is_empty() {
            return;
        }
        let left = &self.row(y)[x + edge - self.step..];
        let pairs = out.iter_mut().zip(row);
        match filter.of_row(y) {
            Filter::None => out.copy_from_slice(row),
            Filter::Sub => pairs.zip(left).for_each(|((o, x), l)| *o = x.wrapping_sub(*l)),
            Filter::Up => pairs.zip(&up[edge..]).for_each(|((o, x), u)| *o = x.wrapping_sub(*u)),
            Filter::Average => {
                for (((o, x), l), u) in pairs.zip(left).zip(&up[edge..]) {
                    // Half of the sum, without its ninth bit.
                    *o = x.wrapping_sub((l & u) + ((l ^ u) >> 1));
                }
            }
            Filter::Paeth => {
                let corner = &self.row(y - 1)[x + edge - self.step..];
                for ((((o, x), &l), &u), &c) in pairs.zip(left).zip(&up[edge..]).zip(corner) {
                    *o = x.wrapping_sub(paeth(l, u, c));
                }
            }
        }
    }

    /// The candidate that promises the shortest code for these rows, by the entropy of a sample
    /// of about `sample` of their bytes.
    #[inline(always)]
    pub(super) fn choose<const C: usize>(
        &self,
        candidates: &[Filter; C],
        rows: Range<usize>,
        sample: usize,
    ) -> Filter {
        const PIECE: usize = 64;
        // The first row, filtered without one above, is not like the others.
        let rows = if rows.len() > 1 { rows.start.max(1)..rows.end } else { rows };
        let piece = PIECE.min(self.stride);
        let per_row = self.stride / piece;
        let there = rows.len() * per_row;
        let pieces = there.min(sample / piece).max(1);
        // Candidate by candidate a count would wait for the one before it.
        let mut counts = [[0u32; 256]; C];
        for k in 0..pieces {
            // Spread over rows and, by a step that is no fraction of anything, columns.
            let place = k * there / pieces;
            let y = rows.start + place / per_row;
            let x = if pieces == there { place % per_row } else { k * 7919 % per_row };
            let mut filtered = [[0; C]; PIECE];
            let mut one = [0; PIECE];
            for (c, &filter) in candidates.iter().enumerate() {
                self.filter(filter, y, x * piece, &mut one[..piece]);
                for (all, one) in filtered.iter_mut().zip(one) {
                    all[c] = one;
                }
            }
            for bytes in &filtered[..piece] {
                for (counts, &byte) in counts.iter_mut().zip(bytes) {
                    counts[usize::from(byte)] += 1;
                }
            }
        }
        let orders = counts.each_ref().map(order);
        let best = (0..C).rev().max_by_key(|&c| orders[c]).unwrap_or(0);
        candidates[best]
    }
}

impl Filter {
    /// What the filter comes to in row `y`: the first has none above it.
    fn of_row(self, y: usize) -> Self {
        match self {
            Self::Up | Self::Average if y == 0 => Self::None,
            Self::Paeth if y == 0 => Self::Sub,
            filter => filter,
        }
    }

    /// The byte in front of row `y`.
    pub(super) fn number(self, y: usize) -> u8 {
        self.of_row(y) as u8
    }
}

/// The neighbour that is nearest to left + above - corner; of equals the first in this order.
#[inline(always)]
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [l, u, c] = [left, above, corner].map(i16::from);
    let (to_left, to_above, to_corner) = ((u - c).abs(), (l - c).abs(), (l + u - 2 * c).abs());
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}

/// The sum of n log2 n in units of [`log`]: of counts with the same sum, the higher, the lower
/// their entropy.
#[inline(always)]
pub(super) fn order(counts: &[u32; 256]) -> u64 {
    counts.iter().map(|&n| u64::from(n) * u64::from(log(n))).sum()
}

/// The logarithm to base 2, with [`LOG_BITS`] bits behind the point; of 0, 0.
///
/// The bits of a float are its logarithm, but for a constant, and a line in place of the curve
/// between powers of two. An integer, so that sums are the same in any order.
#[inline(always)]
pub(super) fn log(n: u32) -> u32 {
    (n as f32).to_bits().saturating_sub(1.0f32.to_bits()) >> (23 - LOG_BITS)
}

/// See [`log`].
pub(super) const LOG_BITS: u32 = 11;
