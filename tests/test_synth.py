"""The synthetic heart sounds: they sound like hearts, and only the sound tells the class."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from sklearn.metrics import roc_auc_score

from heartfast import _heart, synth

SR = 4000
seeds = st.integers(0, 2**62)


def draw(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def calm(seed: int, **traits: object) -> _heart.Patient:
    """A patient with a steady rhythm, on whom timing can be measured."""
    patient = _heart.draw_patient(draw(seed))
    steady = {"jitter": 0.01, "arrhythmia": 0.01, "third": 0.0, "innocent": 0.0, "balance": 0.0}
    return patient._replace(floor=-60.0, **(steady | traits))


def take(kind: str, patient: _heart.Patient, seed: int, seconds: float = 10.0):
    return _heart.record(
        kind, patient, "mitral", np.random.SeedSequence(seed), round(seconds * SR), SR
    )


def envelope(y: np.ndarray) -> np.ndarray:
    """Loudness between 25 and 150 Hz at 100 Hz."""
    low = signal.sosfiltfilt(signal.butter(3, [25, 150], "band", fs=SR, output="sos"), y)
    loud = signal.sosfiltfilt(signal.butter(2, 12, fs=SR, output="sos"), low**2)
    return np.sqrt(loud.clip(0))[:: SR // 100]


def cycle(env: np.ndarray) -> float:
    """Length of the heart cycle in s, from the autocorrelation of the envelope."""
    e = env - env.mean()
    r = signal.correlate(e, e)[len(e) - 1 :]
    lags = np.arange(50, 125)
    return lags[np.argmax(r[lags] + r[2 * lags])] / 100


def band_share(y: np.ndarray, low: float, high: float) -> float:
    f, power = signal.welch(y, SR, nperseg=1024)
    return power[(f >= low) & (f < high)].sum() / power.sum()


# The sounds


def test_most_energy_of_a_normal_heart_lies_below_200_hz():
    sounds = [synth.heart_sound(seed=s)[0] for s in range(30)]
    shares = np.array([band_share(y, 20, 200) for y in sounds])
    assert np.median(shares) > 0.9
    assert np.median([band_share(y, 800, 2000) for y in sounds]) < 0.02


def test_s1_is_lower_and_longer_than_s2():
    n = SR // 2
    at, one = np.array([0.1]), np.array([1.0])
    s1 = _heart.strike(n, SR, at, one, _heart.S1)
    s2 = _heart.strike(n, SR, at, one, _heart.S2)
    f = np.fft.rfftfreq(n, 1 / SR)
    centroid, length = [], []
    for y in (s1, s2):
        power = np.abs(np.fft.rfft(y)) ** 2
        centroid.append((f * power).sum() / power.sum())
        loud = np.flatnonzero(np.abs(signal.hilbert(y)) > 0.05 * np.abs(y).max())
        length.append(np.ptp(loud) / SR)
        assert not y[: SR // 10].any(), "sound before its onset"
    assert 30 < centroid[0] < centroid[1] < 180
    assert 0.06 < length[1] < length[0] < 0.15


@pytest.mark.parametrize("patient", range(6))
def test_rate_in_the_sound_is_the_patients(patient):
    person = calm(patient)
    measured = [60 / cycle(envelope(take("normal", person, s))) for s in range(3)]
    assert np.median(measured) == pytest.approx(person.rate, rel=0.06)


def test_recordings_of_a_person_share_the_rate_and_people_differ():
    rates = [
        [
            60 / cycle(envelope(synth.heart_sound(seed=s, patient=p)[0].astype(float)))
            for s in range(5)
        ]
        for p in range(8)
    ]
    person = np.median(rates, axis=1)
    assert np.ptp(person) > 3 * np.median(np.abs(rates - person[:, None]))
    assert ((person > 50) & (person < 120)).all()


def test_premature_beats_and_pauses_show_in_the_intervals():
    """Time over two sounds (S1 to S1, S2 to S2) in cycles of the same heart without."""
    shortest, longest = {}, {}
    for kind in ("normal", "extrasystole"):
        intervals = []
        for s in range(20):
            person = calm(s, rate=70.0)
            env = envelope(take(kind, person, s))
            at, _ = signal.find_peaks(env, prominence=0.1 * np.percentile(env, 98), distance=12)
            period = cycle(envelope(take("normal", person, s)))
            intervals.append((at[2:] - at[:-2]) / 100 / period)
        shortest[kind] = np.median([i.min() for i in intervals])
        longest[kind] = [i.max() for i in intervals]
    # Knocks and friction add peaks to some recordings: of the shortest only the median is safe.
    assert 0.5 < shortest["extrasystole"] < 0.8 < 0.9 < shortest["normal"]
    ectopic = np.repeat([0, 1], 20)
    assert roc_auc_score(ectopic, longest["normal"] + longest["extrasystole"]) > 0.8


@pytest.mark.parametrize(
    ("murmur", "in_systole"),
    [("ejection", True), ("holosystolic", True), ("early diastolic", False), ("rumble", False)],
)
def test_murmur_fills_its_part_of_the_cycle_in_its_band(murmur, in_systole):
    low, high, _ = _heart.MURMURS[murmur]
    sos = signal.butter(3, [low, high], "band", fs=SR, output="sos")
    gains = []
    for s in range(5):
        person = calm(s, murmur=murmur, grade=0.0, rate=70.0)
        rhythm = np.random.Generator(np.random.PCG64(np.random.SeedSequence(s).spawn(1)[0]))
        beats = _heart.draw_beats(rhythm, person, rhythm.uniform(0, 2 * np.pi), 10.0, False)
        t = np.arange(10 * SR) / SR
        k = np.searchsorted(beats.s1, t, side="right") - 1
        # Away from the valves: the middle of systole, and diastole but for its ends.
        since, systole, rr = t - beats.s1[k], beats.systole[k], np.diff(beats.s1)[k]
        parts = {
            True: (since > 0.4 * systole) & (since < 0.8 * systole),
            False: (since > systole + 0.12) & (since < rr - 0.12),
        }
        with_, without = (
            signal.sosfiltfilt(sos, take(kind, person, s)) for kind in ("murmur", "normal")
        )
        loudness = [np.std(with_[parts[p]]) / np.std(without[parts[p]]) for p in (True, False)]
        gains.append(loudness if in_systole else loudness[::-1])
    own, other = np.median(gains, axis=0)
    assert own > 3 * other


@given(patient=seeds, seed=seeds, seconds=st.floats(0.1, 30), ectopic=st.booleans())
def test_rhythm_covers_the_recording_and_stays_in_order(patient, seed, seconds, ectopic):
    person = _heart.draw_patient(draw(patient))
    beats = _heart.draw_beats(draw(seed), person, 0.0, seconds, ectopic)
    rr = np.diff(beats.s1)
    assert beats.s1[0] < 0
    assert beats.s1[-1] > seconds
    assert (rr > 0.2).all()
    assert (beats.systole[:-1] < rr).all(), "S2 after the next S1"
    assert (beats.loud1 > 0).all()
    assert (beats.loud2 > 0).all()


@given(patient=seeds, seed=seeds, seconds=st.floats(4, 12))
def test_extrasystole_has_a_premature_beat_inside(patient, seed, seconds):
    """Against the same rhythm without: the same but for early beats and their pauses."""
    person = _heart.draw_patient(draw(patient))
    steady, ectopic = (
        _heart.draw_beats(draw(seed), person, 0.0, seconds, kind) for kind in (False, True)
    )
    coupling = np.diff(ectopic.s1) / np.diff(steady.s1)
    i = np.flatnonzero(coupling < 0.95)
    inside = (ectopic.s1[i + 1] > 0) & (ectopic.s1[i + 1] < seconds)
    assert inside.any()
    assert ((coupling[i] > 0.5) & (coupling[i] < 0.8)).all()
    assert (coupling[i + 1] > 1.1).all(), "no pause after a premature beat"
    assert np.median(ectopic.loud2[i + 1] / steady.loud2[i + 1]) < 0.9


@given(low=st.floats(50, 300), width=st.floats(2, 8), n=st.integers(8000, 20000), seed=seeds)
def test_noise_has_unit_power_in_its_band(low, width, n, seed):
    high = low * width
    y = _heart.noise(draw(seed), n, 8000, low, high)
    assert y.shape == (n,)
    assert np.sqrt(np.mean(y**2)) == pytest.approx(1, rel=0.3)
    power = np.abs(np.fft.rfft(y)) ** 2
    f = np.fft.rfftfreq(n, 1 / 8000)
    assert power[(f > low / 2) & (f < 2 * high)].sum() > 0.7 * power.sum()


# heart_sound


@given(
    kind=st.sampled_from(synth.CLASSES),
    seed=seeds,
    patient=st.none() | seeds,
    seconds=st.floats(0.1, 4),
    sr=st.sampled_from([1000, 2000, 4000, 11025, 44100]),
)
def test_any_arguments_in_range_give_a_recording(kind, seed, patient, seconds, sr):
    y, rate = synth.heart_sound(kind, seed=seed, patient=patient, duration_s=seconds, sr=sr)
    assert rate == sr
    assert y.dtype == np.float32
    assert y.shape == (round(seconds * sr),)
    assert np.isfinite(y).all()
    assert 0 < np.abs(y).max() <= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("kind", v) for v in ("", "Normal", "extrastole", None, 3)),
        *(("duration_s", v) for v in (0, 0.09, -1.0, float("nan"), float("inf"))),
        *(("sr", v) for v in (0, 999, -4000, 4000.0, "4000", None)),
        *(("seed", v) for v in (-1, 0.5, None)),
        *(("patient", v) for v in (-1, 0.5)),
    ],
)
def test_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, found .*$"):
        synth.heart_sound(**{name: value})


def test_same_seed_same_samples_and_another_another():
    again = [synth.heart_sound("murmur", seed=5, patient=9)[0] for _ in range(2)]
    assert again[0].tobytes() == again[1].tobytes()
    for other in ({"seed": 6, "patient": 9}, {"seed": 5, "patient": 8}, {"seed": 5}):
        y, _ = synth.heart_sound("murmur", **other)
        assert abs(np.corrcoef(y, again[0])[0, 1]) < 0.5


def test_kinds_of_one_seed_are_the_same_heart():
    normal, murmur = (synth.heart_sound(k, seed=2)[0] for k in ("normal", "murmur"))
    heart = signal.butter(3, [20, 60], "band", fs=SR, output="sos")
    assert np.corrcoef(signal.sosfilt(heart, normal), signal.sosfilt(heart, murmur))[0, 1] > 0.9


def test_import_does_not_load_numpy():
    code = "import sys, heartfast.synth; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# write_wav


@given(pcm=st.lists(st.integers(-32768, 32767), max_size=50), sr=st.integers(1, 192000))
def test_wav_reads_back_exactly(tmp_path_factory, pcm, sr):
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    synth.write_wav(path, np.array(pcm, dtype=np.float32) / 32768, sr)
    found, rate = soundfile.read(path, dtype="int16")
    assert (found.tolist(), rate) == (pcm, sr)
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)


def test_wav_clips_and_rounds(tmp_path):
    synth.write_wav(tmp_path / "x.wav", np.array([-7, -1, -0.6 / 32768, 0.4 / 32768, 1, 7]), SR)
    found, _ = soundfile.read(tmp_path / "x.wav", dtype="int16")
    assert found.tolist() == [-32768, -32768, -1, 0, 32767, 32767]


@pytest.mark.parametrize("samples", [np.zeros((2, 2)), np.array([np.nan]), np.float32(1)])
def test_wav_refuses_what_is_not_one_finite_channel(tmp_path, samples):
    with pytest.raises(ValueError, match=r"^samples: expected .*, found shape"):
        synth.write_wav(tmp_path / "x.wav", samples, SR)
    with pytest.raises(ValueError, match=r"^sr: expected"):
        synth.write_wav(tmp_path / "x.wav", np.zeros(3), 0)
    assert not list(tmp_path.iterdir())


# write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    files = synth.write_corpus(folder, patients=150, recordings=3, duration_s=(4, 6), unlabelled=7)
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return folder, files, rows


def test_corpus_lists_exactly_its_files(corpus):
    folder, files, rows = corpus
    assert list(rows[0]) == ["file_name", "label", "group", "source"]
    assert [folder / row["file_name"] for row in rows] == files
    assert set(files) == set(folder.rglob("*.wav"))
    assert len(files) == 150 * 3 + 7
    assert {row["source"] for row in rows} == {"synthetic"}
    for row in rows:
        parent, name = row["file_name"].split("/")
        assert parent == (row["label"] or "unlabelled")
        assert name.split("_")[0] == row["group"]
    assert {soundfile.info(file).samplerate for file in files[:20]} == {SR}
    assert all(4 <= soundfile.info(file).duration <= 6 for file in files)


def test_corpus_is_unbalanced_as_asked_and_people_are_whole(corpus):
    _, _, rows = corpus
    labelled = [row for row in rows if row["label"]]
    counts = Counter(row["label"] for row in labelled)
    shares = {kind: n / len(labelled) for kind, n in counts.items()}
    assert shares == pytest.approx({"normal": 0.6, "murmur": 0.25, "extrasystole": 0.15}, abs=0.02)
    people = {kind: {r["group"] for r in labelled if r["label"] == kind} for kind in counts}
    assert not people["murmur"] & (people["normal"] | people["extrasystole"])
    assert people["extrasystole"] < people["normal"]
    strangers = {row["group"] for row in rows if not row["label"]}
    assert len(strangers) == 3
    assert not strangers & set.union(*people.values())
    assert set(Counter(row["group"] for row in labelled).values()) == {3}


@pytest.mark.parametrize("kind", synth.CLASSES)
def test_nothing_but_the_sound_tells_the_class(corpus, kind):
    folder, _, rows = corpus
    labelled = [row for row in rows if row["label"]]
    is_kind = [row["label"] == kind for row in labelled]
    sounds = [soundfile.read(folder / row["file_name"])[0] for row in labelled]
    hints = {
        "duration": [len(y) for y in sounds],
        "power": [np.std(y) for y in sounds],
        "peak": [np.abs(y).max() for y in sounds],
        "patient number": [int(row["group"]) for row in labelled],
        "order": range(len(labelled)),
        "take": [row["file_name"][-5] for row in labelled],
        "site": [sorted(_heart.SITES).index(row["file_name"].split("_")[1]) for row in labelled],
    }
    told = {name: roc_auc_score(is_kind, np.array(hint, float)) for name, hint in hints.items()}
    assert told == pytest.approx(dict.fromkeys(hints, 0.5), abs=0.12)


def test_corpus_is_the_same_byte_for_byte(tmp_path):
    a, b, c = (
        synth.write_corpus(
            tmp_path / name, patients=4, recordings=2, duration_s=(0.5, 1), seed=seed, unlabelled=1
        )
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    content = [{p.name: p.read_bytes() for p in files} for files in (a, b, c)]
    assert content[0] == content[1]
    assert not set(content[0].values()) & set(content[2].values())
    tables = [(tmp_path / name / "labels.csv").read_bytes() for name in "abc"]
    assert tables[0] == tables[1] != tables[2]


@given(patients=st.integers(3, 12), recordings=st.integers(1, 4), unlabelled=st.integers(0, 5))
def test_any_size_has_every_class(tmp_path_factory, patients, recordings, unlabelled):
    files = synth.write_corpus(
        tmp_path_factory.mktemp("c"),
        patients=patients,
        recordings=recordings,
        unlabelled=unlabelled,
        duration_s=(0.1, 0.1),
        sr=1000,
    )
    counts = Counter(file.parent.name for file in files)
    assert counts.pop("unlabelled", 0) == unlabelled
    assert set(counts) == set(synth.CLASSES)
    assert sum(counts.values()) == patients * recordings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patients", 2),
        ("recordings", 0),
        ("unlabelled", -1),
        ("sr", 10),
        ("seed", -1),
        ("duration_s", (5, 4)),
        ("duration_s", (0.01, 4)),
        ("duration_s", (4,)),
    ],
)
def test_bad_corpus_argument_is_named_and_nothing_written(tmp_path, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, found .*$"):
        synth.write_corpus(tmp_path / "c", **{name: value})
    assert not list(tmp_path.iterdir())
