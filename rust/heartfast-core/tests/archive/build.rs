//! ZIPs and tars made by hand, with whatever is wrong with them.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use heartfast_core::Cancel;
use heartfast_core::archive::Archive;
use heartfast_core::batch::{Origin, ReadAt, Stamp, read};
use heartfast_core::limits::Limits;

/// A member's name, and its bytes or what is wrong with it.
pub(crate) type Read = (String, Result<Vec<u8>, String>);

/// A new file of this test's own, removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("archive");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(MADE.fetch_add(1, Ordering::Relaxed).to_string());
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub(crate) fn open(&self, limits: &Limits) -> Option<(Archive, Vec<OsString>)> {
        Archive::open(&self.0, limits, &Cancel::new()).unwrap()
    }

    pub(crate) fn members(&self) -> Option<Vec<Read>> {
        self.members_within(&Limits::default())
    }

    /// The members, which are the same by path and through a reader.
    pub(crate) fn members_within(&self, limits: &Limits) -> Option<Vec<Read>> {
        let here = self.open(limits).map(read_all);
        let bytes = fs::read(&self.0).unwrap();
        let stamp = Stamp { size: bytes.len() as u64, mtime_ns: 0 };
        let reader = Arc::new(Elsewhere { bytes, calls: AtomicUsize::new(0) });
        let there = Archive::open_remote(reader, stamp, limits, &Cancel::new()).unwrap();
        assert_eq!(here, there.map(read_all));
        here
    }
}

fn read_all((archive, names): (Archive, Vec<OsString>)) -> Vec<Read> {
    let archive = Arc::new(archive);
    let member = |(i, name): (usize, OsString)| {
        let mut bytes = b"from before".to_vec();
        let read = read(&Origin::Member(Arc::clone(&archive), i), &mut bytes, &Cancel::new());
        if read.is_ok() {
            assert_eq!(archive.size(i), bytes.len() as u64);
        }
        (name.into_string().unwrap(), read.map(|()| bytes).map_err(|e| e.to_string()))
    };
    names.into_iter().enumerate().map(member).collect()
}

/// Bytes that are in no file, and how often they were asked for.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) bytes: Vec<u8>,
    pub(crate) calls: AtomicUsize,
}

impl ReadAt for Elsewhere {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let left = self.bytes.get(at as usize..).unwrap_or_default();
        let n = left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&left[..n]);
        Ok(n)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A member of a ZIP, and what its headers say of it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) deflate: bool,
    pub(crate) flags: u16,
    pub(crate) method: Option<u16>,
    pub(crate) length: Option<u32>,
    pub(crate) crc: Option<u32>,
}

pub(crate) fn member(name: &str, content: &[u8], deflate: bool) -> Member {
    let (name, content) = (name.as_bytes().to_vec(), content.to_vec());
    Member { name, content, deflate, flags: 0, method: None, length: None, crc: None }
}

/// By APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
pub(crate) fn zip(members: &[Member]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let mut packed = member.content.clone();
        if member.deflate {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&member.content).unwrap();
            packed = encoder.finish().unwrap();
        }
        let mut common = 20u16.to_le_bytes().to_vec();
        common.extend(member.flags.to_le_bytes());
        common.extend(member.method.unwrap_or(if member.deflate { 8 } else { 0 }).to_le_bytes());
        common.extend([0; 4]);
        common.extend(member.crc.unwrap_or(crc32fast::hash(&member.content)).to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend(member.length.unwrap_or(member.content.len() as u32).to_le_bytes());
        common.extend((member.name.len() as u16).to_le_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 12]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(&member.name);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend([0, 0]);
        file.extend(&member.name);
        file.extend(&packed);
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([(members.len() as u16).to_le_bytes(); 2].concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

pub(crate) fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}
