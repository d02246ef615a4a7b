//! Gray levels against logarithms in double precision.

use heartfast_core::level::{GrayScale, fast_log2};
use proptest::prelude::*;

/// Every exponent of a normal number, and this many mantissas for each.
fn normal_numbers(mantissas: u32) -> impl Iterator<Item = f32> {
    (1u32..255).flat_map(move |exponent| {
        (0..mantissas).map(move |k| {
            // The ends of the range, and steps that hit all kinds of low bits.
            let mantissa =
                if k + 1 == mantissas { (1 << 23) - 1 } else { k * ((1 << 23) / mantissas) };
            f32::from_bits(exponent << 23 | mantissa)
        })
    })
}

#[test]
fn log2_of_all_exponents() {
    let mut worst = 0.0f64;
    let mut before = f32::NEG_INFINITY;
    for x in normal_numbers(1001) {
        let y = fast_log2(x);
        worst = worst.max((f64::from(y) - f64::from(x).log2()).abs());
        assert!(y >= before, "falls at {x:e}");
        before = y;
    }
    assert!(worst < 1.2e-4, "off by {worst}");
}

#[test]
fn log2_is_exact_at_powers_of_two() {
    for exponent in -126..=127 {
        assert_eq!(fast_log2(2f32.powi(exponent)), exponent as f32);
    }
}

#[test]
fn log2_of_next_to_nothing() {
    for x in [0.0, f32::from_bits(1), f32::MIN_POSITIVE / 2.0] {
        assert!((-127.0..=-126.0).contains(&fast_log2(x)), "{x:e}: {}", fast_log2(x));
    }
}

fn exact_level(power: f64, reference: f64, dynamic_range: f64) -> f64 {
    let db = 10.0 * power.log10() - 20.0 * reference.log10();
    (255.0 * (1.0 + db / dynamic_range)).clamp(0.0, 255.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn levels_are_the_formulas(
        power in -37.0f64..38.0,
        reference in -18.0f64..18.0,
        dynamic_range in 1.0f64..200.0,
    ) {
        let power = 10f64.powf(power) as f32;
        let reference = 10f64.powf(reference);
        let level = GrayScale::new(reference, dynamic_range).level(power);
        let exact = exact_level(f64::from(power), reference, dynamic_range);
        // Rounding, the logarithm's error, and that of single precision in the sum.
        let per_octave = 255.0 / dynamic_range * 10.0 * std::f64::consts::LOG10_2;
        let bound = 0.5 + per_octave * (1.2e-4 + 300.0 * f64::from(f32::EPSILON));
        prop_assert!((f64::from(level) - exact).abs() <= bound, "{level}, exactly {exact}");
    }
}

#[test]
fn the_ends_of_the_scale() {
    for (reference, dynamic_range) in [(1.0, 80.0), (3.7e-9, 40.0), (1e12, 120.0)] {
        let gray = GrayScale::new(reference, dynamic_range);
        let power = |db: f64| (reference * reference * 10f64.powf(db / 10.0)) as f32;
        assert_eq!(gray.level(power(0.0)), 255);
        assert_eq!(gray.level(power(30.0)), 255);
        assert_eq!(gray.level(f32::INFINITY), 255);
        assert_eq!(gray.level(power(-dynamic_range - 1.0)), 0);
        assert!(matches!(gray.level(power(-dynamic_range / 2.0)), 127 | 128));
        assert_eq!(gray.level(0.0), 0);
    }
}

#[test]
fn silence_is_black_whatever_the_reference() {
    for reference in [0.0, 5e-324, 1e-300, 1.0, 1e300, f64::INFINITY] {
        let gray = GrayScale::new(reference, 80.0);
        assert_eq!(gray.level(0.0), 0);
        assert_eq!(gray.level(f32::MIN_POSITIVE / 4.0), 0);
    }
    assert_eq!(GrayScale::new(0.0, 80.0).level(1e-10), 255);
    assert_eq!(GrayScale::new(f64::INFINITY, 80.0).level(1e30), 0);
}

#[test]
fn levels_never_fall() {
    let gray = GrayScale::new(0.3, 96.0);
    let mut before = 0;
    for x in normal_numbers(300) {
        assert!(gray.level(x) >= before);
        before = gray.level(x);
    }
    assert_eq!(before, 255);
}
