//! The fonts of this machine, for characters that the built-in font does not have.
//!
//! Which font a character gets depends on the character and the machine only, never on what was
//! drawn before, so that pictures do not depend on the number of threads.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use ab_glyph::{FontArc, FontVec};
use ttf_parser::cmap;

use crate::source::{open_file, read_file};
use crate::threads::within;

/// Bytes of the largest font file that is read: those of Chinese have 30 MB.
pub(super) const MAX_FONT: u64 = 100_000_000;
/// How long fontconfig may take to list its fonts.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of the longest list of fonts that is read.
const MAX_LIST: u64 = 4 << 20;
/// Fonts that are looked at.
const MOST_FONTS: usize = 4000;
/// Folders that are looked into, and how deep.
const MOST_FOLDERS: usize = 2000;
const DEEPEST: usize = 6;
/// Bytes of the largest list of characters that is read.
const MAX_CMAP: usize = 8 << 20;
/// Tables of a font.
const MOST_TABLES: usize = 128;

/// A font file of this machine.
pub(super) struct SystemFont {
    path: PathBuf,
    /// The font's place in a collection.
    index: u32,
    characters: OnceLock<Vec<RangeInclusive<u32>>>,
    font: OnceLock<Option<FontArc>>,
}

impl SystemFont {
    fn new(path: PathBuf, index: u32) -> Self {
        Self { path, index, characters: OnceLock::new(), font: OnceLock::new() }
    }

    /// The file's name, without its folder.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into())
    }

    /// The font, read when it is first asked for.
    pub(super) fn font(&self) -> Option<&FontArc> {
        self.font
            .get_or_init(|| {
                let (_, known) = open_file(&self.path).ok()?;
                let bytes =
                    if known.size <= MAX_FONT { read_file(&self.path).ok()? } else { return None };
                FontVec::try_from_vec_and_index(bytes, self.index).ok().map(FontArc::new)
            })
            .as_ref()
    }

    fn has(&self, c: char) -> bool {
        let characters =
            self.characters.get_or_init(|| characters(&self.path, self.index).unwrap_or_default());
        let at = characters.partition_point(|range| *range.end() < u32::from(c));
        characters.get(at).is_some_and(|range| range.contains(&u32::from(c)))
    }
}

/// The first of this machine's fonts that has the character.
pub(super) fn font_with(c: char) -> Option<&'static SystemFont> {
    static FONTS: OnceLock<Vec<SystemFont>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| {
        let listed = by_fontconfig().unwrap_or_else(|| in_folders(&folders()));
        listed.into_iter().map(|(path, index)| SystemFont::new(path, index)).collect()
    });
    fonts.iter().find(|font| font.has(c) && font.font().is_some())
}

