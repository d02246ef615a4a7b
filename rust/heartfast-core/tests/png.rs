//! What the `png` crate reads of what we write.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use heartfast_core::png::{Encoder, Preset, encode};
use heartfast_core::raster::{Color, Image, MAX_PIXELS};
use heartfast_core::{Cancel, Error};
use proptest::prelude::*;

struct Read {
    size: (usize, usize),
    color: png::ColorType,
    pixels: Vec<u8>,
    palette: Option<Vec<u8>>,
    texts: Vec<(String, String)>,
}

fn read(file: &[u8]) -> Read {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
    let info = reader.info();
    let texts = info.utf8_text.iter().map(|t| (t.keyword.clone(), t.get_text().unwrap())).collect();
    assert_eq!(frame.bit_depth, png::BitDepth::Eight);
    assert_eq!(pixels.len(), frame.buffer_size());
    Read {
        size: (frame.width as usize, frame.height as usize),
        color: frame.color_type,
        palette: info.palette.as_ref().map(|p| p.to_vec()),
        pixels,
        texts,
    }
}

/// The file by the fast preset or the small one.
fn encoded(image: &Image, preset: Preset) -> Vec<u8> {
    let mut file = Vec::new();
    Encoder::new(preset).encode_into(image, &[], &mut file, &Cancel::new()).unwrap();
    file
}

fn presets() -> impl Strategy<Value = Preset> {
    prop_oneof![Just(Preset::Fast), Just(Preset::Small)]
}

/// Bytes of several kinds: spectrogram noise, silence, both, gradients, all values, one value.
fn content(kind: u8, n: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (state >> 33) as u32
    };
    let constant = seed as u8;
    match kind {
        0 => (0..n).map(|_| next() as u8).collect(),
        1 => vec![constant; n],
        2 => (0..n).map(|k| if k / 700 % 2 == 0 { 0 } else { (next() % 9) as u8 }).collect(),
        3 => (0..n).map(|k| (k as u64 / (1 + seed % 50)) as u8).collect(),
        // Counts that grow as Fibonacci's numbers: the deepest Huffman trees.
        4 => {
            let mut bytes = Vec::with_capacity(n);
            let (mut a, mut b, mut value) = (1, 1, 0u8);
            while bytes.len() < n {
                bytes.extend(std::iter::repeat_n(value, a.min(n - bytes.len())));
                (a, b, value) = (b, a + b, value.wrapping_add(1));
            }
            // In no order, so that they are no runs.
            for k in (1..n).rev() {
                bytes.swap(k, next() as usize % (k + 1));
            }
            bytes
        }
        // Repeats from far and near, of many lengths.
        5 => {
            let mut bytes: Vec<u8> = (0..n.min(500)).map(|_| next() as u8).collect();
            while bytes.len() < n {
                let from = next() as usize % bytes.len();
                let some = bytes[from..].iter().copied().take(1 + next() as usize % 400);
                let some: Vec<u8> = some.take(n - bytes.len()).collect();
                bytes.extend(some);
                bytes.push(next() as u8);
            }
            bytes.truncate(n);
            bytes
        }
        // Pieces as long as those that are sampled, of which every fourth is not like the others.
        6 => {
            (0..n).map(|k| if k / 64 % 4 == seed as usize % 4 { 7 } else { next() as u8 }).collect()
        }
        // All five filters have rows that they suit: sums along rows, columns and both.
        7 => {
            let width = 1 + seed as usize % 300;
            let mut bytes = vec![0u8; n];
            for k in 0..n {
                let (x, y) = (k % width, k / width);
                let (left, up) = (
                    if x > 0 { bytes[k - 1] } else { 0 },
                    if y > 0 { bytes[k - width] } else { 0 },
                );
                let like = [left, up, left / 2 + up / 2, left.max(up)][y / 40 % 4];
                bytes[k] = like.wrapping_add((next() % 4) as u8);
            }
            bytes
        }
        _ => (0..n).map(|_| if next() % 20 == 0 { next() as u8 } else { constant }).collect(),
    }
}

