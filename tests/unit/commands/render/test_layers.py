from __future__ import annotations

from jupyter_containers.commands.render.layers import (
    Differences,
    Layers,
    tree_lines,
)
from jupyter_containers.engine.images.layers import (
    FileDifference,
    ImageDifference,
    ImageLayers,
    LayerView,
    SettingDifference,
    WastedPath,
)
from jupyter_containers.store.layertree import LayerChange


def change(path: str, kind: str = "added", size: int = 1, is_folder: bool = False) -> LayerChange:
    return LayerChange(path, kind, size, is_folder)


def image(*changes: LayerChange) -> ImageLayers:
    layers = (
        LayerView(1, "sha256:a", "COPY . /app", 3000, 1000, changes, wasted=3000),
        LayerView(2, "sha256:b", "RUN\trm\n/a", 0, 100, (change("/a", "removed", 3000),)),
    )
    return ImageLayers("sha256:c", "app:1", 3000, layers, (WastedPath("/a", 3000, 2),), 0.5)


def test_layers_as_text() -> None:
    shown = str(Layers(image(change("/a", size=3000), change("/d", size=0, is_folder=True))))
    assert shown.splitlines() == [
        "LAYER   SIZE   ADDED   CHANGED   REMOVED   WASTED   CREATED BY",
        "1       3kB    1       0         0         3kB      COPY . /app",
        "2       0B     0       0         1         0B       RUN rm /a",
        "",
        "app:1: 3kB in 2 layers, efficiency 50.00 %, wasted 3kB",
        "",
        "LAYERS   SIZE   PATH",
        "2        3kB    /a",
    ]
    listed = str(Layers(image(change("/a", size=3000)), with_files=True))
    assert listed.splitlines()[-4:] == ["A /a", "", "layer 2: RUN rm /a", "D /a"]


def test_layers_as_data_frames() -> None:
    layers = Layers(image(change("/a", size=3000), change("/b", size=5)))
    frame = layers.to_dataframe()
    assert list(frame["Size"]) == [3000, 0]
    assert list(frame["Added"]) == [2, 0]
    assert list(frame["Wasted"]) == [3000, 0]
    assert list(layers.files.to_dataframe()["Path"]) == ["/a", "/b", "/a"]
    assert layers.wasted_bytes == 3000
    assert layers.efficiency == 0.5


def test_layers_as_html_fold_and_escape() -> None:
    html = Layers(
        image(change("/opt/lib/<b>", size=2000), change("/opt/lib/x\x1b[31m"))
    )._repr_html_()
    assert "<b>" not in html
    assert "\x1b" not in html
    assert "opt/lib/ " in html.replace("<span", " <span"), "a chain of folders is one line"
    assert "3kB wasted" in html
    assert html.count("<details") == html.count("</details>") == 4
    assert "<script" not in html


def test_a_page_keeps_the_largest_changes_of_all_layers() -> None:
    """Seen to fail with 400 changes of each layer: 891 KB."""
    many = [change(f"/f{number}", size=number) for number in range(450)]
    html = Layers(image(*many))._repr_html_()
    assert "… and 419 smaller ones" in html
    assert "+ f449 <small>" in html
    assert "+ f418 <small>" not in html
    deep = tuple(
        LayerView(
            layer,
            "sha256:a",
            "RUN apt-get update && apt-get install --yes python3 " * 3,
            1000,
            1000,
            tuple(
                change(f"/usr/lib/p{n % 40}/s{n % 9}/module{n}.py", size=n + layer)
                for n in range(600)
            ),
        )
        for layer in range(10)
    )
    found = ImageLayers("sha256:c", "app:1", 3000, deep, (WastedPath("/a", 3000, 2),), 0.5)
    assert len(Layers(found)._repr_html_()) < 15_000


def test_names_that_are_not_text() -> None:
    name = b"/caf\xe9".decode("utf-8", "surrogateescape")
    Layers(image(change(name)), with_files=True)._repr_html_().encode()
    str(Layers(image(change(name)), with_files=True)).encode()


def test_differences() -> None:
    found = Differences(
        ImageDifference(
            "a:1",
            "a:2",
            (FileDifference("/x", "added", 0, 10), FileDifference("/y", "changed", 5, 6)),
            (SettingDifference("Env A", None, "1"), SettingDifference("Cmd", "['a']", "['b']")),
            1000,
            3000,
            1,
        )
    )
    assert str(found).splitlines() == [
        "A /x",
        "C /y",
        "Env A: unset → 1",
        "Cmd: ['a'] → ['b']",
        "a:1 → a:2: 1kB → 3kB (+2kB), 2 files and 2 settings differ, 1 layer in common",
    ]
    assert list(found.to_dataframe()["After"]) == [10, 6]
    assert "+ x" in found._repr_html_()
    assert "Env A: unset" in found._repr_html_()


def test_a_drawn_tree() -> None:
    assert list(tree_lines([("a", [("b", []), ("c", [("d", [])])]), ("e", [])])) == [
        "├─ a",
        "│  ├─ b",
        "│  └─ c",
        "│     └─ d",
        "└─ e",
    ]
