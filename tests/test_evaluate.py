"""Evaluation joins by row_id, agrees with scikit-learn, and says which row does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from heartfast.errors import DatasetError
from heartfast.stages.evaluate import evaluate

CLASSES = ("extrasystole", "murmur", "normal")
N = 90
RNG = np.random.Generator(np.random.PCG64(0))
ACTUAL = RNG.choice(3, p=[0.15, 0.25, 0.6], size=N)
RAW = RNG.dirichlet(np.ones(3), size=N) + np.eye(3)[ACTUAL]
PROBABILITIES = RAW / RAW.sum(axis=1, keepdims=True)


def write(path, header, rows):
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def scores(path, order=None, classes=CLASSES, probabilities=PROBABILITIES):
    columns = [CLASSES.index(label) for label in classes]
    rows = [
        [i, *probabilities[i, columns].tolist()] for i in (range(N) if order is None else order)
    ]
    return write(path / "scores.csv", ["row_id", *(f"Prediction.{c}" for c in classes)], rows)


def truth(path, order=None):
    rows = [
        [i, *np.eye(3, dtype=int)[ACTUAL[i]], f"{i:03d}.png"]
        for i in (range(N) if order is None else order)
    ]
    return write(path / "test_actual.csv", ["row_id", *CLASSES, "file_name"], rows)


def groups(path, name="test_metadata.csv"):
    rows = [[f"{i:03d}.png", "", i // 3 if i >= 9 else ""] for i in range(N)]
    return write(path / name, ["file_name", "label", "group"], rows)


def test_figures_agree_with_scikit_learn(tmp_path):
    reports = []
    got = evaluate(scores(tmp_path), truth(tmp_path), progress=reports.append)
    predicted = PROBABILITIES.argmax(axis=1)
    precision, recall, f1, support = reference.precision_recall_fscore_support(ACTUAL, predicted)
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        np.testing.assert_allclose([e.value for e in got.per_class[name]], expected)
    assert got.support == support.tolist()
    assert (got.confusion == reference.confusion_matrix(ACTUAL, predicted)).all()
    expected = {
        "logloss": reference.log_loss(ACTUAL, PROBABILITIES),
        "accuracy": reference.accuracy_score(ACTUAL, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(ACTUAL, predicted),
        "macro_f1": reference.f1_score(ACTUAL, predicted, average="macro"),
    }
    for name, value in expected.items():
        assert got.overall[name].value == pytest.approx(value)
        assert got.overall[name].low <= value <= got.overall[name].high
    shares = np.bincount(ACTUAL) / N
    assert got.prior["logloss"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert got.prior["accuracy"] == pytest.approx(shares.max())
    assert reports[-1].done == N


def test_rows_and_classes_are_joined_by_name(tmp_path):
    plain = evaluate(scores(tmp_path), truth(tmp_path))
    order = RNG.permutation(N)
    shuffled = evaluate(
        scores(tmp_path, order, classes=CLASSES[::-1]), truth(tmp_path, order[::-1])
    )
    assert (shuffled.confusion == plain.confusion).all()
    assert shuffled.classes == CLASSES
    assert shuffled.overall["logloss"].value == pytest.approx(plain.overall["logloss"].value)


def test_groups_are_found_beside_the_truth_and_widen_the_intervals(tmp_path):
    alone = evaluate(scores(tmp_path), truth(tmp_path))
    assert alone.n_groups == N
    assert "no groups are known" in alone.notes[0]
    groups(tmp_path)
    grouped = evaluate(scores(tmp_path), truth(tmp_path))
    assert grouped.n_groups == 27 + 9  # nine recordings without a group are each their own
    assert not any("no groups are known" in note for note in grouped.notes)
    assert grouped.overall["logloss"].value == pytest.approx(alone.overall["logloss"].value)
    assert grouped.overall["logloss"][1:] != alone.overall["logloss"][1:]
    named = evaluate(scores(tmp_path), truth(tmp_path), groups=groups(tmp_path, "g.csv"))
    assert named.to_dict() == grouped.to_dict()


def test_the_same_recording_is_one_group(tmp_path):
    rows = [[f"{i:03d}.png", "", f"{i % 30:064x}"] for i in range(N)]
    write(tmp_path / "test_metadata.csv", ["file_name", "group", "sha256"], rows)
    got = evaluate(scores(tmp_path), truth(tmp_path))
    assert got.n_groups == 30
    assert "no groups are known" in got.notes[0]


def test_a_table_without_any_group_is_said(tmp_path):
    rows = [[f"{i:03d}.png", ""] for i in range(N)]
    write(tmp_path / "test_metadata.csv", ["file_name", "group"], rows)
    got = evaluate(scores(tmp_path), truth(tmp_path))
    assert got.n_groups == N
    assert "no groups are known" in got.notes[0]


def test_to_dict_is_json_with_everything(tmp_path):
    got = evaluate(scores(tmp_path), truth(tmp_path))
    fields = json.loads(json.dumps(got.to_dict(), allow_nan=False))
    assert fields["classes"] == list(CLASSES)
    assert fields["confusion"] == got.confusion.tolist()
    assert fields["overall"]["logloss"]["prior"] == got.prior["logloss"]
    assert [row["class"] for row in fields["per_class"]] == list(CLASSES)
    assert set(fields["per_class"][0]["f1"]) == {"value", "low", "high"}


def test_to_text_shows_the_tables(tmp_path):
    got = evaluate(scores(tmp_path), truth(tmp_path))
    text = got.to_text()
    assert text.startswith("90 recordings in 90 groups\n\nactual \\ predicted")
    for label, row in zip(CLASSES, got.confusion.tolist(), strict=True):
        assert any(line.split() == [label, *map(str, row)] for line in text.splitlines())
    value, low, high = got.overall["logloss"]
    expected = ["logloss", f"{value:.3f}", f"({low:.3f}-{high:.3f})", f"{got.prior['logloss']:.3f}"]
    assert expected in [line.split() for line in text.splitlines()]
    # The command line writes notes beside the tables.
    assert any("extrasystole" in note for note in got.notes)
    assert "say little" not in text
    assert text == evaluate(scores(tmp_path), truth(tmp_path)).to_text()


def test_a_class_without_recordings_is_undefined_not_zero(tmp_path):
    write(
        tmp_path / "t.csv",
        ["row_id", *CLASSES, "file_name"],
        [[0, 1, 0, 0, "a"], [1, 0, 0, 1, "b"]],
    )
    write(
        tmp_path / "s.csv",
        ["row_id", *(f"Prediction.{c}" for c in CLASSES)],
        [[0, 0.8, 0.1, 0.1], [1, 0.1, 0.2, 0.7]],
    )
    got = evaluate(tmp_path / "s.csv", tmp_path / "t.csv")
    assert got.per_class["recall"][1].value is None
    assert "undefined" in got.to_text()
    json.dumps(got.to_dict(), allow_nan=False)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("scores.csv", "row_id", "id", r"scores\.csv: expected .* row_id or group, found id, Pred"),
        ("scores.csv", "\n7,", "\n700,", r"scores\.csv: expected the rows of .*1 missing.* 7$"),
        ("scores.csv", "\n7,", "\n8,", r"scores\.csv: expected every row_id once"),
        ("scores.csv", "Prediction.murmur", "Prediction.click", r"classes extra.*found .*click"),
        ("scores.csv", "\n0,", "\n0,1", r"scores\.csv: expected .*sum to 1, found .*row_id 0$"),
        ("scores.csv", "\n0,", "\n0,-", r"scores\.csv: expected .*sum to 1, found .*row_id 0$"),
        (
            "scores.csv",
            "\n0,",
            "\n0,x",
            r"s\.csv, line 2: expected a finite number in .*extrasystole, found 'x0",
        ),
        ("scores.csv", "\n0,", "\n0,nan,", r"scores\.csv, line 2: expected 4 columns, found 5"),
        ("test_actual.csv", ",0,", ",2,", r"test_actual\.csv: expected one 1 and else 0"),
        ("test_actual.csv", ",murmur", ",normal", r"test_actual\.csv: expected different column"),
        ("test_metadata.csv", "000.png", "x.png", r"test_metadata\.csv: .*1 missing.*'000\.png'"),
        (
            "test_metadata.csv",
            "group",
            "grp",
            r"test_metadata\.csv: expected the column group, found file_name, label, grp",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, file, old, new, message):
    paths = scores(tmp_path), truth(tmp_path)
    groups(tmp_path)
    change(tmp_path / file, old, new)
    with pytest.raises(DatasetError, match=message) as caught:
        evaluate(*paths)
    assert "\n" not in str(caught.value)


def test_rows_only_in_the_scores(tmp_path):
    path = truth(tmp_path, range(N - 1))
    with pytest.raises(DatasetError, match=r"test_actual\.csv: expected the rows of .* row_id 89$"):
        evaluate(scores(tmp_path), path)


def test_empty_and_missing_files(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DatasetError, match=r"found an empty file"):
        evaluate(tmp_path / "empty.csv", truth(tmp_path))
    (tmp_path / "empty.csv").write_text("row_id\n")
    with pytest.raises(DatasetError, match=r"expected rows, found none"):
        evaluate(tmp_path / "empty.csv", truth(tmp_path))
    with pytest.raises(FileNotFoundError):
        evaluate(tmp_path / "none.csv", truth(tmp_path))
    for seed in (-1, 2**31):
        with pytest.raises(ValueError, match=rf"^seed: expected 0 to \d+, found {seed}$"):
            evaluate(scores(tmp_path), truth(tmp_path), seed=seed)


def with_decisions(path, decisions):
    rows = [[i, *PROBABILITIES[i].tolist(), d] for i, d in enumerate(decisions)]
    header = ["row_id", *(f"Prediction.{c}" for c in CLASSES), "Decision"]
    return write(path / "scores.csv", header, rows)


def test_decisions_are_what_was_predicted(tmp_path):
    decided = RNG.choice(3, size=N)
    refused = np.arange(N) % 9 == 4
    cells = ["" if no else CLASSES[d] for no, d in zip(refused, decided, strict=True)]
    got = evaluate(with_decisions(tmp_path, cells), truth(tmp_path))
    actual, predicted = ACTUAL[~refused], decided[~refused]
    assert (got.confusion == reference.confusion_matrix(actual, predicted)).all()
    assert (got.n_recordings, got.n_refused) == (N - refused.sum(), refused.sum())
    assert got.overall["accuracy"].value == pytest.approx((actual == predicted).mean())
    loss = reference.log_loss(actual, PROBABILITIES[~refused])
    assert got.overall["logloss"].value == pytest.approx(loss)
    assert [choice.name for choice in got.decided] == ["as decided", "most probable"]
    recalls = [
        reference.recall_score(actual, p, average=None)
        for p in (predicted, PROBABILITIES[~refused].argmax(axis=1))
    ]
    for choice, recall in zip(got.decided, recalls, strict=True):
        assert list(choice.sensitivity.values()) == pytest.approx(recall.tolist())
    text = got.to_text()
    assert f"{N - refused.sum()} recordings in" in text
    assert f"{refused.sum()} more refused" in text
    assert any(note.endswith(f"in no figure: {refused.sum()}") for note in got.notes)
    json.dumps(got.to_dict(), allow_nan=False)
    # The most probable class, decided, changes nothing.
    plain = evaluate(scores(tmp_path), truth(tmp_path))
    cells = [CLASSES[i] for i in PROBABILITIES.argmax(axis=1)]
    same = evaluate(with_decisions(tmp_path, cells), truth(tmp_path))
    assert same.to_dict()["overall"] == plain.to_dict()["overall"]
    assert plain.decided == []


def test_decisions_that_are_none(tmp_path):
    with pytest.raises(DatasetError, match=r"line 3: expected a Decision of .*, found 'murmer'"):
        evaluate(with_decisions(tmp_path, ["murmur", "murmer"] * (N // 2)), truth(tmp_path))
    with pytest.raises(DatasetError, match="expected decisions, found all rows refused"):
        evaluate(with_decisions(tmp_path, [""] * N), truth(tmp_path))


def test_operating_points_are_of_these_recordings(tmp_path):
    got = evaluate(scores(tmp_path), truth(tmp_path))
    for index, label in enumerate(CLASSES):
        curve = got.curves[label]
        for at, found, passed in zip(
            curve["threshold"], curve["sensitivity"], curve["specificity"], strict=True
        ):
            alarm = PROBABILITIES[:, index] >= at
            assert found == pytest.approx(reference.recall_score(index == ACTUAL, alarm))
            assert passed == pytest.approx(reference.recall_score(index != ACTUAL, ~alarm))
    lines = got.to_text().split("\n")
    start = next(i for i, line in enumerate(lines) if "threshold chosen on these" in line)
    assert [line.split()[0] for line in lines[start + 1 : start + 10 : 3]] == list(CLASSES)


def named_scores(path, names, probabilities=PROBABILITIES, ids=None):
    rows = [
        [i if ids is None else ids[i], *probabilities[i].tolist(), name]
        for i, name in enumerate(names)
    ]
    return write(path, ["row_id", *(f"Prediction.{c}" for c in CLASSES), "file_name"], rows)


PNGS = [f"{i:03d}.png" for i in range(N)]


def test_names_are_joined_where_both_tables_have_them(tmp_path):
    """By names and row_id, they must say the same; the order does not matter."""
    plain = evaluate(scores(tmp_path), truth(tmp_path))
    named = evaluate(named_scores(tmp_path / "n.csv", PNGS), truth(tmp_path))
    assert (named.confusion == plain.confusion).all()
    # As macOS composes letters, and as the recordings of the pictures are called.
    for kind in (lambda name: f"u\u0308{name}", lambda name: f"deep/\u00fc{name[:-4]}.wav"):
        rows = [
            [i, *np.eye(3, dtype=int)[ACTUAL[i]], f"\u00fc{name}"] for i, name in enumerate(PNGS)
        ]
        path = write(tmp_path / "t.csv", ["row_id", *CLASSES, "file_name"], rows[::-1])
        got = evaluate(named_scores(tmp_path / "n.csv", map(kind, PNGS)), path)
        assert (got.confusion == plain.confusion).all()


@pytest.mark.parametrize(
    ("names", "ids", "message"),
    [
        ([f"x{name}" for name in PNGS], None,
         r"test_actual\.csv, line 2: expected the file_name that row_id 0 has .*'x000\.png'.*'0"),
        (PNGS[:5] + [f"x{name}" for name in PNGS[5:]], None, r"line 7: .*row_id 5 has"),
        (PNGS, [1, 0, *range(2, N)], r"t_actual\.csv, line 2: expected the row_id that '000\.png'"),
        ([PNGS[0], *PNGS[:-1]], None, r"n\.csv: expected every file_name once.*'000\.png' repea"),
    ],
    ids=["all", "most", "row_id", "twice"],
)  # fmt: skip
def test_names_that_contradict_row_id(tmp_path, names, ids, message):
    with pytest.raises(DatasetError, match=message) as caught:
        evaluate(named_scores(tmp_path / "n.csv", names, ids=ids), truth(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_table_of_labels_is_a_truth(tmp_path):
    plain = evaluate(scores(tmp_path), truth(tmp_path))
    rows = [[name, CLASSES[ACTUAL[i]]] for i, name in enumerate(PNGS)]
    path = write(tmp_path / "labels.csv", ["file_name", "label"], rows[::-1])
    named = named_scores(tmp_path / "n.csv", PNGS)
    got = evaluate(named, path)
    assert (got.confusion == plain.confusion).all()
    assert got.overall["logloss"].value == pytest.approx(plain.overall["logloss"].value)
    # Groups stand in it, too, and intervals resample them.
    rows = [[*row, f"p{i // 3}"] for i, row in enumerate(rows)]
    assert evaluate(named, write(path, ["file_name", "label", "group"], rows)).n_groups == N // 3
    # By row_id, where it has no names.
    rows = [[i, CLASSES[ACTUAL[i]]] for i in range(N)]
    got = evaluate(scores(tmp_path), write(path, ["row_id", "label"], rows))
    assert (got.confusion == plain.confusion).all()
    with pytest.raises(
        DatasetError, match=r"expected the column row_id as in .*score --columns full"
    ):
        evaluate(scores(tmp_path), write(path, ["file_name", "label"], [["000.png", "normal"]] * 2))


def test_rows_without_a_partner_are_left_out_and_counted(tmp_path):
    rows = [[name, CLASSES[ACTUAL[i]]] for i, name in enumerate(PNGS)][:-10]
    rows += [["other.png", "normal"], ["none.png", "NA"], rows[0]]
    path = write(tmp_path / "labels.csv", ["file_name", "label"], rows)
    got = evaluate(named_scores(tmp_path / "n.csv", PNGS), path)
    expected = reference.confusion_matrix(ACTUAL[:-10], PROBABILITIES[:-10].argmax(axis=1))
    assert (got.confusion == expected).all()
    counted = {note.rpartition("/")[2] for note in got.notes if "left out" in note}
    assert counted == {
        "labels.csv: rows without a label, left out: 1",
        "labels.csv: rows that are there twice, left out: 1",
        "labels.csv: rows without scores, left out: 1",
        "n.csv: rows without a label, left out: 10",
    }
    for row, message in (
        (["001.png", "murmer"], r"line 2: expected a label of the scores' classes .*'murmer'"),
        ([PNGS[1], CLASSES[(ACTUAL[1] + 1) % 3]], r"expected one label for '001\.png', found"),
    ):
        write(path, ["file_name", "label"], [row, *rows])
        with pytest.raises(DatasetError, match=message):
            evaluate(named_scores(tmp_path / "n.csv", PNGS), path)


def test_patients_against_a_table_of_labels(tmp_path):
    """The table may have more patients than were scored."""
    rows = [["p0", 0.7, 0.1, 0.2], ["p1", 0.1, 0.2, 0.7], ["p2", 0.1, 0.2, 0.7]]
    write(tmp_path / "s.csv", ["group", *(f"Prediction.{c}" for c in CLASSES)], rows)
    labels = [
        [f"{i}.wav", CLASSES[0] if group == "p0" else CLASSES[2], group]
        for i, group in enumerate(["p0", "p0", "p1", "p9", "p2"])
    ]
    write(tmp_path / "labels.csv", ["file_name", "label", "group"], labels)
    got = evaluate(tmp_path / "s.csv", tmp_path / "labels.csv")
    assert got.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 2]]
    assert any("groups that" in note and note.endswith("left out: 1") for note in got.notes)


def test_tables_of_spreadsheets_are_read_and_said(tmp_path):
    plain = evaluate(scores(tmp_path), truth(tmp_path))
    for name in ("scores.csv", "test_actual.csv"):
        text = (tmp_path / name).read_text()
        semicolons = text.replace(",", ";").replace("0.", "0,").replace(",png", ".png")
        (tmp_path / name).write_text(semicolons, encoding="utf-16")
    got = evaluate(tmp_path / "scores.csv", tmp_path / "test_actual.csv")
    assert got.to_dict()["overall"] == plain.to_dict()["overall"]
    assert [note.rpartition("/")[2] for note in got.notes[:2]] == [
        "test_actual.csv: read as semicolon-separated, UTF-16",
        "scores.csv: read as semicolon-separated, UTF-16, decimal commas",
    ]
