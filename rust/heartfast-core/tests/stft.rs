//! The transform against the definition of the DFT, in double precision.

#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;

use heartfast_core::stft::{Complex, Framing, Real, Stft, magnitudes, spectra};
use heartfast_core::window::Window;
use heartfast_core::{Cancel, Error};
use proptest::prelude::*;

/// Numbers from -1 to 1.
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// All frames of `signal`, one after the other, by the definition.
fn by_definition(
    signal: &[f64],
    window: &[f64],
    hop: usize,
    n_fft: usize,
    center: bool,
) -> Vec<Vec<Complex<f64>>> {
    let turns: Vec<Complex<f64>> =
        (0..n_fft).map(|k| Complex::from_polar(1.0, -TAU * k as f64 / n_fft as f64)).collect();
    let lead = if center { window.len() / 2 } else { 0 } as isize;
    let pad = (n_fft - window.len()) / 2;
    let frames = if center {
        signal.len() / hop + 1
    } else {
        signal.len().saturating_sub(window.len()) / hop + 1
    };
    let at = |i: isize| usize::try_from(i).ok().and_then(|i| signal.get(i)).copied().unwrap_or(0.0);
    (0..frames)
        .map(|frame| {
            let start = (frame * hop) as isize - lead;
            let product: Vec<f64> =
                window.iter().enumerate().map(|(j, w)| w * at(start + j as isize)).collect();
            (0..=n_fft / 2)
                .map(|bin| {
                    let term = |(j, x): (usize, &f64)| turns[bin * (pad + j) % n_fft] * x;
                    product.iter().enumerate().map(term).sum()
                })
                .collect()
        })
        .collect()
}

/// All frames of `signal` as `Stft` has them, in double precision.
fn transformed<T: Real + Into<f64>>(stft: &Stft<T>, signal: &[f64]) -> Vec<Vec<Complex<f64>>> {
    let signal: Vec<T> = signal.iter().map(|&x| T::of(x)).collect();
    let mut frames = Vec::new();
    let all = 0..stft.frames(signal.len());
    stft.for_each_frame(&signal, all, &mut stft.scratch(), &Cancel::new(), |frame, spectrum| {
        assert_eq!(frame, frames.len());
        frames.push(spectrum.iter().map(|z| Complex::new(z.re.into(), z.im.into())).collect());
    })
    .unwrap();
    frames
}

/// Compares both precisions with the definition, relative to the loudest a bin can be.
fn check(signal: &[f64], window: &[f64], hop: usize, n_fft: usize, center: bool) {
    let expected = by_definition(signal, window, hop, n_fft, center);
    let scale: f64 = window.iter().sum::<f64>().max(1e-3);
    let double = Stft::<f64>::new(window, hop, n_fft, center).unwrap();
    let single = Stft::<f32>::new(window, hop, n_fft, center).unwrap();
    assert_eq!(double.frames(signal.len()), expected.len());
    assert_eq!(double.bins(), n_fft / 2 + 1);
    let actual = [(transformed(&double, signal), 1e-13), (transformed(&single, signal), 1e-6)];
    for (actual, bound) in actual {
        assert_eq!(actual.len(), expected.len());
        for (frame, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
            assert_eq!(actual.len(), expected.len());
            for (bin, (a, e)) in actual.iter().zip(expected).enumerate() {
                let error = (a - e).norm() / scale;
                assert!(error < bound, "n_fft {n_fft}, frame {frame}, bin {bin}: off by {error}");
            }
        }
    }
}

#[test]
fn every_short_length() {
    for n_fft in 1..=512 {
        // Three frames, the last with no partner for its transform.
        let hop = n_fft / 2 + 1;
        let signal = noise(2 * hop, n_fft as u64);
        check(&signal, &Window::Rectangular.samples(n_fft, true), hop, n_fft, true);
    }
}

#[test]
fn some_long_lengths() {
    for n_fft in [513, 600, 720, 1009, 1024, 2048, 2187, 2205, 2206, 2304, 4096, 4097] {
        let signal = noise(n_fft + 100, n_fft as u64);
        check(&signal, &Window::Gaussian.samples(n_fft, true), n_fft, n_fft, true);
    }
}

proptest! {
    #[test]
    fn any_shape(
        n in 0usize..400,
        win_length in 1usize..130,
        padding in prop_oneof![Just(0), 0usize..150],
        hop in 1usize..170,
        center in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let window = noise(win_length, seed ^ 7).iter().map(|w| w.abs()).collect::<Vec<_>>();
        check(&noise(n, seed), &window, hop, win_length + padding, center);
    }

    #[test]
    fn rows_are_the_frames_turned(
        (n, hop) in prop_oneof![(1usize..2000, 1usize..50), (1usize..20_000, 1usize..3)],
        n_fft in 1usize..70,
        signals in 0usize..4,
        threads in 1usize..5,
        seed in any::<u64>(),
    ) {
        let signal = noise(n * signals, seed);
        let stft = Stft::<f64>::new(&vec![1.0; n_fft], hop, n_fft, true).unwrap();
        let (bins, frames) = (stft.bins(), stft.frames(n));
        let mut rows = vec![f64::NAN; signals * bins * frames];
        let cancel = Cancel::new();
        stft.rows((&signal, n), &mut rows, threads, &cancel, |z| z.norm_sqr()).unwrap();
        for (signal, rows) in signal.chunks_exact(n).zip(rows.chunks_exact(bins * frames)) {
            for (frame, spectrum) in transformed(&stft, signal).iter().enumerate() {
                for (bin, z) in spectrum.iter().enumerate() {
                    prop_assert_eq!(rows[bin * frames + frame], z.norm_sqr());
                }
            }
        }
    }
}

