"""Options that say how is learned from pictures, and what is decided."""

from __future__ import annotations

import argparse

from heartfast.parsing import real, whole


def add_group_regex(p: argparse.ArgumentParser) -> None:
    """Add the pattern of groups in names."""
    p.add_argument(
        "--group-regex",
        metavar="PATTERN",
        help="take the group (patient) from names: the part of a regular expression that is in "
        r"parentheses, as in '^\D*(\d+)'; with a / in it, of the path below SRC",
    )


def add_join_duplicates(p: argparse.ArgumentParser) -> None:
    """Add the option that lets copies apart."""
    p.add_argument(
        "--no-join-duplicates",
        dest="join_duplicates",
        action="store_false",
        help="do not look for recordings that are nearly the same, to keep them together",
    )


def add_test_size(p: argparse.ArgumentParser) -> None:
    """Add the share of the test set."""
    p.add_argument("--test-size", type=real, default=0.2, help="share to test on (0.2)")


def add_training(p: argparse.ArgumentParser) -> None:
    """Add the options of the leaderboard."""
    group = p.add_argument_group("training")
    group.add_argument(
        "--metric",
        choices=("logloss", "macro_f1", "balanced_accuracy", "macro_auc", "brier"),
        default="logloss",
        help="what the best is best at (logloss)",
    )
    group.add_argument("--trials", type=whole, default=12, help="settings that tuning tries (12)")
    group.add_argument("--folds", type=whole, default=5, help="parts of the cross-validation (5)")
    group.add_argument("--repeats", type=whole, default=2, help="times it is repeated (2)")
    group.add_argument(
        "--cv",
        choices=("group", "source", "random"),
        default="group",
        help="what a fold leaves out: whole groups (default), a whole source, or recordings at "
        "random, which gives figures that are too good",
    )
    group.add_argument(
        "--class-weight",
        choices=("none", "balanced", "source"),
        help="let classes count the same, overall or inside each source (source with --cv source, "
        "else none)",
    )
    group.add_argument(
        "--augment",
        type=whole,
        default=0,
        metavar="K",
        help="fit on K changed copies of each picture, too (0)",
    )
    group.add_argument(
        "--context",
        action="store_true",
        help="beside a recording's own features, the mean of those of its group (patient); for "
        "models that will score whole groups",
    )
    group.add_argument(
        "--time-budget",
        type=_seconds,
        metavar="T",
        help="time for all of it: 90s, 5m, 1h; what is not done by then is left out",
    )
    add_embed(group)
    group.add_argument("--embed-only", action="store_true", help="no features but its outputs")


def add_embed(p: argparse._ActionsContainer) -> None:
    """Add the network that describes pictures."""
    p.add_argument(
        "--embed", metavar="ONNX", help="a pretrained image network, whose outputs are features"
    )


def add_decisions(p: argparse.ArgumentParser) -> None:
    """Add the options of thresholds, costs and refusals."""
    group = p.add_argument_group("decisions (a column Decision)")
    rules = group.add_mutually_exclusive_group()
    rules.add_argument(
        "--sensitivity",
        type=_share,
        action="append",
        default=[],
        metavar="CLASS=SHARE",
        help="decide on CLASS by the threshold that found this share of it in cross-validation "
        "(murmur=0.95); may be repeated",
    )
    rules.add_argument(
        "--cost",
        type=_cost,
        action="append",
        default=[],
        metavar="ACTUAL:DECIDED=COST",
        help="of a mistake, instead of 1 (murmur:normal=5); may be repeated",
    )
    rules.add_argument(
        "--costs", metavar="CSV", help="of all: a column actual, and one for each decision"
    )
    group.add_argument(
        "--reject",
        type=real,
        metavar="SHARE",
        help="refuse what is more unlike the training data than all but SHARE of its kind (0.01)",
    )


def _share(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    return name, _number(text, number, "CLASS=SHARE")


def _cost(text: str) -> tuple[tuple[str, str], float]:
    pair, _, number = text.rpartition("=")
    actual, colon, decided = pair.partition(":")
    return (actual, decided), _number(text, number if colon else "", "ACTUAL:DECIDED=COST")


def _number(text: str, number: str, expected: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}") from None


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * {"s": 1, "m": 60, "h": 3600}[unit]
    except (KeyError, ValueError):
        message = f"expected a number and s, m or h, such as 90s or 5m, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None
