//! The two plots: levels and samples onto the pixels of their place.

use super::canvas::{Canvas, MAP, Rect, TOP, WAVE};
use super::config::Osc;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::simd::Kernel;
use crate::simd::lanes::Lanes;

/// What of a row (or column) of levels a row (or column) of pixels shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// Nothing: there are none.
    None,
    /// Between this and the next one, so many 256ths of the way.
    Between(usize, u16),
    /// The largest of these, first and last: so that no click is lost.
    Largest(usize, usize),
}

/// For each of `pixels`, what it shows of `count` values: pixel k has what stands at
/// `place(k)..place(k + 1)`, where value i stands at i.
pub(super) fn picks(pixels: usize, count: usize, place: impl Fn(f64) -> f64) -> Vec<Pick> {
    let last = count.saturating_sub(1);
    (0..pixels)
        .map(|k| {
            let (a, b) = (place(k as f64), place(k as f64 + 1.0));
            let (low, high) = (a.min(b), a.max(b));
            // A value reaches half of the way to its neighbours, the outer ones no less.
            if count == 0 || !(high > -0.5 && low < last as f64 + 0.5) {
                Pick::None
            } else if high - low >= 1.0 {
                let (first, end) = ((low + 0.5).max(0.0) as usize, (high + 0.5).ceil() as usize);
                Pick::Largest(first.min(last), end.saturating_sub(1).clamp(first.min(last), last))
            } else {
                let at = ((low + high) / 2.0).clamp(0.0, last as f64);
                let first = (at as usize).min(last.saturating_sub(1));
                let share = if last == 0 { 0.0 } else { at - first as f64 };
                Pick::Between(first, (share * 256.0).round() as u16)
            }
        })
        .collect()
}

/// Levels: rows of `columns` bytes from the top.
pub(super) struct Levels<'l> {
    pub(super) pixels: &'l [u8],
    pub(super) columns: usize,
}

/// Draws levels into `place`, whose rows and columns show these of them.
pub(super) struct Spectrogram<'s> {
    pub(super) canvas: &'s mut Canvas,
    pub(super) place: Rect,
    pub(super) levels: Levels<'s>,
    pub(super) rows: &'s [Pick],
    pub(super) columns: &'s [Pick],
    pub(super) cancel: &'s Cancel,
}

impl Kernel for Spectrogram<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Lanes>(self) -> Result<()> {
        let Self { canvas, place, levels, rows, columns, cancel } = self;
        let Rect { left, right, .. } = place;
        let lines = levels.pixels.chunks_exact(levels.columns);
        // Going along a row takes longest: of the levels or of the plot, whichever has fewer of them.
        if lines.len() <= place.height() {
            let mut line = vec![MAP; levels.columns];
            let mut wide = vec![MAP; lines.len() * place.width()];
            for (from, wide) in lines.zip(wide.chunks_exact_mut(place.width())) {
                cancel.check()?;
                line.copy_from_slice(from);
                shade(&mut line);
                along(&line, columns, wide);
            }
            for (y, pick) in (place.top..place.bottom).zip(rows) {
                cancel.check()?;
                down(&wide, *pick, canvas.row(y, left, right));
            }
            return Ok(());
        }
        let mut line = vec![0; levels.columns];
        for (y, pick) in (place.top..place.bottom).zip(rows) {
            cancel.check()?;
            down(levels.pixels, *pick, &mut line);
            if *pick == Pick::None {
                line.fill(0);
            }
            shade(&mut line);
            along(&line, columns, canvas.row(y, left, right));
        }
        Ok(())
    }
}

/// Levels into indexes of the palette.
#[inline(always)]
fn shade(line: &mut [u8]) {
    for level in line {
        *level = MAP + ((u16::from(*level) * u16::from(TOP) + 127) / 255) as u8;
    }
}

/// What `pick` takes of rows that are as long as `row`, into it; nothing leaves it as it is.
#[inline(always)]
fn down(rows: &[u8], pick: Pick, row: &mut [u8]) {
    let length = row.len();
    let at = |k: usize| &rows[k * length..(k + 1) * length];
    match pick {
        Pick::None => {}
        Pick::Between(k, 0) => row.copy_from_slice(at(k)),
        Pick::Between(k, share) => {
            let (above, below) = (at(k), at(k + 1));
            for ((x, &a), &b) in row.iter_mut().zip(above).zip(below) {
                *x = between(a, b, share);
            }
        }
        Pick::Largest(first, last) => {
            row.copy_from_slice(at(first));
            for k in first + 1..=last {
                for (x, &level) in row.iter_mut().zip(at(k)) {
                    *x = level.max(*x);
                }
            }
        }
    }
}

/// What the picks take of a line of indexes.
#[inline(always)]
fn along(line: &[u8], picks: &[Pick], row: &mut [u8]) {
    for (x, pick) in row.iter_mut().zip(picks) {
        *x = match *pick {
            Pick::None => MAP,
            Pick::Between(k, 0) => line[k],
            Pick::Between(k, share) => between(line[k], line[k + 1], share),
            Pick::Largest(first, last) => line[first..=last].iter().copied().max().unwrap_or(MAP),
        };
    }
}

#[inline(always)]
fn between(a: u8, b: u8, share: u16) -> u8 {
    ((u16::from(a) * (256 - share) + u16::from(b) * share + 128) >> 8) as u8
}

