//! The reassigned spectrogram.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;

use super::Value;
use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::memory::fit;
use crate::stft::{Framing, Stft};
use crate::threads::share;

/// Frames that are transformed with one window before the next one's turn.
const BLOCK: usize = 16;

/// The magnitudes of signals where the energy of each bin and frame is moved to the nearest bin
/// and frame of its centre of gravity; what would leave the grid stays where it was, so that the
/// sum of squares is that of the spectrogram.
///
/// F. Auger, P. Flandrin, "Improving the readability of time-frequency and time-scale
/// representations by the reassignment method", IEEE Trans. Signal Processing 43 (1995): the
/// centre is off by `Re(T / X)` samples and `-Im(D / X)` radians a sample, where X, D and T are
/// the transforms with the window, its derivative and the window times time. Three transforms a
/// frame and two divisions a value.
pub(super) fn magnitudes<T: Value>(
    framing: &Framing,
    (signals, n): (&[T], usize),
    rows: &mut [T],
    threads: usize,
    cancel: &Cancel,
) -> Result<()> {
    let Framing { window, hop_length, n_fft, center } = framing;
    let (bins, frames) = framing.shape(n)?;
    let stft = |window: &[f64]| Stft::<T>::new(window, *hop_length, *n_fft, *center);
    let grid = Grid {
        stfts: [stft(window)?, stft(&derivative(window))?, stft(&by_time(window))?],
        bins,
        frames,
        per_radian: *n_fft as f64 / TAU,
        per_sample: (*hop_length as f64).recip(),
    };
    let signals = signals.chunks_exact(n.max(1)).zip(rows.chunks_exact_mut(bins * frames));
    share(signals, threads, || Ok(()), |_, (signal, rows)| grid.fill(signal, rows, cancel))
}

/// The window's derivative per sample: half the difference of its neighbours. Beyond its ends it
/// is zero, and what the derivative has there, where a Gaussian is cut off, is counted to the
/// first and the last sample.
fn derivative(window: &[f64]) -> Vec<f64> {
    let at = |i: usize| window.get(i).copied().unwrap_or(0.0);
    let mut slopes: Vec<f64> =
        (0..window.len()).map(|i| (at(i + 1) - at(i.wrapping_sub(1))) / 2.0).collect();
    if let [first, .., last] = &mut slopes[..] {
        *first += at(0) / 2.0;
        *last -= at(window.len() - 1) / 2.0;
    }
    slopes
}

/// The window times the distance in samples from the sample that stands on a frame's time.
fn by_time(window: &[f64]) -> Vec<f64> {
    let middle = (window.len() / 2) as f64;
    window.iter().enumerate().map(|(i, w)| (i as f64 - middle) * w).collect()
}

/// Where energy is moved.
struct Grid<T: Value> {
    /// With the window, its derivative and the window times time.
    stfts: [Stft<T>; 3],
    bins: usize,
    frames: usize,
    /// Bins in a radian per sample.
    per_radian: f64,
    /// Frames in a sample.
    per_sample: f64,
}

impl<T: Value> Grid<T> {
    fn fill(&self, signal: &[T], rows: &mut [T], cancel: &Cancel) -> Result<()> {
        let (bins, frames) = (self.bins, self.frames);
        // In double precision: squares of faint signals vanish in single.
        let mut energy: Vec<f64> = Vec::new();
        fit(&mut energy, bins * frames, cancel)?;
        let mut scratch = self.stfts[0].scratch();
        let zero = Complex::new(T::zero(), T::zero());
        let mut spectra = [(); 3].map(|()| vec![zero; BLOCK * bins]);
        for first in (0..frames).step_by(BLOCK) {
            let block = first..frames.min(first + BLOCK);
            for (stft, spectra) in self.stfts.iter().zip(&mut spectra) {
                let put = |frame: usize, spectrum: &[Complex<T>]| {
                    spectra[(frame - first) * bins..][..bins].copy_from_slice(spectrum);
                };
                stft.for_each_frame(signal, block.clone(), &mut scratch, cancel, put)?;
            }
            for (i, place) in block.flat_map(|f| (0..bins).map(move |b| (b, f))).enumerate() {
                let [x, slope, timed] = spectra.each_ref().map(|s| double(s[i]));
                let (place, power) = self.moved(place, x, slope, timed);
                energy[place] += power;
            }
        }
        for (rows, energy) in rows.chunks_mut(STRIDE).zip(energy.chunks(STRIDE)) {
            cancel.check()?;
            for (m, energy) in rows.iter_mut().zip(energy) {
                *m = T::of(energy.sqrt());
            }
        }
        Ok(())
    }

    /// The place among the rows to which the energy of a bin and frame belongs, and the energy.
    fn moved(
        &self,
        (bin, frame): (usize, usize),
        x: Complex<f64>,
        slope: Complex<f64>,
        timed: Complex<f64>,
    ) -> (usize, f64) {
        let power = x.norm_sqr();
        // Of no energy these are no numbers, which are nowhere on the grid.
        let bin_at = bin as f64 - (slope * x.conj()).im / power * self.per_radian;
        let frame_at = frame as f64 + (timed * x.conj()).re / power * self.per_sample;
        let nearest = |at: f64, count: usize| {
            let at = (at + 0.5).floor();
            (at >= 0.0 && at < count as f64).then_some(at as usize)
        };
        let place = nearest(bin_at, self.bins).zip(nearest(frame_at, self.frames));
        let (bin, frame) = place.unwrap_or((bin, frame));
        (bin * self.frames + frame, power)
    }
}

fn double<T: Value>(z: Complex<T>) -> Complex<f64> {
    Complex::new(z.re.into(), z.im.into())
}
