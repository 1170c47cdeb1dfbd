"""The file lists of Debian's packages and of the rpm, without a build: what needs no root file system.

`make deb-trial` installs the packages in a fresh Debian.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

import pattoo_mp
from pattoo_mp.config.settings import program_files
from pattoo_mp.program import PROGRAMS, acting_as
from pattoo_mp.setup import host, templates
from tests.support.agent import ROOT
from tests.support.commands import run

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = ROOT / "debian"
SHARE = "usr/share/pattoo-mp"
UNITS = "lib/systemd/system"
#: Debian's packages of what pyproject.toml asks for; of the others the name follows from that of the module.
NAMES = {"PyYAML": "python3-yaml", "supervisor": "supervisor"}
#: Where Debian's control file has an extra.
EXTRAS = {
    "encrypted": ("pattoo-mp", "Suggests"),
    "textfile": ("pattoo-mp", "Recommends"),
    "remote-write": ("pattoo-mp", "Recommends"),
    "receiver": ("pattoo-mp-receiver", "Depends"),
}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of pattoo-mp."""
    return _staged("agent", tmp_path_factory.mktemp("agent"))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of pattoo-mp-receiver."""
    return _staged("receiver", tmp_path_factory.mktemp("receiver"))


def _staged(part: str, directory: Path) -> Path:
    run(ROOT / "packaging/stage", part, directory)
    return directory


def test_together_the_packages_have_all_of_the_program(agent: Path, receiver: Path) -> None:
    """Each file of the package and of conf/, byte for byte, in one of them; and nothing that Python compiled."""
    assert not _files(agent) & _files(receiver)
    assert not [*agent.rglob("__pycache__"), *receiver.rglob("__pycache__")]
    for part in ("pattoo_mp", "conf"):
        ours = {p.relative_to(ROOT) for p in (ROOT / part).rglob("*") if _is_shipped(p)}
        theirs = {
            p.relative_to(root / SHARE)
            for root in (agent, receiver)
            for p in (root / SHARE / part).rglob("*")
            if p.is_file()
        }
        assert theirs == ours
        for path in ours:
            root = receiver if path.is_relative_to("pattoo_mp/receiver") else agent
            assert (root / SHARE / path).read_bytes() == (ROOT / path).read_bytes(), path


def _is_shipped(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def _files(root: Path) -> set[Path]:
    return {p.relative_to(root) for p in root.rglob("*") if p.is_file()}


def test_each_command_of_the_wheel_is_a_command_of_a_package(agent: Path, receiver: Path) -> None:
    """And says its version, by a link to a file of the package, with this Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {p.name for root in (agent, receiver) for p in (root / "usr/bin").iterdir()}
    agents = {program.name for program in PROGRAMS}
    assert found == {*project["scripts"], *(f"{name}.py" for name in agents)}
    for name in agents:
        assert (
            run(sys.executable, agent / "usr/bin" / name, "--version")
            .strip()
            .endswith(f" {pattoo_mp.__version__}")
        )


def test_each_program_has_its_unit_page_and_configuration(agent: Path, receiver: Path) -> None:
    """Units call the packages' commands, and nothing of an installation by pip."""
    units = {p.name: p.read_text() for root in (agent, receiver) for p in (root / UNITS).iterdir()}
    names = [*(program.name for program in PROGRAMS), templates.RECEIVER]
    assert set(units) == {f"{name}.service" for name in names}
    for name in names:
        text = units[f"{name}.service"]
        assert f"\nExecStart=/usr/bin/{name} " in text
        assert f"\nDocumentation=man:{name}(8)\n" in text
        assert f"\nUser={host.USER}\n" in text
        assert "/opt" not in text
        assert "env " not in text
    for program in PROGRAMS:
        with acting_as(program):
            for name in program_files():
                assert (agent / "etc/pattoo" / name).is_file()
    trees = [root / "usr/share" for root in (agent, receiver)]
    pages = {
        p.name for tree in trees for p in (tree / "man").rglob("*.[0-9]") if not p.is_symlink()
    }
    assert pages == {p.name for p in (ROOT / "docs/man").glob("*.[0-9]")}
    completions = {p.name for tree in trees for p in tree.glob("*/*completions*/*")}
    assert completions == {p.name for p in (ROOT / "completion").glob("*/*")}


