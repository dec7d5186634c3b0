"""Variables of a notebook go into containers, and results come back, in a real kernel."""

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
        base_images.bring(engine, "busybox", "python:3.11-slim")
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
    assert 'cell.py", line 3' in text_of(outputs)  # the cell's line number
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
        ("%container run --rm -it --input df busybox", "without a terminal"),
        ("%container create --input df busybox", "unknown flag: --input"),
    ]:
        [error] = run_cell(client, source)
        assert words in error.traceback[0]


def test_the_result_is_also_in_the_outcome(client: NotebookClient) -> None:
    run_cell(client, "%container run --rm -o r --out done busybox sh -c 'echo 1 > $r.json'")
    assert text_of(run_cell(client, "done.results")) == "{'r': 1}"


def test_a_map_shows_one_display_and_a_table(client: NotebookClient) -> None:
    display, table = run_cell(client, "%%container map --network none busybox echo got {}\na\nb\n")
    assert display.output_type == "display_data"
    assert "busybox echo got {} · 2" in display.data["text/plain"]
    assert table.data["text/plain"].splitlines()[1:] == [
        "a         0           got a",
        "b         0           got b",
    ]
    run_cell(client, "numbers = range(1, 4)")
    line = "%container map --over numbers --workers 2 --network none busybox expr 2 *"
    source = f"found = {line}\nfound"
    assert "OUTPUT" in text_of(run_cell(client, source))
    shown = run_cell(client, "[int(one.output) for one in found]")
    assert text_of(shown) == "[2, 4, 6]"
    outputs = run_cell(client, "%%container map --network none busybox sh -c 'exit {}'\n0\n3\n")
    assert outputs[-1].ename == "ItemFailedError"
    assert outputs[-1].traceback[0].startswith("ItemFailedError: item 1 ('3') failed: container")


def test_a_service_lasts_as_long_as_its_block(client: NotebookClient) -> None:
    source = (
        "from urllib.request import urlopen\nfrom jupyter_containers import Engine\n"
        "serve = ['httpd', '-f', '-h', '/etc']\n"
        "with Engine() as e, e.workloads.service('busybox', serve, ports=80) as web:\n"
        "    print(urlopen(f'http://{web.address}/passwd').status)\n"
        "    print(web.name in e.containers)\n"
        "    frame = e.containers.to_dataframe()\n"
    )
    assert text_of(run_cell(client, source)) == "200\nTrue\n"
    assert text_of(run_cell(client, "frame.status.tolist()")) == "['running']"
    assert text_of(run_cell(client, "%container ps -aq")) == ""


def test_here_is_the_notebooks_folder(client: NotebookClient) -> None:
    run_cell(client, "%container run --rm --here --network none busybox sh -c 'echo made > made'")
    assert text_of(run_cell(client, "open('made').read()")) == "'made\\n'"
