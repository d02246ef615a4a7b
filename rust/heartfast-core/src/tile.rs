//! A signal into a gray picture.

use std::collections::HashMap;

use crate::cancel::{Cancel, STRIDE};
use crate::config::{Geometry, Reference, SpectrogramConfig};
use crate::effects;
use crate::error::{Error, Result};
use crate::level::{FineGray, FineScale, GrayScale};
use crate::limits::Limits;
use crate::memory::{fit, reserve};
use crate::prepare::{Prepare, Prepared};
use crate::raster::{self, MAX_PIXELS};
use crate::simd::lane::{Complex, Sink};
use crate::simd::lanes::{Lanes, MOST_LANES};
use crate::simd::{Kernel, Level};
use crate::stft::{Real, SingleScratch, SingleStft};

/// The rows of a picture, one byte a pixel.
pub struct Tile<'t> {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Rows from top (highest frequency) to bottom.
    pub pixels: &'t [u8],
    /// Samples that were no finite numbers, and count as silence.
    pub silenced: u64,
}

/// Sample rates whose transforms are kept; archives have fewer, forged ones any number.
const MOST_PLANS: usize = 16;

/// A transform at one sample rate, with its working memory.
struct Plan {
    geometry: Geometry,
    stft: SingleStft,
    /// The largest magnitude that samples of at most 1 can have.
    gain: f64,
    scratch: SingleScratch,
}

/// Draws signals, one at a time, by one configuration; keeps its plans and buffers.
pub struct Painter<'a> {
    config: &'a SpectrogramConfig,
    level: Level,
    max_pixels: u64,
    plans: HashMap<u32, Plan>,
    fine: Vec<Line>,
    rows: Vec<u8>,
}

impl<'a> Painter<'a> {
    /// A painter for this configuration.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn new(config: &'a SpectrogramConfig) -> Result<Self> {
        Self::at(Level::best(), config)
    }

    /// [`Painter::new`] with these instructions.
    fn at(level: Level, config: &'a SpectrogramConfig) -> Result<Self> {
        config.validate()?;
        let (plans, fine, rows) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(Self { config, level, max_pixels: MAX_PIXELS as u64, plans, fine, rows })
    }

    /// Draws no pictures of more pixels than this.
    pub fn limit(&mut self, limits: &Limits) {
        self.max_pixels = limits.max_image_pixels.min(MAX_PIXELS as u64);
    }

    /// The picture of mono `samples`, which are working memory, too: what is not a finite
    /// number becomes silence, and the mean goes where the configuration asks for that.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::geometry`], [`Error::Limit`] for a picture of more pixels than
    /// are allowed, [`Error::Cancelled`] soon after `cancel` is set.
    pub fn tile(
        &mut self,
        samples: &mut [f32],
        sample_rate: u32,
        cancel: &Cancel,
    ) -> Result<Tile<'_>> {
        let (config, level, max_pixels) = (self.config, self.level, self.max_pixels);
        let Plan { geometry, stft, gain, scratch } =
            plan(&mut self.plans, config, level, sample_rate)?;
        let (bins, frames) = (stft.bins(), stft.frames(samples.len()));
        if bins.checked_mul(frames).is_none_or(|n| n as u64 > max_pixels) {
            let expected = format!("at most {max_pixels} pixels, by less overlap or zero padding");
            let found = format!("{frames} x {bins}");
            return Err(Error::limit("max_image_pixels", expected, found));
        }
        let prepare = Prepare { samples, detrend: config.detrend, cancel };
        let Prepared { peak, factor, silenced } = level.run(prepare)?;
        if config.effects.any() {
            let config = config.scaled(factor);
            let mut values = Vec::new();
            fit(&mut values, bins * frames, cancel)?;
            let signals = (&*samples, samples.len());
            effects::spectrogram(&config, sample_rate, signals, &mut values, 1, cancel)?;
            let (height, width, rows) = paint(&values, (bins, frames), &config, geometry, cancel)?;
            self.rows = rows;
            return Ok(Tile { width, height, pixels: &self.rows, silenced });
        }
        let (mut height, mut width) = (geometry.last_bin - geometry.first_bin + 1, frames);
        let stride = lines(frames);
        fit(&mut self.fine, height * stride, cancel)?;
        let (guess, headroom) = match config.reference {
            Reference::Max => (f64::from(peak) * *gain, HEADROOM),
            Reference::Magnitude(m) => (m * factor, 0.0),
        };
        let mut scale = FineScale::new(octaves(guess), headroom, config.dynamic_range);
        let gray = loop {
            let mut numbers = Numbers::new(&mut self.fine, *geometry, frames, scale);
            stft.for_each_block(samples, 0..frames, scratch, cancel, &mut numbers)?;
            let reference = octaves(match config.reference {
                Reference::Max => f64::from(numbers.max()).sqrt(),
                Reference::Magnitude(_) => guess,
            });
            if let Some(gray) = scale.gray(reference) {
                break gray;
            }
            // The maximum is none that the samples gave reason to expect; now it is known.
            scale = FineScale::new(reference, 0.0, config.dynamic_range);
        };
        fit(&mut self.rows, height * width, cancel)?;
        let flip = if config.invert { 255 } else { 0 };
        let (fine, rows) = (&self.fine, &mut self.rows);
        level.run(Quantise { fine, stride, gray, flip, rows, width, cancel })?;
        if let Some(size) = config.size {
            self.rows = raster::resize(&self.rows, (height, width), size, cancel)?;
            (height, width) = size;
        }
        Ok(Tile { width, height, pixels: &self.rows, silenced })
    }
}

