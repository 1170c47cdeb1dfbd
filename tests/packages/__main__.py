"""`make deb-trial`: install, upgrade, remove and purge Debian's packages in a fresh Debian.

It needs root, mmdebstrap, systemd-nspawn, the tools of `make deb`, and the sources of this machine's apt. No
earlier release is published, so the upgrade is from the same source tree with a lower version, another default
in two configuration files and another line in a unit.

Exit status 0 if everything is as expected.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tests.packages import debian_root
from tests.packages.debian_root import TrialError
from tests.support.waiting import wait_for
from tools import packages

if TYPE_CHECKING:
    from tests.packages.debian_root import Machine

#: A trial takes two minutes here.
LIMIT_S: Final = 1200
AGENT: Final = "pattoo_agent_os_autonomousd"
RECEIVER: Final = "pattoo_mp_receiver"
OLD_VERSION: Final = "0.0.9"
INTERVAL: Final = "0.2"
#: So many polls wait during the upgrade.
BACKLOG: Final = 50
#: The most that the receiver answers: here each poll is one.
POINTS: Final = 5000
OWN_FILE: Final = f"/etc/pattoo/{AGENT}.yaml"
UNTOUCHED_FILE: Final = "/etc/pattoo/pattoo_agent_os_hubd.yaml"
#: What apt, dpkg and systemd write for themselves.
OF_THE_SYSTEM: Final = (
    r"/var/lib/dpkg/(status|status-old|available|lock.*|triggers/Lock)",  # dpkg's database
    r"/var/lib/apt/(extended_states|lists.*)",  # apt's database
    r"/var/cache/apt/.*",
    r"/var/cache/debconf/.*",
    r"/var/log/(dpkg\.log|alternatives\.log|apt/.*)",  # their logs
    r"/var/log/journal(/.*)?",  # systemd's log
    r"/var/log/(wtmp|btmp|lastlog)",
    r"/var/lib/systemd/(random-seed|timers/.*|deb-systemd-helper-enabled|deb-systemd-helper-masked)",
    r"/etc/(passwd|group|shadow|gshadow)-",  # the state before the last change, by the tools that change them
    r"/etc/\.pwd\.lock",
)


def main() -> int:
    """Run the trial; print what was seen; return the exit status."""
    if os.geteuid() != 0:
        return _fail("needs root; expected root, and a machine where it may boot a container")
    if missing := debian_root.missing_programs():
        return _fail(f"a program is missing; expected after: apt-get install {' '.join(missing)}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _stop)
    signal.alarm(LIMIT_S)
    try:
        with TemporaryDirectory(prefix="pattoo-mp-trial-") as directory:
            _trial(Path(directory))
    except (TrialError, AssertionError, packages.BuildError) as error:
        return _fail(str(error))
    _say("Everything is as expected.")
    return 0


def _trial(directory: Path) -> None:
    _say("Building the packages, and those of an earlier version")
    new = packages.build("deb", directory / "new")
    old = packages.build("deb", directory / "old", _older_sources(directory / "older"))
    names = re.findall(
        r"python3-[\w-]+|adduser|logrotate", (packages.ROOT / "debian/control").read_text()
    )
    _say("Making a fresh Debian, with what the packages depend on")
    with debian_root.fresh_root(sorted(set(names) - {"python3-gnupg"})) as root:
        for version, files in (("old", old), ("new", new)):
            (root / "root" / version).mkdir(mode=0o755, parents=True)
            for file in files:
                (root / "root" / version / file.name).write_bytes(file.read_bytes())
        with debian_root.booted(root) as machine:
            machine.run("systemd-tmpfiles", "--create")
            _whole_life(machine)
            _what_was_there_before(machine)
            _what_a_person_changed(machine)


def _older_sources(to: Path) -> Path:
    """The same sources as of an earlier release."""
    packages.copy_sources(packages.ROOT, to)
    _change(to / "debian/changelog", r"\A(pattoo-mp) \(.*?\)", rf"\1 ({OLD_VERSION})")
    _change(to / "pattoo_mp/__init__.py", r'__version__ = ".*"', f'__version__ = "{OLD_VERSION}"')
    for path in (OWN_FILE, UNTOUCHED_FILE):
        _change(to / "conf" / Path(path).name, r"\A", "# Of the earlier release.\n")
    _change(to / f"conf/{AGENT}.service", r"TimeoutStopSec=\d+", "TimeoutStopSec=33")
    return to


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed, times = re.subn(old, new, text, count=1)
    if not times:
        raise TrialError(f"{path}: has no {old}; expected to change it")
    path.write_text(changed, encoding="utf-8")


def _whole_life(machine: Machine) -> None:
    before = debian_root.snapshot(machine.root)
    _install(machine, "old")
    _expect(_is(machine, "is-enabled", AGENT), "enabled", "the agent at boot")
    _expect(_is(machine, "is-active", AGENT), "inactive", "the agent after installation")
    _expect(_is(machine, "is-enabled", "pattoo_agent_os_spoked"), "disabled", "the spoke at boot")
    _expect(_is(machine, "is-active", RECEIVER), "active", "the receiver after installation")
    wanted = "pattoo:pattoo 750"
    for path in ("/var/log/pattoo", "/var/cache/pattoo", "/var/lib/pattoo"):
        _expect(machine.run("stat", "--format=%U:%G %a", path).strip(), wanted, path)

    # Its unit says when it is ready; and it goes again.
    for verb in ("start", "stop"):
        machine.run("systemctl", verb, "pattoo_agent_os_spoked")
    refused = machine.run("sh", "-c", "pattoo_mp_setup install 2>&1 || true")
    _expect(
        "set up by the distribution's package" in refused, True, "setup of what the package did"
    )
    own = _configure(machine)
    check = machine.run("runuser", "-u", "pattoo", "--", AGENT, "--check")
    _expect("log_max_bytes               0" in check, True, "logrotate's setting in --check")
    machine.run("systemctl", "start", AGENT)
    _wait_for_delivery(machine, 20)
    _say(f"{_account(machine)}: installed, configured, started; version {_version(machine)}")

    # Disabled, so that the upgrade does not start it again: as if the server were away all the time.
    machine.run("systemctl", "disable", "--now", RECEIVER)
    wait_for(lambda: _waiting(machine) >= BACKLOG, what=f"{BACKLOG} waiting polls")
    pid = _status(machine)["control"]["pid"]
    _say(f"{_account(machine)}: the receiver is stopped, and polls wait")
    _install(machine, "new")
    wait_for(lambda: _version(machine) != OLD_VERSION, what="the new version in the status")
    _expect(_status(machine)["control"]["pid"] != pid, True, "another process after the upgrade")
    _expect(_waiting(machine) >= BACKLOG, True, "polls that wait after the upgrade")
    stop_s = machine.run("systemctl", "show", "--property=TimeoutStopUSec", AGENT).strip()
    _expect(stop_s, "TimeoutStopUSec=20s", "the new unit in force")
    _say(f"{_account(machine)}: upgraded to {_version(machine)}")
    _expect((machine.root / OWN_FILE[1:]).read_text(), own, f"what a person wrote in {OWN_FILE}")
    _expect((machine.root / f"{OWN_FILE[1:]}.dpkg-dist").is_file(), True, "the new file beside it")
    untouched = (machine.root / UNTOUCHED_FILE[1:]).read_text()
    _expect("Of the earlier release" in untouched, False, f"the new default in {UNTOUCHED_FILE}")

    machine.run("systemctl", "enable", "--now", RECEIVER)
    _wait_for_delivery(machine, _status(machine)["polls"]["polled"])
    _rotate(machine)
    _compare_with_the_receiver(machine)
    _remove_and_purge(machine, before)


def _remove_and_purge(machine: Machine, before: dict[str, str]) -> None:
    machine.run("apt-get", "remove", "--yes", "pattoo-mp", "pattoo-mp-receiver")
    _expect(
        machine.run("pgrep", "-u", "pattoo", "-a", check=False), "", "processes after the removal"
    )
    for path in (
        "var/cache/pattoo",
        "var/lib/pattoo/agent_id",
        OWN_FILE[1:],
        "var/lib/pattoo_mp_receiver",
    ):
        _expect((machine.root / path).exists(), True, f"/{path} after the removal")
    _say("Removed: no process is left; configuration, identity, spool and store are")
    machine.run("apt-get", "purge", "--yes", "pattoo-mp", "pattoo-mp-receiver")
    left = _differences(before, debian_root.snapshot(machine.root))
    _expect("\n".join(left), "", "what is left after the purge")
    _expect(machine.run("ls", "/run").split().count("pattoo"), 0, "/run/pattoo after the purge")
    _expect(_is(machine, "is-enabled", AGENT), "", "the unit after the purge")
    _say(
        f"Purged: {len(before)} files before and after, none differs, but for apt's and dpkg's own"
    )


def _what_was_there_before(machine: Machine) -> None:
    """A user and directories that somebody else made survive a purge; an installation by pip is such."""
    machine.run("useradd", "--system", "--user-group", "--no-create-home", "pattoo")
    machine.run(
        "install",
        "-d",
        "-o",
        "pattoo",
        "-g",
        "pattoo",
        "-m",
        "0750",
        "/var/lib/pattoo",
        "/var/log/pattoo",
    )
    machine.run("install", "-d", "/etc/pattoo")
    for path, text in (("/var/lib/pattoo/own", "own"), ("/etc/pattoo/credentials", "user:secret")):
        (machine.root / path[1:]).write_text(text)
    before = debian_root.snapshot(machine.root)
    _install(machine, "new")
    machine.run("apt-get", "purge", "--yes", "pattoo-mp", "pattoo-mp-receiver")
    left = _differences(before, debian_root.snapshot(machine.root))
    _expect("\n".join(left), "", "what differs after a purge of packages that came later")
    _say(
        "Installed and purged where user, data and configuration were before: all are as they were"
    )


def _what_a_person_changed(machine: Machine) -> None:
    """A group without its user and the reverse, a link, a mount, one package of two, a removal and a return."""
    machine.run("sh", "-c", "userdel pattoo; rm -r /var/lib/pattoo /var/log/pattoo /etc/pattoo")
    machine.run("useradd", "--gid", "users", "pattoo")
    _install(machine, "new")
    machine.run("systemctl", "start", AGENT)
    # As after an upgrade that failed on the way.
    machine.run("sh", "-c", "dpkg --unpack new/*.deb && dpkg --purge pattoo-mp-receiver pattoo-mp")
    _expect(machine.run("pgrep", "-u", "pattoo", "-a", check=False), "", "processes after a purge")
    _expect(machine.run("id", "--group", "--name", "pattoo").strip(), "users", "a person's user")
    _expect(machine.run("getent", "group", "pattoo", check=False), "", "the group after a purge")

    machine.run("userdel", "pattoo")
    machine.run("groupadd", "--system", "pattoo")
    _install(machine, "old")
    refused = machine.run("sh", "-c", "dpkg --install new/pattoo-mp_*.deb 2>&1 || true")
    _expect("would break pattoo-mp-receiver" in refused, True, "one package of two is refused")
    machine.run("apt-get", "remove", "--yes", "pattoo-mp", "pattoo-mp-receiver")
    said = _install(machine, "new")
    _expect(f"systemctl start {AGENT}" in said, True, "how to start it again after a removal")
    machine.run("sh", "-c", "mkdir /srv/log /srv/own && rmdir /var/log/pattoo && ln -s /srv/log /var/log/pattoo"
                " && touch /srv/own/file && mkdir /var/cache/pattoo/own && mount --bind /srv/own /var/cache/pattoo/own")  # fmt: skip
    machine.run("apt-get", "purge", "--yes", "pattoo-mp", "pattoo-mp-receiver")
    for path in ("/srv/own/file", "/srv/log", "/var/log/pattoo"):
        machine.run("test", "-e", path)
    _expect(machine.run("getent", "group", "pattoo")[:7], "pattoo:", "a person's group")
    _expect(machine.run("getent", "passwd", "pattoo", check=False), "", "the user after a purge")
    _say("What a person had made or changed is still there after a purge, and the rest is not")


# --- steps


def _install(machine: Machine, version: str) -> str:
    """Install both packages; return what apt says."""
    files = [
        f"./{version}/{path.name}" for path in sorted((machine.root / "root" / version).iterdir())
    ]
    return machine.run(
        "apt-get", "install", "--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", *files
    )  # fmt: skip


def _configure(machine: Machine) -> str:
    """Set the interval, as a person would; return what the file is then."""
    path = machine.root / OWN_FILE[1:]
    _change(path, r"  #polling_interval: .*", f"  polling_interval: {INTERVAL}  # mine")
    return path.read_text(encoding="utf-8")


def _rotate(machine: Machine) -> None:
    """The file for logrotate is right, and the agent opens its new log."""
    machine.run(
        "logrotate", "--force", "--state", "/run/trial-logrotate", "/etc/logrotate.d/pattoo"
    )
    logs = machine.root / "var/log/pattoo"
    wait_for((logs / "pattoo.log").exists, what="a new log after a rotation")
    _expect((logs / "pattoo.log.1").exists(), True, "the rotated log")


def _compare_with_the_receiver(machine: Machine) -> None:
    """Every poll of the agent's account is in the receiver's store, once."""
    # Few polls from now on, so that there is a moment without any under way.
    _change(machine.root / OWN_FILE[1:], f"polling_interval: {INTERVAL}", "polling_interval: 3600")
    machine.run("systemctl", "reload", AGENT)
    wait_for(lambda: _waiting(machine) == 0, what="delivery of all polls")
    polls = _status(machine)["polls"]
    _expect(polls["delivered"], polls["polled"], "delivered polls")
    _expect((polls["quarantined"], polls["dropped"]), (0, {}), "polls in quarantine, and dropped")
    stored = _stored(machine)
    _expect(stored, polls["polled"], "polls that the receiver has")
    missed = _status(machine)["missed"]
    _say(
        f"Polled {polls['polled']}, delivered {polls['delivered']}, stored {stored}; ticks missed: {missed}"
    )


def _stored(machine: Machine) -> int:
    """How many polls the receiver has: by a series that is in each of them."""
    found = _ask(machine, "series?words=load_average_01min")["series"]
    _expect(len(found), 1, "series of the load")
    answer = _ask(machine, f"range?series={found[0]['id']}&from=-600000&points={POINTS}")
    return sum(answer["series"][0]["count"])


def _ask(machine: Machine, question: str) -> dict[str, Any]:
    code = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:20201/api/v1/{question}').read().decode())"
    answer: dict[str, Any] = json.loads(machine.run("python3", "-c", code))
    return answer


def _status(machine: Machine) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        machine.run(AGENT, "--status", "--json", check=False) or "{}"
    )
    return answer


def _version(machine: Machine) -> str:
    return str(_status(machine).get("version", ""))


def _waiting(machine: Machine) -> int:
    polls = _status(machine)["polls"]
    return int(polls["in_channel"]) + int(polls["in_spool"])


def _wait_for_delivery(machine: Machine, polls: int) -> None:
    wait_for(
        lambda: _status(machine)["polls"]["delivered"] >= polls, what=f"delivery of {polls} polls"
    )


def _account(machine: Machine) -> str:
    polls = _status(machine)["polls"]
    return f"{polls['polled']} polled, {polls['delivered']} delivered, {_waiting(machine)} waiting"


def _is(machine: Machine, what: str, unit: str) -> str:
    return machine.run("systemctl", what, unit, check=False).strip()


def _differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """One line for each file that differs, but for those that apt, dpkg and systemd write for themselves."""
    own = re.compile("|".join(OF_THE_SYSTEM))
    return [
        f"{path}: before {before.get(path, 'nothing')}, after {after.get(path, 'nothing')}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path) and not own.fullmatch(path)
    ]


# --- the end


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise TrialError(f"{what}: found {found!r}; expected {wanted!r}")


def _say(line: str) -> None:
    print(f"{time.strftime('%T')} {line}", flush=True)


def _fail(problem: str) -> int:
    print(f"tests.packages: error: {problem}", file=sys.stderr)
    return 1


def _stop(number: int, _frame: object) -> NoReturn:
    # All that was begun is taken back on the way out.
    raise TrialError(
        f"{signal.Signals(number).name}: the trial was stopped, or took over {LIMIT_S} s"
    )


if __name__ == "__main__":
    sys.exit(main())
