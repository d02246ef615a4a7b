//! Features are finite for any picture, and blind to what they should be blind to.

#![allow(clippy::unwrap_used)]

use heartfast_core::Cancel;
use heartfast_core::features::{Extractor, Scale, count, families};
use proptest::prelude::*;

fn described(levels: &[u8], shape: (usize, usize), scale: &Scale) -> Vec<f64> {
    Extractor::default().describe(levels, shape, scale, &Cancel::new()).unwrap()
}

/// Height, width and levels, of which many are alike.
fn picture(levels: std::ops::Range<u8>) -> impl Strategy<Value = ((usize, usize), Vec<u8>)> {
    let (most, fill) = (levels.end, levels.clone());
    ((1usize..60, 1usize..300), fill, any::<bool>()).prop_flat_map(move |(shape, fill, flat)| {
        let level = levels.start..if flat { fill + 1 } else { most };
        let pixels = proptest::collection::vec(level, shape.0 * shape.1);
        (Just(shape), pixels)
    })
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn they_are_finite_whatever_the_picture_and_its_scale(
        (shape, levels) in picture(0..255),
        bottom_hz in any::<f64>(),
        top_hz in any::<f64>(),
        range_db in any::<f64>(),
        seconds_per_column in prop_oneof![any::<f64>(), 1e-3..0.1],
    ) {
        let scale = Scale { bottom_hz, top_hz, range_db, seconds_per_column };
        let features = described(&levels, shape, &scale);
        prop_assert_eq!(features.len(), count());
        prop_assert!(features.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn they_do_not_depend_on_loudness(
        (shape, levels) in picture(0..200), louder in 1u8..55,
    ) {
        let loud: Vec<u8> = levels.iter().map(|level| level + louder).collect();
        let [soft, loud] = [&levels, &loud].map(|l| described(l, shape, &Scale::FOREIGN));
        // Of beats as high as one another, rounding may find one more.
        let by_beats = ["beats", "sounds", "contrast"];
        let names = families().into_iter().flat_map(|(family, names)| names.into_iter().map(move |n| (family, n)));
        for (((family, name), a), b) in names.zip(&soft).zip(&loud) {
            prop_assert!(by_beats.contains(&family) || (a - b).abs() < 1e-6, "{name}: {a}, {b}");
        }
    }

    #[test]
    fn columns_are_pooled_to_one_rate((shape, levels) in picture(0..255)) {
        let (height, width) = shape;
        let twice: Vec<u8> = levels.iter().flat_map(|&level| [level; 2]).collect();
        let at = |seconds_per_column| Scale { seconds_per_column, ..Scale::FOREIGN };
        let one = described(&levels, shape, &at(0.02));
        let two = described(&twice, (height, 2 * width), &at(0.01));
        prop_assert!(near(&one, &two));
    }

    #[test]
    fn an_extractor_remembers_nothing(
        (shape, levels) in picture(0..255), (other_shape, other) in picture(0..255),
    ) {
        let mut extractor = Extractor::default();
        let cancel = Cancel::new();
        extractor.describe(&other, other_shape, &Scale::FOREIGN, &cancel).unwrap();
        let after = extractor.describe(&levels, shape, &Scale::FOREIGN, &cancel).unwrap();
        prop_assert_eq!(after, described(&levels, shape, &Scale::FOREIGN));
    }
}

#[test]
fn names_are_unique_and_as_many_as_features() {
    let mut names: Vec<String> = families().into_iter().flat_map(|(_, names)| names).collect();
    assert_eq!(names.len(), described(&[7; 12], (3, 4), &Scale::FOREIGN).len());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count());
}

#[test]
fn a_picture_without_pixels_is_refused() {
    let mut extractor = Extractor::default();
    for (levels, shape) in
        [(&[][..], (0, 5)), (&[1, 2, 3][..], (2, 2)), (&[1][..], (usize::MAX, 2))]
    {
        let error = extractor.describe(levels, shape, &Scale::FOREIGN, &Cancel::new()).unwrap_err();
        assert!(error.to_string().contains("levels"), "{error}");
    }
}
