"""For programs: a document also where there is nothing to say but what is wrong."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pattoo_mp.errors import PattooError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence


@contextmanager
def told_in_json(
    arguments: argparse.Namespace, document: Callable[[Sequence[str]], dict[str, Any]]
) -> Iterator[None]:
    """With `--json`, print the `document` of an error's lines; the error then goes its usual way.

    Put around what comes before a verb's own document: a program wants one, or one a line.
    """
    try:
        yield
    except PattooError as error:
        if arguments.json:
            indent = None if arguments.watch else 2
            print(json.dumps(document(str(error).split("\n")), indent=indent), flush=True)
        raise
