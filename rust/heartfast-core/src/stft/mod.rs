//! The short-time Fourier transform of a real signal.
//!
//! Two frames go through one complex FFT, one as its real and one as its imaginary part; the
//! spectra of both follow from the symmetry of a real signal's spectrum. [`SingleStft`] does so
//! for many frames side by side in the lanes of vectors, where the length allows it, and for the
//! others by way of [`Stft`], which takes any length and precision.

use std::ops::Range;
use std::sync::Arc;

pub use rustfft::num_complex::Complex;
use rustfft::{Fft, FftNum, FftPlanner};

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::threads::share;

mod single;

pub use single::{Framing, SingleScratch, SingleStft, magnitudes, spectra};

/// So many frames are put aside before they are turned into rows: one cache line of a row.
const BLOCK: usize = 16;
/// Frames that a thread takes at a time; an even number, so that pairs are the same in any part.
const PART: usize = 4 * BLOCK;
/// Fewer values than this are there before a second thread is.
const WORTH_SHARING: usize = 1 << 16;

/// Numbers that signals and spectra are made of: `f32` and `f64`.
pub trait Real: FftNum {
    /// The nearest value of this type.
    fn of(x: f64) -> Self;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as Self
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
}

/// A transform of one shape: window, hop, FFT length and placement of frames. Made once,
/// used for any number of signals from any number of threads.
pub struct Stft<T: Real> {
    window: Vec<T>,
    hop_length: usize,
    n_fft: usize,
    center: bool,
    /// Samples of the window before the time that a frame stands for.
    lead: usize,
    /// Zeros of the FFT's input before the window.
    pad: usize,
    fft: Arc<dyn Fft<T>>,
}

/// The working memory of [`Stft::for_each_frame`].
pub struct Scratch<T> {
    pair: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
    spectra: [Vec<Complex<T>>; 2],
}

fn check(win_length: usize, hop_length: usize, n_fft: usize) -> Result<()> {
    if win_length == 0 {
        return Err(Error::value("win_length", "at least 1 sample", 0));
    }
    if hop_length == 0 {
        return Err(Error::value("hop_length", "at least 1 sample", 0));
    }
    if n_fft < win_length {
        let expected = format!("at least win_length ({win_length})");
        return Err(Error::value("n_fft", expected, n_fft));
    }
    Ok(())
}

fn frames(n: usize, win_length: usize, hop_length: usize, center: bool) -> usize {
    let last = if center { n } else { n.saturating_sub(win_length) };
    last / hop_length + 1
}

impl<T: Real> Stft<T> {
    /// A transform with this window. With `center`, frame `k` has the window's sample
    /// `floor(win_length / 2)` on sample `k * hop_length`, with silence beyond both ends of the
    /// signal; without, frame `k` starts there and only whole frames count. Within an FFT longer
    /// than the window, the window stands in the middle, as in librosa (which puts a window of
    /// odd length in an FFT of even length one sample earlier against the signal).
    ///
    /// # Errors
    /// [`Error::Value`] if a length is zero or the FFT is shorter than the window.
    pub fn new(window: &[f64], hop_length: usize, n_fft: usize, center: bool) -> Result<Self> {
        let win_length = window.len();
        check(win_length, hop_length, n_fft)?;
        Ok(Self {
            window: window.iter().map(|&w| T::of(w)).collect(),
            hop_length,
            n_fft,
            center,
            lead: if center { win_length / 2 } else { 0 },
            pad: (n_fft - win_length) / 2,
            fft: FftPlanner::new().plan_fft_forward(n_fft),
        })
    }

    /// How many frames a signal of `n` samples has; at least one.
    #[must_use]
    pub fn frames(&self, n: usize) -> usize {
        frames(n, self.window.len(), self.hop_length, self.center)
    }

    /// How many bins a frame has, Nyquist included.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Working memory for this transform.
    #[must_use]
    pub fn scratch(&self) -> Scratch<T> {
        let zeros = |n| vec![Complex::new(T::zero(), T::zero()); n];
        Scratch {
            pair: zeros(self.n_fft),
            fft: zeros(self.fft.get_inplace_scratch_len()),
            spectra: [zeros(self.bins()), zeros(self.bins())],
        }
    }

    /// Calls `sink` with the number and the spectrum ([`Stft::bins`] values) of each of these
    /// `frames` of `signal`, in order. Which two share an FFT depends on where they begin.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    #[inline(always)]
    pub fn for_each_frame(
        &self,
        signal: &[T],
        frames: Range<usize>,
        scratch: &mut Scratch<T>,
        cancel: &Cancel,
        mut sink: impl FnMut(usize, &[Complex<T>]),
    ) -> Result<()> {
        for first in frames.clone().step_by(2) {
            cancel.check()?;
            let count = 2.min(frames.end - first);
            self.window_pair(signal, first, count, &mut scratch.pair);
            self.fft.process_with_scratch(&mut scratch.pair, &mut scratch.fft);
            self.separate(&scratch.pair, &mut scratch.spectra);
            for (frame, spectrum) in (first..).zip(&scratch.spectra[..count]) {
                sink(frame, spectrum);
            }
        }
        Ok(())
    }

