//! How much of what a file promises is believed. A recording or an archive that goes beyond a
//! limit fails by the limit's name; it never takes memory or time without bound.

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
    /// Bytes of a compressed member of an archive, over those that it takes in there.
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
