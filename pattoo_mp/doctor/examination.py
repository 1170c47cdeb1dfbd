"""All that the doctor looks at, in order. Each part is bounded in time, and none ends the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.collect.timelimit import NoAnswerError, TimeLimited
from pattoo_mp.doctor import agent, clock, families, name, outage, places, server, who
from pattoo_mp.doctor.finding import Finding, Part, trouble
from pattoo_mp.errors import PattooError
from pattoo_mp.model import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pattoo_mp.config import Config

#: Above what each part needs where nothing hangs; the parts' own limits are shorter.
_PART_S: Final = 20.0


class Examination:
    """One look at this host with the configuration that was read from `etc`.

    No part takes more than `part_s`. As root it goes on as the agent's user once that is known, so it is a process's last deed.
    """

    def __init__(self, etc: Path, config: Config, part_s: float = _PART_S) -> None:
        self._etc = etc
        self._config = config
        self._part_s = part_s
        self._asking_uid = os.geteuid()
        self._pid: int | None = None
        self._user = "the agent's user"
        self._origin = Origin("", "")
        self._ahead_s: float | None = None
        self._poll_bytes = 0.0
        self._hangs = False

    def parts(self) -> Iterator[Part]:
        """Each part, as soon as it is known."""
        yield self._part("Agent", self._agent)
        yield self._part("User", self._who)
        yield self._part("Name", self._name)
        yield self._part("Places", self._places)
        yield self._part("Server", self._server)
        yield self._part("Clock", self._clock)
        yield self._part("Polls", self._families)
        if self._poll_bytes:
            yield self._part("Spool", self._spool)

    def _part(self, title: str, ask: Callable[[], Iterable[Finding]]) -> Part:
        """What a part finds. That it fails, or hangs, is a finding too."""
        return Part(title, tuple(self._bounded(title.lower(), ask)))

    def _bounded(self, subject: str, ask: Callable[[], Iterable[Finding]]) -> list[Finding]:
        limited: TimeLimited[str, list[Finding]] = TimeLimited(
            subject, lambda _: list(ask()), self._part_s
        )
        try:
            return limited.ask_one(subject)
        except NoAnswerError as error:
            self._hangs = True
            return [trouble(subject, str(error), "find what hangs: a file system, a name server")]
        except (OSError, PattooError) as error:
            return [trouble(subject, str(error), "mend that, and ask again")]

    def _agent(self) -> Iterable[Finding]:
        running = agent.look(self._config)
        self._pid = running.pid
        return agent.findings(running)

    def _who(self) -> Iterable[Finding]:
        user = who.agents_user(self._config, self._pid)
        self._user = user.name
        # It would wait for a thread that hangs in the kernel.
        if not self._hangs:
            who.become(user)
        return who.findings(user, self._asking_uid)

    def _name(self) -> Iterable[Finding]:
        found = name.look(paths.identity_file(self._config))
        self._origin = found.origin
        return name.findings(found)

    def _places(self) -> Iterable[Finding]:
        return places.findings(self._etc, self._config, self._user)

    def _server(self) -> Iterable[Finding]:
        asked = server.ask(self._config)
        self._ahead_s = asked.ahead_s
        return server.findings(asked, self._config)

    def _clock(self) -> Iterable[Finding]:
        return clock.findings(clock.is_synchronised(), self._ahead_s)

    def _families(self) -> Iterable[Finding]:
        measured = families.measure(self._origin, self._config.interval_ms)
        self._poll_bytes = outage.bytes_a_poll(measured.layout, measured.poll)
        return families.findings(measured, self._config.interval_ms / 1000)

    def _spool(self) -> Iterable[Finding]:
        room = outage.look(paths.spool_file(self._config))
        return outage.findings(self._config, room, self._poll_bytes)