    /// `value` of each bin and frame of signals of `n` samples each, one behind the other, into
    /// `rows`: for each signal [`Stft::bins`] rows of [`Stft::frames`] values, the lowest first.
    /// The values do not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    ///
    /// # Panics
    /// If `rows` is not of that size.
    pub fn rows<O: Copy + Default + Send>(
        &self,
        (signals, n): (&[T], usize),
        rows: &mut [O],
        threads: usize,
        cancel: &Cancel,
        value: impl Fn(Complex<T>) -> O + Sync,
    ) -> Result<()> {
        let (bins, frames, rows_len) = (self.bins(), self.frames(n), rows.len());
        let parts = parts(signals.chunks_exact(n.max(1)), rows, bins, frames);
        let state = || Ok((self.scratch(), vec![O::default(); BLOCK * bins]));
        let threads = if rows_len < WORTH_SHARING { 1 } else { threads };
        share(parts, threads, state, |(scratch, block), (signal, frames, mut part)| {
            self.part(signal, frames, &mut part, (scratch, block), cancel, &value)
        })
    }

    /// [`Stft::rows`] for some frames: `rows` are those of these frames only.
    fn part<O: Copy>(
        &self,
        signal: &[T],
        frames: Range<usize>,
        rows: &mut Vec<&mut [O]>,
        (scratch, block): (&mut Scratch<T>, &mut [O]),
        cancel: &Cancel,
        value: impl Fn(Complex<T>) -> O,
    ) -> Result<()> {
        let (start, count, bins) = (frames.start, frames.len(), self.bins());
        self.for_each_frame(signal, frames, scratch, cancel, |frame, spectrum| {
            let (column, slot) = (frame - start, (frame - start) % BLOCK);
            for (kept, &z) in block[slot * bins..][..bins].iter_mut().zip(spectrum) {
                *kept = value(z);
            }
            if slot + 1 == BLOCK || column + 1 == count {
                for (bin, row) in rows.iter_mut().enumerate() {
                    for (x, out) in row[column - slot..=column].iter_mut().enumerate() {
                        *out = block[x * bins + bin];
                    }
                }
            }
        })
    }

    /// Windows frame `first`, into the real part of `pair`, and with `count` 2 the next one into
    /// its imaginary part.
    #[inline(always)]
    fn window_pair(&self, signal: &[T], first: usize, count: usize, pair: &mut [Complex<T>]) {
        let zero = Complex::new(T::zero(), T::zero());
        let n = self.window.len();
        let (skip_a, a) = self.samples_of(signal, first);
        let (skip_b, b) =
            if count == 2 { self.samples_of(signal, first + 1) } else { (0, &[][..]) };
        if a.len() == n && b.len() == n {
            let (before, rest) = pair.split_at_mut(self.pad);
            let (inside, after) = rest.split_at_mut(n);
            before.fill(zero);
            after.fill(zero);
            for (((z, &x), &y), &w) in inside.iter_mut().zip(a).zip(b).zip(&self.window) {
                *z = Complex::new(x * w, y * w);
            }
        } else {
            pair.fill(zero);
            let inside = &mut pair[self.pad..];
            for ((z, &x), &w) in inside[skip_a..].iter_mut().zip(a).zip(&self.window[skip_a..]) {
                z.re = x * w;
            }
            for ((z, &y), &w) in inside[skip_b..].iter_mut().zip(b).zip(&self.window[skip_b..]) {
                z.im = y * w;
            }
        }
    }

    /// The samples under a frame's window, and how many of the window stand before them.
    #[inline(always)]
    fn samples_of<'s>(&self, signal: &'s [T], frame: usize) -> (usize, &'s [T]) {
        let start = frame * self.hop_length;
        let skipped = self.lead.saturating_sub(start);
        let begin = (start + skipped).saturating_sub(self.lead).min(signal.len());
        let end = (start + self.window.len()).saturating_sub(self.lead).min(signal.len());
        (skipped, &signal[begin..end.max(begin)])
    }

    /// The spectra of the real and of the imaginary part of the signal whose spectrum is `z`.
    #[inline(always)]
    fn separate(&self, z: &[Complex<T>], [re, im]: &mut [Vec<Complex<T>>; 2]) {
        let half = T::of(0.5);
        re[0] = Complex::new(z[0].re, T::zero());
        im[0] = Complex::new(z[0].im, T::zero());
        let mirrored = z[self.n_fft - self.bins() + 1..].iter().rev();
        for (((&a, &b), re), im) in z[1..].iter().zip(mirrored).zip(&mut re[1..]).zip(&mut im[1..])
        {
            *re = Complex::new((a.re + b.re) * half, (a.im - b.im) * half);
            *im = Complex::new((a.im + b.im) * half, (b.re - a.re) * half);
        }
    }
}

/// Parts of the work on signals of `frames` frames each: some frames of all `bins` rows, which
/// only that part writes.
fn parts<'p, T: 'p, O>(
    signals: std::slice::ChunksExact<'p, T>,
    rows: &'p mut [O],
    bins: usize,
    frames: usize,
) -> impl Iterator<Item = (&'p [T], Range<usize>, Vec<&'p mut [O]>)> {
    assert_eq!(rows.len(), signals.len() * bins * frames, "{bins} bins, {frames} frames");
    signals.zip(rows.chunks_exact_mut(bins * frames)).flat_map(move |(signal, rows)| {
        let mut rest: Vec<&mut [O]> = rows.chunks_exact_mut(frames).collect();
        (0..frames).step_by(PART).map(move |first| {
            let count = PART.min(frames - first);
            let part = rest.iter_mut().filter_map(|row| row.split_off_mut(..count)).collect();
            (signal, first..first + count, part)
        })
    })
}
