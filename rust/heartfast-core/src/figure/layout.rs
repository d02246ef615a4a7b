//! Where on the page everything stands.

use super::canvas::Rect;
use super::config::{FigureConfig, Osc};
use super::text::Font;

/// What takes room, in pixels.
pub(super) struct Needs {
    /// Whether there is a title.
    pub(super) title: bool,
    /// Whether there are labelled intervals.
    pub(super) intervals: bool,
    /// Whether the axes have names.
    pub(super) xlab: bool,
    pub(super) ylab: bool,
}

/// Places of a figure, in pixels.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Of text.
    pub(super) size: f64,
    /// Of the title.
    pub(super) title_size: f64,
    /// Of lines.
    pub(super) thick: usize,
    /// Length of ticks.
    pub(super) tick: usize,
    /// Between what is beside each other.
    pub(super) pad: f64,
    pub(super) spectrogram: Rect,
    pub(super) oscillogram: Option<Rect>,
    /// Labels of intervals.
    pub(super) lane: Option<Rect>,
    pub(super) colorbar: Option<Rect>,
}

impl Layout {
    /// The layout, but for where it begins on the left, which depends on labels: see
    /// [`Layout::begin_at`].
    pub(super) fn new(config: &FigureConfig, needs: &Needs) -> Self {
        let (width, height) = config.pixels();
        let scale = config.scale;
        let size = (config.height as f64 / 38.0).clamp(10.0, 14.0) * scale;
        let title_size = 1.15 * size;
        let pad = 0.7 * size;
        let thick = (scale.round() as usize).max(1);
        let tick = (4.0 * scale).round() as usize;
        let text = Font::height(size);

        let mut top = pad;
        if needs.title {
            top += Font::height(title_size) + pad;
        }
        let lane = needs.intervals.then(|| {
            let begin = top;
            top += 1.6 * size;
            (begin as usize, top as usize)
        });
        let mut bottom = height as f64 - pad - text - 0.6 * pad - tick as f64;
        if needs.xlab {
            bottom -= text + 0.9 * pad;
        }
        let right = width as f64 - if config.colorbar { 4.6 * size } else { 1.6 * pad };

        // Spectrogram and oscillogram have 3 to 1 of what there is.
        let (top, right) = (top.round() as usize, right.max(1.0) as usize);
        let bottom = (bottom.max(0.0) as usize).max(top + 2);
        let gap = (0.6 * pad).round() as usize;
        let below = match config.osc {
            Osc::None => None,
            _ => Some(((bottom - top).saturating_sub(gap) / 4).max(1)),
        };
        let middle = below.map_or(bottom, |below| bottom.saturating_sub(below + gap).max(top + 1));
        let column = |top, bottom| Rect { left: 0, top, right, bottom };
        Self {
            size,
            title_size,
            thick,
            tick,
            pad,
            spectrogram: column(top, middle),
            oscillogram: below.map(|below| column(bottom - below, bottom)),
            lane: lane.map(|(top, bottom)| column(top, bottom)),
            colorbar: config.colorbar.then(|| {
                let left = right + (1.2 * pad) as usize;
                Rect { left, top, right: left + (0.9 * size) as usize, bottom: middle }
            }),
        }
    }

    /// Moves the plots' left border to where labels of this width, and the axes' names, end.
    pub(super) fn begin_at(&mut self, labels: f64, needs: &Needs) {
        let mut left = self.pad + labels + 0.5 * self.pad + self.tick as f64;
        if needs.ylab {
            left += Font::height(self.size) + 0.8 * self.pad;
        }
        let left = (left.round() as usize).min(self.spectrogram.right - 1);
        let plots = [Some(&mut self.spectrogram), self.oscillogram.as_mut(), self.lane.as_mut()];
        for plot in plots.into_iter().flatten() {
            plot.left = left;
        }
    }
}
