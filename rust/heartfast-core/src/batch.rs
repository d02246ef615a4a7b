//! Many recordings into many pictures, on all cores.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result, panic_text};
use crate::limits::Limits;
use crate::pipeline::{Converter, Recording};
use crate::png::Preset;
use crate::resample::Resamplings;
pub use crate::segments::Segment;
use crate::segments::Segments;
use crate::selection::{Channel, Selection};
pub use crate::sink::Form;
use crate::sink::Sink;
pub use crate::source::Origin;
use crate::source::{IO_STRIDE, Opener};
use crate::threads::{lock, share};

/// One recording, and what its picture is called.
#[derive(Debug, Clone)]
pub struct Task {
    /// The recording.
    pub recording: Origin,
    /// The PNG to write, relative to the folder of all; its own folder exists. Where there are
    /// several pictures, they add their [`Segment::suffix`]: `x_0.png`, `x_10000.png`.
    pub picture: PathBuf,
}

/// How recordings become pictures.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the pictures are like.
    pub config: SpectrogramConfig,
    /// How their files are written.
    pub png: Preset,
    /// What of the recordings is in them.
    pub selection: Selection,
    /// The folder for the pictures, which exists.
    pub folder: PathBuf,
    /// What they are gathered in there.
    pub form: Form,
    /// What is too much of a recording.
    pub limits: Limits,
    /// How many threads work on them.
    pub threads: usize,
}

/// What became of a recording.
#[derive(Debug)]
pub struct Converted {
    /// Its rate and length, as far as there are pictures of it.
    pub recording: Recording,
    /// SHA-256 of all its bytes, unless they could not be read.
    pub sha256: Option<[u8; 32]>,
    /// Its pictures, where it was cut into segments or channels.
    pub segments: Vec<Segment>,
    /// Why there are no further ones, if there should be.
    pub error: Option<Error>,
}

/// A running batch, seen from another thread.
#[derive(Debug, Default)]
pub struct Monitor {
    /// Recordings finished, failed ones included.
    pub done: AtomicUsize,
    /// Recordings failed.
    pub failed: AtomicUsize,
    /// Set to stop: what is in hand is dropped, no further recording is begun.
    pub cancel: Cancel,
}

