//! Bytes of recordings into samples.

#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;

use heartfast_core::audio::{Audio, decode};
use heartfast_core::limits::Limits;
use heartfast_core::{Cancel, Error};
use proptest::prelude::*;

const PCM: u16 = 1;
const FLOAT: u16 = 3;

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = [kind.as_slice(), &(body.len() as u32).to_le_bytes(), body].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8], before: &[u8]) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut format = Vec::new();
    format.extend(tag.to_le_bytes());
    format.extend(channels.to_le_bytes());
    format.extend(rate.to_le_bytes());
    format.extend((rate * u32::from(align)).to_le_bytes());
    format.extend(align.to_le_bytes());
    format.extend(bits.to_le_bytes());
    let chunks = [chunk(b"fmt ", &format), before.to_vec(), chunk(b"data", data)].concat();
    chunk(b"RIFF", &[b"WAVE".as_slice(), &chunks].concat())
}

fn decoded(bytes: &[u8]) -> heartfast_core::Result<Audio> {
    let mut audio = Audio::default();
    decode(bytes, &mut audio, &Limits::default(), &Cancel::new()).map(|_| audio)
}

proptest! {
    #[test]
    fn sixteen_bits(
        samples in proptest::collection::vec(any::<i16>(), 1..300),
        channels in 1u16..5,
        rate in 1u32..200_000,
        list in any::<bool>(),
    ) {
        let whole = samples.len() / usize::from(channels) * usize::from(channels);
        prop_assume!(whole > 0);
        let data: Vec<u8> = samples[..whole].iter().flat_map(|s| s.to_le_bytes()).collect();
        let before = if list { chunk(b"LIST", b"INFOISFT\x04\0\0\0test") } else { Vec::new() };
        let audio = decoded(&wav(PCM, channels, rate, 16, &data, &before)).unwrap();
        let expected: Vec<f32> = samples[..whole].iter().map(|&s| f32::from(s) / 32768.0).collect();
        prop_assert_eq!(audio.frames(), whole / usize::from(channels));
        let duration = audio.frames() as f64 / f64::from(rate);
        prop_assert_eq!(audio.duration_s(), duration);
        prop_assert_eq!(audio, Audio { interleaved: expected, channels: channels.into(), sample_rate: rate });
    }

    #[test]
    fn other_depths(samples in proptest::collection::vec(any::<i32>(), 1..200)) {
        let bytes = |n: usize, offset: u8| -> Vec<u8> {
            let high = |s: &i32| {
                let mut bytes = s.to_le_bytes()[4 - n..].to_vec();
                bytes[n - 1] = bytes[n - 1].wrapping_add(offset);
                bytes
            };
            samples.iter().flat_map(high).collect()
        };
        for (n, offset) in [(1, 128), (3, 0), (4, 0)] {
            let audio = decoded(&wav(PCM, 1, 8000, 8 * n as u16, &bytes(n, offset), &[])).unwrap();
            let scale = 2f64.powi(31);
            let cut = |s: &i32| (f64::from(s >> (32 - 8 * n) << (32 - 8 * n)) / scale) as f32;
            prop_assert_eq!(audio.interleaved, samples.iter().map(cut).collect::<Vec<_>>());
        }
    }

    #[test]
    fn floats(samples in proptest::collection::vec(any::<f32>(), 1..200)) {
        prop_assume!(samples.iter().all(|x| x.is_finite()));
        let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let audio = decoded(&wav(FLOAT, 1, 8000, 32, &data, &[])).unwrap();
        prop_assert_eq!(audio.interleaved, samples);
    }

    /// Nothing panics, and what cannot be read is told in one line.
    #[test]
    fn damage(
        changes in proptest::collection::vec((0usize..60, any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        tag in prop_oneof![Just(PCM), Just(FLOAT), 0u16..20],
    ) {
        let mut file = wav(tag, 2, 8000, 16, &[7; 400], &[]);
        for (at, byte) in changes {
            file[at] = byte;
        }
        file.truncate(cut.index(file.len() + 1));
        match decoded(&file) {
            Ok(audio) => prop_assert!(!audio.interleaved.is_empty()),
            Err(error) => {
                let kind = error.kind();
                prop_assert!(matches!(kind, "decode" | "unsupported" | "limit"), "{error:?}");
                prop_assert!(error.to_string().starts_with("expected "));
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn any_bytes(
        magic in prop_oneof![
            Just(&b""[..]), Just(&b"fLaC\0\0\0\x22"[..]), Just(&b"OggS\0\x02"[..]),
            Just(&b"FORM\0\0\x01\0AIFFCOMM"[..]), Just(&b"\xff\xfb\x90\x64"[..]),
            Just(&b"caff\0\x01\0\0desc"[..]), Just(&b"\0\0\0\x20ftypM4A "[..]), Just(&b"ID3\x04\0\0"[..]),
        ],
        rest in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        if let Ok(audio) = decoded(&[magic, &rest].concat()) {
            prop_assert!(!audio.interleaved.is_empty());
        }
    }
}

#[test]
fn memory_is_used_again() {
    let mut audio = Audio { interleaved: vec![9.0; 1000], channels: 7, sample_rate: 1 };
    let file = wav(PCM, 1, 4000, 16, &[0, 64, 0, 192], &[]);
    decode(&file, &mut audio, &Limits::default(), &Cancel::new()).unwrap();
    assert_eq!(audio, Audio { interleaved: vec![0.5, -0.5], channels: 1, sample_rate: 4000 });
    assert!(audio.interleaved.capacity() >= 1000);
}

#[test]
fn nothing_to_read() {
    let said = |bytes: &[u8]| decoded(bytes).unwrap_err().to_string();
    assert!(said(b"").ends_with("found an empty file"));
    assert!(said(&wav(PCM, 1, 4000, 16, b"", &[])).ends_with("at least one sample, found none"));
    let text = decoded(b"Dear diary, today I recorded nothing at all.").unwrap_err();
    assert!(matches!(text, Error::Unsupported { .. }));
    assert!(text.to_string().ends_with("found a file that starts with \"Dear diary, \""), "{text}");
}

#[test]
fn rates_that_no_recording_has() {
    let said = |rate| decoded(&wav(PCM, 1, rate, 16, &[1; 64], &[])).unwrap_err().to_string();
    assert_eq!(said(0), "expected channels and a sample rate, found 1 channels at 0 Hz");
    for rate in [3_072_001, u32::MAX / 4] {
        let limit = "expected at most 3072000 Hz (limit max_sample_rate)";
        assert_eq!(said(rate), format!("{limit}, found {rate}"));
    }
}

#[test]
fn cancelled() {
    // Long enough to be read piece by piece, and of a depth that takes the general way.
    let file = wav(PCM, 1, 4000, 24, &[5; 300_000], &[]);
    let cancel = Cancel::new();
    cancel.request();
    let mut audio = Audio::default();
    assert!(matches!(
        decode(&file, &mut audio, &Limits::default(), &cancel),
        Err(Error::Cancelled)
    ));
    let plain = wav(PCM, 1, 4000, 16, &[5; 4000], &[]);
    assert!(matches!(
        decode(&plain, &mut audio, &Limits::default(), &cancel),
        Err(Error::Cancelled)
    ));
    let mut audio = Audio { interleaved: vec![0.5; 2000], channels: 2, sample_rate: 4000 };
    assert!(matches!(audio.mix(&cancel), Err(Error::Cancelled)));
    assert!(matches!(audio.resample(8000, &cancel), Err(Error::Cancelled)));
    assert_eq!(audio, Audio { interleaved: vec![0.5; 2000], channels: 2, sample_rate: 4000 });
}

proptest! {
    #[test]
    fn mixing(samples in proptest::collection::vec(-1.0f32..1.0, 1..200), channels in 1usize..9) {
        let frames = samples.len() / channels;
        let interleaved = samples[..frames * channels].to_vec();
        let mut audio = Audio { interleaved, channels, sample_rate: 8000 };
        audio.mix(&Cancel::new()).unwrap();
        prop_assert_eq!((audio.channels, audio.frames()), (1, frames));
        for (mean, frame) in audio.interleaved.iter().zip(samples.chunks_exact(channels)) {
            let exact = frame.iter().map(|&x| f64::from(x)).sum::<f64>() / channels as f64;
            prop_assert!((f64::from(*mean) - exact).abs() < 1e-6);
        }
    }

    #[test]
    fn resampled_lengths(n in 1usize..3000, from in 1u32..2000, to in 1u32..2000, channels in 1usize..3) {
        let mut audio = Audio { interleaved: vec![0.25; n * channels], channels, sample_rate: from };
        audio.resample(to, &Cancel::new()).unwrap();
        prop_assert_eq!((audio.channels, audio.sample_rate), (channels, to));
        prop_assert_eq!(audio.frames(), (n * to as usize).div_ceil(from as usize));
        prop_assert!(audio.interleaved.iter().all(|x| x.is_finite() && x.abs() < 0.5));
    }
}

#[test]
fn resampled_tones() {
    for (from, to) in [(44_100u32, 4000u32), (4000, 44_100), (16_000, 11_025), (8000, 4001)] {
        let f = 0.4 * f64::from(from.min(to)) / 2.0;
        let tone = |rate: u32, n: usize, phase: f64| -> Vec<f32> {
            (0..n).map(|k| (TAU * f * k as f64 / f64::from(rate) + phase).sin() as f32).collect()
        };
        let (left, right) =
            (tone(from, 3 * from as usize, 0.0), tone(from, 3 * from as usize, 1.0));
        let interleaved = left.iter().zip(&right).flat_map(|(&l, &r)| [l, r]).collect();
        let mut audio = Audio { interleaved, channels: 2, sample_rate: from };
        audio.resample(to, &Cancel::new()).unwrap();
        let n = audio.frames();
        assert_eq!(n, 3 * to as usize);
        for (channel, phase) in [(0, 0.0), (1, 1.0)] {
            let expected = tone(to, n, phase);
            // The ends ring: the tone begins and ends there.
            let actual = audio.interleaved.iter().skip(channel).step_by(2);
            for (k, (x, e)) in actual.zip(&expected).enumerate().skip(n / 3).take(n / 3) {
                let error = (x - e).abs();
                assert!(error < 1e-4, "{from} to {to}, sample {k}: off by {error}");
            }
        }
    }
}

#[test]
fn rates_to_resample_to() {
    let mut audio = Audio { interleaved: vec![0.5; 10], channels: 1, sample_rate: 8000 };
    for rate in [0, 3_072_001] {
        assert!(matches!(
            audio.resample(rate, &Cancel::new()),
            Err(Error::Value { field: "sr", .. })
        ));
    }
    let before = audio.clone();
    audio.resample(8000, &Cancel::new()).unwrap();
    assert_eq!(audio, before);
}
