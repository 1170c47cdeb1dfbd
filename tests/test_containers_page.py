"""The examples of the page on containers fit together, and the agent takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pattoo_mp.config import load
from tests.support.agent import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.values import Config

PAGE = (ROOT / "docs" / "containers.md").read_text()
SETTINGS, DAEMON_SET = yaml.safe_load_all(
    (ROOT / "docs" / "examples" / "daemonset.yaml").read_text()
)


@pytest.fixture
def configured(tmp_path: Path) -> Config:
    """The configuration of the DaemonSet."""
    for name, text in SETTINGS["data"].items():
        (tmp_path / name).write_text(text)
    return load.check(tmp_path)


def mounted() -> dict[str, dict[str, Any]]:
    """What the DaemonSet mounts of the host, by its place in the container."""
    pod = DAEMON_SET["spec"]["template"]["spec"]
    of_the_host = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}
    return {
        mount["mountPath"]: {**mount, "of": of_the_host[mount["name"]]}
        for mount in pod["containers"][0]["volumeMounts"]
        if mount["name"] in of_the_host
    }


def test_the_daemon_set_mounts_what_it_configures(configured: Config) -> None:
    """Read-only, and the root with what is mounted later."""
    host = {
        str(configured.procfs_path): "/proc",
        str(configured.sysfs_path): "/sys",
        str(configured.rootfs_path): "/",
    }
    mounts = mounted()
    assert {place: mounts[place]["of"] for place in host} == host
    assert all(mounts[place]["readOnly"] for place in host)
    assert mounts[str(configured.rootfs_path)]["mountPropagation"] == "HostToContainer"


def test_identity_and_spool_outlive_the_pod(configured: Config) -> None:
    """All directories are below what is the node's."""
    kept = next(m for m in mounted().values() if not m.get("readOnly"))["mountPath"]
    for _, directory in load.named_directories(configured):
        assert directory.is_relative_to(kept)


def test_docker_is_given_the_same_places(configured: Config) -> None:
    """By the line of the page."""
    volumes = dict(re.findall(r"--volume (\S+?):(/host\S*?):ro", PAGE))
    assert volumes == {
        "/proc": str(configured.procfs_path),
        "/sys": str(configured.sysfs_path),
        "/": str(configured.rootfs_path),
    }


def test_a_fixed_name_is_in_no_configuration_of_many_hosts(configured: Config) -> None:
    """The nodes would be one."""
    assert configured.hostname is None
    assert DAEMON_SET["spec"]["template"]["spec"]["hostNetwork"] is True
