"""Widgets that follow the event feed of an engine in another process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.integration.account import NEEDS, Account, opened

pytestmark = NEEDS

PROGRAM = """
import json, threading, time
from jupyter_containers import Engine
from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.widgets.explain import ExplainWidget
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.network import NetworkWidget

told = []
def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, told
        time.sleep(0.02)

with Engine() as engine:
    engine.networks.create("shop")
    engine.run("busybox", ["sleep", "100"], detach=True, name="till", network="shop")
    gallery = Gallery(lambda content, buffers: told.append(content))
    for line, kind in (("network inspect shop", NetworkWidget), ("explain till", ExplainWidget)):
        look = lambda words=line.split(): execute(Session(lambda: engine), words)
        widget = kind(engine, look(), look, gallery)
        widget.start()
        widget.receive_message({"kind": "ready", "view": "v"}, [])
    engine.run("busybox", ["sleep", "100"], detach=True, name="web", network="shop")
    drawn = lambda: [each for each in told if each["kind"] == "drawn"]
    until(lambda: any("web" in each["networks"][0]["members"] for each in drawn()))
    until(lambda: any(each["text"] == "web was attached" for each in drawn()[-1]["news"]))
    engine.containers.stop("till", timeout=0)
    until(lambda: any(each["kind"] == "explained" and not each["running"] for each in told))
    gallery.close()
    until(lambda: not [each for each in threading.enumerate() if each.name.startswith("widget-")])
    for name in ("till", "web"):
        engine.containers.remove(name, force=True)
    engine.networks.remove("shop")
print(json.dumps(sorted({each["kind"] for each in told})))
"""


@pytest.fixture(scope="module", params=["subordinate"])
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with opened(request.param) as account:
        account.container("bootstrap busybox")
        yield account


def test_they_follow_an_engine_in_another_process(account: Account) -> None:
    kinds = json.loads(account.python(PROGRAM))
    assert kinds == ["drawn", "explained", "hello"]
