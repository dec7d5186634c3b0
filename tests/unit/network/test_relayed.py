"""Published ports of a user whose packets an uplink carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import AlreadyExistsError, UnsupportedError
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import PublishedPort
from jupyter_containers.network.relayed import RelayedFirewall
from jupyter_containers.network.usermode import GUEST_ADDRESS, Uplink


class FakeUplink(Uplink):
    def __init__(self, taken: int = 0) -> None:
        super().__init__(Path("/none"))
        self.taken, self.open = taken, []

    def is_open(self, port: PublishedPort) -> bool:
        return port.host_port in self.open

    def open_port(self, port: PublishedPort) -> None:
        if port.host_port == self.taken:
            raise AlreadyExistsError("taken")
        self.open.append(port.host_port)

    def close_ports(self, ports: Any) -> None:
        self.open = [number for number in self.open if ("tcp", number) not in ports]


class FakeFirewall(Firewall):
    def __init__(self) -> None:
        super().__init__("t")
        self.published: list[PublishedPort] = []

    def publish(self, container_id: str, ports: Any) -> None:
        self.published += ports


def port(number: int, host_ip: str = "127.0.0.1") -> PublishedPort:
    return PublishedPort(
        host_ip=host_ip, host_port=number, container_ip="10.0.0.2", container_port=80
    )


def test_ports_are_opened_outside_and_led_on_inside() -> None:
    firewall, uplink = FakeFirewall(), FakeUplink()
    RelayedFirewall(firewall, uplink).publish("box", [port(8000)])
    assert uplink.open == [8000]
    assert [item.host_ip for item in firewall.published] == [GUEST_ADDRESS]


def test_all_or_none_are_opened() -> None:
    firewall, uplink = FakeFirewall(), FakeUplink(taken=8001)
    with pytest.raises(AlreadyExistsError):
        RelayedFirewall(firewall, uplink).publish("box", [port(8000), port(8001)])
    assert (uplink.open, firewall.published) == ([], [])


def test_what_is_open_stays_open_when_it_is_published_anew() -> None:
    firewall, uplink = FakeFirewall(), FakeUplink()
    relay = RelayedFirewall(firewall, uplink)
    relay.publish("box", [port(8000)])
    relay.publish("box", [port(8000), port(8001)])
    assert uplink.open == [8000, 8001]
    assert [item.host_port for item in firewall.published] == [8000, 8000, 8001]


def test_ipv6_is_refused_before_anything_is_opened() -> None:
    firewall, uplink = FakeFirewall(), FakeUplink()
    with pytest.raises(UnsupportedError, match="IPv4"):
        RelayedFirewall(firewall, uplink).publish("box", [port(8000), port(8000, "::")])
    assert uplink.open == []
