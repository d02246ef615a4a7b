//! What a spectrogram picture should look like, checked once, before any recording is read.

use crate::colormap::Colormap;
use crate::effects::Effects;
use crate::error::{Error, Result};
use crate::figure::FigureConfig;
use crate::raster::MAX_PIXELS;
use crate::window::Window;

/// Longest window, in milliseconds: a minute.
pub const MAX_WINDOW_MS: f64 = 60_000.0;
/// Longest FFT, in points: one takes some tenths of a second, and cannot be stopped.
pub const MAX_N_FFT: usize = 1 << 21;
/// Largest height or width that `size` takes, in pixels.
pub const MAX_SIDE: usize = 65_535;

/// How far one frame is from the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hop {
    /// Overlap of neighbouring windows, in percent of the window's length.
    Overlap(f64),
    /// Distance in milliseconds.
    Ms(f64),
}

/// The magnitude that is 0 dB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reference {
    /// The recording's own maximum.
    Max,
    /// A fixed magnitude, so that loudness can be compared between recordings.
    Magnitude(f64),
}

/// All settings of a spectrogram picture. Lengths are in milliseconds, because archives mix
/// sample rates; [`SpectrogramConfig::geometry`] turns them into samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectrogramConfig {
    /// Shape of the analysis window (symmetric).
    pub window: Window,
    /// Length of the window in milliseconds.
    pub window_ms: f64,
    /// Distance of frames.
    pub hop: Hop,
    /// FFT length in points after padding; below the window's length it means that length.
    pub zero_pad: usize,
    /// Decibels from white to black.
    pub dynamic_range: f64,
    /// What 0 dB is.
    pub reference: Reference,
    /// Lowest frequency shown, in Hz.
    pub fmin: Option<f64>,
    /// Highest frequency shown, in Hz.
    pub fmax: Option<f64>,
    /// Height and width in pixels; `None` is one pixel per bin and frame.
    pub size: Option<(usize, usize)>,
    /// Colours.
    pub colormap: Colormap,
    /// Dark on light.
    pub invert: bool,
    /// Frames centred on their time, with silence beyond both ends.
    pub center: bool,
    /// Remove the mean before the transform.
    pub detrend: bool,
    /// What is done to the spectrogram before it is drawn.
    pub effects: Effects,
    /// A figure with axes, which has its own size and colours; without, a tile.
    pub figure: Option<FigureConfig>,
}

impl Default for SpectrogramConfig {
    fn default() -> Self {
        Self {
            window: Window::Gaussian,
            window_ms: 50.0,
            hop: Hop::Overlap(50.0),
            zero_pad: 0,
            dynamic_range: 80.0,
            reference: Reference::Max,
            fmin: None,
            fmax: None,
            size: None,
            colormap: Colormap::Gray,
            invert: false,
            center: true,
            detrend: false,
            effects: Effects::default(),
            figure: None,
        }
    }
}

/// Checks a number that must be over `low` and up to `high`.
pub(crate) fn within(
    field: &'static str,
    value: f64,
    low: f64,
    high: f64,
    unit: &str,
) -> Result<()> {
    if value > low && value <= high {
        return Ok(());
    }
    let expected = format!("a number over {low} and up to {high} {unit}");
    Err(Error::value(field, expected.trim_end(), value))
}

/// A configuration at one sample rate, in samples and bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Window length in samples, of several windows that of the longest.
    pub win_length: usize,
    /// Distance of frames in samples.
    pub hop_length: usize,
    /// FFT length in samples.
    pub n_fft: usize,
    /// First bin shown (the picture's bottom row).
    pub first_bin: usize,
    /// Last bin shown (the picture's top row).
    pub last_bin: usize,
}

