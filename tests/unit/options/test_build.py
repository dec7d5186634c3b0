from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import BuildOptions


def test_build_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HOST", "1")
    options = BuildOptions.of("ctx", tag="app:1", build_arg=["A=b", "FROM_HOST", "GONE"], label="l")
    assert (options.context, options.tags) == (Path("ctx"), ("app:1",))
    assert options.build_args == {"A": "b", "FROM_HOST": "1"}
    assert options.labels == {"l": ""}


def test_unknown_build_flags_get_near_matches() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        BuildOptions.of(".", taget="x")
    assert "target" in caught.value.hint
