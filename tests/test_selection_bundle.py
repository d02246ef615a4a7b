"""A model treats recordings as those of its training were: the scores are those of the pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast.bundle import Bundle
from heartfast.errors import ConfigMismatchError, DatasetError, UsageError
from heartfast.features import feature_names
from heartfast.images import PictureSet, decode
from heartfast.models import LinearModel
from heartfast.selection import Selection
from small_models import bundle, write_recordings

QUICK = {"folds": 2, "repeats": 1, "trials": 1}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("selected") / "recordings")


SELECTIONS = [
    {"segment_s": 2.0, "sr": 2000},
    {"segment_s": 0.7, "segment_overlap": 50.0, "channel": "each"},
    {"channel": "each"},
    {"channel": "right", "start": 0.5},
    {"sr": 3000},
    {"start": 0.25, "duration": 1.5},
]
FIGURE = heartfast.FigureConfig(width=300, height=200)
CONFIGS = [
    {"noise_reduction": 1.0, "blur": (30.0, 20.0)},
    {"invert": True, "colormap": "magma", "size": (40, 64)},
    {"figure": FIGURE},
]


@pytest.mark.parametrize("selected", SELECTIONS, ids=str)
@pytest.mark.parametrize("settings", [{}, *CONFIGS], ids=str)
def test_recordings_are_scored_as_their_pictures(recordings, tmp_path, selected, settings):
    config = heartfast.SpectrogramConfig(**settings)
    model = bundle(config, **selected)
    result = heartfast.score(model, recordings, columns="full")
    heartfast.convert(recordings, tmp_path / "png", config=config, **selected)
    pictures = heartfast.score(model, tmp_path / "png", columns="full")
    if model.selection.cuts:
        assert result.names == pictures.names
    else:
        stems = [name.removesuffix(".wav") for name in result.names]
        assert stems == [name.removesuffix(".png") for name in pictures.names]
    assert (result.probabilities == pictures.probabilities).all()
    assert [name for name, _ in result.errors] == ["a/0.wav"]


def test_one_row_a_recording(recordings):
    model = bundle(segment_s=1.0, channel="each")
    rows = heartfast.score(model, recordings)
    whole = heartfast.score(model, recordings, by_recording=True)
    assert whole.names == ["1.wav", "a/1.wav", "b/2.wav"]
    assert whole.row_ids == [0, 2, 3]  # one failed
    assert sum(map(len, whole.members)) == len(rows.names) > 20
    for name, probabilities, members in zip(
        whole.names, whole.probabilities, whole.members, strict=True
    ):
        assert all(member.startswith(name.removesuffix(".wav") + "_ch") for member in members)
        logs = np.log(rows.probabilities[[rows.names.index(member) for member in members]])
        mean = np.exp(logs.mean(axis=0))  # the geometric mean
        np.testing.assert_allclose(probabilities, mean / mean.sum(), rtol=1e-9)
    header, _ = whole.table("full")
    assert header[0] == "row_id"
    assert {"file_name", "pictures"} <= set(header)
    with pytest.raises(UsageError, match="by_recording, by_group: expected one"):
        heartfast.score(model, recordings, by_recording=True, by_group=True)


def test_one_row_a_recording_of_pictures(recordings, tmp_path):
    selected = {"segment_s": 1.0, "channel": "each"}
    heartfast.convert(recordings, tmp_path / "png", **selected)
    model = bundle(**selected)
    pictures = heartfast.score(model, tmp_path / "png", by_recording=True)
    direct = heartfast.score(model, recordings, by_recording=True)
    assert pictures.names == ["1", "a/1", "b/2"]
    assert (pictures.probabilities == direct.probabilities).all()


def test_a_context_is_that_of_the_pictures(recordings, tmp_path):
    selected = {"segment_s": 1.0}
    model = bundle(**selected)
    width = 2 * len(feature_names())
    rng = np.random.Generator(np.random.PCG64(1))
    wide = LinearModel(
        np.zeros(width), np.full(width, 500.0), rng.normal(size=(3, width)), np.zeros(3)
    )
    model = model._replace(model=wide, training={"context": True})
    heartfast.convert(recordings, tmp_path / "png", labels="none", **selected)
    pictures = heartfast.score(model, tmp_path / "png")
    assert (heartfast.score(model, recordings).probabilities == pictures.probabilities).all()


def trained(folder, **settings):
    """A model of synthetic sounds, and where their pictures are."""
    wav = folder / "wav"
    heartfast.synth.write_corpus(wav, patients=12, recordings=2)
    heartfast.convert(wav, folder / "png", labels="folders", **settings)
    heartfast.train(folder / "png", folder / "m.heartfast", **QUICK)
    return folder / "m.heartfast", wav, folder / "png"


@pytest.fixture(scope="module")
def of_segments(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("trained"), segment_s=2.0, sr=2000)


def test_a_trained_model_keeps_its_selection(of_segments):
    model, wav, png = of_segments
    saved = Bundle.load(model)
    assert saved.selection == Selection(segment_s=2.0, sr=2000)
    assert list(saved.sample_rates) == [2000]
    assert sum(saved.sample_rates.values()) == sum(1 for _ in png.rglob("*.png"))
    result = heartfast.score(model, wav)
    pictures = heartfast.score(model, png)
    assert result.names == pictures.names
    assert (result.probabilities == pictures.probabilities).all()
    assert result.notes == pictures.notes


def test_pictures_of_another_selection_are_refused(of_segments, tmp_path):
    model, wav, _ = of_segments
    heartfast.convert(wav, tmp_path / "wholes")
    found = r"of segments of 2 s, resampled to 2000 Hz, found one of whole recordings, the mix"
    with pytest.raises(ConfigMismatchError, match=found):
        heartfast.score(model, tmp_path / "wholes")
    heartfast.convert(wav, tmp_path / "longer", segment_s=3.0, sr=2000)
    with pytest.raises(ConfigMismatchError, match=r"found one of segments of 3 s, resampled"):
        heartfast.score(model, tmp_path / "longer")


def test_a_mixed_training_set_is_refused(of_segments, tmp_path):
    _, wav, png = of_segments
    mixed = tmp_path / "mixed"
    heartfast.convert(wav, mixed, labels="folders", sr=2000)
    (mixed / "metadata.csv").unlink()
    (picture, *_) = sorted((png / "normal").glob("*.png"))
    shutil.copy(picture, mixed / "normal")
    with pytest.raises(ConfigMismatchError, match="of whole recordings, resampled to 2000 Hz"):
        heartfast.train(mixed, **QUICK)


@pytest.mark.parametrize("to", ["zip", "dir"])
def test_packed_pictures_keep_it(tmp_path, to):
    wav = tmp_path / "wav"
    heartfast.synth.write_corpus(wav, patients=16, recordings=2)
    heartfast.convert(wav, tmp_path / "png", labels="folders", channel="left", start=0.5, to=to)
    heartfast.pack(tmp_path / "png", tmp_path / "sets")
    made = heartfast.train(tmp_path / "sets" / "train.zip", **QUICK).bundle
    assert made.selection == Selection(channel="left", start=0.5)


def test_features_beside_pictures_keep_it(tmp_path):
    pytest.importorskip("pyarrow")
    wav = tmp_path / "wav"
    heartfast.synth.write_corpus(wav, patients=12, recordings=2)
    selected = {"segment_s": 2.0, "sr": 2000}
    heartfast.convert(wav, tmp_path / "f", labels="folders", features=True, to="zip", **selected)
    made = heartfast.train(tmp_path / "f", **QUICK).bundle
    assert made.selection == Selection(**selected)
    assert list(made.sample_rates) == [2000]


def test_another_sample_rate_is_a_note(recordings):
    model = bundle()._replace(sample_rates={4000: 100})
    (note,) = heartfast.score(model, recordings).notes
    assert note.startswith("1 of 3 have another sample rate (8000 Hz) than all of the training")
    assert heartfast.score(model._replace(sample_rates={4000: 99, 8000: 1}), recordings).notes == []


def test_figures_and_tiles_are_told_in_words(recordings, tmp_path):
    figure = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig())
    heartfast.convert(recordings, tmp_path / "figures", config=figure)
    heartfast.convert(recordings, tmp_path / "tiles")
    message = (
        r"1\.png: expected plain spectrogram tiles as the model was trained on, found figures with "
        r"axes \(900 x 500\)"
    )
    with pytest.raises(ConfigMismatchError, match=message):
        heartfast.score(bundle(), tmp_path / "figures")
    message = r"expected figures with axes \(300 x 200\) as the model was .*, found plain spect"
    with pytest.raises(ConfigMismatchError, match=message):
        heartfast.score(bundle(heartfast.SpectrogramConfig(figure=FIGURE)), tmp_path / "tiles")
    other = heartfast.SpectrogramConfig(figure=FIGURE._replace(theme="dark"))
    heartfast.convert(recordings, tmp_path / "dark", config=other)
    with pytest.raises(ConfigMismatchError, match=r"figure\.theme=None, found 'dark'"):
        heartfast.score(bundle(heartfast.SpectrogramConfig(figure=FIGURE)), tmp_path / "dark")


def test_marks_of_intervals(recordings, tmp_path):
    config = heartfast.SpectrogramConfig(figure=FIGURE)
    (tmp_path / "marks").mkdir()
    for name in ("1", "2"):
        (tmp_path / "marks" / f"{name}.csv").write_text("start,end,label\n0.5,1.0,S1\n")
    png = tmp_path / "png"
    heartfast.convert(recordings, png, config=config, intervals=tmp_path / "marks")
    with PictureSet(png) as pictures:
        (name, *_) = [picture.name for picture in pictures.pictures]
        assert decode(pictures.read_bytes(name), name)[1].marked
    with pytest.raises(ConfigMismatchError, match="without labelled intervals drawn on them"):
        heartfast.score(bundle(config), png)
    marked = bundle(config)._replace(marked=3, sample_rates={4000: 3})
    assert heartfast.score(marked, png).names
    with pytest.raises(DatasetError, match=r"3 of the pictures .* have labelled intervals drawn"):
        heartfast.score(marked, recordings)


def test_models_of_before_score_pictures_only(recordings, tmp_path):
    """They do not say what was selected, so nothing is guessed."""
    bundle()._replace(selection=None).save(tmp_path / "m")
    assert Bundle.load(tmp_path / "m").selection is None
    heartfast.convert(recordings, tmp_path / "png", segment_s=1.0)
    assert heartfast.score(tmp_path / "m", tmp_path / "png").names
    with pytest.raises(DatasetError, match=r"an earlier heartfast saved the model.*train it again"):
        heartfast.score(tmp_path / "m", recordings)


def test_selections_read_back(tmp_path):
    model = bundle(channel=2, start=0.5, duration=3.0, sr=2000, segment_s=1.0, segment_overlap=50.0)
    model = model._replace(marked=0, sample_rates={2000: 7})
    model.save(tmp_path / "m")
    again = Bundle.load(tmp_path / "m")
    assert (again.selection, again.sample_rates) == (model.selection, model.sample_rates)


def test_a_font_is_known_by_its_content(recordings, tmp_path):
    assets = Path(__file__).parent.parent / "rust" / "heartfast-core" / "assets"
    font = str(assets / "Roboto-Regular.ttf")
    config = heartfast.SpectrogramConfig(figure=FIGURE._replace(font=font))
    heartfast.convert(recordings, tmp_path / "png", config=config)
    with PictureSet(tmp_path / "png") as pictures:
        made = decode(pictures.read_bytes("1.png"), "1.png")[1].made
    assert made.config["figure"]["font"].startswith("sha256:")
    model = bundle(config)._replace(config=made.config)
    model.save(tmp_path / "m")
    copy = shutil.copy(font, tmp_path / "copy.ttf")
    pictures = heartfast.score(tmp_path / "m", tmp_path / "png")
    direct = heartfast.score(tmp_path / "m", recordings, font=copy)
    assert (pictures.probabilities == direct.probabilities).all()
    with pytest.raises(DatasetError, match="have a font of their own"):
        heartfast.score(tmp_path / "m", recordings)
    with pytest.raises(ConfigMismatchError, match=r"expected the font of the figures"):
        heartfast.score(tmp_path / "m", recordings, font=tmp_path / "m")
    with pytest.raises(UsageError, match="expected none"):
        heartfast.score(bundle(), recordings, font=copy)
