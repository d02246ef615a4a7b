//! Which effects a spectrogram goes through, as fields of a configuration.

use std::fmt::Write;

use crate::config::{MAX_WINDOW_MS, within};
use crate::error::{Error, Result};

/// Most windows beside the configuration's own.
pub const MAX_WINDOWS: usize = 8;
/// Most values that a median is taken of: its time grows with their square.
pub const MAX_MEDIAN: usize = 255;
/// Largest standard deviation of a Gaussian across frequency, in Hz.
pub const MAX_BLUR_HZ: f64 = 1e6;

/// The direction of a derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// From frame to frame.
    Time,
    /// From bin to bin.
    Frequency,
    /// The length of the gradient.
    Both,
}

impl Axis {
    /// The axis of that name.
    ///
    /// # Errors
    /// [`Error::Value`] for any other name than those of [`Axis::name`].
    pub fn from_name(name: &str) -> Result<Self> {
        let all = [Self::Time, Self::Frequency, Self::Both];
        all.into_iter().find(|axis| axis.name() == name).ok_or_else(|| {
            let expected = "None, \"time\", \"frequency\" or \"both\"";
            Error::value("derivative", expected, format_args!("{name:?}"))
        })
    }

    /// The axis's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Frequency => "frequency",
            Self::Both => "both",
        }
    }
}

/// The effects of a configuration, in the order in which they are applied; none by default.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// Move each bin's energy to where in time and frequency it comes from.
    pub reassign: bool,
    /// Windows in milliseconds, whose spectrograms are combined with that of the configuration's.
    pub windows_ms: Vec<f64>,
    /// How much of the noise is subtracted: 1 is all of it, 0 none.
    pub noise_reduction: f64,
    /// How many of the frames are taken for noise, in percent: those of the highest entropy.
    pub noise_percent: f64,
    /// The quantile of each bin that is subtracted from it.
    pub quantile: Option<f64>,
    /// Frames and bins that a median is taken of.
    pub median: (usize, usize),
    /// Standard deviations of a Gaussian in milliseconds and Hz.
    pub blur: (f64, f64),
    /// Those of the Gaussian whose difference is added once more.
    pub sharpen: (f64, f64),
    /// The derivative that is shown instead of the magnitude.
    pub derivative: Option<Axis>,
}

impl Default for Effects {
    fn default() -> Self {
        Self {
            reassign: false,
            windows_ms: Vec::new(),
            noise_reduction: 0.0,
            noise_percent: 10.0,
            quantile: None,
            median: (1, 1),
            blur: (0.0, 0.0),
            sharpen: (0.0, 0.0),
            derivative: None,
        }
    }
}

impl Effects {
    /// Whether there is any.
    #[must_use]
    pub fn any(&self) -> bool {
        // The share of noisy frames does nothing by itself.
        *self != Self { noise_percent: self.noise_percent, ..Self::default() }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Value`] with the first field that is out of range.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.reassign && !self.windows_ms.is_empty() {
            return Err(Error::value("reassign, windows_ms", "one of the two", "both"));
        }
        if self.windows_ms.len() > MAX_WINDOWS {
            let expected = format!("at most {MAX_WINDOWS} windows");
            return Err(Error::value("windows_ms", expected, self.windows_ms.len()));
        }
        for &ms in &self.windows_ms {
            within("windows_ms", ms, 0.0, MAX_WINDOW_MS, "ms")?;
        }
        if !(self.noise_reduction >= 0.0 && self.noise_reduction.is_finite()) {
            let expected = "a number of 0 or more";
            return Err(Error::value("noise_reduction", expected, self.noise_reduction));
        }
        within("noise_percent", self.noise_percent, 0.0, 100.0, "percent")?;
        if let Some(q) = self.quantile.filter(|q| !(0.0..=1.0).contains(q)) {
            return Err(Error::value("quantile", "a number from 0 to 1, or None", q));
        }
        let (frames, bins) = self.median;
        let odd = frames % 2 == 1 && bins % 2 == 1;
        if !odd || frames.saturating_mul(bins) > MAX_MEDIAN {
            let expected = format!("(frames, bins), odd numbers of a product up to {MAX_MEDIAN}");
            return Err(Error::value("median", expected, format_args!("({frames}, {bins})")));
        }
        for (field, (ms, hz)) in [("blur", self.blur), ("sharpen", self.sharpen)] {
            if !((0.0..=MAX_WINDOW_MS).contains(&ms) && (0.0..=MAX_BLUR_HZ).contains(&hz)) {
                let expected =
                    format!("(ms, Hz), from 0 to {MAX_WINDOW_MS} ms and {MAX_BLUR_HZ} Hz");
                return Err(Error::value(field, expected, format_args!("({ms}, {hz})")));
            }
        }
        Ok(())
    }

    /// Writes the fields that are not as they are by default, each behind a comma, into a JSON
    /// object: what was made before there were effects says what it said.
    pub(crate) fn write_json(&self, json: &mut String) {
        let default = Self::default();
        let mut put = |field: &str, is_default: bool, value: String| {
            if !is_default {
                let _ = write!(json, ", \"{field}\": {value}");
            }
        };
        let list = |values: &[f64]| format!("{values:?}");
        let pair = |(a, b): (f64, f64)| list(&[a, b]);
        let (frames, bins) = self.median;
        put("reassign", !self.reassign, "true".to_owned());
        put("windows_ms", self.windows_ms.is_empty(), list(&self.windows_ms));
        put("noise_reduction", self.noise_reduction == 0.0, format!("{:?}", self.noise_reduction));
        let same = self.noise_percent.to_bits() == default.noise_percent.to_bits();
        put("noise_percent", same, format!("{:?}", self.noise_percent));
        put("quantile", self.quantile.is_none(), format!("{:?}", self.quantile.unwrap_or(0.0)));
        put("median", self.median == default.median, format!("[{frames}, {bins}]"));
        put("blur", self.blur == default.blur, pair(self.blur));
        put("sharpen", self.sharpen == default.sharpen, pair(self.sharpen));
        let axis = self.derivative.map_or("", Axis::name);
        put("derivative", self.derivative.is_none(), format!("\"{axis}\""));
    }
}
