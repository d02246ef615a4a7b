//! Text: its fonts, and their glyphs as they were drawn before.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::OnceLock;

use ab_glyph::{Font as _, FontArc, PxScale, ScaleFont as _};
use sha2::{Digest, Sha256};

use super::fonts::{MAX_FONT, SystemFont, font_with};
use super::letters::{Kind, composed, standing};
use crate::error::{Error, Result};
use crate::json::hex;
use crate::source::{open_file, read_file};

/// Roboto, as `assets/README.md` says.
const ROBOTO: &[u8] = include_bytes!("../../assets/Roboto-Regular.ttf");
/// Glyphs that are kept; a collection of names in Chinese has more.
const MOST_GLYPHS: usize = 4096;
/// Characters of the longest text: more than fit into any picture.
const LONGEST: usize = 2000;

/// A glyph's shape.
struct Glyph {
    /// Of the top left pixel, from the pen.
    left: i32,
    top: i32,
    width: usize,
    /// How much of each pixel it covers, 0 to 255, in rows.
    coverage: Vec<u8>,
}

impl Glyph {
    fn height(&self) -> i32 {
        self.coverage.len().checked_div(self.width).unwrap_or(0) as i32
    }
}

/// What has a character's glyph.
#[derive(Clone, Copy)]
enum Source {
    /// The configuration's font, or the built-in one.
    First,
    /// The built-in font, where the configuration has another.
    BuiltIn,
    System(&'static SystemFont),
    /// Nothing: a box.
    None,
}

/// A font, others for what it does not have, and the shapes of glyphs that were drawn.
pub(super) struct Font {
    first: FontArc,
    /// Of the first font's file, in hexadecimal digits, where it is not the built-in one.
    sha256: Option<String>,
    built_in: Option<FontArc>,
    /// What has the characters that the first font does not have.
    sources: RefCell<HashMap<char, Source>>,
    /// By character, size and the quarter of a pixel at which it begins.
    glyphs: HashMap<(char, u32, u8), Glyph>,
    /// Characters without a glyph that were drawn.
    missing: BTreeSet<char>,
    /// Fonts of this machine that were drawn with.
    used: BTreeSet<String>,
}

/// The built-in font.
fn built_in() -> Result<FontArc> {
    static FONT: OnceLock<Option<FontArc>> = OnceLock::new();
    let font = FONT.get_or_init(|| FontArc::try_from_slice(ROBOTO).ok());
    font.clone().ok_or_else(|| Error::value("font", "the built-in font", "a damaged one"))
}

impl Font {
    /// The font of this file, or the built-in one.
    ///
    /// # Errors
    /// [`Error::Value`] if there is no font that can be read.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let (first, sha256, built_in) = match path {
            None => (built_in()?, None, None),
            Some(path) => {
                let (font, sha256) = read(path)?;
                (font, Some(sha256), Some(built_in()?))
            }
        };
        Ok(Self {
            first,
            sha256,
            built_in,
            sources: RefCell::default(),
            glyphs: HashMap::new(),
            missing: BTreeSet::new(),
            used: BTreeSet::new(),
        })
    }

    /// SHA-256 of the first font's file in hexadecimal digits; none of the built-in one.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// The width of `text` in pixels.
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        composed(text).chars().take(LONGEST).map(|c| self.advance(c, size)).sum()
    }

    /// How far a character moves the pen.
    fn advance(&self, c: char, size: f64) -> f64 {
        if Kind::of(c) == Kind::Letter { self.advance_alone(c, size) } else { 0.0 }
    }

    /// The same of a character that stands by itself.
    fn advance_alone(&self, c: char, size: f64) -> f64 {
        self.with(c, |font| {
            f64::from(font.as_scaled(scale(font, size)).h_advance(font.glyph_id(c)))
        })
    }

    /// Calls `work` with the font that has the character, or the first.
    fn with<T>(&self, c: char, work: impl FnOnce(&FontArc) -> T) -> T {
        match self.source(c) {
            Source::First | Source::None => work(&self.first),
            Source::BuiltIn => work(self.built_in.as_ref().unwrap_or(&self.first)),
            Source::System(font) => work(font.font().unwrap_or(&self.first)),
        }
    }

    fn source(&self, c: char) -> Source {
        if has(&self.first, c) || c.is_whitespace() {
            return Source::First;
        }
        *self.sources.borrow_mut().entry(c).or_insert_with(|| {
            if self.built_in.as_ref().is_some_and(|font| has(font, c)) {
                Source::BuiltIn
            } else {
                font_with(c).map_or(Source::None, Source::System)
            }
        })
    }

    /// Pixels from the base line to the top of figures and capitals.
    #[must_use]
    pub(super) fn height(size: f64) -> f64 {
        // Roboto's capitals have 1456 of 2048 units.
        0.711 * size
    }

    /// `text`, if it is no wider than `most` pixels, else its beginning with an ellipsis.
    pub(super) fn shorten<'t>(&self, text: &'t str, size: f64, most: f64) -> Cow<'t, str> {
        if self.width(text, size) <= most {
            return Cow::Borrowed(text);
        }
        let mut left = most - self.width("\u{2026}", size);
        let fits = |c: &char| {
            left -= self.advance(*c, size);
            left >= 0.0
        };
        let mut short: String = composed(text).chars().take(LONGEST).take_while(fits).collect();
        short.truncate(short.trim_end().len());
        Cow::Owned(if most > 0.0 { short + "\u{2026}" } else { short })
    }

    /// Gives the pixels that `text` covers, with how much (0 to 255), to `put`: those of a line
    /// that begins at `x` on the base line 0. Columns and rows may be negative.
    pub(super) fn draw(
        &mut self,
        text: &str,
        size: f64,
        x: f64,
        mut put: impl FnMut(i32, i32, u8),
    ) {
        let (mut pen, mut letter) = (x, Letter { left: x, middle: x, top: 0 });
        for c in composed(text).chars().take(LONGEST) {
            match Kind::of(c) {
                Kind::Unseen => {}
                Kind::Letter => {
                    let advance = self.advance_alone(c, size);
                    let top = self.put(c, size, (pen, 0), &mut put);
                    letter = Letter { left: pen, middle: pen + advance / 2.0, top };
                    pen += advance;
                }
                kind => self.put_mark((c, kind), size, pen, &mut letter, &mut put),
            }
        }
    }

    /// Draws a combining mark with the letter before it.
    fn put_mark(
        &mut self,
        (mark, kind): (char, Kind),
        size: f64,
        pen: f64,
        letter: &mut Letter,
        put: &mut impl FnMut(i32, i32, u8),
    ) {
        let Some(twin) = standing(mark).filter(|twin| has(&self.first, *twin)) else {
            // A font with the mark itself has it where it belongs, behind the pen.
            if matches!(self.source(mark), Source::None) {
                self.missing.insert(mark);
            } else {
                self.put(mark, size, (pen, 0), put);
            }
            return;
        };
        let x = (letter.middle - self.advance_alone(twin, size) / 2.0).max(letter.left - size);
        let mut down = 0;
        if kind == Kind::Above {
            let (glyph, _) = self.glyph(twin, size, x);
            let gap = (size / 14.0).round() as i32;
            down = (letter.top - gap - (glyph.top + glyph.height())).min(0);
            letter.top = glyph.top + down;
        }
        self.put(twin, size, (x, down), put);
    }

    /// Draws a character at this place; its highest row.
    fn put(
        &mut self,
        c: char,
        size: f64,
        (x, down): (f64, i32),
        put: &mut impl FnMut(i32, i32, u8),
    ) -> i32 {
        match self.source(c) {
            Source::None => {
                self.missing.insert(c);
            }
            Source::System(font) => {
                self.used.insert(font.name());
            }
            Source::First | Source::BuiltIn => {}
        }
        let (glyph, column) = self.glyph(c, size, x);
        if glyph.width > 0 {
            for (y, row) in (glyph.top..).zip(glyph.coverage.chunks_exact(glyph.width)) {
                for (x, &coverage) in (column + glyph.left..).zip(row) {
                    if coverage > 0 {
                        put(x, y + down, coverage);
                    }
                }
            }
        }
        glyph.top
    }

    /// A character's shape where the pen is at `x`, and the pen's column.
    fn glyph(&mut self, c: char, size: f64, x: f64) -> (&Glyph, i32) {
        let at = (x * 4.0).round() / 4.0;
        let (column, quarter) = (at.floor() as i32, ((at - at.floor()) * 4.0) as u8);
        let key = (c, (size as f32).to_bits(), quarter);
        if !self.glyphs.contains_key(&key) {
            if self.glyphs.len() >= MOST_GLYPHS {
                self.glyphs.clear();
            }
            let glyph = self.with(c, |font| shape(font, c, size, f32::from(quarter) / 4.0));
            self.glyphs.insert(key, glyph);
        }
        (&self.glyphs[&key], column)
    }

    /// The characters without a glyph, and the names of this machine's fonts, that were drawn
    /// since the last call.
    pub(super) fn drawn(&mut self) -> (BTreeSet<char>, Vec<String>) {
        let used = std::mem::take(&mut self.used);
        (std::mem::take(&mut self.missing), used.into_iter().collect())
    }
}

