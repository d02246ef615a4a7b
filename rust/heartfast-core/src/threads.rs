//! Work shared by threads: the only place that starts them.

use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::error::{Error, Result};

/// Calls `work` with each of `items`, on up to `threads` threads, of which this is one. Each has
/// a `state` of its own, and one that fails takes no further items; the others go on.
///
/// # Errors
/// The first one's that `state` or `work` gave, by the order of the threads.
pub(crate) fn share<I: Send, S>(
    items: impl Iterator<Item = I> + Send,
    threads: usize,
    state: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, I) -> Result<()> + Sync,
) -> Result<()> {
    let items = Mutex::new(items);
    let run = || {
        let mut state = state()?;
        loop {
            // Of this line only, or the others would wait for the work, too.
            let item = lock(&items).next();
            match item {
                Some(item) => work(&mut state, item)?,
                None => return Ok(()),
            }
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            // Where the system gives no more threads, those that there are do all the work.
            .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let mine = run();
        let panicked = |_| Err(Error::Panic("a thread ended in a panic".to_owned()));
        others.into_iter().map(|t| t.join().unwrap_or_else(panicked)).fold(mine, Result::and)
    })
}

/// The lock, also where a thread that held it panicked: what it guards is always whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// What `work` returns, or nothing where it takes longer than `limit`: it is then left behind.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, waiting) = channel();
    let run = move || {
        // Who waited may be gone.
        let _ = done.send(work());
    };
    std::thread::Builder::new().spawn(run).ok()?;
    waiting.recv_timeout(limit).ok()
}
