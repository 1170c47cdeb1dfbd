"""What encrypted mode needs of a host: looked for before anything is started, and not imported."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Final

#: GnuPG's, and one of coreutils.
PROGRAMS: Final = ("gpg", "gpg-agent", "gpgconf", "timeout")


def missing() -> str:
    """What is not there, and what to do; empty if all is."""
    spec = find_spec("gnupg")
    # Another library of that name, which knows nothing of how this one is called, is a package.
    if spec is None or spec.submodule_search_locations is not None:
        return "python-gnupg is not installed; expected the extra `encrypted` of pattoo_mp"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return (
                f"there is no {program} in PATH; expected GnuPG (the package gnupg of most systems)"
            )
    return ""
