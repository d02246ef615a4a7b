//! How a transform's length is taken apart, and where each number stands on the way.
//!
//! A length is a product of powers of different primes, its groups. Between groups there are no
//! twiddle factors: sample n of N is digit `n_g` of group `g` with `n = sum n_g N / G mod N`, and
//! bin k has the digits `k mod G` (Good 1958, Thomas 1963). Within a group, stages follow Cooley
//! and Tukey (1965), and bins come out with their digits reversed, which is the table's work, not
//! the transform's.
//!
//! The stages are those of a column and, after the last of them, those of a row: the numbers
//! are `rows x columns` in memory, so that both halves of the work stay in the nearest cache.

use std::f64::consts::PI;

use super::radix::RADICES;
use crate::simd::lanes::Lanes;

/// The longest transform that is worth it: the working memory, 128 bytes a number and more, has to
/// stay in a core's own cache.
pub(crate) const MAX_LENGTH: usize = 1 << 15;

/// One pass of butterflies over a column or a row.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) radix: usize,
    /// Numbers from one input of a butterfly to the next, in its column or row.
    pub(super) step: usize,
    /// Times that there are `step` butterflies side by side.
    pub(super) butterflies: usize,
    /// Factors of each butterfly's outputs, [re, im], for `step` butterflies; of every column by
    /// itself where `per_column`. Empty for none.
    pub(super) twiddles: Vec<[f32; 2]>,
    pub(super) per_column: bool,
}

/// Two rows that have each other's mirrored bins, or one that has its own.
#[derive(Debug)]
pub(super) struct RowPair {
    pub(super) rows: [usize; 2],
    pub(super) bins: Vec<Bin>,
    /// More than any place in `bins`.
    pub(super) places: usize,
}

/// A bin, and the places of its value and of bin N - k's in the rows of its pair.
#[derive(Debug)]
pub(super) struct Bin {
    pub(super) bin: u32,
    pub(super) at: u32,
    pub(super) mirror: u32,
}

/// A length taken apart.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) column_stages: Vec<Stage>,
    pub(super) row_stages: Vec<Stage>,
    /// Which sample each input of the columns is: column by column.
    pub(super) samples: Vec<u32>,
    pub(super) pairs: Vec<RowPair>,
}

/// One digit of an index.
#[derive(Clone, Copy)]
struct Digit {
    radix: usize,
    /// The group's length, and the part of it that this and the following digits make.
    group: usize,
    rest: usize,
}

impl Plan {
    /// A plan for `n` points, or nothing for a length with other prime factors than 2, 3, 5 and 7,
    /// below 4 or above [`MAX_LENGTH`].
    pub(super) fn new(n: usize) -> Option<Self> {
        let digits = digits(n)?;
        let split = (1..digits.len()).min_by_key(|&at| {
            let rows: usize = digits[..at].iter().map(|d| d.radix).product();
            // Columns have an extra buffer less; near square is best.
            rows.max(n / rows)
        })?;
        let rows: usize = digits[..split].iter().map(|d| d.radix).product();
        let columns = n / rows;

        // The sample and the bin at each place.
        let mut samples = vec![0; n];
        let mut places = vec![0; n];
        for place in 0..n {
            let values = split_place(place, &digits);
            let (sample, bin) = sample_and_bin(n, &digits, &values);
            samples[place % columns * rows + place / columns] = sample as u32;
            places[bin] = place;
        }

        let stage = |i: usize, end: usize, is_column: bool| {
            let d = digits[i];
            let step: usize = digits[i + 1..end].iter().map(|d| d.radix).product();
            // Digits of the same group that follow, in this half and in the other.
            let per_column = is_column && digits[split..].iter().any(|o| o.group == d.group);
            let butterflies = if is_column { rows } else { columns } / (d.radix * step);
            let mut twiddles = Vec::new();
            if d.rest > d.radix {
                for column in 0..if per_column { columns } else { 1 } {
                    for butterfly in 0..step {
                        let place =
                            if is_column { butterfly * columns + column } else { butterfly };
                        let values = split_place(place, &digits);
                        let following = digits[i + 1..].iter().zip(&values[i + 1..]);
                        let m = following
                            .filter(|(o, _)| o.group == d.group)
                            .fold(0, |m, (o, value)| m * o.radix + value);
                        twiddles.extend((0..d.radix).map(|k| {
                            let angle = -2.0 * PI * (k * m % d.rest) as f64 / d.rest as f64;
                            [angle.cos() as f32, angle.sin() as f32]
                        }));
                    }
                }
            }
            Stage { radix: d.radix, step, butterflies, twiddles, per_column }
        };
        let column_stages = (0..split).map(|i| stage(i, split, true)).collect();
        let row_stages = (split..digits.len()).map(|i| stage(i, digits.len(), false)).collect();

        let mut pairs: Vec<RowPair> = Vec::new();
        let mut pair_of = vec![usize::MAX; rows];
        for bin in 0..=n / 2 {
            let (at, mirror) = (places[bin], places[(n - bin) % n]);
            let (row, mirror_row) = (at / columns, mirror / columns);
            if pair_of[row] == usize::MAX {
                pair_of[row] = pairs.len();
                pair_of[mirror_row] = pairs.len();
                pairs.push(RowPair { rows: [row, mirror_row], bins: Vec::new(), places: 0 });
            }
            let pair = &mut pairs[pair_of[row]];
            let within = |place: usize| {
                let second = place / columns != pair.rows[0];
                (place % columns + if second { columns } else { 0 }) as u32
            };
            let (at, mirror) = (within(at), within(mirror));
            pair.places = pair.places.max(at.max(mirror) as usize + 1);
            pair.bins.push(Bin { bin: bin as u32, at, mirror });
        }
        Some(Self { rows, columns, column_stages, row_stages, samples, pairs })
    }

