"""Features straight from recordings are those of their pictures, and so are the errors."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import heartfast
from heartfast.errors import DatasetError
from heartfast.extraction import extract_all, extract_recordings
from heartfast.images import PictureSet
from heartfast.limits import Limits


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extract") / "recordings"
    for index, name in enumerate(["b/2.wav", "a/1.wav", "1.wav", "3 s.wav"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        kind = ("murmur", "normal")[index % 2]
        samples, sr = heartfast.synth.heart_sound(kind, seed=index, duration_s=1.0 + 2 * index)
        heartfast.synth.write_wav(folder / name, samples[: -index or None], sr)
    samples, sr = heartfast.synth.heart_sound("murmur", seed=9, duration_s=2.0)
    heartfast.synth.write_wav(folder / "a" / "short.wav", samples[:30], sr)
    (folder / "a" / "0.wav").write_bytes(b"RIFF not really")
    (folder / "a" / "none.wav").write_bytes((folder / "1.wav").read_bytes()[:44])
    (folder / "b" / "link.wav").symlink_to(folder / "nowhere")
    return folder


def by_pictures(source, folder, config):
    """Names, features and errors by way of files."""
    made = heartfast.convert(source, folder, config=config)
    with PictureSet(folder) as pictures:
        found = extract_all(pictures, [picture.name for picture in pictures.pictures])
    assert not found.errors
    return made, found.matrix


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"invert": True, "colormap": "magma"},
        {"size": (64, 200)},
        {"size": (300, 50), "invert": True},
        {"fmin": 60.0, "fmax": 700.0, "dynamic_range": 50.0, "overlap": 90},
        {"window_ms": 200.0, "hop_ms": 80.0, "ref": 3.0, "center": False, "zero_pad": 2048},
        {"noise_reduction": 1.0, "blur": (30.0, 20.0)},
        {"figure": heartfast.FigureConfig(osc="linear")},
        {"figure": heartfast.FigureConfig(), "invert": True},
    ],
    ids=str,
)
def test_features_are_those_of_the_pictures(recordings, tmp_path, settings):
    config = heartfast.SpectrogramConfig(**settings)
    names, found = extract_recordings([recordings], config, jobs=2)
    made, matrix = by_pictures(recordings, tmp_path / "png", config)
    assert [name for name in names if name not in dict(found.errors)] == sorted(
        str(record.recording).removeprefix(f"{recordings}/") for record in made.records
    )
    order = np.argsort([record.recording for record in made.records])
    assert (found.matrix == matrix[order]).all()
    assert dict(found.errors) == {
        str(error.path).removeprefix(f"{recordings}/"): error.message for error in made.errors
    }
    assert found.config == config.to_dict()


def test_rows_and_errors_are_in_the_order_of_names_whatever_the_threads(recordings):
    reports = []
    config = heartfast.SpectrogramConfig()
    names, one = extract_recordings([recordings], config, jobs=1, progress=reports.append)
    assert names == sorted(names)
    assert names == [
        *("1.wav", "3 s.wav", "a/0.wav", "a/1.wav", "a/none.wav"),
        *("a/short.wav", "b/2.wav", "b/link.wav"),
    ]
    assert [name for name, _ in one.errors] == ["a/0.wav", "a/none.wav", "b/link.wav"]
    assert [names[row] for row in one.rows] == [
        name for name in names if name not in dict(one.errors)
    ]
    assert (reports[-1].stage, *reports[-1][1:]) == ("features", 8, 8, 3)
    again, many = extract_recordings([recordings], config, jobs=5)
    assert (again, many.errors) == (names, one.errors)
    assert (many.matrix == one.matrix).all()


def test_recordings_in_an_archive(recordings, tmp_path):
    shutil.make_archive(str(tmp_path / "x"), "zip", recordings / "a")
    config = heartfast.SpectrogramConfig()
    names, packed = extract_recordings([tmp_path / "x.zip"], config)
    _, plain = extract_recordings([recordings / "a"], config)
    assert names == ["x.zip/0.wav", "x.zip/1.wav", "x.zip/none.wav", "x.zip/short.wav"]
    assert (packed.matrix == plain.matrix).all()
    assert [text for _, text in packed.errors] == [text for _, text in plain.errors]


def test_nothing_is_written(recordings, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    extract_recordings([recordings], heartfast.SpectrogramConfig())
    assert not list(tmp_path.iterdir())


def test_none_that_is_readable(recordings, tmp_path):
    message = r"0\.wav: expected readable recordings, found 1 that are not, the first: 0\.wav: "
    with pytest.raises(DatasetError, match=message):
        extract_recordings([recordings / "a" / "0.wav"], heartfast.SpectrogramConfig())
    with pytest.raises(DatasetError, match="expected recordings"):
        extract_recordings([tmp_path], heartfast.SpectrogramConfig())
    with pytest.raises(FileNotFoundError):
        extract_recordings([tmp_path / "none"], heartfast.SpectrogramConfig())


def test_limits_hold(recordings):
    """A picture of more pixels than allowed is the recording's error, as in `convert`."""
    config = heartfast.SpectrogramConfig(window_ms=60_000.0, hop_ms=0.25)
    assert Limits().max_image_pixels < 120_001 * 4 * 6900  # bins, and frames of 6.9 s
    _, found = extract_recordings([recordings / "a" / "short.wav", recordings / "3 s.wav"], config)
    ((name, text),) = found.errors
    assert name.endswith("3 s.wav")
    assert text.startswith("expected at most 268435456 pixels, ")
    assert "(limit max_image_pixels), found " in text


def test_real_recordings(shared_data, tmp_path):
    source = shared_data / "pascal" / "set_b"
    paths = sorted(source.glob("*.wav"))[::20]
    config = heartfast.SpectrogramConfig()
    _, found = extract_recordings(paths, config)
    made, matrix = by_pictures(paths, tmp_path / "png", config)
    order = np.argsort([record.recording for record in made.records])
    assert len(matrix) > 30
    assert (found.matrix == matrix[order]).all()
