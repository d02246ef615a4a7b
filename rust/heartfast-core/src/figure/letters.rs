//! Texts as they are drawn: composed, and without what has no shape.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Letters and their marks in one character each, where Unicode has one: macOS gives names apart.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// What a character does in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It stands by itself.
    Letter,
    /// It stands above the letter before it.
    Above,
    /// It stands on or below the letter before it.
    Below,
    /// It has no shape.
    Unseen,
}

impl Kind {
    pub(super) fn of(c: char) -> Self {
        if c.is_ascii() {
            return Self::Letter;
        }
        if is_ignorable(c) {
            return Self::Unseen;
        }
        match canonical_combining_class(c) {
            0 => Self::Letter,
            228 | 230 | 232 | 234 => Self::Above,
            _ => Self::Below,
        }
    }
}

/// Characters that Unicode says to ignore where they have no shape (`Default_Ignorable`).
fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f
            | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

/// The character of the same shape as a combining mark that stands by itself.
pub(super) fn standing(mark: char) -> Option<char> {
    Some(match mark {
        '\u{300}' => '\u{60}',
        '\u{301}' => '\u{b4}',
        '\u{302}' => '\u{2c6}',
        '\u{303}' => '\u{2dc}',
        '\u{304}' => '\u{af}',
        '\u{306}' => '\u{2d8}',
        '\u{307}' => '\u{2d9}',
        '\u{308}' => '\u{a8}',
        '\u{30a}' => '\u{2da}',
        '\u{30b}' => '\u{2dd}',
        '\u{30c}' => '\u{2c7}',
        '\u{327}' => '\u{b8}',
        '\u{328}' => '\u{2db}',
        _ => return None,
    })
}
