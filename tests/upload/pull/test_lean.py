"""What an uploader loads that only answers."""

from __future__ import annotations

import subprocess
import sys


def test_who_only_answers_loads_no_client() -> None:
    """No `requests`, no TLS: a spoke takes less memory than an agent that posts."""
    program = (
        "import sys, pattoo_mp.upload.uploader, pattoo_mp.upload.pull.output\n"
        "print(sorted({'requests', 'urllib3', 'ssl', 'http.client', 'yaml', 'psutil'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
