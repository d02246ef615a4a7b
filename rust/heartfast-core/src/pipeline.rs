//! One recording into one picture. A [`Converter`] belongs to one thread and keeps its plans
//! and buffers from recording to recording.

use std::fmt::Write;

use crate::audio::{self, Audio};
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::Result;
use crate::limits::Limits;
use crate::png::{Encoder, Preset};
use crate::raster::{Color, Image};
use crate::tile::{Painter, Tile};

/// What is known of a recording once it is converted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recording {
    /// Samples per second.
    pub sample_rate: u32,
    /// Seconds.
    pub duration_s: f64,
    /// Samples that were no finite numbers, and count as silence.
    pub silenced: u64,
}

/// Where samples are from, as far as they are not just a recording's mix from its start.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Part {
    /// The channel that they are, counted from 1.
    pub channel: Option<u32>,
    /// Where they begin in the recording, in seconds.
    pub start_s: f64,
    /// The recording's own sample rate, where it is another.
    pub resampled_from: Option<u32>,
}

/// Converts recordings, one at a time, by one configuration.
pub struct Converter<'a> {
    config: &'a SpectrogramConfig,
    config_json: String,
    limits: Limits,
    audio: Audio,
    painter: Painter<'a>,
    encoder: Encoder,
}

impl<'a> Converter<'a> {
    /// A converter for this configuration.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn new(config: &'a SpectrogramConfig) -> Result<Self> {
        Self::with_preset(config, Preset::default())
    }

    /// A converter for this configuration that writes PNGs by this preset.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn with_preset(config: &'a SpectrogramConfig, preset: Preset) -> Result<Self> {
        Ok(Self {
            config,
            config_json: config.to_json(),
            limits: Limits::default(),
            audio: Audio::default(),
            painter: Painter::new(config)?,
            encoder: Encoder::new(preset),
        })
    }

    /// The same converter with other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.painter.limit(&limits);
        self
    }

    /// What it converts by.
    #[must_use]
    pub fn config(&self) -> &'a SpectrogramConfig {
        self.config
    }

    /// The PNG, into `file`, of a recording's bytes.
    ///
    /// # Errors
    /// Those of [`audio::decode`] and [`Converter::draw`].
    pub fn convert(
        &mut self,
        recording: &[u8],
        file: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<Recording> {
        let mut audio = std::mem::take(&mut self.audio);
        let drawn = audio::decode(recording, &mut audio, &self.limits, cancel)
            .and_then(|()| self.draw(&mut audio, &Part::default(), file, cancel));
        self.audio = audio;
        drawn
    }

    /// The PNG, into `file`, of these samples, which are changed on the way, and are this part of
    /// a recording.
    ///
    /// # Errors
    /// Those of [`Painter::tile`] and [`Encoder::encode_into`];
    /// [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is set.
    pub fn draw(
        &mut self,
        audio: &mut Audio,
        part: &Part,
        file: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<Recording> {
        audio.mix(cancel)?;
        let (sample_rate, duration_s) = (audio.sample_rate, audio.duration_s());
        let mut known = Recording { sample_rate, duration_s, silenced: 0 };
        let provenance = provenance(self.config, &self.config_json, &known, part)?;
        let tile = self.painter.tile(&mut audio.interleaved, audio.sample_rate, cancel)?;
        let Tile { width, height, pixels, silenced } = tile;
        known.silenced = silenced;
        let image = Image { width, height, pixels, color: Color::from(self.config.colormap) };
        self.encoder.encode_into(&image, &[("heartfast", &provenance)], file, cancel)?;
        Ok(known)
    }
}

/// What a picture says of its making, as JSON.
fn provenance(
    config: &SpectrogramConfig,
    config_json: &str,
    recording: &Recording,
    part: &Part,
) -> Result<String> {
    // What is as it is by default is left out, so that a segment at the start is like a recording.
    let mut from = String::new();
    if let Some(channel) = part.channel {
        let _ = write!(from, "\"channel\": {channel}, ");
    }
    if part.start_s > 0.0 {
        let _ = write!(from, "\"start_s\": {:?}, ", part.start_s);
    }
    if let Some(rate) = part.resampled_from {
        let _ = write!(from, "\"resampled_from\": {rate}, ");
    }
    let geometry = config.geometry(recording.sample_rate)?;
    let hz = f64::from(recording.sample_rate) / geometry.n_fft as f64;
    Ok(format!(
        "{{\"config\": {config_json}, \"sample_rate\": {}, \"duration_s\": {:?}, \
         {from}\"win_length\": {}, \"hop_length\": {}, \"n_fft\": {}, \"fmin\": {:?}, \"fmax\": {:?}, \
         \"version\": \"{}\"}}",
        recording.sample_rate,
        recording.duration_s,
        geometry.win_length,
        geometry.hop_length,
        geometry.n_fft,
        hz * geometry.first_bin as f64,
        hz * geometry.last_bin as f64,
        crate::VERSION,
    ))
}
