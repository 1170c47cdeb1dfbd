"""The whole check of --doctor, part by part.

Each part has a time limit, and a part that fails or hangs does not end the others.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.collect.filters import Filters
from pattoo_mp.config import owner, ways
from pattoo_mp.config.load import config_from
from pattoo_mp.doctor import agent, files, host, polls, server, spokes, spool
from pattoo_mp.doctor.finding import Finding, Part, note, ok, trouble
from pattoo_mp.errors import ConfigError
from pattoo_mp.model import Origin
from pattoo_mp.program import this_program
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pattoo_mp.config.reading import Reading
    from pattoo_mp.doctor.polls import Measured

#: More than any part needs unless something hangs; the parts' own limits are shorter.
_PART_S: Final = 20.0


#: What a hub with thousands of spokes needs beyond that.
_SPOKES_S: Final = {"Spokes": spokes.WHOLE_S}


class Examination:
    """One check of this host, with the configuration that was read from the files in `etc`.

    No part takes longer than `part_s`. Run by root, it switches to the agent's user as soon as that
    is known, for good: so it must be the last thing that a process does.
    """

    def __init__(self, etc: Path, reading: Reading, part_s: float = _PART_S) -> None:
        self._etc = etc
        self._reading = reading
        self._config = config_from(reading)
        self._part_s = part_s
        #: Whether we can check files with the permissions of the agent's user.
        self._has_access = True
        self._pid: int | None = None
        self._user = "the agent's user"
        self._origin = Origin("", "")
        self._ahead_s: float | None = None
        self._measured: list[Measured] = []
        self._hangs = False
        self._is_untrusted = False

    def parts(self) -> Iterator[Part]:
        """Yield each part as soon as it is done.

        Parts about the agent's own files are left out unless we are its user or root: the files would
        look inaccessible, and following the advice would do harm. Where other users could change what
        leads to the agent, nothing in it is believed, and that is all there is to report.
        """
        yield self._part("Configuration", self._files)
        if self._is_untrusted:
            return
        yield self._part("Agent", self._agent)
        yield self._part("User", self._agent_user)
        yield self._part("Mounts", self._mounts)
        if self._has_access:
            yield self._part("Name", self._identity)
            yield self._part("Places", self._places)
        if self._has_access and self._config.encrypted:
            yield self._part("Keys", self._keys)
        if this_program().is_hub:
            yield self._part("Spokes", lambda: spokes.findings(spokes.check_spokes(self._config)))
        yield self._part("Server", self._server)
        yield self._part("Clock", self._clock)
        if this_program().polls_host:
            yield self._part("Polls", self._polls)
        if self._has_access:
            yield self._part("Spool", self._spool)

    def _part(self, title: str, check: Callable[[], Iterable[Finding]]) -> Part:
        """Run a check. If it fails or hangs, that becomes one more finding."""
        found: list[Finding] = []
        limited: TimeLimited[str, None] = TimeLimited(
            title, lambda _: found.extend(check()), self._part_s + _SPOKES_S.get(title, 0.0)
        )
        try:
            limited.ask_one(title)
        except NoAnswerError as error:
            self._hangs = True
            advice = "find out what hangs: a file system, a name server"
            return Part(title, (*found, trouble(title.lower(), str(error), advice)))
        except Exception as error:  # noqa: BLE001 - whatever fails in one part, the others go on
            what = f"{type(error).__name__}: {error}"
            return Part(title, (*found, trouble(title.lower(), what, "fix that, and try again")))
        return Part(title, tuple(found))

    def _files(self) -> Iterator[Finding]:
        untrusted = self._untrusted()
        self._is_untrusted = bool(untrusted)
        yield from map(files.untrusted_finding, untrusted)
        if not untrusted:
            yield ok("files", f"{self._etc}; use --check to see the settings")
        for line in self._reading.notes:
            yield note("files", line, "check whether that is what you mean")

    def _untrusted(self) -> list[str]:
        """A line for each part of what leads to the agent that other users could change."""
        found = ways.configuration_problems(self._etc)
        found += map(str, ways.setting_problems(self._config))
        found += ways.state_problems(self._config.system_daemon_directory)
        try:
            if os.geteuid() == 0 and not found:
                owner.find_owner(self._etc)
        except ConfigError as error:
            found += error.problems
        return list(dict.fromkeys(found))

    def _agent(self) -> Iterable[Finding]:
        running = agent.check_process(self._config)
        self._pid = running.pid
        # A PID file that its own user cannot read is a mistake; one that others cannot read is not.
        is_user = host.is_current_user(host.agent_user(self._config, self._pid))
        self._has_access = is_user or not running.error
        return agent.findings(running, is_user=is_user)

    def _agent_user(self) -> Iterable[Finding]:
        user = host.agent_user(self._config, self._pid)
        self._user = user.name
        self._has_access = self._has_access and os.geteuid() in {0, user.uid}
        # setuid() signals every thread, and would wait for one that hangs in the kernel.
        if not self._hangs:
            host.switch_to(user)
        return host.user_findings(user, has_access=self._has_access)

    def _mounts(self) -> Iterable[Finding]:
        return host.mount_findings(host.mount_answers())

    def _identity(self) -> Iterable[Finding]:
        found = host.find_identity(paths.identity_file(self._config), self._config.hostname)
        self._origin = found.origin
        return host.identity_findings(found)

    def _places(self) -> Iterable[Finding]:
        return files.file_findings(self._etc, self._config, self._user, self._pid)

    def _keys(self) -> Iterable[Finding]:
        return spool.key_findings(self._config, self._origin.agent_id)

    def _server(self) -> Iterable[Finding]:
        for checked in server.check_servers(self._config):
            self._ahead_s = checked.ahead_s if self._ahead_s is None else self._ahead_s
            yield from server.findings(checked, self._config)
        yield from server.listening_findings(self._config, is_running=self._pid is not None)

    def _clock(self) -> Iterable[Finding]:
        return host.clock_findings(host.is_synchronised(), self._ahead_s)

    def _polls(self) -> Iterator[Finding]:
        every, shortest_s = Filters.of(self._config), self._config.shortest_s
        groups = self._config.groups
        every.paths.adopt()
        user = host.agent_user(self._config, self._pid)
        latest = polls.answers_of_commands(every, (user.uid, user.groups[0]))
        for interval_ms, names in groups.items():
            filters = replace(every, families=names)
            measured = polls.measure(self._origin, interval_ms, filters, shortest_s, latest)
            self._measured.append(measured)
            group = ", ".join(names) if len(groups) > 1 else ""
            yield from polls.family_findings(measured, interval_ms / 1000, group)
        if len(groups) > 1:
            yield polls.combined_finding(self._measured, shortest_s)
        yield from polls.filter_findings(self._config)

    def _spool(self) -> Iterator[Finding]:
        usage = spool.disk_usage(paths.spool_file(self._config))
        yield from spool.disk_findings(self._config, usage)
        if self._measured and len(self._measured) == len(self._config.groups):
            poll_bytes = sum(
                spool.bytes_per_poll(measured.layout, measured.poll, self._config.cache_directory)
                * (self._config.interval_ms / measured.layout.interval_ms)
                for measured in self._measured
            )
            yield spool.outage_finding(self._config, usage, poll_bytes)
