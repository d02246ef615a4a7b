"""What the command line takes: verbs, their options, help and examples."""

from __future__ import annotations

import argparse
import sys

from heartfast.picture_options import add_config, add_figure

_LABELS = (
    "folders, pascal, cinc2016, circor, yaseen, none, or a CSV with file_name, label[, group, "
    "source]"
)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; what it parses has the name of the verb in `verb`."""
    parser = argparse.ArgumentParser(
        prog="heartfast",
        description="Recordings into spectrogram pictures, and those into a scored classifier.",
        epilog="heartfast VERB --help shows a verb's options and an example.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")

    def verb(name: str, text: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(verb=name)
        added.add_argument("--json", action="store_true", help="print the result as JSON")
        return added

    p = verb(
        "convert", "draw the spectrogram of every recording",
        "heartfast convert recordings/ -o pictures --labels folders --overlap 75",
    )  # fmt: skip
    _add_sources(p, "none", "a new or empty folder, or one to continue")
    _add_selection(p)
    p.add_argument(
        "--to",
        choices=("dir", "zip", "tar"),
        default="dir",
        help="a file per picture (dir), or all in pictures.zip or pictures.tar",
    )
    p.add_argument(
        "--shard-mb", type=float, metavar="MB", help="several ZIPs or tars of at most this size"
    )
    p.add_argument(
        "--png",
        choices=("fast", "small"),
        default="fast",
        help="small: somewhat smaller files of the same pictures, slowly",
    )
    p.add_argument(
        "--overwrite", action="store_true", help="remove what an earlier run has made in OUT"
    )
    p.add_argument(
        "--check", action="store_true", help="compare pictures that are there with the manifest"
    )
    p.add_argument(
        "--fsync", action="store_true", help="have every picture on the disk, for power failures"
    )
    p.add_argument("--max-errors", type=int, metavar="N", help="stop after more failures than N")
    p.add_argument(
        "--on-error",
        choices=("continue", "stop"),
        default="continue",
        help="stop: the same as --max-errors 0",
    )
    p.add_argument(
        "--limit",
        type=_limit,
        action="append",
        default=[],
        metavar="NAME=N",
        help="change a limit on what is read: max_channels, max_sample_rate, max_duration_s, "
        "max_image_pixels, max_archive_ratio, max_archive_members",
    )
    p.add_argument(
        "--gallery", action="store_true", help="also write gallery.html, a page that plays them"
    )
    add_config(p)
    add_figure(p)
    _add_jobs(p)

    p = verb(
        "pack", "split pictures into train.zip and test.zip, groups kept whole",
        "heartfast pack pictures -o sets --test-size 0.2",
    )  # fmt: skip
    p.add_argument("images", metavar="IMAGES", help="what convert wrote, or class folders")
    p.add_argument("-o", "--out", metavar="DIR", required=True, help="a new or empty folder")
    _add_test_size(p)
    p.add_argument(
        "--no-group",
        dest="group",
        action="store_false",
        help="let a group (patient) be on both sides: figures will be too good",
    )
    _add_group_regex(p)
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "train", "compare models by grouped cross-validation and save the best",
        "heartfast train sets/train.zip -o model.heartfast",
    )  # fmt: skip
    p.add_argument("pictures", metavar="TRAIN", help="ZIP or folder of class folders")
    p.add_argument(
        "-o", "--out", metavar="MODEL", required=True, help="the model; replaced if there"
    )
    _add_group_regex(p)
    _add_training(p)
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "score", "predict class probabilities of pictures or recordings",
        "heartfast score model.heartfast sets/test.zip -o scores.csv",
    )  # fmt: skip
    p.add_argument("model", metavar="MODEL", help="what train wrote")
    p.add_argument("input", metavar="INPUT", nargs="+", help="ZIP or folder, or recordings")
    p.add_argument("-o", "--out", metavar="CSV", required=True, help="the table; replaced if there")
    p.add_argument(
        "--columns",
        choices=("short", "full"),
        default="short",
        help="full adds file_name, the predicted class and the novelty",
    )
    p.add_argument(
        "--by-group",
        action="store_true",
        help="a row for each group (patient), of its recordings' probabilities combined",
    )
    _add_group_regex(p)
    _add_decisions(p)
    _add_embed(p)
    _add_jobs(p)

    p = verb(
        "evaluate", "compare scores with the truth",
        "heartfast evaluate scores.csv sets/test_actual.csv --html report.html",
    )  # fmt: skip
    p.add_argument("scores", metavar="SCORES", help="what score wrote")
    p.add_argument("actual", metavar="ACTUAL", help="test_actual.csv of pack")
    p.add_argument("--html", metavar="FILE", help="a report; replaced if there")
    p.add_argument(
        "--groups",
        metavar="CSV",
        help="file_name and group, for the intervals (test_metadata.csv beside ACTUAL)",
    )
    _add_seed(p)

    p = verb(
        "audit", "look for what makes figures on a dataset too good",
        "heartfast audit pictures --html audit.html",
    )  # fmt: skip
    p.add_argument("dataset", metavar="DATASET", help="what convert, pack or run wrote")
    p.add_argument("--html", metavar="FILE", help="a page of it; replaced if there")
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "gallery", "write a page that shows pictures and plays their recordings",
        "heartfast gallery pictures --scores scores.csv --model model.heartfast",
    )  # fmt: skip
    p.add_argument("images", metavar="IMAGES", help="what convert wrote, or class folders")
    p.add_argument("-o", "--out", metavar="FILE", help="the page (IMAGES/gallery.html)")
    p.add_argument("--scores", metavar="CSV", help="what score wrote, to sort by and to compare")
    p.add_argument(
        "--audio", metavar="DIR", help="where the recordings are, if not where convert found them"
    )
    p.add_argument("--model", metavar="MODEL", help="show what it looked at; needs --scores")
    p.add_argument(
        "--explain", type=int, default=12, metavar="N",
        help="in the N pictures that it got most wrong or is least certain of (12)",
    )  # fmt: skip

    p = verb(
        "run", "do all of it: convert, pack, train, score, evaluate, report, gallery",
        "heartfast run recordings/ --labels folders -o out",
    )  # fmt: skip
    _add_sources(p, None, "a new or empty folder")
    _add_selection(p)
    _add_test_size(p)
    _add_training(p)
    add_config(p)
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "demo", "do all of it on synthetic heart sounds",
        "heartfast demo -o demo",
    )  # fmt: skip
    p.add_argument("-o", "--out", metavar="OUT", default="demo", help="a new folder (demo)")
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "bench", "measure the speed of this machine, beside other tools that are installed",
        "heartfast bench",
    )  # fmt: skip
    p.add_argument("--quick", action="store_true", help="8 recordings, to see that it runs")
    _add_jobs(p)

    p = verb("info", "show version, build and machine, or a model's card", "heartfast info --json")
    p.add_argument("model", metavar="MODEL", nargs="?", help="what train wrote")
    return parser


class _Version(argparse.Action):
    """Prints the version; the core that knows it is loaded only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from heartfast._core import __version__

        sys.stdout.write(f"heartfast {__version__}\n")
        parser.exit()


