//! The tile job as a good user of realfft and the png crate writes it. Decoding and the
//! logarithm are heartfast's, so that what is compared is the transform and the PNG.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use heartfast_core::Cancel;
use heartfast_core::audio::{self, Audio};
use heartfast_core::config::{Geometry, SpectrogramConfig};
use heartfast_core::level::GrayScale;
use heartfast_core::limits::Limits;
use heartfast_harness::{Result, read, recordings};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// What is made once for a sample rate.
struct Plan {
    geometry: Geometry,
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Plan {
    fn new(config: &SpectrogramConfig, sample_rate: u32) -> Result<Self> {
        let geometry = config.geometry(sample_rate)?;
        let window = config.window.samples(geometry.win_length, true);
        let fft = RealFftPlanner::new().plan_fft_forward(geometry.n_fft);
        Ok(Self {
            geometry,
            window: window.iter().map(|&w| w as f32).collect(),
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        })
    }
}

/// Converts the recordings, keeping nothing; how many, and the bytes of their PNGs.
pub(crate) fn convert(folder: &Path) -> Result<(usize, usize)> {
    let config = SpectrogramConfig::default();
    let mut plans: HashMap<u32, Plan> = HashMap::new();
    let (mut recording, mut audio, mut picture) = (Vec::new(), Audio::default(), Vec::new());
    let (mut padded, mut power, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut levels: Vec<u8> = Vec::new();
    let (cancel, mut bytes) = (Cancel::new(), 0);
    let paths = recordings(folder)?;
    for path in &paths {
        read(path, &mut recording)?;
        audio::decode(&recording, &mut audio, &Limits::default(), &cancel)?;
        audio.mix(&cancel)?;
        let plan = match plans.entry(audio.sample_rate) {
            Entry::Occupied(plan) => plan.into_mut(),
            Entry::Vacant(place) => place.insert(Plan::new(&config, audio.sample_rate)?),
        };
        let Geometry { win_length, hop_length, .. } = plan.geometry;
        let (bins, frames) = (plan.spectrum.len(), audio.interleaved.len() / hop_length + 1);
        // Silence beyond both ends.
        padded.clear();
        padded.resize(win_length / 2, 0.0);
        padded.extend_from_slice(&audio.interleaved);
        padded.resize((frames - 1) * hop_length + win_length, 0.0);
        power.resize(bins * frames, 0.0f32);
        for (k, power) in power.chunks_exact_mut(bins).enumerate() {
            let samples = &padded[k * hop_length..][..win_length];
            for ((out, &x), &w) in plan.frame.iter_mut().zip(samples).zip(&plan.window) {
                *out = x * w;
            }
            plan.fft.process_with_scratch(
                &mut plan.frame,
                &mut plan.spectrum,
                &mut plan.scratch,
            )?;
            for (p, z) in power.iter_mut().zip(&plan.spectrum) {
                *p = z.re * z.re + z.im * z.im;
            }
        }
        let reference = f64::from(largest(&power)).sqrt();
        let gray = GrayScale::new(reference, config.dynamic_range);
        levels.clear();
        levels.extend(power.iter().map(|&p| gray.level(p)));
        rows.resize(levels.len(), 0);
        turn(&levels, bins, &mut rows);
        picture.clear();
        let mut encoder = png::Encoder::new(&mut picture, frames as u32, bins as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fastest);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rows)?;
        writer.finish()?;
        bytes += picture.len();
    }
    Ok((paths.len(), bytes))
}

/// The largest of non-negative numbers: several side by side, because each waits for itself.
fn largest(numbers: &[f32]) -> f32 {
    let mut most = [0.0f32; 16];
    let (groups, rest) = numbers.as_chunks::<16>();
    for group in groups {
        for (most, &x) in most.iter_mut().zip(group) {
            *most = if x > *most { x } else { *most };
        }
    }
    rest.iter().copied().chain(most).fold(0.0, f32::max)
}

/// Frames of `bins` levels into rows, the highest bin first: square by square, which stay in the
/// nearest cache.
fn turn(levels: &[u8], bins: usize, rows: &mut [u8]) {
    const SIDE: usize = 64;
    let frames = levels.len() / bins;
    for left in (0..frames).step_by(SIDE) {
        for bottom in (0..bins).step_by(SIDE) {
            for bin in bottom..bins.min(bottom + SIDE) {
                let row = &mut rows[(bins - 1 - bin) * frames..][..frames];
                for (frame, level) in row.iter_mut().enumerate().skip(left).take(SIDE) {
                    *level = levels[frame * bins + bin];
                }
            }
        }
    }
}
