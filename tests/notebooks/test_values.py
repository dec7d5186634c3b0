"""Variables of a notebook go into containers, and results come back, in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nbclient import NotebookClient

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel, run_cell, text_of


@pytest.fixture(scope="module")
def client(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    with place.engine() as engine:
        engine.bootstrap("busybox")
        engine.bootstrap("python:3.11-slim")
    with kernel(place, tmp_path_factory.mktemp("values")) as client:
        run_cell(client, "%load_ext jupyter_containers")
        run_cell(client, "import pandas as pd\ndf = pd.DataFrame({'n': [1, 2, 3]})")
        yield client


def test_a_cell_takes_a_frame_and_gives_one_back(client: NotebookClient) -> None:
    source = (
        "%%container run --rm -i df=df.csv -o doubled -o lines busybox\n"
        "awk -F, 'NR == 1 {print} NR > 1 {print $1 * 2}' $df > $doubled.csv\n"
        "wc -l < $df > $lines.json\n"
    )
    assert run_cell(client, source) == []
    assert text_of(run_cell(client, "doubled.n.tolist(), lines")) == "([2, 4, 6], 4)"


def test_a_cell_of_python_has_them_as_variables(client: NotebookClient) -> None:
    source = (
        "%%container run --rm -i df=df.csv -o best --interpreter python python:3.11-slim\n"
        "best = max(df['n'])\nprint('found')\n"
    )
    assert text_of(run_cell(client, source)) == "found\n"
    assert text_of(run_cell(client, "best")) == "3"
    outputs = run_cell(client, source.replace("best =", "\nbest = nothing"))
    assert 'cell.py", line 3' in text_of(outputs)  # counted as the cell counts
    assert outputs[-1].ename == "ContainerFailedError"


def test_dockers_own_meaning_of_i_stays(client: NotebookClient) -> None:
    shown = text_of(run_cell(client, "%%container run --rm -i busybox cat\nread\n"))
    assert shown == "read\n"
    run_cell(client, "busybox = 'a variable of that name'")
    shown = text_of(run_cell(client, "%%container run --rm -i busybox cat\nread\n"))
    assert shown == "read\n"
    source = "%container run --rm -i busybox=b.txt busybox cat /data/in/b.txt"
    assert text_of(run_cell(client, source)) == "a variable of that name"


def test_help_names_the_flags_and_mistakes_are_one_line(client: NotebookClient) -> None:
    shown = text_of(run_cell(client, "%container run --help"))
    assert "--input NAME[=FILE]" in shown
    assert "-o, --result NAME" in shown
    for source, words in [
        ("%container run --input nope busybox", "there is no variable nope"),
        ("%container run --rm -o gone busybox true", "ResultNotFoundError: the container left no"),
        ("%container run --rm -it --input df busybox", "not into a terminal"),
        ("%container create --input df busybox", "unknown flag: --input"),
    ]:
        [error] = run_cell(client, source)
        assert words in error.traceback[0]


def test_the_result_is_also_in_the_outcome(client: NotebookClient) -> None:
    run_cell(client, "%container run --rm -o r --out done busybox sh -c 'echo 1 > $r.json'")
    assert text_of(run_cell(client, "done.results")) == "{'r': 1}"
