//! heartfast's core: recordings into spectrogram pictures. It knows no Python.
//!
//! The whole path for one signal, by hand:
//!
//! ```
//! use heartfast_core::Cancel;
//! use heartfast_core::config::SpectrogramConfig;
//! use heartfast_core::png;
//! use heartfast_core::raster::{Color, Image};
//! use heartfast_core::tile::Painter;
//!
//! // One second of 440 Hz at 4 kHz.
//! let mut tone: Vec<f32> =
//!     (0..4000).map(|k| (k as f32 * 440.0 * std::f32::consts::TAU / 4000.0).sin()).collect();
//! let config = SpectrogramConfig::default();
//! let mut painter = Painter::new(&config)?;
//! let tile = painter.tile(&mut tone, 4000, &Cancel::new())?;
//! // 50 ms are 200 samples: 101 bins, 20 Hz apart; a frame every 100 samples.
//! assert_eq!((tile.height, tile.width), (101, 41));
//! // The brightest row is that of 440 Hz, the 22nd bin from the bottom.
//! let row = (0..101).max_by_key(|y| tile.pixels[y * 41 + 20]).unwrap();
//! assert_eq!(row, 100 - 22);
//! let (width, height, pixels) = (tile.width, tile.height, tile.pixels);
//! let file = png::encode(&Image { width, height, pixels, color: Color::Gray }, &[])?;
//! assert!(file.len() < 101 * 41);
//! # Ok::<(), heartfast_core::Error>(())
//! ```
//!
//! [`batch`] does this for many files on all cores, [`pipeline`] for one file, [`tile`] for one
//! signal; below them are the steps: [`audio`], [`window`], [`stft`], [`level`], [`raster`],
//! [`png`].

// Sizes of pictures and signals are far below 2^52, and gray levels above 0: the casts between
// integers and floats in this crate lose nothing that is kept.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

pub mod archive;
pub mod audio;
pub mod batch;
mod cancel;
mod channels;
pub mod colormap;
mod colormap_tables;
pub mod config;
pub mod description;
pub mod effects;
mod error;
pub mod features;
pub mod figure;
pub mod findings;
pub mod in_memory;
mod inflate;
mod job;
mod json;
mod ledger;
pub mod level;
pub mod limits;
mod lines;
pub mod manifest;
mod memory;
mod packets;
mod pcm;
pub mod pipeline;
pub mod png;
mod prepare;
pub mod raster;
mod resample;
mod segments;
pub mod selection;
mod signal;
mod simd;
mod sink;
mod sniff;
mod source;
pub mod stages;
pub mod stft;
mod stream;
mod tables;
mod tasks;
mod threads;
pub mod tile;
pub mod window;

pub use cancel::Cancel;
pub use error::{Error, Result};

/// The version of heartfast.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
