"""Whether another user could change a file or directory, or could have placed it: `examine`.

Each directory on the way down from the root is checked, because a user who may write to one of them
can rename what is below it. One look is enough: a way that can be trusted can afterwards be changed by
trusted users only. The rules are those of sshd's StrictModes and of sudo, as far as they fit here
(docs/security.md):

- Owners are root and the agent's user.
- Nobody else may write: by the mode for others and for the group, and by an access list (acl(5)).
- A group may write if it is root's, or if the host knows no other members than these users. That is
  so for the private group that many systems give to each user. Debian's sshd has the same rule.
- On the way there may be a sticky directory, such as /tmp. What is in it must belong to a trusted user,
  and must be neither a link nor a mount point: FUSE lets users mount what claims to be root's.
- On the way there may be a directory of root's that a system's group may write to, as /var/log on
  Ubuntu (root:syslog, 0775). Root chose that group. What is in it must belong to a trusted user.
- Where the file system is mounted read-only, no user can write. Kubernetes mounts files so, with 0777.
- In a user namespace, the host's own directories belong to a user that does not exist in it.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.users import user_name

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a message about an untrusted path ends with.
EXPECTED: Final = "a path that only root and the agent's user can change"

_ROOT: Final = 0
#: As in path_resolution(7).
_MAX_LINKS: Final = 40
#: The largest id of a system's own group (login.defs(5), SYS_GID_MAX).
_MAX_SYSTEM_GID: Final = 999

#: An access list as Linux stores it: a version, then entries of tag, permissions and id.
_ACL: Final = "system.posix_acl_access"
_ACL_VERSION_BYTES: Final = 4
_ACL_ENTRY: Final = struct.Struct("<HHI")
_ACL_USER: Final = 0x02
_ACL_OWNING_GROUP: Final = 0x04
_ACL_GROUP: Final = 0x08
_ACL_WRITE: Final = 2

#: How much of a file the kernel reads for its `#!` line (linux/binfmts.h).
_INTERPRETER_BYTES: Final = 256

#: Programs that run the file that one of their words names.
_LAUNCHER: Final = re.compile(
    r"(ba|da|a|k|z)?sh|busybox|(python|pypy|perl|ruby|php|node|lua|tclsh|Rscript)[\d.]*|java|env|sudo|"
    r"doas|nice|ionice|chrt|timeout|setpriv|setsid|runuser|flock|stdbuf|unshare|nsenter|chroot|xargs"
)


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a path: the `problem` with it, empty if it can be trusted, and its `owner`.

    The problem is the end of a sentence that begins with the path. The owner is the user, other than
    root, to whom a part of the way belongs, and `group` the group of that part; both are root's if there
    is no such part.
    """

    problem: str
    owner: int = _ROOT
    group: int = _ROOT


def examine(path: Path, user: int | None = None, *, is_shared: bool = False) -> Way:
    """Examine the way to `path`, which need not exist, for an agent that runs as `user`.

    Without a `user`, the first owner other than root and this process's user is taken for the agent's,
    unless another user could have placed that part. `is_shared`: `path` itself may belong to any user
    and group, if a trusted user placed it. A part that we may not see ends the examination: nothing in
    it can be used, either.
    """
    walk = _Walk(user, is_shared=is_shared)
    way: Path | None = path.absolute()
    try:
        with suppress(OSError):
            for _ in range(_MAX_LINKS):
                way = way and walk.down(way)
    except _UntrustedError as found:
        return Way(_sentence(path, found.at, found.why))
    return Way("", *walk.owner)


def program_files(words: Sequence[str]) -> list[Path]:
    """Return the files of a command that decide what it runs: those that must be trusted.

    That is its program, and what the `#!` line of that names. If one of these is known to run another
    file (an interpreter, `sudo`, `env`), each further word that is the absolute path of a regular file
    counts as one, too.
    """
    found: dict[Path, None] = {}
    waiting = [list(words)]
    while waiting:
        program, *more = waiting.pop()
        if not _LAUNCHER.fullmatch(program.rpartition("/")[2]):
            more = []
        # Of a file that we may not see nothing can be said, nor can it be run.
        files = [word for word in more if word[:1] == "/" and os.path.isfile(word)]  # noqa: PTH113
        for file in map(Path, (program, *files)):
            if file not in found:
                found[file] = None
                waiting += _interpreter(file)
    return list(found)


def _interpreter(file: Path) -> list[list[str]]:
    """Return the words of the `#!` line of a file, an absolute path first, as the only item; none without one."""
    line = b""
    with suppress(OSError):
        if file.is_file():
            # Who may write to its directory may have put a FIFO there since: do not wait for a writer.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
            with os.fdopen(os.open(file, flags), "rb") as opened:
                line = opened.read(_INTERPRETER_BYTES).partition(b"\n")[0]
    words = os.fsdecode(line[2:]).replace("\0", " ").split() if line.startswith(b"#!") else []
    return [words] if words and words[0].startswith("/") else []


def _sentence(path: Path, at: Path, why: str) -> str:
    if at == path:
        return why
    return f"{'is below' if at in path.parents else 'leads to'} {at}, which {why}"


class _UntrustedError(Exception):
    """The part `at` of a way cannot be trusted; `why` is the end of a sentence about it."""

    def __init__(self, at: Path, why: str) -> None:
        super().__init__(why)
        self.at = at
        self.why = why


class _Openness(Enum):
    """Who may add entries to a directory on the way."""

    CLOSED = "trusted users only"
    SYSTEM = "a system's group; the directory is root's"
    STICKY = "others, who cannot rename or remove what is not theirs"


