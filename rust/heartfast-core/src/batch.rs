//! Many recordings into many pictures, on all cores.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result, guard};
use crate::figure::Remarks;
use crate::findings::{Findings, Remark};
pub use crate::job::{Job, Task};
pub use crate::ledger::MANIFEST;
use crate::ledger::{Ledger, hash, stands};
use crate::limits::Limits;
use crate::manifest::sidecar;
pub use crate::manifest::{Entry, Failure, Picture, Pictures, Place, Stamp, Subject};
use crate::pipeline::{Converter, Recording};
use crate::resample::Resamplings;
use crate::segments::Segments;
use crate::selection::{Channel, Selection};
use crate::sink::{Directory, Member, Shards, Sink};
pub use crate::sink::{Form, Storage};
use crate::source::{IO_STRIDE, Opener};
pub use crate::source::{Origin, ReadAt, is_long, read};
pub use crate::tables::Totals;
pub use crate::tasks::Tasks;
use crate::threads::{lock, share};

/// A running batch, seen from another thread.
#[derive(Debug, Default)]
pub struct Monitor {
    /// Recordings finished, failed ones included.
    pub done: AtomicUsize,
    /// Recordings failed.
    pub failed: AtomicUsize,
    /// Set to stop soon: what is in hand is finished, no further recording is begun.
    pub stop: Cancel,
    /// Set to stop at once: what is in hand is dropped.
    pub cancel: Cancel,
    /// What a user should know of figures.
    remarks: Mutex<Remarks>,
}

impl Monitor {
    /// # Errors
    /// [`Error::Cancelled`] once it is to stop.
    pub(crate) fn check(&self) -> Result<()> {
        self.stop.check()?;
        self.cancel.check()
    }

    /// Adds what a converter has to remark.
    pub(crate) fn remark(&self, converter: &mut Converter) {
        lock(&self.remarks).add(&converter.take_remarks());
    }

