"""An application's life in Python: one project, brought up, changed, looked at, taken down."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.applications.application import Application
from jupyter_containers.engine.applications.lines import ProjectLine
from jupyter_containers.engine.containers.service import ContainerService
from jupyter_containers.errors import (
    ComposeFileError,
    InvalidArgumentError,
    NotFoundError,
    ServiceNotReadyError,
)
from jupyter_containers.events import Event, TaskFinished, TaskProgress

FILE = """\
services:
  web:
    image: busybox
    command: sleep 100
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
    ports: ["80"]
    volumes: [data:/data, /cache]
    secrets: [word, {source: typed, target: typed, mode: 0440}]
    configs: [{source: settings, target: /etc/settings}]
    stop_grace_period: 0s
    post_start: [{command: touch /data/begun}]
    pre_stop: [{command: touch /data/ended}]
  db:
    image: busybox
    command: sleep 100
    environment: {LEVEL: "1"}
    healthcheck: {test: "true", interval: 100ms}
    stop_grace_period: 0s
  job:
    image: busybox
    command: echo made
volumes: {data: }
secrets: {word: {environment: WORD}, typed: {file: word.txt}}
configs: {settings: {content: "level=${LEVEL:-low}"}}
"""


class Shop:
    """The project ``shop`` in a folder."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.write(FILE)
        (folder / "word.txt").write_text("typed")

    def write(self, text: str) -> None:
        (self.folder / "compose.yaml").write_text(text)

    def open(self, **options: Any) -> Application:
        return self.engine.compose(
            project="shop", folder=self.folder, environment={"WORD": "hidden"}, **options
        )

    def ids(self) -> dict[str, str]:
        return {one.name: one.id for one in self.open().ps(all=True)}


