"""Figures at soundgen's settings, against those that soundgen drew of real recordings."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import heartfast

# Where soundgen 1.8 has its plots on 900 x 500 pixels: left, top, right, bottom.
PLOT, OSC = (59, 59, 871, 375), (59, 375, 871, 427)


@pytest.fixture(scope="module")
def references(shared_data) -> list[Path]:
    return sorted((shared_data / "soundgen_reference").glob("*.wav"))


def gray(image: Image.Image, box: tuple[int, ...]) -> np.ndarray:
    left, top, right, bottom = box
    return np.asarray(image.convert("L"), dtype=float)[top:bottom, left:right]


def correlation(ours: np.ndarray, theirs: np.ndarray, most: int = 3) -> float:
    """The best one after a shift of at most so many pixels in each direction."""
    height, width = theirs.shape
    inner = theirs[most : height - most, most : width - most].ravel()
    shifts = range(-most, most + 1)
    return max(
        np.corrcoef(ours[most + y : height - most + y, most + x : width - most + x].ravel(), inner)[
            0, 1
        ]
        for y in shifts
        for x in shifts
    )


def test_levels_are_those_of_soundgen(references) -> None:
    found = []
    for path in references:
        figure = heartfast.figure(*heartfast.load(path), preset="published")
        ours = Image.open(io.BytesIO(figure.png))
        width, height = PLOT[2] - PLOT[0], PLOT[3] - PLOT[1]
        ours = ours.convert("L").crop(figure.axes["plot"]).resize((width, height))
        with Image.open(path.with_suffix(".png")) as theirs:
            found.append(correlation(np.asarray(ours, dtype=float), gray(theirs, PLOT)))
    assert len(found) == 26
    assert min(found) >= 0.93, found
    assert np.median(found) >= 0.96, found


def test_oscillogram_and_axes_reach_as_far_as_those_of_soundgen(references) -> None:
    likeness = []
    for path in references:
        y, sr = heartfast.load(path)
        figure = heartfast.figure(y, sr, preset="published")
        assert figure.axes["ylim"] == [0, sr / 2]
        assert figure.axes["xlim"] == [0, len(y) / sr]
        ours = gray(Image.open(io.BytesIO(figure.png)), figure.axes["osc"]) < 160
        with Image.open(path.with_suffix(".png")) as image:
            theirs = gray(image, OSC)[2:-2, 1:-1] < 128
        # The line goes from the first column to the last in both.
        for drawn in (ours, theirs):
            assert drawn[:, :4].any(), path.name
            assert drawn[:, -4:].any(), path.name
        # How high the signal is drawn, over time. Some clicks are missing from soundgen's, which
        # draws a part of the samples.
        heights = [drawn.sum(axis=0) / drawn.shape[0] for drawn in (ours, theirs)]
        places = np.linspace(0, 1, 400)
        curves = [np.interp(places, np.linspace(0, 1, h.size), h) for h in heights]
        likeness.append(np.corrcoef(*curves)[0, 1])
    assert np.median(likeness) > 0.95, likeness
