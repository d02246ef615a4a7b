//! The transforms alone: as many as the frames of some recordings need, on data in the cache.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use cpu_time::ThreadTime;
use heartfast_core::Cancel;
use heartfast_core::audio::{self, Audio};
use heartfast_core::config::{Hop, SpectrogramConfig};
use heartfast_core::limits::Limits;
use heartfast_harness::{Result, read, recordings};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Prints the CPU seconds of each library's transforms for all frames, and the sum of the
/// fastest at each sample rate.
pub(crate) fn time(folder: &Path, overlap: f64, pad: usize) -> Result<()> {
    let mut by_library = BTreeMap::new();
    let mut fastest = 0.0;
    for (n_fft, frames) in frames_by_length(folder, overlap, pad)? {
        // More than one, or the first pays for the clock that a core takes to speed up.
        let best = LIBRARIES.iter().map(|(name, transforms)| {
            let seconds = (0..3).map(|_| transforms(n_fft, frames)).fold(f64::INFINITY, f64::min);
            *by_library.entry(*name).or_insert(0.0) += seconds;
            seconds
        });
        fastest += best.fold(f64::INFINITY, f64::min);
    }
    print!("{{\"fastest\": {fastest}");
    for (name, seconds) in by_library {
        print!(", \"{name}\": {seconds}");
    }
    println!("}}");
    Ok(())
}

/// CPU seconds of the transforms of so many frames of `n_fft` points.
type Transforms = fn(usize, usize) -> f64;

/// Another way to transform real frames is a line here.
const LIBRARIES: [(&str, Transforms); 2] =
    [("rustfft, two frames at once", rustfft_pairs), ("realfft", realfft)];

/// How many frames of each FFT length the recordings have.
pub(crate) fn frames_by_length(
    folder: &Path,
    overlap: f64,
    pad: usize,
) -> Result<BTreeMap<usize, usize>> {
    let config = SpectrogramConfig { hop: Hop::Overlap(overlap), ..SpectrogramConfig::default() };
    let (mut bytes, mut audio) = (Vec::new(), Audio::default());
    let mut frames = BTreeMap::new();
    for path in recordings(folder)? {
        read(&path, &mut bytes)?;
        audio::decode(&bytes, &mut audio, &Limits::default(), &Cancel::new())?;
        let geometry = config.geometry(audio.sample_rate)?;
        *frames.entry(geometry.n_fft * pad).or_insert(0) +=
            audio.frames() / geometry.hop_length + 1;
    }
    Ok(frames)
}

fn rustfft_pairs(n: usize, frames: usize) -> f64 {
    let fft = FftPlanner::new().plan_fft_forward(n);
    let pair: Vec<Complex<f32>> = (0..n).map(|k| Complex::new(wave(k), wave(7 * k))).collect();
    let zero = Complex::new(0.0, 0.0);
    let (mut spectrum, mut scratch) = (vec![zero; n], vec![zero; fft.get_immutable_scratch_len()]);
    let start = ThreadTime::now();
    for _ in 0..frames.div_ceil(2) {
        fft.process_immutable_with_scratch(black_box(&pair), &mut spectrum, &mut scratch);
        black_box(&mut spectrum);
    }
    start.elapsed().as_secs_f64()
}

fn realfft(n: usize, frames: usize) -> f64 {
    let fft = realfft::RealFftPlanner::<f32>::new().plan_fft_forward(n);
    let frame: Vec<f32> = (0..n).map(wave).collect();
    let (mut input, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
    let mut scratch = fft.make_scratch_vec();
    let start = ThreadTime::now();
    for _ in 0..frames {
        input.copy_from_slice(black_box(&frame)); // its input does not outlast a transform
        let done = fft.process_with_scratch(&mut input, &mut spectrum, &mut scratch);
        black_box((&mut spectrum, done.is_ok()));
    }
    start.elapsed().as_secs_f64()
}

fn wave(k: usize) -> f32 {
    (k * k % 251) as f32 / 125.0 - 1.0
}
