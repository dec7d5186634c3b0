from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from jupyter_containers.commands.render.links import Link, browsable, linked, proxy_base, together


@pytest.mark.parametrize(
    ("port", "href"),
    [
        ("127.0.0.1:8000->80/tcp", "/user/ann/proxy/8000/"),
        ("0.0.0.0:8000->80/tcp", "/user/ann/proxy/8000/"),
        ("127.0.0.1:53->53/udp", ""),
        ("192.0.2.1:8000->80/tcp", ""),
        ("80/tcp", ""),
    ],
)
def test_what_a_browser_can_reach_is_a_link(port: str, href: str) -> None:
    found = linked(port, "/user/ann/")
    assert found == port
    assert getattr(found, "href", "") == href
    assert not isinstance(linked(port, ""), Link)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "jupyter_server_config.d"
    folder.mkdir()
    return folder / "jupyter-server-proxy.json"


def test_there_is_a_base_only_with_the_proxy(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ann/"}
    # It is installed in the test environment: as a module, and as an extension of the server.
    monkeypatch.setitem(sys.modules, "jupyter_server_proxy", None)
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "1")
    assert proxy_base(hub) == ""
    monkeypatch.delenv("JUPYTER_NO_CONFIG")
    kernel.write_text("{}")
    assert proxy_base(hub) == "/user/ann/"
    assert proxy_base({}) == "/"


def test_the_server_that_is_our_parent_tells_its_base(kernel: Path) -> None:
    kernel.write_text("{}")
    name = f"jpserver-{os.getppid()}.json"
    (kernel.parents[1] / name).write_text(json.dumps({"base_url": "/lab-1"}))
    assert proxy_base({}) == "/lab-1/"


@pytest.mark.parametrize(
    ("ports", "shown"),
    [
        ([], []),
        (["127.0.0.1:8000->80/tcp", "81/tcp"], ["81/tcp", "127.0.0.1:8000->80/tcp"]),
        (
            [
                "1.2.3.4:70->70/tcp",
                "1.2.3.4:71->71/tcp",
                "1.2.3.4:73->73/tcp",
                "1.2.3.4:71->71/udp",
            ],
            ["1.2.3.4:70-71->70-71/tcp", "1.2.3.4:73->73/tcp", "1.2.3.4:71->71/udp"],
        ),
        (["1000/tcp", "1001/tcp", "1002/tcp", "53/udp"], ["53/udp", "1000-1002/tcp"]),
        (["[::]:80->80/tcp", "0.0.0.0:80->80/tcp"], ["[::]:80->80/tcp", "0.0.0.0:80->80/tcp"]),
    ],
)
def test_neighbouring_ports_are_listed_together(ports: list[str], shown: list[str]) -> None:
    assert together(ports) == shown


@pytest.mark.parametrize(
    ("port", "base", "shown", "address"),
    [
        ("127.0.0.1:8000->80/tcp", "/lab/", "8000→80", "/lab/proxy/8000/"),
        ("0.0.0.0:8000->80/tcp", "", "8000→80", "http://127.0.0.1:8000/"),
        ("192.0.2.1:8000->80/tcp", "/lab/", "8000→80", "http://192.0.2.1:8000/"),
        ("127.0.0.1:53->53/udp", "/lab/", "53→53/udp", ""),
        ("9000/tcp", "/lab/", "9000/tcp", ""),
    ],
)
def test_where_a_browser_opens_a_port(port: str, base: str, shown: str, address: str) -> None:
    assert browsable(port, base) == (shown, address)
