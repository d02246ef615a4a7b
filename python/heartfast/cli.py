"""The command line. It parses and prints; the stages compute."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heartfast._core import SpectrogramConfig

# Exit codes.
DONE, ERROR, USAGE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_LABELS = "folders, pascal, cinc2016, none, or a CSV with file_name, label[, group, source]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] | None = getattr(options, "verb", None)
    if verb is None:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        return verb(options)
    except KeyboardInterrupt:
        return _fail(options, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone, as after `| head`; so has the need to tell it.
        sys.stdout = None
        return DONE
    except (ValueError, TypeError) as error:
        # What the library says of a bad argument.
        return _fail(options, str(error), USAGE)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _fail(options, message, ERROR)
    except Exception as error:
        from heartfast.errors import HeartfastError

        if isinstance(error, HeartfastError):
            return _fail(options, str(error), ERROR)
        raise


def _fail(options: argparse.Namespace, message: str, code: int) -> int:
    from heartfast.console import say

    say(f"heartfast {options.name}: {message}")
    return code


def _print(options: argparse.Namespace, result: dict[str, Any], text: str = "") -> None:
    if options.json:
        import json

        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    elif text:
        sys.stdout.write(text.rstrip("\n") + "\n")


def _config(options: argparse.Namespace) -> SpectrogramConfig:
    from heartfast._core import SpectrogramConfig

    fields = (
        "window", "window_ms", "overlap", "hop_ms", "zero_pad", "dynamic_range", "ref", "fmin",
        "fmax", "size", "colormap", "invert", "center",
    )  # fmt: skip
    given = {name: getattr(options, name) for name in fields if hasattr(options, name)}
    return SpectrogramConfig(**given)


def _convert(options: argparse.Namespace) -> int:
    from heartfast.console import progress_bars, say, say_errors, say_notes
    from heartfast.stages.convert import convert

    config = _config(options)
    with progress_bars() as progress:
        result = convert(
            options.sources,
            options.out,
            config=config,
            labels=options.labels,
            jobs=options.jobs,
            recursive=options.recursive,
            progress=progress,
        )
    say_notes(result.notes)
    say_errors([(e.path, e.message) for e in result.errors], f"{result.out}/errors.jsonl")
    say(f"{len(result.records)} pictures in {result.out}, {len(result.errors)} failed")
    _print(options, result.to_dict())
    if result.errors:
        return SOME_FAILED if result.records else ERROR
    return DONE


def _pack(options: argparse.Namespace) -> int:
    from heartfast.console import progress_bars, say_notes
    from heartfast.stages.pack import pack

    with progress_bars() as progress:
        result = pack(
            options.images,
            options.out,
            test_size=options.test_size,
            seed=options.seed,
            groups=options.group,
            progress=progress,
        )
    say_notes(result.notes)
    _print(options, result.to_dict(), result.to_text())
    return DONE


def _train(options: argparse.Namespace) -> int:
    from heartfast.console import progress_bars, say, say_errors, say_notes
    from heartfast.stages.train import train

    with progress_bars() as progress:
        result = train(
            options.pictures,
            options.out,
            metric=options.metric,
            trials=options.trials,
            folds=options.folds,
            repeats=options.repeats,
            seed=options.seed,
            jobs=options.jobs,
            progress=progress,
        )
    say_notes(result.notes)
    say_errors(result.errors)
    _print(options, result.to_dict(), result.to_text())
    say(f"{result.best}, fitted on all {result.n_recordings} pictures, is in {options.out}")
    return SOME_FAILED if result.errors else DONE


def _score(options: argparse.Namespace) -> int:
    from heartfast.console import progress_bars, say, say_errors, say_notes
    from heartfast.stages.score import score

    source = options.input[0] if len(options.input) == 1 else options.input
    with progress_bars() as progress:
        result = score(
            options.model,
            source,
            options.out,
            columns=options.columns,
            jobs=options.jobs,
            progress=progress,
        )
    say_notes(result.notes)
    say_errors(result.errors)
    say(f"{len(result.names)} scored in {options.out}, {len(result.errors)} failed")
    _print(options, result.to_dict())
    return SOME_FAILED if result.errors else DONE


def _evaluate(options: argparse.Namespace) -> int:
    from heartfast.console import say
    from heartfast.stages.evaluate import evaluate

    result = evaluate(options.scores, options.actual, groups=options.groups, seed=options.seed)
    if options.html:
        from heartfast.report import write_evaluation

        write_evaluation(options.html, result)
        say(f"the report is in {options.html}")
    _print(options, result.to_dict(), result.to_text())
    return DONE


def _run(options: argparse.Namespace) -> int:
    from heartfast.stages.run import run

    config = _config(options)
    return _whole_path(
        options,
        lambda **common: run(
            options.sources, options.out, labels=options.labels, config=config, **common
        ),
    )


def _demo(options: argparse.Namespace) -> int:
    from heartfast.stages.run import demo

    return _whole_path(options, lambda **common: demo(options.out, **common))


def _whole_path(options: argparse.Namespace, run: Callable[..., Any]) -> int:
    from heartfast.console import progress_bars, say, say_errors, say_notes

    with progress_bars() as progress:
        result = run(seed=options.seed, jobs=options.jobs, progress=progress)
    say_notes(result.notes)
    errors = result.conversion.errors
    say_errors([(e.path, e.message) for e in errors], f"{result.conversion.out}/errors.jsonl")
    _print(options, result.to_dict(), result.to_text())
    say(f"the report is in {result.report}")
    return SOME_FAILED if errors else DONE


def _info(options: argparse.Namespace) -> int:
    from heartfast import _core
    from heartfast.parallel import cores

    info = _core.build_info() | {"threads": cores(None)}
    text = "\n".join(
        f"{name.replace('_', ' '):13} {' '.join(value) if isinstance(value, list) else value}"
        for name, value in info.items()
    )
    _print(options, info, text)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heartfast",
        description="Recordings into spectrogram pictures, and those into a scored classifier.",
        epilog="heartfast VERB --help shows a verb's options and an example.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")

    def verb(
        name: str, function: Callable[[argparse.Namespace], int], text: str, example: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(verb=function, name=name)
        added.add_argument("--json", action="store_true", help="print the result as JSON")
        return added

    p = verb(
        "convert", _convert, "draw the spectrogram of every recording",
        "heartfast convert recordings/ -o pictures --labels folders --overlap 75",
    )  # fmt: skip
    _add_sources(p, "none")
    p.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="search folders in folders, too (default)",
    )
    _add_config(p)
    _add_jobs(p)

    p = verb(
        "pack", _pack, "split pictures into train.zip and test.zip, groups kept whole",
        "heartfast pack pictures -o sets --test-size 0.2",
    )  # fmt: skip
    p.add_argument("images", metavar="IMAGES", help="what convert wrote, or class folders")
    p.add_argument("-o", "--out", metavar="DIR", required=True, help="folder for the two sets")
    p.add_argument("--test-size", type=float, default=0.2, help="share to test on (0.2)")
    p.add_argument(
        "--no-group",
        dest="group",
        action="store_false",
        help="let a group (patient) be on both sides: figures will be too good",
    )
    _add_seed(p)

    p = verb(
        "train", _train, "compare models by grouped cross-validation and save the best",
        "heartfast train sets/train.zip -o model.heartfast",
    )  # fmt: skip
    p.add_argument("pictures", metavar="TRAIN", help="ZIP or folder of class folders")
    p.add_argument("-o", "--out", metavar="MODEL", required=True, help="the model to write")
    p.add_argument(
        "--metric",
        choices=("logloss", "macro_f1", "balanced_accuracy"),
        default="logloss",
        help="what the best is best at (logloss)",
    )
    p.add_argument("--trials", type=int, default=12, help="settings that tuning tries (12)")
    p.add_argument("--folds", type=int, default=5, help="parts of the cross-validation (5)")
    p.add_argument("--repeats", type=int, default=2, help="times it is repeated (2)")
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "score", _score, "predict class probabilities of pictures or recordings",
        "heartfast score model.heartfast sets/test.zip -o scores.csv",
    )  # fmt: skip
    p.add_argument("model", metavar="MODEL", help="what train wrote")
    p.add_argument("input", metavar="INPUT", nargs="+", help="ZIP or folder, or recordings")
    p.add_argument("-o", "--out", metavar="CSV", required=True, help="the table to write")
    p.add_argument(
        "--columns",
        choices=("short", "full"),
        default="short",
        help="full adds file_name and the predicted class",
    )
    _add_jobs(p)

    p = verb(
        "evaluate", _evaluate, "compare scores with the truth",
        "heartfast evaluate scores.csv sets/test_actual.csv --html report.html",
    )  # fmt: skip
    p.add_argument("scores", metavar="SCORES", help="what score wrote")
    p.add_argument("actual", metavar="ACTUAL", help="test_actual.csv of pack")
    p.add_argument("--html", metavar="FILE", help="write a report, too")
    p.add_argument(
        "--groups",
        metavar="CSV",
        help="file_name and group, for the intervals (test_metadata.csv beside ACTUAL)",
    )
    _add_seed(p)

    p = verb(
        "run", _run, "do all of it: convert, pack, train, score, evaluate, report",
        "heartfast run recordings/ --labels folders -o out",
    )  # fmt: skip
    _add_sources(p, None)
    _add_config(p)
    _add_seed(p)
    _add_jobs(p)

    p = verb(
        "demo", _demo, "do all of it on synthetic heart sounds",
        "heartfast demo -o demo",
    )  # fmt: skip
    p.add_argument("-o", "--out", metavar="OUT", default="demo", help="a new folder (demo)")
    _add_seed(p)
    _add_jobs(p)

    verb("info", _info, "show version, build and machine", "heartfast info --json")
    return parser


class _Version(argparse.Action):
    """Prints the version; the core that knows it is loaded only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from heartfast._core import __version__

        sys.stdout.write(f"heartfast {__version__}\n")
        parser.exit()


def _add_sources(p: argparse.ArgumentParser, labels: str | None) -> None:
    p.add_argument("sources", metavar="SRC", nargs="+", help="recordings and folders of them")
    p.add_argument("-o", "--out", metavar="OUT", required=True, help="a new or empty folder")
    p.add_argument("--labels", metavar="L", default=labels, required=labels is None, help=_LABELS)


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
    group.add_argument("--colormap", metavar="NAME", help="gray, viridis, magma, inferno, plasma")
    group.add_argument("--invert", action="store_true", help="dark on light")
    group.add_argument("--no-center", dest="center", action="store_false", help="whole frames only")


def _add_seed(p: argparse.ArgumentParser) -> None:
    p.add_argument("--seed", type=int, default=0, help="of everything random (0)")


def _add_jobs(p: argparse.ArgumentParser) -> None:
    p.add_argument("--jobs", type=int, metavar="N", help="threads (one per core)")


def _reference(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected HEIGHTxWIDTH in pixels, as 256x512, found {text!r}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
