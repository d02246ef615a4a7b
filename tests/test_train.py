"""Training compares honestly, repeats itself to the byte, and says what it cannot use."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from heartfast.bundle import Bundle
from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.stages.train import train

CONFIG = {"window_ms": 50.0, "dynamic_range": 80.0, "size": None}
QUICK = {"trials": 1, "folds": 2, "repeats": 1}


def picture(
    kind: int, rng: np.random.Generator, config: dict[str, object] | None = CONFIG, form="PNG"
) -> bytes:
    """Noise with a bar whose height tells the class, most of the time."""
    levels = rng.integers(0, 120, size=(40, 60))
    row = 5 + 12 * (kind if rng.random() < 0.8 else rng.integers(3))
    levels[row : row + 6] += 100
    info = PngInfo()
    if config is not None:
        fields = {"sample_rate": 4000, "duration_s": 1.5, "n_fft": 200, "hop_length": 100}
        chunk = {"config": config, **fields, "fmin": 0.0, "fmax": 2000.0, "version": "0.1.0"}
        info.add_itxt("heartfast", json.dumps(chunk))
    buffer = io.BytesIO()
    options = {"pnginfo": info} if form == "PNG" else {}
    Image.fromarray(levels.astype(np.uint8)).save(buffer, form, **options)
    return buffer.getvalue()


def corpus(path, *, groups=12, each=3, classes=("a", "b", "c"), metadata=True, config=CONFIG):
    rng = np.random.Generator(np.random.PCG64(0))
    rows = ["file_name,label,group"]
    with zipfile.ZipFile(path, "w") as archive:
        for kind, label in enumerate(classes):
            for group in range(groups):
                for index in range(each):
                    name = f"{label}/{group}_{index}.png"
                    archive.writestr(name, picture(kind, rng, config))
                    rows.append(f"{name},{label},{label}{group}")
        if metadata:
            archive.writestr("metadata.csv", "\n".join(rows))
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("train") / "train.zip")


@pytest.fixture(scope="module")
def trained(source):
    reports = []
    target = source.parent / "m.heartfast"
    return train(source, target, **QUICK, jobs=2, progress=reports.append), target, reports


def test_the_leaderboard(trained):
    result, path, reports = trained
    board = {row.model: row for row in result.leaderboard}
    assert list(board) == [
        *("class prior", "logistic regression", "SVM", "extra trees", "LightGBM"),
        *("LightGBM tuned", "blend"),
    ]
    assert board["class prior"].logloss == pytest.approx(np.log(3), abs=0.02)
    assert result.best == min(result.leaderboard, key=lambda row: row.logloss).model
    assert board[result.best].logloss < 0.8
    assert (result.n_recordings, result.n_groups) == (108, 36)
    for row in result.leaderboard:
        assert row.logloss_ci[0] - 1e-9 <= row.logloss <= row.logloss_ci[1] + 1e-9
        assert row.fit_seconds > 0
        assert row.score_seconds > 0
        assert (row.difference == 0) == (row.model == result.best)
        assert row.difference_ci[0] - 1e-9 <= row.difference <= row.difference_ci[1] + 1e-9
    assert {report.stage for report in reports} == {"features", "compare", "train"}
    assert reports[-1].done == reports[-1].total == 7 * 2  # folds, the random ones' among them
    assert json.loads(json.dumps(result.to_dict()))["best"] == result.best
    assert Bundle.load(path).name == result.best


def test_figures_are_those_of_the_out_of_fold_probabilities(source):
    result = train(source, **{**QUICK, "repeats": 2})
    row = next(row for row in result.leaderboard if row.model == result.best)
    assert result.oof.shape == (2, 108, 3)
    losses = [log_loss(result.actual, probabilities) for probabilities in result.oof]
    assert row.logloss == pytest.approx(np.mean(losses))
    both, predicted = np.tile(result.actual, 2), result.oof.argmax(axis=2).ravel()
    assert row.macro_f1 == pytest.approx(f1_score(both, predicted, average="macro"))
    assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(both, predicted))
    assert [result.classes[index] for index in result.actual] == [n[0] for n in result.names]
    aucs = [
        roc_auc_score(result.actual, each, multi_class="ovr", average="macro")
        for each in result.oof
    ]
    assert row.macro_auc == pytest.approx(np.mean(aucs))
    briers = [((each - np.eye(3)[result.actual]) ** 2).sum(axis=1).mean() for each in result.oof]
    assert row.brier == pytest.approx(np.mean(briers))
    assert not (result.oof[0] == result.oof[1]).all()  # shuffled anew


def test_the_same_seed_gives_the_same_bytes_for_any_jobs(source, trained, tmp_path):
    _, path, _ = trained
    train(source, tmp_path / "again", **QUICK, jobs=1)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_bundle_says_what_it_was_trained_on(trained):
    result, path, _ = trained
    bundle = Bundle.load(path)
    assert bundle.classes == ("a", "b", "c")
    assert bundle.config == CONFIG
    assert bundle.training["recordings"] == {"a": 36, "b": 36, "c": 36}
    assert bundle.training["groups"] == 36
    assert [row["logloss"] for row in bundle.leaderboard] == [r.logloss for r in result.leaderboard]
    assert not {"fit_seconds", "score_seconds"} & bundle.leaderboard[0].keys()
    assert bundle.training["cv"] == "group"
    assert bundle.training["class_weight"] == "none"
    assert bundle.training["left_out"] == []


def test_groups_are_not_split(tmp_path, with_few_candidates):
    """Labels that only the group tells cannot be learned when groups are whole."""
    without = "extra trees", "LightGBM tuned"  # LightGBM can learn them, and is quicker
    thirds = QUICK | {"folds": 3}  # it takes 20 recordings for a leaf
    rng = np.random.Generator(np.random.PCG64(1))
    rows = ["file_name,label,group"]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for group in range(12):
            label, height = "ab"[group % 2], 15 * group  # neighbours in height are opposites
            for index in range(30):
                levels = rng.integers(0, 40, size=(16, 20)) + 30
                levels[:8] += height
                buffer = io.BytesIO()
                Image.fromarray(levels.astype(np.uint8)).save(buffer, "PNG")
                name = f"{label}/{group}_{index}.png"
                archive.writestr(name, buffer.getvalue())
                rows.append(f"{name},{label},{group}")
        archive.writestr("metadata.csv", "\n".join(rows))
    with with_few_candidates(without):
        result = train(tmp_path / "x.zip", **thirds)
    # Twelve groups: the luckiest of five candidates is right for three more than it should be.
    assert max(row.balanced_accuracy for row in result.leaderboard) < 0.8
    alone = zipfile.ZipFile(tmp_path / "x.zip")
    with alone, zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        for name in alone.namelist():
            if name != "metadata.csv":
                archive.writestr(name, alone.read(name))
    with with_few_candidates(without):
        leaky = train(tmp_path / "y.zip", **thirds)
    assert max(row.balanced_accuracy for row in leaky.leaderboard) > 0.9
    assert "without a known group, each its own: 360;" in leaky.notes[0]
    # The names give it away: the number of the group is in them.
    assert r"--group-regex '^\D*(\d+)'" in leaky.notes[1]


def test_the_same_picture_is_on_one_side(tmp_path):
    """Noise whose class nothing tells cannot be learned from copies of it."""
    rng = np.random.Generator(np.random.PCG64(2))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(24):
            data = picture(0, rng)
            for copy in range(6):
                archive.writestr(f"{'ab'[number % 2]}/{number}_{copy}.png", data)
    result = train(tmp_path / "x.zip", **QUICK)
    assert (result.n_recordings, result.n_groups) == (144, 24)
    assert result.bundle.training["groups"] == 24
    assert not result.bundle.training["grouped"]
    assert max(row.balanced_accuracy for row in result.leaderboard) < 0.85


@pytest.mark.usefixtures("few_candidates")
def test_metadata_without_groups_is_not_grouped(tmp_path, trained):
    assert trained[0].bundle.training["grouped"]
    path = corpus(tmp_path / "x.zip", groups=4, each=1, metadata=False)
    with zipfile.ZipFile(path, "a") as archive:
        names = archive.namelist()
        rows = "".join(f"{name},{name[0]},\n" for name in names)
        archive.writestr("metadata.csv", "file_name,label,group\n" + rows)
    assert not train(path, **QUICK).bundle.training["grouped"]


@pytest.mark.usefixtures("few_candidates")
def test_foreign_pictures_of_any_kind_will_do(tmp_path):
    rng = np.random.Generator(np.random.PCG64(0))
    for kind, label in enumerate("xy"):
        (tmp_path / "in" / "wrapped" / label).mkdir(parents=True)
        for index in range(8):
            form = ("PNG", "JPEG")[index % 2]
            data = picture(kind, rng, None, form)
            path = tmp_path / "in" / "wrapped" / label / f"{index}.{form.lower()}"
            path.write_bytes(data)
    (tmp_path / "in" / "wrapped" / "x" / "0.png").write_bytes(b"broken")
    result = train(tmp_path / "in", tmp_path / "m", **QUICK)
    assert result.n_recordings == result.n_groups == 15
    assert result.errors[0][0] == "x/0.png"
    assert result.errors[0][1].startswith("expected a PNG or JPEG picture")
    message = "pictures that could not be read: 1, the first: x/0.png: expected a PNG or JPEG"
    assert any(note.startswith(message) for note in result.notes)
    assert any("class 'x' has 7 recordings" in note for note in result.notes)
    assert Bundle.load(tmp_path / "m").config is None


@pytest.mark.usefixtures("few_candidates")
def test_unlabelled_pictures_are_left_out_and_said(tmp_path):
    path = corpus(tmp_path / "x.zip", groups=4, each=1, metadata=False)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("loose.png", picture(0, np.random.Generator(np.random.PCG64(0))))
    result = train(path, **QUICK)
    assert result.n_recordings == 12
    assert any("pictures without a class, left out: 1" in note for note in result.notes)


@pytest.mark.usefixtures("few_candidates")
@pytest.mark.parametrize("metric", ["macro_f1", "macro_auc"])
def test_the_metric_chooses_the_best(source, metric):
    result = train(source, **QUICK, metric=metric)
    best = max(getattr(row, metric) for row in result.leaderboard)
    chosen = next(row for row in result.leaderboard if row.model == result.best)
    assert getattr(chosen, metric) == best
    ordered = sorted(result.leaderboard, key=lambda row: -getattr(row, metric))
    first, second, _ = result.to_text().split("\n\n")
    for table in (first, second):
        lines = [line.strip("* ") for line in table.splitlines()[1:]]
        assert [line.partition("  ")[0] for line in lines] == [row.model for row in ordered]
        assert lines[0].startswith(result.best)


def test_too_few_groups(tmp_path):
    path = corpus(tmp_path / "x.zip", groups=4, each=5)
    message = r"x\.zip: expected at least 5 groups of class 'a' for 5 folds, or --folds 4, found 4$"
    with pytest.raises(DatasetError, match=message):
        train(path)


def test_one_class(tmp_path):
    with pytest.raises(DatasetError, match="expected at least 2 classes, found only 'a'"):
        train(corpus(tmp_path / "x.zip", classes=("a",)))


def test_no_classes(tmp_path):
    (tmp_path / "x.png").write_bytes(picture(0, np.random.Generator(np.random.PCG64(0))))
    with pytest.raises(DatasetError, match="found 1 without a class"):
        train(tmp_path)
    (tmp_path / "x.png").unlink()
    with pytest.raises(DatasetError, match="expected PNG or JPEG pictures, found none"):
        train(tmp_path)
    with pytest.raises(FileNotFoundError):
        train(tmp_path / "none.zip")


def test_two_configurations(tmp_path):
    path = corpus(tmp_path / "x.zip", metadata=False)
    rng = np.random.Generator(np.random.PCG64(0))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b/other.png", picture(1, rng, {**CONFIG, "window_ms": 25.0}))
    with pytest.raises(ConfigMismatchError, match=r"b/other\.png: .* window_ms=50\.0, found 25\.0"):
        train(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "auc"},
        {"cv": "patient"},
        {"class_weight": "even"},
        {"augment": -1},
        {"augment": 101},
        {"augment": 1, "embed": "network.onnx"},
        {"time_budget": 0},
        {"time_budget": float("nan")},
        {"trials": 0},
        {"folds": 1},
        {"repeats": 0},
        {"repeats": 1001},
        {"seed": -1},
        {"seed": 2**31 - 1},
        {"jobs": 0},
    ],
)
def test_arguments(source, wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: expected .*, found"):
        train(source, **wrong)


def test_ctrl_c_ends_it_within_a_second(source, tmp_path):
    script = (
        "import signal, sys\nfrom heartfast.stages.train import train\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # nohup ignores it
        "train(sys.argv[1], sys.argv[2], trials=20000, folds=3, jobs=2,"
        " progress=lambda p: print(p.done, flush=True))\n"
    )
    command = [sys.executable, "-c", script, str(source), str(tmp_path / "m")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line == b"108\n":  # all features are there; the studies that follow take hours
                break
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        start = time.perf_counter()
        _, errors = process.communicate(timeout=20)
        assert time.perf_counter() - start < 2
    finally:
        process.kill()
        process.communicate()
    assert b"KeyboardInterrupt" in errors
    assert not (tmp_path / "m").exists()
