"""Runs of real programs, whatever they do: each ends, with all that it has started, and says why."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.commands.latest import Latest
from pattoo_mp.config.values import NAGIOS
from pattoo_mp.util.held_process import stat_of
from tests.support.agent import ROOT
from tests.support.plugins import command_of, plugin
from tests.support.unprivileged import NOBODY
from tests.support.waiting import wait_for
from tests.util.test_trust import allow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.collect.commands.answer import Answer
    from pattoo_mp.config.values import Command


@contextmanager
def running(
    *commands: Command, user: tuple[int, tuple[int, ...]] | None = None
) -> Iterator[Latest]:
    """Have commands run."""
    latest = Latest(commands, user)
    try:
        yield latest
    finally:
        latest.close()
        latest._thread.join(60)
        assert not latest._thread.is_alive()


def answer(command: Command) -> Answer:
    """Run a command once."""
    with running(command) as latest:
        return wait_for(lambda: latest.answers.get(command.name), what="an answer")


def answers(*commands: Command) -> dict[str, Answer]:
    """Run commands once."""
    with running(*commands) as latest:
        latest.wait(60)
        return {command.name: latest.answers[command.name] for command in commands}


def ended(path: Path) -> bool:
    """Whether the processes have ended whose numbers are in a file."""
    found = [stat_of(int(number)) for number in path.read_text().split()]
    return bool(found) and not any(process and process.runs for process in found)


def test_figures_status_and_duration(home: Path) -> None:
    """Each figure carries the name of its command."""
    found = answer(command_of(plugin(home, "orders", "echo 'waiting{queue=\"a\"} 7'")))
    assert found.status == 0
    assert found.took_s > 0
    assert found.why == ""
    ((identity, value),) = found.figures
    assert (identity.key, value) == ("command_metric_waiting", 7)
    assert identity.labels == (("command_name", "orders"), ("command_label_queue", "a"))


#: What a program does, its format, its exit status, and how the reason begins why its figures are left out.
BAD = [
    ("echo x 1; exit 3", "prometheus", 3, "exit status 3; expected 0"),
    ("echo 'OK | a=1'; exit 2", NAGIOS, 2, ""),
    ("echo 'OK | a=1'; exit 4", NAGIOS, 4, "exit status 4; expected 0 to 3"),
    ("kill -SEGV $$", "prometheus", 139, "ended by SIGSEGV"),
    ("echo wrong >&2", "prometheus", 0, "it printed nothing; standard error: wrong"),
    ("printf '%0250d' 0 >&2", "prometheus", 0, f"it printed nothing; standard error: {'0' * 200}…"),
    ("echo 'no \033[31mhost' >&2; exit 1", "prometheus", 1, "exit status 1; expected 0; standard error: no \\x1b[31mhost"),
    (r"printf 'x 1\n\377\n'", "prometheus", 0, "line 2: not UTF-8"),
    (r"printf 'OK \377| a=1\n'", NAGIOS, 0, "line 1: not UTF-8"),
    ("echo x one", "prometheus", 0, "line 1: not in Prometheus's text format"),
    ("echo 'x 1'; echo 'x 2'", "prometheus", 0, "duplicate figures are left out: 1"),
    ("printf 'x 1'", "prometheus", 0, "the last line has no newline"),
    ("head -c 20000 /dev/zero | tr '\\0' a; echo ' 1'", "prometheus", 0, "line 1: more than 16384 characters"),
    ("for n in $(seq 1500); do echo \"x{n=\\\"$n\\\"} 1\"; done", "prometheus", 0, "more than 1000 figures; the rest is left out"),
    ("yes", "prometheus", 137, "more than 262144 bytes of output"),
    ("yes >&2", "prometheus", 137, "more than 262144 bytes of standard error"),
    ("yes | cat >&2", "prometheus", 137, "more than 262144 bytes of standard error"),
]  # fmt: skip


def test_a_bad_run_is_told(home: Path) -> None:
    """What it is wrong with, and its exit status as a shell gives it."""
    commands = [
        command_of(plugin(home, f"bad-{number}", script), form=form)
        for number, (script, form, _, _) in enumerate(BAD)
    ]
    found = answers(*commands)
    for number, (script, _, status, why) in enumerate(BAD):
        one = found[f"bad-{number}"]
        assert (one.status, one.why[: len(why)]) == (status, why), script
        assert bool(one.why) == bool(why), script


def test_the_order_in_which_figures_are_printed_does_not_count(home: Path) -> None:
    """Another order would be another layout."""
    found = answer(command_of(plugin(home, "order", "echo b 1; echo 'a{x=\"2\"} 2'; echo a 3")))
    assert [value for _, value in found.figures] == [3, 1, 2]


def test_nan_is_not_sent_and_its_series_stays(home: Path) -> None:
    """As in a text file."""
    found = answer(command_of(plugin(home, "nan", "echo x NaN; echo y 1")))
    assert [value for _, value in found.figures] == [None, 1]
    assert found.why == ""


def test_one_that_hangs_is_ended_at_its_limit(home: Path) -> None:
    """With the exit status of timeout(1)."""
    found = answer(command_of(plugin(home, "hangs", "exec sleep 600"), timeout_s=0.2))
    assert (found.status, found.why) == (124, "ended by the time limit of 0.2 s")


def test_one_that_ignores_sigterm_is_killed(home: Path) -> None:
    """After a moment of grace, with its children."""
    script = f"trap '' TERM; sleep 600 & echo $$ $! > {home}/pids; while :; do wait; done"
    found = answer(command_of(plugin(home, "ignores", script), timeout_s=0.2))
    assert (found.status, found.why) == (124, "ended by the time limit of 0.2 s, by SIGKILL")
    assert ended(home / "pids")


def test_sigterm_lets_it_clean_up(home: Path) -> None:
    """It removes its lock, and what it prints then is not believed."""
    script = f"touch {home}/lock; trap 'rm {home}/lock; echo x 1; exit 0' TERM; sleep 600 & wait"
    found = answer(command_of(plugin(home, "cleans", script), timeout_s=1.0))
    assert (found.status, found.figures) == (124, ())
    assert not (home / "lock").exists()


def test_what_it_leaves_behind_is_ended(home: Path) -> None:
    """Also in a session of its own, with a closed output, or without a parent."""
    script = (
        f"setsid sleep 600 & echo $! > {home}/pids; (sleep 600 & echo $! >> {home}/pids); echo x 1"
    )
    found = answer(command_of(plugin(home, "leaves", script)))
    assert [value for _, value in found.figures] == [1]
    assert found.why == "processes that it left behind, and that were ended: 2"
    assert ended(home / "pids")


def test_a_child_that_holds_the_output_delays_nothing(home: Path) -> None:
    """The end of the program is the end of the run, and not that of its output."""
    script = "sleep 600 & echo x 1"
    found = answer(command_of(plugin(home, "holds", script), timeout_s=60.0))
    assert found.status == 0
    assert [value for _, value in found.figures] == [1]


def test_half_a_number_of_what_it_left_behind_is_not_believed(home: Path) -> None:
    """A child in the background prints 12 of 1234 before the program ends, and its end ends that child."""
    script = f"(printf 'OK | a=12'; touch {home}/half; sleep 600) & while [ ! -e {home}/half ]; do sleep 0.05; done"
    found = answer(command_of(plugin(home, "half", script), form=NAGIOS))
    assert (found.status, found.figures) == (0, ())
    assert found.why.startswith("its output ends within a line, and what it left behind")


def test_a_fork_bomb_is_ended(home: Path) -> None:
    """All of a group at once: none of it can fork meanwhile."""
    script = f"import os, time\nfor _ in range(5): os.fork()\nopen({str(home / 'pids')!r}, 'a').write(f'{{os.getpid()}} ')\ntime.sleep(600)"
    python = shutil.which("python3") or sys.executable
    found = answer(
        command_of(plugin(home, "bomb", script, interpreter=os.path.realpath(python)), timeout_s=2)
    )
    assert found.status == 124
    wait_for(lambda: len((home / "pids").read_text().split()) == 32, what="all numbers")
    assert ended(home / "pids")


def test_a_command_has_few_variables_no_input_and_no_descriptors(home: Path) -> None:
    """Its own ones beside them, in a directory that is no file system's to keep, with its own session."""
    script = f'env | cut -d= -f1 | sort > {home}/env; cat; pwd > {home}/cwd; ls /proc/self/fd > {home}/fds; [ "$(ps -o sid= -p $$)" -eq $$ ] && echo "x $ORDERS"'
    found = answer(command_of(plugin(home, "clean", script), ORDERS="5"))
    assert [value for _, value in found.figures] == [5], found.why
    kept = set((home / "env").read_text().split())
    assert kept - {"_", "OLDPWD"} == {"HOME", "LANG", "LOGNAME", "ORDERS", "PATH", "PWD", "USER"}
    assert (home / "cwd").read_text() == "/\n"
    assert (home / "fds").read_text().split() == ["0", "1", "2", "3"]  # 3 is that of ls


