//! ZIPs or tars of bounded size, one after the other. The last one goes on where an earlier run has
//! left it: what was written after the place that is known for certain is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::manifest::Place;
use crate::sink::{Form, Member, Storage, sync_folder, tar, zip};

/// Bytes that are written to an archive at a time.
const BUFFER: usize = 1 << 18;

/// What a picture's text is called.
pub(super) fn text_name(picture: &[u8]) -> Vec<u8> {
    [picture.strip_suffix(b".png").unwrap_or(picture), b".json"].concat()
}

/// The archives of a folder.
pub(crate) struct Shards {
    folder: PathBuf,
    storage: Storage,
    /// Where the next member goes.
    place: Place,
    /// Those of the ZIP in hand, before it is opened.
    members: zip::Directory,
    open: Option<Output>,
}

enum Output {
    Zip(zip::Writer<BufWriter<File>>),
    Tar(tar::Writer<BufWriter<File>>),
}

impl Shards {
    /// Archives that are gone on with at `place`, behind these members of a ZIP.
    pub(crate) fn new(
        folder: &Path,
        storage: Storage,
        place: Place,
        members: zip::Directory,
    ) -> Self {
        Self { folder: folder.to_owned(), storage, place, members, open: None }
    }

    /// All before this is written.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The archive in hand, by the name that it will have.
    pub(crate) fn path(&self) -> PathBuf {
        self.named(self.place.shard)
    }

    fn named(&self, shard: u64) -> PathBuf {
        let extension = if self.storage.form == Form::Tar { "tar" } else { "zip" };
        self.folder.join(match self.storage.shard_bytes {
            None => format!("pictures.{extension}"),
            Some(_) => format!("pictures-{shard:06}.{extension}"),
        })
    }

    fn partial(&self, shard: u64) -> PathBuf {
        let path = self.named(shard);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.with_file_name(format!(".{name}.part"))
    }

    /// The archive in hand, by its hidden name.
    pub(super) fn partial_path(&self) -> PathBuf {
        self.partial(self.place.shard)
    }

    pub(super) fn form(&self) -> Form {
        self.storage.form
    }

    /// Whether an archive that has something already is too full for a picture and its text.
    pub(super) fn is_full(&self, name: &[u8], picture: u64, text: u64) -> bool {
        let size = match self.storage.form {
            Form::Tar => tar::size,
            _ => zip::size,
        };
        let size = size(name, picture) + size(&text_name(name), text);
        let full = |most: u64| self.place.end > 0 && self.place.end + size > most;
        self.storage.shard_bytes.is_some_and(full)
    }

    /// The place of the next archive.
    pub(super) fn begin_next(&mut self) {
        self.place = Place { shard: self.place.shard + 1, end: 0 };
        // Of one that was complete already nobody has taken them.
        self.members = zip::Directory::default();
    }

    /// Passes over bytes that are there.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.place.end += bytes;
    }

    /// Removes what an earlier run has written after the place.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let gone = |path: PathBuf| match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        let Place { shard, end } = self.place;
        if end == 0 {
            gone(self.named(shard))?;
            gone(self.partial(shard))?;
        }
        // By the folder's list: there may be one behind a gap.
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let later = |number: u64| {
                number > shard && [self.named(number), self.partial(number)].contains(&path)
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.split_once("pictures-").and_then(|(_, rest)| rest.split_once('.'));
            if number.is_some_and(|(digits, _)| digits.parse().is_ok_and(later)) {
                gone(path)?;
            }
        }
        Ok(())
    }

    /// Appends a picture and what is said of it. The pictures of a recording may be in two
    /// archives; a picture and its text are in one.
    pub(crate) fn add(&mut self, member: &Member<'_>) -> io::Result<()> {
        let name = member.name.as_os_str().as_encoded_bytes();
        let text_name = text_name(name);
        if self.is_full(name, member.file.len() as u64, member.sidecar.len() as u64) {
            self.close(true)?;
            self.begin_next();
        }
        self.place.end = match self.output()? {
            Output::Zip(writer) => {
                writer.add(name, member.file, member.crc32)?;
                writer.add(&text_name, &member.sidecar, crc32fast::hash(&member.sidecar))?;
                writer.at
            }
            Output::Tar(writer) => {
                writer.add(name, member.file)?;
                writer.add(&text_name, &member.sidecar)?;
                writer.at
            }
        };
        Ok(())
    }

    /// Has all that was added written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let out = match &mut self.open {
            None => return Ok(()),
            Some(Output::Zip(writer)) => &mut writer.out,
            Some(Output::Tar(writer)) => &mut writer.out,
        };
        out.flush()?;
        if self.storage.fsync { out.get_ref().sync_data() } else { Ok(()) }
    }

    /// The archive in hand, opened where it is not yet.
    fn output(&mut self) -> io::Result<&mut Output> {
        if self.open.is_none() {
            self.open = Some(self.opened()?);
        }
        self.open.as_mut().ok_or_else(|| io::Error::other("no archive"))
    }

    fn opened(&mut self) -> io::Result<Output> {
        let Place { shard, end } = self.place;
        let (path, whole) = (self.partial(shard), self.named(shard));
        if end > 0 && !path.exists() {
            fs::rename(&whole, &path)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(match self.storage.form {
            Form::Tar => Output::Tar(tar::Writer::new(file, end)),
            _ => Output::Zip(zip::Writer::new(file, end, std::mem::take(&mut self.members))),
        })
    }

    /// Ends the archive in hand, and gives it its name if it is `complete`; else it is left as
    /// it is, for a run that goes on with it.
    pub(crate) fn close(&mut self, complete: bool) -> io::Result<()> {
        let (partial, path) = (self.partial(self.place.shard), self.path());
        if !complete {
            return self.flush();
        }
        // All was there already; a run that made nothing has an empty archive to show for it.
        if self.open.is_none() && path.exists() {
            return Ok(());
        }
        match self.output()? {
            Output::Zip(writer) => writer.close()?,
            Output::Tar(writer) => writer.close()?,
        }
        self.flush()?;
        self.open = None;
        fs::rename(partial, path)?;
        if self.storage.fsync { sync_folder(&self.folder) } else { Ok(()) }
    }
}
