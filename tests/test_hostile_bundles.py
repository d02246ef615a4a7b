"""Bundles of any content fail by name, before they take time or memory, or give probabilities."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast import operating
from heartfast.bundle import Bundle
from heartfast.errors import BundleError, DatasetError
from heartfast.features import feature_names
from heartfast.models import LinearModel

FUZZ = Path(__file__).parent.parent / "fuzz"


def test_a_changed_text_never_crashes():
    """In a process of its own, whose end by a signal would be seen."""
    script = """
        import random, sys, tempfile
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        import bundle
        text, folder = bundle.make_text().encode(), Path(tempfile.mkdtemp())
        assert bundle.check(bundle.sealed(text), folder)
        for path in (Path(sys.argv[1]) / "corpus/bundle").iterdir():
            bundle.check(bundle.sealed(bundle.changed(text, path.read_bytes())), folder)
        rng = random.Random(0)
        pieces = [b"0", b"9", b"-1", b"-7", b"nan", b"1e999", b" ", b"\\n", b"=", b"5 5", b""]
        loaded = 0
        for _ in range(400):
            changes = b""
            for _ in range(rng.choice([1, 1, 1, 3])):
                new = rng.choice(pieces)
                at = rng.randrange(len(text))
                changes += at.to_bytes(3, "little") + bytes([len(new)]) + new
            loaded += bundle.check(bundle.sealed(bundle.changed(text, changes)), folder)
        print(loaded)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(FUZZ)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert 0 < int(ran.stdout) < 400


# Bundles of any content, with all checksums right.


def sealed(path, manifest, members):
    """Write a bundle as anyone could, with the checksums that belong to it."""
    manifest = {name: value for name, value in manifest.items() if name != "bundle_sha256"}
    manifest["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    plain = json.dumps(manifest, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", json.dumps({**manifest, "bundle_sha256": digest}))
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """The manifest and the members of a bundle of three classes with curves."""
    path = tmp_path_factory.mktemp("intact") / "m"
    width = len(feature_names())
    rng = np.random.Generator(np.random.PCG64(0))
    model = LinearModel(np.zeros(width), np.ones(width), rng.normal(size=(3, width)), np.zeros(3))
    classes = ("a", "b", "c")
    Bundle(
        model=model,
        name="x",
        classes=classes,
        config=json.loads(json.dumps(heartfast.SpectrogramConfig().to_dict())),
        leaderboard=[{"model": "x", "logloss": 0.5}],
        training={"seed": 0},
        operating=operating.curves(np.arange(30) % 3, rng.dirichlet(np.ones(3), 30), classes),
        sample_rates={4000: 30},
    ).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("bundle.json")), members


def refused(path) -> str:
    """The one line that says why a bundle is not loaded."""
    with pytest.raises(BundleError) as caught:
        Bundle.load(path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert len(text) < 1000
    return text


@pytest.mark.parametrize("kind", ["zero", "fifo", "file", "relative", "digest"])
def test_no_path_in_a_bundle_is_opened(intact, tmp_path, kind):
    """Neither one that hangs nor one that has no end nor one that is a secret."""
    manifest, members = intact
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"")
    font = {"zero": "/dev/zero", "relative": "../file", "digest": "sha256:/dev/zero"}.get(
        kind, str(tmp_path / kind)
    )
    changed = {**manifest, "config": {**manifest["config"], "figure": {"font": font}}}
    path = sealed(tmp_path / "m", changed, members)
    assert "no file that a model names is opened" in refused(path)


def test_pictures_larger_than_any_that_is_read(intact, tmp_path):
    manifest, members = intact
    for change in (
        {"figure": {"width": 16384, "height": 16384, "scale": 4.0}},
        {"size": [9999, 9999]},
    ):
        changed = {**manifest, "config": {**manifest["config"], **change}}
        assert "at most 64000000 pixels" in refused(sealed(tmp_path / "m", changed, members))


