"""`Model` gives what `score` gives, in a long-lived process and from many threads."""

from __future__ import annotations

import io
import json
import threading

import numpy as np
import pytest

import heartfast
from heartfast.errors import ConfigMismatchError, DatasetError, UsageError
from heartfast.selection import Selection
from small_models import bundle, write, write_recordings

Model = heartfast.Model


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("selected") / "recordings")


def test_attributes(tmp_path):
    board = [{"model": "x", "logloss": 0.5, "logloss_ci": [0.4, 0.6]}, {"model": "y"}]
    bundle(sr=2000)._replace(leaderboard=board, card="# Card\n").save(tmp_path / "m")
    model = Model.load(tmp_path / "m")
    assert (model.name, model.classes, model.card) == ("x", ("a", "b", "c"), "# Card\n")
    assert model.config == heartfast.SpectrogramConfig()
    assert model.selection == Selection(sr=2000)
    assert model.metrics == board[0]
    assert repr(model) == "<Model 'x' of 3 classes: a, b, c>"


@pytest.mark.parametrize("selected", [{}, {"segment_s": 1.0, "channel": "each"}], ids=str)
def test_predicts_what_score_says(recordings, selected):
    made = bundle(**selected)
    expected = heartfast.score(made, recordings)
    found = Model(made).predict(recordings)
    assert found.to_dict() == expected.to_dict()
    assert found.labels == expected.predicted
    assert json.loads(json.dumps(found.to_dict()))["labels"] == found.labels


def test_paths_bytes_and_samples_are_one(recordings):
    """A 16-bit file, its bytes, and its samples as floats have the same rows."""
    model = Model(bundle(segment_s=1.0, channel="each"))
    path = recordings / "a" / "1.wav"
    y, sr = heartfast.load(path, mono=False)
    assert y.shape[0] == 2
    inputs = [path, path.read_bytes(), (y, sr), (y.astype(np.float64), np.int64(sr))]
    found = [model.predict(each).probabilities for each in inputs]
    assert len(found[0]) == 26  # 12.3 s, two channels
    for other in found[1:]:
        assert (other == found[0]).all()
    together = model.predict(inputs)
    assert (together.probabilities == np.concatenate(found)).all()
    assert together.names[26:28] == ["input 1_ch1_0.png", "input 1_ch2_0.png"]
    whole = model.predict(inputs, by_recording=True)
    assert whole.names == [str(path), "input 1", "input 2", "input 3"]


def test_a_list_keeps_its_order(recordings, tmp_path):
    made = bundle()
    heartfast.convert(recordings, tmp_path / "png")
    a, b = recordings / "b" / "2.wav", recordings / "1.wav"
    picture = tmp_path / "png" / "a" / "1.png"
    bad = recordings / "a" / "0.wav"
    inputs = [a, picture, bad, picture.read_bytes(), b, recordings, b"no picture"]
    found = Model(made).predict(inputs)
    whole = heartfast.score(made, recordings)
    order = [2, 1, 1, 0, 0, 1, 2]
    assert (found.probabilities == whole.probabilities[order]).all()
    assert found.row_ids == [0, 1, 3, 4, 5, 7, 8]
    assert [name for name, _ in found.errors] == [str(bad), "a/0.wav", "input 6"]


def test_names(recordings):
    """A figure shows the recording's name, so bytes are told theirs."""
    figure = heartfast.FigureConfig(width=300, height=200)
    model = Model(bundle(heartfast.SpectrogramConfig(figure=figure)))
    path = recordings / "1.wav"
    by_path = model.predict(path)
    named = model.predict([path.read_bytes()], names=["1.wav"])
    assert named.names == ["1.wav"]
    assert (named.probabilities == by_path.probabilities).all()
    assert (model.predict(path.read_bytes()).probabilities != by_path.probabilities).any()
    with pytest.raises(UsageError, match="expected 2 different names, found 1"):
        model.predict([path, path], names=["x"])


def test_from_threads(recordings):
    model = Model(bundle(sr=2000))
    paths = [recordings / "1.wav", recordings / "a" / "1.wav", recordings / "b" / "2.wav"]
    expected = [model.predict(path).probabilities for path in paths]
    wrong = []

    def work(number: int) -> None:
        for turn in range(20):
            at = (number + turn) % 3
            if not (model.predict(paths[at], jobs=1).probabilities == expected[at]).all():
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_refusals(recordings, tmp_path):
    model = Model(bundle())
    for odd in (3, [3], [("x", 4000)], [{"y": 1}]):
        with pytest.raises((UsageError, TypeError)):
            model.predict(odd)
    for y in (np.zeros(0), np.zeros((1, 2, 3)), np.zeros(9, dtype=np.int16)):
        with pytest.raises(UsageError, match=r"\(y, sr\): expected float samples"):
            model.predict((y, 4000))
    with pytest.raises(UsageError, match="at least one, found none"):
        model.predict([])
    with pytest.raises(FileNotFoundError):
        model.predict(tmp_path / "none.wav")
    with pytest.raises(DatasetError, match="expected readable inputs, found none; the first: inp"):
        model.predict(b"neither")
    with pytest.raises(DatasetError, match="do not say how they were made"):
        Model(bundle()._replace(config=None)).predict(recordings / "1.wav")
    heartfast.convert(recordings, tmp_path / "png", sr=2000)
    with pytest.raises(ConfigMismatchError, match="found one of whole recordings, resampled"):
        model.predict((tmp_path / "png" / "1.png").read_bytes())
    with pytest.raises(UsageError, match="reject"):
        model.predict(recordings, reject=0.01)


def test_silence_and_one_sample(tmp_path):
    """What is hardly there is described as its file would be."""
    model = Model(bundle())
    y = np.zeros(1, dtype=np.float32)
    heartfast.synth.write_wav(tmp_path / "x.wav", y, 4000)
    expected = model.predict(tmp_path / "x.wav").probabilities
    assert (model.predict((y, 4000)).probabilities == expected).all()


def test_decisions(recordings):
    found = Model(bundle()).predict(recordings, costs={("a", "b"): 5.0})
    assert found.labels == found.decisions


def test_the_samples_file_is_a_wav():
    """The standard library's and soundfile's readers see the same samples."""
    soundfile = pytest.importorskip("soundfile")
    from heartfast.inputs import wav_of

    y = np.random.Generator(np.random.PCG64(0)).normal(size=(2, 77)).astype(np.float32)
    read, sr = soundfile.read(io.BytesIO(wav_of(y, 8000)), dtype="float32")
    assert sr == 8000
    assert (read == y.T).all()


def test_long_lists_with_jobs(tmp_path):
    for number in range(12):
        write(tmp_path / f"{number}.wav", number, seconds=1.0)
    model = Model(bundle(segment_s=0.5))
    paths = sorted(tmp_path.glob("*.wav"))
    one = model.predict(paths, jobs=1)
    assert len(one.names) == 24
    assert (model.predict(paths, jobs=4).probabilities == one.probabilities).all()
