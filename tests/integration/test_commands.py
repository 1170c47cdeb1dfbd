"""Figures of the operator's own programs, from the programs to the server, whatever they do."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pattoo_mp.util.held_process import stat_of
from tests.integration.test_time import HOUR_S, Clock
from tests.support.agent import NAME
from tests.support.plugins import plugin
from tests.support.unprivileged import NOBODY, run_by_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]

PLUGINS: Final = Path("/usr/lib/nagios/plugins")


def configure(agent: Agent, *commands: dict[str, Any], **settings: object) -> None:
    """Write the agent's own file, with these commands."""
    own = {"polling_interval": 0.1, "families": ["commands"], "commands": commands, **settings}
    agent.write(f"{NAME}.yaml", json.dumps({NAME: own}))


def command(path: Path, *words: str, **more: object) -> dict[str, Any]:
    """A command of the settings, named like its program."""
    return {"name": path.name, "command": [str(path), *words], "interval": 1, **more}


def troubles(agent: Agent) -> dict[str, str]:
    """What the collector says is left out."""
    found: dict[str, str] = agent.status()["workers"]["collector"]["troubles"]
    return found


def runs(path: Path) -> list[int]:
    """The numbers of processes that a program has written to a file."""
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def none_runs(path: Path) -> bool:
    """Whether all of these have ended."""
    found = [stat_of(pid) for pid in runs(path)]
    return bool(found) and not any(process and process.runs for process in found)


def figures(server: PattooServer) -> dict[tuple[str, str, str], Any]:
    """The newest value of each figure: by its command, key and label in the performance data."""
    return {
        (point["command_name"], point["pattoo_key"], point.get("command_figure", "")): point["pattoo_value"]
        for post in list(server.posts)
        for point in post.datapoints()
        if "command_name" in point
    }  # fmt: skip


def test_figures_of_debians_plugins_arrive(make_agent: MakeAgent, server: PattooServer) -> None:
    """Real ones of Nagios: their exit status, duration and performance data."""
    words = {
        "check_load": ["-w", "90,90,90", "-c", "99,99,99"],
        "check_disk": ["-w", "1%", "-c", "1%", "-p", "/"],
        "check_procs": ["-w", "90000"],
        "check_swap": ["-w", "2%", "-c", "1%", "-n", "ok"],
        "check_dummy": ["2", "all is lost"],
        "check_users": ["-w", "900", "-c", "999"],
        "check_file_age": ["-w", "99999999999", "-c", "99999999999", "-f", "/etc/passwd"],
    }
    if missing := [name for name in words if not (PLUGINS / name).exists()]:
        pytest.skip(f"no {', '.join(missing)} (Debian's monitoring-plugins-basic)")
    agent = make_agent(port=server.port)
    configure(agent, *(command(PLUGINS / n, *w, format="nagios") for n, w in words.items()))
    agent.start()
    expected = {
        ("check_load", "command_value", "load1"), ("check_load", "command_value", "load15"),
        ("check_disk", "command_bytes", "/"), ("check_procs", "command_value", "procs"),
        ("check_swap", "command_bytes", "swap"), ("check_users", "command_value", "users"),
        ("check_file_age", "command_seconds", "age"), ("check_file_age", "command_bytes", "size"),
        *((name, "command_exit_status", "") for name in words),
        *((name, "command_duration", "") for name in words),
    }  # fmt: skip
    wait_for(lambda: expected <= figures(server).keys(), what="all figures")
    found = figures(server)
    status = {name: int(found[name, "command_exit_status", ""]) for name in words}
    assert status == {**dict.fromkeys(words, 0), "check_dummy": 2}
    assert found["check_file_age", "command_bytes", "size"] == Path("/etc/passwd").stat().st_size
    assert found["check_disk", "command_bytes", "/"] > 1e6
    wait_for(lambda: not troubles(agent), what="the end of all notes")


