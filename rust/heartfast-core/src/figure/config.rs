//! What a figure should look like, checked once, before any recording is read.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::PathBuf;

use super::scale::Scale;
use super::units::{FrequencyUnit, TimeUnit};
use crate::colormap::Colormap;
use crate::error::{Error, Result};
use crate::json::Json;

/// Smallest and largest width and height, in points.
pub const SIDES: std::ops::RangeInclusive<usize> = 100..=16_384;
/// Smallest and largest number of pixels to a point.
pub const DENSITIES: std::ops::RangeInclusive<f64> = 0.5..=4.0;

/// How the oscillogram under the spectrogram is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Osc {
    /// Not at all.
    None,
    /// Amplitude.
    Linear,
    /// Decibels below the largest amplitude, the same above and below the middle.
    Db,
}

/// The colours of everything that is not the spectrogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white, for paper.
    Light,
    /// Light on black, for screens.
    Dark,
}

/// The settings of a figure, beside those of its spectrogram. Lengths are in points, of which
/// each has `scale` pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureConfig {
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
    /// Pixels to a point.
    pub scale: f64,
    /// The oscillogram.
    pub osc: Osc,
    /// How frequencies are spread over the axis.
    pub y_scale: Scale,
    /// The part shown, in seconds of the recording; all of it by default.
    pub xlim: Option<(f64, f64)>,
    /// Above the picture; the recording's name by default, nothing if empty.
    pub title: Option<String>,
    /// Beside the time axis; its unit by default, nothing if empty.
    pub xlab: Option<String>,
    /// Beside the frequency axis; its unit by default, nothing if empty.
    pub ylab: Option<String>,
    /// Lines at the ticks.
    pub grid: bool,
    /// A scale of decibels.
    pub colorbar: bool,
    /// Colours of page, text and oscillogram.
    pub theme: Theme,
    /// Colours of the spectrogram; by default those that suit the theme.
    pub colormap: Option<Colormap>,
    /// Levels (0 to 1) are raised to the power of exp(3 contrast): over 0 faint ones fade.
    pub contrast: f64,
    /// What is added to the lightness of levels.
    pub brightness: f64,
    /// A font file for other scripts than the one at hand has.
    pub font: Option<PathBuf>,
    /// The unit of the time axis.
    pub time_unit: TimeUnit,
    /// The unit of the frequency axis.
    pub frequency_unit: FrequencyUnit,
}

impl Default for FigureConfig {
    fn default() -> Self {
        Self {
            width: 900,
            height: 500,
            scale: 1.0,
            osc: Osc::Linear,
            y_scale: Scale::Linear,
            xlim: None,
            title: None,
            xlab: None,
            ylab: None,
            grid: false,
            colorbar: false,
            theme: Theme::Light,
            colormap: None,
            contrast: 0.0,
            brightness: 0.0,
            font: None,
            time_unit: TimeUnit::Auto,
            frequency_unit: FrequencyUnit::Auto,
        }
    }
}

impl Osc {
    /// Every way, by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("none", Self::None), ("linear", Self::Linear), ("db", Self::Db)];

    /// The way of that name.
    ///
    /// # Errors
    /// [`Error::Value`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        by_name("osc", &Self::NAMES, name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

impl Theme {
    /// Every theme, by name.
    pub const NAMES: [(&'static str, Self); 2] = [("light", Self::Light), ("dark", Self::Dark)];

    /// The theme of that name.
    ///
    /// # Errors
    /// [`Error::Value`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        by_name("theme", &Self::NAMES, name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

/// What has that name.
pub(super) fn by_name<T: Copy>(
    field: &'static str,
    named: &[(&'static str, T)],
    name: &str,
) -> Result<T> {
    named.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        Error::value(field, format!("one of {}", names.join(", ")), format_args!("{name:?}"))
    })
}

/// The name that it has.
pub(super) fn name_of<T: Copy + PartialEq>(named: &[(&'static str, T)], value: T) -> &'static str {
    named.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

impl FigureConfig {
    /// Width and height in pixels.
    #[must_use]
    pub fn pixels(&self) -> (usize, usize) {
        let pixels = |points: usize| (points as f64 * self.scale).round() as usize;
        (pixels(self.width), pixels(self.height))
    }

    /// The map that it is drawn with.
    #[must_use]
    pub fn colours(&self) -> Colormap {
        self.colormap.unwrap_or(match self.theme {
            Theme::Light => Colormap::Bw,
            Theme::Dark => Colormap::Magma,
        })
    }

    /// Checks every field but the font, which is read where it is used.
    ///
    /// # Errors
    /// [`Error::Value`] with the first field that is out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, points) in [("width", self.width), ("height", self.height)] {
            if !SIDES.contains(&points) {
                let expected = format!("{} to {} points", SIDES.start(), SIDES.end());
                return Err(Error::value(field, expected, points));
            }
        }
        if !DENSITIES.contains(&self.scale) {
            let expected = format!("{} to {}", DENSITIES.start(), DENSITIES.end());
            return Err(Error::value("scale", expected, self.scale));
        }
        if let Some((from, to)) = self.xlim
            && !(from >= 0.0 && from < to && to.is_finite())
        {
            let found = format!("({from}, {to})");
            return Err(Error::value("xlim", "(from, to) in seconds, from 0, from < to", found));
        }
        for (field, value) in [("contrast", self.contrast), ("brightness", self.brightness)] {
            if !(-1.0..=1.0).contains(&value) {
                return Err(Error::value(field, "a number from -1 to 1", value));
            }
        }
        Ok(())
    }

    /// The fields that are not as by default, as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let plain = Self::default();
        let mut json = String::new();
        let mut put = |field: &str, changed: bool, value: String| {
            if changed {
                let comma = if json.is_empty() { "" } else { ", " };
                let _ = write!(json, "{comma}\"{field}\": {value}");
            }
        };
        let quoted = |text: &str| Json(OsStr::new(text)).to_string();
        put("width", self.width != plain.width, self.width.to_string());
        put("height", self.height != plain.height, self.height.to_string());
        put("scale", self.scale != plain.scale, format!("{:?}", self.scale));
        put("osc", self.osc != plain.osc, quoted(self.osc.name()));
        put("y_scale", self.y_scale != plain.y_scale, quoted(self.y_scale.name()));
        if let Some((from, to)) = self.xlim {
            put("xlim", true, format!("[{from:?}, {to:?}]"));
        }
        let texts = [("title", &self.title), ("xlab", &self.xlab), ("ylab", &self.ylab)];
        for (field, text) in texts {
            put(field, text.is_some(), quoted(text.as_deref().unwrap_or_default()));
        }
        put("grid", self.grid, self.grid.to_string());
        put("colorbar", self.colorbar, self.colorbar.to_string());
        put("theme", self.theme != plain.theme, quoted(self.theme.name()));
        let colormap = self.colormap.map_or("", Colormap::name);
        put("colormap", self.colormap.is_some(), quoted(colormap));
        put("contrast", self.contrast != 0.0, format!("{:?}", self.contrast));
        put("brightness", self.brightness != 0.0, format!("{:?}", self.brightness));
        if let Some(font) = &self.font {
            put("font", true, Json(font.as_os_str()).to_string());
        }
        let units = [
            ("time_unit", self.time_unit != plain.time_unit, self.time_unit.name()),
            (
                "frequency_unit",
                self.frequency_unit != plain.frequency_unit,
                self.frequency_unit.name(),
            ),
        ];
        for (field, changed, unit) in units {
            put(field, changed, quoted(unit));
        }
        format!("{{{json}}}")
    }
}
