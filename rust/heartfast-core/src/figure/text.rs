//! Text: one font, and its glyphs as they were drawn before.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use ab_glyph::{Font as _, FontVec, PxScale, ScaleFont as _};

use crate::error::{Error, Result};
use crate::source::{open_file, read_file};

/// Roboto, as `assets/README.md` says.
const ROBOTO: &[u8] = include_bytes!("../../assets/Roboto-Regular.ttf");
/// Bytes of the largest font file that is read: those of Chinese have 30 MB.
const MAX_FONT: u64 = 100_000_000;
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

/// A font, and the shapes of glyphs that were drawn with it.
pub(super) struct Font {
    font: FontVec,
    /// By character, size and the quarter of a pixel at which it begins.
    glyphs: HashMap<(char, u32, u8), Glyph>,
}

impl Font {
    /// The font of this file, or the one at hand.
    ///
    /// # Errors
    /// [`Error::Value`] if there is no font that can be read.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let wrong = |path: &Path, found: String| {
            Error::value(
                "font",
                "a TrueType or OpenType file",
                format_args!("{}: {found}", path.display()),
            )
        };
        let bytes = match path {
            None => ROBOTO.to_vec(),
            Some(path) => {
                let (_, known) = open_file(path).map_err(|e| wrong(path, e.to_string()))?;
                if known.size > MAX_FONT {
                    return Err(wrong(path, format!("{} bytes", known.size)));
                }
                read_file(path).map_err(|e| wrong(path, e.to_string()))?
            }
        };
        let font = FontVec::try_from_vec(bytes)
            .map_err(|e| wrong(path.unwrap_or(Path::new("Roboto")), e.to_string()))?;
        Ok(Self { font, glyphs: HashMap::new() })
    }

    /// The width of `text` in pixels.
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        let font = self.font.as_scaled(self.scale(size));
        text.chars().take(LONGEST).map(|c| f64::from(font.h_advance(font.glyph_id(c)))).sum()
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
        let font = self.font.as_scaled(self.scale(size));
        let mut left = most - self.width("\u{2026}", size);
        let fits = |c: &char| {
            left -= f64::from(font.h_advance(font.glyph_id(*c)));
            left >= 0.0
        };
        let mut short: String = text.chars().take(LONGEST).take_while(fits).collect();
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
        let mut pen = x;
        for c in text.chars().take(LONGEST) {
            let at = (pen * 4.0).round() / 4.0;
            let (column, quarter) = (at.floor() as i32, ((at - at.floor()) * 4.0) as u8);
            let key = (c, (size as f32).to_bits(), quarter);
            if !self.glyphs.contains_key(&key) {
                if self.glyphs.len() >= MOST_GLYPHS {
                    self.glyphs.clear();
                }
                let glyph = self.shape(c, size, f32::from(quarter) / 4.0);
                self.glyphs.insert(key, glyph);
            }
            let glyph = &self.glyphs[&key];
            if glyph.width > 0 {
                for (y, row) in (glyph.top..).zip(glyph.coverage.chunks_exact(glyph.width)) {
                    for (x, &coverage) in (column + glyph.left..).zip(row) {
                        if coverage > 0 {
                            put(x, y, coverage);
                        }
                    }
                }
            }
            let font = self.font.as_scaled(self.scale(size));
            pen += f64::from(font.h_advance(font.glyph_id(c)));
        }
    }

    fn shape(&self, c: char, size: f64, shift: f32) -> Glyph {
        let scale = self.scale(size);
        let id = self.font.glyph_id(c);
        let glyph = id.with_scale_and_position(scale, ab_glyph::point(shift, 0.0));
        let Some(outline) = self.font.outline_glyph(glyph) else {
            return self.box_or_space(c, size);
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

    /// A glyph without an outline: a space, or, where the font has none for what it does not
    /// know, a box.
    fn box_or_space(&self, c: char, size: f64) -> Glyph {
        let font = self.font.as_scaled(self.scale(size));
        let width = f64::from(font.h_advance(font.glyph_id(c))) as usize;
        if c.is_whitespace() || self.font.glyph_id(c).0 != 0 || width < 3 {
            return Glyph { left: 0, top: 0, width: 0, coverage: Vec::new() };
        }
        let height = (Self::height(size) as usize).max(3);
        let edge = |x, y| x == 1 || x + 1 == width || y == 0 || y + 1 == height;
        let coverage = (0..height)
            .flat_map(|y| (0..width).map(move |x| if x > 0 && edge(x, y) { 255 } else { 0 }))
            .collect();
        Glyph { left: 0, top: -(height as i32), width, coverage }
    }

    /// Such that the font's em has `size` pixels, as everywhere else.
    fn scale(&self, size: f64) -> PxScale {
        let em = self.font.units_per_em().unwrap_or(1000.0);
        PxScale::from(size as f32 * self.font.height_unscaled() / em)
    }
}
