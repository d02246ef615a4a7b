"""A saved model reads back exactly, has the same bytes again, and is not believed when altered."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heartfast.bundle import Bundle
from heartfast.errors import BundleError
from heartfast.features import feature_names
from heartfast.models import BoostedModel, LinearModel

WIDTH = len(feature_names())
RNG = np.random.Generator(np.random.PCG64(0))
FEATURES = RNG.normal(size=(60, WIDTH))


def linear() -> LinearModel:
    return LinearModel(
        RNG.normal(size=WIDTH),
        RNG.random(WIDTH) + 0.1,
        RNG.normal(size=(3, WIDTH)),
        RNG.normal(size=3),
    )


def boosted() -> BoostedModel:
    parameters = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "use_missing": False}
    table = lightgbm.Dataset(FEATURES, np.arange(60) % 3)
    return BoostedModel(lightgbm.train(parameters, table, 3).model_to_string())


def bundle(model: LinearModel | BoostedModel) -> Bundle:
    return Bundle(
        model=model,
        name="a model",
        classes=("extrasystole", "häßlich", "normal"),
        config={"window_ms": 50.0, "size": None},
        leaderboard=[{"model": "a model", "logloss": 0.1 + 0.2}],
        training={"seed": 0},
    )


@pytest.fixture(params=[linear, boosted])
def saved(request, tmp_path):
    made = bundle(request.param())
    made.save(tmp_path / "new" / "x.heartfast")
    return made, tmp_path / "new" / "x.heartfast"


def test_reads_back_exactly_and_repeats_its_bytes(saved, tmp_path):
    made, path = saved
    again = Bundle.load(path)
    plain = [item._replace(model=None) for item in (made, again)]
    assert plain[0] == plain[1]
    assert (again.model.predict_proba(FEATURES) == made.model.predict_proba(FEATURES)).all()
    again.save(tmp_path / "y.heartfast")
    assert (tmp_path / "y.heartfast").read_bytes() == path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["x.heartfast"]


def test_the_members_are_plain(saved):
    made, path = saved
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("bundle.json"))
        (member,) = set(archive.namelist()) - {"bundle.json"}
        content = archive.read(member)
    assert manifest["sha256"] == {member: hashlib.sha256(content).hexdigest()}
    assert manifest["features"]["names"] == feature_names()
    if isinstance(made.model, BoostedModel):  # anyone's LightGBM reads it
        direct = lightgbm.Booster(model_str=content.decode()).predict(FEATURES)
        np.testing.assert_allclose(direct, made.model.predict_proba(FEATURES), rtol=1e-12)


def own_digest(manifest: dict[str, object]) -> str:
    rest = {name: value for name, value in manifest.items() if name != "bundle_sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def rewritten(path, manifest=None, text=None, **members: bytes) -> bytes:
    """Return the bundle with parts of it changed, and its checksums right again."""
    with zipfile.ZipFile(path) as archive:
        found = json.loads(archive.read("bundle.json"))
        (member,) = set(archive.namelist()) - {"bundle.json"}
        content = archive.read(member)
    content = re.sub(*text, content.decode(), count=1).encode() if text else content
    found["sha256"] = {member: hashlib.sha256(content).hexdigest()}
    found |= manifest or {}
    found["bundle_sha256"] = own_digest(found)
    parts = {"bundle.json": json.dumps(found).encode(), member: content}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**parts, **members}.items():
            archive.writestr(name, data)
    return buffer.getvalue()


NAN = ('"scale":\\s*\\[|leaf_value=', "\\g<0>NaN ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"manifest": {"format": "zip"}}, "expected format 'heartfast-bundle', found 'zip'"),
        ({"manifest": {"format_version": 2}}, "expected format version 1, found 2"),
        ({"manifest": {"classes": ["a", "a", "b"]}}, "two or more different classes"),
        ({"manifest": {"classes": ["a"]}}, "two or more different classes, found a"),
        ({"manifest": {"classes": ["a", "b"]}}, "model of 2 classes"),
        ({"manifest": {"classes": ["a", 3]}}, "classes to be names"),
        ({"manifest": {"classes": "abc"}}, "classes to be a list, found str"),
        ({"manifest": {"config": []}}, "config to be a dict, found list"),
        ({"manifest": {"config": {"window_ms": -1}}}, "config to be valid, found: window_ms"),
        ({"manifest": {"config": {"shape": "x"}}}, "config to be valid, found: .*shape"),
        ({"manifest": {"leaderboard": [1]}}, "leaderboard"),
        ({"manifest": {"training": None}}, "training to be a dict, found NoneType"),
        ({"manifest": {"features": {"version": 7}}}, "features of version 1, found 7"),
        ({"manifest": {"model": {"kind": "pickle", "name": "x"}}}, "members of a pickle model"),
        ({"manifest": {"model": {}}}, "kind to be a str"),
        ({"manifest": {"sha256": {}}}, "recorded checksum"),
        ({"manifest": {"training": {"x": float("nan")}}}, "bundle.json to be JSON, found: NaN"),
        ({"text": NAN}, "JSON|numbers|leaf_value"),
        ({"other.txt": b""}, "expected bundle.json and one model, found 3 members"),
        ({"bundle.json": b"[1]"}, "bundle.json to be an object, found list"),
        ({"bundle.json": b"[" * 100_000}, "bundle.json to be JSON"),
        ({"bundle.json": b"\xff"}, "bundle.json to be UTF-8"),
        ({"manifest": {"model": {"kind": "a\nb\x1b" + "c" * 999, "name": ""}}}, r"a b c{200,300}$"),
        ({"bundle.json": b'{"training": ' + b"[" * 900 + b"]" * 900 + b"}"}, "expected format"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(saved, tmp_path, change, message):
    _, path = saved
    (tmp_path / "bad.heartfast").write_bytes(rewritten(path, **change))
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(tmp_path / "bad.heartfast")
    assert str(caught.value).startswith(str(tmp_path / "bad.heartfast"))
    assert "\n" not in str(caught.value)


def test_an_altered_model_fails_its_checksum(saved, tmp_path):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "bad", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data if name == "bundle.json" else data.replace(b"1", b"2", 1))
    with pytest.raises(BundleError, match="recorded checksum"):
        Bundle.load(tmp_path / "bad")


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["normal", "häßlich", "extrasystole"]},
        {"config": {"window_ms": 25.0, "size": None}},
        {"leaderboard": []},
        {"bundle_sha256": None},
        {"more": 1},
    ],
)
def test_an_altered_manifest_fails_its_checksum(saved, tmp_path, change):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(parts["bundle.json"])
    assert manifest["bundle_sha256"] == own_digest(manifest)
    with zipfile.ZipFile(tmp_path / "bad", "w") as archive:
        for name, data in parts.items():
            changed = json.dumps(manifest | change).encode()
            archive.writestr(name, changed if name == "bundle.json" else data)
    with pytest.raises(BundleError, match=r"bundle\.json with the recorded checksum, found \w+$"):
        Bundle.load(tmp_path / "bad")


def test_foreign_files(tmp_path):
    (tmp_path / "x").write_bytes(b"not a ZIP")
    with pytest.raises(BundleError, match="expected an intact heartfast model"):
        Bundle.load(tmp_path / "x")
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("a/1.png", b"")
    with pytest.raises(BundleError, match=r"found 1 members, a/1\.png"):
        Bundle.load(tmp_path / "x")
    expected = "expected a model that train saved, found "
    with pytest.raises(FileNotFoundError, match=expected + "nothing") as caught:
        Bundle.load(tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match=expected + "a folder"):
        Bundle.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OSError, match="expected a model that train saved, found a pipe"):
        Bundle.load(tmp_path / "x")


@pytest.mark.parametrize(("name", "megabytes"), [("model.txt", 64), ("model.json", 16)])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, name, megabytes):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", b"{}")
        with archive.open(name, "w") as member:
            for _ in range(megabytes + 1):
                member.write(bytes(1 << 20))
    message = rf"{name} to be at most {megabytes} MB, found {megabytes + 1} MB$"
    with pytest.raises(BundleError, match=message):
        Bundle.load(tmp_path / "x")


def test_other_hostile_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "many", "w") as archive:
        for index in range(101):
            archive.writestr(f"{index}", b"")
    with pytest.raises(BundleError, match=r"bundle\.json and one model, found many members$"):
        Bundle.load(tmp_path / "many")
    for kind in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):  # the former says how much memory it takes
        with zipfile.ZipFile(tmp_path / "x", "w", kind) as archive:
            archive.writestr("bundle.json", b"{}")
            archive.writestr("model.txt", b"")
        with pytest.raises(BundleError, match=rf"to be deflated, found compression {kind}$"):
            Bundle.load(tmp_path / "x")
    with open(tmp_path / "long", "wb") as file:
        file.truncate(82 << 20)
    with pytest.raises(BundleError, match="expected at most 81 MB, found more"):
        Bundle.load(tmp_path / "long")


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    classes = tuple(map(str, range(4000)))
    rows = np.full((len(classes), WIDTH), 1 / 3)
    model = LinearModel(np.zeros(WIDTH), np.ones(WIDTH), rows, np.zeros(len(classes)))
    with pytest.raises(BundleError, match=r"model\.json to be at most 16 MB, found 17 MB$"):
        bundle(model)._replace(classes=classes).save(tmp_path / "x")
    assert not any(tmp_path.iterdir())


def lists(count: int) -> str:
    return "[" + "[], " * count + "[]]"


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
@pytest.mark.parametrize("kind", ["manifest", "linear", "boosted"])
def test_loading_takes_at_most_a_gigabyte(tmp_path, kind):
    model = linear() if kind == "linear" else boosted()
    bundle(model).save(tmp_path / "good")
    data = {
        "manifest": lambda: {"manifest": {"training": {"x": [[]] * 3_000_000}}},
        "linear": lambda: {"text": ('"scale":', '"scale": ' + lists(4_000_000) + ', "x":')},
        "boosted": lambda: {"text": ("leaf_value=", "leaf_value=" + "1 " * 30_000_000)},
    }[kind]()
    (tmp_path / "x").write_bytes(rewritten(tmp_path / "good", **data))
    script = """
        import resource, sys
        import numpy
        from heartfast.bundle import Bundle
        from heartfast.errors import BundleError
        pages = int(open("/proc/self/statm").read().split()[0])
        most = pages * resource.getpagesize() + (1 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        try:
            print(len(Bundle.load(sys.argv[1]).training["x"]))
        except BundleError as error:
            print(error)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "x")],
        capture_output=True,
        check=True,
        text=True,
    )
    expected = {
        "manifest": "3000000",
        "linear": "expected the arrays mean, scale, coef, intercept",
        "boosted": "of leaf_value, found more",
    }[kind]
    assert ran.stdout.endswith(f"{expected}\n")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_a_bundle_error(tmp_path, data):
    path = tmp_path / "good"
    if not path.exists():
        bundle(linear()).save(path)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:position]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    (tmp_path / "bad").write_bytes(content)
    try:
        again = Bundle.load(tmp_path / "bad")
    except BundleError:
        return
    # Fields of a ZIP that say nothing about its content, such as its dates.
    assert again.classes == bundle(linear()).classes
