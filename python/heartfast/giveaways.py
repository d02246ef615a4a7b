"""What gives the class of a recording away, without a sound being heard; and its source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.checks import AMBER, GREEN, RED, Finding
from heartfast.metrics import draw_groups
from heartfast.ranking import areas, rank_class
from heartfast.wording import counted, of_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.checks import Item

    Array = NDArray[np.float64]

RESAMPLES = 1000
CELLS = 4_000_000  # resamples times recordings
MISTAKE = 0.05  # the chance that any of all the areas of a clean dataset is called anything
# An area whose interval is all above this: red gives the class away, amber hints at it.
RED_AREA, AMBER_AREA = 0.65, 0.55
MOST_KINDS = 12  # different values of what is taken for a kind, not for a size


def check_giveaways(
    items: Sequence[Item], groups: NDArray[np.intp], seed: int = 0
) -> list[Finding]:
    """What predicts the class without a sound being heard: length, level, rate, source, order."""
    import numpy as np

    labels, actual = np.unique([item.label for item in items], return_inverse=True)
    if len(labels) < 2:
        return []
    columns = _columns(items, groups)
    mistake = MISTAKE / max(1, len(columns) * len(labels))
    found = []
    for name, values in columns.items():
        rows = np.flatnonzero(~np.isnan(values))
        if len(rows) < len(items) / 2 or len(np.unique(actual[rows])) < len(labels):
            share = f"{len(rows)} of {counted(len(items), 'recording')}"
            text = f"The {name} is known of {share}, or not of every class. It was not looked at."
            found.append(Finding(AMBER, name, text, []))
        elif len(kinds := np.unique(values[rows])) > 1:
            known = _Known(
                actual[rows], np.unique(groups[rows], return_inverse=True)[1], len(items)
            )
            scores = values[rows][:, None]
            if name == "source" or len(kinds) <= MOST_KINDS:
                scores = _shares(np.searchsorted(kinds, values[rows]), known, len(labels))
            found.append(_giveaway(name, scores, labels.tolist(), known, mistake, seed))
    return sorted(found, key=lambda finding: (RED, AMBER, GREEN).index(finding.level))


class _Known(NamedTuple):
    """Classes and groups of the recordings (n,) of which something is known, of so many."""

    actual: NDArray[np.intp]
    groups: NDArray[np.intp]
    of: int


_WORDS = {
    "duration": "How long a recording is",
    "sample rate": "The sample rate",
    "level": "How loud a recording is",
    "peak": "How loud its loudest moment is",
    "clipping": "How much of a recording is clipped",
    "source": "The source (device, clinic, corpus)",
    "order": "The number in a recording's name, or when it was made,",
}


def _giveaway(
    name: str, scores: Array, labels: Sequence[str], known: _Known, mistake: float, seed: int
) -> Finding:
    import numpy as np

    # One column for all classes, or one for each.
    scores = np.broadcast_to(scores, (len(known.actual), len(labels)))
    found = [
        area_with_interval(scores[:, index], known.actual == index, known.groups, seed)
        for index in range(len(labels))
    ]
    sure = [
        area - 0.5 > _normal_quantile(1 - mistake / 2) * _chance(known.actual == i, known.groups)
        for i, (area, _, _) in enumerate(found)
    ]
    evidence = [
        f'class "{label}": AUC {value:.2f} ({low:.2f} to {high:.2f})'
        for label, (value, low, high) in zip(labels, found, strict=True)
    ]
    if len(known.actual) < known.of:
        evidence.append(f"known of {len(known.actual)} of {counted(known.of, 'recording')}")
    worst = max(range(len(labels)), key=lambda index: (sure[index], found[index][1]))
    area, low, _ = found[worst]
    what = _WORDS.get(name, name)
    if sure[worst] and low >= AMBER_AREA:
        tells = "gives away" if low >= RED_AREA else "hints at"
        text = (
            f"{what} {tells} whether a recording is {of_class(labels[worst])} (AUC {area:.2f}): a "
            "model may learn that instead of what is heard."
        )
        return Finding(RED if low >= RED_AREA else AMBER, name, text, evidence)
    return Finding(GREEN, name, f"{what} says little about the class.", evidence)


def area_with_interval(
    scores: Array, positive: NDArray[np.bool_], groups: NDArray[np.intp], seed: int = 0
) -> tuple[float, float, float]:
    """Area under the ROC curve, whichever way it points, and its 95 % interval over groups.

    Parameters
    ----------
    scores, positive, groups
        (n,) each; groups are numbered from 0.
    """
    import numpy as np

    ranking = rank_class(positive, scores)
    area = float(areas(ranking, np.ones((1, len(scores))))[0][0])
    if area < 0.5:
        ranking, area = rank_class(positive, -scores), 1 - area
    count = int(groups.max()) + 1
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = []
    for start in range(0, RESAMPLES, step := max(1, CELLS // len(scores))):
        times = draw_groups(rng, count, min(step, RESAMPLES - start))
        drawn.append(areas(ranking, times[:, groups])[0])
    draws = np.concatenate(drawn)
    draws = draws[~np.isnan(draws)]
    low, high = np.percentile(draws, [2.5, 97.5]) if len(draws) else (0.0, 1.0)
    if area == 1:  # resampling cannot say how far the truth may be
        low = min(float(low), 0.025 ** (1 / _fewer_groups(positive, groups)))
    return area, min(float(low), area), max(float(high), area)


def _chance(positive: NDArray[np.bool_], groups: NDArray[np.intp]) -> float:
    """How far areas of numbers that mean nothing scatter: Mann and Whitney's, of whole groups."""
    import numpy as np

    a, b = (len(np.unique(groups[side])) for side in (positive, ~positive))
    return float(((a + b + 1) / (12 * a * b)) ** 0.5)