def test_no_tick_is_missed_whatever_commands_do(
    make_agent: MakeAgent, server: PattooServer, home: Path, host: Host
) -> None:
    """They hang, ignore signals, leave children, flood and crash. All is told, and good ones are sent."""
    bad = {
        "hangs": f"echo $$ >> {home}/pids; exec sleep 600",
        "ignores": f"trap '' TERM; echo $$ >> {home}/pids; while :; do sleep 1; done",
        "leaves": f"setsid sleep 600 & echo $! >> {home}/pids; echo x 1",
        "floods": f"echo $$ >> {home}/pids; yes",
        "complains": "yes >&2",
        "crashes": "kill -ABRT $$",
        "speaks": "echo no >&2",
    }
    agent = make_agent(port=server.port)
    paths = [plugin(home, name, script) for name, script in bad.items()]
    good = plugin(home, "good", f"echo >> {home}/good-runs; echo x 1")
    configure(agent, *(command(path, timeout=0.5) for path in [*paths, good]))
    agent.start()
    wait_for(lambda: {f"commands {name}" for name in bad} <= troubles(agent).keys())
    wait_for(lambda: len((home / "good-runs").read_text()) >= 5, what="some runs")
    wait_for(lambda: ("good", "command_metric_x", "") in figures(server), what="the good figure")
    told = troubles(agent)
    assert "commands good" not in told
    assert told["commands hangs"] == "ended by the time limit of 0.5 s"
    assert told["commands floods"] == "more than 262144 bytes of output"
    assert told["commands crashes"] == "ended by SIGABRT"
    assert told["commands speaks"] == "it printed nothing; standard error: no"
    shown = agent.run("--status").stdout
    assert "commands leaves: processes that it left behind, and that were ended: 1" in shown
    host.assert_none_missed(agent.status())
    agent.stop()
    wait_for(lambda: none_runs(home / "pids"), what="the end of all commands")


@pytest.mark.parametrize("killed", ["collector", "control"])
def test_no_command_runs_on_after_a_kill(
    make_agent: MakeAgent, server: PattooServer, home: Path, killed: str
) -> None:
    """Not even one that hangs and ignores signals, or what it has started in a session of its own."""
    script = (
        f"trap '' TERM; setsid sleep 600 & echo $$ $! >> {home}/pids; while :; do sleep 1; done"
    )
    agent = make_agent(port=server.port)
    configure(agent, command(plugin(home, "hangs", script), interval=600, timeout=600))
    agent.start()
    first = wait_for(lambda: runs(home / "pids"), what="a run")
    if killed == "collector":
        agent.signal("collector", "SIGKILL")
        wait_for(lambda: len(runs(home / "pids")) > 2, what="the run of the next collector")
    else:
        assert agent.pid
        os.kill(agent.pid, signal.SIGKILL)
    wait_for(lambda: not any((p := stat_of(pid)) and p.runs for pid in first), what="its end")
    agent.end()
    wait_for(lambda: none_runs(home / "pids"), what="the end of all")


