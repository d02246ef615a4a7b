//! How much of what a file promises is believed. A recording or an archive that goes beyond a
//! limit fails by the limit's name; it never takes memory or time without bound.

use crate::error::{Error, Result};

/// Limits on what is read and drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Channels of a recording.
    pub max_channels: u32,
    /// Samples per second of a recording. The default is four times the fastest converter.
    pub max_sample_rate: u32,
    /// Seconds that are decoded into one picture: of a segment, or of a recording taken whole.
    pub max_duration_s: f64,
    /// Pixels of a picture.
    pub max_image_pixels: u64,
    /// Bytes of a compressed member of an archive, over those that it takes in there. Members of
    /// up to 256 MB may have any ratio, as silence does (1029); the default refuses longer ones.
    pub max_archive_ratio: f64,
    /// Members of an archive.
    pub max_archive_members: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_channels: 256,
            max_sample_rate: 3_072_000,
            max_duration_s: 6.0 * 3600.0,
            max_image_pixels: 1 << 28,
            max_archive_ratio: 1000.0,
            max_archive_members: 20_000_000,
        }
    }
}

impl Limits {
    /// # Errors
    /// [`Error::Limit`] for more channels, or a higher rate, than are allowed; [`Error::Decode`]
    /// for none.
    pub(crate) fn check_signal(&self, channels: usize, sample_rate: u32) -> Result<()> {
        if channels == 0 || sample_rate == 0 {
            let found = format!("{channels} channels at {sample_rate} Hz");
            return Err(Error::decode("channels and a sample rate", found));
        }
        if channels as u64 > self.max_channels.into() {
            let expected = format!("at most {} channels", self.max_channels);
            return Err(Error::limit("max_channels", expected, channels));
        }
        if sample_rate > self.max_sample_rate {
            let expected = format!("at most {} Hz", self.max_sample_rate);
            return Err(Error::limit("max_sample_rate", expected, sample_rate));
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Limit`] for so many samples of a channel, if they last too long for one picture.
    pub(crate) fn check_duration(&self, frames: u64, sample_rate: u32) -> Result<()> {
        let duration_s = frames as f64 / f64::from(sample_rate);
        if duration_s > self.max_duration_s {
            let expected = format!("at most {} s in one picture", self.max_duration_s);
            return Err(Error::limit("max_duration_s", expected, format!("{duration_s:.0} s")));
        }
        Ok(())
    }
}
