"""The engine's options for bodies of ``POST /containers/create``."""

from __future__ import annotations

import contextlib
import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.api.bodies import Fields, decode
from jupyter_containers.api.container_body import (
    ContainerBody,
    Host,
    Update,
    command_of,
    container_flags,
)
from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.options import RunOptions


def options(**body: Any) -> RunOptions:
    """Return the options of a body for the image ``i``."""
    read = decode(json.dumps({"Image": "i", **body}), ContainerBody)
    return RunOptions.of("i", command_of(read), **container_flags(read))


def test_nothing_asked_for_is_the_usual() -> None:
    assert options() == RunOptions.of("i", detach=True)


def test_the_configuration_is_taken() -> None:
    made = options(
        Cmd=["a", "b"], Entrypoint="e", Env=["A=1"], Labels={"k": "v"}, User="u", WorkingDir="/w",
        Tty=True, OpenStdin=True, AttachStdin=True, StopSignal="INT", StopTimeout=3,
        ExposedPorts={"80/tcp": {}}, Hostname="h", Volumes={"/data": {}},
    )  # fmt: skip
    assert made == RunOptions.of(
        "i", ["a", "b"], entrypoint="e", env=["A=1"], label=["k=v"], user="u", workdir="/w",
        tty=True, interactive=True, stop_signal="INT", stop_timeout=3, expose=["80/tcp"],
        hostname="h", volume=["/data"],
    )  # fmt: skip


def test_the_host_is_asked_for_limits_ports_and_mounts() -> None:
    host = {
        "Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 7, "CapAdd": ["NET_ADMIN"],
        "Binds": ["/a:/b:ro"], "Tmpfs": {"/t": "size=1m"}, "AutoRemove": True,
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        "RestartPolicy": {"Name": "no"}, "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/v", "ReadOnly": True}],
    }  # fmt: skip
    assert options(HostConfig=host) == RunOptions.of(
        "i", detach=True, memory="64m", cpus=0.5, pids_limit=7, cap_add=["NET_ADMIN"],
        volume=["/a:/b:ro"], mount=["type=volume,source=v,target=/v,readonly"],
        tmpfs=["/t:size=1m"], rm=True, publish=["127.0.0.1:8080:80/tcp"], ulimit=["nofile=1:2"],
    )  # fmt: skip


def test_networks_come_with_addresses_and_aliases() -> None:
    made = options(
        HostConfig={"NetworkMode": "front"},
        NetworkingConfig={
            "EndpointsConfig": {
                "front": {"Aliases": ["web"], "IPAMConfig": {"IPv4Address": "10.9.0.2"}},
                "back": None,
            }
        },
    )
    assert [(one.name, one.aliases, one.ip) for one in made.networks] == [
        ("front", ("web",), "10.9.0.2")
    ]


def test_health_checks_have_nanoseconds() -> None:
    made = options(Healthcheck={"Test": ["CMD-SHELL", "true"], "Interval": 2_000_000_000})
    assert made.health is not None
    assert (made.health.command, made.health.interval) == ("true", 2.0)
    assert options(Healthcheck={"Test": ["NONE"]}).health.disabled


def test_an_update_names_what_changes() -> None:
    body = decode('{"Memory": 7, "RestartPolicy": {"Name": "always"}, "CpuShares": 0}', Update)
    assert body.flags() == {"memory": 7, "restart": "always"}


@pytest.mark.parametrize("source", ["./a:/b", "~/a:/b", "../a:/b"])
def test_folders_of_the_client_have_no_meaning_here(source: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not an absolute path"):
        options(HostConfig={"Binds": [source]})


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def _places(kind: type[Fields], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, hint in get_type_hints(kind).items():
        if name.startswith("__"):
            continue
        found.append((*path, name))
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and issubclass(part, Fields):
                found += _places(part, (*path, name))
    return found


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_places(ContainerBody)), _VALUES)
def test_any_value_at_any_field_is_options_or_a_plain_error(
    place: tuple[str, ...], value: Any
) -> None:
    body: Any = value
    for name in reversed(place):
        body = {name: body}
    with contextlib.suppress(ContainersError):  # any other error fails the test
        options(**body)


def test_fields_of_the_host_are_dockers() -> None:
    assert {"Binds", "Memory", "NetworkMode"} <= set(Host.__struct_fields__)
