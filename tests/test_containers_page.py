"""The examples on the containers page are consistent, and the agent accepts them."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from pattoo_mp.config import load
from tests.support.agent import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.values import Config

PAGE = (ROOT / "docs" / "containers.md").read_text()
EXAMPLES = list(yaml.safe_load_all((ROOT / "docs" / "examples" / "daemonset.yaml").read_text()))
SETTINGS, SECRET, DAEMON_SET = EXAMPLES
POD = DAEMON_SET["spec"]["template"]["spec"]
CONTAINERFILE = (ROOT / "packaging" / "Containerfile").read_text()
CONTAINER = ROOT / "packaging" / "container"


@pytest.fixture
def configured(tmp_path: Path) -> Config:
    """Return the configuration in the DaemonSet example."""
    for name, text in SETTINGS["data"].items():
        (tmp_path / name).write_text(text)
    return load.check(tmp_path)


def mounted() -> dict[str, dict[str, Any]]:
    """Return the DaemonSet's mounts of the host, by mount path in the container."""
    host_paths = {v["name"]: v["hostPath"]["path"] for v in POD["volumes"] if "hostPath" in v}
    return {
        mount["mountPath"]: {**mount, "source": host_paths[mount["name"]]}
        for mount in POD["containers"][0]["volumeMounts"]
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
    assert POD["hostNetwork"] is True


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["kind"])
def test_the_examples_are_as_kubernetes_has_them(example: dict[str, Any]) -> None:
    """By its own schemas; a name that it does not know is an error."""
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(example, version, strict=True)
    wrong = {**example, "metadata": {**example["metadata"], "nam": "x"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_every_mount_has_a_volume_and_every_volume_its_source() -> None:
    """Schemas do not look at names."""
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    containers = [*POD["initContainers"], *POD["containers"]]
    used = {mount["name"] for container in containers for mount in container["volumeMounts"]}
    assert used == volumes.keys()
    assert volumes["configuration"]["configMap"]["name"] == SETTINGS["metadata"]["name"]
    assert volumes["secret"]["secret"]["secretName"] == SECRET["metadata"]["name"]


def test_only_what_prepares_the_pod_is_root() -> None:
    """With two capabilities; the agent has none, and no container can write to its root."""
    numbers = re.search(r"^USER (\d+):(\d+)$", CONTAINERFILE, re.MULTILINE)
    assert numbers is not None
    context = POD["securityContext"]
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == numbers.groups()
    assert context["runAsNonRoot"]
    (prepare,), (agent,) = POD["initContainers"], POD["containers"]
    assert "runAsUser" not in agent["securityContext"]
    assert agent["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    added = prepare["securityContext"]["capabilities"]
    assert added == {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}
    for container in (prepare, agent):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_the_secret_is_where_the_configuration_looks_for_it(configured: Config) -> None:
    """In a file of the agent's user alone, which no other setting names."""
    script = POD["initContainers"][0]["command"][-1]
    (key,) = SECRET["stringData"]
    user = POD["securityContext"]["runAsUser"]
    assert f"-o {user} -g {user} -m 0400 /secret/{key} {configured.credentials_file}" in script
    assert f"-o {user} -g {user} -m 0700 {configured.daemon_directory.parent}" in script


def test_the_images_configuration_is_that_of_its_volume_and_its_mounts(tmp_path: Path) -> None:
    """It is complete: whoever runs the image names the server."""
    shutil.copytree(CONTAINER, tmp_path, dirs_exist_ok=True)
    config = load.check(tmp_path)
    volume = re.search(r"^VOLUME (\S+)$", CONTAINERFILE, re.MULTILINE)
    assert volume is not None
    assert all(path.is_relative_to(volume[1]) for _, path in load.named_directories(config))
    assert {str(config.procfs_path), str(config.sysfs_path), str(config.rootfs_path)} == {
        path for path in mounted() if path.startswith("/host")
    }


def test_the_image_is_of_the_distributions_packages_and_its_health_is_the_probe() -> None:
    """No pip, and one question for both."""
    assert "pip" not in CONTAINERFILE
    health = CONTAINERFILE.rpartition("    CMD ")[2].partition("\n")[0]
    assert POD["containers"][0]["livenessProbe"]["exec"]["command"][-1].strip() == health
