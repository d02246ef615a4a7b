//! Long calls that answer Ctrl-C.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use heartfast_core::Cancel;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// How often Python gets a word in.
const POLL: Duration = Duration::from_millis(50);
/// So many values take a few milliseconds: no need of a thread that answers Ctrl-C meanwhile.
const QUICK: usize = 1 << 20;

/// [`run`], without progress, for work on so many `values`.
pub(crate) fn run_on<T: Send>(
    py: Python<'_>,
    values: usize,
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    if values > QUICK { run(py, cancel, |_| Ok(()), work) } else { Ok(py.detach(work)) }
}

/// Runs `work` on a thread of its own, detached from the interpreter, and meanwhile calls
/// `poll` on this one about 20 times a second, attached. On an error (a signal or `poll`'s
/// own) sets `cancel`, waits for `work` to end, and returns the error.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    mut poll: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    watch(py, cancel, |py| py.check_signals().and_then(|()| poll(py)), work)
}

/// [`run`], where the first Ctrl-C only sets `stop`, at which `work` ends by itself.
pub(crate) fn run_on_stop<T: Send>(
    py: Python<'_>,
    stop: &Cancel,
    cancel: &Cancel,
    mut poll: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    let patiently = |py: Python<'_>| match py.check_signals().and_then(|()| poll(py)) {
        // It may also come while Python's part of `poll` runs.
        Err(e) if e.is_instance_of::<PyKeyboardInterrupt>(py) && !stop.is_requested() => {
            stop.request();
            Ok(())
        }
        polled => polled,
    };
    watch(py, cancel, patiently, work)
}

fn watch<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    mut poll: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    py.detach(|| {
        std::thread::scope(|scope| {
            let (finished, waiting) = channel();
            let worker = scope.spawn(move || {
                let result = work();
                // The receiver is gone only if this thread no longer waits.
                let _ = finished.send(());
                result
            });
            let mut outcome = Ok(());
            while outcome.is_ok()
                && matches!(waiting.recv_timeout(POLL), Err(RecvTimeoutError::Timeout))
            {
                outcome = Python::attach(&mut poll);
                if outcome.is_err() {
                    cancel.request();
                }
            }
            let result = worker.join();
            outcome?;
            result.map_err(|_| {
                pyo3::exceptions::PyRuntimeError::new_err("a worker thread ended in a panic")
            })
        })
    })
}
