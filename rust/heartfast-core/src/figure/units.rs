//! Units of axes, and the units that names of axes tell.

use unicode_normalization::UnicodeNormalization;

use super::config::{by_name, name_of};
use super::scale::Scale;
use crate::error::Result;

/// From this frequency on an axis is in kHz.
const KILOHERTZ_FROM: f64 = 2000.0;
/// Below so many seconds an axis is in ms.
const MILLISECONDS_BELOW: f64 = 1.0;
/// From so many seconds on an axis is in minutes.
const MINUTES_FROM: f64 = 600.0;

/// The unit of the time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// As suits the length shown.
    Auto,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    Min,
}

/// The unit of the frequency axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrequencyUnit {
    /// As suits the frequencies shown.
    Auto,
    /// Hertz.
    Hz,
    /// Kilohertz.
    Khz,
}

/// A unit, as an axis has it.
#[derive(Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    /// In seconds or Hz.
    pub(super) size: f64,
    /// The name of an axis of this unit.
    pub(super) label: &'static str,
}

const MS: Unit = Unit { name: "ms", size: 1e-3, label: "Time (ms)" };
const S: Unit = Unit { name: "s", size: 1.0, label: "Time (s)" };
const MIN: Unit = Unit { name: "min", size: 60.0, label: "Time (min)" };
const HZ: Unit = Unit { name: "Hz", size: 1.0, label: "Frequency (Hz)" };
const KHZ: Unit = Unit { name: "kHz", size: 1e3, label: "Frequency (kHz)" };

impl TimeUnit {
    /// Every unit, by name.
    pub const NAMES: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("ms", Self::Ms), ("s", Self::S), ("min", Self::Min)];

    /// The unit of that name.
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value) for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        by_name("time_unit", &Self::NAMES, name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }

    /// The unit of an axis of so many seconds.
    pub(super) fn of(self, seconds: f64) -> &'static Unit {
        match self {
            Self::Ms => &MS,
            Self::S => &S,
            Self::Min => &MIN,
            Self::Auto if seconds < MILLISECONDS_BELOW => &MS,
            Self::Auto if seconds < MINUTES_FROM => &S,
            Self::Auto => &MIN,
        }
    }
}

impl FrequencyUnit {
    /// Every unit, by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("Hz", Self::Hz), ("kHz", Self::Khz)];

    /// The unit of that name.
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value) for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        by_name("frequency_unit", &Self::NAMES, name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }

    /// The unit of an axis up to this frequency.
    pub(super) fn of(self, scale: Scale, highest: f64) -> &'static Unit {
        match self {
            Self::Hz => &HZ,
            Self::Khz => &KHZ,
            // Octaves go so far down that kHz would be small fractions.
            Self::Auto if highest >= KILOHERTZ_FROM && scale != Scale::Log => &KHZ,
            Self::Auto => &HZ,
        }
    }
}

/// Words for units of time, in lower case; also of those that no axis has.
const TIME_WORDS: [(&str, &[&str]); 5] = [
    (
        "ms",
        &[
            "ms",
            "msec",
            "msecs",
            "millis",
            "millisecond",
            "milliseconds",
            "millisekunde",
            "millisekunden",
            "milliseconde",
            "millisecondes",
            "milisegundo",
            "milisegundos",
            "millisecondi",
            "milissegundos",
            "milliseconden",
            "мс",
            "миллисекунды",
            "毫秒",
            "ミリ秒",
            "밀리초",
        ],
    ),
    (
        "s",
        &[
            "s",
            "sec",
            "secs",
            "second",
            "seconds",
            "sek",
            "sekunde",
            "sekunden",
            "seconde",
            "secondes",
            "segundo",
            "segundos",
            "secondi",
            "seconden",
            "sekunder",
            "sekundy",
            "с",
            "сек",
            "секунды",
            "秒",
            "초",
        ],
    ),
    (
        "min",
        &[
            "min",
            "mins",
            "minute",
            "minutes",
            "minuten",
            "minuto",
            "minutos",
            "minuti",
            "minuter",
            "minuty",
            "мин",
            "минуты",
            "分",
            "分钟",
            "分鐘",
            "분",
        ],
    ),
    ("us", &["us", "µs", "μs", "usec", "microsecond", "microseconds", "мкс", "微秒"]),
    ("h", &["h", "hr", "hrs", "hour", "hours", "stunden", "heures", "horas", "ore", "ч", "小时"]),
];

