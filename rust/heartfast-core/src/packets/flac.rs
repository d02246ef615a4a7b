//! FLAC's metadata without what no picture needs. A seek table is sorted by symphonia in a time that grows with the square
//! of its length, and pictures and comments are held in memory: all of it reaches symphonia as padding. RFC 9639, 8.1.

const STREAM_INFORMATION: u8 = 0;
const PADDING: u8 = 1;
/// Whether a block is the last one.
const LAST: u8 = 0x80;

/// The metadata of a stream that is read from its mark on.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Bytes up to the next header.
    left: u64,
    /// What was read of a header: how many bytes, its kind, and the length that it says.
    header: usize,
    kind: u8,
    length: u64,
}

impl Metadata {
    pub(super) fn new() -> Self {
        Self { left: b"fLaC".len() as u64, header: 0, kind: 0, length: 0 }
    }

    /// Changes the next bytes of the stream so that all blocks but the first kind are padding.
    pub(super) fn hide(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        loop {
            let passed = self.left.min((bytes.len() - at) as u64);
            self.left -= passed;
            at += passed as usize;
            let Some(byte) = bytes.get_mut(at) else { return };
            self.read_header(byte);
            at += 1;
        }
    }

    /// Reads the next byte of a header.
    fn read_header(&mut self, byte: &mut u8) {
        if self.header == 0 {
            self.kind = *byte;
            if *byte & !LAST != STREAM_INFORMATION {
                *byte = *byte & LAST | PADDING;
            }
            self.length = 0;
        } else {
            self.length = self.length << 8 | u64::from(*byte);
        }
        self.header = (self.header + 1) % 4;
        if self.header == 0 {
            self.left = if self.kind & LAST == 0 { self.length } else { u64::MAX };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Metadata;

    /// A stream with these blocks, each of a kind and with so many bytes.
    fn stream(blocks: &[(u8, usize)]) -> Vec<u8> {
        let mut stream = b"fLaC".to_vec();
        for &(kind, length) in blocks {
            stream.push(kind);
            stream.extend(&(length as u32).to_be_bytes()[1..]);
            stream.resize(stream.len() + length, 6);
        }
        stream.extend([0xff, 0xf8, 3, 3, 3, 3]);
        stream
    }

    #[test]
    fn all_but_the_stream_information_is_padding() {
        let given = stream(&[(0, 34), (3, 18), (6, 0), (1, 5), (0, 34), (0x84, 300)]);
        let expected = stream(&[(0, 34), (1, 18), (1, 0), (1, 5), (0, 34), (0x81, 300)]);
        for step in [1, 2, 3, 7, 64, 1000] {
            let mut bytes = given.clone();
            let mut metadata = Metadata::new();
            bytes.chunks_mut(step).for_each(|part| metadata.hide(part));
            assert_eq!(bytes, expected, "{step}");
        }
    }
}
