"""Damaged recordings beside ffmpeg and soundfile: each file is read as one of them reads it, or as
it was before the damage, or is an error, or has a remark. Nothing differs in silence.

Codecs without a checksum cannot tell one block of noise from another, and their decoders make
different noise of it. There, damage may change what it hits, and nothing may move.

`HEARTFAST_MUTATIONS=2000` tries so many files instead of 200, and `HEARTFAST_SEED` others.
"""

from __future__ import annotations

import os
import subprocess
import warnings

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast import HeartfastError, HeartfastWarning

FILES = int(os.environ.get("HEARTFAST_MUTATIONS", "200"))
SEED = int(os.environ.get("HEARTFAST_SEED", "18"))

# How each kind is made by ffmpeg: ending, sample rate, channels, options.
KINDS = {
    "wav-pcm16": ("wav", 8000, 1, ["-c:a", "pcm_s16le"]),
    "wav-pcm24-stereo": ("wav", 11025, 2, ["-c:a", "pcm_s24le"]),
    "wav-float": ("wav", 8000, 1, ["-c:a", "pcm_f32le"]),
    "wav-alaw": ("wav", 8000, 1, ["-c:a", "pcm_alaw"]),
    "wav-ima": ("wav", 8000, 1, ["-c:a", "adpcm_ima_wav"]),
    "wav-ms": ("wav", 8000, 2, ["-c:a", "adpcm_ms"]),
    "w64": ("w64", 8000, 1, ["-c:a", "pcm_s16le"]),
    "rf64": ("wav", 8000, 1, ["-c:a", "pcm_s16le", "-rf64", "always"]),
    "aiff": ("aiff", 8000, 1, ["-c:a", "pcm_s16be"]),
    "au": ("au", 8000, 1, ["-c:a", "pcm_s16be"]),
    "caf": ("caf", 8000, 1, ["-c:a", "pcm_s16be"]),
    "caf-alac": ("caf", 8000, 1, ["-c:a", "alac"]),
    "flac": ("flac", 8000, 1, ["-c:a", "flac"]),
    "flac-stereo": ("flac", 44100, 2, ["-c:a", "flac"]),
    "ogg": ("ogg", 22050, 1, ["-c:a", "libvorbis"]),
    "ogg-stereo": ("ogg", 44100, 2, ["-c:a", "libvorbis"]),
    "mp3": ("mp3", 22050, 1, ["-c:a", "libmp3lame", "-b:a", "64k"]),
    "mp3-vbr": ("mp3", 44100, 2, ["-c:a", "libmp3lame", "-q:a", "4"]),
    "m4a": ("m4a", 16000, 1, ["-c:a", "aac", "-b:a", "48k"]),
    "m4a-alac": ("m4a", 8000, 1, ["-c:a", "alac"]),
}
LOSSY = ("ogg", "mp3", "m4a")
# Codecs in blocks without a checksum, and how many samples of a channel a mutation may change.
UNCHECKED = ("wav-ima", "wav-ms", "caf-alac", "m4a", "m4a-alac")
MOST_CHANGED = 8192
TAILS = {
    "ID3v1": b"TAG" + b"title".ljust(125, b"\0"),
    "APE": b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16),
    "text": b"exported by a program\r\n" * 9,
    "zeros": bytes(700),
    "ones": b"\xff" * 300,
}


