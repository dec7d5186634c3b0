from __future__ import annotations

from importlib import import_module

import pytest

from jupyter_containers.magics.registration import _SHOWN


@pytest.mark.parametrize(("module", "name"), _SHOWN)
def test_what_is_shown_as_html_by_its_name_is_there(module: str, name: str) -> None:
    """Seen to fail when the classes had moved and their names here had not."""
    assert getattr(import_module(module), name).__module__ == module
