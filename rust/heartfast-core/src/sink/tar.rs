//! A tar (ustar, with pax where a name is too long for it) whose bytes depend on the names and
//! the content of its members only.

use std::io::{self, Write};

use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// How a tar ends.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

pub(super) struct Writer<W> {
    pub(super) out: W,
    /// Bytes written.
    pub(super) at: u64,
}

/// Bytes that a member takes, at most: a long name needs one more.
pub(super) fn size(name: &[u8], length: u64) -> u64 {
    let long = if name.len() > 100 { 2 * BLOCK + name.len().next_multiple_of(BLOCK) } else { 0 };
    (long + BLOCK) as u64 + length.next_multiple_of(BLOCK as u64)
}

/// Bytes from a member's end to the next one's header.
pub(super) fn padding(length: u64) -> usize {
    (length.next_multiple_of(BLOCK as u64) - length) as usize
}

/// What stands in front of a member, whose name is UTF-8.
///
/// # Errors
/// A name that is not.
pub(super) fn header(name: &[u8], length: u64) -> io::Result<Vec<u8>> {
    let text = std::str::from_utf8(name).map_err(|_| io::ErrorKind::InvalidFilename)?;
    let mut blocks = Vec::new();
    let mut header = Header::new_ustar();
    if header.set_path(text).is_err() {
        let record = pax_record(name);
        let mut extension = Header::new_ustar();
        extension.set_path("PaxHeaders/name")?;
        let length = record.len() as u64;
        blocks.extend(finished(extension, EntryType::XHeader, length).as_bytes());
        blocks.extend(record);
        blocks.resize(blocks.len() + padding(length), 0);
        header.set_path("long-name.png")?;
    }
    blocks.extend(finished(header, EntryType::Regular, length).as_bytes());
    Ok(blocks)
}

fn finished(mut header: Header, kind: EntryType, length: u64) -> Header {
    header.set_entry_type(kind);
    header.set_size(length);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

impl<W: Write> Writer<W> {
    /// A tar that goes on behind the bytes that it has.
    pub(super) fn new(out: W, at: u64) -> Self {
        Self { out, at }
    }

    /// Appends a member, whose name is UTF-8.
    pub(super) fn add(&mut self, name: &[u8], file: &[u8]) -> io::Result<()> {
        let (header, rest) = (header(name, file.len() as u64)?, padding(file.len() as u64));
        self.out.write_all(&header)?;
        self.out.write_all(file)?;
        self.out.write_all(&END[..rest])?;
        self.at += (header.len() + file.len() + rest) as u64;
        Ok(())
    }

    /// Writes the end; nothing can be added then.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.out.write_all(&END)
    }
}

/// `LENGTH path=NAME` and a line's end, where the length counts itself, too.
fn pax_record(name: &[u8]) -> Vec<u8> {
    let rest = [b" path=", name, b"\n"].concat();
    let mut length = rest.len();
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}
