//! Frames, ticks and names.

use std::ops::Range;

use super::Drawer;
use super::canvas::{GRID, INK, MAP, Rect, TOP};
use super::layout::Layout;
use super::scale::{Axis, Scale};
use super::text::Font;
use super::ticks::{Room, Tick, ticks};

impl Drawer {
    /// Dotted lines over the spectrogram.
    pub(super) fn grid(&mut self, place: Rect, x_ticks: &[Tick], y_ticks: &[Tick], thick: usize) {
        for (left, _) in spots(place.left..place.right, x_ticks) {
            for top in (place.top..place.bottom).step_by(4 * thick) {
                let bottom = (top + thick).min(place.bottom);
                let right = (left + thick).min(place.right);
                self.canvas.fill(Rect { left, top, right, bottom }, GRID);
            }
        }
        for (up, _) in spots(0..place.height(), y_ticks) {
            let top = (place.bottom - up).max(place.top);
            let bottom = (top + thick).min(place.bottom);
            for left in (place.left..place.right).step_by(4 * thick) {
                let right = (left + thick).min(place.right);
                self.canvas.fill(Rect { left, top, right, bottom }, GRID);
            }
        }
    }

    /// A plot's frame, and the ticks on its left.
    pub(super) fn frame_and_ticks(&mut self, place: Rect, ticks: &[Tick], layout: &Layout) {
        let Layout { size, thick, tick, pad, .. } = *layout;
        self.canvas.frame(place, thick, INK / 2);
        for (up, label) in spots(0..place.height(), ticks) {
            let y = place.bottom - up;
            let right = place.left - thick;
            let left = right.saturating_sub(tick);
            let top = y.saturating_sub(thick / 2);
            self.canvas.fill(Rect { left, top, right, bottom: top + thick }, INK / 2);
            let x = left as f64 - 0.5 * pad - self.font.width(label, size);
            self.write(label, size, x, y as f64 + Font::height(size) / 2.0);
        }
    }

    /// The ticks below the lower plot.
    pub(super) fn time_ticks(&mut self, ticks: &[Tick], layout: &Layout) {
        let Layout { size, thick, tick, pad, .. } = *layout;
        let place = layout.oscillogram.unwrap_or(layout.spectrogram);
        let top = place.bottom + thick;
        let base = (top + tick) as f64 + 0.6 * pad + Font::height(size);
        for (x, label) in spots(place.left..place.right, ticks) {
            let left = x.saturating_sub(thick / 2);
            let line = Rect { left, top, right: left + thick, bottom: top + tick };
            self.canvas.fill(line, INK / 2);
            let half = self.font.width(label, size) / 2.0;
            let most = self.canvas.width as f64 - 2.0 * half - 1.0;
            self.write(label, size, (x as f64 - half).min(most), base);
        }
    }

    /// The scale of levels.
    pub(super) fn colorbar(&mut self, place: Rect, dynamic_range: f64, layout: &Layout) {
        let Layout { size, thick, tick, pad, .. } = *layout;
        let axis = Axis { scale: Scale::Linear, from: -dynamic_range, to: 0.0 };
        for y in place.top..place.bottom {
            let share = (place.bottom - y) as f64 / place.height() as f64;
            let index = MAP + (share * f64::from(TOP)).round() as u8;
            self.canvas.row(y, place.left, place.right).fill(index);
        }
        self.canvas.frame(place, thick, INK / 2);
        let room = Room { length: place.height() as f64, label: &|_| 2.6 * size };
        let ticks = ticks(&axis, 1.0, &room);
        for (up, label) in spots(0..place.height(), &ticks) {
            let y = place.bottom - up;
            let left = place.right + thick;
            let top = y.saturating_sub(thick / 2);
            self.canvas.fill(Rect { left, top, right: left + tick, bottom: top + thick }, INK / 2);
            let x = (left + tick) as f64 + 0.5 * pad;
            self.write(label, size, x, y as f64 + Font::height(size) / 2.0);
        }
        let left = place.left as f64;
        self.write("dB", size, left, place.top as f64 - 0.7 * pad);
    }

    /// Title and names of axes, in the middle of what they stand beside.
    pub(super) fn names(&mut self, title: &str, xlab: &str, ylab: &str, layout: &Layout) {
        let Layout { size, title_size, pad, spectrogram: place, .. } = *layout;
        let (width, height) = (self.canvas.width as f64, self.canvas.height as f64);
        // Line breaks and the like of file names.
        let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let title = self.font.shorten(&title, title_size, width - 2.0 * pad).into_owned();
        let middle = (place.left + place.right) as f64 / 2.0;
        let centred =
            |length: f64, most: f64| (middle - length / 2.0).min(most - length - pad).max(pad);
        let x = centred(self.font.width(&title, title_size), width);
        self.write(&title, title_size, x, pad + Font::height(title_size));

        let xlab = self.font.shorten(xlab, size, width - 2.0 * pad).into_owned();
        let x = centred(self.font.width(&xlab, size), width);
        self.write(&xlab, size, x, height - pad);

        let ylab = self.font.shorten(ylab, size, height - 2.0 * pad).into_owned();
        let length = self.font.width(&ylab, size);
        let middle = (place.top + place.bottom) as f64 / 2.0;
        let y = (middle + length / 2.0).min(height - pad).max(length + pad);
        // Upwards: what is right goes up, what is up goes left.
        let (base, begin) = ((pad + Font::height(size)).round() as i32, y.round() as i32);
        let canvas = &mut self.canvas;
        self.font.draw(&ylab, size, 0.0, |x, y, c| canvas.ink(base + y, begin - x, c));
    }

    /// Text on the page, from `x` on, its base line at `y`.
    pub(super) fn write(&mut self, text: &str, size: f64, x: f64, y: f64) {
        let (canvas, base) = (&mut self.canvas, y.round() as i32);
        self.font.draw(text, size, x, |x, y, c| canvas.ink(x, base + y, c));
    }
}

/// The pixels of ticks, with their labels.
fn spots(pixels: Range<usize>, ticks: &[Tick]) -> impl Iterator<Item = (usize, &str)> {
    let length = pixels.len() as f64;
    ticks.iter().map(move |tick| {
        let at = (tick.place * length).round().max(0.0) as usize;
        (pixels.start + at.min(pixels.len()), tick.label.as_str())
    })
}
