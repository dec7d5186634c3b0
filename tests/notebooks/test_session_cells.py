"""``%%session`` and ``%%sandbox`` in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nbclient import NotebookClient

from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel, run_cell, text_of


@pytest.fixture(scope="module")
def client(
    place: Place, base_images: BaseImages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NotebookClient]:
    with place.engine() as engine:
        base_images.bring(engine, "python:3.11-slim")
    with kernel(place, tmp_path_factory.mktemp("sessions")) as client:
        run_cell(client, "%load_ext jupyter_containers")
        start = "%container session start python:3.11-slim --name there --network none"
        assert "<session there: python 3.11" in text_of(run_cell(client, start))
        yield client
        assert text_of(run_cell(client, "%container session stop there")) == "there"


def test_cells_share_variables_there_and_show_what_they_show(client: NotebookClient) -> None:
    assert run_cell(client, "%%session there\nx = 41") == []
    outputs = run_cell(
        client,
        "%%session there\nfrom IPython.display import HTML\nprint('said')\n"
        "display(HTML('<b>bold</b>'))\nx + 1",
    )
    assert [output.output_type for output in outputs] == ["stream", "display_data", "display_data"]
    assert outputs[0].text == "said\n"
    assert outputs[1].data["text/html"] == "<b>bold</b>"
    assert outputs[2].data["text/plain"] == "42"
    assert run_cell(client, "x")[0].ename == "NameError"  # the notebook has its own variables
    assert "there" in text_of(run_cell(client, "%container session ls"))


def test_values_go_in_and_come_back(client: NotebookClient) -> None:
    run_cell(client, "numbers = [1, 2, 3]")
    assert run_cell(client, "%%session there -i numbers -o total\ntotal = sum(numbers)") == []
    assert text_of(run_cell(client, "total")) == "6"
    assert "no variable missing" in text_of(run_cell(client, "%%session there -i missing\n1"))


def test_an_error_has_the_lines_of_the_cell_and_stops(client: NotebookClient) -> None:
    outputs = run_cell(client, "%%session\nprint('before')\n\n1 / 0")
    assert outputs[0].text == "before\n"
    assert outputs[-1].output_type == "error"
    assert "line 4" in text_of(outputs)
    assert "ZeroDivisionError: division by zero" in text_of(outputs)
    assert "no session elsewhere" in text_of(run_cell(client, "%%session elsewhere\n1"))


def test_a_sandbox_is_closed_and_its_page_runs_nothing(client: NotebookClient) -> None:
    outputs = run_cell(
        client,
        "%%sandbox --timeout 30 python:3.11-slim\nfrom IPython.display import HTML, display\n"
        "display(HTML('<script>alert(1)</script>'))\n"
        "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)",
    )
    assert outputs[0].data["text/html"].startswith('<iframe sandbox=""')
    assert "Network is unreachable" in text_of(outputs)
    assert "there" in text_of(run_cell(client, "%container ps"))
    assert len(run_cell(client, "%container ps -q")[0].data["text/plain"].split()) == 1
