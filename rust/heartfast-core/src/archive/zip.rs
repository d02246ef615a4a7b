//! ZIPs: the directory at the end is believed as far as the members' own headers agree.

use std::io;

use rawzip::extra_fields::{ExtraFieldId, ExtraFields};
use rawzip::{
    CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipArchive,
    ZipFileHeaderRecord, ZipLocator,
};

use super::{Found, List, Listed, Refusal, names, part};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::source::Extent;

/// How a ZIP begins: with a member, with the end where it has none, or with the mark of one
/// that was meant to be split.
pub(super) const MAGICS: [&[u8]; 3] = [HEADER, b"PK\x05\x06", b"PK\x07\x08"];
const HEADER: &[u8] = b"PK\x03\x04";
const HEADER_LENGTH: u64 = 30;

/// Bytes of a member whose ratio does not matter, because silence shrinks by 1029: hours of a
/// recorder that was off, and no more memory than a thread takes for a long recording anyway.
const ANY_RATIO: u64 = 256 << 20;

/// Where a member is, and what the directory says of it.
#[derive(Debug)]
pub(super) struct Place {
    header: u64,
    /// The next member's header, or the directory.
    end: u64,
    packed: u64,
    length: u64,
    crc: u32,
    /// CRC-32 of its name.
    name: u32,
    deflated: bool,
    /// Whether its sizes may stand behind it, instead of in its header.
    streamed: bool,
}

impl ReaderAt for &Extent {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        Extent::read_at(self, at, buffer)
    }
}

type Directory<'e> = ZipArchive<&'e Extent>;

fn damaged(found: impl ToString) -> Refusal {
    Refusal::new("an intact ZIP", found.to_string())
}

/// Finds the directory.
pub(super) fn locate(whole: &Extent) -> std::result::Result<Directory<'_>, Refusal> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let located = ZipLocator::new().locate_in_reader(whole, &mut buffer, whole.length);
    let archive = located.map_err(|(_, error)| damaged(error))?;
    check_zip64(whole, &archive)?;
    Ok(archive)
}

/// Where an archive says that it has a ZIP64 directory, it is the one that is read. Otherwise
/// one reader would see other members than the next.
fn check_zip64(whole: &Extent, archive: &Directory<'_>) -> Listed {
    let mut locator = [0; 20];
    let Some(at) = archive.eocd_offset().checked_sub(20) else { return Ok(()) };
    whole.read_exact_at(at, &mut locator).map_err(damaged)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(());
    }
    let mut record = [0; 56];
    let start = u64_at(&locator, 8);
    let there = whole.read_exact_at(start, &mut record).is_ok()
        && record.starts_with(b"PK\x06\x06")
        && start.checked_add(12).and_then(|n| n.checked_add(u64_at(&record, 4))) == Some(at);
    let read = (archive.entries_hint(), archive.directory_offset());
    if !there || (u64_at(&record, 32), u64_at(&record, 48)) != read {
        let expected = "a ZIP64 directory where the archive says that it is";
        return Err(Refusal::new(expected, "another place or another directory"));
    }
    Ok(())
}

pub(super) fn list(
    whole: &Extent,
    archive: Directory<'_>,
    list: &mut List,
    cancel: &Cancel,
) -> Result<Listed> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let mut entries = archive.entries(&mut buffer);
    let listed = loop {
        cancel.check()?;
        let entry = match entries.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break check_count(&archive, list.count),
            Err(error) => break Err(damaged(error)),
        };
        if let Err(refusal) = list.count() {
            break Err(refusal);
        }
        if !entry.is_dir() {
            let place = place(&entry, whole, &list.limits).unwrap_or_else(super::Place::from);
            list.add(&name(&entry), true, place);
        }
    };
    refuse_overlaps(list, archive.directory_offset());
    Ok(listed)
}

/// Without ZIP64 the directory has the lower 16 bits of the number only.
fn check_count(archive: &Directory<'_>, found: u64) -> Listed {
    let expected = archive.entries_hint();
    if found == expected || found & 0xffff == expected {
        return Ok(());
    }
    Err(Refusal::new(format!("{expected} members, as the ZIP says"), found.to_string()))
}

/// An entry's name, in UTF-8 where that can be known.
fn name(entry: &ZipFileHeaderRecord<'_>) -> Vec<u8> {
    let path = entry.file_path();
    let raw: &[u8] = path.as_ref();
    let unicode = entry.extra_fields().find(|(id, _)| *id == ExtraFieldId::INFO_ZIP_UNICODE_PATH);
    if let Some((_, [1, a, b, c, d, name @ ..])) = unicode
        && crc32fast::hash(raw).to_le_bytes() == [*a, *b, *c, *d]
        && std::str::from_utf8(name).is_ok()
    {
        return name.to_vec();
    }
    names::from_cp437(raw)
}

