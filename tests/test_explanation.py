"""What models go by: feature families, top losses, and the map of recordings."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from types import SimpleNamespace
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.decomposition import PCA
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from heartfast import explanation
from heartfast.drawings import MOST_KINDS, MOST_POINTS, gallery_address, map_svg
from heartfast.explanation import family_importance, recording_map, top_losses
from heartfast.fitting import Data

FAMILIES = {"signal": [0, 2], "weak": [1], "noise": [3, 4]}


def fit(data: Data) -> LogisticRegression:
    return LogisticRegression().fit(data.features, data.actual)


def planted(groups: int = 60, size: int = 2, seed: int = 0) -> Data:
    """Two classes that columns 0 and 2 tell apart well, and 1 a little; groups are alike."""
    rng = np.random.default_rng(seed)
    actual = np.repeat(np.arange(groups) % 2, size)
    own = np.repeat(rng.normal(size=(groups, 5)), size, axis=0)
    features = own + 0.1 * rng.normal(size=own.shape)
    features[:, [0, 2]] += 1.5 * actual[:, None]
    features[:, 1] += 0.7 * actual
    return Data(features, actual, np.repeat(np.arange(groups), size), 2)


def halves(data: Data) -> list:
    first = np.flatnonzero(data.groups % 4 < 2)
    second = np.flatnonzero(data.groups % 4 >= 2)
    return [(0, (first, second)), (0, (second, first))]


def test_families_that_matter_are_found_with_intervals() -> None:
    data = planted(groups=240)
    rows = family_importance(fit, data, halves(data), FAMILIES, seed=1)
    assert [row.family for row in rows[:2]] == ["signal", "weak"]
    assert all(row.low <= row.increase <= row.high for row in rows)
    assert rows[0].low > 0.1
    noise = rows[2]
    assert noise.low < 0.02
    assert abs(noise.increase) < 0.05
    assert rows == family_importance(fit, data, halves(data), FAMILIES, seed=1)
    assert rows != family_importance(fit, data, halves(data), FAMILIES, seed=2)


def test_a_family_of_one_column_is_as_scikit_learn_has_it() -> None:
    data = planted(groups=400, size=1)
    splits = halves(data)
    ours = {
        seed: {row.family: row.increase for row in family_importance(fit, data, splits, ONE, seed)}
        for seed in range(6)
    }
    theirs = []
    for _, (rows, held) in splits:
        found = permutation_importance(
            fit(data.part(rows)),
            data.features[held],
            data.actual[held],
            scoring="neg_log_loss",
            n_repeats=30,
            random_state=0,
        )
        theirs.append(found.importances_mean)
    for column, expected in enumerate(np.mean(theirs, axis=0)):
        mine = np.mean([found[f"{column}"] for found in ours.values()])
        assert mine == pytest.approx(expected, rel=0.1, abs=0.002)


ONE = {f"{column}": [column] for column in range(5)}


def test_the_increase_is_that_of_a_naive_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted(groups=12, size=3)
    seen: list[np.ndarray] = []
    original = explanation._others

    def remembered(groups, rng):
        seen.append(original(groups, rng))
        return seen[-1]

    monkeypatch.setattr(explanation, "_others", remembered)
    found = family_importance(fit, data, halves(data), FAMILIES, seed=3)
    shuffles = iter(seen)
    increase: dict[str, list[float]] = {name: [] for name in FAMILIES}
    for _, (rows, held) in halves(data):
        model = fit(data.part(rows))
        for _ in range(explanation.PERMUTATIONS):
            donors = next(shuffles)
            for name, columns in FAMILIES.items():
                mixed = data.features[held].copy()
                for row, donor in enumerate(donors):
                    for column in columns:
                        mixed[row, column] = data.features[held[donor], column]
                losses = [
                    log_loss(data.actual[held], model.predict_proba(x))
                    for x in (mixed, data.features[held])
                ]
                increase[name].append(losses[0] - losses[1])
    for row in found:
        assert row.increase == pytest.approx(np.mean(increase[row.family]), abs=1e-12)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(0, 99))
def test_features_come_from_one_other_group(groups: list[int], seed: int) -> None:
    codes = np.array(groups)
    if len(set(groups)) < 2:
        with pytest.raises(ValueError, match="expected held-out parts of 2 groups or more"):
            explanation._others(codes, np.random.default_rng(seed))
        return
    donors = explanation._others(codes, np.random.default_rng(seed))
    sources = {}
    for group in set(groups):
        (source,) = set(codes[donors[codes == group]].tolist())
        assert source != group
        sources[group] = source
        # Each row of the other group once before any of them twice.
        counts = np.bincount(donors[codes == group], minlength=len(codes))[codes == source]
        assert counts.max() - counts.min() <= 1
    assert set(sources.values()) == set(groups)


def test_the_interval_is_that_of_whole_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 8)
    means = rng.normal(size=50)[groups] + 0.01 * rng.normal(size=400)
    draws = explanation._resampled(np.array([means]), groups, np.random.default_rng(1))[0]
    by_group = means.reshape(50, 8).mean(axis=1)
    assert draws.std() == pytest.approx(by_group.std() / 50**0.5, rel=0.08)
    assert draws.mean() == pytest.approx(means.mean(), abs=0.02)


def result(oof: np.ndarray, actual: list[int]) -> SimpleNamespace:
    classes = tuple("abcdefgh"[: oof.shape[2]])
    names = [f"{row:02d}.png" for row in range(len(actual))]
    return SimpleNamespace(oof=oof, actual=np.array(actual), classes=classes, names=names)


def test_top_losses_are_the_worst_with_what_was_said() -> None:
    oof = np.array(
        [
            [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.99, 0.01]],
            [[0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.01, 0.99]],
        ]
    )
    rows = top_losses(result(oof, [0, 0, 1, 1]), 3)
    assert [row.name for row in rows] == ["03.png", "01.png", "02.png"]
    assert rows[0].label == "b"
    assert rows[0].loss == pytest.approx(-(np.log(0.01) + np.log(0.99)) / 2)
    assert (rows[1].said, rows[1].label) == ("b", "a")
    assert (rows[1].own, rows[1].sure) == pytest.approx((0.3, 0.7))


@given(st.data())
def test_top_losses_agree_with_scikit_learn(data) -> None:
    n, k, repeats = (data.draw(st.integers(*ends)) for ends in ((1, 8), (2, 4), (1, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    oof = rng.dirichlet(np.ones(k), size=(repeats, n))
    actual = rng.integers(k, size=n).tolist()
    rows = top_losses(result(oof, actual), n)
    assert len(rows) == n
    for row in rows:
        i = int(row.name[:2])
        loss = np.mean([log_loss([actual[i]], [p[i]], labels=range(k)) for p in oof])
        assert row.loss == pytest.approx(loss)
    assert [row.loss for row in rows] == sorted((row.loss for row in rows), reverse=True)


@given(st.integers(3, 40), st.integers(2, 12), st.integers(0, 999), st.floats(-1e3, 1e3))
def test_the_map_is_scikit_learns_up_to_sign(n: int, f: int, seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, f)) * rng.uniform(0.1, 30, size=f) + offset
    matrix[:, 0] = offset  # never changes
    points, shares = recording_map(matrix)
    scale = matrix.std(axis=0)
    scale[scale < 1e-9] = 1
    scaled = np.clip((matrix - matrix.mean(axis=0)) / scale, -5, 5)
    pca = PCA(2, svd_solver="full").fit(scaled)
    assert shares == pytest.approx(pca.explained_variance_ratio_, abs=1e-9)
    if pca.explained_variance_ratio_[0] - pca.explained_variance_ratio_[-1] > 1e-3:
        np.testing.assert_allclose(np.abs(points), np.abs(pca.transform(scaled)), atol=1e-6)
    # Of the two directions always the same one.
    np.testing.assert_allclose(points, recording_map(matrix)[0])
    np.testing.assert_allclose(np.abs(recording_map(-matrix)[0]), np.abs(points), atol=1e-6)


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(-1e9, 1e9),
    )
)
def test_any_matrix_has_a_map(matrix: np.ndarray) -> None:
    points, shares = recording_map(matrix)
    assert points.shape == (len(matrix), 2)
    assert np.isfinite(points).all()
    assert 0 <= shares[1] <= shares[0] <= 1 + 1e-9


def parsed(points, kinds, names, **options):
    text = str(map_svg(points, (0.5, 0.25), kinds, names, **options))
    return ET.fromstring(text)  # noqa: S314 - our own


def test_the_drawing_has_every_recording_inside_its_axes() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 2)) * [30, 2]
    kinds = ["normal"] * 25 + ["murmur"] * 10 + ["<b>&"] * 5
    names = [f"{kind}/it's {i:02d}.png" for i, kind in enumerate(kinds)]
    svg = parsed(points, kinds, names)
    frame = svg.find("rect")
    left, top, width, height = (float(frame.get(name)) for name in ("x", "y", "width", "height"))
    places, looks = {}, {}
    for group in svg.findall("g"):
        for link in group.findall("a"):
            path, title = link.find("path"), link.find("title").text
            x, y = map(float, path.get("transform")[len("translate(") : -1].split())
            assert left < x < left + width
            assert top < y < top + height
            name, _, kind = title.partition(": ")
            places[name] = (x, y)
            looks.setdefault(kind, set()).add((group.get("style"), path.get("d")))
            address = urlparse(link.get("href"))
            assert address.path == "gallery.html"
            assert parse_qs(address.fragment)["find"] == [name.rpartition("/")[2][:-4]]
    assert set(places) == set(names)
    assert set(looks) == set(kinds)
    # One colour and one shape for each kind, and no two alike.
    assert all(len(look) == 1 for look in looks.values())
    assert len({colour for ((colour, _),) in looks.values()}) == 3
    assert len({shape for ((_, shape),) in looks.values()}) == 3
    # One scale for both axes, upwards being more.
    drawn = np.array([places[name] for name in names])
    for a, b in ((0, 1), (3, 30)):
        ratio = (drawn[a] - drawn[b]) / (points[a] - points[b])
        assert ratio[0] == pytest.approx(-ratio[1], rel=0.1)
        assert ratio[0] > 0
    texts = "".join(svg.itertext())
    assert "50 % of all differences" in texts
    assert "25 % of all differences" in texts
    assert "<b>& (5)" in texts


def test_a_drawing_of_many_is_thinned_and_says_so() -> None:
    count = MOST_POINTS + 500
    points = np.random.default_rng(0).normal(size=(count, 2))
    svg = parsed(points, [f"source {i % 20:02d}" for i in range(count)], ["x.png"] * count)
    assert len(svg.findall("g/a")) == MOST_POINTS
    assert len(svg.findall("g")) == MOST_KINDS
    assert f"{MOST_POINTS:,} of {count:,} drawn" in "".join(svg.itertext())
    assert "other" in "".join(svg.itertext())


def test_recordings_in_one_place_are_drawn_in_the_middle() -> None:
    svg = parsed(np.zeros((2, 2)), ["a", "a"], ["x.png", "y.png"])
    assert len(svg.findall("g/a")) == 2


@given(st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text and "." not in text))
def test_the_address_is_what_the_gallery_reads(stem: str) -> None:
    try:
        stem.encode()
    except UnicodeEncodeError:
        return
    fragment = urlparse(gallery_address(f"class/{stem}.png")).fragment
    assert parse_qs(fragment)["find"] == [stem]
