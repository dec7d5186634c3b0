from __future__ import annotations

from jupyter_containers.commands.render.diskdetails import Details
from jupyter_containers.engine.system.disk_details import DiskDetails, ImageSpace, ItemSpace


def test_every_kind_has_its_table() -> None:
    image = ImageSpace(
        "sha256:" + "a" * 64, ("localhost:5000/x:1", "y:2"), None, 3000, 1000, 2000, 1
    )
    nameless = ImageSpace("sha256:" + "b" * 64, (), None, 10, 0, 10, 0)
    details = Details(DiskDetails((image, nameless), (ItemSpace("c" * 64, "web", 5, 2),), (), ()))
    lines = str(details).splitlines()
    assert lines[0] == "Images space usage:"
    assert lines[3].split() == [
        "localhost:5000/x",
        "1",
        "aaaaaaaaaaaa",
        "N/A",
        "3kB",
        "1kB",
        "2kB",
        "1",
    ]
    assert lines[4].split()[:2] == ["y", "2"]
    assert lines[5].split()[:2] == ["<none>", "<none>"]
    assert "cccccccccccc   web       2               5B" in lines
    assert "Build cache usage:" in lines
    assert "<b>Local Volumes space usage:</b>" in details._repr_html_()
    assert list(details.images.to_dataframe()["Tag"]) == ["1", "2", "<none>"]
