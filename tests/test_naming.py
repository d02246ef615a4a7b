"""Groups from names: by a pattern, and proposed where the classes say so."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import heartfast
from heartfast.cli import main
from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.labels import read_labels
from heartfast.naming import (
    PROPOSAL,
    groups_by_pattern,
    permuted_pairs,
    propose_groups,
)
from heartfast.options import make_parser
from heartfast.recordings import find_recordings
from heartfast.stages.run import Run


def proposed(note: str) -> str:
    """The pattern that a note proposes."""
    return note.rpartition("--group-regex '")[2].removesuffix("'")


# A pattern.


def test_the_group_is_the_part_in_parentheses():
    names = ["normal/p1_a.wav", "normal/p1_b.wav", "murmur/p2.x_a.wav", "p3.flac"]
    assert groups_by_pattern(r"^(p\d)", names)[0] == ["p1", "p1", "p2", "p3"]
    assert groups_by_pattern(r"(.)_(?P<group>.)$", names)[0] == ["a", "b", "a", ""]
    # Without the extension; and with folders only where there is one in the pattern.
    assert groups_by_pattern(r"(wav|normal|p3)", names)[0] == ["", "", "", "p3"]
    assert groups_by_pattern(r"^([^/]*)/", names)[0] == ["normal", "normal", "murmur", ""]


def test_what_was_found_is_said():
    names = ["a1.wav", "a1x.wav", "b2.wav", "c.wav", "d.wav"]
    assert groups_by_pattern(r"(\d)", names)[1] == [
        r"--group-regex '(\d)': 2 groups, the largest '1' with 2 recordings",
        r"--group-regex '(\d)' does not match 2 names, each its own group (c.wav, ...)",
    ]
    assert groups_by_pattern(r"(\d|$)", names)[0] == ["1", "1", "2", "", ""]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", r"expected a regular expression, found '\(a' \(missing \), unterminated"),
        ("a" * 3 + r"\d", r"expected a part in parentheses that is the group, found none in 'aaa"),
        ("(?:a)", "expected a part in parentheses"),
        ("(a){99999999999999999999}", "expected a regular expression"),
    ],
)
def test_patterns_that_are_none(pattern, message):
    with pytest.raises(ValueError, match=f"^group_regex: {message}"):
        groups_by_pattern(pattern, ["a.wav"])


def test_a_pattern_that_matches_nothing():
    with pytest.raises(DatasetError) as caught:
        groups_by_pattern(r"x(\d+)", ["a1.wav", "b.wav"])
    assert str(caught.value) == (
        r"group_regex 'x(\d+)': expected it to match names, found none of 2 that it does, the "
        "first 'a1.wav'"
    )


# A proposal.


def brute(groups: list[int], classes: list[int]) -> tuple[float, float]:
    """Mean and variance of the agreeing pairs over every order of the classes."""
    of = [label for label, size in enumerate(classes) for _ in range(size)]
    edges = np.cumsum([0, *groups])
    counts = []
    for order in itertools.permutations(of):
        members = [order[a:b] for a, b in itertools.pairwise(edges)]
        counts.append(sum(x == y for part in members for x, y in itertools.combinations(part, 2)))
    return float(np.mean(counts)), float(np.var(counts))


@st.composite
def partitions(draw):
    n = draw(st.integers(4, 7))

    def cut():
        places = draw(st.sets(st.integers(1, n - 1), max_size=n - 1))
        edges = [0, *sorted(places), n]
        return [b - a for a, b in itertools.pairwise(edges)]

    return cut(), cut()


@given(partitions())
def test_chance_is_every_order_of_the_classes(sizes):
    assert permuted_pairs(*sizes) == pytest.approx(brute(*sizes), abs=1e-9)


def corpus(
    form: str, seed: int = 0, patients: int = 60, faithful: float = 0.9
) -> tuple[list[str], list[str], list[str]]:
    """Names, classes that mostly follow the patient, and patients."""
    rng = np.random.default_rng(seed)
    names, labels, groups = [], [], []
    for patient in range(patients):
        own = rng.choice(["normal", "murmur", "extra"], p=[0.5, 0.3, 0.2])
        for k in range(int(rng.integers(1, 7))):
            other = rng.choice(["normal", "murmur", "extra"])
            label = str(own if rng.random() < faithful else other)
            names.append(
                form.format(
                    p=patient + 100, label=label, k=k, time=int(rng.integers(1e12, 1e13)),
                    site=rng.choice(["A", "B", "C2", "D31"]), word=f"{patient * 7919 % 997:x}k",
                )
                + ".wav"
            )  # fmt: skip
            labels.append(label)
            groups.append(str(patient + 100))
    order = rng.permutation(len(names))
    return tuple([values[i] for i in order] for values in (names, labels, groups))


@pytest.mark.parametrize(
    "form",
    [
        "{label}__{p}_{time}_{site}",
        "{label}_noisy{label}_{p}_{time}_{site}",
        "{p}_{site}_{k}",
        "site{k}-P{p}-{time}",
        "rec {time} {p}",
        "{site}{k}_{word}_{p}",
        "{label}{k}_{word}",
        "{word}_{time}",
        "ward/{word}/{time}",
    ],
)
def test_the_patient_is_found_wherever_it_stands(form):
    names, labels, groups = corpus(form)
    note = propose_groups(names, labels)
    assert note.startswith(PROPOSAL)
    found, _ = groups_by_pattern(proposed(note), names)
    # The same partition, whatever the groups are called.
    assert len(set(zip(found, groups, strict=True))) == len(set(found)) == len(set(groups))


def test_the_evidence_is_counted_pair_by_pair():
    names, labels, groups = corpus("{p}_{time}")
    pairs = [
        labels[i] == labels[j]
        for i, j in itertools.combinations(range(len(names)), 2)
        if groups[i] == groups[j]
    ]
    sizes = [groups.count(group) for group in set(groups)]
    among = [label for label, g in zip(labels, groups, strict=True) if groups.count(g) > 1]
    chance = np.mean([x == y for x, y in itertools.combinations(among, 2)])
    note = propose_groups(names, labels)
    assert "the 1st number (1" in note
    assert f"has {len(sizes)} values in {len(names)} recordings, up to {max(sizes)} each" in note
    assert f"{np.mean(pairs):.0%} have the same class, by chance {chance:.0%} (p < 0.001)" in note


@pytest.mark.parametrize("form", ["{p}_{time}_{site}", "{label}__{p}_{k}", "{word}-{p}"])
def test_nothing_is_proposed_where_classes_do_not_follow_a_part(form):
    for seed in range(100):
        names, labels, _ = corpus(form, seed, faithful=0.0)
        assert propose_groups(names, labels) == ""


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ([], []),
        (["a1.wav"], ["a"]),
        ([f"p{i // 2}_{i % 2}.wav" for i in range(80)], ["same"] * 80),
        ([f"p{i // 2}_{i % 2}.wav" for i in range(80)], [""] * 80),
        # Twenty classes that are folders, and the first word of every name.
        ([f"bird{i % 20}/bird{i % 20}_{i}.wav" for i in range(400)],
         [f"bird{i % 20}" for i in range(400)]),
        # Two sites, one of which has most of a class; and days.
        ([f"{'ab'[i % 2]}_{i}.wav" for i in range(400)], ["xy"[i % 2] for i in range(400)]),
        # Yaseen: the numbers are the same in every class.
        ([f"{c}_New_3/New_{c}_{i:03d}.wav" for c in ("AS", "MR", "MS", "MVP", "N")
          for i in range(1, 201)],
         [c for c in ("AS", "MR", "MS", "MVP", "N") for i in range(1, 201)]),
    ],
    ids=["none", "one", "one class", "no label", "classes", "sites", "Yaseen"],
)  # fmt: skip
def test_nothing_is_proposed(names, labels):
    assert propose_groups(names, labels) == ""


def test_classes_that_are_numbers():
    names, labels, groups = corpus("{p}_{time}")
    number = {"normal": "0", "murmur": "1", "extra": "2"}
    note = propose_groups(names, [number[label] for label in labels])
    assert groups_by_pattern(proposed(note), names)[0] == groups


@given(st.lists(st.text(max_size=12), max_size=40), st.integers(0, 3))
def test_any_names(names, classes):
    note = propose_groups(names, [str(i % (classes + 1)) for i in range(len(names))])
    assert note == "" or note.startswith(PROPOSAL)


@given(st.text(st.sampled_from("0123456789ab_-. "), min_size=1, max_size=20), st.integers(0, 7))
def test_the_patterns_find_what_they_are_said_to(stem, place):
    """The n-th run of digits, and the n-th run of letters and digits."""
    from heartfast.naming import _parts

    stem = stem.replace(".", "")
    parts = {what: values for what, _, values in _parts([stem])}
    ordinal = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")[place]
    for kind, runs in (("number", r"\d+"), ("field", r"[a-z0-9]+")):
        found = re.findall(runs, stem)
        expected = [found[place]] if place < len(found) else None
        assert parts.get(f"the {ordinal} {kind}") == expected


def test_real_pascal_by_folders(shared_data, tmp_path):
    """Read without what is known of the corpus: the patient's number is found."""
    source = shared_data / "pascal/set_b"
    found = find_recordings(source)
    labels, _ = read_labels("pascal", found, [str(source)])
    known = {}
    for recording, label in zip(found, labels, strict=True):
        if label.label:
            path = tmp_path / label.label / recording.name
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(recording.path)
            known[f"{label.label}/{recording.name}"] = label.group
    recordings = find_recordings(tmp_path)
    labels, _ = read_labels("folders", recordings, [str(tmp_path)])
    names = [recording.name for recording in recordings]
    note = propose_groups(names, [label.label for label in labels])
    assert "has 165 values in 461 recordings, up to 7 each" in note
    groups, notes = groups_by_pattern(proposed(note), names)
    assert len(notes) == 1
    assert [f"b{group}" for group in groups] == [known[name] for name in names]


