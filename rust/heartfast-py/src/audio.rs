//! `load`.

use std::path::PathBuf;
use std::sync::Arc;

use heartfast_core::Cancel;
use heartfast_core::audio::{Audio, decode};
use heartfast_core::batch::{Origin, is_long, load as load_part, read};
use heartfast_core::findings::Remark;
use heartfast_core::limits::Limits;
use heartfast_core::selection::{Channel, Selection};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;

use crate::errors::raise_for;
use crate::interrupt;

/// Samples, their rate, and the remarks (kind, text).
type Loaded<'py> = (Bound<'py, PyAny>, u32, Vec<(String, String)>);

/// Interleaved samples of shape (n, channels), the sample rate, and what was odd; `duration`
/// seconds from `offset` on, or all.
#[pyfunction]
pub(crate) fn load<'py>(
    py: Python<'py>,
    path: PathBuf,
    sr: Option<u32>,
    mono: bool,
    offset: f64,
    duration: Option<f64>,
) -> PyResult<Loaded<'py>> {
    let cancel = Arc::new(Cancel::new());
    let origin = Origin::File(path.clone());
    // One recording, that someone asked for: as long as it is.
    let limits = Limits { max_duration_s: f64::INFINITY, ..Limits::default() };
    let apart = Arc::clone(&cancel);
    let work = move || {
        let cancel = apart;
        if offset != 0.0 || duration.is_some() || is_long(&origin)? {
            let channel = if mono { Channel::Mix } else { Channel::Each };
            let part = Selection { channel, sample_rate: sr, ..Selection::default() };
            let part = Selection { start_s: offset, duration_s: duration, ..part };
            return load_part(&origin, &part, &limits, &cancel);
        }
        let mut bytes = Vec::new();
        read(&origin, &mut bytes, &cancel)?;
        let mut audio = Audio::default();
        let remarks = decode(&bytes, &mut audio, &limits, &cancel)?.whole()?;
        if mono {
            audio.mix(&cancel)?;
        }
        if let Some(sr) = sr {
            audio.resample(sr, &cancel)?;
        }
        Ok((audio, remarks))
    };
    let (audio, remarks) = interrupt::run_apart(py, None, &cancel, |_| Ok(()), work)?
        .map_err(|e| raise_for(py, e, Some(&path)))?;
    let (frames, channels) = (audio.frames(), audio.channels);
    let samples = PyArray1::from_vec(py, audio.interleaved);
    let samples = samples.reshape([frames, channels])?.into_any();
    let remarks = remarks.into_iter().map(|Remark { kind, text }| (kind, text));
    Ok((samples, audio.sample_rate, remarks.collect()))
}
