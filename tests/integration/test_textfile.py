"""An operator's metrics, from a file to the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.agent import NAME
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]


def put(path: Path, text: str) -> None:
    """Write a new file and rename it, as is the convention."""
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.rename(path)


def troubles(agent: Agent) -> dict[str, str]:
    """Return the collector's troubles."""
    found: dict[str, str] = agent.status()["workers"]["collector"]["troubles"]
    return found


def test_metrics_from_files_arrive_and_a_bad_file_stops_no_poll(
    make_agent: MakeAgent, server: PattooServer, home: Path, host: Host
) -> None:
    """A reload turns the family on. The status has the error of a file, and every tick is polled."""
    agent = make_agent(port=server.port)
    agent.start()
    files = home / "textfile"
    files.mkdir()
    put(files / "backup.prom", '# TYPE runs counter\nruns{job="home"} 41\n')
    agent.write(
        f"{NAME}.yaml",
        f"{NAME}:\n  polling_interval: 0.1\n  families: [textfile]\n  textfile_directory: {files}\n",
    )
    assert agent.run("--reload").returncode == 0

    def runs() -> dict[str, object]:
        points = [point for post in server.posts[-1:] for point in post.datapoints()]
        return next((p for p in points if p["pattoo_key"] == "textfile_metric_runs_total"), {})

    first = wait_for(runs, what="the figure")
    assert (first["pattoo_value"], first["pattoo_data_type"]) == (41, 64)
    assert first["textfile_label_job"] == "home"
    put(files / "other.prom", "not a figure\n")
    put(files / "backup.prom", '# TYPE runs counter\nruns{job="home"} 42\n')
    wait_for(lambda: runs().get("pattoo_value") == 42, what="the next figure")
    assert runs()["pattoo_checksum"] == first["pattoo_checksum"]
    wait_for(lambda: "textfile other.prom" in troubles(agent), what="the note")
    (files / "other.prom").unlink()
    wait_for(lambda: not troubles(agent), what="the end of the note")
    host.assert_none_missed(agent.status())
