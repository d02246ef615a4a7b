//! Families `periodicity` and `coupling`: how pairs of bands go on within a cycle, by themselves
//! and after the lowest ones.

use crate::features::numbers::{centred, dot, interpolate, mean_of};
use crate::features::rhythm::overlap;
use crate::features::{BANDS, Segment};

const PAIRS: usize = BANDS / 2;
/// Twentieths of a cycle.
const PHASES: usize = 20;
/// Tenths of a cycle.
const DELAYS: usize = 10;

/// Of `periodicity`: a pair's autocorrelation, so many twentieths of a cycle on.
pub(super) fn names() -> Vec<String> {
    let of = |pair| (1..=PHASES).map(move |phase| format!("pair{pair}_periodicity{phase:02}"));
    (0..PAIRS).flat_map(of).collect()
}

/// Of `coupling`: a pair's correlation with the lowest broad band so many tenths of a cycle
/// earlier.
pub(super) fn coupling_names() -> Vec<String> {
    let of = |pair| (0..DELAYS).map(move |delay| format!("pair{pair}_coupling{delay}"));
    (0..PAIRS).flat_map(of).collect()
}

/// Writes both families, for a cycle of so many seconds.
pub(super) fn describe(segment: &Segment<'_>, cycle: f64, out: &mut Vec<f64>) {
    let place = cycle / segment.step;
    let lags = (place as usize + 2).min(segment.columns());
    let low = centred(&segment.envelopes[0]);
    let low_power = dot(&low, &low);
    let mut couplings = [[0.0; DELAYS]; PAIRS];
    for (pair, couplings) in couplings.iter_mut().enumerate() {
        let bands = [segment.decibels(2 * pair), segment.decibels(2 * pair + 1)];
        let row = centred(&mean_of(bands.into_iter()));
        let power = dot(&row, &row);
        let own = correlations(&row, &row, lags, power.max(1e-9));
        let at = |phase: usize| interpolate(&own, place * phase as f64 / PHASES as f64);
        out.extend((1..=PHASES).map(at));
        // Next to nothing of both has no correlation worth telling.
        let scale = (power.max(1.0) * low_power.max(1.0)).sqrt();
        let with_low = correlations(&low, &row, lags, scale);
        for (delay, coupling) in couplings.iter_mut().enumerate() {
            *coupling = interpolate(&with_low, place * delay as f64 / DELAYS as f64);
        }
    }
    out.extend(couplings.as_flattened());
}

/// The correlations of a row with a later one, at so many lags from 0 on.
fn correlations(row: &[f64], later: &[f64], lags: usize, scale: f64) -> Vec<f64> {
    let at = |lag: usize| dot(row, &later[lag..]) / overlap(lag, row.len()) / scale;
    (0..lags).map(at).collect()
}
