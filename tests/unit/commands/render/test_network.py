from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from jupyter_containers.commands.render.network import Member, NetworkDocument, Picture

DOCUMENT: dict[str, Any] = {
    "Name": "shop",
    "Internal": False,
    "Driver": "bridge",
    "Options": {"com.docker.network.bridge.name": "jcb1"},
    "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]},
    "Containers": {
        "b": {"Name": "web", "IPv4Address": "10.1.0.2/24", "IPv6Address": "fd00::2/64"},
        "a": {"Name": "db", "IPv4Address": "10.1.0.3/24", "IPv6Address": ""},
    },
}


def texts(svg: str) -> list[str]:
    return [item.text or "" for item in ElementTree.fromstring(svg).iter() if item.text]


def test_a_network_is_drawn_with_all_that_is_in_it() -> None:
    picture = Picture.of(DOCUMENT, {"b": ["127.0.0.1:8000->80/tcp"]})
    shown = " ".join(texts(picture.svg()))
    for text in ("shop", "jcb1", "10.1.0.0/24", "10.1.0.1", "web", "fd00::2", "db", "8000->80"):
        assert text in shown
    assert str(picture).splitlines() == [
        "shop  bridge jcb1  10.1.0.0/24  gateway 10.1.0.1",
        "├─ db   10.1.0.3",
        "└─ web  10.1.0.2  fd00::2  127.0.0.1:8000->80/tcp",
    ]


@pytest.mark.parametrize("count", [0, 1, 40, 300])
def test_any_number_of_containers_makes_a_picture(count: int) -> None:
    members = tuple(Member(f"c{number}", ("10.1.0.2",)) for number in range(count))
    picture = Picture("n", "jcb1", ("10.1.0.0/16",), ("10.1.0.1",), True, members)
    shown = texts(picture.svg())
    assert "no way out" in shown
    assert ("no running container" in shown) is (count == 0)
    assert ("and 260 more" in shown) is (count == 300)


def test_names_are_text_and_never_markup() -> None:
    picture = Picture("n", "<b>", (), (), False, (Member("<script>", ("&",)),))
    assert "<script>" not in picture.svg()
    ElementTree.fromstring(picture.svg())


def test_the_value_stays_json() -> None:
    document = NetworkDocument([DOCUMENT], [Picture.of(DOCUMENT, {})])
    assert document[0]["Name"] == "shop"
    assert str(document).startswith("[")
    assert "<svg" in document._repr_html_()
