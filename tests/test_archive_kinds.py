"""Good archives of every kind are read as zipfile and tarfile read them; damage is seen."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import heartfast
from test_hostile_archives import changed, read, sha256, tarred, u16, wav, zip64, zipped


def stream(members: dict[str, bytes]) -> bytes:
    """A ZIP whose sizes stand behind the members, as a program that cannot go back writes it."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            with archive.open(name, "w", force_zip64=name.startswith("a")) as member:
                member.write(data)
    return bytes(pipe.data)


def with_comment(members: dict[str, bytes]) -> bytes:
    data = zipped(members)
    return changed(data, (len(data) - 2, u16(9))) + b"a comment"


GOOD: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "stored": lambda members: zipped(members, zipfile.ZIP_STORED),
    "deflated": zipped,
    "streamed": stream,
    "comment": with_comment,
    "behind a program": lambda members: b"#!/bin/sh\nexit\n" + zipped(members),
    "zip64": zip64,
    "v7": lambda members: v7(members),
    "ustar": lambda members: tarred([*members.items()], format=tarfile.USTAR_FORMAT),
    "gnu": lambda members: tarred([*members.items()], format=tarfile.GNU_FORMAT),
    "pax": lambda members: tarred([*members.items()], format=tarfile.PAX_FORMAT),
}


def v7(members: dict[str, bytes]) -> bytes:
    """As tar was before 1988: no magic, and folders known by their names."""
    blocks = []
    for name, data in {"folder.wav/": b"", **members}.items():
        size = b"%11o " % len(data)
        header = name.encode().ljust(100, b"\0") + b"000644 \0" * 3 + size + b"00000000000 "
        header = header.ljust(148, b"\0") + b" " * 8 + bytes(356)
        blocks += [changed(header, (148, b"%06o\0 " % sum(header))), data, bytes(-len(data) % 512)]
    return b"".join(blocks) + bytes(1024)


def oracle(data: bytes) -> dict[str, bytes]:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}


names = st.from_regex(r"[a-zé心]{1,30}(/[a-z\n ]{1,9})?\.wav", fullmatch=True)
contents = st.builds(wav, st.integers(0, 255), st.integers(1, 3000))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(names, contents, min_size=1, max_size=5), st.sampled_from(sorted(GOOD)))
def test_good_archives_are_read_as_python_reads_them(tmp_path_factory, members, kind):
    if kind in ("v7", "ustar"):
        members = {f"{k}/x.wav": content for k, content in enumerate(members.values())}
    tmp_path = tmp_path_factory.mktemp("good")
    data = GOOD[kind](members)
    expected = oracle(data)
    assert expected == members
    (tmp_path / "x").write_bytes(data)
    good, bad = read(tmp_path / "x", tmp_path / "out")
    assert bad == {}
    assert good == {name: sha256(content) for name, content in expected.items()}


def test_what_tars_have(tmp_path):
    """Long names, sizes in bytes, and a line's end in a name: by GNU and by pax."""
    deep = "/".join(["d" * 90] * 4) + "/" + "é" * 60 + "\n.wav"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = tarred([(deep, wav(1)), ("b.wav", wav(2))], format=form)
        (tmp_path / "x").write_bytes(data)
        good, bad = read(tmp_path / "x", tmp_path / f"out{form}")
        assert (good, bad) == ({deep: sha256(wav(1)), "b.wav": sha256(wav(2))}, {})
    data = tarred([("a.wav", wav(1)), ("b.wav", wav(2))], format=tarfile.USTAR_FORMAT)
    size = b"\x80" + bytes(7) + len(wav(1)).to_bytes(4, "big")
    header = changed(data[:512], (124, size), (148, b" " * 8))
    data = changed(header, (148, b"%06o\0 " % sum(header))) + data[512:]
    (tmp_path / "x").write_bytes(data)
    assert read(tmp_path / "x", tmp_path / "bytes") == (
        {"a.wav": sha256(wav(1)), "b.wav": sha256(wav(2))}, {},
    )  # fmt: skip
    pax = tarfile.TarInfo("a.wav")
    pax.size, pax.pax_headers = len(wav(1)), {"size": str(len(wav(1)))}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(pax, io.BytesIO(wav(1)))
    (tmp_path / "x").write_bytes(buffer.getvalue())
    assert read(tmp_path / "x", tmp_path / "pax") == ({"a.wav": sha256(wav(1))}, {})


def test_names_in_old_letters(tmp_path):
    """CP437 unless the ZIP says UTF-8."""
    data = zipped({"x.wav": wav(1)}).replace(b"x.wav", b"\x81.wav")
    (tmp_path / "x.zip").write_bytes(data)
    assert [*oracle(data)] == ["ü.wav"]
    assert read(tmp_path / "x.zip", tmp_path / "out") == ({"ü.wav": sha256(wav(1))}, {})


def test_empty_archives(tmp_path):
    for name, data in (("x.zip", zipped({})), ("x.tar", tarred([]))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(heartfast.DatasetError, match="expected recordings"):
            heartfast.convert(tmp_path / name, tmp_path / "out")


SAMPLES = {kind: make({f"{k}.wav": wav(k, 100) for k in range(3)}) for kind, make in GOOD.items()}
KNOWN = {sha256(wav(k, 100)) for k in range(3)}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damage_never_shows_other_bytes(tmp_path_factory, kind, data):
    """What a ZIP gives has its checksum; whatever else is there, is an error or nothing."""
    tmp_path = tmp_path_factory.mktemp("bad")
    content = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    (tmp_path / "x").write_bytes(content[: cut if data.draw(st.booleans()) else None])
    good, bad = read(tmp_path / "x", tmp_path / "out")
    assert all("\n" not in message for message in bad.values())
    if (tmp_path / "x").read_bytes().startswith(b"PK\3\4"):
        assert set(good.values()) <= KNOWN


CORPUS = sorted((Path(__file__).parent.parent / "fuzz/corpus/archive").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_is_answered(path, tmp_path):
    _, bad = read(path, tmp_path / "out")
    assert all(message.startswith("expected ") for message in bad.values())
