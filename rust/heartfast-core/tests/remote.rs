//! Recordings that somebody else reads, and those that are in memory: the same as files.

#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heartfast_core::batch::{Monitor, Origin, ReadAt, Stamp, read};
use heartfast_core::config::SpectrogramConfig;
use heartfast_core::figure::Caption;
use heartfast_core::in_memory::{Drawing, draw_all};
use heartfast_core::limits::Limits;
use heartfast_core::pipeline::Converter;
use heartfast_core::png::Preset;
use heartfast_core::{Cancel, Error};
use proptest::prelude::*;

/// Has so many bytes, each by its place, and is asked so often.
#[derive(Debug)]
struct Counted {
    length: u64,
    calls: AtomicUsize,
    fails: Option<io::ErrorKind>,
}

impl Counted {
    fn new(length: u64) -> Self {
        Self { length, calls: AtomicUsize::new(0), fails: None }
    }
}

impl ReadAt for Counted {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(kind) = self.fails {
            return Err(io::Error::new(kind, "as it was told to"));
        }
        let n = buffer.len().min(self.length.saturating_sub(at) as usize);
        for (byte, place) in buffer[..n].iter_mut().zip(at..) {
            *byte = (place * 7 + place / 251) as u8;
        }
        Ok(n)
    }
}

fn origin(reader: Counted, size: u64) -> (Origin, Arc<Counted>) {
    let reader = Arc::new(reader);
    (Origin::Remote(reader.clone(), Stamp { size, mtime_ns: 5 }), reader)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// All bytes, in one request where they are few.
    #[test]
    fn all_bytes_are_read(length in prop_oneof![0u64..5000, 1_000_000u64..3_000_000]) {
        let (origin, reader) = origin(Counted::new(length), length);
        let mut bytes = b"from before".to_vec();
        read(&origin, &mut bytes, &Cancel::new()).unwrap();
        prop_assert_eq!(bytes.len() as u64, length);
        prop_assert!(bytes.iter().zip(0u64..).all(|(b, at)| *b == (at * 7 + at / 251) as u8));
        let calls = reader.calls.load(Ordering::Relaxed);
        prop_assert!(calls <= 1 + (length >> 20) as usize, "{} calls", calls);
    }

    /// Less than was listed is an error that says how much.
    #[test]
    fn what_is_missing_is_an_error(length in 0u64..5000, more in 1u64..100) {
        let (origin, _) = origin(Counted::new(length), length + more);
        let error = read(&origin, &mut Vec::new(), &Cancel::new()).unwrap_err();
        let expected = format!("expected {} bytes, found {length}", length + more);
        prop_assert_eq!(error.to_string(), expected);
    }

    /// Whatever is in them: each its picture or its error, in order, for any number of threads.
    #[test]
    fn recordings_in_memory(
        lengths in proptest::collection::vec(0usize..3000, 0..7),
        threads in 1usize..5,
    ) {
        let recordings: Vec<Vec<u8>> = lengths.iter().map(|n| wav(*n)).collect();
        let given: Vec<(&[u8], &str)> = recordings.iter().map(|r| (&r[..], "title")).collect();
        let config = SpectrogramConfig::default();
        let (png, limits) = (Preset::Fast, Limits::default());
        let drawing = Drawing { config: &config, png, limits, threads };
        let drawn = draw_all(&given, &drawing, &Monitor::default()).unwrap();
        prop_assert_eq!(drawn.len(), lengths.len());
        for (one, bytes) in drawn.iter().zip(&recordings) {
            let mut picture = Vec::new();
            let caption = Caption { title: "title", intervals: &[], contour: &[] };
            let alone = Converter::new(&config).unwrap().convert(bytes, &caption, &mut picture, &Cancel::new());
            match (one, alone) {
                (Ok((png, known, _)), Ok((expected, _))) => {
                    prop_assert_eq!(png, &picture);
                    prop_assert_eq!(known, &expected);
                }
                (Err(one), Err(expected)) => {
                    prop_assert_eq!(one.to_string(), expected.to_string());
                }
                (one, alone) => prop_assert!(false, "{one:?} {alone:?}"),
            }
        }
    }
}

/// A WAV of 8-bit samples; of a multiple of five it is cut in its header.
fn wav(n: usize) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(4000u32.to_le_bytes());
    file.extend(4000u32.to_le_bytes());
    file.extend(b"\x01\0\x08\0data");
    file.extend((n as u32).to_le_bytes());
    file.extend((0..n).map(|i| (i * i / 7) as u8));
    if n.is_multiple_of(5) {
        file.truncate(30);
    }
    file
}

#[test]
fn failures_keep_their_kinds() {
    for (kind, expected) in [
        (io::ErrorKind::NotFound, "missing"),
        (io::ErrorKind::PermissionDenied, "permission"),
        (io::ErrorKind::Other, "io"),
    ] {
        let (origin, _) = origin(Counted { fails: Some(kind), ..Counted::new(9) }, 9);
        let error = read(&origin, &mut Vec::new(), &Cancel::new()).unwrap_err();
        assert_eq!(error.kind(), expected);
        assert!(matches!(error, Error::Read(_)));
    }
}

#[test]
fn drawing_can_be_stopped() {
    let monitor = Monitor::default();
    monitor.cancel.request();
    let recording = wav(2001);
    let config = SpectrogramConfig::default();
    let (png, limits) = (Preset::Fast, Limits::default());
    let drawing = Drawing { config: &config, png, limits, threads: 2 };
    let drawn = draw_all(&[(&recording, "")], &drawing, &monitor);
    assert!(matches!(drawn, Err(Error::Cancelled)));
}
