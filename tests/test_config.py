"""SpectrogramConfig: checked, frozen, comparable, and the same after any journey."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import heartfast
from heartfast import SpectrogramConfig

DEFAULTS = {
    "window": "gaussian", "window_ms": 50.0, "overlap": 50.0, "hop_ms": None, "zero_pad": 0,
    "dynamic_range": 80.0, "ref": "max", "fmin": None, "fmax": None, "size": None,
    "colormap": "gray", "invert": False, "center": True, "detrend": None,
}  # fmt: skip
# Left out of dictionaries while they are this.
NO_EFFECTS = {
    "reassign": False, "windows_ms": (), "noise_reduction": 0.0, "noise_percent": 10.0,
    "quantile": None, "median": (1, 1), "blur": (0.0, 0.0), "sharpen": (0.0, 0.0),
    "derivative": None,
}  # fmt: skip


def positive(top: float) -> st.SearchStrategy[float]:
    return st.floats(0, top, exclude_min=True)


OPTIONS = {
    "window": st.sampled_from(
        ["gaussian", "hann", "hamming", "blackman", "bartlett", "flattop", "rectangular"]
    )
    | st.tuples(st.just("gaussian"), positive(1e300)),
    "window_ms": positive(60_000),
    "overlap": st.floats(-0.0, 100, exclude_max=True) | st.just(-0.0),
    "hop_ms": positive(60_000),
    "zero_pad": st.integers(0, 2**21),
    "dynamic_range": positive(1000),
    "ref": st.just("max") | positive(1.7e308),
    "fmin": st.none() | st.floats(-0.0, 1e300),
    "fmax": st.none() | st.floats(0, 1e300),
    "size": st.none()
    | st.tuples(st.integers(1, 65535), st.integers(1, 65535)).filter(
        lambda s: s[0] * s[1] <= 2**30
    ),
    "colormap": st.sampled_from(["gray", "viridis", "magma", "inferno", "plasma"]),
    "invert": st.booleans(),
    "center": st.booleans(),
    "detrend": st.sampled_from([None, "constant"]),
    "reassign": st.booleans(),
    "windows_ms": st.lists(positive(60_000), max_size=8).map(tuple),
    "noise_reduction": st.floats(0, 1e300),
    "noise_percent": positive(100),
    "quantile": st.none() | st.floats(-0.0, 1),
    "median": st.tuples(st.integers(0, 7), st.integers(0, 7)).map(
        lambda half: (2 * half[0] + 1, 2 * half[1] + 1)
    ),
    "blur": st.tuples(st.floats(-0.0, 60_000), st.floats(0, 1e6)),
    "sharpen": st.tuples(st.floats(0, 60_000), st.floats(-0.0, 1e6)),
    "derivative": st.sampled_from([None, "time", "frequency", "both"]),
}


@st.composite
def fields(draw):
    found = draw(st.fixed_dictionaries({}, optional=OPTIONS))
    if "overlap" in found:
        found.pop("hop_ms", None)
    low, high = found.get("fmin"), found.get("fmax")
    assume(low is None or high is None or low < high)
    assume(not (found.get("reassign") and found.get("windows_ms")))
    return found


def test_defaults():
    config = SpectrogramConfig()
    everything = {**DEFAULTS, **NO_EFFECTS}
    assert {name: getattr(config, name) for name in everything} == everything
    assert SpectrogramConfig(**{**everything, "hop_ms": None}) == config
    assert config.to_dict() == DEFAULTS
    assert list(config.to_dict()) == list(DEFAULTS)
    assert set(OPTIONS) == set(everything)
    given_none = {name: None for name, value in DEFAULTS.items() if value is None}
    assert SpectrogramConfig(**given_none, overlap=None) == config


@given(fields())
def test_fields_are_kept(given_fields):
    config = SpectrogramConfig(**given_fields)
    for name, value in given_fields.items():
        kept = getattr(config, name)
        assert kept == value
        assert type(kept) is type(value)
    if "hop_ms" in given_fields:
        assert config.overlap is None


@given(fields())
def test_round_trips(given_fields):
    config = SpectrogramConfig(**given_fields)
    said = json.loads(json.dumps(config.to_dict()))
    journeys = [
        SpectrogramConfig.from_dict(config.to_dict()),
        SpectrogramConfig.from_dict(said),
        SpectrogramConfig.from_dict({k: v for k, v in said.items() if v is not None}),
        eval(repr(config), {"SpectrogramConfig": SpectrogramConfig}),  # noqa: S307
        pickle.loads(pickle.dumps(config)),  # noqa: S301
        copy.deepcopy(config),
        config.replace(),
    ]
    for other in journeys:
        assert type(other) is SpectrogramConfig
        assert other == config
        assert hash(other) == hash(config)
        assert other.to_dict() == config.to_dict()
        assert repr(other) == repr(config)
    assert "\n" not in repr(config)


@given(fields(), fields())
def test_replace_and_equality(first, second):
    one, two = SpectrogramConfig(**first), SpectrogramConfig(**second)
    assert (one == two) == (one.to_dict() == two.to_dict())
    assert (one != two) is not (one == two)
    if one == two:
        assert hash(one) == hash(two)
    merged = {**first, **second}
    if "overlap" in second:
        merged.pop("hop_ms", None)
    if "hop_ms" in second:
        merged.pop("overlap", None)
    low, high = merged.get("fmin"), merged.get("fmax")
    assume(low is None or high is None or low < high)
    assume(not (merged.get("reassign") and merged.get("windows_ms")))
    assert one.replace(**second) == SpectrogramConfig(**merged)
    assert one == SpectrogramConfig(**first)


def test_replace_with_none_keeps_the_other_distance():
    assert SpectrogramConfig(overlap=75).replace(hop_ms=None).overlap == 75
    assert SpectrogramConfig(hop_ms=7).replace(overlap=None).hop_ms == 7
    assert SpectrogramConfig(hop_ms=7).replace(hop_ms=None).overlap == 50
    assert SpectrogramConfig(size=(2, 3), fmin=5).replace(size=None, fmin=None) == (
        SpectrogramConfig()
    )


def test_equal_numbers_are_equal_configs():
    one = SpectrogramConfig(overlap=0, window_ms=50, fmin=0, size=(np.int64(3), np.int32(4)))
    two = SpectrogramConfig(overlap=-0.0, window_ms=np.float64(50), fmin=-0.0, size=[3, 4])
    assert one == two
    assert hash(one) == hash(two)
    assert repr(one) == repr(two)
    assert len({one, two, SpectrogramConfig()}) == 2
    assert SpectrogramConfig() != DEFAULTS
    assert SpectrogramConfig() != "gaussian"
    assert SpectrogramConfig(colormap="grey", window="boxcar").to_dict() == {
        **DEFAULTS,
        "window": "rectangular",
    }


def test_frozen():
    config = SpectrogramConfig()
    for name in (*DEFAULTS, *NO_EFFECTS, "other"):
        with pytest.raises(AttributeError):
            setattr(config, name, None)
    with pytest.raises(AttributeError):
        del config.window
    config.to_dict()["window"] = "hann"
    assert config.window == "gaussian"
    with pytest.raises(TypeError):
        SpectrogramConfig("hann")
    with pytest.raises(TypeError):
        type("Derived", (SpectrogramConfig,), {})


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("given_fields", "error", "message"),
    [
        ({"window": "kaiser"}, ValueError,
         'window: expected one of gaussian, hann, hamming, blackman, bartlett, flattop, '
         'rectangular, or ("gaussian", std), found "kaiser"'),
        ({"window": ("gaussian", -1.0)}, ValueError,
         'window: expected ("gaussian", std) with std > 0 in samples, found -1'),
        ({"window": ("gaussian", INF)}, ValueError,
         'window: expected ("gaussian", std) with std > 0 in samples, found inf'),
        ({"window": ("hann", 2.0)}, ValueError, 'found "(hann, parameter)"'),
        ({"window": ("gaussian",)}, TypeError,
         "window: expected a name or (\"gaussian\", std), found ('gaussian',)"),
        ({"window": 5}, TypeError, 'window: expected a name or ("gaussian", std), found 5'),
        *(({"window_ms": x}, ValueError,
           f"window_ms: expected a number over 0 and up to 60000 ms, found {said}")
          for x, said in ((0, 0), (-1, -1), (60_001, 60001), (NAN, "NaN"), (INF, "inf"))),
        ({"window_ms": "50"}, TypeError, "window_ms: expected a number, found '50'"),
        ({"window_ms": None}, TypeError, "window_ms: expected a number, found None"),
        *(({"overlap": x}, ValueError,
           f"overlap: expected a percentage from 0 to below 100, found {said}")
          for x, said in ((100, 100), (-0.5, -0.5), (NAN, "NaN"))),
        ({"overlap": "50%"}, TypeError, "overlap: expected a number or None, found '50%'"),
        ({"hop_ms": 0}, ValueError,
         "hop_ms: expected a number over 0 and up to 60000 ms, found 0"),
        ({"hop_ms": 5, "overlap": 50}, ValueError,
         "overlap, hop_ms: expected one of the two, found both"),
        ({"zero_pad": -1}, ValueError,
         "zero_pad: expected a number of points, 0 or more, found -1"),
        ({"zero_pad": 2**21 + 1}, ValueError,
         "zero_pad: expected an FFT length of 0 to 2097152 points, found 2097153"),
        ({"zero_pad": 2**70}, ValueError, f"found {2**70}"),
        ({"zero_pad": 1.5}, TypeError,
         "zero_pad: expected a number of points, 0 or more, found 1.5"),
        ({"dynamic_range": 0}, ValueError,
         "dynamic_range: expected a number over 0 and up to 1000 dB, found 0"),
        ({"ref": 0}, ValueError, 'ref: expected a magnitude over 0, or "max", found 0'),
        ({"ref": NAN}, ValueError, 'ref: expected a magnitude over 0, or "max", found NaN'),
        ({"ref": "min"}, ValueError, 'ref: expected "max" or a magnitude, found "min"'),
        ({"ref": [1]}, TypeError, 'ref: expected "max" or a magnitude, found [1]'),
        ({"fmin": -1}, ValueError, "fmin: expected a frequency of 0 Hz or more, found -1"),
        ({"fmax": INF}, ValueError, "fmax: expected a frequency of 0 Hz or more, found inf"),
        ({"fmin": 500, "fmax": 500}, ValueError,
         "fmin: expected less than fmax (500 Hz), found 500"),
        ({"fmax": "high"}, TypeError, "fmax: expected a number or None, found 'high'"),
        ({"size": (0, 5)}, ValueError,
         "size: expected (height, width), each 1 to 65535 pixels, found (0, 5)"),
        ({"size": (5, 65536)}, ValueError,
         "size: expected (height, width), each 1 to 65535 pixels, found (5, 65536)"),
        ({"size": (65535, 65535)}, ValueError,
         "size: expected (height, width) of at most 1073741824 pixels in all, found"),
        ({"size": (5, -1)}, ValueError,
         "size: expected (height, width) in pixels, or None, found (5, -1)"),
        ({"size": (1, 2, 3)}, TypeError,
         "size: expected (height, width) in pixels, or None, found (1, 2, 3)"),
        ({"size": 5}, TypeError, "size: expected (height, width) in pixels, or None, found 5"),
        ({"size": "64x64"}, TypeError,
         "size: expected (height, width) in pixels, or None, found '64x64'"),
        ({"colormap": "jet"}, ValueError,
         'colormap: expected one of gray, viridis, magma, inferno, plasma, '
         'cividis, turbo, bw, seewave, heat, found "jet"'),
        ({"colormap": 3}, TypeError, "colormap: expected a name, found 3"),
        ({"invert": "no"}, TypeError, "invert: expected True or False, found 'no'"),
        ({"center": None}, TypeError, "center: expected True or False, found None"),
        ({"detrend": "linear"}, ValueError,
         'detrend: expected None or "constant", found "linear"'),
        ({"detrend": True}, TypeError, 'detrend: expected None or "constant", found True'),
        ({"reassign": 1}, TypeError, "reassign: expected True or False, found 1"),
        ({"reassign": True, "windows_ms": [20]}, ValueError,
         "reassign, windows_ms: expected one of the two, found both"),
        ({"windows_ms": 20}, TypeError, "windows_ms: expected lengths in ms, found 20"),
        ({"windows_ms": "20"}, TypeError, "windows_ms: expected lengths in ms, found '20'"),
        ({"windows_ms": [20, 0]}, ValueError,
         "windows_ms: expected a number over 0 and up to 60000 ms, found 0"),
        ({"windows_ms": [20] * 9}, ValueError,
         "windows_ms: expected at most 8 windows, found 9"),
        ({"noise_reduction": -1}, ValueError,
         "noise_reduction: expected a number of 0 or more, found -1"),
        ({"noise_reduction": INF}, ValueError,
         "noise_reduction: expected a number of 0 or more, found inf"),
        ({"noise_percent": 0}, ValueError,
         "noise_percent: expected a number over 0 and up to 100 percent, found 0"),
        ({"quantile": 1.5}, ValueError,
         "quantile: expected a number from 0 to 1, or None, found 1.5"),
        ({"quantile": "half"}, TypeError, "quantile: expected a number or None, found 'half'"),
        ({"median": 3}, TypeError, "median: expected (frames, bins), found 3"),
        ({"median": (3, -3)}, ValueError, "median: expected (frames, bins), found (3, -3)"),
        ({"median": (3, 4)}, ValueError,
         "median: expected (frames, bins), odd numbers of a product up to 255, found (3, 4)"),
        ({"median": (17, 17)}, ValueError,
         "median: expected (frames, bins), odd numbers of a product up to 255, found (17, 17)"),
        ({"blur": 3}, TypeError, "blur: expected (ms, Hz), found 3"),
        ({"blur": (-3, 0)}, ValueError,
         "blur: expected (ms, Hz), from 0 to 60000 ms and 1000000 Hz, found (-3, 0)"),
        ({"sharpen": (0, NAN)}, ValueError,
         "sharpen: expected (ms, Hz), from 0 to 60000 ms and 1000000 Hz, found (0, NaN)"),
        ({"derivative": "phase"}, ValueError,
         'derivative: expected None, "time", "frequency" or "both", found "phase"'),
        ({"derivative": True}, TypeError,
         'derivative: expected None, "time", "frequency" or "both", found True'),
        ({"overlapp": 1}, TypeError, "SpectrogramConfig got an unexpected field 'overlapp'"),
    ],
)  # fmt: skip
def test_validation_names_the_field(given_fields, error, message):
    with pytest.raises(error) as caught:
        SpectrogramConfig(**given_fields)
    said = str(caught.value)
    assert message in said
    assert "\n" not in said
    assert said.startswith(
        (*given_fields, "SpectrogramConfig", "overlap, hop_ms", "reassign, windows_ms")
    )
    # What comes from a file is of bad value, whatever its type.
    with pytest.raises(ValueError, match=r"found|unexpected") as caught:
        SpectrogramConfig.from_dict(given_fields)
    assert str(caught.value) == said
    if "overlap" not in given_fields and "hop_ms" not in given_fields:
        with pytest.raises(ValueError, match=r"found|unexpected") as caught:
            SpectrogramConfig().replace(**given_fields)
        assert str(caught.value) == said


@given(
    st.integers(1, 200_000), st.floats(0.01, 200), st.floats(0, 99.9), st.integers(0, 9000),
    st.floats(0, 3000), st.floats(3000.1, 200_000),
)  # fmt: skip
def test_geometry(sr, window_ms, overlap, zero_pad, fmin, fmax):
    config = SpectrogramConfig(
        window_ms=window_ms, overlap=overlap, zero_pad=zero_pad, fmin=fmin, fmax=fmax
    )
    win_length = max(2, int(np.floor(window_ms / 1000 * sr + 0.5)))
    n_fft = max(win_length, zero_pad)
    frequencies = np.arange(n_fft // 2 + 1) * (sr / n_fft)
    shown = np.flatnonzero((frequencies >= fmin) & (frequencies <= fmax))
    assume(np.abs(frequencies[:, None] - [fmin, fmax]).min() > 1e-6 * sr / n_fft)
    if not shown.size:
        with pytest.raises(ValueError, match=r"^fmin: expected a bin between fmin and fmax \(bins"):
            config.geometry(sr)
        return
    assert config.geometry(sr) == {
        "win_length": win_length,
        "hop_length": max(1, int(np.floor(win_length * (1 - overlap / 100) + 0.5))),
        "n_fft": n_fft,
        "first_bin": shown[0],
        "last_bin": shown[-1],
    }


def test_geometry_of_several_windows():
    config = SpectrogramConfig(window_ms=50, windows_ms=(20, 100), fmax=1000)
    # The bins of the longest, the hop of the shortest.
    assert config.geometry(4000) == {
        "win_length": 400, "hop_length": 40, "n_fft": 400, "first_bin": 0, "last_bin": 100,
    }  # fmt: skip
    assert config.replace(hop_ms=5, zero_pad=512).geometry(4000) == {
        "win_length": 400, "hop_length": 20, "n_fft": 512, "first_bin": 0, "last_bin": 128,
    }  # fmt: skip
    assert config.replace(windows_ms=()) == SpectrogramConfig(fmax=1000)


def test_geometry_of_known_rates():
    config = SpectrogramConfig()
    assert config.geometry(44100)["win_length"] == 2205
    assert config.geometry(44100)["hop_length"] == 1103  # half of 2205, rounded up
    assert config.geometry(4000) == {
        "win_length": 200, "hop_length": 100, "n_fft": 200, "first_bin": 0, "last_bin": 100,
    }  # fmt: skip
    # Bins on the limits are shown.
    assert SpectrogramConfig(fmin=100, fmax=700).geometry(4000)["first_bin"] == 5
    assert SpectrogramConfig(fmin=100, fmax=700).geometry(4000)["last_bin"] == 35
    for sr in (-1, 2**32):
        with pytest.raises(ValueError, match=r"^sr: expected a whole number of samples per second"):
            config.geometry(sr)
    with pytest.raises(ValueError, match=r"^window_ms: expected a window of at most 2097152 samp"):
        SpectrogramConfig(window_ms=60_000).geometry(1_000_000)


def test_the_docstring_is_that_of_the_stub():
    stub = ast.parse((Path(heartfast.__file__).parent / "_core.pyi").read_text())
    (config,) = (n for n in stub.body if getattr(n, "name", "") == "SpectrogramConfig")
    assert inspect.cleandoc(SpectrogramConfig.__doc__) == ast.get_docstring(config)
    documented = {n.name: ast.get_docstring(n) for n in config.body if hasattr(n, "name")}
    for name in ("to_dict", "from_dict", "replace", "geometry"):
        assert getattr(SpectrogramConfig, name).__doc__ == documented[name]