def test_pages_that_refer_to_the_changes_find_them(agent: Path) -> None:
    """debian/changelog, too, says no more than that."""
    documents = agent / "usr/share/doc/pattoo-mp"
    for text in ((DEBIAN / "changelog").read_text(), (documents / "README.md").read_text()):
        assert "docs/changelog.md" in text
        assert "(CHANGELOG.md)" not in text
    assert (documents / "docs/changelog.md").read_bytes() == (ROOT / "CHANGELOG.md").read_bytes()


def test_logrotate_rotates_the_log_of_each_program_and_the_agents_do_not(agent: Path) -> None:
    """Each has its section, and a configuration that switches its own rotation off."""
    text = (agent / "etc/logrotate.d/pattoo").read_text()
    for program in PROGRAMS:
        assert text.count(f"/var/log/pattoo/{program.log_name} {{") == 1
        assert f'"{program.name}: control"*' in text
        assert "\n  log_max_bytes: 0\n" in (agent / "etc/pattoo" / program.file).read_text()
    if logrotate := shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin"):
        checked = agent.parent / "logrotate.conf"
        checked.write_text(text.replace("su pattoo pattoo", ""))
        checked.chmod(0o644)
        done = subprocess.run(
            [logrotate, "--debug", "--state", agent.parent / "state", checked],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert "error:" not in done.stderr


@pytest.mark.parametrize(
    "script", [*sorted(DEBIAN.glob("*.*st*")), *sorted(DEBIAN.glob("*.prerm")), ROOT / "packaging/stage"],
    ids=lambda path: path.name,
)  # fmt: skip
def test_the_scripts_are_shell(script: Path) -> None:
    """Debian's sh accepts them."""
    run("sh", "-n", script)


def test_the_version_is_that_of_the_program() -> None:
    """In Debian's changelog, and in CHANGELOG.md."""
    (version,) = re.findall(r"\Apattoo-mp \((.*?)\) ", (DEBIAN / "changelog").read_text())
    assert version == pattoo_mp.__version__
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_dependencies_are_those_of_the_wheel() -> None:
    """Without its lower bounds: Debian's older releases have Debian's security patches."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    control = _control()
    needed = {_debian_name(each) for each in project["dependencies"]} - {"supervisor"}
    depends = control["pattoo-mp", "Depends"]
    assert {name for name in depends if name.startswith("python3-")} == needed
    assert "supervisor" in control["pattoo-mp", "Suggests"]
    for extra, place in EXTRAS.items():
        wanted = {_debian_name(each) for each in project["optional-dependencies"][extra]}
        assert wanted <= set(control[place]), extra
    assert not [
        name
        for names in control.values()
        for name in names
        if name.endswith(")") and "$" not in name
    ]


def test_the_receiver_is_never_beside_another_version_of_its_modules() -> None:
    """Neither package is upgraded without the other."""
    control = _control()
    assert "pattoo-mp (= ${binary:Version})" in control["pattoo-mp-receiver", "Depends"]
    assert control["pattoo-mp", "Breaks"] == ["pattoo-mp-receiver (<< ${binary:Version})"]


def _debian_name(requirement: str) -> str:
    name = re.split("[<>=]", requirement)[0]
    return NAMES.get(name, f"python3-{name.lower().removeprefix('python-').replace('_', '-')}")


def _control() -> dict[tuple[str, str], list[str]]:
    """The lists of packages in the control file, by package and field."""
    found = {}
    for paragraph in (DEBIAN / "control").read_text().split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): *((?:.*)(?:\n .*)*)", paragraph, re.MULTILINE))
        for name, text in fields.items():
            if name in {"Breaks", "Depends", "Recommends", "Suggests"}:
                found[fields["Package"], name] = [each.strip() for each in text.split(",")]
    return found
