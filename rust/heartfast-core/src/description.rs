//! Recordings into features, without the pictures between being files: the same numbers as those
//! of the pictures that [`batch`](crate::batch) writes.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::audio::{self, Audio};
use crate::batch::{Monitor, load};
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result, guard};
use crate::features::{self, Extractor, Scale};
use crate::figure::Caption;
use crate::limits::Limits;
use crate::memory::fit;
use crate::pipeline::{Canvas, Recording};
use crate::raster::{Color, Image};
use crate::selection::Selection;
use crate::source::{Opener, Origin};
use crate::threads::share;

/// What was found of recordings.
#[derive(Debug)]
pub struct Described {
    /// A row of [`features::count`] numbers for each recording, one after the other; zeros where it failed.
    pub rows: Vec<f64>,
    /// What was expected of each recording and found, where it failed.
    pub failures: Vec<Option<String>>,
}

/// Describes the pictures of whole recordings, each with what the caller calls it. The result does
/// not depend on the number of threads.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`]; [`Error::Decode`] if the features do not fit into
/// memory; [`Error::Cancelled`] once the monitor says so.
pub fn describe_all<'a>(
    recordings: &[(Origin, PathBuf)],
    config: &'a SpectrogramConfig,
    limits: Limits,
    threads: usize,
    monitor: &Monitor,
) -> Result<Described> {
    let count = features::count();
    let mut rows = Vec::new();
    fit(&mut rows, count * recordings.len(), &monitor.cancel)?;
    let mut failures: Vec<Option<String>> = vec![None; recordings.len()];
    let items = recordings.iter().zip(rows.chunks_exact_mut(count)).zip(&mut failures);
    let threads = threads.min(recordings.len());
    let worker = || Describer::new(config, limits);
    type Item<'i> = ((&'i (Origin, PathBuf), &'i mut [f64]), &'i mut Option<String>);
    let work = |describer: &mut Describer<'a>, ((recording, row), failure): Item<'_>| {
        monitor.check()?;
        match guard(|| describer.describe(recording, &monitor.cancel)) {
            Ok(features) => row.copy_from_slice(&features),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => {
                if matches!(error, Error::Panic(_)) {
                    // Nobody knows what it has left of the buffers.
                    *describer = worker()?;
                }
                *failure = Some(error.to_string());
                monitor.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        monitor.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    share(items, threads, worker, work)?;
    Ok(Described { rows, failures })
}

/// One thread's plans and buffers.
struct Describer<'a> {
    config: &'a SpectrogramConfig,
    limits: Limits,
    opener: Opener,
    recording: Vec<u8>,
    audio: Audio,
    canvas: Canvas<'a>,
    extractor: Extractor,
}

impl<'a> Describer<'a> {
    fn new(config: &'a SpectrogramConfig, limits: Limits) -> Result<Self> {
        let mut canvas = Canvas::new(config)?;
        canvas.limit(&limits);
        Ok(Self {
            config,
            limits,
            opener: Opener::default(),
            recording: Vec::new(),
            audio: Audio::default(),
            canvas,
            extractor: Extractor::default(),
        })
    }

    fn describe(
        &mut self,
        (origin, named): &(Origin, PathBuf),
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        let source = self.opener.open(origin)?;
        if source.is_long() {
            self.audio = load(origin, &Selection::default(), &self.limits, cancel)?;
        } else {
            let length = self.opener.read(source, &mut self.recording, cancel)?;
            audio::decode(&self.recording[..length], &mut self.audio, &self.limits, cancel)?;
        }
        // A figure says what it is of.
        let title = named.file_stem().map_or(Cow::Borrowed(""), OsStr::to_string_lossy);
        let caption = Caption { title: &title, intervals: &[], contour: &[] };
        let (image, _, known) = self.canvas.draw(&mut self.audio, 0.0, &caption, cancel)?;
        let scale = scale(self.config, &known, image.width)?;
        let shape = (image.height, image.width);
        self.extractor.describe(&levels(&image, self.config.invert), shape, &scale, cancel)
    }
}

/// What a picture's provenance says of its scale.
fn scale(config: &SpectrogramConfig, known: &Recording, width: usize) -> Result<Scale> {
    let geometry = config.geometry(known.sample_rate)?;
    let sample_rate = f64::from(known.sample_rate);
    let hz = sample_rate / geometry.n_fft as f64;
    let seconds_per_column = if config.size.is_none() || known.duration_s == 0.0 {
        geometry.hop_length as f64 / sample_rate
    } else {
        known.duration_s / width as f64
    };
    Ok(Scale {
        bottom_hz: hz * geometry.first_bin as f64,
        top_hz: hz * geometry.last_bin as f64,
        range_db: config.dynamic_range,
        seconds_per_column,
    })
}

/// A picture's levels, brighter meaning louder: where it is indexed, the indexes.
fn levels<'i>(image: &Image<'i>, invert: bool) -> Cow<'i, [u8]> {
    let levels: Cow<'i, [u8]> = match image.color {
        Color::Gray | Color::Indexed(_) => Cow::Borrowed(image.pixels),
        // Luma as in ITU-R 601, by the whole numbers that Pillow takes.
        Color::Rgb => image
            .pixels
            .as_chunks::<3>()
            .0
            .iter()
            .map(|rgb| {
                let [r, g, b] = rgb.map(u32::from);
                ((r * 19_595 + g * 38_470 + b * 7471 + 0x8000) >> 16) as u8
            })
            .collect(),
    };
    if invert { levels.iter().map(|level| 255 - level).collect() } else { levels }
}
