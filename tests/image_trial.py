"""A trial of the container image: built, run as docs/containers.md says, and replaced by a new container.

    python -m tests.image_trial

It needs root, and of Debian buildah, mmdebstrap, podman and runc, with debhelper and dh-python for the
package. The image's base is made of Debian's packages, so no registry of images is asked. It takes some
minutes, prints what it saw, exits with 1 if that is wrong, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from pattoo_mp.config.secrets import basic
from tests.support.agent import NAME, ROOT
from tests.support.server import Handler, PattooServer
from tests.support.waiting import wait_for
from tools.packages import build

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED = ("buildah", "mmdebstrap", "podman", "runc", "dpkg-buildpackage", "dh", "dh_python3")
BASE, IMAGE, VOLUME = "localhost/debian:12", "localhost/pattoo_mp", "pattoo"
USER = "800:800"
#: Low enough for any host: the defaults of podman are higher than a root without CAP_SYS_RESOURCE may set.
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
CLOSED = (
    "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
)  # fmt: skip
OF_HOST = ("/proc:/host/proc:ro", "/sys:/host/sys:ro", "/:/host:ro,rslave")
DAEMON_SET = ROOT / "docs" / "examples" / "daemonset.yaml"
SECRET = "name:password"
#: More than any step takes.
STEP_S = 600


class TrialError(Exception):
    """What was seen is not what was expected."""


def main() -> int:
    """Run the trial; return the exit status."""
    if why := lacking():
        print(f"The trial of the image needs {why}.")
        return 1
    work = Path(tempfile.mkdtemp(prefix="pmp-image-"))
    server = PattooServer()
    trial = Trial(work, server)
    try:
        trial.build()
        trial.run()
        trial.run_as_pod()
    except (TrialError, AssertionError) as error:
        print(f"WRONG: {error}")
        return 1
    finally:
        trial.end()
        server.close()
    print("The image is well.")
    return 0


def lacking() -> str:
    """Return what the trial lacks here; empty if it lacks nothing."""
    if os.geteuid() != 0:
        return "root"
    return ", ".join(name for name in NEEDED if shutil.which(name) is None)


class Trial:
    """The image and its containers, with all that they store below `work`."""

    def __init__(self, work: Path, server: PattooServer) -> None:
        self._work = work
        self._server = server
        self._places = ["--root", str(work / "storage"), "--runroot", str(work / "run")]
        runtime = shutil.which("runc") or "runc"  # Debian 12's crun knows no mixed cgroups
        state = [
            "--tmpdir",
            str(work / "state"),
            "--runtime",
            runtime,
            "--cgroup-manager",
            "cgroupfs",
        ]
        self._command = ["podman", *self._places, *state]
        self._cgroup = work.name

    def build(self) -> None:
        """Build the package, the base and the image."""
        source = self._work / "source"
        (source / "packaging").mkdir(parents=True)
        shutil.copytree(ROOT / "packaging" / "container", source / "packaging" / "container")
        build("deb", source / "dist")
        base = self._work / "base.tar"
        tell("making the base of Debian's packages")
        call("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", base)
        self.podman("import", "--quiet", base, BASE)
        base.unlink()
        tell("building the image")
        call(
            "buildah", *self._places, "build", "--isolation", "chroot", "--network", "host",
            "--format", "docker", "--build-arg", f"BASE={BASE}", "--tag", IMAGE,
            "--file", ROOT / "packaging" / "Containerfile", source,
        )  # fmt: skip
        size = int(json.loads(self.podman("inspect", IMAGE))[0]["Size"])
        tell(f"the image has {size / 1e6:.0f} MB")

    def run(self) -> None:
        """Run containers of it, one after the other, on one volume."""
        self._configure()
        volumes = [f"{self._work / 'etc'}:/etc/pattoo:ro", f"{VOLUME}:/var/lib/pattoo"]
        with self._container("first", volumes):
            wait_for(lambda: len(self._server.timestamps()) > 3, what="polls of the container")
            self._examine("first")
            self._server.down()
            wait_for(lambda: self._status("first")["polls"]["in_spool"] > 3, what="a backlog")
            identity = self._server.posts[-1].agent_id
        tell("the first container is gone, with polls that wait on its volume")
        self._server.up()
        before = len(self._server.timestamps())
        with self._container("second", volumes):
            wait_for(lambda: len(self._server.timestamps()) > before + 6, what="the backlog")
            status = self._status("second")
        arrived = self._server.timestamps()
        require(self._server.posts[-1].agent_id == identity, "another identity")
        require(arrived == sorted(set(arrived)), "polls came twice or out of order")
        polls, missed = status["polls"], sum(status["missed"].values())
        require(not polls["unaccounted"] and not polls["dropped"], f"polls are lost: {polls}")
        absent = len(range(arrived[0], arrived[-1], 1000)) + 1 - len(arrived)
        require(absent <= missed, f"{absent} polls are absent, {missed} ticks were missed")
        tell(
            f"{len(arrived)} polls arrived, in order, none lost; {absent} ticks passed between the containers"
        )

    def end(self) -> None:
        """Remove containers, images, the volume, and all files."""
        with contextlib.suppress(TrialError):
            self.podman("rm", "--all", "--force", "--volumes")
        with contextlib.suppress(TrialError):
            self.podman("volume", "rm", "--all", "--force")
        with contextlib.suppress(TrialError):
            self.podman("rmi", "--all", "--force")
        for mounted in sorted(_mounts_below(self._work), reverse=True):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        for cgroup in Path("/sys/fs/cgroup").glob(f"**/{self._cgroup}"):
            for inner in sorted(cgroup.glob("**/"), reverse=True):
                with contextlib.suppress(OSError):
                    inner.rmdir()
        shutil.rmtree(self._work, ignore_errors=True)

    def podman(self, *words: str | Path) -> str:
        """Run podman; return what it prints."""
        return call(*self._command, *words)

    def _configure(self) -> None:
        etc = self._work / "etc"
        shutil.copytree(ROOT / "packaging" / "container", etc)
        with (etc / "pattoo.yaml").open("a") as shared:
            shared.write(
                f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {self._server.port}\n"
            )
        own = etc / f"{NAME}.yaml"
        own.write_text(every_second(own.read_text()))

    def run_as_pod(self) -> None:
        """Run the containers of the DaemonSet example, with its configuration, and a secret as Kubernetes mounts it."""
        settings, _, daemon_set = yaml.safe_load_all(DAEMON_SET.read_text())
        pod = daemon_set["spec"]["template"]["spec"]
        node = self._work / "node"
        places = {name: node / name for name in ("configuration", "secret", "credentials", "state")}
        for path in places.values():
            path.mkdir(parents=True)
        places["credentials"].chmod(0o777)
        (places["secret"] / "server").write_text(SECRET)
        (places["secret"] / "server").chmod(0o400)
        for name, text in settings["data"].items():
            url = f"http://127.0.0.1:{self._server.port}"
            ours = text.replace("https://pattoo.example.org", url)
            (places["configuration"] / name).write_text(every_second(ours))

        def volumes_of(container: dict[str, Any]) -> list[str]:
            return [
                f"{places[one['name']]}:{one['mountPath']}{':ro' if one.get('readOnly') else ''}"
                for one in container["volumeMounts"]
                if one["name"] in places
            ]

        first, agent = pod["initContainers"][0], pod["containers"][0]
        capabilities = first["securityContext"]["capabilities"]["add"]
        shell, *words = first["command"]
        self.podman(
            "run", "--rm", "--cgroup-parent", self._cgroup, *LIMITS, *CLOSED, "--user", "0:0", *(f"--cap-add={one}" for one in capabilities),
            *(word for volume in volumes_of(first) for word in ("--volume", volume)),
            "--entrypoint", shell, IMAGE, *words,
        )  # fmt: skip
        seen: list[str] = []

        def look(handler: Handler) -> bool:
            seen.append(handler.headers["Authorization"] or "")
            return True

        self._server.behaviour = look
        before = len(self._server.timestamps())
        with self._container("pod", volumes_of(agent)):
            wait_for(lambda: len(self._server.timestamps()) > before + 3, what="polls of the pod")
        require(set(seen) == {basic(SECRET)}, "polls without the credentials of the secret")
        tell("a pod as in the DaemonSet example posts with the credentials of its secret")

    @contextlib.contextmanager
    def _container(self, name: str, volumes: list[str]) -> Iterator[None]:
        """Run a container for the block, with the options of docs/containers.md; stop and remove it then."""
        self.podman(
            "run", "--detach", "--name", name, "--cgroup-parent", self._cgroup, *LIMITS, *CLOSED, "--network", "host", "--uts", "host",
            *(word for volume in [*volumes, *OF_HOST] for word in ("--volume", volume)),
            IMAGE,
        )  # fmt: skip
        try:
            yield
        except AssertionError as error:
            raise TrialError(f"{error}\n{self.podman('logs', name)}") from error
        finally:
            self.podman("stop", "--time", "20", name)
            self.podman("rm", name)

    def _status(self, name: str) -> dict[str, Any]:
        done = self._in(name, NAME, "--status", "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _in(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container, whatever its exit status."""
        return subprocess.run(
            [*self._command, "exec", name, *words],
            capture_output=True, text=True, timeout=STEP_S, check=False,
        )  # fmt: skip

    def _examine(self, name: str) -> None:
        """Compare what arrives with this host, and try what must not be possible."""
        points = self._server.posts[-1].datapoints()
        values = {
            point["pattoo_key"].removeprefix(f"{NAME}_"): point["pattoo_value"] for point in points
        }
        memory = psutil.virtual_memory().total
        require(
            float(values["memory_total"]) == memory,
            f"memory {values['memory_total']}, not {memory}",
        )
        links = {
            point["network_io_interface"] for point in points if "network_io_interface" in point
        }
        require(links == set(psutil.net_io_counters(pernic=True)), f"interfaces {links}")
        processes = float(values["process_count"])
        require(
            processes > len(psutil.pids()) / 2, f"{processes} processes, not {len(psutil.pids())}"
        )
        root = {
            float(point["pattoo_value"])
            for point in points
            if point.get("disk_partition_mountpoint") == "/"
            and point["pattoo_key"].endswith("usage_total")
        }
        require(root == {float(psutil.disk_usage("/").total)}, f"/ has {root} bytes")
        tell(f"memory, /, {len(links)} interfaces and {processes:.0f} processes are the host's")
        who = self._in(name, "id", "--user").stdout.strip()
        require(who == USER.partition(":")[0], f"it runs as user {who}")
        written = self._in(name, "touch", "/usr/x", "/tmp/x", f"/host/tmp/{self._work.name}.x")
        require(written.returncode != 0 and written.stderr.count("Read-only") == 3, written.stderr)
        tell(f"it runs as user {who}, and cannot write but to its volume")
        self.podman("healthcheck", "run", name)
        asked = self._in(name, NAME, "--status")
        require(asked.returncode == 0, f"--status exits with {asked.returncode}: {asked.stdout}")
        log = self._in(name, NAME, "--logs", "--lines", "3")
        require(log.returncode == 0 and "INFO" in log.stdout, log.stderr)
        archive = self._in(name, "sh", "-c", f"{NAME} --support --to - | tar -tz")
        require("versions.txt" in archive.stdout, archive.stderr)
        tell("its health check, --status, --logs and --support answer")


def _mounts_below(directory: Path) -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [at for line in lines if (at := line.split()[1]).startswith(f"{directory}/")]


def every_second(settings: str) -> str:
    """Return settings with another interval."""
    return re.sub(r"polling_interval: \S+", "polling_interval: 1", settings)


def require(is_so: bool, what: str) -> None:
    """Raise `TrialError` if something is not as expected."""
    if not is_so:
        raise TrialError(what)


def tell(what: str) -> None:
    """Print what was seen."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def call(*words: str | Path) -> str:
    """Run a program; return what it prints. Raises `TrialError` with its last lines."""
    done = subprocess.run(
        [str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=STEP_S, check=False,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise TrialError(f"{words[0]} ended with status {done.returncode}:\n{last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
