"""The model card: what a saved model is, on what and how it was judged, and what it is not for.

Sections follow M. Mitchell et al., "Model cards for model reporting", FAT* 2019. All of it is said
by the bundle itself, so that a card cannot claim what the bundle does not hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from heartfast import operating
from heartfast.context import CAUTION
from heartfast.features import FEATURES_VERSION, feature_names
from heartfast.leaderboard import METRICS, NAMES, PROTOCOL_NAMES
from heartfast.metrics import FEW, LOSSES
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heartfast.bundle import Bundle

FEW_GROUPS = 10
NOT_A_DEVICE = (
    "Not a medical device: nothing that it says is a diagnosis, and nothing here replaces a "
    "clinician's examination."
)


def model_card(bundle: Bundle) -> str:
    """Return the card of a bundle, Markdown."""
    training = bundle.training
    sections = {
        "What it is for": _use(bundle),
        "Data": _data(bundle.classes, training),
        "How it was judged": _judged(bundle),
        "Operating points": _points(bundle.operating),
        "Limits": _list(limits(bundle)),
        "What it is made of": _list(_made_of(bundle)),
    }
    blocks = [f"# Model card: {_text(bundle.name)}", f"**{NOT_A_DEVICE}**"]
    blocks += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join(blocks) + "\n"


def limits(bundle: Bundle) -> list[str]:
    """Return what makes the figures say less than they seem to, a sentence each."""
    training = bundle.training
    counts: dict[str, int] = training["recordings"]  # type: ignore[assignment]
    found = [
        f"{_text(label)} has {counted(count, 'recording')}: figures for it say little."
        for label, count in counts.items()
        if count < FEW
    ]
    groups = int(training["groups"])  # type: ignore[call-overload]
    if not training["grouped"]:
        found.append(
            "No groups were known. If several recordings show one patient or device, the figures "
            "are too good."
        )
    elif groups < FEW_GROUPS:
        found.append(f"{groups} groups are few: another few may give other figures.")
    if training.get("cv") == "random":
        found.append("Recordings of one group were on both sides: the figures are too good.")
    if training.get("cv") != "source":
        found.append(
            "It was not tested on a source (device, clinic, population) that it had not seen; "
            "there, expect worse."
        )
    row = _row(bundle, bundle.name)
    prior = _row(bundle, "class prior")
    if row and prior and _interval(row, "logloss")[1] >= prior["logloss"]:
        found.append("It cannot be told with certainty from a model that knows the class shares.")
    found.append("Labels were taken as they are. Mistakes in them are mistakes in all of this.")
    return found


def _use(bundle: Bundle) -> str:
    classes = ", ".join(map(_text, bundle.classes))
    how = (
        "It takes recordings, or pictures that heartfast made with the same settings."
        if bundle.config
        else "It takes pictures like those it was trained on, which do not say how they were made."
    )
    return (
        f"It gives a recording a probability for each of {classes}, from features of its "
        f"spectrogram. {how} For research, teaching and sorting archives.\n\n"
        "    heartfast score MODEL RECORDINGS -o scores.csv"
    )


def _data(classes: Sequence[str], training: dict[str, Any]) -> str:
    counts = training["recordings"]
    rows = [["class", "recordings"], *([_text(c), str(counts.get(c, 0))] for c in classes)]
    groups = "groups (patients, devices or sites)" if training["grouped"] else "unknown groups"
    text = f"{sum(counts.values())} recordings"
    text += f" in {training['groups']} {groups}." if training["grouped"] else f" of {groups}."
    if sources := training.get("sources"):
        shown = ", ".join(f"{_text(name)} ({count})" for name, count in sources.items())
        text += f" Sources: {shown}."
    return f"{_table(rows)}\n\n{text}"


def _judged(bundle: Bundle) -> str:
    training = bundle.training
    row, prior = _row(bundle, bundle.name), _row(bundle, "class prior")
    if row is None:
        return ""
    protocol = PROTOCOL_NAMES[str(training.get("cv", "group"))]
    text = (
        f"Cross-validation, {protocol}: {training['folds']} folds, repeated {training['repeats']} "
        f"times, seed {training['seed']}. What a model chooses for itself was chosen anew inside "
        "each fold. In brackets: 95 % intervals by resampling whole groups."
    )
    rows = [["figure", "this model", "class shares alone", "better is"]]
    for name in METRICS:
        low, high = _interval(row, name)
        rows.append(
            [
                NAMES[name],
                f"{row[name]:.3f} ({low:.3f}-{high:.3f})",
                f"{prior[name]:.3f}" if prior else "",
                "lower" if name in LOSSES else "higher",
            ]
        )
    return "\n\n".join([text, _table(rows), *_gap(training.get("naive"))])


def _gap(naive: Any) -> list[str]:
    """Return a sentence on what the same model gives by two protocols."""
    if not naive:
        return []
    shown = [
        f"{naive[name]['logloss']['value']:.3f} with {words}"
        for name, words in PROTOCOL_NAMES.items()
        if name in naive
    ]
    return [f"The same {naive['model']} has a logloss of {' and '.join(shown)}."]


def _points(curves: dict[str, Any]) -> str:
    rows = [["to find", "of 100", "surely at least", "threshold", "of 100 others, left alone"]]
    for label in curves:
        for target in operating.TARGETS:
            point = operating.threshold(curves, label, target)
            rows.append(
                [
                    _text(label),
                    f"{100 * point.sensitivity:.0f}",
                    f"{100 * point.low:.0f}",
                    f"{point.threshold:.3f}",
                    f"{100 * point.specificity:.0f}",
                ]
            )
    if len(rows) == 1:
        return ""
    return f"{_table(rows)}\n\nOut of fold; `heartfast score --sensitivity CLASS=SHARE` decides so."


def _made_of(bundle: Bundle) -> Iterable[str]:
    training = bundle.training
    yield f"Model: {_text(bundle.name)} (`{bundle.model.kind}`), chosen by {training['metric']}."
    yield f"Features: version {FEATURES_VERSION}, {len(feature_names())} numbers a picture."
    if bundle.context:
        yield CAUTION
    if bundle.config:
        told = sorted((name, value) for name, value in bundle.config.items() if value is not None)
        if bundle.selection is not None:
            yield f"Recordings: {bundle.selection.words()}."
        yield f"Pictures: {', '.join(_text(f'{name} {value}') for name, value in told)}."
    if weights := training.get("class_weight"):
        yield f"Class weights: {weights}. Settings tried by tuning: {training['trials']} a fold."
    if left_out := training.get("left_out"):
        yield f"Candidates that were not done in time: {', '.join(left_out)}."  # type: ignore[arg-type]


def _row(bundle: Bundle, name: str) -> dict[str, Any] | None:
    return next((row for row in bundle.leaderboard if row.get("model") == name), None)


def _interval(row: dict[str, Any], name: str) -> tuple[float, float]:
    low, high = row[f"{name}_ci"]
    return float(low), float(high)


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([header, "|---" * len(rows[0]) + "|", *rest])


def _text(text: str) -> str:
    """Return a name as Markdown shows it, whatever characters it has."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    # An underline within a word is none of Markdown's.
    return re.sub(r"([\\`*{}\[\]<>|#]|\b_|_\b)", r"\\\1", plain)
