"""The control process: wires up its parts and the two workers, and runs until stopped.

The packages of the workers are imported in the workers only. Control loads neither psutil nor
requests, so it stays small, and so do its forks.
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
from pattoo_mp.control import run_directory, terminal
from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.reload import LiveConfig
from pattoo_mp.control.run_directory import record_supervisor, record_supervisor_if_refused
from pattoo_mp.control.spokes import Spokes
from pattoo_mp.control.status_socket import StatusSocket, ask
from pattoo_mp.control.systemd import Notifier
from pattoo_mp.control.worker import Role
from pattoo_mp.errors import PattooError, StartError, where_and_why
from pattoo_mp.ipc.channel import HUB_BYTES, HUB_POLLS, Channel
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.place import Place
from pattoo_mp.program import this_program
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.control.reload import Reader
    from pattoo_mp.ipc.link import Link
    from pattoo_mp.ipc.messages import UploadState
    from pattoo_mp.model import Origin
    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.delivery import Sender
    from pattoo_mp.upload.pattoo.legacy import LegacyPosts
    from pattoo_mp.upload.pull.output import PullOutput
    from pattoo_mp.upload.spooled import Outbox

    Adopt = Callable[[str, Config], None]

_LOG = logging.getLogger(__name__)

#: How long control may take to answer a question of the uploader (s).
_ASK_S: Final = 5.0

#: What `ps` shows after the name of each process.
_TITLES: Final[dict[str, Callable[[Config], str]]] = {
    "control": lambda _: "",
    "collector": lambda config: f" every {text.intervals(config.groups)}",
    "uploader": lambda config: _uploader_title(config.outputs[0]),
}


def run(
    config: Config,
    reread: Callable[[Config], Reader],
    on_ready: Callable[[], None],
    *,
    to_stderr: bool,
) -> None:
    """Run the control process until a signal stops it.

    `reread` starts another reading of the configuration files, for an agent that runs with the
    given configuration. `on_ready` is called once the first poll is in the spool.

    Raises `AlreadyRunningError`, `StartError` or `IdentityError` if the agent cannot run.
    """
    os.umask(0o077)
    adopt = partial(_adopt, to_stderr=to_stderr)

    def adopt_in_control(settings: Config) -> None:
        log.check(_log_settings(settings, to_stderr=to_stderr))
        adopt("control", settings)

    for number in log.SIGNAL_ACTIONS:  # logrotate may signal us as soon as the PID file exists
        signal.signal(number, signal.SIG_IGN)
    # Commands signal the holder of the lock only if it has this title.
    setproctitle(f"{this_program().name}: control")
    terminal.leave_terminals_group()
    has_lost_terminal = terminal.terminal_check(os.environ)
    directory = config.system_daemon_directory
    cut_short_pid = run_directory.cut_short_pid(directory)
    supervisor_file = paths.supervisor_file(directory)
    with (
        record_supervisor_if_refused(supervisor_file, os.environ),
        run_directory.locked_run(directory) as lock,
    ):
        with _start_errors_logged(config):
            adopt_in_control(config)
            run_directory.log_cut_short(cut_short_pid)
            record_supervisor(supervisor_file, os.environ)
            origin = identity.origin(paths.identity_file(config), config.hostname)
            if config.hostname is None:
                identity.keep_name(paths.identity_file(config), origin.hostname)
            _LOG.info("pattoo_mp %s polls every %s.", __version__, text.intervals(config.groups))
            live = LiveConfig(config, reread, adopt_in_control)
            arbiter = _arbiter(
                live,
                origin,
                adopt,
                on_ready,
                lock.ensure_in_place,
                has_lost_terminal=has_lost_terminal,
            )
        # The objects made so far live on. A garbage collection would write to all of them, and so
        # copy in each worker the pages that it shares with control.
        gc.freeze()
        arbiter.run()
        _LOG.info("Stopped.")


@contextlib.contextmanager
def _start_errors_logged(config: Config) -> Iterator[None]:
    """Log an error that prevents the start to the log file; raise it as a `PattooError`.

    It is not logged to stderr: the command line prints it there.
    """
    try:
        yield
    except (OSError, PattooError) as error:
        reported = error if isinstance(error, PattooError) else _start_error(error)
        _adopt("control", config, to_stderr=False)
        _LOG.error("%s", reported)
        raise reported from None


def _start_error(error: OSError) -> StartError:
    return StartError(f"{where_and_why(error)}; expected a file that the agent can use")


def _adopt(process: str, config: Config, *, to_stderr: bool) -> None:
    """Set up the log and the process title by the settings."""
    log.set_up(_log_settings(config, to_stderr=to_stderr), process)
    setproctitle(f"{this_program().name}: {process}{_TITLES[process](config)}")


def _uploader_title(first: Output) -> str:
    host, port = values.host_and_port(first.urls[0])
    return f" {'at' if first.kind == values.PULL else 'to'} {host} port {port}"


def _troubles(directory: Path) -> list[str]:
    """Return the codes of the troubles that `--status` shows now. Raises `OSError`, `PattooError`."""
    found = ask(paths.status_socket(directory), _ASK_S)["troubles"]
    return [str(trouble["code"]) for trouble in found]


def _sender(
    config: Config, output: Output, outbox: Outbox, agent_id: str, legacy: LegacyPosts
) -> Sender:
    """Make what posts to an output. The original agent's unsent posts go to one of them."""
    from pattoo_mp.upload.lean_requests import import_requests  # noqa: PLC0415

    import_requests(needs_tls=config.needs_tls)
    of_spokes = this_program().is_hub
    if output.kind == values.REMOTE_WRITE:
        from pattoo_mp.upload.remote_write.servers import sender  # noqa: PLC0415

        return sender(output, outbox, of_spokes=of_spokes)
    from pattoo_mp.upload.delivery import Sender  # noqa: PLC0415
    from pattoo_mp.upload.pattoo.servers import deliverer, servers  # noqa: PLC0415
    from pattoo_mp.wire.encode import encode  # noqa: PLC0415

    # What an original hub could not post is of many agents; it stays where it is (docs/hub.md).
    of_legacy = legacy if output.name == config.heir and not of_spokes else None
    made = deliverer(outbox, encode, of_legacy, output.families, of_spokes=of_spokes)
    return Sender(servers(config, output, agent_id), made, of_legacy)


