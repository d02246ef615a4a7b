//! Tars: V7, ustar, GNU and pax. Headers are read by position, one after the other.

use ::tar::{EntryType, Header};

use super::{List, Listed, Place, Refusal};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::source::Extent;

const BLOCK: u64 = 512;
/// An empty tar is nothing but zeros, as GNU tar writes it: a record.
const RECORD: u64 = 20 * BLOCK;
const SOLARIS_PAX: u8 = b'X';
/// Of the names and records before a member.
const MAX_EXTENSION: u64 = 1 << 20;

/// What stands before a member and belongs to it.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    any: bool,
}

/// Whether a file that begins so is a tar: what is written in the first header says so, or is
/// the sum of its bytes.
pub(super) fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
        || start.first_chunk().is_some_and(|header: &[u8; 512]| header[0] != 0 && sums_up(header))
}

/// Whether this is a tar without members.
pub(super) fn is_empty(whole: &Extent) -> bool {
    let mut bytes = vec![1; whole.length.min(RECORD) as usize];
    (2 * BLOCK..=RECORD).contains(&whole.length)
        && whole.length.is_multiple_of(BLOCK)
        && whole.read_exact_at(0, &mut bytes).is_ok()
        && bytes.iter().all(|byte| *byte == 0)
}

fn damaged(found: impl ToString) -> Refusal {
    Refusal::new("an intact tar", found.to_string())
}

