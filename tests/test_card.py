"""The model card against the training that it tells of."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import beta

import heartfast
from heartfast.bundle import Bundle
from heartfast.card import limits, model_card
from heartfast.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, heartfast.TrainResult]:
    folder = tmp_path_factory.mktemp("card")
    heartfast.synth.write_corpus(folder / "wav", patients=24, recordings=2, seed=3)
    labels = folder / "wav/labels.csv"
    pictures = heartfast.convert(folder / "wav", folder / "png", labels=labels).out
    result = heartfast.train(pictures, folder / "m", folds=2, repeats=1, trials=1)
    return folder / "m", result


def rows(card: str, title: str) -> list[list[str]]:
    section = card.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_counts_and_figures_are_those_of_the_training(trained) -> None:
    path, result = trained
    card = Bundle.load(path).card
    counts = {label: int((result.actual == i).sum()) for i, label in enumerate(result.classes)}
    assert rows(card, "Data")[1:] == [[label, str(count)] for label, count in counts.items()]
    assert f"{len(result.actual)} recordings in {result.n_groups} groups" in card
    assert "Sources: synthetic" in card
    by_model = {row.model: row for row in result.leaderboard}
    best, prior = by_model[result.best], by_model["class prior"]
    figures = {row[0]: row[1:3] for row in rows(card, "How it was judged")[1:]}
    low, high = best.logloss_ci
    assert figures["logloss"] == [
        f"{best.logloss:.3f} ({low:.3f}-{high:.3f})",
        f"{prior.logloss:.3f}",
    ]
    assert figures["AUC"][0].startswith(f"{best.macro_auc:.3f} (")
    assert card.count("Not a medical device") == 1


def test_operating_points_have_the_bounds_of_clopper_and_pearson(trained) -> None:
    _, result = trained
    bundle = result.bundle
    for label, of_100, surely, threshold, _ in rows(bundle.card, "Operating points")[1:]:
        index = result.classes.index(label)
        scores = result.oof[:, result.actual == index, index]
        found = (scores >= float(threshold) - 5e-4).mean()
        assert float(of_100) == pytest.approx(100 * found, abs=0.6)
        groups = len(set(result.groups[result.actual == index]))
        hits = int(found * groups + 1e-9)
        bound = beta.ppf(0.025, hits, groups - hits + 1) if hits else 0.0
        assert float(surely) == pytest.approx(100 * bound, abs=0.6)


def test_limits_name_what_weakens_the_figures(trained) -> None:
    _, result = trained
    training = result.bundle.training

    def said(**changes: object) -> str:
        return " ".join(limits(result.bundle._replace(training=training | changes)))

    assert "a source (device, clinic, population) that it had not seen" in said()
    assert "had not seen" not in said(cv="source")
    assert "No groups were known" in said(grouped=False)
    assert "on both sides" in said(cv="random")
    assert "on both sides" not in said()
    assert "5 groups are few" in said(groups=5)
    assert "murmur has 19 recordings" in said(recordings={"murmur": 19, "normal": 20})
    assert "normal has" not in said(recordings={"murmur": 19, "normal": 20})


def test_hostile_names_stay_within_their_cells(trained) -> None:
    _, result = trained
    hostile = "a|b`<img src=x>_\n# c"
    bundle = result.bundle._replace(classes=(hostile, "b"), name=hostile)
    training = bundle.training | {"recordings": {hostile: 30, "b": 30}}
    card = model_card(bundle._replace(training=training))
    assert "<img" not in card.replace("\\<img", "")
    assert len([line for line in card.splitlines() if line.startswith("# ")]) == 1
    assert "| a\\|b\\`\\<img src=x\\>\\_ \\# c | 30 |" in card


def test_info_shows_the_card(trained, capsys: pytest.CaptureFixture[str]) -> None:
    path, result = trained
    assert main(["info", str(path)]) == 0
    assert capsys.readouterr().out.strip() == result.bundle.card.strip()
