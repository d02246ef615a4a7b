//! Recordings that are in memory into pictures that stay there: the bytes that
//! [`batch`](crate::batch) writes.

use crate::batch::Monitor;
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result, guard};
use crate::figure::Caption;
use crate::findings::Remark;
use crate::limits::Limits;
use crate::pipeline::{Converter, Recording};
use crate::png::Preset;
use crate::threads::share;

/// How the pictures are drawn.
#[derive(Debug)]
pub struct Drawing<'a> {
    /// What they are like.
    pub config: &'a SpectrogramConfig,
    /// How they are written.
    pub png: Preset,
    /// What is too much of a recording.
    pub limits: Limits,
    /// How many threads work on them.
    pub threads: usize,
}

/// A PNG, what is known of its recording, and what was odd about it.
pub type Drawn = Result<(Vec<u8>, Recording, Vec<Remark>)>;

/// Draws each of some recordings, given with its name, which figures show. A failed one is only its
/// own failure. The result does not depend on the number of threads.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`]; [`Error::Cancelled`] once the monitor says so.
pub fn draw_all(
    recordings: &[(&[u8], &str)],
    drawing: &Drawing<'_>,
    monitor: &Monitor,
) -> Result<Vec<Drawn>> {
    let Drawing { config, png, limits, threads } = *drawing;
    let worker = || Ok(Converter::with_preset(config, png)?.with_limits(limits));
    worker()?;
    let mut drawn: Vec<Drawn> = recordings.iter().map(|_| Err(Error::Cancelled)).collect();
    let work = |converter: &mut Converter,
                ((bytes, title), drawn): (&(&[u8], &str), &mut Drawn)| {
        monitor.check()?;
        let caption = Caption { title, intervals: &[], contour: &[] };
        let mut picture = Vec::new();
        *drawn = guard(|| converter.convert(bytes, &caption, &mut picture, &monitor.cancel))
            .and_then(|(known, findings)| Ok((picture, known, findings.whole()?)));
        monitor.remark(converter);
        match drawn {
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // Nobody knows what it has left of the buffers.
            Err(Error::Panic(_)) => *converter = worker()?,
            _ => {}
        }
        Ok(())
    };
    let items = recordings.iter().zip(&mut drawn);
    share(items, threads.min(recordings.len()), worker, work)?;
    Ok(drawn)
}
