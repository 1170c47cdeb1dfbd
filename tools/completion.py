"""Completion for bash, zsh and fish, made by shtab from the parsers that the commands parse with.

The files are shipped as they are made, so completion costs a command nothing at run time.
"""

from __future__ import annotations

import argparse
import re
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import shtab

from pattoo_mp.cli.verbs import OPTIONS, Verb, command_parser, program_verbs
from pattoo_mp.program import PROGRAMS, acting_as
from pattoo_mp.receiver.server import command_parser as receiver_parser
from pattoo_mp.setup.main import command_parser as setup_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIPPED: Final = Path(__file__).resolve().parent.parent / "completion"

#: What follows an option, by the word that `--help` shows for it.
_PATHS: Final = {"DIR": shtab.DIRECTORY, "FILE": shtab.FILE, "PATH": shtab.FILE}

#: How long a Tab waits for names that only the agent knows (s).
_ASK_S: Final = 2

#: How a shell finds the file of a command by itself.
_NAMES: Final = {"bash": "bash/{}", "zsh": "zsh/_{}", "fish": "fish/{}.fish"}

#: Functions that shtab names alike in the file of every command of every program; another release's would
#: replace those of this one in the same shell.
_COMMON: Final = re.compile(
    r"\b_(set_parser_defaults|set_new_action|shtab_compgen_files|shtab_compgen_dirs|shtab_replace_nonword)\b"
)


def files() -> dict[str, str]:
    """Return the content of all files, by their paths below `SHIPPED`."""
    found = {
        name.format(parser.prog): _script(parser, shell)
        for parser in _parsers()
        for shell, name in _NAMES.items()
    }
    return found | {name: text for program in PROGRAMS for name, text in _as_original(program.name)}


def _as_original(command: str) -> Iterator[tuple[str, str]]:
    """What completes the command with `.py`, as the original is called; in zsh, one file has both names."""
    yield (
        f"bash/{command}.py.bash",
        f'. "${{BASH_SOURCE[0]%.py.bash}}" && complete -F _shtab_{command}_mended {command}.py\n',
    )
    yield f"fish/{command}.py.fish", f"complete -c {command}.py -w {command}\n"


def _script(parser: argparse.ArgumentParser, shell: str) -> str:
    verbs = list(vars(parser).get("dashed", ()))
    prefix = f"_shtab_{parser.prog}"
    text = shtab.complete(parser, shell)
    # What shtab tells about the use of a file is not how these are used.
    text = re.sub(r"(?<=shtab\n)# Usage:\n(#.*\n)+", "", text)
    if shell == "bash":
        text = _COMMON.sub(rf"{prefix}_\1", text)
    text = _MENDED[shell](text, parser.prog, verbs)
    return f"{text.rstrip()}\n"


# What a verb with dashes takes is what the one without takes, and `--option=value` is `--option value`.


def _bash(text: str, command: str, verbs: list[str]) -> str:
    prefix = f"_shtab_{command}"
    bare = f'{"|".join(verbs)}) [[ $i -lt $COMP_CWORD ]] && word=${{word#--}}; words+=("$word") ;;'
    case = f"      {bare}\n" if verbs else ""
    # Readline has cut the line at each "=".
    return _replaced(
        text,
        f"complete -o bashdefault -F {prefix} {command}",
        f"""\
{prefix}_mended() {{
  local -a words=()
  local word i
  for (( i = 0; i <= COMP_CWORD; i++ )); do
    word=${{COMP_WORDS[i]}}
    case $word in
      =) [[ $i -eq $COMP_CWORD ]] && words+=("") ;;
{case}      *) words+=("$word") ;;
    esac
  done
  local -a COMP_WORDS=("${{words[@]}}")
  local COMP_CWORD=$(( ${{#words[@]}} - 1 ))
  {prefix}
}}

complete -F {prefix}_mended {command}""",
    )


def _zsh(text: str, command: str, verbs: list[str]) -> str:
    text = re.sub(r'^  "(--[\w-]+)(?=\[.*\]:)', r'  "\1=', text, flags=re.MULTILINE)
    if not verbs:
        return text
    text = _replaced(text, f"#compdef {command}\n", f"#compdef {command} {command}.py\n")
    # For `_arguments`, this is one word, not any number of them.
    text = text.replace('"(*)::', '"*:')
    start = "\ntypeset -A opt_args\n"
    return _replaced(
        text,
        start,
        f"""
local -i _verb
for (( _verb = 2; _verb < CURRENT; _verb++ )); do
  case $words[_verb] in
    ({"|".join(verbs)}) words[_verb]=${{words[_verb]#--}} ;;
  esac
done
{start}""",
    )


