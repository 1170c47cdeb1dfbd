"""Whether another user could change what the configuration names, or the configuration itself.

`trust.examine` looks at one path; here is which paths are looked at. A start and a reload refuse what
another user could change, `--check` and `--doctor` report it, and commands that look for a running agent
believe nothing in it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.config import layers
from pattoo_mp.config.consistency import TRUST_FIELDS
from pattoo_mp.config.settings import LATER_SHARED_FILE, SHARED_FILE, agent_file, program_settings
from pattoo_mp.config.targets import TRUST_KEYS, target_files
from pattoo_mp.config.values import NO_FILES
from pattoo_mp.errors import TrustError
from pattoo_mp.util import trust

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pattoo_mp.config.values import Config


#: Settings that name what the agent only reads.
_READ: Final = (*TRUST_FIELDS, "textfile_directory")
#: May belong to any user: its owner gives the agent figures, and nothing else.
_SHARED: Final = "textfile_directory"


def configuration_files(directory: Path) -> list[Path]:
    """Return the directory of the configuration and its files, which need not exist."""
    found = [directory]
    for name in (SHARED_FILE, LATER_SHARED_FILE, agent_file()):
        further = layers.directory_of(directory / name)
        found += [directory / name, further]
        with suppress(OSError):  # reading it says what is wrong
            found += layers.files_in(further)[: layers.MAX_FILES]  # with more, none is read
    return found


def configuration_problems(directory: Path, user: int | None = None) -> list[str]:
    """Return a line for each part of the configuration that another user than `user` could change.

    `user` is as in `trust.examine`.
    """
    return _problems(configuration_files(directory), user)


def state_problems(directory: Path, user: int | None = None) -> list[str]:
    """Return such a line for what a command believes of a running agent, in its state directory."""
    known = (
        paths.pid_file(directory),
        paths.status_socket(directory),
        paths.supervisor_file(directory),
        paths.tick_file(directory),
    )
    return _problems([directory, *(part for file in known for part in (file.parent, file))], user)


def setting_problems(config: Config, user: int | None = None) -> list[TrustError]:
    """Return an error for each setting that names a path that another user than `user` could change.

    `user` is as in `trust.examine`.
    """
    found: dict[Path, TrustError] = {}
    for setting, path in _named(config):
        if not isinstance(path, Path) or path in found:
            continue
        wrong = trust.examine(path, user, is_shared=setting == _SHARED).problem
        if wrong:
            found[path] = TrustError(setting, path, wrong, trust.EXPECTED)
    return list(found.values())


def _named(config: Config) -> Iterator[tuple[str, object]]:
    """Yield each setting that names a path of the agent, of the transport or of a command, with its value."""
    for setting in program_settings():
        if setting.is_written_to or setting.name in _READ:
            yield setting.name, config.value_of(setting.key)
    for output in config.given_outputs:
        for name, field in TRUST_FIELDS.items():
            yield f"outputs: {output.name}: {name}", getattr(output.trust, field)
    for command in config.commands:
        for path in trust.program_files(command.words):
            yield f"commands: {command.name}: command", path
    yield from _named_by_hub(config)


def _named_by_hub(config: Config) -> Iterator[tuple[str, object]]:
    """Yield what a hub's settings name: who may change a file of targets decides whom it believes."""
    if config.targets_directory is not None:
        yield "targets_directory", config.targets_directory
        for path in target_files(config.targets_directory):
            yield "targets_directory", path
    for target in config.targets:
        if target.trust is not NO_FILES:
            for name, field in TRUST_KEYS.items():
                yield f"ip_targets: {target.name}: {name}", getattr(target.trust, field)


def file_problems(config: Config, user: int, reported: Collection[Path]) -> list[str]:
    """Return a line for each of the agent's own files and their directories that another could change.

    Those below a path in `reported` are left out.
    """
    known = set(reported)
    return _problems((file for file in _own_files(config) if known.isdisjoint(file.parents)), user)


def _own_files(config: Config) -> Iterator[Path]:
    """The files that the agent makes, and their directories."""
    state = config.system_daemon_directory
    spool = paths.spool_file(config)
    identity = paths.identity_file(config)
    keys = paths.keys_directory(config)
    for file in (identity, paths.pid_file(state), paths.status_socket(state)):
        yield file.parent
        yield file
    yield from (paths.supervisor_file(state), paths.tick_file(state))
    yield from (paths.log_file(config), keys.parent, keys)
    if spool.parent.is_dir():
        yield from sorted(spool.parent.glob(f"{spool.name}*"))  # its journal, lock and account


def _problems(files: Iterable[Path], user: int | None) -> list[str]:
    """Return a line for each untrusted path, but for those below one that has a line already."""
    found: dict[Path, str] = {}
    for path in files:
        if path in found or not found.keys().isdisjoint(path.parents):
            continue
        if problem := trust.examine(path, user).problem:
            found[path] = f"{path}: {problem}; expected {trust.EXPECTED}"
    return list(found.values())
