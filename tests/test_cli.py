"""The command line as a user meets it: real processes, exit codes, streams."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from heartfast import synth
from heartfast.options import make_parser

HEARTFAST = Path(sys.executable).parent / "heartfast"
PACKED = ("train.zip", "test.zip", "test_actual.csv", "test_metadata.csv")
QUICK = ("--folds", "2", "--repeats", "1", "--trials", "1")
VERBS = (
    "convert",
    "pack",
    "train",
    "score",
    "evaluate",
    "audit",
    "gallery",
    "run",
    "demo",
    "bench",
    "info",
)


def heartfast(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(HEARTFAST), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "recordings"
    synth.write_corpus(folder, patients=60, recordings=1, duration_s=(2.0, 3.0), unlabelled=2)
    return folder


@pytest.fixture(scope="module")
def finished(recordings: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run of all stages, by the `run` verb."""
    out = recordings.parent / "run"
    labels = recordings / "labels.csv"
    return out, heartfast("run", recordings, "--labels", labels, "-o", out, "--json", *QUICK)


def test_help_has_every_verb_and_every_verb_an_example() -> None:
    listing = heartfast("--help").stdout
    for verb in VERBS:
        assert re.search(rf"^\s+{verb}\s+\w", listing, re.MULTILINE)
        text = heartfast(verb, "--help").stdout
        example = text[text.index("example:") :].splitlines()[1].strip()
        name, *arguments = shlex.split(example)
        assert name == "heartfast"
        # The example is one that the parser takes.
        assert make_parser().parse_args(arguments).verb == verb


