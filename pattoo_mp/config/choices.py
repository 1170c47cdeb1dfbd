"""Checks of settings that name families, or what of their devices is polled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.catalogue import EVERY, FURTHER, ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: One of several characters, in a pattern: a ] that comes first is one of them.
_CLASS: Final = re.compile(r"\[!?+\]?+[^]]*\]")


class UnfitError(ValueError):
    """One part of a value is wrong; `expected` says what was wanted of it, as a setting's does."""

    def __init__(self, given: object, expected: str) -> None:
        super().__init__(expected)
        self.given = given
        self.expected = expected


def further_families(value: object) -> tuple[str, ...]:
    """Families to turn on. Raises `UnfitError`, or `ValueError` where it is no list of words."""
    # Who lists one that is on may believe that it alone is polled then.
    return _families(value, FURTHER, "a family that is off; {} is on, families_off is for it")


def original_families(value: object) -> tuple[str, ...]:
    """Families to turn off. Raises as `further_families` does."""
    return _families(value, ORIGINAL, "a family that is on; {} is off unless families has it")


def some_patterns(value: object) -> tuple[str, ...]:
    """`patterns`, but not none at all: some take that for everything, and others for nothing."""
    if value == []:
        raise UnfitError(value, "a pattern at least; ['*'] is for everything")
    return patterns(value)


def patterns(value: object) -> tuple[str, ...]:
    """Patterns of the shell, as fnmatch has them. Raises as `further_families` does.

    `[` without `]` would stand for itself, and is refused: it is a slip far more often.
    """
    words = texts(value)
    for word in words:
        if not word or not word.isprintable():
            raise UnfitError(word, "a pattern of printable characters")
        if "[" in _CLASS.sub("", word):
            raise UnfitError(word, "a ] for each [, or [[] for a [ itself")
    return words


def for_families(
    check: Callable[[object], object], expected: str
) -> Callable[[object], dict[str, object]]:
    """A check of a mapping that gives families something of their own, which `check` checks.

    `expected` says what that wants. The check raises as `further_families` does.
    """

    def checked(value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        for name in value:
            if name not in EVERY:
                near = _nearest(name) if isinstance(name, str) else ""
                raise UnfitError(name, near or f"one of {', '.join(EVERY)}")
        return {name: own(name, given) for name, given in value.items()}

    def own(name: object, given: object) -> object:
        try:
            return check(given)
        except (ValueError, OverflowError) as error:
            raise UnfitError(given, f"{expected}, for {name}") from error

    return checked


def texts(value: object) -> tuple[str, ...]:
    """A list of texts. Raises as `further_families` does."""
    if not isinstance(value, (list, tuple)):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    for word in value:
        if not isinstance(word, str):
            raise UnfitError(
                word, "text; YAML takes some words for something else, so put it in quotes"
            )
    return tuple(value)


def _families(value: object, known: Sequence[str], elsewhere: str) -> tuple[str, ...]:
    """`elsewhere` is said of a family that belongs into the other list."""
    words = texts(value)
    for word in words:
        if word not in known:
            near = _nearest(word)
            if near and near not in known:
                raise UnfitError(word, elsewhere.format(near))
            raise UnfitError(word, near or f"one of {', '.join(known)}")
    return words


def _nearest(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - no agent that runs has use for it

    near = get_close_matches(word.strip().lower(), EVERY, 1)
    return near[0] if near else ""
