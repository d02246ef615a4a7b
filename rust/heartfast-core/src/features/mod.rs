//! What a classifier sees of a spectrogram picture: some hundred numbers.
//!
//! They describe, band by band on a mel-like scale, how loud it is and how that varies; how the
//! loudness of broad bands is modulated; the rhythm: cycle length, its regularity, the intervals
//! and heights of single beats, and the sound between them; how bands repeat and follow one
//! another within a cycle; and which way the picture's edges run.
//!
//! Duration must not give the class away, as it does in many corpora. So levels are relative to a
//! recording's own 90th percentile, not to its loudest moment, and everything is the mean over
//! segments of 3 s: much the same on average for 3 s and 12 s of the same heart, which a linear
//! model can hardly tell apart. What remains: means over more segments scatter less, and boosted
//! trees can tell that; a recording shorter than a segment differs, too.

mod bands;
mod beats;
mod fourier;
mod numbers;
mod periodicity;
mod pool;
mod rhythm;
mod texture;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use fourier::Fourier;
use numbers::{mean_of, spread};
use pool::Bands;

const BANDS: usize = 14;
/// Of 0 to 2000 Hz: below 200, 600, 1100, 2000 Hz.
const BROAD: [(usize, usize); 4] = [(0, 4), (4, 8), (8, 11), (11, 14)];
const BROAD_NAMES: [&str; 4] = ["low", "mid", "high", "top"];
/// Columns are averaged to about so many seconds, so that features hardly depend on the hop.
const COLUMN_S: f64 = 0.02;
/// Twice the longest cycle.
const SEGMENT_S: f64 = 3.0;
/// Shorter pictures are continued with their last column.
const LEAST_COLUMNS: usize = 8;
/// 25 minutes; of what is longer, as many, evenly spread.
const MOST_SEGMENTS: usize = 1000;

/// What a picture's rows, columns and levels stand for. Numbers beyond reason are brought to its
/// border, since provenance can be forged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Hz of the bottom edge.
    pub bottom_hz: f64,
    /// Hz of the top edge.
    pub top_hz: f64,
    /// Decibels from black to white.
    pub range_db: f64,
    /// Seconds from one column to the next.
    pub seconds_per_column: f64,
}

impl Scale {
    /// Of a picture that tells nothing: the default configuration at 4 kHz.
    pub const FOREIGN: Self =
        Self { bottom_hz: 0.0, top_hz: 2000.0, range_db: 80.0, seconds_per_column: 0.025 };
}

/// A part of the bands over time.
struct Segment<'b> {
    bands: &'b Bands,
    start: usize,
    end: usize,
    step: f64,
    /// Mean decibels of the broad bands.
    envelopes: [Vec<f64>; BROAD.len()],
}

impl<'b> Segment<'b> {
    fn new(bands: &'b Bands, start: usize, end: usize) -> Self {
        let mut segment =
            Self { bands, start, end, step: bands.step, envelopes: Default::default() };
        segment.envelopes =
            BROAD.map(|(low, high)| mean_of((low..high).map(|band| segment.decibels(band))));
        segment
    }

    fn columns(&self) -> usize {
        self.end - self.start
    }

    fn decibels(&self, band: usize) -> &'b [f64] {
        &self.bands.decibels[band * self.bands.columns..][self.start..self.end]
    }

    fn power(&self, band: usize) -> &'b [f64] {
        &self.bands.power[band * self.bands.columns..][self.start..self.end]
    }
}

/// Every feature's name by family, in the order of [`Extractor::describe`].
#[must_use]
pub fn families() -> [(&'static str, Vec<String>); 10] {
    [
        ("bands", bands::names()),
        ("spectrum", bands::spectrum_names()),
        ("modulation", rhythm::modulation_names()),
        ("cycle", rhythm::names()),
        ("beats", beats::names()),
        ("sounds", beats::sounds_names()),
        ("contrast", beats::contrast_names()),
        ("periodicity", periodicity::names()),
        ("coupling", periodicity::coupling_names()),
        ("texture", texture::names()),
    ]
}

/// How many features there are.
#[must_use]
pub fn count() -> usize {
    families().iter().map(|(_, names)| names.len()).sum()
}

/// A name for each band.
fn band_names(of: &str) -> Vec<String> {
    (0..BANDS).map(|band| format!("band{band:02}_{of}")).collect()
}

/// Describes pictures, one at a time; keeps its plans.
pub struct Extractor(Fourier);

impl Default for Extractor {
    fn default() -> Self {
        Self(Fourier::new())
    }
}

impl Extractor {
    /// The features of a picture (height, width) of gray levels, the highest frequency first,
    /// brighter meaning louder. They are finite whatever the picture.
    ///
    /// # Errors
    /// [`Error::Value`] for a picture without pixels; [`Error::Decode`] if there is no memory;
    /// [`Error::Cancelled`] soon after `cancel` is set.
    pub fn describe(
        &mut self,
        levels: &[u8],
        (height, width): (usize, usize),
        scale: &Scale,
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        if levels.is_empty() || height.checked_mul(width) != Some(levels.len()) {
            let found = format!("{height} x {width} of {} bytes", levels.len());
            return Err(Error::value("levels", "a byte for each of at least one pixel", found));
        }
        let bands = Bands::new(levels, (height, width), scale, cancel)?;
        let columns = bands.columns;
        let length = (SEGMENT_S / bands.step).round_ties_even() as usize;
        let length = length.max(LEAST_COLUMNS).min(columns);
        // Half over each other, so that no interval between beats is missed at a boundary.
        let count = ((2 * columns).div_ceil(length) - 1).clamp(1, MOST_SEGMENTS);
        let mut sums: Vec<f64> = Vec::new();
        for start in spread(columns - length, count, f64::round_ties_even) {
            cancel.check()?;
            let described = self.describe_segment(&Segment::new(&bands, start, start + length));
            sums.resize(described.len(), 0.0);
            sums.iter_mut().zip(described).for_each(|(sum, x)| *sum += x);
        }
        sums.iter_mut().for_each(|sum| *sum /= count as f64);
        Ok(sums)
    }

    fn describe_segment(&mut self, segment: &Segment<'_>) -> Vec<f64> {
        let mut out = Vec::with_capacity(512);
        bands::describe(segment, &mut out);
        bands::describe_spectrum(segment, &mut out);
        let cycle = rhythm::describe(segment, &mut self.0, &mut out);
        beats::describe(segment, cycle, &mut out);
        periodicity::describe(segment, cycle, &mut out);
        texture::describe(segment, &mut out);
        out
    }
}
