//! Families `beats`, `sounds` and `contrast`: the intervals and heights of the beats (S1 and S2),
//! and the bands at and between them.

use crate::features::numbers::{change, deviation, mean, quantiles, spread};
use crate::features::{BANDS, Segment, band_names};

/// No two beats are closer.
const GAP_S: f64 = 0.12;

/// Of `beats`: how many there are a second and how far they stand out; statistics of the gaps
/// from one to the next, of the intervals from one to the next but one (a cycle), and of heights.
pub(super) fn names() -> Vec<String> {
    let of = |what: &str, statistics: &[&str]| {
        statistics.iter().map(|s| format!("{what}_{s}")).collect::<Vec<_>>()
    };
    [
        of("beat", &["rate", "level"]),
        of("gap", &["median", "iqr", "p10", "p90", "change", "alternation"]),
        of("interval", &["median", "iqr", "min", "max", "change", "jump"]),
        of("height", &["std", "p10", "p90", "change"]),
    ]
    .concat()
}

/// Of `sounds`: each band at the beats over its mean, and in the short and the long pauses after
/// them (systole and diastole, where all is well) over that at the beats.
pub(super) fn sounds_names() -> Vec<String> {
    ["beat", "systole", "diastole"].iter().flat_map(|s| band_names(s)).collect()
}

/// Of `contrast`: each band in systole over that in diastole.
pub(super) fn contrast_names() -> Vec<String> {
    band_names("contrast")
}

/// Writes the three families, for a cycle of so many seconds.
pub(super) fn describe(segment: &Segment<'_>, cycle: f64, out: &mut Vec<f64>) {
    let step = segment.step;
    let smooth = smoothed(&segment.envelopes[0]);
    let [median, loud] = quantiles(&smooth, [0.5, 0.95]);
    let reach = ((GAP_S / step).round_ties_even() as usize).max(1);
    let mut peaks = peaks(&smooth, reach, median + 0.3 * (loud - median));
    let seconds = smooth.len() as f64 * step;
    out.extend([peaks.len() as f64 / seconds, loud - median]);
    if peaks.len() < 4 {
        // Too few for intervals of intervals: say nothing rather than noise.
        let count = (2.0 * seconds / cycle).round_ties_even().max(4.0) as usize;
        peaks = spread(smooth.len() - 1, count.min(smooth.len()), f64::trunc);
    }
    let apart = |reach: usize| -> Vec<f64> {
        peaks.windows(reach + 1).map(|p| (p[reach] - p[0]) as f64 * step).collect()
    };
    let gaps = apart(1);
    describe_gaps(&gaps, cycle, out);
    describe_intervals(&apart(2), cycle, out);
    let heights: Vec<f64> = peaks.iter().map(|&peak| smooth[peak]).collect();
    let [low, middle, high] = quantiles(&heights, [0.1, 0.5, 0.9]);
    let std = deviation(&heights, mean(&heights));
    out.extend([std, middle - low, high - middle, change(&heights)]);
    describe_bands(segment, &peaks, &gaps, cycle, out);
}

/// A quarter of each neighbour and half of the value itself.
fn smoothed(row: &[f64]) -> Vec<f64> {
    let last = row.len() - 1;
    let at =
        |i: usize| 0.25 * row[i.saturating_sub(1)] + 0.5 * row[i] + 0.25 * row[last.min(i + 1)];
    (0..row.len()).map(at).collect()
}

/// Where values are above `least`, and not below any that is within `reach`; beyond the ends
/// there are zeros.
fn peaks(smooth: &[f64], reach: usize, least: f64) -> Vec<usize> {
    let is_peak = |&i: &usize| {
        let (start, end) = (i.saturating_sub(reach), (i + reach + 1).min(smooth.len()));
        let beyond = end - start <= 2 * reach;
        smooth[i] > least
            && (!beyond || smooth[i] >= 0.0)
            && smooth[start..end].iter().all(|&other| smooth[i] >= other)
    };
    (0..smooth.len()).filter(is_peak).collect()
}

fn describe_gaps(gaps: &[f64], cycle: f64, out: &mut Vec<f64>) {
    let [low, quarter, middle, three, high] = quantiles(gaps, [0.1, 0.25, 0.5, 0.75, 0.9]);
    let turns: Vec<f64> = gaps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean_of = |f: &dyn Fn(&[f64]) -> f64, reach: usize| {
        turns.windows(reach).map(f).sum::<f64>() / (turns.len() + 1 - reach) as f64
    };
    let alternation = -mean_of(&|t| t[0] * t[1], 2) / mean_of(&|t| t[0] * t[0], 1).max(1e-6);
    let change = mean_of(&|t| t[0].abs(), 1);
    out.extend([middle / cycle, three - quarter, low, high, change, alternation]);
}

fn describe_intervals(intervals: &[f64], cycle: f64, out: &mut Vec<f64>) {
    let [least, quarter, centre, three, most] = quantiles(intervals, [0.0, 0.25, 0.5, 0.75, 1.0]);
    let swings = intervals.windows(2).map(|pair| (pair[1] - pair[0]) / centre);
    let jump = swings.fold(f64::NEG_INFINITY, f64::max);
    out.extend([centre / cycle, (three - quarter) / centre, least / centre, most / centre]);
    out.extend([change(intervals) / centre, jump]);
}

fn describe_bands(
    segment: &Segment<'_>,
    peaks: &[usize],
    gaps: &[f64],
    cycle: f64,
    out: &mut Vec<f64>,
) {
    let (mut systole, mut diastole) = (Vec::new(), Vec::new());
    let mut after = 0;
    for column in 0..segment.columns() {
        while after + 1 < gaps.len() && peaks[after + 1] <= column {
            after += 1;
        }
        // Before the first beat it is below 0.
        let columns = column as f64 - peaks[after] as f64;
        let within = columns * segment.step / gaps[after];
        if within > 0.3 && within < 0.7 {
            let short = gaps[after] < cycle / 2.0;
            (if short { &mut systole } else { &mut diastole }).push(column);
        }
    }
    let mut table = [[0.0; BANDS]; 4];
    for band in 0..BANDS {
        let row = segment.decibels(band);
        let overall = mean(row);
        let at = |columns: &[usize]| match columns {
            [] => overall,
            _ => columns.iter().map(|&c| row[c]).sum::<f64>() / columns.len() as f64,
        };
        let (beat, systole, diastole) = (at(peaks), at(&systole), at(&diastole));
        let values = [beat - overall, systole - beat, diastole - beat, systole - diastole];
        for (column, value) in table.iter_mut().zip(values) {
            column[band] = value;
        }
    }
    out.extend(table.as_flattened());
}