/// The same of frequencies.
const FREQUENCY_WORDS: [(&str, &[&str]); 3] = [
    ("Hz", &["hz", "hertz", "herz", "гц", "赫兹", "赫茲", "ヘルツ", "헤르츠"]),
    ("kHz", &["khz", "kilohertz", "kiloherz", "кгц", "千赫", "千赫兹", "キロヘルツ", "킬로헤르츠"]),
    ("MHz", &["mhz", "megahertz", "мгц"]),
];

/// Whether the name of a time axis tells a unit, and that is not the axis's.
pub(super) fn misnames_time(label: &str, unit: &Unit) -> bool {
    misnames(label, unit, &TIME_WORDS)
}

/// Whether the name of a frequency axis tells a unit, and that is not the axis's.
pub(super) fn misnames_frequency(label: &str, unit: &Unit) -> bool {
    misnames(label, unit, &FREQUENCY_WORDS)
}

fn misnames(label: &str, unit: &Unit, units: &[(&str, &[&str])]) -> bool {
    // Also of characters such as U+3391, which is "kHz" in one.
    let label: String = label.nfkc().flat_map(char::to_lowercase).collect();
    let mut found = label
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| units.iter().find(|(_, words)| words.contains(&word)))
        .map(|(name, _)| *name)
        .peekable();
    found.peek().is_some() && found.all(|name| name != unit.name)
}

#[cfg(test)]
mod tests {
    use super::{
        FrequencyUnit, HZ, KHZ, MIN, MS, S, Scale, TimeUnit, misnames_frequency, misnames_time,
    };

    #[test]
    fn names_that_tell_another_unit_are_found() {
        let of_ms =
            ["Time, ms", "Time (ms)", "TIME [MSEC]", "Zeit in Millisekunden", "時間（ミリ秒）"];
        for label in of_ms {
            assert!(!misnames_time(label, &MS), "{label}");
            assert!(misnames_time(label, &S) && misnames_time(label, &MIN), "{label}");
        }
        for label in ["t/s", "Time (sec)", "Time, seconds", "Время, с", "Temps en secondes"] {
            assert!(!misnames_time(label, &S), "{label}");
            assert!(misnames_time(label, &MS), "{label}");
        }
        for label in ["", "Time", "Zeit", "S1 and S2", "Timestamps", "Hz"] {
            assert!(!misnames_time(label, &MS) && !misnames_time(label, &S), "{label}");
        }
        for label in ["kHz", "Frequency, KHz", "f [kHz]", "\u{3391}", "Частота, кГц"] {
            assert!(!misnames_frequency(label, &KHZ), "{label}");
            assert!(misnames_frequency(label, &HZ), "{label}");
        }
        // Two units, one of which is the axis's.
        assert!(!misnames_frequency("Hz (1 kHz = 1000 Hz)", &KHZ));
        assert!(misnames_time("Time (hours)", &MIN));
    }

    #[test]
    fn units_suit_what_is_shown() {
        let time = |seconds| TimeUnit::Auto.of(seconds).name;
        assert_eq!([0.5, 1.0, 599.0, 600.0].map(time), ["ms", "s", "s", "min"]);
        assert_eq!(TimeUnit::Ms.of(1e6), &MS);
        assert_eq!(FrequencyUnit::Auto.of(Scale::Linear, 400.0), &HZ);
        assert_eq!(FrequencyUnit::Auto.of(Scale::Log, 20_000.0), &HZ);
        assert_eq!(FrequencyUnit::Khz.of(Scale::Log, 400.0), &KHZ);
    }
}
