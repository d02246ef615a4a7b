//! Power spectra and correlations of rows of real numbers, two at a time.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Plans and working memory.
pub(super) struct Fourier {
    planner: FftPlanner<f64>,
    values: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Fourier {
    pub(super) fn new() -> Self {
        Self { planner: FftPlanner::new(), values: Vec::new(), scratch: Vec::new() }
    }

    /// The powers of `points` / 2 + 1 frequencies in each of two rows, continued with zeros: one is
    /// the real and the other the imaginary part of what is transformed.
    pub(super) fn powers(&mut self, [a, b]: [&[f64]; 2], points: usize) -> [Vec<f64>; 2] {
        self.values.clear();
        self.values.extend(a.iter().zip(b).map(|(&re, &im)| Complex { re, im }));
        self.values.resize(points, Complex::default());
        self.transform();
        let found = (0..=points / 2).map(|k| {
            let (z, mirrored) = (self.values[k], self.values[(points - k) % points].conj());
            (((z + mirrored) / 2.0).norm_sqr(), ((z - mirrored) / 2.0).norm_sqr())
        });
        let (a, b) = found.unzip();
        [a, b]
    }

    /// What rows of such powers are the autocorrelations of, at `points` lags.
    pub(super) fn correlations(&mut self, [a, b]: &[Vec<f64>; 2], points: usize) -> [Vec<f64>; 2] {
        self.values.clear();
        let folded = |k: usize| k.min(points - k);
        self.values.extend(
            (0..points).map(|k| Complex { re: a[folded(k)], im: b[folded(k)] } / points as f64),
        );
        // Powers are the same forwards and backwards, and so is their transform.
        self.transform();
        let (a, b) = self.values.iter().map(|z| (z.re, z.im)).unzip();
        [a, b]
    }

    fn transform(&mut self) {
        let plan = self.planner.plan_fft_forward(self.values.len());
        self.scratch.resize(plan.get_inplace_scratch_len(), Complex::default());
        plan.process_with_scratch(&mut self.values, &mut self.scratch);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Fourier;
    use crate::features::numbers::dot;

    proptest! {
        #[test]
        fn correlations_are_sums_of_products(
            rows in proptest::collection::vec((-1.0f64..1.0, -50.0f64..50.0), 1..40),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let points = (2 * a.len()).next_power_of_two();
            let mut fourier = Fourier::new();
            let powers = fourier.powers([&a, &b], points);
            let found = fourier.correlations(&powers, points);
            for (row, found) in [a, b].iter().zip(found) {
                for lag in 0..row.len() {
                    prop_assert!((found[lag] - dot(row, &row[lag..])).abs() < 1e-9);
                }
            }
        }
    }
}
