//! A kernel so many times, for callgrind to count: `instructions KERNEL TIMES`.
//!
//! What is counted is the difference between two numbers of times, so that start-up and plans
//! do not count: see `benches/instructions.py`.

use std::hint::black_box;

use heartfast_core::Cancel;
use heartfast_core::config::SpectrogramConfig;
use heartfast_core::png::Encoder;
use heartfast_core::raster::{Color, Image};
use heartfast_core::tile::{Painter, Tile};
use heartfast_harness::{Result, sound};

const SECONDS: u32 = 8;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, times] = &words[..] else {
        return Err("expected KERNEL TIMES".into());
    };
    let times: usize = times.parse()?;
    match kernel.as_str() {
        "tile-4k" => tile(4000, times),
        "tile-44k" => tile(44_100, times),
        "png" => png(times),
        _ => Err(format!("kernel: expected tile-4k, tile-44k or png, found {kernel}").into()),
    }
}

fn tile(sample_rate: u32, times: usize) -> Result<()> {
    let config = SpectrogramConfig::default();
    let mut painter = Painter::new(&config)?;
    let mut samples = sound(sample_rate, SECONDS);
    for _ in 0..times {
        black_box(painter.tile(&mut samples, sample_rate, &Cancel::new())?.pixels);
    }
    Ok(())
}

fn png(times: usize) -> Result<()> {
    let config = SpectrogramConfig::default();
    let mut painter = Painter::new(&config)?;
    let mut samples = sound(44_100, SECONDS);
    let Tile { width, height, pixels, .. } = painter.tile(&mut samples, 44_100, &Cancel::new())?;
    let image = Image { width, height, pixels, color: Color::Gray };
    let (mut encoder, mut file) = (Encoder::default(), Vec::new());
    for _ in 0..times {
        encoder.encode_into(&image, &[], &mut file, &Cancel::new())?;
        black_box(&mut file);
    }
    Ok(())
}