def test_words_reach_the_program_as_they_are(home: Path) -> None:
    """No shell reads them."""
    words = (f"$(touch {home}/made)", f"; touch {home}/made", "*", "", "a b", "é'\"\\")
    path = plugin(home, "words", f'printf "%s\\n" "$@" > {home}/got; echo "x $#"')
    found = answer(command_of(path, *words))
    assert [value for _, value in found.figures] == [len(words)]
    assert (home / "got").read_text().split("\n")[:-1] == list(words)
    assert not (home / "made").exists()


def refused(*cases: tuple[Command, int, str]) -> None:
    """None of the commands is run, each with this exit status and for this reason."""
    found = answers(*(command for command, _, _ in cases))
    for command, status, why in cases:
        one = found[command.name]
        assert (one.status, one.figures) == (status, ())
        assert why in one.why


def test_a_program_that_is_missing_or_none_is_told(home: Path) -> None:
    """With the exit status that a shell gives."""
    home.chmod(0o755)
    plugin(home, "plain", "echo x 1").chmod(0o644)
    plugin(home, "text", "").write_text("echo x 1\n")
    plugin(home, "astray", "", interpreter="/no/such/shell")
    refused(
        (command_of(home / "missing"), 127, f"{home}/missing: No such file or directory"),
        (command_of(home, name="directory"), 126, "is a directory; expected a program"),
        (command_of("/dev/null"), 126, "can be written to by everybody"),
        (command_of(home / "plain"), 126, "is not executable by the agent's user"),
        (command_of(home / "text"), 126, "Exec format error, expected a binary, or a script"),
        (command_of(home / "astray"), 126, "No such file or directory"),
    )


