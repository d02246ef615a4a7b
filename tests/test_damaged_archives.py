"""Archives of pictures that are damaged between two runs, and what is said beside the pictures."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from resuming import SLOW, convert, corpus, tree

PACKED = {
    "tar": ["--to", "tar"],
    "zip": ["--to", "zip"],
    "tar shards": ["--to", "tar", "--shard-mb", "0.5"],
    "zip shards": ["--to", "zip", "--shard-mb", "0.5", "--fsync"],
    "zip, segments": ["--to", "zip", "--shard-mb", "0.5", "--segment-s", "0.3"],
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    return corpus(tmp_path_factory.mktemp("resume") / "in", 60)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """A fifth of a second's work."""
    return corpus(tmp_path_factory.mktemp("many") / "in", 300)


@pytest.fixture(scope="module")
def undisturbed(many, tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """What each sink has to show after one run."""
    found = {}
    for sink in PACKED:
        out = tmp_path_factory.mktemp("undisturbed") / "out"
        assert convert(many, out, *PACKED[sink], *SLOW).returncode == 3
        found[sink] = tree(out)
    return found


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("to", ["zip", "tar"])
def test_texts_of_segments_say_what_the_table_does(recordings, tmp_path, to, archived):
    """The hash of the recording, too, though its first segments are written before its end."""
    source = recordings
    if archived:
        source = tmp_path / "in.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(recordings.glob("*/*.wav")):
                archive.write(path, path.relative_to(recordings))
    options = ["--segment-s", "0.3", "--channel", "each"]
    out, beside = tmp_path / "out", tmp_path / "beside"
    convert(source, out, "--to", to, *options)
    convert(source, beside, *options)
    assert (out / "metadata.csv").read_bytes() == (beside / "metadata.csv").read_bytes()
    members: dict[str, bytes] = {}
    if to == "zip":
        with zipfile.ZipFile(out / "pictures.zip") as file:
            members = {name: file.read(name) for name in file.namelist()}
    else:
        with tarfile.open(out / "pictures.tar") as file:
            members = {m.name: file.extractfile(m).read() for m in file}
    rows = (out / "metadata.csv").read_text().splitlines()[1:]
    assert len(rows) > 100
    for row in rows:
        name, *_, sha256 = row.split(",")
        stem = name.partition("_ch")[0]
        assert sha256 == hashlib.sha256((recordings / f"{stem}.wav").read_bytes()).hexdigest()
        assert json.loads(members[name.removesuffix(".png") + ".json"])["sha256"] == sha256


def in_hand(out: Path) -> Path:
    """Make the manifest that of a killed run, and the archive that it ends in unfinished."""
    manifest = out / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)[:-9]
    archives = sorted(out.glob("pictures*"))
    # Most of it has to be told of: what is behind is cut off in any case.
    while True:
        last = json.loads(lines[-1])
        archive = archives[last["shard"]]
        if last["end"] > 0.6 * archive.stat().st_size:
            break
        del lines[-1]
    manifest.write_text("".join(lines))
    (out / "metadata.csv").unlink()
    for later in archives[last["shard"] + 1 :]:
        later.unlink()
    return archive.rename(out / f".{archive.name}.part")


def damaged(content: bytes, damage: str) -> bytes:
    mark = b"ustar" if b"ustar" in content else b"PK\3\4"
    at = content.index(mark, len(content) // 3)
    return {
        "truncated": content[:at],
        "empty": b"",
        "a header": content[: at + 2] + b"x" + content[at + 3 :],
        "zeros": content[: at - 100] + bytes(200) + content[at + 100 :],
        "a text": content.replace(b'"label"', b'"lapel"'),
    }[damage]


@pytest.mark.parametrize("damage", ["truncated", "empty", "a header", "zeros", "a text"])
@pytest.mark.parametrize("sink", ["tar", "zip", "tar shards", "zip, segments"])
def test_a_damaged_archive_in_hand(many, undisturbed, tmp_path, sink, damage):
    """It is noticed and named, and what is in it is done anew."""
    out, options = tmp_path / "out", [*PACKED[sink], *SLOW]
    convert(many, out, *options)
    partial = in_hand(out)
    partial.write_bytes(damaged(partial.read_bytes(), damage))
    continued = convert(many, out, *options)
    assert continued.returncode == 3
    name = partial.name[1 : -len(".part")]
    (said,) = [line for line in continued.stderr.splitlines() if "made anew from there" in line]
    assert f"{name}: expected " in said
    assert "as the manifest has it, found " in said
    assert tree(out) == undisturbed[sink]
    # What is before the damage stays.
    if damage in ("a header", "truncated"):
        assert int(continued.stderr.split("failed (")[1].split()[0]) > 50


@pytest.mark.parametrize("sink", ["tar", "zip shards", "zip, segments"])
def test_check_reads_the_archive_in_hand(many, undisturbed, tmp_path, sink):
    out, options = tmp_path / "out", [*PACKED[sink], *SLOW]
    convert(many, out, *options)
    partial = in_hand(out)
    content = bytearray(partial.read_bytes())
    content[content.index(b"IDAT", len(content) // 4) + 50] ^= 1
    partial.write_bytes(content)
    checked = convert(many, out, *options, "--check")
    assert "made anew from there" in checked.stderr
    assert tree(out) == undisturbed[sink]


@pytest.mark.parametrize("sink", ["tar shards", "zip shards"])
def test_a_run_that_was_killed_between_two_archives(many, undisturbed, tmp_path, sink):
    out, options = tmp_path / "out", [*PACKED[sink], *SLOW]
    convert(many, out, *options)
    manifest = out / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    kept = [lines[0], *(line for line in lines[1:] if json.loads(line).get("shard", 9) < 2)]
    manifest.write_text("".join(kept))
    for later in sorted(out.glob("pictures*"))[2:]:
        later.unlink()
    continued = convert(many, out, *options)
    assert f"({len(kept) - 1} recordings by an earlier run)" in continued.stderr
    assert tree(out) == undisturbed[sink]


@pytest.mark.parametrize("sink", ["tar shards", "zip"])
def test_the_end_of_an_archive_is_written_anew(many, undisturbed, tmp_path, sink):
    """A list of members that is damaged costs no picture."""
    out, options = tmp_path / "out", [*PACKED[sink], *SLOW]
    convert(many, out, *options)
    last = max(out.glob("pictures*"))
    last.write_bytes(last.read_bytes()[:-9] + bytes(range(9)))
    checked = convert(many, out, *options, "--check")
    assert "(302 recordings by an earlier run)" in checked.stderr
    assert tree(out) == undisturbed[sink]


@pytest.mark.parametrize("sink", ["tar shards", "zip"])
def test_check_finds_changed_archives(many, undisturbed, tmp_path, sink):
    """In the middle of an archive nothing can be replaced: all are made anew."""
    out = tmp_path / "out"
    assert convert(many, out, *PACKED[sink], *SLOW).returncode == 3
    path = min(out.glob("pictures*"))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 50] ^= 1
    path.write_bytes(content)
    assert convert(many, out, *PACKED[sink], *SLOW).returncode == 3
    assert path.read_bytes() == content
    assert convert(many, out, *PACKED[sink], *SLOW, "--check").returncode == 3
    assert tree(out) == undisturbed[sink]
