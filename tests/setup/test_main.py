"""`pattoo_mp_setup` below a temporary root."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.program import SPOKE
from pattoo_mp.setup import host
from pattoo_mp.setup.main import main, status_line
from pattoo_mp.setup.plan import Act, Step
from tests.support.agent import NAME
from tests.support.unprivileged import NOBODY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(home: Path) -> Path:
    """The root of a host that runs systemd and has no other files."""
    (home / "run/systemd/system").mkdir(parents=True)
    return home


def setup(root: Path, *words: str) -> int:
    """Run the command; return its exit status."""
    return main([*words, "--root", str(root)])


def files(root: Path) -> dict[str, bytes]:
    """The content of all files by their path on the host; empty for directories."""
    return {
        f"/{path.relative_to(root)}": path.read_bytes() if path.is_file() else b""
        for path in root.rglob("*")
    }


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "expected install, uninstall or status;"),
        ("instal", "did you mean install?"),
        ("status --dry-run", "--dry-run is only for install or uninstall;"),
        ("--logrotate", "--logrotate is only for install or status;"),
    ],
)
def test_a_mistake_gets_one_line_with_the_verbs_that_were_expected(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verb that is missing or mistyped, and an option of others."""
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("usage: pattoo_mp_setup VERB [OPTION]: error: ")
    assert said in line


def test_a_dry_run_prints_the_steps_and_changes_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same lines as the run that follows."""
    before = files(root)
    assert setup(root, "install", "--dry-run") == 0
    first, *would = capsys.readouterr().out.splitlines()
    assert first == "Nothing is changed. Without --dry-run, these steps would be taken:"
    assert files(root) == before
    assert setup(root, "install") == 0
    assert capsys.readouterr().out.splitlines() == would


def test_a_missing_user_is_told_from_a_file() -> None:
    """Its name alone could be either."""
    user = Step(Act.ADD_USER, "add", "pattoo", "a user")
    assert status_line(user) == "lacks   pattoo (a user)"
    assert status_line(Step(Act.WRITE, "update", "/x", "why")) == "old     /x"


def test_a_second_run_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps everything; `status` says what is missing before, and nothing after."""
    assert setup(root, "status") == 3
    assert f"lacks   /etc/pattoo/{NAME}.yaml" in capsys.readouterr().out.splitlines()
    setup(root, "install")
    before = files(root)
    capsys.readouterr()
    assert setup(root, "install") == 0
    assert files(root) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.startswith("keep ") for line in lines)
    assert setup(root, "status") == 0


def test_directories_are_closed_and_files_are_readable_by_all(root: Path) -> None:
    """Other users cannot enter the agent's directories; they can read the configuration."""
    setup(root, "install")
    modes = {
        path: stat.S_IMODE((root / path).stat().st_mode)
        for path in ("etc/pattoo", "var/log/pattoo", "var/lib/pattoo", "etc/pattoo/pattoo.yaml")
    }
    assert modes == {
        "etc/pattoo": 0o755,
        "var/log/pattoo": 0o750,
        "var/lib/pattoo": 0o750,
        "etc/pattoo/pattoo.yaml": 0o644,
    }


