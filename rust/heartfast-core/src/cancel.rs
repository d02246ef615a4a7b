//! How long work is stopped by its caller.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// So many values are worked through between two looks at a [`Cancel`]: a few milliseconds.
pub(crate) const STRIDE: usize = 1 << 20;

/// A flag that one thread sets and long work on others looks at every few milliseconds.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks the work to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`Error::Cancelled`] once the work is to stop.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.is_requested() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
