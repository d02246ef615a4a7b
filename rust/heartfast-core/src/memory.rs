//! Buffers that grow without ending the process, or holding it up.

use std::fs::read_to_string;
use std::path::Path;

use crate::cancel::{Cancel, STRIDE};
use crate::error::{Error, Result};

/// Each time that a buffer has grown by so many bytes, it is asked whether there is memory for more.
const LARGE: usize = 64 << 20;

/// Makes room for `more` values, or says that there is none: a recording that does not fit
/// into memory is that recording's error, where growing a vector would end the process.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    let size = |n: usize| n.saturating_mul(size_of::<T>());
    let (before, after) = (size(values.len()), size(values.len().saturating_add(more)));
    // The system promises more than it has, and ends a process that takes it at its word.
    let large = before / LARGE != after / LARGE;
    let fits = !large || available().is_none_or(|left| (after - before).max(LARGE) as u64 <= left);
    if !fits || values.try_reserve(more).is_err() {
        let found = format!("one that needs {after} bytes; segments (segment_s) need less");
        return Err(Error::decode("a recording that fits into memory", found));
    }
    Ok(())
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

/// Bytes that this process can still take, of the machine's and of its control group's; `None` where that is not known.
fn available() -> Option<u64> {
    let whole =
        field(&read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?.saturating_mul(1024);
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (root, names) = match controllers {
            "" => ("/sys/fs/cgroup", ["memory.max", "memory.current"]),
            "memory" => {
                ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes"])
            }
            _ => return None,
        };
        // In a container, the path is that outside of it.
        let root = Path::new(root);
        left_of_group(&root.join(path), names).or_else(|| left_of_group(root, names))
    };
    groups.lines().filter_map(of_group).chain([whole]).min()
}

/// Bytes that a control group can still take; what it has of files goes where memory is asked for.
fn left_of_group(folder: &Path, [limit, used]: [&str; 2]) -> Option<u64> {
    let read = |name: &str| read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let kept = read("memory.stat").and_then(|text| field(&text, "inactive_file")).unwrap_or(0);
    Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(kept)))
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}