/// How far below what the samples' peak would allow the picture's maximum is looked for, dB: a
/// single click in a window of a thousand samples is that far below it.
const HEADROOM: f64 = 60.0;

/// log2 of the power of a magnitude; finite.
fn octaves(magnitude: f64) -> f64 {
    (2.0 * magnitude.log2()).clamp(-5000.0, 5000.0)
}

/// A cache line of numbers: as many frames as the widest vectors take at a time.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u16; FRAMES]);

/// Frames in a line.
const FRAMES: usize = 2 * MOST_LANES;

/// Lines from one row to the next: not as many as would put neighbouring rows into the same place
/// of a cache.
fn lines(frames: usize) -> usize {
    let lines = frames.div_ceil(FRAMES);
    lines + usize::from(lines.is_multiple_of(16))
}

/// Rows of a [`FineScale`]'s numbers, the picture's order: the highest bin first, a frame a
/// number.
struct Numbers<'n> {
    rows: &'n mut [Line],
    geometry: Geometry,
    frames: usize,
    stride: usize,
    scale: FineScale,
    /// The largest power so far: several, because each must wait for itself.
    max: [[f32; MOST_LANES]; CHAINS],
}

/// Maxima side by side.
const CHAINS: usize = 4;

impl<'n> Numbers<'n> {
    fn new(rows: &'n mut [Line], geometry: Geometry, frames: usize, scale: FineScale) -> Self {
        let max = [[0.0; MOST_LANES]; CHAINS];
        Self { rows, geometry, frames, stride: lines(frames), scale, max }
    }

    fn max(&self) -> f32 {
        self.max.as_flattened().iter().copied().fold(0.0, f32::max)
    }
}

impl Sink for Numbers<'_> {
    #[inline(always)]
    fn take<V: Lanes>(&mut self, bin: usize, frame: usize, [a, b]: [Complex<V>; 2]) {
        let mut first = a.re.mul_add(a.re, a.im.mul(a.im));
        let mut second = b.re.mul_add(b.re, b.im.mul(b.im));
        if frame + 2 * V::COUNT > self.frames {
            // What lies behind the last frame is none.
            first = first.before(self.frames - frame);
            second = second.before(self.frames.saturating_sub(frame + V::COUNT));
        }
        let max = &mut self.max[bin % CHAINS];
        first.max(second).max(V::load(max, 0)).store(max, 0);
        let Geometry { first_bin, last_bin, .. } = self.geometry;
        if (first_bin..=last_bin).contains(&bin) {
            let line = &mut self.rows[(last_bin - bin) * self.stride + frame / FRAMES];
            let numbers = [self.scale.of(first), self.scale.of(second)];
            V::store_u16(numbers, &mut line.0, frame % FRAMES);
        }
    }
}

/// Rows of numbers into rows of gray.
struct Quantise<'q> {
    fine: &'q [Line],
    stride: usize,
    gray: FineGray,
    flip: u8,
    rows: &'q mut [u8],
    width: usize,
    cancel: &'q Cancel,
}