    /// Numbers from a row of the grid to the next: a cache line more than it has, because lines
    /// a power of two apart would drive each other out of the cache.
    pub(super) fn grid_stride<V: Lanes>(&self) -> usize {
        self.columns * 2 * V::COUNT + 16
    }
}

/// The digits of an index below `n`, those of a group side by side.
fn digits(n: usize) -> Option<Vec<Digit>> {
    if !(4..=MAX_LENGTH).contains(&n) {
        return None;
    }
    let mut digits = Vec::new();
    let mut left = n;
    for prime in [2, 3, 5, 7] {
        let mut group = 1;
        while left.is_multiple_of(prime) {
            left /= prime;
            group *= prime;
        }
        let mut rest = group;
        while rest > 1 {
            let radix = next_radix(prime, rest);
            digits.push(Digit { radix, group, rest });
            rest /= radix;
        }
    }
    // Two halves have at least a digit each.
    (left == 1 && digits.len() > 1).then_some(digits)
}

/// The next factor of a power of a prime.
fn next_radix(prime: usize, rest: usize) -> usize {
    let radix = match (prime, rest) {
        (2, 2 | 4 | 8) => rest,
        (2, 16 | 32) => 4,
        (2, _) => 8,
        (3, 3) => 3,
        (3, _) => 9,
        _ => prime,
    };
    debug_assert!(RADICES.contains(&radix));
    radix
}

fn split_place(mut place: usize, digits: &[Digit]) -> Vec<usize> {
    let mut values = vec![0; digits.len()];
    for (value, digit) in values.iter_mut().zip(digits).rev() {
        *value = place % digit.radix;
        place /= digit.radix;
    }
    values
}

/// Which sample goes in, and which bin comes out, at the place with these digits.
fn sample_and_bin(n: usize, digits: &[Digit], values: &[usize]) -> (usize, usize) {
    let (mut sample, mut bin) = (0, 0);
    let mut i = 0;
    while i < digits.len() {
        let group = digits[i].group;
        let (mut group_sample, mut group_bin, mut weight) = (0, 0, 1);
        while i < digits.len() && digits[i].group == group {
            group_sample = group_sample * digits[i].radix + values[i];
            group_bin += values[i] * weight;
            weight *= digits[i].radix;
            i += 1;
        }
        sample += n / group * group_sample;
        bin += n / group * (group_bin * inverse(n / group % group, group) % group);
    }
    (sample % n, bin % n)
}

/// The number whose product with `a` is 1 modulo `m`; the two have no common factor.
fn inverse(a: usize, m: usize) -> usize {
    (1..=m).find(|x| a * x % m == 1 % m).unwrap_or(1)
}
