//! The pixels of a figure: indexes of a palette that has room for text, lines and the
//! spectrogram's levels.

use super::config::{FigureConfig, Theme};

/// The page. From here to [`INK`] is what text covers in part.
pub(super) const PAPER: u8 = 0;
/// Text and frames.
pub(super) const INK: u8 = 15;
/// From the page to the oscillogram's colour, for pixels that it covers in part.
pub(super) const WAVE: [u8; 8] = [PAPER, 16, 17, 18, 19, 20, 21, 22];
/// The grid.
pub(super) const GRID: u8 = 23;
/// Intervals, by their label.
pub(super) const MARKS: [u8; 8] = [24, 25, 26, 27, 28, 29, 30, 31];
/// The spectrogram's lowest level. From here on is the colour map.
pub(super) const MAP: u8 = 32;
/// The spectrogram's highest level, counted from [`MAP`]: steps of 0.8 dB at a range of 80 are not
/// seen, and finer ones only make the file larger.
pub(super) const TOP: u8 = 95;

/// A colour, sRGB.
pub(super) type Rgb = [u8; 3];

struct Colours {
    paper: Rgb,
    ink: Rgb,
    wave: Rgb,
    grid: Rgb,
    marks: [Rgb; MARKS.len()],
    /// Lines over the spectrogram.
    contour: Rgb,
    /// What surrounds them.
    halo: Rgb,
}

const LIGHT: Colours = Colours {
    paper: [255, 255, 255],
    ink: [34, 38, 43],
    wave: [47, 72, 104],
    grid: [150, 158, 168],
    marks: [
        [209, 73, 91],
        [0, 121, 140],
        [214, 143, 15],
        [102, 80, 164],
        [60, 140, 64],
        [180, 86, 22],
        [74, 104, 190],
        [110, 110, 110],
    ],
    contour: [214, 40, 57],
    halo: [255, 255, 255],
};

const DARK: Colours = Colours {
    paper: [17, 20, 24],
    ink: [222, 226, 231],
    wave: [132, 178, 236],
    grid: [96, 106, 118],
    marks: [
        [240, 112, 128],
        [72, 190, 206],
        [240, 186, 76],
        [172, 150, 240],
        [120, 200, 124],
        [236, 150, 92],
        [140, 166, 240],
        [170, 170, 170],
    ],
    contour: [120, 240, 255],
    halo: [0, 0, 0],
};

fn colours(theme: Theme) -> &'static Colours {
    match theme {
        Theme::Light => &LIGHT,
        Theme::Dark => &DARK,
    }
}

/// The colours of a contour and of its halo.
pub(super) fn contour(theme: Theme) -> [Rgb; 2] {
    let colours = colours(theme);
    [colours.contour, colours.halo]
}

/// The palette of a figure.
pub(super) fn palette(config: &FigureConfig) -> Vec<Rgb> {
    let colours = colours(config.theme);
    let mut palette = vec![[0; 3]; usize::from(MAP) + usize::from(TOP) + 1];
    for (k, place) in (PAPER..=INK).enumerate() {
        palette[usize::from(place)] = mix(colours.paper, colours.ink, k as f64 / f64::from(INK));
    }
    for (k, place) in WAVE.into_iter().enumerate() {
        let share = k as f64 / (WAVE.len() - 1) as f64;
        palette[usize::from(place)] = mix(colours.paper, colours.wave, share);
    }
    palette[usize::from(GRID)] = colours.grid;
    for (place, colour) in MARKS.into_iter().zip(colours.marks) {
        palette[usize::from(place)] = colour;
    }
    let map = config.colours().palette();
    let colour = |level: f64| {
        let at = level * 255.0;
        let (low, share) = (at as usize, at.fract());
        match map {
            None => [(at + 0.5) as u8; 3],
            Some(map) => mix(map[low], map[(low + 1).min(255)], share),
        }
    };
    let light = |c: Rgb| c.iter().map(|&x| u32::from(x)).sum::<u32>();
    // Lighter is less where high levels are dark.
    let up = if light(colour(0.0)) > light(colour(1.0)) { -1.0 } else { 1.0 };
    let power = (3.0 * config.contrast).exp();
    for level in 0..=TOP {
        let shade = (f64::from(level) / f64::from(TOP)).powf(power) + up * config.brightness;
        palette[usize::from(MAP + level)] = colour(shade.clamp(0.0, 1.0));
    }
    palette
}

/// A colour between two.
pub(super) fn mix(from: Rgb, to: Rgb, share: f64) -> Rgb {
    std::array::from_fn(|k| {
        (f64::from(from[k]) + share * (f64::from(to[k]) - f64::from(from[k])) + 0.5) as u8
    })
}

/// Pixels from a corner to behind the opposite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// The first column.
    pub left: usize,
    /// The first row.
    pub top: usize,
    /// Behind the last column.
    pub right: usize,
    /// Behind the last row.
    pub bottom: usize,
}

impl Rect {
    pub(super) fn width(&self) -> usize {
        self.right.saturating_sub(self.left)
    }

    pub(super) fn height(&self) -> usize {
        self.bottom.saturating_sub(self.top)
    }
}

/// Pixels, as indexes of the palette.
#[derive(Default)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl Canvas {
    /// An empty page of this size.
    pub(super) fn clear(&mut self, (width, height): (usize, usize)) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width * height, PAPER);
    }

    /// The columns `left..right` of a row.
    pub(super) fn row(&mut self, y: usize, left: usize, right: usize) -> &mut [u8] {
        &mut self.pixels[y * self.width..][left..right]
    }

    /// Fills what of `rect` is on the page.
    pub(super) fn fill(&mut self, rect: Rect, index: u8) {
        let (left, right) = (rect.left.min(self.width), rect.right.min(self.width));
        if left < right {
            for y in rect.top..rect.bottom.min(self.height) {
                self.row(y, left, right).fill(index);
            }
        }
    }

    /// Lines of this thickness around `rect`.
    pub(super) fn frame(&mut self, rect: Rect, thick: usize, index: u8) {
        let Rect { left, top, right, bottom } = rect;
        let (l, t) = (left.saturating_sub(thick), top.saturating_sub(thick));
        let (r, b) = (right + thick, bottom + thick);
        self.fill(Rect { left: l, top: t, right: r, bottom: top }, index);
        self.fill(Rect { left: l, top: bottom, right: r, bottom: b }, index);
        self.fill(Rect { left: l, top: t, right: left, bottom: b }, index);
        self.fill(Rect { left: right, top: t, right: r, bottom: b }, index);
    }

    /// Covers a pixel of the page with ink, in part.
    pub(super) fn ink(&mut self, x: i32, y: i32, coverage: u8) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x < self.width && y < self.height {
            let pixel = &mut self.pixels[y * self.width + x];
            if *pixel < INK {
                let index = (u16::from(coverage) * u16::from(INK) + 127) / 255;
                *pixel = (*pixel).max(index as u8);
            }
        }
    }
}
