//! Sizes of sound in headers, and what counts where they contradict the file: a recorder that was
//! cut off leaves 0 or a part, a pipe the largest number, and sizes beyond 4 GiB wrap around.

use std::ops::Range;

use super::Input;
use crate::error::Result;
use crate::findings::{EXTRA, Remark, SIZE};

/// Sizes that close below 2^31 or 2^32 stand for one that was not known.
const NEAR: u64 = 1 << 16;
/// So many bytes behind the sound fill up a chunk, and are not told of.
const FEW: u64 = 8;
/// Bytes of the end of a file in which chunks behind the sound are looked for.
const TAIL: u64 = 1 << 16;
/// Where the claim is a smaller part of the file, zeros behind it are sound, too.
const MOST_TIMES: u64 = 16;
/// Places that are looked at to find out whether all is zero.
const PROBES: u64 = 16;

/// How files and tags begin that are found behind a recording.
const FOREIGN: [&[u8]; 10] = [
    b"TAG",
    b"ID3",
    b"APETAGEX",
    b"LYRICSBEGIN",
    b"RIFF",
    b"RF64",
    b"FORM",
    b"fLaC",
    b"OggS",
    b"PK\x03\x04",
];

/// Whether a chunk begins at a place of the file.
pub(super) type IsChunk<'c> = dyn FnMut(&mut Input<'_>, u64) -> Result<bool> + 'c;

/// The size of sound that begins at `start`, by its header.
pub(super) struct Claim<'c> {
    pub(super) start: u64,
    pub(super) bytes: u64,
    pub(super) is_chunk: &'c mut IsChunk<'c>,
}

impl Claim<'_> {
    /// The size that counts, or `None` for all up to the end; and a remark if that is not the
    /// header's.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn settle(mut self, input: &mut Input<'_>) -> Result<(Option<u64>, Option<Remark>)> {
        let rest = input.length.saturating_sub(self.start);
        let claim = self.bytes;
        if claim > 0 && claim <= rest && rest - claim <= 1 {
            return Ok((Some(claim), None));
        }
        let unknown = claim >> 62 > 0
            || [1 << 31, 1 << 32].iter().any(|limit| (limit - NEAR..=*limit).contains(&claim));
        if claim > rest {
            return if unknown { self.all(input, rest) } else { Ok((Some(claim), None)) };
        }
        let end = self.start + claim;
        if !input.reaches(end + 32) {
            // What is there cannot be seen yet, in what is compressed.
            return Ok((Some(claim), (rest - claim > claim).then(|| extra(rest - claim))));
        }
        if self.is_chunk_behind(input, end)? {
            return Ok((Some(claim), None));
        }
        let wrapped = claim + ((rest + 1 - claim) >> 32 << 32);
        if wrapped > claim
            && (rest - wrapped.min(rest) <= 1 || (self.is_chunk)(input, self.start + wrapped)?)
        {
            let text = format!("data size {claim}, found {wrapped} bytes");
            return Ok((Some(wrapped), Some(Remark::new(SIZE, text))));
        }
        let mut foreign = claim > 0 && !unknown && begins_foreign(input, end)?;
        // A file that was made longer before it was filled; not one of which next to nothing counts.
        if !foreign && !unknown && claim > rest / MOST_TIMES {
            foreign = is_zero(input, end..input.length)?;
        }
        if !foreign && (unknown || claim == 0 || rest - claim >= claim.max(FEW)) {
            return self.all(input, rest);
        }
        let told = !foreign && rest - claim > FEW;
        Ok((Some(claim), told.then(|| extra(rest - claim))))
    }

    /// Whether a chunk begins behind the sound, with or without a byte between them.
    fn is_chunk_behind(&mut self, input: &mut Input<'_>, end: u64) -> Result<bool> {
        Ok((self.is_chunk)(input, end)?
            || (self.bytes % 2 == 1 && (self.is_chunk)(input, end + 1)?))
    }

    /// All up to the end, or to the chunks and tags that are there.
    fn all(mut self, input: &mut Input<'_>, rest: u64) -> Result<(Option<u64>, Option<Remark>)> {
        let end = self.tail(input)?;
        let found = end.map_or(rest, |end| end - self.start);
        let text = format!("data size {}, found {found} bytes", self.bytes);
        Ok((end.map(|_| found), Some(Remark::new(SIZE, text))))
    }

    /// Where a chunk of a known name begins near the file's end, or a tag, if there is any.
    fn tail(&mut self, input: &mut Input<'_>) -> Result<Option<u64>> {
        let from = self.start.max(input.length.saturating_sub(TAIL));
        let from = from + (from - self.start) % 2;
        if !input.reaches(input.length) {
            return Ok(None);
        }
        let tag = input.length.saturating_sub(128);
        if tag >= from && input.get::<3>(tag)? == Some(*b"TAG") {
            return Ok(Some(tag));
        }
        let mut bytes = vec![0; (input.length - from) as usize];
        (input.read_at)(from, &mut bytes)?;
        for at in (0..bytes.len().saturating_sub(8)).step_by(2) {
            let name = &bytes[at..at + 4];
            let known = CHUNKS.iter().any(|known| name.eq_ignore_ascii_case(*known));
            if known && (self.is_chunk)(input, from + at as u64)? {
                return Ok(Some(from + at as u64));
            }
        }
        Ok(None)
    }
}

/// Chunks that are written behind the sound.
const CHUNKS: [&[u8; 4]; 16] = [
    b"LIST", b"bext", b"id3 ", b"cue ", b"smpl", b"fact", b"PEAK", b"JUNK", b"PAD ", b"iXML",
    b"axml", b"_PMX", b"afsp", b"DISP", b"plst", b"inst",
];

fn extra(bytes: u64) -> Remark {
    Remark::new(EXTRA, format!("{bytes} bytes behind the sound"))
}

/// Whether another file, a tag or a chunk of a known name begins at a place.
fn begins_foreign(input: &mut Input<'_>, at: u64) -> Result<bool> {
    let (bytes, read) = input.get_some::<12>(at, 12)?;
    let begins = |magic: &[u8]| bytes[..read].starts_with(magic);
    Ok(FOREIGN.iter().any(|magic| begins(magic)) || CHUNKS.iter().any(|name| begins(*name)))
}

/// Whether all places that are looked at are zero.
fn is_zero(input: &mut Input<'_>, range: Range<u64>) -> Result<bool> {
    let step = ((range.end - range.start) / PROBES).max(64);
    let mut at = range.start;
    while at < range.end {
        if !input.reaches((at + 64).min(range.end)) {
            break;
        }
        let (bytes, read) = input.get_some::<64>(at, range.end - at)?;
        if bytes[..read].iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += step;
    }
    Ok(true)
}
