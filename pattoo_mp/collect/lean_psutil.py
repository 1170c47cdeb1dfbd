"""The import of psutil, which does not wait for a file that hangs.

psutil reads `/proc/stat` on import. It looks for the names of its columns, and takes the first times,
which the agent does not use.
"""

from __future__ import annotations

import builtins
import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAT: Final = "/proc/stat"
_LIMIT_S: Final = 1.0
#: The columns of each kernel since Linux 2.6.33: see proc(5).
_COLUMNS: Final = b"cpu  0 0 0 0 0 0 0 0 0 0\n"


def import_psutil() -> None:
    """Import psutil. If `/proc/stat` hangs, let psutil see a host without processor times."""
    limited: TimeLimited[str, bytes] = TimeLimited("psutil", _read, _LIMIT_S)
    try:
        limited.ask_one(_STAT)
    except NoAnswerError:
        with _stat_replaced():
            import psutil  # noqa: F401, PLC0415
    except OSError:
        pass  # psutil copes with that


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(1)


@contextmanager
def _stat_replaced() -> Iterator[None]:
    """Make `open` give other content for `/proc/stat`. For a time when no other thread opens files."""
    real = builtins.open

    def opened(file: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as `open`
        if file == _STAT:
            return io.BytesIO(_COLUMNS)
        return real(file, *arguments, **options)

    builtins.open = opened
    try:
        yield
    finally:
        builtins.open = real
