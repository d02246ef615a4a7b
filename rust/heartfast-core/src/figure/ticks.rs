//! Where an axis has ticks, and what they say.

use super::scale::{Axis, Scale};

/// A tick.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// From 0 at the axis' start to 1 at its end.
    pub(super) place: f64,
    /// What it says.
    pub(super) label: String,
}

/// What is kept free of an axis for each label.
pub(super) struct Room<'r> {
    /// The axis' length in pixels.
    pub(super) length: f64,
    /// Pixels that a label takes along the axis, with what separates it from the next.
    pub(super) label: &'r dyn Fn(&str) -> f64,
}

/// Rounded ticks of an axis whose values are shown divided by `unit`, as many as have room.
#[must_use]
pub(super) fn ticks(axis: &Axis, unit: f64, room: &Room) -> Vec<Tick> {
    if axis.scale == Scale::Linear {
        return even(axis, unit, room);
    }
    let chosen = spread(axis, unit, room);
    // Over less than a factor of two or so there is nothing that is round on such a scale.
    if chosen.len() >= 3 { chosen } else { even(axis, unit, room) }
}

/// Ticks at the multiples of the smallest of 1, 2 and 5 times a power of ten (25 and 250 as well) at
/// which all have room.
fn even(axis: &Axis, unit: f64, room: &Room) -> Vec<Tick> {
    let (from, to) = (axis.from / unit, axis.to / unit);
    // No two labels are nearer than this, so that there are no more steps than these to try.
    let closest = (to - from) / room.length.max(1.0);
    let first = closest.log10().floor() as i32;
    let steps = (first..first + 8).flat_map(|power| [1.0, 2.0, 2.5, 5.0].map(|x| (x, power)));
    for (mantissa, power) in steps {
        // Not 0.25 and 2.5, which would have one more decimal.
        if mantissa == 2.5 && power < 1 {
            continue;
        }
        let step = mantissa * 10f64.powi(power);
        if (to - from) / step > 100.0 {
            continue;
        }
        let decimals = (-power).clamp(0, 12) as usize;
        let (low, high) = ((from / step - 1e-6).ceil() as i64, (to / step + 1e-6).floor() as i64);
        let at: Vec<Tick> = (low..=high)
            .map(|k| k as f64 * step)
            .map(|value| Tick { place: axis.place(value * unit), label: label(value, decimals) })
            .filter(|tick| (-1e-6..=1.0 + 1e-6).contains(&tick.place))
            .collect();
        if apart(&at, room) {
            return at;
        }
    }
    Vec::new()
}

/// Ticks at 1, 5, 2 and 3 times powers of ten: each where it has room beside those before.
fn spread(axis: &Axis, unit: f64, room: &Room) -> Vec<Tick> {
    let (from, to) = (axis.from / unit, axis.to / unit);
    let first = (if from > 0.0 { from } else { to * 1e-3 }).log10().floor() as i32;
    let last = to.log10().ceil() as i32;
    let mut values: Vec<(f64, usize)> = if from <= 0.0 { vec![(0.0, 0)] } else { Vec::new() };
    for mantissa in [1.0, 5.0, 2.0, 3.0] {
        // Large ones first: where the axis is dense, it is so at its start.
        for power in (first..=last).rev() {
            let decimals = (-power).clamp(0, 12) as usize;
            values.push((mantissa * 10f64.powi(power), decimals));
        }
    }
    let mut chosen: Vec<Tick> = Vec::new();
    for (value, decimals) in values {
        let tick = Tick { place: axis.place(value * unit), label: label(value, decimals) };
        if (-1e-6..=1.0 + 1e-6).contains(&tick.place) {
            let at = chosen.partition_point(|other| other.place < tick.place);
            chosen.insert(at, tick);
            if !apart(&chosen, room) {
                chosen.remove(at);
            }
        }
    }
    chosen
}

/// Whether no two labels of ticks in order are too near to each other.
fn apart(ticks: &[Tick], room: &Room) -> bool {
    let widths: Vec<f64> = ticks.iter().map(|tick| (room.label)(&tick.label)).collect();
    ticks.windows(2).zip(widths.windows(2)).all(|(ticks, widths)| {
        (ticks[1].place - ticks[0].place) * room.length >= (widths[0] + widths[1]) / 2.0
    })
}

/// A number with so many decimals, and a minus sign that is one.
fn label(value: f64, decimals: usize) -> String {
    if value != 0.0 && (value.abs() >= 1e9 || value.abs() < 1e-4) {
        return format!("{value:e}").replace('-', "\u{2212}");
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let label = format!("{value:.decimals$}");
    // Minus zero.
    match label.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| c == '0' || c == '.') => digits.to_owned(),
        Some(digits) => format!("\u{2212}{digits}"),
        None => label,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Axis, Room, Scale, ticks};

    fn labels(scale: Scale, from: f64, to: f64, unit: f64, length: f64) -> Vec<String> {
        let axis = Axis { scale, from, to };
        let room = Room { length, label: &|label| 8.0 * label.chars().count() as f64 + 12.0 };
        ticks(&axis, unit, &room).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_where_a_person_would_put_them() {
        assert_eq!(labels(Scale::Linear, 0.0, 2000.0, 1000.0, 100.0), ["0", "1", "2"]);
        assert_eq!(
            labels(Scale::Linear, 0.0, 2000.0, 1000.0, 250.0),
            ["0", "0.5", "1.0", "1.5", "2.0"]
        );
        assert_eq!(labels(Scale::Linear, 20.0, 800.0, 1.0, 200.0), ["200", "400", "600", "800"]);
        assert_eq!(labels(Scale::Linear, -0.31, 0.31, 1.0, 130.0), ["\u{2212}0.2", "0", "0.2"]);
        assert_eq!(labels(Scale::Log, 20.0, 20_000.0, 1.0, 200.0), ["20", "100", "1000", "10000"]);
        assert_eq!(labels(Scale::Linear, 0.0, 3e-5, 1.0, 80.0), ["0", "2e\u{2212}5"]);
    }

    proptest! {
        #[test]
        fn labels_never_overlap_and_lie_on_the_axis(
            scale in 0..Scale::NAMES.len(), from in 0.0f64..1000.0, decades in -3.0f64..5.0,
            length in 1.0f64..2000.0,
        ) {
            let scale = Scale::NAMES[scale].1;
            let from = if scale == Scale::Log { from + 1.0 } else { from };
            let axis = Axis { scale, from, to: from + 10f64.powf(decades) };
            let width = |label: &str| 8.0 * label.chars().count() as f64 + 12.0;
            let ticks = ticks(&axis, 1.0, &Room { length, label: &width });
            for tick in &ticks {
                prop_assert!((-1e-5..=1.00001).contains(&tick.place));
                // It says where it stands, to the precision of what it says.
                let said: f64 = tick.label.replace('\u{2212}', "-").parse().unwrap();
                prop_assert!((axis.place(said) - tick.place).abs() < 1e-6, "{tick:?}");
            }
            for pair in ticks.windows(2) {
                let room = (width(&pair[0].label) + width(&pair[1].label)) / 2.0;
                prop_assert!((pair[1].place - pair[0].place) * length >= room - 1e-6);
            }
            // A long axis is never left without one.
            prop_assert!(length < 400.0 || ticks.len() >= 2, "{ticks:?}");
        }
    }
}
