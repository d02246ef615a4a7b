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

use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result};
use crate::level::max_of;
use crate::simd::lane::{self, LaneStft, Sink};
use crate::simd::lanes::{Lanes, MOST_LANES, Portable};
use crate::simd::{Kernel, Level, dispatch};
use crate::threads::share;

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

/// A transform of signals in single precision, by the fastest way that there is for its length.
pub struct SingleStft {
    pairs: Stft<f32>,
    lanes: Option<LaneStft>,
    level: Level,
}

/// How an array is cut into frames.
#[derive(Debug, Clone)]
pub struct Framing {
    /// The window's samples.
    pub window: Vec<f64>,
    /// Samples from frame to frame.
    pub hop_length: usize,
    /// FFT length in points, at least the window's.
    pub n_fft: usize,
    /// Whether frames stand around their time or behind it; see [`Stft::new`].
    pub center: bool,
}

impl Framing {
    /// How many bins and frames a signal of `n` samples has.
    ///
    /// # Errors
    /// Those of [`Stft::new`].
    pub fn shape(&self, n: usize) -> Result<(usize, usize)> {
        check(self.window.len(), self.hop_length, self.n_fft)?;
        let frames = frames(n, self.window.len(), self.hop_length, self.center);
        Ok((self.n_fft / 2 + 1, frames))
    }
}

/// The working memory of a [`SingleStft`].
#[derive(Default)]
pub struct SingleScratch {
    pairs: Option<(Scratch<f32>, Vec<Complex<f32>>)>,
    lanes: lane::Scratch,
}

impl SingleStft {
    /// As [`Stft::new`].
    ///
    /// # Errors
    /// Those of [`Stft::new`].
    pub fn new(window: &[f64], hop_length: usize, n_fft: usize, center: bool) -> Result<Self> {
        Self::at(Level::best(), window, hop_length, n_fft, center)
    }

    /// [`SingleStft::new`] with these instructions.
    pub(crate) fn at(
        level: Level,
        window: &[f64],
        hop_length: usize,
        n_fft: usize,
        center: bool,
    ) -> Result<Self> {
        let pairs = Stft::new(window, hop_length, n_fft, center)?;
        let lanes = LaneStft::new(window, (hop_length, pairs.lead), (n_fft, pairs.pad));
        Ok(Self { pairs, lanes, level })
    }

    /// As [`Stft::frames`].
    #[must_use]
    pub fn frames(&self, n: usize) -> usize {
        self.pairs.frames(n)
    }

    /// As [`Stft::bins`].
    #[must_use]
    pub fn bins(&self) -> usize {
        self.pairs.bins()
    }

    /// Gives the spectra of these `frames` of `signal` to `sink`, some at a time and in order;
    /// of the last ones it may give some more, which mean nothing.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub(crate) fn for_each_block(
        &self,
        signal: &[f32],
        frames: Range<usize>,
        scratch: &mut SingleScratch,
        cancel: &Cancel,
        sink: &mut impl Sink,
    ) -> Result<()> {
        if let Some(lanes) = &self.lanes {
            let mut frame = frames.start;
            while frame < frames.end {
                cancel.check()?;
                // The last few do not need the widest vectors.
                let level = self.level.for_frames(frames.end - frame);
                lanes.frames(level, signal, frame, &mut scratch.lanes, sink);
                frame += 2 * level.lanes();
            }
            return Ok(());
        }
        // Some frames are put aside, so that their values come side by side as well.
        let bins = self.bins();
        let (pairs, block) = scratch.pairs.get_or_insert_with(|| {
            (self.pairs.scratch(), vec![Complex::new(0.0, 0.0); BLOCK * bins])
        });
        let (start, end) = (frames.start, frames.end);
        self.pairs.for_each_frame(signal, frames, pairs, cancel, |frame, spectrum| {
            let slot = (frame - start) % BLOCK;
            block[slot * bins..][..bins].copy_from_slice(spectrum);
            if slot + 1 == BLOCK || frame + 1 == end {
                for bin in 0..bins {
                    let value = |k: usize| block[k * bins + bin];
                    let half = |from: usize| lane::Complex {
                        re: Portable(std::array::from_fn(|k| value(from + k).re)),
                        im: Portable(std::array::from_fn(|k| value(from + k).im)),
                    };
                    sink.take::<Portable<{ BLOCK / 2 }>>(
                        bin,
                        frame - slot,
                        [half(0), half(BLOCK / 2)],
                    );
                }
            }
        })
    }
}

/// The spectra of signals of `n` samples each, one behind the other, into `rows`, as
/// [`Stft::rows`] has them. They do not depend on the number of threads.
///
/// # Errors
/// Those of [`Stft::new`]; [`Error::Cancelled`] soon after `cancel` is set.
///
/// # Panics
/// If `rows` is not of that size.
pub fn spectra(
    framing: &Framing,
    signals: (&[f32], usize),
    rows: &mut [Complex<f32>],
    threads: usize,
    cancel: &Cancel,
) -> Result<()> {
    let Framing { window, hop_length, n_fft, center } = framing;
    let stft = SingleStft::new(window, *hop_length, *n_fft, *center)?;
    stft.rows(signals, rows, threads, cancel, Spectrum)
}

