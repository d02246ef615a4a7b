//! Figures of arrays.

use heartfast_core::audio::Audio;
use heartfast_core::colormap::Colormap;
use heartfast_core::config::SpectrogramConfig as SpectrogramSettings;
use heartfast_core::figure::{
    self as core, FigureConfig, FrequencyUnit, Interval, Osc, Remarks, Scale, Theme, TimeUnit,
};
use heartfast_core::pipeline::{self, Converter, Part};
use heartfast_core::{Cancel, Result};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::config::{Fields, SpectrogramConfig};
use crate::errors::raise;
use crate::interrupt;
use crate::values::{as_tuple, convert, wrong};

/// (from, to, label), in seconds.
pub(crate) type Mark = (f64, f64, String);

/// What a figure says of its recording.
#[derive(FromPyObject)]
pub(crate) struct Caption {
    title: String,
    intervals: Vec<Mark>,
    contour: Vec<(f64, f64)>,
}

/// Intervals as the core has them.
pub(crate) fn intervals(marks: Vec<Mark>) -> Vec<Interval> {
    marks.into_iter().map(|(from, to, label)| Interval { from, to, label }).collect()
}

/// A PNG, and what a user should know of it.
type Drawn<'py> = (Bound<'py, PyBytes>, Vec<String>);

/// The PNG of a figure of mono samples, as `convert` draws it, and notes.
#[pyfunction]
pub(crate) fn figure<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    sr: u32,
    config: &SpectrogramConfig,
    caption: Caption,
) -> PyResult<Drawn<'py>> {
    let samples = samples.as_slice()?;
    let config = &config.core;
    png(py, samples.len(), config, caption, |caption, cancel| {
        let mut audio = Audio { interleaved: samples.to_vec(), channels: 1, sample_rate: sr };
        let mut file = Vec::new();
        let mut converter = Converter::new(config)?;
        converter.draw(&mut audio, &Part::default(), caption, &mut file, cancel)?;
        Ok((file, converter.take_remarks()))
    })
}

/// The PNG of a figure of gray levels (rows, columns) and, for the oscillogram, mono samples; and
/// notes.
#[pyfunction]
pub(crate) fn figure_of_levels<'py>(
    py: Python<'py>,
    levels: PyReadonlyArray2<'py, u8>,
    samples: Option<PyReadonlyArray1<'py, f32>>,
    sr: u32,
    config: &SpectrogramConfig,
    caption: Caption,
) -> PyResult<Drawn<'py>> {
    let columns = levels.shape()[1];
    let levels = levels.as_slice()?;
    let samples = samples.as_ref().map(|samples| samples.as_slice()).transpose()?;
    let config = &config.core;
    png(py, levels.len(), config, caption, |caption, cancel| {
        pipeline::figure(config, (levels, columns), (samples, sr), caption, cancel)
    })
}

fn png<'py>(
    py: Python<'py>,
    size: usize,
    config: &SpectrogramSettings,
    caption: Caption,
    draw: impl FnOnce(&core::Caption<'_>, &Cancel) -> Result<(Vec<u8>, Remarks)> + Send,
) -> PyResult<Drawn<'py>> {
    let Caption { title, intervals: marks, contour } = caption;
    let intervals = intervals(marks);
    let caption = core::Caption { title: &title, intervals: &intervals, contour: &contour };
    let cancel = Cancel::new();
    let drawn = interrupt::run_on(py, size, &cancel, || draw(&caption, &cancel))?;
    let (file, remarks) = drawn.map_err(|e| raise(py, e))?;
    let notes = config.figure.as_ref().map(|figure| remarks.notes(figure)).unwrap_or_default();
    Ok((PyBytes::new(py, &file), notes))
}

impl Fields<'_> {
    /// The fields of a `heartfast.FigureConfig`, or a dictionary of some of them.
    pub(crate) fn figure(&self) -> PyResult<Option<FigureConfig>> {
        let Some(value) = self.pop("figure")?.filter(|value| !value.is_none()) else {
            return Ok(None);
        };
        let fields = match value.cast::<PyDict>() {
            Ok(fields) => fields.copy()?,
            Err(_) => {
                let fields =
                    value.call_method0("_asdict").and_then(|d| Ok(d.cast_into::<PyDict>()?));
                fields.map_err(|_| wrong("figure", "a FigureConfig or None", &value))?
            }
        };
        let (py, fields) = (value.py(), Self(fields));
        let name = |field, default: &str| fields.take(field, "a name", default.to_owned());
        let text = |field| fields.take(field, "a text or None", None::<String>);
        let core = |e| raise(py, e);
        let plain = FigureConfig::default();
        let colormap = fields.take("colormap", "a name or None", None::<String>)?;
        let xlim = fields.pop("xlim")?.map(|xlim| as_tuple(&xlim));
        let points = "a whole number of points";
        let figure = FigureConfig {
            width: fields.take("width", points, plain.width)?,
            height: fields.take("height", points, plain.height)?,
            scale: fields.number("scale", plain.scale)?,
            osc: Osc::from_name(&name("osc", plain.osc.name())?).map_err(core)?,
            y_scale: Scale::from_name(&name("y_scale", plain.y_scale.name())?).map_err(core)?,
            xlim: xlim
                .map_or(Ok(None), |x| convert("xlim", "(from, to) in seconds, or None", &x))?,
            title: text("title")?,
            xlab: text("xlab")?,
            ylab: text("ylab")?,
            grid: fields.take("grid", "True or False", false)?,
            colorbar: fields.take("colorbar", "True or False", false)?,
            theme: Theme::from_name(&name("theme", plain.theme.name())?).map_err(core)?,
            colormap: colormap.map(|n| Colormap::from_name(&n)).transpose().map_err(core)?,
            contrast: fields.number("contrast", 0.0)?,
            brightness: fields.number("brightness", 0.0)?,
            font: fields.take("font", "a path or None", None)?,
            time_unit: TimeUnit::from_name(&name("time_unit", "auto")?).map_err(core)?,
            frequency_unit: FrequencyUnit::from_name(&name("frequency_unit", "auto")?)
                .map_err(core)?,
        };
        fields.finish("FigureConfig")?;
        Ok(Some(figure))
    }
}
