"""What became of recordings: those that are pictures, and those that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.manifest import read_entries

if TYPE_CHECKING:
    from heartfast import _core
    from heartfast.intervals import Interval
    from heartfast.limits import Limits
    from heartfast.remarks import Counted
    from heartfast.selection import Selection


class BatchOptions(NamedTuple):
    """What the core's batch asks for beyond the configuration."""

    folder: str
    header: str
    to: str
    shard_bytes: int | None
    fsync: bool
    check: bool
    overwrite: bool
    prune: bool
    png: str
    selection: Selection
    limits: Limits
    max_errors: int | None
    threads: int
    intervals: dict[str, list[Interval]]


class Converted(NamedTuple):
    """A recording (or segment) that became a picture: a row of `metadata.csv`, and its origin."""

    file_name: str
    label: str
    group: str
    source: str
    sample_rate: int
    duration_s: float
    sha256: str
    recording: str


class Failed(NamedTuple):
    """A recording that did not, or only as far as an error: a line of `errors.jsonl`."""

    path: str
    kind: str
    message: str
    offset: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The fields that are known."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Conversion:
    """What `convert` did.

    Attributes
    ----------
    out : str
        The folder with the manifest, `metadata.csv` and the pictures, or the archives of them.
    pictures : int
        How many there are.
    duration_s : float
        Of all of them together.
    errors : list of Failed
        Also in `errors.jsonl` of `out`, which is there only if something failed.
    failed : int
        How many these are.
    known : int
        Recordings that an earlier run had converted already, or tried to.
    notes : list of str
        What a user should know: names that changed, rows and recordings without a match, and what
        was odd about recordings.
    remarks : list of (kind, count, first, text)
        What was odd about recordings that were read all the same: how many are ``cut`` (shorter
        than their headers say), the path of the first, and what is said of it; or have a ``size``
        in the header that does not fit the file, or ``extra`` data that is not read.

    A notebook shows a dozen of the pictures.
    """

    def __init__(
        self,
        out: str,
        outcome: _core._Outcome,
        errors: list[Failed],
        notes: list[str],
    ) -> None:
        self.out = out
        self.pictures: int = outcome["pictures"]
        self.duration_s: float = outcome["duration_s"]
        self.known: int = outcome["known"]
        self.notes = notes
        self.remarks: list[Counted] = outcome["remarks"]
        self._errors = errors
        self._recordings = outcome["recordings"]
        self._records: list[Converted] | None = None

    @property
    def errors(self) -> list[Failed]:
        """The recordings that failed."""
        return self._errors

    @property
    def failed(self) -> int:
        """How many recordings failed."""
        return len(self._errors)

    @property
    def records(self) -> list[Converted]:
        """The pictures, sorted by name: read from the manifest when they are first asked for."""
        if self._records is None:
            named = self._recordings.named()
            self._records = sorted(
                Converted(
                    name,
                    entry["label"],
                    entry["group"],
                    entry["source"],
                    entry["sample_rate"],
                    duration_s,
                    entry["sha256"],
                    named.get(entry["file_name"], entry["path"]),
                )
                for entry in read_entries(self.out)
                for name, duration_s, *_ in entry["pictures"]
            )
        return self._records

    def to_dict(self) -> dict[str, object]:
        """The result as JSON can hold it; the pictures themselves stand in `metadata.csv`."""
        return {
            "out": self.out,
            "pictures": self.pictures,
            "duration_s": self.duration_s,
            "known": self.known,
            "errors": [error.to_dict() for error in self.errors],
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        """A dozen of the pictures, for notebooks."""
        from heartfast.notebook import small_gallery

        return small_gallery(self)
