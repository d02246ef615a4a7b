//! Families `modulation` and `cycle`: how the loudness of broad bands is modulated, and the heart's
//! cycle, found as what repeats best.

use crate::features::fourier::Fourier;
use crate::features::numbers::{centred, interpolate, mean_of};
use crate::features::{BROAD, BROAD_NAMES, Segment};

const MODULATION_HZ: [f64; 10] = [0.4, 0.8, 1.2, 1.6, 2.4, 3.2, 4.8, 6.4, 9.6, 16.0];
/// 40 to 150 beats a minute.
const CYCLE_S: (f64, f64) = (0.4, 1.5);
/// Of the autocorrelation within a cycle.
const PHASES: usize = 10;

/// Of `modulation`: the share, as a logarithm, of a broad band's variation in each octave or so
/// of rates, from so many Hz up to the next one's.
pub(super) fn modulation_names() -> Vec<String> {
    let of = |band| MODULATION_HZ[..9].iter().map(move |hz| format!("{band}_modulation_{hz}hz"));
    BROAD_NAMES.iter().flat_map(of).collect()
}

/// Of `cycle`: how many there are a second, and the autocorrelation of the two lower broad bands
/// a cycle on (`strength`), less its least before that (`contrast`), two cycles on (`repeat`) and
/// tenths of a cycle on; and that of each broad band a cycle on.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> =
        ["rate", "strength", "contrast", "repeat"].map(|s| format!("cycle_{s}")).into();
    names.extend((1..PHASES).map(|phase| format!("cycle_phase{phase}")));
    names.extend(BROAD_NAMES.map(|band| format!("{band}_cycle")));
    names
}

/// Writes both families, and returns the seconds of a cycle.
pub(super) fn describe(segment: &Segment<'_>, fourier: &mut Fourier, out: &mut Vec<f64>) -> f64 {
    let (columns, step) = (segment.columns(), segment.step);
    // Room for lags up to all columns.
    let points = (2 * columns).next_power_of_two();
    let centred = segment.envelopes.each_ref().map(|row| centred(row));
    let mut lagged: [Vec<f64>; BROAD.len()] = Default::default();
    for pair in 0..BROAD.len() / 2 {
        let powers = fourier.powers([&centred[2 * pair], &centred[2 * pair + 1]], points);
        for power in &powers {
            modulation(power, step * points as f64, out);
        }
        let correlations = fourier.correlations(&powers, points);
        for (lagged, mut row) in lagged[2 * pair..].iter_mut().zip(correlations) {
            row.truncate(columns);
            normalise(&mut row);
            *lagged = row;
        }
    }
    // Heart sounds and murmurs live in the two lower bands.
    let beating = mean_of(lagged[..2].iter().map(Vec::as_slice));
    let at_lag = |seconds: f64| interpolate(&beating, seconds / step);
    let cycle = find_cycle(step, at_lag);
    let strength = at_lag(cycle);
    let profile: [f64; PHASES - 1] =
        std::array::from_fn(|i| at_lag(cycle * (i + 1) as f64 / PHASES as f64));
    let least = profile.iter().fold(f64::INFINITY, |least, &x| least.min(x));
    out.extend([1.0 / cycle, strength, strength - least, at_lag(2.0 * cycle)]);
    out.extend(profile);
    out.extend(lagged.iter().map(|row| interpolate(row, cycle / step)));
    cycle
}

/// The logarithms of the shares of power between the rates; a bin is 1 / `period` Hz.
fn modulation(power: &[f64], period: f64, out: &mut Vec<f64>) {
    let mut sum = 0.0;
    let below: Vec<f64> = power
        .iter()
        .map(|x| {
            sum += x;
            sum
        })
        .collect();
    let at = MODULATION_HZ.map(|hz| interpolate(&below, hz * period) / sum.max(1e-9));
    out.extend(at.windows(2).map(|pair| (pair[1] - pair[0] + 1e-3).log10()));
}

/// What a sum over fewer and fewer columns is divided by at a lag: bounds the noise of long ones.
pub(super) fn overlap(lag: usize, columns: usize) -> f64 {
    (1.0 - lag as f64 / columns as f64).max(0.25)
}

/// Correlations at lags from 0 on, in relation to that at 0, and to how many columns overlap.
pub(super) fn normalise(row: &mut [f64]) {
    let (columns, first) = (row.len(), row[0].max(1e-9));
    for (lag, x) in row.iter_mut().enumerate() {
        *x = *x / overlap(lag, columns) / first;
    }
}

fn find_cycle(step: f64, at_lag: impl Fn(f64) -> f64) -> f64 {
    let (shortest, longest) = CYCLE_S;
    let count = ((longest - shortest) / (step / 2.0)).ceil() as usize;
    // The step as it is between numbers of this size.
    let apart = (shortest + step / 2.0) - shortest;
    let mut best = (f64::NEG_INFINITY, shortest);
    for index in 0..count {
        let seconds = shortest + index as f64 * apart;
        // A true cycle repeats; the weight keeps twice the cycle from winning by a hair.
        let repeats = at_lag(seconds) + 0.5 * at_lag(2.0 * seconds) - 0.1 * seconds.log2();
        if repeats > best.0 {
            best = (repeats, seconds);
        }
    }
    best.1
}
