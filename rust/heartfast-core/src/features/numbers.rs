//! Sums, quantiles and interpolation of a few hundred numbers.

/// The sum of the products of neighbours in two rows, as far as the shorter one goes.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    // Several sums, for the CPU has several adders.
    let (a, a_rest) = a[..length].as_chunks::<8>();
    let (b, b_rest) = b[..length].as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

#[inline(always)]
pub(super) fn mean(values: &[f64]) -> f64 {
    let (parts, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for part in parts {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x;
        }
    }
    (sums.iter().sum::<f64>() + rest.iter().sum::<f64>()) / values.len() as f64
}

/// The standard deviation around a mean that is known.
#[inline(always)]
pub(super) fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (squares / values.len() as f64).sqrt()
}

/// The values less their mean.
pub(super) fn centred(values: &[f64]) -> Vec<f64> {
    let mean = mean(values);
    values.iter().map(|x| x - mean).collect()
}

/// The mean of rows, column by column.
pub(super) fn mean_of<'r>(rows: impl ExactSizeIterator<Item = &'r [f64]>) -> Vec<f64> {
    let count = rows.len() as f64;
    let mut sums: Vec<f64> = Vec::new();
    for row in rows {
        if sums.is_empty() {
            sums = row.to_vec();
        } else {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
    sums.iter_mut().for_each(|sum| *sum /= count);
    sums
}

/// Mean absolute difference of neighbours.
pub(super) fn change(values: &[f64]) -> f64 {
    let sum: f64 = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    sum / (values.len() - 1) as f64
}

/// Nearest-rank quantiles; the fractions ascend.
pub(super) fn quantiles<const N: usize>(values: &[f64], fractions: [f64; N]) -> [f64; N] {
    let mut room: Vec<i64> = values.iter().map(|&x| key(x)).collect();
    let mut found = [0.0; N];
    let mut end = room.len();
    for (found, fraction) in found.iter_mut().zip(fractions).rev() {
        let rank = (fraction * (values.len() - 1) as f64).round_ties_even() as usize;
        // What was selected before stands at its rank, with all that is smaller before it.
        if rank < end {
            room[..end].select_nth_unstable(rank);
            end = rank;
        }
        *found = value(room[rank]);
    }
    found
}

/// A whole number of the same order: faster to compare.
fn key(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn value(key: i64) -> f64 {
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
}

/// A row at a place between its values, from 0 on; beyond the last it is the last.
pub(super) fn interpolate(row: &[f64], place: f64) -> f64 {
    let last = row.len() - 1;
    if place >= last as f64 {
        return row[last];
    }
    let before = place as usize;
    row[before] + (row[before + 1] - row[before]) * (place - before as f64)
}

/// `count` whole numbers evenly spread from 0 to `last`, by this rounding.
pub(super) fn spread(last: usize, count: usize, whole: fn(f64) -> f64) -> Vec<usize> {
    if count < 2 {
        return vec![0; count];
    }
    let step = last as f64 / (count - 1) as f64;
    let mut places: Vec<usize> = (0..count).map(|i| whole(i as f64 * step) as usize).collect();
    places[count - 1] = last;
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{dot, interpolate, quantiles, spread};

    fn numbers() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(-1e6..1e6, 1..80)
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_sorted_values(
            values in numbers(), low in 0.0..0.5, high in 0.5..1.0,
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |f: f64| sorted[(f * (values.len() - 1) as f64).round_ties_even() as usize];
            prop_assert_eq!(quantiles(&values, [low, high]), [at(low), at(high)]);
            prop_assert_eq!(quantiles(&values, [high]), [at(high)]);
            prop_assert_eq!(quantiles(&values, [low, low, high]), [at(low), at(low), at(high)]);
        }

        #[test]
        fn dot_is_the_sum_of_products(a in numbers(), b in numbers()) {
            let expected: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            prop_assert!((dot(&a, &b) - expected).abs() <= 1e-12 * 1e12 * 80.0);
        }

        #[test]
        fn interpolation_stays_between_neighbours(row in numbers(), place in 0.0..100.0) {
            let found = interpolate(&row, place);
            let before = (place as usize).min(row.len() - 1);
            let after = (before + 1).min(row.len() - 1);
            let (low, high) = (row[before].min(row[after]), row[before].max(row[after]));
            prop_assert!((low - 1e-9..=high + 1e-9).contains(&found));
            prop_assert_eq!(interpolate(&row, before as f64), row[before]);
        }

        #[test]
        fn spread_places_begin_at_0_end_at_the_last_and_rise(last in 0usize..5000, count in 2usize..99) {
            let places = spread(last, count, f64::round_ties_even);
            prop_assert_eq!((places[0], places[count - 1], places.len()), (0, last, count));
            prop_assert!(places.is_sorted());
        }
    }
}
