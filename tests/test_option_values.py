"""Whatever an option's value is, a command ends with an exit code and one line that says why."""

from __future__ import annotations

import io
import os
import random
import sys
from pathlib import Path

import pytest

import heartfast
from heartfast.cli import main
from heartfast.options import make_parser

RUNS = int(os.environ.get("HEARTFAST_FUZZ", "200"))
# What users, shells and programs write by mistake, and others on purpose.
ODD = [
    "", " ", "0", "-0", "-1", "1", "2", "10", "2.5", "1e400", "inf", "-inf", "nan", "1e-320",
    "1e18", "9" * 20, "-" + "9" * 20, "9" * 5000, "18446744073709551616", "4294967296", "0x10",
    "1_0", "\u0661\u0662", "a\0b", "\ud800", "\udc80", "\u00e9", "e\u0301", "\n", "\t", "\u202e",
    "\x1b[31m", "%s%n", "{}", "'", '"', "1,2", "1,", ",", "1,2,3", "nan,nan", "inf,1", "-5,5",
    "1e9,1e9", "9" * 20 + ",1", "1x1", "0x0", "-1x5", "99999x99999", "9" * 20 + "x1", "x", "=",
    "a=1", "a:b=1", "normal=2", "normal=nan", "normal:murmur=-1", "max_channels=0",
    "max_channels=-1", "max_channels=" + "9" * 30, "max_channels=4294967296", "max_duration_s=nan",
    "max_duration_s=-1", "max_image_pixels=1", "max_archive_ratio=inf", "../..", ".", "..", "-",
    "/dev/null", "/dev/full", "*", "[", "(", "(a)", "(?P<x>", "((((", "(" * 200 + ")" * 200,
    "s3://k:e/y@b", "http://a/b?c=d", "ray://x", "1/0", "1/2", "0/1", "2/1", "s", "5m", "-5s",
    "nans", "infh", "1e300s", "none", "folders", "max", "mix", "each", "left", "viridis", "hann",
    "db", "a" * 300, "a/" * 300,
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory, with_few_candidates) -> Path:
    root = tmp_path_factory.mktemp("values")
    heartfast.synth.write_corpus(root / "wav", patients=16, recordings=1, duration_s=(0.3, 0.4))
    heartfast.convert(root / "wav", root / "png", labels="folders")
    with with_few_candidates():
        heartfast.train(root / "png", root / "model", folds=2, repeats=1, trials=1)
    heartfast.pack(root / "png", root / "sets", test_size=0.4)
    heartfast.score(root / "model", root / "sets/test.zip", root / "scores.csv")
    return root


# What runs with each verb. Long work is refused at its end, for the sake of its output.
USUAL = {
    "convert": ["wav/normal", "-o", "OUT"],
    "merge": ["png"],
    "pack": ["png", "-o", "OUT"],
    "train": ["png", "-o", "wav"],
    "score": ["model", "png/normal", "-o", "OUT.csv"],
    "evaluate": ["scores.csv", "sets/test_actual.csv"],
    "audit": ["png"],
    "gallery": ["png"],
    "run": ["wav", "--labels", "folders", "-o", "png"],
    "demo": ["-o", "png"],
    "info": ["model"],
}


def odd_command(chance: random.Random, number: int) -> list[str]:
    """A usual command in which some values are odd ones."""
    verb = chance.choice(list(USUAL))
    actions = make_parser().verbs.choices[verb]._actions
    long = verb in ("train", "run", "demo")  # refused by their output, which stays
    options = [
        action
        for action in actions
        if action.option_strings and not (long and action.dest == "out")
    ]
    words = [word.replace("OUT", f"out{number}") for word in USUAL[verb]]
    for action in chance.sample(options, chance.choice([1, 1, 1, 2, 3])):
        name = chance.choice(action.option_strings)
        if name in ("-h", "--help", "-V", "--version"):
            continue
        if action.nargs == 0:
            words.append(name)
        elif name.startswith("--") and chance.random() < 0.7:
            words.append(f"{name}={chance.choice(ODD)}")
        else:
            words += [name, chance.choice(ODD)]
    if not long and chance.random() < 0.15:
        words[chance.randrange(len(words))] = chance.choice(ODD)
    return [verb, *words]


