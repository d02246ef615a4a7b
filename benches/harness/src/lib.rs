//! What the programs of this crate share: recordings in a folder, and sounds that are made.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Whatever went wrong; the programs only print it.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The WAVs of a folder, sorted.
///
/// # Errors
/// If the folder cannot be read or has none.
pub fn recordings(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "wav"));
    paths.sort();
    if paths.is_empty() {
        return Err(format!("{}: expected WAV files, found none", folder.display()).into());
    }
    Ok(paths)
}

/// `seconds` of a decaying beat with hiss, always the same; full scale is 1.
#[must_use]
pub fn sound(sample_rate: u32, seconds: u32) -> Vec<f32> {
    let mut state = 1u32;
    (0..sample_rate * seconds)
        .map(|k| {
            // Numerical Recipes' generator: any noise will do, if it is the same everywhere.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            let t = (k % sample_rate) as f32 / sample_rate as f32;
            // A parabola for a sine, whose last bits differ between systems.
            let phase = (t * 60.0).fract() * 2.0 - 1.0;
            let tone = 4.0 * phase * (1.0 - phase.abs());
            0.5 * tone / (1.0 + 200.0 * t * t) + 0.002 * hiss
        })
        .collect()
}

/// The whole file, into a buffer whose memory is used again.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    File::open(path)?.read_to_end(bytes)?;
    Ok(())
}
