//! Pictures turned and resized, against the plain way to do it.

#![allow(clippy::unwrap_used)]

use heartfast_core::colormap::{COLORMAP_NAMES, Colormap};
use heartfast_core::raster::{self, Color};
use heartfast_core::{Cancel, Error};
use proptest::prelude::*;

fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    raster::resize(pixels, from, to, &Cancel::new()).unwrap()
}

fn pixels(n: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (state >> 56) as u8
    };
    (0..n).map(|_| next()).collect()
}

/// Pixel `i` of a line of `to`, from a line of any length: the average of what it covers where
/// the line shrinks, else the line between the middles of two pixels.
fn resampled(line: &[f64], i: usize, to: usize) -> f64 {
    let n = line.len();
    let ratio = n as f64 / to as f64;
    if to < n {
        let (low, high) = (i as f64 * ratio, (i + 1) as f64 * ratio);
        let part = |k: usize| (high.min((k + 1) as f64) - low.max(k as f64)).max(0.0);
        line.iter().enumerate().map(|(k, x)| x * part(k)).sum::<f64>() / ratio
    } else {
        let middle = ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, (n - 1) as f64);
        let weight = |k: usize| (1.0 - (middle - k as f64).abs()).max(0.0);
        line.iter().enumerate().map(|(k, x)| x * weight(k)).sum()
    }
}

fn resized(pixels: &[u8], (h, w): (usize, usize), (to_h, to_w): (usize, usize)) -> Vec<f64> {
    let narrow: Vec<Vec<f64>> = pixels
        .chunks_exact(w)
        .map(|row| {
            let row: Vec<f64> = row.iter().map(|&p| f64::from(p)).collect();
            (0..to_w).map(|x| resampled(&row, x, to_w)).collect()
        })
        .collect();
    (0..to_h * to_w)
        .map(|at| {
            let column: Vec<f64> = (0..h).map(|y| narrow[y][at % to_w]).collect();
            resampled(&column, at / to_w, to_h)
        })
        .collect()
}

fn side() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..5, 1usize..60]
}

proptest! {
    #[test]
    fn resizing(from in (side(), side()), to in (side(), side()), seed in any::<u64>()) {
        let pixels = pixels(from.0 * from.1, seed);
        let actual = resize(&pixels, from, to);
        prop_assert_eq!(actual.len(), to.0 * to.1);
        for (a, e) in actual.iter().zip(resized(&pixels, from, to)) {
            // Rounded; the weights are single precision.
            prop_assert!((f64::from(*a) - e).abs() <= 0.501, "{a} for {e}");
        }
    }

    #[test]
    fn the_same_size_changes_nothing(size in (side(), side()), seed in any::<u64>()) {
        let pixels = pixels(size.0 * size.1, seed);
        prop_assert_eq!(resize(&pixels, size, size), pixels);
    }

    #[test]
    fn flat_pictures_stay_flat(
        from in (side(), side()),
        to in (1usize..300, 1usize..300),
        level in any::<u8>(),
    ) {
        let flat = resize(&vec![level; from.0 * from.1], from, to);
        prop_assert_eq!(flat, vec![level; to.0 * to.1]);
    }
}

#[test]
fn long_lines_keep_their_mean() {
    let line = pixels(100_003, 5);
    let mean = line.iter().map(|&p| f64::from(p)).sum::<f64>() / line.len() as f64;
    assert!((f64::from(resize(&line, (1, line.len()), (1, 1))[0]) - mean).abs() < 0.51);
    assert!((f64::from(resize(&line, (line.len(), 1), (1, 1))[0]) - mean).abs() < 0.51);
}

#[test]
fn colours() {
    assert_eq!(Color::from(Colormap::Gray), Color::Gray);
    assert_eq!(Color::Rgb.bytes_per_pixel(), 3);
    for name in COLORMAP_NAMES {
        let map = Colormap::from_name(name).unwrap_or(Colormap::Gray);
        assert_eq!(map.name(), name);
        assert_eq!(Color::from(map).bytes_per_pixel(), 1);
        assert_eq!(map.palette().is_none(), name == "gray");
        let luma = |c: &[u8; 3]| 2 * u32::from(c[0]) + 7 * u32::from(c[1]) + u32::from(c[2]);
        if let Some(palette) = map.palette() {
            let (low, high) = (luma(&palette[0]), luma(&palette[255]));
            match name {
                // Dark on light.
                "bw" | "seewave" | "heat" => assert!(high + 500 < low, "{name}"),
                // Dark at both ends.
                "turbo" => assert!(low.max(high) + 500 < luma(&palette[128])),
                _ => assert!(low + 1000 < high, "{name}"),
            }
        }
    }
    assert!(Colormap::from_name("jet").is_err());
}

#[test]
fn cancelled() {
    let cancel = Cancel::new();
    cancel.request();
    let outcome = raster::resize(&[0; 100], (10, 10), (5, 20), &cancel);
    assert!(matches!(outcome, Err(Error::Cancelled)));
}
