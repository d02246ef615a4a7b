"""A saved model reads back exactly, has the same bytes again, and is not believed when altered."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import textwrap
import warnings
import zipfile

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heartfast import novelty, operating
from heartfast.bundle import Bundle
from heartfast.errors import BundleError
from heartfast.features import FEATURES_VERSION, feature_names
from heartfast.forests import BoostedModel, ForestModel
from heartfast.members import MAX_BYTES
from heartfast.models import KernelModel, LinearModel, Model, PooledModel

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


def kernel() -> KernelModel:
    return KernelModel(
        columns=np.arange(WIDTH)[::-1].astype(float),
        width=np.array([float(WIDTH)]),
        mean=RNG.normal(size=WIDTH),
        scale=RNG.random(WIDTH) + 0.1,
        vectors=RNG.normal(size=(7, WIDTH)).clip(-5, 5),
        weights=RNG.normal(size=(2, 7)),
        offset=RNG.normal(size=2),
        gamma=np.array([0.01]),
        coef=RNG.normal(size=(3, 2)),
        intercept=RNG.normal(size=3),
    )


def forest() -> ForestModel:
    return ForestModel(
        leaves=np.array([3.0, 1.0]),
        split_feature=np.array([0.0, 2.0]),
        threshold=np.array([0.5, -0.5]),
        left_child=np.array([-1.0, -2.0]),
        right_child=np.array([1.0, -3.0]),
        leaf_value=np.array([[1.0, 0, 0], [0.5, 0.25, 0.25], [0, 0, 1], [0, 1, 0]]),
        width=np.array([float(WIDTH)]),
    )


def blend() -> PooledModel:
    parts = [linear(), kernel(), PooledModel([forest()], np.array([0.7])), boosted()]
    return PooledModel(parts, np.array([0.1, 0.2, 0.3, 0.9]))


CURVES = operating.curves(
    np.arange(30) % 3, RNG.dirichlet(np.ones(3), size=30), ("extrasystole", "häßlich", "normal")
)
NOVELTY = novelty.fit(RNG.normal(size=(30, WIDTH)), np.arange(30))


def bundle(model: Model) -> Bundle:
    return Bundle(
        model=model,
        name="a model",
        classes=("extrasystole", "häßlich", "normal"),
        config={"window_ms": 50.0, "size": None},
        leaderboard=[{"model": "a model", "logloss": 0.1 + 0.2}],
        training={"seed": 0},
        operating=CURVES,
        novelty=NOVELTY,
        card="# Model card\n\nhäßlich\n",
    )


@pytest.fixture(params=[linear, boosted, kernel, forest, blend])
def saved(request, tmp_path):
    made = bundle(request.param())
    made.save(tmp_path / "new" / "x.heartfast")
    return made, tmp_path / "new" / "x.heartfast"


def test_reads_back_exactly_and_repeats_its_bytes(saved, tmp_path):
    made, path = saved
    again = Bundle.load(path)
    plain = [item._replace(model=None, novelty=None) for item in (made, again)]
    assert plain[0] == plain[1]
    assert again.novelty.keys() == made.novelty.keys()
    for name, value in made.novelty.items():
        assert type(again.novelty[name]) is type(value)
        assert np.array_equal(again.novelty[name], value)
    assert type(again.model) is type(made.model)
    assert (again.model.predict_proba(FEATURES) == made.model.predict_proba(FEATURES)).all()
    again.save(tmp_path / "y.heartfast")
    assert (tmp_path / "y.heartfast").read_bytes() == path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["x.heartfast"]


def test_what_may_be_missing(tmp_path):
    plain = bundle(linear())._replace(operating={}, novelty=None, card="")
    plain.save(tmp_path / "x")
    again = Bundle.load(tmp_path / "x")
    assert (again.operating, again.novelty, again.card) == ({}, None, "")


def test_the_members_are_plain(saved):
    made, path = saved
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("bundle.json"))
        members = {name: archive.read(name) for name in archive.namelist()}
    del members["bundle.json"]
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    assert manifest["sha256"] == digests
    assert manifest["features"]["names"] == feature_names()
    assert members["card.md"].decode() == made.card
    shape = manifest["arrays"]["novelty/mean"]
    mean = struct.unpack(f"<{shape[0]}d", members["novelty/mean.f64"])
    assert list(mean) == made.novelty["mean"].tolist()
    if isinstance(made.model, BoostedModel):  # anyone's LightGBM reads it
        text = members["model/trees.txt"].decode()
        direct = lightgbm.Booster(model_str=text).predict(FEATURES)
        np.testing.assert_allclose(direct, made.model.predict_proba(FEATURES), rtol=1e-12)


def own_digest(manifest: dict[str, object]) -> str:
    rest = {name: value for name, value in manifest.items() if name != "bundle_sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def rewritten(path, manifest=None, text=None, put=None, **members: bytes) -> bytes:
    """Return the bundle with parts of it changed, and its checksums right again."""
    with zipfile.ZipFile(path) as archive:
        found = json.loads(archive.read("bundle.json"))
        contents = {name: archive.read(name) for name in found["sha256"]}
    if text:
        trees = re.sub(*text, contents["model/trees.txt"].decode(), count=1)
        contents["model/trees.txt"] = trees.encode()
    for name, content in (put or {}).items():
        if content is None:
            del contents[name]
        else:
            contents[name] = content
    found["sha256"] = {
        name: hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }
    found |= manifest or {}
    found["bundle_sha256"] = own_digest(found)
    parts = {"bundle.json": json.dumps(found).encode(), **contents}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**parts, **members}.items():
            archive.writestr(name, data)
    return buffer.getvalue()


EARLIER = "expected format version 2, found 1: trained by an earlier heartfast, train again$"
VERSION = FEATURES_VERSION


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"manifest": {"format": "zip"}}, "expected format 'heartfast-bundle', found 'zip'"),
        ({"manifest": {"format_version": 1}}, EARLIER),
        ({"manifest": {"format_version": 3}}, "expected format version 2, found 3$"),
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
        ({"manifest": {"operating": []}}, "operating to be a dict, found list"),
        ({"manifest": {"novelty": 3}}, "novelty to be a dict, found int"),
        ({"manifest": {"operating": {"x": {}}}}, "operating points of extrasystole, .* found 'x'"),
        ({"manifest": {"operating": {"normal": {}}}}, "operating points of 'normal' with thresh"),
        ({"manifest": {"novelty": {"method": "knn"}}}, "expected novelty with method 'mahalan"),
        ({"manifest": {"novelty": None}}, "no members but those of the model, found novelty/"),
        ({"manifest": {"name": 3}}, "name to be a str, found int"),
        ({"manifest": {"features": {"version": 77}}}, f"features of version {VERSION}, found 77"),
        ({"manifest": {"model": {"kind": "pickle", "parts": []}}}, "linear, .*found 'pickle'$"),
        ({"manifest": {"model": {"kind": "linear", "parts": [3]}}}, "model to be an object"),
        ({"manifest": {"model": {"kind": "pool", "parts": [{}] * 21}}}, "at most 20 parts"),
        ({"manifest": {"model": {}}}, "kind to be a str"),
        ({"manifest": {"model": {"kind": "linear"}}}, "parts to be a list"),
        ({"manifest": {"sha256": {}}}, "the members that have a checksum, found others: card.md"),
        ({"manifest": {"arrays": []}}, "arrays to be a dict"),
        ({"manifest": {"arrays": {}}}, "expected the|no members but|weights"),
        ({"manifest": {"training": {"x": float("nan")}}}, "bundle.json to be JSON, found: NaN"),
        ({"put": {"card.md": b"\xff"}}, "card.md to be UTF-8"),
        ({"put": {"other.txt": b""}}, "no members but those of the model, found other.txt$"),
        ({"put": {"novelty/mean.f64": None}}, f"{8 * WIDTH} bytes of novelty/mean, found none$"),
        ({"put": {"novelty/mean.f64": b"1234567"}}, f"{8 * WIDTH} bytes of novelty/mean, found 7$"),
        ({"put": {"novelty/mean.f64": WIDTH * struct.pack("<d", np.nan)}}, "mean to be finite"),
        ({"put": {"novelty/mean.f64": WIDTH * struct.pack("<d", 1e101)}}, r"at most 1e\+100"),
        ({"other.txt": b""}, "the members that have a checksum, found others: other.txt$"),
        ({"bundle.json": b"[1]"}, "bundle.json to be an object, found list"),
        ({"bundle.json": b"[" * 100_000}, "bundle.json of at most 50000 lists"),
        ({"bundle.json": b"\xff"}, "bundle.json to be UTF-8"),
        ({"manifest": {"format": "a\nb\x1b" + "c" * 999}}, r"'a.nb.x1bc{200,300}"),
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


@pytest.mark.parametrize(
    "shape", [[WIDTH + 1], [-1], [2.0], [True], "x", None, [1, 1, WIDTH], [1 << 33], [[]]]
)
def test_shapes_are_not_believed(tmp_path, shape):
    bundle(linear()).save(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as archive:
        shapes = json.loads(archive.read("bundle.json"))["arrays"]
    changed = {"manifest": {"arrays": shapes | {"novelty/mean": shape}}}
    (tmp_path / "bad").write_bytes(rewritten(tmp_path / "good", **changed))
    with pytest.raises(BundleError, match=r"shape of two axes|bytes of novelty/mean"):
        Bundle.load(tmp_path / "bad")


def test_parts_nest_no_deeper_than_blends_do(tmp_path):
    model = linear()
    for _ in range(3):
        model = PooledModel([model], np.array([1.0]))
    bundle(model).save(tmp_path / "good")
    assert (Bundle.load(tmp_path / "good").model.predict_proba(FEATURES) >= 0).all()
    bundle(PooledModel([model], np.array([1.0]))).save(tmp_path / "bad")
    with pytest.raises(BundleError, match=r"parts of parts no deeper than 4, found them deeper$"):
        Bundle.load(tmp_path / "bad")


def test_an_altered_member_fails_its_checksum(saved, tmp_path):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for altered in set(parts) - {"bundle.json"}:
        with zipfile.ZipFile(tmp_path / "bad", "w") as archive:
            for name, data in parts.items():
                at = len(data) // 2
                other = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                archive.writestr(name, other if name == altered else data)
        with pytest.raises(BundleError, match=f"expected {altered} with the recorded checksum"):
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


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("model/trees.txt", 80), ("model/coef.f64", 80), ("bundle.json", 16), ("card.md", 1)],
)
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, name, megabytes):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as archive:
        if name != "bundle.json":
            archive.writestr("bundle.json", b"{}")
        with archive.open(name, "w") as member:
            for _ in range(megabytes + 1):
                member.write(bytes(1 << 20))
    message = rf"{name} to be at most {megabytes} MB, found {megabytes + 1} MB$"
    with pytest.raises(BundleError, match=message):
        Bundle.load(tmp_path / "x")


def test_other_hostile_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "many", "w") as archive:
        for index in range(501):
            archive.writestr(f"{index}", b"")
    with pytest.raises(BundleError, match=r"bundle\.json and a model, found many members$"):
        Bundle.load(tmp_path / "many")
    with zipfile.ZipFile(tmp_path / "sum", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", b"{}")
        for index in range(3):
            archive.writestr(f"{index}.f64", bytes(30 << 20))
    with pytest.raises(BundleError, match=r"a model of at most 80 MB, found 90 MB$"):
        Bundle.load(tmp_path / "sum")
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "twice", "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("bundle.json", b"{}")
    with pytest.raises(BundleError, match=r"members of different names, found one twice$"):
        Bundle.load(tmp_path / "twice")
    for kind in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):  # the former says how much memory it takes
        with zipfile.ZipFile(tmp_path / "x", "w", kind) as archive:
            archive.writestr("bundle.json", b"{}")
            archive.writestr("card.md", b"")
        with pytest.raises(BundleError, match=rf"to be deflated, found compression {kind}$"):
            Bundle.load(tmp_path / "x")
    with open(tmp_path / "long", "wb") as file:
        file.truncate(82 << 20)
    with pytest.raises(BundleError, match="expected at most 81 MB, found more"):
        Bundle.load(tmp_path / "long")


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    classes = tuple(map(str, range(80_000)))
    rows = np.full((len(classes), WIDTH), 1 / 3)
    model = LinearModel(np.zeros(WIDTH), np.ones(WIDTH), rows, np.zeros(len(classes)))
    with pytest.raises(BundleError, match=r"at most 500, found 80000$"):
        bundle(model)._replace(classes=classes).save(tmp_path / "x")
    with pytest.raises(BundleError, match=r"card\.md to be at most 1 MB, found 2 MB$"):
        bundle(linear())._replace(card="x" * (2 << 20)).save(tmp_path / "x")
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
@pytest.mark.parametrize("kind", ["manifest", "array", "boosted"])
def test_loading_takes_at_most_a_gigabyte(tmp_path, kind):
    bundle(boosted()).save(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as archive:
        taken = sum(info.file_size for info in archive.infolist())
    largest = MAX_BYTES - taken - (1 << 16)  # beside the others, whose list grows a little
    data = {
        "manifest": lambda: {"manifest": {"training": {"x": [[]] * 3_000_000}}},
        "array": lambda: {"put": {"novelty/mean.f64": bytes(largest)}},
        "boosted": lambda: {"text": ("leaf_value=", "leaf_value=" + "1 " * 38_000_000)},
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
        "manifest": "of at most 50000 lists and 1000000 values, found more",
        "array": f"bytes of novelty/mean, found {largest}",
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
        bundle(blend()).save(path)
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
    assert again.classes == bundle(blend()).classes