def _fewer_groups(positive: NDArray[np.bool_], groups: NDArray[np.intp]) -> int:
    import numpy as np

    return min(len(np.unique(groups[side])) for side in (positive, ~positive))


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


def _columns(items: Sequence[Item], groups: NDArray[np.intp]) -> dict[str, Array]:
    """What there is to look at, (n,) each; NaN where it is not known, sources by their numbers."""
    import numpy as np

    names = dict.fromkeys(name for item in items for name in item.measured)
    columns = {
        name: np.array([item.measured.get(name, np.nan) for item in items]) for name in names
    }
    sources, source_of = np.unique([item.source for item in items], return_inverse=True)
    if len(sources) > 1:
        columns["source"] = source_of.astype(np.float64)
    if (order := _order(items, groups)) is not None:
        columns["order"] = order
    return columns


def _shares(kind_of: NDArray[np.intp], known: _Known, k: int) -> Array:
    """The share of each class among recordings of the same kind, (n, k), as a model may learn it.

    It is that of the other half of the groups: among its own a recording would find itself.
    """
    import numpy as np

    actual = known.actual
    overall = np.bincount(actual, minlength=k) / len(actual)
    shares = np.empty((len(actual), k))
    for half in (known.groups % 2 == 0, known.groups % 2 == 1):
        table = np.tile(overall, (int(kind_of.max()) + 1, 1))
        np.add.at(table, (kind_of[~half], actual[~half]), 1)
        shares[half] = (table / table.sum(axis=1, keepdims=True))[kind_of[half]]
    return shares


def _order(items: Sequence[Item], groups: NDArray[np.intp]) -> Array | None:
    """The place of each recording by the number in its name, within its source; NaN without one.

    The number is the longest run of digits; class names in front of it do not count. None where
    numbers are no order: fewer than half of the groups have one of their own.
    """
    import numpy as np

    runs = [re.findall(r"\d+", item.name.rpartition("/")[2]) for item in items]
    values = np.array([float(max(run, key=len)[:18]) if run else np.nan for run in runs])
    firsts = values[np.unique(groups, return_index=True)[1]]
    if len(np.unique(firsts[~np.isnan(firsts)])) < max(2, len(firsts) / 2):
        return None
    sources = np.unique([item.source for item in items], return_inverse=True)[1]
    place = np.full(len(items), np.nan)
    for source in range(int(sources.max()) + 1):
        rows = np.flatnonzero((sources == source) & ~np.isnan(values))
        if len(rows):
            ranks = np.unique(values[rows], return_inverse=True)[1]
            place[rows] = ranks / max(int(ranks.max()), 1)
    return place


def check_source(
    features: Array, items: Sequence[Item], groups: NDArray[np.intp], seed: int = 0
) -> Finding | None:
    """Whether the source can be told from what a model sees; None with one source only."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sources, source_of = np.unique([item.source for item in items], return_inverse=True)
    fewest = min((len(np.unique(groups[source_of == s])) for s in range(len(sources))), default=0)
    if len(sources) < 2 or fewest < 2:
        return None
    told: Any = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)),
        features,
        source_of,
        groups=groups,
        cv=StratifiedGroupKFold(min(5, fewest), shuffle=True, random_state=seed),
        method="predict_proba",
    )
    found = [
        area_with_interval(told[:, index], source_of == index, groups, seed)
        for index in range(len(sources))
    ]
    evidence = [
        f'source "{source}": AUC {area:.2f} ({low:.2f} to {high:.2f})'
        for source, (area, low, high) in zip(sources.tolist(), found, strict=True)
    ]
    if max(low for _, low, _ in found) < 0.8:
        text = "The source of a recording can hardly be told from its picture."
        return Finding(GREEN, "source in the pictures", text, evidence)
    text = (
        "The source of a recording can be told from its picture. Where sources differ in their "
        "classes, figures of mixed sources are too good: leave one out in turn (--cv source)."
    )
    return Finding(AMBER, "source in the pictures", text, evidence)
