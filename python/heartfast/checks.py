"""What makes figures too good: each check looks at a dataset for one way and says what it found."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.metrics import FEW, draw_groups
from heartfast.ranking import areas, rank_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fingerprint import Pair

    Array = NDArray[np.float64]

RED, AMBER, GREEN = "red", "amber", "green"
FEW_GROUPS = 5
SHOWN = 5  # examples of a finding
RESAMPLES = 1000
CELLS = 4_000_000  # resamples times recordings at once
MISTAKE = 0.01  # the chance that any of all the areas of a clean dataset is called red
# An area whose interval is all above this: red gives the class away, amber hints at it.
RED_AREA, AMBER_AREA = 0.65, 0.55
MOST_KINDS = 12  # different values of what is taken for a kind, not for a size


class Item(NamedTuple):
    """A recording: what is known of it, and the side of the split, if there is one.

    `measured` has numbers by name (`duration`, `level`, ...), NaN where unknown.
    """

    name: str
    label: str
    group: str
    source: str
    sha256: str
    side: str
    measured: dict[str, float]


class Finding(NamedTuple):
    """What one check says: a level, its name, a sentence, and what the sentence rests on."""

    level: str
    check: str
    text: str
    evidence: list[str]


def check_groups(items: Sequence[Item]) -> Finding:
    """Groups that are on both sides of the split, or not known at all."""
    known = [item for item in items if item.group]
    if not known:
        text = (
            "It is not known which recordings belong to one patient (group). If several show the "
            "same one, figures will be too good, and this audit cannot see it."
        )
        return Finding(AMBER, "groups", text, ["--group-regex or a column group say it"])
    sides: dict[str, set[str]] = defaultdict(set)
    for item in known:
        sides[item.group].add(item.side)
    shared = sorted(group for group, found in sides.items() if len(found) > 1)
    if shared:
        text = (
            f"{len(shared)} of {len(sides)} patients (groups) have recordings on both sides of "
            "the split. The test then shows how well they are recognised, not what is heard."
        )
        return Finding(RED, "groups", text, _named(shared, "group"))
    several = len(known) - len(sides)
    if len(known) < len(items):
        text = f"The group of {len(items) - len(known)} recordings is not known."
        return Finding(AMBER, "groups", text, [])
    where = "No group is on both sides of the split." if _split(items) else "All groups are known."
    return Finding(
        GREEN, "groups", f"{where} {len(sides)} groups, {several} recordings beyond the first.", []
    )


def check_copies(items: Sequence[Item], pairs: Sequence[Pair]) -> list[Finding]:
    """Recordings that are there twice: the same bytes, or as good as the same sounds."""
    couples = [
        *((a, b, "the same bytes") for a, b in _same_bytes(items)),
        *((p.first, p.second, f"{p.likeness:.2f} alike over {p.seconds:.0f} s") for p in pairs),
    ]
    seen: dict[tuple[int, int], str] = {}
    for a, b, how in couples:
        seen.setdefault((min(a, b), max(a, b)), how)
    kinds: dict[str, list[str]] = defaultdict(list)
    for (a, b), how in seen.items():
        one, other = items[a], items[b]
        told = f"{one.name} and {other.name}: {how}"
        if one.label and other.label and one.label != other.label:
            kinds["conflict"].append(f"{told}, but {one.label} and {other.label}")
        if one.side != other.side:
            kinds["across"].append(told)
        elif not one.group or one.group != other.group:
            kinds["within"].append(told)
    found = []
    if across := kinds["across"]:
        text = (
            f"{len(across)} pairs of recordings are copies of each other, or nearly so, one on "
            "each side of the split. A model that remembers does well on them."
        )
        found.append(Finding(RED, "copies across the split", text, across[:SHOWN]))
    if conflict := kinds["conflict"]:
        text = (
            f"{len(conflict)} pairs of copies have different labels. One of each pair is wrong, "
            "and no model can be right on both."
        )
        found.append(Finding(RED, "labels that contradict each other", text, conflict[:SHOWN]))
    if within := kinds["within"]:
        share = len({name for a, b in seen for name in (a, b)}) / len(items)
        text = (
            f"{len(within)} pairs are copies, or nearly so, and not known to be of one group. "
            "When recordings are split, both may not go to the same side."
        )
        # A few happen; where many do, any split that does not know them is worthless.
        level = RED if share > 0.2 else AMBER
        found.append(Finding(level, "copies", text, within[:SHOWN]))
    if not found:
        found.append(Finding(GREEN, "copies", "No recording is a copy of another.", []))
    return found


def _same_bytes(items: Sequence[Item]) -> Iterable[tuple[int, int]]:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.sha256 and (other := first.setdefault(item.sha256, index)) != index:
            yield other, index


def check_size(items: Sequence[Item]) -> Finding:
    """Classes with so few recordings or groups that their figures say little."""
    few = []
    for label, count in sorted(Counter(item.label for item in items).items()):
        groups = {item.group or item.name for item in items if item.label == label}
        if count < FEW or len(groups) < FEW_GROUPS:
            few.append(f"{label}: {count} recordings in {len(groups)} groups")
    if few:
        text = "Classes are small: another few recordings could give quite other figures."
        return Finding(AMBER, "size", text, few)
    return Finding(GREEN, "size", f"Every class has {FEW} recordings or more.", [])


def check_giveaways(
    items: Sequence[Item], groups: NDArray[np.intp], seed: int = 0
) -> list[Finding]:
    """What predicts the class without a sound being heard: length, level, rate, source, order."""
    import numpy as np

    labels, actual = np.unique([item.label for item in items], return_inverse=True)
    if len(labels) < 2:
        return []
    columns = _columns(items, actual, groups, len(labels))
    tests = max(1, len(columns) * len(labels))
    found = [
        _giveaway(name, values, labels.tolist(), actual, groups, MISTAKE / tests, seed)
        for name, values in columns.items()
    ]
    return sorted(found, key=lambda finding: (RED, AMBER, GREEN).index(finding.level))


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
    name: str,
    values: Array,
    labels: Sequence[str],
    actual: NDArray[np.intp],
    groups: NDArray[np.intp],
    mistake: float,
    seed: int,
) -> Finding:
    areas_of = [
        area_with_interval(
            values[:, index % values.shape[1]], actual == index, groups, mistake, seed
        )
        for index in range(len(labels))
    ]
    worst = max(range(len(labels)), key=lambda index: areas_of[index][1])
    area, low, _ = areas_of[worst]
    evidence = [
        f"{label}: AUC {value:.2f} ({bottom:.2f} to {top:.2f})"
        for label, (value, bottom, top) in zip(labels, areas_of, strict=True)
    ]
    what = _WORDS.get(name, name)
    if low >= AMBER_AREA:
        tells = "gives away" if low >= RED_AREA else "hints at"
        text = (
            f"{what} {tells} whether a recording is {labels[worst]} (AUC {area:.2f}): a model may "
            "learn that instead of what is heard."
        )
        return Finding(RED if low >= RED_AREA else AMBER, name, text, evidence)
    return Finding(GREEN, name, f"{what} says little about the class.", evidence)


def area_with_interval(
    scores: Array,
    positive: NDArray[np.bool_],
    groups: NDArray[np.intp],
    mistake: float = 0.05,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Area under the ROC curve, whichever way it points, with the interval of resampled groups.

    Parameters
    ----------
    scores, positive, groups
        (n,) each; groups are numbered from 0.
    mistake
        The chance that the interval does not hold the area; half of it at each end.
    """
    import numpy as np

    ranking = rank_class(positive, scores)
    area = float(areas(ranking, np.ones((1, len(scores))))[0][0])
    if area < 0.5:
        ranking = rank_class(positive, -scores)
    count = int(groups.max()) + 1
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = []
    for start in range(0, RESAMPLES, step := max(1, CELLS // len(scores))):
        times = draw_groups(rng, count, min(step, RESAMPLES - start))
        drawn.append(areas(ranking, times[:, groups])[0])
    draws = np.concatenate(drawn)
    draws = draws[~np.isnan(draws)]
    # The tail is further out than so few draws reach: a normal one of their spread.
    reach = _normal_quantile(1 - mistake / 2) * float(draws.std()) if len(draws) else 1.0
    area = max(area, 1 - area)
    return area, max(area - reach, 0.0), min(area + reach, 1.0)


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


def _columns(
    items: Sequence[Item], actual: NDArray[np.intp], groups: NDArray[np.intp], k: int
) -> dict[str, Array]:
    """What is known of nearly all recordings and differs: (n, 1) of sizes, (n, k) of kinds."""
    import numpy as np

    columns: dict[str, Array] = {}
    names = dict.fromkeys(name for item in items for name in item.measured)
    for name in names:
        values = np.array([item.measured.get(name, np.nan) for item in items])
        if np.isnan(values).any() or len(kinds := np.unique(values)) < 2:
            continue
        kind_of = np.searchsorted(kinds, values)
        columns[name] = (
            _shares(kind_of, actual, groups, k) if len(kinds) <= MOST_KINDS else values[:, None]
        )
    sources, source_of = np.unique([item.source for item in items], return_inverse=True)
    if len(sources) > 1:
        columns["source"] = _shares(source_of, actual, groups, k)
    if (order := _order(items)) is not None:
        columns["order"] = order[:, None]
    return columns


def _shares(
    kind_of: NDArray[np.intp], actual: NDArray[np.intp], groups: NDArray[np.intp], k: int
) -> Array:
    """The share of each class among recordings of the same kind, (n, k), as a model may learn it.

    It is that of the other half of the groups: among its own a recording would find itself.
    """
    import numpy as np

    overall = np.bincount(actual, minlength=k) / len(actual)
    shares = np.empty((len(actual), k))
    for half in (groups % 2 == 0, groups % 2 == 1):
        table = np.tile(overall, (int(kind_of.max()) + 1, 1))
        np.add.at(table, (kind_of[~half], actual[~half]), 1)
        shares[half] = (table / table.sum(axis=1, keepdims=True))[kind_of[half]]
    return shares


def _order(items: Sequence[Item]) -> Array | None:
    """The place of each recording by the number in its name, within its source.

    The number is the longest run of digits; class names in front of it do not count.
    """
    import numpy as np

    runs = [re.findall(r"\d+", item.name.rpartition("/")[2]) for item in items]
    if not all(runs):
        return None
    numbers = [int(max(run, key=len)[:18]) for run in runs]
    if len(set(numbers)) < len(numbers) / 2:  # a patient's or a site's number, and no order
        return None
    place = np.zeros(len(items))
    sources = np.unique([item.source for item in items], return_inverse=True)[1]
    values = np.array(numbers, dtype=np.float64)
    for source in range(int(sources.max()) + 1):
        rows = np.flatnonzero(sources == source)
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
        area_with_interval(told[:, index], source_of == index, groups, seed=seed)
        for index in range(len(sources))
    ]
    evidence = [
        f"{source}: AUC {area:.2f} ({low:.2f} to {high:.2f})"
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


def _split(items: Sequence[Item]) -> bool:
    return len({item.side for item in items}) > 1


def _named(names: Sequence[str], word: str) -> list[str]:
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"{word} {name}" for name in names[:SHOWN]] + more
