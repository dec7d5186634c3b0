"""A namespace whose policy allows neither root nor privileges: a cluster of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.contexts import ClusterEndpoint, Context
from jupyter_containers.engine import Container, Engine
from jupyter_containers.errors import ClusterForbiddenError, ContainersError, PodNotStartedError
from jupyter_containers.kubernetes.engine import ClusterEngine
from jupyter_containers.settings import load_settings
from tests.kubernetes.conftest import FOLDER

BOX = "box:1"


@pytest.fixture(scope="module")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterEngine]:
    folder = os.environ.get(FOLDER, "")
    if not folder or os.geteuid() != 0:
        pytest.skip(f"needs root and {FOLDER}: it starts a cluster with a policy")
    name = f"pytest-restricted-{os.getpid()}"
    words = [str(Path(folder, "up.sh")), "--name", name, "--restricted"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    registry, place = values["REGISTRY"], tmp_path_factory.mktemp("restricted")
    settings = load_settings(overrides={"root": place / "root", "run_root": place / "run"})
    endpoint = ClusterEndpoint("lab", f"{registry}/team", values["KUBECONFIG_STUDENT"], owner="ann")
    try:
        program = [sys.executable, str(Path(folder, "lib/image.py")), "push"]
        subprocess.run(
            [*program, f"{registry}/team/{BOX}", "busybox"], check=True, stdout=subprocess.DEVNULL
        )
        with ClusterEngine(Context("r", "", endpoint), settings, lambda: Engine(settings)) as one:
            yield one
    finally:
        subprocess.run([Path(folder, "down.sh"), "--name", name], check=True)


def test_an_ordinary_user_runs(restricted: ClusterEngine) -> None:
    result = restricted.run(BOX, ["sh", "-c", "id -u; echo a >/d/f"], rm=True, user="1000",
                            volume=["data:/d"])  # fmt: skip
    assert result.stdout == b"1000\n"
    restricted.volumes.remove("data")
    with restricted.run(BOX, ["sleep", "60"], detach=True, user="1000", name="one") as one:
        assert isinstance(one, Container)
        assert one.exec(["id", "-u"]).stdout == b"1000\n"


@pytest.mark.parametrize(
    ("flags", "kind", "text"),
    [
        (
            {},
            PodNotStartedError,
            "the cluster's policy does not allow root, and box:1 runs as root",
        ),
        ({"user": "1000", "privileged": True}, ClusterForbiddenError, "Privileged containers"),
        ({"user": "1000", "network": "host"}, ClusterForbiddenError, "Host network is not allowed"),
        ({"user": "1000", "cap_add": ["NET_ADMIN"]}, ClusterForbiddenError, "may not be added"),
    ],
)
def test_what_the_policy_refuses_is_explained(
    restricted: ClusterEngine, flags: dict[str, Any], kind: type[ContainersError], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught:
        restricted.run(BOX, ["true"], rm=True, **flags)
    assert "-u 1000" in caught.value.hint
    assert restricted.containers(all=True) == []
