from __future__ import annotations

from jupyter_containers.commands.render.layers import Layers
from jupyter_containers.widgets import layers as module
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.layers import ChangeTree, LayersWidget
from tests.unit.commands.render.test_layers import change, image
from tests.unit.widgets.conftest import Page

FILES = (
    change("/etc", size=0, is_folder=True),
    change("/etc/small", size=1),
    change("/opt/lib/big", "changed", size=500),
    change("/opt/lib/gone", "removed", size=70),
)


def shown(tree: ChangeTree, folder: str = "", by_size: bool = False) -> list[tuple[str, int, int]]:
    entries, _ = tree.entries(folder, by_size)
    return [(entry.name, entry.size, entry.hidden) for entry in entries]


def test_a_folder_has_the_bytes_of_what_is_below() -> None:
    tree = ChangeTree(FILES)
    assert shown(tree) == [("etc", 1, 0), ("opt", 500, 70)]
    assert shown(tree, by_size=True) == [("opt", 500, 70), ("etc", 1, 0)]
    assert shown(tree, "/opt/lib") == [("big", 500, 0), ("gone", 0, 70)]
    assert shown(tree, "/nowhere") == []
    opt = tree.entries("", False)[0][1]
    assert (opt.folder, opt.kind) == (True, "")


def test_a_search_keeps_what_has_all_its_words() -> None:
    tree = ChangeTree(FILES, "LIB bi")
    assert tree.found == 1
    assert shown(tree) == [("opt", 500, 0)]
    assert shown(tree, "/opt/lib") == [("big", 500, 0)]


def test_a_large_folder_comes_in_parts() -> None:
    most = module.MOST_ENTRIES
    tree = ChangeTree(change(f"/f{number:04}") for number in range(most + 3))
    part, total = tree.entries("", by_size=False, first=most)
    assert [entry.name for entry in part] == [f"f{most + n:04}" for n in range(3)]
    assert total == most + 3


def test_files_are_sent_when_a_folder_is_opened(gallery: Gallery) -> None:
    widget = LayersWidget(Layers(image(*FILES)), gallery)
    page = Page(widget)
    page.say("ready")
    hello = page.last("hello")
    assert (hello["name"], hello["efficiency"], hello["wasted"]) == ("app:1", 0.5, 3000)
    assert hello["paths"] == [{"path": "/a", "size": 3000, "layers": 2}]
    assert [layer["wasted"] for layer in hello["layers"]] == [3000, 0]
    assert "entries" not in str(hello)

    page.say("open", layer=1, path="", sort="size")
    answer = page.last("entries")
    assert [entry["name"] for entry in answer["entries"]] == ["opt", "etc"]
    page.say("open", layer=1, path=answer["entries"][0]["path"])
    assert [entry["name"] for entry in page.last("entries")["entries"]] == ["lib"]
    page.say("search", words="big")
    assert page.last("found")["layers"] == {"1": 1, "2": 0}
    page.say("open", layer=1, path="", words="big")
    assert [entry["name"] for entry in page.last("entries")["entries"]] == ["opt"]


def test_what_no_page_would_ask_for_is_not_answered(gallery: Gallery) -> None:
    widget = LayersWidget(Layers(image(*FILES)), gallery)
    page = Page(widget)
    page.say("ready")
    for wish in (
        {"layer": 9},
        {"layer": "1"},
        {"layer": 1, "path": "zz"},
        {"layer": 1, "first": -1},
    ):
        page.say("open", **wish)
    assert page.kinds() == ["hello"]


def test_names_that_are_not_text_can_be_opened(gallery: Gallery) -> None:
    folder = b"/caf\xe9".decode("utf-8", "surrogateescape")
    page = Page(LayersWidget(Layers(image(change(f"{folder}/x"))), gallery))
    page.say("ready")
    page.say("open", layer=1)
    [entry] = page.last("entries")["entries"]
    assert entry["name"] == "caf�"
    page.say("open", layer=1, path=entry["path"])
    assert [entry["name"] for entry in page.last("entries")["entries"]] == ["x"]


def test_without_a_page_it_is_the_static_form(gallery: Gallery) -> None:
    text, html = LayersWidget(Layers(image(*FILES)), gallery).fallback()
    assert "COPY . /app" in text
    assert "<details" in html
