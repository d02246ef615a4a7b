//! The selected samples of a recording in segments of one length, read one after the other: a
//! recording that is longer than the memory goes through as any other.

use std::sync::Mutex;

use crate::audio::Audio;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::findings::Findings;
use crate::limits::Limits;
use crate::pipeline::Part;
use crate::resample::Resamplings;
use crate::selection::Selection;
use crate::signal::Signal;
use crate::stream::{Hashed, unless_failed};

/// Cuts a stream, which is hashed meanwhile.
pub(crate) struct Segments<'l, 'i> {
    stream: &'l Mutex<Hashed<'i>>,
    signal: Signal<'l, 'i>,
    /// Samples of a segment. All have as many, so that all pictures have one size: where the
    /// seconds are no whole samples, segments begin a little beside their multiples.
    length: usize,
    /// Samples from the start of one to the start of the next.
    hop: usize,
    /// What the next segment has of the last one.
    shared: Vec<f32>,
    /// Where the next one begins, in samples from the start of the signal.
    next: u64,
    /// The most samples that a segment may have.
    most: usize,
    max_duration_s: f64,
}

impl<'l, 'i> Segments<'l, 'i> {
    /// Cuts by a selection that is valid; without segments, all of it is one.
    ///
    /// # Errors
    /// Those of [`Signal::open`].
    pub(crate) fn open(
        stream: &'l Mutex<Hashed<'i>>,
        selection: &Selection,
        limits: &Limits,
        resamplings: &'l mut Resamplings,
        cancel: &'l Cancel,
    ) -> Result<Self> {
        let signal = Signal::open(stream, selection, limits, resamplings, cancel);
        let signal = unless_failed(stream, signal)?;
        let rate = f64::from(signal.sample_rate);
        if let Some(frames) = signal.known_frames()
            && selection.segment_s.is_none()
        {
            // Before anything is read.
            limits.check_duration(frames, signal.own_rate())?;
        }
        let length =
            selection.segment_s.map_or(usize::MAX, |s| ((s * rate).round() as usize).max(1));
        let apart = length as f64 * (1.0 - selection.segment_overlap / 100.0);
        let hop = (apart.round() as usize).clamp(1, length);
        let max_duration_s = limits.max_duration_s;
        let most = (max_duration_s * rate) as usize;
        Ok(Self { stream, signal, length, hop, shared: Vec::new(), next: 0, most, max_duration_s })
    }

    /// What was odd about the recording, as far as it is read.
    pub(crate) fn findings(&self) -> Findings {
        self.signal.findings()
    }

    /// Reads the next segment's samples, with where they are from and where that is in
    /// milliseconds; gives `None` once nothing is left beyond the last one.
    ///
    /// # Errors
    /// Those of [`audio::decode`](crate::audio::decode).
    pub(crate) fn next(
        &mut self,
        audio: &mut Audio,
        cancel: &Cancel,
    ) -> Result<Option<(Part, u64)>> {
        let signal = &mut self.signal;
        (audio.channels, audio.sample_rate) = (signal.channels, signal.sample_rate);
        audio.interleaved.clear();
        audio.interleaved.append(&mut self.shared);
        let shared = audio.frames();
        // One more than there may be shows that there is more.
        let length = self.length.min(self.most.saturating_add(1));
        let read = signal.read(length.saturating_sub(shared), &mut audio.interleaved, cancel);
        unless_failed(self.stream, read)?;
        if audio.frames() > self.most {
            let expected = format!("at most {} s in one picture", self.max_duration_s);
            return Err(Error::limit("max_duration_s", expected, "more"));
        }
        if audio.frames() == shared {
            return Ok(None);
        }
        if self.hop < self.length && audio.frames() == self.length {
            self.shared.extend_from_slice(&audio.interleaved[self.hop * audio.channels..]);
        }
        let (own, new) = (u128::from(signal.own_rate()), u128::from(signal.sample_rate));
        // In whole numbers: rounded seconds could give two segments one millisecond.
        let start = u128::from(signal.start()) * new + u128::from(self.next) * own;
        let second = own * new;
        let start_ms = ((1000 * start + second / 2) / second) as u64;
        self.next += self.hop as u64;
        let part = Part {
            channel: signal.channel(),
            start_s: start as f64 / second as f64,
            resampled_from: (own != new).then_some(signal.own_rate()),
        };
        Ok(Some((part, start_ms)))
    }
}
