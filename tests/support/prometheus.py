"""Real receivers of remote write, as Debian packages them, each with an empty store and a free port."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ports import at, free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Labels, sorted, and its samples: times (ms) and values.
Samples = dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]


@dataclass(frozen=True)
class Store:
    """A receiver that runs."""

    port: int

    @property
    def url(self) -> str:
        """Where it takes remote write."""
        return f"{at(self.port)}/api/v1/write"

    def samples(self, selector: str = '{__name__=~".+"}') -> Samples:
        """Return all samples of the last days, of Prometheus as they were stored."""
        # A range vector gives the samples as they are, without stale markers.
        found = self.query(f"{selector}[30d]")
        return {
            tuple(sorted(series["metric"].items())): [
                (round(float(time_s) * 1000), float(value)) for time_s, value in series["values"]
            ]
            for series in found
        }

    def query(self, query: str, **options: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        asked = urllib.parse.urlencode({"query": query, **options})
        with urllib.request.urlopen(f"{at(self.port)}/api/v1/query?{asked}", timeout=30) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def exported(self, selector: str) -> list[dict[str, Any]]:
        """Return the series that VictoriaMetrics exports, with all their samples."""
        asked = urllib.parse.urlencode({"match[]": selector, "reduce_mem_usage": "1"})
        with urllib.request.urlopen(f"{at(self.port)}/api/v1/export?{asked}", timeout=30) as answer:
            return [json.loads(line) for line in answer]

    def flush(self) -> None:
        """Make recent samples of VictoriaMetrics searchable."""
        urllib.request.urlopen(f"{at(self.port)}/internal/force_flush", timeout=30).close()

    def is_ready(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"{at(self.port)}/-/ready", timeout=5).close()
            return True
        return False


@contextmanager
def prometheus(
    directory: Path,
    port: int = 0,
    out_of_order: str = "",
    scraping: dict[str, Any] | None = None,
) -> Iterator[Store]:
    """Run Prometheus with its store in `directory`; `out_of_order` is a time, as 2h.

    With `scraping`, a part of `scrape_configs`, it scrapes as well, and logs warnings.
    """
    directory.mkdir(exist_ok=True)
    config = directory / "prometheus.yml"
    window = f"storage: {{tsdb: {{out_of_order_time_window: {out_of_order}}}}}\n"
    config.write_text(window if out_of_order else "global: {}\n")
    if scraping:
        config.write_text(json.dumps({"scrape_configs": [scraping]}))
    store = Store(port or free_port())
    command = [
        _program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{store.port}",
        "--web.enable-remote-write-receiver",
        f"--log.level={'warn' if scraping else 'error'}",
    ]
    with _running(command, store, directory):
        yield store


@contextmanager
def victoria_metrics(directory: Path, port: int = 0) -> Iterator[Store]:
    """Run VictoriaMetrics with its store in `directory`."""
    directory.mkdir(exist_ok=True)
    store = Store(port or free_port())
    command = [
        _program("victoria-metrics"),
        f"-storageDataPath={directory / 'data'}",
        f"-httpListenAddr=127.0.0.1:{store.port}",
        "-search.latencyOffset=0s",
        "-retentionPeriod=12",
        "-memory.allowedBytes=64MB",
    ]
    with _running(command, store, directory):
        yield store


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed: Debian's package {name} has it")
    return found


@contextmanager
def _running(command: list[str], store: Store, directory: Path) -> Iterator[None]:
    with (
        (directory / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=directory) as process,
    ):
        try:
            wait_for(
                lambda: store.is_ready() or process.poll() is not None, 60, f"{command[0]} ready"
            )
            assert process.poll() is None, (directory / "log").read_text()
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
