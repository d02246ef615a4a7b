//! The recordings of a batch, by the million: their texts stand one behind the other, each once.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::Archive;
use crate::job::Task;
use crate::json::{os_str, os_string};
use crate::manifest::{Stamp, Subject};
use crate::source::{Origin, ReadAt};

/// The tasks of a batch, in order.
#[derive(Debug, Default)]
pub struct Tasks {
    text: Vec<u8>,
    rows: Vec<Row>,
    archives: Vec<Arc<Archive>>,
    remotes: Vec<(Arc<dyn ReadAt>, Stamp)>,
}

/// Where in the text a task's fields are.
#[derive(Debug)]
struct Row {
    start: u64,
    /// Where each field ends, from the start: path, what the caller calls it, picture, label, group
    /// and source.
    ends: [u32; 6],
    /// Where begins what the caller calls it: mostly that is the end of the path.
    named: u32,
    /// The place of its archive among `archives`, from 1, and its own in there; or `REMOTE` and its
    /// place among `remotes`; or 0.
    member: (u32, u32),
}

/// Instead of an archive's place.
const REMOTE: u32 = u32::MAX;

impl Tasks {
    /// Appends one.
    pub fn push(&mut self, task: &Task) {
        let Task { recording, named, subject } = task;
        let path = subject.path.as_os_str().as_encoded_bytes();
        let named = named.as_os_str().as_encoded_bytes();
        let ending = path.ends_with(named);
        let Subject { file_name, label, group, source, .. } = subject;
        let rest = [file_name.as_os_str(), label, group, source].map(OsStr::as_encoded_bytes);
        let apart = if ending { &[][..] } else { named };
        let start = self.text.len();
        let mut ends = [0; 6];
        for (field, end) in [path, apart].iter().chain(&rest).zip(&mut ends) {
            self.text.extend_from_slice(field);
            *end = (self.text.len() - start) as u32;
        }
        let named = ends[1] - named.len() as u32;
        let member = match recording {
            Origin::File(_) => (0, 0),
            Origin::Member(archive, member) => (self.archive(archive), *member as u32),
            Origin::Remote(reader, stamp) => {
                self.remotes.push((Arc::clone(reader), *stamp));
                (REMOTE, self.remotes.len() as u32 - 1)
            }
        };
        self.rows.push(Row { start: start as u64, ends, named, member });
    }

    /// The place of an archive, from 1. Its members come one after the other, as a rule.
    fn archive(&mut self, archive: &Arc<Archive>) -> u32 {
        let known = self.archives.iter().rposition(|known| Arc::ptr_eq(known, archive));
        let at = known.unwrap_or_else(|| {
            self.archives.push(Arc::clone(archive));
            self.archives.len() - 1
        });
        at as u32 + 1
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The task at a place.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn get(&self, at: usize) -> Task {
        let [path, named, file_name, label, group, source] =
            self.fields(at).map(|text| os_string(text.to_vec()));
        let named = PathBuf::from(named);
        let recording = match self.rows[at].member {
            (0, _) => Origin::File(named.clone()),
            (REMOTE, remote) => {
                let (reader, stamp) = &self.remotes[remote as usize];
                Origin::Remote(Arc::clone(reader), *stamp)
            }
            (archive, member) => {
                let archive = &self.archives[archive as usize - 1];
                Origin::Member(Arc::clone(archive), member as usize)
            }
        };
        let (path, file_name) = (path.into(), file_name.into());
        Task { recording, named, subject: Subject { path, file_name, label, group, source } }
    }

    /// What the caller calls it.
    #[must_use]
    pub fn named(&self, at: usize) -> Cow<'_, OsStr> {
        os_str(self.fields(at)[1])
    }

    /// Its picture.
    #[must_use]
    pub fn file_name(&self, at: usize) -> Cow<'_, OsStr> {
        os_str(self.fields(at)[2])
    }

    /// The bytes of its path.
    pub(crate) fn path(&self, at: usize) -> &[u8] {
        self.fields(at)[0]
    }

    /// The bytes of its picture's name.
    pub(crate) fn picture(&self, at: usize) -> &[u8] {
        self.fields(at)[2]
    }

    fn fields(&self, at: usize) -> [&[u8]; 6] {
        let row = &self.rows[at];
        let text = &self.text[row.start as usize..];
        let mut start = 0;
        let mut fields = row.ends.map(|end| {
            let field = &text[start..end as usize];
            start = end as usize;
            field
        });
        fields[1] = &text[row.named as usize..row.ends[1] as usize];
        fields
    }
}

impl FromIterator<Task> for Tasks {
    fn from_iter<I: IntoIterator<Item = Task>>(tasks: I) -> Self {
        let mut all = Self::default();
        for task in tasks {
            all.push(&task);
        }
        all
    }
}

/// The order of paths, folder by folder.
pub(crate) fn by_path(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let (a, b) = (os_str(a), os_str(b));
    Path::new(&*a).cmp(Path::new(&*b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Tasks;
    use crate::job::Task;
    use crate::json::os_string;
    use crate::manifest::Subject;
    use crate::source::Origin;

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(
            rows in proptest::collection::vec(
                (any::<[Vec<u8>; 5]>(), any::<Vec<u8>>(), any::<bool>()),
                0..9,
            ),
        ) {
            let tasks: Vec<Task> = rows
                .into_iter()
                .map(|(fields, mut path, ending)| {
                    let [named, file_name, label, group, source] = fields.map(os_string);
                    if ending {
                        path.extend(named.as_encoded_bytes());
                    }
                    let (path, file_name) = (os_string(path).into(), file_name.into());
                    let subject = Subject { path, file_name, label, group, source };
                    let named = std::path::PathBuf::from(named);
                    Task { recording: Origin::File(named.clone()), named, subject }
                })
                .collect();
            let all: Tasks = tasks.iter().cloned().collect();
            prop_assert_eq!(all.len(), tasks.len());
            for (at, task) in tasks.iter().enumerate() {
                let got = all.get(at);
                prop_assert!(matches!(&got.recording, Origin::File(path) if *path == task.named));
                prop_assert_eq!((&got.named, &got.subject), (&task.named, &task.subject));
                prop_assert_eq!(all.named(at), task.named.as_os_str());
                prop_assert_eq!(all.file_name(at), task.subject.file_name.as_os_str());
            }
        }
    }
}
