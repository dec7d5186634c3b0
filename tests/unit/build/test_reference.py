from __future__ import annotations

import re

import pytest

from jupyter_containers.build.instructions import FLAGS
from jupyter_containers.build.parser import KEYWORDS
from jupyter_containers.build.reference import INSTRUCTIONS


def test_every_instruction_has_help() -> None:
    assert sorted(INSTRUCTIONS) == sorted(KEYWORDS)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_forms_begin_with_their_instruction(keyword: str) -> None:
    assert INSTRUCTIONS[keyword].words.endswith(".")
    for form in INSTRUCTIONS[keyword].forms:
        assert form.split(" ")[0] == keyword
        known = {flag.name for flag in FLAGS.get(keyword, ())}
        assert set(re.findall(r"(?<=--)[a-z-]+(?==)", form)) <= known
