"""Planted leaks are found by name, and clean recordings raise no alarm."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

import heartfast
from heartfast.cli import main
from heartfast.giveaways import area_with_interval
from heartfast.stages.audit import Audit, audit, write_audit


def corpus(folder: Path, seed: int = 0, **options: int) -> Path:
    heartfast.synth.write_corpus(folder, patients=40, recordings=2, seed=seed, **options)
    return folder


def audited(wavs: Path, out: Path) -> Audit:
    return audit(heartfast.convert(wavs, out, labels=wavs / "labels.csv").out)


def of(result: Audit, check: str) -> tuple[str, str]:
    """Level and words of the finding of this name."""
    (found,) = [finding for finding in result.findings if finding.check == check]
    return found.level, " ".join([found.text, *found.evidence])


def recordings(folder: Path, label: str) -> list[Path]:
    lines = (folder / "labels.csv").read_text().splitlines()[1:]
    names = {line.split(",")[0] for line in lines if line.split(",")[1] == label}
    return sorted(p for p in folder.rglob("*.wav") if p.relative_to(folder).as_posix() in names)


@pytest.mark.parametrize("patients", [4, 8, 12, 40])
@pytest.mark.parametrize("seed", range(3))
def test_clean_recordings_raise_no_alarm(seed: int, patients: int, tmp_path: Path) -> None:
    heartfast.synth.write_corpus(tmp_path / "wav", patients=patients, recordings=2, seed=seed)
    result = audited(tmp_path / "wav", tmp_path / "png")
    assert result.count("red") == 0, result.to_text()
    assert of(result, "copies")[0] == "green"
    assert of(result, "level")[0] == "green"
    assert of(result, "duration")[0] == "green"


def change(paths: list[Path], how) -> None:
    for path in paths:
        y, sr = soundfile.read(path)
        soundfile.write(path, np.clip(how(y), -1, 1), sr, subtype="PCM_16")


def test_a_class_recorded_at_another_level_is_found(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    change(recordings(folder, "murmur"), lambda y: 0.4 * y)
    # One recording that cannot be heard any more hides nothing.
    pictures = heartfast.convert(folder, tmp_path / "png", labels=folder / "labels.csv").out
    recordings(folder, "normal")[0].unlink()
    level, text = of(audit(pictures), "level")
    assert level == "red"
    assert 'whether a recording is of class "murmur"' in text
    assert "known of 79 of 80 recordings" in text
    heartfast.pack(pictures, tmp_path / "sets")
    assert of(audit(tmp_path / "sets", images=pictures), "level")[0] == "red"
    assert not any(finding.check == "level" for finding in audit(tmp_path / "sets").findings)


def test_the_order_of_recordings_is_found(tmp_path: Path) -> None:
    # Two recordings a patient in one second; all with a murmur came last.
    folder = corpus(tmp_path / "wav")
    lines = (folder / "labels.csv").read_text().splitlines()
    rows = sorted((line.split(",") for line in lines[1:]), key=lambda row: row[1] == "murmur")
    patients = list(dict.fromkeys(row[2] for row in rows))
    for number, row in enumerate(rows):
        name = f"{row[1]}_{1_300_000_000 + patients.index(row[2])}_{number % 2}.wav"
        (folder / row[0]).rename(folder / name)
        row[0] = name
    (folder / "labels.csv").write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")
    level, text = of(audited(folder, tmp_path / "png"), "order")
    assert level == "red"
    assert "murmur" in text


def test_a_class_of_longer_recordings_is_found(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    change(recordings(folder, "extrasystole"), lambda y: np.concatenate([y, y]))
    level, text = of(audited(folder, tmp_path / "png"), "duration")
    assert level == "red"
    assert 'whether a recording is of class "extrasystole"' in text


def test_a_class_of_clipped_recordings_is_found(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    change(recordings(folder, "murmur"), lambda y: 6 * y / np.abs(y).max())
    assert of(audited(folder, tmp_path / "png"), "clipping")[0] == "red"


def test_a_source_of_one_class_is_found(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    lines = (folder / "labels.csv").read_text().splitlines()
    header, rows = lines[0].split(","), [line.split(",") for line in lines[1:]]
    for number, row in enumerate(rows):
        other = row[1] == "murmur" or number % 5 == 0
        row[header.index("source")] = "clinic b" if other else "clinic a"
    (folder / "labels.csv").write_text("\n".join(map(",".join, [header, *rows])) + "\n")
    level, text = of(audited(folder, tmp_path / "png"), "source")
    assert level == "red"
    assert 'whether a recording is of class "murmur"' in text


@pytest.mark.parametrize("how", ["noise", "gain", "bytes"])
def test_copies_across_the_split_are_found_by_name(how: str, tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    pictures = heartfast.convert(folder, tmp_path / "png", labels=folder / "labels.csv").out
    heartfast.pack(pictures, tmp_path / "sets")
    assert of(audit(tmp_path / "sets"), "groups")[0] == "green"
    # The recordings of the test set come into the training set, changed, as of other patients.
    rows = (tmp_path / "sets/test_metadata.csv").read_text().splitlines()[1:4]
    lines = (folder / "labels.csv").read_text().splitlines()
    header = lines[0].split(",")
    for number, row in enumerate(rows):
        stem = Path(row.split(",")[0]).stem
        path = next(folder.rglob(f"{stem}.wav"))
        y, sr = soundfile.read(path)
        noise = np.random.default_rng(number).standard_normal(len(y)) * np.sqrt(np.mean(y**2)) / 10
        changed = {"noise": y + noise, "gain": 0.5 * y, "bytes": y}[how]
        name = f"copy_{number}.wav"
        soundfile.write(folder / name, np.clip(changed, -1, 1), sr, subtype="PCM_16")
        if how == "bytes":
            shutil.copy(path, folder / name)
        old = next(line.split(",") for line in lines[1:] if stem in line)
        told = dict(zip(header, old, strict=True)) | {"file_name": name, "group": f"new {number}"}
        lines.append(",".join(told[column] for column in header))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    pictures = heartfast.convert(folder, tmp_path / "png2", labels=folder / "labels.csv").out
    heartfast.pack(pictures, tmp_path / "sets2", seed=3)
    text = audit(pictures)
    level, words = of(text, "copies")
    assert level == "amber"
    assert [f"copy_{number}.png" in words for number in range(3)] == [True] * 3
    # As the split would have it without looking.
    level, words = of(split_carelessly(tmp_path / "sets2", pictures), "copies across the split")
    assert level == "red"
    assert "copy_" in words


def split_carelessly(out: Path, pictures: str) -> Audit:
    """Audit a split in which the copies are on one side, all else on the other."""
    import csv
    import zipfile

    with open(Path(pictures) / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    sides = {"test": [r for r in rows if "copy_" in r["file_name"]]}
    sides["train"] = [r for r in rows if r not in sides["test"]]
    with zipfile.ZipFile(out / "train.zip", "w") as train:
        for row in sides["train"]:
            train.write(Path(pictures) / row["file_name"], row["file_name"])
        train.write(Path(pictures) / "metadata.csv", "other.csv")
        text = "\n".join([",".join(rows[0]), *(",".join(r.values()) for r in sides["train"])])
        train.writestr("metadata.csv", text + "\n")
    classes = sorted({row["label"] for row in rows})
    actual = [["row_id", *classes, "file_name"]]
    with zipfile.ZipFile(out / "test.zip", "w") as test:
        for number, row in enumerate(sides["test"]):
            name = Path(row["file_name"]).name
            test.write(Path(pictures) / row["file_name"], name)
            actual.append([str(number), *(str(int(row["label"] == c)) for c in classes), name])
            row["file_name"] = name
    (out / "test_actual.csv").write_text("\n".join(map(",".join, actual)) + "\n")
    text = "\n".join([",".join(rows[0]), *(",".join(r.values()) for r in sides["test"])])
    (out / "test_metadata.csv").write_text(text + "\n")
    return audit(out)


def test_patients_on_both_sides_are_found(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    pictures = heartfast.convert(folder, tmp_path / "png", labels=folder / "labels.csv").out
    heartfast.pack(pictures, tmp_path / "sets", groups=False)
    level, text = of(audit(tmp_path / "sets"), "groups")
    assert level == "red"
    metadata = (tmp_path / "sets/test_metadata.csv").read_text()
    assert any(line.removeprefix("group ") in metadata for line in text.split("heard. ")[1].split())


def test_copies_with_other_labels_contradict_each_other(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "wav")
    path = recordings(folder, "murmur")[0]
    shutil.copy(path, folder / "again.wav")
    with open(folder / "labels.csv", "a") as file:
        file.write("again.wav,normal,another,\n")
    level, text = of(audited(folder, tmp_path / "png"), "labels that contradict each other")
    assert level == "red"
    assert "again.png" in text
    assert path.stem in text


def test_areas_are_those_of_scikit_learn_with_a_naive_spread() -> None:
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(60), 3)
    positive = rng.random(180) < 0.3
    scores = rng.standard_normal(180) - positive
    area, low, high = area_with_interval(scores, positive, groups)
    assert area == pytest.approx(1 - roc_auc_score(positive, scores))
    draws = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(60, size=60)])
        draws.append(1 - roc_auc_score(positive[rows], scores[rows]))
    assert [low, high] == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.02)


def test_the_verb_prints_and_writes_a_page(tmp_path: Path, capsys) -> None:
    folder = corpus(tmp_path / "wav")
    pictures = heartfast.convert(folder, tmp_path / "png", labels=folder / "labels.csv").out
    assert main(["audit", pictures, "--html", str(tmp_path / "page.html"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = (tmp_path / "page.html").read_text()
    for finding in told["findings"]:
        assert finding["check"] in page
    assert main(["audit", str(tmp_path / "nothing")]) != 0
    assert "nothing" in capsys.readouterr().err


def test_names_are_text_on_the_page(tmp_path: Path) -> None:
    finding = heartfast.checks.Finding("red", "<b>", "<script>alert(1)</script>", ["<img src=x>"])
    write_audit(tmp_path / "page.html", Audit("<i>", [finding], 1, []))
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "<img" not in page


def test_pascal_patients_are_told_apart(shared_data: Path, tmp_path: Path) -> None:
    pictures = heartfast.convert(shared_data / "pascal/set_b", tmp_path / "png", labels="pascal")
    whole = audit(pictures.out)
    # Recordings of a patient, minutes apart, are hardly ever taken for copies.
    copies = [finding for finding in whole.findings if finding.check.startswith("copies")]
    assert all(finding.level != "red" for finding in copies)
    heartfast.pack(pictures.out, tmp_path / "careless", groups=False)
    assert of(audit(tmp_path / "careless"), "groups")[0] == "red"
    heartfast.pack(pictures.out, tmp_path / "sets")
    assert of(audit(tmp_path / "sets"), "groups")[0] == "green"


def test_what_was_joined_is_not_said_to_be_no_copy(tmp_path: Path) -> None:
    """One screen: pack joins copies, and the audit of what it wrote does not deny them."""
    folder = corpus(tmp_path / "wav")
    for path in recordings(folder, "normal")[:6]:
        shutil.copy(path, path.with_name(f"{path.stem}_again.wav"))
    lines = (folder / "labels.csv").read_text().splitlines()
    again = []
    for number, line in enumerate(lines[1:]):
        name, label, _, *rest = line.split(",")
        name = name.replace(".wav", "_again.wav")
        if (folder / name).is_file():
            again.append(",".join([name, label, f"q{number}", *rest]))
    assert len(again) == 6
    (folder / "labels.csv").write_text("\n".join(lines + again) + "\n")
    pictures = heartfast.convert(folder, tmp_path / "png", labels=folder / "labels.csv").out
    packed = heartfast.pack(pictures, tmp_path / "sets")
    assert any("12 recordings are copies of others or nearly so" in note for note in packed.notes)
    level, text = of(audit(tmp_path / "sets"), "copies")
    assert level == "green"
    assert text.startswith("12 of 86 recordings are copies of others, or nearly so.")
    # The test set has few of some class, however many there are on both sides together.
    level, text = of(audit(tmp_path / "sets"), "size")
    assert level == "amber"
    assert "in the test set" in text


def test_one_of_anything_is_singular() -> None:
    from heartfast.checks import Item, check_copies, check_groups, check_size

    items = [
        Item(f"{i}.png", "cat" if i else "dog", "p", "", "same", "train" if i else "test", {})
        for i in range(2)
    ]
    for finding in [check_groups(items), check_size(items), *check_copies(items, [])]:
        for text in (finding.text, *finding.evidence):
            assert not re.search(r"\b1 (recordings|groups|pairs|patients)\b", text), text
    (conflict,) = [f for f in check_copies(items, []) if f.check.startswith("labels")]
    assert conflict.evidence[0].endswith('the same bytes, but of class "dog" and of class "cat"')
