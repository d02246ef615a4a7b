//! One recording into one picture. A [`Converter`] belongs to one thread and keeps its plans
//! and buffers from recording to recording.

use std::fmt::Write;
use std::sync::Arc;

use crate::audio::{self, Audio};
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::{Error, Result};
use crate::figure::{self, Axes, Caption, Drawer, Osc, Remarks, Scene};
use crate::findings::Findings;
use crate::limits::Limits;
use crate::png::{Encoder, Preset};
use crate::raster::{Color, Image};
use crate::selection::Selection;
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

/// Draws samples as tiles or as figures, one at a time, by one configuration.
pub(crate) struct Canvas {
    config: Arc<SpectrogramConfig>,
    painter: Painter,
    drawer: Option<Drawer>,
}

impl Canvas {
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub(crate) fn new(config: &SpectrogramConfig) -> Result<Self> {
        let painter = Painter::new(config)?;
        let drawer = config.figure.as_ref().map(Drawer::new).transpose()?;
        Ok(Self { config: Arc::new(config.clone()), painter, drawer })
    }

    /// Draws no pictures beyond these limits.
    pub(crate) fn limit(&mut self, limits: &Limits) {
        self.painter.limit(limits);
    }

    /// The picture of samples, which are changed on the way, and begin at `start_s` of a recording;
    /// and where a figure's plots are.
    ///
    /// # Errors
    /// Those of [`Painter::tile`].
    pub(crate) fn draw(
        &mut self,
        audio: &mut Audio,
        start_s: f64,
        caption: &Caption,
        cancel: &Cancel,
    ) -> Result<(Image<'_>, Option<Axes>, Recording)> {
        audio.mix(cancel)?;
        let (sample_rate, duration_s) = (audio.sample_rate, audio.duration_s());
        let known = |silenced| Recording { sample_rate, duration_s, silenced };
        let samples = &mut audio.interleaved;
        if let Some(drawer) = &mut self.drawer {
            let width = drawer.width();
            let (levels, pixels) = self.painter.levels(samples, sample_rate, width, cancel)?;
            let mut scene = Scene::new(&self.config, sample_rate, &levels.geometry);
            (scene.levels, scene.columns) = (pixels, levels.columns);
            scene.group(levels.group);
            (scene.samples, scene.factor) = (samples, levels.factor);
            scene.begin(start_s, duration_s);
            scene.caption = *caption;
            let (image, axes) = drawer.draw(&scene, cancel)?;
            Ok((image, Some(axes), known(levels.silenced)))
        } else {
            let tile = self.painter.tile(samples, sample_rate, cancel)?;
            let Tile { width, height, pixels, silenced } = tile;
            let color = Color::from(self.config.colormap);
            Ok((Image { width, height, pixels, color }, None, known(silenced)))
        }
    }
}

/// Converts recordings, one at a time, by one configuration.
pub struct Converter {
    config_json: String,
    /// The selection as JSON, unless it is a whole recording.
    selection: Option<String>,
    limits: Limits,
    audio: Audio,
    canvas: Canvas,
    encoder: Encoder,
}

