//! A stream of Vorbis or FLAC in Ogg: its headers, its packets, and where their samples belong.

use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::pages::Page;
use crate::error::{Error, Result};
use crate::findings::{Findings, Remark};
use crate::limits::Limits;
use crate::memory::reserve;
use crate::packets::counts::check_vorbis;
use crate::packets::{Decoder, damaged};

/// Longer packets are no sound, and no headers that are read.
const MOST_BYTES: usize = 1 << 24;
/// Values that wait for a page that tells their place.
const MOST_WAITING: usize = 1 << 23;
/// A stream that begins behind its headers with a later page than this was cut out of a longer one.
const MOST_LOST: u32 = 8;

const UNKNOWN: &str = "a gap whose length no page tells";

/// What a page is in the order of its stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    Next,
    /// So many pages are missing in front of it.
    Later(u32),
    /// It was there before.
    Again,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Codec {
    #[default]
    Other,
    Vorbis,
    Flac,
}

/// One stream.
#[derive(Default)]
pub(super) struct Link {
    pub(super) serial: u32,
    codec: Codec,
    channels: usize,
    sample_rate: u32,
    /// The headers that a decoder needs.
    headers: Vec<u8>,
    decoder: Option<Decoder>,
    /// Of the last page.
    number: u32,
    ended: bool,
    /// A packet of which the rest is on the next page.
    begun: Option<Vec<u8>>,
    /// The granule position of the first sample that is read.
    base: Option<i64>,
    /// Samples of a channel that are placed, with those that are missing.
    placed: i64,
    /// Decoded values that belong behind those.
    front: Vec<f32>,
    /// Whether sound is missing behind these.
    hole: bool,
    /// Whether there was sound in the beginning that is missing, or the stream was cut out.
    from_start: bool,
    /// Values from behind the hole.
    behind: Vec<f32>,
    /// Whether the next packet's predecessor is missing, and the values that it was decoded to.
    resumed: bool,
    unsure: usize,
    /// A gap and what is behind it, once what is in front is given.
    held: Option<(u64, Vec<f32>)>,
}

impl Link {
    /// The stream that begins with this page, after this one. It is of no codec, where that is not
    /// read.
    ///
    /// # Errors
    /// [`Error::Decode`] if the channels or the rate are others; [`Error::Limit`].
    pub(super) fn follow(&self, page: &Page, limits: &Limits) -> Result<Self> {
        let header = page.parts().next().map_or(&[][..], |(part, _)| part);
        let number = |at: usize| header[at..].first_chunk().copied().unwrap_or_default();
        let (codec, channels, sample_rate, headers) = match header.len() {
            30 if header.starts_with(b"\x01vorbis\0\0\0\0") => {
                let rate = u32::from_le_bytes(number(12));
                (Codec::Vorbis, usize::from(header[11]), rate, header.to_vec())
            }
            51 if header.starts_with(b"\x7fFLAC\x01") && header[9..13] == *b"fLaC" => {
                // 20 bits of rate, three of channels.
                let rate = u32::from_be_bytes(number(27));
                let channels = (rate >> 9 & 7) as usize + 1;
                (Codec::Flac, channels, rate >> 12, header[17..].to_vec())
            }
            _ => return Ok(Self::default()),
        };
        limits.check_signal(channels, sample_rate)?;
        if self.decoder.is_some() && (channels, sample_rate) != self.shape() {
            let expected = format!("{} channels at {} Hz", self.channels, self.sample_rate);
            let found =
                format!("a second stream of {channels} at {sample_rate} Hz behind the first");
            return Err(Error::decode(expected, found));
        }
        let (serial, number) = (page.serial, page.number);
        let new = Self { serial, codec, channels, sample_rate, headers, number, ..Self::default() };
        if codec == Codec::Flac { new.ready() } else { Ok(new) }
    }

    pub(super) fn is_known(&self) -> bool {
        self.codec != Codec::Other
    }

