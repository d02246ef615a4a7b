"""Figures as they were when somebody last looked at them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from golden_figures import COMMANDS, GOLDEN, draw, make_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    make_sources(folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_figure_is_as_it_was(name: str, sources) -> None:
    with Image.open(draw(name, sources)) as image:
        drawn = np.asarray(image.convert("RGB")).astype(int)
    with Image.open(GOLDEN / f"{name}.png") as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert drawn.shape == expected.shape
    # CPUs round some levels differently; a letter or a line elsewhere is another matter.
    apart = np.abs(drawn - expected).max(axis=-1)
    assert (apart > 24).mean() < 1e-4
    assert (apart > 0).mean() < 0.05


def test_there_is_a_golden_figure_of_each_and_no_other() -> None:
    assert {path.stem for path in GOLDEN.glob("*.png")} == set(COMMANDS)
