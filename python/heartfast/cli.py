"""The command line. It parses and prints; the stages compute."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from heartfast.signals import Signals, listening

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from heartfast.progress import Progress

# Exit codes.
DONE, ERROR, USAGE, SOME_FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Without `arguments` those of the process are taken, which then is ours to the end: what its
    signals do is not put back.
    """
    options: Namespace | None = None
    signals = Signals()
    try:
        with listening(signals, for_good=arguments is None):
            import argparse

            options = argparse.Namespace()
            return _run_verb(options, sys.argv[1:] if arguments is None else arguments, signals)
    except KeyboardInterrupt as interrupt:
        return _stopped(options, signals, str(interrupt))
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a library's is no Exception
        from heartfast.console import explain
        from heartfast.errors import UsageError

        return _fail(options, explain(error), USAGE if isinstance(error, UsageError) else ERROR)


def _run_verb(options: Namespace, arguments: Sequence[str], signals: Signals) -> int:
    from heartfast import console
    from heartfast.options import make_parser, require_one_standard_input
    from heartfast.parsing import parse

    parser = make_parser()
    try:
        parse(parser, list(arguments), options)
    except SystemExit:
        console.write("")  # help may still be on its way
        raise
    console.quiet, console.verbose = "quiet" in options, "verbose" in options
    if "verb" not in options:
        parser.print_help(sys.stderr)
        return USAGE
    require_one_standard_input(options)
    options.signals = signals
    from heartfast.announcing import unannounced

    with unannounced():  # notes are lines here
        return _VERBS[options.verb](options)


def _stopped(options: Namespace | None, signals: Sequence[int], said: str) -> int:
    import signal

    terminated = signals[:1] == [signal.SIGTERM]
    message, code = ("terminated", TERMINATED) if terminated else ("interrupted", INTERRUPTED)
    # How far it is, and how it goes on.
    batch = options is not None and options.__dict__.get("verb") == "convert" and said
    _fail(options, f"{message}: {said}" if batch else message, code)
    return _leave(code)


def _leave(code: int) -> int:
    from heartfast.parallel import working

    if working():
        import os

        # A call that cannot be stopped would keep the process, or crash at its end.
        os._exit(code)
    return code


def _fail(options: Namespace | None, message: str, code: int) -> int:
    from heartfast.console import say

    verb = f" {options.verb}" if options is not None and "verb" in options else ""
    say(f"heartfast{verb}: {message}")
    return code


def _print(options: Namespace, result: dict[str, Any], text: str = "") -> None:
    from heartfast.console import printable, write

    if options.json:
        import json

        write(json.dumps(result, indent=2) + "\n")
    elif text and sys.stdout is not None:
        lines = text.rstrip("\n").split("\n")
        write("".join(printable(line, sys.stdout.encoding) + "\n" for line in lines))


def _convert(options: Namespace) -> int:
    import gc

    from heartfast import settings
    from heartfast.console import inform, progress_bars, say_failed, say_kinds, say_notes
    from heartfast.stages.convert import convert

    config = settings.config(options)
    # Rows by the million, none of them in a cycle: looking through them takes longer each time.
    gc.disable()
    try:
        with progress_bars() as bars:

            def progress(report: Progress) -> None:
                options.signals.patient = True  # the work has begun
                if bars:
                    bars(report)

            result = convert(
                options.sources,
                options.out,
                config=config,
                **settings.selection(options),
                **settings.conversion(options),
                progress=progress,
            )
    finally:
        options.signals.patient = False
        gc.enable()
    say_notes(result.notes)
    say_failed(result.errors, result.out)
    say_kinds(result.errors)
    known = f" ({result.known} recordings by an earlier run)" if result.known else ""
    inform(f"{result.pictures} pictures in {result.out}, {result.failed} failed{known}")
    if options.gallery and result.pictures:
        inform(f"the gallery is in {result.out}/gallery.html")
    _print(options, result.to_dict())
    if result.failed:
        return SOME_FAILED if result.pictures else ERROR
    return DONE


def _merge(options: Namespace) -> int:
    from heartfast.cluster.merge import merge
    from heartfast.console import inform

    result = merge(options.sources, options.out)
    inform(f"{result.pictures} pictures in {result.out}, {result.failed} failed")
    _print(options, result.to_dict())
    return SOME_FAILED if result.failed else DONE


def _pack(options: Namespace) -> int:
    from heartfast.console import progress_bars, say_errors, say_notes
    from heartfast.stages.pack import pack

    with progress_bars() as progress:
        result = pack(
            options.images,
            options.out,
            test_size=options.test_size,
            seed=options.seed,
            groups=options.group,
            group_regex=options.group_regex,
            join_duplicates=options.join_duplicates,
            jobs=options.jobs,
            progress=progress,
        )
    say_notes(result.notes)
    say_errors(result.errors)
    _print(options, result.to_dict(), result.to_text())
    return SOME_FAILED if result.errors else DONE


def _train(options: Namespace) -> int:
    from heartfast import settings
    from heartfast.console import inform, progress_bars, say_errors, say_notes
    from heartfast.stages.train import train

    with progress_bars() as progress:
        result = train(
            options.pictures,
            options.out,
            group_regex=options.group_regex,
            join_duplicates=options.join_duplicates,
            **settings.training(options),
            keep_interrupted=True,
            engine=options.engine,
            address=options.address,
            seed=options.seed,
            jobs=options.jobs,
            progress=progress,
        )
    say_notes(result.notes)
    say_errors(result.errors)
    _print(options, result.to_dict(), result.to_text())
    inform(f"{result.best}, fitted on all {result.n_recordings} pictures, is in {options.out}")
    if result.interrupted:
        return _stopped(options, options.signals, "")
    return _leave(SOME_FAILED if result.errors else DONE)