class _Walk:
    """Ways down from the root directory, for one user."""

    def __init__(self, user: int | None, *, is_shared: bool) -> None:
        self.owner = (_ROOT, _ROOT)
        self._trusted = {_ROOT, os.geteuid() if user is None else user}
        self._may_adopt = user is None
        self._is_shared = is_shared

    def down(self, way: Path) -> Path | None:
        """Examine each part of a way, down to a link; return the way with the link's target instead.

        Return None at the end of the way. Raises `_UntrustedError`, and `OSError` for a part that does
        not exist or cannot be seen.
        """
        openness, device = _Openness.CLOSED, 0
        for number in range(1, len(way.parts) + 1):
            at, rest = Path(*way.parts[:number]), way.parts[number:]
            if at.name == "..":  # the parts before it are no links
                return Path(at.parent.parent, *rest)
            found = at.lstat()
            if openness is _Openness.STICKY:
                _require_plain(at, found, device)
            self._require_owner(at, found, openness, is_last=not rest)
            if stat.S_ISLNK(found.st_mode):
                return Path(at.parent, at.readlink(), *rest)
            openness, device = self._openness(at, found, is_last=not rest), found.st_dev
        return None

    def _require_owner(
        self, at: Path, found: os.stat_result, openness: _Openness, *, is_last: bool
    ) -> None:
        """Raise `_UntrustedError` if a part does not belong to a trusted user."""
        uid = found.st_uid
        if uid in self._trusted:
            self.owner = (uid, found.st_gid) if uid else self.owner
            return
        if openness is not _Openness.CLOSED:
            raise _UntrustedError(at, f"belongs to {user_name(uid)}")
        if (is_last and self._is_shared) or _is_read_only(at) or _is_unmapped(uid):
            return
        if not self._may_adopt:
            raise _UntrustedError(at, f"belongs to {user_name(uid)}")
        self._may_adopt = False
        self._trusted.add(uid)
        self.owner = (uid, found.st_gid)

    def _openness(self, at: Path, found: os.stat_result, *, is_last: bool) -> _Openness:
        """Return who may add entries to a part. Raises `_UntrustedError` if they could change the way."""
        is_public = bool(found.st_mode & stat.S_IWOTH)
        users, groups = ([], []) if is_last and self._is_shared else self._writers(at, found)
        if not (is_public or users or groups) or _is_read_only(at):
            return _Openness.CLOSED
        if stat.S_ISDIR(found.st_mode) and not is_last:
            if found.st_mode & stat.S_ISVTX:
                return _Openness.STICKY
            is_only_groups = not is_public and not users
            if is_only_groups and found.st_uid == _ROOT and max(groups) <= _MAX_SYSTEM_GID:
                return _Openness.SYSTEM
        names = ["everybody"] if is_public else []
        names += map(user_name, users)
        names += [f"the group {_group_name(gid)}" for gid in groups]
        mode = stat.S_IMODE(found.st_mode)
        raise _UntrustedError(at, f"can be written to by {names[0]} (mode {mode:04o})")

    def _writers(self, at: Path, found: os.stat_result) -> tuple[list[int], list[int]]:
        """Return the users and groups, other than trusted ones, that may write by mode or access list."""
        users: list[int] = []
        groups: list[int] = []
        # Of a file with an access list, this bit is in its mask.
        if not found.st_mode & stat.S_IWGRP:
            return users, groups
        for tag, permissions, number in _access_list(at) or [(_ACL_OWNING_GROUP, _ACL_WRITE, 0)]:
            if permissions & _ACL_WRITE and tag == _ACL_USER:
                users.append(number)
            elif permissions & _ACL_WRITE and tag in {_ACL_GROUP, _ACL_OWNING_GROUP}:
                groups.append(number if tag == _ACL_GROUP else found.st_gid)
        return (
            [uid for uid in users if uid not in self._trusted],
            [gid for gid in groups if not self._is_trusted_group(gid)],
        )

    def _is_trusted_group(self, gid: int) -> bool:
        """Whether a group is root's, or has no other members than trusted users."""
        if gid == _ROOT:
            return True
        members = {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}
        with suppress(KeyError):  # a group or a member that the host does not know
            members |= {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
        if members:
            return members <= self._trusted
        # A host may know no member of a group that this process is in, such as Kubernetes's fsGroup.
        return gid in {os.getegid(), *os.getgroups()}


def _require_plain(at: Path, found: os.stat_result, device: int) -> None:
    """Raise `_UntrustedError` for a link, or a mount point on a directory of another `device`."""
    is_mounted = stat.S_ISDIR(found.st_mode) and found.st_dev != device
    if is_mounted or stat.S_ISLNK(found.st_mode):
        what = "a mount point" if is_mounted else "a symbolic link"
        raise _UntrustedError(at, f"is {what} in a directory that others can write to")


def _access_list(at: Path) -> list[tuple[int, int, int]]:
    """Return the access list of a file: tag, permissions and id of each entry. Empty without one."""
    try:
        content = os.getxattr(at, _ACL, follow_symlinks=False)
    except OSError:  # none, or a file system without them
        return []
    return list(_ACL_ENTRY.iter_unpack(content[_ACL_VERSION_BYTES:]))


def _is_read_only(at: Path) -> bool:
    """Whether a part is on a file system that is mounted read-only here."""
    holder = at.parent if at.is_symlink() else at
    return bool(os.statvfs(holder).f_flag & os.ST_RDONLY)


def _is_unmapped(uid: int) -> bool:
    """Whether a user does not exist in our user namespace (user_namespaces(7))."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    ranges = [[int(number) for number in line.split()] for line in lines]
    return not any(first <= uid < first + count for first, _, count in ranges)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
