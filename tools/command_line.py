"""Text from the command lines for the documentation and the man pages."""

from __future__ import annotations

import argparse
import inspect
import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.cli import output
from pattoo_mp.cli.verbs import command_parser, program_verbs
from pattoo_mp.program import AUTONOMOUS, HUB, SPOKE, this_program
from pattoo_mp.receiver.server import command_parser as receiver_parser
from pattoo_mp.setup.main import command_parser as setup_parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pattoo_mp.cli.verbs import Verb, Words

#: An exit status and the comment above it.
_STATUS = re.compile(r"((?:^#: .*\n)+)^\w+: Final = (\d+)$", re.MULTILINE)

_PROCESSES: Final = {
    AUTONOMOUS.name: (
        "polls at fixed times",
        "delivers the polls",
        "A slow or unreachable server neither delays a poll nor loses one: polls wait in a spool on disk.",
    ),
    SPOKE.name: (
        "polls at fixed times",
        "answers those who ask",
        "Whoever asks never delays a poll. Polls that a hub has not taken yet wait in a spool on disk.",
    ),
    HUB.name: (
        "asks the spokes at fixed times",
        "delivers their polls",
        "A slow or unreachable server neither delays a request nor loses a poll: polls wait in a spool on disk.",
    ),
}


def about() -> str:
    """Return what the program is for."""
    return this_program().about


def processes() -> str:
    """Return what its processes do."""
    collector, uploader, promise = _PROCESSES[this_program().name]
    return (
        f"It runs as three processes: a collector {collector}, an uploader {uploader}, and a control process "
        f"supervises both. {promise}"
    )


def verbs() -> str:
    """Return the verbs with their help, in Markdown."""
    return _definitions((_form_of_verb(verb), verb.help) for verb in program_verbs())


def options() -> str:
    """Return the options with their help, in Markdown; and what may be named after a verb."""
    actions = _options(command_parser())
    known = {verb.name for verb in program_verbs()} | {"--help", "--version"}
    own = [action for action in actions if not known & {*action.option_strings}]
    named = [(f"`{w.name}`", f"One of {', '.join(w.choices())}.") for w in _words()]
    return _definitions([*_described(own), *named])


def examples() -> str:
    """Return some command lines, each below what it does, in Markdown."""
    name = this_program().name
    shown = {
        "Check the configuration and the host, start, and look:": (
            "check",
            "doctor",
            "start",
            "status",
        ),
        "Put changed settings in force, without losing a poll:": ("reload",),
        "What two families give on this host, now and every second:": (
            "once processor memory",
            "once --watch processor memory",
        ),
        "For a monitoring system:": ("--status --json",),
    }
    known = {verb.name.removeprefix("--") for verb in program_verbs()}
    return "\n\n".join(
        f"{what}\n\n```\n" + "\n".join(f"{name} {line}" for line in lines) + "\n```"
        for what, lines in shown.items()
        if all(line.removeprefix("--").split()[0] in known for line in lines)
    )


def receiver_about() -> str:
    """Return what the receiver is for."""
    return receiver_parser().description or ""


def receiver_options() -> str:
    """Return the receiver's options with their help, in Markdown."""
    return _definitions(_described(_options(receiver_parser())))


def setup_about() -> str:
    """Return what the setup is for."""
    return setup_parser().description or ""


def setup_verbs() -> str:
    """Return the verbs of the setup, each with its options, in Markdown."""
    return "\n\n".join(
        f"### {name}\n\n{_sentence(what)}\n\n{_definitions(_described(action for action in _options(command) if action.dest != 'help'))}"
        for name, what, command in setup_parser().commands()
    )


def exit_statuses() -> str:
    """Return the exit statuses with the comments above them in the code, in Markdown."""
    found = _STATUS.findall(inspect.getsource(output))
    return _definitions((f"`{number}`", comment.replace("#:", "")) for comment, number in found)


def _form_of_verb(verb: Verb) -> str:
    return f"`{verb.name} [{verb.words.name} ...]`" if verb.words else f"`{verb.name}`"


def _words() -> Iterator[Words]:
    return (verb.words for verb in program_verbs() if verb.words)


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action
        for action in parser._actions  # noqa: SLF001 - argparse shows them nowhere else
        if action.option_strings and action.help != argparse.SUPPRESS
    ]


def _described(actions: Iterable[argparse.Action]) -> Iterator[tuple[str, str]]:
    for action in actions:
        names = ", ".join(f"`{name}`" for name in action.option_strings)
        if action.nargs != 0:
            names = f"{names[:-1]} {_metavar(action)}`"
        yield names, _sentence((action.help or "") % vars(action))


def _metavar(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _sentence(text: str) -> str:
    """The help of an option, which argparse shows without a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _definitions(items: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{term}\n: {' '.join(text.split())}" for term, text in items)
