"""`--once --watch`: the host's figures in place, on a real terminal and in a pipe, without a configuration."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import SHIM
from tests.support.terminal import CTRL_C, ESCAPE, Terminal

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, str(SHIM), "--once", "--watch"]
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
DOWN = f"{ESCAPE}[B"


def environment(home: Path) -> dict[str, str]:
    """No configuration; what is not there cannot be used."""
    return {**os.environ, "PATTOO_CONFIGDIR": str(home / "none"), "HOME": str(home)}


@pytest.mark.parametrize("key", ["q", CTRL_C])
def test_it_moves_in_place_and_ends_on_a_key(tmp_path: Path, key: str) -> None:
    """The terminal is as it was, and no file was made."""
    with Terminal(COMMAND, environment(tmp_path), LANG="C.UTF-8") as terminal:
        terminal.wait_for("q ends it", times=3)
        assert len(set(re.findall(MOMENT, terminal.text))) >= 2
        for words in ("Processor", "Load", "Memory", "B/s", "bit/s"):
            assert words in terminal.text, words
        assert re.search("[▁▂▃▄▅▆▇█]{2}", terminal.text)
        terminal.type(key)
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text
        assert terminal.output.rfind(f"{ESCAPE}[?25h") > terminal.output.rfind(f"{ESCAPE}[?25l")
    assert list(tmp_path.iterdir()) == []


def test_arrow_keys_move_through_the_details(tmp_path: Path) -> None:
    """All families have more lines than a terminal."""
    with Terminal([*COMMAND, "--all"], environment(tmp_path)) as terminal:
        terminal.wait_for("arrow keys and space move: 0 more lines above")
        terminal.type(DOWN)
        terminal.wait_for("1 more lines above")
        terminal.type(f"{ESCAPE}[A")
        terminal.wait_for("0 more lines above", times=2)
        terminal.type("q")
        assert terminal.end() == 0


def test_a_terminal_with_few_characters_gets_those(tmp_path: Path) -> None:
    """Neither an escape for each bar, nor an error."""
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with Terminal(COMMAND, environment(tmp_path), **plain) as terminal:
        terminal.wait_for("q ends it", times=2)
        assert terminal.text.isascii()
        assert "\\u" not in terminal.text
        terminal.type("q")
        assert terminal.end() == 0


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_pipe_gets_a_line_for_each_poll(tmp_path: Path, words: tuple[str, ...]) -> None:
    """With --json it is the document of --once. SIGTERM ends it without a trace."""
    with subprocess.Popen(
        [*COMMAND, *words], env=environment(tmp_path), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        lines = [next(iter(watching.stdout)) for _ in range(2)]
        watching.send_signal(signal.SIGTERM)
        _, errors = watching.communicate(timeout=60)
    assert (watching.returncode, errors) == (0, "")
    if words:
        times = [json.loads(line)["timestamp_ms"] for line in lines]
        assert times[0] < times[1]
    else:
        for line in lines:
            assert re.match(rf"{MOMENT}  .*Load \d", line)
