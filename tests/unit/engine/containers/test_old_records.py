"""Records written before options had types: read, shown and written unchanged.

``tests/data/records/of-texts.json`` was written by the engine of 2026-11 that kept ``restart``,
``ulimit``, ``security_opt``, ``volumes_from``, ``add_host`` and ``log_opt`` as texts, with the
output of its ``inspect``.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_containers.engine.containers.inspect import container_document
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.options.written import from_json
from jupyter_containers.store.collection import encoded
from tests.unit.engine.engine_records import NETWORK

OLD: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "data/records/of-texts.json").read_text()
)


def read(record: object) -> ContainerRecord:
    data = json.dumps(record).encode()
    return msgspec.json.decode(data, type=ContainerRecord, dec_hook=from_json)


@pytest.mark.parametrize("name", OLD)
def test_inspect_prints_the_same(name: str) -> None:
    document = container_document(
        read(OLD[name]["record"]), {NETWORK.id: NETWORK}, Path("/bundle"), "runc"
    )
    for endpoint in document["NetworkSettings"]["Networks"].values():
        # What inspect did not print then.
        del endpoint["GwPriority"], endpoint["DNSNames"]
    assert json.dumps(document) == json.dumps(OLD[name]["inspect"])


@pytest.mark.parametrize("name", OLD)
def test_an_engine_of_before_reads_what_is_written_now(name: str) -> None:
    assert (
        encoded(read(OLD[name]["record"]))
        == json.dumps(OLD[name]["record"], separators=(",", ":"), ensure_ascii=False).encode()
    )


def test_values_have_types() -> None:
    options = read(OLD["resources"]["record"]).options
    assert [(one.name, one.soft, one.hard) for one in options.ulimit] == [
        ("nofile", 1024, 2048),
        ("core", -1, -1),
        ("nofile", 10, 10),
    ]
    options = read(OLD["periods"]["record"]).options
    assert (options.restart.name, options.restart.retries) == ("on-failure", 3)
    options = read(OLD["isolation"]["record"]).options
    assert options.security_opt[-1].argument == "unconfined"
    options = read(OLD["names"]["record"]).options
    assert options.add_host[1].address == "2001:db8::1"
    options = read(OLD["files"]["record"]).options
    assert [(one.name, one.mode) for one in options.volumes_from] == [
        ("other", ""),
        ("third", "ro"),
    ]
    assert options.log_opt is not None
    assert (options.log_opt.max_bytes, options.log_opt.files) == (10 << 20, 3)
    assert (options.log_opt.labels, options.log_opt.env) == (("a", "b"), ("X",))


@pytest.mark.parametrize("name", OLD)
def test_values_travel_between_processes(name: str) -> None:
    record = read(OLD[name]["record"])
    again = pickle.loads(pickle.dumps(record))
    assert again == record
    assert again.options.restart.name == record.options.restart.name


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("restart", "sometimes"),
        ("restart", 3),
        ("ulimit", ["nosuch=1"]),
        ("security_opt", ["nonsense"]),
        ("volumes_from", [":ro"]),
        ("add_host", ["a:b"]),
        ("log_opt", {"max-file": "0"}),
        ("log_opt", {"max-file": 3}),
    ],
)
def test_a_damaged_record_is_refused_as_any_other(option: str, value: object) -> None:
    record = json.loads(json.dumps(OLD["plain"]["record"]))
    record["options"][option] = value
    with pytest.raises(DECODE_ERRORS):
        read(record)


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        read(OLD["periods"]["record"]).options.restart.retries = 4
