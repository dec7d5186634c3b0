"""``%%compose`` in a kernel: up, changes, failures, logs, down."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbclient import NotebookClient

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel, run_cell, text_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

WEB = """
services:
  web:
    image: busybox
    init: true
    command: httpd -f -p 8000
    depends_on: [db]
  db:
    image: busybox
    init: true
    command: sleep 1000
    healthcheck: {test: "true", interval: 1s}
  job:
    image: busybox
    command: echo {{words}}
"""


def output(client: NotebookClient, source: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text_of(run_cell(client, source)))


@pytest.fixture(scope="module")
def notebook(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    folder: Path = tmp_path_factory.mktemp("compose")
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    with kernel(place, folder) as client:
        output(client, "%load_ext jupyter_containers")
        yield client


def test_the_cell_ends_when_all_is_ready(notebook: NotebookClient) -> None:
    output(notebook, "words = 'the job is done'")
    said = output(notebook, f"%%compose -p shop --out app --interpolate{WEB}")
    assert re.search(r"^db +running, healthy", said, re.MULTILINE)
    assert re.search(r"^job +exited \(0\)", said, re.MULTILINE)
    assert "<Service web: running>" in output(notebook, "app['web']")
    assert "the job is done" in output(notebook, "print(*(line.text for line in app.logs('job')))")
    [shown] = run_cell(notebook, "app")
    assert "<svg" in shown.data["text/html"]
    # Nothing has changed: nothing is recreated.
    container = "print(app['db'].container.id)"
    before = output(notebook, container)
    output(notebook, f"%%compose -p shop --interpolate{WEB}")
    assert output(notebook, container) == before
    assert output(notebook, f"%%compose -p shop config --services{WEB}").split() == [
        *("db", "job", "web")
    ]
    output(notebook, f"%%compose -p shop down -t 0{WEB}")
    assert "shop-" not in output(notebook, "%container compose -p shop ps -a")


def test_a_mistake_and_a_failed_service_fail_the_cell(notebook: NotebookClient) -> None:
    said = output(notebook, f"%%compose{WEB.replace('image', 'imag', 1)}")
    assert "the cell:4" in said
    assert re.search(r"4 \| +imag: busybox\n.*\^\^\^\^\n +hint: did you mean image\?", said)
    broken = "services: {bad: {image: busybox, command: sh -c 'echo about to fail; exit 3'}}"
    said = output(notebook, f"%%compose -p bad\n{broken}")
    assert "container bad-bad-1 exited (3)" in said
    assert "about to fail" in said
    assert "names another" in output(notebook, f"%%compose -f base.yaml\n{broken}")
    output(notebook, f"%%compose -p bad down\n{broken}")


def test_in_the_foreground_its_output_is_the_cells(notebook: NotebookClient) -> None:
    job = "services: {one: {image: busybox, command: sh -c 'sleep 1; echo hello from one'}}"
    said = output(notebook, f"%%compose -p jobs --attach one\n{job}")
    assert "one-1" in said
    assert "hello from one" in said
    output(notebook, f"%%compose -p jobs down\n{job}")