def _score(options: Namespace) -> int:
    from heartfast.console import inform, progress_bars, say_errors, say_notes
    from heartfast.stages.score import score

    source = options.input[0] if len(options.input) == 1 else options.input
    to_output = options.out == "-"
    with progress_bars() as progress:
        result = score(
            options.model,
            source,
            None if to_output else options.out,
            columns=options.columns,
            sensitivity=dict(options.sensitivity),
            costs=options.costs or dict(options.cost) or None,
            reject=options.reject,
            by_recording=options.by_recording,
            by_group=options.by_group,
            group_regex=options.group_regex,
            embed=options.embed,
            font=options.font,
            jobs=options.jobs,
            progress=progress,
        )
    say_notes(result.notes)
    say_errors(result.errors)
    where = "on standard output" if to_output else f"in {options.out}"
    inform(f"{len(result.names)} scored {where}, {len(result.errors)} failed")
    if to_output:
        _write_table(*result.table(options.columns))
    else:
        _print(options, result.to_dict())
    return SOME_FAILED if result.errors else DONE


def _write_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV to standard output, the same bytes as in a file."""
    from heartfast.console import write_bytes
    from heartfast.tables import format_csv

    write_bytes(format_csv(header, rows).encode("utf-8", "surrogateescape"))


def _evaluate(options: Namespace) -> int:
    import os

    from heartfast.console import inform, say_notes
    from heartfast.files import require_output
    from heartfast.stages.evaluate import evaluate
    from heartfast.tables import TEST_METADATA

    beside = os.path.join(os.path.dirname(options.actual), TEST_METADATA)
    inputs = options.scores, options.actual, options.groups, beside
    if options.html:
        require_output(options.html, *inputs, kind="page")
    result = evaluate(options.scores, options.actual, groups=options.groups, seed=options.seed)
    say_notes(result.notes)
    if options.html:
        from heartfast.report import write_evaluation

        write_evaluation(options.html, result)
        inform(f"the report is in {options.html}")
    _print(options, result.to_dict(), result.to_text())
    return DONE


def _audit(options: Namespace) -> int:
    from heartfast.console import inform, progress_bars, say_notes
    from heartfast.files import require_output
    from heartfast.stages.audit import audit, write_audit

    if options.html:
        require_output(options.html, options.dataset, options.images, kind="page")
    with progress_bars() as progress:
        result = audit(
            options.dataset,
            images=options.images,
            seed=options.seed,
            jobs=options.jobs,
            progress=progress,
        )
    say_notes(result.notes)
    if options.html:
        write_audit(options.html, result)
        inform(f"the page is in {options.html}")
    _print(options, result.to_dict(), result.to_text())
    return DONE


def _gallery(options: Namespace) -> int:
    from heartfast.console import inform, progress_bars
    from heartfast.stages.gallery import gallery

    with progress_bars() as progress:
        result = gallery(
            options.images,
            output=options.out,
            scores=options.scores,
            audio=options.audio,
            model=options.model,
            explain=options.explain,
            progress=progress,
        )
    scored = f", {result.scored} with scores" if options.scores else ""
    explained = f", {result.explained} explained" if options.model else ""
    inform(
        f"{result.pictures} pictures in {result.path}, {result.sounds} with sound{scored}"
        f"{explained}"
    )
    _print(options, result.to_dict())
    return DONE


def _run(options: Namespace) -> int:
    from heartfast import settings
    from heartfast.stages.run import run

    config = settings.config(options)
    return _whole_path(
        options,
        lambda **common: run(
            options.sources,
            options.out,
            labels=options.labels,
            group_regex=options.group_regex,
            join_duplicates=options.join_duplicates,
            config=config,
            recursive=options.recursive,
            any_extension=options.any_extension,
            **settings.selection(options),
            test_size=options.test_size,
            **settings.training(options),
            **common,
        ),
    )


def _demo(options: Namespace) -> int:
    from heartfast.stages.run import demo

    return _whole_path(options, lambda **common: demo(options.out, **common))


def _whole_path(options: Namespace, run: Callable[..., Any]) -> int:
    from heartfast.console import inform, progress_bars, say_errors, say_failed, say_notes

    with progress_bars() as progress:
        result = run(seed=options.seed, jobs=options.jobs, progress=progress)
    say_notes(result.notes)
    say_failed(result.conversion.errors, result.conversion.out)
    say_errors(result.packing.errors + result.training.errors)
    _print(options, result.to_dict(), result.to_text())
    inform(f"the report is in {result.report}")
    inform(f"the gallery is in {result.gallery}")
    return SOME_FAILED if result.errors else DONE


def _bench(options: Namespace) -> int:
    from heartfast.bench.verb import bench
    from heartfast.console import progress_bars

    with progress_bars() as progress:
        result = bench(quick=options.quick, jobs=options.jobs, progress=progress)
    _print(options, result.to_dict(), result.to_text())
    return DONE


def _info(options: Namespace) -> int:
    if options.model is not None:
        from heartfast.bundle import Bundle

        bundle = Bundle.load(options.model)
        shown = ("name", "classes", "config", "leaderboard", "training", "operating", "card")
        _print(options, {name: getattr(bundle, name) for name in shown}, bundle.card.rstrip())
        return DONE
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
    "merge": _merge,
    "pack": _pack,
    "train": _train,
    "score": _score,
    "evaluate": _evaluate,
    "audit": _audit,
    "gallery": _gallery,
    "run": _run,
    "demo": _demo,
    "bench": _bench,
    "info": _info,
}


if __name__ == "__main__":
    sys.exit(main())
