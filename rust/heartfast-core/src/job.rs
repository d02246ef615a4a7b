//! What a batch is asked to do.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use crate::config::SpectrogramConfig;
use crate::figure::{Caption, Interval};
use crate::limits::Limits;
use crate::manifest::{Stamp, Subject};
use crate::png::Preset;
use crate::selection::Selection;
use crate::sink::Storage;
use crate::source::Origin;

/// One recording, and what is known of it.
#[derive(Debug, Clone)]
pub struct Task {
    /// The recording.
    pub recording: Origin,
    /// What the caller calls it.
    pub named: PathBuf,
    /// Its path, the PNG to write, and the rest of its row in the table.
    /// Where there are several pictures, they add channel and start in milliseconds to its name:
    /// `x_0.png`, `x_10000.png`, `x_ch2_10000.png`.
    pub subject: Subject,
}

impl Task {
    /// A recording that is told of, but is not to be converted.
    pub(crate) fn of_another(subject: Subject) -> Self {
        Self { recording: Origin::File(PathBuf::new()), named: PathBuf::new(), subject }
    }

    /// The picture with this suffix to its name.
    pub(crate) fn picture(&self, suffix: &str) -> PathBuf {
        let picture = &self.subject.file_name;
        let mut name = picture.file_stem().map(OsString::from).unwrap_or_default();
        name.push(format!("{suffix}.png"));
        picture.with_file_name(name)
    }

    /// The recording's name without extension, for people to read.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        self.named.file_stem().map_or(Cow::Borrowed(""), OsStr::to_string_lossy)
    }

    /// Of its file as it is now, if it is there.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        match &self.recording {
            Origin::File(path) => fs::metadata(path).ok().map(|known| Stamp::from(&known)),
            Origin::Member(archive, _) => Some(archive.stamp()),
            Origin::Remote(_, stamp) => Some(*stamp),
        }
    }
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
    pub storage: Storage,
    /// The manifest's first line: all that another run has to have in common with this one.
    pub header: String,
    /// Whether pictures that an earlier run has made are read and compared with the manifest.
    pub check: bool,
    /// Whether what earlier runs have made is removed first, whatever their settings.
    pub overwrite: bool,
    /// Whether pictures of recordings that are not among the tasks are removed.
    pub prune: bool,
    /// What is too much of a recording.
    pub limits: Limits,
    /// After more failed recordings than this no further one is begun.
    pub max_errors: Option<u64>,
    /// How many threads work on them.
    pub threads: usize,
    /// Labelled parts of recordings, for figures, by the recording's name without extension.
    pub intervals: HashMap<String, Vec<Interval>>,
}

impl Job {
    /// What a figure of the recording `name` says under this title.
    pub(crate) fn caption<'c>(&'c self, name: &str, title: &'c str) -> Caption<'c> {
        let intervals = self.intervals.get(name).map_or(&[][..], Vec::as_slice);
        Caption { title, intervals, contour: &[] }
    }
}
