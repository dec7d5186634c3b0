from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from ipykernel.comm.comm import BaseComm

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.widgets import bundle as bundles
from jupyter_containers.widgets import messages
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget
from tests.unit.widgets.conftest import Page


class Plain(LiveWidget):
    module = "plain"
    finished = 0

    def greet(self, view: str) -> None:
        self.tell(messages.StatsHello([]), to=view)

    def finish(self) -> None:
        self.finished += 1
        raise RuntimeError("what fails at the end keeps nothing from ending")

    def fallback(self) -> tuple[str, str]:
        return "plain", "<b>plain</b>"


class FakeComm:
    """A comm of ipykernel 7, as far as the widget knows it."""

    def __init__(self) -> None:
        self._reply_subshell_for: Any = lambda data, default: "the busy main shell"


def test_messages_do_not_wait_for_the_cell_that_runs(gallery: Gallery) -> None:
    widget = Plain(gallery)
    assert not widget.live  # there is no comm outside a kernel
    comm = FakeComm()
    with_kernel: Any = SimpleNamespace(comm=comm)
    assert LiveWidget._stay_live(with_kernel)
    assert comm._reply_subshell_for is None


@pytest.mark.skipif(int(version("ipykernel").split(".")[0]) < 7, reason="needs ipykernel 7")
def test_the_kernel_still_has_the_private_name() -> None:
    # Without it widgets would only answer between cells; facts about it stand in live.py.
    assert hasattr(BaseComm, "_reply_subshell_for")


def test_a_view_is_greeted_once_and_strangers_are_ignored(gallery: Gallery) -> None:
    widget = Plain(gallery)
    page = Page(widget)
    page.say("ready")
    page.say("ready")
    assert page.kinds() == ["hello"]
    assert widget.seen.is_set()
    widget._receive(widget, "no mapping", [])
    widget._receive(widget, {"kind": ["odd"]}, [])
    widget._receive(widget, {"kind": "format_the_disk", "view": "v1"}, [])
    widget._receive(widget, {"kind": "ready", "view": 1}, [])
    widget._receive(widget, {"kind": "ready", "view": "\ud800"}, [])
    assert page.kinds() == ["hello"]
    page.say("gone")
    assert not widget.watched


def test_closing_is_complete_whatever_fails(gallery: Gallery) -> None:
    widget = Plain(gallery)
    widget.close()
    widget.close()
    assert widget.finished == 1
    assert widget.closed
    assert len(gallery) == 0
    assert widget._repr_mimebundle_()[0]["text/plain"] == "plain"


def test_a_missing_bundle_names_what_provides_it() -> None:
    with pytest.raises(UnsupportedError, match="'nothing' was not built") as caught:
        bundles.bundle("nothing")
    assert "scripts/setup" in str(caught.value.hint) + str(vars(caught.value))