def test_real_cinc2016_proposes_nothing(shared_data):
    source = shared_data / "cinc2016"
    found = find_recordings(source)
    labels, _ = read_labels("cinc2016", found, [str(source)])
    assert propose_groups([r.name for r in found], [label.label for label in labels]) == ""


# The stages.


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 40 patients, whose names alone tell who they are."""
    folder = tmp_path_factory.mktemp("naming")
    names, labels, _ = corpus("{p}_{time}", patients=40, faithful=1.0)
    rng = np.random.default_rng(0)
    for name, label in zip(names, labels, strict=True):
        path = folder / label / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 800), 4000)
    return folder


def test_convert_takes_and_keeps_a_pattern(recordings, tmp_path):
    out = tmp_path / "out"
    options = {"labels": "folders", "group_regex": r"^(\d+)_"}
    result = heartfast.convert(recordings, out, **options)
    assert {r.group for r in result.records} == {
        path.name.partition("_")[0] for path in recordings.rglob("*.wav")
    }
    assert all(r.group == r.file_name.rpartition("/")[2].partition("_")[0] for r in result.records)
    assert [note for note in result.notes if "40 groups" in note]
    assert heartfast.convert(recordings, out, **options).known == len(result.records)
    with pytest.raises(ConfigMismatchError, match="group_regex"):
        heartfast.convert(recordings, out, labels="folders")


def test_segments_of_a_recording_that_does_not_match_stay_together(recordings, tmp_path):
    result = heartfast.convert(
        recordings, tmp_path, labels="folders", segment_s=0.1, group_regex="^(10[0-4])_"
    )
    for record in result.records:
        stem = record.file_name.rpartition("/")[2].rpartition("_")[0]
        patient = stem.partition("_")[0]
        expected = patient if patient < "105" else f"{record.label}/{stem}"
        assert record.group.removesuffix(".png") == expected


def test_a_pattern_replaces_what_the_labels_say(recordings, tmp_path):
    rows = [f"{p.name},{p.parent.name},everyone" for p in sorted(recordings.rglob("*.wav"))]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["file_name,label,group", *rows]))
    result = heartfast.convert(
        recordings, tmp_path / "out", labels=table, group_regex=r"^(10[0-4])_"
    )
    assert {r.group for r in result.records} == {"100", "101", "102", "103", "104", ""}


def test_convert_and_pack_propose_what_pack_takes(recordings, tmp_path):
    result = heartfast.convert(recordings, tmp_path / "png", labels="folders")
    (note,) = (note for note in result.notes if note.startswith(PROPOSAL))
    packing = heartfast.pack(tmp_path / "png", tmp_path / "one")
    assert any(note.startswith(PROPOSAL) for note in packing.notes)
    packing = heartfast.pack(tmp_path / "png", tmp_path / "two", group_regex=proposed(note))
    assert not any(note.startswith(PROPOSAL) for note in packing.notes)
    assert sum(side.groups for sides in packing.table.values() for side in sides) == 40


@pytest.mark.usefixtures("few_candidates")
def test_train_keeps_groups_of_names_whole(recordings, tmp_path):
    png = heartfast.convert(recordings, tmp_path, labels="folders").out
    quick = {"folds": 2, "repeats": 1, "trials": 1, "time_budget": 5}
    alone = heartfast.train(png, **quick)
    assert alone.n_groups == len(alone.names)
    (note,) = (note for note in alone.notes if note.startswith(PROPOSAL))
    named = heartfast.train(png, **quick, group_regex=proposed(note))
    patients = [name.rpartition("/")[2].partition("_")[0] for name in named.names]
    assert named.n_groups == len(set(patients)) == 40
    assert len(set(zip(patients, named.groups.tolist(), strict=True))) == 40
    assert not any("without a known group" in note for note in named.notes)


def test_bad_patterns_leave_nothing_behind(recordings, tmp_path):
    for error, pattern in ((ValueError, "("), (DatasetError, "(nobody)")):
        with pytest.raises(error, match="group_regex"):
            heartfast.convert(recordings, tmp_path / "out", labels="folders", group_regex=pattern)
    assert not (tmp_path / "out").exists()


def test_run_says_one_proposal():
    def stage(*notes):
        return SimpleNamespace(notes=notes)

    run = Run(
        out="",
        conversion=stage(PROPOSAL + "1"),
        packing=stage("a", PROPOSAL + "2"),
        audit=stage(),
        training=stage("a", "b"),
        evaluation=stage(),
        report="",
        gallery="",
        synthetic=False,
    )
    assert run.notes == [PROPOSAL + "1", "a", "b"]


def test_the_command_line_takes_patterns(recordings, tmp_path):
    def heartfast(*arguments):
        return main([str(argument) for argument in arguments])

    pattern = r"--group-regex=^(\d+)_"
    assert heartfast("convert", recordings, "-o", tmp_path / "a", "--labels=folders", pattern) == 0
    assert heartfast("convert", recordings, "-o", tmp_path / "b", "--labels=folders") == 0
    assert heartfast("pack", tmp_path / "a", "-o", tmp_path / "known") == 0
    assert heartfast("pack", tmp_path / "b", "-o", tmp_path / "named", pattern) == 0
    tables = [tmp_path / name / "test_metadata.csv" for name in ("known", "named")]
    assert tables[0].read_text() == tables[1].read_text()
    assert heartfast("pack", tmp_path / "b", "-o", tmp_path / "c", "--group-regex=(") == 2
    command = ["run", "x", "-o", "y", "--labels=folders", pattern]
    assert make_parser().parse_args(command).group_regex == r"^(\d+)_"


def test_proposals_need_no_numpy(recordings, tmp_path):
    code = "import sys; from heartfast.cli import main; main(sys.argv[1:]); "
    code += "print('numpy' in sys.modules)"
    command = [sys.executable, "-c", code, "convert", recordings, "-o", tmp_path / "out"]
    command += ["--labels", "folders"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert PROPOSAL in ran.stderr
    assert ran.stdout == "False\n"
