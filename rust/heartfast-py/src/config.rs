//! `SpectrogramConfig`.

use heartfast_core::colormap::Colormap;
use heartfast_core::config as core;
use heartfast_core::config::{Hop, Reference};
use heartfast_core::window::Window;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::errors::raise;

/// The core's configuration under its Python name.
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

#[derive(FromPyObject)]
pub(crate) enum WindowArg {
    Name(String),
    Parameter(String, f64),
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

#[derive(FromPyObject)]
enum RefArg {
    Name(String),
    Magnitude(f64),
}

fn natural(field: &str, value: i64) -> PyResult<usize> {
    usize::try_from(value).map_err(|_| {
        PyValueError::new_err(format!("{field}: expected a number of 0 or more, found {value}"))
    })
}

#[pymethods]
impl SpectrogramConfig {
    #[new]
    #[pyo3(signature = (*, window=None, window_ms=50.0, overlap=None, hop_ms=None, zero_pad=0,
                        dynamic_range=80.0, r#ref=None, fmin=None, fmax=None, size=None,
                        colormap="gray", invert=false, center=true, detrend=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        window: Option<WindowArg>,
        window_ms: f64,
        overlap: Option<f64>,
        hop_ms: Option<f64>,
        zero_pad: i64,
        dynamic_range: f64,
        r#ref: Option<RefArg>,
        fmin: Option<f64>,
        fmax: Option<f64>,
        size: Option<(i64, i64)>,
        colormap: &str,
        invert: bool,
        center: bool,
        detrend: Option<&str>,
    ) -> PyResult<Self> {
        let hop = match (overlap, hop_ms) {
            (Some(_), Some(_)) => {
                let message = "overlap, hop_ms: expected one of the two, found both";
                return Err(PyValueError::new_err(message));
            }
            (_, Some(ms)) => Hop::Ms(ms),
            (overlap, None) => Hop::Overlap(overlap.unwrap_or(50.0)),
        };
        let reference = match r#ref {
            None => Reference::Max,
            Some(RefArg::Magnitude(m)) => Reference::Magnitude(m),
            Some(RefArg::Name(name)) if name == "max" => Reference::Max,
            Some(RefArg::Name(name)) => {
                let message = format!("ref: expected \"max\" or a magnitude, found {name:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        if let Some(other) = detrend.filter(|&d| d != "constant") {
            let message = format!("detrend: expected None or \"constant\", found {other:?}");
            return Err(PyValueError::new_err(message));
        }
        let size = match size {
            Some((h, w)) => Some((natural("size", h)?, natural("size", w)?)),
            None => None,
        };
        let parse = || {
            let core = core::SpectrogramConfig {
                window: window.map_or(Ok(Window::Gaussian), WindowArg::parse)?,
                window_ms,
                hop,
                zero_pad: 0,
                dynamic_range,
                reference,
                fmin,
                fmax,
                size,
                colormap: Colormap::from_name(colormap)?,
                invert,
                center,
                detrend: detrend.is_some(),
            };
            Ok(core)
        };
        let mut core = parse().map_err(|e| raise(py, e))?;
        core.zero_pad = natural("zero_pad", zero_pad)?;
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

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // The JSON that goes into pictures is the one list of the fields.
        let json = py.import("json")?.call_method1("loads", (self.core.to_json(),))?;
        Ok(json.cast_into()?)
    }

    #[classmethod]
    fn from_dict<'py>(
        cls: &Bound<'py, PyType>,
        fields: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fields = fields.copy()?;
        if let Some(window) = fields.get_item("window")?
            && !window.is_instance_of::<pyo3::types::PyString>()
        {
            // JSON has no tuples.
            fields.set_item(
                "window",
                window
                    .try_iter()?
                    .collect::<PyResult<Vec<_>>>()
                    .and_then(|parts| PyTuple::new(cls.py(), parts))?,
            )?;
        }
        cls.call((), Some(&fields)).map_err(|e| {
            if e.is_instance_of::<PyTypeError>(cls.py()) {
                PyValueError::new_err(e.value(cls.py()).to_string())
            } else {
                e
            }
        })
    }

    #[pyo3(signature = (**changes))]
    fn replace<'py>(
        slf: &Bound<'py, Self>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fields = slf.get().to_dict(slf.py())?;
        if let Some(changes) = changes {
            for (one, other) in [("overlap", "hop_ms"), ("hop_ms", "overlap")] {
                if changes.contains(one)? && !changes.contains(other)? {
                    fields.del_item(other)?;
                }
            }
            fields.update(changes.as_mapping())?;
        }
        slf.get_type().call_method1("from_dict", (fields,))
    }

    fn geometry<'py>(&self, py: Python<'py>, sr: u32) -> PyResult<Bound<'py, PyDict>> {
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
