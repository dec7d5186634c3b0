"""An image built cell by cell in a real kernel: steps belong to cells, not to prompt numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Run = Callable[[str, str], str]


@pytest.fixture
def run(place: Place, tmp_path: Path) -> Iterator[Run]:
    """Yield a function that runs a cell (named as in JupyterLab) and returns its output's text."""
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    with kernel(place, tmp_path) as nb:
        client = BlockingKernelClient(connection_file=nb.km.connection_file)
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            _run(client, "first", "%load_ext jupyter_containers")
            yield lambda cell, source: _run(client, cell, source)
        finally:
            client.stop_channels()


def _run(client: BlockingKernelClient, cell: str, source: str) -> str:
    content = {
        "code": source,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    message = client.session.msg("execute_request", content, metadata={"cellId": cell})
    client.shell_channel.send(message)
    said: list[str] = []
    while True:
        answer: dict[str, Any] = client.get_iopub_msg(timeout=60)
        if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        found = answer["content"]
        if answer["msg_type"] == "status" and found["execution_state"] == "idle":
            return "\n".join(said)
        said.append(found.get("text", "") or found.get("data", {}).get("text/plain", ""))
        said += found.get("traceback", [])


def test_cells_build_on_each_other_and_know_when_they_are_stale(run: Run) -> None:
    one = "%%dockerfile\nFROM busybox\nRUN echo {} > /one\n"
    two = "%%dockerfile --continue\nRUN cat /one > /two\n"
    three = "%%dockerfile --continue -t cells:1\nRUN cat /two > /three\n"
    show = "%container run --rm --network none cells:1 cat /three"
    run("1", one.format("one"))
    run("2", two)
    run("3", three)
    assert "one" in run("4", show)

    said = run("1", one.format("uno"))
    assert "In[3], In[4] and In[5]" not in said
    assert "In[3] and In[4] are stale now" in said
    assert "the command changed" in said, "an edited cell knows what it was before"
    said = run("3", three)
    assert "In[3] is stale" in said
    assert "run In[3] again first" in said
    assert "is stale now" in run("2", two)
    assert "stale" not in run("3", three)
    assert "uno" in run("4", show)


def test_an_error_of_a_cell_that_continues_points_at_its_own_line(run: Run) -> None:
    run("1", "%%dockerfile\nFROM busybox\n")
    said = run("2", "%%dockerfile --continue\nENV a=b\nRUN exit 3\n")
    assert "ended with exit code 3" in said
    assert re.search(r"\] FROM [0-9a-f]{12} · CACHED", said), "an ID is told in its short form"
    assert "In[3]:3" in said


def test_a_forecast_evaluates_nothing_of_a_cell(run: Run) -> None:
    """Seen to fail before: the steps had the values, and the files of both expressions existed."""
    ask = (
        "from jupyter_containers.magics.registration import registered\n"
        "steps = registered(get_ipython()).forecast({!r}, 'second')\n"
        "print([(step.title, step.cached, step.reason) for step in steps])"
    )
    run("base", "%%dockerfile\nFROM busybox\nRUN echo a > /a")
    run("words", "word = 'b'")
    attack = "__import__('pathlib').Path('ran-{}').touch()"
    line, text = (attack.format(name) for name in ("line", "text"))
    cell = (
        f"%%dockerfile --continue --interpolate --build-arg a={{{{{line}}}}}\n"
        f"RUN echo known > /k\nRUN echo {{{{{text}}}}} > /u\nRUN true"
    )
    said = run("ask", ask.format(cell))
    assert "echo known > /k', False, \"not built here before; {{__import__" in said
    assert "Path('ran-text').touch()}} > /u" in said, "the expression is shown, not its value"
    assert said.count("its value is known only when the cell runs") == 2
    whole = (
        "%%dockerfile --interpolate\nFROM busybox\nEXPOSE {{__import__('os').mkdir('ran-whole')}}"
    )
    caught = f"try:\n    {ask.format(whole).splitlines()[1]}\nexcept ValueError as e: print(e)"
    said = run("ask", f"{ask.splitlines()[0]}\n{caught}")
    assert "its value is known only when the cell runs" in said
    assert "[]" in run("look", "import pathlib; print([*pathlib.Path().glob('ran-*')])")
    # Even after a run, since the value of the expression may have changed.
    cell = "%%dockerfile --continue --interpolate\nRUN echo {{word}} > /f\nRUN echo more > /g"
    run("second", cell)
    said = run("ask", ask.format(cell))
    assert "RUN echo {{word}} > /f', False, '{{word}}: its value is known only" in said
    assert "RUN echo more > /g', False, 'the parent changed" in said, "never promises too much"
    helping = "registered(get_ipython()).forecast('%%dockerfile --help', 'second')"
    assert "asks for help" in run(
        "ask", f"try: {helping}\nexcept ValueError as error: print(error)"
    )
