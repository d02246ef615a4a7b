//! Any bytes are a recording or an error: no panic, and no memory beyond what they are worth.

#![no_main]

use heartfast_core::Cancel;
use heartfast_core::audio::{Audio, decode};
use heartfast_core::limits::Limits;
use libfuzzer_sys::fuzz_target;

// A decoder's panic is caught and is its file's error: no finding, as all others are, which the
// fuzzer catches itself.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |input: &[u8]| {
    let mut audio = Audio::default();
    match decode(input, &mut audio, &Limits::default(), &Cancel::new()) {
        Ok(_) => assert!(audio.frames() > 0 && audio.sample_rate > 0),
        Err(error) => assert!(!matches!(error.kind(), "internal" | "io"), "{error}"),
    }
});
