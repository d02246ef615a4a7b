//! The little of JSON that the manifest's lines are made of.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// A JSON string in ASCII. Bytes that are no UTF-8 are lone surrogates, as Python has them.
pub(crate) struct Json<'a>(pub(crate) &'a OsStr);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            // From one that needs escaping to the next.
            let mut rest = chunk.valid();
            while let Some(at) =
                rest.find(|c: char| !(' '..='~').contains(&c) || "\"\\".contains(c))
            {
                let (plain, odd) = rest.split_at(at);
                f.write_str(plain)?;
                let mut characters = odd.chars();
                match characters.next() {
                    Some(c @ ('"' | '\\')) => write!(f, "\\{c}")?,
                    Some(c) => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            write!(f, "\\u{unit:04x}")?;
                        }
                    }
                    None => {}
                }
                rest = characters.as_str();
            }
            f.write_str(rest)?;
            for byte in chunk.invalid() {
                write!(f, "\\udc{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is left of a line.
pub(crate) struct Scan<'a>(pub(crate) &'a [u8]);

impl Scan<'_> {
    /// Goes on behind these bytes, which must come now.
    pub(crate) fn after(&mut self, literal: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(literal.as_bytes())?;
        Some(self)
    }

    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        let n = self.0.iter().take_while(|c| b"0123456789+-.eE".contains(c)).count();
        let (digits, rest) = self.0.split_at(n);
        self.0 = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        self.string()?.into_string().ok()
    }

    pub(crate) fn string(&mut self) -> Option<OsString> {
        self.after("\"")?;
        let mut bytes = Vec::new();
        loop {
            let n = self.0.iter().take_while(|&&c| c != b'"' && c != b'\\').count();
            bytes.extend_from_slice(&self.0[..n]);
            let odd = *self.0.get(n)?;
            self.0 = &self.0[n + 1..];
            if odd == b'"' {
                return Some(os_string(bytes));
            }
            let escaped = *self.0.first()?;
            self.0 = &self.0[1..];
            if escaped != b'u' {
                bytes.push(escaped);
                continue;
            }
            let mut units = vec![self.unit()?];
            if (0xd800..0xdc00).contains(&units[0]) {
                units.push(self.after("\\u")?.unit()?);
            }
            match (String::from_utf16(&units), units[0]) {
                (Ok(text), _) => bytes.extend(text.into_bytes()),
                (Err(_), unit @ 0xdc80..0xdd00) => bytes.push(unit as u8),
                _ => return None,
            }
        }
    }

    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.0.split_at_checked(4)?;
        self.0 = rest;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// The name that these bytes are.
#[cfg(unix)]
pub(crate) fn os_string(name: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(name)
}

/// The name that these bytes are.
#[cfg(windows)]
pub(crate) fn os_string(name: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&name).into_owned().into()
}

/// The name that these bytes are.
#[cfg(unix)]
pub(crate) fn os_str(name: &[u8]) -> Cow<'_, OsStr> {
    Cow::Borrowed(std::os::unix::ffi::OsStrExt::from_bytes(name))
}

/// The name that these bytes are.
#[cfg(windows)]
pub(crate) fn os_str(name: &[u8]) -> Cow<'_, OsStr> {
    Cow::Owned(os_string(name.to_vec()))
}
