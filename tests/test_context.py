"""A model with context: against a naive mean, from training to scores in another process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import heartfast
from heartfast.bundle import Bundle
from heartfast.cli import main
from heartfast.context import ALONE, CAUTION, in_company, with_context
from heartfast.errors import BundleError, DatasetError
from heartfast.explanation import family_importance, top_losses
from heartfast.extraction import extract_all
from heartfast.features import families, feature_names
from heartfast.fitting import Data
from heartfast.images import PictureSet
from heartfast.insights import insights
from heartfast.occlusion import _percent
from test_gallery import index_of, pictures_of
from test_train import corpus

QUICK = {"trials": 1, "folds": 2, "repeats": 1}
GROUPS = 6  # of each class


@st.composite
def grouped(draw):
    """Features of a few recordings, and their groups."""
    n, width = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    row = st.lists(st.floats(-1e6, 1e6), min_size=width, max_size=width)
    features = np.array(draw(st.lists(row, min_size=n, max_size=n)))
    return features, draw(st.lists(st.sampled_from(["a", "b", "", "ü"]), min_size=n, max_size=n))


def naive(features, groups):
    """Each row, and the mean of all rows of its group."""
    rows = []
    for own, group in zip(features, groups, strict=True):
        mine = [other for other, its in zip(features, groups, strict=True) if its == group]
        rows.append([*own, *(sum(column) / len(mine) for column in zip(*mine, strict=True))])
    return np.array(rows)


@given(grouped())
def test_it_is_the_mean_of_the_group(case):
    features, groups = case
    found = with_context(features, groups)
    np.testing.assert_allclose(found, naive(features, groups), rtol=1e-9, atol=1e-6)
    for row, group in enumerate(groups):
        if groups.count(group) == 1:
            assert found[row].tolist() == [*features[row], *features[row]]
        others = [i for i, its in enumerate(groups) if its == group and i != row]
        alone = in_company(features[[row]], features[others])
        np.testing.assert_allclose(alone[0], found[row], rtol=1e-9, atol=1e-6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trained by the command line, in another process, on groups of three pictures."""
    folder = tmp_path_factory.mktemp("context")
    corpus(folder / "train.zip", groups=GROUPS)
    command = [sys.executable, "-m", "heartfast", "train", "train.zip", "-o", "m", "--context"]
    quick = [f"--{name}={value}" for name, value in QUICK.items()]
    ran = subprocess.run(
        [*command, *quick, "--json"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert CAUTION in ran.stderr
    return folder, json.loads(ran.stdout)


def described(path):
    """Names, features and groups of pictures."""
    with PictureSet(path) as pictures:
        names = [picture.name for picture in pictures.pictures]
        groups = [picture.group for picture in pictures.pictures]
        return names, extract_all(pictures, names).matrix, groups


def test_the_model_says_so(trained, capsys):
    folder, board = trained
    assert board["context"] is True
    bundle = Bundle.load(folder / "m")
    assert bundle.context
    assert bundle.feature_names == feature_names() + [f"group mean of {n}" for n in feature_names()]
    assert bundle.model.shape == (3, 2 * len(feature_names()))
    assert bundle.card.count(CAUTION) == 1
    assert main(["info", str(folder / "m"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["context"] is True


def test_scores_are_those_of_the_naive_mean(trained):
    folder, _ = trained
    result = heartfast.score(folder / "m", folder / "train.zip")
    names, features, groups = described(folder / "train.zip")
    assert result.names == names
    expected = Bundle.load(folder / "m").model.predict_proba(naive(features, groups))
    np.testing.assert_allclose(result.probabilities, expected, rtol=1e-6)


def test_training_is_on_the_naive_mean(trained):
    folder, board = trained
    path = folder / "train.zip"
    result = heartfast.train(path, **QUICK, context=True, jobs=1)
    assert result.bundle.feature_names[-1].startswith("group mean of ")
    assert [row.logloss for row in result.leaderboard] == [
        row["logloss"] for row in board["leaderboard"]
    ]
    again = heartfast.score(result.bundle, path).probabilities
    assert (again == heartfast.score(folder / "m", path).probabilities).all()
    _, features, _ = described(path)
    assert (result.matrix == features).all()


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def unpacked(folder: Path, target: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "train.zip") as archive:
        archive.extractall(target)
    return sorted(target.rglob("*.png"))


def test_alone_is_not_as_in_company(trained, tmp_path):
    folder, _ = trained
    paths = unpacked(folder, tmp_path / "all")
    model = Bundle.load(folder / "m")
    together = heartfast.score(model, tmp_path / "all")
    one = heartfast.score(model, [paths[0]])
    assert one.notes == [ALONE]
    _, features, _ = described([paths[0]])
    twice = model.model.predict_proba(np.hstack([features, features]))
    np.testing.assert_allclose(one.probabilities, twice, rtol=1e-9)
    everyone = heartfast.score(model, paths)  # a list of files says nothing of groups
    assert everyone.notes == [ALONE]
    assert (everyone.probabilities[0] == one.probabilities[0]).all()
    assert np.abs(everyone.probabilities - together.probabilities).max() > 0.01
    assert (everyone.novelty == together.novelty).all()  # of own features
    # What cannot be read is in no mean.
    paths[1].write_bytes(b"\x89PNG\r\n\x1a\n")
    pair = heartfast.score(model, tmp_path / "all")
    assert [name for name, _ in pair.errors] == ["a/0_1.png"]
    _, features, _ = described([paths[0], paths[2]])
    expected = model.model.predict_proba(naive(features, ["p", "p"]))
    np.testing.assert_allclose(pair.probabilities[:2], expected, rtol=1e-6)


def test_groups_come_from_names_and_tables(trained, tmp_path):
    folder, _ = trained
    model = folder / "m"
    known = heartfast.score(model, folder / "train.zip")
    unpacked(folder, tmp_path / "all")
    (tmp_path / "all/metadata.csv").unlink()
    by_name = heartfast.score(model, tmp_path / "all", group_regex=r"^(\w/\d+)_")
    np.testing.assert_allclose(by_name.probabilities, known.probabilities, rtol=1e-6)
    assert any(f"{3 * GROUPS} groups" in note for note in by_name.notes)
    assert heartfast.score(model, tmp_path / "all").notes == [ALONE]
    # Beside, as pack has it, and above, as convert has it.
    names, _, groups = described(folder / "train.zip")
    for table, prefix in (("test_metadata.csv", ""), ("metadata.csv", "all/")):
        with open(tmp_path / table, "w", newline="") as file:
            rows = zip((prefix + name for name in names), groups, strict=True)
            csv.writer(file).writerows([["file_name", "group"], *rows])
        beside = heartfast.score(model, tmp_path / "all")
        np.testing.assert_allclose(beside.probabilities, known.probabilities, rtol=1e-6)
        assert not beside.notes
        (tmp_path / table).unlink()
    by_group = heartfast.score(model, folder / "train.zip", by_group=True)
    assert len(by_group.names) == 3 * GROUPS
    with pytest.raises(DatasetError, match=r"expected groups in metadata\.csv"):
        heartfast.score(model, tmp_path / "all", by_group=True)
    (tmp_path / "metadata.csv").write_text("of,something\nelse,1\n")
    assert heartfast.score(model, tmp_path / "all").notes == [ALONE]


@pytest.mark.usefixtures("few_candidates")
@pytest.mark.parametrize("more", [{"cv": "random"}, {"augment": 1}])
def test_other_ways_to_train(trained, more):
    folder, _ = trained
    result = heartfast.train(folder / "train.zip", **QUICK, context=True, **more)
    assert result.bundle.model.shape == (3, 2 * len(feature_names()))
    assert CAUTION in result.notes


@pytest.mark.usefixtures("few_candidates")
def test_a_source_left_out(tmp_path):
    path = corpus(tmp_path / "train.zip", groups=GROUPS)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    header, *rows = files.pop("metadata.csv").decode().split("\n")
    rows = [f"{row},s{index // 3 % 2}" for index, row in enumerate(rows)]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("metadata.csv", "\n".join([f"{header},source", *rows]))
    result = heartfast.train(path, **QUICK, context=True, cv="source")
    assert result.bundle.context
    assert result.protocol == "source"


def test_context_needs_groups(tmp_path):
    path = corpus(tmp_path / "train.zip", metadata=False)
    with pytest.raises(DatasetError, match=r"expected groups, .* for a context .*; found none"):
        heartfast.train(path, **QUICK, context=True)


def altered(bundle: Bundle, **training: object) -> Bundle:
    return bundle._replace(training={**bundle.training, **training})


@pytest.mark.usefixtures("few_candidates")
def test_bundles_without_the_field(trained, tmp_path):
    folder, _ = trained
    bundle = Bundle.load(folder / "m")
    plain = heartfast.train(folder / "train.zip", **QUICK).bundle
    assert not plain.context
    earlier = {name: value for name, value in plain.training.items() if name != "context"}
    plain._replace(training=earlier).save(tmp_path / "earlier")
    again = Bundle.load(tmp_path / "earlier")
    assert not again.context
    assert again.feature_names == feature_names()
    # Neither can be taken for the other.
    for number, other in enumerate((altered(bundle, context=False), altered(plain, context=True))):
        other.save(tmp_path / str(number))
        with pytest.raises(BundleError, match="expected a model of 3 classes and"):
            Bundle.load(tmp_path / str(number))


def test_an_occlusion_map_is_that_of_the_scores(trained, tmp_path):
    folder, _ = trained
    paths = unpacked(folder, tmp_path / "all")
    result = heartfast.score(folder / "m", tmp_path / "all")
    label = result.predicted[0]
    column = result.classes.index(label)
    seen = heartfast.occlusion_map(folder / "m", paths[0], company=paths[1:3])
    assert seen.label == label
    assert seen.probability == pytest.approx(result.probabilities[0, column], rel=1e-6)
    alone = heartfast.occlusion_map(folder / "m", paths[0], label)
    one = heartfast.score(folder / "m", [paths[0]])
    assert alone.probability == pytest.approx(one.probabilities[0, column], rel=1e-6)


def test_importance_takes_both_halves_of_a_family():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 3)
    features = with_context(rng.normal(size=(60, 3)) + groups[:, None] % 2, groups)

    class OfTheMean:
        """Goes by the mean of the second column alone."""

        def predict_proba(self, x):
            p = 1 / (1 + np.exp(-4 * (x[:, 4] - 0.5)))
            return np.stack([1 - p, p], axis=1)

    data = Data(features, groups % 2, groups, 2)
    rows = np.arange(60)
    columns = {"first": [0, 3], "second": [1, 4], "third": [2, 5]}
    found = family_importance(lambda _: OfTheMean(), data, [(0, (rows, rows))], columns, 0)
    assert [row.family for row in found] == ["second", "first", "third"]
    assert found[0].increase > 0.3
    assert found[1].increase == found[2].increase == 0


@pytest.mark.usefixtures("few_candidates")
def test_a_run_with_context(tmp_path):
    heartfast.synth.write_corpus(
        tmp_path / "wav", patients=24, recordings=2, duration_s=(2, 3), unlabelled=2
    )
    labels = tmp_path / "wav/labels.csv"
    run = heartfast.run(tmp_path / "wav", tmp_path / "out", labels=labels, **QUICK, context=True)
    bundle = run.training.bundle
    assert bundle.context
    assert CAUTION in run.notes
    page = Path(run.report).read_text()
    assert page.count(CAUTION) == 2  # the card's, and the note
    assert all(family in page for family in families())  # their chart
    # What is explained is the probability that was scored: the same company.
    scored = {}
    for table in ("scores.csv", "unlabelled_scores.csv"):
        rows = read(tmp_path / "out" / table)
        if "file_name" not in rows[0]:
            names = {row["row_id"]: row for row in read(tmp_path / "out/test_actual.csv")}
            rows = [row | names[row["row_id"]] for row in rows]
        scored |= {Path(row["file_name"]).stem: row for row in rows}
    index, pictures = index_of(run.gallery), pictures_of(run.gallery)
    assert index["looked"]
    for number, (_, text) in index["looked"].items():
        row = scored[pictures[int(number)].stem]
        label = text.partition(",")[0]
        assert text.startswith(f"{label}, {_percent(float(row[f'Prediction.{label}']))}")
    # So are the mistakes of the report.
    with PictureSet(tmp_path / "out/images") as files:
        group_of = {picture.name: picture.group for picture in files.pictures}
    images = tmp_path / "out/images"
    for mistake, loss in zip(insights(run)["mistakes"], top_losses(run.training), strict=False):
        own = group_of[loss.name]
        company = [images / n for n, group in group_of.items() if group == own and n != loss.name]
        assert len(company) == 1
        seen = heartfast.occlusion_map(bundle, images / loss.name, loss.said, company=company)
        assert mistake.looked == seen.describe()
