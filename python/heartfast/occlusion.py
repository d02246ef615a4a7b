"""What a model looks at in one picture: where hiding a part of it changes the probability."""

from __future__ import annotations

import io
import math
import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast.bundle import Bundle
from heartfast.context import in_company
from heartfast.errors import DatasetError, UsageError
from heartfast.extraction import extract_all
from heartfast.features import CORNER_HZ, FOREIGN_COLUMN_S, FOREIGN_TOP_HZ, extract
from heartfast.heads import head_of
from heartfast.images import PictureSet, decode
from heartfast.provenance import MAX_NUMBER, MODEL, Made, require_made

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.heads import Head
    from heartfast.provenance import Provenance

    Array = NDArray[np.float64]

ROWS = 10  # as narrow as 50 Hz at the bottom of 2 kHz
CELL_S = 0.25  # a heart sound lasts half of it, a systole a little more than all of it
MOST_COLUMNS = 64  # of longer pictures the cells are wider
WINDOW = 2  # cells that are hidden at once, in each direction
SURE = 1e-6  # probabilities nearer to 0 or 1 count as this


class OcclusionMap(NamedTuple):
    """Which time and frequency moved the probability of a class.

    Parameters
    ----------
    values
        float64 (rows, columns), row 0 the lowest frequency: what a cell adds to the class's
        log-odds, in nats. Above 0 it speaks for the class, and without it the class would be
        less probable.
    times
        float64 (columns + 1,), the cells' edges in seconds of the recording.
    frequencies
        float64 (rows + 1,), the cells' edges in Hz.
    label
        The class.
    probability
        That of the class for the whole picture.

    Notes
    -----
    It says what this model goes by, right or wrong, and not what ails a heart. Cells that say the
    same hide each other: a murmur in every beat may be seen nowhere, as one beat less changes
    nothing.

    Examples
    --------
    >>> import numpy as np
    >>> edges = np.array([0.0, 0.5, 1.0]), np.array([0.0, 200.0, 600.0])
    >>> found = heartfast.OcclusionMap(np.array([[0, 0], [1, 0]]), *edges, "murmur", 0.8)
    >>> found.describe()
    'murmur, 80%; what speaks most for it is 0.0 to 0.5 s at 200 to 600 Hz, without it 60%.'
    """

    values: Array
    times: Array
    frequencies: Array
    label: str
    probability: float

    def describe(self) -> str:
        """Say in a sentence what speaks most for the class, and what it would be without."""
        import numpy as np

        row, column = np.unravel_index(self.values.argmax(), self.values.shape)
        most = self.values[row, column]
        said = f"{self.label}, {_percent(self.probability)}"
        if most <= 0:
            return f"{said}; no part of it speaks for that more than the rest."
        start, end = self.times[column : column + 2]
        low, high = self.frequencies[row : row + 2]
        odds = _log_odds(np.array(self.probability)) - most
        return (
            f"{said}; what speaks most for it is {start:.1f} to {end:.1f} s at {low:.0f} to "
            f"{high:.0f} Hz, without it {_percent(1 / (1 + math.exp(-odds)))}."
        )


def occlusion_map(
    model: str | os.PathLike[str] | Bundle,
    picture: str | os.PathLike[str],
    label: str | None = None,
    *,
    company: Sequence[str | os.PathLike[str]] = (),
) -> OcclusionMap:
    """Find the parts of a picture that a class's probability rests on.

    Parts of `WINDOW` times `WINDOW` cells are hidden one after the other, each half over its
    neighbours, and the picture is described and scored anew. A cell has the mean of what the parts
    over it changed. Hidden means that each row of pixels has its own median over time there: the
    level that it has most of the time. Black would be a silence that no recording has, with two
    edges that sound like clicks, and the model would be seen to answer to these.

    Parameters
    ----------
    model
        A saved model, or one already loaded.
    picture
        A PNG or JPEG like those that the model was trained on.
    label
        The class; the most probable one by default.
    company
        For a model with context, the other pictures of its group that it was scored with; nothing
        is hidden in them.

    Returns
    -------
    OcclusionMap
        Ten rows on the features' scale of frequency, narrow at the bottom, and columns of a
        quarter of a second, wider in recordings over 16 s. Of pictures that do not say how they
        were made, seconds and Hz are those that the features assume.

    Raises
    ------
    BundleError
        The model is not an intact bundle of this version.
    ConfigMismatchError
        A picture was made with another configuration than the model's.
    DecodeError
        It cannot be read.
    DatasetError
        It is a figure whose frequencies are not on a linear scale; nothing of its company can be
        read.
    ValueError
        A class that the model does not know, or a model that was trained with a network.
    OSError
        A file cannot be opened.

    References
    ----------
    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=24, recordings=1)
    >>> made = heartfast.convert(folder + "/wav", folder + "/png", labels="folders")
    >>> model = heartfast.train(made.out, folds=2, repeats=1, trials=1).bundle
    >>> picture = f"{made.out}/{made.records[0].file_name}"
    >>> found = heartfast.occlusion_map(model, picture, "murmur")
    >>> found.values.shape[0], float(found.frequencies[-1])
    (10, 2000.0)
    """
    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    name = os.fspath(picture)
    others = None
    if bundle.context and company:
        with PictureSet(company) as pictures:
            names = [each.name for each in pictures.pictures]
            others = extract_all(
                pictures, names, config=bundle.config, selection=bundle.selection
            ).matrix
    with PictureSet([name]) as pictures:
        data = pictures.read_bytes(name.replace(os.sep, "/"))
    return map_of(bundle, name, data, label, others)


