"""The words of a command line as people type them: verbs without dashes, abbreviated, or mistyped.

    pattoo_agent_os_autonomousd status --json
    pattoo_agent_os_autonomousd --stat --js

are both `--status --json`. What is unambiguous now may not be so in the next release, which may have more
verbs; scripts write them whole.
"""

from __future__ import annotations

from argparse import SUPPRESS
from collections import deque
from typing import TYPE_CHECKING

from pattoo_mp.util.text import either
from pattoo_mp.util.usage import nearest, unknown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence


def spelled_out(
    words: Sequence[str], actions: Sequence[argparse.Action], verbs: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return the options of a command line, `verbs` among them, spelled as declared; and its other words.

    Without a verb among the options, the first other word is taken for one. `actions` declare all
    options; one without a help text is known, but never guessed. Raises `ValueError` with one line about
    a word that is none of them, or may be several.
    """
    by_name = {name: action for action in actions for name in action.option_strings}
    shown = [name for name, action in by_name.items() if action.help != SUPPRESS]
    waiting, options, others = deque(words), list[str](), list[str]()
    while waiting:
        word = waiting.popleft()
        if word == "--":
            others += waiting
            break
        if not _is_option(word):
            others.append(word)
            continue
        given, equals, value = word.partition("=")
        name = given if given in by_name else _option(given, shown)
        options.append(f"{name}{equals}{value}")
        if not equals:
            options += _values(by_name[name], waiting)
    if others and not any(word in verbs for word in options):
        options.insert(0, _verb(others.pop(0), verbs))
    return options, others


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _values(action: argparse.Action, waiting: deque[str]) -> list[str]:
    """Take the words from `waiting` that are the values of an option."""
    nargs = action.nargs
    if nargs is None:
        return [waiting.popleft()] if waiting else []
    most = nargs if isinstance(nargs, int) else 1 if nargs == "?" else len(waiting)
    found: list[str] = []
    while waiting and len(found) < most and not _is_option(waiting[0]):
        found.append(waiting.popleft())
    return found


def _option(word: str, names: Sequence[str]) -> str:
    """The one of `names` that a word with dashes abbreviates."""
    found = [name for name in names if name.startswith(word)] if len(word) > len("--") else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(_ambiguous(word, found))
    raise ValueError(unknown([word], names))


def _verb(word: str, verbs: Collection[str]) -> str:
    """The verb that a word without dashes is, or abbreviates."""
    name = f"--{word}"
    if name in verbs:
        return name
    found = [verb for verb in verbs if word and verb.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(_ambiguous(word, [verb.removeprefix("--") for verb in found]))
    meant = nearest(word, verbs).removeprefix("--")
    raise ValueError(f"{word!r} is no verb" + (f"; did you mean {meant}?" if meant else ""))


def _ambiguous(word: str, candidates: Sequence[str]) -> str:
    return f"{word} may be {either(candidates)}; expected more of it"