impl Kernel for Quantise<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { fine, stride, gray, flip, rows, width, cancel } = self;
        for (row, lines) in rows.chunks_exact_mut(width).zip(fine.chunks(stride)) {
            for (row, lines) in row.chunks_mut(STRIDE).zip(lines.chunks(STRIDE / FRAMES)) {
                cancel.check()?;
                // Whole registers of bytes at a time.
                let (levels, rest) = row.as_chunks_mut::<FRAMES>();
                for (levels, line) in levels.iter_mut().zip(lines) {
                    for (level, &number) in levels.iter_mut().zip(&line.0) {
                        *level = gray.level(number) ^ flip;
                    }
                }
                if let Some(line) = lines.get(levels.len()) {
                    for (level, &number) in rest.iter_mut().zip(&line.0) {
                        *level = gray.level(number) ^ flip;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The gray picture (height, width, rows from the top) of magnitudes in `bins` rows, lowest
/// frequency first: what [`Painter::tile`] draws, for values that are already there.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`]; [`Error::Cancelled`] soon after `cancel` is set.
pub fn paint<T: Real + Into<f64>>(
    magnitudes: &[T],
    (bins, frames): (usize, usize),
    config: &SpectrogramConfig,
    geometry: &Geometry,
    cancel: &Cancel,
) -> Result<(usize, usize, Vec<u8>)> {
    config.validate()?;
    let reference = match config.reference {
        Reference::Max => {
            let mut max = 0.0f64;
            for part in magnitudes.chunks(STRIDE) {
                cancel.check()?;
                max = part.iter().fold(max, |max, &m| max.max(m.into()));
            }
            max
        }
        Reference::Magnitude(m) => m,
    };
    let gray = GrayScale::new(1.0, config.dynamic_range);
    let flip = if config.invert { 255 } else { 0 };
    let relative = if reference > 0.0 { reference.recip() } else { 0.0 };
    let height = geometry.last_bin - geometry.first_bin + 1;
    let mut rows = Vec::new();
    reserve(&mut rows, height * frames)?;
    debug_assert_eq!(magnitudes.len(), bins * frames);
    for bin in (geometry.first_bin..=geometry.last_bin).rev() {
        cancel.check()?;
        let row = &magnitudes[bin * frames..(bin + 1) * frames];
        rows.extend(row.iter().map(|&m| {
            let m: f64 = m.into();
            gray.level(((m * relative) as f32).powi(2)) ^ flip
        }));
    }
    Ok(match config.size {
        Some(size) => (size.0, size.1, raster::resize(&rows, (height, frames), size, cancel)?),
        None => (height, frames, rows),
    })
}

fn plan<'p>(
    plans: &'p mut HashMap<u32, Plan>,
    config: &SpectrogramConfig,
    level: Level,
    sample_rate: u32,
) -> Result<&'p mut Plan> {
    use std::collections::hash_map::Entry;
    if plans.len() >= MOST_PLANS && !plans.contains_key(&sample_rate) {
        plans.clear();
    }
    match plans.entry(sample_rate) {
        Entry::Occupied(plan) => Ok(plan.into_mut()),
        Entry::Vacant(place) => {
            let geometry = config.geometry(sample_rate)?;
            let window = config.window.samples(geometry.win_length, true);
            let Geometry { hop_length, n_fft, .. } = geometry;
            let stft = SingleStft::at(level, &window, hop_length, n_fft, config.center)?;
            let gain = window.iter().map(|w| w.abs()).sum();
            Ok(place.insert(Plan { geometry, stft, gain, scratch: SingleScratch::default() }))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Painter, paint};
    use crate::cancel::Cancel;
    use crate::config::{Hop, SpectrogramConfig};
    use crate::simd::Level;
    use crate::stft::Stft;
    use crate::window::Window;

    proptest! {
        #[test]
        fn every_level_draws_the_same_picture_to_one_gray(
            samples in proptest::collection::vec(-1.0f32..1.0, 1..3000),
            window_ms in 1.0f64..100.0,
            overlap in 0.0f64..95.0,
            invert in any::<bool>(),
        ) {
            let hop = Hop::Overlap(overlap);
            let config = SpectrogramConfig { window_ms, hop, invert, ..Default::default() };
            let drawn = |level| {
                let mut painter = Painter::at(level, &config).unwrap();
                let tile = painter.tile(&mut samples.clone(), 4000, &Cancel::new()).unwrap();
                tile.pixels.to_vec()
            };
            let picture = drawn(Level::Portable);
            for level in Level::all() {
                let other = drawn(level);
                prop_assert_eq!(picture.len(), other.len());
                let most = picture.iter().zip(&other).map(|(a, b)| a.abs_diff(*b)).max();
                prop_assert!(most <= Some(1), "{:?}: {:?} levels apart", level, most);
            }
        }
    }

    #[test]
    fn a_maximum_far_below_the_peak_is_found() {
        // Where a Hann window begins, so that hardly anything is left of the click.
        for (at, dynamic_range) in [(0, 80.0), (1, 80.0), (1, 5.0), (2, 30.0), (20, 200.0)] {
            let hop = Hop::Overlap(0.0);
            let config = SpectrogramConfig {
                window: Window::Hann,
                hop,
                dynamic_range,
                center: false,
                ..Default::default()
            };
            let geometry = config.geometry(4000).unwrap();
            let n = geometry.win_length;
            let mut samples = vec![0.0f32; 5 * n];
            samples[2 * n + at] = 1.0;
            let window = Window::Hann.samples(n, true);
            let stft = Stft::<f64>::new(&window, n, geometry.n_fft, false).unwrap();
            let signal: Vec<f64> = samples.iter().map(|&x| x.into()).collect();
            let (bins, frames) = (stft.bins(), stft.frames(samples.len()));
            let mut magnitudes = vec![0.0; bins * frames];
            let mut scratch = stft.scratch();
            stft.for_each_frame(
                &signal,
                0..frames,
                &mut scratch,
                &Cancel::new(),
                |frame, values| {
                    for (bin, value) in values.iter().enumerate() {
                        magnitudes[bin * frames + frame] = value.norm();
                    }
                },
            )
            .unwrap();
            let shape = (bins, frames);
            let (_, _, expected) =
                paint(&magnitudes, shape, &config, &geometry, &Cancel::new()).unwrap();
            for level in Level::all() {
                let mut painter = Painter::at(level, &config).unwrap();
                let tile = painter.tile(&mut samples.clone(), 4000, &Cancel::new()).unwrap();
                let most = tile.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(most <= Some(1), "{level:?}, {at}, {dynamic_range} dB: {most:?} apart");
            }
        }
    }
}
