"""Words in messages: numbers of things, and classes by their names."""

from __future__ import annotations


def counted(count: int, thing: str, things: str = "") -> str:
    """Return a number of things, such as "1 recording", "2 recordings"."""
    return f"{count:d} {thing if count == 1 else things or thing + 's'}"


def of_class(label: str) -> str:
    """Name a class in a sentence, such as 'of class "cat"'."""
    return f'of class "{label}"'
