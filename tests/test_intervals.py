"""Tables of labelled intervals."""

from __future__ import annotations

import pytest

import heartfast
from heartfast import Interval


def test_the_published_tables_are_read(shared_data) -> None:
    found = heartfast.read_intervals(shared_data / "pascal/set_a_timing.csv")
    assert sum(map(len, found.values())) == 390
    first = found["normal__201102081321"][0]
    assert first.label == "S1"
    assert first.start == first.end == 10021 / 44_100
    # Every one is in its recording.
    for name, intervals in found.items():
        path = shared_data / f"pascal/set_a/{name}.flac"
        if path.exists():
            y, sr = heartfast.load(path)
            assert intervals[0].start >= 0
            assert intervals[-1].end <= len(y) / sr


def test_tables_of_circor_and_plain_ones(tmp_path) -> None:
    (tmp_path / "13918_AV.tsv").write_text("0\t0.5\t0\n0.5\t0.62\t1\n0.62\t0.8\t2\n0.8\t0.9\t3\n")
    (tmp_path / "own.csv").write_text("start,end,label\n2,3,b\n0,1,a\n")
    assert heartfast.read_intervals(tmp_path) == {
        "13918_AV": [
            Interval(0.5, 0.62, "S1"),
            Interval(0.62, 0.8, "systole"),
            Interval(0.8, 0.9, "S2"),
        ],
        "own": [Interval(0, 1, "a"), Interval(2, 3, "b")],
    }


def test_figures_with_other_intervals_are_other_pictures(tmp_path) -> None:
    heartfast.synth.write_wav(tmp_path / "a.wav", *heartfast.synth.heart_sound(seed=1))
    config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig())

    def convert(end: float) -> int:
        (tmp_path / "a.csv").write_text(f"start,end,label\n1,{end},S1\n")
        return heartfast.convert(
            tmp_path / "a.wav", tmp_path / "out", config=config, intervals=tmp_path / "a.csv"
        ).known

    assert [convert(2), convert(2)] == [0, 1]
    with pytest.raises(heartfast.ConfigMismatchError, match="intervals"):
        convert(3)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("x.csv", "start,end,label\n0,1\n", 2),
        ("x.csv", "start,end,label\n1,0,a\n", 2),
        ("x.csv", "start,end,label\nnan,1,a\n", 2),
        ("x.csv", "fname,cycle,sound,location\na.wav,1,S1,x\n", 2),
        ("x.tsv", "0\t1\t9\n", 1),
        ("x.tsv", "what is this\n", 1),
    ],
)
def test_what_does_not_parse_is_one_line(tmp_path, name, text, line) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(heartfast.errors.DatasetError, match=f"{name}, line {line}: expected") as e:
        heartfast.read_intervals(tmp_path / name)
    assert "\n" not in str(e.value)
