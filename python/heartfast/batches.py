"""Batches of recordings in memory, for who has a pipeline of their own."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

from heartfast import _core, remarks
from heartfast._core import SpectrogramConfig
from heartfast.errors import UsageError, warn
from heartfast.limits import check_limits
from heartfast.parallel import cores

if TYPE_CHECKING:
    from typing import Literal

    from heartfast.limits import Limits

Batch = TypeVar("Batch")

_MADE = ("image", "sample_rate", "duration_s", "error")


def convert_batch(
    batch: Batch,
    *,
    config: SpectrogramConfig | None = None,
    png: Literal["fast", "small"] = "fast",
    limits: Limits | None = None,
    jobs: int | None = 1,
) -> Batch:
    """Draw the spectrograms of a batch of recordings.

    For ``map_batches`` of Ray Data, Daft, and ``mapInArrow`` of Spark; nothing is read or written.

    Parameters
    ----------
    batch : dict of array, pyarrow.Table or pyarrow.RecordBatch
        With a column ``bytes``: recordings, each all of a file. ``path`` may be its name.
    config : SpectrogramConfig, optional
    png : str
        As in `heartfast.convert`.
    limits : Limits, optional
        How much of what a recording promises is believed.
    jobs : int, optional
        Threads; None is one per core. Those engines have a process per core themselves.

    Returns
    -------
    as `batch`
        Its columns but for ``bytes``, and: ``image`` (PNG: the bytes that `heartfast.convert`
        writes), ``sample_rate`` (Hz, int32; 0 without a picture), ``duration_s`` (float64),
        ``error`` (what was expected and found). In the order of the batch. Where there is no
        picture, or no error, it is null, or empty in arrays, which have no null.

    Raises
    ------
    ValueError
        There is no column ``bytes``, or one of the names above is there already.
    TypeError
        It is no such batch, or what is in the column is no bytes.

    Notes
    -----
    The column ``bytes`` is that of Ray's ``read_binary_files``.

    Examples
    --------
    >>> import io, pathlib, tempfile
    >>> path = heartfast.synth.write_corpus(tempfile.mkdtemp(), patients=3, recordings=1)[0]
    >>> batch = {"bytes": [pathlib.Path(path).read_bytes(), b"no recording"]}
    >>> drawn = heartfast.convert_batch(batch)
    >>> drawn["image"][0][:4], drawn["sample_rate"].tolist()
    (b'\\x89PNG', [4000, 0])
    """
    columns, arrow = _columns(batch)
    if "bytes" not in columns:
        raise UsageError(f"batch: expected a column 'bytes', found {', '.join(columns) or 'none'}")
    if there := [name for name in _MADE if name in columns]:
        raise UsageError(f"batch: expected no column {there[0]!r}, which is to be made, found one")
    recordings, names = _recordings(columns["bytes"]), columns.get("path")
    if names is None:
        names = [""] * len(recordings)
    if len(names) != len(recordings):
        raise UsageError(
            f"batch: expected a 'path' for each of {len(recordings)} recordings, found {len(names)}"
        )
    drawn, odd, notes = _core.convert_bytes(
        recordings,
        [str(name).encode(errors="replace").decode() for name in names],
        config or SpectrogramConfig(),
        png,
        check_limits(limits),
        cores(jobs),
    )
    for note in (*remarks.notes(odd), *notes):
        warn(note)
    rows = [(image, rate, seconds, error and error[1]) for image, rate, seconds, error in drawn]
    new: dict[str, list[Any]] = {name: [row[i] for row in rows] for i, name in enumerate(_MADE)}
    made: Batch = (_with_arrow if arrow else _with_arrays)(batch, new)
    return made


def _recordings(given: list[Any]) -> list[bytes]:
    """Return all bytes of each recording; none where there is a null."""
    recordings = []
    for row, recording in enumerate(given):
        if not isinstance(recording, bytes | bytearray | memoryview | NoneType):
            raise TypeError(
                f"batch: expected bytes in the column 'bytes', found {type(recording).__name__} in "
                f"row {row}"
            )
        recordings.append(b"" if recording is None else bytes(recording))
    return recordings


def _columns(batch: Any) -> tuple[dict[str, Any], bool]:
    """Return what is needed of the columns, as lists, and whether the batch is of Arrow."""
    if isinstance(batch, dict):
        return {**batch, **{n: _list(n, batch[n]) for n in ("bytes", "path") if n in batch}}, False
    if hasattr(batch, "schema") and hasattr(batch, "column"):
        columns = dict.fromkeys(batch.schema.names)
        for name in ("bytes", "path"):
            if name in columns:
                columns[name] = batch.column(name).to_pylist()
        return columns, True
    raise TypeError(
        "batch: expected a dict of arrays, or a table or batch of pyarrow's, found "
        f"{type(batch).__name__}"
    )


def _list(name: str, column: Any) -> list[Any]:
    if isinstance(column, str | bytes | bytearray | memoryview | dict) or not hasattr(
        column, "__iter__"
    ):
        raise TypeError(
            f"batch: expected an array or list in the column {name!r}, found "
            f"{type(column).__name__}"
        )
    return list(column)


def _with_arrays(batch: Any, new: dict[str, list[Any]]) -> Any:
    import numpy as np

    kinds = {"sample_rate": np.int32, "duration_s": np.float64}
    empty = {"image": b"", "error": ""}
    made = {}
    for name, values in new.items():
        made[name] = np.empty(len(values), dtype=kinds.get(name, object))
        made[name][:] = [empty[name] if value is None else value for value in values]
    return {name: values for name, values in batch.items() if name != "bytes"} | made


def _with_arrow(batch: Any, new: dict[str, list[Any]]) -> Any:
    import pyarrow as pa

    kinds = {"image": pa.binary(), "sample_rate": pa.int32(), "duration_s": pa.float64()}
    kept = [name for name in batch.schema.names if name != "bytes"]
    columns = {name: batch.column(name) for name in kept}
    columns |= {name: pa.array(v, kinds.get(name, pa.string())) for name, v in new.items()}
    fields = [batch.schema.field(name) for name in kept]
    fields += [pa.field(name, kinds.get(name, pa.string())) for name in new]
    return type(batch).from_arrays(list(columns.values()), schema=pa.schema(fields))
