//! The one error type of the core. It says what was expected and what was found;
//! the caller that knows the file's name puts it in front.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What is read, in the words of an error message.
pub(crate) const READABLE: &str = "a WAV, AIFF, AU, FLAC, OGG Vorbis, MP3, CAF or M4A recording";

/// What can go wrong while a recording becomes a picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recording could not be opened or read.
    #[error("expected a recording, found {}", unreadable(.0))]
    Read(io::Error),
    /// A picture could not be written.
    #[error("expected to write the picture, found: {0}")]
    Write(io::Error),
    /// A file of the run's own could not be read or written: without it the run cannot go on.
    #[error("{error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder has pictures that were made with other settings.
    #[error("{}: expected the settings of the pictures in there, found others", .0.display())]
    Settings(PathBuf),
    /// A recording is damaged, truncated or empty.
    #[error("expected {expected}, found {found}")]
    Decode {
        /// What a good file has there.
        expected: String,
        /// What this one has.
        found: String,
        /// Where in the file, in bytes, where that is known.
        offset: Option<u64>,
    },
    /// A recording, or its picture, that goes beyond one of [`Limits`](crate::limits::Limits).
    #[error("expected {expected} (limit {limit}), found {found}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// What it allows.
        expected: String,
        /// What there is.
        found: String,
    },
    /// A container or codec that is not read.
    #[error("expected {expected}, found {found}")]
    Unsupported {
        /// What is read.
        expected: String,
        /// What this file seems to be.
        found: String,
    },
    /// A picture that cannot be written as PNG.
    #[error("expected {expected}, found {found}")]
    Encode {
        /// What PNG (or the limit) allows.
        expected: String,
        /// What was asked for.
        found: String,
    },
    /// A value that a configuration or a function does not take.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The name of the field or argument.
        field: &'static str,
        /// What it takes.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A defect of heartfast or of a decoder, caught at the border of one file.
    #[error("internal error, please report it: {0}")]
    Panic(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
}

/// A result with the core's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// One word for tables of errors by kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Read(e) if e.kind() == io::ErrorKind::NotFound => "missing",
            Self::Read(e) | Self::Write(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                "permission"
            }
            Self::Read(_) | Self::Write(_) | Self::File { .. } => "io",
            Self::Settings(_) => "settings",
            Self::Decode { .. } => "decode",
            Self::Limit { .. } => "limit",
            Self::Unsupported { .. } => "unsupported",
            Self::Encode { .. } => "encode",
            Self::Value { .. } => "value",
            Self::Panic(_) => "internal",
            Self::Cancelled => "interrupted",
        }
    }

    /// An error of writing, with what was written.
    pub(crate) fn with_path(self, path: &Path) -> Self {
        match self {
            Self::Write(error) => Self::File { path: path.to_owned(), error },
            other => other,
        }
    }

    /// Where in its file a recording is damaged, in bytes, where that is known.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Decode { offset, .. } => *offset,
            _ => None,
        }
    }

    pub(crate) fn decode(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Decode { expected: expected.into(), found: found.into(), offset: None }
    }

    /// The same error, at this place in the file.
    pub(crate) fn at(mut self, place: u64) -> Self {
        if let Self::Decode { offset, .. } = &mut self {
            *offset = Some(place);
        }
        self
    }

    /// The error of a file that is none of those that are read.
    pub(crate) fn unsupported(found: impl Into<String>) -> Self {
        Self::Unsupported { expected: READABLE.into(), found: found.into() }
    }

    pub(crate) fn limit(
        limit: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Limit { limit, expected: expected.into(), found: found.to_string() }
    }

    pub(crate) fn value(
        field: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Value { field, expected: expected.into(), found: found.to_string() }
    }
}

/// What is there instead of a recording.
fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "nothing".to_owned(),
        io::ErrorKind::PermissionDenied => "a file that may not be read".to_owned(),
        io::ErrorKind::IsADirectory => "a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// Does what may panic, as decoders of others do; then that is the error.
///
/// # Errors
/// Those of `work`; [`Error::Panic`].
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let caught = catch_unwind(AssertUnwindSafe(work));
    caught.unwrap_or_else(|panic| Err(Error::Panic(panic_text(&*panic))))
}

/// What a caught panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
