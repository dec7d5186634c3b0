"""Bodies: names of fields are compared as Go's decoder compares them."""

from __future__ import annotations

import pytest

from jupyter_containers.api.bodies import decode
from jupyter_containers.api.container_body import ContainerBody
from jupyter_containers.api.exec import ExecBody
from jupyter_containers.errors import InvalidArgumentError


def test_names_of_fields_may_have_another_case() -> None:
    """docker-py sends ``detachKeys``.  Seen to fail when names were compared exactly."""
    found = decode('{"detachKeys": "ctrl-p", "cmd": ["a"], "env": ["x=1"]}', ExecBody)
    assert (found.DetachKeys, found.Cmd, found.Env) == ("ctrl-p", ("a",), ("x=1",))


def test_names_are_found_however_deep_but_keys_of_a_user_stay() -> None:
    text = """{"image": "i", "labels": {"image": "x"}, "hostconfig": {"memory": 5,
        "mounts": [{"TYPE": "bind"}], "portbindings": {"80/TCP": [{"hostport": "1"}]}}}"""
    found = decode(text, ContainerBody)
    assert (found.Image, found.Labels, found.HostConfig.Memory) == ("i", {"image": "x"}, 5)
    assert found.HostConfig.Mounts[0].Type == "bind"
    assert found.HostConfig.PortBindings["80/TCP"][0].HostPort == "1"


def test_an_exact_name_goes_first() -> None:
    for text in ('{"User": "a", "user": "b"}', '{"user": "b", "User": "a"}'):
        assert decode(text, ExecBody).User == "a"


def test_what_is_not_known_is_refused_in_any_case() -> None:
    assert decode('{"detach": true}', ExecBody) == ExecBody()
    with pytest.raises(InvalidArgumentError, match="magic is not supported here"):
        decode('{"magic": true}', ExecBody)
