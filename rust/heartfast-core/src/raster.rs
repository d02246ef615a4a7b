//! Pictures: a rectangle of bytes, its orientation, size and colours.

use crate::cancel::Cancel;
use crate::colormap::Colormap;
use crate::error::Result;

/// Most pixels of a picture: more than any viewer opens.
pub const MAX_PIXELS: usize = 1 << 30;

/// What the bytes of an [`Image`] mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color<'a> {
    /// One byte a pixel, black to white.
    Gray,
    /// One byte a pixel, an index into up to 256 sRGB colours.
    Indexed(&'a [[u8; 3]]),
    /// Three bytes a pixel, sRGB.
    Rgb,
}

impl Color<'_> {
    /// Bytes of one pixel.
    #[must_use]
    pub fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Gray | Self::Indexed(_) => 1,
            Self::Rgb => 3,
        }
    }
}

impl From<Colormap> for Color<'static> {
    fn from(map: Colormap) -> Self {
        map.palette().map_or(Self::Gray, |palette| Self::Indexed(palette))
    }
}

/// A picture: rows from top to bottom, no padding between them.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width * bytes_per_pixel` bytes.
    pub pixels: &'a [u8],
    /// What the bytes mean.
    pub color: Color<'a>,
}

/// Resizes a one-byte picture: the exact area average where it shrinks, linear interpolation
/// between pixel centres where it grows, each axis by itself.
///
/// # Errors
/// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
pub fn resize(
    pixels: &[u8],
    (h, w): (usize, usize),
    (new_h, new_w): (usize, usize),
    cancel: &Cancel,
) -> Result<Vec<u8>> {
    let across = taps(w, new_w);
    let mut narrow = vec![0.0f32; h * new_w];
    for (row, out) in pixels.chunks_exact(w).zip(narrow.chunks_exact_mut(new_w)) {
        cancel.check()?;
        for (x, (start, weights)) in out.iter_mut().zip(&across) {
            *x = row[*start..].iter().zip(weights).map(|(&p, w)| f32::from(p) * w).sum();
        }
    }
    let mut sum = vec![0.0f32; new_w];
    let mut resized = Vec::with_capacity(new_h * new_w);
    for (start, weights) in taps(h, new_h) {
        cancel.check()?;
        sum.fill(0.0);
        for (row, weight) in narrow[start * new_w..].chunks_exact(new_w).zip(&weights) {
            for (s, x) in sum.iter_mut().zip(row) {
                *s += x * weight;
            }
        }
        resized.extend(sum.iter().map(|s| (s + 0.5) as u8));
    }
    Ok(resized)
}

/// For each of `to` output pixels, the first of `from` input pixels that it takes from, and
/// the weights of that and the following ones.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let ratio = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            if ratio > 1.0 {
                let (low, high) = (i as f64 * ratio, (i + 1) as f64 * ratio);
                let first = low as usize;
                let last = (high.ceil() as usize).min(from);
                let share = |k: usize| (high.min((k + 1) as f64) - low.max(k as f64)) / ratio;
                (first, (first..last).map(|k| share(k) as f32).collect())
            } else {
                let centre = ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f64);
                let first = (centre as usize).min(from.saturating_sub(2));
                let part = (centre - first as f64) as f32;
                (first, if from == 1 { vec![1.0] } else { vec![1.0 - part, part] })
            }
        })
        .collect()
}
