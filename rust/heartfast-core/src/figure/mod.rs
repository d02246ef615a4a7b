//! Figures: a spectrogram over its oscillogram, with axes, for people to look at.
//!
//! A [`Drawer`] belongs to one thread and keeps its font and its page from figure to figure. What it
//! draws are indexes of a palette: text and lines have some shades, the spectrogram has the rest.

mod canvas;
mod config;
mod layout;
mod marks;
mod plot;
mod scale;
mod text;
mod ticks;

use std::ops::Range;

use canvas::{Canvas, GRID, INK, MAP, TOP};
pub use canvas::Rect;
pub use config::{DENSITIES, FigureConfig, Osc, SIDES, Theme};
use layout::{Layout, Needs};
pub use marks::Interval;
use plot::{Levels, Wave};
pub use scale::Scale;
use scale::Axis;
use text::Font;
use ticks::{Room, Tick, ticks};

use crate::cancel::Cancel;
use crate::config::{Geometry, SpectrogramConfig};
use crate::error::Result;
use crate::raster::{Color, Image};
use crate::simd::dispatch;

/// From this frequency on an axis is in kHz.
const KILOHERTZ_FROM: f64 = 2000.0;
/// Below so many seconds an axis is in ms.
const MILLISECONDS_BELOW: f64 = 1.0;
/// On an axis of octaves that would begin at 0, there are this many below the highest frequency.
const OCTAVES: f64 = 10.0;

/// What a figure shows.
pub struct Scene<'s> {
    /// The spectrogram's levels (0 to 255) in rows, the highest frequency first.
    pub levels: &'s [u8],
    /// Levels in a row.
    pub columns: usize,
    /// The frequency in Hz of the lowest row, and from row to row.
    pub hz: (f64, f64),
    /// The time in seconds of the first column, and from column to column.
    pub time: (f64, f64),
    /// The frequencies in Hz that the axis has.
    pub frequencies: (f64, f64),
    /// The signal; without, there is no oscillogram.
    pub samples: &'s [f32],
    /// What samples were multiplied by.
    pub factor: f64,
    /// Samples per second.
    pub sample_rate: u32,
    /// Where the signal begins and how long it is, in seconds of the recording.
    pub span: (f64, f64),
    /// Decibels from the lowest level to the highest.
    pub dynamic_range: f64,
    /// What it says.
    pub caption: Caption<'s>,
}

/// What a figure says of its recording.
#[derive(Debug, Default, Clone, Copy)]
pub struct Caption<'c> {
    /// Above the figure, unless the configuration has a title.
    pub title: &'c str,
    /// Labelled parts of the recording.
    pub intervals: &'c [Interval],
    /// A line over the spectrogram, in seconds and Hz; it is broken where one is no number.
    pub contour: &'c [(f64, f64)],
}

impl<'s> Scene<'s> {
    /// A scene without anything in it, on the axes of such spectrograms.
    #[must_use]
    pub fn new(config: &SpectrogramConfig, sample_rate: u32, geometry: &Geometry) -> Self {
        let rate = f64::from(sample_rate);
        let bin = rate / geometry.n_fft as f64;
        // A frame that is not centred stands for the middle of its window.
        let first = if config.center { 0 } else { geometry.win_length / 2 };
        Self {
            levels: &[],
            columns: 0,
            hz: (bin * geometry.first_bin as f64, bin),
            time: (first as f64 / rate, geometry.hop_length as f64 / rate),
            frequencies: (config.fmin.unwrap_or(0.0), config.fmax.unwrap_or(rate / 2.0).min(rate / 2.0)),
            samples: &[],
            factor: 1.0,
            sample_rate,
            span: (0.0, 0.0),
            dynamic_range: config.dynamic_range,
            caption: Caption::default(),
        }
    }

    /// The signal begins there in the recording, and is so long, in seconds.
    pub fn begin(&mut self, start_s: f64, duration_s: f64) {
        self.time.0 += start_s;
        self.span = (start_s, duration_s);
    }