/// A letter that was drawn, for the marks that belong to it.
struct Letter {
    left: f64,
    middle: f64,
    /// Its highest row.
    top: i32,
}

fn read(path: &Path) -> Result<(FontArc, String)> {
    let wrong = |found: String| {
        Error::value(
            "font",
            "a TrueType or OpenType file",
            format_args!("{}: {found}", path.display()),
        )
    };
    let (_, known) = open_file(path).map_err(|e| wrong(e.to_string()))?;
    if known.size > MAX_FONT {
        return Err(wrong(format!("{} bytes", known.size)));
    }
    let bytes = read_file(path).map_err(|e| wrong(e.to_string()))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let font = FontArc::try_from_vec(bytes).map_err(|e| wrong(e.to_string()))?;
    Ok((font, sha256))
}

fn has(font: &FontArc, c: char) -> bool {
    font.glyph_id(c).0 != 0
}

/// Such that the font's em has `size` pixels, as everywhere else.
fn scale(font: &FontArc, size: f64) -> PxScale {
    let em = font.units_per_em().unwrap_or(1000.0);
    PxScale::from(size as f32 * font.height_unscaled() / em)
}

fn shape(font: &FontArc, c: char, size: f64, shift: f32) -> Glyph {
    if c.is_whitespace() {
        return Glyph { left: 0, top: 0, width: 0, coverage: Vec::new() };
    }
    let id = font.glyph_id(c);
    let glyph = id.with_scale_and_position(scale(font, size), ab_glyph::point(shift, 0.0));
    let Some(outline) = font.outline_glyph(glyph) else {
        return box_or_nothing(font, c, size);
    };
    let bounds = outline.px_bounds();
    let (width, height) = (bounds.width() as usize, bounds.height() as usize);
    let mut coverage = vec![0; width * height];
    outline.draw(|x, y, c| {
        if let Some(pixel) = coverage.get_mut(y as usize * width + x as usize) {
            *pixel = (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        }
    });
    Glyph { left: bounds.min.x as i32, top: bounds.min.y as i32, width, coverage }
}

/// A glyph without an outline: nothing, or, where the font has none for what it does not know, a
/// box.
fn box_or_nothing(font: &FontArc, c: char, size: f64) -> Glyph {
    let scaled = font.as_scaled(scale(font, size));
    let width = f64::from(scaled.h_advance(font.glyph_id(c))) as usize;
    if font.glyph_id(c).0 != 0 || width < 3 {
        return Glyph { left: 0, top: 0, width: 0, coverage: Vec::new() };
    }
    let height = (Font::height(size) as usize).max(3);
    let edge = |x, y| x == 1 || x + 1 == width || y == 0 || y + 1 == height;
    let coverage = (0..height)
        .flat_map(|y| (0..width).map(move |x| if x > 0 && edge(x, y) { 255 } else { 0 }))
        .collect();
    Glyph { left: 0, top: -(height as i32), width, coverage }
}
