//! Long calls that answer Ctrl-C.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pyo3::prelude::*;

/// How often Python gets a word in.
const POLL: Duration = Duration::from_millis(50);

/// Runs `work` on a thread of its own, detached from the interpreter, and meanwhile calls
/// `poll` on this one about 20 times a second, attached. On an error (a signal or `poll`'s
/// own) calls `cancel`, waits for `work` to end, and returns the error.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send,
    cancel: impl Fn() + Send + Sync,
    mut poll: impl FnMut(Python<'_>) -> PyResult<()> + Send,
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
                outcome = Python::attach(|py| py.check_signals().and_then(|()| poll(py)));
                if outcome.is_err() {
                    cancel();
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
