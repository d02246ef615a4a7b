//! Windows and transforms of arrays.

use heartfast_core::Cancel;
use heartfast_core::effects::{self, Value};
use heartfast_core::stft::{self as core, Complex, Stft};
use numpy::{
    Element, PyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;
use crate::values::WindowArg;

/// `n` samples of a window, float64.
#[pyfunction]
pub(crate) fn get_window(
    py: Python<'_>,
    window: WindowArg,
    n: usize,
    sym: bool,
) -> PyResult<Bound<'_, PyArray<f64, numpy::Ix1>>> {
    let window = window.parse().map_err(|e| raise(py, e))?;
    Ok(PyArray::from_vec(py, window.samples(n, sym)))
}

/// How an array function cuts its signal into frames.
#[derive(FromPyObject)]
pub(crate) struct Framing {
    window: Vec<f64>,
    hop_length: usize,
    n_fft: usize,
    center: bool,
}

impl From<Framing> for core::Framing {
    fn from(Framing { window, hop_length, n_fft, center }: Framing) -> Self {
        Self { window, hop_length, n_fft, center }
    }
}

/// The complex transform along the last axis of a C-contiguous float array.
#[pyfunction]
pub(crate) fn stft<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    framing: Framing,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let framing = core::Framing::from(framing);
    if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f32>>() {
        transform(
            py,
            &y,
            |n| framing.shape(n),
            |signals, rows, cancel| core::spectra(&framing, signals, rows, threads, cancel),
        )
    } else if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        transform(
            py,
            &y,
            |n| framing.shape(n),
            |signals, rows, cancel| {
                double(&framing)?.rows(signals, rows, threads, cancel, |z| Complex::new(z.re, z.im))
            },
        )
    } else {
        Err(PyTypeError::new_err("y: expected an array of float32 or float64"))
    }
}

/// The magnitudes with all effects of a configuration at `sr` Hz, of the dtype of `y`.
#[pyfunction]
pub(crate) fn spectrogram<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    sr: u32,
    config: &SpectrogramConfig,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f32>>() {
        spectrogram_array(py, &y, sr, config, threads)
    } else if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        spectrogram_array(py, &y, sr, config, threads)
    } else {
        Err(PyTypeError::new_err("y: expected an array of float32 or float64"))
    }
}

fn spectrogram_array<'py, T: Value + Element + Sync>(
    py: Python<'py>,
    y: &PyReadonlyArrayDyn<'py, T>,
    sr: u32,
    config: &SpectrogramConfig,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let config = &config.core;
    let shape = |n| effects::shape(config, sr, n);
    transform(py, y, shape, |signals, rows, cancel| {
        effects::spectrogram(config, sr, signals, rows, threads, cancel)
    })
}

/// The effects of a configuration that need no signal, on magnitudes (..., bins, frames) of a
/// recording of `sr` Hz.
#[pyfunction]
pub(crate) fn apply_effects<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    sr: u32,
    config: &SpectrogramConfig,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(values) = values.extract::<PyReadonlyArrayDyn<'py, f32>>() {
        effects_array(py, &values, sr, config, threads)
    } else if let Ok(values) = values.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        effects_array(py, &values, sr, config, threads)
    } else {
        Err(PyTypeError::new_err("values: expected an array of float32 or float64"))
    }
}

fn effects_array<'py, T: Value + Element + Sync>(
    py: Python<'py>,
    values: &PyReadonlyArrayDyn<'py, T>,
    sr: u32,
    config: &SpectrogramConfig,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let &[.., bins, frames] = values.shape() else {
        return Err(PyTypeError::new_err("values: expected at least two axes"));
    };
    fill(py, values.shape().to_vec(), values.as_slice()?, |values, out, cancel| {
        out.copy_from_slice(values);
        effects::apply(&config.core, sr, out, (bins, frames), threads, cancel)
    })
}

fn double(framing: &core::Framing) -> heartfast_core::Result<Stft<f64>> {
    let core::Framing { window, hop_length, n_fft, center } = framing;
    Stft::new(window, *hop_length, *n_fft, *center)
}

/// An array of what `work` writes for the signals along the last axis of `y`, of that length.
fn transform<'py, T: Element + Sync, O: Element + Send>(
    py: Python<'py>,
    y: &PyReadonlyArrayDyn<'py, T>,
    shape: impl FnOnce(usize) -> heartfast_core::Result<(usize, usize)>,
    work: impl FnOnce((&[T], usize), &mut [O], &Cancel) -> heartfast_core::Result<()> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let (&n, leading) = y
        .shape()
        .split_last()
        .ok_or_else(|| PyTypeError::new_err("y: expected at least one axis, found a scalar"))?;
    let (bins, frames) = shape(n).map_err(|e| raise(py, e))?;
    let shape = leading.iter().copied().chain([bins, frames]).collect();
    fill(py, shape, y.as_slice()?, |signals, rows, cancel| work((signals, n), rows, cancel))
}

/// An array of this shape of what `work` writes for the values of another.
fn fill<'py, T: Sync, O: Element + Send>(
    py: Python<'py>,
    shape: Vec<usize>,
    from: &[T],
    work: impl FnOnce(&[T], &mut [O], &Cancel) -> heartfast_core::Result<()> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    // By way of Python: where there is no memory, that raises, and the crate's own would panic.
    let zeros = py.import("numpy")?.call_method1("zeros", (shape, O::get_dtype(py)))?;
    let out = zeros.cast_into::<PyArrayDyn<O>>()?;
    {
        let values = out.len();
        let mut out = out.readwrite();
        let rows = out.as_slice_mut()?;
        let cancel = Cancel::new();
        interrupt::run_on(py, values, &cancel, || work(from, rows, &cancel))?
            .map_err(|e| raise(py, e))?;
    }
    Ok(out.into_any())
}
