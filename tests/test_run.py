"""The whole path from Python, its report, and that it can be repeated."""

from __future__ import annotations

import base64
import csv
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

import heartfast
from heartfast.insights import MISTAKES
from resuming import HEARTFAST

QUICK = {"folds": 2, "repeats": 1, "trials": 1}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("run")
    heartfast.synth.write_corpus(folder / "wav", patients=60, recordings=1, duration_s=(2, 3))
    (folder / "wav/normal/<img src=x onerror=alert(1)>.wav").write_bytes(b"not a sound")
    stages = []
    result = heartfast.run(
        folder / "wav",
        folder / "out",
        labels="folders",
        **QUICK,
        progress=lambda p: stages.append(p.stage),
    )
    return folder, result, list(dict.fromkeys(stages))


def test_every_file_is_there_and_every_stage_reports(ran) -> None:
    folder, result, stages = ran
    names = "gallery.html images model.heartfast report.html scores.csv test.zip test_actual.csv "
    names += "test_metadata.csv train.zip"
    assert sorted(p.name for p in (folder / "out").iterdir()) == names.split()
    assert stages[0] == "convert"
    assert stages[-1] == "report"
    assert {"train.zip", "test.zip", "train"} <= set(stages)
    assert result.to_text().count("normal") >= 4
    assert len(result.conversion.errors) == 1