fn place(
    entry: &ZipFileHeaderRecord<'_>,
    whole: &Extent,
    limits: &Limits,
) -> std::result::Result<super::Place, Refusal> {
    let method = entry.compression_method();
    if entry.mode().is_symlink() {
        return Err(Refusal::new("a file in the archive", "a link"));
    }
    if entry.flags().is_encrypted() {
        return Err(Refusal::new("a ZIP member that is not encrypted", "one that is"));
    }
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        let found = format!("method {}", method.as_u16());
        return Err(Refusal::new("a ZIP member that is stored or deflated", found));
    }
    let (packed, length) = (entry.compressed_size_hint(), entry.uncompressed_size_hint());
    let most = limits.max_archive_ratio;
    // What is inflated ends by the length, so that this holds for what is there, too.
    if length > ANY_RATIO && length as f64 > most * packed as f64 {
        let mb = ANY_RATIO >> 20;
        let expected = format!(
            "a member of at most {mb} MB or {most} times its packed size (limit max_archive_ratio)"
        );
        return Err(Refusal::new(expected, format!("{length} bytes of {packed}")));
    }
    let path = entry.file_path();
    Ok(super::Place::Zipped(Place {
        header: entry.local_header_offset(),
        end: whole.length,
        packed,
        length,
        crc: entry.crc32(),
        name: crc32fast::hash(path.as_ref()),
        deflated: method == CompressionMethod::DEFLATE,
        streamed: entry.flags().has_data_descriptor(),
    }))
}

/// Refuses members that share bytes, and notes where each must end. How long a member's own
/// header is, shows only when it is opened.
fn refuse_overlaps(list: &mut List, directory: u64) {
    let zipped = |i: usize| match &list.members[i].1 {
        super::Place::Zipped(place) => Some(place),
        _ => None,
    };
    let mut order: Vec<usize> = (0..list.members.len()).filter(|&i| zipped(i).is_some()).collect();
    let header = |i: usize| zipped(i).map_or(0, |place| place.header);
    let least_end = |i: usize| {
        zipped(i).map_or(0, |p| p.header.saturating_add(HEADER_LENGTH).saturating_add(p.packed))
    };
    order.sort_unstable_by_key(|&i| header(i));
    let ends: Vec<u64> =
        (1..=order.len()).map(|next| order.get(next).map_or(directory, |&i| header(i))).collect();
    let mut overlapping = vec![false; order.len()];
    let (mut reach, mut furthest) = (0, 0);
    for (k, &i) in order.iter().enumerate() {
        if header(i) < reach {
            overlapping[k] = true;
            overlapping[furthest] = true;
        }
        if least_end(i) > reach {
            (reach, furthest) = (least_end(i), k);
        }
    }
    for ((&i, end), overlaps) in order.iter().zip(ends).zip(overlapping) {
        let member = &mut list.members[i].1;
        if overlaps {
            *member = overlap().into();
        } else if let super::Place::Zipped(place) = member {
            place.end = end;
        }
    }
}

fn overlap() -> Refusal {
    Refusal::new("a member with bytes of its own", "bytes that belong to another one, too")
}

impl Place {
    /// How many bytes it has, inflated.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where the member is in the archive, once its own header says the same as the directory.
    pub(super) fn find(&self, whole: &Extent) -> Result<Found> {
        let mut local = [0; HEADER_LENGTH as usize];
        part(whole, self.header, HEADER_LENGTH)?
            .read_exact_at(0, &mut local)
            .map_err(Error::Read)?;
        if !local.starts_with(HEADER) {
            let expected = format!("a ZIP member at byte {}", self.header);
            return Err(Error::decode(expected, "something else"));
        }
        let (name, extra) = (u16_at(&local, 26), u16_at(&local, 28));
        let more = part(whole, self.header + HEADER_LENGTH, u64::from(name) + u64::from(extra))?;
        let mut after = vec![0; more.length as usize];
        more.read_exact_at(0, &mut after).map_err(Error::Read)?;
        let (name, extra) = after.split_at(usize::from(name));
        self.check(&local, name, extra)?;
        let stored = part(whole, more.start + more.length, self.packed)?;
        if stored.start + stored.length > self.end {
            return Err(overlap().into());
        }
        if !self.deflated && self.packed != self.length {
            let expected = format!("{} bytes in the archive", self.length);
            return Err(Error::decode(expected, format!("{}", self.packed)));
        }
        Ok((stored, self.deflated.then_some(self.length), Some(self.crc)))
    }

    /// Another reader may go by the member's own header.
    fn check(&self, local: &[u8; HEADER_LENGTH as usize], name: &[u8], extra: &[u8]) -> Result<()> {
        let differs = |what: &str, directory: u64, header: u64| {
            let expected = format!("the {what} {directory} that the archive's directory says");
            Err(Error::decode(expected, format!("{header} in the member's header")))
        };
        let method = if self.deflated { 8 } else { 0 };
        if u16_at(local, 8) != method {
            return differs("method", method.into(), u16_at(local, 8).into());
        }
        if crc32fast::hash(name) != self.name {
            let expected = "the name that the archive's directory says";
            return Err(Error::decode(expected, format!("\"{}\"", name.escape_ascii())));
        }
        let mut wide = ExtraFields::new(extra)
            .find(|(id, _)| *id == ExtraFieldId::ZIP64)
            .map_or(&[][..], |(_, field)| field);
        let mut size = |at: usize| match (u32_at(local, at), wide.split_first_chunk()) {
            (u32::MAX, Some((size, rest))) => {
                wide = rest;
                u64::from_le_bytes(*size)
            }
            (size, _) => size.into(),
        };
        let (length, packed) = (size(22), size(18));
        for (what, directory, header) in [
            ("length", self.length, length),
            ("packed size", self.packed, packed),
            ("checksum", self.crc.into(), u32_at(local, 14).into()),
        ] {
            if header != directory && !(self.streamed && header == 0) {
                return differs(what, directory, header);
            }
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
