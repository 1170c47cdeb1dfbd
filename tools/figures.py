"""Write what the page of the receiver knows of figures: their units and words, from the tables of the families.

The receiver knows nothing of the agent, so the page has them in a file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pattoo_mp.collect import registry

ROOT: Final = Path(__file__).resolve().parent.parent
SHIPPED: Final = ROOT / "pattoo_mp" / "receiver" / "page" / "figures.json"


def figures() -> str:
    """The content of the file: for each key the unit, the title, the family's title, and the meaning."""
    found = {
        table.key(metric): {
            "unit": metric.unit,
            "title": metric.title,
            "family": table.title,
            "meaning": metric.meaning,
        }
        for table in registry.tables()
        for metric in table.metrics
    }
    return json.dumps(dict(sorted(found.items())), indent=1, ensure_ascii=False) + "\n"
