"""What the command line takes: verbs, their options, help and examples."""

from __future__ import annotations

import argparse
import sys

_LABELS = "folders, pascal, cinc2016, none, or a CSV with file_name, label[, group, source]"


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
    _add_config(p)
    _add_figure(p)
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
        help="full adds file_name and the predicted class",
    )
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
        "gallery", "write a page that shows pictures and plays their recordings",
        "heartfast gallery pictures --scores scores.csv",
    )  # fmt: skip
    p.add_argument("images", metavar="IMAGES", help="what convert wrote, or class folders")
    p.add_argument("-o", "--out", metavar="FILE", help="the page (IMAGES/gallery.html)")
    p.add_argument("--scores", metavar="CSV", help="what score wrote, to sort by and to compare")
    p.add_argument(
        "--audio", metavar="DIR", help="where the recordings are, if not where convert found them"
    )

    p = verb(
        "run", "do all of it: convert, pack, train, score, evaluate, report, gallery",
        "heartfast run recordings/ --labels folders -o out",
    )  # fmt: skip
    _add_sources(p, None, "a new or empty folder")
    _add_selection(p)
    _add_test_size(p)
    _add_training(p)
    _add_config(p)
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

    verb("info", "show version, build and machine", "heartfast info --json")
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


def _add_config(p: argparse.ArgumentParser) -> None:
    # Without defaults: the configuration has its own.
    group = p.add_argument_group("spectrogram", argument_default=argparse.SUPPRESS)
    group.add_argument("--window", metavar="NAME", help="window shape (gaussian)")
    group.add_argument("--window-ms", type=float, metavar="MS", help="window length (50)")
    group.add_argument("--overlap", type=float, metavar="PERCENT", help="of windows (50)")
    group.add_argument("--hop-ms", type=float, metavar="MS", help="instead of --overlap")
    group.add_argument("--zero-pad", type=int, metavar="POINTS", help="FFT length (0: the window)")
    group.add_argument("--dynamic-range", type=float, metavar="DB", help="shown below 0 dB (80)")
    group.add_argument("--ref", type=_reference, metavar="MAX|X", help="0 dB: max or a magnitude")
    group.add_argument("--fmin", type=float, metavar="HZ", help="lowest frequency shown")
    group.add_argument("--fmax", type=float, metavar="HZ", help="highest frequency shown")
    group.add_argument("--size", type=_size, metavar="HxW", help="pixels (one per bin and frame)")
    group.add_argument(
        "--colormap",
        metavar="NAME",
        help="gray, viridis, magma, inferno, plasma, cividis, turbo, bw, seewave, heat",
    )
    group.add_argument("--invert", action="store_true", help="dark on light")
    group.add_argument("--no-center", dest="center", action="store_false", help="whole frames only")
    group = p.add_argument_group(
        "effects, applied in this order", argument_default=argparse.SUPPRESS
    )
    group.add_argument(
        "--reassign",
        action="store_true",
        help="move energy to where in time and frequency it comes from",
    )
    group.add_argument(
        "--windows-ms",
        type=_numbers,
        metavar="MS[,MS...]",
        help="further windows: the geometric mean of the spectrograms with each",
    )
    group.add_argument(
        "--noise-reduction",
        type=float,
        metavar="X",
        help="subtract X times the mean of the noisiest frames (0)",
    )
    group.add_argument(
        "--noise-percent", type=float, metavar="PERCENT", help="frames that are the noisiest (10)"
    )
    group.add_argument(
        "--quantile", type=float, metavar="Q", help="subtract each bin's quantile, 0 to 1"
    )
    group.add_argument(
        "--median",
        type=_whole_numbers,
        metavar="FRAMES,BINS",
        help="median of so many, odd numbers (1,1)",
    )
    group.add_argument(
        "--blur", type=_numbers, metavar="MS,HZ", help="Gaussian of these standard deviations (0,0)"
    )
    group.add_argument(
        "--sharpen", type=_numbers, metavar="MS,HZ", help="unsharp mask with such a Gaussian (0,0)"
    )
    group.add_argument(
        "--derivative",
        choices=("time", "frequency", "both"),
        help="how fast magnitudes change, instead of these",
    )


def _add_figure(p: argparse.ArgumentParser) -> None:
    p.add_argument("--figure", action="store_true", help="draw axes and an oscillogram, for people")
    p.add_argument(
        "--preset", metavar="NAME", help="settings for figures: published, heart, speech, bird"
    )
    p.add_argument(
        "--intervals", metavar="PATH", help="labelled parts to show: CSV, TSV, or a folder of them"
    )
    # Without defaults: the configuration has its own.
    group = p.add_argument_group("figure", argument_default=argparse.SUPPRESS)
    group.add_argument("--width", type=int, metavar="N", help="in points (900)")
    group.add_argument("--height", type=int, metavar="N", help="in points (500)")
    group.add_argument("--scale", type=float, metavar="X", help="pixels to a point (1)")
    group.add_argument("--osc", metavar="WAY", help="oscillogram: linear (default), db, none")
    group.add_argument(
        "--y-scale", metavar="NAME", help="frequencies: linear (default), log, mel, bark, erb"
    )
    group.add_argument("--ylim", type=_range, metavar="LOW,HIGH", help="Hz; as --fmin and --fmax")
    group.add_argument("--xlim", type=_range, metavar="FROM,TO", help="seconds shown (all)")
    group.add_argument("--title", metavar="TEXT", help="(the recording's name)")
    group.add_argument("--xlab", metavar="TEXT", help="name of the time axis")
    group.add_argument("--ylab", metavar="TEXT", help="name of the frequency axis")
    group.add_argument("--grid", action="store_true", help="dotted lines at the ticks")
    group.add_argument("--colorbar", action="store_true", help="a scale of decibels")
    group.add_argument("--theme", metavar="NAME", help="light (default), dark")
    group.add_argument("--contrast", type=float, metavar="X", help="-1 to 1: faint levels fade (0)")
    group.add_argument("--brightness", type=float, metavar="X", help="-1 to 1: lighter (0)")
    group.add_argument("--font", metavar="FILE", help="TrueType or OpenType, for other scripts")


def _add_test_size(p: argparse.ArgumentParser) -> None:
    p.add_argument("--test-size", type=float, default=0.2, help="share to test on (0.2)")


def _add_training(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--metric",
        choices=("logloss", "macro_f1", "balanced_accuracy"),
        default="logloss",
        help="what the best is best at (logloss)",
    )
    p.add_argument("--trials", type=int, default=12, help="settings that tuning tries (12)")
    p.add_argument("--folds", type=int, default=5, help="parts of the cross-validation (5)")
    p.add_argument("--repeats", type=int, default=2, help="times it is repeated (2)")


def _add_seed(p: argparse.ArgumentParser) -> None:
    p.add_argument("--seed", type=int, default=0, help="of everything random (0)")


def _add_jobs(p: argparse.ArgumentParser) -> None:
    p.add_argument("--jobs", type=int, metavar="N", help="cores to use (all)")


def _reference(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        message = f"expected numbers with commas between, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        message = f"expected whole numbers with commas between, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def _channel(text: str) -> str | int:
    try:
        return int(text)
    except ValueError:
        return text


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


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(",")
    try:
        return float(low), float(high)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected two numbers with a comma between, as 20,800, found {text!r}"
        ) from None


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected HEIGHTxWIDTH in pixels, as 256x512, found {text!r}"
        ) from None
