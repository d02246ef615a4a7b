//! Where the time of a conversion goes, for `heartfast bench`.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::audio::{self, Audio};
use crate::cancel::Cancel;
use crate::config::SpectrogramConfig;
use crate::error::Result;
use crate::limits::Limits;
use crate::png::Encoder;
use crate::raster::{Color, Image};
use crate::simd::lane::{Complex, Sink};
use crate::simd::lanes::{Lanes, MOST_LANES};
use crate::sink::write_file;
use crate::source::{Origin, read};
use crate::stft::{SingleScratch, SingleStft};
use crate::tile::{Painter, Tile};

/// The stages of a conversion, in order.
pub const STAGES: [&str; 7] = ["read", "checksum", "decode", "transform", "levels", "PNG", "write"];

/// Converts recordings into pictures of these paths on this thread, `passes` times, and returns what each of [`STAGES`] took
/// for all of them together: for each task and stage the least of the passes, since only what
/// was not interrupted tells what the work takes.
///
/// The transform is done once more by itself, and what else a tile takes counts as its levels.
///
/// # Errors
/// The first of any task; [`Error::Cancelled`](crate::Error::Cancelled) soon after `cancel` is
/// set.
pub fn stage_times(
    tasks: &[(Origin, PathBuf)],
    config: &SpectrogramConfig,
    passes: usize,
    cancel: &Cancel,
) -> Result<[Duration; STAGES.len()]> {
    let mut stopwatch = Stopwatch {
        config,
        recording: Vec::new(),
        audio: Audio::default(),
        transforms: HashMap::new(),
        painter: Painter::new(config)?,
        encoder: Encoder::default(),
        picture: Vec::new(),
    };
    let mut least = vec![[Duration::MAX; STAGES.len()]; tasks.len()];
    // Pass by pass: a recording that was just read is in the cache.
    for _ in 0..passes {
        for (least, (recording, picture)) in least.iter_mut().zip(tasks) {
            for (least, took) in
                least.iter_mut().zip(stopwatch.convert(recording, picture, cancel)?)
            {
                *least = took.min(*least);
            }
        }
    }
    let sum = |stage: usize| least.iter().map(|times| times[stage]).sum();
    Ok(std::array::from_fn(sum))
}

/// One thread's buffers, as a batch has them, and the transforms once more by themselves.
struct Stopwatch<'a> {
    config: &'a SpectrogramConfig,
    recording: Vec<u8>,
    audio: Audio,
    transforms: HashMap<u32, (SingleStft, SingleScratch)>,
    painter: Painter,
    encoder: Encoder,
    picture: Vec<u8>,
}

impl Stopwatch<'_> {
    /// What each stage took.
    fn convert(
        &mut self,
        recording: &Origin,
        picture: &Path,
        cancel: &Cancel,
    ) -> Result<[Duration; STAGES.len()]> {
        let (read, ()) = timed(|| read(recording, &mut self.recording, cancel))?;
        let (checksum, _) = timed(|| Ok(black_box(Sha256::digest(&self.recording))))?;
        let audio = &mut self.audio;
        let (decode, ()) = timed(|| {
            audio::decode(&self.recording, audio, &Limits::default(), cancel)?;
            audio.mix(cancel)
        })?;
        let sample_rate = audio.sample_rate;
        if !self.transforms.contains_key(&sample_rate) {
            let geometry = self.config.geometry(sample_rate)?;
            let window = self.config.window.samples(geometry.win_length, true);
            let (hop, n_fft) = (geometry.hop_length, geometry.n_fft);
            let stft = SingleStft::new(&window, hop, n_fft, self.config.center)?;
            self.transforms.insert(sample_rate, (stft, SingleScratch::default()));
        }
        let mut transform = Duration::ZERO;
        if let Some((stft, scratch)) = self.transforms.get_mut(&sample_rate) {
            let samples = &audio.interleaved;
            let frames = 0..stft.frames(samples.len());
            let mut largest = Largest([0.0; MOST_LANES]);
            (transform, ()) =
                timed(|| stft.for_each_block(samples, frames, scratch, cancel, &mut largest))?;
            black_box(largest);
        }
        let (tile, Tile { width, height, pixels, .. }) =
            timed(|| self.painter.tile(&mut audio.interleaved, sample_rate, cancel))?;
        let image = Image { width, height, pixels, color: Color::from(self.config.colormap) };
        let (png, ()) = timed(|| self.encoder.encode_into(&image, &[], &mut self.picture, cancel))?;
        let (write, ()) = timed(|| write_file(picture, &self.picture, false, cancel))?;
        Ok([read, checksum, decode, transform, tile.saturating_sub(transform), png, write])
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed(), result))
}

/// Takes spectra for next to nothing, but takes them.
struct Largest([f32; MOST_LANES]);

impl Sink for Largest {
    #[inline(always)]
    fn take<V: Lanes>(&mut self, _: usize, _: usize, [a, b]: [Complex<V>; 2]) {
        let largest = a.re.max(a.im).max(b.re.max(b.im));
        largest.max(V::load(&self.0, 0)).store(&mut self.0, 0);
    }
}
