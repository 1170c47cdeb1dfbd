"""All that the doctor looks at, in order. Each part is bounded in time, and none ends the others."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.collect.filters import Filters
from pattoo_mp.config.load import config_from
from pattoo_mp.doctor import agent, files, host, polls, server, spool
from pattoo_mp.doctor.finding import Finding, Part, note, trouble, well
from pattoo_mp.model import Origin
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pattoo_mp.config.load import Reading
    from pattoo_mp.doctor.polls import Measured

#: Above what each part needs where nothing hangs; the parts' own limits are shorter.
_PART_S: Final = 20.0


class Examination:
    """One look at this host with the configuration that was read from the files in `etc`.

    No part takes more than `part_s`. As root it goes on as the agent's user once that is known, so
    it is a process's last deed.
    """

    def __init__(self, etc: Path, reading: Reading, part_s: float = _PART_S) -> None:
        self._etc = etc
        self._reading = reading
        self._config = config_from(reading)
        self._part_s = part_s
        self._sees = True
        self._pid: int | None = None
        self._user = "the agent's user"
        self._origin = Origin("", "")
        self._ahead_s: float | None = None
        self._measured: list[Measured] = []
        self._hangs = False

    def parts(self) -> Iterator[Part]:
        """Each part, as soon as it is known.

        What is the agent's alone is left out for who is neither its user nor root: it would look
        like trouble, and the advice to mend it would make some.
        """
        yield self._part("Configuration", self._files)
        yield self._part("Agent", self._agent)
        yield self._part("User", self._who)
        yield self._part("Mounts", self._mounts)
        if self._sees:
            yield self._part("Name", self._name)
            yield self._part("Places", self._places)
        if self._sees and self._config.encrypted:
            yield self._part("Keys", self._keys)
        yield self._part("Server", self._server)
        yield self._part("Clock", self._clock)
        yield self._part("Polls", self._families)
        if self._sees:
            yield self._part("Spool", self._spool)

    def _part(self, title: str, ask: Callable[[], Iterable[Finding]]) -> Part:
        """What a part finds. That it fails, or hangs, is a finding too."""
        found: list[Finding] = []
        limited: TimeLimited[str, None] = TimeLimited(
            title, lambda _: found.extend(ask()), self._part_s
        )
        try:
            limited.ask_one(title)
        except NoAnswerError as error:
            self._hangs = True
            advice = "find what hangs: a file system, a name server"
            return Part(title, (*found, trouble(title.lower(), str(error), advice)))
        except Exception as error:  # noqa: BLE001 - whatever a part meets, the others go on
            what = f"{type(error).__name__}: {error}"
            return Part(title, (*found, trouble(title.lower(), what, "mend that, and ask again")))
        return Part(title, tuple(found))

    def _files(self) -> Iterator[Finding]:
        yield well("files", f"{self._etc}; --check shows what they say")
        for line in self._reading.notes:
            yield note("files", line, "see whether that is what you mean")

    def _agent(self) -> Iterable[Finding]:
        running = agent.look(self._config)
        self._pid = running.pid
        # To its own user a PID file is closed by mistake, to others by intent.
        is_us = host.is_us(host.agents_user(self._config, self._pid))
        self._sees = is_us or not running.error
        return agent.findings(running, is_us=is_us)

    def _who(self) -> Iterable[Finding]:
        user = host.agents_user(self._config, self._pid)
        self._user = user.name
        self._sees = self._sees and os.geteuid() in {0, user.uid}
        # It would wait for a thread that hangs in the kernel.
        if not self._hangs:
            host.become(user)
        return host.user_findings(user, sees=self._sees)

    def _mounts(self) -> Iterable[Finding]:
        return host.mount_findings(host.mount_answers())

    def _name(self) -> Iterable[Finding]:
        found = host.find_name(paths.identity_file(self._config), self._config.hostname)
        self._origin = found.origin
        return host.name_findings(found)

    def _places(self) -> Iterable[Finding]:
        return files.place_findings(self._etc, self._config, self._user, self._pid)

    def _keys(self) -> Iterable[Finding]:
        return spool.key_findings(self._config, self._origin.agent_id)

    def _server(self) -> Iterable[Finding]:
        for asked in server.ask_each(self._config):
            self._ahead_s = asked.ahead_s if self._ahead_s is None else self._ahead_s
            yield from server.findings(asked, self._config)

    def _clock(self) -> Iterable[Finding]:
        return host.clock_findings(host.is_synchronised(), self._ahead_s)

    def _families(self) -> Iterator[Finding]:
        fields = self._config.fields()
        every, shortest_s = Filters.of(fields), self._config.shortest_s
        groups = self._config.groups
        every.paths.adopt()
        for interval_ms, names in groups.items():
            filters = replace(every, families=names)
            measured = polls.measure(self._origin, interval_ms, filters, shortest_s)
            self._measured.append(measured)
            group = ", ".join(names) if len(groups) > 1 else ""
            yield from polls.family_findings(measured, interval_ms / 1000, group)
        if len(groups) > 1:
            yield polls.all_due(self._measured, shortest_s)
        yield from polls.filter_findings(fields)

    def _spool(self) -> Iterator[Finding]:
        room = spool.room_on_disk(paths.spool_file(self._config))
        yield from spool.room_findings(self._config, room)
        if len(self._measured) == len(self._config.groups):
            poll_bytes = sum(
                spool.bytes_a_poll(measured.layout, measured.poll)
                * (self._config.interval_ms / measured.layout.interval_ms)
                for measured in self._measured
            )
            yield spool.outage_finding(self._config, room, poll_bytes)