/// The smallest and the largest of what a signal is between two places, counted in samples: of
/// the samples there, and of the straight lines between them.
fn reach(samples: &[f32], from: f64, to: f64) -> Option<(f32, f32)> {
    let last = samples.len().checked_sub(1)? as f64;
    if to <= 0.0 || from > last + 1.0 {
        return None;
    }
    let at = |place: f64| {
        let place = place.clamp(0.0, last);
        let k = place as usize;
        let next = samples[(k + 1).min(samples.len() - 1)];
        samples[k] + (next - samples[k]) * place.fract() as f32
    };
    let (a, b) = (at(from), at(to));
    let inside = from.clamp(0.0, last).ceil() as usize..=to.clamp(0.0, last) as usize;
    let inside = samples.get(inside).unwrap_or_default();
    let mut low = [a.min(b); 16];
    let mut high = [a.max(b); 16];
    let (groups, rest) = inside.as_chunks::<16>();
    for group in groups {
        for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(group) {
            *low = if x < *low { x } else { *low };
            *high = if x > *high { x } else { *high };
        }
    }
    let low = low.iter().chain(rest).copied().fold(f32::INFINITY, f32::min);
    let high = high.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    Some((low, high))
}

/// The largest amplitude of samples, 0 for none.
pub(super) fn peak(samples: &[f32]) -> f32 {
    crate::level::max_of(samples, f32::abs)
}

/// How an oscillogram is drawn.
pub(super) struct Wave {
    /// Amplitudes, or decibels.
    pub(super) osc: Osc,
    /// The amplitude at the upper border.
    pub(super) peak: f64,
    /// Decibels below that in the middle.
    pub(super) dynamic_range: f64,
    /// Of the line, in pixels.
    pub(super) thick: f64,
}

impl Wave {
    /// Where a stretch of the signal is drawn, from -1 at the lower border to 1.
    fn places(&self, (low, high): (f32, f32)) -> (f64, f64) {
        let (low, high) = (f64::from(low) / self.peak, f64::from(high) / self.peak);
        if self.osc == Osc::Db {
            // The same above and below the middle.
            let level = 1.0 + 20.0 * low.abs().max(high.abs()).log10() / self.dynamic_range;
            return (-level.max(0.0), level.max(0.0));
        }
        (low, high)
    }
}

/// Draws a signal into `place`: what its columns have of the samples from `from` to `to`, each
/// from the smallest to the largest.
pub(super) fn oscillogram(
    canvas: &mut Canvas,
    place: Rect,
    samples: &[f32],
    (from, to): (f64, f64),
    wave: &Wave,
    cancel: &Cancel,
) -> Result<()> {
    let height = place.height() as f64;
    let step = (to - from) / place.width().max(1) as f64;
    for x in 0..place.width() {
        if x % 64 == 0 {
            cancel.check()?;
        }
        let begin = from + x as f64 * step;
        let Some((low, high)) = reach(samples, begin, begin + step) else { continue };
        let (low, high) = wave.places((low, high));
        // From the top, in pixels.
        let thin = 0.5 * wave.thick;
        let top = ((1.0 - high) / 2.0 * height - thin).max(0.0);
        let bottom = ((1.0 - low) / 2.0 * height + thin).min(height);
        for y in top as usize..(bottom.ceil() as usize).min(place.height()) {
            let covered = (bottom.min((y + 1) as f64) - top.max(y as f64)).clamp(0.0, 1.0);
            let shade = (covered * (WAVE.len() - 1) as f64).round() as usize;
            if shade > 0 {
                canvas.pixels[(place.top + y) * canvas.width + place.left + x] = WAVE[shade];
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Pick, picks, reach};

    proptest! {
        #[test]
        fn every_value_is_in_some_pixel_and_none_is_beyond(
            pixels in 1usize..300, count in 1usize..3000,
        ) {
            let scale = count as f64 / pixels as f64;
            let picks = picks(pixels, count, |k| k * scale - 0.5);
            let mut seen = vec![false; count];
            for pick in picks {
                match pick {
                    Pick::Largest(first, last) => seen[first..=last].fill(true),
                    Pick::Between(first, share) => {
                        prop_assert!(share <= 256 && (first + 1 < count || share == 0));
                        seen[first..(first + 2).min(count)].fill(true);
                    }
                    Pick::None => prop_assert!(false, "a pixel without a value"),
                }
            }
            prop_assert!(seen.iter().all(|&seen| seen));
        }

        #[test]
        fn what_a_signal_reaches_is_that_of_a_finely_drawn_line(
            samples in proptest::collection::vec(-1.0f32..1.0, 1..60),
            from in -3.0f64..60.0, span in 0.01f64..40.0,
        ) {
            let to = from + span;
            let last = samples.len() as f64 - 1.0;
            let line = |place: f64| {
                let place = place.clamp(0.0, last);
                let (k, share) = (place as usize, place.fract() as f32);
                samples[k] * (1.0 - share) + samples[(k + 1).min(samples.len() - 1)] * share
            };
            if let Some((low, high)) = reach(&samples, from, to) {
                let drawn: Vec<f32> = (0..=4000).map(|k| line(from + span * f64::from(k) / 4000.0)).collect();
                let least = drawn.iter().copied().fold(f32::INFINITY, f32::min);
                let most = drawn.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                // Samples between two points of the fine line may reach a little further.
                prop_assert!((low - least).abs() < 0.03 && (high - most).abs() < 0.03);
                prop_assert!(low <= least + 1e-5 && high >= most - 1e-5);
            } else {
                prop_assert!(to <= 0.0 || from > last + 1.0);
            }
        }
    }
}
