"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

import heartfast

# Properties are tested, not times: a busy machine must not fail a test.
settings.register_profile("heartfast", deadline=None)
settings.load_profile("heartfast")

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("HEARTFAST_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real recordings in ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def tool():
    """`tool("sox")` is the path of a system tool; the test skips by name without it."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"needs the system tool {name}")
        return path

    return find


@pytest.fixture(scope="module")
def browser(tool):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=tool("chromium"),
            args=["--no-sandbox", "--mute-audio", "--disable-dev-shm-usage"],
        )


@contextmanager
def _few_candidates(
    without: Sequence[str] = ("extra trees", "LightGBM", "LightGBM tuned"),
) -> Iterator[None]:
    from heartfast.fitting import SINGLE

    whole = dict(SINGLE)
    for name in without:
        del SINGLE[name]
    try:
        yield
    finally:  # in their order, in which leaderboards list them
        SINGLE.clear()
        SINGLE.update(whole)


@pytest.fixture
def few_candidates() -> Iterator[None]:
    """Leave `train` the quick candidates only, where it does not matter which there are."""
    with _few_candidates():
        yield


@pytest.fixture(scope="session")
def with_few_candidates() -> Callable[..., AbstractContextManager[None]]:
    """`with with_few_candidates():` is that for fixtures that tests share."""
    return _few_candidates


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> heartfast.Run:
    """The whole path on synthetic heart sounds, quickly; not to be changed."""
    folder = tmp_path_factory.mktemp("small_run")
    heartfast.synth.write_corpus(folder / "wav", patients=40, recordings=2, seed=5)
    labels = folder / "wav/labels.csv"
    return heartfast.run(
        folder / "wav", folder / "out", labels=labels, folds=2, repeats=1, trials=1
    )