@pytest.fixture(scope="module")
def shop(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(engine, tmp_path_factory.mktemp("shop"))
    shop.open().up(wait=False)
    yield shop
    shop.write(FILE)
    shop.open().down(volumes=True, remove_orphans=True)


@pytest.fixture
def app(shop: Shop) -> Application:
    """The application, up as its file says."""
    shop.write(FILE)
    app = shop.open()
    app.up()
    return app


def _told(app: Application, **flags: Any) -> dict[str, str]:
    """Return the last word on each thing of an ``up``."""
    events: list[Event] = []
    app.up(emit=events.append, **flags)
    return {event.task: event.detail for event in events if isinstance(event, TaskFinished)}


def test_services_start_in_their_order_and_find_each_other(app: Application) -> None:
    status = app.status()
    assert [(one.name, one.state, one.health) for one in status.services] == [
        ("db", "running", "healthy"), ("job", "exited", ""), ("web", "running", "")
    ]  # fmt: skip
    edges = {(one.service, one.condition) for one in status["web"].depends_on}
    assert edges == {("db", "service_healthy"), ("job", "service_completed_successfully")}
    assert [one.exists for one in (*status.networks, *status.volumes)] == [True, True]
    assert status["web"].ports[0].container_port == 80
    assert app["web"].ports == {80: status["web"].ports[0].host_port}
    assert app.port("web", 80).address == app["web"].address()
    assert app.exec("web", ["ping", "-c1", "-w5", "db"]).exit_code == 0
    assert app.exec("web", ["ls", "/data/begun"]).exit_code == 0


def test_labels_are_docker_composes(app: Application, shop: Shop) -> None:
    [web] = app["web"].containers
    own = {k.removeprefix("com.docker.compose."): v for k, v in web.labels.items()}
    project = app.project()
    assert own == {
        "config-hash": project.hash("web"),
        "container-number": "1",
        "depends_on": own["depends_on"],
        "image": shop.engine.images.get("busybox").id,
        "oneoff": "False",
        "project": "shop",
        "project.config_files": str(shop.folder / "compose.yaml"),
        "project.working_dir": str(shop.folder),
        "service": "web",
        "version": "2.40.3",
    }
    assert set(own["depends_on"].split(",")) == {
        "db:service_healthy:false", "job:service_completed_successfully:false"
    }  # fmt: skip
    network = shop.engine.networks.get("shop_default").labels
    assert network["com.docker.compose.network"] == "default"


def test_secrets_and_configs_are_mounted_read_only_and_in_no_record(
    app: Application, shop: Shop
) -> None:
    """A value stood in the container's record when it was given as a variable."""
    script = "cat /run/secrets/word /run/secrets/typed /etc/settings; echo x > /run/secrets/word"
    result = app.exec("web", ["sh", "-c", script], check=False)
    assert result.stdout == b"hiddentypedlevel=low"
    assert b"Read-only" in result.stderr
    assert "hidden" not in str(shop.engine.containers.inspect("shop-web-1"))
    values = [*(shop.engine.settings.layout.applications / "shop" / "of-web").iterdir()]
    assert {oct(path.stat().st_mode) for path in values} == {"0o100444"}
    assert values[0].parent.stat().st_mode & 0o077 == 0


def test_up_again_changes_nothing(app: Application, shop: Shop) -> None:
    before = shop.ids()
    assert _told(app)["Container shop-web-1"] == "Running"
    assert shop.ids() == before
    started = time.monotonic()
    app.up()
    assert time.monotonic() - started < 5


def test_only_what_has_changed_is_made_again(app: Application, shop: Shop) -> None:
    before = shop.ids()
    app.exec("web", ["touch", "/cache/kept"])
    shop.write(FILE.replace('LEVEL: "1"', 'LEVEL: "2"'))
    told = _told(app)
    assert (told["Container shop-db-1"], told["Container shop-web-1"]) == ("Healthy", "Running")
    after = shop.ids()
    assert before["shop-db-1"] != after["shop-db-1"]
    assert before["shop-web-1"] == after["shop-web-1"]
    app.up("web", force_recreate=True, no_deps=True)
    assert app.exec("web", ["ls", "/cache"]).output == "kept\n"
    assert app.exec("web", ["ls", "/data/ended"]).exit_code == 0  # by pre_stop
    assert shop.ids()["shop-db-1"] == after["shop-db-1"]
    app.up("web", force_recreate=True, renew_anon_volumes=True)
    assert app.exec("web", ["ls", "/cache"]).output == ""


def test_scale(app: Application, shop: Shop) -> None:
    app.scale({"db": 3}, no_deps=True)
    assert {"shop-db-1", "shop-db-2", "shop-db-3"} <= {*shop.ids()}
    app.scale({"db": 1}, no_deps=True)
    assert [name for name in shop.ids() if "db" in name] == ["shop-db-1"]
    with pytest.raises(InvalidArgumentError, match="invalid scale"):
        app.scale({"db": -1})


def test_one_off_containers(app: Application) -> None:
    result = app.run("web", ["cat", "/run/secrets/word"], remove=True, emit=lambda _: None)
    assert result.stdout == b"hidden"  # type: ignore[union-attr]  # it was waited for
    assert [one.name for one in app.ps(all=True) if "-run-" in one.name] == []


def test_looking(app: Application, shop: Shop) -> None:
    assert [one.name for one in app.ps()] == ["shop-db-1", "shop-web-1"]
    assert [one.name for one in app.ps("job", all=True)] == ["shop-job-1"]
    assert [line.text for line in app.logs("job")][-1:] == ["made"]
    assert {"shop-db-1", "shop-web-1"} == {*app.top()} == {one.name for one in app.stats()}
    assert [used.container for used in app.images()] == ["shop-db-1", "shop-job-1", "shop-web-1"]
    assert [one.name for one in app.volumes()] == ["shop_data"]
    assert list(app.to_dataframe()["service"]) == ["db", "job", "web"]
    [summary] = [one for one in shop.engine.applications() if one.name == "shop"]
    assert summary.status_text == "running(2)"
    app.cp("web:/etc/passwd", str(shop.folder / "passwd"))
    assert "root" in (shop.folder / "passwd").read_text()
    with pytest.raises(NotFoundError, match="no such service: nope"):
        app["nope"]


def test_the_verbs_of_a_life(app: Application, shop: Shop) -> None:
    def state(service: str) -> str:
        return app.status()[service].state

    app.pause("db")
    assert state("db") == "paused"
    app.unpause("db")
    app.stop("web")
    assert (state("web"), state("db")) == ("exited", "running")
    app.start("web")
    app.restart("web", timeout=0)
    app.kill("web")
    assert app.wait("web") == {"shop-web-1": 137}
    assert set(app.rm("web")) == {"shop-web-1"}
    assert state("web") == "missing"
    app.create("web")
    assert state("web") == "created"


def test_a_service_of_the_past_is_an_orphan(app: Application, shop: Shop) -> None:
    shop.write(FILE.replace("  job:\n    image: busybox\n    command: echo made\n", "").replace(
        ", job: {condition: service_completed_successfully}", ""
    ))  # fmt: skip
    events: list[Event] = []
    app.up(emit=events.append)
    assert any("Found orphan containers ([shop-job-1])" in str(event) for event in events)
    app.up(remove_orphans=True)
    assert "shop-job-1" not in shop.ids()


def test_without_a_file_the_labels_tell(app: Application, shop: Shop, tmp_path: Path) -> None:
    bare = shop.engine.compose(project="shop", folder=tmp_path)
    assert [one.name for one in bare.ps()] == ["shop-db-1", "shop-web-1"]
    assert [one.name for one in bare.status().services] == ["db", "job", "web"]
    bare.stop("web", timeout=0)
    bare.down(timeout=0)
    assert shop.ids() == {}
    with pytest.raises(NotFoundError):
        shop.engine.networks.get("shop_default")
    assert shop.engine.volumes.get("shop_data")  # without -v it stays


def test_a_block_takes_it_down(shop: Shop) -> None:
    shop.write("services: {one: {image: busybox, command: sleep 100, stop_grace_period: 0s}}")
    shop.open().down(remove_orphans=True)
    with shop.open().up() as app:
        assert [one.name for one in app.ps()] == ["shop-one-1"]
    assert shop.ids() == {}
    assert not (shop.engine.settings.layout.applications / "shop").exists()


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "services: {a: {image: busybox, depends_on: {b: {condition: service_healthy}}},"
            " b: {image: busybox, command: sleep 99, stop_grace_period: 0s,"
            " healthcheck: {test: 'false', interval: 50ms, retries: 1}}}",
            "dependency failed to start: container bad-b-1 is unhealthy",
        ),
        (
            "services: {a: {image: busybox,"
            " depends_on: {b: {condition: service_completed_successfully}}},"
            " b: {image: busybox, command: sh -c 'exit 4'}}",
            'service "b" didn\'t complete successfully: exit 4',
        ),
        (
            "services: {a: {image: busybox, depends_on: {b: {condition: service_healthy}}},"
            " b: {image: busybox, command: sleep 99, stop_grace_period: 0s}}",
            "dependency failed to start: container bad-b-1 has no healthcheck configured",
        ),
    ],
)
def test_a_dependency_that_fails(engine: Engine, text: str, message: str) -> None:
    app = engine.compose(text + "\n", project="bad")
    try:
        with pytest.raises(ServiceNotReadyError) as caught:
            app.up()
        assert caught.value.message == message
        assert app.status()["a"].state == "created"
    finally:
        app.down(timeout=0)


