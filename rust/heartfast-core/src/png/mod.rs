//! A PNG writer for spectrograms.
//!
//! Spectrogram noise hardly ever repeats, so the search for matches that takes most of a
//! general compressor's time finds nothing. Here each band of about 32 KiB has the filter that
//! a sample of it says and a Huffman code of its own, with runs of one byte (silence, flat
//! areas) as the only matches. See [`deflate`].
//!
//! ```
//! use heartfast_core::png::encode;
//! use heartfast_core::raster::{Color, Image};
//!
//! let image = Image { width: 2, height: 2, pixels: &[0, 85, 170, 255], color: Color::Gray };
//! let png = encode(&image, &[("Title", "four grays")])?;
//! assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
//! # Ok::<(), heartfast_core::Error>(())
//! ```

mod adler;
mod bits;
mod deflate;
mod filter;
mod header;
mod huffman;
mod matches;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::raster::{Color, Image, MAX_PIXELS};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Largest width or height that PNG knows.
const MAX_SIDE: usize = (1 << 31) - 1;

/// The bytes of a PNG file with the picture and these texts (keyword, UTF-8 text; as iTXt).
///
/// # Errors
/// [`Error::Encode`] if the picture is empty or too large, its bytes do not fit its size, its
/// palette has no or more than 256 colours, or a pixel names a colour that is not there.
pub fn encode(image: &Image, texts: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    Encoder::default().encode_into(image, texts, &mut file, &Cancel::new())?;
    Ok(file)
}

/// How much time the size of a file is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// As fast as it goes, at about the size that other writers need many times as long for.
    #[default]
    Fast,
    /// Smaller by a few percent, or many for pictures with repeats, at some twenty times the time.
    Small,
}

impl Preset {
    /// The preset of that name, `fast` or `small`.
    ///
    /// # Errors
    /// [`Error::Value`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "fast" => Ok(Self::Fast),
            "small" => Ok(Self::Small),
            _ => Err(Error::value("png", "fast or small", format_args!("{name:?}"))),
        }
    }
}

/// An encoder that keeps its working memory from picture to picture.
#[derive(Default)]
pub struct Encoder {
    preset: Preset,
    deflater: deflate::Deflater,
}

impl Encoder {
    /// An encoder by this preset; [`Encoder::default`] is fast.
    #[must_use]
    pub fn new(preset: Preset) -> Self {
        Self { preset, ..Self::default() }
    }

    /// [`encode`] into a buffer whose memory is used again.
    ///
    /// # Errors
    /// Those of [`encode`], and [`Error::Cancelled`] soon after `cancel` is set.
    pub fn encode_into(
        &mut self,
        image: &Image,
        texts: &[(&str, &str)],
        file: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<()> {
        check(image)?;
        self.write(image, texts, file, cancel)
    }

    fn write(
        &mut self,
        image: &Image,
        texts: &[(&str, &str)],
        file: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<()> {
        file.clear();
        file.extend(SIGNATURE);
        chunk(file, *b"IHDR", |data| {
            data.extend((image.width as u32).to_be_bytes());
            data.extend((image.height as u32).to_be_bytes());
            let color_type = match image.color {
                Color::Gray => 0,
                Color::Rgb => 2,
                Color::Indexed(_) => 3,
            };
            data.extend([8, color_type, 0, 0, 0]);
            Ok(())
        })?;
        for (keyword, text) in texts {
            chunk(file, *b"iTXt", |data| {
                data.extend(keyword.as_bytes());
                // End of the keyword; not compressed; no language, no translated keyword.
                data.extend([0, 0, 0, 0, 0]);
                data.extend(text.as_bytes());
                Ok(())
            })?;
        }
        if let Color::Indexed(palette) = image.color {
            chunk(file, *b"PLTE", |data| {
                data.extend(palette.as_flattened());
                Ok(())
            })?;
        }
        chunk(file, *b"IDAT", |data| {
            let step = image.color.bytes_per_pixel();
            let rows = filter::Rows { pixels: image.pixels, stride: image.width * step, step };
            self.deflater.zlib(rows, self.preset, data, cancel)
        })?;
        chunk(file, *b"IEND", |_| Ok(()))
    }
}

/// Appends a chunk whose content `write` appends.
fn chunk(
    file: &mut Vec<u8>,
    kind: [u8; 4],
    write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = file.len();
    file.extend([0; 4]);
    file.extend(kind);
    write(file)?;
    let length = (file.len() - start - 8) as u32;
    file[start..start + 4].copy_from_slice(&length.to_be_bytes());
    let crc = crc32fast::hash(&file[start + 4..]);
    file.extend(crc.to_be_bytes());
    Ok(())
}

fn check(image: &Image) -> Result<()> {
    let (w, h, bpp) = (image.width, image.height, image.color.bytes_per_pixel());
    let fail = |expected: String, found: String| Err(Error::Encode { expected, found });
    if w == 0 || h == 0 || w > MAX_SIDE || h > MAX_SIDE {
        let expected = format!("a width and a height of 1 to {MAX_SIDE} pixels");
        return fail(expected, format!("{w} x {h}"));
    }
    if w.checked_mul(h).is_none_or(|n| n > MAX_PIXELS) {
        return fail(format!("at most {MAX_PIXELS} pixels"), format!("{w} x {h}"));
    }
    if image.pixels.len() != w * h * bpp {
        let expected = format!("{} bytes for {w} x {h} pixels", w * h * bpp);
        return fail(expected, format!("{} bytes", image.pixels.len()));
    }
    if let Color::Indexed(palette) = image.color {
        if palette.is_empty() || palette.len() > 256 {
            return fail("a palette of 1 to 256 colours".into(), palette.len().to_string());
        }
        let top = image.pixels.iter().copied().max().unwrap_or(0);
        if usize::from(top) >= palette.len() {
            let expected = format!("indexes below {}, the palette's length", palette.len());
            return fail(expected, top.to_string());
        }
    }
    Ok(())
}