pub(super) fn list(whole: &Extent, list: &mut List, cancel: &Cancel) -> Result<Listed> {
    let mut at = 0;
    let mut extension = Extension::default();
    loop {
        cancel.check()?;
        match next(whole, &mut at, &mut extension, list) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
}

/// Reads one header, and passes over what belongs to it; false at the end.
fn next(
    whole: &Extent,
    at: &mut u64,
    extension: &mut Extension,
    list: &mut List,
) -> std::result::Result<bool, Refusal> {
    let mut header = Header::new_old();
    let ended = *at >= whole.length;
    if !ended {
        whole.read_exact_at(*at, header.as_mut_bytes()).map_err(damaged)?;
    }
    if ended || header.as_bytes().iter().all(|byte| *byte == 0) {
        return if extension.any { Err(damaged("a name without a member")) } else { Ok(false) };
    }
    if !sums_up(header.as_bytes()) {
        return Err(damaged(format!("a header at byte {at} with a wrong checksum")));
    }
    let wrong_size = || damaged(format!("a header at byte {at} with a wrong size"));
    let size = number(&header.as_old().size).ok_or_else(wrong_size)?;
    let start = *at + BLOCK;
    let passed = |size: u64| {
        let blocks = size.checked_next_multiple_of(BLOCK);
        blocks.and_then(|n| start.checked_add(n)).ok_or_else(wrong_size)
    };
    let read = || {
        if size > MAX_EXTENSION {
            return Err(damaged(format!("a name or a pax header of {size} bytes")));
        }
        let mut bytes = vec![0; size as usize];
        whole.read_exact_at(start, &mut bytes).map_err(damaged)?;
        Ok(bytes)
    };
    match header.entry_type() {
        EntryType::GNULongName => {
            let mut name = read()?;
            name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
            extension.name.get_or_insert(name);
            extension.any = true;
        }
        EntryType::GNULongLink => extension.any = true,
        kind if kind.is_pax_local_extensions() || kind.as_byte() == SOLARIS_PAX => {
            extension.read(&read()?)?;
        }
        EntryType::XGlobalHeader => {
            // Of all members: of which there is only one that they can name or measure.
            let mut all = Extension::default();
            all.read(&read()?)?;
            if all.name.is_some() || all.size.is_some() || all.sparse {
                return Err(damaged("a pax header that gives all members one name or size"));
            }
        }
        kind => {
            list.count()?;
            let Extension { name, size: wide, sparse, .. } = std::mem::take(extension);
            let size = wide.unwrap_or(size);
            let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
            // V7 knows folders by their names only.
            let folder = kind.is_dir() || (kind.is_file() && name.ends_with(b"/"));
            let refused = |found| Refusal::new("a file in the archive", found).into();
            let place = if kind.is_symlink() || kind.is_hard_link() {
                refused("a link")
            } else if sparse || kind.is_gnu_sparse() {
                refused("a sparse file, whose holes are not there")
            } else if kind.is_file() || kind.is_contiguous() {
                Place::Stored { start, length: size }
            } else {
                refused("a pipe, a device or something unknown")
            };
            if !folder {
                list.add(&name, false, place);
            }
            // These have no bytes, whatever they say.
            let bare = folder
                || kind.is_symlink()
                || kind.is_hard_link()
                || kind.is_fifo()
                || kind.is_character_special()
                || kind.is_block_special();
            *at = passed(if bare { 0 } else { size })?;
            if kind.is_gnu_sparse() {
                *at = after_sparse(whole, start, size, &header)?;
            }
            return Ok(true);
        }
    }
    *at = passed(size)?;
    Ok(true)
}

/// Where the bytes of an old GNU sparse file end, whose map may go on in blocks before them.
fn after_sparse(
    whole: &Extent,
    mut start: u64,
    size: u64,
    header: &Header,
) -> std::result::Result<u64, Refusal> {
    let mut goes_on = header.as_gnu().is_some_and(|gnu| gnu.is_extended());
    while goes_on {
        let mut map = [0; BLOCK as usize];
        whole.read_exact_at(start, &mut map).map_err(damaged)?;
        goes_on = map[504] == 1;
        start += BLOCK;
    }
    let end = size.checked_next_multiple_of(BLOCK).and_then(|n| start.checked_add(n));
    end.ok_or_else(|| damaged("a sparse file of a wrong size"))
}

impl Extension {
    /// Takes pax records: `LENGTH KEY=VALUE` and a line's end, in which a name may have more.
    fn read(&mut self, mut records: &[u8]) -> Listed {
        self.any = true;
        while !records.iter().all(|byte| *byte == 0) {
            let wrong = || damaged("a pax header that is none");
            let space = records.iter().position(|&c| c == b' ').ok_or_else(wrong)?;
            let length = std::str::from_utf8(&records[..space]).ok();
            let length: usize = length.and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            let record = records.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n"));
            let record = record.ok_or_else(wrong)?;
            let equals = record.iter().position(|&c| c == b'=').ok_or_else(wrong)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" if !self.sparse => self.name = Some(value.to_vec()),
                b"GNU.sparse.name" => self.name = Some(value.to_vec()),
                b"size" => {
                    let text = std::str::from_utf8(value).ok();
                    self.size = Some(text.and_then(|t| t.parse().ok()).ok_or_else(wrong)?);
                }
                _ => {}
            }
            self.sparse |= key.starts_with(b"GNU.sparse.");
            records = &records[length..];
        }
        Ok(())
    }
}

/// Whether a header's bytes sum up to what is written in it. Some old programs took them as
/// signed.
fn sums_up(header: &[u8; 512]) -> bool {
    let written = &header[148..156];
    let sum = |value: fn(u8) -> i64| {
        let of = |bytes: &[u8]| bytes.iter().map(|&byte| value(byte)).sum::<i64>();
        of(header) - of(written) + 8 * 32
    };
    let expected = number(written).and_then(|sum| i64::try_from(sum).ok());
    expected == Some(sum(i64::from)) || expected == Some(sum(|byte| i64::from(byte.cast_signed())))
}

/// A number, in octal digits or, where the first bit is set, in bytes; nothing is 0.
fn number(field: &[u8]) -> Option<u64> {
    if let [first @ 0x80..=0xff, rest @ ..] = field {
        let [wide @ .., _, _, _, _, _, _, _, _] = rest else { return None };
        let fits = *first == 0x80 && wide.iter().all(|byte| *byte == 0);
        return fits.then(|| rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    let digit = |sum: u64, c: &u8| match c {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(c - b'0')),
        _ => None,
    };
    digits.iter().try_fold(0, digit)
}
