//! One recording into one picture. A [`Converter`] belongs to one thread and keeps its plans
//! and buffers from recording to recording.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audio::{self, Audio};
use crate::config::{Geometry, Reference, SpectrogramConfig};
use crate::error::{Error, Result};
use crate::level::{GrayScale, max_power};
use crate::png::{self, MAX_PIXELS};
use crate::raster::{self, Color, Image};
use crate::stft::{Scratch, Stft};

/// What is known of a recording once it is converted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recording {
    /// Samples per second.
    pub sample_rate: u32,
    /// Seconds.
    pub duration_s: f64,
}

/// A transform at one sample rate, with its working memory.
struct Plan {
    geometry: Geometry,
    stft: Stft<f32>,
    scratch: Scratch<f32>,
}

/// Converts recordings, one at a time, by one configuration.
pub struct Converter<'a> {
    config: &'a SpectrogramConfig,
    config_json: String,
    plans: HashMap<u32, Plan>,
    audio: Audio,
    power: Vec<f32>,
    levels: Vec<u8>,
    rows: Vec<u8>,
}

/// The rows of a picture, one byte a pixel.
pub struct Tile<'t> {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Rows from top (highest frequency) to bottom.
    pub pixels: &'t [u8],
}

impl<'a> Converter<'a> {
    /// A converter for this configuration.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn new(config: &'a SpectrogramConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config,
            config_json: config.to_json(),
            plans: HashMap::new(),
            audio: Audio::default(),
            power: Vec::new(),
            levels: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// The PNG, into `file`, of a recording's bytes.
    ///
    /// # Errors
    /// Those of [`audio::decode`], [`SpectrogramConfig::geometry`] and [`png::encode`];
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn convert(
        &mut self,
        recording: &[u8],
        file: &mut Vec<u8>,
        cancel: &AtomicBool,
    ) -> Result<Recording> {
        let mut audio = std::mem::take(&mut self.audio);
        let decoded = audio::decode(recording, &mut audio, cancel);
        let converted = decoded.and_then(|()| {
            audio.mix();
            let known =
                Recording { sample_rate: audio.sample_rate, duration_s: audio.duration_s() };
            self.encode(&mut audio.interleaved, &known, file, cancel)?;
            Ok(known)
        });
        self.audio = audio;
        converted
    }

    fn encode(
        &mut self,
        samples: &mut [f32],
        recording: &Recording,
        file: &mut Vec<u8>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        // A sample that is not a number is damage; silence there keeps the rest of the picture.
        for x in samples.iter_mut().filter(|x| !x.is_finite()) {
            *x = 0.0;
        }
        let geometry = self.config.geometry(recording.sample_rate)?;
        let provenance = self.provenance(&geometry, recording);
        let color = Color::from(self.config.colormap);
        let tile = self.tile(samples, recording.sample_rate, cancel)?;
        let image = Image { width: tile.width, height: tile.height, pixels: tile.pixels, color };
        png::encode_into(&image, &[("heartfast", &provenance)], file)
    }

