//! Long calls that answer Ctrl-C.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use heartfast_core::Cancel;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
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
    let mut ask = |py: Python<'_>| py.check_signals().and_then(|()| poll(py));
    py.detach(|| {
        std::thread::scope(|scope| {
            let (finished, waiting) = channel();
            let worker = std::thread::Builder::new().spawn_scoped(scope, move || {
                let result = work();
                // The receiver is gone only if this thread no longer waits.
                let _ = finished.send(());
                result
            });
            let worker = worker.map_err(no_thread)?;
            let mut outcome = Ok(());
            while outcome.is_ok()
                && matches!(waiting.recv_timeout(POLL), Err(RecvTimeoutError::Timeout))
            {
                outcome = Python::attach(&mut ask);
                if outcome.is_err() {
                    cancel.request();
                }
            }
            let result = worker.join();
            outcome?;
            result.map_err(|_| panicked())
        })
    })
}

/// So long may work take to end once it was told to, before it is left behind.
const GRACE: Duration = Duration::from_millis(500);
/// Work that is to finish what is in hand is told to end at once where it has not looked for so long whether it should:
/// something holds it up that does not look.
const STUCK: Duration = Duration::from_millis(500);

/// How many calls were left behind and are still at work.
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// How many calls did not end when they were told to, and are still at work: who ends the process does not wait for them.
#[pyfunction]
pub(crate) fn left_behind() -> usize {
    LEFT_BEHIND.load(Ordering::Relaxed)
}

/// [`run`], of work that owns all that it needs, and calls decoders of others, which look at nothing. Where it does
/// not end soon after `cancel` is set, it is left behind: it ends on its own, and nobody takes its result.
///
/// With `stop`, the first Ctrl-C only sets that, at which `work` ends by itself.
pub(crate) fn run_apart<T: Send + 'static>(
    py: Python<'_>,
    stop: Option<&Cancel>,
    cancel: &Cancel,
    mut poll: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let mut stopping = Stopping { stop, cancel, seen: None };
    let mut ask = |py: Python<'_>| stopping.heed(py, py.check_signals().and_then(|()| poll(py)));
    py.detach(|| {
        let (finished, waiting) = channel();
        let worker = move || {
            // Nobody waits for the work of a call that was left behind.
            if finished.send(catch_unwind(AssertUnwindSafe(work))).is_err() {
                LEFT_BEHIND.fetch_sub(1, Ordering::Relaxed);
            }
        };
        std::thread::Builder::new().spawn(worker).map_err(no_thread)?;
        loop {
            match waiting.recv_timeout(POLL) {
                Ok(result) => return result.map_err(|_| panicked()),
                Err(RecvTimeoutError::Disconnected) => return Err(panicked()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(error) = Python::attach(&mut ask) {
                cancel.request();
                if waiting.recv_timeout(GRACE).is_err() {
                    LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
                    // It may have ended meanwhile.
                    if waiting.try_recv().is_ok() {
                        LEFT_BEHIND.fetch_sub(1, Ordering::Relaxed);
                    }
                }
                return Err(error);
            }
        }
    })
}

/// What a first Ctrl-C has asked for.
struct Stopping<'c> {
    stop: Option<&'c Cancel>,
    cancel: &'c Cancel,
    /// How often work had looked at `cancel` when that was last another number, and when that was.
    seen: Option<(u64, Instant)>,
}

impl Stopping<'_> {
    /// The error at which work is dropped; a first Ctrl-C is none where there is a `stop`.
    fn heed(&mut self, py: Python<'_>, polled: PyResult<()>) -> PyResult<()> {
        let Some(stop) = self.stop else { return polled };
        match polled {
            // It may also come while Python's part of the polling runs.
            Err(e) if e.is_instance_of::<PyKeyboardInterrupt>(py) && !stop.is_requested() => {
                stop.request();
            }
            polled => polled?,
        }
        if !stop.is_requested() {
            return Ok(());
        }
        let looks = self.cancel.looks();
        match self.seen {
            Some((seen, at)) if seen == looks => {
                if at.elapsed() > STUCK {
                    return Err(PyKeyboardInterrupt::new_err(()));
                }
            }
            _ => self.seen = Some((looks, Instant::now())),
        }
        Ok(())
    }
}

fn panicked() -> PyErr {
    pyo3::exceptions::PyRuntimeError::new_err("a worker thread ended in a panic")
}

/// The error of a system that gives no thread.
#[allow(clippy::needless_pass_by_value)]
fn no_thread(error: std::io::Error) -> PyErr {
    let text = format!("expected the system to give a thread to work on, found: {error}");
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, text)),
        None => PyOSError::new_err(text),
    }
}
