//! `SpectrogramConfig`.

use heartfast_core::colormap::Colormap;
use heartfast_core::config as core;
use heartfast_core::config::{Hop, Reference};
use heartfast_core::effects::{Axis, Effects};
use heartfast_core::window::Window;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::errors::{raise, usage};
use crate::values::{WINDOW, WindowArg, as_tuple, convert};

// The stub has the same text, which a test compares.
#[doc = include_str!("config.txt")]
// It is Python's: `>>>` starts an example there, and a quotation in Markdown.
#[allow(clippy::doc_lazy_continuation)]
#[pyclass(frozen, eq, hash, module = "heartfast._core", from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct SpectrogramConfig {
    pub(crate) core: core::SpectrogramConfig,
}

impl std::hash::Hash for SpectrogramConfig {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.core.to_json().hash(state);
    }
}

/// The keyword arguments of a configuration, taken out one by one.
pub(crate) struct Fields<'py>(pub(crate) Bound<'py, PyDict>);

impl<'py> Fields<'py> {
    /// The value of a field; nothing where it is not given.
    pub(crate) fn pop(&self, field: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.0.get_item(field)?;
        if value.is_some() {
            self.0.del_item(field)?;
        }
        Ok(value)
    }

    pub(crate) fn take<T: FromPyObjectOwned<'py>>(
        &self,
        field: &str,
        expected: &str,
        default: T,
    ) -> PyResult<T> {
        self.pop(field)?.map_or(Ok(default), |value| convert(field, expected, &value))
    }

    /// A number; minus zero is zero, so that equal configurations look the same.
    pub(crate) fn number(&self, field: &str, default: f64) -> PyResult<f64> {
        Ok(self.take(field, "a number", default)? + 0.0)
    }

    fn optional(&self, field: &str) -> PyResult<Option<f64>> {
        Ok(self.take(field, "a number or None", None::<f64>)?.map(|x| x + 0.0))
    }

    fn hop(&self) -> PyResult<Hop> {
        match (self.optional("overlap")?, self.optional("hop_ms")?) {
            (Some(_), Some(_)) => {
                let message = "overlap, hop_ms: expected one of the two, found both";
                Err(usage(message))
            }
            (_, Some(ms)) => Ok(Hop::Ms(ms)),
            (overlap, None) => Ok(Hop::Overlap(overlap.unwrap_or(50.0))),
        }
    }

    fn reference(&self) -> PyResult<Reference> {
        const EXPECTED: &str = "\"max\" or a magnitude";
        let Some(value) = self.pop("ref")? else {
            return Ok(Reference::Max);
        };
        match value.extract::<String>() {
            Ok(name) if name == "max" => Ok(Reference::Max),
            Ok(name) => {
                let message = format!("ref: expected {EXPECTED}, found {name:?}");
                Err(usage(message))
            }
            Err(_) => Ok(Reference::Magnitude(convert("ref", EXPECTED, &value)?)),
        }
    }

    fn size(&self) -> PyResult<Option<(usize, usize)>> {
        let size = self.pop("size")?.map(|size| as_tuple(&size));
        size.map_or(Ok(None), |size| convert("size", "(height, width) in pixels, or None", &size))
    }

    /// A pair of numbers; minus zero is zero.
    fn pair(&self, field: &str) -> PyResult<(f64, f64)> {
        let pair = self.pop(field)?.map(|pair| as_tuple(&pair));
        let (a, b) = pair.map_or(Ok((0.0, 0.0)), |pair| convert(field, "(ms, Hz)", &pair))?;
        Ok((a + 0.0, b + 0.0))
    }

    fn effects(&self, py: Python<'py>) -> PyResult<Effects> {
        let default = Effects::default();
        let median = self.pop("median")?.map(|median| as_tuple(&median));
        let derivative = "None, \"time\", \"frequency\" or \"both\"";
        let derivative = self.take("derivative", derivative, None::<String>)?;
        let axis = derivative.map(|name| Axis::from_name(&name)).transpose();
        Ok(Effects {
            reassign: self.take("reassign", "True or False", false)?,
            windows_ms: self.take("windows_ms", "lengths in ms", default.windows_ms)?,
            noise_reduction: self.number("noise_reduction", default.noise_reduction)?,
            noise_percent: self.number("noise_percent", default.noise_percent)?,
            quantile: self.optional("quantile")?,
            median: median.map_or(Ok(default.median), |median| {
                convert("median", "(frames, bins)", &median)
            })?,
            blur: self.pair("blur")?,
            sharpen: self.pair("sharpen")?,
            derivative: axis.map_err(|e| raise(py, e))?,
        })
    }

    fn detrend(&self) -> PyResult<bool> {
        let detrend = self.take("detrend", "None or \"constant\"", None::<String>)?;
        if let Some(other) = detrend.as_ref().filter(|&d| d != "constant") {
            let message = format!("detrend: expected None or \"constant\", found {other:?}");
            return Err(usage(message));
        }
        Ok(detrend.is_some())
    }

    /// An error for a field that is left.
    pub(crate) fn finish(self, class: &str) -> PyResult<()> {
        match self.0.keys().iter().next() {
            Some(field) => {
                let message = format!("{class} got an unexpected field {field:?}");
                Err(PyTypeError::new_err(message))
            }
            None => Ok(()),
        }
    }
}