    /// Whether its headers were read.
    pub(super) fn is_ready(&self) -> bool {
        self.decoder.is_some()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn shape(&self) -> (usize, u32) {
        (self.channels, self.sample_rate)
    }

    /// Makes the decoder, once the headers are there.
    fn ready(mut self) -> Result<Self> {
        self.decoder = Some(self.new_decoder()?);
        Ok(self)
    }

    fn new_decoder(&mut self) -> Result<Decoder> {
        let mut parameters = AudioCodecParameters::new();
        let vorbis = self.codec == Codec::Vorbis;
        if vorbis {
            check_vorbis(&self.headers)?;
        }
        parameters
            .for_codec(if vorbis { CODEC_ID_VORBIS } else { CODEC_ID_FLAC })
            .with_sample_rate(self.sample_rate)
            .with_extra_data(std::mem::take(&mut self.headers).into());
        symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .map_err(|e| damaged(&e, 0.0))
    }

    /// What a page is after the one before.
    pub(super) fn order(&self, page: &Page) -> Order {
        let known = self.base.unwrap_or(0).saturating_add(self.placed);
        match page.number.wrapping_sub(self.number) {
            1 => Order::Next,
            // Numbers that do not grow are those of a writer that does not count.
            0 | 0x8000_0000.. if page.granule.is_none_or(|at| at <= known) => Order::Again,
            beyond => Order::Later(beyond.wrapping_sub(1)),
        }
    }

    /// Notes that pages are missing here, and whether there are bytes where they should be.
    pub(super) fn lose_pages(&mut self, count: u32, damage: bool) {
        self.from_start |= damage || count <= MOST_LOST;
        self.lose();
    }

    /// Notes that something is missing here.
    fn lose(&mut self) {
        // What had no place yet will have none.
        self.behind.clear();
        (self.hole, self.begun, self.unsure) = (true, None, 0);
        self.resumed = self.codec == Codec::Vorbis;
    }

    /// Reads a page's packets and puts into `out` what can be placed; returns how many samples are
    /// missing in front.
    ///
    /// # Errors
    /// [`Error::Decode`].
    pub(super) fn read(
        &mut self,
        page: &Page,
        out: &mut Vec<f32>,
        findings: &mut Findings,
    ) -> Result<u64> {
        if self.ended {
            let expected = "nothing behind the last page of an Ogg stream";
            return Err(Error::decode(expected, "another page of it"));
        }
        (self.number, self.ended) = (page.number, page.last);
        if page.continued != self.begun.is_some() && !self.hole {
            self.lose();
        }
        let mut whole = false;
        // What goes on without a beginning is passed over.
        let headless = page.continued && self.begun.is_none();
        for (part, ends) in page.parts().skip(headless.into()) {
            let mut packet = self.begun.take().unwrap_or_default();
            if packet.len() + part.len() > MOST_BYTES {
                let expected = format!("packets of at most {MOST_BYTES} bytes");
                return Err(Error::decode(expected, "a longer one"));
            }
            packet.extend_from_slice(part);
            if ends {
                whole = true;
                self.packet(packet)?;
            } else {
                self.begun = Some(packet);
            }
        }
        match page.granule.filter(|_| whole || page.last) {
            Some(granule) => self.place(granule, page.last, out, findings),
            None if self.front.len() + self.behind.len() > MOST_WAITING => self.finish(out),
            None => Ok(0),
        }
    }

    /// Decodes a packet, or keeps a header.
    fn packet(&mut self, packet: Vec<u8>) -> Result<()> {
        let first = packet.first().copied();
        let sound = match self.codec {
            Codec::Flac => first == Some(0xff),
            _ => first.is_some_and(|first| first & 1 == 0),
        };
        let Some(decoder) = &mut self.decoder else {
            if sound {
                return Err(Error::decode("the headers of a Vorbis stream", "sound without them"));
            }
            if packet.starts_with(b"\x05vorbis") {
                self.headers.extend(packet);
                self.decoder = Some(self.new_decoder()?);
            }
            return Ok(());
        };
        if !sound {
            return Ok(());
        }
        let packet = Packet::new(0, Timestamp::new(0), Duration::from(0u64), packet);
        let Ok(decoded) = decoder.decode(&packet) else {
            decoder.reset();
            self.lose();
            return Ok(());
        };
        let mut samples: Vec<f32> = Vec::new();
        decoded.copy_to_vec_interleaved(&mut samples);
        let waiting = if self.hole { &mut self.behind } else { &mut self.front };
        reserve(waiting, samples.len())?;
        waiting.extend(samples);
        if std::mem::take(&mut self.resumed) {
            self.unsure = self.behind.len();
        }
        Ok(())
    }

    /// Places what waits: it ends at a granule position.
    fn place(
        &mut self,
        granule: i64,
        last: bool,
        out: &mut Vec<f32>,
        findings: &mut Findings,
    ) -> Result<u64> {
        let mut waiting = self.waiting();
        if self.base.is_none() {
            if waiting == 0 {
                return Ok(0);
            }
            self.begin(granule, last, findings);
            waiting = self.waiting();
        }
        let end = granule.saturating_sub(self.base.unwrap_or(0)).max(0);
        let missing = end.saturating_sub(self.placed).saturating_sub(waiting);
        if self.hole && missing == 0 && !last {
            findings.remark(Remark::stream("pages whose numbers do not count them"));
        }
        if self.hole && missing != 0 {
            // What was decoded without the packet before is not what was there.
            self.behind.drain(..std::mem::take(&mut self.unsure));
            waiting = self.waiting();
        }
        let mut missing = end.saturating_sub(self.placed).saturating_sub(waiting);
        if self.hole && last && missing <= 0 {
            // How much fills up the last packet is not known.
            return Err(Error::decode("sound data", UNKNOWN));
        }
        if missing < 0 && last {
            let kept = (end - self.placed).max(0) as usize * self.channels;
            self.behind.truncate(kept.saturating_sub(self.front.len()));
            self.front.truncate(kept);
            missing = 0;
        } else if missing < 0 {
            findings.remark(Remark::stream("positions in time that go back"));
            self.base = Some(granule.saturating_sub(self.placed).saturating_sub(waiting));
            missing = 0;
        }
        self.give(missing as u64, out)
    }

    /// Samples of a channel that wait.
    fn waiting(&self) -> i64 {
        ((self.front.len() + self.behind.len()) / self.channels.max(1)) as i64
    }

    /// Finds the granule position of the first sample, by that of the end of those that wait.
    fn begin(&mut self, granule: i64, last: bool, findings: &mut Findings) {
        let start = granule.saturating_sub(self.waiting());
        self.base = Some(if self.hole && self.from_start { 0 } else { start.max(0) });
        if start < 0 && !last && !self.hole {
            // The encoder put them in front.
            self.front.drain(..start.unsigned_abs() as usize * self.channels);
        }
        if self.hole && !self.from_start {
            let start_s = start as f64 / f64::from(self.sample_rate);
            let text = format!("no sound of the {start_s:.3} s before its first page");
            findings.remark(Remark::stream(&text));
            self.hole = false;
        }
    }

    /// Gives what waits, with so many samples missing in the hole, or in front.
    fn give(&mut self, missing: u64, out: &mut Vec<f32>) -> Result<u64> {
        let all = (missing as i64).saturating_add(self.waiting());
        self.placed = self.placed.saturating_add(all);
        let hole = std::mem::take(&mut self.hole);
        (self.resumed, self.unsure) = (false, 0);
        std::mem::swap(out, &mut self.front);
        self.front.clear();
        if missing > 0 && hole && !out.is_empty() {
            self.held = Some((missing, std::mem::take(&mut self.behind)));
            return Ok(0);
        }
        out.append(&mut self.behind);
        Ok(missing)
    }

    /// What is behind a gap, once what is in front is given: how much is missing.
    pub(super) fn held(&mut self, out: &mut Vec<f32>) -> Option<u64> {
        let (missing, behind) = self.held.take()?;
        *out = behind;
        Some(missing)
    }

    /// Gives what waits without a page that tells its place.
    ///
    /// # Errors
    /// [`Error::Decode`] if something is missing in front of it.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) -> Result<u64> {
        if self.hole && !self.behind.is_empty() {
            return Err(Error::decode("sound data", UNKNOWN));
        }
        self.base = self.base.or(Some(0));
        self.give(0, out)
    }
}
