"""Pictures in Parquet, as Hugging Face's `datasets` opens them: images with their rows."""

from __future__ import annotations

import json
import os
from itertools import islice

from heartfast.names import text_of_name
from heartfast.tables import METADATA, parse_table

_GROUP = 256  # rows that are written, and later read, at a time


def write_parquet(path: str, folder: str, metadata: bytes) -> None:
    """Write the pictures of a table, read from `folder`, with the rest of their rows.

    The columns are those of `metadata.csv`, and `image`: struct of bytes (PNG) and path (its
    file_name). Texts that are no UTF-8 have such bytes as ``%E9``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"sample_rate": pa.int32(), "duration_s": pa.float64()}
    dtypes = {"sample_rate": "int32", "duration_s": "float64"}
    table = parse_table(metadata, METADATA, ("file_name",))
    rows, columns = table.records(), table.header
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("image", image), *((name, types.get(name, pa.string())) for name in columns)]
    features = {"image": {"_type": "Image"}} | {
        name: {"dtype": dtypes.get(name, "string"), "_type": "Value"} for name in columns
    }
    known = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema(fields, metadata=known)
    # What is in PNGs does not shrink any more.
    with pq.ParquetWriter(path, schema, compression=dict.fromkeys(columns, "zstd")) as writer:
        while block := list(islice(rows, _GROUP)):
            values: dict[str, list[object]] = {
                name: [text_of_name(row[name]) for row in block] for name in columns
            }
            values["sample_rate"] = [int(row["sample_rate"]) for row in block]
            values["duration_s"] = [float(row["duration_s"]) for row in block]
            values["image"] = [
                {
                    "bytes": _read(folder, row["file_name"]),
                    "path": text_of_name(row["file_name"]),
                }
                for row in block
            ]
            writer.write_table(pa.table(values, schema=schema), row_group_size=_GROUP)


def _read(folder: str, name: object) -> bytes:
    with open(os.path.join(folder, *str(name).split("/")), "rb") as file:
        return file.read()