def test_help_and_convert_load_no_numpy(recordings: Path, tmp_path: Path) -> None:
    code = "import sys; from heartfast.cli import main; main(sys.argv[1:]); "
    code += "print(sorted({'numpy', 'rich', 'sklearn', 'PIL', 'jinja2'} & sys.modules.keys()))"
    command = [sys.executable, "-c", code, "convert", recordings, "-o", tmp_path / "out"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_without_a_verb_it_shows_help_and_fails() -> None:
    ran = heartfast()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "convert" in ran.stderr


def test_version() -> None:
    ran = heartfast("--version")
    cargo = (Path(__file__).parent.parent / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.+)"', cargo, re.MULTILINE)[1]
    assert (ran.returncode, ran.stdout) == (0, f"heartfast {version}\n")


def test_info_is_json_on_request() -> None:
    info = json.loads(heartfast("info", "--json").stdout)
    assert info["profile"] == "release"
    assert info["threads"] >= 1
    assert "threads" in heartfast("info").stdout


def test_stages_by_hand_give_the_bytes_of_run(
    recordings: Path, finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    out, ran = finished
    assert ran.returncode == 0, ran.stderr
    labels = recordings / "labels.csv"
    steps = (
        f"convert {recordings} -o images --labels {labels} --jobs 1",
        "pack images -o sets --jobs 1",
        f"train sets/train.zip -o model.heartfast --jobs 1 {' '.join(QUICK)}",
        "score model.heartfast sets/test.zip -o scores.csv",
        "score model.heartfast images/unlabelled -o unlabelled_scores.csv --columns full",
        "evaluate scores.csv sets/test_actual.csv --html report.html",
    )
    for step in steps:
        ran = heartfast(*shlex.split(step), cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
    made = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert Path("images/metadata.csv") in made
    for name in made:
        if name.suffix != ".html":
            by_hand = tmp_path / ("sets" if name.name in PACKED else "") / name
            assert by_hand.read_bytes() == (out / name).read_bytes(), name
    assert "Right and wrong on the test set" in (tmp_path / "report.html").read_text()


def test_scores_are_in_the_order_of_the_test_zip(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, _ = finished
    with open(out / "scores.csv", newline="") as file:
        scores = list(csv.DictReader(file))
    with open(out / "test_actual.csv", newline="") as file:
        actual = list(csv.reader(file))
    classes = ["extrasystole", "murmur", "normal"]
    assert list(scores[0]) == ["row_id", *(f"Prediction.{name}" for name in classes)]
    assert actual[0] == ["row_id", *classes, "file_name"]
    assert [row["row_id"] for row in scores] == [row[0] for row in actual[1:]]
    names = [row[-1] for row in actual[1:]]
    assert names == sorted(names)
    for row in scores:
        assert sum(float(row[f"Prediction.{name}"]) for name in classes) == pytest.approx(
            1, abs=1e-9
        )


def test_scoring_recordings_equals_scoring_their_pictures(
    recordings: Path, finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    out, _ = finished
    folder = recordings / "unlabelled"
    ran = heartfast("score", out / "model.heartfast", folder, "-o", tmp_path / "scores.csv")
    assert ran.returncode == 0, ran.stderr
    with open(out / "unlabelled_scores.csv", newline="") as file:
        full = [row[:4] for row in csv.reader(file)]
    with open(tmp_path / "scores.csv", newline="") as file:
        assert list(csv.reader(file)) == full


def test_one_bad_recording_leaves_the_others(recordings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good = sorted((recordings / "normal").glob("*.wav"))[:3]
    for path in good:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "bad.wav").write_bytes(b"RIFF....not a sound")
    ran = heartfast("convert", folder, "-o", tmp_path / "out")
    assert ran.returncode == 3
    assert "bad.wav" in ran.stderr
    assert ran.stdout == ""
    (line,) = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    assert json.loads(line)["path"].endswith("bad.wav")
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_only_bad_recordings_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"")
    ran = heartfast("convert", tmp_path / "bad.wav", "-o", tmp_path / "out")
    assert ran.returncode == 1
    assert "an empty file" in ran.stderr


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("convert missing -o out", 1, "missing: expected a recording or a folder"),
        ("convert empty -o out", 1, "empty: expected recordings"),
        ("convert wav -o full", 1, "full: expected a new or empty folder"),
        ("convert wav -o full/file", 1, "file"),
        ("convert wav -o out --labels nothing.csv", 1, "nothing.csv"),
        ("convert wav -o out --labels other.csv", 1, "other.csv: expected rows for"),
        ("convert wav -o out --labels headless.csv", 1, "expected the columns file_name and label"),
        ("convert wav -o out --overlap 100", 2, "overlap"),
        ("convert wav -o out --window-ms 0", 2, "window_ms"),
        ("convert wav -o out --colormap pink", 2, "colormap"),
        ("convert wav -o out --size 12", 2, "HEIGHTxWIDTH"),
        ("convert wav -o out --jobs 0", 2, "jobs"),
        ("convert wav", 2, "-o"),
        ("pack empty -o out", 1, "empty: expected pictures"),
        ("pack wav -o out --test-size 2", 2, "test_size"),
        ("train missing.zip -o out.heartfast", 1, "missing.zip"),
        ("train other.csv -o out.heartfast", 1, "other.csv"),
        ("score other.csv wav -o scores.csv", 1, "other.csv"),
        ("score missing.heartfast wav -o scores.csv", 1, "missing.heartfast"),
        ("evaluate other.csv other.csv", 1, "other.csv: expected a column per class"),
        ("train png -o out --time-budget 5", 2, "expected a number and s, m or h"),
        ("train png -o out --time-budget 0m", 2, "time_budget: expected seconds above 0"),
        ("train png -o out --cv patient", 2, "--cv"),
        ("nonsense", 2, "nonsense"),
    ],
)
def test_bad_input_is_one_line_and_the_right_exit_code(
    tmp_path: Path, command: str, code: int, words: str
) -> None:
    for folder in ("empty", "wav", "full"):
        (tmp_path / folder).mkdir()
    (tmp_path / "full/file").write_text("something")
    synth.write_wav(tmp_path / "wav/a.wav", *synth.heart_sound(duration_s=1.0))
    (tmp_path / "other.csv").write_text("file_name,label\nelsewhere.wav,normal\n")
    (tmp_path / "headless.csv").write_text("a,b\n1,2\n")
    ran = heartfast(*command.split(), cwd=tmp_path)
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("heartfast")
    assert words in last
    assert "Traceback" not in ran.stderr


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "evil\x1b[31m\n.wav").write_bytes(b"junk")
    ran = heartfast("convert", tmp_path, "-o", tmp_path / "out")
    assert "\x1b" not in ran.stderr
    assert "evil\\x1b[31m\\n.wav" in ran.stderr


def writes_to(stream: str, target: int, *arguments: object) -> tuple[int, str]:
    """Run the command line with a stream of this kind; exit code, and the other stream."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: target}
    command = [str(HEARTFAST), *map(str, arguments)]
    ran = subprocess.run(command, **streams, text=True, timeout=60)
    return ran.returncode, ran.stderr if stream == "stdout" else ran.stdout


@pytest.fixture
def mixed(recordings: Path, tmp_path: Path) -> Path:
    """One good recording and one bad."""
    (tmp_path / "mixed").mkdir()
    good = next((recordings / "normal").glob("*.wav"))
    (tmp_path / "mixed/good.wav").write_bytes(good.read_bytes())
    (tmp_path / "mixed/bad.wav").write_bytes(b"")
    return tmp_path / "mixed"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_who_has_gone_changes_no_exit_code(
    mixed: Path, tmp_path: Path, stream: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for number, arguments in enumerate((["info"], ["--help"], ["convert", mixed, "--json"])):
        convert = arguments[0] == "convert"
        out = ["-o", tmp_path / str(number)] if convert else []
        code, other = writes_to(stream, writer, *arguments, *out)
        assert code == (3 if convert else 0)
        assert "Traceback" not in other
        assert "Broken" not in other
    os.close(writer)


def test_a_full_disk_behind_standard_output(mixed: Path, tmp_path: Path) -> None:
    for arguments in (["info"], ["--help"], ["convert", mixed, "--json", "-o", tmp_path / "out"]):
        with open("/dev/full", "w") as full:
            code, errors = writes_to("stdout", full.fileno(), *arguments)
        assert code == 1
        assert errors.splitlines()[-1].endswith("standard output: No space left on device")
        assert "Traceback" not in errors


def test_closed_streams(mixed: Path, tmp_path: Path) -> None:
    command = (
        f"exec {shlex.quote(str(HEARTFAST))} convert {mixed} --json -o {tmp_path}/out >&- 2>&-"
    )
    assert subprocess.run(["bash", "-c", command], timeout=60).returncode == 3
    assert (tmp_path / "out/errors.jsonl").exists()


def test_a_full_disk_names_the_file_and_is_gone_on_from(mixed: Path, tmp_path: Path) -> None:
    # No file may have more than 8 KiB: the picture has not, but the tables.
    samples, sr = synth.heart_sound(duration_s=1.0)
    synth.write_wav(mixed / "good.wav", samples[: sr // 10], sr)
    for i in range(100):
        (mixed / f"bad{i}.wav").touch()
    command = f"ulimit -f 8; exec {shlex.quote(str(HEARTFAST))} convert {mixed} -o {tmp_path}/out"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"heartfast convert: {tmp_path}/out/manifest.jsonl: File too large\n"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["good.png", "manifest.jsonl"]
    # Once there is room, what failed is named.
    again = heartfast("convert", mixed, "-o", tmp_path / "out")
    assert again.returncode == 3
    errors = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    assert {json.loads(line)["path"] for line in errors} == {
        str(path) for path in mixed.glob("bad*.wav")
    }


def test_notes_are_written_once(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = finished
    ran = heartfast("evaluate", out / "scores.csv", out / "test_actual.csv")
    notes = [line for line in ran.stderr.splitlines() if "say little" in line]
    assert len(notes) == len(set(notes)) >= 1
    assert all(line.startswith("note: class ") for line in notes)
    assert "say little" not in ran.stdout
    as_json = json.loads(
        heartfast("evaluate", out / "scores.csv", out / "test_actual.csv", "--json").stdout
    )
    assert [f"note: {note}" for note in as_json["notes"]] == ran.stderr.splitlines()


def test_pack_says_what_it_could_not_read(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "in" / label).mkdir(parents=True)
        for i in range(4):
            (tmp_path / f"in/{label}/{i}.png").write_bytes(f"{label}{i}".encode())
    (tmp_path / "in/a/bad.png").symlink_to("nowhere")
    ran = heartfast("pack", "in", "-o", "out", "--jobs", "2", "--json", cwd=tmp_path)
    assert ran.returncode == 3
    ((name, message),) = json.loads(ran.stdout)["errors"]
    assert name == "a/bad.png"
    assert f"failed: a/bad.png: {message}" in ran.stderr.splitlines()


def test_progress_is_drawn_on_a_terminal_only(recordings: Path, tmp_path: Path) -> None:
    quiet = heartfast("convert", recordings, "-o", tmp_path / "quiet")
    assert "\x1b" not in quiet.stderr
    ours, theirs = pty.openpty()
    command = [HEARTFAST, "convert", recordings, "-o", tmp_path / "loud"]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"convert" in shown
    assert b"62/62" in shown
