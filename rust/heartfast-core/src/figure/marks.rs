//! What is drawn over a spectrogram: labelled intervals and contours.

use sha2::{Digest, Sha256};

use super::canvas::{self, MARKS, Rect};
use super::layout::Layout;
use super::scale::Axis;
use super::{Drawer, Font};
use crate::json::hex;

/// A labelled part of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// Where it begins, in seconds of the recording.
    pub from: f64,
    /// Where it ends; where it begins, if it is a moment.
    pub to: f64,
    /// What it is called.
    pub label: String,
}

/// What tells these intervals from others: digits of a SHA-256.
pub(crate) fn digest(intervals: &[Interval]) -> String {
    let mut sha256 = Sha256::new();
    for Interval { from, to, label } in intervals {
        sha256.update(format!("{from:?}\t{to:?}\t{label:?}\n"));
    }
    hex(&sha256.finalize()[..6])
}

impl Drawer {
    /// Labels in the lane above the spectrogram, and dashed lines where intervals begin and end.
    pub(super) fn intervals(
        &mut self,
        intervals: &[Interval],
        time: &Axis,
        lane: Rect,
        layout: &Layout,
    ) {
        let Layout { size, thick, spectrogram, .. } = *layout;
        let mut names: Vec<&str> = intervals.iter().map(|i| i.label.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let base = lane.top as f64 + 0.45 * size + Font::height(size) / 2.0;
        let bar = Rect { top: lane.bottom - 4 * thick, bottom: lane.bottom - thick, ..lane };
        let mut free = 0.0;
        for Interval { from, to, label } in intervals {
            if *to < time.from || *from > time.to {
                continue;
            }
            let colour = MARKS[names.partition_point(|name| name < &label.as_str()) % MARKS.len()];
            let column = |s: f64| {
                let share = time.place(s.clamp(time.from, time.to));
                lane.left + (share * (lane.width() - 1) as f64).round() as usize
            };
            let (left, right) = (column(*from), column(*to));
            for (x, s) in [(left, from), (right, to)] {
                if *s >= time.from && *s <= time.to {
                    self.dashes(x, spectrogram, thick, colour);
                }
            }
            // A moment's bar is as wide as can be seen.
            let end = right.max(left + 2 * thick).min(lane.right);
            self.canvas.fill(Rect { left, right: end, ..bar }, colour);
            let width = self.font.width(label, size);
            let x = ((left + right) as f64 - width) / 2.0;
            if x >= free && x + width <= self.canvas.width as f64 {
                self.write(label, size, x, base);
                free = x + width + 0.3 * size;
            }
        }
    }

    fn dashes(&mut self, left: usize, place: Rect, thick: usize, colour: u8) {
        let right = (left + thick).min(place.right);
        for top in (place.top..place.bottom).step_by(7 * thick) {
            let bottom = (top + 4 * thick).min(place.bottom);
            self.canvas.fill(Rect { left, top, right, bottom }, colour);
        }
    }

    /// The page in full colour, with a line through these points (seconds and Hz) over the
    /// spectrogram; it is broken where a point is no number or beyond the plot.
    pub(super) fn contour(
        &mut self,
        points: &[(f64, f64)],
        time: &Axis,
        frequency: &Axis,
        layout: &Layout,
    ) {
        let place = layout.spectrogram;
        self.rgb.clear();
        self.rgb.extend(self.canvas.pixels.iter().flat_map(|&k| self.palette[usize::from(k)]));
        let spots: Vec<Option<(f64, f64)>> = points
            .iter()
            .map(|&(s, hz)| {
                let (x, y) = (time.place(s), 1.0 - frequency.place(hz));
                let inside = (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
                inside.then(|| (x * place.width() as f64, y * place.height() as f64))
            })
            .collect();
        let [line, halo] = canvas::contour(self.config.theme);
        let half = 0.8 * layout.thick as f64;
        for (colour, half) in [(halo, half + layout.thick as f64), (line, half)] {
            let covered = cover(&spots, (place.width(), place.height()), half);
            for (k, coverage) in covered.into_iter().enumerate().filter(|(_, c)| *c > 0.0) {
                let (x, y) = (place.left + k % place.width(), place.top + k / place.width());
                let at = 3 * (y * self.canvas.width + x);
                if let Some((pixel, _)) = self.rgb[at..].split_first_chunk_mut::<3>() {
                    *pixel = canvas::mix(*pixel, colour, coverage.into());
                }
            }
        }
    }
}

/// How much of each pixel lies within `half` of the lines between neighbouring spots.
fn cover(spots: &[Option<(f64, f64)>], (width, height): (usize, usize), half: f64) -> Vec<f32> {
    let mut covered = vec![0.0f32; width * height];
    // A spot without neighbours is a dot.
    let pairs = spots.iter().enumerate().filter_map(|(k, spot)| {
        let spot = (*spot)?;
        Some((spot, spots.get(k + 1).copied().flatten().unwrap_or(spot)))
    });
    for ((x0, y0), (x1, y1)) in pairs {
        let (dx, dy) = (x1 - x0, y1 - y0);
        let square = dx * dx + dy * dy;
        let reach = half + 1.0;
        let range = |a: f64, b: f64, most: usize| {
            let low = (a.min(b) - reach).max(0.0) as usize;
            low..((a.max(b) + reach).ceil().max(0.0) as usize).min(most)
        };
        for y in range(y0, y1, height) {
            for x in range(x0, x1, width) {
                let (px, py) = (x as f64 + 0.5 - x0, y as f64 + 0.5 - y0);
                let along = if square > 0.0 { (px * dx + py * dy) / square } else { 0.0 };
                let along = along.clamp(0.0, 1.0);
                let away = (px - along * dx).hypot(py - along * dy);
                let coverage = (half + 0.5 - away).clamp(0.0, 1.0) as f32;
                let pixel = &mut covered[y * width + x];
                *pixel = coverage.max(*pixel);
            }
        }
    }
    covered
}
