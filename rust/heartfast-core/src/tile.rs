//! A signal into a gray picture.

use std::collections::HashMap;

use crate::cancel::{Cancel, STRIDE};
use crate::config::{Geometry, Reference, SpectrogramConfig};
use crate::error::{Error, Result};
use crate::level::GrayScale;
use crate::memory::{fit, reserve};
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
}

/// Sample rates whose transforms are kept; archives have fewer, forged ones any number.
const MOST_PLANS: usize = 16;

/// A transform at one sample rate, with its working memory.
struct Plan {
    geometry: Geometry,
    stft: SingleStft,
    scratch: SingleScratch,
}

/// Draws signals, one at a time, by one configuration; keeps its plans and buffers.
pub struct Painter<'a> {
    config: &'a SpectrogramConfig,
    level: Level,
    plans: HashMap<u32, Plan>,
    power: Vec<f32>,
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
        Ok(Self { config, level, plans: HashMap::new(), power: Vec::new(), rows: Vec::new() })
    }

    /// The picture of mono `samples`, which are working memory, too: what is not a finite
    /// number becomes silence, and the mean goes where the configuration asks for that.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::geometry`], [`Error::Encode`] for a picture larger than any
    /// viewer opens, [`Error::Cancelled`] soon after `cancel` is set.
    pub fn tile(
        &mut self,
        samples: &mut [f32],
        sample_rate: u32,
        cancel: &Cancel,
    ) -> Result<Tile<'_>> {
        let (config, level) = (self.config, self.level);
        let Plan { geometry, stft, scratch } = plan(&mut self.plans, config, level, sample_rate)?;
        let (bins, frames) = (stft.bins(), stft.frames(samples.len()));
        if bins.checked_mul(frames).is_none_or(|n| n > MAX_PIXELS) {
            let expected = format!("at most {MAX_PIXELS} pixels (less overlap or zero padding)");
            return Err(Error::Encode { expected, found: format!("{frames} x {bins}") });
        }
        let scale = level.run(Prepare { samples, detrend: config.detrend, cancel })?;
        let (mut height, mut width) = (geometry.last_bin - geometry.first_bin + 1, frames);
        let stride = Powers::stride(frames);
        fit(&mut self.power, height * stride, cancel)?;
        let mut powers = Powers::new(&mut self.power, *geometry, frames);
        stft.for_each_block(samples, 0..frames, scratch, cancel, &mut powers)?;
        let reference = match config.reference {
            Reference::Max => f64::from(powers.max()).sqrt(),
            Reference::Magnitude(m) => m * scale,
        };
        fit(&mut self.rows, height * width, cancel)?;
        let gray = GrayScale::new(reference, config.dynamic_range);
        let flip = if config.invert { 255 } else { 0 };
        let (power, rows) = (&self.power, &mut self.rows);
        level.run(Quantise { power, stride, gray, flip, rows, width, cancel })?;
        if let Some(size) = config.size {
            self.rows = raster::resize(&self.rows, (height, width), size, cancel)?;
            (height, width) = size;
        }
        Ok(Tile { width, height, pixels: &self.rows })
    }
}

/// Rows of power, the picture's order: the highest bin first, a frame a number. Behind the last
/// frame there is room for a block that reaches beyond it.
struct Powers<'p> {
    rows: &'p mut [f32],
    geometry: Geometry,
    frames: usize,
    /// The largest so far: several, because each must wait for itself.
    max: [[f32; MOST_LANES]; CHAINS],
}

/// Maxima side by side.
const CHAINS: usize = 4;

impl<'p> Powers<'p> {
    /// Numbers from one row to the next: whole cache lines, and not as many as would put
    /// neighbouring rows into the same place of a cache.
    fn stride(frames: usize) -> usize {
        let stride = (frames + MOST_LANES).next_multiple_of(2 * MOST_LANES);
        stride + if stride.is_multiple_of(256) { 2 * MOST_LANES } else { 0 }
    }

    fn new(rows: &'p mut [f32], geometry: Geometry, frames: usize) -> Self {
        let max = [[0.0; MOST_LANES]; CHAINS];
        Self { rows, geometry, frames, max }
    }

