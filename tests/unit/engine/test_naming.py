from __future__ import annotations

import os
import re

from jupyter_containers.engine.containers.sweep import builder_alive
from jupyter_containers.engine.naming import friendly_name, new_id, step_name
from jupyter_containers.options.values import check_name


def test_ids_are_docker_like_and_new() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in ids)


def test_friendly_names_may_name_a_container() -> None:
    names = {friendly_name() for _ in range(200)}
    assert len(names) > 100
    assert all(check_name(name, "container") == name for name in names)
    assert all(re.fullmatch(r"[a-z]+_[a-z]+", name) for name in names)


def test_a_step_name_tells_whether_its_builder_lives() -> None:
    name = step_name()
    assert name != step_name()
    assert builder_alive(name)
    assert not builder_alive(re.sub(r"-\d+-", f"-{os.getpid()}-1", name, count=1))
    assert not builder_alive("build-nonsense")
