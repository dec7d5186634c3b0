from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import PortMapping, values
from jupyter_containers.options.restart import RestartPolicy


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 2**29), ("1.5g", 3 * 2**29), ("100", 100), ("2GB", 2**31), ("64MiB", 2**26), (7, 7)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert values.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m30s", 90.0), ("500ms", 0.5), ("10", 10.0), (3, 3.0), ("1h", 3600.0)]
)
def test_durations(text: str | int, seconds: float) -> None:
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "mappings"),
    [
        ("8000:80", [PortMapping(80, 8000)]),
        ("0:80", [PortMapping(80, 0)]),
        ("80", [PortMapping(80)]),
        ("127.0.0.1:8000:80", [PortMapping(80, 8000, "127.0.0.1")]),
        ("127.0.0.1::80", [PortMapping(80, 0, "127.0.0.1")]),
        ("[::1]:8000:80/udp", [PortMapping(80, 8000, "::1", "udp")]),
        ("fd00::1:8000:80", [PortMapping(80, 8000, "fd00::1")]),
        ("8000-8001:80-81", [PortMapping(80, 8000), PortMapping(81, 8001)]),
        ("8000-8010:80", [PortMapping(80, 8000, last_port=8010)]),
        ("53:53/UDP", [PortMapping(53, 53, "", "udp")]),
    ],
)
def test_published_ports(text: str, mappings: list[PortMapping]) -> None:
    assert list(values.parse_publish(text)) == mappings


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", ("80/tcp",)),
        ("53/UDP", ("53/udp",)),
        ("1000-1002", ("1000/tcp", "1001/tcp", "1002/tcp")),
    ],
)
def test_exposed_ports(text: str, ports: tuple[str, ...]) -> None:
    assert values.parse_exposed(text) == ports


def test_the_hosts_side_of_a_port_is_written_as_docker_does() -> None:
    found = [values.parse_publish(text)[0].host for text in ("80", "8000:80", "8000-8010:80")]
    assert found == ["", "8000", "8000-8010"]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.parse_size, "12x"),
        (values.parse_size, "-1"),
        (values.parse_duration, "5 minutes"),
        (values.parse_cpus, "many"),
        (values.parse_cpus, "-1"),
        (values.parse_cpus, "nan"),
        (values.parse_publish, "80:80:80:80"),
        (values.parse_publish, "80:70000"),
        (values.parse_publish, "1-3:1-2"),
        (values.parse_publish, "x:80:80"),
        (values.parse_publish, "-5"),
        (values.parse_exposed, "80:80"),
        (RestartPolicy, "sometimes"),
        (RestartPolicy, "always:3"),
    ],
)
def test_bad_values_are_quoted(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse(text)


def test_environment_takes_bare_names_from_the_host() -> None:
    environ = {"HOST": "1"}
    assert values.parse_env(["A=b=c", "HOST", "MISSING", "E="], environ) == (
        "A=b=c",
        "HOST=1",
        "MISSING",
        "E=",
    )
    assert values.parse_env({"A": 1, "B": None}, environ) == ("A=1", "B")
    with pytest.raises(InvalidArgumentError):
        values.parse_env(["=x"], environ)
