"""Features beside pictures: those of the pictures, and the same model by them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast.cluster.feature_table import has_features, read_features
from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.extraction import extract_all
from heartfast.images import PictureSet

MB = 0.3


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "wav"
    heartfast.synth.write_corpus(folder, patients=24, recordings=2, seed=3)
    (folder / "normal/bad.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture(scope="module")
def pictures(recordings) -> Path:
    """As one machine makes them."""
    out = recordings.parent / "pictures"
    heartfast.convert(recordings, out, labels=recordings / "labels.csv")
    return out


def converted(recordings: Path, out: Path, to: str = "tar") -> Path:
    labels = recordings / "labels.csv"
    heartfast.convert(recordings, out, labels=labels, to=to, shard_mb=MB, features=True)
    return out


@pytest.mark.parametrize("to", ["dir", "tar", "zip", "parquet"])
def test_features_are_those_of_the_pictures(recordings, pictures, tmp_path, to):
    out = converted(recordings, tmp_path / "out", to)
    assert len(list(out.glob("features-*.parquet"))) > 3
    table = read_features(str(out))
    with PictureSet(pictures) as known:
        expected = extract_all(known, [picture.name for picture in known.pictures])
        assert table.pictures == known.pictures
    assert np.array_equal(table.matrix, expected.matrix)
    assert table.matrix.dtype == np.float64
    assert table.config == heartfast.SpectrogramConfig().to_dict()
    assert has_features(out)
    assert not has_features(pictures)


def test_what_is_missing_or_damaged(recordings, pictures, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(DatasetError, match=r"expected features beside pictures .*, found no plan"):
        read_features(str(pictures))
    out = converted(recordings, tmp_path / "out")
    path = out / "features-000001.parquet"
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(DatasetError, match=r"found no features-000001\.parquet"):
        read_features(str(out))
    for damaged in (b"", whole[:100], b"PAR1" * 9):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"features-000001\.parquet: expected features"):
            read_features(str(out))
    table = pq.read_table(pa.BufferReader(whole))
    known = json.loads(table.schema.metadata[b"heartfast"]) | {"features": 1}
    pq.write_table(table.replace_schema_metadata({"heartfast": json.dumps(known)}), path)
    with pytest.raises(ConfigMismatchError, match="expected features of version 2, found 1"):
        read_features(str(out))
    fewer = table.set_column(
        table.schema.get_field_index("features"),
        "features",
        pa.array([[1.0]] * len(table), pa.list_(pa.float64(), 1)),
    )
    pq.write_table(fewer, path)
    with pytest.raises(DatasetError, match=r"found \d+ numbers of \d+ pictures"):
        read_features(str(out))


def test_the_same_model_without_a_look_at_the_pictures(recordings, pictures, tmp_path):
    out = converted(recordings, tmp_path / "out")
    options = {"folds": 2, "repeats": 1, "trials": 1, "join_duplicates": False}
    by_pictures = heartfast.train(pictures, tmp_path / "a.heartfast", **options)
    for picture in out.glob("pictures-*"):
        picture.unlink()
    by_features = heartfast.train(out, tmp_path / "b.heartfast", **options)
    assert by_features.names == by_pictures.names
    assert [row.without_times() for row in by_features.leaderboard] == [
        row.without_times() for row in by_pictures.leaderboard
    ]
    assert (tmp_path / "a.heartfast").read_bytes() == (tmp_path / "b.heartfast").read_bytes()
    with pytest.raises(ValueError, match="expected pictures to describe anew"):
        heartfast.train(out, augment=1, **options)
    joined = heartfast.train(out, **options | {"join_duplicates": True, "time_budget": 1})
    assert any("only copies with the same bytes" in note for note in joined.notes)