def test_a_program_that_others_may_write_to_is_not_run(home: Path) -> None:
    """Nor one below such a directory, or that a link leads to, or that an interpreter reads."""
    path = plugin(home, "open", f"touch {home}/was-run")
    path.chmod(0o757)
    link = home / "link"
    link.symlink_to(path)
    below = home / "public" / "below"
    below.parent.mkdir()
    plugin(below.parent, "below", f"touch {home}/was-run")
    below.parent.chmod(0o757)
    why = "can be written to by everybody"
    refused(
        (command_of(path), 126, f"{path} {why}"),
        (command_of(link), 126, f"which {why}"),
        (command_of(below), 126, f"which {why}"),
        (command_of("/bin/sh", str(path)), 126, f"{path} {why}"),
        (
            command_of(plugin(home, "by", f"touch {home}/was-run", interpreter=str(path))),
            126,
            f"{path} {why}",
        ),
        (command_of("/bin/sh", str(home / "by"), name="sh-by"), 126, f"{path} {why}"),
        (command_of("/usr/bin/env", "X=1", str(path)), 126, f"{path} {why}"),
    )
    assert not (home / "was-run").exists()


def test_an_access_list_counts(home: Path) -> None:
    """Another user may write by it."""
    path = plugin(home, "listed", "echo x 1")
    allow(path, 0x02, NOBODY - 1)
    refused((command_of(path), 126, f"can be written to by {NOBODY - 1}"))


