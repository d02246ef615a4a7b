"""Recordings in ZIPs and tars, and pictures into them: the same as loose files."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import heartfast
from heartfast import DatasetError

NAMES = ("normal/a.wav", "normal/b.flac", "murmur/c.wav", "d.ogg", "normal/más/é.wav")


@pytest.fixture(scope="module")
def loose(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("loose") / "in"
    rng = np.random.default_rng(0)
    for k, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        y = rng.normal(0, 0.1, (9000 + 100 * k, 1 + k % 2))
        soundfile.write(root / name, y, [4000, 8000][k % 2])
    (root / "notes.txt").write_text("no recording")
    (root / ".hidden.wav").write_bytes(b"")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX/._a.wav").write_bytes(b"resource fork")
    return root


def pack(loose: Path, path: Path) -> Path:
    """Put a folder into an archive, of the kind that its name says."""
    files = sorted(p for p in loose.rglob("*") if p.is_file())
    if path.suffix == ".zip":
        method = zipfile.ZIP_STORED if "stored" in path.name else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method) as archive:
            for file in files:
                archive.write(file, file.relative_to(loose))
    else:
        kind = tarfile.GNU_FORMAT if "gnu" in path.name else tarfile.PAX_FORMAT
        with tarfile.open(path, "w", format=kind) as archive:
            archive.add(loose, arcname=".")
    return path


def pictures(out: Path) -> dict[str, bytes]:
    """The pictures that `convert` wrote, by name, wherever they are."""
    if (out / "pictures.zip").exists():
        with zipfile.ZipFile(out / "pictures.zip") as archive:
            assert archive.testzip() is None
            names = [name for name in archive.namelist() if not name.endswith(".json")]
            return {name: archive.read(name) for name in names}
    if (out / "pictures.tar").exists():
        with tarfile.open(out / "pictures.tar") as archive:
            members = [member for member in archive if not member.name.endswith(".json")]
            return {member.name: archive.extractfile(member).read() for member in members}
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.png")}


ARCHIVES = ("deflated.zip", "stored.zip", "gnu.tar", "pax.tar")


@pytest.mark.parametrize("segment_s", [None, 0.5])
@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_as_a_folder(loose, tmp_path, name, segment_s):
    archive = pack(loose, tmp_path / name)
    for labels in ("none", "folders"):
        a = heartfast.convert(loose, tmp_path / "a" / labels, labels=labels, segment_s=segment_s)
        b = heartfast.convert(archive, tmp_path / "b" / labels, labels=labels, segment_s=segment_s)
        assert a.errors == b.errors == []
        rows_a, rows_b = [r[:7] for r in a.records], [r[:7] for r in b.records]
        if labels == "folders":  # of those that are in none: the source's name
            assert {r.label for r in a.records} == {"normal", "murmur", "más", "in"}
            assert {r.label for r in b.records} == {"normal", "murmur", "más", archive.stem}
            continue
        assert rows_a == rows_b
        assert pictures(tmp_path / "a" / labels) == pictures(tmp_path / "b" / labels)
        expected = sorted(os.path.join(archive, name) for name in NAMES)
        assert sorted({r.recording for r in b.records}) == expected


def test_a_long_member_is_inflated_as_it_is_read(tmp_path):
    """Longer than what is held in memory: 36 MB, of a WAV that is not read by position then."""
    y = np.random.default_rng(0).integers(-2, 3, 18_000_000, dtype=np.int16)
    y[::1000] = np.random.default_rng(1).integers(-9999, 9999, 18_000, dtype=np.int16)
    soundfile.write(tmp_path / "x.wav", y, 44100)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(tmp_path / "x.wav", "x.wav")
    a, b = (
        heartfast.convert(tmp_path / name, tmp_path / f"{name}.out", segment_s=50)
        for name in ("x.wav", "x.zip")
    )
    assert len(a.records) == 9
    assert [r[:7] for r in a.records] == [r[:7] for r in b.records]
    assert pictures(tmp_path / "x.wav.out") == pictures(tmp_path / "x.zip.out")
    data = bytearray((tmp_path / "x.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        directory = archive.start_dir
    data[14] ^= 1  # the checksum, in both headers
    data[directory + 16] ^= 1
    (tmp_path / "x.zip").write_bytes(data)
    bad = heartfast.convert(tmp_path / "x.zip", tmp_path / "bad", segment_s=50)
    assert len(bad.records) == 9
    assert {r.sha256 for r in bad.records} == {""}
    (error,) = bad.errors
    assert error.message.startswith("expected the archive's checksum ")


def test_a_format_that_is_read_from_its_end(tool, loose, tmp_path):
    """M4A as ffmpeg writes it: what tells how to read it comes behind the sound."""
    (tmp_path / "in").mkdir()
    command = [
        tool("ffmpeg"),
        "-v",
        "error",
        "-i",
        loose / NAMES[0],
        "-c:a",
        "aac",
        tmp_path / "in/x.m4a",
    ]
    subprocess.run(command, check=True)
    archive = pack(tmp_path / "in", tmp_path / "x.zip")
    a = heartfast.convert(tmp_path / "in", tmp_path / "a", segment_s=1)
    b = heartfast.convert(archive, tmp_path / "b", segment_s=1)
    assert a.errors == b.errors == []
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b")


def test_a_table_of_labels_means_members(loose, tmp_path):
    archive = pack(loose, tmp_path / "x.zip")
    table = tmp_path / "labels.csv"
    table.write_text(f"file_name,label\nnormal/a.wav,one\nd,two\n{archive}/murmur/c.wav,three\n")
    result = heartfast.convert(archive, tmp_path / "out", labels=table)
    assert {os.path.basename(r.recording): r.label for r in result.records} == {
        "a.wav": "one", "d.ogg": "two", "c.wav": "three", "b.flac": "", "é.wav": "",
    }  # fmt: skip


def test_an_archive_is_what_its_content_says(loose, tmp_path):
    odd = pack(loose, tmp_path / "x.zip").rename(tmp_path / "recordings.2024")
    assert len(heartfast.convert(odd, tmp_path / "a").records) == len(NAMES)
    assert len(heartfast.convert(odd, tmp_path / "b", recursive=False).records) == 1
    # In a folder archives are passed over: they may be copies of what lies beside them.
    soundfile.write(tmp_path / "y.wav", np.zeros(100), 4000)
    pack(loose, tmp_path / "z.zip")
    assert [r.file_name for r in heartfast.convert(tmp_path, tmp_path / "c").records][-1] == "y.png"
    (tmp_path / "no.zip").write_text("no archive")
    (error,) = heartfast.convert(tmp_path / "no.zip", tmp_path / "d").errors
    assert error.kind == "unsupported"
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(DatasetError, match="expected recordings"):
        heartfast.convert(tmp_path / "empty.zip", tmp_path / "e")


def test_several_archives_and_files(loose, tmp_path):
    one, two = pack(loose, tmp_path / "one.zip"), pack(loose, tmp_path / "two.tar")
    result = heartfast.convert([one, two, loose, one], tmp_path / "out", jobs=3)
    assert len(result.records) == 3 * len(NAMES)
    assert len({r.file_name for r in result.records}) == 3 * len(NAMES)
    found = {r.recording for r in result.records if r.recording.endswith("/d.ogg")}
    assert found == {f"{source}/d.ogg" for source in (one, two, loose)}


def wav(n: int = 400) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(n), 4000, format="WAV")
    return file.getvalue()


def test_bad_members_among_good_ones(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.wav", wav())
        archive.writestr("../out.wav", wav())
        archive.writestr("/etc/absolute.wav", wav())
        archive.writestr("lzma.wav", wav(), zipfile.ZIP_LZMA)
        archive.writestr("text.wav", "no sound")
        archive.writestr("damaged.wav", wav(5000))
        archive.writestr("twice.wav", wav())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("twice.wav", wav(500))
        link = zipfile.ZipInfo("link.wav")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "good.wav")
    data = bytearray(path.read_bytes())
    data[data.index(b"damaged.wav") + 5000] ^= 1
    path.write_bytes(data)
    result = heartfast.convert(path, tmp_path / "deep/er/out")
    assert [r.file_name for r in result.records] == ["good.png"]
    errors = {e.path.removeprefix(f"{path}/"): (e.kind, e.message) for e in result.errors}
    assert errors.pop("damaged.wav")[0] == "decode"
    assert errors == {
        "out.wav": ("unsupported", 'expected a name inside of the archive, found "../out.wav"'),
        "etc/absolute.wav": (
            "unsupported", 'expected a name inside of the archive, found "/etc/absolute.wav"',
        ),
        "lzma.wav": (
            "unsupported", "expected a ZIP member that is stored or deflated, found method 14",
        ),
        "text.wav": ("unsupported", errors["text.wav"][1]),
        "twice.wav": ("unsupported", "expected one member of this name, found several"),
        "link.wav": ("unsupported", "expected a file in the archive, found a link"),
    }  # fmt: skip
    assert {p.name for p in tmp_path.rglob("*.png")} == {"good.png"}


def test_an_archive_cut_short(loose, tmp_path):
    whole = pack(loose, tmp_path / "gnu.tar").read_bytes()
    short = tmp_path / "short.tar"
    short.write_bytes(whole[:-15_000])
    result = heartfast.convert(short, tmp_path / "out")
    assert 0 < len(result.records) < len(NAMES)
    assert len(result.records) + len(result.errors) <= len(NAMES) + 1
    assert result.errors
    assert all(e.path.startswith(str(short)) for e in result.errors)
    zipped = tmp_path / "short.zip"
    zipped.write_bytes(pack(loose, tmp_path / "x.zip").read_bytes()[:-40])
    (error,) = heartfast.convert(zipped, tmp_path / "out2").errors
    assert error.path == str(zipped)
    assert error.message.startswith("expected an intact ZIP, found ")


@pytest.mark.parametrize("to", ["zip", "tar"])
@pytest.mark.parametrize("segment_s", [None, 0.25])
def test_pictures_in_an_archive(loose, tmp_path, to, segment_s):
    options = {"labels": "folders", "segment_s": segment_s}
    plain = heartfast.convert(loose, tmp_path / "dir", **options)
    seen = set()
    for jobs in (1, 2, 5):
        out = tmp_path / f"{to}{jobs}"
        result = heartfast.convert(loose, out, to=to, jobs=jobs, **options)
        assert [r[:7] for r in result.records] == [r[:7] for r in plain.records]
        assert sorted(p.name for p in out.iterdir()) == [
            "manifest.jsonl",
            "metadata.csv",
            f"pictures.{to}",
        ]
        assert pictures(out) == pictures(tmp_path / "dir")
        seen.add((out / f"pictures.{to}").read_bytes())
    assert len(seen) == 1
    found = pictures(out)
    with open(out / "metadata.csv", encoding="utf-8", newline="") as file:
        assert [row["file_name"] for row in csv.DictReader(file)] == sorted(found)
    for data in found.values():
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    # In the order of the recordings, and of each one's segments.
    order = sorted(result.records, key=lambda r: (r.recording, start(r.file_name)))
    assert list(found) == [r.file_name for r in order]


def start(name: str) -> int:
    number = name.removesuffix(".png").rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


@pytest.mark.parametrize("to", ["zip", "tar"])
def test_strange_names_in_an_archive(tmp_path, to):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "sub").mkdir()
    names = ["ü.wav", "a\nb.wav", "x" * 240 + ".wav", "sub/" + "é" * 100 + ".wav", "🫀.wav",
             "back\\slash.wav", os.fsdecode(b"\xff\xfe.wav")]  # fmt: skip
    for k, name in enumerate(names):
        Path(os.path.join(folder, name)).write_bytes(wav(300 + k))
    result = heartfast.convert(folder, tmp_path / "out", to=to)
    assert result.errors == []
    found = {name: len(data) for name, data in pictures(tmp_path / "out").items()}
    assert sorted(found) == [r.file_name for r in result.records]
    assert {"back%5Cslash.png", "%FF%FE.png", "ü.png", "a\nb.png", "🫀.png"} < found.keys()


def test_more_pictures_than_a_plain_zip_has_room_for(tmp_path):
    """65,535 and more need ZIP64."""
    soundfile.write(tmp_path / "x.wav", np.zeros(70_000), 100)
    result = heartfast.convert(tmp_path / "x.wav", tmp_path / "out", segment_s=0.01, to="zip")
    assert len(result.records) == 70_000
    with zipfile.ZipFile(tmp_path / "out/pictures.zip") as archive:
        assert len(archive.namelist()) == 140_000
        assert archive.namelist()[-2] == "x_699990.png"
        assert archive.read("x_699990.png").startswith(b"\x89PNG")


def test_an_archive_of_pictures_is_packed(tmp_path):
    sources = heartfast.synth.write_corpus(tmp_path / "wav", patients=12, recordings=2)
    assert sources
    for to in ("dir", "zip"):
        heartfast.convert(tmp_path / "wav", tmp_path / to, labels="folders", to=to)
        heartfast.pack(tmp_path / to, tmp_path / f"sets-{to}")
    for name in ("train.zip", "test.zip", "test_actual.csv", "test_metadata.csv"):
        a, b = (tmp_path / f"sets-{to}" / name for to in ("dir", "zip"))
        assert a.read_bytes() == b.read_bytes()
    heartfast.convert(tmp_path / "wav", tmp_path / "tar", labels="folders", to="tar")
    with pytest.raises(DatasetError, match=r"found pictures\.tar, which is to be unpacked first"):
        heartfast.pack(tmp_path / "tar", tmp_path / "sets-tar")


@pytest.mark.parametrize("to", ["zip", "tar"])
def test_nothing_half_written_is_left(tmp_path, to):
    for k in range(300):
        (tmp_path / f"{k}.wav").write_bytes(wav(100_000))

    def stop(progress: heartfast.Progress) -> None:
        if progress.done:
            raise RuntimeError("enough")

    started = time.monotonic()
    with pytest.raises(RuntimeError, match="enough"):
        heartfast.convert(tmp_path, tmp_path / "out", progress=stop, jobs=2, to=to,
                          config=heartfast.SpectrogramConfig(overlap=97))  # fmt: skip
    assert time.monotonic() - started < 2
    # What is there goes on under a hidden name.
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names <= {"manifest.jsonl", f".pictures.{to}.part"}


def test_a_full_disk_fails_the_run(tmp_path):
    """Where the archive cannot be written, no picture is anywhere: that is no recording's error."""
    resource = pytest.importorskip("resource")
    (tmp_path / "in").mkdir()
    for k in range(30):
        y = np.random.default_rng(k).normal(0, 0.1, 100_000)
        soundfile.write(tmp_path / f"in/{k}.wav", y, 4000)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, usual[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            heartfast.convert(tmp_path / "in", tmp_path / "out", to="zip", jobs=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, handler)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"manifest.jsonl", ".pictures.zip.part"}
    # Once there is room, it goes on.
    assert heartfast.convert(tmp_path / "in", tmp_path / "out", to="zip").pictures == 30
    heartfast.convert(tmp_path / "in", tmp_path / "fresh", to="zip")
    a, b = ((tmp_path / name / "pictures.zip").read_bytes() for name in ("out", "fresh"))
    assert a == b


def test_no_other_kind(loose, tmp_path):
    with pytest.raises(ValueError, match="to: expected dir, zip, tar or parquet, found 'rar'"):
        heartfast.convert(loose, tmp_path / "out", to="rar")
    assert not (tmp_path / "out").exists()
