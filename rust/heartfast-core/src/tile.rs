//! A signal into a gray picture.

mod fine;

use std::collections::HashMap;
use std::sync::Arc;

use crate::cancel::{Cancel, STRIDE};
use crate::config::{Geometry, Reference, SpectrogramConfig};
use crate::effects;
use crate::error::{Error, Result};
use crate::level::{FineScale, GrayScale};
use crate::limits::Limits;
use crate::memory::{fit, reserve};
use crate::prepare::{Prepare, Prepared};
use crate::raster::{self, MAX_PIXELS};
use crate::simd::Level;
use crate::stft::{Real, SingleScratch, SingleStft};
use fine::{Line, Numbers, Quantise, largest_of, lines};

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
pub struct Painter {
    config: Arc<SpectrogramConfig>,
    level: Level,
    max_pixels: u64,
    plans: HashMap<u32, Plan>,
    fine: Vec<Line>,
    grouped: Vec<Line>,
    rows: Vec<u8>,
}

impl Painter {
    /// A painter for this configuration.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn new(config: &SpectrogramConfig) -> Result<Self> {
        Self::at(Level::best(), config)
    }

    /// [`Painter::new`] with these instructions.
    fn at(level: Level, config: &SpectrogramConfig) -> Result<Self> {
        config.validate()?;
        let (config, max_pixels) = (Arc::new(config.clone()), MAX_PIXELS as u64);
        let (fine, grouped, rows) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { config, level, max_pixels, plans: HashMap::new(), fine, grouped, rows })
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
        let flip = if self.config.invert { 255 } else { 0 };
        let known = self.draw(samples, sample_rate, (None, flip), cancel)?;
        let (mut height, mut width, silenced) = (known.rows, known.columns, known.silenced);
        if let Some(size) = self.config.size {
            self.rows = raster::resize(&self.rows, (height, width), size, cancel)?;
            (height, width) = size;
        }
        Ok(Tile { width, height, pixels: &self.rows, silenced })
    }

    /// The levels of a figure: as [`Painter::tile`], but never inverted or resized, and of a long
    /// recording no more than four columns to a pixel of `width`, each with the maximum of its
    /// frames.
    ///
    /// # Errors
    /// Those of [`Painter::tile`].
    pub(crate) fn levels(
        &mut self,
        samples: &mut [f32],
        sample_rate: u32,
        width: usize,
        cancel: &Cancel,
    ) -> Result<(Levels, &[u8])> {
        let known = self.draw(samples, sample_rate, (Some(width), 0), cancel)?;
        Ok((known, &self.rows))
    }

    fn draw(
        &mut self,
        samples: &mut [f32],
        sample_rate: u32,
        (most, flip): (Option<usize>, u8),
        cancel: &Cancel,
    ) -> Result<Levels> {
        let (config, level, max_pixels) = (&*self.config, self.level, self.max_pixels);
        let Plan { geometry, stft, gain, scratch } =
            plan(&mut self.plans, config, level, sample_rate)?;
        let (bins, frames) = (stft.bins(), stft.frames(samples.len()));
        let group = match most {
            Some(width) if !config.effects.any() => (frames / (2 * width.max(1))).max(1),
            _ => 1,
        };
        let columns = frames.div_ceil(group);
        if bins.checked_mul(columns).is_none_or(|n| n as u64 > max_pixels) {
            let expected = format!("at most {max_pixels} pixels, by less overlap or zero padding");
            let found = format!("{columns} x {bins}");
            return Err(Error::limit("max_image_pixels", expected, found));
        }
        let prepare = Prepare { samples, detrend: config.detrend, cancel };
        let Prepared { peak, factor, silenced } = level.run(prepare)?;
        let rows = geometry.last_bin - geometry.first_bin + 1;
        if config.effects.any() {
            let config = SpectrogramConfig { invert: flip != 0, ..config.scaled(factor) };
            let mut values = Vec::new();
            fit(&mut values, bins * frames, cancel)?;
            let signals = (&*samples, samples.len());
            effects::spectrogram(&config, sample_rate, signals, &mut values, 1, cancel)?;
            // Not in its size yet.
            let config = SpectrogramConfig { size: None, ..config };
            (_, _, self.rows) = paint(&values, (bins, frames), &config, geometry, cancel)?;
            let geometry = *geometry;
            return Ok(Levels { rows, columns: frames, group: 1, factor, silenced, geometry });
        }
        // The frames of whole groups at a time.
        let part = if group == 1 { frames } else { group * MOST_FRAMES.div_ceil(group) };
        fit(&mut self.fine, rows * lines(part.min(frames)), cancel)?;
        let (guess, headroom) = match config.reference {
            Reference::Max => (f64::from(peak) * *gain, HEADROOM),
            Reference::Magnitude(m) => (m * factor, 0.0),
        };
        let mut scale = FineScale::new(octaves(guess), headroom, config.dynamic_range);
        let gray = loop {
            let mut max = 0.0f32;
            for first in (0..frames).step_by(part) {
                let range = first..frames.min(first + part);
                let mut numbers = Numbers::new(&mut self.fine, *geometry, range.clone(), scale);
                stft.for_each_block(samples, range, scratch, cancel, &mut numbers)?;
                max = max.max(numbers.max());
                if group > 1 {
                    let count = (first + part).min(frames) - first;
                    fit(&mut self.grouped, rows * lines(columns), cancel)?;
                    let (fine, grouped) = (&self.fine, &mut self.grouped);
                    largest_of(group, fine, count, grouped, (first / group, columns), cancel)?;
                }
            }
            let reference = octaves(match config.reference {
                Reference::Max => f64::from(max).sqrt(),
                Reference::Magnitude(_) => guess,
            });
            if let Some(gray) = scale.gray(reference) {
                break gray;
            }
            // The maximum is none that the samples gave reason to expect; now it is known.
            scale = FineScale::new(reference, 0.0, config.dynamic_range);
        };
        fit(&mut self.rows, rows * columns, cancel)?;
        let fine = if group == 1 { &self.fine } else { &self.grouped };
        let (stride, width) = (lines(columns), columns);
        level.run(Quantise { fine, stride, gray, flip, rows: &mut self.rows, width, cancel })?;
        Ok(Levels { rows, columns, group, factor, silenced, geometry: *geometry })
    }
}

/// What is known of levels that were drawn.
pub(crate) struct Levels {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Frames in a column.
    pub(crate) group: usize,
    /// What samples were multiplied by.
    pub(crate) factor: f64,
    /// Samples that were no finite numbers, and count as silence.
    pub(crate) silenced: u64,
    pub(crate) geometry: Geometry,
}

/// Frames of a long recording that are looked at together: some tens of megabytes of numbers.
const MOST_FRAMES: usize = 8192;

/// How far below what the samples' peak would allow the picture's maximum is looked for, dB: a
/// single click in a window of a thousand samples is that far below it.
const HEADROOM: f64 = 60.0;

/// log2 of the power of a magnitude; finite.
fn octaves(magnitude: f64) -> f64 {
    (2.0 * magnitude.log2()).clamp(-5000.0, 5000.0)
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