def map_of(
    bundle: Bundle, name: str, data: bytes, label: str | None, others: Array | None = None
) -> OcclusionMap:
    """`occlusion_map` of a picture's file that was read already, and its company's features."""
    import numpy as np

    if bundle.embedding is not None:
        raise UsageError("model: expected one without a network, found one trained with it")
    if label is not None and label not in bundle.classes:
        raise UsageError(f"label: expected one of {', '.join(bundle.classes)}, found {label!r}")
    levels, provenance = decode(data, name)
    if provenance is not None and bundle.config is not None:
        require_made(name, provenance.made, MODEL, Made(bundle.config, bundle.selection))
    grid = _grid(name, levels, provenance, head_of(io.BytesIO(data)))

    windows = list(grid.windows())
    features = [extract(levels, provenance)]
    features += [extract(grid.hide(levels, *window), provenance) for window in windows]
    described = np.stack(features)
    if bundle.context:
        alone = np.empty((0, described.shape[1]))
        described = in_company(described, alone if others is None else others)
    probabilities = bundle.model.predict_proba(described)
    index = probabilities[0].argmax() if label is None else bundle.classes.index(label)
    odds = _log_odds(probabilities[:, index])
    sums, counts = np.zeros((2, len(grid.rows) - 1, len(grid.columns) - 1))
    for window, change in zip(windows, odds[0] - odds[1:], strict=True):
        sums[window] += change
        counts[window] += 1
    return OcclusionMap(
        values=sums / counts,
        times=grid.times,
        frequencies=grid.frequencies,
        label=bundle.classes[index],
        probability=float(probabilities[0, index]),
    )


def can_explain(bundle: Bundle) -> bool:
    """Whether there are maps for the pictures that a model was trained on."""
    return bundle.embedding is None and _scale(bundle.config or {}) == "linear"


def _scale(config: Mapping[str, object]) -> object:
    """Return how frequencies are spread over the pictures of a configuration."""
    figure = config.get("figure")
    return figure.get("y_scale", "linear") if isinstance(figure, dict) else "linear"


class _Grid(NamedTuple):
    """Cells over a picture's plot: their edges in pixels, and in Hz and seconds.

    `rows` count from `bottom` upwards, `columns` from the picture's left.
    """

    bottom: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    frequencies: Array
    times: Array

    def windows(self) -> Iterator[tuple[slice, slice]]:
        """Give the cells that are hidden at once, as rows and columns."""
        for row in range(max(1, len(self.rows) - WINDOW)):
            for column in range(max(1, len(self.columns) - WINDOW)):
                yield slice(row, row + WINDOW), slice(column, column + WINDOW)

    def hide(self, levels: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return the picture with these cells as they mostly are."""
        import numpy as np

        low, high = self.rows[rows.start], self.rows[min(rows.stop, len(self.rows) - 1)]
        left, right = (
            self.columns[columns.start],
            self.columns[min(columns.stop, len(self.columns) - 1)],
        )
        across = slice(self.bottom - high, self.bottom - low)
        hidden = levels.copy()
        whole = levels[across, self.columns[0] : self.columns[-1]]
        hidden[across, left:right] = np.median(whole, axis=1).round()[:, None]
        return hidden


def _grid(name: str, levels: NDArray[np.uint8], provenance: Provenance | None, head: Head) -> _Grid:
    import numpy as np

    if provenance and (found := _scale(provenance.config)) != "linear":
        raise DatasetError(f"{name}: expected a linear scale of frequencies, found {found!r}")
    height, width = levels.shape
    top, bottom = _pixels(head.plot.top, head.plot.bottom, height)
    first, last = _pixels(head.plot.left, head.plot.right, width)

    low, high = (provenance.fmin, provenance.fmax) if provenance else (0.0, FOREIGN_TOP_HZ)
    mel = np.linspace(np.log1p(low / CORNER_HZ), np.log1p(high / CORNER_HZ), ROWS + 1)
    hertz = np.expm1(mel) * CORNER_HZ
    rows = _edges((hertz - low) / max(high - low, 1e-9), bottom - top)

    start, seconds = 0.0, (last - first) * FOREIGN_COLUMN_S
    if head.left is not None and head.right is not None and head.left < head.right:
        start, seconds = head.left, min(head.right - head.left, MAX_NUMBER)  # it may be forged
    count = round(min(max(seconds / CELL_S, 1), MOST_COLUMNS))
    columns = _edges(np.linspace(0, 1, count + 1), last - first)
    return _Grid(
        bottom=bottom,
        rows=rows,
        columns=first + columns,
        frequencies=low + rows / (bottom - top) * (high - low),
        times=start + columns / (last - first) * seconds,
    )


def _pixels(start: float, end: float, size: int) -> tuple[int, int]:
    """Pixels of a part of a picture, given by shares that may be forged: one at least."""
    first, last = (round(min(max(share, 0.0), 1.0) * size) for share in (start, end))
    return (first, last) if last > first else (0, size)


def _edges(shares: Array, size: int) -> NDArray[np.intp]:
    """Return the pixels nearest to shares of a size, each once, from 0 to the size."""
    import numpy as np

    inner = np.round(np.clip(shares[1:-1], 0, 1) * size).astype(int)
    return np.unique([0, *inner, size])


def _percent(probability: float) -> str:
    if probability < 0.005:
        return "under 1%"
    return "over 99%" if probability > 0.995 else f"{probability:.0%}"


def _log_odds(probabilities: Array) -> Array:
    import numpy as np

    clipped = np.clip(probabilities, SURE, 1 - SURE)
    return np.asarray(np.log(clipped / (1 - clipped)))
