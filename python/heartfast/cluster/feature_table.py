"""Features beside pictures, in Parquet: for training only they are read, and no picture."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.extras import require_package
from heartfast.files import is_url
from heartfast.names import name_of_text, text_of_name
from heartfast.places import open_place
from heartfast.tables import METADATA, METADATA_COLUMNS, parse_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.extraction import Extracted
    from heartfast.images import Picture
    from heartfast.provenance import Made

_PREFIX = "features-"


class FeatureTable(NamedTuple):
    """Features (n, f) of pictures, and what else `metadata.csv` has of each; sorted by name."""

    matrix: NDArray[np.float64]
    pictures: list[Picture]
    made: Made | None
    marked: list[str]
    rates: Counter[int]

    @property
    def config(self) -> dict[str, object]:
        """The pictures' configuration, empty where they do not say how they were made."""
        return self.made.config if self.made else {}


def feature_table_name(number: int) -> str:
    """Name the table of a task."""
    return f"{_PREFIX}{number:06}.parquet"


def write_features(path: str, folder: str, to: str, metadata: bytes) -> None:
    """Write the features of the pictures that lie in `folder`, in archives or not.

    The columns are those of `metadata.csv`, and `features`: a list of float64, in the order of
    `heartfast.features.feature_names`. Features are the same as those of the pictures elsewhere.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from heartfast import features
    from heartfast.images import decode
    from heartfast.provenance import require_made

    rows = list(parse_table(metadata, METADATA, METADATA_COLUMNS).records())
    described = {}
    first: tuple[str, Made] | None = None
    marked: list[str] = []
    rates: Counter[int] = Counter()
    for name, data in _pictures(folder, to, [row["file_name"] for row in rows]):
        levels, provenance = decode(data, name)
        if provenance is not None:
            first = first or (name, provenance.made)
            require_made(name, provenance.made, *first)
            rates[provenance.sample_rate] += 1
            marked += [name] * provenance.marked
        described[name] = features.extract(levels, provenance)
    matrix = [described[row["file_name"]] for row in rows]
    columns: dict[str, object] = {
        name: pa.array([text_of_name(row[name]) for row in rows], pa.string())
        for name in METADATA_COLUMNS
    }
    columns["features"] = pa.array(matrix, pa.list_(pa.float64(), len(features.feature_names())))
    known = {"heartfast": json.dumps(_making(first and first[1], marked, rates))}
    pq.write_table(pa.table(columns).replace_schema_metadata(known), path, compression="zstd")


def _making(made: Made | None, marked: list[str], rates: Counter[int]) -> dict[str, object]:
    """Say how the pictures of a table were made, for `train`."""
    from heartfast.features import FEATURES_VERSION

    selection = made and made.selection
    return {
        "features": FEATURES_VERSION,
        "config": made.config if made else {},
        "selection": selection and selection._asdict(),
        "marked": marked,
        "rates": rates,
    }


def _made(known: dict[str, Any]) -> Made | None:
    from heartfast.provenance import Made
    from heartfast.selection import Selection

    if not known["config"]:
        return None
    if (selection := known.get("selection")) is None:
        raise ValueError(
            "features of an earlier heartfast, which do not say what of recordings was selected: "
            "convert again"
        )
    return Made(known["config"], Selection.from_json(selection))


def _pictures(folder: str, to: str, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for archive in sorted(os.listdir(folder)):
        path = os.path.join(folder, archive)
        if to == "tar" and archive.endswith(".tar"):
            with tarfile.open(path) as opened:
                for member in opened:
                    if member.name.endswith(".png") and (file := opened.extractfile(member)):
                        yield member.name, file.read()
        elif to == "zip" and archive.endswith(".zip"):
            with zipfile.ZipFile(path) as opened_zip:
                for name in opened_zip.namelist():
                    if name.endswith(".png"):
                        yield name, opened_zip.read(name)
    if to in ("dir", "parquet"):
        for name in names:
            with open(os.path.join(folder, *name.split("/")), "rb") as picture:
                yield name, picture.read()


def has_features(source: object) -> bool:
    """Whether this is the path or URL of a conversion with features beside its pictures."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = os.fspath(source)
    if is_url(path):
        return True
    return os.path.isdir(path) and any(name.startswith(_PREFIX) for name in os.listdir(path))


