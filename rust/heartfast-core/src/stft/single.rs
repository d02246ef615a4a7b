//! Transforms of signals in single precision: by lanes where the length has them.

use std::ops::Range;

use super::{BLOCK, Complex, Scratch, Stft, WORTH_SHARING, check, frames, parts};
use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;
use crate::level::max_of;
use crate::simd::lane::{self, LaneStft, Sink};
use crate::simd::lanes::{Lanes, MOST_LANES, Portable};
use crate::simd::{Kernel, Level, dispatch};
use crate::threads::share;

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
