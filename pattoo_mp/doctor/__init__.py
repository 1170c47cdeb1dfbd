"""Check this host as the agent would use it, without changing anything."""

import pattoo_mp.collect  # noqa: F401 - before psutil, which waits for a file that hangs
