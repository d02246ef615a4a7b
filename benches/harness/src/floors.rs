//! What no program can do without, measured: the least that each stage takes on this machine.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use cpu_time::ProcessTime;
use heartfast_core::Cancel;
use heartfast_core::config::SpectrogramConfig;
use heartfast_core::figure::Caption;
use heartfast_core::pipeline::Converter;
use heartfast_harness::{Result, recordings};
use sha2::{Digest, Sha256};

use crate::ffts::frames_by_length;

/// Prints the floors of the tile job for these recordings, in CPU seconds.
pub(crate) fn time(folder: &Path, scratch: &Path) -> Result<()> {
    let paths = recordings(folder)?;
    let mut files = Vec::new();
    for path in &paths {
        files.push(fs::read(path)?);
    }
    let config = SpectrogramConfig::default();
    let mut converter = Converter::new(&config)?;
    let mut pictures = Vec::new();
    for file in &files {
        let mut picture = Vec::new();
        converter.convert(file, &Caption::default(), &mut picture, &Cancel::new())?;
        pictures.push(picture);
    }
    // A real FFT of n points takes some 2.5 n log2 n operations.
    let flops: f64 = frames_by_length(folder, 50.0, 1)?
        .into_iter()
        .map(|(n, frames)| 2.5 * n as f64 * (n as f64).log2() * frames as f64)
        .sum();
    let copied = |sets: &[Vec<u8>]| {
        let mut buffer = Vec::new();
        least(|| {
            for bytes in sets {
                buffer.clear();
                buffer.extend_from_slice(black_box(bytes));
                black_box(&mut buffer);
            }
            Ok(())
        })
    };
    let mut buffer = Vec::new();
    let read = least(|| {
        for path in &paths {
            buffer.clear();
            File::open(path)?.read_to_end(&mut buffer)?;
        }
        Ok(())
    })?;
    let hash = least(|| {
        for file in &files {
            black_box(Sha256::digest(file));
        }
        Ok(())
    })?;
    fs::create_dir_all(scratch)?;
    let mut round = 0;
    let write = least(|| {
        round += 1;
        for (i, picture) in pictures.iter().enumerate() {
            File::create(scratch.join(format!("{round}-{i}.png")))?.write_all(picture)?;
        }
        Ok(())
    })?;
    let (input, output) = (copied(&files)?, copied(&pictures)?);
    let rate = peak_flops();
    println!(
        "{{\"read\": {read}, \"copy of the input\": {input}, \"SHA-256 of the input\": {hash}, \
         \"FFT operations at peak rate\": {}, \"copy of the PNGs\": {output}, \
         \"files created and written\": {write}, \"peak_gflops\": {}}}",
        flops / rate,
        rate / 1e9
    );
    Ok(())
}

/// The least CPU seconds of some tries.
fn least(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        let start = ProcessTime::now();
        work()?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// Operations a second of multiply-adds that need not wait for each other: one counts as two.
fn peak_flops() -> f64 {
    const LANES: usize = 8;
    const CHAINS: usize = 12;
    const ROUNDS: usize = 2_000_000;
    let mut best = 0.0f64;
    for _ in 0..5 {
        let mut sums = [[1.0f32; LANES]; CHAINS];
        let (a, b) = (black_box([0.999_f32; LANES]), black_box([1e-3_f32; LANES]));
        let start = ProcessTime::now();
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                for ((x, a), b) in sum.iter_mut().zip(&a).zip(&b) {
                    *x = x.mul_add(*a, *b);
                }
            }
        }
        black_box(sums);
        let flops = (2 * LANES * CHAINS * ROUNDS) as f64;
        best = best.max(flops / start.elapsed().as_secs_f64());
    }
    best
}
