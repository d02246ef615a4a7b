"""What becomes of each conformance file: ours, and what soundfile and ffmpeg make of it.

`python tests/conformance.py` prints the share that is decoded, per container and codec, and with
`--update` writes `tests/conformance.csv` anew, where reasons are kept.
"""

# ruff: noqa: T201 - it is there to print.

from __future__ import annotations

import collections
import csv
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

import heartfast
from heartfast.errors import HeartfastWarning

TABLE = Path(__file__).with_suffix(".csv")
FIELDS = ("path", "outcome", "reason")

# Containers and codecs that are ours, by the manifest's words; the rest is refused.
TAGS = {
    "0x0001": "PCM", "0x0002": "MS ADPCM", "0x0003": "float", "0x0006": "A-law", "0x0007": "mu-law",
    "0x0011": "IMA ADPCM", "0x0031": "GSM 6.10", "0x0055": "MP3", "0xfffe": "extensible",
}  # fmt: skip


class Decoded(NamedTuple):
    """Samples (n, channels) and their rate."""

    samples: np.ndarray
    rate: int


def manifest(folder: Path) -> list[dict[str, str]]:
    with open(folder / "MANIFEST.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def kind(row: dict[str, str]) -> str:
    """Container and codec."""
    name = row["kind"]
    if name.startswith("other:"):
        name = "M4A" if row["path"].endswith(".m4a") else "MP3"
    if name.startswith("ID3"):
        name = "MP3"
    if name == "OGG":
        if "opus" in row["path"] or row["path"].endswith(".oga"):
            return "OGG Opus"
        return "OGG Speex" if "speex" in row["path"] else "OGG Vorbis"
    return f"{name} {TAGS.get(row['tag'], row['tag'])}".strip()


def ours(path: Path) -> Decoded | str:
    """Samples, or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HeartfastWarning)
            samples, rate = heartfast.load(path, mono=False)
    except (heartfast.HeartfastError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return Decoded(np.atleast_2d(samples).T, rate)


def soundfiles(path: Path) -> Decoded | None:
    try:
        return Decoded(*soundfile.read(path, dtype="float32", always_2d=True))
    except (soundfile.SoundFileError, ValueError):
        return None


def ffmpegs(path: Path) -> Decoded | None:
    """What ffmpeg decodes, without a change of channels or rate."""
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg is not None
    command = [ffmpeg, "-nostdin", "-v", "error", "-i", path, "-map", "0:a:0"]
    wav = subprocess.run([*command, "-c:a", "pcm_f32le", "-f", "wav", "-"], capture_output=True)
    at = wav.stdout.find(b"data")
    if at < 0:
        return None
    channels = int.from_bytes(wav.stdout[22:24], "little")
    rate = int.from_bytes(wav.stdout[24:28], "little")
    data = wav.stdout[at + 8 :]
    samples = np.frombuffer(data[: len(data) // (4 * channels) * 4 * channels], np.float32)
    return Decoded(samples.reshape(-1, channels), rate) if len(samples) else None


def compare(a: Decoded, b: Decoded) -> str:
    """`same`, `close` (to 1 % of full scale), or how they differ."""
    if a.rate != b.rate or a.samples.shape[1] != b.samples.shape[1]:
        return f"{b.samples.shape[1]} channels at {b.rate} Hz"
    if len(a.samples) != len(b.samples):
        return f"length {len(b.samples) - len(a.samples):+d}"
    if np.array_equal(a.samples, b.samples, equal_nan=True):
        return "same"
    error = np.abs(a.samples.astype(float) - b.samples).max()
    return "close" if error <= 1e-2 else f"off by {error:.2g}"


def outcome(row: dict[str, str], folder: Path) -> str:
    """One word or two: of what we make of a file, and whether others make the same."""
    path = folder / row["path"]
    read = ours(path)
    if isinstance(read, str):
        return "unsupported" if read.startswith("Unsupported") else "damaged"
    result = "decoded alone"
    for name, others in (("soundfile", soundfiles), ("ffmpeg", ffmpegs)):
        other = others(path)
        if other is None:
            continue
        verdict = compare(read, other)
        if verdict in ("same", "close"):
            return f"{verdict} as {name}"
        result = f"decoded ({name}: {verdict})"
    return result


def table() -> dict[str, tuple[str, str]]:
    """Expected outcome and reason, by path."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        return {row["path"]: (row["outcome"], row["reason"]) for row in csv.DictReader(file)}


def shares(rows: list[dict[str, str]], outcomes: list[str]) -> str:
    """Decoded of all, per container and codec."""
    count: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for row, result in zip(rows, outcomes, strict=True):
        for key in (kind(row), "all"):
            count[key][1] += 1
            count[key][0] += result not in ("unsupported", "damaged")
    return "\n".join(f"{name:24} {good:4} of {n:4}" for name, (good, n) in sorted(count.items()))


def main() -> None:
    folder = Path(sys.argv[1])
    rows = manifest(folder)
    outcomes = [outcome(row, folder) for row in rows]
    print(shares(rows, outcomes))
    known = table() if TABLE.exists() else {}
    for row, result in zip(rows, outcomes, strict=True):
        others = f"{row['ffmpeg']}/{row['sox']}"
        if result not in ("same as soundfile", "same as ffmpeg"):
            said = ours(folder / row["path"])
            text = said[-150:] if isinstance(said, str) else str(said.samples.shape)
            print(result, row["path"], others, text, sep=" | ")
    if "--update" in sys.argv:
        with open(TABLE, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FIELDS)
            for row, result in zip(rows, outcomes, strict=True):
                writer.writerow((row["path"], result, known.get(row["path"], ("", ""))[1]))


if __name__ == "__main__":
    main()
