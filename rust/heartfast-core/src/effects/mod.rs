//! What is done to a spectrogram beyond the transform: other ways to make it (reassignment,
//! several windows), and functions of its magnitudes (noise, quantiles, medians, Gaussians,
//! derivatives).
//!
//! Magnitudes are rows of frames, the lowest bin first, of either precision; all is computed in
//! theirs but for sums, which are in double precision. Loops run along the frames of a row, so
//! that they vectorise. [`spectrogram`] applies what a [`SpectrogramConfig`] says in the order of
//! the fields of [`Effects`], [`apply`] the part of it that needs no signal.

use std::cmp::Ordering;

use crate::cancel::Cancel;
use crate::config::{Reference, SpectrogramConfig};
use crate::error::Result;
use crate::memory::reserve;
use crate::stft::{Framing, Real, Stft, magnitudes};
use crate::threads::share;

mod blur;
mod derivative;
mod median;
mod noise;
mod reassign;
mod resolutions;
mod settings;

pub use settings::{Axis, Effects, MAX_BLUR_HZ, MAX_MEDIAN, MAX_WINDOWS};

/// Numbers that magnitudes are: `f32` and `f64`.
pub trait Value: Real + PartialOrd + Into<f64> + Default {
    /// The magnitudes of signals, as [`magnitudes`] has them.
    ///
    /// # Errors
    /// Those of [`magnitudes`].
    fn magnitudes(
        framing: &Framing,
        signals: (&[Self], usize),
        rows: &mut [Self],
        threads: usize,
        cancel: &Cancel,
    ) -> Result<()>;
    /// An order of all numbers, NaN among them.
    fn total_cmp(&self, other: &Self) -> Ordering;
    /// The binary logarithm.
    #[must_use]
    fn log2(self) -> Self;
    /// Two to the power of it.
    #[must_use]
    fn exp2(self) -> Self;
}

impl Value for f32 {
    fn magnitudes(
        framing: &Framing,
        signals: (&[Self], usize),
        rows: &mut [Self],
        threads: usize,
        cancel: &Cancel,
    ) -> Result<()> {
        magnitudes(framing, signals, rows, threads, cancel)
    }

    fn total_cmp(&self, other: &Self) -> Ordering {
        Self::total_cmp(self, other)
    }

    fn log2(self) -> Self {
        Self::log2(self)
    }

    fn exp2(self) -> Self {
        Self::exp2(self)
    }
}

impl Value for f64 {
    fn magnitudes(
        framing: &Framing,
        signals: (&[Self], usize),
        rows: &mut [Self],
        threads: usize,
        cancel: &Cancel,
    ) -> Result<()> {
        let Framing { window, hop_length, n_fft, center } = framing;
        let stft = Stft::new(window, *hop_length, *n_fft, *center)?;
        stft.rows(signals, rows, threads, cancel, |z| z.norm())
    }

    fn total_cmp(&self, other: &Self) -> Ordering {
        Self::total_cmp(self, other)
    }

    fn log2(self) -> Self {
        Self::log2(self)
    }

    fn exp2(self) -> Self {
        Self::exp2(self)
    }
}

/// The bins and frames of a signal of `n` samples.
///
/// # Errors
/// Those of [`SpectrogramConfig::geometry`].
pub fn shape(config: &SpectrogramConfig, sample_rate: u32, n: usize) -> Result<(usize, usize)> {
    resolutions::framings(config, sample_rate)?[0].shape(n)
}

/// The magnitudes, with all effects, of signals of `n` samples each, one behind the other, into
/// `rows`: for each signal the bins and frames of [`shape`]. They do not depend on the number of
/// threads.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`] and [`SpectrogramConfig::geometry`];
/// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
///
/// # Panics
/// If `rows` is not of that size.
pub fn spectrogram<T: Value>(
    config: &SpectrogramConfig,
    sample_rate: u32,
    (signals, n): (&[T], usize),
    rows: &mut [T],
    threads: usize,
    cancel: &Cancel,
) -> Result<()> {
    config.validate()?;
    let framings = resolutions::framings(config, sample_rate)?;
    if config.effects.reassign {
        reassign::magnitudes(&framings[0], (signals, n), rows, threads, cancel)?;
    } else {
        resolutions::magnitudes(&framings, (signals, n), rows, threads, cancel)?;
    }
    apply(config, sample_rate, rows, framings[0].shape(n)?, threads, cancel)
}

/// The effects that need no signal, on spectrograms of so many bins and frames, one behind the
/// other.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`] and [`SpectrogramConfig::geometry`];
/// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
pub fn apply<T: Value>(
    config: &SpectrogramConfig,
    sample_rate: u32,
    values: &mut [T],
    (bins, frames): (usize, usize),
    threads: usize,
    cancel: &Cancel,
) -> Result<()> {
    config.validate()?;
    if !config.effects.any() || values.is_empty() {
        return Ok(());
    }
    let geometry = config.geometry(sample_rate)?;
    let per_ms = f64::from(sample_rate) / 1000.0 / geometry.hop_length as f64;
    let per_hz = geometry.n_fft as f64 / f64::from(sample_rate);
    let sigma = |(ms, hz): (f64, f64)| (ms * per_ms, hz * per_hz);
    let effects = &config.effects;
    let one = |values: &mut [T]| {
        if effects.noise_reduction > 0.0 {
            noise::reduce(values, frames, effects.noise_reduction, effects.noise_percent, cancel)?;
        }
        if let Some(q) = effects.quantile {
            noise::subtract_quantile(values, frames, q, cancel)?;
        }
        median::filter(values, frames, effects.median, cancel)?;
        if effects.blur != (0.0, 0.0) {
            blur::blur(values, frames, floor(config, values), sigma(effects.blur), cancel)?;
        }
        if effects.sharpen != (0.0, 0.0) {
            blur::sharpen(values, frames, floor(config, values), sigma(effects.sharpen), cancel)?;
        }
        if let Some(axis) = effects.derivative {
            derivative::derive(values, frames, axis, cancel)?;
        }
        Ok(())
    };
    share(values.chunks_exact_mut(bins * frames), threads, || Ok(()), |_, values| one(values))
}

/// The magnitude at which the picture's range of levels ends; 0 for silence.
fn floor<T: Value>(config: &SpectrogramConfig, values: &[T]) -> f64 {
    let reference = match config.reference {
        Reference::Max => values.iter().fold(0.0, |max: f64, &m| max.max(m.into())),
        Reference::Magnitude(m) => m,
    };
    reference * 10f64.powf(-config.dynamic_range / 20.0)
}

/// The index in `0..n` that stands for `i`, where values beyond both ends are the mirror images
/// of those before: `c b a | a b c | c b a`.
fn reflect(i: isize, n: usize) -> usize {
    let i = i.rem_euclid(2 * n as isize) as usize;
    if i < n { i } else { 2 * n - 1 - i }
}

/// A copy, or an error where there is no memory for one.
fn copy_of<T: Copy>(values: &[T]) -> Result<Vec<T>> {
    let mut copy = Vec::new();
    reserve(&mut copy, values.len())?;
    copy.extend_from_slice(values);
    Ok(copy)
}
