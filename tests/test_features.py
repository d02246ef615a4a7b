"""Features are finite for any picture, and the ones with a meaning have it."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import heartfast
import reference_features
from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.extraction import extract_all
from heartfast.features import LEVEL_FREE, extract, families, feature_names
from heartfast.images import PictureSet, Provenance, decode

CONFIG = {"window_ms": 50.0, "dynamic_range": 80.0, "size": None}
NAMES = feature_names()
BANDS = reference_features.BANDS


def provenance(hop: int = 100, **changes: object) -> Provenance:
    config = {**CONFIG, **changes}
    return Provenance(config, 4000, 4.0, 200, hop, 0.0, 2000.0, "0.1.0")


def described(levels: np.ndarray, origin: Provenance | None = None) -> dict[str, float]:
    return dict(zip(NAMES, extract(levels, origin).tolist(), strict=True))


def beats(times: list[float], seconds: float = 10.0, step: float = 0.025) -> np.ndarray:
    """A 101-row picture with a low thud of 100 ms at every time."""
    t = np.arange(0, seconds, step)
    envelope = sum(np.exp(-((t - time) ** 2) / (2 * 0.03**2)) for time in times)
    level = 40 + 180 * np.outer(np.exp(-np.arange(101) / 15), envelope)
    return np.clip(level, 0, 255).astype(np.uint8)[::-1]


def heart(rate: float, early: int | None = None) -> np.ndarray:
    starts = np.arange(0.3, 9.5, 60 / rate)
    if early is not None:
        starts[early] -= 0.35 * 60 / rate
    return beats([time for start in starts for time in (start, start + 0.3)])


def test_names_are_unique_and_as_many_as_the_features():
    assert len(set(NAMES)) == len(NAMES) == len(extract(np.zeros((5, 5), np.uint8)))
    assert 400 <= len(NAMES) <= 600


def test_every_feature_is_of_one_family() -> None:
    places = [place for of_family in families().values() for place in of_family]
    assert places == list(range(len(NAMES)))
    assert set(LEVEL_FREE) < set(families())
    # A gain, and a device that loses its highs, change the others.
    of = {place: family for family, found in families().items() for place in found}
    assert of[NAMES.index("band03_mean")] == "bands"
    assert of[NAMES.index("band03_contrast")] == "contrast"
    assert of[NAMES.index("pair2_periodicity20")] == "periodicity"


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 80), st.integers(1, 400))),
    st.sampled_from([None, provenance(), provenance(hop=13), provenance(hop=400)]),
    st.integers(0, 2**31),
)
def test_the_core_describes_as_numpy_does(noise, origin, seed):
    # Noise upon beats, so that nothing is equally far from two peaks.
    levels = np.random.default_rng(seed).integers(0, 256, noise.shape).astype(np.uint8)
    beat = np.arange(noise.shape[1]) % 17 < 3
    levels = np.where(beat, levels // 2 + 128, levels // 2) ^ (noise & 7)
    np.testing.assert_allclose(
        extract(levels, origin), reference_features.extract(levels, origin), rtol=1e-9, atol=1e-9
    )


def test_pascal_is_described_as_by_numpy(shared_data, tmp_path):
    heartfast.convert(shared_data / "pascal/set_b", tmp_path)
    for path in sorted(tmp_path.rglob("*.png"))[::8]:
        levels, origin = decode(path.read_bytes(), path.name)
        np.testing.assert_allclose(
            extract(levels, origin),
            reference_features.extract(levels, origin),
            rtol=1e-9,
            atol=1e-9,
        )


shapes = st.tuples(st.integers(1, 120), st.integers(1, 300))


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(np.uint8, shapes, elements=st.integers(0, 255), fill=st.integers(0, 255)),
    st.sampled_from([None, provenance(), provenance(hop=1), provenance(hop=4000)]),
)
def test_any_picture_has_finite_features(levels, origin):
    features = extract(levels, origin)
    assert features.dtype == np.float64
    assert np.isfinite(features).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (101, 1), (3, 2), (2000, 9)])
@pytest.mark.parametrize("level", [0, 255])
def test_flat_pictures_have_finite_features(shape, level):
    assert np.isfinite(extract(np.full(shape, level, np.uint8), provenance())).all()


def test_odd_provenance_has_finite_features():
    levels = heart(70)
    for changes in (
        {"fmin": 2000.0},
        {"sample_rate": 1e-300},
        {"sample_rate": 1e300},
        {"fmax": 1e300},
        {"hop_length": 1e9},
    ):
        assert np.isfinite(extract(levels, provenance()._replace(**changes))).all()
    for span in (0, -5, 1e300, float("inf"), "80", None):
        assert np.isfinite(extract(levels, provenance(dynamic_range=span))).all()


@pytest.mark.parametrize("shape", [(976, 65_535), (65_535, 976), (8000, 8000)])
def test_the_largest_pictures_take_little_memory(shape):
    levels = np.zeros(shape, np.uint8)
    levels[shape[0] // 2 :] = 200
    tracemalloc.start()
    got = extract(levels, provenance(hop=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6  # as many bytes as pixels, a copy in float64 would be 512 MB
    # The lower half is loud, which is all there is in the lowest band and none of the highest.
    place = {name: index for index, name in enumerate(NAMES)}
    assert got[place["band00_mean"]] - got[place["band13_mean"]] == pytest.approx(200 / 255 * 80)


def test_a_very_long_picture_is_described_by_some_of_its_segments():
    # 33 minutes: more than all segments that count, half over each other.
    rng = np.random.Generator(np.random.PCG64(0))
    levels = rng.integers(0, 256, size=(3, 80_000), dtype=np.uint8)
    origin = provenance()._replace(duration_s=2000.0)
    np.testing.assert_allclose(
        extract(levels, origin), reference_features.extract(levels, origin), rtol=1e-9, atol=1e-9
    )


def test_band_statistics_are_those_of_scipy():
    rng = np.random.Generator(np.random.PCG64(0))
    levels = rng.integers(0, 256, size=(101, 100), dtype=np.uint8)  # 2.5 s: one segment
    got = described(levels, provenance())
    edges = 200 * (11 ** (np.arange(BANDS + 1) / BANDS) - 1)  # Hz: 0 to 2000 around 200
    rows = np.round(edges / 2000 * 101).astype(int)
    decibels = levels[::-1] / 255 * 80
    tracks = [decibels[a:b].mean(axis=0) for a, b in itertools.pairwise(rows)]
    loud = np.percentile(np.mean(tracks, axis=0), 90, method="nearest")
    for band in (0, 6, 13):
        track = tracks[band] - loud
        name = f"band{band:02d}_"
        assert got[name + "mean"] == pytest.approx(track.mean())
        assert got[name + "std"] == pytest.approx(track.std())
        assert got[name + "skew"] == pytest.approx(stats.skew(track))
        assert got[name + "flux"] == pytest.approx(np.abs(np.diff(track)).mean())
        assert got[name + "p90"] == pytest.approx(np.percentile(track, 90, method="nearest"))


def test_shares_are_of_power():
    levels = np.zeros((101, 50), np.uint8)
    levels[100 - 50] = 255  # one row, at 1000 Hz
    got = described(levels, provenance())
    shares = np.array([got[f"band{band:02d}_share"] for band in range(BANDS)])
    assert shares.argmax() == round(BANDS * np.log(1 + 1000 / 200) / np.log(11) - 0.5)
    assert shares.max() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("rate", [50, 65, 80, 100, 120])
def test_the_rate_is_found(rate):
    got = described(heart(rate), provenance())
    assert got["cycle_rate"] * 60 == pytest.approx(rate, rel=0.05)
    assert got["beat_rate"] * 30 == pytest.approx(rate, rel=0.1)
    assert got["interval_median"] == pytest.approx(1, abs=0.08)


def test_the_rate_is_in_hertz_whatever_the_hop():
    coarse = described(heart(75), provenance())
    fine = described(np.repeat(heart(75), 5, axis=1), provenance(hop=20))
    assert fine["cycle_rate"] == pytest.approx(coarse["cycle_rate"], rel=0.03)
    assert fine["band00_mean"] == pytest.approx(coarse["band00_mean"], rel=0.01)


def test_a_resized_picture_keeps_its_seconds():
    stretched = np.repeat(heart(75), 2, axis=1)
    origin = provenance(size=[101, 800])._replace(duration_s=10.0)
    assert described(stretched, origin)["cycle_rate"] * 60 == pytest.approx(75, rel=0.05)


def test_an_early_beat_shows():
    regular, early = (described(heart(70, early=at), provenance()) for at in (None, 5))
    # A mean over six segments, of which one or two show all of it.
    assert early["interval_min"] < regular["interval_min"] - 0.05
    assert early["interval_max"] > regular["interval_max"] + 0.05
    assert early["interval_jump"] > regular["interval_jump"] + 0.1
    assert early["cycle_strength"] < regular["cycle_strength"]


def test_a_murmur_between_the_sounds_shows_in_its_phase():
    clean = heart(70)
    t = np.arange(0, 10, 0.025)
    starts = np.arange(0.3, 9.5, 60 / 70)
    phase = ((t[:, None] - starts) > 0.08) & ((t[:, None] - starts) < 0.22)
    noisy = clean.copy()
    noisy[81:91, phase.any(axis=1)] = 150  # 200 to 400 Hz in systole
    without, systolic = (described(levels, provenance()) for levels in (clean, noisy))
    assert systolic["band05_contrast"] > without["band05_contrast"] + 10


def test_a_longer_recording_of_the_same_is_described_alike():
    """Whole cycles a segment, so that segments differ in nothing but their place."""
    short, long = (beats(list(np.arange(0.3, t, 0.5)), t) for t in (3.0, 15.0))
    np.testing.assert_allclose(
        extract(short, provenance()), extract(long, provenance()), rtol=0.05, atol=0.05
    )


def test_the_loudest_moment_does_not_set_the_levels():
    """A click makes all else quieter in a picture whose loudest moment is 0 dB."""
    plain = np.clip(heart(75), 60, 250)
    clicked = plain - 40
    clicked[:, 200] = 255
    change = extract(clicked, provenance()) - extract(plain, provenance())
    levels = [index for index, name in enumerate(NAMES) if name.endswith(("_p10", "_p90", "_mean"))]
    assert np.abs(change[levels]).max() < 2  # dB, of the 12.5 by which it is quieter


@pytest.fixture(scope="module")
def two_lengths(tmp_path_factory):
    """Features of 80 hearts, 3 s and 12 s of each."""
    folder = tmp_path_factory.mktemp("lengths")
    (folder / "wav").mkdir()
    for heart_number in range(80):
        for seconds in (3, 12):
            kind = ("normal", "murmur")[heart_number % 2]
            sound = heartfast.synth.heart_sound(kind, seed=heart_number, duration_s=seconds)
            heartfast.synth.write_wav(
                folder / "wav" / f"{seconds:02d}_{heart_number:02d}.wav", *sound
            )
    heartfast.convert(folder / "wav", folder / "png")
    with PictureSet(folder / "png") as found:
        return extract_all(found, [picture.name for picture in found.pictures]).matrix


def test_duration_is_hard_to_tell(two_lengths):
    length, hearts = np.repeat([0, 1], 80), np.tile(np.arange(80), 2)
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
    told = cross_val_predict(
        judge, two_lengths, length, groups=hearts, cv=GroupKFold(5), method="predict_proba"
    )
    assert roc_auc_score(length, told[:, 1]) < 0.72
    alone = [roc_auc_score(length, values) for values in two_lengths.T]
    assert max(np.abs(np.array(alone) - 0.5)) < 0.17


def write(path, levels: np.ndarray, config: dict[str, object] | None = CONFIG) -> None:
    info = PngInfo()
    if config is not None:
        said = provenance()._replace(config=config)._asdict()
        del said["selection"], said["marked"]  # as of a whole recording
        info.add_itxt("heartfast", json.dumps(said))
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(levels).save(path, pnginfo=info)


def test_a_set_is_described_in_order_with_the_bad_ones_named(tmp_path):
    rng = np.random.Generator(np.random.PCG64(0))
    pictures = [rng.integers(0, 256, size=(101, 60), dtype=np.uint8) for _ in range(9)]
    for index, levels in enumerate(pictures):
        write(tmp_path / "a" / f"{index}.png", levels, CONFIG if index % 2 else None)
    (tmp_path / "a" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    reports = []
    with PictureSet(tmp_path) as found:
        names = [picture.name for picture in found.pictures]
        got = extract_all(found, names, jobs=3, progress=reports.append)
        alone = extract_all(found, names, jobs=1)
    assert got.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert [name for name, _ in got.errors] == ["a/4.png"]
    assert got.foreign == 4
    assert got.config == CONFIG
    assert (got.matrix == alone.matrix).all()
    own = [extract(pictures[row], provenance() if row % 2 else None) for row in got.rows]
    assert (got.matrix == np.stack(own)).all()
    assert [(r.done, r.total) for r in reports] == [(n, 9) for n in range(1, 10)]
    assert reports[-1].failed == 1


def test_threads_give_what_one_gives(tmp_path):
    for index in range(40):
        write(tmp_path / "a" / f"{index:02}.png", heart(60 + index), CONFIG if index % 3 else None)
    (tmp_path / "a" / "04.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "a" / "05.png").write_bytes(b"")
    with PictureSet(tmp_path) as found:
        names = [picture.name for picture in found.pictures]
        alone = extract_all(found, names, jobs=1)
        beside = extract_all(found, names, jobs=3)
    assert (beside.matrix == alone.matrix).all()
    assert beside.rows.tolist() == alone.rows.tolist()
    assert [name for name, _ in alone.errors] == ["a/04.png", "a/05.png"]
    assert beside[2:] == alone[2:]


def test_what_cannot_be_read_or_held_is_an_error_of_the_picture(tmp_path, monkeypatch):
    for name in "123":
        write(tmp_path / "a" / f"{name}.png", heart(60 + int(name)))
    (tmp_path / "a" / "2.png").unlink()
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "nowhere")
    huge = np.broadcast_to(np.uint8(0), (1 << 20, 1 << 20))  # holds one byte
    third = (tmp_path / "a" / "3.png").read_bytes()
    monkeypatch.setattr(
        "heartfast.extraction.decode",
        lambda data, name: (huge, None) if data == third else decode(data, name),
    )
    with PictureSet(tmp_path) as found:
        got = extract_all(found, ["a/1.png", "a/2.png", "a/3.png"])
    assert got.rows.tolist() == [0]
    assert got.errors == [
        ("a/2.png", "expected a file, found a link to nothing"),
        ("a/3.png", "expected a picture that fits into memory, found a larger one"),
    ]


def test_another_configuration_is_named(tmp_path):
    write(tmp_path / "a" / "1.png", heart(70))
    write(tmp_path / "a" / "2.png", heart(70), {**CONFIG, "window_ms": 25.0})
    with PictureSet(tmp_path) as found:
        message = r"^a/2\.png: .*a/1\.png, with window_ms=50\.0, found 25\.0$"
        with pytest.raises(ConfigMismatchError, match=message):
            extract_all(found, ["a/1.png", "a/2.png"])
        with pytest.raises(ConfigMismatchError, match=r"for the model, with size=\[5, 5\]"):
            extract_all(found, ["a/1.png"], config={**CONFIG, "size": [5, 5]})


def test_nothing_to_describe(tmp_path):
    with PictureSet(tmp_path) as found, pytest.raises(DatasetError, match="found none"):
        extract_all(found, [])
    (tmp_path / "1.png").write_bytes(b"")
    message = r"found 1 that are not, the first: 1\.png"
    with PictureSet(tmp_path) as found, pytest.raises(DatasetError, match=message):
        extract_all(found, ["1.png"])


def test_features_tell_a_murmur_from_a_normal_heart_on_real_recordings(shared_data):
    """One-feature ranking on real pictures: the mid bands are louder in murmurs."""
    table = {"normal": [], "murmur": []}
    for label, values in table.items():
        paths = sorted((shared_data / "pascal" / "set_b").glob(f"{label}__*.wav"))[:40]
        for path in paths:
            samples, rate = soundfile.read(path)
            frames = np.lib.stride_tricks.sliding_window_view(samples, 200)[::100]
            size = np.abs(np.fft.rfft(frames * np.hanning(200), axis=1)).T
            decibels = np.clip(20 * np.log10(size / size.max() + 1e-9), -80, 0)
            levels = np.round(255 * (1 + decibels / 80)).astype(np.uint8)[::-1]
            values.append(described(levels, provenance())["band06_beat"])
            assert rate == 4000
    test = stats.mannwhitneyu(table["murmur"], table["normal"])
    assert test.pvalue < 0.05