@pytest.mark.parametrize(
    "text",
    [
        "services:\n" + "".join(f"  s{n}: {{image: x}}\n" for n in range(10_000)),
        "services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}\n",
        "services: {a: {image: x, depends_on: {b: {condition: done}}}, b: {image: x}}\n",
        "services: {a: {image: x, volumes: ['vol:/v']}}\nvolumes: {vol: {name: ../../etc}}\n",
        "services: {a: {image: x, container_name: ../a}}\n",
        "services: {../a: {image: x}}\n",
    ],
    ids=["10,000 services", "cycle", "condition", "volume", "container", "service"],
)
def test_bad_input_starts_nothing(engine: Engine, text: str) -> None:
    """One line, soon, and nothing is there."""
    began = time.monotonic()
    app = engine.compose(text, project="bad")
    with pytest.raises((ComposeFileError, InvalidArgumentError)) as caught:
        app.up(pull="never")
    assert "\n" not in caught.value.message
    assert time.monotonic() - began < 30
    assert [one for one in engine.networks() if one.name.startswith("bad")] == []
    assert engine.compose(project="bad", folder="/nowhere").ps(all=True) == []


def test_an_interrupt_leaves_what_down_removes(engine: Engine) -> None:
    """Without the answer to the interrupt steps went on behind the caller's back."""
    text = """\
services:
  a: {image: busybox, command: sleep 99, depends_on: {b: {condition: service_healthy}}}
  b:
    image: busybox
    command: sleep 99
    stop_grace_period: 0s
    healthcheck: {test: "false", interval: 10s, retries: 9}
"""
    app = engine.compose(text, project="stopped")

    def press(event: Event) -> None:
        if isinstance(event, TaskProgress) and event.status == "Waiting":
            threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt, match="`down` removes what is there"):
        app.up(emit=press)
    assert app.status()["b"].state == "running"
    app.down()
    assert app.ps(all=True) == []
    time.sleep(0.6)  # the time in which further interrupts are the same wish