def read_features(source: str) -> FeatureTable:
    """Read the features of a conversion; of its pictures nothing is read.

    Raises
    ------
    OSError
        A store or file cannot be read.
    DatasetError
        There are no features, or they are not those of a whole conversion, or damaged.
    ConfigMismatchError
        They are of another version.
    """
    require_package("pyarrow", "features beside pictures")
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from heartfast.cluster.plan_file import read_plan
    from heartfast.features import FEATURES_VERSION, feature_names
    from heartfast.images import Picture
    from heartfast.provenance import require_made

    place = open_place(source)
    expected = "expected features beside pictures (convert --features)"
    try:
        tasks = len(read_plan(place).parts)
    except FileNotFoundError:
        raise DatasetError(f"{place}: {expected}, found no plan.json") from None
    columns: dict[str, list[str]] = {name: [] for name in METADATA_COLUMNS}
    blocks = []
    first: tuple[str, Made] | None = None
    marked: list[str] = []
    rates: Counter[int] = Counter()
    for number in range(tasks):
        name = feature_table_name(number)
        try:
            table = pq.read_table(pa.BufferReader(place.read(name)))
            known = json.loads((table.schema.metadata or {})[b"heartfast"])
            version, made = known["features"], _made(known)
            marked += known.get("marked", [])
            rates.update({int(rate): n for rate, n in known.get("rates", {}).items()})
            block = table.column("features").combine_chunks().flatten().to_numpy()
            for column, values in columns.items():
                values += map(name_of_text, table.column(column).to_pylist())
        except FileNotFoundError:
            raise DatasetError(f"{place}: {expected} of {tasks} tasks, found no {name}") from None
        except (pa.ArrowException, KeyError, ValueError, TypeError, AttributeError) as error:
            raise DatasetError(f"{place}/{name}: {expected}, found: {error}") from None
        if version != FEATURES_VERSION:
            raise ConfigMismatchError(
                f"{place}/{name}: expected features of version {FEATURES_VERSION}, found {version}"
            )
        if made is not None:
            first = first or (name, made)
            require_made(name, made, *first)
        blocks.append(block)
    count = len(columns["file_name"])
    matrix = np.concatenate(blocks)
    if not count or len(matrix) != count * len(feature_names()):
        raise DatasetError(f"{place}: {expected}, found {len(matrix)} numbers of {count} pictures")
    matrix = matrix.reshape(count, -1)
    order = sorted(range(count), key=columns["file_name"].__getitem__)
    pictures = [Picture(*(columns[name][i] for name in METADATA_COLUMNS)) for i in order]
    made = first and first[1]
    return FeatureTable(np.ascontiguousarray(matrix[order]), pictures, made, marked, rates)


class FeatureSet:
    """Such a conversion, as `train` takes it in place of a set of pictures."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._table = read_features(source)
        self.pictures = self._table.pictures
        self.unlisted: list[str] = []

    def __enter__(self) -> FeatureSet:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __len__(self) -> int:
        return len(self.pictures)

    def extract(self, names: Sequence[str]) -> Extracted:
        """Return the features of these pictures, in their order."""
        import numpy as np

        from heartfast.extraction import Extracted

        place = {picture.name: row for row, picture in enumerate(self.pictures)}
        rows = [place[name] for name in names]
        made = self._table.made
        return Extracted(
            matrix=self._table.matrix[rows],
            rows=np.arange(len(rows)),
            errors=[],
            config=made.config if made else None,
            foreign=0,
            selection=made.selection if made else None,
            marked=self._table.marked,
            rates=self._table.rates,
        )

    def groups(self, pictures: Sequence[Picture]) -> list[int]:
        """Number the groups of pictures, and those with the same recording as one."""
        from heartfast.groups import group_numbers

        return group_numbers((picture.group, picture.sha256) for picture in pictures)
