//! What of a recording becomes pictures: which channels, which seconds, in which pieces, and at
//! which rate.

use crate::audio::MAX_SAMPLE_RATE;
use crate::error::{Error, Result};

/// Shorter segments are hardly meant.
const SHORTEST_S: f64 = 0.01;
/// Segments that begin less apart could begin in the same millisecond, which is part of their
/// names: both their length and their distance are rounded to samples.
const CLOSEST_S: f64 = 0.002;

/// Which channels are drawn.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The mean of all.
    #[default]
    Mix,
    /// The first.
    Left,
    /// The second, or the only one.
    Right,
    /// This one, counted from 1.
    Number(u32),
    /// A picture of each.
    Each,
}

impl Channel {
    /// The channel of this name.
    ///
    /// # Errors
    /// [`Error::Value`] for any other.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "mix" => Ok(Self::Mix),
            "left" => Ok(Self::Left),
            "right" => Ok(Self::Right),
            "each" => Ok(Self::Each),
            _ => Err(Self::unknown(format!("{name:?}"))),
        }
    }

    /// The error of what is no channel.
    #[must_use]
    pub fn unknown(found: impl std::fmt::Display) -> Error {
        Error::value("channel", "mix, left, right, each or a number from 1", found)
    }

    /// Which of so many channels it is, from 0, if it is one.
    ///
    /// # Errors
    /// [`Error::Value`] if there are fewer.
    pub(crate) fn index(self, channels: usize) -> Result<Option<usize>> {
        match self {
            Self::Mix | Self::Each => Ok(None),
            Self::Left => Ok(Some(0)),
            Self::Right => Ok(Some(usize::from(channels > 1))),
            Self::Number(number) if number as usize <= channels => Ok(Some(number as usize - 1)),
            Self::Number(number) => Err(Error::value(
                "channel",
                format!("a recording with a channel {number}"),
                match channels {
                    1 => "one with 1 channel".to_owned(),
                    _ => format!("one with {channels} channels"),
                },
            )),
        }
    }

    fn to_json(self) -> String {
        match self {
            Self::Mix => "\"mix\"".to_owned(),
            Self::Left => "\"left\"".to_owned(),
            Self::Right => "\"right\"".to_owned(),
            Self::Each => "\"each\"".to_owned(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// What of a recording becomes pictures; by default all of it one picture, of its mix.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Selection {
    /// Which channels.
    pub channel: Channel,
    /// Samples per second to resample to; without, the recording's own.
    pub sample_rate: Option<u32>,
    /// Where the selected part of the recording begins, in seconds.
    pub start_s: f64,
    /// Its length in seconds; without, it goes to the end.
    pub duration_s: Option<f64>,
    /// The length of segments in seconds; without, there is one picture.
    pub segment_s: Option<f64>,
    /// Which share of a segment the next one has, too, in percent.
    pub segment_overlap: f64,
}

impl Selection {
    /// The error of a rate that nothing is resampled to.
    #[must_use]
    pub fn unknown_rate(found: impl std::fmt::Display) -> Error {
        Error::value("sr", format!("a sample rate of 1 to {MAX_SAMPLE_RATE} Hz"), found)
    }

    /// # Errors
    /// [`Error::Value`] for what no recording can be selected by.
    pub fn validate(&self) -> Result<()> {
        if self.channel == Channel::Number(0) {
            return Err(Channel::unknown(0));
        }
        if let Some(rate) = self.sample_rate
            && !(1..=MAX_SAMPLE_RATE).contains(&rate)
        {
            return Err(Self::unknown_rate(rate));
        }
        if !(self.start_s.is_finite() && self.start_s >= 0.0) {
            return Err(Error::value("start", "at least 0 seconds", self.start_s));
        }
        if let Some(duration_s) = self.duration_s
            && !(duration_s.is_finite() && duration_s > 0.0)
        {
            return Err(Error::value("duration", "more than 0 seconds", duration_s));
        }
        let overlap = self.segment_overlap;
        if !(0.0..100.0).contains(&overlap) {
            return Err(Error::value("segment_overlap", "0 to below 100 percent", overlap));
        }
        let Some(segment_s) = self.segment_s else {
            return match overlap {
                0.0 => Ok(()),
                _ => Err(Error::value("segment_overlap", "segments (segment_s)", "none")),
            };
        };
        if !(segment_s.is_finite() && segment_s >= SHORTEST_S) {
            let expected = format!("at least {SHORTEST_S} seconds");
            return Err(Error::value("segment_s", expected, segment_s));
        }
        let apart = segment_s * (1.0 - overlap / 100.0);
        if apart < CLOSEST_S {
            let expected = format!("segments that begin at least {} ms apart", 1000.0 * CLOSEST_S);
            let found = format!("{:.3} ms", 1000.0 * apart);
            return Err(Error::value("segment_overlap", expected, found));
        }
        Ok(())
    }

    /// Whether it is all of a recording, in one picture of its mix at its own rate.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a recording can become several pictures.
    pub(crate) fn is_cut(&self) -> bool {
        self.segment_s.is_some() || self.channel == Channel::Each
    }

    /// What the name of a picture has after that of its recording, such as `_ch2_10000`.
    pub(crate) fn suffix(&self, channel: Option<u32>, start_ms: u64) -> String {
        let channel = channel.map_or_else(String::new, |number| format!("_ch{number}"));
        let start = self.segment_s.map_or_else(String::new, |_| format!("_{start_ms}"));
        channel + &start
    }

    /// The title of a figure of one of several channels.
    pub(crate) fn title(name: &str, channel: u32) -> String {
        format!("{name}, channel {channel}")
    }

    /// As JSON, in the words of the command line: equal if and only if the selections are.
    #[must_use]
    pub fn to_json(&self) -> String {
        let seconds = |s: Option<f64>| s.map_or_else(|| "null".to_owned(), |s| format!("{s:?}"));
        format!(
            "{{\"channel\": {}, \"sr\": {}, \"start\": {:?}, \"duration\": {}, \
             \"segment_s\": {}, \"segment_overlap\": {:?}}}",
            self.channel.to_json(),
            self.sample_rate.map_or_else(|| "null".to_owned(), |rate| rate.to_string()),
            self.start_s,
            seconds(self.duration_s),
            seconds(self.segment_s),
            self.segment_overlap,
        )
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::{Channel, Selection};

    #[test]
    fn channels_of_recordings() {
        let index = |channel: Channel, channels| channel.index(channels).ok();
        assert_eq!(index(Channel::Mix, 3), Some(None));
        assert_eq!(index(Channel::Each, 3), Some(None));
        assert_eq!(index(Channel::Left, 1), Some(Some(0)));
        assert_eq!(index(Channel::Right, 1), Some(Some(0)));
        assert_eq!(index(Channel::Right, 2), Some(Some(1)));
        assert_eq!(index(Channel::Number(1), 1), Some(Some(0)));
        assert_eq!(index(Channel::Number(6), 6), Some(Some(5)));
        let error = Channel::Number(3).index(2).expect_err("there are 2");
        assert_eq!(
            error.to_string(),
            "channel: expected a recording with a channel 3, found one with 2 channels"
        );
    }

    #[test]
    fn default_is_whole() {
        let mut selection = Selection::default();
        assert!(selection.is_whole() && !selection.is_cut() && selection.validate().is_ok());
        selection.channel = Channel::Left;
        assert!(!selection.is_whole() && !selection.is_cut());
        assert!(selection.to_json().starts_with("{\"channel\": \"left\", \"sr\": null, "));
    }
}
