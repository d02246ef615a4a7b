"""Pages, frames and packets that are missing, damaged, doubled or out of order: sound that is lost
is an error with its place and its length, and nothing else moves."""

from __future__ import annotations

import re
import subprocess
import warnings
import zipfile

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast import DecodeError, HeartfastError, HeartfastWarning

SR = 8000
TONES = [300 + 200 * k for k in range(12)]


def tones(frequencies=TONES, sr=SR) -> np.ndarray:
    """A second of each tone, and a little noise."""
    t = np.arange(sr) / sr
    y = np.concatenate([0.5 * np.sin(2 * np.pi * f * t) for f in frequencies])
    return y + 0.01 * np.random.default_rng(3).standard_normal(len(y))


def crc(data: bytes) -> int:
    """The checksum of an Ogg page, bit by bit."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def sealed(page: bytes) -> bytes:
    bare = page[:22] + bytes(4) + page[26:]
    return page[:22] + crc(bare).to_bytes(4, "little") + page[26:]


def pages(content: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(content):
        count = content[at + 26]
        size = 27 + count + sum(content[at + 27 : at + 27 + count])
        found.append(content[at : at + size])
        at += size
    return found


def renumbered(parts: list[bytes]) -> list[bytes]:
    return [sealed(p[:18] + k.to_bytes(4, "little") + p[22:]) for k, p in enumerate(parts)]


def granule(page: bytes) -> int:
    return int.from_bytes(page[6:14], "little", signed=True)


def frames(content: bytes) -> list[bytes]:
    """What is before the first frame of an MP3 of MPEG 1 or 2, and the frames."""
    rates = [[0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]]
    rates += [[0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]]
    at = content.index(b"\xff\xfb" if b"\xff\xfb" in content[:200] else b"\xff\xf3")
    found = [content[:at]]
    while at + 4 <= len(content):
        _, version, b, _ = content[at : at + 4]
        one = version >> 3 & 1
        sr = [44100, 48000, 32000][b >> 2 & 3] // (1 if one else 2)
        size = (144 if one else 72) * 1000 * rates[one][b >> 4] // sr + (b >> 1 & 1)
        found.append(content[at : at + size])
        at += size
    return found


@pytest.fixture(scope="module")
def ffmpeg(tool):
    return [tool("ffmpeg"), "-nostdin", "-v", "error", "-y"]


def encoded(ffmpeg, folder, ending, options, y=None, sr=SR) -> bytes:
    soundfile.write(folder / "source.wav", tones() if y is None else y, sr, "FLOAT")
    made = folder / f"made.{ending}"
    subprocess.run([*ffmpeg, "-i", folder / "source.wav", *options, made], check=True)
    return made.read_bytes()


@pytest.fixture(scope="module")
def ogg(ffmpeg, tmp_path_factory) -> list[bytes]:
    options = ["-c:a", "libvorbis", "-q:a", "4"]
    return pages(encoded(ffmpeg, tmp_path_factory.mktemp("ogg"), "ogg", options))


@pytest.fixture(scope="module")
def mp3(ffmpeg, tmp_path_factory) -> list[bytes]:
    options = ["-ar", "22050", "-c:a", "libmp3lame", "-b:a", "64k"]
    return frames(encoded(ffmpeg, tmp_path_factory.mktemp("mp3"), "mp3", options))


def gap(path) -> tuple[float, float]:
    """Where sound is missing and how much, by the error."""
    with pytest.raises(DecodeError, match=r"expected sound data, found") as caught:
        heartfast.load(path)
    found = re.search(r"found ([\d.]+) s missing, ([\d.]+) s in(?!, and)", str(caught.value))
    assert found, str(caught.value)
    return float(found[2]), float(found[1])


def pictures(path, out, length=0.5) -> dict[int, bytes]:
    """The segments of a recording, by where they begin in milliseconds."""
    heartfast.convert(path, out, segment_s=length)
    return {int(p.stem.rpartition("_")[2]): p.read_bytes() for p in out.glob("*.png")}


def check_gap(tmp_path, whole: bytes, damaged: bytes, ending: str, slack: float = 0.05):
    """The gap is where the pictures differ from those of the undamaged file, and nowhere else."""
    (tmp_path / f"whole.{ending}").write_bytes(whole)
    (tmp_path / f"damaged.{ending}").write_bytes(damaged)
    start, length = gap(tmp_path / f"damaged.{ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeartfastWarning)
        expected = pictures(tmp_path / f"whole.{ending}", tmp_path / "a")
        found = pictures(tmp_path / f"damaged.{ending}", tmp_path / "b")
    assert len(expected) == 24
    assert found.keys() == expected.keys()
    differ = [ms / 1000 for ms in expected if found[ms] != expected[ms]]
    touched = [s for s in (ms / 1000 for ms in expected) if s < start + length and s + 0.5 > start]
    near = [s for s in differ if s >= start + length + slack or s + 0.5 <= start - slack]
    assert differ
    assert set(touched) - set(differ) == set()
    assert near == []
    return start, length


@pytest.mark.parametrize("at", [4, 7, 10])
@pytest.mark.parametrize("how", ["damaged", "gone", "renumbered", "cut short", "noise"])
def test_a_page_of_vorbis_that_is_lost(tmp_path, ogg, at, how):
    parts = list(ogg)
    start, end = granule(parts[at - 1]), granule(parts[at])
    if how == "damaged":
        parts[at] = parts[at][:100] + bytes(40) + parts[at][140:]
    elif how == "cut short":
        parts[at] = parts[at][:200]
    elif how == "noise":
        parts[at] = np.random.default_rng(at).bytes(len(parts[at]))
    else:
        del parts[at]
        parts = renumbered(parts) if how == "renumbered" else parts
    told = check_gap(tmp_path, b"".join(ogg), b"".join(parts), "ogg", 0.3)
    # With the packet that goes over the page's border, and the block behind.
    assert told[0] == pytest.approx(start / SR, abs=0.3)
    assert told[0] + told[1] == pytest.approx(end / SR, abs=0.3)


@pytest.mark.parametrize("numbers", [[5, 5], [3, 4, 5, 3, 4, 5], [12, 12]])
def test_pages_that_are_doubled_are_read_once(tmp_path, ogg, numbers):
    (tmp_path / "whole.ogg").write_bytes(b"".join(ogg))
    at = numbers[0]
    parts = [*ogg[:at], *(ogg[k] for k in numbers), *ogg[numbers[-1] + 1 :]]
    (tmp_path / "doubled.ogg").write_bytes(b"".join(parts))
    expected, _ = heartfast.load(tmp_path / "whole.ogg")
    with pytest.warns(HeartfastWarning, match="pages that are there twice"):
        y, _ = heartfast.load(tmp_path / "doubled.ogg")
    assert np.array_equal(y, expected)


def test_a_page_without_a_granule_position(tmp_path, ogg):
    """As old encoders write them, although packets end there."""
    parts = list(ogg)
    for at in (4, 6, 7):
        parts[at] = sealed(parts[at][:6] + b"\xff" * 8 + parts[at][14:])
    (tmp_path / "whole.ogg").write_bytes(b"".join(ogg))
    (tmp_path / "odd.ogg").write_bytes(b"".join(parts))
    expected, _ = heartfast.load(tmp_path / "whole.ogg")
    assert np.array_equal(heartfast.load(tmp_path / "odd.ogg")[0], expected)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("codec", ["libvorbis", "flac"])
def test_a_chain_is_one_recording(ffmpeg, tmp_path, codec, same):
    chain, lengths = [], []
    for k, frequencies in enumerate(([500, 700], [1500], [900, 300, 400])):
        options = ["-c:a", codec, "-f", "ogg"]
        parts = pages(encoded(ffmpeg, tmp_path, "ogg", options, tones(frequencies)))
        serial = (1 if same else k).to_bytes(4, "little")
        chain += [sealed(p[:14] + serial + p[18:]) for p in parts]
        lengths.append(len(frequencies) * SR)
    path = tmp_path / "chain.ogg"
    path.write_bytes(b"".join(chain))
    y, _ = heartfast.load(path)
    assert len(y) == sum(lengths)
    each = y.reshape(-1, SR)[:, SR // 4 : 3 * SR // 4]
    peaks = np.abs(np.fft.rfft(each)).argmax(1) * 2
    assert peaks.tolist() == [500, 700, 1500, 900, 300, 400]
    # In an archive, where it can only be read on.
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "chain.ogg")
    assert pictures(tmp_path / "x.zip", tmp_path / "a") == pictures(path, tmp_path / "b")


@pytest.mark.parametrize(("sr", "channels"), [(11025, 1), (8000, 2)])
def test_a_chain_of_other_streams_is_an_error(ffmpeg, tmp_path, sr, channels):
    options = ["-c:a", "libvorbis"]
    first = encoded(ffmpeg, tmp_path, "ogg", options)
    other = ["-ar", str(sr), "-ac", str(channels), *options]
    (tmp_path / "x.ogg").write_bytes(first + encoded(ffmpeg, tmp_path, "ogg", other))
    found = rf"expected 1 channels at 8000 Hz, found .* {channels} at {sr} Hz behind the first"
    with pytest.raises(DecodeError, match=found):
        heartfast.load(tmp_path / "x.ogg")


def test_a_link_without_its_first_page(tmp_path, ogg):
    """Its sound cannot be read, which is no end."""
    second = [p[:14] + b"\1\0\0\0" + p[18:] for p in ogg[1:]]
    (tmp_path / "x.ogg").write_bytes(b"".join([*ogg, *map(sealed, second)]))
    with pytest.raises(DecodeError, match=r"expected the first page of an Ogg stream"):
        heartfast.load(tmp_path / "x.ogg")


def test_vorbis_beside_other_streams(tmp_path, ogg):
    """Pages of another stream between, one of them damaged: nothing is lost."""
    kind = b"fishead\0" + bytes(56)
    head = b"OggS\0\2" + bytes(8) + b"\x77\0\0\0" + bytes(8) + b"\1" + bytes([len(kind)]) + kind
    more = b"OggS\0\0" + bytes(8) + b"\x77\0\0\0" + b"\1\0\0\0" + bytes(4) + b"\1\x0a" + b"x" * 10
    parts = [ogg[0], sealed(head), *ogg[1:5], sealed(more), *ogg[5:9], more, *ogg[9:]]
    (tmp_path / "x.ogg").write_bytes(b"".join(parts))
    (tmp_path / "whole.ogg").write_bytes(b"".join(ogg))
    expected, _ = heartfast.load(tmp_path / "whole.ogg")
    with pytest.warns(HeartfastWarning, match="bytes between pages"):
        y, _ = heartfast.load(tmp_path / "x.ogg")
    assert np.array_equal(y, expected)


@pytest.mark.parametrize("how", ["header", "gone in part", "noise"])
def test_a_frame_of_mp3_that_is_lost(tmp_path, mp3, how):
    parts = list(mp3)
    at = 200
    if how == "header":
        parts[at] = bytes(4) + parts[at][4:]
    elif how == "noise":
        for k in range(at, at + 5):
            parts[k] = bytes(len(parts[k]))
    else:
        parts[at] = parts[at][:100]
    start, length = check_gap(tmp_path, b"".join(mp3), b"".join(parts), "mp3", 0.15)
    # Counted behind the tag's frame and the encoder's delay, and with frames that borrow bytes.
    place = ((at - 2) * 576 - 1105) / 22050
    assert start == pytest.approx(place, abs=0.06)
    assert (5 if how == "noise" else 1) * 576 / 22050 <= length + 1e-3 < 0.3


def test_bytes_between_frames_of_mp3(tmp_path, mp3):
    for name, junk in (("whole", b""), ("junk", b"\0" * 40), ("tag", b"TAG" + bytes(125))):
        parts = [*mp3[:150], junk, *mp3[150:]]
        (tmp_path / f"{name}.mp3").write_bytes(b"".join(parts))
    expected, _ = heartfast.load(tmp_path / "whole.mp3")
    with pytest.warns(HeartfastWarning, match="40 bytes between frames"):
        assert np.array_equal(heartfast.load(tmp_path / "junk.mp3")[0], expected)
    assert np.array_equal(heartfast.load(tmp_path / "tag.mp3")[0], expected)


def test_mp3_of_another_rate_behind_the_first(ffmpeg, tmp_path, mp3):
    options = ["-ar", "44100", "-ac", "2", "-c:a", "libmp3lame"]
    other = encoded(ffmpeg, tmp_path, "mp3", options)
    (tmp_path / "x.mp3").write_bytes(b"".join(mp3) + other)
    found = r"expected 1 channels at 22050 Hz, found 2 channels at 44100 Hz"
    with pytest.raises(DecodeError, match=found):
        heartfast.load(tmp_path / "x.mp3")


def test_a_packet_of_alac_that_is_damaged(ffmpeg, tmp_path):
    """It has no checksum, and its decoder notices nothing."""
    whole = encoded(ffmpeg, tmp_path, "m4a", ["-c:a", "alac"])
    at = whole.index(b"mdat") + 60_000
    damaged = whole[:at] + bytes(300) + whole[at + 300 :]
    check_gap(tmp_path, whole, damaged, "m4a")


def boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes of an MPEG-4 file, each with its kind."""
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8], content[at : at + size]))
        at += size
    return found


