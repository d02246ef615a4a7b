//! Recordings that are odd, damaged or made to do harm: each class by its name.

#![allow(clippy::unwrap_used)]

use heartfast_core::audio::{Audio, decode};
use heartfast_core::config::SpectrogramConfig;
use heartfast_core::figure::Caption;
use heartfast_core::limits::Limits;
use heartfast_core::pipeline::Converter;
use heartfast_core::{Cancel, Error};

fn decoded(bytes: &[u8]) -> heartfast_core::Result<Audio> {
    let mut audio = Audio::default();
    decode(bytes, &mut audio, &Limits::default(), &Cancel::new())?.whole()?;
    Ok(audio)
}

/// The samples, as whole numbers of 16 bits.
fn samples(bytes: &[u8]) -> Vec<i16> {
    let audio = decoded(bytes).unwrap();
    audio.interleaved.iter().map(|x| (x * 32768.0) as i16).collect()
}

fn said(bytes: &[u8]) -> (&'static str, String) {
    let error = decoded(bytes).unwrap_err();
    (error.kind(), error.to_string())
}

/// A chunk that says it is so long.
fn declared(kind: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
    let mut chunk = [kind.as_slice(), &size.to_le_bytes(), body].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    declared(kind, body.len() as u32, body)
}

/// A format: tag, channels, rate, bytes of a frame or block, bits.
fn format((tag, channels, rate, align, bits): (u16, u16, u32, u16, u16)) -> Vec<u8> {
    let mut format = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    format.extend(rate.to_le_bytes());
    format.extend(rate.wrapping_mul(align.into()).to_le_bytes());
    format.extend([align.to_le_bytes(), bits.to_le_bytes()].concat());
    format
}

const MONO: (u16, u16, u32, u16, u16) = (1, 1, 4000, 2, 16);
const FOUR: [u8; 8] = [1, 0, 2, 0, 3, 0, 4, 0];

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WAVE".as_slice(), &chunks.concat()].concat())
}

fn wav(fields: (u16, u16, u32, u16, u16), data: &[u8]) -> Vec<u8> {
    riff(&[chunk(b"fmt ", &format(fields)), chunk(b"data", data)])
}

#[test]
fn zero_channels_cve_2017_14634() {
    for tag in [1, 3, 6, 7, 2, 0x11] {
        let (kind, text) = said(&wav((tag, 0, 4000, 2, if tag == 3 { 32 } else { 16 }), &FOUR));
        assert!(matches!(kind, "decode" | "unsupported"), "{text}");
        let (kind, text) = said(&wav((tag, 0, 4000, 0, 0), &FOUR));
        assert_eq!(kind, "decode", "{text}");
    }
}

#[test]
fn zero_rate_cve_2021_33844() {
    let (kind, text) = said(&wav((1, 1, 0, 2, 16), &FOUR));
    assert_eq!(
        (kind, text.as_str()),
        ("decode", "expected channels and a sample rate, found 1 channels at 0 Hz")
    );
    // What FFmpeg divided by: a format without bits, and blocks without bytes.
    for fields in [(1, 1, 0, 0, 0), (0x11, 1, 0, 0, 4), (2, 2, 0, 0, 4), (1, 0, 0, 0, 0)] {
        assert_eq!(said(&wav(fields, &FOUR)).0, "decode");
    }
}

#[test]
fn zero_block_align_or_bits() {
    // One tells the other.
    assert_eq!(samples(&wav((1, 1, 4000, 0, 16), &FOUR)), [1, 2, 3, 4]);
    assert_eq!(samples(&wav((1, 1, 4000, 2, 0), &FOUR)), [1, 2, 3, 4]);
    assert_eq!(
        samples(&riff(&[chunk(b"fmt ", &format(MONO)[..14]), chunk(b"data", &FOUR)])),
        [1, 2, 3, 4]
    );
    assert_eq!(said(&wav((1, 1, 4000, 0, 0), &FOUR)).0, "decode");
    assert_eq!(said(&wav((1, 1, 4000, 0, 65), &FOUR)).0, "decode");
}

#[test]
fn data_size_zero() {
    // A recorder that was cut off leaves it so: what is there counts.
    let fields = chunk(b"fmt ", &format(MONO));
    let unfinished = riff(&[fields.clone(), declared(b"data", 0, &FOUR)]);
    assert_eq!(samples(&unfinished), [1, 2, 3, 4]);
    // But there may be nothing, with other chunks behind it.
    let empty = riff(&[fields.clone(), chunk(b"data", b""), chunk(b"LIST", b"INFO")]);
    assert_eq!(said(&empty).1, "expected at least one sample, found none");
    assert_eq!(
        said(&riff(&[fields, chunk(b"data", b"")])).1,
        "expected at least one sample, found none"
    );
}