def test_odd_values(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    for number in range(RUNS):
        chance = random.Random(number)  # noqa: S311
        command = odd_command(chance, number)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        code = main(command)
        said = capsys.readouterr().err
        assert code in (0, 1, 2, 3), (number, command, said)
        assert "internal error" not in said, (number, command, said)
        assert "Traceback" not in said, (number, command, said)
        if code in (1, 2):
            last = said.rstrip("\n").split("\n")[-1]
            assert last.startswith("heartfast"), (number, command, said)


ODD_CASES = [
    ("--blur 10", "--blur: expected two numbers with a comma between, as 20,10, found '10'"),
    ("--sharpen 10", "--sharpen: expected two numbers with a comma between"),
    ("--blur 10,20,30", "--blur: expected two numbers"),
    ("--median 5", "--median: expected two odd numbers with a comma between, as 5,3, found '5'"),
    ("--sr 99999999999999999999", "--sr: expected a whole number of at most 64 bits"),
    ("--channel 99999999999999999999", "channel: expected mix, left, right, each or a number"),
    ("--max-errors 99999999999999999999", "--max-errors: expected a whole number"),
    ("--limit max_channels=5000000000", "max_channels: expected a whole number from 1 to"),
    ("--limit max_channels=-1", "max_channels: expected a whole number from 1 to"),
    ("--limit nothing=1", "--limit: expected NAME=N with a name of max_channels"),
    ("--to exe", "--to: expected one of dir, zip, tar, parquet, found 'exe'"),
    ("--figure --blur 10", "--blur: expected two numbers"),
    ("--overlpa 75", "unknown option --overlpa: did you mean --overlap?"),
    ("--overlpa=75", "unknown option --overlpa: did you mean --overlap?"),
    ("-overlap 75", "unknown option -overlap: did you mean --overlap?"),
    ("--over 75", "unknown option --over"),
    ("--zzzzqqqq", "unknown option --zzzzqqqq; heartfast convert --help lists them"),
    ("--overlap", "--overlap: expected one argument"),
    ("--sr x", "--sr: expected a whole number of at most 64 bits, found 'x'"),
    ("--start -1e5", "start: expected"),
    ("--start abc", "--start: expected a number, found 'abc'"),
    ("--max-errors nan", "--max-errors: expected a whole number"),
]


@pytest.mark.parametrize(("words", "message"), ODD_CASES)
def test_usage_errors_are_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    heartfast.synth.write_wav("a.wav", *heartfast.synth.heart_sound(duration_s=0.3))
    assert main(["convert", "a.wav", "-o", "out", *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("heartfast convert: ")
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("convrt a.wav -o out", "heartfast: unknown verb convrt: did you mean convert?"),
        ("--verzion", "heartfast: unknown option --verzion: did you mean --version?"),
        ("pack a", "heartfast pack: expected -o/--out, found none"),
        ("pack a b -o c", "heartfast pack: expected no further argument, found b"),
        ("pack a --ot c", "heartfast pack: unknown option --ot: did you mean --out?"),
    ],
)
def test_typos(capsys, command, message):
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_a_value_may_look_like_an_option_where_it_can(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heartfast.synth.write_wav("-a.wav", *heartfast.synth.heart_sound(duration_s=0.3))
    assert main(["convert", "-o", "out", "--", "-a.wav"]) == 0
    assert main(["convert", "./-a.wav", "-o", "o2", "--figure", "--title=--over"]) == 0


def test_version_quiet_and_verbose_exist_on_every_verb(capsys):
    for verb, parser in make_parser().verbs.choices.items():
        names = set(parser._option_string_actions)
        assert {"-V", "--version", "-q", "--quiet", "-v", "--verbose"} <= names
        with pytest.raises(SystemExit) as ended:
            main([verb, "-V"])
        assert ended.value.code == 0
        assert capsys.readouterr().out == f"heartfast {heartfast.__version__}\n"


def test_quiet_and_verbose(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    heartfast.synth.write_wav("in/a.wav", *heartfast.synth.heart_sound(duration_s=0.3))
    for number in range(25):
        Path(f"in/bad{number}.wav").write_bytes(b"")
    said = {}
    for flag in ("", "-q", "-v"):
        assert main(["convert", "in", "-o", f"out{flag}", *flag.split()]) == 3
        said[flag] = capsys.readouterr().err.splitlines()
    before = ["-v", "convert", "in", "-o", "out2"]
    assert main(before) == 3
    assert sum(map(is_failed, capsys.readouterr().err.splitlines())) == 25
    assert [sum(map(is_failed, lines)) for lines in said.values()] == [21, 21, 25]
    assert any("1 pictures in" in line for line in said[""])
    assert not any("1 pictures in" in line for line in said["-q"])


def is_failed(line: str) -> bool:
    return line.startswith("failed: ")


def test_a_defect_is_told_apart(monkeypatch, capsys):
    from heartfast import cli

    def broken(_: object) -> int:
        raise ValueError("a\nmistake\x1b[31m of ours")

    monkeypatch.setitem(cli._VERBS, "info", broken)
    assert main(["info"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "heartfast info: internal error, please report it: ValueError: a mistake"
    )
    assert (said.count("\n"), said.count("\x1b")) == (1, 0)
    assert main(["info", "-v"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):\n")
    assert "in broken" in said

    class PanicException(BaseException):
        pass

    def panics(_: object) -> int:
        raise PanicException("called `Option::unwrap()` on a `None` value")

    monkeypatch.setitem(cli._VERBS, "info", panics)
    assert main(["info"]) == 1
    assert "please report it: PanicException: called" in capsys.readouterr().err


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch, capsys):
    import time

    from heartfast import console
    from heartfast.progress import Progress

    monkeypatch.setattr(console, "EVERY_S", 0.2)
    monkeypatch.setattr(console, "quiet", False)
    with console.progress_bars() as report:
        time.sleep(0.3)
        report(Progress("train", 3, 40, 1))
        time.sleep(0.5)  # nothing is reported, and yet there is a line
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0 s: at work"
    assert lines[1:]
    assert {line.partition(": ")[2] for line in lines[1:]} == {"train: 3 of 40, 1 failed"}
    time.sleep(0.3)
    assert capsys.readouterr().err == ""
