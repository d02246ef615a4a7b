//! Recordings in Ogg: the streams of Vorbis or FLAC in a file, one after the other, in time.
//! RFC 3533; Vorbis I specification, appendix A.

mod link;
mod pages;

use symphonia::core::io::MediaSource;

use super::Piece;
use crate::error::{Error, Result};
use crate::findings::{EXTRA, Findings, Remark};
use crate::limits::Limits;
use link::{Link, Order};
use pages::{Next, Page, Pages};

/// A file has a few streams beside each other; more are no recording.
const MOST_STREAMS: usize = 256;
/// Pages in front of a recording's sound: each has up to 64 KB.
const MOST_HEADERS: u32 = 4096;

const TWICE: &str = "pages that are there twice, of which one counts";

/// The sound of a file: that of the first stream that is read, and of those that follow it.
pub(super) struct Ogg<'s> {
    pages: Pages<'s>,
    link: Link,
    /// Of all streams beside each other.
    serials: Vec<u32>,
    /// Whether only first pages were read since the last that was none.
    beginning: bool,
    /// Bytes since the last page of the recording that are no page.
    other: u64,
    /// What was said of the headers.
    said: Findings,
    limits: Limits,
}

impl<'s> Ogg<'s> {
    /// # Errors
    /// [`Error::Unsupported`] for streams that are not read; [`Error::Decode`] for damaged headers;
    /// [`Error::Limit`].
    pub(super) fn open(source: Box<dyn MediaSource + 's>, limits: &Limits) -> Result<Self> {
        let mut ogg = Self {
            pages: Pages::new(source),
            link: Link::default(),
            serials: Vec::new(),
            beginning: false,
            other: 0,
            said: Findings::default(),
            limits: *limits,
        };
        let (mut nothing, mut said) = (Vec::new(), Findings::default());
        for _ in 0..MOST_HEADERS {
            if ogg.link.is_ready() {
                return Ok(Self { said, ..ogg });
            }
            if ogg.serials.is_empty() && ogg.other > 0 {
                break;
            }
            if ogg.next(&mut nothing, &mut said)?.end {
                break;
            }
        }
        Err(Error::decode("a stream of Vorbis or FLAC with all of its headers", "none"))
    }

    /// Channels and sample rate.
    pub(super) fn shape(&self) -> (usize, u32) {
        self.link.shape()
    }

    /// Reads a page, whatever is on it, and puts its samples into `out`, interleaved.
    ///
    /// # Errors
    /// [`Error::Decode`] for damage of which the length is not known, or streams that do not fit
    /// together; [`Error::Unsupported`]; [`Error::Limit`].
    pub(super) fn next(&mut self, out: &mut Vec<f32>, findings: &mut Findings) -> Result<Piece> {
        out.clear();
        self.said.remarks.drain(..).for_each(|remark| findings.remark(remark));
        if let Some(missing) = self.link.held(out) {
            return Ok(Piece { missing, end: false });
        }
        match self.pages.next()? {
            Next::Page(page) if page.first => self.begin(&page, out, findings),
            Next::Page(page) => {
                if self.beginning && !self.link.is_known() {
                    return Err(Error::unsupported("an Ogg stream"));
                }
                self.beginning = false;
                self.read(&page, out, findings)
            }
            Next::Other(bytes) => {
                self.other += bytes;
                Ok(Piece::default())
            }
            Next::End => {
                let missing = self.finish(out, findings)?;
                Ok(Piece { missing, end: true })
            }
        }
    }

    /// Reads a page that is not the first of its stream.
    fn read(&mut self, page: &Page, out: &mut Vec<f32>, findings: &mut Findings) -> Result<Piece> {
        if page.serial != self.link.serial {
            if self.serials.contains(&page.serial) {
                return Ok(Piece::default());
            }
            let found = format!("pages of stream {:08x} without it", page.serial);
            return Err(Error::decode("the first page of an Ogg stream", found));
        }
        let other = std::mem::take(&mut self.other);
        match self.link.order(page) {
            Order::Again => {
                findings.remark(Remark::stream(TWICE));
                return Ok(Piece::default());
            }
            Order::Later(count) => self.link.lose_pages(count, other > 0),
            Order::Next if other > 0 => {
                findings.remark(Remark::new(EXTRA, format!("{other} bytes between pages")));
            }
            Order::Next => {}
        }
        let missing = self.link.read(page, out, findings)?;
        Ok(Piece { missing, end: false })
    }

    /// Begins the next stream of the recording, or passes over one beside it.
    fn begin(&mut self, page: &Page, out: &mut Vec<f32>, findings: &mut Findings) -> Result<Piece> {
        let mut piece = Piece::default();
        if !self.beginning {
            piece.missing = self.finish(out, findings)?;
            self.serials.clear();
            self.beginning = true;
        }
        if self.serials.len() == MOST_STREAMS {
            let expected = format!("at most {MOST_STREAMS} Ogg streams beside each other");
            return Err(Error::decode(expected, "more"));
        }
        if self.serials.contains(&page.serial) {
            findings.remark(Remark::stream(TWICE));
        }
        let known = !self.serials.is_empty() && self.link.is_known();
        self.serials.push(page.serial);
        if !known {
            self.link = self.link.follow(page, &self.limits)?;
        }
        Ok(piece)
    }

    /// Puts what is left of a stream into `out`.
    fn finish(&mut self, out: &mut Vec<f32>, findings: &mut Findings) -> Result<u64> {
        let other = std::mem::take(&mut self.other);
        if !self.link.is_known() {
            return Ok(0);
        }
        if self.link.is_ended() {
            if other > 0 {
                findings.remark(Remark::new(EXTRA, format!("{other} bytes behind its end")));
            }
            return Ok(0);
        }
        if other > 0 && !self.pages.cut {
            let found = format!("{other} bytes of damage up to its end");
            return Err(Error::decode("the last page of an Ogg stream", found));
        }
        findings.remark(Remark::stream("no last page"));
        self.link.finish(out)
    }
}
