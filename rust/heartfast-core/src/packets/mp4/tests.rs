//! Headers made by hand, and bytes of any kind.
#![allow(clippy::expect_used)]

use proptest::prelude::*;

use super::*;

fn found(file: &[u8]) -> Result<Movie> {
    let mut read_at = |at: u64, buffer: &mut [u8]| {
        let at = at as usize;
        buffer.copy_from_slice(&file[at..at + buffer.len()]);
        Ok(())
    };
    let length = file.len() as u64;
    Movie::find(&mut Input { length, reach: length, read_at: &mut read_at })
}

fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), kind.as_slice(), body].concat()
}

/// A box with 64 bits of size.
fn wide_atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u64 + 16).to_be_bytes();
    [&[0, 0, 0, 1], kind.as_slice(), &size, body].concat()
}

/// `mvhd`, `mdhd` or `tkhd`, up to the number that counts here.
fn times(kind: &[u8; 4], long: bool, number: u32) -> Vec<u8> {
    let times = vec![0; if long { 16 } else { 8 }];
    atom(kind, &[&[u8::from(long), 0, 0, 0], times.as_slice(), &number.to_be_bytes()].concat())
}

fn elst(long: bool, edits: &[(u64, i64)]) -> Vec<u8> {
    let mut body = vec![u8::from(long), 0, 0, 0];
    body.extend((edits.len() as u32).to_be_bytes());
    for &(duration, start) in edits {
        if long {
            body.extend(duration.to_be_bytes());
            body.extend(start.to_be_bytes());
        } else {
            body.extend((duration as u32).to_be_bytes());
            body.extend((start as i32).to_be_bytes());
        }
        body.extend([0, 1, 0, 0]);
    }
    atom(b"elst", &body)
}

fn note(text: &[u8]) -> Vec<u8> {
    let behind = |head: usize, text: &[u8]| [vec![0; head].as_slice(), text].concat();
    let boxes = [
        atom(b"mean", &behind(4, b"com.apple.iTunes")),
        atom(b"name", &behind(4, b"iTunSMPB")),
        atom(b"data", &behind(8, text)),
    ];
    let list = atom(b"ilst", &atom(b"----", &boxes.concat()));
    atom(b"udta", &atom(b"meta", &[&[0; 4], list.as_slice()].concat()))
}

/// A movie of thousandths of a second with one track, number 7, of 8 kHz.
fn movie(long: bool, edits: &[(u64, i64)], more: &[u8]) -> Vec<u8> {
    let media = atom(b"mdia", &times(b"mdhd", long, 8000));
    let list = atom(b"edts", &elst(long, edits));
    let track = atom(b"trak", &[times(b"tkhd", long, 7), list, media].concat());
    let body = [times(b"mvhd", long, 1000), track, more.to_vec()].concat();
    let begin = atom(b"ftyp", b"M4A \0\0\0\0");
    [begin, wide_atom(b"mdat", &[9; 50]), atom(b"moov", &body)].concat()
}

/// The trim of track 7, of AAC.
fn trimmed(file: &[u8]) -> String {
    match found(file).and_then(|movie| movie.trim(7, true)) {
        Ok(trim) => format!("{:?} {:?}", trim.parts, trim.delay),
        Err(error) => error.to_string(),
    }
}

#[test]
fn edits() {
    for long in [false, true] {
        let said = |edits: &[(u64, i64)]| trimmed(&movie(long, edits, b""));
        assert_eq!(said(&[(2000, 1024)]), "[1024..17024] None");
        assert_eq!(said(&[(500, -1), (2000, 1024)]), "[1024..17024] None");
        assert_eq!(said(&[(0, 1024)]), format!("[1024..{}] None", u64::MAX));
        assert_eq!(said(&[(1, 0), (2, 100)]), "[0..8, 100..116] None");
        assert_eq!(said(&[]), "[] None");
        let repeated = said(&[(2000, 0), (2000, 0)]);
        let expected =
            "expected edits that play a track once, in its order, found one that goes back";
        assert_eq!(repeated, expected);
        assert!(said(&vec![(1, 0); 1001]).starts_with("expected at most 1000 edits of a track"));
    }
    let extended = atom(b"mvex", b"");
    assert_eq!(trimmed(&movie(false, &[(2000, 1024)], &extended)), "[] None");
    assert_eq!(trimmed(b"fLaC\0\0\0\x22 and more"), "[] None");
}

#[test]
fn notes() {
    let said = |text: &[u8]| trimmed(&movie(false, &[(2000, 1024)], &note(text)));
    let good = b" 00000000 00000840 000001CA 00000000003F31F6 00000000 00000000";
    assert_eq!(said(good), "[1024..17024] Some(2112)");
    for bad in [&b""[..], b"0", b" 0 840", b"0 0 1 2", b"0 4000 1 2", b"0 x 1 2", b"0 \xff 1 2"] {
        assert_eq!(said(bad), "[1024..17024] None", "{}", bad.escape_ascii());
    }
    // It is about encoders of AAC.
    let other = found(&movie(false, &[], &note(good))).and_then(|movie| movie.trim(7, false));
    assert_eq!(other.expect("a movie").delay, None);
}

#[test]
fn many_boxes() {
    let file = [atom(b"ftyp", b""), atom(b"free", b"").repeat(MOST_BOXES)].concat();
    let error = found(&file).expect_err("too many");
    assert_eq!(error.to_string(), "expected at most 100000 boxes before the samples, found more");
}

proptest! {
    /// Whatever changes or is cut off, nothing panics, and no more is kept than was there.
    #[test]
    fn damage(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        long in any::<bool>(),
        edits in proptest::collection::vec((any::<u64>(), any::<i64>()), 0..20),
    ) {
        let mut file = movie(long, &edits, &note(b" 0 840 1CA 3F31F6"));
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.index(file.len() + 1));
        if let Ok(movie) = found(&file) {
            prop_assert!(movie.tracks.iter().map(|t| t.edits.len()).sum::<usize>() * 12 <= file.len());
            for (id, aac) in [(7, true), (7, false), (0, true)] {
                if let Ok(trim) = movie.trim(id, aac) {
                    prop_assert!(trim.parts.iter().all(|part| part.start <= part.end));
                }
            }
        }
    }

    #[test]
    fn any_boxes(bytes in proptest::collection::vec(prop_oneof![0u8..3, any::<u8>()], 0..300)) {
        let inside = atom(b"moov", &atom(b"trak", &atom(b"edts", &bytes)));
        for rest in [bytes.as_slice(), &inside] {
            let _ = found(&[&atom(b"ftyp", b"")[..], rest].concat());
        }
    }

    #[test]
    fn lengths_are_kept(edits in proptest::collection::vec((1u64..100, 1i64..100), 1..5)) {
        let mut end = 0;
        let edits: Vec<_> = edits
            .into_iter()
            .map(|(duration, gap)| {
                let start = end + gap;
                end = start + duration as i64 * 8;
                (duration, start)
            })
            .collect();
        let trim = found(&movie(true, &edits, b"")).and_then(|movie| movie.trim(7, true));
        let expected: Vec<_> =
            edits.iter().map(|&(d, start)| start as u64..start as u64 + d * 8).collect();
        prop_assert_eq!(trim.map(|trim| trim.parts).ok(), Some(expected));
    }
}
