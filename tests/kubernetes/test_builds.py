"""Images on their way to a real cluster, and builds in a pod of it, as a restricted user."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightkube.resources.core_v1 import Secret

from jupyter_containers.contexts import Context
from jupyter_containers.engine import Engine
from jupyter_containers.errors import ImageNotFoundError, StepFailedError, UnsupportedError
from jupyter_containers.events import Event, TaskFinished, TaskOutput
from jupyter_containers.kubernetes.builder_pod import BuilderPod
from jupyter_containers.kubernetes.engine import ClusterEngine
from jupyter_containers.settings import load_settings
from jupyter_containers.version import __version__
from tests.kubernetes import builder_image
from tests.kubernetes.conftest import Cluster

# By this address pods reach the registry that the nodes and this machine reach on 127.0.0.1.
_INSIDE = "172.30.0.1"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Yield the engine of this machine, with busybox in its store."""
    folder = tmp_path_factory.mktemp("local")
    with Engine(root=folder / "root", run_root=folder / "run") as engine:
        engine.images.bootstrap("busybox")
        yield engine


@contextmanager
def opened(cluster: Cluster, local: Engine, **values: str) -> Iterator[ClusterEngine]:
    """Yield the cluster's engine with the store of this machine."""
    endpoint = replace(cluster.endpoint(), **values)
    with ClusterEngine(Context("lab", "", endpoint), local.settings, lambda: local) as engine:
        yield engine
        engine._local = None  # it stays open for the other tests


@pytest.fixture
def travelling(cluster: Cluster, local: Engine) -> Iterator[ClusterEngine]:
    with opened(cluster, local) as engine:
        yield engine


def test_an_image_that_is_only_here_travels_once(travelling: ClusterEngine, local: Engine) -> None:
    local.build({"f": "hello\n"}, dockerfile="FROM busybox\nCOPY f /f\n", tag="only-here:1")
    events: list[Event] = []
    for pushed in (True, False):
        events.clear()
        result = travelling.run("only-here:1", ["cat", "/f"], rm=True, emit=events.append)
        assert result.stdout == b"hello\n"
        assert any(isinstance(event, TaskFinished) for event in events) is pushed
    box = travelling.run("only-here:1", ["sleep", "60"], detach=True)
    try:
        digest = local.images.get("only-here:1").digest
        found = travelling.containers.get(box.name)
        assert found.record.manifest_digest == digest
    finally:
        travelling.containers.remove(box.name, force=True)


