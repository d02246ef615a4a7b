//! Any picture, written and read by the `png` crate, is the same picture.

#![no_main]

use std::io::Cursor;

use heartfast_core::Cancel;
use heartfast_core::png::{Encoder, Preset};
use heartfast_core::raster::{Color, Image};
use libfuzzer_sys::fuzz_target;

/// A stored block has up to 65,535 bytes.
const MOST: usize = 70_000;

/// The input says how a picture of up to [`MOST`] bytes is made of the bytes that follow.
struct Recipe<'i> {
    small: bool,
    color: u8,
    width: usize,
    /// How often each byte is repeated, and all of them.
    stretch: usize,
    repeats: usize,
    noise: u8,
    bytes: &'i [u8],
}

impl<'i> Recipe<'i> {
    fn read(input: &'i [u8]) -> Option<Self> {
        let ([flags, low, high, stretch, repeats, noise], bytes) = input.split_first_chunk()?;
        Some(Self {
            small: flags & 1 == 1,
            color: flags >> 1 & 3,
            width: 1 + usize::from(u16::from_le_bytes([*low, *high])),
            stretch: 1 + usize::from(*stretch),
            repeats: 1 + usize::from(*repeats),
            noise: *noise,
            bytes,
        })
    }

    fn pixels(&self) -> Vec<u8> {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & self.noise
        };
        let stretched = self.bytes.iter().flat_map(|&b| std::iter::repeat_n(b, self.stretch));
        let one: Vec<u8> = stretched.take(MOST).collect();
        let all = one.iter().cycle().take(one.len().saturating_mul(self.repeats).min(MOST));
        all.map(|b| b.wrapping_add(noise())).collect()
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(recipe) = Recipe::read(input) else { return };
    let mut pixels = recipe.pixels();
    let mut palette = vec![[1, 2, 3]; 256];
    let color = match recipe.color {
        0 => Color::Gray,
        1 => Color::Rgb,
        _ => {
            palette.truncate(1 + usize::from(pixels.iter().copied().max().unwrap_or(0)));
            Color::Indexed(&palette)
        }
    };
    let stride = recipe.width * color.bytes_per_pixel();
    let height = pixels.len() / stride;
    pixels.truncate(height * stride);
    if height == 0 {
        return;
    }
    let image = Image { width: recipe.width, height, pixels: &pixels, color };
    let preset = if recipe.small { Preset::Small } else { Preset::Fast };
    let mut file = Vec::new();
    Encoder::new(preset).encode_into(&image, &[("a", "b")], &mut file, &Cancel::new()).unwrap();
    let texts_and_palette = 1000;
    assert!(file.len() <= texts_and_palette + (stride + 1) * height * 1001 / 1000);
    let mut reader = png::Decoder::new(Cursor::new(&file)).read_info().unwrap();
    let mut read = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut read).unwrap();
    reader.finish().unwrap();
    assert_eq!((frame.width as usize, frame.height as usize), (recipe.width, height));
    assert!(read == pixels);
});
