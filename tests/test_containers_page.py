"""The examples on the containers page are consistent, and the agent accepts them."""

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
    """Return the configuration in the DaemonSet example."""
    for name, text in SETTINGS["data"].items():
        (tmp_path / name).write_text(text)
    return load.check(tmp_path)


def mounted() -> dict[str, dict[str, Any]]:
    """Return the DaemonSet's mounts of the host, by mount path in the container."""
    pod = DAEMON_SET["spec"]["template"]["spec"]
    host_paths = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}
    return {
        mount["mountPath"]: {**mount, "source": host_paths[mount["name"]]}
        for mount in pod["containers"][0]["volumeMounts"]
        if mount["name"] in host_paths
    }


def test_the_daemon_set_mounts_what_it_configures(configured: Config) -> None:
    """Read-only; the root also passes on what the host mounts later."""
    host = {
        str(configured.procfs_path): "/proc",
        str(configured.sysfs_path): "/sys",
        str(configured.rootfs_path): "/",
    }
    mounts = mounted()
    assert {path: mounts[path]["source"] for path in host} == host
    assert all(mounts[path]["readOnly"] for path in host)
    assert mounts[str(configured.rootfs_path)]["mountPropagation"] == "HostToContainer"


def test_identity_and_spool_outlive_the_pod(configured: Config) -> None:
    """All directories are below a writable mount of the node."""
    kept = next(m for m in mounted().values() if not m.get("readOnly"))["mountPath"]
    for _, directory in load.named_directories(configured):
        assert directory.is_relative_to(kept)


def test_docker_mounts_the_same_directories(configured: Config) -> None:
    """In the command on the page."""
    volumes = dict(re.findall(r"--volume (\S+?):(/host\S*?):ro", PAGE))
    assert volumes == {
        "/proc": str(configured.procfs_path),
        "/sys": str(configured.sysfs_path),
        "/": str(configured.rootfs_path),
    }


def test_the_daemon_set_does_not_fix_the_host_name(configured: Config) -> None:
    """All nodes would have the same name."""
    assert configured.hostname is None
    assert DAEMON_SET["spec"]["template"]["spec"]["hostNetwork"] is True
