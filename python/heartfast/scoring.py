"""Features of recordings and pictures into scores: probabilities, combined and decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.combining import combine
from heartfast.context import with_context
from heartfast.decisions import make_rule
from heartfast.errors import UsageError
from heartfast.tables import DECISION, PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.bundle import Bundle
    from heartfast.decisions import Costs, Rule
    from heartfast.extraction import Extracted


RECORDING, GROUP = "recording", "group"  # what rows are combined to
UNLIKE = 0.01  # of recordings like the training's: the share that is called unlike it


class Decisions(NamedTuple):
    """How classes are decided; see `Model.predict`."""

    rule: Rule
    reject: float | None


class ScoreResult(NamedTuple):
    """Probabilities float64 (n, k) of what could be scored, in the order of its names.

    `row_ids` are the positions among all inputs, the unreadable ones (`errors`: name and
    message) included, so that a bad file does not shift the rows after it. `novelty`, float64
    (n,), says which share of recordings like those of the training are less unlike them; None
    where the model does not know. `decisions` are class names, empty for what was refused; None
    where none were asked for. Where rows are groups or recordings that were combined, `names` are
    theirs, `members` the rows of each, `combined` says which, and `novelty` is that of the least
    unlike of these.
    """

    row_ids: list[int]
    names: list[str]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    errors: list[tuple[str, str]]
    notes: list[str]
    novelty: NDArray[np.float64] | None = None
    decisions: list[str] | None = None
    members: list[list[str]] | None = None
    combined: str | None = None

    @property
    def predicted(self) -> list[str]:
        """The most probable class of every row, the first among equals."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]

    @property
    def labels(self) -> list[str]:
        """The class of every row: what was decided, where that was asked for, else `predicted`."""
        return self.predicted if self.decisions is None else self.decisions

    def to_dict(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        fields = self._asdict() | {"probabilities": self.probabilities.tolist()}
        novelty = None if self.novelty is None else self.novelty.tolist()
        own = {"predicted": self.predicted, "labels": self.labels, "novelty": novelty}
        return fields | own

    def table(self, columns: str = "short") -> tuple[list[str], list[list[object]]]:
        """Return the header and rows of scores.csv."""
        of_class = zip(self.classes, self.probabilities.T.tolist(), strict=True)
        found: dict[str, Sequence[object]] = {"row_id": self.row_ids}
        of: dict[str, Sequence[object]] = {"file_name": self.names}
        if self.members is not None:
            counts = [len(members) for members in self.members]
            if self.combined == RECORDING:
                of["pictures"] = counts
            else:
                found, of = {"group": self.names}, {"recordings": counts}
        found |= {PREFIX + label: values for label, values in of_class}
        if columns == "full":
            found |= of | {"predicted": self.predicted}
            if self.novelty is not None:
                found["novelty"] = self.novelty.tolist()
        if self.decisions is not None:
            found[DECISION] = self.decisions
        return list(found), [list(row) for row in zip(*found.values(), strict=True)]


def decisions(
    bundle: Bundle,
    sensitivity: Mapping[str, float] | None,
    costs: Costs | None,
    reject: float | None,
) -> Decisions | None:
    """Check how classes are to be decided; see `heartfast.score`."""
    if reject is not None and not 0 < reject < 1:
        raise UsageError(f"reject: expected above 0 and below 1, found {reject}")
    if reject is not None and bundle.novelty is None:
        raise UsageError("reject: expected a model that knows its training data, found none of it")
    if not sensitivity and costs is None and reject is None:
        return None
    rule = make_rule(bundle.classes, bundle.operating, sensitivity=sensitivity, costs=costs)
    return Decisions(rule, reject)


def predict(
    bundle: Bundle, names: Sequence[str], found: Extracted, groups: Sequence[str]
) -> ScoreResult:
    """Return the probabilities of what was described, a row each; groups are for a context."""
    from heartfast.novelty import novelty

    notes = list(found.notes)
    if found.foreign and bundle.config is not None:
        notes.append(
            f"pictures that do not say how they were made: {found.foreign}; the model's were made "
            "by heartfast, so what it says of them is doubtful"
        )
    if found.config is not None and bundle.config is None:
        notes.append("the model was trained on pictures that do not say how they were made")
    notes += _other_rates(bundle, found)
    all_marked = 0 < bundle.marked == sum(bundle.sample_rates.values())
    if all_marked and len(found.marked) < len(found.rows):
        notes.append(
            f"pictures without labelled intervals drawn on them: "
            f"{len(found.rows) - len(found.marked)} of {len(found.rows)}; all of the training's "
            "have some"
        )
    placed = None if bundle.novelty is None else novelty(bundle.novelty, found.matrix)
    if placed is not None:
        notes += _unlike(placed)
    features = with_context(found.matrix, groups) if bundle.context else found.matrix
    return ScoreResult(
        row_ids=found.rows.tolist(),
        names=[names[row] for row in found.rows],
        classes=bundle.classes,
        probabilities=bundle.model.predict_proba(features),
        errors=found.errors,
        notes=notes,
        novelty=placed,
    )


def combined(
    result: ScoreResult, owners: Sequence[str], reject: float | None, kind: str
) -> ScoreResult:
    """Return a row for each of the owners (`kind`: groups or recordings) of the rows.

    Groups are sorted by name; recordings come in the order in which they first appear.
    """
    import numpy as np

    known = sorted(set(owners)) if kind == GROUP else dict.fromkeys(owners)
    place = {name: number for number, name in enumerate(known)}
    number = np.array([place[owner] for owner in owners])
    usable: NDArray[np.bool_] = np.ones(len(owners), dtype=bool)
    least = None
    if result.novelty is not None:
        least = np.full(len(place), np.inf)
        np.minimum.at(least, number, result.novelty)
        if reject is not None:
            usable = result.novelty <= 1 - reject
    members: list[list[str]] = [[] for _ in place]
    for owner, name in zip(number, result.names, strict=True):
        members[owner].append(name)
    return result._replace(
        row_ids=list(range(len(place))),
        names=list(place),
        probabilities=combine(result.probabilities, number, usable),
        novelty=least,
        members=members,
        combined=kind,
    )


def decided(result: ScoreResult, decide: Decisions) -> ScoreResult:
    """Return the same with decisions."""
    decisions = [result.classes[index] for index in decide.rule.decide(result.probabilities)]
    notes = [point.describe() for point in decide.rule.points]
    if decide.reject is not None and result.novelty is not None:
        refused = result.novelty > 1 - decide.reject
        decisions = ["" if no else d for no, d in zip(refused, decisions, strict=True)]
        notes.append(f"refused, as unlike the training data: {refused.sum()} of {len(refused)}")
    return result._replace(decisions=decisions, notes=result.notes + notes)


def _other_rates(bundle: Bundle, found: Extracted) -> list[str]:
    """Return a note where the training knew one sample rate only, and others are scored.

    Archives mix rates, and features are in Hz and seconds: this is no error. But a model that has
    seen nothing else may go by what only its rate shows, such as where the picture ends.
    """
    if len(bundle.sample_rates) != 1:
        return []
    (known,) = bundle.sample_rates
    others = {rate: count for rate, count in found.rates.items() if rate != known}
    if not others:
        return []
    shown = ", ".join(f"{rate} Hz" for rate in sorted(others)[:5])
    return [
        f"{sum(others.values())} of {len(found.rows)} have another sample rate ({shown}) than all "
        f"of the training, {known} Hz: what the model says of them is doubtful; train on pictures "
        "of one rate (convert --sr), which recordings are then resampled to"
    ]


def _unlike(placed: NDArray[np.float64]) -> list[str]:
    """Return a note where clearly more are unlike the training data than of its own kind."""
    count, expected = int((placed > 1 - UNLIKE).sum()), UNLIKE * len(placed)
    if count <= expected + 2 * expected**0.5:
        return []
    return [
        f"{count} of {len(placed)} recordings are unlike the training data, where "
        f"{max(1, round(expected))} or fewer would be of its kind: what the model says of them is "
        "doubtful (--reject refuses such)"
    ]
