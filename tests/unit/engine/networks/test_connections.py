from __future__ import annotations

import msgspec
import pytest

from jupyter_containers.engine.networks.catalog import mode_id
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.engine.networks.documents import mode_document, network_settings
from jupyter_containers.engine.networks.host_names import _variables
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.network.model import Endpoint, Network
from jupyter_containers.options import RunOptions
from tests.unit.engine.engine_records import ENDPOINT, ID, NETWORK, a_record


def endpoint(name: str, **more: object) -> Endpoint:
    return msgspec.structs.replace(ENDPOINT, network_id=name, **more)


@pytest.mark.parametrize(
    ("endpoints", "chosen"),
    [
        ([endpoint("b"), endpoint("a")], "a"),
        ([endpoint("b", priority=1), endpoint("a")], "b"),
        ([endpoint("a", gateway=""), endpoint("b")], "b"),
        ([endpoint("a", gateway="")], None),
        ([], None),
    ],
)
def test_the_default_route(endpoints: list[Endpoint], chosen: str | None) -> None:
    networks = [
        Network(id=name, name=name, interface="", subnet="", gateway="") for name in ("a", "b")
    ]
    found = Connections.routed(endpoints, networks)
    assert (found.network_id if found else None) == chosen


def test_a_record_of_before_several_networks_is_read() -> None:
    record = a_record(network="shop")
    old = msgspec.json.decode(msgspec.json.encode(record.options))
    old.pop("networks")
    options = msgspec.json.decode(msgspec.json.encode(old), type=RunOptions)
    read = ContainerRecord(
        **{
            name: getattr(record, name)
            for name in ("id", "name", "manifest_digest", "image_id", "chain_id", "config")
        },
        options=options,
        created=1.0,
        endpoint=ENDPOINT,
    )
    assert read.endpoints == (ENDPOINT,)
    assert [request.name for request in read.networks] == ["shop"]
    assert msgspec.structs.replace(read, networks=()).networks == ()


def test_variables_of_a_link() -> None:
    record = a_record(env=["A=1"], expose=["53/udp"])
    assert _variables("client", "my-db", record) == [
        "MY_DB_NAME=/client/my-db",
        "MY_DB_PORT=udp://10.1.2.3:53",
        "MY_DB_PORT_53_UDP=udp://10.1.2.3:53",
        "MY_DB_PORT_53_UDP_ADDR=10.1.2.3",
        "MY_DB_PORT_53_UDP_PORT=53",
        "MY_DB_PORT_53_UDP_PROTO=udp",
        *(
            f"MY_DB_PORT_80_TCP{word}"
            for word in ("=tcp://10.1.2.3:80", "_ADDR=10.1.2.3", "_PORT=80", "_PROTO=tcp")
        ),
        "MY_DB_PORT_443_TCP=tcp://10.1.2.3:443",
        "MY_DB_PORT_443_TCP_ADDR=10.1.2.3",
        "MY_DB_PORT_443_TCP_PORT=443",
        "MY_DB_PORT_443_TCP_PROTO=tcp",
        "MY_DB_ENV_A=image",
        "MY_DB_ENV_B=image",
        "MY_DB_ENV_A=1",
    ]


def test_settings_have_a_part_for_each_network() -> None:
    record = a_record(network=["name=shop,alias=x,ip=10.1.2.3", "gone"])
    seen = network_settings(record, {NETWORK.id: NETWORK})["Networks"]
    assert seen["shop"]["Aliases"] == ["x", ID[:12]]
    assert seen["shop"]["IPAMConfig"] == {"IPv4Address": "10.1.2.3"}
    assert (seen["gone"]["IPAddress"], seen["gone"]["NetworkID"]) == ("", "")
    other = a_record(network="container:web")
    assert network_settings(other, {})["Networks"] == {}


def test_the_modes_have_documents() -> None:
    seen = mode_document("none", mode_id("none"), "null", [a_record(network="none")])
    assert seen["Containers"][ID]["Name"] == "web"
    assert mode_id("none") != mode_id("host")
