//! Recordings into features, without the pictures between being files: the same numbers as those
//! of the pictures that [`batch`](crate::batch) writes.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use crate::audio::{self, Audio};
use crate::batch::Monitor;
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result, guard};
use crate::features::{Extractor, Scale};
use crate::figure::Caption;
use crate::findings::Remark;
use crate::limits::Limits;
use crate::memory::reserve;
use crate::pipeline::{Canvas, Part, Recording};
use crate::raster::{Color, Image};
use crate::resample::Resamplings;
use crate::segments::Segments;
use crate::selection::{Channel, Selection};
use crate::source::{Opener, Origin, Source};
use crate::threads::{lock, share};

/// Bytes of buffers that an idle [`Describer`] keeps.
const MOST_KEPT: usize = 64 << 20;

/// What was found of a recording: a row for each picture that it would become.
#[derive(Debug, Default)]
pub struct Described {
    /// [`features::count`](crate::features::count) numbers for each row, one row after the other.
    pub rows: Vec<f64>,
    /// What each picture's name has after the recording's: `_ch2_10000`, or nothing.
    pub suffixes: Vec<String>,
    /// Samples per second of the pictures; 0 without rows.
    pub sample_rate: u32,
    /// Samples that are no finite numbers, and count as silence.
    pub silenced: u64,
    /// What was odd about it.
    pub remarks: Vec<Remark>,
    /// What was expected of the recording and found, where it failed. Rows before that stay.
    pub failure: Option<String>,
}

/// Describes recordings by one configuration and one selection, from any thread. Keeps its plans
/// and buffers from call to call.
pub struct Describer {
    config: SpectrogramConfig,
    selection: Selection,
    limits: Limits,
    idle: Mutex<Vec<Worker>>,
}