#[pymethods]
impl SpectrogramConfig {
    #[new]
    #[pyo3(
        signature = (**fields),
        text_signature = "(*, window='gaussian', window_ms=50.0, overlap=None, hop_ms=None, \
                          zero_pad=0, dynamic_range=80.0, ref='max', fmin=None, fmax=None, \
                          size=None, colormap='gray', invert=False, center=True, detrend=None, \
                          reassign=False, windows_ms=(), noise_reduction=0.0, \
                          noise_percent=10.0, quantile=None, median=(1, 1), \
                          blur=(0.0, 0.0), sharpen=(0.0, 0.0), derivative=None, figure=None)"
    )]
    fn new(py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let fields = Fields(fields.map_or(Ok(PyDict::new(py)), |fields| fields.copy())?);
        let window = fields.take("window", WINDOW, WindowArg::Name("gaussian".into()))?;
        let colormap: String = fields.take("colormap", "a name", "gray".into())?;
        let core = core::SpectrogramConfig {
            window: window.parse().map_err(|e| raise(py, e))?,
            window_ms: fields.number("window_ms", 50.0)?,
            hop: fields.hop()?,
            zero_pad: fields.take("zero_pad", "a number of points, 0 or more", 0)?,
            dynamic_range: fields.number("dynamic_range", 80.0)?,
            reference: fields.reference()?,
            fmin: fields.optional("fmin")?,
            fmax: fields.optional("fmax")?,
            size: fields.size()?,
            colormap: Colormap::from_name(&colormap).map_err(|e| raise(py, e))?,
            invert: fields.take("invert", "True or False", false)?,
            center: fields.take("center", "True or False", true)?,
            detrend: fields.detrend()?,
            effects: fields.effects(py)?,
            figure: fields.figure()?,
        };
        fields.finish("SpectrogramConfig")?;
        core.validate().map_err(|e| raise(py, e))?;
        Ok(Self { core })
    }

    #[getter]
    fn window<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.core.window {
            Window::GaussianStd(std) => Ok(("gaussian", std).into_pyobject(py)?.into_any()),
            named => Ok(named.name().into_pyobject(py)?.into_any()),
        }
    }

    #[getter]
    fn window_ms(&self) -> f64 {
        self.core.window_ms
    }

    #[getter]
    fn overlap(&self) -> Option<f64> {
        match self.core.hop {
            Hop::Overlap(percent) => Some(percent),
            Hop::Ms(_) => None,
        }
    }

    #[getter]
    fn hop_ms(&self) -> Option<f64> {
        match self.core.hop {
            Hop::Overlap(_) => None,
            Hop::Ms(ms) => Some(ms),
        }
    }

    #[getter]
    fn zero_pad(&self) -> usize {
        self.core.zero_pad
    }

    #[getter]
    fn dynamic_range(&self) -> f64 {
        self.core.dynamic_range
    }

    #[getter]
    fn r#ref<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.core.reference {
            Reference::Max => Ok("max".into_pyobject(py)?.into_any()),
            Reference::Magnitude(m) => Ok(m.into_pyobject(py)?.into_any()),
        }
    }

    #[getter]
    fn fmin(&self) -> Option<f64> {
        self.core.fmin
    }

    #[getter]
    fn fmax(&self) -> Option<f64> {
        self.core.fmax
    }

    #[getter]
    fn size(&self) -> Option<(usize, usize)> {
        self.core.size
    }

    #[getter]
    fn colormap(&self) -> &'static str {
        self.core.colormap.name()
    }

    #[getter]
    fn invert(&self) -> bool {
        self.core.invert
    }

    #[getter]
    fn center(&self) -> bool {
        self.core.center
    }

    #[getter]
    fn detrend(&self) -> Option<&'static str> {
        self.core.detrend.then_some("constant")
    }

    #[getter]
    fn reassign(&self) -> bool {
        self.core.effects.reassign
    }

    #[getter]
    fn windows_ms<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.core.effects.windows_ms)
    }

    #[getter]
    fn noise_reduction(&self) -> f64 {
        self.core.effects.noise_reduction
    }

    #[getter]
    fn noise_percent(&self) -> f64 {
        self.core.effects.noise_percent
    }

    #[getter]
    fn quantile(&self) -> Option<f64> {
        self.core.effects.quantile
    }

    #[getter]
    fn median(&self) -> (usize, usize) {
        self.core.effects.median
    }

    #[getter]
    fn blur(&self) -> (f64, f64) {
        self.core.effects.blur
    }

    #[getter]
    fn sharpen(&self) -> (f64, f64) {
        self.core.effects.sharpen
    }

    #[getter]
    fn derivative(&self) -> Option<&'static str> {
        self.core.effects.derivative.map(Axis::name)
    }

    /// A `heartfast.FigureConfig`, or None for a tile.
    #[getter]
    fn figure<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(figure) = &self.core.figure else { return Ok(None) };
        let fields = py.import("json")?.call_method1("loads", (figure.to_json(),))?;
        let fields = fields.cast_into::<PyDict>()?;
        if let Some(xlim) = fields.get_item("xlim")? {
            fields.set_item("xlim", as_tuple(&xlim))?;
        }
        let class = py.import("heartfast.figures")?.getattr("FigureConfig")?;
        class.call((), Some(&fields)).map(Some)
    }

    /// The fields as a dictionary that JSON can hold, without effects that are not there.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // The JSON that goes into pictures is the one list of the fields.
        let json = py.import("json")?.call_method1("loads", (self.core.to_json(),))?;
        Ok(json.cast_into()?)
    }

    /// The configuration of such a dictionary; missing fields take their defaults.
    #[classmethod]
    fn from_dict<'py>(
        cls: &Bound<'py, PyType>,
        fields: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(fields)).map_err(|e| {
            if e.is_instance_of::<PyTypeError>(cls.py()) {
                usage(e.value(cls.py()).to_string())
            } else {
                e
            }
        })
    }

    /// A copy with these fields changed.
    #[pyo3(signature = (**changes))]
    fn replace<'py>(
        slf: &Bound<'py, Self>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fields = slf.get().to_dict(slf.py())?;
        if let Some(changes) = changes {
            for (one, other) in [("overlap", "hop_ms"), ("hop_ms", "overlap")] {
                if changes.get_item(one)?.is_some_and(|value| !value.is_none()) {
                    fields.del_item(other)?;
                }
            }
            fields.update(changes.as_mapping())?;
        }
        slf.get_type().call_method1("from_dict", (fields,))
    }

    /// Samples and bins at `sr` Hz: win_length, hop_length, n_fft, first_bin, last_bin.
    fn geometry<'py>(&self, sr: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = sr.py();
        let sr = convert("sr", "a whole number of samples per second", sr)?;
        let geometry = self.core.geometry(sr).map_err(|e| raise(py, e))?;
        let fields = PyDict::new(py);
        fields.set_item("win_length", geometry.win_length)?;
        fields.set_item("hop_length", geometry.hop_length)?;
        fields.set_item("n_fft", geometry.n_fft)?;
        fields.set_item("first_bin", geometry.first_bin)?;
        fields.set_item("last_bin", geometry.last_bin)?;
        Ok(fields)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let rebuild = slf.get_type().getattr("from_dict")?;
        let arguments = (slf.get().to_dict(slf.py())?,);
        Ok((rebuild, arguments).into_pyobject(slf.py())?.into_any())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut fields = Vec::new();
        for (name, value) in slf.get().to_dict(slf.py())? {
            if !value.is_none() {
                let value = slf.getattr(name.cast::<pyo3::types::PyString>()?)?;
                fields.push(format!("{name}={}", value.repr()?));
            }
        }
        Ok(format!("SpectrogramConfig({})", fields.join(", ")))
    }
}