def test_a_new_release_is_put_beside_a_changed_file_once(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the administrator has removed it, it is not put there again."""
    setup(root, "install")
    path = "/etc/pattoo/pattoo.yaml"
    changed = root / path.lstrip("/")
    changed.write_text(changed.read_text() + "# mine\n")
    record = root / host.RECORD_PATH.lstrip("/")
    installed = json.loads(record.read_text())
    installed["files"][path] = "of an older release"
    record.write_text(json.dumps(installed))
    setup(root, "install")
    assert (root / f"{path}.new".lstrip("/")).exists()
    before = files(root)
    capsys.readouterr()
    setup(root, "install")
    assert f"keep    {path} (is yours)" in capsys.readouterr().out.splitlines()
    assert files(root) == before
    (root / f"{path}.new".lstrip("/")).unlink()
    setup(root, "install")
    assert not (root / f"{path}.new".lstrip("/")).exists()


def test_an_existing_configuration_is_kept_and_its_directories_are_made(root: Path) -> None:
    """For example the original agent's: its directories are made, not those of the sample."""
    (root / "etc/pattoo").mkdir(parents=True)
    changed = root / "etc/pattoo/pattoo.yaml"
    changed.write_text(
        "pattoo:\n  log_directory: /srv/log\n  cache_directory: /srv/cache\n"
        "  daemon_directory: /srv/daemon\n"
    )
    before = changed.read_bytes()
    assert setup(root, "install") == 0
    assert changed.read_bytes() == before
    assert changed.with_name("pattoo.yaml.new").read_bytes().startswith(b"# pattoo.yaml")
    assert (root / "srv/cache").is_dir()
    assert not (root / "var/cache/pattoo").exists()
    assert setup(root, "uninstall", "--purge") == 0
    assert [path for path, content in files(root).items() if content] == ["/etc/pattoo/pattoo.yaml"]
    assert not (root / "srv/cache").exists()


def test_uninstall_leaves_configuration_and_data(root: Path) -> None:
    """It removes only the unit; a new installation finds the rest as it was."""
    setup(root, "install")
    (root / "var/lib/pattoo/agent_id").write_text("who I am")
    before = files(root)
    unit = f"/etc/systemd/system/{NAME}.service"
    assert setup(root, "uninstall") == 0
    assert before.keys() - files(root).keys() == {unit}
    assert setup(root, "install") == 0
    assert files(root) == before


def test_purge_removes_everything_that_install_made(root: Path) -> None:
    """Data, configuration and record."""
    setup(root, "install")
    (root / "var/lib/pattoo/agent_id").write_text("who I am")
    setup(root, "uninstall", "--purge")
    assert not any(files(root).values())
    assert not any("pattoo" in path for path in files(root))


def test_the_file_for_logrotate_is_optional(root: Path) -> None:
    """It names the configured log. Once installed, it is kept up to date, and removed with the rest."""
    setup(root, "install")
    configured = root / "etc/pattoo/pattoo.yaml"
    text = configured.read_text()
    configured.write_text(text.replace("/var/log/pattoo", "/srv/log"))
    logrotate = root / "etc/logrotate.d/pattoo"
    assert not logrotate.exists()
    setup(root, "install", "--logrotate")
    assert "/srv/log/pattoo.log {\n" in logrotate.read_text()
    assert f"$(cat /var/lib/pattoo/pid/{NAME}.pid " in logrotate.read_text()
    logrotate.unlink()
    setup(root, "install")
    assert logrotate.exists()
    setup(root, "uninstall")
    assert not logrotate.exists()


def test_the_receiver_is_optional(root: Path) -> None:
    """Its unit names the command, and its store has a directory. Once installed, both are kept."""
    setup(root, "install")
    unit = root / "etc/systemd/system/pattoo_mp_receiver.service"
    assert not unit.exists()
    setup(root, "install", "--receiver")
    assert "--database /var/lib/pattoo_mp_receiver/receiver.sqlite" in unit.read_text()
    assert "/opt/pattoo_mp" not in unit.read_text()
    assert stat.S_IMODE((root / "var/lib/pattoo_mp_receiver").stat().st_mode) == 0o750
    unit.unlink()
    setup(root, "install")
    assert unit.exists()
    (root / "var/lib/pattoo_mp_receiver/receiver.sqlite").write_text("what was kept")
    setup(root, "uninstall")
    assert not unit.exists()
    assert (root / "var/lib/pattoo_mp_receiver/receiver.sqlite").exists()


def test_the_receiver_needs_something_that_starts_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says which option names it; nothing is installed."""
    assert setup(root, "install", "--receiver", "--boot", "none") == 1
    assert "neither systemd nor supervisord" in capsys.readouterr().err
    assert not (root / "etc").exists()


def test_a_later_install_keeps_the_choice_of_boot(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A unit beside the section for supervisord would start a second agent."""
    section = root / f"etc/supervisor/conf.d/{NAME}.conf"
    section.parent.mkdir(parents=True)
    setup(root, "install", "--boot", "supervisord")
    section.unlink()
    capsys.readouterr()
    assert setup(root, "status") == 3
    assert f"lacks   /etc/supervisor/conf.d/{NAME}.conf" in capsys.readouterr().out.splitlines()
    setup(root, "install")
    assert section.exists()
    assert not (root / f"etc/systemd/system/{NAME}.service").exists()


def test_a_later_install_and_status_keep_the_choice_to_start_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The host runs systemd, but the administrator chose `none`: no unit is missing."""
    setup(root, "install", "--boot", "none")
    assert setup(root, "install") == 0
    assert not (root / f"etc/systemd/system/{NAME}.service").exists()
    capsys.readouterr()
    assert setup(root, "status") == 0
    assert ".service" not in capsys.readouterr().out


@pytest.mark.parametrize("other", ["supervisord", "none"])
def test_a_second_choice_of_boot_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    """Both would start the agent. After `uninstall`, another choice is possible."""
    setup(root, "install", "--boot", "systemd")
    before = files(root)
    assert setup(root, "install", "--boot", other) == 1
    assert capsys.readouterr().err == (
        f"pattoo_mp_setup: error: --boot {other}: systemd already starts the agent, by "
        f"/etc/systemd/system/{NAME}.service; expected 'pattoo_mp_setup uninstall' first, which "
        f"keeps configuration and data\n"
    )
    assert files(root) == before
    setup(root, "uninstall")
    assert setup(root, "install", "--boot", other) == 0
    assert not (root / f"etc/systemd/system/{NAME}.service").exists()


def test_a_link_in_place_of_a_file_is_not_followed(root: Path) -> None:
    """A user who can write to /etc/pattoo must not redirect root's writes."""
    precious = root / "precious"
    precious.write_text("precious")
    (root / "etc/pattoo").mkdir(parents=True)
    (root / "etc/pattoo/pattoo.yaml").write_text(
        "pattoo: {log_directory: /l, cache_directory: /c, daemon_directory: /d}\n"
    )
    (root / "etc/pattoo/pattoo.yaml.new").symlink_to(precious)
    assert setup(root, "install") == 0
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("content", ["{", "[]", '{"files": 3}'])
def test_a_damaged_record_is_reported(
    root: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """In one line, and nothing is removed."""
    setup(root, "install")
    (root / host.RECORD_PATH.lstrip("/")).write_text(content)
    before = files(root)
    capsys.readouterr()
    assert setup(root, "uninstall", "--purge") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "installed.json: is damaged; expected the record of install" in line
    assert files(root) == before


def test_steps_before_an_error_are_recorded(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Here a file is in the way of a directory. The next run continues."""
    (root / "etc").mkdir()
    (root / "etc/systemd").write_text("in the way")
    assert setup(root, "install") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pattoo_mp_setup: error: {root}/etc/systemd")
    assert line.endswith(": Not a directory; expected to write a file")
    record = json.loads((root / host.RECORD_PATH.lstrip("/")).read_text())
    assert "/etc/pattoo/pattoo.yaml" in record["files"]
    (root / "etc/systemd").unlink()
    assert setup(root, "install") == 0
    assert setup(root, "uninstall", "--purge") == 0
    assert not any(files(root).values())


def test_an_invalid_configuration_is_reported(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit status 2 and the same lines as the agent's."""
    (root / "etc/pattoo").mkdir(parents=True)
    (root / "etc/pattoo/pattoo.yaml").write_text("pattoo:\n  log_directory: here\n")
    assert setup(root, "install") == 2
    assert "log_directory: 'here'; expected the absolute path" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
def test_an_unprivileged_user_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one line and exit status 1. Below another root it works."""
    home.chmod(0o777)
    os.seteuid(65534)
    try:
        assert main(["install"]) == 1
        assert setup(home, "install", "--boot", "none") == 0
    finally:
        os.seteuid(0)
    assert capsys.readouterr().err == (
        "pattoo_mp_setup: error: install: needs root; expected root, --root or --dry-run\n"
    )
    assert (home / "etc/pattoo/pattoo.yaml").exists()


def below_their_directory(root: Path) -> Path:
    """Configure directories below one of another user; return that one."""
    (root / "etc/pattoo").mkdir(parents=True)
    (root / "etc/pattoo/pattoo.yaml").write_text(
        "pattoo:\n  log_directory: /srv/agent/x/log\n  cache_directory: /srv/cache\n"
        "  daemon_directory: /srv/daemon\n"
    )
    (root / "srv/agent").mkdir(parents=True)
    os.chown(root / "srv/agent", NOBODY, NOBODY)
    return root / "srv/agent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_install_makes_nothing_behind_a_link_of_another_user(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the link."""
    theirs = below_their_directory(root)
    (theirs / "x").symlink_to(root / "etc")
    assert setup(root, "install") == 1
    assert capsys.readouterr().err == (
        f"pattoo_mp_setup: error: {theirs}/x: is a symbolic link, and another user may have made it; "
        "expected to make a directory\n"
    )
    assert not (root / "etc/log").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_purge_removes_nothing_behind_a_link_of_another_user(root: Path) -> None:
    """Its user moved away what install made, and put a link there."""
    theirs = below_their_directory(root)
    assert setup(root, "install") == 0
    precious = root / "precious" / "log"
    precious.mkdir(parents=True)
    (precious / "file").write_text("precious")
    (theirs / "x").rename(theirs / "y")
    (theirs / "x").symlink_to(precious.parent)
    assert setup(root, "uninstall", "--purge") == 0
    assert (precious / "file").exists()
    assert not (root / "srv/cache").exists()


def test_several_agents_are_set_up_on_one_host(root: Path) -> None:
    """Each with its own configuration and unit; what they share is there once, and all goes at once."""
    setup(root, "install")
    before = files(root)
    assert setup(root, "install", "--agent", "spoked") == 0
    new = files(root).keys() - before.keys()
    assert new == {
        f"/etc/pattoo/{SPOKE.name}.yaml",
        f"/etc/systemd/system/{SPOKE.name}.service",
    }
    changed = {path for path, content in before.items() if files(root)[path] != content}
    assert changed == {"/var/lib/pattoo_mp-setup/installed.json"}
    unit = (root / f"etc/systemd/system/{SPOKE.name}.service").read_text()
    assert f"ExecStart=/usr/bin/env {SPOKE.name} --foreground\n" in unit
    assert NAME not in unit
    for agent in ("autonomousd", "spoked"):
        assert setup(root, "status", "--agent", agent) == 0
    assert setup(root, "uninstall", "--purge") == 0
    assert not [path for path in files(root) if SPOKE.name in path or NAME in path]


def test_the_log_of_each_agent_is_rotated_by_its_own_file(root: Path) -> None:
    """With its own log and PID file, so that its own process opens the new one."""
    setup(root, "install", "--logrotate")
    setup(root, "install", "--agent", "spoked", "--logrotate")
    first = (root / "etc/logrotate.d/pattoo").read_text()
    second = (root / f"etc/logrotate.d/{SPOKE.name}").read_text()
    assert "/var/log/pattoo/pattoo.log {" in first
    assert f"/var/log/pattoo/{SPOKE.name}.log {{" in second
    assert f'"{SPOKE.name}: control"*) kill -USR1' in second
    assert NAME not in second
