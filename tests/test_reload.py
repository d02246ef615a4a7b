"""A bundle says the same in another process, after a reload, and beside other rows."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from heartfast import novelty, operating
from heartfast.bundle import Bundle
from heartfast.decisions import make_rule
from heartfast.features import feature_names
from heartfast.fitting import CANDIDATES, Data, Settings

CLASSES = ("a", "b", "c")
WIDTH = len(feature_names())
ELSEWHERE = """
import sys
import numpy as np
from heartfast.bundle import Bundle
from heartfast.novelty import novelty
from heartfast.decisions import make_rule

bundle, features = Bundle.load(sys.argv[1]), np.load(sys.argv[2])
probabilities = bundle.model.predict_proba(features)
decided = make_rule(bundle.classes, bundle.operating, sensitivity={"b": 0.9}).decide(probabilities)
np.savez(sys.argv[3], p=probabilities, n=novelty(bundle.novelty, features), d=decided)
print(any(name in sys.modules for name in ("sklearn", "lightgbm", "optuna", "scipy")))
"""


@pytest.mark.parametrize("name", CANDIDATES)
def test_in_another_process_and_after_a_reload(name, tmp_path):
    rng = np.random.Generator(np.random.PCG64(0))
    actual = np.arange(90) % 3
    features = rng.normal(size=(90, WIDTH)) * rng.uniform(0.1, 30, size=WIDTH)
    features[:, ::7] += 10 * np.eye(3)[actual][:, :1]
    data = Data(features, actual, np.arange(90) // 2, 3)
    model = CANDIDATES[name](data, Settings(seed=0, trials=1, stop=threading.Event()))
    new = np.concatenate([features, rng.normal(size=(200, WIDTH)) * 40])
    bundle = Bundle(
        model=model,
        name=name,
        classes=CLASSES,
        config=None,
        leaderboard=[],
        training={},
        operating=operating.curves(actual, model.predict_proba(features), CLASSES),
        novelty=novelty.fit(features, data.groups),
    )
    here = model.predict_proba(new)
    unlike = novelty.novelty(bundle.novelty, new)
    rule = make_rule(CLASSES, bundle.operating, sensitivity={"b": 0.9})
    bundle.save(tmp_path / "m")
    np.save(tmp_path / "x.npy", new)
    for threads in ("1", "2"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                ELSEWHERE,
                tmp_path / "m",
                tmp_path / "x.npy",
                tmp_path / "y.npz",
            ],
            env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "False"
        with np.load(tmp_path / "y.npz") as there:
            np.testing.assert_allclose(there["p"], here, rtol=0, atol=1e-9)
            assert (there["n"] == unlike).all()
            assert (there["d"] == rule.decide(here)).all()
    # A copy of a copy, and each row by itself.
    Bundle.load(tmp_path / "m").save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()
    loaded = Bundle.load(tmp_path / "again")
    for row in (0, 89, 150):
        alone = loaded.model.predict_proba(new[row : row + 1])
        np.testing.assert_allclose(alone[0], here[row], rtol=0, atol=1e-9)
        assert novelty.novelty(loaded.novelty, new[row : row + 1]) == unlike[row]
