//! Windows against their formulas.

#![allow(clippy::unwrap_used)]

use std::f64::consts::PI;

use heartfast_core::Error;
use heartfast_core::window::{WINDOW_NAMES, Window};
use proptest::prelude::*;

const ALL: [Window; 8] = [
    Window::Gaussian,
    Window::GaussianStd(7.5),
    Window::Hann,
    Window::Hamming,
    Window::Blackman,
    Window::Bartlett,
    Window::Flattop,
    Window::Rectangular,
];

/// Sample `k` of a symmetric window of `n`, as textbooks write it.
fn textbook(window: Window, k: usize, n: usize) -> f64 {
    let (k, m) = (k as f64, (n - 1) as f64);
    let c = |i: f64| (2.0 * PI * i * k / m).cos();
    match window {
        Window::Gaussian => {
            let floor = 1.0 / 12f64.exp();
            ((-12.0 * (k / m - 0.5) * (k / m - 0.5)).exp() - floor) / (1.0 - floor)
        }
        Window::GaussianStd(std) => (-(k - m / 2.0) * (k - m / 2.0) / (2.0 * std * std)).exp(),
        Window::Hann => (PI * k / m).sin().powi(2),
        Window::Hamming => 0.54 - 0.46 * c(1.0),
        Window::Blackman => 0.42 - 0.5 * c(1.0) + 0.08 * c(2.0),
        Window::Bartlett => 1.0 - ((k - m / 2.0) / (m / 2.0)).abs(),
        Window::Flattop => {
            0.21557895 - 0.41663158 * c(1.0) + 0.277263158 * c(2.0) - 0.083578947 * c(3.0)
                + 0.006947368 * c(4.0)
        }
        Window::Rectangular => 1.0,
    }
}

proptest! {
    #[test]
    fn symmetric_windows_are_the_textbooks(which in 0..ALL.len(), n in 2usize..600) {
        let samples = ALL[which].samples(n, true);
        prop_assert_eq!(samples.len(), n);
        for (k, &w) in samples.iter().enumerate() {
            prop_assert!((w - textbook(ALL[which], k, n)).abs() < 1e-13, "{k} of {n}: {w}");
            prop_assert!((w - samples[n - 1 - k]).abs() < 1e-13);
        }
    }

    #[test]
    fn periodic_windows_are_symmetric_ones_less_the_last(which in 0..ALL.len(), n in 2usize..600) {
        let (periodic, longer) = (ALL[which].samples(n, false), ALL[which].samples(n + 1, true));
        prop_assert_eq!(periodic.as_slice(), &longer[..n]);
    }
}

#[test]
fn shortest_windows() {
    for window in ALL {
        for sym in [true, false] {
            assert_eq!(window.samples(0, sym), Vec::<f64>::new());
            assert_eq!(window.samples(1, sym), [1.0]);
        }
    }
    // What rounding leaves of zero is zero.
    assert_eq!(Window::Blackman.samples(2, true), [0.0, 0.0]);
}

#[test]
fn names() {
    for name in WINDOW_NAMES {
        assert_eq!(Window::from_name(name).unwrap().name(), name);
    }
    assert_eq!(Window::from_name("boxcar").unwrap(), Window::Rectangular);
    assert_eq!(Window::GaussianStd(2.0).name(), "gaussian");
    for name in ["", "Hann", "kaiser", "hann "] {
        let error = Window::from_name(name).unwrap_err();
        assert!(matches!(error, Error::Value { field: "window", .. }));
        assert!(error.to_string().ends_with(&format!("found {name:?}")), "{error}");
    }
}

#[test]
fn standard_deviations() {
    assert_eq!(Window::gaussian_std(3.0).unwrap(), Window::GaussianStd(3.0));
    for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Window::gaussian_std(std).unwrap_err();
        assert!(matches!(error, Error::Value { field: "window", .. }));
    }
}
