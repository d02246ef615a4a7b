//! How long work is stopped by its caller.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// So many values are worked through between two looks at a [`Cancel`]: a few milliseconds.
pub(crate) const STRIDE: usize = 1 << 20;

/// A flag that one thread sets and long work on others looks at every few milliseconds.
#[derive(Debug, Default)]
pub struct Cancel {
    requested: AtomicBool,
    /// How often work has looked at it, roughly.
    looks: AtomicU64,
}

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub const fn new() -> Self {
        Self { requested: AtomicBool::new(false), looks: AtomicU64::new(0) }
    }

    /// Asks the work to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// A number that changes while work looks at this flag: work that does not is held up.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`Error::Cancelled`] once the work is to stop.
    #[inline]
    pub fn check(&self) -> Result<()> {
        // Two threads may write the same number, which still is another one.
        self.looks.store(self.looks().wrapping_add(1), Ordering::Relaxed);
        if self.is_requested() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
