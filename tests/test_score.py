"""Scores are the model's, in sorted order, in the format that the R snippet reads."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import heartfast
from heartfast.bundle import Bundle
from heartfast.errors import BundleError, ConfigMismatchError, DatasetError
from heartfast.features import extract, feature_names
from heartfast.images import decode
from heartfast.models import LinearModel
from heartfast.stages.score import score

CLASSES = ("extrasystole", "murmur", "normal")
CONFIG = heartfast.SpectrogramConfig().to_dict()


def bundle(config: dict[str, object] | None = CONFIG) -> Bundle:
    rng = np.random.Generator(np.random.PCG64(0))
    width = len(feature_names())
    model = LinearModel(
        np.zeros(width), np.full(width, 50.0), rng.normal(size=(3, width)), np.zeros(3)
    )
    return Bundle(
        model=model, name="x", classes=CLASSES, config=config, leaderboard=[], training={}
    )


def picture(seed: int, config: dict[str, object] | None = CONFIG) -> bytes:
    rng = np.random.Generator(np.random.PCG64(seed))
    info = PngInfo()
    if config is not None:
        fields = {"sample_rate": 4000, "duration_s": 1.5, "n_fft": 200, "hop_length": 100}
        chunk = {"config": config, **fields, "fmin": 0.0, "fmax": 2000.0, "version": "0.1.0"}
        info.add_itxt("heartfast", json.dumps(chunk))
    buffer = io.BytesIO()
    levels = rng.integers(0, 256, size=(101, 60), dtype=np.uint8)
    Image.fromarray(levels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for index, name in enumerate(["b.png", "a.png", "B.png", "ä.png", "sub/c.png"]):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(picture(index))
    return tmp_path / "in"


def test_rows_are_in_sorted_order_and_the_models(folder, tmp_path):
    bundle().save(tmp_path / "m")
    reports = []
    result = score(tmp_path / "m", folder, tmp_path / "s.csv", jobs=2, progress=reports.append)
    assert result.names == ["B.png", "a.png", "b.png", "sub/c.png", "ä.png"]
    assert reports[-1].done == 5
    with open(tmp_path / "s.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["row_id", *(f"Prediction.{label}" for label in CLASSES)]
    assert [row[0] for row in rows[1:]] == list("01234")
    for row, name in zip(rows[1:], result.names, strict=True):
        features = extract(*decode((folder / name).read_bytes(), name))
        expected = bundle().model.predict_proba(features[None])[0]
        assert [float(cell) for cell in row[1:]] == expected.tolist()
        assert math.fsum(expected) == pytest.approx(1, abs=1e-15)


def test_full_columns(folder, tmp_path):
    result = score(bundle(), folder, tmp_path / "s.csv", columns="full")
    with open(tmp_path / "s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == result.names
    for row in rows:
        best = max(CLASSES, key=lambda label: float(row[f"Prediction.{label}"]))
        assert row["predicted"] == best


def test_zip_and_folder_give_the_same_bytes_for_any_jobs(folder, tmp_path):
    shutil.make_archive(str(tmp_path / "t"), "zip", folder)
    score(bundle(), folder, tmp_path / "1.csv", columns="full", jobs=1)
    score(bundle(), tmp_path / "t.zip", tmp_path / "2.csv", columns="full", jobs=3)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_a_bad_picture_is_named_and_does_not_shift_the_others(folder):
    whole = score(bundle(), folder)
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:90])
    result = score(bundle(), folder)
    assert result.row_ids == [0, 2, 3, 4]
    ((name, message),) = result.errors
    assert name == "a.png"
    assert message.startswith("expected an intact picture, found")
    assert (result.probabilities == whole.probabilities[[0, 2, 3, 4]]).all()


def test_pictures_of_another_configuration(folder):
    other = {**CONFIG, "window_ms": 25.0}
    message = (
        r"^B\.png: expected a picture made as for the model, with window_ms=25\.0, found 50\.0$"
    )
    with pytest.raises(ConfigMismatchError, match=message):
        score(bundle(other), folder)


def test_pictures_that_do_not_say_how_they_were_made(folder):
    (folder / "x.png").write_bytes(picture(9, None))
    assert "pictures that do not say how they were made: 1;" in score(bundle(), folder).notes[0]
    assert "model was trained on" in score(bundle(None), folder).notes[0]


def test_recordings_beside_pictures_are_counted(folder):
    assert score(bundle(), folder).notes == []
    for name in ("b.wav", "sub/x.MP3"):
        (folder / name).write_bytes(b"")
    notes = score(bundle(), folder).notes
    assert notes == ["recordings passed over, as there are pictures: 2"]


def test_pictures_named_outright(folder):
    whole = score(bundle(), folder)
    result = score(bundle(), [folder / "sub" / "c.png", folder / "a.png"])
    assert result.names == [f"{folder}/a.png", f"{folder}/sub/c.png"]
    assert (result.probabilities == whole.probabilities[[1, 3]]).all()
    with pytest.raises(FileNotFoundError):
        score(bundle(), [folder / "a.png", folder / "none.png"])


def test_bad_input(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"^columns: expected one of short, full, found 'x'"):
        score(bundle(), folder, columns="x")
    with pytest.raises(DatasetError, match="empty: expected"):
        score(bundle(), tmp_path / "empty")
    with pytest.raises(DatasetError, match="expected a folder or ZIP with pictures"):
        score(bundle(None), tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "x.zip", "w"):
        pass
    with pytest.raises(DatasetError, match="expected PNG or JPEG pictures, found none"):
        score(bundle(), tmp_path / "x.zip")
    with pytest.raises(FileNotFoundError):
        score(tmp_path / "none", folder)
    (tmp_path / "bad").write_bytes(b"no")
    with pytest.raises(BundleError):
        score(tmp_path / "bad", folder)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score") / "recordings"
    for index, name in enumerate(["b/2.wav", "a/1.wav", "1.wav"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        samples, sr = heartfast.synth.heart_sound("murmur", seed=index, duration_s=3.0)
        heartfast.synth.write_wav(folder / name, samples, sr)
    (folder / "a" / "0.wav").write_bytes(b"RIFF not really")
    return folder


@pytest.mark.parametrize(
    "settings",
    [{}, {"window": ("gaussian", 30.0), "size": (40, 64)}, {"invert": True, "colormap": "magma"}],
)
def test_recordings_are_converted_as_the_models_pictures_were(recordings, tmp_path, settings):
    config = heartfast.SpectrogramConfig(**settings)
    stored = json.loads(json.dumps(config.to_dict()))
    result = score(bundle(stored), recordings)
    assert result.names == ["1.wav", "a/1.wav", "b/2.wav"]
    assert result.row_ids == [0, 2, 3]
    assert [name for name, _ in result.errors] == ["a/0.wav"]
    heartfast.convert(recordings, tmp_path / "png", config=config)
    pictures = score(bundle(stored), tmp_path / "png")
    assert pictures.names == ["1.png", "a/1.png", "b/2.png"]
    assert (pictures.probabilities == result.probabilities).all()


def test_recordings_named_outright(recordings):
    whole = score(bundle(), recordings)
    one = score(bundle(), recordings / "a" / "1.wav")
    assert one.names == ["1.wav"]
    assert (one.probabilities == whole.probabilities[1:2]).all()
    some = score(bundle(), [recordings / "1.wav", recordings / "b"])
    assert some.names == [f"{recordings}/1.wav", f"{recordings}/b/2.wav"]
    assert (some.probabilities == whole.probabilities[[0, 2]]).all()


def test_recordings_none_of_which_is_readable(recordings):
    with pytest.raises(
        DatasetError, match=r"readable recordings, found 1 that are not, the first: 0\.wav: "
    ):
        score(bundle(), recordings / "a" / "0.wav")


def test_real_recordings(shared_data):
    folder = shared_data / "pascal" / "set_b"
    result = score(bundle(), sorted(folder.glob("Bunlabelledtest__1*.wav")))
    assert len(result.names) > 50
    assert not result.errors
    assert np.abs(result.probabilities.sum(axis=1) - 1).max() < 1e-12
