//! Windows and transforms of arrays.

use heartfast_core::Cancel;
use heartfast_core::stft::{self as core, Complex, Stft};
use numpy::{
    Element, PyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::config::WindowArg;
use crate::errors::raise;
use crate::interrupt;

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
    let framing = framing.into();
    if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f32>>() {
        transform(py, &y, &framing, |signals, rows, cancel| {
            core::spectra(&framing, signals, rows, threads, cancel)
        })
    } else if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        transform(py, &y, &framing, |signals, rows, cancel| {
            double(&framing)?.rows(signals, rows, threads, cancel, |z| Complex::new(z.re, z.im))
        })
    } else {
        Err(PyTypeError::new_err("y: expected an array of float32 or float64"))
    }
}

/// The magnitudes of the transform, of the dtype of `y`.
#[pyfunction]
pub(crate) fn magnitudes<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    framing: Framing,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let framing = framing.into();
    if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f32>>() {
        transform(py, &y, &framing, |signals, rows, cancel| {
            core::magnitudes(&framing, signals, rows, threads, cancel)
        })
    } else if let Ok(y) = y.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        transform(py, &y, &framing, |signals, rows, cancel| {
            double(&framing)?.rows(signals, rows, threads, cancel, |z| z.norm())
        })
    } else {
        Err(PyTypeError::new_err("y: expected an array of float32 or float64"))
    }
}

fn double(framing: &core::Framing) -> heartfast_core::Result<Stft<f64>> {
    let core::Framing { window, hop_length, n_fft, center } = framing;
    Stft::new(window, *hop_length, *n_fft, *center)
}

/// An array of what `work` writes for the signals along the last axis of `y`, of that length.
fn transform<'py, T: Element + Sync, O: Element + Send>(
    py: Python<'py>,
    y: &PyReadonlyArrayDyn<'py, T>,
    framing: &core::Framing,
    work: impl FnOnce((&[T], usize), &mut [O], &Cancel) -> heartfast_core::Result<()> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let (&n, leading) = y
        .shape()
        .split_last()
        .ok_or_else(|| PyTypeError::new_err("y: expected at least one axis, found a scalar"))?;
    let (bins, frames) = framing.shape(n).map_err(|e| raise(py, e))?;
    let shape: Vec<usize> = leading.iter().copied().chain([bins, frames]).collect();
    // By way of Python: where there is no memory, that raises, and the crate's own would panic.
    let zeros = py.import("numpy")?.call_method1("zeros", (shape, O::get_dtype(py)))?;
    let out = zeros.cast_into::<PyArrayDyn<O>>()?;
    {
        let signals = y.as_slice()?;
        let values = out.len();
        let mut out = out.readwrite();
        let rows = out.as_slice_mut()?;
        let cancel = Cancel::new();
        interrupt::run_on(py, values, &cancel, || work((signals, n), rows, &cancel))?
            .map_err(|e| raise(py, e))?;
    }
    Ok(out.into_any())
}
