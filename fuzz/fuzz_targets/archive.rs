//! Any bytes as an archive, and archives of any members with a few bytes changed: opened, listed
//! and read within limits. What a ZIP gives has the length and the checksum that it says.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use heartfast_core::Cancel;
use heartfast_core::archive::Archive;
use heartfast_core::batch::{Origin, read};
use heartfast_core::limits::Limits;
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    max_channels: 256,
    max_sample_rate: 3_072_000,
    max_duration_s: 60.0,
    max_image_pixels: 1 << 20,
    max_archive_ratio: 100.0,
    max_archive_members: 64,
};

/// The next bytes of a recipe, whose length is in the first of them.
fn take<'i>(recipe: &mut &'i [u8]) -> &'i [u8] {
    let Some((&n, rest)) = recipe.split_first() else { return &[] };
    let (taken, rest) = rest.split_at(rest.len().min(n.into()));
    *recipe = rest;
    taken
}

/// By the first byte: the bytes as they are, or a recipe of a ZIP or a tar.
fn file(input: &[u8]) -> Vec<u8> {
    let Some((&kind, mut recipe)) = input.split_first() else { return Vec::new() };
    let changes = match kind {
        b'z' | b't' => take(&mut recipe),
        _ => return input.to_vec(),
    };
    let mut file = if kind == b'z' { zip(recipe) } else { tar(recipe) };
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if let Some(byte) = file.get_mut(at) {
            *byte = change[2];
        }
    }
    file
}

/// Members whose headers may say anything, with the directory and its end behind them.
fn zip(mut recipe: &[u8]) -> Vec<u8> {
    let (mut file, mut directory, mut members) = (Vec::new(), Vec::new(), 0u16);
    while !recipe.is_empty() && members < 80 {
        let (name, content, odd) = (take(&mut recipe), take(&mut recipe), take(&mut recipe));
        let odd = |k: usize| odd.get(k).copied().unwrap_or(0);
        let mut common = vec![20, 0, odd(0), odd(1), if odd(2) & 1 == 1 { 8 } else { odd(3) }, 0];
        common.extend([0; 4]);
        common.extend(crc(content).to_le_bytes());
        let size = content.len() as u32;
        common.extend(size.wrapping_add(odd(4).into()).to_le_bytes());
        common.extend(size.wrapping_add(u32::from(odd(5)) << odd(6).min(24)).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 12]);
        directory.extend((file.len() as u32).wrapping_sub(odd(7).into()).to_le_bytes());
        directory.extend(name);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend([odd(8), 0]);
        file.extend(name);
        file.extend(content);
        members += 1;
    }
    let (start, end) = (file.len() as u64, (file.len() + directory.len()) as u64);
    file.extend(&directory);
    if members & 1 == 1 {
        file.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        file.extend([u64::from(members).to_le_bytes(); 2].concat());
        file.extend([(end - start).to_le_bytes(), start.to_le_bytes()].concat());
        file.extend(b"PK\x06\x07\0\0\0\0");
        file.extend(end.to_le_bytes());
        file.extend([1, 0, 0, 0]);
    }
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([members.to_le_bytes(); 2].concat());
    file.extend(((end - start) as u32).to_le_bytes());
    file.extend((start as u32).to_le_bytes());
    file.extend([0, 0]);
    file
}

/// Headers with right sums, of any type.
fn tar(mut recipe: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    while !recipe.is_empty() && file.len() < 1 << 16 {
        let (name, content, odd) = (take(&mut recipe), take(&mut recipe), take(&mut recipe));
        let mut header = [0; 512];
        header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = odd.first().copied().unwrap_or(b'0');
        header[257..265].copy_from_slice(if odd.len() & 1 == 1 { b"ustar\x0000" } else { b"ustar  \0" });
        for change in odd.get(1..).unwrap_or_default().chunks_exact(2) {
            header[usize::from(change[0]) * 2] = change[1];
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        file.extend(header);
        file.extend(content);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file
}

fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |sum: u32, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ 0xedb8_8320 & (sum & 1).wrapping_neg())
    }) ^ !0
}

fuzz_target!(|input: &[u8]| {
    let bytes = file(input);
    let path = std::env::temp_dir().join(format!("heartfast-fuzz-{}", std::process::id()));
    fs::write(&path, &bytes).unwrap();
    let cancel = Cancel::new();
    let Some((archive, names)) = Archive::open(&path, &LIMITS, &cancel).unwrap() else { return };
    assert!(names.len() as u64 <= LIMITS.max_archive_members + 1);
    assert!(names.iter().filter(|name| name.is_empty()).count() <= 1);
    let archive = Arc::new(archive);
    let mut content = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let inside = |c| matches!(c, std::path::Component::Normal(_));
        assert!(Path::new(name).components().all(inside), "{}", name.display());
        content.clear();
        if read(&Origin::Member(Arc::clone(&archive), i), &mut content, &cancel).is_ok() {
            assert!(content.len() <= 1032 * bytes.len()); // what deflate can do
        }
    }
});
