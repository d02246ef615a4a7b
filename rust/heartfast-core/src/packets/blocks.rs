//! Recordings of ADPCM, whose blocks are known to be there.

use std::io::{self, Read};

use symphonia::core::audio::layouts;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoderOptions};
use symphonia::core::io::MediaSource;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::Decoder;
use crate::error::{Error, Result};
use crate::pcm::{Adpcm, Content, Sound};

/// Blocks of ADPCM, one after the other.
pub(super) struct Blocks<'s> {
    source: Box<dyn MediaSource + 's>,
    pub(super) sound: Sound,
    adpcm: Adpcm,
}

impl<'s> Blocks<'s> {
    pub(super) fn new(mut source: Box<dyn MediaSource + 's>, sound: Sound) -> Result<Self> {
        let Content::Blocks(adpcm) = sound.content else {
            return Err(Error::decode("blocks of ADPCM", "none"));
        };
        // By reading, since not all sources can be read from anywhere.
        io::copy(&mut source.by_ref().take(sound.data.start), &mut io::sink())
            .map_err(Error::Read)?;
        Ok(Self { source, sound, adpcm })
    }

    fn block_frames(&self) -> u64 {
        self.adpcm.frames(self.adpcm.block_bytes.into(), self.sound.channels)
    }

    pub(super) fn decoder(&self) -> Result<Decoder> {
        let codec = if self.adpcm.ima { CODEC_ID_ADPCM_IMA_WAV } else { CODEC_ID_ADPCM_MS };
        let mut parameters = AudioCodecParameters::new();
        let mono = self.sound.channels == 1;
        parameters
            .for_codec(codec)
            .with_sample_rate(self.sound.sample_rate)
            .with_channels(if mono {
                layouts::CHANNEL_LAYOUT_MONO
            } else {
                layouts::CHANNEL_LAYOUT_STEREO
            })
            .with_frames_per_block(self.block_frames())
            .with_max_frames_per_packet(self.block_frames());
        symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .map_err(|e| Error::unsupported(format!("ADPCM that is not read ({e})")))
    }

    /// Whether a block is none: the header of each channel ends with a zero in IMA's.
    pub(super) fn is_damaged(&self, block: &[u8]) -> bool {
        let headers = block.as_chunks::<4>().0.iter().take(self.sound.channels);
        self.adpcm.ima && headers.into_iter().any(|header| header[3] != 0)
    }

    /// The next block. One that is cut off is filled up with zeros; its duration tells how much
    /// of it counts.
    pub(super) fn next_packet(&mut self) -> symphonia::core::errors::Result<Option<Packet>> {
        let data = &mut self.sound.data;
        let bytes = (data.end - data.start).min(self.adpcm.block_bytes.into());
        let frames = self.adpcm.frames(bytes, self.sound.channels);
        if frames == 0 {
            return Ok(None);
        }
        let mut block = vec![0; self.adpcm.block_bytes.into()];
        self.source.read_exact(&mut block[..bytes as usize])?;
        data.start += bytes;
        let mut packet = Packet::new(0, Timestamp::new(0), Duration::from(frames), block);
        packet.trim_end = Duration::from(self.block_frames() - frames);
        Ok(Some(packet))
    }
}
