//! Effects against their definitions, value by value, in double precision.

#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;

use heartfast_core::config::{Hop, Reference, SpectrogramConfig};
use heartfast_core::effects::{Axis, Effects, Value, apply, shape, spectrogram};
use heartfast_core::tile::{Painter, paint};
use heartfast_core::window::Window;
use heartfast_core::{Cancel, Error};
use proptest::prelude::*;

const SR: u32 = 4000;

/// A configuration with these effects, frames of 1 ms and bins of 250 Hz.
fn config(effects: Effects) -> SpectrogramConfig {
    SpectrogramConfig { window_ms: 4.0, hop: Hop::Ms(1.0), effects, ..Default::default() }
}

fn applied<T: Value>(effects: Effects, values: &[f64], shape: (usize, usize)) -> Vec<f64> {
    let mut values: Vec<T> = values.iter().map(|&x| T::of(x)).collect();
    apply(&config(effects), SR, &mut values, shape, 1, &Cancel::new()).unwrap();
    values.into_iter().map(Into::into).collect()
}

/// What a value is, beyond the edges that of the mirror image.
fn mirrored(values: &[f64], (bins, frames): (usize, usize), bin: isize, frame: isize) -> f64 {
    let inside = |mut i: isize, n: isize| {
        while !(0..n).contains(&i) {
            i = if i < 0 { -1 - i } else { 2 * n - 1 - i };
        }
        i as usize
    };
    values[inside(bin, bins as isize) * frames + inside(frame, frames as isize)]
}

/// Every value from its neighbourhood.
fn local(shape: (usize, usize), value: impl Fn(isize, isize) -> f64) -> Vec<f64> {
    let (bins, frames) = (shape.0 as isize, shape.1 as isize);
    (0..bins).flat_map(|b| (0..frames).map(move |f| (b, f))).map(|(b, f)| value(b, f)).collect()
}

fn blurred(levels: &[f64], shape: (usize, usize), in_frames: f64, in_bins: f64) -> Vec<f64> {
    let weights = |sigma: f64| {
        let reach = (4.0 * sigma + 0.5) as isize;
        let weight =
            |i: isize| if i == 0 { 1.0 } else { (-0.5 * (i as f64 / sigma).powi(2)).exp() };
        let sum: f64 = (-reach..=reach).map(weight).sum();
        (-reach..=reach).map(|i| (i, weight(i) / sum)).collect::<Vec<_>>()
    };
    let (time, frequency) = (weights(in_frames), weights(in_bins));
    local(shape, |bin, frame| {
        let mut sum = 0.0;
        for (i, v) in &frequency {
            sum += time
                .iter()
                .map(|(j, w)| v * w * mirrored(levels, shape, bin + i, frame + j))
                .sum::<f64>();
        }
        sum
    })
}

fn close(found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        prop_assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{}: {} for {}", i, a, b);
    }
    Ok(())
}

prop_compose! {
    /// Magnitudes with their bins and frames.
    fn magnitudes()(bins in 1usize..9, frames in 1usize..40)(
        values in proptest::collection::vec(prop_oneof![3 => 0.0..10.0f64, 1 => Just(0.0)], bins * frames),
        shape in Just((bins, frames)),
    ) -> (Vec<f64>, (usize, usize)) {
        (values, shape)
    }
}

