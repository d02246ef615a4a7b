//! A ZIP of stored files whose bytes depend on their names and content only.

use std::io::{self, Write};

/// Sizes, places and numbers up to this have 32 or 16 bits; larger ones stand elsewhere (ZIP64).
const MOST_32: u64 = 0xffff_ffff;
const MOST_16: u64 = 0xffff;
/// 1980-01-01, the first day of ZIP.
const DATE: u16 = (1 << 5) | 1;
/// The name is UTF-8.
const UTF8: u16 = 1 << 11;
/// Versions of the format: 2.0, and 4.5 with ZIP64. Upper byte: made on Unix, whose modes it has.
const PLAIN: u16 = 20;
const LARGE: u16 = 45;
const UNIX: u16 = 3 << 8;
const MODE: u32 = 0o100_644 << 16;

/// What a member's header has, and the directory's entry of it, too.
const COMMON: usize = 24;

/// The list of members that comes behind them.
#[derive(Clone, Default)]
pub(crate) struct Directory {
    entries: Vec<u8>,
    members: u64,
}

impl Directory {
    /// What stands in front of a member at this place, which goes into the list.
    ///
    /// # Errors
    /// A name or a file that is too long.
    pub(super) fn header(
        &mut self,
        at: u64,
        name: &[u8],
        length: u64,
        crc32: u32,
    ) -> io::Result<Vec<u8>> {
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidFilename);
        let name_length = u16::try_from(name.len()).map_err(too_long)?;
        let length = u32::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;

        let mut header = Vec::with_capacity(4 + COMMON + 2 + name.len());
        header.extend(b"PK\x03\x04");
        header.extend(if at >= MOST_32 { LARGE } else { PLAIN }.to_le_bytes());
        header.extend(if name.is_ascii() { 0 } else { UTF8 }.to_le_bytes());
        header.extend([0; 4]); // stored, at midnight
        header.extend(DATE.to_le_bytes());
        header.extend(crc32.to_le_bytes());
        header.extend(length.to_le_bytes()); // packed
        header.extend(length.to_le_bytes());
        header.extend(name_length.to_le_bytes());
        self.add(at, &header[4..], name);

        header.extend([0; 2]); // no more fields
        header.extend(name);
        Ok(header)
    }

    fn add(&mut self, at: u64, common: &[u8], name: &[u8]) {
        let large = at >= MOST_32;
        let entry = &mut self.entries;
        entry.extend(b"PK\x01\x02");
        entry.extend((UNIX | if large { LARGE } else { PLAIN }).to_le_bytes());
        entry.extend(common);
        entry.extend(if large { 12_u16 } else { 0 }.to_le_bytes()); // more fields
        entry.extend([0; 6]); // no comment, on this disk, binary
        entry.extend(MODE.to_le_bytes());
        entry.extend((at.min(MOST_32) as u32).to_le_bytes());
        entry.extend(name);
        if large {
            entry.extend([1, 0, 8, 0]);
            entry.extend(at.to_le_bytes());
        }
        self.members += 1;
    }

    /// The list as it is written behind the members, which end there.
    pub(super) fn end(self, start: u64) -> Vec<u8> {
        let Self { entries: mut out, members: count } = self;
        let length = out.len() as u64;
        if count >= MOST_16 || start >= MOST_32 || length >= MOST_32 {
            out.extend(b"PK\x06\x06");
            out.extend(44_u64.to_le_bytes()); // what follows of this record
            out.extend((UNIX | LARGE).to_le_bytes());
            out.extend(LARGE.to_le_bytes());
            out.extend([0; 8]); // disks
            for number in [count, count, length, start] {
                out.extend(number.to_le_bytes());
            }
            out.extend(b"PK\x06\x07");
            out.extend([0; 4]);
            out.extend((start + length).to_le_bytes());
            out.extend(1_u32.to_le_bytes()); // one disk
        }
        out.extend(b"PK\x05\x06");
        out.extend([0; 4]);
        let members = count.min(MOST_16) as u16;
        out.extend(members.to_le_bytes());
        out.extend(members.to_le_bytes());
        out.extend((length.min(MOST_32) as u32).to_le_bytes());
        out.extend((start.min(MOST_32) as u32).to_le_bytes());
        out.extend([0; 2]);
        out
    }
}

/// Bytes that a member takes, the directory's entry included.
pub(super) fn size(name: &[u8], length: u64) -> u64 {
    (4 + COMMON + 2 + name.len() + 58 + name.len()) as u64 + length
}

pub(super) struct Writer<W> {
    pub(super) out: W,
    /// Bytes written.
    pub(super) at: u64,
    directory: Directory,
}

impl<W: Write> Writer<W> {
    /// A ZIP that goes on behind the members that it has.
    pub(super) fn new(out: W, at: u64, directory: Directory) -> Self {
        Self { out, at, directory }
    }

    /// Appends a member.
    pub(super) fn add(&mut self, name: &[u8], file: &[u8], crc32: u32) -> io::Result<()> {
        let header = self.directory.header(self.at, name, file.len() as u64, crc32)?;
        self.write(&header)?;
        self.write(file)
    }

    /// Writes the list of members; nothing can be added then.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let end = std::mem::take(&mut self.directory).end(self.at);
        self.write(&end)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Seek, SeekFrom};
    use std::sync::Arc;

    use super::{Directory, Writer};
    use crate::archive::Archive;
    use crate::batch::{Origin, read};
    use crate::cancel::Cancel;
    use crate::limits::Limits;

    /// Behind 4 GB and more of nothing, which a sparse file holds in no space.
    #[test]
    fn places_beyond_32_bits() {
        let path = std::env::temp_dir().join(format!("heartfast-{}.zip", std::process::id()));
        let mut file = File::create(&path).unwrap();
        // A member that is all hole but for its header.
        let mut writer = Writer::new(&mut file, 0, Directory::default());
        writer.add(b"first", b"1", crc32fast::hash(b"1")).unwrap();
        let starts = [(1 << 32) - 2, (1 << 32) - 1, 1 << 32, 5 << 30];
        for (k, start) in starts.into_iter().enumerate() {
            writer.at = writer.at.max(start);
            writer.out.seek(SeekFrom::Start(writer.at)).unwrap();
            let content = [k as u8; 9];
            let crc32 = crc32fast::hash(&content);
            writer.add(format!("{k}").as_bytes(), &content, crc32).unwrap();
        }
        writer.close().unwrap();
        // By rawzip, which is not ours.
        let (archive, names) =
            Archive::open(&path, &Limits::default(), &Cancel::new()).unwrap().unwrap();
        assert_eq!(names, ["0", "1", "2", "3", "first"]);
        let archive = Arc::new(archive);
        for k in 0..4 {
            let mut bytes = Vec::new();
            read(&Origin::Member(Arc::clone(&archive), k), &mut bytes, &Cancel::new()).unwrap();
            assert_eq!(bytes, [k as u8; 9]);
        }
        fs::remove_file(path).unwrap();
    }
}