    /// The picture of mono `samples`, which are changed where the configuration asks for
    /// detrending.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::geometry`], [`Error::Encode`] for a picture larger than any
    /// viewer opens, [`Error::Cancelled`] soon after `cancel` is set.
    pub fn tile(
        &mut self,
        samples: &mut [f32],
        sample_rate: u32,
        cancel: &AtomicBool,
    ) -> Result<Tile<'_>> {
        let config = self.config;
        if config.detrend {
            let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / samples.len() as f64;
            for x in samples.iter_mut() {
                *x -= mean as f32;
            }
        }
        let scale = rescale(samples);
        let plan = plan(&mut self.plans, config, sample_rate)?;
        let geometry = plan.geometry;
        let (bins, frames) = (plan.stft.bins(), plan.stft.frames(samples.len()));
        if bins.checked_mul(frames).is_none_or(|n| n > MAX_PIXELS) {
            let expected = format!("at most {MAX_PIXELS} pixels (less overlap or zero padding)");
            return Err(Error::Encode { expected, found: format!("{frames} x {bins}") });
        }
        self.power.clear();
        self.power.reserve(bins * frames);
        let power = &mut self.power;
        plan.stft.for_each_frame(samples, &mut plan.scratch, |_, spectrum| {
            power.extend(spectrum.iter().map(|z| z.re * z.re + z.im * z.im));
            !cancel.load(Ordering::Relaxed)
        });
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let reference = match config.reference {
            Reference::Max => f64::from(max_power(power)).sqrt(),
            Reference::Magnitude(m) => m * scale,
        };
        let gray = GrayScale::new(reference, config.dynamic_range);
        let flip = if config.invert { 255 } else { 0 };
        self.levels.clear();
        self.levels.extend(power.iter().map(|&p| gray.level(p) ^ flip));
        let (first, last) = (geometry.first_bin, geometry.last_bin);
        raster::frames_to_rows(&self.levels, bins, first, last, &mut self.rows);
        let (mut height, mut width) = (last - first + 1, frames);
        if let Some(size) = config.size {
            self.rows = raster::resize(&self.rows, (height, width), size);
            (height, width) = size;
        }
        Ok(Tile { width, height, pixels: &self.rows })
    }

    /// What a picture says of its making, as JSON.
    fn provenance(&self, geometry: &Geometry, recording: &Recording) -> String {
        let hz = f64::from(recording.sample_rate) / geometry.n_fft as f64;
        format!(
            "{{\"config\": {}, \"sample_rate\": {}, \"duration_s\": {:?}, \"win_length\": {}, \
             \"hop_length\": {}, \"n_fft\": {}, \"fmin\": {:?}, \"fmax\": {:?}, \
             \"version\": \"{}\"}}",
            self.config_json,
            recording.sample_rate,
            recording.duration_s,
            geometry.win_length,
            geometry.hop_length,
            geometry.n_fft,
            hz * geometry.first_bin as f64,
            hz * geometry.last_bin as f64,
            crate::VERSION,
        )
    }
}

/// The gray picture (height, width, rows from the top) of magnitudes in `bins` rows, lowest
/// frequency first: what [`Converter::tile`] draws, for values that are already there.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`].
pub fn paint(
    magnitudes: &[f64],
    (bins, frames): (usize, usize),
    config: &SpectrogramConfig,
    geometry: &Geometry,
) -> Result<(usize, usize, Vec<u8>)> {
    config.validate()?;
    let reference = match config.reference {
        Reference::Max => magnitudes.iter().copied().fold(0.0, f64::max),
        Reference::Magnitude(m) => m,
    };
    let gray = GrayScale::new(1.0, config.dynamic_range);
    let flip = if config.invert { 255 } else { 0 };
    let relative = if reference > 0.0 { reference.recip() } else { 0.0 };
    let height = geometry.last_bin - geometry.first_bin + 1;
    let mut rows = Vec::with_capacity(height * frames);
    debug_assert_eq!(magnitudes.len(), bins * frames);
    for bin in (geometry.first_bin..=geometry.last_bin).rev() {
        let row = &magnitudes[bin * frames..(bin + 1) * frames];
        rows.extend(row.iter().map(|&m| gray.level(((m * relative) as f32).powi(2)) ^ flip));
    }
    Ok(match config.size {
        Some(size) => (size.0, size.1, raster::resize(&rows, (height, frames), size)),
        None => (height, frames, rows),
    })
}

fn plan<'p>(
    plans: &'p mut HashMap<u32, Plan>,
    config: &SpectrogramConfig,
    sample_rate: u32,
) -> Result<&'p mut Plan> {
    use std::collections::hash_map::Entry;
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

/// Multiplies samples far from 1 by a power of two, so that their squares neither overflow nor
/// vanish, and returns the factor.
fn rescale(samples: &mut [f32]) -> f64 {
    let peak = samples.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
    if peak == 0.0 || (1e-8..1e8).contains(&peak) {
        return 1.0;
    }
    let factor = f64::from(peak).log2().floor().exp2().recip();
    for x in samples.iter_mut() {
        *x = (f64::from(*x) * factor) as f32;
    }
    factor
}
