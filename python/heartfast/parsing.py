"""The parser of the command line: one line for what it does not take, and no abbreviations."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn

from heartfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What no whole number of an option goes beyond, below or above.
_LARGEST = 2**63 - 1
# A value that begins with a minus: -5, -.5, -inf, and -20,800.
_NEGATIVE = re.compile(r"^-(\d|\.\d|inf|nan)", re.IGNORECASE)
_REQUIRED = "the following arguments are required: "
_EXTRA = "unrecognized arguments: "
_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_CHOICE = re.compile(r"(.*): invalid choice: (.*) \(choose from (.*)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `UsageError` and takes only whole names of options."""

    verbs: argparse._SubParsersAction[Parser]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False} | settings)
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with what argparse says, in our words."""
        message = message.removeprefix("argument ")
        if message.startswith(_REQUIRED):
            missing = message.removeprefix(_REQUIRED)
            message = f"expected {missing}, found none; {self.prog} --help says what it is"
        elif message.startswith(_EXTRA):
            message = f"expected no further argument, found {message.removeprefix(_EXTRA)}"
        elif choice := _CHOICE.fullmatch(message):
            known = choice[3].replace("'", "")
            message = f"{choice[1]}: expected one of {known}, found {choice[2]}"
        raise UsageError(message)

    def check_names(self, arguments: Iterable[str]) -> None:
        """Raise `UsageError`, which names the nearest option, where one is none."""
        known = set(self._option_string_actions)
        for argument in arguments:
            if argument == "--":
                return
            name = argument.partition("=")[0]
            if argument[:1] != "-" or argument == "-" or " " in name or name in known:
                continue
            # -5, and -oOUT; but -overlap is no folder called verlap.
            short = argument[:2] in known or _NEGATIVE.match(argument)
            if short and name[:2] != "--" and "-" + name not in known:
                continue
            raise UsageError(unknown("option", name, known, self.prog))


def unknown(what: str, found: str, known: Iterable[str], prog: str) -> str:
    """Say that an option or a verb is unknown, and which is the nearest."""
    from difflib import get_close_matches

    near = get_close_matches(found, sorted(known), 1)
    advice = f": did you mean {near[0]}?" if near else f"; {prog} --help lists them"
    return f"unknown {what} {found or repr(found)}{advice}"


def parse(parser: Parser, arguments: Sequence[str], into: argparse.Namespace) -> None:
    """Parse a command line; `into.verb` is there as soon as it is known.

    Raises
    ------
    UsageError
        A verb, an option or a value is none; in one line.
    """
    at = next((i for i, each in enumerate(arguments) if each[:1] != "-"), len(arguments))
    verb, verbs = next(iter(arguments[at:]), None), parser.verbs.choices
    if verb in verbs:
        into.verb = verb
    check_text(arguments)
    parser.check_names(arguments[:at])
    if verb is not None and verb not in verbs:
        raise UsageError(unknown("verb", verb, verbs, parser.prog))
    if verb is not None:
        verbs[verb].check_names(arguments[at + 1 :])
    parser.parse_args(arguments, into)


def check_text(arguments: Iterable[str]) -> None:
    """Raise `UsageError` for text that no path and no name can have."""
    import os

    for argument in arguments:
        try:
            found = "a NUL" if b"\0" in os.fsencode(argument) else ""
        except UnicodeEncodeError:
            found = "half a character"
        if found:
            raise UsageError(f"{argument!r}: expected text, found {found} in it")
        if "://" in argument:
            from heartfast.places import check_url

            # With a secret in it, no message is to show it.
            for part in (argument, argument.partition("=")[2]):
                if _URL.match(part):
                    check_url(part)


def whole(text: str) -> int:
    """Take a whole number of at most 64 bits."""
    try:
        number = int(text)
    except ValueError:
        number = _LARGEST + 1
    if abs(number) > _LARGEST:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at most 64 bits, found {text[:40]!r}"
        )
    return number


def real(text: str) -> float:
    """Take a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, found {text[:40]!r}") from None
