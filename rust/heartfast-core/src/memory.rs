//! Buffers that grow without ending the process, or holding it up.

use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result};

/// Makes room for `more` values, or says that there is none: a recording that does not fit
/// into memory is that recording's error, where growing a vector would end the process.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    values.try_reserve(more).map_err(|_| {
        let size = (values.len() + more).saturating_mul(size_of::<T>());
        Error::decode("a recording that fits into memory", format!("one that needs {size} bytes"))
    })
}

/// Makes `values` so many, of which those that were there already have their old content.
///
/// # Errors
/// Those of [`reserve`]; [`Error::Cancelled`] soon after `cancel` is set.
pub(crate) fn fit<T: Copy + Default>(values: &mut Vec<T>, n: usize, cancel: &Cancel) -> Result<()> {
    values.truncate(n);
    reserve(values, n - values.len())?;
    // In steps: the system takes a second to find a gigabyte of memory.
    while values.len() < n {
        cancel.check()?;
        values.resize(n.min(values.len() + 8 * STRIDE), T::default());
    }
    Ok(())
}
