//! `Selection`, as Python has it.

use heartfast_core::selection::{Channel, Selection as Core};
use pyo3::prelude::*;

use crate::errors::raise;
use crate::values::convert;

/// The fields of `heartfast.selection.Selection`.
#[derive(FromPyObject)]
pub(crate) struct Selection {
    channel: Py<PyAny>,
    sr: Py<PyAny>,
    start: f64,
    duration: Option<f64>,
    segment_s: Option<f64>,
    segment_overlap: f64,
}

impl Selection {
    /// The core's, which is valid.
    pub(crate) fn core(self, py: Python<'_>) -> PyResult<Core> {
        let channel = self.channel.bind(py);
        let channel = match (channel.extract::<u32>(), channel.extract::<String>()) {
            (Ok(number), _) => Ok(Channel::Number(number)),
            (_, Ok(name)) => Channel::from_name(&name),
            _ => Err(Channel::unknown(channel)),
        };
        let sr: Option<i64> = convert("sr", "a number of Hz", self.sr.bind(py))?;
        let rate = |sr| u32::try_from(sr).map_err(|_| Core::unknown_rate(sr));
        let checked = || {
            let selection = Core {
                channel: channel?,
                sample_rate: sr.map(rate).transpose()?,
                start_s: self.start,
                duration_s: self.duration,
                segment_s: self.segment_s,
                segment_overlap: self.segment_overlap,
            };
            selection.validate().map(|()| selection)
        };
        checked().map_err(|e| raise(py, e))
    }
}

/// The selection as JSON, once it is checked.
#[pyfunction]
pub(crate) fn selection_json(py: Python<'_>, selection: Selection) -> PyResult<String> {
    Ok(selection.core(py)?.to_json())
}