@pytest.mark.parametrize("codec", ["aac", "alac"])
@pytest.mark.parametrize("lost", [1, 3])
def test_fragments_that_are_missing(ffmpeg, tmp_path, codec, lost):
    """The times of the fragments tell where sound is missing, and how much."""
    options = ["-movflags", "empty_moov+default_base_moof", "-frag_duration", "500000"]
    whole = encoded(ffmpeg, tmp_path, "m4a", ["-c:a", codec, *options])
    parts = boxes(whole)
    firsts = [k for k, (kind, _) in enumerate(parts) if kind == b"moof"]
    assert len(firsts) > 12
    begin = firsts[8]
    left = [part for k, (_, part) in enumerate(parts) if not begin <= k < begin + 2 * lost]
    headers = [parts[k][1] for k in firsts]
    times = [int.from_bytes(part[part.index(b"tfdt") + 8 :][:8], "big") for part in headers]
    (tmp_path / "damaged.m4a").write_bytes(b"".join(left))
    start, length = gap(tmp_path / "damaged.m4a")
    assert length == pytest.approx((times[8 + lost] - times[8]) / SR, abs=1e-3)
    assert start == pytest.approx(times[8] / SR, abs=0.2)
    if codec == "alac":  # whose length is exact
        check_gap(tmp_path, whole, b"".join(left), "m4a")


