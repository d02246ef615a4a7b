//! What is found here against what symphonia finds.
#![allow(clippy::expect_used)]

use std::io::Cursor;

use proptest::prelude::*;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use crate::audio::{Audio, decode};
use crate::cancel::Cancel;
use crate::error::guard;
use crate::limits::Limits;

/// Tags and bits.
const ENCODINGS: [(u16, u16); 8] =
    [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64), (6, 8), (7, 8)];

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = [kind.as_slice(), &(body.len() as u32).to_le_bytes(), body].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// With a mask of channels: an extensible one.
fn wav(
    (tag, bits): (u16, u16),
    mask: Option<u32>,
    rate: u32,
    channels: u16,
    data: &[u8],
    around: &[Vec<u8>; 3],
) -> Vec<u8> {
    let align = bits / 8 * channels;
    let mut format = mask.map_or(tag, |_| 0xfffe).to_le_bytes().to_vec();
    format.extend(channels.to_le_bytes());
    format.extend(rate.to_le_bytes());
    format.extend((rate * u32::from(align)).to_le_bytes());
    format.extend(align.to_le_bytes());
    format.extend(bits.to_le_bytes());
    if mask.is_none() && tag >= 6 {
        // Of all but PCM, the length of what follows.
        format.extend([0, 0]);
    }
    if let Some(mask) = mask {
        format.extend([22, 0]);
        format.extend(bits.to_le_bytes());
        format.extend(mask.to_le_bytes());
        format.extend(tag.to_le_bytes());
        format.extend(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    }
    let [before, between, after] = around.each_ref().map(|body| match body.as_slice() {
        [] => Vec::new(),
        body => chunk(b"note", body),
    });
    let parts = [before, chunk(b"fmt ", &format), between, chunk(b"data", data), after];
    let body = [b"WAVE".to_vec(), parts.concat()].concat();
    chunk(b"RIFF", &body)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..20)
}

fn ours(file: &[u8]) -> crate::Result<Audio> {
    let mut audio = Audio::default();
    decode(file, &mut audio, &Limits::default(), &Cancel::new()).map(|_| audio)
}

/// What symphonia reads; where it panics, as it does at some damage, nothing.
fn symphonias(file: &[u8]) -> Option<Audio> {
    guard(|| Ok(by_symphonia(file))).ok().flatten()
}

fn by_symphonia(file: &[u8]) -> Option<Audio> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(file.to_vec())), Default::default());
    let probe = symphonia::default::get_probe();
    let options = (FormatOptions::default(), MetadataOptions::default());
    let mut reader = probe.probe(&Hint::new(), stream, options.0, options.1).ok()?;
    let parameters = reader.default_track(TrackType::Audio)?.codec_params.as_ref()?.audio()?;
    let codecs = symphonia::default::get_codecs();
    let mut decoder =
        codecs.make_audio_decoder(parameters, &AudioDecoderOptions::default()).ok()?;
    let (mut audio, mut samples) = (Audio::default(), Vec::new());
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) | Err(Error::IoError(_)) => break,
            Err(_) => return None,
        };
        let decoded = decoder.decode(&packet).ok()?;
        let spec = decoded.spec();
        (audio.channels, audio.sample_rate) = (spec.channels().count(), spec.rate());
        decoded.copy_to_vec_interleaved(&mut samples);
        audio.interleaved.append(&mut samples);
    }
    (!audio.interleaved.is_empty()).then_some(audio)
}

/// With not-a-number equal to itself.
fn same(a: &Audio, b: &Audio) -> bool {
    let bits = |audio: &Audio| audio.interleaved.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    (a.channels, a.sample_rate) == (b.channels, b.sample_rate) && bits(a) == bits(b)
}

fn random(n: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (state >> 56) as u8
    };
    (0..n).map(next).collect()
}

