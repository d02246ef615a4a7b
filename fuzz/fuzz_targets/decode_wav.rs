//! WAV of any header and chunks, in each of its four shapes.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use heartfast_core::Cancel;
use heartfast_core::audio::{Audio, decode};
use heartfast_core::limits::Limits;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Form {
    Riff,
    Rifx,
    Rf64,
    Wave64,
}

#[derive(Arbitrary, Debug)]
enum Tag {
    Pcm,
    MsAdpcm,
    Float,
    ALaw,
    MuLaw,
    ImaAdpcm,
    Extensible(u16),
    Other(u16),
}

#[derive(Arbitrary, Debug)]
struct Format {
    tag: Tag,
    channels: u16,
    few_channels: bool,
    rate: u32,
    align: u16,
    bits: u16,
    few_bits: bool,
    length: u8,
    extension: [u8; 8],
}

#[derive(Arbitrary, Debug)]
enum Body {
    Format(Format),
    Data(Vec<u8>),
    Sizes([u64; 3]),
    Other([u8; 4], Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Chunk {
    body: Body,
    /// What its header says instead of its length.
    declared: Option<u32>,
    unpadded: bool,
}

#[derive(Arbitrary, Debug)]
struct Wav {
    form: Form,
    size: u32,
    chunks: Vec<Chunk>,
    id3: Option<u8>,
    cut: u8,
}

impl Wav {
    fn number(&self, little: &[u8]) -> Vec<u8> {
        let mut bytes = little.to_vec();
        if matches!(self.form, Form::Rifx) {
            bytes.reverse();
        }
        bytes
    }

    fn format(&self, format: &Format) -> Vec<u8> {
        let tag = match format.tag {
            Tag::Pcm => 1,
            Tag::MsAdpcm => 2,
            Tag::Float => 3,
            Tag::ALaw => 6,
            Tag::MuLaw => 7,
            Tag::ImaAdpcm => 0x11,
            Tag::Extensible(_) => 0xfffe,
            Tag::Other(tag) => tag,
        };
        let channels = if format.few_channels { 1 + format.channels % 2 } else { format.channels };
        let bits = if format.few_bits { 8 * (1 + format.bits % 8) } else { format.bits };
        let mut fields = Vec::new();
        fields.extend(self.number(&tag.to_le_bytes()));
        fields.extend(self.number(&channels.to_le_bytes()));
        fields.extend(self.number(&format.rate.to_le_bytes()));
        fields.extend([0; 4]);
        fields.extend(self.number(&format.align.to_le_bytes()));
        fields.extend(self.number(&bits.to_le_bytes()));
        fields.extend(format.extension);
        if let Tag::Extensible(tag) = format.tag {
            fields.extend(self.number(&u32::from(tag).to_le_bytes()));
            fields.extend(self.number(&[0, 0]));
            fields.extend(self.number(&[0x10, 0]));
            fields.extend(b"\x80\0\0\xaa\0\x38\x9b\x71");
        }
        if format.length < 64 {
            fields.resize(format.length.into(), 0);
        }
        fields
    }

    fn file(&self) -> Vec<u8> {
        let guid = b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a";
        let wave64 = matches!(self.form, Form::Wave64);
        let mut file = Vec::new();
        if let Some(size) = self.id3 {
            file.extend(b"ID3\x04\0\0\0\0");
            file.extend([size >> 7, size & 0x7f]);
            file.resize(file.len() + usize::from(size), 0);
        }
        if wave64 {
            file.extend(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\0\0\0\0\0\0\0\0wave");
            file.extend(guid);
        } else {
            file.extend(match self.form {
                Form::Rifx => b"RIFX",
                Form::Rf64 => b"RF64",
                _ => b"RIFF",
            });
            file.extend(self.size.to_le_bytes());
            file.extend(b"WAVE");
        }
        for chunk in &self.chunks {
            let (kind, body) = match &chunk.body {
                Body::Format(format) => (*b"fmt ", self.format(format)),
                Body::Data(data) => (*b"data", data.clone()),
                Body::Sizes(sizes) => (*b"ds64", sizes.map(u64::to_le_bytes).concat()),
                Body::Other(kind, body) => (*kind, body.clone()),
            };
            file.extend(kind);
            let declared = chunk.declared.unwrap_or(body.len() as u32);
            let even = if wave64 {
                file.extend(guid);
                file.extend(u64::from(declared).saturating_add(24).to_le_bytes());
                8
            } else {
                file.extend(self.number(&declared.to_le_bytes()));
                2
            };
            file.extend(&body);
            if !chunk.unpadded {
                file.resize(file.len() + body.len().next_multiple_of(even) - body.len(), 0);
            }
        }
        file.truncate(file.len().saturating_sub((self.cut % 64).into()));
        file
    }
}

// A panic of ADPCM's decoder is caught and is its file's error: no finding, as all others are, which
// the fuzzer catches itself.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |input: &[u8]| {
    let Ok(wav) = Wav::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let file = wav.file();
    let mut audio = Audio::default();
    match decode(&file, &mut audio, &Limits::default(), &Cancel::new()) {
        Ok(_) => {
            assert!(audio.frames() > 0 && audio.interleaved.len() % audio.channels == 0);
            // A byte of ADPCM is two samples; a block, which may be as good as empty, a few more.
            assert!(audio.interleaved.len() <= 4 * file.len());
        }
        Err(error) => {
            assert!(!matches!(error.kind(), "internal" | "io"), "{error}");
            assert!(error.offset() < Some(1 << 40));
        }
    }
});
