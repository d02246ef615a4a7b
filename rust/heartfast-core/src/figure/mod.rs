//! Figures: a spectrogram over its oscillogram, with axes, for people to look at.
//!
//! A [`Drawer`] belongs to one thread and keeps its font and its page from figure to figure. What it
//! draws are indexes of a palette: text and lines have some shades, the spectrogram has the rest.

mod axes;
mod canvas;
mod config;
mod fonts;
mod layout;
mod letters;
mod marks;
mod plot;
mod remarks;
mod scale;
mod scene;
mod text;
mod ticks;
mod units;

use std::sync::Arc;

pub use canvas::Rect;
use canvas::{Canvas, MAP};
pub use config::{DENSITIES, FigureConfig, Osc, SIDES, Theme};
use layout::{Layout, Needs};
pub use marks::Interval;
pub(crate) use marks::digest;
use plot::{Levels, Wave};
pub use remarks::Remarks;
use scale::Axis;
pub use scale::Scale;
pub use scene::{Axes, Caption, Scene};
use text::Font;
use ticks::{Room, Tick, ticks};
pub use units::{FrequencyUnit, TimeUnit};
use units::{misnames_frequency, misnames_time};

use crate::cancel::Cancel;
use crate::error::Result;
use crate::raster::{Color, Image};
use crate::simd::dispatch;

/// On an axis of octaves that would begin at 0, there are this many below the highest frequency.
const OCTAVES: f64 = 10.0;

/// Draws figures, one at a time, by one configuration.
pub struct Drawer {
    config: Arc<FigureConfig>,
    font: Font,
    canvas: Canvas,
    palette: Vec<[u8; 3]>,
    /// The page in full colour, where there is a contour.
    rgb: Vec<u8>,
    remarks: Remarks,
}

impl Drawer {
    /// A drawer for this configuration.
    ///
    /// # Errors
    /// Those of [`FigureConfig::validate`], and a font that cannot be read.
    pub fn new(config: &FigureConfig) -> Result<Self> {
        config.validate()?;
        let font = Font::open(config.font.as_deref())?;
        let (canvas, palette) = (Canvas::default(), canvas::palette(config));
        let config = Arc::new(config.clone());
        Ok(Self { config, font, canvas, palette, rgb: Vec::new(), remarks: Remarks::default() })
    }

    /// The width of the page in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.config.pixels().0
    }

    /// What a user should know of the figures drawn since the last call.
    pub fn take_remarks(&mut self) -> Remarks {
        std::mem::take(&mut self.remarks)
    }

    /// SHA-256 of the font file in hexadecimal digits, where the configuration names one.
    #[must_use]
    pub fn font_sha256(&self) -> Option<&str> {
        self.font.sha256()
    }

    /// Draws the figure of a scene.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub fn draw(&mut self, scene: &Scene, cancel: &Cancel) -> Result<(Image<'_>, Axes)> {
        let config = Arc::clone(&self.config);
        let config = &*config;
        self.canvas.clear(config.pixels());
        let (begin, length) = scene.span;
        let (from, to) = config.xlim.unwrap_or((begin, begin + length));
        let time = Axis { scale: Scale::Linear, from, to };
        let frequency = frequencies(config.y_scale, scene);
        let time_unit = config.time_unit.of(to - from);
        let hz_unit = config.frequency_unit.of(config.y_scale, frequency.to);
        let title = config.title.as_deref().unwrap_or(scene.caption.title);
        let xlab = config.xlab.as_deref().unwrap_or(time_unit.label);
        let ylab = config.ylab.as_deref().unwrap_or(hz_unit.label);
        if misnames_time(xlab, time_unit) {
            self.remarks.time.count(time_unit);
        }
        if misnames_frequency(ylab, hz_unit) {
            self.remarks.frequency.count(hz_unit);
        }
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
        let y_ticks = ticks(&frequency, hz_unit.size, &upright(layout.spectrogram.height()));
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
        let widest = labels.map(|tick| self.font.width(&tick.label, size)).fold(0.0, f64::max);
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
        let x_ticks = ticks(&time, time_unit.size, &room);
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

        let (missing, fonts) = self.font.drawn();
        self.remarks.with_boxes += usize::from(!missing.is_empty());
        self.remarks.missing.extend(missing);
        let axes = Axes {
            size: (self.canvas.width, self.canvas.height),
            plot: place,
            osc: layout.oscillogram,
            xlim: (from, to),
            ylim: (frequency.from, frequency.to),
            time_unit: time_unit.name,
            frequency_unit: hz_unit.name,
            fonts,
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
        let (top, bottom) =
            (rows.iter().position(|r| *r == first), rows.iter().rposition(|r| *r == last));
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