class Page(HTMLParser):
    """Collects what a report is made of, and that its elements are closed."""

    VOID = frozenset({"meta", "img", "br", "rect", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.sounds: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(values["src"])
            assert values["alt"]
        if values.get("data-sound"):
            self.sounds.append(values["data-sound"])
        self.addresses += [values[key] for key in ("src", "href") if key in values]
        assert not any(key.startswith("on") for key in values)

    def handle_endtag(self, tag) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_report_is_whole_self_contained_and_escaped(ran) -> None:
    folder, result, _ = ran
    text = Path(result.report).read_text()
    page = Page(text)
    assert page.open == []
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;.wav" in text
    # Nothing is fetched from anywhere; the gallery beside it is linked to.
    links = [address for address in page.addresses if not address.startswith("data:")]
    assert {link.partition("#")[0] for link in links} == {"gallery.html"}
    confusion, training = result.evaluation.confusion, result.training
    # To all of it and to what was explained; by cells, the worst mistakes and the map's marks.
    assert len(links) == 2 + (confusion > 0).sum() + MISTAKES + len(training.names)
    assert all(sound.startswith("data:audio/wav;base64,") for sound in page.sounds)
    assert not re.search(r"@import|url\(|https?://", text)
    made = {(folder / "out/images" / r.file_name).read_bytes() for r in result.conversion.records}
    shown = [base64.b64decode(address.partition(",")[2]) for address in page.pictures]
    assert sum(picture in made for picture in shown) == 9 + MISTAKES
    assert len(shown) == 9 + 2 * MISTAKES  # each mistake with what was looked at
    assert len(page.sounds) == 9
    for row in result.training.leaderboard:
        assert row.model in text
        assert f"{row.logloss:.3f}" in text


def test_a_repeated_run_gives_the_same_bytes(ran, tmp_path: Path) -> None:
    folder, _, _ = ran
    heartfast.run(folder / "wav", tmp_path / "again", labels="folders", **QUICK, jobs=1)
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and path.suffix != ".html":
            other = tmp_path / "again" / path.relative_to(folder / "out")
            assert other.read_bytes() == path.read_bytes(), path.name


def test_out_must_be_new(ran) -> None:
    folder, _, _ = ran
    with pytest.raises(FileExistsError, match="expected a new or empty folder"):
        heartfast.run(folder / "wav", folder / "out", labels="folders")


def run_command(folder: Path, out: Path, *options: str) -> list[str]:
    command = [HEARTFAST, "run", str(folder / "wav"), "-o", str(out), "--labels", "folders"]
    return [*command, "--folds", "2", "--repeats", "1", "--trials", "1", *options]


def test_killed_at_any_stage(ran, tmp_path: Path) -> None:
    """The same command goes on, and ends in the bytes of a run that was not stopped."""
    folder, _, _ = ran
    out = tmp_path / "out"
    # What there is when each kill comes: during convert, pack, train, score, and the last pages.
    stages = ["images/manifest.jsonl", "images/metadata.csv", "train.zip", "model.heartfast"]
    for seen in [*stages, "scores.csv"]:
        process = subprocess.Popen(run_command(folder, out), stderr=subprocess.DEVNULL)
        while not (out / seen).exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, seen
        assert (out / "run.json").exists()
        # As a killed process may leave it in the middle of writing.
        (out / f"train.zip.{seen[:1].encode().hex() * 4}.part").write_bytes(b"half")
    other = subprocess.run(
        run_command(folder, out, "--seed", "1"), capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert "seed 1 (there 0)" in other.stderr
    assert len(other.stderr.splitlines()) == 1
    ended = subprocess.run(run_command(folder, out), capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    undisturbed = {str(p.relative_to(folder / "out")) for p in (folder / "out").rglob("*")}
    assert {str(p.relative_to(out)) for p in out.rglob("*")} == undisturbed
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.suffix != ".html":
            expected = folder / "out" / path.relative_to(out)
            assert path.read_bytes() == expected.read_bytes(), path.name


def test_a_failed_run_does_not_block_the_next(ran, tmp_path: Path) -> None:
    folder, _, _ = ran
    out = tmp_path / "out"
    (tmp_path / "one" / "normal").mkdir(parents=True)
    for path in sorted((folder / "wav/normal").glob("*.wav"))[1:9]:
        shutil.copy(path, tmp_path / "one" / "normal")
    labels = tmp_path / "labels.csv"
    labels.write_text("file_name,label\nnobody.wav,x\n")
    failing = [
        (tmp_path / "one", {"labels": "none"}),  # no labels
        (tmp_path / "one", {"labels": labels}),  # of other recordings
        (tmp_path / "one", {"labels": "folders"}),  # one class
        (tmp_path / "none", {"labels": "folders"}),  # nothing there
        (folder / "wav", {"labels": "folders", "folds": 500}),  # too few recordings
        (folder / "wav", {"labels": "folders", "embed": tmp_path / "no.onnx"}),
    ]
    for source, options in failing:
        with pytest.raises((heartfast.DatasetError, OSError, ValueError)):
            heartfast.run(source, out, **options)
        assert not (out / "model.heartfast").exists()
    result = heartfast.run(folder / "wav", out, labels="folders", **QUICK)
    assert len(result.conversion.records) == 60
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and path.suffix != ".html":
            assert (out / path.relative_to(folder / "out")).read_bytes() == path.read_bytes()
    assert not (out / "run.json").exists()


def test_a_run_that_failed_at_once_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        heartfast.run(tmp_path / "none", tmp_path / "out", labels="folders")
    assert not (tmp_path / "out").exists()


def test_pascal_whole_path(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "pascal/set_b"
    result = heartfast.run(source, tmp_path / "out", labels="pascal", **QUICK)
    assert sum(row.recordings for sides in result.packing.table.values() for row in sides) == 461
    scored = (tmp_path / "out/unlabelled_scores.csv").read_text().splitlines()
    assert len(scored) == 1 + 195
    board = {row.model: row for row in result.training.leaderboard}
    # The prior of 320, 95 and 46 of 461 has a logloss of 0.81; a real model must beat it.
    assert board["class prior"].logloss == pytest.approx(0.81, abs=0.02)
    assert board[result.training.best].logloss < 0.7


def test_demo_writes_recordings_and_results(ran, tmp_path: Path) -> None:
    result = heartfast.demo(tmp_path / "demo")
    # Where no one was recorded, that comes first; and nowhere else.
    said = "synthetic: the figures are no clinical result."
    page = Path(result.report).read_text()
    assert page.count(said) == result.to_text().count(said) == 1
    assert page.index("</header>") < page.index(said) < page.index("names the right class for")
    assert said in result.to_text().splitlines()[0]
    assert result.to_dict()["synthetic"] is True
    _, other, _ = ran
    assert "synthetic" not in Path(other.report).read_text() + other.to_text()
    assert other.to_dict()["synthetic"] is False
    assert result.report == str(tmp_path / "demo/report.html")
    assert len(list((tmp_path / "demo/recordings").rglob("*.wav"))) == len(
        list((tmp_path / "demo/images").rglob("*.png"))
    )
    assert len(result.training.leaderboard) == 7


def test_folds_reach_the_training(tmp_path: Path) -> None:
    heartfast.synth.write_corpus(tmp_path / "wav", patients=18, recordings=1)
    with pytest.raises(heartfast.DatasetError, match="--folds"):
        heartfast.run(tmp_path / "wav", tmp_path / "five", labels="folders")
    result = heartfast.run(tmp_path / "wav", tmp_path / "two", labels="folders", **QUICK)
    assert result.training.bundle.training["folds"] == 2


def test_the_tables_by_position(ran) -> None:
    """As a script reads them that knows no names: columns 2 to 4, the largest in each row."""
    folder, result, _ = ran

    def largest(name: str) -> list[int]:
        with open(folder / "out" / name, newline="") as file:
            header, *rows = csv.reader(file)
        assert len(header) >= 4
        numbers = [[float(cell) for cell in row[1:4]] for row in rows]
        assert all(sum(row) == pytest.approx(1, abs=1e-9) for row in numbers)
        return [row.index(max(row)) for row in numbers]

    pairs = Counter(zip(largest("test_actual.csv"), largest("scores.csv"), strict=True))
    assert result.evaluation.confusion.shape == (3, 3)
    assert [[pairs[i, j] for j in range(3)] for i in range(3)] == (
        result.evaluation.confusion.tolist()
    )


R_SCRIPT = """
scores <- read.csv("scores.csv")
actual <- read.csv("test_actual.csv")
p <- scores[, 2:4]
a <- actual[, 2:4]
cat(dim(scores), dim(actual), "\\n")
cat(sapply(scores, is.numeric), sapply(a, is.numeric), "\\n")
cat(names(scores), names(actual), "\\n")
cat(range(rowSums(p)), range(rowSums(a)), "\\n")
cat(all(scores$row_id == actual$row_id), "\\n")
cat(table(factor(max.col(a), 1:3), factor(max.col(p), 1:3)), "\\n")
"""


def test_the_tables_in_r(ran, tool) -> None:
    rscript = tool("Rscript")
    folder, result, _ = ran
    command = [rscript, "--vanilla", "-e", R_SCRIPT]
    shown = subprocess.run(
        command, cwd=folder / "out", capture_output=True, text=True, check=True, timeout=60
    )
    sizes, numeric, names, sums, joined, table = map(str.split, shown.stdout.splitlines())
    n = str(result.evaluation.n_recordings)
    assert sizes == [n, "4", n, "5"]
    assert numeric == ["TRUE"] * 7
    classes = ["extrasystole", "murmur", "normal"]
    predictions = [f"Prediction.{name}" for name in classes]
    assert names == ["row_id", *predictions, "row_id", *classes, "file_name"]
    assert [float(value) for value in sums] == pytest.approx([1] * 4, abs=1e-9)
    assert joined == ["TRUE"]
    # R writes a table column by column.
    expected = heartfast.evaluate(folder / "out/scores.csv", folder / "out/test_actual.csv")
    assert [int(count) for count in table] == expected.confusion.T.ravel().tolist()
