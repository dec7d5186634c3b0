"""The report of a failure: a line, the place, a hint, and never a traceback."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbclient import NotebookClient

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel, run_cell, text_of


@pytest.fixture(scope="module")
def client(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    with kernel(place, tmp_path_factory.mktemp("errors")) as client:
        assert run_cell(client, "%load_ext jupyter_containers") == []
        yield client


CASES = [
    ("%container rnu busybox", "InvalidArgumentError: unknown command: 'rnu'", "did you mean run?"),
    ("%container run --memroy 3 busybox", "FlagError: unknown flag: --memroy", "--memory?"),
    ("%container run {{nope}}", "InvalidArgumentError: {{nope}}: NameError: name 'nope'", "Python"),
    ("%container run 'busybox", "InvalidArgumentError: cannot split the command line", "quote"),
    ("%container run -m lots busybox", "FlagError: invalid memory: 'lots'", "512m"),
    (
        "%container run -it busybox sh",
        "UnsupportedError: -it needs an interactive front end",
        "%%container",
    ),
    ("%container exec nope ls", "ContainerNotFoundError: no such container: nope", "ps -a"),
    ("%container rmi nope", "ImageNotFoundError: no such image: nope", "images"),
    ("%container pull localhost:1/x", "ConnectionFailedError: cannot reach", "running"),
    ("%container bootstrap alpine", "InvalidArgumentError: cannot bootstrap", "busybox"),
    ("%container inspect -f {{.Nam}} busybox", "InvalidArgumentError: template: no field", "Id"),
    ("%%container ps\nx", "InvalidArgumentError: ps reads no input", "%container"),
    ("%container run --rm busybox nosuch", 'OCIRuntimeError: exec: "nosuch"', "spelling"),
    (
        "%container run --name oom --rm -m 16m busybox tail /dev/zero",
        "ContainerFailedError: container oom was killed: out of memory (exit code 137)",
        "its limit was 16 MiB",
    ),
]


@pytest.mark.parametrize(("source", "message", "hint"), CASES, ids=[case[0] for case in CASES])
def test_an_error_is_one_line_and_a_hint(
    client: NotebookClient, source: str, message: str, hint: str
) -> None:
    *progress, error = run_cell(client, source)
    assert [output.output_type for output in progress] in ([], ["display_data"])
    assert error.output_type == "error"
    lines = "\n".join(error.traceback).splitlines()
    assert lines[0].startswith(message)
    assert len(lines) == 2
    assert lines[1].startswith("  hint: ")
    assert hint in lines[1]


def test_a_failed_run_shows_its_output_once(client: NotebookClient) -> None:
    outputs = run_cell(client, "%container run --rm --name bad busybox sh -c 'echo why; exit 3'")
    assert text_of(outputs).split("\n") == [
        "why",
        "",
        "ContainerFailedError: container bad ended with exit code 3",
    ]
    assert outputs[-1].ename == "ContainerFailedError"


def test_a_syntax_error_marks_the_cells_own_line(client: NotebookClient) -> None:
    [error] = run_cell(client, "%%dockerfile -t broken\n# a comment\nFROM busybox\nRUNN make\n")
    assert "\n".join(error.traceback).splitlines() == [
        "DockerfileSyntaxError: unknown instruction: RUNN",
        f"  In[{client.nb.cells[-1].execution_count}]:4",
        "  >   4 | RUNN make",
        "        | ^^^^",
        "  hint: did you mean RUN?",
    ]


def test_a_failed_step_marks_its_lines_and_shows_its_last_output(client: NotebookClient) -> None:
    source = "%%dockerfile -t broken\nFROM busybox\nRUN echo '\033[31mwhy\033[0m'; \\\n  exit 3\n"
    display, error = run_cell(client, source)
    assert "✗ [2/2] RUN echo" in display.data["text/plain"]
    assert "why" not in display.data["text/plain"].partition("✗")[2].partition("\n")[2]
    lines = "\n".join(error.traceback).splitlines()
    assert lines[0].startswith("StepFailedError: RUN echo")
    assert lines[0].endswith("ended with exit code 3")
    assert lines[1:] == [
        f"  In[{client.nb.cells[-1].execution_count}]:3",
        "  >   3 | RUN echo 'why'; \\",
        "        | ^^^",
        "  >   4 |   exit 3",
        "  last output:",
        "  | why",
        "  hint: inspect its files: %container builder debug COMMAND",
    ]


def test_a_missing_file_is_marked_in_its_line(client: NotebookClient) -> None:
    *_, error = run_cell(client, "%%dockerfile\nFROM busybox\nCOPY a*b nosuch /x/\n")
    lines = "\n".join(error.traceback).splitlines()
    assert lines[0] == "BuildError: 'nosuch' not found"
    assert lines[2:4] == ["  >   3 | COPY a*b nosuch /x/", "        |          ^^^^^^"]


def test_an_error_can_be_caught(client: NotebookClient, tmp_path: Path) -> None:
    outputs = run_cell(
        client,
        "from jupyter_containers import ContainersError\n"
        "try:\n"
        "    %container run nosuch.invalid/x true\n"
        "except ContainersError as error:\n"
        "    print(type(error).__name__, bool(error.__cause__), bool(error.hint))\n",
    )
    name, caused, hinted = outputs[-1].text.split()
    assert name.endswith("Error")
    assert (caused, hinted) == ("True", "True")


def test_a_users_own_error_keeps_its_traceback(client: NotebookClient) -> None:
    [error] = run_cell(client, "1/0")
    assert "Traceback" in "\n".join(error.traceback)


@pytest.mark.parametrize(
    ("source", "shown", "kept"),
    [
        ("%%dockerfile --no-cache\nFROM busybox\nRUN echo began; sleep 60", "⊘ [2/2] RUN", "cache"),
        (
            "%container run --rm --network none busybox sh -c 'echo began; sleep 60'",
            "began",
            "removed",
        ),
        ("%container run --network none busybox sh -c 'echo began; sleep 60'", "began", "was kept"),
    ],
)
def test_an_interrupt_is_answered_at_once_with_one_line(
    client: NotebookClient, source: str, shown: str, kept: str
) -> None:
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.monotonic())
        os.kill(client.km.provisioner.pid, signal.SIGINT)

    timer = threading.Timer(1.0, press)
    timer.start()
    outputs = run_cell(client, source)
    answered = time.monotonic()
    assert pressed, text_of(outputs)
    assert answered - pressed[0] < 2
    assert shown in text_of(outputs[:-1])
    [line] = outputs[-1].traceback
    assert re.fullmatch(rf"KeyboardInterrupt: \w+ was interrupted: .*{kept}", line)
    # Other notebooks on this store check that they leave nothing behind.
    run_cell(client, "%container container prune -f")
