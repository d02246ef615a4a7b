"""What the command line takes: verbs, their options, help and examples."""

from __future__ import annotations

import argparse
import sys

from heartfast.cluster.options import add_engine, add_tasks
from heartfast.learning_options import (
    add_decisions,
    add_embed,
    add_group_regex,
    add_join_duplicates,
    add_test_size,
    add_training,
)
from heartfast.parsing import Parser, real, whole
from heartfast.picture_options import add_config, add_figure

_LABELS = (
    "folders, pascal, cinc2016, circor, yaseen, none, or a CSV with file_name, label[, group, "
    "source]"
)


def make_parser() -> Parser:
    """Make the parser; what it parses has the name of the verb in `verb`."""
    parser = Parser(
        prog="heartfast",
        description="Recordings into spectrogram pictures, and those into a scored classifier.",
        epilog="heartfast VERB --help shows a verb's options and an example.",
    )
    _add_common(parser)
    parser.verbs = parser.add_subparsers(title="verbs", metavar="VERB")

    def verb(name: str, text: str, example: str) -> Parser:
        added = parser.verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(verb=name)
        added.add_argument("--json", action="store_true", help="print the result as JSON")
        _add_common(added)
        return added

    p = verb(
        "convert", "draw the spectrogram of every recording",
        "heartfast convert recordings/ -o pictures --labels folders --overlap 75",
    )  # fmt: skip
    _add_sources(p, "none", "a new or empty folder, or one to continue")
    _add_selection(p)
    p.add_argument(
        "--to",
        choices=("dir", "zip", "tar", "parquet"),
        default="dir",
        help="a file per picture (dir), or all in pictures.zip, pictures.tar or Parquet",
    )
    p.add_argument(
        "--shard-mb",
        type=real,
        metavar="MB",
        help="several ZIPs or tars of at most this size; tasks of as many recordings (256)",
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
        "--prune",
        action="store_true",
        help="remove the pictures of recordings that are not among the sources any more",
    )
    p.add_argument(
        "--check", action="store_true", help="compare pictures that are there with the manifest"
    )
    p.add_argument(
        "--fsync", action="store_true", help="have every picture on the disk, for power failures"
    )
    p.add_argument("--max-errors", type=whole, metavar="N", help="stop after more failures than N")
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
    add_tasks(p)
    _add_jobs(p)

    p = verb(
        "merge", "join what the shares of a conversion (--shard) have made",
        "heartfast merge pictures",
    )  # fmt: skip
    p.add_argument(
        "sources", nargs="+", metavar="OUT", help="what convert wrote to: folders or URLs"
    )
    p.add_argument(
        "-o", "--out", metavar="PLACE", help="where the tables belong (there, if it is one place)"
    )

    p = verb(
        "pack", "split pictures into train.zip and test.zip, groups kept whole",
        "heartfast pack pictures -o sets --test-size 0.2",
    )  # fmt: skip
    p.add_argument("images", metavar="IMAGES", help="what convert wrote, or class folders")
    p.add_argument("-o", "--out", metavar="DIR", required=True, help="a new or empty folder")
    add_test_size(p)
    p.add_argument(
        "--no-group",
        dest="group",
        action="store_false",
        help="let a group (patient) be on both sides: figures will be too good",
    )
    add_group_regex(p)
    add_join_duplicates(p)
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "train", "compare models by grouped cross-validation and save the best",
        "heartfast train sets/train.zip -o model.heartfast",
    )  # fmt: skip
    p.add_argument(
        "pictures",
        metavar="TRAIN",
        help="ZIP or folder of class folders; or features beside pictures",
    )
    p.add_argument(
        "-o", "--out", metavar="MODEL", required=True, help="the model; replaced if there"
    )
    add_group_regex(p)
    add_join_duplicates(p)
    add_training(p)
    add_engine(p)
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "score", "predict class probabilities of pictures or recordings",
        "heartfast score model.heartfast sets/test.zip -o scores.csv",
    )  # fmt: skip
    p.add_argument("model", metavar="MODEL", help="what train wrote")
    p.add_argument(
        "input",
        metavar="INPUT",
        nargs="+",
        help="ZIP or folder, or recordings; - for them on standard input",
    )
    p.add_argument(
        "-o",
        "--out",
        metavar="CSV",
        required=True,
        help="the table; replaced if there; - for standard output",
    )
    p.add_argument(
        "--columns",
        choices=("short", "full"),
        default="short",
        help="full adds file_name, the predicted class and the novelty",
    )
    combined = p.add_mutually_exclusive_group()
    combined.add_argument(
        "--by-recording",
        action="store_true",
        help="a row for each recording, of its segments' and channels' probabilities combined",
    )
    combined.add_argument(
        "--by-group",
        action="store_true",
        help="a row for each group (patient), of its recordings' probabilities combined",
    )
    add_group_regex(p)
    add_decisions(p)
    add_embed(p)
    p.add_argument("--font", metavar="FILE", help="that of the figures that MODEL was trained on")
    _add_jobs(p)

    p = verb(
        "evaluate", "compare scores with the truth",
        "heartfast evaluate scores.csv sets/test_actual.csv --html report.html",
    )  # fmt: skip
    p.add_argument("scores", metavar="SCORES", help="what score wrote")
    p.add_argument(
        "actual", metavar="ACTUAL", help="test_actual.csv of pack, or file_name and label"
    )
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
    p.add_argument(
        "--images", metavar="DIR", help="what convert wrote (DATASET), to find recordings by"
    )
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
        "--explain", type=whole, default=12, metavar="N",
        help="in the N pictures that it got most wrong or is least certain of (12)",
    )  # fmt: skip

    p = verb(
        "run", "do all of it: convert, pack, train, score, evaluate, report, gallery",
        "heartfast run recordings/ --labels folders -o out",
    )  # fmt: skip
    _add_sources(p, None, "a new or empty folder, or one to continue")
    _add_selection(p)
    add_join_duplicates(p)
    add_test_size(p)
    add_training(p)
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