proptest! {
    #[test]
    fn medians((values, shape) in magnitudes(), half in (0usize..4, 0usize..4)) {
        let (frames, bins) = (half.0 as isize, half.1 as isize);
        let expected = local(shape, |bin, frame| {
            let mut all = Vec::new();
            for i in -bins..=bins {
                all.extend((-frames..=frames).map(|j| mirrored(&values, shape, bin + i, frame + j)));
            }
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        let median = (2 * half.0 + 1, 2 * half.1 + 1);
        let effects = || Effects { median, ..Default::default() };
        close(&applied::<f64>(effects(), &values, shape), &expected, 0.0)?;
        close(&applied::<f32>(effects(), &values, shape), &expected, 1e-6)?;
    }

    #[test]
    fn quantiles((values, shape) in magnitudes(), q in 0.0..=1.0f64) {
        let mut expected = Vec::new();
        for row in values.chunks(shape.1) {
            let mut sorted = row.to_vec();
            sorted.sort_by(f64::total_cmp);
            let at = q * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
            let quantile = low + (high - low) * (at - at.floor());
            expected.extend(row.iter().map(|x| (x - quantile).max(0.0)));
        }
        let effects = || Effects { quantile: Some(q), ..Default::default() };
        close(&applied::<f64>(effects(), &values, shape), &expected, 1e-12)?;
        close(&applied::<f32>(effects(), &values, shape), &expected, 1e-5)?;
    }

    #[test]
    fn gaussians((values, shape) in magnitudes(), ms in 0.0..3.0f64, bins in 0.0..2.0f64) {
        let max = values.iter().copied().fold(0.0, f64::max);
        let levels: Vec<f64> = values.iter().map(|m| m.max(max * 1e-4).ln()).collect();
        let smooth = blurred(&levels, shape, ms, bins);
        let silent = |x: f64| if max > 0.0 { x.exp() } else { 0.0 };
        let sigma = (ms, 250.0 * bins);
        let expected: Vec<f64> = smooth.iter().map(|&x| silent(x)).collect();
        let blur = Effects { blur: sigma, ..Default::default() };
        let unchanged = sigma == (0.0, 0.0);
        prop_assume!(!unchanged);
        close(&applied::<f64>(blur.clone(), &values, shape), &expected, 1e-9)?;
        close(&applied::<f32>(blur, &values, shape), &expected, 1e-4)?;
        let expected: Vec<f64> =
            levels.iter().zip(&smooth).map(|(x, s)| silent(2.0 * x - s)).collect();
        let sharpen = Effects { sharpen: sigma, ..Default::default() };
        close(&applied::<f64>(sharpen, &values, shape), &expected, 1e-9)?;
    }

    #[test]
    fn derivatives((values, shape) in magnitudes()) {
        let slope = |x: &dyn Fn(usize) -> f64, i: usize, n: usize| match (i, n) {
            (_, 1) => 0.0,
            (0, _) => x(1) - x(0),
            (i, n) if i + 1 == n => x(i) - x(i - 1),
            (i, _) => (x(i + 1) - x(i - 1)) / 2.0,
        };
        let (bins, frames) = shape;
        let by = |bin: isize, frame: isize| {
            let (bin, frame) = (bin as usize, frame as usize);
            let time = slope(&|f| values[bin * frames + f], frame, frames);
            let frequency = slope(&|b| values[b * frames + frame], bin, bins);
            (time, frequency)
        };
        type Length = fn((f64, f64)) -> f64;
        let axes: [(Axis, Length); 3] = [
            (Axis::Time, |(t, _)| t.abs()),
            (Axis::Frequency, |(_, f)| f.abs()),
            (Axis::Both, |(t, f)| t.hypot(f)),
        ];
        for (axis, length) in axes {
            let expected = local(shape, |bin, frame| length(by(bin, frame)));
            let effects = || Effects { derivative: Some(axis), ..Default::default() };
            close(&applied::<f64>(effects(), &values, shape), &expected, 1e-12)?;
            close(&applied::<f32>(effects(), &values, shape), &expected, 1e-5)?;
        }
    }

    #[test]
    fn noise((values, shape) in magnitudes(), strength in 0.1..3.0f64, percent in 1.0..100.0f64) {
        let (_, frames) = shape;
        let column = |frame: usize| values.iter().skip(frame).step_by(frames);
        let entropy = |frame: usize| {
            let sum: f64 = column(frame).map(|m| m * m).sum();
            let p = column(frame).map(|m| m * m / sum).filter(|p| *p > 0.0);
            if sum > 0.0 { -p.map(|p| p * p.ln()).sum::<f64>() } else { -1.0 }
        };
        let entropies: Vec<f64> = (0..frames).map(entropy).collect();
        let mut order: Vec<usize> = (0..frames).filter(|&f| entropies[f] > -0.5).collect();
        order.sort_by(|&a, &b| entropies[b].total_cmp(&entropies[a]));
        let count = ((percent / 100.0 * frames as f64).ceil() as usize).min(order.len());
        // Which frames are taken must not depend on rounding.
        prop_assume!(
            count == order.len() || entropies[order[count - 1]] - entropies[order[count]] > 1e-9
        );
        let mut expected = Vec::new();
        for row in values.chunks(frames) {
            let mean = order[..count].iter().map(|&f| row[f]).sum::<f64>() / count.max(1) as f64;
            expected.extend(row.iter().map(|m| (m - strength * mean).max(0.0)));
        }
        let effects =
            Effects { noise_reduction: strength, noise_percent: percent, ..Default::default() };
        close(&applied::<f64>(effects, &values, shape), &expected, 1e-9)?;
    }

    #[test]
    fn reassignment_moves_energy_and_loses_none(
        y in proptest::collection::vec(-1.0..1.0f64, 1..400),
        center in any::<bool>(),
        hop in 1.0..4.0f64,
        window in prop_oneof![Just(Window::Gaussian), Just(Window::Hann), Just(Window::Rectangular)],
    ) {
        let plain =
            SpectrogramConfig { center, window, hop: Hop::Ms(hop), ..config(Effects::default()) };
        let effects = Effects { reassign: true, ..Default::default() };
        let moved = SpectrogramConfig { effects, ..plain.clone() };
        let energy = |config: &SpectrogramConfig| {
            let (bins, frames) = shape(config, SR, y.len()).unwrap();
            let mut rows = vec![0.0; bins * frames];
            spectrogram(config, SR, (&y, y.len()), &mut rows, 1, &Cancel::new()).unwrap();
            rows.iter().map(|m| m * m).sum::<f64>()
        };
        let (before, after) = (energy(&plain), energy(&moved));
        prop_assert!((before - after).abs() <= 1e-9 * before, "{} of {}", after, before);
    }

    #[test]
    fn several_windows_are_their_geometric_mean(
        y in proptest::collection::vec(-1.0..1.0f64, 1..300),
        lengths in proptest::collection::vec(2usize..60, 1..4),
        center in any::<bool>(),
    ) {
        let ms = |n: usize| n as f64 / f64::from(SR) * 1000.0;
        let longest = lengths.iter().copied().max().unwrap();
        let effects = Effects {
            windows_ms: lengths[1..].iter().map(|&n| ms(n)).collect(),
            ..Default::default()
        };
        let config = SpectrogramConfig {
            window_ms: ms(lengths[0]), hop: Hop::Ms(1.0), effects, center,
            window: Window::Hamming, ..Default::default()
        };
        let (bins, frames) = shape(&config, SR, y.len()).unwrap();
        prop_assert_eq!(bins, longest / 2 + 1);
        let gain = |n: usize| Window::Hamming.samples(n, true).iter().sum::<f64>();
        let expected = local((bins, frames), |bin, frame| {
            let power: f64 = lengths.iter().map(|&n| {
                let window = Window::Hamming.samples(n, true);
                // The middle of any window stands where that of the longest does.
                let lead = n / 2;
                let time = 4 * frame + if center { 0 } else { (longest / 2) as isize };
                let (mut re, mut im) = (0.0, 0.0);
                for (k, w) in window.iter().enumerate() {
                    let at = time - lead as isize + k as isize;
                    let x = usize::try_from(at).ok().and_then(|i| y.get(i)).unwrap_or(&0.0) * w;
                    let (sin, cos) = (TAU * bin as f64 * at as f64 / longest as f64).sin_cos();
                    (re, im) = (re + x * cos, im - x * sin);
                }
                re.hypot(im) * gain(lengths[0]) / gain(n)
            }).product();
            power.powf(1.0 / lengths.len() as f64)
        });
        let mut rows = vec![0.0; bins * frames];
        spectrogram(&config, SR, (&y, y.len()), &mut rows, 1, &Cancel::new()).unwrap();
        // A root makes much of the rounding of next to nothing.
        close(&rows, &expected, 1e-4)?;
    }
}

#[test]
fn a_tone_and_a_click_are_where_they_are() {
    // A tone between two bins, and a click between two frames.
    // The tone's mirror image at -502.4 Hz disturbs: a rectangle's slope has energy everywhere.
    let windows = [
        (Window::Gaussian, 50..51, 0.98),
        (Window::Hann, 50..51, 0.999),
        (Window::Rectangular, 49..52, 0.9),
    ];
    for (window, tone_bins, most) in windows {
        let effects = Effects { reassign: true, ..Default::default() };
        let config = SpectrogramConfig { window, effects, zero_pad: 400, ..Default::default() };
        let mut tone: Vec<f64> =
            (0..4000).map(|k| (TAU * 502.4 * k as f64 / 4000.0).sin()).collect();
        let (bins, frames) = shape(&config, SR, 4000).unwrap();
        let energies = |y: &[f64]| {
            let mut rows = vec![0.0; bins * frames];
            spectrogram(&config, SR, (y, y.len()), &mut rows, 1, &Cancel::new()).unwrap();
            rows.iter().map(|m| m * m).collect::<Vec<f64>>()
        };
        let found = energies(&tone);
        // Away from the ends, where the tone begins and ends with clicks.
        let inside = |bins: std::ops::Range<usize>| -> f64 {
            bins.map(|bin| found[bin * frames + 3..(bin + 1) * frames - 3].iter().sum::<f64>())
                .sum()
        };
        let share = inside(tone_bins) / inside(0..bins);
        assert!(share > most, "{window:?}: {share}");

        tone.fill(0.0);
        tone[1960] = 1.0;
        let found = energies(&tone);
        let there: f64 = (0..bins).map(|bin| found[bin * frames + 20]).sum();
        assert!(there > 0.9999 * found.iter().sum::<f64>(), "{window:?}");
    }
}

#[test]
fn a_picture_is_that_of_its_magnitudes() {
    let samples: Vec<f32> = (0..6000)
        .map(|k| ((k * k % 977) as f32 / 977.0 - 0.5) * (k as f32 / 900.0).sin())
        .collect();
    let effects = Effects {
        windows_ms: vec![20.0],
        noise_reduction: 1.0,
        median: (3, 3),
        sharpen: (20.0, 50.0),
        ..Default::default()
    };
    // Samples far from 1 are multiplied on the way: the picture must not show it.
    for scale in [1.0, 2f32.powi(-40), 2f32.powi(50)] {
        for reference in [Reference::Max, Reference::Magnitude(3.0 * f64::from(scale))] {
            let effects = effects.clone();
            let config = SpectrogramConfig { effects, reference, ..Default::default() };
            let mut y: Vec<f32> = samples.iter().map(|x| x * scale).collect();
            let (bins, frames) = shape(&config, SR, y.len()).unwrap();
            let mut rows = vec![0.0; bins * frames];
            spectrogram(&config, SR, (&y, y.len()), &mut rows, 1, &Cancel::new()).unwrap();
            let geometry = config.geometry(SR).unwrap();
            let (_, _, expected) =
                paint(&rows, (bins, frames), &config, &geometry, &Cancel::new()).unwrap();
            let mut painter = Painter::new(&config).unwrap();
            let tile = painter.tile(&mut y, SR, &Cancel::new()).unwrap();
            assert_eq!((tile.height, tile.width), (bins, frames));
            let most = tile.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most <= Some(1), "{scale}, {reference:?}: {most:?}");
            assert!(tile.pixels.iter().any(|&p| p > 200));
        }
    }
}

#[test]
fn silence_stays_silence_and_cancelled_work_ends() {
    let every = Effects {
        noise_reduction: 1.0,
        quantile: Some(0.5),
        median: (3, 5),
        blur: (2.0, 300.0),
        sharpen: (2.0, 300.0),
        derivative: Some(Axis::Both),
        ..Default::default()
    };
    assert_eq!(applied::<f32>(every.clone(), &[0.0; 90], (9, 10)), [0.0; 90]);
    assert_eq!(applied::<f64>(every.clone(), &[], (9, 0)), []);
    let cancel = Cancel::new();
    cancel.request();
    let reassign = Effects { reassign: true, ..Default::default() };
    let windows = Effects { windows_ms: vec![8.0], ..Default::default() };
    for effects in [every, reassign, windows] {
        let config = config(effects);
        let (bins, frames) = shape(&config, SR, 1000).unwrap();
        let mut rows = vec![0.0f32; bins * frames];
        let found = spectrogram(&config, SR, (&[0.1; 1000], 1000), &mut rows, 1, &cancel);
        assert!(matches!(found, Err(Error::Cancelled)), "{found:?}");
    }
}