/// Converts all tasks. Entry `i` is what became of task `i`: `None` if the batch was cancelled
/// before it. The pictures do not depend on the number of threads.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`] and [`Selection::validate`];
/// [`Error::Write`] for an archive of pictures that cannot be written, and [`Error::Cancelled`]
/// for one that is not complete, which is removed. A failed recording is only its own entry's
/// error.
pub fn run(tasks: &[Task], job: &Job, monitor: &Monitor) -> Result<Vec<Option<Result<Converted>>>> {
    job.config.validate()?;
    job.selection.validate()?;
    let sink = Sink::new(&job.folder, job.form)?;
    let results = Mutex::new(Vec::new());
    lock(&results).resize_with(tasks.len(), || None);
    let work = |worker: &mut Worker<'_>, (turn, task): (usize, &Task)| {
        monitor.cancel.check()?;
        let outcome = worker.convert_guarded(turn, task);
        if matches!(outcome, Err(Error::Cancelled)) || sink.is_broken() {
            return outcome.map(drop);
        }
        sink.finish(turn);
        let failed = outcome.as_ref().map_or(true, |converted| converted.error.is_some());
        monitor.failed.fetch_add(usize::from(failed), Ordering::Relaxed);
        lock(&results)[turn] = Some(outcome);
        monitor.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let threads = job.threads.min(tasks.len());
    // A thread's own end is not the others': what there is, counts.
    let worker = || Worker::new(job, &sink, &monitor.cancel);
    let _ = share(tasks.iter().enumerate(), threads, worker, work);
    if job.form != Form::Folder {
        monitor.cancel.check()?;
    }
    sink.close()?;
    Ok(results.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// One thread's converter and buffers.
struct Worker<'a> {
    job: &'a Job,
    sink: &'a Sink,
    cancel: &'a Cancel,
    converter: Converter<'a>,
    opener: Opener,
    recording: Vec<u8>,
    audio: Audio,
    /// One of its channels.
    channel: Audio,
    resamplings: Resamplings,
    picture: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(job: &'a Job, sink: &'a Sink, cancel: &'a Cancel) -> Result<Self> {
        Ok(Self {
            job,
            sink,
            cancel,
            converter: Converter::with_preset(&job.config, job.png)?.with_limits(job.limits),
            opener: Opener::default(),
            recording: Vec::new(),
            audio: Audio::default(),
            channel: Audio::default(),
            resamplings: Resamplings::default(),
            picture: Vec::new(),
        })
    }

    /// Converts a task, with a panic (of a decoder, most likely) as its error.
    fn convert_guarded(&mut self, turn: usize, task: &Task) -> Result<Converted> {
        let selection = &self.job.selection;
        let convert = || match (selection.is_whole(), selection.is_cut()) {
            (true, _) => self.convert(turn, task),
            (_, false) => self.convert_part(turn, task),
            (_, true) => self.cut(turn, task),
        };
        catch_unwind(AssertUnwindSafe(convert)).unwrap_or_else(|panic| {
            *self = Self::new(self.job, self.sink, self.cancel)?;
            Err(Error::Panic(panic_text(&*panic)))
        })
    }

    /// The whole recording into one picture.
    fn convert(&mut self, turn: usize, task: &Task) -> Result<Converted> {
        let source = self.opener.open(&task.recording)?;
        let length = self.opener.read(source, &mut self.recording, self.cancel)?;
        let bytes = &self.recording[..length];
        let recording = self.converter.convert(bytes, &mut self.picture, self.cancel)?;
        let mut sha256 = Sha256::new();
        for part in bytes.chunks(IO_STRIDE) {
            self.cancel.check()?;
            sha256.update(part);
        }
        self.sink.put(turn, &task.picture, &self.picture, self.cancel)?;
        let sha256 = Some(sha256.finalize().into());
        Ok(Converted { recording, sha256, segments: Vec::new(), error: None })
    }

    /// What is selected of the recording into one picture.
    fn convert_part(&mut self, turn: usize, task: &Task) -> Result<Converted> {
        let Job { selection, limits, .. } = self.job;
        let source = self.opener.open(&task.recording)?;
        let stream = Mutex::new(self.opener.stream(source, &mut self.recording, self.cancel)?);
        let (part, _) =
            Segments::open(&stream, selection, limits, &mut self.resamplings, self.cancel)?
                .next(&mut self.audio, self.cancel)?
                .ok_or_else(|| Error::decode("at least one sample", "none"))?;
        let (audio, picture) = (&mut self.audio, &mut self.picture);
        let recording = self.converter.draw(audio, &part, picture, self.cancel)?;
        let stream = stream.into_inner().unwrap_or_else(|e| e.into_inner());
        let sha256 = Some(stream.finish(self.cancel)?);
        self.sink.put(turn, &task.picture, &self.picture, self.cancel)?;
        Ok(Converted { recording, sha256, segments: Vec::new(), error: None })
    }

    /// The recording into a picture of each segment and channel. Those before an error stay.
    fn cut(&mut self, turn: usize, task: &Task) -> Result<Converted> {
        let Job { selection, limits, .. } = self.job;
        let source = self.opener.open(&task.recording)?;
        let stream = self.opener.stream(source, &mut self.recording, self.cancel)?;
        let stream = Mutex::new(stream);
        let mut recording = Recording { sample_rate: 0, duration_s: 0.0, silenced: 0 };
        let mut segments = Vec::new();
        let each = selection.channel == Channel::Each;
        let mut draw = || {
            let kept = &mut self.resamplings;
            let mut cut = Segments::open(&stream, selection, limits, kept, self.cancel)?;
            while let Some((mut part, start_ms)) = cut.next(&mut self.audio, self.cancel)? {
                for index in 0..self.audio.channels {
                    let (mut audio, mut suffix) = (&mut self.audio, String::new());
                    if each {
                        audio.channel(index, &mut self.channel)?;
                        audio = &mut self.channel;
                        part.channel = Some(index as u32 + 1);
                        suffix += &format!("_ch{}", index + 1);
                    }
                    if selection.segment_s.is_some() {
                        suffix += &format!("_{start_ms}");
                    }
                    let drawn =
                        self.converter.draw(audio, &part, &mut self.picture, self.cancel)?;
                    let name = with_suffix(&task.picture, &suffix);
                    self.sink.put(turn, &name, &self.picture, self.cancel)?;
                    recording.sample_rate = drawn.sample_rate;
                    recording.duration_s += drawn.duration_s;
                    recording.silenced += drawn.silenced;
                    segments.push(Segment { suffix, duration_s: drawn.duration_s });
                }
            }
            Ok(())
        };
        let drawn = draw().err();
        let stream = stream.into_inner().unwrap_or_else(|e| e.into_inner());
        let (sha256, error) = match drawn {
            Some(Error::Cancelled) => return Err(Error::Cancelled),
            Some(error) if segments.is_empty() => return Err(error),
            drawn => match stream.finish(self.cancel) {
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                hashed => (hashed.as_ref().ok().copied(), drawn.or(hashed.err())),
            },
        };
        Ok(Converted { recording, sha256, segments, error })
    }
}

/// What a picture with this suffix is called.
fn with_suffix(picture: &Path, suffix: &str) -> PathBuf {
    let mut name = picture.file_stem().map(OsString::from).unwrap_or_default();
    name.push(format!("{suffix}.png"));
    picture.with_file_name(name)
}

/// The samples that are selected of a recording, without segments; several channels only where
/// each is selected.
///
/// # Errors
/// Those of [`Selection::validate`], [`read`] and [`decode`](crate::audio::decode); [`Error::Decode`] if the
/// recording ends before the selected part.
pub fn load(
    recording: &Origin,
    selection: &Selection,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Audio> {
    selection.validate()?;
    let mut opener = Opener::default();
    let source = opener.open(recording)?;
    let mut bytes = Vec::new();
    let stream = Mutex::new(opener.stream(source, &mut bytes, cancel)?);
    let mut audio = Audio::default();
    let mut new = Resamplings::default();
    Segments::open(&stream, selection, limits, &mut new, cancel)?.next(&mut audio, cancel)?;
    Ok(audio)
}

/// All bytes of a recording, into a buffer whose memory is used again.
///
/// # Errors
/// [`Error::Read`]; [`Error::Decode`] if it does not fit into memory, or is not what its archive
/// says; [`Error::Unsupported`] for a member of an archive that is not read; [`Error::Cancelled`]
/// soon after `cancel` is set. A pipe or a device, which may have no end, is not read.
pub fn read(recording: &Origin, bytes: &mut Vec<u8>, cancel: &Cancel) -> Result<()> {
    let mut opener = Opener::default();
    let source = opener.open(recording)?;
    let length = opener.read(source, bytes, cancel)?;
    bytes.truncate(length);
    Ok(())
}