def test_pull_secrets_go_with_the_last_pod(
    cluster: Cluster, local: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = os.environ.get("AUTH_REGISTRY", "")
    if not registry:
        pytest.skip("needs a registry with a password: AUTH_REGISTRY and its user and password")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    user, password = (os.environ[f"AUTH_REGISTRY_{name}"] for name in ("USER", "PASSWORD"))
    local.registries.login(registry, user, password)
    local.build({"f": "x"}, dockerfile="FROM busybox\nCOPY f /g\n", tag="secret:1")
    with opened(cluster, local, registry=f"{registry}/team") as engine:
        _secrets_end(engine)


def _secrets_end(engine: ClusterEngine) -> None:
    labels: dict[str, Any] = {"jupyter-containers/kind": "pull-secret"}

    def owners() -> list[int]:
        found = engine._cluster.request("", lambda client: list(client.list(Secret, labels=labels)))
        return [len(one.metadata.ownerReferences or ()) for one in found if one.metadata]

    boxes = [engine.run("secret:1", ["sleep", "60"], detach=True) for _ in range(2)]
    assert owners() == [2]
    for box in boxes:
        engine.containers.remove(box.name, force=True)
    deadline = time.monotonic() + 60
    while owners() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert owners() == []


def test_a_context_without_a_registry_says_so(cluster: Cluster, local: Engine) -> None:
    local.build({}, dockerfile="FROM busybox\nENV A=1\n", tag="stays:1")
    with (
        opened(cluster, local, registry="") as engine,
        pytest.raises(UnsupportedError, match="only on this machine"),
    ):
        engine.run("stays:1", ["true"], rm=True)


@pytest.fixture(scope="module")
def builder(
    cluster: Cluster, local: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterEngine]:
    """Yield an engine that builds in the cluster."""
    host, _, port = cluster.registry.rpartition(":")
    inside = f"{_INSIDE}:{port}" if host == "127.0.0.1" else cluster.registry
    name = f"team/jupyter-containers-builder:{__version__}"
    builder_image.make(local, f"{cluster.registry}/{name}", inside)
    local.images.remove(f"{cluster.registry}/{name}")
    folder = tmp_path_factory.mktemp("builder")
    (folder / "registries.conf").write_text(
        f'[[registry]]\nprefix = "{inside}"\nlocation = "{cluster.registry}"\ninsecure = true\n'
    )
    settings = load_settings(
        overrides={
            "root": folder / "root",
            "run_root": folder / "run",
            "registry_files": [str(folder / "registries.conf")],
        }
    )
    endpoint = replace(cluster.endpoint(), registry=f"{inside}/team")
    with ClusterEngine(
        Context("lab", "", endpoint), settings, lambda: Engine(**settings_of(settings))
    ) as engine:
        yield engine
        BuilderPod(engine._cluster).end()
        engine.volumes.remove("builder-cache")


def settings_of(settings: object) -> dict[str, object]:
    """Return the keywords that open an engine with these settings."""
    return {name: getattr(settings, name) for name in ("root", "run_root", "registry_files")}


def test_a_build_in_the_cluster(builder: ClusterEngine, tmp_path: Path) -> None:
    base = f"{builder.context.cluster.registry}/box:1" if builder.context.cluster else ""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("one\n")
    (tmp_path / "big").write_bytes(os.urandom(3_000_000))
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base}\nCOPY big /\nCOPY d /d\n"
        "RUN --mount=type=secret,id=s id -u; cat /d/f; wc -c < /run/secrets/s\n"
        "RUN --mount=type=cache,target=/k echo x >> /k/n; wc -l < /k/n > /n\n"
    )

    def build(**flags: object) -> tuple[str, list[TaskFinished]]:
        events: list[Event] = []
        builder.build(
            tmp_path, tag="built:1", emit=events.append, secret_values={"s": "geheim"}, **flags
        )
        output = b"".join(event.data for event in events if isinstance(event, TaskOutput))
        steps = [
            one for one in events if isinstance(one, TaskFinished) and one.task[:6] == "build-"
        ]
        return output.decode(), steps

    output, steps = build()
    assert output.splitlines() == ["0", "one", "6"]
    assert builder.run("built:1", ["cat", "/n"], rm=True).stdout == b"1\n"
    output, steps = build()
    assert [step.outcome for step in steps] == ["cached"] * 5
    (tmp_path / "d/f").write_text("two\n")
    output, steps = build()
    assert output.splitlines() == ["0", "two", "6"]
    assert [step.outcome for step in steps] == ["cached", "cached", "done", "done", "done"]
    assert steps[2].detail == "d/f changed"
    assert builder.run("built:1", ["cat", "/n"], rm=True).stdout == b"2\n"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo last words; exit 7\n")
    with pytest.raises(StepFailedError) as caught:
        build()
    assert (caught.value.exit_code, caught.value.log_tail) == (7, ("last words",))
    assert caught.value.location is not None
    with pytest.raises(UnsupportedError, match="ssh"):
        build(ssh=f"default={tmp_path}")


def test_a_missing_builder_is_named(engine_for: Callable[..., ClusterEngine]) -> None:
    with pytest.raises(ImageNotFoundError, match="no image for builder pods"):
        engine_for(builder="no-builder:1").build({}, dockerfile="FROM scratch\n")
