//! One channel of several.

use crate::cancel::{Cancel, STRIDE};
use crate::error::Result;

/// Makes one channel of the `channels` that stand in `samples` from `start` on: which one, or of
/// which mean, says `index`.
///
/// # Errors
/// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
pub(crate) fn reduce(
    samples: &mut Vec<f32>,
    start: usize,
    channels: usize,
    index: Option<usize>,
    cancel: &Cancel,
) -> Result<()> {
    if channels <= 1 {
        return Ok(());
    }
    let share = 1.0 / channels as f32;
    match index {
        None => fold(samples, start, channels, cancel, |all| all.iter().sum::<f32>() * share),
        Some(index) => fold(samples, start, channels, cancel, |all| all[index]),
    }
}

fn fold(
    samples: &mut Vec<f32>,
    start: usize,
    channels: usize,
    cancel: &Cancel,
    one: impl Fn(&[f32]) -> f32,
) -> Result<()> {
    let frames = (samples.len() - start) / channels;
    for frame in 0..frames {
        if frame % STRIDE == 0 {
            cancel.check()?;
        }
        let at = start + frame * channels;
        samples[start + frame] = one(&samples[at..at + channels]);
    }
    samples.truncate(start + frames);
    Ok(())
}
