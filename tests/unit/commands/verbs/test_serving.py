from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine.system.serving import (
    TLSFiles,
    service_program,
    socket_path,
    url_of,
)
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.settings import Settings, load_settings


def no_engine() -> None:
    raise AssertionError("an engine was started")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"JUPYTER_CONTAINERS_RUN_ROOT": str(tmp_path)}, {})


def test_env_is_a_line_for_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_CONTAINERS_RUN_ROOT", str(tmp_path))
    session = Session(no_engine, whole=True)  # type: ignore[arg-type]  # it returns nothing
    said = execute(session, ["system", "env"])
    assert str(said) == f"export DOCKER_HOST=unix://{tmp_path}/docker.sock"


def test_an_address_is_a_path_of_a_socket(settings: Settings, tmp_path: Path) -> None:
    assert socket_path(settings) == tmp_path / "docker.sock"
    assert socket_path(settings, "unix:///a/b") == Path("/a/b")
    for address in ("tcp://0.0.0.0:2375", "relative", "http://x"):
        with pytest.raises(InvalidArgumentError, match="invalid address"):
            socket_path(settings, address)


def test_the_service_is_a_program_of_its_own() -> None:
    assert service_program("unix:///s", 3.0)[-3:] == ("unix:///s", "3.0", "-1")


def test_a_time_below_zero_is_refused() -> None:
    session = Session(no_engine, whole=True)  # type: ignore[arg-type]  # it returns nothing
    with pytest.raises(InvalidArgumentError, match="invalid time"):
        execute(session, ["system", "service", "--time=-1"])


def test_tcp_needs_the_three_files(settings: Settings) -> None:
    files = TLSFiles("/ca", "/cert", "/key")
    assert url_of(settings, "tcp://[::1]:2376", files) == "tcp://[::1]:2376"
    words = service_program("tcp://h:1", 0, tls=files)
    assert words[-6:] == ("tcp://h:1", "0", "-1", "/ca", "/cert", "/key")
    for one in (None, TLSFiles(), TLSFiles("/ca", "/cert", "")):
        with pytest.raises(InvalidArgumentError, match="with a certificate only"):
            url_of(settings, "tcp://h:1", one)
    for address in ("tcp://h", "tcp://:1", "tcp://h:99999", "tcp://h:x"):
        with pytest.raises(InvalidArgumentError, match="invalid address"):
            url_of(settings, address, files)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--install", "--uninstall"], "exclude each other"),
        (["--install", "--tlskey=a"], "for a unix socket"),
        (["--install", "tcp://h:1"], "invalid address"),
        (["tcp://h:1"], "with a certificate only"),
    ],
)
def test_what_excludes_each_other_is_refused(words: list[str], said: str) -> None:
    session = Session(no_engine, whole=True)  # type: ignore[arg-type]  # it returns nothing
    with pytest.raises(InvalidArgumentError, match=said):
        execute(session, ["system", "service", *words])