/// Fontconfig's fonts, in the order in which it would take them, if it is installed.
fn by_fontconfig() -> Option<Vec<(PathBuf, u32)>> {
    if !cfg!(unix) {
        return None;
    }
    let mut child = Command::new("fc-match")
        .args(["--all", "--format", "%{index}\t%{file}\n", "sans"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let listed = child.stdout.take().and_then(|stdout| {
        within(PATIENCE, move || {
            let mut text = Vec::new();
            stdout.take(MAX_LIST).read_to_end(&mut text).ok().map(|_| text)
        })
    });
    if listed.is_none() {
        // It may hang, on a pipe among the fonts for example.
        let _ = child.kill();
    }
    let ended = child.wait().ok()?;
    let text = listed.flatten().filter(|_| ended.success())?;
    let text = String::from_utf8_lossy(&text);
    let mut fonts: Vec<(PathBuf, u32)> = Vec::new();
    for line in text.lines().take(MOST_FONTS) {
        let (index, path) = line.split_once('\t')?;
        // The upper half is the instance of a variable font.
        let index = index.parse::<u32>().unwrap_or(0) & 0xffff;
        let font = (PathBuf::from(path), index);
        if !fonts.contains(&font) {
            fonts.push(font);
        }
    }
    Some(fonts)
}

/// Where systems keep fonts.
fn folders() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let below = |folder: &str| home.as_ref().map(|home| home.join(folder));
    let data = std::env::var_os("XDG_DATA_HOME").map(|data| PathBuf::from(data).join("fonts"));
    let windows = std::env::var_os("WINDIR").map(|folder| PathBuf::from(folder).join("Fonts"));
    let local = std::env::var_os("LOCALAPPDATA")
        .map(|folder| PathBuf::from(folder).join("Microsoft/Windows/Fonts"));
    let fixed =
        ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts"];
    [data.or_else(|| below(".local/share/fonts")), below(".fonts"), below("Library/Fonts")]
        .into_iter()
        .chain([windows, local])
        .chain(fixed.map(|folder| Some(PathBuf::from(folder))))
        .flatten()
        .collect()
}

/// The fonts below some folders, by name; regular ones before those in bold or italics.
fn in_folders(folders: &[PathBuf]) -> Vec<(PathBuf, u32)> {
    let mut waiting: Vec<(PathBuf, usize)> =
        folders.iter().rev().map(|folder| (folder.clone(), 0)).collect();
    let (mut fonts, mut seen) = (Vec::new(), 0);
    while let Some((folder, depth)) = waiting.pop() {
        seen += 1;
        if seen > MOST_FOLDERS || fonts.len() >= MOST_FONTS {
            break;
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .take(MOST_FONTS)
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        entries.sort();
        for path in entries.into_iter().rev() {
            let kind = fs::metadata(&path).map(|known| known.file_type());
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) && depth < DEEPEST {
                waiting.push((path, depth + 1));
            } else if kind.is_ok_and(|kind| kind.is_file()) && is_named_as_font(&path) {
                fonts.push((path, 0));
            }
        }
    }
    fonts.sort_by_cached_key(|(path, _)| {
        let name =
            path.file_name().map_or_else(String::new, |n| n.to_string_lossy().to_lowercase());
        let special = ["bold", "italic", "oblique", "light", "thin", "black", "condensed", "mono"];
        (special.iter().any(|word| name.contains(word)), name, path.clone())
    });
    fonts
}

fn is_named_as_font(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    matches!(ending.as_deref(), Some("ttf" | "otf" | "ttc" | "otc"))
}

/// The characters of a font, in order: its table of them is read, and no more. Nothing for fonts
/// without outlines, as those of emoji.
fn characters(path: &Path, index: u32) -> io::Result<Vec<RangeInclusive<u32>>> {
    let (mut file, _) = open_file(path)?;
    let mut begin = 0;
    let mut head: [u8; 12] = read_at(&mut file, 0)?;
    if head.starts_with(b"ttcf") {
        begin = u64::from(u32::from_be_bytes(read_at(&mut file, 12 + 4 * u64::from(index))?));
        head = read_at(&mut file, begin)?;
    }
    let count = usize::from(u16::from_be_bytes([head[4], head[5]])).min(MOST_TABLES);
    let (mut place, mut outlines) = (None, false);
    for k in 0..count as u64 {
        let record: [u8; 16] = read_at(&mut file, begin + 12 + 16 * k)?;
        let number = |at: usize| {
            u32::from_be_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
        };
        match &record[..4] {
            b"cmap" => place = Some((u64::from(number(8)), number(12) as usize)),
            b"glyf" | b"CFF " => outlines = true,
            b"CBDT" | b"COLR" | b"sbix" => return Ok(Vec::new()),
            _ => {}
        }
    }
    let Some((offset, length)) = place.filter(|(_, length)| outlines && *length <= MAX_CMAP) else {
        return Ok(Vec::new());
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(ranges(&bytes))
}

fn read_at<const N: usize>(file: &mut File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The characters of a font's table of them.
fn ranges(table: &[u8]) -> Vec<RangeInclusive<u32>> {
    let mut points: Vec<u32> = Vec::new();
    for subtable in cmap::Table::parse(table).into_iter().flat_map(|table| table.subtables) {
        if subtable.is_unicode() {
            subtable.codepoints(|point| {
                let known = subtable.glyph_index(point).is_some_and(|glyph| glyph.0 != 0);
                if known && points.len() < 1 << 21 {
                    points.push(point);
                }
            });
        }
    }
    points.sort_unstable();
    points.dedup();
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for point in points {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 == point => *last = *last.start()..=point,
            _ => ranges.push(point..=point),
        }
    }
    ranges
}
