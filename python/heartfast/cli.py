"""The command line. It parses and prints; the stages compute."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from heartfast.options import make_parser

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from heartfast._core import SpectrogramConfig

# Exit codes.
DONE, ERROR, USAGE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if "verb" not in options:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        return _VERBS[options.verb](options)
    except KeyboardInterrupt:
        return _fail(options, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone, as after `| head`; so has the need to tell it.
        sys.stdout = None
        return DONE
    except ValueError as error:
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


def _fail(options: Namespace, message: str, code: int) -> int:
    from heartfast.console import say

    say(f"heartfast {options.verb}: {message}")
    return code


def _print(options: Namespace, result: dict[str, Any], text: str = "") -> None:
    if sys.stdout is None:  # it may be closed
        return
    if options.json:
        import json

        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    elif text:
        from heartfast.console import printable

        for line in text.rstrip("\n").split("\n"):
            sys.stdout.write(printable(line, sys.stdout.encoding) + "\n")
    sys.stdout.flush()


def _config(options: Namespace) -> SpectrogramConfig:
    from heartfast._core import SpectrogramConfig

    fields = (
        "window", "window_ms", "overlap", "hop_ms", "zero_pad", "dynamic_range", "ref", "fmin",
        "fmax", "size", "colormap", "invert", "center",
    )  # fmt: skip
    given = {name: getattr(options, name) for name in fields if hasattr(options, name)}
    return SpectrogramConfig(**given)


def _convert(options: Namespace) -> int:
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


def _pack(options: Namespace) -> int:
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


def _train(options: Namespace) -> int:
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


def _score(options: Namespace) -> int:
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


def _evaluate(options: Namespace) -> int:
    from heartfast.console import say
    from heartfast.stages.evaluate import evaluate

    result = evaluate(options.scores, options.actual, groups=options.groups, seed=options.seed)
    if options.html:
        from heartfast.report import write_evaluation

        write_evaluation(options.html, result)
        say(f"the report is in {options.html}")
    _print(options, result.to_dict(), result.to_text())
    return DONE


def _run(options: Namespace) -> int:
    from heartfast.stages.run import run

    config = _config(options)
    return _whole_path(
        options,
        lambda **common: run(
            options.sources,
            options.out,
            labels=options.labels,
            config=config,
            test_size=options.test_size,
            metric=options.metric,
            trials=options.trials,
            folds=options.folds,
            repeats=options.repeats,
            **common,
        ),
    )


def _demo(options: Namespace) -> int:
    from heartfast.stages.run import demo

    return _whole_path(options, lambda **common: demo(options.out, **common))


def _whole_path(options: Namespace, run: Callable[..., Any]) -> int:
    from heartfast.console import progress_bars, say, say_errors, say_notes

    with progress_bars() as progress:
        result = run(seed=options.seed, jobs=options.jobs, progress=progress)
    say_notes(result.notes)
    errors = result.conversion.errors
    say_errors([(e.path, e.message) for e in errors], f"{result.conversion.out}/errors.jsonl")
    _print(options, result.to_dict(), result.to_text())
    say(f"the report is in {result.report}")
    return SOME_FAILED if errors else DONE


def _info(options: Namespace) -> int:
    from heartfast import _core
    from heartfast.parallel import cores

    info = _core.build_info() | {"threads": cores(None)}
    text = "\n".join(
        f"{name.replace('_', ' '):13} {' '.join(value) if isinstance(value, list) else value}"
        for name, value in info.items()
    )
    _print(options, info, text)
    return DONE


_VERBS: dict[str, Callable[[Namespace], int]] = {
    "convert": _convert,
    "pack": _pack,
    "train": _train,
    "score": _score,
    "evaluate": _evaluate,
    "run": _run,
    "demo": _demo,
    "info": _info,
}


if __name__ == "__main__":
    sys.exit(main())
