//! A signal into a gray picture.

use std::collections::HashMap;

use crate::cancel::{Cancel, STRIDE};
use crate::config::{Geometry, Reference, SpectrogramConfig};
use crate::error::{Error, Result};
use crate::level::{GrayScale, max_of, max_power};
use crate::memory::{fit, reserve};
use crate::raster::{self, MAX_PIXELS};
use crate::simd;
use crate::stft::{Real, Scratch, Stft};

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
    stft: Stft<f32>,
    scratch: Scratch<f32>,
}

/// Draws signals, one at a time, by one configuration; keeps its plans and buffers.
pub struct Painter<'a> {
    config: &'a SpectrogramConfig,
    plans: HashMap<u32, Plan>,
    power: Vec<f32>,
    levels: Vec<u8>,
    rows: Vec<u8>,
}

impl<'a> Painter<'a> {
    /// A painter for this configuration.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn new(config: &'a SpectrogramConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config,
            plans: HashMap::new(),
            power: Vec::new(),
            levels: Vec::new(),
            rows: Vec::new(),
        })
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
        let config = self.config;
        let plan = plan(&mut self.plans, config, sample_rate)?;
        let geometry = plan.geometry;
        let (bins, frames) = (plan.stft.bins(), plan.stft.frames(samples.len()));
        if bins.checked_mul(frames).is_none_or(|n| n > MAX_PIXELS) {
            let expected = format!("at most {MAX_PIXELS} pixels (less overlap or zero padding)");
            return Err(Error::Encode { expected, found: format!("{frames} x {bins}") });
        }
        let (power, levels, rows) = (&mut self.power, &mut self.levels, &mut self.rows);
        fit(power, bins * frames, cancel)?;
        fit(levels, bins * frames, cancel)?;
        simd::dispatch(Draw { config, plan, samples, power, levels, rows, cancel })?;
        let (mut height, mut width) = (geometry.last_bin - geometry.first_bin + 1, frames);
        if let Some(size) = config.size {
            self.rows = raster::resize(&self.rows, (height, width), size, cancel)?;
            (height, width) = size;
        }
        Ok(Tile { width, height, pixels: &self.rows })
    }
}

/// Samples into the rows of a picture.
struct Draw<'d> {
    config: &'d SpectrogramConfig,
    plan: &'d mut Plan,
    samples: &'d mut [f32],
    /// One value a bin and frame, as `levels`.
    power: &'d mut [f32],
    levels: &'d mut [u8],
    rows: &'d mut Vec<u8>,
    cancel: &'d Cancel,
}

impl simd::Kernel for Draw<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        let Self { config, plan, samples, power, levels, rows, cancel } = self;
        let (bins, frames) = (plan.stft.bins(), plan.stft.frames(samples.len()));
        let scale = rescale(samples, cancel)?;
        if config.detrend {
            remove_mean(samples, cancel)?;
        }
        plan.stft.for_each_frame(
            samples,
            0..frames,
            &mut plan.scratch,
            cancel,
            |frame, spectrum| {
                for (p, z) in power[frame * bins..][..bins].iter_mut().zip(spectrum) {
                    *p = z.re * z.re + z.im * z.im;
                }
            },
        )?;
        let reference = match config.reference {
            Reference::Max => {
                let mut max = 0.0f32;
                for part in power.chunks(STRIDE) {
                    cancel.check()?;
                    max = max.max(max_power(part));
                }
                f64::from(max).sqrt()
            }
            Reference::Magnitude(m) => m * scale,
        };
        let gray = GrayScale::new(reference, config.dynamic_range);
        let flip = if config.invert { 255 } else { 0 };
        for (part, levels) in power.chunks(STRIDE).zip(levels.chunks_mut(STRIDE)) {
            cancel.check()?;
            for (level, &p) in levels.iter_mut().zip(part) {
                *level = gray.level(p) ^ flip;
            }
        }
        let Geometry { first_bin, last_bin, .. } = plan.geometry;
        raster::frames_to_rows(levels, bins, first_bin, last_bin, rows, cancel)
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
            let stft = Stft::new(&window, geometry.hop_length, geometry.n_fft, config.center)?;
            let scratch = stft.scratch();
            Ok(place.insert(Plan { geometry, stft, scratch }))
        }
    }
}

/// The largest magnitude, once samples that are not numbers are silenced: they are damage, and
/// the rest of the picture is worth having.
#[inline(always)]
fn peak(samples: &mut [f32]) -> f32 {
    // Nothing times a number is nothing, and times anything else not a number.
    let (groups, rest) = samples.as_chunks::<16>();
    let mut poison = [0.0f32; 16];
    for group in groups {
        for (p, x) in poison.iter_mut().zip(group) {
            *p += x * 0.0;
        }
    }
    if poison.iter().chain(rest).any(|x| !x.is_finite()) {
        for x in samples.iter_mut().filter(|x| !x.is_finite()) {
            *x = 0.0;
        }
    }
    max_of(samples, f32::abs)
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
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{Draw, plan};
    use crate::cancel::Cancel;
    use crate::config::{Hop, SpectrogramConfig};
    use crate::simd::{self, Kernel};

    /// A picture drawn by code for any CPU, or for this one.
    fn drawn(samples: &[f32], config: &SpectrogramConfig, any_cpu: bool) -> Vec<u8> {
        let mut plans = HashMap::new();
        let Ok(plan) = plan(&mut plans, config, 4000) else { return Vec::new() };
        let values = plan.stft.bins() * plan.stft.frames(samples.len());
        let (mut power, mut levels, mut rows) = (vec![0.0; values], vec![0; values], Vec::new());
        let kernel = Draw {
            config,
            plan,
            samples: &mut samples.to_vec(),
            power: &mut power,
            levels: &mut levels,
            rows: &mut rows,
            cancel: &Cancel::new(),
        };
        let drawn = if any_cpu { kernel.run() } else { simd::dispatch(kernel) };
        drawn.map_or(Vec::new(), |()| rows)
    }

    proptest! {
        #[test]
        fn kernels_for_any_cpu_draw_the_same_picture(
            samples in proptest::collection::vec(-1.0f32..1.0, 1..3000),
            window_ms in 1.0f64..100.0,
            overlap in 0.0f64..95.0,
            invert in any::<bool>(),
        ) {
            let hop = Hop::Overlap(overlap);
            let config = SpectrogramConfig { window_ms, hop, invert, ..Default::default() };
            let picture = drawn(&samples, &config, true);
            prop_assert!(!picture.is_empty());
            prop_assert_eq!(picture, drawn(&samples, &config, false));
        }
    }
}
