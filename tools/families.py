"""The family of each key, for the uploader: the content of `families.json`."""

from __future__ import annotations

import json
from typing import Final

from pattoo_mp.collect import registry
from pattoo_mp.collect.families._prometheus import KEY
from pattoo_mp.config.families import EVERY

#: The family of a key that no other has: the operator's own figures may have any name.
OTHERWISE: Final = "textfile"


def families() -> str:
    """Return the keys of all tables, and the prefixes of those that may have more fields, as JSON."""
    tables = [(name, table) for name in EVERY for table in registry.family(name).TABLES]
    content = {
        "keys": {table.key(metric): name for name, table in tables for metric in table.metrics},
        # psutil may have fields that no table describes.
        "prefixes": {table.prefix: name for name, table in tables if table.prefix}
        | {KEY: OTHERWISE},
        "otherwise": OTHERWISE,
    }
    return f"{json.dumps(content, indent=1, sort_keys=True)}\n"
