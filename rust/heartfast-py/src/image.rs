//! Pictures from arrays.

use std::borrow::Cow;

use heartfast_core::Cancel;
use heartfast_core::png::{Encoder, Preset};
use heartfast_core::raster::{Color, Image};
use heartfast_core::stft::Real;
use heartfast_core::tile;
use numpy::{
    Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadonlyArrayDyn,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::config::SpectrogramConfig;
use crate::errors::{raise, usage};
use crate::interrupt;

/// PNG bytes of a C-contiguous uint8 array (height, width) or (height, width, 3).
#[pyfunction]
pub(crate) fn encode_png<'py>(
    py: Python<'py>,
    pixels: PyReadonlyArrayDyn<'py, u8>,
    palette: Option<PyReadonlyArray2<'py, u8>>,
    texts: Vec<(String, String)>,
    preset: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let colours: Option<Vec<[u8; 3]>> = match &palette {
        Some(p) if p.shape()[1] == 3 => Some(p.as_slice()?.as_chunks().0.to_vec()),
        Some(p) => {
            let message = format!("palette: expected shape (n, 3), found {:?}", p.shape());
            return Err(usage(message));
        }
        None => None,
    };
    let (height, width, color) = match (pixels.shape(), &colours) {
        (&[h, w], None) => (h, w, Color::Gray),
        (&[h, w], Some(colours)) => (h, w, Color::Indexed(colours)),
        (&[h, w, 3], None) => (h, w, Color::Rgb),
        (shape, _) => {
            let message = format!(
                "pixels: expected shape (height, width), or (height, width, 3) without a palette, \
                 found {shape:?}"
            );
            return Err(usage(message));
        }
    };
    let image = Image { width, height, pixels: pixels.as_slice()?, color };
    let texts: Vec<(&str, &str)> = texts.iter().map(|(k, t)| (k.as_str(), t.as_str())).collect();
    let preset = Preset::from_name(preset).map_err(|e| raise(py, e))?;
    let cancel = Cancel::new();
    let mut file = Vec::new();
    interrupt::run_on(py, pixels.len(), &cancel, || {
        Encoder::new(preset).encode_into(&image, &texts, &mut file, &cancel)
    })?
    .map_err(|e| raise(py, e))?;
    Ok(PyBytes::new(py, &file))
}

/// The gray picture of magnitudes (bins, frames) of a recording of `sr` Hz.
#[pyfunction]
pub(crate) fn paint<'py>(
    py: Python<'py>,
    magnitudes: &Bound<'py, PyAny>,
    sr: u32,
    config: &SpectrogramConfig,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    if let Ok(magnitudes) = magnitudes.extract() {
        paint_array::<f32>(py, &magnitudes, sr, config)
    } else if let Ok(magnitudes) = magnitudes.extract() {
        paint_array::<f64>(py, &magnitudes, sr, config)
    } else {
        let message = "values: expected a two-dimensional array of float32 or float64";
        Err(PyTypeError::new_err(message))
    }
}

fn paint_array<'py, T: Real + Element + Into<f64>>(
    py: Python<'py>,
    magnitudes: &PyReadonlyArray2<'py, T>,
    sr: u32,
    config: &SpectrogramConfig,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let (bins, frames) = (magnitudes.shape()[0], magnitudes.shape()[1]);
    let geometry = config.core.geometry(sr).map_err(|e| raise(py, e))?;
    let wanted = geometry.n_fft / 2 + 1;
    if bins != wanted || frames == 0 {
        return Err(usage(format!(
            "values: expected {wanted} bins (as the configuration makes at {sr} Hz) and at least \
             one frame, found {bins} x {frames}"
        )));
    }
    let values = magnitudes.as_slice()?;
    let cancel = Cancel::new();
    let (height, width, rows) = interrupt::run_on(py, values.len(), &cancel, || {
        tile::paint(values, (bins, frames), &config.core, &geometry, &cancel)
    })?
    .map_err(|e| raise(py, e))?;
    PyArray1::from_vec(py, rows).reshape([height, width])
}

/// The colours of a colour map, 768 bytes; nothing for gray.
#[pyfunction]
pub(crate) fn palette(py: Python<'_>, colormap: &str) -> PyResult<Option<Cow<'static, [u8]>>> {
    let map = heartfast_core::colormap::Colormap::from_name(colormap);
    Ok(map.map_err(|e| raise(py, e))?.palette().map(|p| Cow::Borrowed(p.as_flattened())))
}
