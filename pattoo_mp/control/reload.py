"""The configuration in force, and its replacement while the agent runs (a reload).

Each reading of the files has a number. A configuration that is refused changes nothing, and is
reported. An accepted one is sent to both workers, which report when they have applied it; a worker
that starts later starts with it. Another process reads the files, so that control can go on working.
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

    #: A new configuration, and the names of the settings that changed.
    Renewal = tuple[Config, tuple[str, ...]]

_LOG = logging.getLogger(__name__)

#: How many problems are reported: if the file is no configuration at all, every line may be one.
_PROBLEMS: Final = 20
#: How long to wait for a killed reader to exit; one that hangs in the kernel is abandoned.
_END_S: Final = 0.1
_NEVER: Final = float("inf")


class Reader(Protocol):
    """A process that reads the files; its descriptor is readable once `take` has a result."""

    @property
    def due_at(self) -> float:
        """The deadline of the reading, on the monotonic clock."""

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""

    def take(self) -> Renewal | None:
        """Return what it read; None while it is still reading. Never waits.

        Raises `ConfigError` if the configuration is refused, or the deadline has passed.
        """

    def end(self, wait_s: float) -> None:
        """Give up the reading: kill the process, and wait at most `wait_s` for its exit."""

    def has_ended(self) -> bool:
        """Whether the process has exited after `end`."""

    def let_go(self) -> None:
        """Close it in a fork: only control may use it."""


@dataclass(frozen=True, slots=True)
class Reload:
    """The result of one reading: which settings changed, or why it was refused."""

    number: int = 0
    at_ms: int = 0
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class LiveConfig:
    """The configuration in force, and the reading that may replace it.

    `read` starts a reading of the files, for an agent that runs with the given configuration. It
    raises `ConfigError` if no reader can be started. `adopt` applies new settings to this process, and
    raises `OSError` if that fails.
    """

    def __init__(
        self,
        config: Config,
        read: Callable[[Config], Reader],
        adopt: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.last = Reload()
        #: The reading under way, if any.
        self.reader: Reader | None = None
        self._ending: list[Reader] = []
        self._reload_again = False
        self._number = 0
        self._read = read
        self._adopt = adopt

    @property
    def wake_at(self) -> float:
        """The deadline of the reading under way, on the monotonic clock; infinity without one."""
        return _NEVER if self.reader is None else self.reader.due_at

    def reload(self) -> None:
        """Start a reading of the files; `advance` applies its result.

        If a reading is under way, another one follows it: the files may have changed since it began.
        """
        if self.reader is not None:
            self._reload_again = True
            return
        try:
            self.reader = self._read(self.config)
        except ConfigError as error:
            self._refuse(error.problems)

    def advance(self, workers: Iterable[Worker]) -> None:
        """Apply the result of a finished reading, completely or not at all. Never waits."""
        self._ending = [reader for reader in self._ending if not reader.has_ended()]
        if self.reader is None or not self._finish(self.reader, workers):
            return
        self.cancel()
        if self._reload_again:
            self._reload_again = False
            self.reload()

    def cancel(self) -> None:
        """End the reading under way, if any."""
        if self.reader is not None:
            self.reader.end(_END_S)
            self._ending.append(self.reader)
            self.reader = None

    def close_in_child(self) -> None:
        """Close in a fork what only control may use."""
        if self.reader is not None:
            self.reader.let_go()

    def _finish(self, reader: Reader, workers: Iterable[Worker]) -> bool:
        """Apply or refuse the result of the reading, if it has one. Return whether it has."""
        try:
            renewal = reader.take()
            if renewal is None:
                return False
            self._adopt(renewal[0])
        except ConfigError as error:
            self._refuse(error.problems)
        except OSError as error:
            self._refuse([f"{where_and_why(error)}; expected a file that the agent can use"])
        else:
            self._accept(*renewal, workers)
        return True

    def started(self, worker: Worker) -> None:
        """Record that a worker has started with the settings in force."""
        worker.settings_number = self._number

    def snapshot(self, workers: Iterable[Worker]) -> dict[str, Any]:
        """Return the last reading for the status, and the workers that have not applied it yet."""
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
        self._record(problems=tuple(problems))
        for problem in problems:
            _LOG.error("New configuration refused: %s", problem)
        _LOG.error("The agent keeps its current configuration.")

    def _accept(self, new: Config, changed: tuple[str, ...], workers: Iterable[Worker]) -> None:
        self._record(changed=changed)
        if not changed:
            _LOG.info("Configuration reloaded; nothing has changed.")
            return
        _LOG.info("Configuration reloaded; changed: %s.", ", ".join(changed))
        _warn_of_changed_intervals(self.config, new)
        self.config, self._number = new, self.last.number
        for worker in workers:
            self._send(worker)

    def _send(self, worker: Worker) -> None:
        if worker.link is None:
            return
        try:
            worker.link.send(Kind.SETTINGS, self._number, self.config.fields())
        except LinkClosedError:
            _LOG.debug(
                "The %s has exited; the next one starts with the new settings.", worker.role.name
            )

    def _record(self, **result: tuple[str, ...]) -> None:
        self.last = Reload(self.last.number + 1, now_ms(), **result)


def _warn_of_changed_intervals(old: Config, new: Config) -> None:
    for old_ms, before in old.groups.items():
        for new_ms, after in new.groups.items():
            names = [name for name in before if name in after]
            if names and new_ms != old_ms:
                _LOG.warning(
                    "The interval of %s changed from %g s to %g s. The server shows each series, "
                    "including its past, in steps of the newest interval.",
                    ", ".join(names),
                    old_ms / 1000,
                    new_ms / 1000,
                )
