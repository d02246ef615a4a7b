//! Settings: what is refused, and what they come to at a sample rate.

#![allow(clippy::unwrap_used)]

use heartfast_core::Error;
use heartfast_core::colormap::Colormap;
use heartfast_core::config::{
    Geometry, Hop, MAX_N_FFT, MAX_SIDE, MAX_WINDOW_MS, Reference, SpectrogramConfig,
};
use heartfast_core::effects::{Axis, Effects, MAX_WINDOWS};
use heartfast_core::figure::{FigureConfig, Theme};
use heartfast_core::window::Window;
use proptest::prelude::*;

type Change = fn(&mut SpectrogramConfig);

#[test]
fn fields_out_of_range() {
    let bad: [(&str, Change); 33] = [
        ("window_ms", |c| c.window_ms = 0.0),
        ("window_ms", |c| c.window_ms = f64::NAN),
        ("window_ms", |c| c.window_ms = MAX_WINDOW_MS * 1.01),
        ("overlap", |c| c.hop = Hop::Overlap(100.0)),
        ("overlap", |c| c.hop = Hop::Overlap(-0.1)),
        ("overlap", |c| c.hop = Hop::Overlap(f64::NAN)),
        ("hop_ms", |c| c.hop = Hop::Ms(0.0)),
        ("hop_ms", |c| c.hop = Hop::Ms(f64::INFINITY)),
        ("zero_pad", |c| c.zero_pad = MAX_N_FFT + 1),
        ("dynamic_range", |c| c.dynamic_range = 0.0),
        ("dynamic_range", |c| c.dynamic_range = 1001.0),
        ("ref", |c| c.reference = Reference::Magnitude(0.0)),
        ("ref", |c| c.reference = Reference::Magnitude(f64::INFINITY)),
        ("ref", |c| c.reference = Reference::Magnitude(f64::NAN)),
        ("fmin", |c| c.fmin = Some(-1.0)),
        ("fmax", |c| c.fmax = Some(f64::NAN)),
        ("fmin", |c| (c.fmin, c.fmax) = (Some(5.0), Some(5.0))),
        ("size", |c| c.size = Some((0, 1))),
        ("size", |c| c.size = Some((1, MAX_SIDE + 1))),
        ("size", |c| c.size = Some((MAX_SIDE + 1, 1))),
        ("reassign, windows_ms", |c| {
            (c.effects.reassign, c.effects.windows_ms) = (true, vec![10.0]);
        }),
        ("windows_ms", |c| c.effects.windows_ms = vec![10.0, 0.0]),
        ("windows_ms", |c| c.effects.windows_ms = vec![10.0; MAX_WINDOWS + 1]),
        ("noise_reduction", |c| c.effects.noise_reduction = -0.1),
        ("noise_reduction", |c| c.effects.noise_reduction = f64::NAN),
        ("noise_percent", |c| c.effects.noise_percent = 0.0),
        ("noise_percent", |c| c.effects.noise_percent = 100.1),
        ("quantile", |c| c.effects.quantile = Some(1.1)),
        ("quantile", |c| c.effects.quantile = Some(f64::NAN)),
        ("median", |c| c.effects.median = (2, 3)),
        ("median", |c| c.effects.median = (17, 17)),
        ("blur", |c| c.effects.blur = (-1.0, 0.0)),
        ("sharpen", |c| c.effects.sharpen = (0.0, f64::NAN)),
    ];
    for (name, change) in bad {
        let mut config = SpectrogramConfig::default();
        change(&mut config);
        match config.validate() {
            Err(Error::Value { field, expected, found }) => {
                assert_eq!(field, name, "{expected}, {found}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn fields_at_the_ends_of_their_ranges() {
    let good: [Change; 7] = [
        |_| {},
        |c| c.window_ms = MAX_WINDOW_MS,
        |c| (c.window_ms, c.hop) = (f64::MIN_POSITIVE, Hop::Overlap(0.0)),
        |c| c.hop = Hop::Ms(MAX_WINDOW_MS),
        |c| (c.zero_pad, c.dynamic_range) = (MAX_N_FFT, 1000.0),
        |c| (c.fmin, c.fmax) = (Some(0.0), Some(f64::MIN_POSITIVE)),
        |c| (c.size, c.reference) = (Some((1, MAX_SIDE)), Reference::Magnitude(f64::MAX)),
    ];
    for change in good {
        let mut config = SpectrogramConfig::default();
        change(&mut config);
        config.validate().unwrap();
        assert!(config.geometry(4000).is_ok());
    }
}

proptest! {
    #[test]
    fn lengths_in_samples(
        sample_rate in 1u32..400_000,
        window_ms in 0.001f64..1000.0,
        overlap in 0.0f64..99.99,
        hop_ms in 0.001f64..1000.0,
        by_overlap in any::<bool>(),
        zero_pad in 0usize..5000,
    ) {
        let hop = if by_overlap { Hop::Overlap(overlap) } else { Hop::Ms(hop_ms) };
        let config = SpectrogramConfig { window_ms, hop, zero_pad, ..Default::default() };
        // Halves away from zero: what is left after whole samples decides.
        let rounded = |x: f64| x.trunc() as usize + usize::from(x.fract() >= 0.5);
        let win_length = rounded(window_ms / 1000.0 * f64::from(sample_rate)).max(2);
        let distance = if by_overlap {
            win_length as f64 * (1.0 - overlap / 100.0)
        } else {
            hop_ms / 1000.0 * f64::from(sample_rate)
        };
        let n_fft = win_length.max(zero_pad);
        let expected = Geometry {
            win_length,
            hop_length: rounded(distance).max(1),
            n_fft,
            first_bin: 0,
            last_bin: n_fft / 2,
        };
        prop_assert_eq!(config.geometry(sample_rate).unwrap(), expected);
    }

    #[test]
    fn bins_between_fmin_and_fmax(
        sample_rate in 1000u32..50_000,
        zero_pad in 2usize..3000,
        low in 0.0f64..20_000.0,
        width in 0.1f64..20_000.0,
    ) {
        let (fmin, fmax) = (Some(low), Some(low + width));
        let config =
            SpectrogramConfig { window_ms: 1e-3, zero_pad, fmin, fmax, ..Default::default() };
        let hz = f64::from(sample_rate) / zero_pad as f64;
        let near = |f: f64| (f / hz - (f / hz).round()).abs() < 1e-6;
        prop_assume!(!near(low) && !near(low + width));
        let shown: Vec<usize> = (0..=zero_pad / 2)
            .filter(|&bin| (low..=low + width).contains(&(bin as f64 * hz)))
            .collect();
        match config.geometry(sample_rate) {
            Ok(geometry) => {
                prop_assert_eq!(Some(&geometry.first_bin), shown.first());
                prop_assert_eq!(Some(&geometry.last_bin), shown.last());
            }
            Err(error) => {
                prop_assert!(shown.is_empty(), "{}", error);
                let named = matches!(error, Error::Value { field: "fmin", .. });
                prop_assert!(named);
            }
        }
    }
}

#[test]
fn bins_on_the_limits_are_shown() {
    for (sample_rate, n_fft) in [(4000u32, 200), (44_100, 2205), (16_000, 600), (11_025, 551)] {
        for bin in 0..=n_fft / 2 {
            // As users come by such a number: by hand, rounded to what they see.
            let f = Some(f64::from(sample_rate) / n_fft as f64 * bin as f64);
            let config = SpectrogramConfig {
                window_ms: 1e-3,
                zero_pad: n_fft,
                fmin: f,
                ..Default::default()
            };
            assert_eq!(config.geometry(sample_rate).unwrap().first_bin, bin);
            let config = SpectrogramConfig { fmin: None, fmax: f, ..config };
            assert_eq!(config.geometry(sample_rate).unwrap().last_bin, bin);
        }
    }
}

#[test]
fn windows_too_long_for_the_rate() {
    let config = SpectrogramConfig { window_ms: MAX_WINDOW_MS, ..Default::default() };
    let error = config.geometry(3_000_000).unwrap_err();
    assert!(matches!(error, Error::Value { field: "window_ms", .. }));
    assert!(error.to_string().ends_with("found 180000000 samples at 3000000 Hz"), "{error}");
}

#[test]
fn json() {
    assert_eq!(
        SpectrogramConfig::default().to_json(),
        r#"{"window": "gaussian", "window_ms": 50.0, "overlap": 50.0, "hop_ms": null, "#.to_owned()
            + r#""zero_pad": 0, "dynamic_range": 80.0, "ref": "max", "fmin": null, "fmax": null, "#
            + r#""size": null, "colormap": "gray", "invert": false, "center": true, "#
            + r#""detrend": null}"#
    );
    let config = SpectrogramConfig {
        window: Window::GaussianStd(1e-7),
        window_ms: 0.1 + 0.2,
        hop: Hop::Ms(12.5),
        zero_pad: 512,
        dynamic_range: 1e2,
        reference: Reference::Magnitude(1e300),
        fmin: Some(20.0),
        fmax: Some(1e16),
        size: Some((64, 128)),
        colormap: Colormap::Magma,
        invert: true,
        center: false,
        detrend: true,
        effects: Effects {
            reassign: true,
            windows_ms: vec![10.0, 2.5],
            noise_reduction: 1.5,
            noise_percent: 20.0,
            quantile: Some(0.0),
            median: (3, 1),
            blur: (20.0, 0.0),
            sharpen: (0.0, 30.0),
            derivative: Some(Axis::Both),
        },
        figure: None,
    };
    assert_eq!(
        config.to_json(),
        r#"{"window": ["gaussian", 1e-7], "window_ms": 0.30000000000000004, "overlap": null, "#
            .to_owned()
            + r#""hop_ms": 12.5, "zero_pad": 512, "dynamic_range": 100.0, "ref": 1e300, "#
            + r#""fmin": 20.0, "fmax": 1e16, "size": [64, 128], "colormap": "magma", "#
            + r#""invert": true, "center": false, "detrend": "constant", "#
            + r#""reassign": true, "windows_ms": [10.0, 2.5], "noise_reduction": 1.5, "#
            + r#""noise_percent": 20.0, "quantile": 0.0, "median": [3, 1], "blur": [20.0, 0.0], "#
            + r#""sharpen": [0.0, 30.0], "derivative": "both"}"#
    );
    let figure = FigureConfig {
        width: 600,
        scale: 1.5,
        title: Some("a \"b\" \u{e4}".to_owned()),
        xlim: Some((0.5, 2.0)),
        theme: Theme::Dark,
        ..Default::default()
    };
    let config = SpectrogramConfig { figure: Some(figure), ..Default::default() };
    let json = config.to_json();
    let expected = r#""detrend": null, "figure": {"width": 600, "scale": 1.5, "xlim": [0.5, 2.0], "#
        .to_owned() + r#""title": "a \"b\" \u00e4", "theme": "dark"}}"#;
    assert!(json.ends_with(&expected), "{json}");
}
