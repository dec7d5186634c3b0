"""The lines of ``%%sandbox``: hosts of an allow list become arguments of the engine."""

from __future__ import annotations

from jupyter_containers.commands.grammar.sessions import SANDBOX_CELL
from jupyter_containers.commands.parser import parse_verb
from jupyter_containers.commands.verbs.sessions import start_flags


def test_a_sandbox_takes_hosts() -> None:
    words = ["--allow", "pypi.org", "--allow", "*.example.org", "--timeout", "5", "app:1"]
    parsed = parse_verb(SANDBOX_CELL, words)
    assert start_flags(parsed) == {"allow": ["pypi.org", "*.example.org"], "timeout": 5.0}
    assert parsed.operands["image"] == "app:1"
