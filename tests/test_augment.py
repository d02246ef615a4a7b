"""Changed copies are as they should be, the same for the same seed, and fitted on only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heartfast import augment
from heartfast.augment import change, describe_copies
from heartfast.errors import DecodeError
from heartfast.features import extract, feature_names
from heartfast.images import PictureSet
from heartfast.stages.train import train
from test_train import QUICK, corpus


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def only(monkeypatch, **kept: object) -> None:
    """Switch all changes off but these."""
    off = {"GAIN_DB": 0.0, "NOISE_DB": (-400.0, -400.0), "MASKED": 0.0}
    for name, value in (off | kept).items():
        monkeypatch.setattr(augment, name, value)


LEVELS = np.arange(20, 260, 4, dtype=np.uint8).reshape(6, 10)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    st.integers(0, 10**6),
    st.floats(1, 200),
)
def test_any_picture_has_copies(levels, seed, range_db):
    got = change(levels, rng(seed), range_db)
    assert (got.dtype, got.shape) == (np.uint8, levels.shape)
    assert (got == change(levels, rng(seed), range_db)).all()


def test_a_copy_begins_elsewhere_and_runs_on_the_same_way(monkeypatch):
    only(monkeypatch)
    seen = set()
    for seed in range(60):
        got = change(LEVELS, rng(seed))
        turns = [turn for turn in range(10) if (np.roll(LEVELS, turn, axis=1) == got).all()]
        assert len(turns) == 1
        seen |= set(turns)
    assert seen == set(range(10))


def test_a_copy_is_louder_or_softer_by_decibels(monkeypatch):
    only(monkeypatch, GAIN_DB=6.0)
    for seed in range(20):
        got = change(np.full((4, 4), 128, np.uint8), rng(seed), 80.0)
        decibels = (got / 255.0 - 128 / 255.0) * 80
        assert np.ptp(decibels) == 0
        assert abs(decibels[0, 0]) <= 6.2
    loud = change(np.full((4, 4), 255, np.uint8), rng(), 80.0)
    assert loud.max() <= 255


def test_noise_adds_its_power(monkeypatch):
    """Silence becomes noise of that power; what is much louder stays as it is."""
    only(monkeypatch, NOISE_DB=(-40.0, -40.0))
    got = change(np.zeros((200, 200), np.uint8), rng(), 100.0)
    power = 10 ** ((got / 255.0 - 1) * 10)
    # The mean of an exponential and of the floor, which the levels begin at.
    assert 10 * np.log10(power.mean()) == pytest.approx(-40, abs=0.3)
    bright = change(np.full((50, 50), 240, np.uint8), rng(), 100.0)
    assert np.abs(bright.astype(int) - 240).max() <= 1


def test_masks_are_a_tenth_at_most_and_hold_means(monkeypatch):
    only(monkeypatch, MASKED=0.1)
    levels = rng(1).integers(50, 200, size=(60, 80)).astype(np.uint8)
    for seed in range(30):
        got = change(levels, rng(seed))
        turned = next(
            np.roll(levels, turn, axis=1)
            for turn in range(80)
            if (np.roll(levels, turn, axis=1) == got).mean() > 0.7
        )
        differs = turned != got
        columns = differs.mean(axis=0) > 0.8
        rows = differs.mean(axis=1) > 0.8
        assert columns.sum() <= 8
        assert rows.sum() <= 6
        assert not differs[~rows][:, ~columns].any()
        for row in np.flatnonzero(~rows):
            if columns.any():
                assert np.abs(got[row, columns] - turned[row].mean()).max() <= 1


def test_copies_depend_on_the_name_and_the_seed_alone(tmp_path):
    path = corpus(tmp_path / "x.zip", groups=3, each=2)
    with PictureSet(path) as pictures:
        names = [picture.name for picture in pictures.pictures]
        whole = describe_copies(pictures, names, 2, seed=1, jobs=2)
        some = describe_copies(pictures, names[::-3], 2, seed=1, jobs=1)
        other = describe_copies(pictures, names, 2, seed=2)
    assert whole.shape == (18, 2, len(feature_names()))
    assert (some == whole[::-3]).all()
    assert not (other == whole).all(axis=2).any()
    assert not (whole[:, 0] == whole[:, 1]).all(axis=1).any()


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"none")
    with PictureSet(tmp_path) as pictures, pytest.raises(DecodeError, match=r"^a/x\.png: expected"):
        describe_copies(pictures, ["a/x.png"], 1, seed=0)


def test_copies_are_near_their_picture(tmp_path):
    """Nearer than other pictures are, by features in units of their spread."""
    path = corpus(tmp_path / "x.zip", groups=6, each=2)
    with PictureSet(path) as pictures:
        from heartfast.images import decode

        names = [picture.name for picture in pictures.pictures]
        own = np.stack([extract(*decode(pictures.read_bytes(name), name)) for name in names])
        copies = describe_copies(pictures, names, 1, seed=0)[:, 0]
    scale = np.maximum(own.std(axis=0), 1e-6)
    to_own = np.median(np.abs(copies - own) / scale)
    to_others = np.median(np.abs(copies - np.roll(own, len(own) // 3, axis=0)) / scale)
    assert to_own < to_others


@pytest.mark.usefixtures("few_candidates")
def test_training_with_copies(tmp_path):
    path = corpus(tmp_path / "x.zip", groups=5, each=2)
    plain = train(path, tmp_path / "plain", **QUICK, augment=0)
    one = train(path, tmp_path / "a", **QUICK, augment=2, jobs=2)
    train(path, tmp_path / "b", **QUICK, augment=2, jobs=1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert one.bundle.training["augment"] == 2
    # What is tested on is the same; what was learned is not.
    assert (one.matrix == plain.matrix).all()
    assert one.oof.shape == plain.oof.shape
    assert [r.logloss for r in one.leaderboard][1:] != [r.logloss for r in plain.leaderboard][1:]
    assert one.leaderboard[0].logloss == plain.leaderboard[0].logloss
