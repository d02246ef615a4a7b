"""Units of axes: in the provenance, at the ticks, in the names; names with another unit warn."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

import heartfast
from heartfast.cli import main
from heartfast.errors import HeartfastWarning
from heartfast.heads import head_of

SR = 4000
UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "Hz": 1.0, "kHz": 1e3}


def pixels(figure: heartfast.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.png)).convert("L")).astype(int)


def silence(seconds: float, sr: int = SR) -> np.ndarray:
    return np.zeros(max(1, round(seconds * sr)), np.float32)


def time_ticks(figure: heartfast.Figure) -> np.ndarray:
    """Seconds of the ticks, by their lines below the lower plot."""
    axes = figure.axes
    left, _, right, bottom = axes.get("osc") or axes["plot"]
    row = pixels(figure)[bottom + 3, left - 2 : right + 3]
    columns = np.flatnonzero(row < 200)
    low, high = axes["xlim"]
    return low + (columns - 2) / (right - left) * (high - low)


def frequency_ticks(figure: heartfast.Figure) -> np.ndarray:
    """Hz of the ticks, by their lines left of the spectrogram."""
    left, top, _, bottom = figure.axes["plot"]
    column = pixels(figure)[top - 2 : bottom + 3, left - 4]
    rows = np.flatnonzero(column < 200)
    low, high = figure.axes["ylim"]
    return high - (rows - 2) / (bottom - top) * (high - low)


def are_round(ticks: np.ndarray, unit: float, pixel: float) -> bool:
    """Whether ticks are, to two pixels, all multiples of 1, 2, 2.5 or 5 times a power of ten."""
    steps = np.array([m * 10.0**p for p in range(-3, 8) for m in (1, 2, 2.5, 5)])
    spacing = np.median(np.diff(np.sort(ticks))) / unit
    step = steps[np.abs(np.log(steps / spacing)).argmin()]
    off = ticks / unit - np.round(ticks / unit / step) * step
    return bool(abs(spacing - step) * unit < 2 * pixel and np.abs(off).max() * unit < 2 * pixel)


@pytest.mark.parametrize("unit", ["ms", "s", "min"])
@pytest.mark.parametrize("seconds", [0.5, 0.9, 10, 59.3, 700, 4000])
def test_time_ticks_are_round_numbers_of_the_unit(unit: str, seconds: float) -> None:
    figure = heartfast.figure(silence(seconds, 400), 400, time_unit=unit)
    assert figure.axes["time_unit"] == unit
    assert figure.axes["xlim"] == pytest.approx([0, seconds], abs=1 / 400)
    ticks = time_ticks(figure)
    assert 3 <= len(ticks) <= 20
    left, _, right, _ = figure.axes["plot"]
    assert are_round(ticks, UNITS[unit], seconds / (right - left))


@pytest.mark.parametrize("unit", ["Hz", "kHz"])
@pytest.mark.parametrize("highest", [100, 400, 2000, 22_050])
def test_frequency_ticks_are_round_numbers_of_the_unit(unit: str, highest: int) -> None:
    figure = heartfast.figure(silence(1, 44_100), 44_100, fmax=highest, frequency_unit=unit)
    assert figure.axes["frequency_unit"] == unit
    assert figure.axes["ylim"] == [0, highest]
    ticks = frequency_ticks(figure)
    assert 3 <= len(ticks) <= 20
    _, top, _, bottom = figure.axes["plot"]
    assert are_round(ticks, UNITS[unit], highest / (bottom - top))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.5, "ms"), (1, "s"), (10, "s"), (599, "s"), (600, "min")]
)
def test_auto_suits_the_length(seconds: float, expected: str) -> None:
    assert heartfast.figure(silence(seconds, 100), 100).axes["time_unit"] == expected


def test_auto_suits_the_frequencies() -> None:
    def unit(**options: object) -> str:
        return heartfast.figure(silence(1, 8000), 8000, **options).axes["frequency_unit"]

    assert (unit(), unit(fmax=800), unit(y_scale="log")) == ("kHz", "Hz", "Hz")


@pytest.mark.parametrize(
    ("field", "unit", "name"),
    [
        ("time_unit", "ms", "Time (ms)"),
        ("time_unit", "s", "Time (s)"),
        ("time_unit", "min", "Time (min)"),
        ("frequency_unit", "Hz", "Frequency (Hz)"),
        ("frequency_unit", "kHz", "Frequency (kHz)"),
    ],
)
def test_the_default_name_has_the_unit(field: str, unit: str, name: str) -> None:
    label = "xlab" if field == "time_unit" else "ylab"
    by_default = heartfast.figure(silence(3), SR, **{field: unit})
    given = heartfast.figure(silence(3), SR, **{field: unit, label: name})
    other = heartfast.figure(silence(3), SR, **{field: unit, label: name.replace("(", "[")})
    assert (pixels(by_default) == pixels(given)).all()
    assert (pixels(by_default) != pixels(other)).any()


WRONG = [
    ({"xlab": "Time, ms"}, 'xlab: expected a name with the axis\'s unit, s, found "Time, ms"'),
    ({"xlab": "Zeit (Minuten)"}, "the axis's unit, s"),
    ({"xlab": "Temps [secondes]", "time_unit": "ms"}, "the axis's unit, ms"),
    ({"xlab": "Время, мс"}, "the axis's unit, s"),
    ({"xlab": "\u6642\u9593\uff08\u30df\u30ea\u79d2\uff09"}, "the axis's unit, s"),
    ({"ylab": "kHz", "fmax": 400}, "ylab: expected a name with the axis's unit, Hz, found"),
    ({"ylab": "Frequency [Hz]", "frequency_unit": "kHz"}, "the axis's unit, kHz"),
    ({"ylab": "Frequency \u3391", "fmax": 400}, "the axis's unit, Hz"),
    ({"xlab": "hours", "time_unit": "min"}, "the axis's unit, min"),
]
RIGHT = [
    {"xlab": "Time, ms", "time_unit": "ms"},
    {"xlab": "Time"},
    {"xlab": ""},
    {"xlab": "Time (sec)"},
    {"xlab": "t / s"},
    {"xlab": "SECONDS"},
    {"xlab": "Minutes", "time_unit": "min"},
    {"xlab": "Zeit in Millisekunden", "time_unit": "ms"},
    {"ylab": "kHz", "frequency_unit": "kHz", "fmax": 400},
    {"ylab": "Frequency, Hz (not kHz)", "fmax": 400},
    {"ylab": "Pitch of S1 in mice"},
]


@pytest.mark.filterwarnings("default:titles and labels")
@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_name_with_another_unit_is_a_warning(options, message: str) -> None:
    with pytest.warns(HeartfastWarning) as warned:
        heartfast.figure(silence(10), SR, **options)
    texts = [str(w.message) for w in warned if "titles and labels" not in str(w.message)]
    assert len(texts) == 1
    assert message in texts[0]
    assert "_unit (--" in texts[0]


@pytest.mark.parametrize("options", RIGHT)
def test_a_name_with_the_unit_or_none_is_no_warning(options) -> None:
    heartfast.figure(silence(10), SR, **options)


def test_the_spectrogram_of_arrays_warns_as_well() -> None:
    spec = heartfast.spectrogram(silence(10), SR)
    with pytest.warns(HeartfastWarning, match=r"xlab: expected a name .* s, found"):
        spec.figure(xlab="Time, ms")


def test_convert_counts_them_in_a_note(tmp_path, capsys) -> None:
    for k, seconds in enumerate((0.5, 3.0, 4.0)):
        heartfast.synth.write_wav(tmp_path / f"{k}.wav", silence(seconds), SR)
    code = main(["convert", str(tmp_path), "-o", str(tmp_path / "out"), "--figure", "--json",
                 "--xlab", "Time, ms", "--frequency-unit", "Hz"])  # fmt: skip
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert code == 0
    # The shortest one has an axis in ms.
    assert [n for n in notes if "xlab" in n] == [
        'xlab: expected a name with the axis\'s unit, s, found "Time, ms" in 2 figures; change the '
        "name, or the unit with time_unit (--time-unit)"
    ]
    units = [heartfast.Figure((tmp_path / f"out/{k}.png").read_bytes()).axes for k in range(3)]
    assert [axes["time_unit"] for axes in units] == ["ms", "s", "s"]
    assert {axes["frequency_unit"] for axes in units} == {"Hz"}


def test_options_reach_the_figure(tmp_path) -> None:
    heartfast.synth.write_wav(tmp_path / "x.wav", silence(3), SR)
    options = ["--figure", "--time-unit", "min", "--frequency-unit", "kHz"]
    assert main(["convert", str(tmp_path / "x.wav"), "-o", str(tmp_path / "out"), *options]) == 0
    figure = heartfast.Figure((tmp_path / "out/x.png").read_bytes())
    assert (figure.axes["time_unit"], figure.axes["frequency_unit"]) == ("min", "kHz")
    config = json.loads(Image.open(tmp_path / "out/x.png").text["heartfast"])["config"]["figure"]
    assert config == {"time_unit": "min", "frequency_unit": "kHz"}
    again = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig(**config))
    assert again.figure.time_unit == "min"


@pytest.mark.parametrize("unit", ["auto", "ms", "s", "min"])
def test_pages_find_the_times_whatever_the_unit(unit: str) -> None:
    figure = heartfast.figure(silence(6), SR, time_unit=unit, xlim=(1, 5))
    head = head_of(io.BytesIO(figure.png))
    assert (head.left, head.right, head.seconds) == (1, 5, 6)


def test_labels_of_an_hour_in_ms_are_written_out() -> None:
    """Not 500000 beside 1e6: the widest has seven digits, so that ticks have room for them."""
    figure = heartfast.figure(silence(3600, 100), 100, time_unit="ms")
    left, _, right, _ = figure.axes["plot"]
    assert np.diff(time_ticks(figure)).min() * (right - left) / 3600 > 7 * 6


def test_unknown_units_are_named() -> None:
    with pytest.raises(ValueError, match='time_unit: expected one of auto, ms, s, min, found "h"'):
        heartfast.figure(silence(1), SR, time_unit="h")
    with pytest.raises(ValueError, match="frequency_unit: expected one of auto, Hz, kHz, found"):
        heartfast.figure(silence(1), SR, frequency_unit="khz")
