"""Who talks to whom: the control process, put together.

The workers' rooms are imported in the workers only: control knows neither psutil nor requests,
so it stays small, and what it never loaded is in no fork of it.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Final

from setproctitle import setproctitle

from pattoo_mp import __version__, identity, log, paths
from pattoo_mp.config import values
from pattoo_mp.control import run_directory
from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.reload import LiveConfig
from pattoo_mp.control.run_directory import note_supervisor, noted_if_refused
from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.control.systemd import Notifier
from pattoo_mp.control.worker import Role
from pattoo_mp.errors import PattooError, StartError, where_and_why
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.model import PROGRAM
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.control.reload import Reader
    from pattoo_mp.ipc.link import Link
    from pattoo_mp.model import Origin

    Adopt = Callable[[str, Config], None]

_LOG = logging.getLogger(__name__)

#: What `ps` shows of each process beside its name.
_TITLES: Final[dict[str, Callable[[Config], str]]] = {
    "control": lambda _: "",
    "collector": lambda config: f" every {text.intervals(config.groups)}",
    "uploader": lambda config: " to {} port {}".format(
        *values.host_and_port(config.server_urls[0])
    ),
}


def run(
    config: Config,
    read_anew: Callable[[Config], Reader],
    on_ready: Callable[[], None],
    *,
    to_stderr: bool,
) -> None:
    """Be the control process until a signal asks for the end.

    `read_anew` has the files read once more, for an agent that goes by a given configuration.
    Raises `AlreadyRunningError`, `StartError` or `IdentityError` if the agent cannot run.
    """
    os.umask(0o077)
    adopt = partial(_adopt, to_stderr=to_stderr)

    def adopt_here(settings: Config) -> None:
        log.check(_log_settings(settings, to_stderr=to_stderr))
        adopt("control", settings)

    for number in log.CHORES:  # logrotate finds us by the PID file, which comes first
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(PermissionError):  # a session's leader leads a group already
        os.setpgid(0, 0)
    directory = config.system_daemon_directory
    cut_short_pid = run_directory.cut_short(directory)
    supervisor_file = paths.supervisor_file(directory)
    with noted_if_refused(supervisor_file, os.environ), run_directory.run_below(directory) as lock:
        with _start_errors_logged(config):
            adopt_here(config)
            run_directory.tell(cut_short_pid)
            note_supervisor(supervisor_file, os.environ)
            origin = identity.origin(paths.identity_file(config), config.hostname)
            _LOG.info("pattoo_mp %s polls every %s.", __version__, text.intervals(config.groups))
            live = LiveConfig(config, read_anew, adopt_here)
            arbiter = _arbiter(live, origin, adopt, on_ready, lock.keep)
        # What is here stays: a look for garbage that writes to all of it would be paid for three
        # times, since the workers share its pages as long as nobody writes.
        gc.freeze()
        arbiter.run()
        _LOG.info("Stopped.")


@contextlib.contextmanager
def _start_errors_logged(config: Config) -> Iterator[None]:
    """Write into the log's file what is in the way of a start; raise it as a `PattooError`.

    Not to stderr as well: the command line says it there.
    """
    try:
        yield
    except (OSError, PattooError) as error:
        told = error if isinstance(error, PattooError) else _start_error(error)
        _adopt("control", config, to_stderr=False)
        _LOG.error("%s", told)
        raise told from None


def _start_error(error: OSError) -> StartError:
    return StartError(f"{where_and_why(error)}; expected a file that the agent may use")


def _adopt(process: str, config: Config, *, to_stderr: bool) -> None:
    """Give this process the log and the title that go with its settings."""
    log.set_up(_log_settings(config, to_stderr=to_stderr), process)
    setproctitle(f"{PROGRAM}: {process}{_TITLES[process](config)}")


def _log_settings(config: Config, *, to_stderr: bool) -> log.LogSettings:
    return log.LogSettings(
        file=paths.log_file(config),
        level=config.log_level,
        form=config.log_format,
        max_bytes=config.log_max_bytes,
        backups=config.log_backups,
        to_stderr=to_stderr,
    )


def _arbiter(
    live: LiveConfig,
    origin: Origin,
    adopt: Adopt,
    on_ready: Callable[[], None],
    keep_lock: Callable[[], None],
) -> Arbiter:
    ledger = Ledger(*live.config.groups)
    channel_name = os.urandom(8).hex()

    def collect(link: Link) -> None:
        adopt("collector", live.config)
        from pattoo_mp.collect.collector import Collector  # noqa: PLC0415
        from pattoo_mp.collect.host import HostPaths  # noqa: PLC0415

        HostPaths.of(live.config.fields()).adopt()
        Collector(
            link,
            origin,
            live.config,
            ledger.last_poll_ms,
            at_once=ledger.polled == 0,
            adopt=partial(adopt, "collector"),
        ).run()

    def upload(link: Link) -> None:
        config = live.config
        adopt("uploader", config)
        from pattoo_mp.spool.store import Spool  # noqa: PLC0415
        from pattoo_mp.upload.lean_requests import import_requests  # noqa: PLC0415
        from pattoo_mp.upload.pattoo.legacy import LegacyPosts  # noqa: PLC0415
        from pattoo_mp.upload.report import (  # noqa: PLC0415
            Progress,
            spool_limits,
            tell_account,
        )

        progress = Progress(link)
        try:
            spool = Spool(paths.spool_file(config), spool_limits(config), ledger.account, progress)
        except LinkClosedError:
            _LOG.error("Control is gone; the uploader leaves the spool as it is and ends.")
            return
        progress.holds_polls = True
        tell_account(link, spool, channel_name)
        import_requests(needs_tls=config.needs_tls)
        from pattoo_mp.upload.pattoo.servers import servers  # noqa: PLC0415
        from pattoo_mp.upload.uploader import Uploader  # noqa: PLC0415
        from pattoo_mp.wire.encode import encode  # noqa: PLC0415

        legacy = LegacyPosts(config.cache_directory, origin.agent_id)
        Uploader(
            link,
            config,
            spool,
            channel_name,
            origin.agent_id,
            servers=partial(servers, agent_id=origin.agent_id),
            encode=encode,
            legacy=legacy,
            adopt=partial(adopt, "uploader"),
        ).run()

    return Arbiter(
        Role(
            "collector",
            collect,
            # It has nothing to lose; what is stopped, too, dies by this one.
            on_orphaned=signal.SIGKILL,
        ),
        Role(
            "uploader",
            upload,
            # It sees its link end and keeps what it holds first; if stopped, this lets it go on.
            on_orphaned=signal.SIGCONT,
        ),
        Broker(Channel(), ledger),
        StatusSocket(paths.status_socket(live.config.system_daemon_directory)),
        on_ready,
        live=live,
        keep_lock=keep_lock,
        notifier=Notifier.of(os.environ, os.getpid()),
    )
