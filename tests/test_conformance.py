"""Each conformance file: what is expected of it, against soundfile and ffmpeg."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

import conformance

# Outcomes that need no reason, where ffmpeg or sox read the file, too.
EQUAL = ("same as soundfile", "same as ffmpeg", "close as soundfile", "close as ffmpeg")


@pytest.fixture(scope="module")
def folder(shared_data, tool):
    tool("ffmpeg")
    return shared_data / "audio_conformance"


def test_every_file_does_what_the_table_says(folder):
    rows = conformance.manifest(folder)
    expected = conformance.table()
    assert [row["path"] for row in rows] == list(expected)
    outcomes = [conformance.outcome(row, folder) for row in rows]
    print(conformance.shares(rows, outcomes))  # noqa: T201 - pytest -rP shows it
    differing = {
        row["path"]: (outcome, expected[row["path"]][0])
        for row, outcome in zip(rows, outcomes, strict=True)
        if outcome != expected[row["path"]][0]
    }
    assert not differing


def test_what_differs_from_ffmpeg_and_sox_has_a_reason(folder):
    rows = {row["path"]: row for row in conformance.manifest(folder)}
    for path, (outcome, reason) in conformance.table().items():
        others = "ok" in (rows[path]["ffmpeg"], rows[path]["sox"])
        if others and outcome not in EQUAL:
            assert reason, path


def test_errors_are_one_line_that_names_the_file(folder):
    for row in conformance.manifest(folder):
        said = conformance.ours(folder / row["path"])
        if isinstance(said, str):
            assert said.split(": ", 1)[1].startswith(f"{folder / row['path']}: expected ")
            assert "\n" not in said


# In a process of its own, whose peak can be set back: Linux only.
MEASURE = """
    import json, sys, time
    import heartfast

    def status(field):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith(field))

    heartfast.synth  # the first call loads NumPy
    results = []
    for path in [sys.argv[1], *sys.argv[1:]]:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before, begin, size = status("VmRSS"), time.perf_counter(), 0
        try:
            size = heartfast.load(path, mono=False)[0].nbytes
        except heartfast.DecodeError:
            pass
        results.append((path, size, status("VmHWM") - before, time.perf_counter() - begin))
    print(json.dumps(results[1:]))
"""


def measure(paths):
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), *map(str, paths)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def check_memory_and_time(paths):
    for path, decoded, peak, seconds in measure(paths):
        assert peak <= 4 * decoded + (64 << 20), path
        assert seconds < 5, path


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_and_time_of_every_file(folder):
    check_memory_and_time(folder / row["path"] for row in conformance.manifest(folder))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_and_time_of_hostile_files(tmp_path):
    """Headers that promise gigabytes."""
    riff = b"RIFF\xff\xff\xff\xffWAVE"

    def wav(channels, rate, align, bits, tag=1):
        fields = [(tag, 2), (channels, 2), (rate, 4), (0, 4), (align, 2), (bits, 2)]
        fmt = b"".join(value.to_bytes(n, "little") for value, n in fields)
        return riff + b"fmt \x10\0\0\0" + fmt + b"data\xff\xff\xff\xff" + bytes(1000)

    info = b"\xff\xff\xff\xff\0\0\0\xff\xff\xff\x0a\xc4\x4f\xff\xff\xff\xff\xff" + bytes(16)
    hostile = {
        "channels.wav": wav(65535, 8000, 65535, 8),
        "bits.wav": wav(2, 8000, 16, 64),
        "adpcm.wav": wav(2, 8000, 65535, 4, tag=0x11),
        "rf64.wav": b"RF64" + wav(1, 8000, 2, 16)[4:],
        "chunk.wav": riff + b"LIST\xff\xff\xff\x7f" + bytes(100),
        "flac.flac": b"fLaC\x80\0\0\x22" + info + b"\xff\xf8\x79\x18\0\xff\xff" * 1000,
        "picture.flac": b"fLaC\0\0\0\x22" + info + b"\x06\xff\xff\xff" + b"\0\0\0\3\xff" * 20,
        "aiff.aiff": b"FORM\xff\xff\xff\xffAIFFCOMM\xff\xff\xff\xff" + b"\xff" * 100,
        "caf.caf": b"caff\0\1\0\0desc" + b"\x7f" * 100,
        "tag.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + b"APIC\x7f\x7f\x7f\x7f" * 20,
        "atom.m4a": b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42\x7f\xff\xff\xffmoov" + b"\x7f" * 200,
        "edits.m4a": b"\0\0\0\x08ftyp\0\0\0\0moov\0\0\0\0trak\0\0\0\0edts\0\0\0\0elst"
        + b"\1\0\0\0\xff\xff\xff\xff"
        + b"\x7f" * 19_000,
        "pages.ogg": b"OggS\0\2" + bytes(20) + b"\xff" * 600,
    }
    for name, content in hostile.items():
        (tmp_path / name).write_bytes(content)
    check_memory_and_time(tmp_path / name for name in hostile)
