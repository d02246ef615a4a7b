//! What `make bench` measures in Rust.
//!
//!     heartfast-harness core FOLDER               recordings -> PNGs in memory, by heartfast's core
//!     heartfast-harness realfft FOLDER            the same by realfft and the png crate
//!     heartfast-harness ffts FOLDER OVERLAP PAD   CPU seconds of the transforms alone
//!     heartfast-harness floors FOLDER SCRATCH     CPU seconds that no program can do without
//!
//! PAD is the FFT's length over the window's. Results are JSON, one object.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::path::Path;

use heartfast_core::Cancel;
use heartfast_core::config::SpectrogramConfig;
use heartfast_core::figure::Caption;
use heartfast_core::pipeline::Converter;
use heartfast_harness::{Result, read, recordings};

mod ffts;
mod floors;
mod realfft_tiles;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["core", folder] => report(core(folder.as_ref())?),
        ["realfft", folder] => report(realfft_tiles::convert(folder.as_ref())?),
        ["ffts", folder, overlap, pad] => {
            ffts::time(folder.as_ref(), overlap.parse()?, pad.parse()?)?;
        }
        ["floors", folder, scratch] => floors::time(folder.as_ref(), scratch.as_ref())?,
        _ => return Err("expected core, realfft, ffts or floors, and their arguments".into()),
    }
    Ok(())
}

fn report((pictures, bytes): (usize, usize)) {
    println!("{{\"pictures\": {pictures}, \"png_bytes\": {bytes}}}");
}

/// heartfast's own path of one thread, less the checksum of the recording and the writing.
fn core(folder: &Path) -> Result<(usize, usize)> {
    let config = SpectrogramConfig::default();
    let mut converter = Converter::new(&config)?;
    let (mut recording, mut picture, mut bytes) = (Vec::new(), Vec::new(), 0);
    let paths = recordings(folder)?;
    for path in &paths {
        read(path, &mut recording)?;
        converter.convert(&recording, &Caption::default(), &mut picture, &Cancel::new())?;
        bytes += picture.len();
    }
    Ok((paths.len(), bytes))
}
