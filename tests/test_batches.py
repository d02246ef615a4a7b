"""Batches in memory: the pictures that convert writes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import heartfast
from resuming import corpus


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batches")
    source = corpus(folder / "in", 12)
    return source, heartfast.convert(source, folder / "out")


@pytest.fixture(scope="module")
def batch(converted) -> dict[str, list[object]]:
    source, _ = converted
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    return {
        "bytes": [path.read_bytes() for path in paths],
        "path": [str(path) for path in paths],
        "number": list(range(len(paths))),
    }


def check(drawn, converted, batch) -> None:
    source, result = converted
    known = {record.recording: record for record in result.records}
    errors = {error.path: error.message for error in result.errors}
    assert len(known) + len(errors) == len(batch["path"])
    for i, path in enumerate(batch["path"]):
        assert drawn["number"][i] == i
        assert drawn["path"][i] == path
        if path in errors:
            assert not drawn["image"][i]
            assert drawn["error"][i] == errors[path]
            assert drawn["sample_rate"][i] == drawn["duration_s"][i] == 0
        else:
            written = (source.parent / "out" / known[path].file_name).read_bytes()
            assert drawn["image"][i] == written
            assert not drawn["error"][i]
            assert drawn["sample_rate"][i] == known[path].sample_rate
            assert drawn["duration_s"][i] == known[path].duration_s


@pytest.mark.parametrize("jobs", [1, 4, None])
def test_arrays(converted, batch, jobs):
    columns = {name: np.array(values, dtype=object) for name, values in batch.items()}
    drawn = heartfast.convert_batch(columns, jobs=jobs)
    assert list(drawn) == ["path", "number", "image", "sample_rate", "duration_s", "error"]
    assert drawn["sample_rate"].dtype == np.int32
    assert drawn["duration_s"].dtype == np.float64
    check(drawn, converted, batch)
    assert "bytes" in columns  # what was given is as it was


@pytest.mark.parametrize("kind", ["table", "record batch"])
def test_arrow(converted, batch, kind):
    import pyarrow as pa

    table = pa.table(batch)
    given = table if kind == "table" else table.to_batches()[0]
    drawn = heartfast.convert_batch(given)
    assert type(drawn) is type(given)
    assert drawn.column("image").null_count == len(batch["path"]) - len(converted[1].records)
    assert drawn.column("error").null_count == len(converted[1].records)
    types = [str(field.type) for field in drawn.schema]
    assert types == ["string", "int64", "binary", "int32", "double", "string"]
    check(drawn.to_pydict(), converted, batch)


def test_figures_have_the_names_of_recordings(converted, batch, tmp_path):
    source, _ = converted
    config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig())
    heartfast.convert(source, tmp_path / "out", config=config)
    drawn = heartfast.convert_batch(batch, config=config)
    first = batch["path"].index(str(source / "0/000.wav"))
    assert drawn["image"][first] == (tmp_path / "out/0/000.png").read_bytes()


def test_it_can_be_sent_to_other_processes():
    function, config = pickle.loads(  # noqa: S301 its own
        pickle.dumps((heartfast.convert_batch, heartfast.SpectrogramConfig(overlap=75)))
    )
    assert function is heartfast.convert_batch
    assert config == heartfast.SpectrogramConfig(overlap=75)


def test_an_empty_batch():
    drawn = heartfast.convert_batch({"bytes": []})
    assert [len(values) for values in drawn.values()] == [0, 0, 0, 0]


@given(st.lists(st.binary(max_size=300), max_size=5))
@settings(max_examples=50)
def test_any_bytes(recordings):
    drawn = heartfast.convert_batch({"bytes": recordings})
    for image, error in zip(drawn["image"], drawn["error"], strict=True):
        assert bool(image) != bool(error)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"path": ["x"]}, ValueError, "expected a column 'bytes', found path"),
        ({"bytes": [b""], "image": [1]}, ValueError, "expected no column 'image'"),
        ({"bytes": ["text"]}, TypeError, "bytes"),
        ([b"x"], TypeError, "expected a dict of arrays, or a table or batch of pyarrow's"),
        ({"bytes": [b""]}, ValueError, "png"),
    ],
)
def test_what_is_no_batch(given, error, message):
    options = {"png": "medium"} if message == "png" else {}
    with pytest.raises(error, match=message):
        heartfast.convert_batch(given, **options)