def test_a_program_is_looked_at_before_each_run(home: Path) -> None:
    """One that is replaced is run as it is then; one that others may write to by then is not run."""
    path = plugin(home, "changes", "echo x 1")
    command = command_of(path, interval_s=1.0, timeout_s=1.0)

    def values() -> list[object]:
        return [value for _, value in latest.answers[command.name].figures]

    with running(command) as latest:
        latest.wait(60)
        assert values() == [1]
        plugin(home, "changes", "sleep 0.2; echo x 2")
        wait_for(lambda: values() == [2], what="the figure of the new program")
        path.chmod(0o777)
        wait_for(lambda: latest.answers[command.name].status == 126, what="a refusal")
        path.chmod(0o755)
        wait_for(lambda: values() == [2], what="the next run")


def test_one_that_hangs_delays_no_other(home: Path) -> None:
    """Each run has a process of its own."""
    hanging = command_of(plugin(home, "hangs", "exec sleep 600"), timeout_s=60.0)
    others = [command_of(plugin(home, f"other-{n}", "echo x 1")) for n in range(3)]
    with running(hanging, *others) as latest:
        wait_for(lambda: len(latest.answers) == 3, what="the answers of the others")
        assert "hangs" not in latest.answers


def test_one_that_cannot_be_ended_is_told_and_not_run_again(home: Path) -> None:
    """It has become root, so an agent of another user cannot signal it."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a program that becomes root")
    home.chmod(0o755)
    path = home / "becomes"
    shutil.copy(shutil.which("setpriv") or "setpriv", path)
    path.chmod(0o4755)
    script = f"echo $$ >> {home}/pids; exec sleep 600"
    words = ("--reuid=0", "--regid=0", "--clear-groups", "/bin/sh", "-c", script)
    command = command_of(path, *words, interval_s=1.0, timeout_s=0.2)
    with running(command, user=(NOBODY, (NOBODY,))) as latest:
        latest.wait(60)
        first = latest.answers["becomes"]
        if first.status != 124:
            pytest.skip(f"no program becomes root here: {first.why}")
        (pid,) = (home / "pids").read_text().split()
        assert first.why.endswith(
            f"process {pid} cannot be ended; the next run waits until it has ended"
        )
        os.kill(int(pid), signal.SIGKILL)
        wait_for(lambda: len((home / "pids").read_text().split()) == 2, what="the next run")
        os.kill(int((home / "pids").read_text().split()[1]), signal.SIGKILL)


def test_two_runs_of_a_command_never_overlap(home: Path) -> None:
    """One that needs longer than its interval is run again when it has ended."""
    script = f"set -C; echo > {home}/lock || exit 9; sleep 1.5; rm {home}/lock; echo x 1"
    command = command_of(plugin(home, "slow", script), interval_s=1.0, timeout_s=30.0)
    with running(command) as latest:
        latest.wait(60)
        first = latest.answers["slow"]
        second = wait_for(
            lambda: latest.answers["slow"] if latest.answers["slow"] is not first else None
        )
    assert (first.status, second.status) == (0, 0)
    assert second.started_s - first.started_s >= 1.5


def test_a_command_of_a_new_list_waits_for_the_end_of_the_old_one(home: Path) -> None:
    """After a reload: the old run is told to end, and takes a moment for it."""
    script = (
        f"set -C; echo > {home}/lock || exit 9; trap 'sleep 0.7; rm {home}/lock; exit' TERM; "
        f"echo $$ >> {home}/pids; sleep 600 & wait"
    )
    command = command_of(plugin(home, "locks", script), timeout_s=60.0)
    with running(command) as old:
        wait_for((home / "pids").exists, what="a run")
        old.close()
        new = Latest((command,), former=old)
        try:
            wait_for(lambda: new.answers or len((home / "pids").read_text().split()) == 2)
            assert not new.answers
        finally:
            new.close()
            new._thread.join(60)
    assert ended(home / "pids")


def pid_of_runner() -> int:
    """The process of ours that runs commands: our only child with that title."""

    def found() -> int:
        children = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
            capture_output=True, text=True, check=False,
        ).stdout.splitlines()  # fmt: skip
        return next((int(line.split()[0]) for line in children if ": commands" in line), 0)

    return wait_for(found, what="the process that runs commands")


def test_the_process_that_runs_them_may_be_killed(home: Path) -> None:
    """What it ran ends, too; it is told and started again."""
    script = f"echo $$ >> {home}/pids; exec sleep 600"
    command = command_of(plugin(home, "hangs", script), timeout_s=60.0)
    quick = command_of(plugin(home, "quick", "echo x 1"))
    with running(command, quick) as latest:
        wait_for(lambda: (home / "pids").exists() and "quick" in latest.answers, what="a run")
        before = latest.answers["quick"]
        os.kill(pid_of_runner(), signal.SIGKILL)
        wait_for(lambda: ended(home / "pids"), what="the end of the command")
        wait_for(lambda: "by signal 9" in latest.trouble, what="the note")
        wait_for(lambda: latest.answers["quick"] is not before, what="another run")
        assert latest.trouble == ""


def test_a_run_whose_process_is_killed_is_told_and_ended(home: Path) -> None:
    """What it ran is adopted by the one above it, and killed."""
    script = f"ps -o ppid= -p $$ > {home}/parent; setsid sleep 600 & echo $$ $! > {home}/pids; wait"
    command = command_of(plugin(home, "hangs", script), timeout_s=60.0)
    with running(command) as latest:
        wait_for(lambda: (home / "pids").exists() and (home / "pids").read_text(), what="a run")
        os.kill(int((home / "parent").read_text()), signal.SIGKILL)
        latest.wait(60)
        assert latest.answers["hangs"].why == "the process that ran it was killed"
        wait_for(lambda: ended(home / "pids"), what="the end of the command")


@pytest.mark.parametrize(
    "does",
    ["kill -STOP $PPID", "kill -STOP $above", "kill -STOP $PPID $above", "kill -STOP $PPID; kill -KILL $above"],
)  # fmt: skip
def test_what_somebody_has_stopped_ends_too(home: Path, does: str) -> None:
    """The process that watches a run, the one above it, and both; also if that is killed then."""
    script = (
        f"[ -e {home}/pids ] && exec sleep 600; above=$(ps -o ppid= -p $PPID); "
        f"echo $$ $PPID $above > {home}/all; {does}; mv {home}/all {home}/pids; exec sleep 600"
    )
    with running(command_of(plugin(home, "stops", script), timeout_s=60.0)):
        wait_for((home / "pids").exists, what="a run")
    wait_for(lambda: ended(home / "pids"), what="the end of all")


def test_without_commands_nothing_of_this_is_loaded() -> None:
    """An agent that runs no commands pays nothing, not even with the setting, if the family is off."""
    words = (
        "import sys; from pattoo_mp.collect import collector, registry; from pattoo_mp.doctor.polls import DEFAULT; "
        "from dataclasses import replace; from tests.support.plugins import command_of; "
        "assert registry.latest_of(replace(DEFAULT, commands=(command_of('/bin/true'),))) is None; "
        "print([name for name in sys.modules if name.startswith('pattoo_mp.collect.commands')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_one_that_cannot_be_run_by_its_format_says_what_to_install() -> None:
    """Without the parser of Prometheus's format, only plugins have figures."""
    words = (
        "import sys; sys.modules['prometheus_client'] = None; sys.modules['prometheus_client.parser'] = None; "
        "from pattoo_mp.collect.commands.answer import printed_figures as p; print(p('a', 'prometheus', b'x 1\\n', 0))"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert "prometheus_client is not installed; expected the extra `textfile`" in done.stdout
