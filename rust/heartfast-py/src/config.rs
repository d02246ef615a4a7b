//! `SpectrogramConfig`.

use heartfast_core::colormap::Colormap;
use heartfast_core::config as core;
use heartfast_core::config::{Hop, Reference};
use heartfast_core::figure::{FigureConfig, Osc, Scale, Theme};
use heartfast_core::window::Window;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};

use crate::errors::raise;

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

/// What `window` takes, in the words of an error message.
const WINDOW: &str = "a name or (\"gaussian\", std)";

pub(crate) enum WindowArg {
    Name(String),
    Parameter(String, f64),
}

impl<'py> FromPyObject<'_, 'py> for WindowArg {
    type Error = PyErr;

    fn extract(window: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(name) = window.extract() {
            return Ok(Self::Name(name));
        }
        match as_tuple(&window).extract() {
            Ok((name, std)) => Ok(Self::Parameter(name, std)),
            Err(_) => Err(wrong("window", WINDOW, &window)),
        }
    }
}

impl WindowArg {
    pub(crate) fn parse(self) -> heartfast_core::Result<Window> {
        match self {
            Self::Name(name) => Window::from_name(&name),
            Self::Parameter(name, std) if name == "gaussian" => Window::gaussian_std(std),
            Self::Parameter(name, _) => Window::from_name(&format!("({name}, parameter)")),
        }
    }
}

/// JSON has no tuples: a list counts as one.
fn as_tuple<'py>(value: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    match value.cast::<PyList>() {
        Ok(list) => list.to_tuple().into_any(),
        Err(_) => value.clone(),
    }
}

fn wrong(field: &str, expected: &str, found: &Bound<'_, PyAny>) -> PyErr {
    let found = found.repr().map_or_else(|_| found.get_type().to_string(), |r| r.to_string());
    PyTypeError::new_err(format!("{field}: expected {expected}, found {found}"))
}

/// A value of another type, or an error that names it.
fn convert<'py, T: FromPyObjectOwned<'py>>(
    field: &str,
    expected: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<T> {
    value.extract().map_err(Into::into).map_err(|e: PyErr| {
        let error = wrong(field, expected, value);
        if e.is_instance_of::<PyOverflowError>(value.py()) {
            PyValueError::new_err(error.value(value.py()).to_string())
        } else {
            error
        }
    })
}

/// The keyword arguments of a configuration, taken out one by one.
struct Fields<'py>(Bound<'py, PyDict>);

impl<'py> Fields<'py> {
    /// The value of a field; nothing where it is not given.
    fn pop(&self, field: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.0.get_item(field)?;
        if value.is_some() {
            self.0.del_item(field)?;
        }
        Ok(value)
    }

    fn take<T: FromPyObjectOwned<'py>>(
        &self,
        field: &str,
        expected: &str,
        default: T,
    ) -> PyResult<T> {
        self.pop(field)?.map_or(Ok(default), |value| convert(field, expected, &value))
    }

    /// A number; minus zero is zero, so that equal configurations look the same.
    fn number(&self, field: &str, default: f64) -> PyResult<f64> {
        Ok(self.take(field, "a number", default)? + 0.0)
    }

    fn optional(&self, field: &str) -> PyResult<Option<f64>> {
        Ok(self.take(field, "a number or None", None::<f64>)?.map(|x| x + 0.0))
    }

    fn hop(&self) -> PyResult<Hop> {
        match (self.optional("overlap")?, self.optional("hop_ms")?) {
            (Some(_), Some(_)) => {
                let message = "overlap, hop_ms: expected one of the two, found both";
                Err(PyValueError::new_err(message))
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
                Err(PyValueError::new_err(message))
            }
            Err(_) => Ok(Reference::Magnitude(convert("ref", EXPECTED, &value)?)),
        }
    }

    fn size(&self) -> PyResult<Option<(usize, usize)>> {
        let size = self.pop("size")?.map(|size| as_tuple(&size));
        size.map_or(Ok(None), |size| convert("size", "(height, width) in pixels, or None", &size))
    }

    /// The fields of a `heartfast.FigureConfig`, or a dictionary of some of them.
    fn figure(&self) -> PyResult<Option<FigureConfig>> {
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
        };
        fields.finish("FigureConfig")?;
        Ok(Some(figure))
    }

    fn detrend(&self) -> PyResult<bool> {
        let detrend = self.take("detrend", "None or \"constant\"", None::<String>)?;
        if let Some(other) = detrend.as_ref().filter(|&d| d != "constant") {
            let message = format!("detrend: expected None or \"constant\", found {other:?}");
            return Err(PyValueError::new_err(message));
        }
        Ok(detrend.is_some())
    }

    /// An error for a field that is left.
    fn finish(self, class: &str) -> PyResult<()> {
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
                          size=None, colormap='gray', invert=False, center=True, detrend=None, figure=None)"
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

    /// The fields as a dictionary that JSON can hold.
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
                PyValueError::new_err(e.value(cls.py()).to_string())
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
