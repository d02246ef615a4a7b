//! Families `bands` and `spectrum`: how loud each band is and how that varies.

use crate::features::numbers::{change, deviation, dot, mean, quantiles};
use crate::features::{BANDS, Segment, band_names};

const STATISTICS: [&str; 6] = ["mean", "std", "skew", "p10", "p90", "flux"];

/// Of `bands`: statistics of each band's decibels over time.
pub(super) fn names() -> Vec<String> {
    STATISTICS.iter().flat_map(|s| band_names(s)).collect()
}

pub(super) fn describe(segment: &Segment<'_>, out: &mut Vec<f64>) {
    let mut table = [[0.0; BANDS]; STATISTICS.len()];
    for band in 0..BANDS {
        let row = segment.decibels(band);
        let mean = mean(row);
        let (mut squares, mut cubes) = (0.0, 0.0);
        for x in row {
            let x = x - mean;
            squares += x * x;
            cubes += x * x * x;
        }
        let n = row.len() as f64;
        let std = (squares / n).sqrt();
        let [p10, p90] = quantiles(row, [0.1, 0.9]);
        let skew = cubes / n / std.max(1.0).powi(3);
        let statistics = [mean, std, skew, p10, p90, change(row)];
        for (column, value) in table.iter_mut().zip(statistics) {
            column[band] = value;
        }
    }
    out.extend(table.as_flattened());
}

/// Of `spectrum`: each band's share of the power in dB, and where its centre is, in bands.
pub(super) fn spectrum_names() -> Vec<String> {
    let mut names = band_names("share");
    names.extend(["mean", "std", "p10", "p90"].map(|s| format!("centroid_{s}")));
    names
}

pub(super) fn describe_spectrum(segment: &Segment<'_>, out: &mut Vec<f64>) {
    let columns = segment.columns();
    let (mut moments, mut sums) = (vec![0.0; columns], vec![0.0; columns]);
    let ones = vec![1.0; columns];
    let totals: [f64; BANDS] = std::array::from_fn(|band| {
        let row = segment.power(band);
        for ((moment, sum), x) in moments.iter_mut().zip(&mut sums).zip(row) {
            *moment += band as f64 * x;
            *sum += x;
        }
        dot(row, &ones)
    });
    let total: f64 = totals.iter().sum();
    out.extend(totals.map(|x| 10.0 * (x / total + 1e-8).log10()));
    let centroid: Vec<f64> = moments.iter().zip(&sums).map(|(m, s)| m / s).collect();
    let mean = mean(&centroid);
    let [p10, p90] = quantiles(&centroid, [0.1, 0.9]);
    out.extend([mean, deviation(&centroid, mean), p10, p90]);
}