#[test]
fn data_size_unknown_or_beyond_the_file() {
    for size in [u32::MAX, u32::MAX - 36, 0x7fff_ffff, 9] {
        let data = declared(b"data", size, &FOUR);
        assert_eq!(samples(&riff(&[chunk(b"fmt ", &format(MONO)), data])), [1, 2, 3, 4]);
    }
}

#[test]
fn data_size_odd() {
    let odd = [chunk(b"fmt ", &format(MONO)), chunk(b"data", &FOUR[..7]), chunk(b"LIST", b"INFO")];
    assert_eq!(samples(&riff(&odd)), [1, 2, 3]);
    let bytes = wav((1, 1, 4000, 1, 8), &[0, 128, 255]);
    assert_eq!(decoded(&bytes).unwrap().interleaved, [-1.0, 0.0, 127.0 / 128.0]);
}

#[test]
fn riff_size_wrong() {
    for size in [0, 4, 36, 1_000_000, u32::MAX] {
        let mut file = wav(MONO, &FOUR);
        file[4..8].copy_from_slice(&size.to_le_bytes());
        assert_eq!(samples(&file), [1, 2, 3, 4]);
    }
}

#[test]
fn chunks_in_odd_order_and_without_their_padding() {
    let data_first = riff(&[chunk(b"data", &FOUR), chunk(b"fmt ", &format(MONO))]);
    assert_eq!(samples(&data_first), [1, 2, 3, 4]);
    let mut note = chunk(b"note", b"odd");
    note.pop();
    let unpadded = riff(&[chunk(b"fmt ", &format(MONO)), note, chunk(b"data", &FOUR)]);
    assert_eq!(samples(&unpadded), [1, 2, 3, 4]);
    let mut note = chunk(b"note", b"odd");
    note[11] = b'x';
    let padded = riff(&[chunk(b"fmt ", &format(MONO)), note, chunk(b"data", &FOUR)]);
    assert_eq!(samples(&padded), [1, 2, 3, 4]);
}

#[test]
fn nothing_but_chunks() {
    // Of 0 bytes each: told in time, and not taken for a recording.
    let file = riff(&[chunk(b"fmt ", &format(MONO)), b"none\0\0\0\0".repeat(2_000_000)]);
    assert_eq!(said(&file).0, "decode");
}

