//! What a user should know of figures that were drawn.

use std::collections::BTreeSet;

use super::config::FigureConfig;
use super::units::Unit;

/// Characters that a note names.
const NAMED: usize = 12;

/// What a user should know of figures that were drawn; counted, for many of them.
#[derive(Debug, Default)]
pub struct Remarks {
    /// Figures in whose texts characters are boxes, or left out.
    pub(super) with_boxes: usize,
    /// These characters.
    pub(super) missing: BTreeSet<char>,
    /// Figures whose time axis has another unit than its name says, and that unit.
    pub(super) time: Misnamed,
    /// The same of frequencies.
    pub(super) frequency: Misnamed,
}

/// Figures in which an axis has another unit than its name says.
#[derive(Debug, Default)]
pub(super) struct Misnamed {
    pub(super) figures: usize,
    /// The first one's unit.
    pub(super) unit: &'static str,
}

impl Misnamed {
    pub(super) fn count(&mut self, unit: &Unit) {
        self.add(&Self { figures: 1, unit: unit.name });
    }

    fn add(&mut self, other: &Self) {
        if self.figures == 0 {
            self.unit = other.unit;
        }
        self.figures += other.figures;
    }
}

impl Remarks {
    /// Adds those of other figures.
    pub fn add(&mut self, other: &Self) {
        self.with_boxes += other.with_boxes;
        self.missing.extend(&other.missing);
        self.time.add(&other.time);
        self.frequency.add(&other.frequency);
    }

    /// Lines for the user, of figures of this configuration.
    #[must_use]
    pub fn notes(&self, config: &FigureConfig) -> Vec<String> {
        let mut notes = Vec::new();
        let axes = [
            ("xlab", &config.xlab, &self.time, "time_unit"),
            ("ylab", &config.ylab, &self.frequency, "frequency_unit"),
        ];
        for (field, label, Misnamed { figures, unit }, setting) in axes {
            if *figures > 0 {
                notes.push(format!(
                    "{field}: expected a name with the axis's unit, {unit}, found {:?}{}; change \
                     the name, or the unit with {setting} (--{})",
                    label.as_deref().unwrap_or_default(),
                    in_figures(*figures),
                    setting.replace('_', "-"),
                ));
            }
        }
        if self.with_boxes > 0 {
            let named: Vec<String> = self.missing.iter().take(NAMED).map(|&c| name(c)).collect();
            let more = self.missing.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(format!(
                "titles and labels: expected characters of the fonts at hand, found {}{more}{}: \
                 drawn as boxes; name a font that has them with font (--font)",
                named.join(" "),
                in_figures(self.with_boxes),
            ));
        }
        notes
    }
}

fn in_figures(count: usize) -> String {
    if count == 1 { String::new() } else { format!(" in {count} figures") }
}

/// A character, where it can be shown, and its number.
fn name(c: char) -> String {
    let number = format!("U+{:04X}", u32::from(c));
    if c.is_alphanumeric() { format!("{c} ({number})") } else { number }
}