KINDS = {
    "ogg": ("ogg", ["-c:a", "libvorbis"]),
    "mp3": ("mp3", ["-ar", "22050", "-c:a", "libmp3lame", "-b:a", "48k"]),
    "mp3-vbr": ("mp3", ["-ar", "44100", "-ac", "2", "-c:a", "libmp3lame", "-q:a", "6"]),
    "aac": ("m4a", ["-c:a", "aac"]),
    "aac-fragments": ("m4a", ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"]),
    "alac": ("m4a", ["-c:a", "alac"]),
    "alac-caf": ("caf", ["-c:a", "alac"]),
}


def parts_of(content: bytes, kind: str) -> list[bytes]:
    if kind == "ogg":
        return pages(content)
    if kind.startswith("mp3"):
        return frames(content)
    # Pieces that are no packets.
    return [content[at : at + 700] for at in range(0, len(content), 700)]


def shuffled(parts: list[bytes], rng: np.random.Generator) -> tuple[str, list[bytes]]:
    """Changes the order and the content of pages or frames; says how, too."""
    at = int(rng.integers(len(parts)))
    part = parts[at]
    match rng.integers(7):
        case 0:
            return f"{at} dropped", parts[:at] + parts[at + 1 :]
        case 1:
            return f"{at} doubled", [*parts[: at + 1], *parts[at:]]
        case 2:
            return f"{at} zeroed", [*parts[:at], bytes(len(part)), *parts[at + 1 :]]
        case 3:
            cut = int(rng.integers(len(part) + 1))
            return f"{at} cut to {cut}", [*parts[:at], part[:cut], *parts[at + 1 :]]
        case 4:
            other = int(rng.integers(len(parts)))
            changed = list(parts)
            changed[at], changed[other] = parts[other], part
            return f"{at} and {other} swapped", changed
        case 5:
            noise = rng.bytes(int(rng.integers(1, 900)))
            return f"{len(noise)} bytes before {at}", [*parts[:at], noise, *parts[at:]]
        case _:
            return f"ends before {at}", parts[:at]


def by_ffmpeg(ffmpeg, path, channels: int) -> np.ndarray:
    command = [*ffmpeg, "-i", path, "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    out = subprocess.run(command, capture_output=True, timeout=60).stdout
    return np.frombuffer(out[: len(out) // (4 * channels) * 4 * channels], "<f4")


def by_soundfile(path) -> np.ndarray:
    try:
        return soundfile.read(path, dtype="float32")[0].ravel()
    except (soundfile.LibsndfileError, RuntimeError, ValueError):
        return np.empty(0, np.float32)


def is_silent_difference(ffmpeg, path) -> bool:
    """Whether a file is read as neither of the others reads it, and nothing is said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            y, _ = heartfast.load(path, mono=False)
        except HeartfastError:
            return False
    if any(issubclass(warning.category, HeartfastWarning) for warning in said):
        return False
    y = np.atleast_2d(y).T
    return not any(
        len(other) == y.size and np.abs(other - y.ravel()).max(initial=0) < 2e-3
        for other in (by_ffmpeg(ffmpeg, path, y.shape[1]), by_soundfile(path))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_difference_is_silent(ffmpeg, tmp_path, kind):
    ending, options = KINDS[kind]
    parts = parts_of(encoded(ffmpeg, tmp_path, ending, options, tones([300, 900, 500])), kind)
    path = tmp_path / f"x.{ending}"
    path.write_bytes(b"".join(parts))
    heartfast.load(path)  # without a warning, which would be an error here
    assert not is_silent_difference(ffmpeg, path)
    rng = np.random.default_rng([5, list(KINDS).index(kind)])
    differ = []
    for _ in range(30):
        how, changed = shuffled(parts, rng)
        path.write_bytes(b"".join(changed))
        if is_silent_difference(ffmpeg, path):
            differ.append(how)
    assert differ == []