def _add_sources(p: argparse.ArgumentParser, labels: str | None, out: str) -> None:
    p.add_argument(
        "sources",
        metavar="SRC",
        nargs="+",
        help="recordings, and folders, ZIPs and tars of them; '*.wav', '**/*.wav'; - for a list "
        "on standard input, a path a line or with NULs",
    )
    p.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="search folders in folders, too (default)",
    )
    p.add_argument(
        "--any-extension",
        action="store_true",
        help="try every file in folders and archives, whatever its name",
    )
    p.add_argument("-o", "--out", metavar="OUT", required=True, help=out)
    p.add_argument("--labels", metavar="L", default=labels, required=labels is None, help=_LABELS)
    _add_group_regex(p)


def _add_selection(p: argparse.ArgumentParser) -> None:
    # Without defaults: the stages have their own.
    group = p.add_argument_group("what of a recording", argument_default=argparse.SUPPRESS)
    group.add_argument(
        "--channel",
        type=_channel,
        metavar="C",
        help="mix (default), left, right, a number from 1, or each: a picture of each",
    )
    group.add_argument("--sr", type=int, metavar="HZ", help="resample (the recording's own rate)")
    group.add_argument("--start", type=float, metavar="S", help="begin S seconds in (0)")
    group.add_argument("--duration", type=float, metavar="S", help="end S seconds later")
    group.add_argument(
        "--segment-s", type=float, metavar="S", help="cut recordings into segments of S seconds"
    )
    group.add_argument(
        "--segment-overlap", type=float, metavar="PERCENT", help="of neighbouring segments (0)"
    )


def _add_group_regex(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--group-regex",
        metavar="PATTERN",
        help="take the group (patient) from names: the part of a regular expression that is in "
        r"parentheses, as in '^\D*(\d+)'; with a / in it, of the path below SRC",
    )


def _add_test_size(p: argparse.ArgumentParser) -> None:
    p.add_argument("--test-size", type=float, default=0.2, help="share to test on (0.2)")


def _add_training(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("training")
    group.add_argument(
        "--metric",
        choices=("logloss", "macro_f1", "balanced_accuracy", "macro_auc", "brier"),
        default="logloss",
        help="what the best is best at (logloss)",
    )
    group.add_argument("--trials", type=int, default=12, help="settings that tuning tries (12)")
    group.add_argument("--folds", type=int, default=5, help="parts of the cross-validation (5)")
    group.add_argument("--repeats", type=int, default=2, help="times it is repeated (2)")
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
        type=int,
        metavar="K",
        help="fit on K changed copies of each picture, too (1; with --embed none)",
    )
    group.add_argument(
        "--time-budget",
        type=_seconds,
        metavar="T",
        help="time for all of it: 90s, 5m, 1h; what is not done by then is left out",
    )
    _add_embed(group)
    group.add_argument("--embed-only", action="store_true", help="no features but its outputs")


def _add_embed(p: argparse._ActionsContainer) -> None:
    p.add_argument(
        "--embed", metavar="ONNX", help="a pretrained image network, whose outputs are features"
    )


def _add_decisions(p: argparse.ArgumentParser) -> None:
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
        type=float,
        metavar="SHARE",
        help="refuse what is more unlike the training data than all but SHARE of its kind (0.01)",
    )


def _add_seed(p: argparse.ArgumentParser) -> None:
    p.add_argument("--seed", type=int, default=0, help="of everything random (0)")


def _add_jobs(p: argparse.ArgumentParser) -> None:
    p.add_argument("--jobs", type=int, metavar="N", help="cores to use (all)")


def _channel(text: str) -> str | int:
    try:
        return int(text)
    except ValueError:
        return text


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


def _limit(text: str) -> tuple[str, float]:
    from heartfast.limits import Limits

    name, _, number = text.partition("=")
    kind = type(Limits._field_defaults.get(name))
    try:
        if kind in (int, float):
            return name, kind(number)
    except ValueError:
        pass
    expected = f"NAME=N with a name of {', '.join(Limits._fields)}"
    raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}")