#[test]
fn some_of_the_frames() {
    let signal = noise(1000, 5);
    let stft = Stft::<f64>::new(&Window::Hann.samples(64, true), 16, 64, true).unwrap();
    let all = transformed(&stft, &signal);
    for range in [0..3, 4..5, 10..21, 62..63] {
        let mut seen = Vec::new();
        stft.for_each_frame(
            &signal,
            range.clone(),
            &mut stft.scratch(),
            &Cancel::new(),
            |frame, spectrum| seen.push((frame, spectrum.to_vec())),
        )
        .unwrap();
        assert_eq!(
            seen.iter().map(|(frame, _)| *frame).collect::<Vec<_>>(),
            range.clone().collect::<Vec<_>>()
        );
        for ((_, spectrum), expected) in seen.iter().zip(&all[range]) {
            for (a, b) in spectrum.iter().zip(expected) {
                assert!((a - b).norm() < 1e-12);
            }
        }
    }
}

#[test]
fn cancelled() {
    let stft = Stft::<f32>::new(&[1.0; 8], 2, 8, true).unwrap();
    let cancel = Cancel::new();
    let mut seen = 0;
    let outcome = stft.for_each_frame(&[0.5; 40], 0..21, &mut stft.scratch(), &cancel, |_, _| {
        seen += 1;
        cancel.request();
    });
    assert!(matches!(outcome, Err(Error::Cancelled)));
    // The two frames of one FFT.
    assert_eq!(seen, 2);
    let mut rows = [0.0; 5 * 21];
    let outcome = stft.rows((&[0.5; 40], 40), &mut rows, 3, &cancel, |z| z.re);
    assert!(matches!(outcome, Err(Error::Cancelled)));
}

#[test]
fn one_plan_for_many_signals() {
    let stft = Stft::<f64>::new(&Window::Hann.samples(64, true), 16, 100, true).unwrap();
    let mut scratch = stft.scratch();
    for seed in 0..4 {
        let signal = noise(500 - 100 * seed as usize, seed);
        let mut again = Vec::new();
        let frames = 0..stft.frames(signal.len());
        stft.for_each_frame(&signal, frames, &mut scratch, &Cancel::new(), |_, spectrum| {
            again.push(spectrum.to_vec());
        })
        .unwrap();
        assert_eq!(again, transformed(&stft, &signal));
    }
}

#[test]
fn lengths_that_do_not_fit() {
    let error = |window: &[f64], hop, n_fft| match Stft::<f32>::new(window, hop, n_fft, true) {
        Err(Error::Value { field, .. }) => field,
        _ => "none",
    };
    assert_eq!(error(&[], 1, 4), "win_length");
    assert_eq!(error(&[1.0; 4], 0, 4), "hop_length");
    assert_eq!(error(&[1.0; 4], 1, 3), "n_fft");
    assert_eq!(error(&[1.0; 4], 1, 4), "none");
}

/// Every length by whatever way it takes: lanes or, where they have no plan, pairs of frames.
#[test]
fn every_length_by_definition() {
    let beyond = [4410, 4802, 5003, 8192, 10_007, 17_640, 22_050, 30_030, 32_768, 65_536];
    for n_fft in (2..=4096).chain(beyond) {
        let win_length = n_fft - n_fft / 5;
        let window = Window::Hann.samples(win_length, true);
        let hop_length = win_length / 3 + 1;
        let signal: Vec<f32> =
            noise(5 * hop_length, n_fft as u64).iter().map(|&x| x as f32).collect();
        let framing = Framing { window, hop_length, n_fft, center: true };
        let (bins, frames) = framing.shape(signal.len()).unwrap();
        let mut rows = vec![Complex::new(0.0, 0.0); bins * frames];
        spectra(&framing, (&signal, signal.len()), &mut rows, 1, &Cancel::new()).unwrap();
        let mut magnitudes_of = vec![0.0; bins * frames];
        magnitudes(&framing, (&signal, signal.len()), &mut magnitudes_of, 1, &Cancel::new())
            .unwrap();
        let tolerance = 3e-6 * (n_fft as f64).sqrt();
        for (bin, frame) in [(0, 0), (1, 1), (bins / 2, 2), (bins * 2 / 3, 3), (bins - 1, 5)] {
            let expected: Complex<f64> = (0..win_length)
                .map(|k| {
                    let at = (frame * hop_length + k).checked_sub(win_length / 2);
                    let x = at.and_then(|at| signal.get(at)).map_or(0.0, |&x| f64::from(x));
                    let turns = (bin * ((n_fft - win_length) / 2 + k)) % n_fft;
                    let angle = -TAU * turns as f64 / n_fft as f64;
                    Complex::from_polar(x * framing.window[k], angle)
                })
                .sum();
            let found = rows[bin * frames + frame];
            let found = Complex::new(f64::from(found.re), f64::from(found.im));
            assert!((found - expected).norm() < tolerance, "{n_fft}: {found} for {expected}");
            let magnitude = f64::from(magnitudes_of[bin * frames + frame]);
            assert!((magnitude - expected.norm()).abs() < tolerance, "{n_fft}: {magnitude}");
        }
    }
}