impl SpectrogramConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Value`] with the first field that is out of range.
    pub fn validate(&self) -> Result<()> {
        within("window_ms", self.window_ms, 0.0, MAX_WINDOW_MS, "ms")?;
        match self.hop {
            Hop::Overlap(percent) if (0.0..100.0).contains(&percent) => {}
            Hop::Overlap(percent) => {
                return Err(Error::value("overlap", "a percentage from 0 to below 100", percent));
            }
            Hop::Ms(ms) => within("hop_ms", ms, 0.0, MAX_WINDOW_MS, "ms")?,
        }
        if self.zero_pad > MAX_N_FFT {
            let expected = format!("an FFT length of 0 to {MAX_N_FFT} points");
            return Err(Error::value("zero_pad", expected, self.zero_pad));
        }
        within("dynamic_range", self.dynamic_range, 0.0, 1000.0, "dB")?;
        if let Reference::Magnitude(m) = self.reference
            && !(m > 0.0 && m.is_finite())
        {
            return Err(Error::value("ref", "a magnitude over 0, or \"max\"", m));
        }
        for (field, f) in [("fmin", self.fmin), ("fmax", self.fmax)] {
            if let Some(f) = f.filter(|f| !(*f >= 0.0 && f.is_finite())) {
                return Err(Error::value(field, "a frequency of 0 Hz or more", f));
            }
        }
        if let (Some(low), Some(high)) = (self.fmin, self.fmax)
            && low >= high
        {
            return Err(Error::value("fmin", format!("less than fmax ({high} Hz)"), low));
        }
        self.effects.validate()?;
        if let Some(figure) = &self.figure {
            figure.validate()?;
            if let Some((height, width)) = self.size {
                let found = format_args!("({height}, {width})").to_string();
                return Err(Error::value("size", "none for a figure, which has its own", found));
            }
        }
        if let Some((height, width)) = self.size {
            let sides = 1..=MAX_SIDE;
            let expected = if !(sides.contains(&height) && sides.contains(&width)) {
                format!("(height, width), each 1 to {MAX_SIDE} pixels")
            } else if height * width > MAX_PIXELS {
                format!("(height, width) of at most {MAX_PIXELS} pixels in all")
            } else {
                return Ok(());
            };
            return Err(Error::value("size", expected, format_args!("({height}, {width})")));
        }
        Ok(())
    }

    /// Samples of a window of so many milliseconds.
    pub(crate) fn win_length(ms: f64, sample_rate: u32) -> usize {
        ((ms / 1000.0 * f64::from(sample_rate)).round() as usize).max(2)
    }

    /// The same configuration for samples that were multiplied by `factor`.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        let reference = match self.reference {
            Reference::Max => Reference::Max,
            Reference::Magnitude(m) => {
                Reference::Magnitude((m * factor).clamp(f64::MIN_POSITIVE, f64::MAX))
            }
        };
        Self { reference, ..self.clone() }
    }

    /// The configuration at `sample_rate` Hz. Halves round away from zero.
    ///
    /// # Errors
    /// [`Error::Value`] if the FFT would be longer than [`MAX_N_FFT`] or no bin lies between
    /// `fmin` and `fmax`.
    pub fn geometry(&self, sample_rate: u32) -> Result<Geometry> {
        let sr = f64::from(sample_rate);
        // Of several windows the longest has the grid's bins, and the shortest leaves no gaps.
        let (mut win_length, mut shortest) = (0, usize::MAX);
        for &ms in self.effects.windows_ms.iter().chain([&self.window_ms]) {
            let length = Self::win_length(ms, sample_rate);
            (win_length, shortest) = (win_length.max(length), shortest.min(length));
        }
        let hop = match self.hop {
            Hop::Overlap(percent) => shortest as f64 * (1.0 - percent / 100.0),
            Hop::Ms(ms) => ms / 1000.0 * sr,
        };
        let n_fft = win_length.max(self.zero_pad);
        if n_fft > MAX_N_FFT {
            let expected = format!("a window of at most {MAX_N_FFT} samples");
            let found = format!("{win_length} samples at {sample_rate} Hz");
            return Err(Error::value("window_ms", expected, found));
        }
        let hz = sr / n_fft as f64;
        let top = n_fft / 2;
        let first_bin = self.fmin.map_or(0, |f| (f / hz - 1e-9).ceil().max(0.0) as usize);
        let last_bin = self.fmax.map_or(top, |f| ((f / hz + 1e-9).floor() as usize).min(top));
        if first_bin > last_bin {
            let expected = format!("a bin between fmin and fmax (bins every {hz} Hz)");
            let nyquist = sr / 2.0;
            let found = format!("none up to {nyquist} Hz, half of the sample rate");
            return Err(Error::value("fmin", expected, found));
        }
        let hop_length = (hop.round() as usize).max(1);
        Ok(Geometry { win_length, hop_length, n_fft, first_bin, last_bin })
    }

    /// The configuration as a JSON object, keys in the order of the fields, without effects that
    /// are not there; equal configurations give equal text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let number = |x: Option<f64>| x.map_or("null".to_owned(), |x| format!("{x:?}"));
        let window = match self.window {
            Window::GaussianStd(std) => format!("[\"gaussian\", {std:?}]"),
            named => format!("\"{}\"", named.name()),
        };
        let (overlap, hop_ms) = match self.hop {
            Hop::Overlap(percent) => (Some(percent), None),
            Hop::Ms(ms) => (None, Some(ms)),
        };
        let reference = match self.reference {
            Reference::Max => "\"max\"".to_owned(),
            Reference::Magnitude(m) => format!("{m:?}"),
        };
        let size = self.size.map_or("null".to_owned(), |(h, w)| format!("[{h}, {w}]"));
        let figure = self.figure.as_ref().map(FigureConfig::to_json);
        // A tile's settings are written as they were before there were figures.
        let figure = figure.map_or(String::new(), |json| format!(", \"figure\": {json}"));
        let mut json = format!(
            "{{\"window\": {window}, \"window_ms\": {:?}, \"overlap\": {}, \"hop_ms\": {}, \
             \"zero_pad\": {}, \"dynamic_range\": {:?}, \"ref\": {reference}, \"fmin\": {}, \
             \"fmax\": {}, \"size\": {size}, \"colormap\": \"{}\", \"invert\": {}, \
             \"center\": {}, \"detrend\": {}",
            self.window_ms,
            number(overlap),
            number(hop_ms),
            self.zero_pad,
            self.dynamic_range,
            number(self.fmin),
            number(self.fmax),
            self.colormap.name(),
            self.invert,
            self.center,
            if self.detrend { "\"constant\"" } else { "null" },
        );
        self.effects.write_json(&mut json);
        json.push_str(&figure);
        json.push('}');
        json
    }
}