    /// Each column stands for so many frames.
    pub fn group(&mut self, frames: usize) {
        self.time.0 += self.time.1 * (frames - 1) as f64 / 2.0;
        self.time.1 *= frames as f64;
    }
}

impl Axes {
    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rect = |r: &Rect| format!("[{}, {}, {}, {}]", r.left, r.top, r.right, r.bottom);
        let osc = self.osc.as_ref().map_or(String::new(), |r| format!("\"osc\": {}, ", rect(r)));
        format!(
            "{{\"size\": [{}, {}], \"plot\": {}, {osc}\"xlim\": [{:?}, {:?}], \"ylim\": [{:?}, {:?}]}}",
            self.size.0,
            self.size.1,
            rect(&self.plot),
            self.xlim.0,
            self.xlim.1,
            self.ylim.0,
            self.ylim.1,
        )
    }
}

/// Where a figure's plots are, and what they show.
#[derive(Debug, Clone, PartialEq)]
pub struct Axes {
    /// Pixels of the whole figure.
    pub size: (usize, usize),
    /// Pixels of the spectrogram.
    pub plot: Rect,
    /// Pixels of the oscillogram.
    pub osc: Option<Rect>,
    /// Seconds at the left and the right border of both.
    pub xlim: (f64, f64),
    /// Hz at the lower and the upper border of the spectrogram.
    pub ylim: (f64, f64),
}

/// Draws figures, one at a time, by one configuration.
pub struct Drawer<'a> {
    config: &'a FigureConfig,
    font: Font,
    canvas: Canvas,
    palette: Vec<[u8; 3]>,
    /// The page in full colour, where there is a contour.
    rgb: Vec<u8>,
}

impl<'a> Drawer<'a> {
    /// A drawer for this configuration.
    ///
    /// # Errors
    /// Those of [`FigureConfig::validate`], and a font that cannot be read.
    pub fn new(config: &'a FigureConfig) -> Result<Self> {
        config.validate()?;
        let font = Font::open(config.font.as_deref())?;
        let (canvas, palette) = (Canvas::default(), canvas::palette(config));
        Ok(Self { config, font, canvas, palette, rgb: Vec::new() })
    }

