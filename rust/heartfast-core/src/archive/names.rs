//! Names of members: what is believed of them, and which are too much alike.

use std::hash::{DefaultHasher, Hasher};

use super::{Place, Refusal};

/// The parts of a name that lead into the archive, joined by "/", and whether others lead out of
/// it: "..", a root, a drive. A backslash is "/" where `backslashes`, as Windows programs write
/// it, and otherwise a letter that must not lead out either, once a Windows system reads it.
pub(super) fn inside(name: &[u8], backslashes: bool) -> (Vec<u8>, bool) {
    let separates = |c: &u8| matches!(c, b'/' | b'\\');
    let has_drive =
        |part: &[u8]| matches!(part, [letter, b':', ..] if letter.is_ascii_alphabetic());
    let leaves = name.contains(&0)
        || name.first().is_some_and(|c| *c == b'/' || (backslashes && *c == b'\\'))
        || has_drive(name)
        || name.split(separates).any(|part| part == b".." || (part.len() == 2 && has_drive(part)));
    let mut inside = Vec::with_capacity(name.len());
    for part in name.split(|c| *c == b'/' || ((backslashes || leaves) && *c == b'\\')) {
        // Without a drive and zeros first: what is left of it may be "..".
        let mut part: Vec<u8> = part.iter().copied().filter(|&c| c != 0).collect();
        while leaves && has_drive(&part) {
            part.drain(..2);
        }
        if !matches!(&part[..], b"" | b"." | b"..") {
            if !inside.is_empty() {
                inside.push(b'/');
            }
            inside.extend(part);
        }
    }
    (inside, leaves)
}

/// Refuses members of one name, of which nobody can say which is meant, and those whose names
/// differ by case only: where Windows or macOS unpack them they are one file, so that what is
/// written about the archive elsewhere, a label or a listing, may mean either.
pub(super) fn refuse_twins(members: &mut [(Box<[u8]>, Place)]) {
    // By hash, because to fold all names for each comparison takes long. Who finds two names of
    // one hash gets them refused.
    let mut order: Vec<(u64, usize)> =
        members.iter().enumerate().map(|(i, (name, _))| (folded_hash(name), i)).collect();
    order.sort_unstable_by(|a, b| (a.0, &members[a.1].0).cmp(&(b.0, &members[b.1].0)));
    for alike in order.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
        let name = |k: usize| alike.get(k).map(|&(_, i)| &members[i].0);
        let refusal = |k: usize| {
            if name(k) == name(k + 1) || (k > 0 && name(k) == name(k - 1)) {
                return Refusal::new("one member of this name", "several");
            }
            let other = &members[alike[usize::from(k == 0)].1].0;
            let found = format!("also \"{}\"", text(other));
            Refusal::new("a name that differs from all others in more than case", found)
        };
        let refusals: Vec<_> = (0..alike.len()).map(refusal).collect();
        for (&(_, i), refusal) in alike.iter().zip(refusals) {
            members[i].1 = refusal.into();
        }
    }
}

/// A name for a message, in one line.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

fn folded_hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    folded(name).for_each(|letter| hasher.write_u32(letter));
    hasher.finish()
}

/// The letters of a name without their case; bytes that are no text as they are.
fn folded(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        let lower = chunk.valid().chars().flat_map(char::to_lowercase).map(u32::from);
        lower.chain(chunk.invalid().iter().map(|&byte| 0x11_0000 + u32::from(byte)))
    })
}

/// A ZIP's name as UTF-8. Those that are not, are in the letters of the first IBM PC, unless
/// their program says otherwise.
pub(super) fn from_cp437(name: &[u8]) -> Vec<u8> {
    if std::str::from_utf8(name).is_ok() {
        return name.to_vec();
    }
    let letters: Vec<char> = CP437.chars().collect();
    let letter = |&byte: &u8| match byte {
        0..0x80 => char::from(byte),
        _ => letters[usize::from(byte) - 0x80],
    };
    name.iter().map(letter).collect::<String>().into_bytes()
}

/// From 0x80 on.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
