//! The archives of an earlier run, before they are gone on with: what is there has to be what
//! would be written for the manifest's lines.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::manifest::{Picture, Place};
use crate::sink::shards::{Shards, text_name};
use crate::sink::{Form, tar, zip};
use crate::source::{IO_STRIDE, open_file};

/// Bytes that no picture has: then sums of them stay numbers, whatever a manifest says.
const MOST: u64 = 1 << 40;

/// A way through the archives, member by member.
pub(crate) struct Walk<'c> {
    /// How far it has come.
    shards: Shards,
    /// The archive that is gone on with.
    last: u64,
    /// Whether all bytes are looked at, or only the headers and texts of the last archive.
    check: bool,
    file: Option<BufReader<File>>,
    members: zip::Directory,
    cancel: &'c Cancel,
}

impl<'c> Walk<'c> {
    /// A way from the beginning, through archives of which `last` is the last one.
    pub(crate) fn new(shards: Shards, last: u64, check: bool, cancel: &'c Cancel) -> Self {
        Self { shards, last, check, file: None, members: zip::Directory::default(), cancel }
    }

    pub(crate) fn place(&self) -> Place {
        self.shards.place()
    }

    /// The archive that it is in.
    pub(crate) fn path(&self) -> PathBuf {
        self.shards.path()
    }

    /// Goes over a picture and what is said of it.
    ///
    /// # Errors
    /// [`Error::Decode`] and [`Error::Read`] if it is not there; [`Error::Cancelled`].
    pub(crate) fn over(&mut self, name: &Path, picture: &Picture, text: &[u8]) -> Result<()> {
        self.cancel.check()?;
        if picture.bytes > MOST {
            return Err(Error::decode(format!("{MOST} bytes at most"), picture.bytes.to_string()));
        }
        let name = name.as_os_str().as_encoded_bytes();
        if self.shards.is_full(name, picture.bytes, text.len() as u64) {
            self.end()?;
            self.shards.begin_next();
        }
        let crc32 = crc32fast::hash(text);
        self.member(name, picture.bytes, picture.crc32, None)?;
        self.member(&text_name(name), text.len() as u64, crc32, Some(text))
    }

    fn member(&mut self, name: &[u8], length: u64, crc32: u32, text: Option<&[u8]>) -> Result<()> {
        let at = self.place().end;
        let (header, rest) = match self.shards.form() {
            Form::Tar => (tar::header(name, length), tar::padding(length)),
            _ => (self.members.header(at, name, length, crc32), 0),
        };
        let header = header.map_err(Error::Read)?;
        if self.check || self.place().shard == self.last {
            self.require(&header, name)?;
            match text {
                Some(text) => self.require(text, name)?,
                None if self.check => self.require_sum(length, crc32, name)?,
                None => {
                    self.file()?.seek_relative(length as i64).map_err(Error::Read)?;
                }
            }
            self.require(&vec![0; rest], name)?;
        }
        self.shards.advance(header.len() as u64 + length + rest as u64);
        Ok(())
    }

    /// Ends an archive that is complete.
    fn end(&mut self) -> Result<()> {
        let at = self.place().end;
        let tail = match self.shards.form() {
            Form::Tar => tar::END.to_vec(),
            _ => std::mem::take(&mut self.members).end(at),
        };
        let (length, expected) = (self.length()?, at + tail.len() as u64);
        if length != expected {
            return Err(Error::decode(format!("{expected} bytes"), length.to_string()));
        }
        if self.check {
            self.require(&tail, b"its end")?;
        }
        self.file = None;
        Ok(())
    }

    /// Ends the way; gives the list of the last archive's members.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be renamed; [`Error::Cancelled`].
    pub(crate) fn finish(mut self) -> Result<zip::Directory> {
        let (members, path) = (self.members.clone(), self.path());
        let partial = self.shards.partial_path();
        if self.place().end == 0 || partial.exists() {
            return Ok(members);
        }
        match self.end() {
            Ok(()) => {}
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // There is more than the manifest tells of, or the end is damaged: it is ended anew.
            Err(_) => {
                fs::rename(&path, partial).map_err(|error| Error::File { path, error })?;
            }
        }
        Ok(members)
    }

    fn length(&self) -> Result<u64> {
        Ok(fs::metadata(self.found()).map_err(Error::Read)?.len())
    }

    /// Where the archive is: in hand, it has a hidden name.
    fn found(&self) -> PathBuf {
        let partial = self.shards.partial_path();
        if self.place().shard == self.last && partial.exists() { partial } else { self.path() }
    }

    fn file(&mut self) -> Result<&mut BufReader<File>> {
        if self.file.is_none() {
            self.file = Some(BufReader::new(open_file(&self.found()).map_err(Error::Read)?.0));
        }
        self.file.as_mut().ok_or_else(|| Error::Read(io::ErrorKind::NotFound.into()))
    }

    /// Reads bytes that have to be these, of a member.
    fn require(&mut self, expected: &[u8], of: &[u8]) -> Result<()> {
        let mut found = vec![0; expected.len()];
        let read = self.file()?.read_exact(&mut found);
        self.told(read.map(|()| found == expected), of)
    }

    fn require_sum(&mut self, length: u64, crc32: u32, of: &[u8]) -> Result<()> {
        let mut sum = crc32fast::Hasher::new();
        let mut part = vec![0; length.min(IO_STRIDE as u64) as usize];
        let mut left = length;
        while left > 0 {
            self.cancel.check()?;
            let n = left.min(part.len() as u64) as usize;
            let read = self.file()?.read_exact(&mut part[..n]);
            if read.is_err() {
                return self.told(read.map(|()| false), of);
            }
            sum.update(&part[..n]);
            left -= n as u64;
        }
        self.told(Ok(sum.finalize() == crc32), of)
    }

    fn told(&self, read: io::Result<bool>, of: &[u8]) -> Result<()> {
        let found = match read {
            Ok(true) => return Ok(()),
            Ok(false) => "other bytes".to_owned(),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => "its end".to_owned(),
            Err(e) => e.to_string(),
        };
        let (of, at) = (String::from_utf8_lossy(of), self.place().end);
        Err(Error::decode(format!("{of} at byte {at}, as the manifest has it"), found))
    }
}
