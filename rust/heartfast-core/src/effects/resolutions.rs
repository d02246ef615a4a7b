//! Spectrograms with several windows on one grid.

use super::Value;
use crate::cancel::{Cancel, STRIDE};
use crate::config::SpectrogramConfig;
use crate::error::Result;
use crate::memory::fit;
use crate::stft::Framing;

/// How signals are cut into frames, once for each window, that of `window_ms` first. Shorter
/// windows stand in the middle of the longest with zeros around them, so that all have one grid,
/// and are scaled so that a tone has the same magnitude in each.
pub(super) fn framings(config: &SpectrogramConfig, sample_rate: u32) -> Result<Vec<Framing>> {
    let geometry = config.geometry(sample_rate)?;
    let own =
        config.window.samples(SpectrogramConfig::win_length(config.window_ms, sample_rate), true);
    let gain: f64 = own.iter().sum();
    let framing = |samples: &[f64], scale: f64| {
        let mut window = vec![0.0; geometry.win_length];
        // The window's middle on the middle: that is where a frame's time is.
        let start = geometry.win_length / 2 - samples.len() / 2;
        for (w, &x) in window[start..].iter_mut().zip(samples) {
            *w = x * scale;
        }
        let (hop_length, n_fft) = (geometry.hop_length, geometry.n_fft);
        Framing { window, hop_length, n_fft, center: config.center }
    };
    let mut all = vec![framing(&own, 1.0)];
    for &ms in &config.effects.windows_ms {
        let samples = config.window.samples(SpectrogramConfig::win_length(ms, sample_rate), true);
        let sum: f64 = samples.iter().sum();
        // Two samples of a window that begins and ends with zero have no sum.
        all.push(framing(&samples, if sum > 0.0 { gain / sum } else { 1.0 }));
    }
    Ok(all)
}

/// The geometric mean of the magnitudes with each window. A transform and a logarithm a value for
/// each window.
///
/// What is narrow in time or in frequency with any of the windows is so in the mean, and of all
/// means this one has the least cross-entropy to the spectrograms: P. Loughlin, J. Pitton, B.
/// Hannaford, "Approximating time-frequency density functions via optimal combinations of
/// spectrograms", IEEE Signal Processing Letters 1 (1994); S. Cheung, J. S. Lim, "Combined
/// multiresolution (wide-band/narrow-band) spectrogram", IEEE Trans. Signal Processing 40 (1992).
pub(super) fn magnitudes<T: Value>(
    framings: &[Framing],
    signals: (&[T], usize),
    rows: &mut [T],
    threads: usize,
    cancel: &Cancel,
) -> Result<()> {
    T::magnitudes(&framings[0], signals, rows, threads, cancel)?;
    if framings.len() == 1 {
        return Ok(());
    }
    let mut others = Vec::new();
    fit(&mut others, rows.len(), cancel)?;
    map(rows, cancel, |m| m.log2())?;
    for framing in &framings[1..] {
        T::magnitudes(framing, signals, &mut others, threads, cancel)?;
        for (rows, others) in rows.chunks_mut(STRIDE).zip(others.chunks(STRIDE)) {
            cancel.check()?;
            for (level, &other) in rows.iter_mut().zip(others) {
                // Of nothing it is minus infinity, and so is the sum; its power is nothing again.
                *level = *level + other.log2();
            }
        }
    }
    let share = T::of((framings.len() as f64).recip());
    map(rows, cancel, |level| (level * share).exp2())
}

fn map<T: Copy>(values: &mut [T], cancel: &Cancel, f: impl Fn(T) -> T) -> Result<()> {
    for part in values.chunks_mut(STRIDE) {
        cancel.check()?;
        for x in part {
            *x = f(*x);
        }
    }
    Ok(())
}
