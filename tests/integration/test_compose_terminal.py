"""``jupyter container compose``: what Docker Compose 2.40.3 printed for the same file.

The expectations were written down from its ``--progress plain`` on a dockerd.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.cli import main
from tests.integration.engine_fixtures import Place, demolish

FILE = """\
services:
  web:
    image: busybox
    command: sh -c 'while true; do echo hi; sleep 1; done'
    depends_on: {db: {condition: service_healthy}}
    volumes: [data:/data]
    stop_grace_period: 0s
  db:
    image: busybox
    command: sleep 100
    stop_grace_period: 0s
    healthcheck: {test: "true", interval: 100ms}
volumes: {data: }
"""


class Terminal:
    def __init__(self, place: Place, capture: pytest.CaptureFixture[bytes]) -> None:
        self._place, self._capture = place, capture

    def __call__(self, line: str, code: int = 0) -> tuple[str, list[str]]:
        """Return the output of a command and its progress lines, sorted."""
        words = ["compose", *line.split()]
        assert main(words, self._place.engine) == code
        out, err = (text.decode() for text in self._capture.readouterr())
        return out, sorted(one.rstrip() for one in err.splitlines())


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place.under(tmp_path_factory.mktemp("terminal"))
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    yield place
    with place.engine() as engine:
        demolish(engine)


@pytest.fixture
def compose(
    own: Place,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Terminal:
    folder = tmp_path_factory.getbasetemp() / "app"
    folder.mkdir(exist_ok=True)
    (folder / "compose.yaml").write_text(FILE)
    monkeypatch.chdir(folder)
    return Terminal(own, capfdbinary)


def container(name: str, *words: str) -> list[str]:
    return [f" Container app-{name}  {word}" for word in words]


def test_up_prints_what_compose_prints(compose: Terminal) -> None:
    made = sorted(
        [
            " Network app_default  Creating",
            " Network app_default  Created",
            " Volume app_data  Creating",
            " Volume app_data  Created",
            *container("db-1", "Creating", "Created", "Starting", "Started", "Waiting", "Healthy"),
            *container("web-1", "Creating", "Created", "Starting", "Started"),
        ]
    )
    assert compose("up -d") == ("", made)
    kept = sorted(
        container("db-1", "Running", "Waiting", "Healthy") + container("web-1", "Running")
    )
    assert compose("--progress plain up -d") == ("", kept)
    assert compose("--progress quiet up -d") == ("", [])
    out, _ = compose("--progress json up -d")
    assert out == ""


def test_tables(compose: Terminal) -> None:
    compose("up -d")
    lines = compose("ps")[0].splitlines()
    assert lines[0].split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert re.fullmatch(
        r'app-web-1 +busybox +"sh -c \'while true; …" +web +.* ago +Up .*', lines[2]
    )
    assert compose("ps --services")[0] == "db\nweb\n"
    first = json.loads(compose("ps --format json")[0].splitlines()[0])
    assert (first["Name"], first["Service"], first["State"]) == ("app-db-1", "db", "running")
    assert set(first) >= {"ID", "Publishers", "Health", "ExitCode", "Project", "Labels"}
    lines = compose("ls")[0].splitlines()
    assert lines[0] == "NAME                STATUS              CONFIG FILES"
    assert re.fullmatch(r"app {17}running\(2\) {10}/.*/app/compose.yaml", lines[1])
    [project] = json.loads(compose("ls --format json")[0])
    assert [*project] == ["Name", "Status", "ConfigFiles"]
    head = compose("images")[0].splitlines()[0]
    assert head.split("  ")[0] == "CONTAINER"
    assert head.startswith("CONTAINER           REPOSITORY          TAG                 PLATFORM")
    assert compose("top db")[0].splitlines()[0].split()[:3] == ["SERVICE", "#", "UID"]
    assert compose("volumes")[0] == "DRIVER    VOLUME NAME\nlocal     app_data\n"
    assert compose("volumes -q")[0] == "app_data\n"
    assert compose("version --short")[0] == "2.40.3\n"


def test_a_life(compose: Terminal) -> None:
    compose("up -d --scale db=1")
    assert compose("restart -t 0 db")[1] == sorted(container("db-1", "Restarting", "Started"))
    assert compose("stop web")[1] == sorted(container("web-1", "Stopping", "Stopped"))
    out, told = compose("rm -f")
    assert (out, told) == ("Going to remove app-web-1\n", sorted(container("web-1", "Removing", "Removed")))  # fmt: skip  # noqa: E501  # one line of the table
    assert compose("rm -f") == ("", ["WARNING: No stopped containers"])
    assert compose("kill db")[1] == sorted(container("db-1", "Killing", "Killed"))
    assert compose("down -v")[1] == sorted(
        [
            " Network app_default  Removing",
            " Network app_default  Removed",
            " Volume app_data  Removing",
            " Volume app_data  Removed",
            *container("db-1", "Stopping", "Stopped", "Removing", "Removed"),
        ]
    )
    [line] = compose("down")[1]
    assert 'No resource found to remove for project "app".' in line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("start nope", "no such service: nope"),
        ("start db", 'service "db" has no container to start'),
        ("exec db true", 'service "db" is not running'),
        ("port db 1", 'service "db" is not running'),
        ("wait db", 'no containers for project "app"'),
        ("scale nope=1", "no such service: nope"),
        ("logs nope", "no such service: nope"),
        ("cp db:/x .", 'no container found for service "db"'),
        (
            "up --force-recreate --no-recreate",
            "--force-recreate and --no-recreate are incompatible",
        ),
        ("up -d --attach db", "--detach cannot be combined with --abort-on-container-exit"),
        ("-f nowhere.yaml up", "cannot be read: No such file or directory"),
    ],
)
def test_what_does_not_work_ends_with_1(compose: Terminal, line: str, message: str) -> None:
    _, told = compose(line, 1)
    assert any(message in one for one in told)


def test_commands_in_services(compose: Terminal) -> None:
    compose("up -d db")
    assert compose("exec -T db echo yo")[0] == "yo\n"
    compose("exec -T db false", 1)
    assert compose("run --rm --no-deps db echo hi")[0] == "hi\n"
    compose("run --rm -T db sh -c exit\t6".replace("\t", " "), 0)
    assert compose("down -v --remove-orphans")[0] == ""


def test_the_foreground_ends_with_a_services_code(compose: Terminal) -> None:
    Path("front.yaml").write_text(
        "services:\n"
        "  web: {image: busybox, command: sh -c 'echo out; exit 3'}\n"
        "  longer: {image: busybox, command: sleep 100, stop_grace_period: 0s}\n"
    )
    out, told = compose("-f front.yaml up --exit-code-from web", 3)
    assert out.splitlines() == [
        "Attaching to longer-1, web-1",
        "web-1     | out",
        "web-1 exited with code 3",
        "longer-1 exited with code 137",
    ]
    assert "Aborting on container exit..." in told
    assert compose("-f front.yaml logs web")[0] == "web-1  | out\n"
    assert compose("-f front.yaml logs --no-log-prefix web")[0] == "out\n"
    compose("-f front.yaml down")
