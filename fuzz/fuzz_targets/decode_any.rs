//! Any bytes are a recording or an error: no panic, and no memory beyond what they are worth.

#![no_main]

use heartfast_core::Cancel;
use heartfast_core::audio::{Audio, decode};
use heartfast_core::limits::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut audio = Audio::default();
    // Decoders' panics are caught, and are no finding where the decoder is not ours.
    match decode(input, &mut audio, &Limits::default(), &Cancel::new()) {
        Ok(()) => assert!(audio.frames() > 0 && audio.sample_rate > 0),
        Err(error) => assert!(!matches!(error.kind(), "internal" | "io"), "{error}"),
    }
});
