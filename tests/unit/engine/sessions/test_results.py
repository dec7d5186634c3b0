"""The limit that ended a cell, and the log of a session."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from jupyter_containers.engine.containers import inside_python
from jupyter_containers.engine.sessions import python_agent
from jupyter_containers.engine.sessions.history import CellLog
from jupyter_containers.engine.sessions.outputs import CellError, Output
from jupyter_containers.engine.sessions.packages import installation
from jupyter_containers.engine.sessions.results import SessionResult, limit_in
from jupyter_containers.errors import InvalidArgumentError


def result(*outputs: Output, stopped_by: str = "", refused: tuple[str, ...] = ()) -> SessionResult:
    return SessionResult(list(outputs), "", "", None, 0.0, 1, stopped_by, refused)  # type: ignore[arg-type]  # a literal


def test_an_error_of_the_system_names_a_limit() -> None:
    fork = CellError("BlockingIOError", "[Errno 11] Resource temporarily unavailable")
    assert limit_in(fork) == "processes"
    assert limit_in(CellError("RuntimeError", "can't start new thread")) == "processes"
    assert limit_in(CellError("OSError", "[Errno 28] No space left on device")) == "disk"
    assert limit_in(CellError("ValueError", "x")) == limit_in(None) == ""
    assert "processes" in result(stopped_by="processes").reason
    assert result().reason == ""


def test_a_log_has_what_the_cells_showed() -> None:
    log = CellLog()
    log.add(
        result(
            {"output_type": "stream", "name": "stdout", "text": "a\nb\n"},
            {"output_type": "execute_result", "data": {"text/plain": "42"}},
            {"output_type": "error", "traceback": ["Trace", "Error: x"]},
            stopped_by="time",
            refused=("evil.com:443 was refused",),
        )
    )
    assert [(line.stream, line.data) for line in log.tail(None)] == [
        ("stdout", b"a\n"),
        ("stdout", b"b\n"),
        ("stdout", b"42\n"),
        ("stderr", b"Trace\n"),
        ("stderr", b"Error: x\n"),
        ("stderr", b"the time limit was reached, and the cell was interrupted\n"),
        ("stderr", b"evil.com:443 was refused\n"),
    ]
    assert [line.data for line in log.tail(1)] == [b"evil.com:443 was refused\n"]
    assert list(log.tail(0)) == []


def test_a_log_is_bounded() -> None:
    log = CellLog(100)
    for number in range(50):
        text = f"line {number}\n" * 3
        log.add(result({"output_type": "stream", "name": "stdout", "text": text}))
    lines = [line.data for line in log.tail(None)]
    assert lines[-1] == b"line 49\n"
    assert sum(map(len, lines)) <= 100


@pytest.mark.parametrize("packages", [(), ("--index-url=http://evil",), ("-e.",)])
def test_options_are_no_packages(packages: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError):
        installation(packages, "pip", "")


def test_an_installation_names_the_hosts_that_it_needs() -> None:
    assert installation(["a"], "pip", "").hosts == ("pypi.org", "files.pythonhosted.org")
    other = installation(["a"], "pip", "https://mirror.example.org/simple")
    assert other.hosts == ("mirror.example.org",)
    assert "--index-url" in other.command
    assert "deb.debian.org" in installation(["curl"], "apt", "").hosts
    with pytest.raises(InvalidArgumentError):
        installation(["a"], "pip", "file:///etc")


@pytest.mark.parametrize("program", [inside_python, python_agent])
def test_programs_of_containers_import_nothing_of_this_package(program: ModuleType) -> None:
    """With an import of this package in ``inside_python`` no value crossed any more."""
    text = Path(str(program.__file__)).read_text()
    assert "import jupyter_containers" not in text
    assert "from jupyter_containers" not in text
