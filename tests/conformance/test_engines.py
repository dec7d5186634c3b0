"""The contract of engines, whether they work in this process or in a worker.

An implementation is a line of ``ENGINES``.  The remote one works in the namespaces of its user, as
for somebody without root (``tests/integration/test_rootless.py`` asks the same of the account of an
ordinary user); so only its networks have another driver.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Container, Engine
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainerFailedError,
    ContainerNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    OperationCancelledError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.rootless.holder import end
from jupyter_containers.rootless.remote import RemoteEngine
from tests.integration.engine_fixtures import BUSYBOX, demolish

ENGINES: dict[str, Callable[..., Any]] = {"local": Engine, "remote": RemoteEngine}
NONE = {"network": "none"}
ONCE = {"network": "none", "rm": True}
LIFE = ["create", "start", "die", "destroy"]


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    folder = tmp_path_factory.mktemp(request.param)
    with ENGINES[request.param](root=folder / "root", run_root=folder / "run") as engine:
        try:
            engine.images.bootstrap(BUSYBOX)
            yield engine
        finally:
            if isinstance(engine, Engine):
                demolish(engine)
            else:
                for container in engine.containers:
                    container.remove(force=True)
    end(folder / "run")
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def nothing_left(engine: Any) -> Iterator[None]:
    yield
    assert [container.name for container in engine.containers] == []


class TestEngine:
    def test_containers_are_run_found_listed_and_gone_over(self, engine: Any) -> None:
        containers = engine.containers
        done = containers.run(BUSYBOX, ["echo", "hi"], **ONCE)
        assert not isinstance(done, Container)
        assert done.output == "hi\n"
        with containers.run(BUSYBOX, ["sleep", "60"], detach=True, **NONE) as one:
            assert isinstance(one, Container)
            two = containers.create(BUSYBOX, ["true"], name="two", **NONE)
            assert containers() == containers.list() == [one]
            assert containers(all=True) == [two, one] == list(containers)
            assert containers.get(one.short_id) == one == containers[one.name]
            assert (len(containers), "two" in containers, one in containers) == (2, True, True)
            assert "three" not in containers
            with pytest.raises(ContainerNotFoundError):
                containers.get("three")
        # The with block has removed its container.
        assert [container.name for container in containers] == ["two"]
        assert containers.prune().removed == (two.id,)
        assert len(containers) == 0
        assert containers

    def test_images_volumes_and_networks(self, engine: Any) -> None:
        built = engine.builds.build({"Dockerfile": "FROM busybox\nENV A=1\n"}, tag="collected:1")
        assert "collected:1" in engine.images
        assert engine.images.get("collected:1") == built == engine.images[built.short_id]
        names = {name for image in engine.images for name in image.names}
        assert {"collected:1", "busybox:latest"} <= names
        assert engine.images.remove("collected:1")[0] == "Untagged: collected:1"
        assert "collected:1" not in engine.images

        volume = engine.volumes.create("collected")
        assert engine.volumes() == [volume] == list(engine.volumes)
        assert engine.volumes.get("collected") == volume
        engine.volumes.remove("collected")
        assert "collected" not in engine.volumes

        network = engine.networks.create("collected")
        assert engine.networks["collected"] == network
        assert [each.name for each in engine.networks] == ["bridge", "host", "none", "collected"]
        assert engine.networks.get("none").driver == "null"
        engine.networks.remove("collected")
        with pytest.raises(NotFoundError):
            engine.networks.get("collected")

    def test_streams_and_exit_codes(self, engine: Any) -> None:
        heard: list[tuple[str, bytes]] = []
        result = engine.run(
            BUSYBOX,
            ["sh", "-c", "cat; echo err >&2; exit 4"],
            stdin=b"typed",
            check=False,
            on_output=lambda stream, data: heard.append((stream, data)),
            **ONCE,
        )
        assert (result.exit_code, result.stdout, result.stderr) == (4, b"typed", b"err\n")
        assert sorted(heard) == [("stderr", b"err\n"), ("stdout", b"typed")]
        with pytest.raises(ContainerFailedError) as caught:
            engine.run(BUSYBOX, ["sh", "-c", "echo why; exit 3"], **ONCE)
        assert (caught.value.exit_code, caught.value.log_tail) == (3, ("why",))

    def test_errors_are_of_their_class_and_say_the_same(self, engine: Any) -> None:
        with pytest.raises(ContainerNotFoundError, match="no such container: nobody"):
            engine.containers.stop("nobody")
        with pytest.raises(InvalidArgumentError) as caught:
            engine.run(BUSYBOX, ["true"], memory="much", **ONCE)
        assert "much" in caught.value.message
        made = engine.containers.create(BUSYBOX, ["true"], name="taken", **NONE)
        with pytest.raises(AlreadyExistsError):
            engine.containers.create(BUSYBOX, ["true"], name="taken", **NONE)
        made.remove()

    def test_what_a_callback_raises_reaches_its_caller(self, engine: Any) -> None:
        def refuse(stream: str, data: bytes) -> None:
            raise ValueError(f"no {stream}")

        with pytest.raises(ValueError, match="no stdout"):
            engine.run(BUSYBOX, ["sh", "-c", "echo x; sleep 30"], on_output=refuse, **ONCE)

    def test_a_life_from_create_to_remove(self, engine: Any) -> None:
        made = engine.containers.create(
            BUSYBOX, ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"], **NONE
        )
        engine.containers.start(made.id)
        engine.containers.rename(made.id, "renamed")
        assert engine.containers.get("renamed").status == "running"
        assert engine.containers.exec("renamed", ["echo", "in"]).output == "in\n"
        engine.containers.stop("renamed", 10)
        assert engine.containers.wait("renamed") == 7
        assert engine.system.inspect("renamed")["State"]["ExitCode"] == 7
        engine.containers.restart("renamed")
        engine.containers.kill("renamed")
        assert engine.containers.wait("renamed") == 137
        engine.containers.remove("renamed")

    def test_a_log_is_followed_until_the_token_is_cancelled(self, engine: Any) -> None:
        script = ["sh", "-c", "echo one; echo two >&2; sleep 100"]
        with engine.run(BUSYBOX, script, detach=True, **NONE) as container:
            token = CancelToken()
            lines = engine.containers.logs(container.name, follow=True, cancel=token)
            assert {(line.stream, line.data) for line in (next(lines), next(lines))} == {
                ("stdout", b"one\n"),
                ("stderr", b"two\n"),
            }
            threading.Timer(0.2, token.cancel).start()
            with pytest.raises(OperationCancelledError):
                next(lines)

    def test_a_terminal_takes_keys_and_sizes(self, engine: Any) -> None:
        with engine.run(BUSYBOX, ["sleep", "100"], detach=True, **NONE) as container:
            session = engine.containers.terminal(container.name, ["sh"])
            session.resize(30, 90)
            session.write(b"stty size; exit 5\n")
            shown = b""
            while data := session.read(5):
                shown += data
            assert b"30 90" in shown
            assert session.wait(5) == 5
            session.close()

    def test_files_go_in_and_out(self, engine: Any, tmp_path: Path) -> None:
        (tmp_path / "in").write_text("given\n")
        with engine.run(BUSYBOX, ["sleep", "100"], detach=True, name="files", **NONE):
            engine.containers.copy(str(tmp_path / "in"), "files:/given")
            assert engine.containers.exec("files", ["cat", "/given"]).output == "given\n"
            engine.containers.copy("files:/given", str(tmp_path / "out"))
            assert (tmp_path / "out").read_text() == "given\n"
            assert ("A", "/given") in {
                (one.kind, one.path) for one in engine.containers.diff("files")
            }
            archive = io.BytesIO()
            engine.containers.export("files", archive)
            assert b"given\n" in archive.getvalue()
            image = engine.containers.commit("files", "files:1")
        assert engine.run("files:1", ["cat", "/given"], **ONCE).output == "given\n"
        assert engine.images.remove("files:1")
        assert image.id not in {one.id for one in engine.images}

    def test_an_image_is_saved_and_loaded(self, engine: Any, tmp_path: Path) -> None:
        before = engine.images.get(BUSYBOX)
        engine.images.save([BUSYBOX], str(tmp_path / "one.tar"))
        stream = io.BytesIO()
        engine.images.save([BUSYBOX], stream)
        engine.images.tag(BUSYBOX, "other:1")
        assert engine.images.get("other:1").id == before.id
        engine.images.remove("other:1")
        for source in (str(tmp_path / "one.tar"), io.BytesIO(stream.getvalue())):
            [loaded] = engine.images.load(source)
            assert loaded.id == before.id

    def test_events_tell_of_what_happened(self, engine: Any) -> None:
        before = datetime.now(UTC)
        engine.run(BUSYBOX, ["true"], name="told", **ONCE)
        events = engine.system.events(since=before, follow=False, filters={"container": ["told"]})
        assert [event.action for event in events if event.action in LIFE] == LIFE


APPLICATION = """\
services:
  web:
    image: busybox
    command: sleep 100
    depends_on: {db: {condition: service_healthy}}
    configs: [settings]
    stop_grace_period: 0s
  db:
    image: busybox
    command: sleep 100
    healthcheck: {test: "true", interval: 100ms}
    stop_grace_period: 0s
configs: {settings: {content: "level=low"}}
"""


def test_an_application_comes_up_and_goes_down(engine: Any) -> None:
    app = engine.compose(APPLICATION, project="conform")
    with app.up():
        assert [one.name for one in app.ps()] == ["conform-db-1", "conform-web-1"]
        ids = [one.id for one in app.ps()]
        app.up()
        assert [one.id for one in app.ps()] == ids
        assert app.exec("web", ["cat", "/settings"]).output == "level=low"
        assert [(one.name, one.status_text) for one in engine.applications()] == [
            ("conform", "running(2)")
        ]
        assert app.status()["db"].health == "healthy"
    assert app.ps(all=True) == []
    assert "conform_default" not in [network.name for network in engine.networks()]
