"""The family of programs, and which of them this process is.

Everything that differs between them is declared here: names of files and sections, defaults, and what
polls. The settings that only one of them has are in `config/settings.py` (`Setting.programs`). A process
is one program for its whole life, and so are its forks; the command that is run decides (`cli.main`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the family.

    - `name` is that of its command, of its section, and of its files, and goes into every series.
    - `short` is what `pattoo_mp_setup --agent` calls it.
    - `about` describes it in `--help` and in its systemd unit.
    - `collector` is what its collector process runs, as `module:function`; the module is imported in
      that process only. See `collect.collector.collector` for what it gets.
    - `polls_host`: it has families, so `--once` and `--translations` have something to show.
    - `output` is the kind of its one output if the file names no other.
    - `log` is the name of its log. Two programs cannot rotate one file, so each has its own.
    - `defaults` are defaults of settings where they differ from those of the first program.
    """

    name: str
    short: str
    about: str
    collector: str
    polls_host: bool = True
    output: str = "pattoo"
    log: str = ""
    defaults: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def is_hub(self) -> bool:
        """Whether its sources are spokes, not families."""
        return not self.polls_host

    @property
    def file(self) -> str:
        """The name of its configuration file, besides those that all pattoo programs share."""
        return f"{self.name}.yaml"

    @property
    def log_name(self) -> str:
        """The name of its log, in the directory of the logs."""
        return self.log or f"{self.name}.log"

    def load_collector(self) -> Callable[..., Any]:
        """Import what its collector process runs."""
        module, _, function = self.collector.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), function)
        return found


_FAMILIES: Final = "pattoo_mp.collect.collector:collector"

AUTONOMOUS: Final = Program(
    name="pattoo_agent_os_autonomousd",
    short="autonomousd",
    about="Reports this host's performance to a pattoo server.",
    collector=_FAMILIES,
    # As the original: every pattoo program writes to it.
    log="pattoo.log",
)
SPOKE: Final = Program(
    name="pattoo_agent_os_spoked",
    short="spoked",
    about="Gives this host's performance to whoever asks: a hub, or Prometheus.",
    collector=_FAMILIES,
    output="pull",
    # The address is the original's; what it has for everybody there is limited (docs/security.md).
    defaults={"polling_interval": 10, "ip_listen_address": "0.0.0.0"},  # noqa: S104
)

HUB: Final = Program(
    name="pattoo_agent_os_hubd",
    short="hubd",
    about="Asks spokes for their hosts' performance, and reports it to a pattoo server.",
    collector="pattoo_mp.collect.spokes.hub:collector",
    polls_host=False,
)

#: Every program of the family. The first one is what a process is that was not told.
PROGRAMS: Final = (AUTONOMOUS, SPOKE, HUB)


class _Process:
    """What this process is."""

    program = AUTONOMOUS


def this_program() -> Program:
    """Return the program that this process is."""
    return _Process.program


def become(program: Program) -> None:
    """Make this process that program. Called once, before anything else of the program is."""
    _Process.program = program


@contextmanager
def acting_as(program: Program) -> Iterator[None]:
    """Read and write the files of another program during the block, as `pattoo_mp_setup` does."""
    before = _Process.program
    become(program)
    try:
        yield
    finally:
        become(before)


def program_of(name: str) -> Program | None:
    """Return the program of a name, long or short; None if there is none."""
    return next((each for each in PROGRAMS if name in {each.name, each.short}), None)
