"""`pattoo_mp-setup` below a root of a test's own."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.setup import host
from pattoo_mp.setup.main import main
from tests.support.agent import NAME

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(home: Path) -> Path:
    """The root of a host with systemd and nothing else."""
    (home / "run/systemd/system").mkdir(parents=True)
    return home


def setup(root: Path, *words: str) -> int:
    """Run the command; its exit status."""
    return main([*words, "--root", str(root)])


def files(root: Path) -> dict[str, bytes]:
    """Everything that is there, by its path on the host; directories are empty."""
    return {
        f"/{path.relative_to(root)}": path.read_bytes() if path.is_file() else b""
        for path in root.rglob("*")
    }


def test_a_dry_run_says_it_and_does_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same lines as the run that follows."""
    before = files(root)
    assert setup(root, "install", "--dry-run") == 0
    first, *would = capsys.readouterr().out.splitlines()
    assert first == "Nothing is done. Without --dry-run this would be:"
    assert files(root) == before
    assert setup(root, "install") == 0
    assert capsys.readouterr().out.splitlines() == would


def test_a_second_run_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is there; `status` agrees, before and after."""
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


def test_directories_are_the_agents_and_files_are_for_all_to_read(root: Path) -> None:
    """Nobody else looks into its data; the configuration is root's."""
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


def test_what_a_new_release_ships_is_offered_once(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a file that a person changed; whoever has seen it and removed it has it no more."""
    setup(root, "install")
    path = "/etc/pattoo/pattoo.yaml"
    theirs = root / path.lstrip("/")
    theirs.write_text(theirs.read_text() + "# mine\n")
    noted = root / host.PATH.lstrip("/")
    installed = json.loads(noted.read_text())
    installed["files"][path] = "of an older release"
    noted.write_text(json.dumps(installed))
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


def test_a_configuration_that_is_there_is_kept_and_its_directories_are_made(root: Path) -> None:
    """An original agent's: its directories, not those of our sample."""
    (root / "etc/pattoo").mkdir(parents=True)
    theirs = root / "etc/pattoo/pattoo.yaml"
    theirs.write_text(
        "pattoo:\n  log_directory: /srv/log\n  cache_directory: /srv/cache\n"
        "  daemon_directory: /srv/daemon\n"
    )
    before = theirs.read_bytes()
    assert setup(root, "install") == 0
    assert theirs.read_bytes() == before
    assert theirs.with_name("pattoo.yaml.new").read_bytes().startswith(b"# pattoo.yaml")
    assert (root / "srv/cache").is_dir()
    assert not (root / "var/cache/pattoo").exists()
    assert setup(root, "uninstall", "--purge") == 0
    assert [path for path, content in files(root).items() if content] == ["/etc/pattoo/pattoo.yaml"]
    assert not (root / "srv/cache").exists()


def test_uninstall_leaves_configuration_and_data(root: Path) -> None:
    """Only the unit goes; a new installation finds all else as it was."""
    setup(root, "install")
    (root / "var/lib/pattoo/agent_id").write_text("who I am")
    before = files(root)
    unit = f"/etc/systemd/system/{NAME}.service"
    assert setup(root, "uninstall") == 0
    assert before.keys() - files(root).keys() == {unit}
    assert setup(root, "install") == 0
    assert files(root) == before


def test_purge_leaves_nothing_of_ours(root: Path) -> None:
    """Data, configuration and record are gone."""
    setup(root, "install")
    (root / "var/lib/pattoo/agent_id").write_text("who I am")
    setup(root, "uninstall", "--purge")
    assert not any(files(root).values())
    assert not any("pattoo" in path for path in files(root))


def test_logrotate_gets_a_file_only_if_that_is_asked_for(root: Path) -> None:
    """For the log where it is; from then on it follows new releases, and goes with the rest."""
    setup(root, "install")
    configured = root / "etc/pattoo/pattoo.yaml"
    text = configured.read_text()
    configured.write_text(text.replace("/var/log/pattoo", "/srv/log"))
    rotating = root / "etc/logrotate.d/pattoo"
    assert not rotating.exists()
    setup(root, "install", "--logrotate")
    assert "/srv/log/pattoo.log {\n" in rotating.read_text()
    assert f"$(cat /var/lib/pattoo/pid/{NAME}.pid " in rotating.read_text()
    rotating.unlink()
    setup(root, "install")
    assert rotating.exists()
    setup(root, "uninstall")
    assert not rotating.exists()


def test_what_starts_it_stays_what_was_chosen(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A later install that does not say it again adds no unit to the section: two agents would start."""
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


@pytest.mark.parametrize("other", ["supervisord", "none"])
def test_another_is_not_put_beside_what_starts_it(
    root: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    """Both would start it. After `uninstall` it may be chosen anew."""
    setup(root, "install", "--boot", "systemd")
    before = files(root)
    assert setup(root, "install", "--boot", other) == 1
    assert capsys.readouterr().err == (
        f"pattoo_mp-setup: error: --boot {other}: systemd starts the agent by "
        f"/etc/systemd/system/{NAME}.service; expected 'pattoo_mp-setup uninstall' first, which "
        f"keeps configuration and data\n"
    )
    assert files(root) == before
    setup(root, "uninstall")
    assert setup(root, "install", "--boot", other) == 0
    assert not (root / f"etc/systemd/system/{NAME}.service").exists()


def test_no_link_is_followed_to_a_file_of_somebody_elses(root: Path) -> None:
    """Whoever may write to /etc/pattoo must not lead us elsewhere."""
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
def test_a_damaged_record_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """One line, and nothing is removed by guessing."""
    setup(root, "install")
    (root / host.PATH.lstrip("/")).write_text(content)
    before = files(root)
    capsys.readouterr()
    assert setup(root, "uninstall", "--purge") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "installed.json: is damaged; expected what install has noted" in line
    assert files(root) == before


def test_what_was_done_before_an_error_is_recorded(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the way of a directory: the next run goes on from there."""
    (root / "etc").mkdir()
    (root / "etc/systemd").write_text("in the way")
    assert setup(root, "install") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pattoo_mp-setup: error: {root}/etc/systemd")
    assert line.endswith(": Not a directory; expected to write a file")
    noted = json.loads((root / host.PATH.lstrip("/")).read_text())
    assert "/etc/pattoo/pattoo.yaml" in noted["files"]
    (root / "etc/systemd").unlink()
    assert setup(root, "install") == 0
    assert setup(root, "uninstall", "--purge") == 0
    assert not any(files(root).values())


def test_a_broken_configuration_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit status 2 and the lines that the agent has for it."""
    (root / "etc/pattoo").mkdir(parents=True)
    (root / "etc/pattoo/pattoo.yaml").write_text("pattoo:\n  log_directory: here\n")
    assert setup(root, "install") == 2
    assert "log_directory: 'here'; expected the absolute path" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_who_is_not_root_is_told_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit status 1; below a root of their own they may."""
    home.chmod(0o777)
    os.seteuid(65534)
    try:
        assert main(["install"]) == 1
        assert setup(home, "install", "--boot", "none") == 0
    finally:
        os.seteuid(0)
    assert capsys.readouterr().err == (
        "pattoo_mp-setup: error: install: needs root; expected that, or --root or --dry-run\n"
    )
    assert (home / "etc/pattoo/pattoo.yaml").exists()