def _add_common(p: Parser) -> None:
    """Add what can stand before the verb and behind it."""
    p.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version and exit")
    for short, name, text in (
        ("-q", "--quiet", "show errors only"),
        ("-v", "--verbose", "name every failed file, and show where a defect is"),
    ):
        p.add_argument(short, name, action="store_true", default=argparse.SUPPRESS, help=text)


# What may be ``-`` for standard input, by verb; other paths that are called so are refused.
_STANDARD_INPUT = {
    "convert": ("sources", "labels", "intervals"),
    "run": ("sources", "labels"),
    "score": ("input", "costs"),
    "evaluate": ("scores", "actual", "groups"),
    "gallery": ("scores",),
}
_STANDARD_OUTPUT = {"score": "out"}
_PATHS = (
    "sources", "out", "labels", "intervals", "images", "pictures", "model", "input", "scores",
    "actual", "groups", "html", "dataset", "audio", "embed", "costs", "font",
)  # fmt: skip


def require_one_standard_input(options: argparse.Namespace) -> None:
    """Raise `UsageError` where ``-`` stands for what is no stream, or for two that are one."""
    from heartfast.errors import UsageError

    taken = _STANDARD_INPUT.get(options.verb, ())
    found = []
    for name in _PATHS:
        value = getattr(options, name, None)
        if "-" not in (value if isinstance(value, list) else [value]):
            continue
        if name in taken:
            found.append(name)
        elif name != _STANDARD_OUTPUT.get(options.verb):
            raise UsageError(
                f"{name}: expected a name, found -, the sign for standard input or output, which "
                "is not taken here (./- is a file of that name)"
            )
        elif options.json:
            raise UsageError("json: expected it without --out -, found two results for one output")
    if len(found) > 1:
        raise UsageError(f"{', '.join(found)}: expected standard input (-) once, found it twice")


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
        help="recordings, and folders, ZIPs and tars of them; '*.wav', '**/*.wav'; - for a "
        "recording on standard input, or a list: a path a line or with NULs",
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
    add_group_regex(p)


def _add_selection(p: argparse.ArgumentParser) -> None:
    # Without defaults: the stages have their own.
    group = p.add_argument_group("what of a recording", argument_default=argparse.SUPPRESS)
    group.add_argument(
        "--channel",
        type=_channel,
        metavar="C",
        help="mix (default), left, right, a number from 1, or each: a picture of each",
    )
    group.add_argument("--sr", type=whole, metavar="HZ", help="resample (the recording's own rate)")
    group.add_argument("--start", type=real, metavar="S", help="begin S seconds in (0)")
    group.add_argument("--duration", type=real, metavar="S", help="end S seconds later")
    group.add_argument(
        "--segment-s", type=real, metavar="S", help="cut recordings into segments of S seconds"
    )
    group.add_argument(
        "--segment-overlap", type=real, metavar="PERCENT", help="of neighbouring segments (0)"
    )


def _add_seed(p: argparse.ArgumentParser) -> None:
    p.add_argument("--seed", type=whole, default=0, help="of everything random (0)")


def _add_jobs(p: argparse.ArgumentParser) -> None:
    p.add_argument("--jobs", type=whole, metavar="N", help="cores to use (all)")


def _channel(text: str) -> str | int:
    try:
        return whole(text)
    except argparse.ArgumentTypeError:
        return text


def _limit(text: str) -> tuple[str, float]:
    from heartfast.limits import Limits

    name, _, number = text.partition("=")
    usual = Limits._field_defaults.get(name)
    if usual is None:
        expected = f"NAME=N with a name of {', '.join(Limits._fields)}"
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}")
    return name, (whole if isinstance(usual, int) else real)(number)
