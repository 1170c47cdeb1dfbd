"""Completion in real shells, on a terminal, by the files that are shipped."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME, ROOT
from tests.support.terminal import Terminal
from tests.support.waiting import wait_for
from tools import completion

if TYPE_CHECKING:
    from collections.abc import Iterator

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
HUB, SETUP, RECEIVER = "pattoo_agent_os_hubd", "pattoo_mp_setup", "pattoo_mp_receiver"
#: Where a shell looks for the files below a directory of data, by the directory of the repository.
PLACES = {
    "bash": "bash-completion/completions",
    "zsh": "zsh/site-functions",
    "fish": "fish/vendor_completions.d",
}
PROMPT = "READY>"
#: Ctrl-U removes the line. (What is typed just after Ctrl-C may be lost: the terminal discards it.)
TAB, ENTER, CTRL_U = "\t", "\r", "\x15"
#: Escape codes that the terminal of the tests leaves in its text.
CHARSET = re.compile(r"\x1b\(B")


#: Prints its words. The names of its outputs are an attack.
PROGRAM = """\
#!/bin/sh
case $1 in --output-names) printf 'metrics\\nstore\\nstorage\\n$(touch $HOME/attacked)\\n'; exit ;; esac
echo "RAN $* END"
"""


def _bash(home: Path, _share: Path) -> list[str]:
    file = home / "bashrc"
    file.write_text(
        f"PS1='{PROMPT}'\n. {BASH_COMPLETION}\n"
        "bind 'set show-all-if-ambiguous on'\nbind 'set page-completions off'\n"
        "bind 'set completion-query-items 0'\nbind 'set enable-bracketed-paste off'\n"
    )
    return ["bash", "--noprofile", "--rcfile", str(file), "-i"]


def _zsh(home: Path, share: Path) -> list[str]:
    (home / ".zshrc").write_text(
        f"PS1='{PROMPT}'\nfpath=({share}/{PLACES['zsh']} $fpath)\nLISTMAX=1000\n"
        "unsetopt list_ambiguous\n"
        "autoload -U compinit\ncompinit -D -u\n"
    )
    return ["zsh", "-d", "-i"]


def _fish(_home: Path, _share: Path) -> list[str]:
    commands = (
        f"function fish_prompt; echo -n '{PROMPT}'; end; set -g fish_greeting; "
        "set -g fish_autosuggestion_enabled 0"
    )
    return ["fish", "-i", "--init-command", commands]


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


class Shell:
    """A shell on a terminal, in which each command prints its words."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._seen = 0
        self._until(PROMPT)

    def run(self, keys: str) -> str:
        """Type a line, and return the words that the command got."""
        self._terminal.type(keys + ENTER)
        return self._until(rf"RAN (.*?) END.*{PROMPT}")[1]

    def listed(self, keys: str, among: set[str]) -> set[str]:
        """Type a part of a line, press Tab, and return the words that are shown until all of `among` are."""
        self._terminal.type(keys + TAB)
        wait_for(lambda: among <= _words(self._new()), what=f"{sorted(among)} after {keys!r}")
        # What the shell prints for these keys is all there once it has obeyed the next ones.
        self._terminal.type(f"{CTRL_U}{NAME} done{ENTER}")
        return _words(self._until(rf".*RAN done END.*{PROMPT}")[0])

    def _until(self, pattern: str) -> re.Match[str]:
        """Wait until the pattern is among what the terminal shows since the last call."""
        found = wait_for(lambda: re.search(pattern, self._new(), re.DOTALL), what=repr(pattern))
        self._seen += found.end()
        return found

    def _new(self) -> str:
        return CHARSET.sub("", self._terminal.text)[self._seen :]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w./-]+", text))


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, home: Path) -> Iterator[Shell]:
    """Each shell, with the files where it looks for them by itself."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "bash" and not BASH_COMPLETION.exists():
        pytest.skip("bash-completion is not installed")
    share, programs = home / "share", home / "bin"
    for directory, place in PLACES.items():
        (share / place).parent.mkdir(parents=True)
        (share / place).symlink_to(ROOT / "completion" / directory)
    programs.mkdir()
    for command in (NAME, f"{NAME}.py", HUB, SETUP, RECEIVER):
        (programs / command).write_text(PROGRAM)
        (programs / command).chmod(0o755)
    environment = {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "XDG_RUNTIME_DIR": str(home),  # fish would leave a directory in /tmp
        "XDG_DATA_DIRS": f"{share}:/usr/share",
        "LANG": "C.UTF-8",
    }
    with Terminal(SHELLS[name](home, share), environment) as terminal:
        yield Shell(terminal)


def test_verbs_are_completed_with_and_without_dashes(shell: Shell) -> None:
    """As they may be typed."""
    assert shell.run(f"{NAME} stat{TAB}") == "status"
    assert shell.run(f"{NAME} --stat{TAB}") == "--status"
    assert shell.run(f"{NAME}.py --rest{TAB}") == "--restart"
    words = shell.listed(f"{NAME} st", {"start", "status", "stop"})
    assert "restart" not in words
    words = shell.listed(f"{NAME} --re", {"--restart", "--reload"})
    assert "--status" not in words


@pytest.mark.parametrize("verb", ["once", "--once"])
def test_only_options_and_families_that_go_with_the_verb_are_completed(
    shell: Shell, verb: str
) -> None:
    """However the verb is typed; any number of families."""
    words = shell.listed(f"{NAME} {verb} --", {"--all", "--json", "--watch"})
    assert not {"--force", "--status", "--file"} & words
    assert shell.run(f"{NAME} {verb} --w{TAB}") == f"{verb} --watch"
    assert (
        shell.run(f"{NAME} {verb} --json mem{TAB}tcp_{TAB}") == f"{verb} --json memory tcp_states"
    )
    shell.listed(f"{NAME} {verb} disk", {"disk_io", "disk_queue"})


def test_the_values_of_options_are_completed(shell: Shell, home: Path) -> None:
    """Choices, and the names of files."""
    (home / "polls.sqlite").touch()
    expected = f"sample-config --file {NAME}.yaml"
    assert shell.run(f"{NAME} sample-config --file pattoo_{TAB}") == expected
    expected = f"sample-config --file={NAME}.yaml"
    assert shell.run(f"{NAME} sample-config --file=pattoo_{TAB}") == expected
    assert shell.run(f"{SETUP} install --boot=sup{TAB}") == "install --boot=supervisord"
    done = shell.run(f"{RECEIVER} --database {home}/pol{TAB}")
    assert done == f"--database {home}/polls.sqlite"
    assert shell.run(f"{SETUP} install --boot sup{TAB}") == "install --boot supervisord"


def test_names_of_outputs_are_those_that_the_agent_says(shell: Shell, home: Path) -> None:
    """They are words, whatever is in them: another user may control the agent that says them."""
    assert shell.run(f"{NAME} status --output met{TAB}") == "status --output metrics"
    assert shell.run(f"{HUB} --status --json --output met{TAB}").endswith("--output metrics")
    shell.listed(f"{NAME} status --output sto", {"store", "storage"})
    shell.listed(f"{NAME} status --output ", {"store", "storage", "metrics"})
    assert not (home / "attacked").exists()


def test_a_program_has_only_its_own_verbs(shell: Shell) -> None:
    """A hub polls no host; the setup has verbs of its own."""
    words = shell.listed(f"{HUB} ", {"start", "status"})
    assert not {"once", "translations"} & words
    words = shell.listed(f"{SETUP} uninstall --", {"--purge", "--dry-run"})
    assert "--boot" not in words


def test_the_shipped_files_are_up_to_date() -> None:
    """They are in completion/; `make samples` writes them."""
    files = completion.SHIPPED.rglob("*")
    shipped = {
        str(path.relative_to(completion.SHIPPED)): path.read_text()
        for path in files
        if path.is_file()
    }
    assert shipped == completion.files()
