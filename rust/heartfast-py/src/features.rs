//! Features of pictures.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use heartfast_core::Cancel;
use heartfast_core::batch::{Monitor, Origin, ReadAt, Stamp};
use heartfast_core::description::Describer as Core;
use heartfast_core::features::{self, Extractor, Scale};
use heartfast_core::findings::{Remark, SILENCED, Tally};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::batch::{Limits, Recording, Remarks, remarks, reporter};
use crate::config::SpectrogramConfig;
use crate::errors::raise;
use crate::interrupt;
use crate::selection::Selection;

thread_local! {
    static EXTRACTOR: RefCell<Extractor> = RefCell::default();
}

/// The features of a C-contiguous uint8 array (height, width), and what it stands for.
#[pyfunction]
pub(crate) fn describe<'py>(
    py: Python<'py>,
    levels: PyReadonlyArray2<'py, u8>,
    bottom_hz: f64,
    top_hz: f64,
    range_db: f64,
    seconds_per_column: f64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let shape = (levels.shape()[0], levels.shape()[1]);
    let scale = Scale { bottom_hz, top_hz, range_db, seconds_per_column };
    let levels = levels.as_slice()?;
    let cancel = Cancel::new();
    let features = interrupt::run_on(py, levels.len(), &cancel, || {
        EXTRACTOR.with_borrow_mut(|extractor| extractor.describe(levels, shape, &scale, &cancel))
    })?
    .map_err(|e| raise(py, e))?;
    Ok(PyArray1::from_vec(py, features))
}

/// Every feature's name by family, in the order of `describe`.
#[pyfunction]
pub(crate) fn feature_families() -> [(&'static str, Vec<String>); 10] {
    features::families()
}

/// A recording as the batch takes it, or all bytes of its file.
#[derive(FromPyObject)]
enum Given {
    Bytes(PyBackedBytes),
    Elsewhere(Recording),
}

/// The bytes of a file that is in memory.
#[derive(Debug)]
struct Memory(PyBackedBytes);

impl ReadAt for Memory {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let n = left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&left[..n]);
        Ok(n)
    }
}

impl From<Given> for Origin {
    fn from(given: Given) -> Self {
        match given {
            Given::Bytes(bytes) => {
                let stamp = Stamp { size: bytes.len() as u64, mtime_ns: 0 };
                Self::Remote(Arc::new(Memory(bytes)), stamp)
            }
            Given::Elsewhere(recording) => recording.into(),
        }
    }
}

/// What the name of each picture has after the recording's, samples per second, and what is wrong
/// with the recording or None.
type Row = (Vec<String>, u32, Option<String>);

/// Features (n, features), what became of each recording, and what was odd.
type Rows<'py> = (Bound<'py, PyArray2<f64>>, Vec<Row>, Vec<Remarks>);

/// Describes recordings by one configuration and selection, from any thread.
#[pyclass(frozen, module = "heartfast._core")]
pub(crate) struct Describer(Arc<Core>);

#[pymethods]
impl Describer {
    #[new]
    fn new(
        py: Python<'_>,
        config: &SpectrogramConfig,
        selection: Selection,
        limits: Limits,
    ) -> PyResult<Self> {
        let (config, selection) = (config.core.clone(), selection.core(py)?);
        let made = py.detach(|| Core::new(config, selection, limits.into()));
        made.map(|core| Self(Arc::new(core))).map_err(|e| raise(py, e))
    }

    /// The features (n, features) of all pictures that recordings, given with what the caller
    /// calls them, would become, what became of each recording, and what was odd; `progress` gets (done, failed)
    /// now and then.
    #[pyo3(signature = (recordings, threads, progress=None))]
    fn describe<'py>(
        &self,
        py: Python<'py>,
        recordings: Vec<(Given, PathBuf)>,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Rows<'py>> {
        let recordings: Vec<(Origin, PathBuf)> =
            recordings.into_iter().map(|(recording, named)| (recording.into(), named)).collect();
        let recordings = Arc::new(recordings);
        let monitor = Arc::new(Monitor::default());
        let report = reporter(&monitor, progress.as_ref());
        let (core, given, apart) =
            (Arc::clone(&self.0), Arc::clone(&recordings), Arc::clone(&monitor));
        let work = move || core.describe(&given, threads, &apart);
        let found = interrupt::run_apart(py, None, &monitor.cancel, report, work)?
            .map_err(|e| raise(py, e))?;
        report(py)?;
        let count: usize = found.iter().map(|found| found.suffixes.len()).sum();
        let mut values = Vec::with_capacity(count * features::count());
        let mut rows = Vec::with_capacity(found.len());
        let mut tally = Tally::default();
        for (at, one) in found.into_iter().enumerate() {
            values.extend(one.rows);
            tally.add(at, &one.remarks);
            if one.silenced > 0 {
                let text = format!("{} samples", one.silenced);
                tally.add(at, &[Remark { kind: SILENCED.into(), text }]);
            }
            rows.push((one.suffixes, one.sample_rate, one.failure));
        }
        let odd = remarks(tally, |at| recordings[at].1.clone().into_os_string());
        Ok((PyArray1::from_vec(py, values).reshape([count, features::count()])?, rows, odd))
    }
}