def _puller(
    config: Config,
    output: Output,
    report: Callable[[str, UploadState], None],
    report_trouble: Callable[[str], object],
    *,
    spool: Spool,
    origin: Origin,
) -> PullOutput:
    """Make what answers for an output of kind pull."""
    from pattoo_mp.upload.pull.output import PullOutput  # noqa: PLC0415

    return PullOutput(
        output,
        spool,
        config,
        origin,
        report=report,
        report_trouble=report_trouble,
        ask_troubles=partial(_troubles, config.system_daemon_directory),
    )


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
    ensure_lock: Callable[[], None],
    *,
    has_lost_terminal: Callable[[], bool] | None,
) -> Arbiter:
    is_hub = this_program().is_hub
    ticks = run_directory.TickFile(paths.tick_file(live.config.system_daemon_directory))
    ledger = Ledger(*live.config.groups, earlier_ms=ticks.earlier_ms, of_spokes=is_hub)
    # Of a hub's polls, a collector sends no more than fit (collect.spokes.hub).
    channel = Channel(HUB_POLLS, HUB_BYTES) if is_hub else Channel()
    channel_name = os.urandom(8).hex()
    place = Place()

    def collect(link: Link) -> None:
        ticks.close()
        place.write("")
        adopt("collector", live.config)
        this_program().load_collector()(
            link,
            origin,
            live.config,
            ledger.newest_tick_ms,
            at_once=ledger.polled == 0,
            adopt=partial(adopt, "collector"),
            begin=place.write,
        ).run()

    def upload(link: Link) -> None:
        ticks.close()
        config = live.config
        adopt("uploader", config)
        from pattoo_mp.spool.store import Spool  # noqa: PLC0415
        from pattoo_mp.upload.pattoo.legacy import LegacyPosts  # noqa: PLC0415
        from pattoo_mp.upload.report import (  # noqa: PLC0415
            Progress,
            send_account,
            spool_limits,
        )

        progress = Progress(link)
        try:
            spool = Spool(
                paths.spool_file(config),
                spool_limits(config),
                outputs=[output.name for output in config.outputs],
                heir=config.heir,
                known=ledger.account,
                progress=progress,
            )
        except LinkClosedError:
            _LOG.error("Control has exited; the uploader leaves the spool unchanged and exits.")
            return
        progress.holds_polls = True
        send_account(link, spool, channel_name)
        from pattoo_mp.upload.uploader import Uploader  # noqa: PLC0415

        if config.hostname is None:
            identity.watch_name(paths.identity_file(config), origin.hostname)
        legacy = LegacyPosts(config.cache_directory, origin.agent_id)
        Uploader(
            link,
            config,
            spool,
            channel_name,
            origin.agent_id,
            sender=partial(_sender, agent_id=origin.agent_id, legacy=legacy),
            puller=partial(_puller, spool=spool, origin=origin),
            adopt=partial(adopt, "uploader"),
        ).run()

    return Arbiter(
        Role(
            "collector",
            collect,
            # It holds nothing that could be lost. SIGKILL also ends a stopped process.
            on_orphaned=signal.SIGKILL,
            place=place.read,
            # The uploader's lock on the spool allows none beside it.
            beside=1,
        ),
        Role(
            "uploader",
            upload,
            # It notices that its link is closed, and first saves what it holds. SIGCONT resumes it
            # if it is stopped.
            on_orphaned=signal.SIGCONT,
        ),
        Broker(channel, ledger, ticks.note, spokes=Spokes() if is_hub else None),
        StatusSocket(paths.status_socket(live.config.system_daemon_directory)),
        on_ready,
        live=live,
        ensure_lock=ensure_lock,
        notifier=Notifier.of(os.environ, os.getpid()),
        has_lost_terminal=has_lost_terminal,
    )