def sound(sr: int, channels: int, seconds: float = 1.7) -> np.ndarray:
    """Tones that move and noise: no part is like another, so that nothing can shift unseen."""
    t = np.arange(int(sr * seconds)) / sr
    noise = np.random.default_rng(7).standard_normal((len(t), channels))
    sweep = np.sin(2 * np.pi * (200 + 300 * t) * t)[:, None]
    return (0.4 * sweep * (1 + 0.2 * np.arange(channels)) + 0.05 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def ffmpeg(tool):
    return [tool("ffmpeg"), "-nostdin", "-v", "error", "-y"]


@pytest.fixture(scope="module")
def originals(ffmpeg, tmp_path_factory):
    """The undamaged file of each kind, as bytes."""
    folder = tmp_path_factory.mktemp("originals")
    files = {}
    for kind, (ending, sr, channels, options) in KINDS.items():
        path = folder / f"{kind}.{ending}"
        source = folder / "source.wav"
        soundfile.write(source, sound(sr, channels), sr, "FLOAT")
        subprocess.run([*ffmpeg, "-i", source, *options, path], check=True)
        files[kind] = path.read_bytes()
    return files


def mutated(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Damages a file; says how, too."""
    n = len(content)
    at, length = int(rng.integers(n)), int(rng.choice([1, 2, 7, 64, 500, 3000]))
    match rng.integers(8):
        case 0:
            return f"{length} bytes dropped at {at}", content[:at] + content[at + length :]
        case 1:
            twice = content[at : at + length]
            return f"{length} bytes doubled at {at}", content[:at] + twice + content[at:]
        case 2:
            zeros = bytes(min(length, n - at))
            return f"{length} bytes zeroed at {at}", content[:at] + zeros + content[at + length :]
        case 3:
            noise = rng.bytes(min(length, n - at))
            return f"{length} bytes of noise at {at}", content[:at] + noise + content[at + length :]
        case 4:
            name = str(rng.choice(list(TAILS)))
            return f"{name} behind it", content + TAILS[name]
        case 5:
            return f"cut at {at}", content[:at]
        case 6:
            # Sizes and counts stand in front.
            at = int(rng.integers(min(n, 200)))
            value = int(rng.choice([0, 1, 44, 2**16, 2**31 - 1, 2**32 - 1, rng.integers(2**32)]))
            order = str(rng.choice(["big", "little"]))
            written = value.to_bytes(4, order)
            return f"{value} ({order}) at {at}", content[:at] + written + content[at + 4 :]
        case _:
            bit = 1 << int(rng.integers(8))
            flipped = bytes([content[at] ^ bit])
            return f"bit {bit} flipped at {at}", content[:at] + flipped + content[at + 1 :]


def by_ffmpeg(ffmpeg, path, channels: int) -> np.ndarray | None:
    command = [*ffmpeg, "-i", path, "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    if len(done.stdout) % (4 * channels):
        return None
    return np.frombuffer(done.stdout, "<f4").reshape(-1, channels)


def by_soundfile(path) -> np.ndarray | None:
    try:
        return soundfile.read(path, dtype="float32", always_2d=True)[0]
    except (soundfile.LibsndfileError, RuntimeError, ValueError):
        return None


def same(ours: np.ndarray, theirs: np.ndarray | None, kind: str) -> bool:
    if theirs is None or theirs.shape != ours.shape:
        return False
    # What is no finite number is silence to nobody else.
    finite = np.isfinite(theirs)
    error = 2e-3 if kind.startswith(LOSSY) else 1e-6
    difference = np.abs(ours[finite] - theirs[finite])
    return not difference.size or float(difference.max()) <= error * max(1, np.abs(ours).max())


def in_place(ours: np.ndarray, before: np.ndarray, kind: str) -> bool:
    """Whether all but what the damage hit is as it was before."""
    if ours.shape != before.shape:
        return False
    changed = np.flatnonzero((ours != before).any(axis=1))
    if not changed.size:
        return True
    return kind in UNCHECKED and changed[-1] - changed[0] < MOST_CHANGED


def judge(ffmpeg, path, kind: str, before: np.ndarray | None = None) -> str:
    """How a file is read: "error", "remark", "ffmpeg", "soundfile", "before" or "differs"."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            y, _ = heartfast.load(path, mono=False)
        except HeartfastError:
            return "error"
    if any(issubclass(warning.category, HeartfastWarning) for warning in said):
        return "remark"
    ours = np.atleast_2d(y).T
    if same(ours, by_ffmpeg(ffmpeg, path, ours.shape[1]), kind):
        return "ffmpeg"
    if same(ours, by_soundfile(path), kind):
        return "soundfile"
    return "before" if before is not None and in_place(ours, before, kind) else "differs"


@pytest.mark.parametrize("kind", KINDS)
def test_an_undamaged_file_is_read_as_others_read_it(ffmpeg, originals, tmp_path, kind):
    path = tmp_path / f"x.{KINDS[kind][0]}"
    path.write_bytes(originals[kind])
    assert judge(ffmpeg, path, kind) in ("ffmpeg", "soundfile")


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_is_silent(ffmpeg, originals, tmp_path, kind):
    rng = np.random.default_rng([SEED, list(KINDS).index(kind)])
    path = tmp_path / f"x.{KINDS[kind][0]}"
    path.write_bytes(originals[kind])
    before = np.atleast_2d(heartfast.load(path, mono=False)[0]).T
    differs = []
    for turn in range(max(1, FILES // len(KINDS))):
        how, content = mutated(originals[kind], rng)
        path.write_bytes(content)
        if judge(ffmpeg, path, kind, before) == "differs":
            differs.append(f"{turn}: {how}")
    assert not differs