fn sides() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        (1usize..50, 1usize..50),
        (Just(1usize), 1usize..3000),
        (1usize..3000, Just(1usize)),
        (100usize..500, 100usize..300),
    ]
}

proptest! {
    #[test]
    fn gray((width, height) in sides(), kind in 0u8..9, preset in presets(), seed in any::<u64>()) {
        let pixels = content(kind, width * height, seed);
        let image = Image { width, height, pixels: &pixels, color: Color::Gray };
        let file = encoded(&image, preset);
        // Never much longer than the bytes themselves.
        prop_assert!(file.len() <= 70 + (width + 1) * height * 1001 / 1000 + 16);
        let read = read(&file);
        prop_assert_eq!(read.size, (width, height));
        prop_assert_eq!(read.color, png::ColorType::Grayscale);
        prop_assert!(read.pixels == pixels);
    }

    #[test]
    fn rgb((width, height) in sides(), kind in 0u8..9, preset in presets(), seed in any::<u64>()) {
        let pixels = content(kind, 3 * width * height, seed);
        let image = Image { width, height, pixels: &pixels, color: Color::Rgb };
        let read = read(&encoded(&image, preset));
        prop_assert_eq!(read.size, (width, height));
        prop_assert_eq!(read.color, png::ColorType::Rgb);
        prop_assert!(read.pixels == pixels);
    }

    #[test]
    fn indexed(
        (width, height) in sides(),
        kind in 0u8..9,
        preset in presets(),
        palette in proptest::collection::vec(any::<[u8; 3]>(), 1..=256),
        seed in any::<u64>(),
    ) {
        let mut pixels = content(kind, width * height, seed);
        pixels.iter_mut().for_each(|p| *p = (usize::from(*p) % palette.len()) as u8);
        let image = Image { width, height, pixels: &pixels, color: Color::Indexed(&palette) };
        let read = read(&encoded(&image, preset));
        prop_assert_eq!(read.size, (width, height));
        prop_assert_eq!(read.color, png::ColorType::Indexed);
        prop_assert_eq!(read.palette.unwrap(), palette.as_flattened());
        prop_assert!(read.pixels == pixels);
    }

    #[test]
    fn texts(keyword in "[!-~]{1,79}", text in "[^\0]{0,300}") {
        let image = Image { width: 1, height: 1, pixels: &[7], color: Color::Gray };
        let read = read(&encode(&image, &[(&keyword, &text), ("second", "")]).unwrap());
        prop_assert_eq!(read.texts, [(keyword, text), ("second".to_owned(), String::new())]);
    }
}

#[test]
fn runs_of_every_length() {
    // A run goes on to the end, to another byte, over the end of a band of 32 KiB.
    for lengths in [1..700, 32_600..33_100] {
        for n in lengths.step_by(if cfg!(debug_assertions) { 3 } else { 1 }) {
            for tail in [0, 1, 2] {
                let mut pixels = vec![9; n];
                pixels.extend(&[200, 3][..tail]);
                let image =
                    Image { width: pixels.len(), height: 1, pixels: &pixels, color: Color::Gray };
                for preset in [Preset::Fast, Preset::Small] {
                    assert!(read(&encoded(&image, preset)).pixels == pixels, "{n} and {tail}");
                }
            }
        }
    }
}

/// Rows longer than a block, whose parts are filtered one by one, and blocks of all sizes.
#[test]
fn rows_that_are_longer_than_a_block() {
    for (width, height, kind) in [(32_767, 3, 3), (65_534, 2, 5), (65_535, 2, 7), (200_001, 3, 2)] {
        for color in [Color::Gray, Color::Rgb] {
            let pixels = content(kind, width * height * color.bytes_per_pixel(), 9);
            let image = Image { width, height, pixels: &pixels, color };
            for preset in [Preset::Fast, Preset::Small] {
                assert!(read(&encoded(&image, preset)).pixels == pixels, "{width} x {height}");
            }
        }
    }
}

