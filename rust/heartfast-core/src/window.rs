//! Analysis windows.

use std::f64::consts::PI;

use crate::error::{Error, Result};

/// The shape of an analysis window.
///
/// [`Window::Gaussian`] is the one that seewave and soundgen draw with: a Gaussian of
/// `exp(-12 (t - 1/2)^2)`, less `exp(-12)`, scaled to 1; its ends are at -26 dB. The others are
/// scipy.signal's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// seewave's and soundgen's Gaussian; the default.
    Gaussian,
    /// `exp(-x^2 / (2 std^2))`, `std` in samples, as `scipy.signal.windows.gaussian`.
    GaussianStd(f64),
    /// Raised cosine.
    Hann,
    /// Raised cosine on a pedestal of 0.08.
    Hamming,
    /// Three-term cosine sum (0.42, 0.5, 0.08).
    Blackman,
    /// Triangle that touches zero.
    Bartlett,
    /// Five-term flat top, for reading amplitudes.
    Flattop,
    /// All ones.
    Rectangular,
}

/// The names that [`Window::from_name`] takes.
pub const WINDOW_NAMES: [&str; 7] =
    ["gaussian", "hann", "hamming", "blackman", "bartlett", "flattop", "rectangular"];

impl Window {
    /// The window of that name (see [`WINDOW_NAMES`]; `boxcar` is scipy's word for rectangular).
    ///
    /// # Errors
    /// [`Error::Value`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "gaussian" => Self::Gaussian,
            "hann" => Self::Hann,
            "hamming" => Self::Hamming,
            "blackman" => Self::Blackman,
            "bartlett" => Self::Bartlett,
            "flattop" => Self::Flattop,
            "rectangular" | "boxcar" => Self::Rectangular,
            _ => {
                let expected =
                    format!("one of {}, or (\"gaussian\", std)", WINDOW_NAMES.join(", "));
                return Err(Error::value("window", expected, format_args!("{name:?}")));
            }
        })
    }

    /// A Gaussian with a standard deviation in samples.
    ///
    /// # Errors
    /// [`Error::Value`] unless `std` is positive and finite.
    pub fn gaussian_std(std: f64) -> Result<Self> {
        if std > 0.0 && std.is_finite() {
            Ok(Self::GaussianStd(std))
        } else {
            Err(Error::value("window", "(\"gaussian\", std) with std > 0 in samples", std))
        }
    }

    /// The window's name, without its parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian | Self::GaussianStd(_) => "gaussian",
            Self::Hann => "hann",
            Self::Hamming => "hamming",
            Self::Blackman => "blackman",
            Self::Bartlett => "bartlett",
            Self::Flattop => "flattop",
            Self::Rectangular => "rectangular",
        }
    }

    /// `n` samples of the window. With `sym` it is symmetric, as soundgen uses it; without, it is
    /// periodic, as scipy's `get_window` gives it for spectral analysis (a symmetric window of
    /// `n + 1` samples without its last).
    #[must_use]
    pub fn samples(self, n: usize, sym: bool) -> Vec<f64> {
        if n <= 1 {
            return vec![1.0; n];
        }
        let last = if sym { n - 1 } else { n } as f64;
        (0..n).map(|k| self.at(k as f64, last)).collect()
    }

    /// The window's value at sample `k` of `0..=last`.
    fn at(self, k: f64, last: f64) -> f64 {
        let t = k / last;
        let cosines = |terms: &[f64]| -> f64 {
            let sum: f64 =
                terms.iter().enumerate().map(|(i, a)| a * (2.0 * PI * i as f64 * t).cos()).sum();
            // Where the terms cancel, rounding leaves some 1e-17: a short window of nothing else
            // would make a signal of it.
            if sum.abs() < 1e-15 { 0.0 } else { sum }
        };
        match self {
            Self::Gaussian => {
                let floor = (-12.0f64).exp();
                ((-12.0 * (t - 0.5).powi(2)).exp() - floor) / (1.0 - floor)
            }
            Self::GaussianStd(std) => (-0.5 * ((k - last / 2.0) / std).powi(2)).exp(),
            Self::Hann => cosines(&[0.5, -0.5]),
            Self::Hamming => cosines(&[0.54, -0.46]),
            Self::Blackman => cosines(&[0.42, -0.5, 0.08]),
            Self::Bartlett => 1.0 - (2.0 * t - 1.0).abs(),
            Self::Flattop => cosines(&[
                0.215_578_95,
                -0.416_631_58,
                0.277_263_158,
                -0.083_578_947,
                0.006_947_368,
            ]),
            Self::Rectangular => 1.0,
        }
    }
}