#[test]
fn extensible_with_an_oversized_extension() {
    let mut fields = format((0xfffe, 1, 4000, 2, 16));
    fields.extend([22, 0, 16, 0, 4, 0, 0, 0]);
    fields.extend(b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    let plain = riff(&[chunk(b"fmt ", &fields), chunk(b"data", &FOUR)]);
    assert_eq!(samples(&plain), [1, 2, 3, 4]);
    let mut more = fields.clone();
    more.resize(40 + 1000, 7);
    more[16] = 0xff;
    more[17] = 0xff;
    assert_eq!(samples(&riff(&[chunk(b"fmt ", &more), chunk(b"data", &FOUR)])), [1, 2, 3, 4]);
    // One that is longer than the file.
    let file = riff(&[declared(b"fmt ", u32::MAX, &fields), chunk(b"data", &FOUR)]);
    assert_eq!(said(&file).0, "decode");
    // And one that is missing.
    let file = riff(&[chunk(b"fmt ", &fields[..18]), chunk(b"data", &FOUR)]);
    assert_eq!(said(&file).1, "expected an extensible WAV format of 40 bytes, found 18");
}

/// Blocks of ADPCM of any size, whatever is in them.
fn adpcm(tag: u16, channels: u16, block: u16, data: &[u8]) -> Vec<u8> {
    wav((tag, channels, 8000, block, 4), data)
}

#[test]
fn adpcm_block_sizes_zero_and_huge() {
    for tag in [2, 0x11] {
        for channels in [1, 2] {
            for block in 0..20 {
                let read = decoded(&adpcm(tag, channels, block, &[0; 4000]));
                let header = if tag == 2 { 7 } else { 4 } * channels;
                assert_eq!(
                    read.is_ok(),
                    block >= header + if tag == 2 { 1 } else { header },
                    "{block}"
                );
            }
            let read = decoded(&adpcm(tag, channels, u16::MAX, &[0; 70_000])).unwrap();
            let frames = if tag == 2 { 70_000 - 14 * channels as usize } else { 70_000 } * 2;
            assert!(read.frames().abs_diff(frames / usize::from(channels)) < 40);
        }
    }
}

#[test]
fn ms_adpcm_with_more_channels_and_coefficients_than_there_are_cve_2021_3246() {
    let mut fields = format((2, 2, 8000, 256, 4));
    fields.extend([32, 0, 0xff, 0xff, 0xff, 0xff]);
    fields.resize(50, 0xff);
    for predictor in 0..=255 {
        let block = [[predictor; 256], [0x5a; 256]].concat();
        let file = riff(&[chunk(b"fmt ", &fields), chunk(b"data", &block)]);
        match decoded(&file) {
            Ok(audio) => assert_eq!((audio.channels, audio.frames()), (2, 488)),
            Err(error) => assert!(matches!(error.kind(), "decode" | "unsupported"), "{error}"),
        }
    }
    assert_eq!(said(&adpcm(2, 3, 256, &[0; 512])).0, "unsupported");
    assert_eq!(said(&adpcm(2, u16::MAX, 256, &[0; 512])).0, "unsupported");
}

#[test]
fn ima_adpcm_over_read_cve_2019_7574() {
    // Blocks that are cut off anywhere, and step indices beyond the table.
    for channels in [1, 2] {
        for n in 1..300 {
            let file = adpcm(0x11, channels, 256, &vec![0x11; n]);
            if let Ok(audio) = decoded(&file) {
                assert!(audio.frames() <= 2 * 505);
            }
        }
        for index in 0..=255 {
            let mut block = vec![0x77; 256];
            block[2] = index;
            block[6] = index;
            (block[3], block[7]) = (0, 0);
            let read = decoded(&adpcm(0x11, channels, 256, &block));
            assert_eq!(read.is_ok(), index <= 88);
        }
    }
}

#[test]
fn id3_before_wav() {
    let tag = |size: usize| {
        let bytes = [size >> 7 & 0x7f, size & 0x7f].map(|b| b as u8);
        [b"ID3\x04\0\0\0\0".as_slice(), &bytes, &vec![0x41; size]].concat()
    };
    for tags in [tag(0), tag(300), [tag(20), tag(5000)].concat()] {
        assert_eq!(samples(&[tags, wav(MONO, &FOUR)].concat()), [1, 2, 3, 4]);
    }
    // A tag that is longer than its file: any answer will do.
    let file = [b"ID3\x04\0\0\x7f\x7f\x7f\x7f".as_slice(), &wav(MONO, &FOUR)].concat();
    let _ = decoded(&file);
}

#[test]
fn not_a_number_and_infinity_are_silence_and_counted() {
    let mut values = vec![0.25f32; 1000];
    values[3] = f32::NAN;
    values[500] = f32::INFINITY;
    values[501] = -f32::NAN;
    values[999] = f32::NEG_INFINITY;
    let file = |values: &[f32]| {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        wav((3, 1, 4000, 4, 32), &data)
    };
    let config = SpectrogramConfig::default();
    let mut converter = Converter::new(&config).unwrap();
    let mut convert = |values: &[f32]| {
        let mut picture = Vec::new();
        let (known, _) = converter
            .convert(&file(values), &Caption::default(), &mut picture, &Cancel::new())
            .unwrap();
        (known.silenced, picture)
    };
    let (count, picture) = convert(&values);
    assert_eq!(count, 4);
    for at in [3, 500, 501, 999] {
        values[at] = 0.0;
    }
    assert_eq!(convert(&values), (0, picture));
}

#[test]
fn a_file_of_33_bytes_and_every_other_short_one() {
    let whole = wav(MONO, &FOUR);
    for n in 0..whole.len() {
        let read = decoded(&whole[..n]);
        // The header is complete, and then a sample.
        assert_eq!(read.is_ok(), n >= 46, "{n} bytes");
        if let Err(error) = read {
            let few = n < 12;
            assert_eq!(error.kind() == "unsupported", few && n > 0, "{n} bytes: {error}");
        }
    }
    assert_eq!(
        said(&whole[..33]),
        ("decode", "expected a WAV format of at least 14 bytes, found 13".to_owned())
    );
}

#[test]
fn flac_with_absurd_block_sizes() {
    for (least, most, frame) in
        [(0u16, 0u16, 0u32), (65535, 65535, 0), (16, 65535, 0xff_ffff), (9, 1, 5), (1, 65535, 1)]
    {
        for channels in [1u8, 8] {
            for bits in [1u8, 4, 24, 32] {
                let mut info = [least.to_be_bytes(), most.to_be_bytes()].concat();
                info.extend([0; 3]);
                info.extend(&frame.to_be_bytes()[1..]);
                // 44100 Hz, and 2^36 - 1 samples.
                info.extend([
                    0x0a,
                    0xc4,
                    0x40 | (channels - 1) << 1 | (bits - 1) >> 4,
                    (bits - 1) << 4 | 15,
                ]);
                info.extend([0xff; 4]);
                info.extend([0; 16]);
                let mut file = [b"fLaC\x80\0\0\x22".as_slice(), &info].concat();
                // Something like a frame: constant subframes of a large block.
                file.extend(b"\xff\xf8\x79\x08\0\xff\xff\0\0\0\0\0".repeat(50));
                let error = decoded(&file).unwrap_err();
                assert!(matches!(error.kind(), "decode" | "unsupported" | "limit"), "{error}");
            }
        }
    }
}

#[test]
fn limits_by_their_names() {
    let read = |bytes: &[u8], limits: Limits| {
        let mut audio = Audio::default();
        decode(bytes, &mut audio, &limits, &Cancel::new()).map(|_| audio)
    };
    let most = Limits::default();
    let (kind, text) = said(&wav((1, u16::MAX, 4000, u16::MAX, 8), &vec![0; 70_000]));
    assert_eq!(
        (kind, text.as_str()),
        ("limit", "expected at most 256 channels (limit max_channels), found 65535")
    );
    let long = wav((1, 1, 4000, 1, 8), &vec![9; 40_001]);
    let limits = Limits { max_duration_s: 10.0, ..most };
    let error = read(&long, limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected at most 10 s in one picture (limit max_duration_s), found 10 s"
    );
    assert!(matches!(error, Error::Limit { limit: "max_duration_s", .. }));
    assert!(read(&long[..long.len() - 2], limits).is_ok());
    assert_eq!(read(&long, Limits { max_sample_rate: 3999, ..most }).unwrap_err().kind(), "limit");
    assert!(read(&long, Limits { max_sample_rate: 4000, max_channels: 1, ..most }).is_ok());
    let blocks = adpcm(0x11, 1, 256, &[0; 2560]);
    assert!(read(&blocks, Limits { max_duration_s: 0.7, ..most }).is_ok());
    assert_eq!(read(&blocks, Limits { max_duration_s: 0.6, ..most }).unwrap_err().kind(), "limit");

    let config = SpectrogramConfig::default();
    let mut picture = Vec::new();
    // 101 bins, 101 frames.
    let second = wav((1, 1, 4000, 1, 8), &[9; 10_000]);
    let mut convert = |max_image_pixels| {
        let mut converter =
            Converter::new(&config).unwrap().with_limits(Limits { max_image_pixels, ..most });
        converter.convert(&second, &Caption::default(), &mut picture, &Cancel::new())
    };
    assert!(convert(101 * 101).is_ok());
    let error = convert(101 * 101 - 1).unwrap_err();
    assert_eq!(error.kind(), "limit");
    assert!(error.to_string().contains("(limit max_image_pixels), found 101 x 101"), "{error}");
}

#[test]
fn damage_has_a_place() {
    let offset = |bytes: &[u8]| decoded(bytes).unwrap_err().offset();
    // The format, the samples, the end.
    assert_eq!(offset(&wav((1, 1, 4000, 0, 65), &FOUR)), Some(20));
    assert_eq!(offset(&wav(MONO, b"")), Some(44));
    assert_eq!(offset(&riff(&[chunk(b"fmt ", &format(MONO))])), Some(36));
    // What is unsupported, or beyond a limit, is not damaged anywhere.
    assert_eq!(offset(&wav((0x55, 1, 4000, 1, 0), &FOUR)), None);
    let mut blocks = vec![0; 4 * 256];
    blocks[2 * 256 + 2] = 99;
    let at = offset(&adpcm(0x11, 1, 256, &blocks)).unwrap();
    assert!((44 + 2 * 256..=44 + 4 * 256).contains(&at), "{at}");
}

#[test]
fn codecs_that_are_not_read_have_names() {
    for (tag, name) in [
        (0x31, "GSM 6.10"),
        (0x55, "MP3"),
        (0x161, "Windows Media Audio"),
        (0x999, "an unknown codec, 0x0999"),
    ] {
        let (kind, text) = said(&wav((tag, 1, 8000, 65, 0), &[0; 650]));
        assert_eq!(kind, "unsupported");
        assert!(text.ends_with(&format!("recording, found a WAV of {name}")), "{text}");
    }
}
