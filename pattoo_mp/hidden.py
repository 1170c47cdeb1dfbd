"""Imports that find less than there is.

What a library takes if it is there, and does without if it is not, costs an agent memory in each
process, whether it is ever used or not.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def hidden(modules: Iterable[str]) -> Iterator[None]:
    """Let imports inside find none of `modules`, but those that are there already.

    None in `sys.modules` is Python's own word for it ("The import system" in its reference).
    Afterwards they can be imported as ever.
    """
    names = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # as the reference has it
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