    /// What a user should know of the figures of this configuration.
    #[must_use]
    pub fn notes(&self, config: &SpectrogramConfig) -> Vec<String> {
        config.figure.as_ref().map(|figure| lock(&self.remarks).notes(figure)).unwrap_or_default()
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Outcome {
    /// What there is now; what became of each recording stands in the manifest.
    pub totals: Totals,
    /// How many recordings an earlier run has converted.
    pub known: usize,
    /// How many of those were no longer as the manifest says, and were made once more.
    pub remade: usize,
    /// Whether there were too many errors.
    pub too_many_errors: bool,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Converts all tasks that an earlier run has not, and writes the manifest and the tables. The
/// pictures do not depend on the number of threads, nor on how often the work was stopped. A
/// failed recording is only its own entry's failure.
///
/// # Errors
/// Those of [`SpectrogramConfig::validate`](crate::config::SpectrogramConfig::validate) and [`Selection::validate`];
/// [`Error::File`] for a manifest, a table or an archive of pictures that cannot be written, and
/// [`Error::Cancelled`] once `monitor.cancel` is set. What was done until then is in the manifest.
pub fn run(tasks: &Tasks, job: &Job, monitor: &Monitor) -> Result<Outcome> {
    // With all that it needs, a font for example.
    Converter::new(&job.config)?;
    job.selection.validate()?;
    let mut ledger = Ledger::open(tasks, job, monitor)?;
    let (place, members) = ledger.place();
    if job.storage.form != Form::Folder {
        let shards = Shards::new(&job.folder, job.storage, place, Directory::default());
        shards.clear().map_err(|error| Error::File { path: shards.path(), error })?;
    }
    let sink = Sink::new(&job.folder, job.storage, place, members);
    let (known, remade) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let new_failures = AtomicU64::new(0);
    let too_many = || job.max_errors.is_some_and(|n| new_failures.load(Ordering::Relaxed) > n);
    let work = |worker: &mut Worker<'_>, turn: usize| {
        monitor.check()?;
        if too_many() || ledger.is_broken() || sink.is_broken() {
            return Err(Error::Cancelled);
        }
        let task = &tasks.get(turn);
        let failed = match ledger.known(turn) {
            Some((subject, entry)) if stands(task, &entry, job) => {
                known.fetch_add(1, Ordering::Relaxed);
                let failed = entry.failure.is_some();
                // A label or group that was corrected is written down anew.
                sink.finish(turn, (subject != task.subject).then_some(entry), &ledger);
                failed
            }
            earlier => {
                remade.fetch_add(usize::from(earlier.is_some()), Ordering::Relaxed);
                let entry = worker.convert_guarded(turn, task)?;
                let failed = entry.failure.is_some();
                new_failures.fetch_add(u64::from(failed), Ordering::Relaxed);
                sink.finish(turn, Some(entry), &ledger);
                failed
            }
        };
        monitor.failed.fetch_add(usize::from(failed), Ordering::Relaxed);
        monitor.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let threads = job.threads.min(tasks.len());
    // A thread's own end is not the others': what there is, counts.
    let started = AtomicUsize::new(0);
    let worker = || {
        started.fetch_add(1, Ordering::Relaxed);
        Worker::new(job, &sink, monitor)
    };
    let shared = share(0..tasks.len(), threads, worker, work);
    let started = started.into_inner();
    let complete = monitor.done.load(Ordering::Relaxed) == tasks.len();
    sink.close(complete)?;
    ledger.flush()?;
    monitor.cancel.check()?;
    // But what no thread has done is not passed over in silence.
    if !complete
        && let Err(error) = shared
        && !matches!(error, Error::Cancelled)
    {
        return Err(error);
    }
    let mut notes = ledger.notes();
    if started < threads {
        notes.push(format!("the system gave {started} of {threads} threads"));
    }
    // Tables tell of pictures that can be seen.
    let totals = ledger.finish(complete || job.storage.form == Form::Folder)?;
    notes.extend(monitor.notes(&job.config));
    let [known, remade] = [known, remade].map(AtomicUsize::into_inner);
    Ok(Outcome { totals, known, remade, too_many_errors: too_many() && !complete, notes })
}

/// One thread's converter and buffers.
struct Worker<'a> {
    job: &'a Job,
    sink: &'a Sink,
    monitor: &'a Monitor,
    cancel: &'a Cancel,
    converter: Converter,
    opener: Opener,
    recording: Vec<u8>,
    audio: Audio,
    /// One of its channels.
    channel: Audio,
    resamplings: Resamplings,
    picture: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(job: &'a Job, sink: &'a Sink, monitor: &'a Monitor) -> Result<Self> {
        Ok(Self {
            job,
            sink,
            monitor,
            cancel: &monitor.cancel,
            converter: Converter::with_preset(&job.config, job.png)?
                .with_limits(job.limits)
                .with_selection(&job.selection),
            opener: Opener::default(),
            recording: Vec::new(),
            audio: Audio::default(),
            channel: Audio::default(),
            resamplings: Resamplings::default(),
            picture: Vec::new(),
        })
    }

    /// Converts a task, with whatever goes wrong as its failure, a panic (of a decoder, most
    /// likely) too; only [`Error::Cancelled`] is left.
    fn convert_guarded(&mut self, turn: usize, task: &Task) -> Result<Entry> {
        let mut entry = Entry::default();
        let selection = &self.job.selection;
        let converted = guard(|| match (selection.is_whole(), selection.is_cut()) {
            (true, _) => self.convert(turn, task, &mut entry),
            (_, false) => self.convert_part(turn, task, &mut entry),
            (_, true) => self.cut(turn, task, &mut entry),
        });
        self.monitor.remark(&mut self.converter);
        let failed = match converted {
            Ok(()) => return Ok(entry),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => error,
        };
        if matches!(failed, Error::Panic(_)) {
            // Nobody knows what it has left of the buffers.
            *self = Self::new(self.job, self.sink, self.monitor)?;
        }
        entry.fail(&failed);
        Ok(entry)
    }

    /// The whole recording into one picture.
    fn convert(&mut self, turn: usize, task: &Task, entry: &mut Entry) -> Result<()> {
        let source = self.opener.open(&task.recording)?;
        if source.is_long() {
            return self.convert_part(turn, task, entry);
        }
        entry.stamp = source.stamp;
        let length = self.opener.read(source, &mut self.recording, self.cancel)?;
        let bytes = &self.recording[..length];
        let name = task.name();
        let caption = self.job.caption(&name, &name);
        let (drawn, findings) =
            self.converter.convert(bytes, &caption, &mut self.picture, self.cancel)?;
        entry.find(findings);
        let mut sha256 = Sha256::new();
        for part in bytes.chunks(IO_STRIDE) {
            self.cancel.check()?;
            sha256.update(part);
        }
        self.put_only(turn, task, &drawn, sha256.finalize().into(), entry)
    }

    /// What is selected of the recording into one picture.
    fn convert_part(&mut self, turn: usize, task: &Task, entry: &mut Entry) -> Result<()> {
        let Job { selection, limits, .. } = self.job;
        let source = self.opener.open(&task.recording)?;
        entry.stamp = source.stamp;
        let stream = Mutex::new(self.opener.stream(source, &mut self.recording, self.cancel)?);
        let kept = &mut self.resamplings;
        let mut only = Segments::open(&stream, selection, limits, kept, self.cancel)?;
        let (part, _) = only
            .next(&mut self.audio, self.cancel)?
            .ok_or_else(|| Error::decode("at least one sample", "none"))?;
        entry.find(only.findings());
        drop(only);
        let (audio, picture) = (&mut self.audio, &mut self.picture);
        let name = task.name();
        let caption = self.job.caption(&name, &name);
        let drawn = self.converter.draw(audio, &part, &caption, picture, self.cancel)?;
        let stream = stream.into_inner().unwrap_or_else(|e| e.into_inner());
        let sha256 = stream.finish(self.cancel)?;
        self.put_only(turn, task, &drawn, sha256, entry)
    }

    /// Hands the only picture of a recording on.
    fn put_only(
        &self,
        turn: usize,
        task: &Task,
        drawn: &Recording,
        sha256: [u8; 32],
        entry: &mut Entry,
    ) -> Result<()> {
        entry.sha256 = Some(sha256);
        entry.sample_rate = drawn.sample_rate;
        entry.silenced = drawn.silenced;
        entry.pictures = Pictures::One(self.put(turn, task, None, drawn.duration_s, entry)?);
        Ok(())
    }

    /// The recording into a picture of each segment and channel. Those before an error stay.
    fn cut(&mut self, turn: usize, task: &Task, entry: &mut Entry) -> Result<()> {
        let Job { selection, limits, storage, .. } = self.job;
        // In an archive each picture's text has it, the first one's, too.
        let Self { opener, recording, cancel, .. } = self;
        let mut ahead = (storage.form != Form::Folder)
            .then(|| hash(opener, &task.recording, recording, cancel));
        let source = self.opener.open(&task.recording)?;
        entry.stamp = source.stamp;
        match &ahead {
            Some(Err(Error::Cancelled)) => return Err(Error::Cancelled),
            Some(Ok((sha256, stamp))) => {
                (entry.sha256, entry.stamp) = (Some(*sha256), *stamp);
            }
            _ => {}
        }
        let mut bytes = std::mem::take(&mut self.recording);
        let mut opener = std::mem::take(&mut self.opener);
        let mut kept = std::mem::take(&mut self.resamplings);
        let mut stream = opener.stream(source, &mut bytes, self.cancel)?;
        if ahead.is_some() {
            stream.leave_unhashed();
        }
        let stream = Mutex::new(stream);
        let mut pictures = Vec::new();
        let each = selection.channel == Channel::Each;
        let name = task.name();
        let mut found = Findings::default();
        let mut draw = || {
            let mut cut = Segments::open(&stream, selection, limits, &mut kept, self.cancel)?;
            loop {
                let next = cut.next(&mut self.audio, self.cancel);
                found = cut.findings();
                let Some((mut part, start_ms)) = next? else { break };
                // A recording of a day is not waited for: it is done anew.
                self.monitor.stop.check()?;
                for index in 0..self.audio.channels {
                    let mut audio = &mut self.audio;
                    let mut title = name.clone();
                    if each {
                        audio.channel(index, &mut self.channel)?;
                        audio = &mut self.channel;
                        part.channel = Some(index as u32 + 1);
                        title = Selection::title(&name, index as u32 + 1).into();
                    }
                    let suffix = selection.suffix(part.channel.filter(|_| each), start_ms);
                    let caption = self.job.caption(&name, &title);
                    let picture = &mut self.picture;
                    let drawn =
                        self.converter.draw(audio, &part, &caption, picture, self.cancel)?;
                    entry.sample_rate = drawn.sample_rate;
                    entry.silenced += drawn.silenced;
                    let name = task.picture(&suffix);
                    pictures.push(self.put(turn, task, Some(name), drawn.duration_s, entry)?);
                }
            }
            Ok(())
        };
        let drawn = draw();
        entry.find(found);
        let some = !pictures.is_empty();
        entry.pictures = Pictures::Many(pictures);
        let stream = stream.into_inner().unwrap_or_else(|e| e.into_inner());
        let hashed = match drawn {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            // Of a recording without a picture no more is told.
            Err(_) if !some => Ok(None),
            _ => match ahead.take() {
                Some(hashed) => hashed.map(|(sha256, _)| Some(sha256)),
                None => stream.finish(self.cancel).map(Some),
            },
        };
        (self.recording, self.opener, self.resamplings) = (bytes, opener, kept);
        entry.sha256 = hashed.as_ref().ok().copied().flatten();
        drawn.and(hashed.map(drop))
    }

    /// Hands the finished picture on.
    fn put(
        &self,
        turn: usize,
        task: &Task,
        name: Option<PathBuf>,
        duration_s: f64,
        entry: &Entry,
    ) -> Result<Picture> {
        let (file, crc32) = (&self.picture[..], crc32fast::hash(&self.picture));
        let name = name.map(PathBuf::into_boxed_path);
        let picture = Picture { name, duration_s, bytes: file.len() as u64, crc32 };
        let archived = self.job.storage.form != Form::Folder;
        let sidecar = if archived { sidecar(&task.subject, &picture, entry) } else { Vec::new() };
        let name = picture.name_in(&task.subject);
        self.sink.put(turn, Member { name, file, crc32, sidecar }, self.cancel)?;
        Ok(picture)
    }
}

/// The samples that are selected of a recording, without segments, and what was odd about it;
/// several channels only where each is selected.
///
/// # Errors
/// Those of [`Selection::validate`], [`read`] and [`decode`](crate::audio::decode); [`Error::Decode`] if the
/// recording ends before the selected part, or sound is missing.
pub fn load(
    recording: &Origin,
    selection: &Selection,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<(Audio, Vec<Remark>)> {
    selection.validate()?;
    let mut opener = Opener::default();
    let source = opener.open(recording)?;
    let mut bytes = Vec::new();
    let stream = Mutex::new(opener.stream(source, &mut bytes, cancel)?);
    let mut audio = Audio::default();
    let mut new = Resamplings::default();
    let mut only = Segments::open(&stream, selection, limits, &mut new, cancel)?;
    only.next(&mut audio, cancel)?;
    Ok((audio, only.findings().whole()?))
}
