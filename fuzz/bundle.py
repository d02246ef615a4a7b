"""Fuzz the bundle reader: the text of a boosted model is changed and sealed again.

    python fuzz/bundle.py -max_total_time=300 fuzz/corpus/bundle

A bundle either fails as `BundleError` or gives finite probabilities. Each input is a list of
changes: the place in the text (3 bytes) and what is put there (a length, and so many bytes).
Needs atheris; without it, `check` is what tests call.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    import atheris

    # Our own modules only: all that Python has loaded by then takes minutes.
    traced: contextlib.AbstractContextManager[object] = atheris.instrument_imports(["heartfast"])
else:
    traced = contextlib.nullcontext()
with traced:
    from heartfast.bundle import Bundle
    from heartfast.errors import BundleError
    from heartfast.features import FEATURES_VERSION, feature_names
    from heartfast.forests import BoostedModel  # with trees and zips

WIDTH = len(feature_names())


def make_text() -> str:
    import lightgbm

    features = np.random.Generator(np.random.PCG64(0)).normal(size=(60, WIDTH))
    parameters = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "use_missing": False}
    table = lightgbm.Dataset(features, np.arange(60) % 3)
    return lightgbm.train(parameters, table, 3).model_to_string()


def changed(text: bytes, changes: bytes) -> bytes:
    copy = bytearray(text)
    while len(changes) >= 4:
        at, n = int.from_bytes(changes[:3], "little") % len(copy), changes[3] & 15
        new, changes = changes[4 : 4 + n], changes[4 + n :]
        copy[at : at + n] = new
    return bytes(copy)


def sealed(text: bytes) -> bytes:
    """A bundle of this text, with all checksums right."""
    manifest = {
        "format": "heartfast-bundle", "format_version": 2, "heartfast": "0",
        "classes": ["a", "b", "c"], "config": None, "name": "x",
        "model": {"kind": "lightgbm", "parts": []}, "arrays": {},
        "features": {"version": FEATURES_VERSION, "names": feature_names()},
        "leaderboard": [], "training": {}, "operating": {}, "novelty": None,
        "sha256": {"model/trees.txt": hashlib.sha256(text).hexdigest()},
    }  # fmt: skip
    plain = json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()
    manifest["bundle_sha256"] = hashlib.sha256(plain).hexdigest()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bundle.json", json.dumps(manifest))
        archive.writestr("model/trees.txt", text)
    return buffer.getvalue()


def check(data: bytes, folder: Path) -> bool:
    """Whether it loads; then its probabilities are right."""
    (folder / "x").write_bytes(data)
    try:
        model = Bundle.load(folder / "x").model
    except BundleError:
        return False
    features = np.random.Generator(np.random.PCG64(1)).normal(size=(9, WIDTH)) * 9
    probabilities = model.predict_proba(features)
    assert np.isfinite(probabilities).all()
    assert np.allclose(probabilities.sum(axis=1), 1)
    if isinstance(model, BoostedModel):
        assert Bundle.load(folder / "x").model.text == model.text
    return True


def main() -> None:
    text = make_text().encode()
    folder = Path(tempfile.mkdtemp())
    atheris.Setup(sys.argv, lambda changes: check(sealed(changed(text, changes)), folder))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