impl Converter {
    /// A converter for this configuration.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn new(config: &SpectrogramConfig) -> Result<Self> {
        Self::with_preset(config, Preset::default())
    }

    /// A converter for this configuration that writes PNGs by this preset.
    ///
    /// # Errors
    /// Those of [`SpectrogramConfig::validate`].
    pub fn with_preset(config: &SpectrogramConfig, preset: Preset) -> Result<Self> {
        Ok(Self {
            config_json: config.to_json(),
            selection: None,
            limits: Limits::default(),
            audio: Audio::default(),
            canvas: Canvas::new(config)?,
            encoder: Encoder::new(preset),
        })
    }

    /// The same converter with other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.canvas.limit(&limits);
        self
    }

    /// The same converter, for what this selects of recordings: pictures say so.
    #[must_use]
    pub fn with_selection(mut self, selection: &Selection) -> Self {
        self.selection = (!selection.is_whole()).then(|| selection.to_json());
        self
    }

    /// What it converts by.
    #[must_use]
    pub fn config(&self) -> &SpectrogramConfig {
        &self.canvas.config
    }

    /// What a user should know of the figures drawn since the last call.
    pub fn take_remarks(&mut self) -> Remarks {
        self.canvas.drawer.as_mut().map(Drawer::take_remarks).unwrap_or_default()
    }

    /// The PNG, into `file`, of a recording's bytes, and what was odd about them.
    ///
    /// # Errors
    /// Those of [`audio::decode`] and [`Converter::draw`].
    pub fn convert(
        &mut self,
        recording: &[u8],
        caption: &Caption,
        file: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<(Recording, Findings)> {
        let mut audio = std::mem::take(&mut self.audio);
        let drawn =
            audio::decode(recording, &mut audio, &self.limits, cancel).and_then(|findings| {
                let known = self.draw(&mut audio, &Part::default(), caption, file, cancel)?;
                Ok((known, findings))
            });
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
        caption: &Caption,
        file: &mut Vec<u8>,
        cancel: &Cancel,
    ) -> Result<Recording> {
        let config = Arc::clone(&self.canvas.config);
        let font = self.canvas.drawer.as_ref().and_then(Drawer::font_sha256).map(str::to_owned);
        let (image, axes, known) = self.canvas.draw(audio, part.start_s, caption, cancel)?;
        let made = Made {
            config_json: &self.config_json,
            selection: self.selection.as_deref(),
            font: font.as_deref(),
            caption,
            axes: axes.as_ref(),
        };
        let text = provenance(&config, &made, &known, part)?;
        self.encoder.encode_into(&image, &[("heartfast", &text)], file, cancel)?;
        Ok(known)
    }
}

/// The PNG of a figure of levels that are there already, in rows of so many `columns`, the highest
/// frequency first, and what a user should know of it. Without `samples` there is no oscillogram.
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) if the configuration has no figure; those of
/// [`Converter::draw`].
pub fn figure(
    config: &SpectrogramConfig,
    (levels, columns): (&[u8], usize),
    (samples, sample_rate): (Option<&[f32]>, u32),
    caption: &Caption,
    cancel: &Cancel,
) -> Result<(Vec<u8>, Remarks)> {
    let geometry = config.geometry(sample_rate)?;
    let Some(figure) = &config.figure else {
        return Err(Error::value("figure", "the settings of one", "none"));
    };
    let mut figure = figure.clone();
    let mut scene = Scene::new(config, sample_rate, &geometry);
    (scene.levels, scene.columns) = (levels, columns);
    let duration_s = match samples {
        Some(samples) => {
            scene.samples = samples;
            samples.len() as f64 / f64::from(sample_rate)
        }
        None => {
            figure.osc = Osc::None;
            scene.time.0 + columns.saturating_sub(1) as f64 * scene.time.1
        }
    };
    scene.begin(0.0, duration_s);
    scene.caption = *caption;
    let mut drawer = Drawer::new(&figure)?;
    let font = drawer.font_sha256().map(str::to_owned);
    let (image, axes) = drawer.draw(&scene, cancel)?;
    let known = Recording { sample_rate, duration_s, silenced: 0 };
    let config_json = &config.to_json();
    let (font, axes) = (font.as_deref(), Some(&axes));
    let made = Made { config_json, selection: None, font, caption, axes };
    let text = provenance(config, &made, &known, &Part::default())?;
    let mut file = Vec::new();
    Encoder::default().encode_into(&image, &[("heartfast", &text)], &mut file, cancel)?;
    Ok((file, drawer.take_remarks()))
}

/// How a picture was made, beside its configuration.
struct Made<'m> {
    config_json: &'m str,
    /// As JSON, unless it is a whole recording.
    selection: Option<&'m str>,
    /// SHA-256 of the font file that the configuration names.
    font: Option<&'m str>,
    caption: &'m Caption<'m>,
    axes: Option<&'m Axes>,
}

/// What a picture says of its making, as JSON.
fn provenance(
    config: &SpectrogramConfig,
    made: &Made,
    recording: &Recording,
    part: &Part,
) -> Result<String> {
    let Made { config_json, selection, font, caption, axes } = *made;
    // What is as it is by default is left out: pictures of whole recordings say no more.
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
    if let Some(selection) = selection {
        let _ = write!(from, "\"selection\": {selection}, ");
    }
    if let Some(axes) = axes {
        let _ = write!(from, "\"axes\": {}, ", axes.to_json());
        if let Some(sha256) = font {
            let _ = write!(from, "\"font_sha256\": \"{sha256}\", ");
        }
        if !caption.intervals.is_empty() {
            let _ = write!(from, "\"intervals\": \"{}\", ", figure::digest(caption.intervals));
        }
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
