"""Encoders' delay and padding: lengths and places of samples against ffmpeg's and soundfile's."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast import DecodeError

LENGTHS = [500, 1024, 1500, 8000, 44100]
LAYOUTS = {
    "plain": [],
    "faststart": ["-movflags", "+faststart"],
    "fragmented": ["-movflags", "frag_keyframe+empty_moov"],
    "edited fragments": ["-movflags", "frag_keyframe"],
    "dash": ["-movflags", "dash"],
}


@pytest.fixture
def ffmpeg(tool):
    """`ffmpeg(*arguments)` is what it writes to its output."""
    command = [tool("ffmpeg"), "-nostdin", "-v", "error", "-y"]

    def run(*arguments) -> bytes:
        return subprocess.run(
            [*command, *map(str, arguments)], check=True, capture_output=True
        ).stdout

    return run


def write(ffmpeg, path, codec, n, sr=8000, channels=1, more=()):
    source = f"anoisesrc=d={n / sr + 1}:r={sr}:c=pink:a=0.2:s=7"
    cut = f"atrim=end_sample={n},aformat=channel_layouts={channels}c"
    ffmpeg("-f", "lavfi", "-i", source, "-af", cut, "-ac", channels, "-c:a", codec, *more, path)


def check(ffmpeg, path, channels=1, error=1e-3):
    """Whole and in parts: what ffmpeg makes of it."""
    raw = ffmpeg("-i", path, "-map", "0:a:0", "-f", "f32le", "-")
    expected = np.frombuffer(raw, np.float32).reshape(-1, channels)
    y, sr = heartfast.load(path, mono=False)
    y = np.atleast_2d(y).T
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= error
    # The streaming way: the same samples.
    start, n = len(y) // 3, len(y) // 2
    part, _ = heartfast.load(path, mono=False, offset=start / sr, duration=n / sr)
    assert np.array_equal(np.atleast_2d(part).T, y[start : start + n])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sr", [8000, 44100])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_m4a(ffmpeg, tmp_path, codec, layout, sr, channels):
    for n in LENGTHS:
        path = tmp_path / f"{n}.m4a"
        write(ffmpeg, path, codec, n, sr, channels, LAYOUTS[layout])
        check(ffmpeg, path, channels, 1e-3 if codec == "aac" else 0)


def edited(path, media_time: int, milliseconds: int) -> None:
    """Changes the only edit of a file."""
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12
    content[at : at + 8] = milliseconds.to_bytes(4, "big") + media_time.to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("media_time", "milliseconds"),
    [(0, 1000), (1, 1000), (1023, 1000), (2112, 700), (3000, 128), (10000, 300), (1024, 512)],
)
def test_any_edit(ffmpeg, tmp_path, media_time, milliseconds):
    write(ffmpeg, tmp_path / "x.m4a", "aac", 16000)
    edited(tmp_path / "x.m4a", media_time, milliseconds)
    check(ffmpeg, tmp_path / "x.m4a")


def test_an_edit_of_no_duration_goes_on_to_the_end(ffmpeg, tmp_path):
    """ffmpeg plays nothing then; what is there is better."""
    write(ffmpeg, tmp_path / "x.m4a", "aac", 8000)
    y, _ = heartfast.load(tmp_path / "x.m4a")
    edited(tmp_path / "x.m4a", 1024, 0)
    assert np.array_equal(heartfast.load(tmp_path / "x.m4a")[0], y)


def test_edits_that_repeat(ffmpeg, tmp_path):
    write(ffmpeg, tmp_path / "x.m4a", "aac", 8000)
    content = (tmp_path / "x.m4a").read_bytes()
    # Behind the media there is room to grow, but for the sizes around.
    at = content.index(b"elst")
    entry = content[at + 12 : at + 24]
    for name, size in ((b"elst", -4), (b"edts", -4), (b"trak", -4), (b"moov", -4)):
        place = content.index(name) + size
        grown = int.from_bytes(content[place : place + 4], "big") + 12
        content = content[:place] + grown.to_bytes(4, "big") + content[place + 4 :]
    content = content[: at + 8] + b"\0\0\0\2" + entry + entry + content[at + 24 :]
    (tmp_path / "x.m4a").write_bytes(content)
    with pytest.raises(DecodeError, match=r"found one that goes back$"):
        heartfast.load(tmp_path / "x.m4a")


@pytest.mark.parametrize("layout", ["plain", "dash"])
def test_the_delay_that_itunes_notes(ffmpeg, tmp_path, layout):
    path = tmp_path / "x.m4a"
    comment = " 00000000 00000840 000001CA 0000000000003E80" + 4 * " 00000000"
    write(ffmpeg, path, "aac", 16000, more=[*LAYOUTS[layout], "-metadata", f"comment={comment}"])
    content = path.read_bytes()
    # ffmpeg does not write such a note: the comment becomes one, of the same length.
    at = content.index(b"\xa9cmt") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    data = content[at + 8 : at + size]
    mean = b"\0\0\0\x1cmean\0\0\0\0com.apple.iTunes"
    name = b"\0\0\0\x14name\0\0\0\0iTunSMPB"
    note = (size + len(mean) + len(name)).to_bytes(4, "big") + b"----" + mean + name + data
    grown = len(mean) + len(name)
    for box in (b"ilst", b"meta", b"udta", b"moov"):
        place = content.index(box) - 4
        larger = int.from_bytes(content[place : place + 4], "big") + grown
        content = content[:place] + larger.to_bytes(4, "big") + content[place + 4 :]
    content = content[:at] + note + content[at + size :]
    path.write_bytes(content)
    check(ffmpeg, path)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sr", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("codec", ["libmp3lame", "libvorbis"])
def test_mp3_and_vorbis(ffmpeg, tmp_path, codec, sr, channels):
    path = tmp_path / "x"
    form = {"libmp3lame": "mp3", "libvorbis": "ogg"}[codec]
    for n in (3000, 11025, 44100, 50001):
        write(ffmpeg, path, codec, n, sr, channels, ["-f", form])
        expected, _ = soundfile.read(path, always_2d=True)
        y = np.atleast_2d(heartfast.load(path, mono=False)[0]).T
        assert y.shape == expected.shape == (n, channels)
        assert np.abs(y - expected).max() <= 1e-3
        # Of Vorbis, ffmpeg 5 gives the padding, too.
        if form == "mp3":
            check(ffmpeg, path, channels)


@pytest.mark.filterwarnings("ignore::heartfast.HeartfastWarning")
@pytest.mark.parametrize("xing", [0, 1])
@pytest.mark.parametrize("sr", [8000, 44100])
def test_an_mp3_that_is_cut_off(ffmpeg, tmp_path, sr, xing):
    """The frame that is cut off counts, as far as it is there."""
    path = tmp_path / "x.mp3"
    write(ffmpeg, path, "libmp3lame", 20000, sr, 2, ["-write_xing", xing])
    size = os.path.getsize(path)
    whole = path.read_bytes()
    for share in (0.5, 0.61, 0.72, 0.83, 0.94):
        path.write_bytes(whole[: int(size * share)])
        raw = ffmpeg("-i", path, "-f", "f32le", "-")
        expected = np.frombuffer(raw, np.float32).reshape(-1, 2)
        y = heartfast.load(path, mono=False)[0].T
        assert y.shape == expected.shape
        # The last granules are of bits that are not there.
        assert np.abs(y - expected)[:-1152].max() <= 1e-3


@pytest.mark.filterwarnings("ignore:.*more frames than its tag counts")
def test_a_tag_that_counts_less_than_there_is(ffmpeg, tmp_path):
    path = tmp_path / "x.mp3"
    write(ffmpeg, path, "libmp3lame", 44100, 44100, 2)
    content = bytearray(path.read_bytes())
    at = content.index(b"Info") + 8
    frames = int.from_bytes(content[at : at + 4], "big")
    content[at : at + 4] = (frames // 2).to_bytes(4, "big")
    path.write_bytes(content)
    check(ffmpeg, path, 2)