def test_a_stopped_runner_ends_with_the_agent(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """What runs commands goes on when the collector has ended, and ends them."""
    script = (
        f"echo $$ $PPID $(ps -o ppid= -p $PPID) > {home}/all; kill -STOP $PPID $(ps -o ppid= -p $PPID); "
        f"mv {home}/all {home}/pids; exec sleep 600"
    )
    agent = make_agent(port=server.port)
    configure(agent, command(plugin(home, "stops", script), interval=600, timeout=600))
    agent.start()
    wait_for(lambda: runs(home / "pids"), what="a run")
    agent.stop()
    wait_for(lambda: none_runs(home / "pids"), what="the end of all")


def test_a_reload_ends_begins_and_keeps_commands(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """Those that stay the same are not even run again; if the list changes, all are run anew."""
    agent = make_agent(port=server.port)
    path = plugin(home, "one", f"echo $$ >> {home}/pids; exec sleep 600")
    one = command(path, interval=600, timeout=600)
    configure(agent, one)
    agent.start()
    wait_for(lambda: runs(home / "pids"), what="a run")
    configure(agent, one, polling_interval=0.2, mounts_exclude=["/nothing"])
    assert agent.run("--reload").returncode == 0
    assert not none_runs(home / "pids")
    configure(agent, families=[])
    assert agent.run("--reload").returncode == 0
    wait_for(lambda: none_runs(home / "pids"), what="its end")
    configure(agent, command(plugin(home, "two", "echo y 5")))
    assert agent.run("--reload").returncode == 0
    wait_for(lambda: ("two", "command_metric_y", "") in figures(server), what="the figure")


def test_a_program_that_others_may_write_to_is_refused_by_all(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """By a start, a reload, `--check` and `--doctor`; a running agent does not run it any more."""
    agent = make_agent(port=server.port)
    path = plugin(home, "open", f"echo $$ >> {home}/pids; echo x 1")
    configure(agent, command(path))
    agent.start()
    wait_for(lambda: ("open", "command_metric_x", "") in figures(server), what="the figure")
    path.chmod(0o777)
    line = f"'{path}' can be written to by everybody (mode 0777); expected a path that only"
    wait_for(lambda: "not run:" in troubles(agent).get("commands open", ""), what="the note")
    for verb in ("--reload", "--check"):
        done = agent.run(verb)
        assert done.returncode == 2
        assert f"commands: open: command: {line}" in done.stderr
    doctor = agent.run("--doctor")
    assert doctor.returncode == 1
    assert "can be written to by everybody" in doctor.stdout
    agent.stop()
    assert f"commands: open: command: {line}" in agent.run("--start").stderr


def test_once_and_doctor_run_the_commands_and_show_them(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """A person sees what a poll would have, and why something is left out; nothing runs on afterwards."""
    agent = make_agent(port=server.port)
    configure(
        agent,
        command(plugin(home, "good", f"echo $$ >> {home}/pids; echo 'orders{{shop=\"a\"}} 7'")),
        command(plugin(home, "bad", "echo no such host >&2; exit 1")),
    )
    once = agent.run("--once").stdout
    assert "command_metric_orders" in once
    assert "bad left out: exit status 1; expected 0; standard error: no such host" in once
    doctor = agent.run("--doctor").stdout
    assert (
        "left out of the polls: exit status 1; expected 0; standard error: no such host" in doctor
    )
    assert none_runs(home / "pids")
    (home / "bad").unlink()
    check = agent.run("--check").stdout
    assert "good, bad" in check
    assert f"Note: commands: bad: {home}/bad is no file; expected a program" in check
    assert "orders" not in check


def test_only_the_agents_user_runs_the_commands_of_once(make_agent: MakeAgent, home: Path) -> None:
    """Root runs them as that user, and another user not at all: neither is led to run a stranger's program."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory to another user")
    agent = make_agent()
    configure(agent, command(plugin(home, "who", 'echo "uid $(id -u)"')))
    for name in ("log", "cache", "daemon"):
        (home / name).mkdir()
        os.chown(home / name, NOBODY, NOBODY)
    shown = json.loads(agent.run("--once", "--json").stdout)["families"]
    series = [one for family in shown for one in family["series"]]
    assert [one["value"] for one in series if one["key"] == "command_metric_uid"] == [NOBODY]
    for name in ("log", "cache", "daemon"):
        os.chown(home / name, NOBODY - 1, NOBODY - 1)
    run_by_nobody(agent)
    assert "not run: only the agent's user" in agent.run("--once").stdout
    assert "not run: only the agent's user" in agent.run("--doctor").stdout


def test_what_others_may_write_to_runs_nothing_by_once(make_agent: MakeAgent, home: Path) -> None:
    """Neither a configuration nor a program: it would run with the rights of whoever looks."""
    agent = make_agent()
    path = plugin(home, "open", f"echo $$ >> {home}/pids")
    configure(agent, command(path))
    own = agent.configuration / f"{NAME}.yaml"
    own.chmod(0o666)
    assert "commands are not run: " in agent.run("--once").stderr
    own.chmod(0o644)
    path.chmod(0o777)
    assert "open left out: not run: " in agent.run("--once").stdout
    assert not runs(home / "pids")


def test_a_clock_set_back_changes_nothing(
    make_agent: MakeAgent, server: PattooServer, home: Path, host: Host
) -> None:
    """Runs and ages are measured by a clock that nobody sets."""
    clock = Clock(home)
    agent = make_agent(port=server.port, environment=clock.environment)
    configure(agent, command(plugin(home, "ticks", f"echo $$ >> {home}/pids; echo x 1")))
    agent.start()
    wait_for(lambda: runs(home / "pids"), what="a run")
    clock.step(-HOUR_S)
    before = len(runs(home / "pids"))
    wait_for(lambda: len(runs(home / "pids")) >= before + 3, what="further runs")
    assert troubles(agent) == {}
    host.assert_none_missed(agent.status())
