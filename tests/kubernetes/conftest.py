"""A real cluster for the tests of this folder, and the engine of its restricted user.

``JUPYTER_CONTAINERS_TEST_KUBERNETES`` is a folder with ``up.sh`` and ``down.sh``, which start and
end one and print its variables.  Or those variables are in the environment: ``KUBECONFIG``, of a
user with the rights of ``docs/install/kubernetes-role.yaml``, and ``REGISTRY`` (nodes pull there).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jupyter_containers.contexts import ClusterEndpoint, Context
from jupyter_containers.engine import Engine
from jupyter_containers.kubernetes.engine import ClusterEngine
from jupyter_containers.settings import load_settings

FOLDER = "JUPYTER_CONTAINERS_TEST_KUBERNETES"
NAMESPACE = os.environ.get("JUPYTER_CONTAINERS_TEST_NAMESPACE", "lab")


@dataclass(frozen=True)
class Cluster:
    """A cluster's variables; ``admin`` is empty without an administrator's kubeconfig."""

    kubeconfig: str
    registry: str
    admin: str = ""
    kubectl: str = "kubectl"

    def endpoint(self, owner: str = "ann", **values: str) -> ClusterEndpoint:
        """Return the restricted user's endpoint."""
        known = {
            "namespace": NAMESPACE,
            "kubeconfig": self.kubeconfig,
            "registry": f"{self.registry}/team",
            "owner": owner,
        }
        return ClusterEndpoint(**(known | values))

    def kubectl_as_admin(self, *words: str, stdin: str = "") -> str:
        """Run kubectl as the administrator; skip without one."""
        if not self.admin:
            pytest.skip("needs an administrator of the cluster")
        done = subprocess.run(
            [self.kubectl, "--kubeconfig", self.admin, "-n", NAMESPACE, *words],
            input=stdin, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = os.environ.get(FOLDER, "")
    if not folder:
        if "KUBECONFIG" not in os.environ or "REGISTRY" not in os.environ:
            pytest.skip(f"needs a Kubernetes cluster: set {FOLDER}, or KUBECONFIG and REGISTRY")
        yield Cluster(os.environ["KUBECONFIG"], os.environ["REGISTRY"])
        return
    if os.geteuid() != 0:
        pytest.skip("needs root to start a cluster")
    name = f"pytest-{os.getpid()}"
    done = subprocess.run(
        [Path(folder, "up.sh"), "--name", name, "--nodes", "1"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    os.environ.update({name: text for name, text in values.items() if name.startswith("AUTH_")})
    try:
        for tag in ("1", "user"):
            subprocess.run(
                [
                    sys.executable, Path(folder, "lib/image.py"),
                    "push", f"{values['REGISTRY']}/team/box:{tag}", "busybox",
                ],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        yield Cluster(
            values["KUBECONFIG_STUDENT"],
            values["REGISTRY"],
            values["KUBECONFIG"],
            values["KUBECTL"],
        )
    finally:
        subprocess.run([Path(folder, "down.sh"), "--name", name], check=True)


@pytest.fixture(scope="session")
def engine_for(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., ClusterEngine]]:
    """Return a function that opens the engine of an owner."""
    folder = tmp_path_factory.mktemp("kubernetes")
    settings = load_settings(overrides={"root": folder / "root", "run_root": folder / "run"})
    opened: list[ClusterEngine] = []

    def open_engine(owner: str = "ann", **values: str) -> ClusterEngine:
        context = Context("lab", "", cluster.endpoint(owner, **values))
        opened.append(ClusterEngine(context, settings, lambda: Engine(settings)))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


@pytest.fixture(scope="session")
def engine(engine_for: Callable[..., ClusterEngine]) -> ClusterEngine:
    """The engine of the user ann."""
    return engine_for()


@pytest.fixture(autouse=True)
def nothing_left(engine: ClusterEngine) -> Iterator[None]:
    """Fail if a test leaves a container."""
    yield
    left = [container.name for container in engine.containers]
    for name in left:
        engine.containers.remove(name, force=True)
    assert left == []
