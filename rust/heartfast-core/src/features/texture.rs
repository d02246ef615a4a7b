//! Family `texture`: which way the decibels rise, as histograms of oriented gradients count it, in
//! each broad band: at onsets along time, at the edges of tones along frequency, between them
//! where a sound glides.

use crate::features::{BANDS, BROAD, BROAD_NAMES, COLUMN_S, Segment};

/// Of 45 degrees each, the first one around a rise along time, the third around one along
/// frequency.
const DIRECTIONS: usize = 8;
/// Added to a mean of gradients, in dB a band or 20 ms: less than that has no direction.
const LEAST: f64 = 0.01;

/// Of `texture`: the share of a broad band's gradients that rise in such a direction, in degrees.
pub(super) fn names() -> Vec<String> {
    let of = |band| (0..DIRECTIONS).map(move |d| format!("{band}_texture{:03}", 45 * d));
    BROAD_NAMES.iter().flat_map(of).collect()
}

pub(super) fn describe(segment: &Segment<'_>, out: &mut Vec<f64>) {
    for (start, end) in BROAD {
        let mut sums = [0.0; DIRECTIONS];
        for band in start..end {
            add(segment, band, &mut sums);
        }
        let count = ((end - start) * segment.columns()) as f64;
        let mean = sums.iter().sum::<f64>() / count;
        out.extend(sums.map(|sum| sum / count / (mean + LEAST)));
    }
}

/// Adds a band's gradients to the sums by their directions.
fn add(segment: &Segment<'_>, band: usize, sums: &mut [f64; DIRECTIONS]) {
    let (below, above) = (band.saturating_sub(1), (band + 1).min(BANDS - 1));
    let (row, lower, upper) =
        (segment.decibels(band), segment.decibels(below), segment.decibels(above));
    let (last, bands) = (row.len() - 1, (above - below) as f64);
    let per_column = COLUMN_S / segment.step;
    for (column, (lower, upper)) in lower.iter().zip(upper).enumerate() {
        let (before, after) = (column.saturating_sub(1), (column + 1).min(last));
        let along_time = (row[after] - row[before]) / (after - before) as f64 * per_column;
        let along_frequency = (upper - lower) / bands;
        let size = (along_time * along_time + along_frequency * along_frequency).sqrt();
        sums[direction(along_time, along_frequency)] += size;
    }
}

/// The nearest direction, of the plane's eight.
fn direction(x: f64, y: f64) -> usize {
    // tan(22.5 degrees)
    const SLOPE: f64 = std::f64::consts::SQRT_2 - 1.0;
    let (across, up) = (x.abs(), y.abs());
    let first = match (up > SLOPE * across, across > SLOPE * up) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => 2,
    };
    // Mirrored into the quadrant where it is.
    let left = if x < 0.0 { DIRECTIONS / 2 - first } else { first };
    if y < 0.0 { (DIRECTIONS - left) % DIRECTIONS } else { left }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DIRECTIONS, direction};

    proptest! {
        #[test]
        fn a_direction_is_the_nearest(degrees in 0u32..360, size in 0.01f64..100.0) {
            // Between two directions it is either.
            prop_assume!((2 * degrees + 45) % 90 != 0);
            let (y, x) = f64::from(degrees).to_radians().sin_cos();
            let nearest = (f64::from(degrees) / 45.0).round() as usize % DIRECTIONS;
            prop_assert_eq!(direction(size * x, size * y), nearest);
        }
    }
}
