//! What of a track's decoded samples is the recording. Encoders put 1024 or 2112 samples (AAC), or
//! 1105 (MP3), in front, and the container says so in several ways. Where these leave room, ffmpeg's
//! reading counts: the end of an edit drops whole packets, its start cuts the first one.

use std::ops::Range;

use symphonia::core::formats::Track;
use symphonia::core::packet::Packet;

/// The delay that libfaac has and tells of nowhere, in samples.
const FAAC_DELAY: u64 = 1024;

/// What is cut off from packets.
#[derive(Debug, Default)]
pub(super) struct Trim {
    /// Parts of the track that are played, in its units; all of it without any. None begins
    /// before the one in front of it.
    pub(super) parts: Vec<Range<u64>>,
    /// Of these units, in a second.
    timescale: u32,
    /// Samples in front that a note counts.
    pub(super) delay: Option<u64>,
    aac: bool,
    /// What fills up the last frame of an MP3, in samples behind its delay.
    padding: Range<i64>,
    /// Samples of a channel that are still to be cut off; not known before the sample rate is.
    left: Option<u64>,
}

impl Trim {
    pub(super) fn new(
        parts: Vec<Range<u64>>,
        timescale: u32,
        delay: Option<u64>,
        aac: bool,
    ) -> Self {
        Self { parts, timescale, delay, aac, ..Self::default() }
    }

    /// Of an MP3, whose packets tell its delay by times before 0. Its tag's number of samples says
    /// where the padding is, and not where the file ends: others may have been put behind.
    pub(super) fn of_mp3(track: &Track) -> Self {
        let start = track.num_frames.and_then(|frames| i64::try_from(frames).ok()).unwrap_or(0);
        let padding = start..start.saturating_add(track.padding.unwrap_or(0).into());
        Self { padding, ..Self::default() }
    }

    /// How many samples fill up the last frame of an MP3.
    pub(super) fn padded(&self) -> u64 {
        self.padding.end.abs_diff(self.padding.start)
    }

    /// How many of the first so many units of a track are played.
    pub(super) fn played(&self, units: u64) -> u64 {
        if self.parts.is_empty() {
            return units;
        }
        let inside = |part: &Range<u64>| part.end.min(units).saturating_sub(part.start);
        self.parts.iter().map(inside).sum()
    }

    /// Which of the samples of a channel count that the next packet was decoded to.
    pub(super) fn keep(&mut self, packet: &Packet, frames: usize, rate: u32) -> Range<usize> {
        let time = packet.pts.get();
        if time < 0 || !self.padding.is_empty() {
            let inside = |at: i64| at.saturating_sub(time).clamp(0, frames as i64) as usize;
            let padded = inside(self.padding.start) < inside(self.padding.end);
            return inside(0)..if padded { inside(self.padding.start) } else { frames };
        }
        let left = match self.left {
            Some(left) => left,
            None => self.delay(&packet.data, rate),
        };
        let cut = left.min(frames as u64);
        self.left = Some(left - cut);
        let start = time as u64;
        let end = start.saturating_add(packet.dur.get());
        let whole = self.parts.iter().any(|part| part.contains(&start));
        let begins = self.parts.first().is_some_and(|part| (start..end).contains(&part.start));
        if self.parts.is_empty() || whole || begins { cut as usize..frames } else { 0..0 }
    }

    /// How many samples are in front of the recording, which begins with this packet.
    fn delay(&self, first: &[u8], rate: u32) -> u64 {
        let start = self.parts.first().map_or(0, |part| part.start);
        let start = u128::from(start) * u128::from(rate) / u128::from(self.timescale.max(1));
        let start = u64::try_from(start).unwrap_or(u64::MAX);
        match self.delay.unwrap_or(start) {
            0 if self.aac && is_faacs(first) => FAAC_DELAY,
            delay => delay,
        }
    }
}

/// Whether a recording's first packet begins with a fill element (number 6) that names libfaac,
/// as it does by itself.
fn is_faacs(packet: &[u8]) -> bool {
    let name = b"libfaac ";
    packet.first().is_some_and(|first| first >> 5 == 6)
        && [3, 4].iter().any(|&at| packet.get(at..).is_some_and(|rest| rest.starts_with(name)))
}