FOREGROUND = """\
services:
  web: {image: busybox, command: sh -c 'echo out; echo err >&2; exit 3'}
  db:
    image: busybox
    command: sh -c 'trap "echo bye; exit 5" TERM; echo hi; while :; do sleep 0.1; done'
"""


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ({"abort_on_container_exit": True}, 3),
        ({"abort_on_container_failure": True}, 3),
        ({"exit_code_from": "db"}, 5),
    ],
)
def test_in_the_foreground(engine: Engine, flags: dict[str, Any], code: int) -> None:
    lines: list[ProjectLine] = []
    app = engine.compose(FOREGROUND, project="front")
    try:
        assert app.foreground(on_line=lines.append, **flags) == code
    finally:
        app.down(timeout=0)
    shown = [(line.source, line.stream, line.text) for line in lines]
    assert shown[0] == ("", "status", "Attaching to db-1, web-1")
    assert ("web-1", "stdout", "out") in shown
    assert ("web-1", "stderr", "err") in shown
    assert ("web-1", "status", "web-1 exited with code 3") in shown


def test_a_service_that_starts_after_the_stop_is_stopped_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail without a second stop: it ran on, and the foreground with it."""
    start = ContainerService.start

    def late(self: ContainerService, name: str, **flags: Any) -> Any:
        if "db" in engine.containers.get(name).name:
            time.sleep(2)
        return start(self, name, **flags)

    monkeypatch.setattr(ContainerService, "start", late)
    app = engine.compose(FOREGROUND, project="late")
    try:
        assert app.foreground(on_line=lambda _: None, abort_on_container_exit=True) == 3
        assert app.ps() == []
    finally:
        app.down(timeout=0)


def test_the_first_interrupt_stops_and_the_second_kills(engine: Engine) -> None:
    text = """\
services:
  db: {image: busybox, command: ["sh", "-c", "trap '' TERM; echo hi; while :; do sleep 0.1; done"]}
"""
    app = engine.compose(text, project="front")
    pressed: list[str] = []

    def press(line: ProjectLine) -> None:
        if line.text == "hi" or "Gracefully" in line.text:
            pressed.append(line.text)
            raise KeyboardInterrupt

    began = time.monotonic()
    try:
        assert app.foreground(on_line=press) == 130
        assert time.monotonic() - began < 9  # the usual grace is 10 seconds
        assert pressed[0] == "hi"
        assert app.status()["db"].containers[0].exit_code == 137
    finally:
        app.down(timeout=0)


def test_watch_copies_restarts_and_rebuilds(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY made /made\n")
    (tmp_path / "made").write_text("1")
    (tmp_path / "compose.yaml").write_text("""\
services:
  web:
    build: .
    command: sleep 100
    stop_grace_period: 0s
    develop:
      watch:
        - {path: src, action: sync, target: /app/src}
        - {path: made, action: rebuild}
""")
    app = engine.compose(folder=tmp_path, project="watched")
    with app.up():
        watcher = app.watch()
        told = iter(watcher)
        (tmp_path / "src" / "deep").mkdir()
        (tmp_path / "src" / "deep" / "b").write_text("2")
        assert next(told) == 'Syncing service "web" after 1 changes were detected'
        (tmp_path / "src" / "deep" / "b").unlink()
        assert next(told) == 'Syncing service "web" after 1 changes were detected'
        (tmp_path / "made").write_text("2")
        assert next(told) == 'Rebuilding service(s) ["web"] after changes were detected...'
        assert app.exec("web", ["find", "/app"]).output.split() == [
            "/app", "/app/src", "/app/src/deep"
        ]  # fmt: skip
        assert next(told) == 'service(s) ["web"] successfully built'
        watcher.close()
        assert app.exec("web", ["cat", "/made"]).output == "2"
