//! What fuzzing found worth keeping, once more.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use heartfast_core::Cancel;
use heartfast_core::audio::{Audio, decode};
use heartfast_core::limits::Limits;

/// The inputs of a fuzz target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn any_bytes_are_a_recording_or_an_error() {
    let mut audio = Audio::default();
    for bytes in corpus("decode_any") {
        match decode(&bytes, &mut audio, &Limits::default(), &Cancel::new()) {
            Ok(_) => assert!(audio.frames() > 0 && audio.sample_rate > 0),
            Err(error) => assert!(!matches!(error.kind(), "internal" | "io"), "{error}"),
        }
    }
}