    fn max(&self) -> f32 {
        self.max.as_flattened().iter().copied().fold(0.0, f32::max)
    }
}

impl Sink for Powers<'_> {
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
            let at = (last_bin - bin) * Self::stride(self.frames) + frame;
            first.store(self.rows, at);
            second.store(self.rows, at + V::COUNT);
        }
    }
}

/// Makes samples fit for transforming, and returns what they were multiplied by.
struct Prepare<'p> {
    samples: &'p mut [f32],
    detrend: bool,
    cancel: &'p Cancel,
}

impl Kernel for Prepare<'_> {
    type Output = Result<f64>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<f64> {
        let scale = rescale(self.samples, self.cancel)?;
        if self.detrend {
            remove_mean(self.samples, self.cancel)?;
        }
        Ok(scale)
    }
}

/// Rows of power into rows of gray.
struct Quantise<'q> {
    power: &'q [f32],
    stride: usize,
    gray: GrayScale,
    flip: u8,
    rows: &'q mut [u8],
    width: usize,
    cancel: &'q Cancel,
}

impl Kernel for Quantise<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { power, stride, gray, flip, rows, width, cancel } = self;
        for (row, power) in rows.chunks_exact_mut(width).zip(power.chunks(stride)) {
            cancel.check()?;
            for (row, power) in row.chunks_mut(STRIDE).zip(power.chunks(STRIDE)) {
                cancel.check()?;
                // Whole registers of bytes at a time.
                let (levels, rest) = row.as_chunks_mut::<64>();
                let (powers, others) = power[..levels.len() * 64 + rest.len()].as_chunks::<64>();
                for (levels, powers) in levels.iter_mut().zip(powers) {
                    for (level, &p) in levels.iter_mut().zip(powers) {
                        *level = gray.level(p) ^ flip;
                    }
                }
                for (level, &p) in rest.iter_mut().zip(others) {
                    *level = gray.level(p) ^ flip;
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
            Ok(place.insert(Plan { geometry, stft, scratch: SingleScratch::default() }))
        }
    }
}

/// The largest magnitude, once samples that are not numbers are silenced: they are damage, and
/// the rest of the picture is worth having.
#[inline(always)]
fn peak(samples: &mut [f32]) -> f32 {
    // Without their sign, the bits of floats are in the order of what they mean, and those of
    // what is no finite number come last.
    let bits = |x: f32| x.to_bits() & 0x7fff_ffff;
    let mut largest = samples.iter().fold(0, |max, &x| bits(x).max(max));
    if largest >= f32::INFINITY.to_bits() {
        for x in samples.iter_mut().filter(|x| !x.is_finite()) {
            *x = 0.0;
        }
        largest = samples.iter().fold(0, |max, &x| bits(x).max(max));
    }
    f32::from_bits(largest)
}

/// Multiplies samples far from 1 by a power of two, so that their squares neither overflow nor
/// vanish, and returns the factor.
#[inline(always)]
fn rescale(samples: &mut [f32], cancel: &Cancel) -> Result<f64> {
    let mut max = 0.0f32;
    for part in samples.chunks_mut(STRIDE) {
        cancel.check()?;
        max = max.max(peak(part));
    }
    if max == 0.0 || (1e-8..1e8).contains(&max) {
        return Ok(1.0);
    }
    let factor = f64::from(max).log2().floor().exp2().recip();
    for part in samples.chunks_mut(STRIDE) {
        cancel.check()?;
        for x in part {
            *x = (f64::from(*x) * factor) as f32;
        }
    }
    Ok(factor)
}

#[inline(always)]
fn remove_mean(samples: &mut [f32], cancel: &Cancel) -> Result<()> {
    let mut sum = 0.0;
    for part in samples.chunks(STRIDE) {
        cancel.check()?;
        sum = part.iter().fold(sum, |sum, &x| sum + f64::from(x));
    }
    let mean = sum / samples.len() as f64;
    for part in samples.chunks_mut(STRIDE) {
        cancel.check()?;
        for x in part {
            *x = (f64::from(*x) - mean) as f32;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::Painter;
    use crate::cancel::Cancel;
    use crate::config::{Hop, SpectrogramConfig};
    use crate::simd::Level;

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
}
