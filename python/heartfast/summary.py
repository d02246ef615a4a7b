"""What was found and how far to believe it, in words for a reader who knows no machine learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.metrics import FEW
from heartfast.wording import counted, of_class

if TYPE_CHECKING:
    from heartfast.metrics import Estimate
    from heartfast.stages.audit import Audit
    from heartfast.stages.evaluate import Evaluation
    from heartfast.stages.train import TrainResult

MOST_CLASSES = 8  # with a sentence each


class Remark(NamedTuple):
    """A sentence, and whether it supports the figures ("good"), qualifies or undermines them."""

    mark: str  # good, doubt, bad
    text: str


def headline(evaluation: Evaluation) -> str:
    """Return how often the model is right, beside what naming the commonest class gives."""
    accuracy, prior = evaluation.overall["accuracy"], evaluation.prior["accuracy"]
    return (
        f"The model names the right class for {_of_100(accuracy)} test recordings"
        f"{_span(accuracy)}. Naming the commonest class every time gives {100 * prior:.0f}."
    )


def class_by_class(evaluation: Evaluation) -> list[str]:
    """Return what is found of each class, and how often a finding is right."""
    found = []
    for index, label in enumerate(evaluation.classes[:MOST_CLASSES]):
        recall = evaluation.per_class["recall"][index]
        precision = evaluation.per_class["precision"][index]
        if recall.value is None:
            continue
        text = f"Of 100 recordings of {label} it finds {100 * recall.value:.0f}{_span(recall)}."
        if evaluation.confusion[:, index].sum() == 0:
            text += f" It never says {label}."
        elif precision.value is not None:
            text += f" Of 100 times that it says {label}, it is right {100 * precision.value:.0f}."
        found.append(text)
    return found


def remarks(
    evaluation: Evaluation, training: TrainResult | None, audit: Audit | None
) -> list[Remark]:
    """Return what speaks for and against the figures, worst first."""
    found = [_against_prior(evaluation)]
    if audit is not None:
        found += [Remark("bad", one.text) for one in audit.findings if one.level == "red"]
    if training is not None:
        found.append(_groups(training))
        found += _gap(training)
    for label, support in zip(evaluation.classes, evaluation.support, strict=True):
        if support < FEW:
            count = counted(support, "recording")
            text = f"The test has {count} {of_class(label)}: figures for it say little."
            found.append(Remark("doubt", text))
    if training is not None and training.protocol != "source":
        text = "No other device, clinic or population was tested on: there, expect worse."
        found.append(Remark("doubt", text))
    return sorted(found, key=lambda remark: ("bad", "doubt", "good").index(remark.mark))


def _against_prior(evaluation: Evaluation) -> Remark:
    loss, prior = evaluation.overall["logloss"], evaluation.prior["logloss"]
    if loss.high is not None and loss.high < prior:
        return Remark("good", "Its probabilities say more than the shares of the classes do.")
    if loss.low is not None and loss.low > prior:
        return Remark("bad", "Its probabilities are worse than the mere shares of the classes.")
    text = "On so few recordings it cannot be told from guessing by the shares of the classes."
    return Remark("bad", text)


def _groups(training: TrainResult) -> Remark:
    if not training.bundle.training["grouped"]:
        text = "It is not known which recordings belong to one patient: the figures may be too good"
        return Remark("bad", text + ".")
    if training.protocol == "random":
        text = "Recordings of one patient were trained on and tested on: the figures are too good."
        return Remark("bad", text)
    text = "No patient, device or site (group) that it was tested on was trained on."
    return Remark("good", text)


def _gap(training: TrainResult) -> list[Remark]:
    """Say what careless folds would have claimed, where that is something else."""
    naive = training.naive
    if not naive or "random" not in naive or training.protocol not in naive:
        return []
    ours, theirs = (naive[name]["logloss"]["value"] for name in (training.protocol, "random"))
    if training.protocol == "random" or theirs >= ours:
        return []
    text = (
        f"Had recordings of one group been let on both sides, the same {naive['model']} would "
        f"have seemed better than it is: logloss {theirs:.2f} instead of {ours:.2f}."
    )
    return [Remark("good", text)]


def _of_100(estimate: Estimate) -> str:
    return "no" if estimate.value is None else f"{100 * estimate.value:.0f} of 100"


def _span(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" (95 % interval {100 * estimate.low:.0f} to {100 * estimate.high:.0f})"
