"""The configuration in force, and how another one takes its place while the agent runs.

Each reading of the files has a number. One that is refused changes nothing, and is told. One that
is accepted goes to both workers, which say when they go by it; a worker that starts later starts
with it. Control goes on with its work while another process reads.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pattoo_mp.errors import ConfigError, where_and_why
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pattoo_mp.config.values import Config
    from pattoo_mp.control.worker import Worker

    #: A configuration to go by from now on, and the names of the settings in which it differs.
    Renewal = tuple[Config, tuple[str, ...]]

_LOG = logging.getLogger(__name__)

#: Of another file that lies in the place of ours every line may be a problem. These tell it, too.
_PROBLEMS: Final = 20
#: For a reader that is killed to be gone; one that hangs in the kernel is left to itself.
_END_S: Final = 0.1
_NEVER: Final = float("inf")


class Reader(Protocol):
    """Who reads the files for us; its descriptor is readable when there is something to take."""

    @property
    def due_at(self) -> float:
        """Until when it may be waited for, on the monotonic clock."""

    def fileno(self) -> int:
        """Give the descriptor, for `select`."""

    def take(self) -> Renewal | None:
        """What it found; None as long as it is not ready. It never waits.

        Raises `ConfigError`, also where it is late.
        """

    def end(self, wait_s: float) -> None:
        """Wait for nothing from it any more, and for its end no longer than `wait_s`."""

    def has_ended(self) -> bool:
        """Whether nothing is left of it after `end`."""

    def let_go(self) -> None:
        """Forget it, in a fork: it is control's alone."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of one reading of the files: which settings changed, or why it was refused."""

    number: int = 0
    at_ms: int = 0
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class LiveConfig:
    """`config` is in force. `read` has the files read anew, for an agent that goes by a given one.

    `read` raises `ConfigError` if nobody can read them now. `adopt` does what new settings ask of this
    process, and raises `OSError` where that is not possible.
    """

    def __init__(
        self,
        config: Config,
        read: Callable[[Config], Reader],
        adopt: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.last = Reload()
        #: Who reads the files now, if anybody does.
        self.reader: Reader | None = None
        self._ending: list[Reader] = []
        self._is_asked_again = False
        self._number = 0
        self._read = read
        self._adopt = adopt

    @property
    def wake_at(self) -> float:
        """When the reader is late, on the monotonic clock; maybe never."""
        return _NEVER if self.reader is None else self.reader.due_at

    def reload(self) -> None:
        """Have the files read anew; `go_on` puts what they say in force.

        Where they are being read, that comes once more afterwards: they may have changed meanwhile.
        """
        if self.reader is not None:
            self._is_asked_again = True
            return
        try:
            self.reader = self._read(self.config)
        except ConfigError as error:
            self._refuse(error.problems)

    def go_on(self, workers: Iterable[Worker]) -> None:
        """Put in force what a reader has found, if it has: all of it, or nothing. It never waits."""
        self._ending = [reader for reader in self._ending if not reader.has_ended()]
        if self.reader is None or not self._has_come_of(self.reader, workers):
            return
        self.leave()
        if self._is_asked_again:
            self._is_asked_again = False
            self.reload()

    def leave(self) -> None:
        """Give up a reading that is under way, if one is."""
        if self.reader is not None:
            self.reader.end(_END_S)
            self._ending.append(self.reader)
            self.reader = None

    def in_child(self) -> None:
        """Give up, in a fork, what belongs to control alone."""
        if self.reader is not None:
            self.reader.let_go()

    def _has_come_of(self, reader: Reader, workers: Iterable[Worker]) -> bool:
        """Whether the reading has come to an end, of one kind or another."""
        try:
            renewal = reader.take()
            if renewal is None:
                return False
            self._adopt(renewal[0])
        except ConfigError as error:
            self._refuse(error.problems)
        except OSError as error:
            self._refuse([f"{where_and_why(error)}; expected a file that the agent may use"])
        else:
            self._accept(*renewal, workers)
        return True

    def started(self, worker: Worker) -> None:
        """Note that a worker has begun with what is in force now."""
        worker.settings_number = self._number

    def snapshot(self, workers: Iterable[Worker]) -> dict[str, Any]:
        """The last reading, for the status, and who does not go by it yet."""
        late = [w.role.name for w in workers if w.alive and w.settings_number < self._number]
        return {
            "number": self.last.number,
            "reading": self.reader is not None,
            "at_ms": self.last.at_ms,
            "changed": list(self.last.changed),
            "problems": list(self.last.problems),
            "waiting_for": late,
        }

    def _refuse(self, problems: Sequence[str]) -> None:
        if len(problems) > _PROBLEMS:
            problems = [*problems[:_PROBLEMS], f"and {len(problems) - _PROBLEMS} more; see --check"]
        self._note(problems=tuple(problems))
        for problem in problems:
            _LOG.error("The new configuration is refused: %s", problem)
        _LOG.error("The agent goes on with the configuration that it has.")

    def _accept(self, new: Config, changed: tuple[str, ...], workers: Iterable[Worker]) -> None:
        self._note(changed=changed)
        if not changed:
            _LOG.info("The configuration was read anew; nothing has changed.")
            return
        _LOG.info("The configuration was read anew; changed: %s.", ", ".join(changed))
        _tell_of_intervals(self.config, new)
        self.config, self._number = new, self.last.number
        for worker in workers:
            self._give(worker)

    def _give(self, worker: Worker) -> None:
        if worker.link is None:
            return
        try:
            worker.link.send(Kind.SETTINGS, self._number, self.config.fields())
        except LinkClosedError:
            _LOG.debug("The %s is gone; its successor starts with them.", worker.role.name)

    def _note(self, **found: tuple[str, ...]) -> None:
        self.last = Reload(self.last.number + 1, now_ms(), **found)


def _tell_of_intervals(old: Config, new: Config) -> None:
    for old_ms, before in old.groups.items():
        for new_ms, after in new.groups.items():
            names = [name for name in before if name in after]
            if names and new_ms != old_ms:
                _LOG.warning(
                    "The interval of %s was %g s and is %g s. The server shows each series, its past "
                    "too, in steps of the newest interval.",
                    ", ".join(names),
                    old_ms / 1000,
                    new_ms / 1000,
                )