impl Describer {
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`] and [`Selection::validate`]; a font that cannot be
    /// read.
    pub fn new(config: SpectrogramConfig, selection: Selection, limits: Limits) -> Result<Self> {
        selection.validate()?;
        let describer = Self { config, selection, limits, idle: Mutex::default() };
        let worker = Worker::new(&describer)?;
        lock(&describer.idle).push(worker);
        Ok(describer)
    }

    /// Describes recordings, each with what the caller calls it. The result does not depend on the
    /// number of threads. A failed recording is only its own failure.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once the monitor says so.
    pub fn describe(
        &self,
        recordings: &[(Origin, PathBuf)],
        threads: usize,
        monitor: &Monitor,
    ) -> Result<Vec<Described>> {
        let mut found = Vec::new();
        reserve(&mut found, recordings.len())?;
        found.resize_with(recordings.len(), Described::default);
        let threads = threads.min(recordings.len());
        let work =
            |taken: &mut Taken<'_>,
             ((origin, named), found): (&(Origin, PathBuf), &mut Described)| {
                monitor.check()?;
                let worker = taken.worker()?;
                match guard(|| worker.describe(origin, named, found, &monitor.cancel)) {
                    Ok(()) => {}
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => {
                        if matches!(error, Error::Panic(_)) {
                            // Nobody knows what it has left of the buffers.
                            taken.worker = None;
                        }
                        found.failure = Some(error.to_string());
                        monitor.failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                monitor.done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
        let taken = || Ok(Taken { describer: self, worker: None });
        share(recordings.iter().zip(&mut found), threads, taken, work)?;
        Ok(found)
    }
}

/// A worker in the hands of a thread, given back when that ends.
struct Taken<'d> {
    describer: &'d Describer,
    worker: Option<Worker>,
}

impl Taken<'_> {
    fn worker(&mut self) -> Result<&mut Worker> {
        let worker = match self.worker.take().or_else(|| lock(&self.describer.idle).pop()) {
            Some(worker) => worker,
            None => Worker::new(self.describer)?,
        };
        Ok(self.worker.insert(worker))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take()
            && worker.kept() <= MOST_KEPT
        {
            lock(&self.describer.idle).push(worker);
        }
    }
}

/// One thread's plans and buffers.
struct Worker {
    config: SpectrogramConfig,
    selection: Selection,
    limits: Limits,
    opener: Opener,
    recording: Vec<u8>,
    audio: Audio,
    /// One of its channels.
    channel: Audio,
    resamplings: Resamplings,
    canvas: Canvas,
    extractor: Extractor,
}

impl Worker {
    fn new(describer: &Describer) -> Result<Self> {
        let Describer { config, selection, limits, .. } = describer;
        let mut canvas = Canvas::new(config)?;
        canvas.limit(limits);
        Ok(Self {
            config: config.clone(),
            selection: selection.clone(),
            limits: *limits,
            opener: Opener::default(),
            recording: Vec::new(),
            audio: Audio::default(),
            channel: Audio::default(),
            resamplings: Resamplings::default(),
            canvas,
            extractor: Extractor::default(),
        })
    }

    /// Bytes of its buffers for recordings.
    fn kept(&self) -> usize {
        let samples = self.audio.interleaved.capacity() + self.channel.interleaved.capacity();
        self.recording.capacity() + size_of::<f32>() * samples
    }

    fn describe(
        &mut self,
        origin: &Origin,
        named: &Path,
        found: &mut Described,
        cancel: &Cancel,
    ) -> Result<()> {
        // A figure says what it is of.
        let name = named.file_stem().map_or(Cow::Borrowed(""), OsStr::to_string_lossy);
        let source = self.opener.open(origin)?;
        if !self.selection.is_whole() || source.is_long() {
            let mut kept = std::mem::take(&mut self.resamplings);
            let described = self.describe_parts(source, &mut kept, &name, found, cancel);
            self.resamplings = kept;
            return described;
        }
        let length = self.opener.read(source, &mut self.recording, cancel)?;
        let bytes = &self.recording[..length];
        found.remarks = audio::decode(bytes, &mut self.audio, &self.limits, cancel)?.whole()?;
        self.describe_audio(&Part::default(), &name, String::new(), found, cancel)
    }

    /// Describes what is selected of a recording, as [`batch`](crate::batch) draws it.
    fn describe_parts(
        &mut self,
        source: Source,
        resamplings: &mut Resamplings,
        name: &str,
        found: &mut Described,
        cancel: &Cancel,
    ) -> Result<()> {
        let (selection, limits) = (self.selection.clone(), self.limits);
        let mut bytes = std::mem::take(&mut self.recording);
        let mut opener = std::mem::take(&mut self.opener);
        let stream = Mutex::new(opener.stream(source, &mut bytes, cancel)?);
        let mut parts = Segments::open(&stream, &selection, &limits, resamplings, cancel)?;
        while let Some((part, start_ms)) = parts.next(&mut self.audio, cancel)? {
            if selection.channel == Channel::Each {
                self.describe_channels(part, start_ms, name, found, cancel)?;
            } else {
                let suffix = selection.suffix(None, start_ms);
                self.describe_audio(&part, name, suffix, found, cancel)?;
            }
            if selection.segment_s.is_none() {
                break;
            }
        }
        let findings = parts.findings();
        drop(parts);
        if found.suffixes.is_empty() {
            return Err(Error::decode("at least one sample", "none"));
        }
        // The rest is read, too: an archive may say something else of it.
        let stream = stream.into_inner().unwrap_or_else(|e| e.into_inner());
        stream.finish(cancel)?;
        (self.recording, self.opener) = (bytes, opener);
        found.remarks = findings.whole()?;
        Ok(())
    }

    /// Describes each channel of the samples at hand.
    fn describe_channels(
        &mut self,
        mut part: Part,
        start_ms: u64,
        name: &str,
        found: &mut Described,
        cancel: &Cancel,
    ) -> Result<()> {
        let all = std::mem::take(&mut self.audio);
        for index in 0..all.channels {
            all.channel(index, &mut self.channel)?;
            std::mem::swap(&mut self.audio, &mut self.channel);
            let number = index as u32 + 1;
            part.channel = Some(number);
            let suffix = self.selection.suffix(Some(number), start_ms);
            let title = Selection::title(name, number);
            self.describe_audio(&part, &title, suffix, found, cancel)?;
        }
        self.audio = all;
        Ok(())
    }

    /// Describes the picture of the samples at hand.
    fn describe_audio(
        &mut self,
        part: &Part,
        title: &str,
        suffix: String,
        found: &mut Described,
        cancel: &Cancel,
    ) -> Result<()> {
        let caption = Caption { title, intervals: &[], contour: &[] };
        let (image, _, known) =
            self.canvas.draw(&mut self.audio, part.start_s, &caption, cancel)?;
        let scale = scale(&self.config, &known, image.width)?;
        let shape = (image.height, image.width);
        let levels = levels(&image, self.config.invert);
        let row = self.extractor.describe(&levels, shape, &scale, cancel)?;
        reserve(&mut found.rows, row.len())?;
        found.rows.extend(row);
        found.suffixes.push(suffix);
        found.sample_rate = known.sample_rate;
        found.silenced += known.silenced;
        Ok(())
    }
}

/// What a picture's provenance says of its scale.
fn scale(config: &SpectrogramConfig, known: &Recording, width: usize) -> Result<Scale> {
    let geometry = config.geometry(known.sample_rate)?;
    let sample_rate = f64::from(known.sample_rate);
    let hz = sample_rate / geometry.n_fft as f64;
    let seconds_per_column = if config.size.is_none() || known.duration_s == 0.0 {
        geometry.hop_length as f64 / sample_rate
    } else {
        known.duration_s / width as f64
    };
    Ok(Scale {
        bottom_hz: hz * geometry.first_bin as f64,
        top_hz: hz * geometry.last_bin as f64,
        range_db: config.dynamic_range,
        seconds_per_column,
    })
}

/// A picture's levels, brighter meaning louder: where it is indexed, the indexes.
fn levels<'i>(image: &Image<'i>, invert: bool) -> Cow<'i, [u8]> {
    let levels: Cow<'i, [u8]> = match image.color {
        Color::Gray | Color::Indexed(_) => Cow::Borrowed(image.pixels),
        // Luma as in ITU-R 601, by the whole numbers that Pillow takes.
        Color::Rgb => image
            .pixels
            .as_chunks::<3>()
            .0
            .iter()
            .map(|rgb| {
                let [r, g, b] = rgb.map(u32::from);
                ((r * 19_595 + g * 38_470 + b * 7471 + 0x8000) >> 16) as u8
            })
            .collect(),
    };
    if invert { levels.iter().map(|level| 255 - level).collect() } else { levels }
}
