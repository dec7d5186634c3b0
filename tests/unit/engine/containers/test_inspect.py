from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_containers.engine.containers.inspect import container_document
from jupyter_containers.engine.networks.documents import network_document
from jupyter_containers.engine.records import ContainerRecord, MountRecord, VolumeRecord
from jupyter_containers.engine.volumes.documents import volume_document
from jupyter_containers.oci.image import NEVER, timestamp
from jupyter_containers.oci.state import Status
from tests.unit.engine.engine_records import ID, NETWORK, a_record


def document(record: ContainerRecord) -> dict[str, Any]:
    return container_document(record, {NETWORK.id: NETWORK}, Path("/bundle"), "runc")


def test_a_running_container() -> None:
    seen = document(a_record(network="shop", publish="8080:80"))
    assert (seen["Id"], seen["Name"]) == (ID, "/web")
    assert (seen["Path"], seen["Args"]) == ("/entry", ["serve"])
    assert seen["Created"] == "2023-11-14T22:13:20.5Z"
    state = seen["State"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("running", True, 4242)
    assert state["FinishedAt"] == NEVER
    settings = seen["NetworkSettings"]
    assert settings["Ports"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "443/tcp": None,
    }
    assert settings["Networks"]["shop"]["IPAddress"] == "10.1.2.3"
    assert settings["IPAddress"] == ""  # that of the default network
    assert settings["Networks"]["shop"]["Aliases"] == [ID[:12]]


@pytest.mark.parametrize("restart", ["no", "always", "on-failure:3"])
def test_a_document_is_of_plain_values(restart: str) -> None:
    """Seen to fail with a restart policy for its name: the panel's page waited for ever."""
    seen = document(
        a_record(
            restart=restart,
            ulimit=["nofile=100:200"],
            security_opt=["no-new-privileges"],
            add_host=["a:1.2.3.4"],
            volumes_from=["db:ro"],
        )
    )
    assert msgspec.to_builtins(seen) == seen


def test_an_ended_container_holds_no_address_or_port() -> None:
    seen = document(a_record(status=Status.EXITED, network="shop"))
    assert seen["State"]["ExitCode"] == 3
    assert seen["State"]["Pid"] == 0
    assert seen["NetworkSettings"]["Ports"] == {}
    assert seen["NetworkSettings"]["IPAddress"] == ""


@pytest.mark.parametrize(
    ("command", "flags", "entrypoint", "cmd"),
    [
        ((), {}, ["/entry"], ["serve"]),
        (("other",), {}, ["/entry"], ["other"]),
        ((), {"entrypoint": "/mine"}, ["/mine"], None),
        (("x",), {"entrypoint": ()}, None, ["x"]),
    ],
)
def test_entrypoint_and_command_are_those_that_ran(
    command: tuple[str, ...], flags: dict[str, Any], entrypoint: Any, cmd: Any
) -> None:
    config = document(a_record(*command, **flags))["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (entrypoint, cmd)


def test_image_and_options_are_merged() -> None:
    seen = document(
        a_record(
            env=["A=mine", "C=mine"],
            label={"both": "mine"},
            user="me",
            workdir="/w",
            stop_signal="USR1",
            expose="9000",
            publish="7000:7000",
        )
    )["Config"]
    assert seen["Env"] == ["A=mine", "C=mine", "PATH=/bin", "B=image"]
    assert seen["Labels"] == {"from": "image", "both": "mine"}
    assert (seen["User"], seen["WorkingDir"], seen["StopSignal"]) == ("me", "/w", "USR1")
    assert set(seen["ExposedPorts"]) == {"80/tcp", "443/tcp", "9000/tcp", "7000/tcp"}


def test_limits() -> None:
    seen = document(a_record(memory="64m", cpus=0.5, pids_limit=9, ulimit="nofile=1:2"))
    host = seen["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (64 * 2**20, 128 * 2**20)
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 9)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
    assert host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}


def test_mounts() -> None:
    mounts = (
        MountRecord("bind", "/b", "/host", read_only=True),
        MountRecord("volume", "/v", "/volumes/v/_data", "v"),
        MountRecord("volume", "/a", "/volumes/x/_data", "x", anonymous=True),
        MountRecord("tmpfs", "/t", size=1024),
    )
    flags = {"volume": ["./host:/b:ro", "data:/v", "/a"], "tmpfs": "/t:size=1k"}
    seen = document(a_record(mounts=mounts, **flags))
    assert seen["HostConfig"]["Binds"] == ["/host:/b:ro", "data:/v"]
    assert seen["HostConfig"]["Tmpfs"] == {"/t": "size=1k"}
    assert "Mounts" not in seen["HostConfig"]
    assert seen["Config"]["Volumes"] == {"/var/data": {}, "/a": {}}
    assert [mount["Type"] for mount in seen["Mounts"]] == ["bind", "volume", "volume"]
    bind, volume, *_ = seen["Mounts"]
    assert (bind["Type"], bind["RW"], bind["Mode"]) == ("bind", False, "ro")
    assert (volume["Name"], volume["Driver"], volume["RW"]) == ("v", "local", True)


def test_networks_and_volumes() -> None:
    seen = network_document(NETWORK, [a_record()])
    assert seen["IPAM"]["Config"] == [{"Subnet": "10.1.2.0/24", "Gateway": "10.1.2.1"}]
    assert seen["Containers"][ID]["IPv4Address"] == "10.1.2.3/24"
    volume = volume_document(VolumeRecord("id", "v", 1.0, {"a": "b"}), Path("/data"))
    assert (volume["Name"], volume["Mountpoint"], volume["Labels"]) == ("v", "/data", {"a": "b"})


def test_never() -> None:
    assert timestamp(0) == NEVER
