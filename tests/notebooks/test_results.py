"""Results of cells are Python values with a display, in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nbclient import NotebookClient

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel, run_cell, text_of

# numpy's letters: times, integers, floats, booleans.
FRAMES = {
    "images": {"created": "M", "size": "i"},
    "history busybox": {"created": "M", "size": "i", "empty_layer": "b"},
    "stats --no-stream": {
        **dict.fromkeys(("cpu_percent", "memory_percent"), "f"),
        **dict.fromkeys(("memory_usage", "network_rx", "block_read", "pids"), "i"),
    },
    "system df": {"size": "i", "reclaimable": "i", "active": "i"},
    "network ls": {"created": "M", "internal": "b"},
    "ps -as": {"created": "M", "size": "i", "size_root": "i", "oom_killed": "b"},
}


@pytest.fixture(scope="module")
def client(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    with kernel(place, tmp_path_factory.mktemp("results")) as client:
        run_cell(client, "%load_ext jupyter_containers")
        yield client


def test_output_shows_once_as_it_comes_and_again_where_it_is_asked_for(
    client: NotebookClient,
) -> None:
    [stream] = run_cell(client, "%container run --rm busybox sh -c 'echo one; echo two'")
    assert (stream.output_type, stream.text) == ("stream", "one\ntwo\n")
    assert text_of(run_cell(client, "_.lines")) == "['one', 'two']"
    [stream] = run_cell(client, "found = %container run --rm busybox echo three")
    assert stream.text == "three\n"
    [shown] = run_cell(client, "found")
    assert "three" in shown.data["text/html"]


def test_lists_are_tables_and_lists(client: NotebookClient) -> None:
    run_cell(client, "%container create --name listed busybox true")
    [shown] = run_cell(client, "everything = %container ps -a\neverything")
    assert shown.data["text/plain"].startswith("CONTAINER ID   IMAGE")
    assert "<table" in shown.data["text/html"]
    names = "[c.name for c in everything if c.status == 'created']"
    assert text_of(run_cell(client, names)) == "['listed']"
    assert text_of(run_cell(client, "%container rm listed")) == "listed"
    assert run_cell(client, "%container rm -f listed") == []


def test_tables_are_frames_of_numbers_and_times(client: NotebookClient) -> None:
    run_cell(client, "%container run -d --name framed --network none busybox sleep 60")
    for command, types in FRAMES.items():
        run_cell(client, f"found = %container {command}\nframe = found.to_dataframe()")
        kinds = f"{{name: frame[name].dtype.kind for name in {[*types]}}}"
        kinds = f"print(len(frame) == len(found), {kinds})"
        assert text_of(run_cell(client, kinds)) == f"True {types}\n", command
    running = "frame[frame.status == 'running'].name.tolist()"
    assert text_of(run_cell(client, running)) == "['framed']"
    run_cell(client, "%container rm -f framed")


def test_a_build_is_an_image_the_next_cell_can_use(client: NotebookClient) -> None:
    outputs = run_cell(client, "%%dockerfile -q --out made\nFROM busybox\nCMD ['true']\n")
    assert "Image" in text_of(outputs)
    run_cell(client, "%%dockerfile -t made:1 --out made\nFROM busybox\nENV A=1\n")
    [stream] = run_cell(client, "%container run --rm {{made}} sh -c 'echo $A'")
    assert stream.text == "1\n"
    assert "'made:1'" in text_of(run_cell(client, "made.names"))


def test_a_cell_is_input_and_a_cell_is_several_commands(client: NotebookClient) -> None:
    [stream] = run_cell(client, "%%container run --rm -i busybox sh\nA=5\necho $((A + 1))\n")
    assert stream.text == "6\n"
    shown = text_of(run_cell(client, "%%container\ntag busybox two:1\nimages two\n"))
    assert "two" in shown
