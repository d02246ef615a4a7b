//! What a figure shows, and where it shows it.

use std::ffi::OsStr;

use super::canvas::Rect;
use super::marks::Interval;
use crate::config::{Geometry, SpectrogramConfig};
use crate::json::Json;

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
            frequencies: (
                config.fmin.unwrap_or(0.0),
                config.fmax.unwrap_or(rate / 2.0).min(rate / 2.0),
            ),
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
        let quoted = |name: &String| Json(OsStr::new(name)).to_string();
        let mut fonts = self.fonts.iter().map(quoted).collect::<Vec<_>>().join(", ");
        if !fonts.is_empty() {
            fonts = format!(", \"fonts\": [{fonts}]");
        }
        format!(
            "{{\"size\": [{}, {}], \"plot\": {}, {osc}\"xlim\": [{:?}, {:?}], \"ylim\": [{:?}, {:?}], \
             \"time_unit\": \"{}\", \"frequency_unit\": \"{}\"{fonts}}}",
            self.size.0,
            self.size.1,
            rect(&self.plot),
            self.xlim.0,
            self.xlim.1,
            self.ylim.0,
            self.ylim.1,
            self.time_unit,
            self.frequency_unit,
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
    /// The unit in which the time axis counts.
    pub time_unit: &'static str,
    /// The unit in which the frequency axis counts.
    pub frequency_unit: &'static str,
    /// Files of this machine's fonts that texts are drawn with, beside the configuration's font.
    pub fonts: Vec<String>,
}
