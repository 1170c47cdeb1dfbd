"""The supervisord that runs the agent.

Start and stop must go through it, or it would undo them.
"""

from __future__ import annotations

import socket
import xmlrpc.client
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, Final
from xml.parsers.expat import ExpatError

from pattoo_mp.errors import NotOurSupervisorError, SupervisorError
from pattoo_mp.timelimit.deadline import TimeLimited
from pattoo_mp.util import files, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: More than supervisord may take to stop or start the agent (s).
_ANSWER_S: Final = 60.0
#: More than it takes to say something (s).
_INFO_S: Final = 5.0
#: More than it says about thousands of programs.
_ANSWER_BYTES: Final = 16 << 20
#: More than a URL and a name take.
_NOTE_BYTES: Final = 10_000
_MAY_RUN: Final = frozenset({"STARTING", "RUNNING", "BACKOFF", "STOPPING"})
_REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
#: What a connection, the HTTP library and the XML libraries raise for an answer of any content.
_NO_ANSWER: Final = (OSError, HTTPException, ExpatError, ValueError, TypeError, AttributeError, LookupError,
                     RecursionError, xmlrpc.client.Error)  # fmt: skip
_BAD_NAME: Final = 10  # supervisor.xmlrpc.Faults.BAD_NAME


class Supervisor:
    """The supervisord at `url`, which runs the agent as the program `name`."""

    def __init__(self, url: str, name: str, *, username: str = "", password: str = "") -> None:
        # The package costs memory, and only commands that a person runs need it.
        from supervisor.xmlrpc import SupervisorTransport  # noqa: PLC0415

        self.url = url
        self.name = name
        transport = SupervisorTransport(username, password, url)
        connect = transport._get_connection  # noqa: SLF001 - the package offers no other way
        transport._get_connection = lambda: _limited(connect())  # noqa: SLF001 - as above
        self._proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    @classmethod
    def of(cls, path: Path, pid: int | None) -> Supervisor | None:
        """Return the supervisord noted in the file `path`, if it runs and manages the agent.

        `pid` is the agent's control process, if one runs; if supervisord runs another process, the
        agent was started by hand, and the result is None. Raises `NotOurSupervisorError` without
        permission to ask it: it would undo what we did behind its back.
        """
        try:
            note = json_text.parse(files.read_file(path, _NOTE_BYTES))
            supervisor = cls(str(note["url"]), str(note["name"]))
            info = supervisor.info()
        except NotOurSupervisorError:
            raise
        except (OSError, ValueError, KeyError, TypeError, SupervisorError):
            return None
        # In supervisord's answer, 0 is a program that does not run.
        return supervisor if pid is None or pid == info["pid"] != 0 else None

    @classmethod
    def above(cls, environment: Mapping[str, str], pid: int) -> Supervisor | None:
        """Return the supervisord that runs us, if the process `pid` is its child, too.

        It is found by our environment, not by the note: we may be root, and the agent's user can
        write the note. Raises `SupervisorError`.
        """
        url = environment.get("SUPERVISOR_SERVER_URL")
        if not url:
            raise SupervisorError(
                "SUPERVISOR_SERVER_URL is not set; expected a supervisord with a "
                "[unix_http_server] section"
            )
        above = cls(
            url,
            "",
            username=environment.get("SUPERVISOR_USERNAME", ""),
            password=environment.get("SUPERVISOR_PASSWORD", ""),
        )
        for child in above._ask(above._proxy.getAllProcessInfo, _INFO_S):
            if child["pid"] == pid:
                is_alone = child["group"] == child["name"]
                above.name = child["name"] if is_alone else f"{child['group']}:{child['name']}"
                return above
        return None

    @property
    def may_run(self) -> bool:
        """Whether the agent runs, or supervisord would start it again on its own."""
        return self.info()["statename"] in _MAY_RUN

    def info(self) -> dict[str, Any]:
        """What supervisord reports about the agent (`getProcessInfo`)."""
        answer = self._ask(lambda: self._proxy.getProcessInfo(self.name), _INFO_S)
        if not _is_info(answer):
            raise SupervisorError(f"supervisord at {self.url}: its answer is not about a program")
        return dict(answer)

    def start(self) -> None:
        """Start the agent; return once supervisord reports it as running."""
        self._ask(lambda: self._proxy.startProcess(self.name))

    def stop(self) -> None:
        """Stop the agent in order; return once it has stopped."""
        self._ask(lambda: self._proxy.stopProcess(self.name))

    def restart(self) -> None:
        """Stop the agent and start it again, even if SIGSTOP had stopped it.

        After the SIGCONT such an agent receives its SIGTERM and keeps every poll. An agent that hangs
        is killed, with its process group, after `stopwaitsecs`.
        """
        self._ask(lambda: self._proxy.signalProcess(self.name, "CONT"))
        self.stop()
        self.start()

    def begin_stop(self) -> None:
        """Begin a stop without waiting; supervisord then does not restart a killed agent."""
        self._ask(lambda: self._proxy.stopProcess(self.name, False))

    def _ask(self, question: Callable[[], Any], limit_s: float = _ANSWER_S) -> Any:  # noqa: ANN401 - XML-RPC is untyped
        """Ask, for `limit_s` at most: the file that names supervisord may name any other program."""
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(limit_s)
        try:
            limited: TimeLimited[str, Any] = TimeLimited(
                "supervisor", lambda _: question(), limit_s
            )
            return limited.ask_one(self.name)
        except xmlrpc.client.Fault as error:
            if error.faultCode == _BAD_NAME:
                reason = f"it has no program {self.name}"
            else:
                reason = f"{error.faultString}"
            raise SupervisorError(f"supervisord at {self.url}: {reason}") from error
        except PermissionError as error:
            raise self._not_ours(error.strerror or "permission denied") from error
        except xmlrpc.client.ProtocolError as error:
            if error.errcode in _REFUSALS:
                raise self._not_ours(error.errmsg) from error
            raise SupervisorError(f"supervisord at {self.url}: {error.errmsg}") from error
        except _NO_ANSWER as error:
            raise SupervisorError(f"supervisord at {self.url}: {error}") from error
        finally:
            socket.setdefaulttimeout(before)

    def _not_ours(self, reason: str) -> NotOurSupervisorError:
        return NotOurSupervisorError(
            f"supervisord at {self.url} manages the agent, and denied us access ({reason}); "
            "expected supervisorctl, run as supervisord's user"
        )


def _limited(connection: HTTPConnection) -> HTTPConnection:
    connection.response_class = _Answer
    return connection


class _Answer(HTTPResponse):
    """The answer of what may be no supervisord: bounded in size."""

    def read(self, amt: int | None = None) -> bytes:
        """Read the whole answer, or `amt` bytes. Raises `OSError` if it is too large."""
        content = super().read(_ANSWER_BYTES if amt is None else amt)
        if len(content) >= _ANSWER_BYTES:
            raise OSError("its answer is too large")
        return content


def _is_info(answer: Any) -> bool:  # noqa: ANN401 - XML-RPC is untyped
    return (
        isinstance(answer, dict)
        and isinstance(answer.get("pid"), int)
        and isinstance(answer.get("statename"), str)
    )