    /// The width of the page in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.config.pixels().0
    }

    /// Draws the figure of a scene.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub fn draw(&mut self, scene: &Scene, cancel: &Cancel) -> Result<(Image<'_>, Axes)> {
        let config = self.config;
        self.canvas.clear(config.pixels());
        let (begin, length) = scene.span;
        let (from, to) = config.xlim.unwrap_or((begin, begin + length));
        let time = Axis { scale: Scale::Linear, from, to };
        let frequency = frequencies(config.y_scale, scene);
        let (time_unit, xlab) = if to - from < MILLISECONDS_BELOW {
            (1e-3, "Time (ms)")
        } else {
            (1.0, "Time (s)")
        };
        // Octaves go so far down that kHz would be small fractions.
        let (hz_unit, ylab) = if frequency.to >= KILOHERTZ_FROM && config.y_scale != Scale::Log {
            (1e3, "Frequency (kHz)")
        } else {
            (1.0, "Frequency (Hz)")
        };
        let title = config.title.as_deref().unwrap_or(scene.caption.title);
        let xlab = config.xlab.as_deref().unwrap_or(xlab);
        let ylab = config.ylab.as_deref().unwrap_or(ylab);
        let needs = Needs {
            title: !title.is_empty(),
            intervals: !scene.caption.intervals.is_empty(),
            xlab: !xlab.is_empty(),
            ylab: !ylab.is_empty(),
        };

        let mut layout = Layout::new(config, &needs);
        let size = layout.size;
        let line: &dyn Fn(&str) -> f64 = &|_| 2.6 * size;
        let upright = |length: usize| Room { length: length as f64, label: line };
        let y_ticks = ticks(&frequency, hz_unit, &upright(layout.spectrogram.height()));
        let wave = self.wave(scene, &layout);
        let wave_ticks = match (&wave, layout.oscillogram) {
            (Some(wave), Some(place)) => {
                let length = place.height() as f64;
                let room = Room { length, label: &|_| 1.6 * size };
                // The spectrogram's labels are near, and the time axis'.
                let clear = 0.5 - 0.55 * size / length;
                let mut ticks = amplitudes(wave, scene.factor, &room);
                ticks.retain(|tick| (tick.place - 0.5).abs() <= clear);
                ticks
            }
            _ => Vec::new(),
        };
        let labels = y_ticks.iter().chain(&wave_ticks);
        let widest =
            labels.map(|tick| self.font.width(&tick.label, size)).fold(0.0, f64::max);
        layout.begin_at(widest, &needs);
        let place = layout.spectrogram;

        let rows = levels_rows(&frequency, scene, place.height());
        let columns = {
            let (first, step) = scene.time;
            let (width, last) = (place.width(), begin + length);
            let column = |x: f64| (time.value(x / width as f64) - first) / step;
            let mut columns = plot::picks(width, scene.columns, column);
            // The last frame's window may reach beyond the end, a picture does not.
            for (x, pick) in columns.iter_mut().enumerate() {
                let at = time.value((x as f64 + 0.5) / width as f64);
                if at < begin || at > last {
                    *pick = plot::Pick::None;
                }
            }
            columns
        };
        let levels = Levels { pixels: scene.levels, columns: scene.columns };
        // Where there is nothing, nothing is drawn.
        self.canvas.fill(place, MAP);
        dispatch(plot::Spectrogram {
            canvas: &mut self.canvas,
            place,
            levels,
            rows: &rows,
            columns: &columns,
            cancel,
        })?;
        if let (Some(wave), Some(place)) = (&wave, layout.oscillogram) {
            let sample = |s: f64| (s - begin) * f64::from(scene.sample_rate);
            let part = (sample(from), sample(to));
            plot::oscillogram(&mut self.canvas, place, scene.samples, part, wave, cancel)?;
        }

        let label = |label: &str| self.font.width(label, size) + 3.0 * size;
        let room = Room { length: place.width() as f64, label: &label };
        let x_ticks = ticks(&time, time_unit, &room);
        if config.grid {
            self.grid(place, &x_ticks, &y_ticks, layout.thick);
        }
        if let Some(lane) = layout.lane {
            self.intervals(scene.caption.intervals, &time, lane, &layout);
        }
        self.frame_and_ticks(place, &y_ticks, &layout);
        if let Some(place) = layout.oscillogram {
            self.frame_and_ticks(place, &wave_ticks, &layout);
        }
        self.time_ticks(&x_ticks, &layout);
        if let Some(bar) = layout.colorbar {
            self.colorbar(bar, scene.dynamic_range, &layout);
        }
        self.names(title, xlab, ylab, &layout);

        let axes = Axes {
            size: (self.canvas.width, self.canvas.height),
            plot: place,
            osc: layout.oscillogram,
            xlim: (from, to),
            ylim: (frequency.from, frequency.to),
        };
        let (width, height) = axes.size;
        if scene.caption.contour.is_empty() {
            let color = Color::Indexed(&self.palette);
            return Ok((Image { width, height, pixels: &self.canvas.pixels, color }, axes));
        }
        self.contour(scene.caption.contour, &time, &frequency, &layout);
        Ok((Image { width, height, pixels: &self.rgb, color: Color::Rgb }, axes))
    }

    /// How the oscillogram is drawn, if there is one.
    fn wave(&self, scene: &Scene, layout: &Layout) -> Option<Wave> {
        let peak = f64::from(plot::peak(scene.samples));
        (layout.oscillogram.is_some() && !scene.samples.is_empty()).then_some(Wave {
            osc: self.config.osc,
            // Silence is a line in the middle.
            peak: if peak > 0.0 { peak } else { 1.0 },
            dynamic_range: scene.dynamic_range,
            thick: self.config.scale.max(1.0),
        })
    }

    /// Dotted lines over the spectrogram.
    fn grid(&mut self, place: Rect, x_ticks: &[Tick], y_ticks: &[Tick], thick: usize) {
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
    fn frame_and_ticks(&mut self, place: Rect, ticks: &[Tick], layout: &Layout) {
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
    fn time_ticks(&mut self, ticks: &[Tick], layout: &Layout) {
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
    fn colorbar(&mut self, place: Rect, dynamic_range: f64, layout: &Layout) {
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
    fn names(&mut self, title: &str, xlab: &str, ylab: &str, layout: &Layout) {
        let Layout { size, title_size, pad, spectrogram: place, .. } = *layout;
        let (width, height) = (self.canvas.width as f64, self.canvas.height as f64);
        // Line breaks and the like of file names.
        let title: String =
            title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let title = self.font.shorten(&title, title_size, width - 2.0 * pad).into_owned();
        let middle = (place.left + place.right) as f64 / 2.0;
        let centred = |length: f64, most: f64| (middle - length / 2.0).min(most - length - pad).max(pad);
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
    fn write(&mut self, text: &str, size: f64, x: f64, y: f64) {
        let (canvas, base) = (&mut self.canvas, y.round() as i32);
        self.font.draw(text, size, x, |x, y, c| canvas.ink(x, base + y, c));
    }
}

/// The axis of frequencies.
fn frequencies(scale: Scale, scene: &Scene) -> Axis {
    let (mut from, to) = scene.frequencies;
    if scale == Scale::Log && from <= 0.0 {
        // There is no octave that begins at 0: the lowest bin above it, or far enough below.
        from = scene.hz.1.max(to * (-OCTAVES).exp2()).min(to / 2.0);
    }
    Axis { scale, from, to }
}

/// What of the levels' rows each of so many rows of pixels shows.
fn levels_rows(axis: &Axis, scene: &Scene, height: usize) -> Vec<plot::Pick> {
    let (lowest, step) = scene.hz;
    let count = scene.levels.len() / scene.columns.max(1);
    let row = |y: f64| {
        let hz = axis.value(1.0 - y / height as f64);
        count.saturating_sub(1) as f64 - (hz - lowest) / step
    };
    let mut rows = plot::picks(height, count, row);
    // The axis begins and ends between bins where its limits do: the outer ones reach there.
    let known = |pick: &&plot::Pick| **pick != plot::Pick::None;
    if let (Some(&first), Some(&last)) = (rows.iter().find(known), rows.iter().rev().find(known)) {
        let (top, bottom) = (rows.iter().position(|r| *r == first), rows.iter().rposition(|r| *r == last));
        rows[..top.unwrap_or(0)].fill(first);
        rows[bottom.unwrap_or(height - 1)..].fill(last);
    }
    rows
}

/// Ticks of an oscillogram.
fn amplitudes(wave: &Wave, factor: f64, room: &Room) -> Vec<Tick> {
    if wave.osc == Osc::Db {
        // Both halves are the same.
        let half = Axis { scale: Scale::Linear, from: -wave.dynamic_range, to: 0.0 };
        let length = room.length / 2.0;
        let mut upper = ticks(&half, 1.0, &Room { length, label: room.label });
        for tick in &mut upper {
            tick.place = 0.5 + tick.place / 2.0;
        }
        return upper;
    }
    let peak = wave.peak / factor;
    ticks(&Axis { scale: Scale::Linear, from: -peak, to: peak }, 1.0, room)
}

/// The pixels of ticks, with their labels.
fn spots(pixels: Range<usize>, ticks: &[Tick]) -> impl Iterator<Item = (usize, &str)> {
    let length = pixels.len() as f64;
    ticks.iter().map(move |tick| {
        let at = (tick.place * length).round().max(0.0) as usize;
        (pixels.start + at.min(pixels.len()), tick.label.as_str())
    })
}