def deep(levels):
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [f"c{i}" for i in range(1000)]}, "at most 500, found 1000"),
        ({"classes": ["a", "b", "c" * 201]}, "names of 1 to 200 characters"),
        ({"classes": ["a", "b", "\ud800"]}, "text that UTF-8 can hold"),
        ({"name": "\udcff"}, "name to be text"),
        ({"name": "x" * 10_000}, "name to be text of 1 to 200"),
        ({"leaderboard": [{}] * 101}, "leaderboard to have at most 100 rows"),
        ({"leaderboard": [{"x": "y" * 20_000}]}, "leaderboard to have Unicode texts of at most"),
        ({"training": {"x": deep(9)}}, "training to be nested no deeper"),
        ({"training": {"x": list(range(300_000))}}, "training to have at most 200000 values"),
        ({"training": {"x": 10**40}}, "training to have numbers of at most"),
        ({"training": {"x": "\udc80"}}, "training to have Unicode texts"),
        ({"training": {"x": [[]] * 60_000}}, "50000 lists"),
        ({"config": {"figure": {"title": "x" * 20_000}}}, "config to have Unicode texts"),
        ({"pictures": 3}, "expected pictures with"),
        ({"pictures": {"selection": {}, "marked": 0, "sample_rates": {}}}, "a selection with"),
        ({"embedding": {"sha256": "x" * 99, "outputs": 3, "only": False}}, "SHA-256 of an embed"),
    ],
)
def test_counts_and_sizes_are_bounded(intact, tmp_path, change, message):
    manifest, members = intact
    assert message in refused(sealed(tmp_path / "m", {**manifest, **change}, members))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selection": {"segment_s": 0.0}}, "a valid selection, found: segment_s"),
        ({"selection": {"sr": 10**30}}, "a valid selection"),
        ({"selection": {"channel": ["each"]}}, "a valid selection"),
        ({"selection": {"start": float("nan")}}, "JSON"),
        ({"marked": -1}, "counts of pictures"),
        ({"marked": 10**30}, "counts of pictures"),
        ({"sample_rates": {"x": 1}}, "sample_rates, whole numbers"),
        ({"sample_rates": {str(i): 1 for i in range(1, 2000)}}, "at most 1000 sample_rates"),
    ],
)
def test_what_is_said_of_pictures(intact, tmp_path, change, message):
    manifest, members = intact
    pictures = manifest["pictures"]
    if "selection" in change:
        change = {"selection": {**pictures["selection"], **change["selection"]}}
    changed = {**manifest, "pictures": {**pictures, **change}}
    assert message in refused(sealed(tmp_path / "m", changed, members))


@pytest.mark.parametrize("count", [3 * 10**8, 10**12, 10**30])
def test_counts_of_curves(intact, tmp_path, count):
    manifest, members = intact
    curve = {**manifest["operating"]["a"], "groups": count}
    changed = {**manifest, "operating": {**manifest["operating"], "a": curve}}
    assert "at most 10000000" in refused(sealed(tmp_path / "m", changed, members))


def test_the_largest_count_takes_no_time_and_memory():
    """The bound is scipy's, whatever the count."""
    stats = pytest.importorskip("scipy.stats")
    for trials in (10**5, 10**7):
        hits = trials * 19 // 20
        expected = stats.beta.ppf(0.025, hits, trials - hits + 1)
        tracemalloc.start()
        assert operating.lower_bound(0.95, trials) == pytest.approx(expected, abs=1e-7)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


def test_machines_no_more_than_classes(intact, tmp_path):
    """Scores of many machines would take any memory, though the bundle has a few MB."""
    manifest, _ = intact
    width, k, scores = len(feature_names()), 3, 200_000
    arrays = {
        "columns": np.zeros(1), "width": np.array([width]), "mean": np.zeros(1),
        "scale": np.ones(1), "vectors": np.zeros((0, 1)), "weights": np.zeros((scores, 0)),
        "offset": np.zeros(scores), "gamma": np.ones(1), "coef": np.zeros((k, scores)),
        "intercept": np.zeros(k),
    }  # fmt: skip
    members = {
        f"model/{name}.f64": np.ascontiguousarray(values, dtype="<f8").tobytes()
        for name, values in arrays.items()
    }
    changed = {
        **manifest,
        "operating": {},
        "model": {"kind": "svm", "parts": []},
        "arrays": {f"model/{name}": list(values.shape) for name, values in arrays.items()},
    }
    assert "lengths agree" in refused(sealed(tmp_path / "m", changed, members))


def test_a_million_classes_take_no_memory(intact, tmp_path):
    """In a process of its own, whose memory is seen."""
    manifest, members = intact
    classes = [f"c{i}" for i in range(1_000_000)]
    path = sealed(tmp_path / "m", {**manifest, "classes": classes}, members)
    script = """
        import resource, sys
        from heartfast.bundle import Bundle
        from heartfast.errors import BundleError
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            Bundle.load(sys.argv[1])
        except BundleError:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 300_000  # KB


def test_train_refuses_what_a_bundle_cannot_hold(tmp_path):
    """Before the work, not after it."""
    for number in range(501):
        (tmp_path / "many" / f"c{number}").mkdir(parents=True)
        (tmp_path / "many" / f"c{number}" / "x.png").write_bytes(b"no picture is looked at")
    with pytest.raises(DatasetError, match="at most 500, found 501"):
        heartfast.train(tmp_path / "many")
