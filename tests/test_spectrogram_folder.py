"""The R function's twin."""

from __future__ import annotations

import inspect
import json
import math

import numpy as np
import pytest
from PIL import Image

import heartfast
from heartfast.errors import HeartfastWarning

# `spectrogramFolder` and `spectrogram` in soundgen 1.8.2's reference manual, with defaults.
MANUAL = {
    "htmlPlots": True, "verbose": True, "windowLength": 50, "step": None, "overlap": 50,
    "wn": "gaussian", "zp": 0, "ylim": None, "xlab": "Time, ms", "ylab": "kHz", "width": 900,
    "height": 500, "units": "px", "res": math.nan,
    "samplingRate": None, "dynamicRange": 80, "normalize": True, "scale": None, "smoothFreq": 0,
    "smoothTime": 0, "qTime": 0, "percentNoise": 10, "noiseReduction": 0, "method": "spectrum",
    "output": "original", "plot": True, "osc": "linear", "osc_dB": None, "heights": (3, 1),
    "yScale": "linear", "contrast": 0.2, "brightness": 0, "maxPoints": (1e5, 5e5),
    "padWithSilence": True, "colorTheme": "bw", "xaxp": None, "mar": (5.1, 4.1, 4.1, 2),
    "main": None, "grid": None, "internal": None,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for k, name in enumerate(("a.wav", "b & <i>.wav")):
        heartfast.synth.write_wav(tmp_path / name, *heartfast.synth.heart_sound(seed=k))
    (tmp_path / "broken.wav").write_bytes(b"RIFF????WAVE")
    (tmp_path / "x.wav.txt").write_text("no recording")
    return tmp_path


def test_pictures_and_page_are_beside_the_recordings(folder) -> None:
    failed = heartfast.spectrogram_folder(
        folder, htmlPlots=True, windowLength=50, step=None, overlap=50, wn="gaussian", zp=0,
        ylim=None, osc=True, xlab="Time, ms", ylab="kHz", width=900, height=500,
    )  # fmt: skip
    assert [error.path for error in failed] == [str(folder / "broken.wav")]
    assert sorted(path.name for path in folder.iterdir()) == [
        "00_clickable_plots.html", "a.png", "a.wav", "b & <i>.png", "b & <i>.wav", "broken.wav",
        "x.wav.txt",
    ]  # fmt: skip
    with Image.open(folder / "a.png") as image:
        assert image.size == (900, 500)
    page = (folder / "00_clickable_plots.html").read_text()
    assert '"count":2' in page
    assert "<i>.wav" not in page
    assert "broken" not in page
    # A second time, with other settings: drawn anew.
    heartfast.spectrogram_folder(folder, html_plots=False, ylim=(0.02, 0.8), osc="db", height=300)
    with Image.open(folder / "a.png") as image:
        assert image.size == (900, 300)


def test_names_of_one_stem_do_not_overwrite_each_other(tmp_path) -> None:
    heartfast.synth.write_wav(tmp_path / "x.wav", *heartfast.synth.heart_sound(seed=1))
    heartfast.synth.write_wav(tmp_path / "x.mp3", *heartfast.synth.heart_sound(seed=2))
    with pytest.warns(HeartfastWarning, match="share 1 picture name"):
        assert heartfast.spectrogram_folder(tmp_path, html_plots=False) == []
    assert {path.name for path in tmp_path.glob("*.png")} == {"x.wav.png", "x.mp3.png"}


def test_wrong_arguments_are_named(tmp_path) -> None:
    message = "unexpected argument 'window_lenght'; the nearest is 'window_length'"
    with pytest.raises(TypeError, match=message):
        heartfast.spectrogram_folder(tmp_path, window_lenght=50)
    with pytest.raises(TypeError, match=r"unexpected argument 'zzzzqqqq'$"):
        heartfast.spectrogram_folder(tmp_path, zzzzqqqq=50)
    with pytest.raises(ValueError, match="ylim: expected"):
        heartfast.spectrogram_folder(tmp_path, ylim=(1, 2, 3))
    with pytest.raises(FileNotFoundError, match="expected WAV or MP3 files, found none"):
        heartfast.spectrogram_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        heartfast.spectrogram_folder(tmp_path / "nowhere")


@pytest.fixture
def one(tmp_path):
    y, sr = heartfast.synth.heart_sound(seed=3, duration_s=1.5)
    heartfast.synth.write_wav(tmp_path / "a.wav", y, sr)
    return tmp_path


def made(folder) -> dict:
    with Image.open(folder / "a.png") as image:
        return json.loads(image.text["heartfast"])


def size_of(folder) -> tuple[int, int]:
    with Image.open(folder / "a.png") as image:
        return image.size


def pixels(folder) -> np.ndarray:
    with Image.open(folder / "a.png") as image:
        return np.asarray(image.convert("RGB"))


def test_the_published_line(one, capsys) -> None:
    failed = heartfast.spectrogram_folder(
        str(one) + "/", htmlPlots=True, verbose=True, step=None, overlap=50, wn="gaussian", zp=0,
        ylim=None, osc=True, xlab="Time, ms", ylab="kHz", width=900, height=500, units="px",
        res=math.nan,
    )  # fmt: skip
    assert failed == []
    assert size_of(one) == (900, 500)
    assert (one / "00_clickable_plots.html").exists()
    assert "1 of 1 recordings" in capsys.readouterr().err
    axes = made(one)["axes"]
    assert (axes["time_unit"], axes["frequency_unit"]) == ("ms", "kHz")
    # R's defaults are those without any argument.
    published = pixels(one)
    heartfast.spectrogram_folder(one, res=None)
    np.testing.assert_array_equal(pixels(one), published)


def python(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).replace("_d_b", "_db")


def test_all_arguments_of_the_manual_in_both_spellings(one) -> None:
    heartfast.spectrogram_folder(one, html_plots=False)
    plain = pixels(one)
    for spelled in (MANUAL, {python(name): value for name, value in MANUAL.items()}):
        heartfast.spectrogram_folder(one, **{**spelled, "verbose": False})
        np.testing.assert_array_equal(pixels(one), plain)
    # R's name of the first.
    assert heartfast.spectrogram_folder(myfolder=one) == []
    # NULL, NA: the default of each.
    for nothing in (None, math.nan, np.float32("nan")):
        heartfast.spectrogram_folder(one, **dict.fromkeys(MANUAL, nothing))
        np.testing.assert_array_equal(pixels(one), plain)


WITHOUT_EFFECT = {
    "output": "complex", "plot": False, "heights": (2, 1), "maxPoints": (100, 100), "mar": (1,) * 4,
    "samplingRate": 8000, "scale": 2, "normalize": False, "xaxp": (0, 1, 2), "internal": [1],
    "cex": 1.5, "cex.axis": 2, "cex_lab": 2, "bty": "n", "las": 1, "extraContour": [1, 2],
    "summaryFun": "mean", "reportEvery": 5, "savePlots": "x", "font": 2, "col": ["red"],
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_has_no_effect_is_a_warning_that_names_it(one, name: str) -> None:
    heartfast.spectrogram_folder(one)
    plain = pixels(one)
    with pytest.warns(HeartfastWarning, match=f"^{name}: expected") as warned:
        heartfast.spectrogram_folder(one, **{name: WITHOUT_EFFECT[name]})
    assert len(warned) == 1
    assert warned[0].filename == __file__
    np.testing.assert_array_equal(pixels(one), plain)


@pytest.mark.parametrize(
    ("spelled", "field", "expected"),
    [
        ({"colorTheme": "heat.colors"}, "figure.colormap", "heat"),
        ({"colorTheme": "seewave"}, "figure.colormap", "seewave"),
        ({"yScale": "ERB"}, "figure.y_scale", "erb"),
        ({"yScale": "bark"}, "figure.y_scale", "bark"),
        ({"osc": "dB"}, "figure.osc", "db"),
        ({"osc": "linear"}, "figure.osc", None),
        ({"osc": False}, "figure.osc", "none"),
        ({"osc": np.False_}, "figure.osc", "none"),
        ({"osc_dB": True}, "figure.osc", "db"),
        ({"step": 12.5, "overlap": 80}, "hop_ms", 12.5),
        ({"step": 10.0}, "hop_ms", 10),
        ({"wn": "hanning"}, "window", "hann"),
        ({"wn": "rectangular"}, "window", "rectangular"),
        ({"zp": 1024.0}, "zero_pad", 1024),
        ({"ylim": (0.02, 0.8)}, "fmax", 800),
        ({"ylim": np.array([0.02, 0.8])}, "fmin", 20),
        ({"noiseReduction": 1.5, "percentNoise": 20}, "noise_percent", 20),
        ({"qTime": 0.5}, "quantile", 0.5),
        ({"smoothFreq": 3, "smoothTime": 5}, "median", [5, 3]),
        ({"method": "spectralDerivative"}, "derivative", "both"),
        ({"specType": "reassigned"}, "reassign", True),
        ({"blur": (50, 20)}, "blur", [20, 50]),
        ({"blur": (-50, 20)}, "sharpen", [0, 50]),
        ({"padWithSilence": False}, "center", False),
        ({"dynamicRange": 60}, "dynamic_range", 60),
        ({"main": "All"}, "figure.title", "All"),
        ({"grid": True}, "figure.grid", True),
        ({"contrast": -0.2}, "figure.contrast", -0.2),
    ],
)
def test_values_of_r(one, spelled, field: str, expected) -> None:
    assert heartfast.spectrogram_folder(one, **spelled) == []
    config = made(one)["config"]
    head, _, tail = field.partition(".")
    assert (config[head].get(tail) if tail else config[head]) == expected


@pytest.mark.parametrize(
    ("units", "width", "height", "res", "size"),
    [
        ("px", 900, 500, None, (900, 500)),
        ("px", 901, 487, 144, (901, 487)),
        ("in", 7, 5, 100, (700, 500)),
        ("in", 7.5, 4.2, 150, (1125, 630)),
        ("cm", 16, 9, 200, (1260, 709)),
        ("mm", 160, 90, 96, (605, 340)),
        ("in", 3, 2, 288, (864, 576)),
    ],
)
def test_sizes_are_those_of_png(one, units, width, height, res, size) -> None:
    """Pixels: inches times `res`, 2.54 cm to an inch; text grows with `res` over 72."""
    heartfast.spectrogram_folder(one, width=width, height=height, units=units, res=res)
    assert size_of(one) == size
    scale = made(one)["config"]["figure"].get("scale", 1)
    assert scale == pytest.approx((res or 72) / 72, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": "in", "width": 7, "height": 5}, "res: expected pixels per inch with units 'in'"),
        ({"units": "furlong"}, "units: expected one of px, in, cm, mm, found 'furlong'"),
        ({"res": -1}, "res: expected pixels per inch, more than 0, found -1"),
        ({"res": "high"}, "res: expected"),
        ({"window_length": True}, "window_length: expected a number of ms, found True"),
        ({"zp": 10.5}, "zp: expected a whole number, found 10.5"),
        ({"yScale": "ERBS"}, "y_scale: expected one of .* found 'ERBS'; the nearest is 'erb'"),
        ({"colorTheme": "viridiss"}, "color_theme: .* the nearest is 'viridis'"),
        ({"verbose": "yes"}, "verbose: expected True or False, found 'yes'"),
        ({"htmlPlots": True, "html_plots": False}, "html_plots: expected it once"),
        ({"ylim": (0.1, math.nan)}, "ylim: expected"),
        ({"ylim": 5}, "ylim: expected"),
    ],
)
def test_wrong_values_are_named(one, arguments, message: str) -> None:
    with pytest.raises(heartfast.errors.UsageError, match=message):
        heartfast.spectrogram_folder(one, **arguments)
    assert not (one / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colorTheme": "topo.colors"}, "color_theme: .*'topo.colors': bw is taken"),
        ({"contrast": 1.5}, "contrast: expected -1 to 1, found 1.5: 1 is taken"),
        ({"smoothTime": 4}, "smooth_time: expected an odd number, found 4: 5 is taken"),
        ({"grid": 5}, "grid: expected lines at the ticks, found 5 per kHz"),
        (
            {"units": "in", "width": 7, "height": 5, "res": 300},
            "res: expected 36 to 288, found 300",
        ),
        ({"xlab": "Time, s"}, "xlab: expected a name with the axis's unit, ms, found"),
        ({"ylab": "Frequency (Hz)"}, "ylab: expected a name with the axis's unit, kHz, found"),
    ],
)
def test_what_is_done_in_part_is_a_warning(one, arguments, message: str) -> None:
    with pytest.warns(HeartfastWarning, match=message):
        assert heartfast.spectrogram_folder(one, **arguments) == []
    assert (one / "a.png").exists()


def test_units_of_its_axes_can_be_chosen(one) -> None:
    heartfast.spectrogram_folder(one, time_unit="s", frequency_unit="Hz")
    axes = made(one)["axes"]
    assert (axes["time_unit"], axes["frequency_unit"]) == ("s", "Hz")


def test_every_argument_is_explained() -> None:
    text = inspect.getdoc(heartfast.spectrogram_folder)
    for name in inspect.signature(heartfast.spectrogram_folder).parameters:
        assert name in text