def _fish(text: str, _command: str, verbs: list[str]) -> str:
    if not verbs:
        return text
    tokens = "  set -e tokens[1]\n"
    bare = "|".join(verb.removeprefix("--") for verb in verbs)
    return _replaced(
        text,
        tokens,
        f"{tokens}  set tokens (string replace -r -- '^--({bare})$' '$1' $tokens)\n",
    )


def _replaced(text: str, what: str, by: str) -> str:
    """Raises `ValueError` if a release of shtab writes something else."""
    if text.count(what) != 1:
        raise ValueError(f"shtab {shtab.__version__} does not write {what!r}")
    return text.replace(what, by)


_MENDED: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _parsers() -> Iterator[argparse.ArgumentParser]:
    for program in PROGRAMS:
        with acting_as(program):
            yield _by_verb(command_parser())
    for parser in (receiver_parser(), setup_parser()):
        _complete_paths(parser)
        yield parser


def _by_verb(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """A parser of the same words that has a command for each verb, with the options that go with it.

    shtab completes after a command what that takes, and knows nothing of options that exclude each other.
    """
    every = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
    goes_with = {option.name: option.goes_with for option in OPTIONS}
    listed_by = {option.name: option.listed_by for option in OPTIONS if option.listed_by}
    for action in every:
        for name in listed_by.keys() & {*action.option_strings}:
            action.complete = _listed_by(parser.prog, listed_by[name])  # type: ignore[attr-defined]
    common = [
        action
        for action in every
        if not isinstance(action.const, Verb) and not goes_with.keys() & {*action.option_strings}
    ]
    made = argparse.ArgumentParser(prog=parser.prog, description=parser.description, add_help=False)
    for verb in program_verbs():
        made.add_argument(verb.name, action="store_true", help=_short(verb.help))
    _add(made, common)
    commands = made.add_subparsers()
    for verb in program_verbs():
        command = commands.add_parser(
            verb.name.removeprefix("--"), help=_short(verb.help), add_help=False
        )
        own = [
            action
            for action in every
            if any(verb.name in goes_with.get(name, ()) for name in action.option_strings)
        ]
        _add(command, [*own, *(action for action in common if action.nargs != 0)])
        if verb.words:
            name = verb.words.name.lower()
            command.add_argument(name, choices=verb.words.choices(), nargs="*", help=f"a {name}")
    made.dashed = [verb.name for verb in program_verbs()]  # type: ignore[attr-defined]
    _complete_paths(made)
    return made


def _add(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> None:
    for action in map(copy, actions):
        action.help = _short(action.help or "")
        parser._add_action(action)  # noqa: SLF001 - argparse has no public way for an action that exists


def _listed_by(command: str, verb: str) -> dict[str, Any]:
    """What completes with the words that a hidden verb prints, asked only for where they may follow."""
    ask = f"timeout {_ASK_S} {command} {verb} 2>/dev/null"
    name = f"_{command}{verb.replace('-', '_')}"
    return {
        "bash": name,
        "zsh": name,
        "fish": f"({ask})",
        "preamble": {
            # Not `compgen -W`: it would run what is in the words.
            "bash": f"{name}() {{\n  local word\n  while IFS= read -r word; do\n"
            f'    [[ $word == "$1"* ]] && printf \'%s\\n\' "$word"\n  done < <({ask})\n}}',
            "zsh": f'{name}() {{\n  compadd -- ${{(f)"$({ask})"}}\n}}',
        },
    }


def _short(text: str) -> str:
    """The first sentence without what a reader of a completion knows, as there is one line for it."""
    return re.sub(r",? when used with .*", "", text.partition(". ")[0]).rstrip(".")


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:  # noqa: SLF001 - as shtab
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                _complete_paths(command)
        kind: Any = _PATHS.get(str(action.metavar))
        if kind is None and action.type is Path:
            kind = shtab.FILE
        if kind is not None:
            action.complete = kind  # type: ignore[attr-defined]


def write() -> None:
    """Write the files."""
    for name, text in files().items():
        path = SHIPPED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