/// The bounds are from what the pictures hold: some filter leaves one value of them, or eight.
#[test]
fn what_has_structure_becomes_small() {
    let (width, height) = (300, 300);
    let size = |pixels: &[u8], preset| {
        encoded(&Image { width, height, pixels, color: Color::Gray }, preset).len()
    };
    let byte = |f: &dyn Fn(usize, usize) -> usize| -> Vec<u8> {
        (0..width * height).map(|k| f(k % width, k / width) as u8).collect()
    };
    let noise = content(0, width * height, 5);
    // Gradients along either axis and both, then noise along either.
    for pixels in [
        byte(&|x, _| 3 * x),
        byte(&|_, y| 7 * y),
        byte(&|x, y| 3 * x + 7 * y),
        byte(&|x, _| noise[x].into()),
        byte(&|_, y| noise[y].into()),
    ] {
        assert!(size(&pixels, Preset::Fast) < 3000, "{}", size(&pixels, Preset::Fast));
    }
    // Three bits of noise a byte.
    let few = byte(&|x, y| 60 + usize::from(noise[x + width * y] % 8));
    assert!(size(&few, Preset::Fast) < width * height * 32 / 80);
    // Repeats that only a search finds.
    let tile = byte(&|x, y| noise[x % 37 + 37 * (y % 5)].into());
    assert!(size(&tile, Preset::Small) < 9000, "{}", size(&tile, Preset::Small));
    for kind in 0..9 {
        let pixels = content(kind, width * height, 4);
        let (fast, small) = (size(&pixels, Preset::Fast), size(&pixels, Preset::Small));
        assert!(small <= fast + fast / 50 + 200, "{kind}: {small} and {fast}");
    }
}

#[test]
fn an_encoder_keeps_nothing_of_the_last_picture() {
    let mut encoder = Encoder::default();
    let mut file = vec![1, 2, 3];
    for (width, height) in [(300, 200), (3, 2), (1, 5000), (400, 400)] {
        let pixels = content((width % 6) as u8, width * height, 3);
        let image = Image { width, height, pixels: &pixels, color: Color::Gray };
        encoder.encode_into(&image, &[("a", "b")], &mut file, &Cancel::new()).unwrap();
        assert!(file == encode(&image, &[("a", "b")]).unwrap());
        assert!(read(&file).pixels == pixels);
    }
}

#[test]
fn pictures_that_are_none() {
    let palette = [[0; 3]; 257];
    let error = |width, height, pixels: &[u8], color| match encode(
        &Image { width, height, pixels, color },
        &[],
    ) {
        Err(Error::Encode { expected, found }) => format!("{expected}; {found}"),
        other => panic!("{other:?}"),
    };
    for (width, height) in [(0, 1), (1, 0), (0, 0), (1 << 31, 1)] {
        let said = error(width, height, &[], Color::Gray);
        assert!(said.starts_with("a width and a height of 1 to 2147483647"), "{said}");
    }
    let side = (1 << 31) - 1;
    assert!(error(side, side, &[], Color::Gray).starts_with("at most"));
    assert!(error(MAX_PIXELS + 1, 1, &[], Color::Gray).starts_with("at most 1073741824 pixels"));
    assert_eq!(error(2, 2, &[0; 3], Color::Gray), "4 bytes for 2 x 2 pixels; 3 bytes");
    assert_eq!(error(2, 2, &[0; 4], Color::Rgb), "12 bytes for 2 x 2 pixels; 4 bytes");
    for n in [0, 257] {
        let said = error(1, 1, &[0], Color::Indexed(&palette[..n]));
        assert_eq!(said, format!("a palette of 1 to 256 colours; {n}"));
    }
    let said = error(1, 2, &[0, 9], Color::Indexed(&palette[..9]));
    assert_eq!(said, "indexes below 9, the palette's length; 9");
}

#[test]
fn cancelled() {
    let cancel = Cancel::new();
    cancel.request();
    let image = Image { width: 300, height: 300, pixels: &[7; 90_000], color: Color::Gray };
    let outcome = Encoder::default().encode_into(&image, &[], &mut Vec::new(), &cancel);
    assert!(matches!(outcome, Err(Error::Cancelled)));
}
