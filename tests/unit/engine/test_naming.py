from __future__ import annotations

import re

from jupyter_containers.engine.naming import friendly_name, new_id
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
