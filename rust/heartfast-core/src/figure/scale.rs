//! How frequencies are spread over an axis.

use super::config::{by_name, name_of};
use crate::error::Result;

/// A scale of frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Hz.
    Linear,
    /// Octaves.
    Log,
    /// Pitch, 2595 log10(1 + f / 700): O'Shaughnessy, "Speech communication" (1987).
    Mel,
    /// Critical bands, 26.81 f / (1960 + f) - 0.53: Traunmüller, JASA 88 (1990).
    Bark,
    /// Equivalent rectangular bandwidths, 21.4 log10(1 + 0.00437 f): Glasberg and Moore, Hearing
    /// Research 47 (1990).
    Erb,
}

impl Scale {
    /// Every scale, by name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("linear", Self::Linear),
        ("log", Self::Log),
        ("mel", Self::Mel),
        ("bark", Self::Bark),
        ("erb", Self::Erb),
    ];

    /// The scale of that name.
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value) for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        by_name("y_scale", &Self::NAMES, name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }

    /// Where a frequency in Hz (above 0 for octaves) stands.
    #[must_use]
    pub fn place(self, hz: f64) -> f64 {
        match self {
            Self::Linear => hz,
            Self::Log => hz.log2(),
            Self::Mel => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Bark => 26.81 * hz / (1960.0 + hz) - 0.53,
            Self::Erb => 21.4 * (1.0 + 0.00437 * hz).log10(),
        }
    }

    /// The frequency in Hz that stands there.
    #[must_use]
    pub fn hz(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => place.exp2(),
            Self::Mel => 700.0 * (10f64.powf(place / 2595.0) - 1.0),
            Self::Bark => 1960.0 * (place + 0.53) / (26.28 - place),
            Self::Erb => (10f64.powf(place / 21.4) - 1.0) / 0.00437,
        }
    }
}

/// An axis: where values stand, from 0 at its start to 1 at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// How values are spread.
    pub(super) scale: Scale,
    /// The value at its start.
    pub(super) from: f64,
    /// The value at its end, which is more.
    pub(super) to: f64,
}

impl Axis {
    /// Where `value` stands.
    #[must_use]
    pub(super) fn place(&self, value: f64) -> f64 {
        let [from, to, at] = [self.from, self.to, value].map(|x| self.scale.place(x));
        (at - from) / (to - from)
    }

    /// What stands at this share of the axis.
    #[must_use]
    pub(super) fn value(&self, share: f64) -> f64 {
        let [from, to] = [self.from, self.to].map(|x| self.scale.place(x));
        self.scale.hz(from + share * (to - from))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Axis, Scale};

    proptest! {
        #[test]
        fn what_stands_at_a_place_is_what_was_put_there(
            scale in 0..Scale::NAMES.len(), from in 1.0f64..1000.0, span in 1.0f64..90_000.0,
            share in 0.0f64..1.0,
        ) {
            let axis = Axis { scale: Scale::NAMES[scale].1, from, to: from + span };
            let value = axis.value(share);
            prop_assert!(value >= from - 1e-6 && value <= axis.to + 1e-6);
            prop_assert!((axis.place(value) - share).abs() < 1e-9);
        }
    }

    #[test]
    fn scales_are_those_of_the_literature() {
        // 1000 Hz are 1000 mel, 8.5 Bark (Zwicker's table: 8 to 9) and 15.6 ERB.
        let places = [Scale::Mel, Scale::Bark, Scale::Erb].map(|scale| scale.place(1000.0));
        for (found, expected) in places.into_iter().zip([1000.0, 8.53, 15.6]) {
            assert!((found - expected).abs() < 0.06, "{found}, not {expected}");
        }
    }
}