proptest! {
    #[test]
    fn wav_samples_are_symphonias(
        encoding in 0..ENCODINGS.len(),
        mask in proptest::option::of(0u32..8),
        rate in 1u32..400_000,
        channels in 1u16..3,
        frames in 1usize..3000,
        seed in any::<u64>(),
        around in [bytes(), bytes(), bytes()],
    ) {
        let (tag, bits) = ENCODINGS[encoding];
        // symphonia has another number for mu-law in here.
        let mask = mask.filter(|_| tag < 6);
        let data = random(frames * usize::from(channels) * usize::from(bits / 8), seed);
        let file = wav((tag, bits), mask, rate, channels, &data, &around);
        let ours = ours(&file).expect("a good file");
        prop_assert_eq!(ours.frames(), frames);
        prop_assert!(same(&ours, &symphonias(&file).expect("a good file")));
    }

    #[test]
    fn a_changed_byte_changes_both_alike(
        encoding in 0..ENCODINGS.len(),
        mask in proptest::option::of(Just(3)),
        at in 0usize..80,
        value in any::<u8>(),
        cut in 0usize..40,
    ) {
        let none = [Vec::new(), Vec::new(), Vec::new()];
        let (tag, bits) = ENCODINGS[encoding];
        let data: Vec<u8> = (0..48).map(|k| k * 5).collect();
        let mut file = wav((tag, bits), mask, 8000, 2, &data, &none);
        let at = at % if mask.is_some() { 68 } else { 44 };
        file[at] = value;
        file.truncate(file.len() - cut);
        if let (Ok(ours), Some(symphonias)) = (ours(&file), symphonias(&file)) {
            prop_assert!(same(&ours, &symphonias));
        }
    }

    /// The same sound in every other shape that WAV has.
    #[test]
    fn the_kin_of_wav(
        encoding in 0..ENCODINGS.len(),
        channels in 1u16..70,
        frames in 1usize..50,
        seed in any::<u64>(),
        around in [bytes(), bytes(), bytes()],
        table in 0usize..3,
        plain_size in any::<bool>(),
        name in prop_oneof![Just(b"RF64"), Just(b"BW64")],
    ) {
        let (tag, bits) = ENCODINGS[encoding];
        let size = usize::from(bits / 8);
        let data = random(frames * usize::from(channels) * size, seed);
        let riff = wav((tag, bits), None, 8000, channels, &data, &around);
        let expected = ours(&riff).expect("a good file");

        // What a file of more than 4 GB is, at a size that fits a test.
        let mut sizes = (riff.len() as u64 + 28 + 12 * table as u64).to_le_bytes().to_vec();
        sizes.extend((data.len() as u64).to_le_bytes());
        sizes.extend([0; 12]);
        sizes.extend(vec![7; 12 * table]);
        let large = [b"\xff\xff\xff\xffWAVE".as_slice(), &chunk(b"ds64", &sizes)].concat();
        let mut large = [name.as_slice(), &large, &riff[12..]].concat();
        if !plain_size {
            let at = large.windows(4).position(|w| w == b"data").expect("is there") + 4;
            large[at..at + 4].fill(0xff);
        }
        prop_assert!(same(&ours(&large).expect("RF64"), &expected));

        // All numbers the other way round.
        let swap = |bytes: &[u8], n: usize| -> Vec<u8> {
            bytes.chunks(n).flat_map(|c| c.iter().rev().copied()).collect()
        };
        let swapped = |kind: &[u8; 4], body: &[u8]| {
            let mut chunk = chunk(kind, body);
            chunk[4..8].reverse();
            chunk
        };
        let format = &riff[riff.windows(4).position(|w| w == b"fmt ").expect("is there") + 8..];
        let fields: Vec<u8> =
            [(0, 2), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2)].iter().flat_map(|&(at, n)| swap(&format[at..at + n], n)).collect();
        let body =
            [b"WAVE".as_slice(), &swapped(b"fmt ", &fields), &swapped(b"data", &swap(&data, size))]
                .concat();
        prop_assert!(same(&ours(&swapped(b"RIFX", &body)).expect("RIFX"), &expected));

        // GUIDs, 64 bits, and multiples of 8.
        let guid = b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a";
        let long = |kind: &[u8; 4], body: &[u8]| {
            let size = (24 + body.len() as u64).to_le_bytes();
            let mut chunk = [kind.as_slice(), guid, &size, body].concat();
            chunk.resize(chunk.len().next_multiple_of(8), 0);
            chunk
        };
        let chunks = [long(b"fmt ", &format[..16]), long(b"junk", &around[0]), long(b"data", &data)];
        let w64 = [
            b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\0\0\0\0\0\0\0\0wave".as_slice(),
            guid,
            &chunks.concat(),
        ];
        prop_assert!(same(&ours(&w64.concat()).expect("W64"), &expected));
    }

    /// Any bytes behind the name of a format: an answer, and no panic.
    #[test]
    fn any_bytes(
        magic in prop_oneof![
            Just(&b"RIFF\0\0\0\0WAVEfmt "[..]), Just(&b"RF64\0\0\0\0WAVEds64"[..]),
            Just(&b"RIFX\0\0\0\0WAVEfmt \0\0\0\x10"[..]), Just(&b"FORM\0\0\0\0AIFFCOMM"[..]),
            Just(&b"FORM\0\0\0\0AIFCCOMM\0\0\0\x18"[..]), Just(&b".snd\0\0\0\x18"[..]),
            Just(&b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20"[..]), Just(&b"ID3\x03\0\0"[..]),
        ],
        rest in proptest::collection::vec(prop_oneof![Just(0u8), 0u8..4, any::<u8>()], 0..200),
    ) {
        match ours(&[magic, &rest].concat()) {
            Ok(audio) => prop_assert!(audio.frames() > 0),
            Err(error) => prop_assert!(!matches!(error.kind(), "internal" | "io"), "{error}"),
        }
    }
}
