"""A service without the library h2: clients fall back, and an answer gives the reason."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.api import system, upgrades
from jupyter_containers.errors import UnsupportedError


@pytest.mark.parametrize("here", [True, False])
def test_the_builder_is_that_of_the_library(monkeypatch: pytest.MonkeyPatch, here: bool) -> None:
    monkeypatch.setattr(system, "available", lambda: here)
    nothing: Any = None
    assert system.ping(nothing).headers["Builder-Version"] == ("2" if here else "1")


@pytest.mark.parametrize("serve", [upgrades.session, upgrades.grpc])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    monkeypatch.setattr(upgrades, "available", lambda: False)
    with pytest.raises(UnsupportedError, match="needs the library h2") as caught:
        serve(None)
    assert "DOCKER_BUILDKIT=0" in caught.value.hint