/// The magnitudes of signals, as [`spectra`].
///
/// # Errors
/// Those of [`spectra`].
///
/// # Panics
/// If `rows` is not of that size.
pub fn magnitudes(
    framing: &Framing,
    signals: (&[f32], usize),
    rows: &mut [f32],
    threads: usize,
    cancel: &Cancel,
) -> Result<()> {
    let Framing { window, hop_length, n_fft, center } = framing;
    let mut peak = 0.0f32;
    for part in signals.0.chunks(STRIDE) {
        cancel.check()?;
        peak = peak.max(dispatch(Peak(part)));
    }
    // Squares leave the range of an f32 long before the number itself does. The window brings
    // the largest magnitude to at most 2^62, so that only what is 2^120 times smaller is lost.
    let largest = f64::from(peak) * window.iter().map(|w| w.abs()).sum::<f64>();
    let exponent =
        if largest > 0.0 { (62.0 - largest.log2()).floor().clamp(-120.0, 120.0) } else { 0.0 };
    let window: Vec<f64> = window.iter().map(|w| w * exponent.exp2()).collect();
    let stft = SingleStft::new(&window, *hop_length, *n_fft, *center)?;
    stft.rows(signals, rows, threads, cancel, Magnitude { unscale: (-exponent).exp2() as f32 })
}

/// The largest magnitude of finite samples.
struct Peak<'p>(&'p [f32]);

impl Kernel for Peak<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        max_of(self.0, |x| if x.abs() < f32::INFINITY { x.abs() } else { 0.0 })
    }
}

/// What an array has of each value of a spectrum.
trait Element: Copy + Sync {
    type Out: Copy + Send;
    /// Writes the first lanes, as many as there is room for.
    fn put<V: Lanes>(self, z: lane::Complex<V>, to: &mut [Self::Out]);
}

#[derive(Clone, Copy)]
struct Spectrum;

impl Element for Spectrum {
    type Out = Complex<f32>;

    #[inline(always)]
    fn put<V: Lanes>(self, z: lane::Complex<V>, to: &mut [Complex<f32>]) {
        let (mut re, mut im) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
        z.re.store(&mut re, 0);
        z.im.store(&mut im, 0);
        for ((to, &re), &im) in to.iter_mut().zip(&re[..V::COUNT]).zip(&im[..V::COUNT]) {
            *to = Complex::new(re, im);
        }
    }
}

#[derive(Clone, Copy)]
struct Magnitude {
    /// What takes the window's factor back.
    unscale: f32,
}

impl Element for Magnitude {
    type Out = f32;

    #[inline(always)]
    fn put<V: Lanes>(self, z: lane::Complex<V>, to: &mut [f32]) {
        let power = z.re.mul_add(z.re, z.im.mul(z.im));
        let magnitude = power.sqrt().mul(V::splat(self.unscale));
        if to.len() == V::COUNT {
            magnitude.store(to, 0);
        } else {
            let mut lanes = [0.0; MOST_LANES];
            magnitude.store(&mut lanes, 0);
            to.copy_from_slice(&lanes[..to.len()]);
        }
    }
}

/// Some frames, from `start` on, of all rows of an array.
struct Columns<'c, E: Element> {
    start: usize,
    rows: Vec<&'c mut [E::Out]>,
    element: E,
}

impl<E: Element> Sink for Columns<'_, E> {
    #[inline(always)]
    fn take<V: Lanes>(&mut self, bin: usize, frame: usize, [a, b]: [lane::Complex<V>; 2]) {
        let row = &mut self.rows[bin][frame - self.start..];
        let (first, rest) = row.split_at_mut(V::COUNT.min(row.len()));
        self.element.put(a, first);
        let second = V::COUNT.min(rest.len());
        self.element.put(b, &mut rest[..second]);
    }
}

impl SingleStft {
    /// As [`Stft::rows`].
    fn rows<E: Element>(
        &self,
        (signals, n): (&[f32], usize),
        rows: &mut [E::Out],
        threads: usize,
        cancel: &Cancel,
        element: E,
    ) -> Result<()> {
        let (bins, frames, rows_len) = (self.bins(), self.frames(n), rows.len());
        let signals = signals.chunks_exact(n.max(1));
        let threads = if rows_len < WORTH_SHARING { 1 } else { threads };
        let parts = parts(signals, rows, bins, frames);
        share(
            parts,
            threads,
            || Ok(SingleScratch::default()),
            |scratch, part| {
                let (signal, frames, rows) = part;
                let mut columns = Columns { start: frames.start, rows, element };
                self.for_each_block(signal, frames, scratch, cancel, &mut columns)
            },
        )
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
