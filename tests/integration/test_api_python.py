"""docker-py against the service, and raw requests: valid and hostile ones."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound, NotFound

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


@pytest.fixture
def library(client: Client) -> Iterator[docker.DockerClient]:
    made = docker.DockerClient(base_url=client.url, version="auto", timeout=20)
    yield made
    made.close()


def test_a_library_runs_containers(library: docker.DockerClient, busybox: str) -> None:
    assert library.containers.run(busybox, ["echo", "hi"], remove=True) == b"hi\n"
    with pytest.raises(docker.errors.ContainerError):
        library.containers.run(busybox, ["false"], remove=True)
    box = library.containers.run(busybox, ["sleep", "50"], detach=True, labels={"k": "v"})
    assert box.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True).output == (
        b"out\n", b"err\n",
    )  # fmt: skip
    assert [item.id for item in library.containers.list(filters={"label": "k=v"})] == [box.id]
    assert box.stats(stream=False)["cpu_stats"]["online_cpus"] >= 1
    box.kill()
    assert box.wait()["StatusCode"] == 137
    box.remove()
    with pytest.raises(NotFound):
        library.containers.get(box.id)


def test_a_library_copies_archives(library: docker.DockerClient, busybox: str) -> None:
    box = library.containers.create(busybox, "true")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"data"))
    assert box.put_archive("/tmp", tar.getvalue())
    pieces, described = box.get_archive("/tmp/file")
    assert (described["name"], described["size"]) == ("file", 4)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        assert archive.getnames() == ["file"]
    with pytest.raises(NotFound):
        box.get_archive("/missing")
    box.remove()


def test_a_library_builds_and_names_what_is_missing(
    library: docker.DockerClient, busybox: str
) -> None:
    text = io.BytesIO(f"FROM {busybox}\nLABEL a=b\n".encode())
    image, _ = library.images.build(fileobj=text, tag="py:1", rm=True)
    assert image.labels == {"a": "b"}
    assert "py:1" in library.images.get("py:1").tags
    library.images.remove("py:1")
    with pytest.raises(ImageNotFound):
        library.images.get("py:1")
    with pytest.raises(ImageNotFound):
        library.containers.create("not-here:1", "true")


def test_a_library_makes_networks_and_volumes(library: docker.DockerClient, busybox: str) -> None:
    pool = docker.types.IPAMPool(subnet="10.123.45.0/24", gateway="10.123.45.1")
    net = library.networks.create("py", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    box = library.containers.create(busybox, "true")
    net.connect(box, aliases=["x"], ipv4_address="10.123.45.7")
    net.disconnect(box)
    box.remove()
    net.remove()
    volume = library.volumes.create("py", labels={"a": "b"})
    assert volume.attrs["Labels"] == {"a": "b"}
    volume.remove()


def test_waiting_for_the_next_exit_answers_at_once(client: Client, busybox: str) -> None:
    _, made = client.request("POST", "/containers/create", {"Image": busybox, "Cmd": ["true"]})
    with client.connected() as waiting:
        path = f"/v1.43/containers/{made['Id']}/wait?condition=next-exit"
        waiting.sendall(f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.request("POST", f"/containers/{made['Id']}/start")[0] == 204
        assert b'{"StatusCode":0}' in waiting.recv(65536)
    assert client.request("POST", f"/containers/{made['Id']}/start")[0] == 204
    assert client.request("DELETE", f"/containers/{made['Id']}?force=1")[0] == 204


def test_the_socket_is_its_users_alone(client: Client) -> None:
    assert client.path.stat().st_mode & 0o777 == 0o600


def test_what_is_not_here_says_so(client: Client) -> None:
    assert client.request("GET", "/nowhere") == (404, {"message": "page not found"})
    # No upgrade is asked for: with the library h2 a bad request, without it not served.
    assert {client.request("POST", path)[0] for path in ("/session", "/grpc")} <= {400, 501}
    assert client.request("GET", "/swarm")[0] == 503
    assert client.request("GET", "/containers/none/json")[0] == 404
    assert client.request("GET", "/info", version="/v1.23")[0] == 400
    assert client.request("GET", "/info", version="/v9.99")[0] == 400


def test_a_field_that_is_not_known_is_refused_by_its_name(client: Client, busybox: str) -> None:
    body = {"Image": busybox, "HostConfig": {"Mounts": [{"Target": "/a", "Magic": True}]}}
    status, answer = client.request("POST", "/containers/create", body)
    assert (status, answer["message"]) == (
        400, "HostConfig.Mounts[0].Magic is not supported here",
    )  # fmt: skip
    harmless = {"Image": busybox, "ArgsEscaped": True, "HostConfig": {"ConsoleSize": [1, 2]}}
    status, made = client.request("POST", "/containers/create", harmless)
    assert status == 201
    assert client.request("DELETE", f"/containers/{made['Id']}")[0] == 204


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"7", b'"x"', b"\xff\xfe", b"{" * 100_000, b"[" * 100_000,
        b'{"Image": 7}', b'{"Image":"a","HostConfig":[]}', b'{"Image":"a","Env":"A=1"}',
        b'{"Image":"a","HostConfig":{"Memory":"1g"}}', b'{"Image":"a","Cmd":[1]}',
        b'{"Image":"a","HostConfig":{"PortBindings":{"80/tcp":{}}}}',
        b'{"Image":"a","HostConfig":{"Memory":1e300}}', b"",
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused(client: Client, body: bytes) -> None:
    status, answer = client.request("POST", "/containers/create", body)
    assert (status, list(answer)) == (400, ["message"])


def test_lengths_that_lie_are_refused(client: Client) -> None:
    """Seen to fail with a limit of terabytes: no answer to 99999999."""
    head = b"POST /v1.43/containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: "
    for length in (b"-1", b"x", b"99999999999999999999", b"0x10", b"5\r\nContent-Length: 6"):
        assert client.raw(head + length + b"\r\n\r\n{}").startswith(b"HTTP/1.1 4")
    assert client.raw(head + b"99999999\r\n\r\n{}").startswith(b"HTTP/1.1 413")
    # It ends before its length.
    assert client.raw(head + b"100\r\n\r\n{}") == b""
    assert client.request("GET", "/_ping")[0] == 200


def _sent(client: Client, head: bytes, piece: bytes, pieces: int) -> int:
    """Return how many pieces the service let a client send."""
    with client.connected() as connection:
        try:
            connection.sendall(head)
            for number in range(pieces):  # noqa: B007  # it is what is returned
                connection.sendall(piece)
                time.sleep(0.0005)
        except OSError:
            return number
    return pieces


def test_an_endless_body_ends_the_connection_and_takes_no_memory(client: Client) -> None:
    """Seen to fail with a limit of terabytes: the service took all 64 MiB."""
    head = b"POST /v1.43/containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert _sent(client, head, b"10000\r\n" + bytes(65536) + b"\r\n", 1024) < 200
    assert client.request("GET", "/_ping")[0] == 200


def test_heads_without_end_are_cut_off(client: Client) -> None:
    assert _sent(client, b"GET / HTTP/1.1\r\n", b"X: " + b"y" * 1000 + b"\r\n", 1000) < 900
    assert client.request("GET", "/_ping")[0] == 200


def test_a_tar_that_climbs_stays_in_its_container(
    client: Client, busybox: str, tmp_path: Path
) -> None:
    _, made = client.request("POST", "/containers/create", {"Image": busybox, "Cmd": ["true"]})
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("../../../../.." + str(tmp_path / "escaped"))
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    path = f"/containers/{made['Id']}/archive?path=/"
    client.request("PUT", path, tar.getvalue(), headers={"Content-Type": "application/x-tar"})
    assert not (tmp_path / "escaped").exists()
    status, _ = client.request("PUT", path, b"no tar", headers={"Content-Type": "x"})
    assert status >= 400
    client.request("DELETE", f"/containers/{made['Id']}")


def test_a_client_that_never_reads_leaves_the_service_to_others(
    client: Client, busybox: str
) -> None:
    body = {"Image": busybox, "Cmd": ["yes"], "AttachStdout": True}
    _, made = client.request("POST", "/containers/create", body)
    silent = client.connected()
    path = f"/v1.43/containers/{made['Id']}/attach?stream=1&stdout=1"
    silent.sendall(
        f"POST {path} HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n".encode()
    )
    assert b"101" in silent.recv(64)
    assert client.request("POST", f"/containers/{made['Id']}/start")[0] == 204
    assert client.request("GET", "/containers/json")[0] == 200
    silent.close()
    assert client.request("DELETE", f"/containers/{made['Id']}?force=1")[0] == 204


def test_a_thousand_requests_of_fifty_clients_are_answered(client: Client) -> None:
    found: list[int] = []

    def ask() -> None:
        found.extend(client.request("GET", "/containers/json")[0] for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 1000


def test_the_environment_of_the_service_stays_its_own(client: Client, busybox: str) -> None:
    """Seen to fail without the check: PATH of the service became the container's."""
    body = {"Image": busybox, "Cmd": ["env"], "Env": ["PATH"]}
    status, answer = client.request("POST", "/containers/create", body)
    assert (status, answer["message"]) == (400, "the variable PATH in Env has no value")


def test_a_service_ends_itself_and_refuses_a_second_one(engine: Engine, tmp_path: Path) -> None:
    from jupyter_containers.engine.system.serving import start_service
    from jupyter_containers.errors import ContainersError

    address = f"unix://{tmp_path}/d.sock"
    with (
        engine.api(address),
        pytest.raises(ContainersError, match="listens on"),
    ):
        start_service(engine.settings, address)
    service = start_service(engine.settings, address, idle=0.5)
    assert service.process.wait(timeout=20) == 0
    assert not (tmp_path / "d.sock").exists()


def test_a_stale_socket_is_replaced(engine: Engine, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "d.sock"))
    with engine.api(f"unix://{tmp_path}/d.sock") as url:
        assert json.dumps(Client(url, tmp_path).request("GET", "/_ping")[0]) == "200"


def test_containers_go_on_without_the_service_and_their_ends_are_recorded(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    with engine.api(f"unix://{tmp_path}/d.sock") as url:
        client = Client(url, tmp_path)
        for name, host in (("kept", {}), ("gone", {"AutoRemove": True})):
            body = {"Image": busybox, "Cmd": ["sleep", "3"], "HostConfig": host}
            client.request("POST", f"/containers/create?name={name}", body)
            assert client.request("POST", f"/containers/{name}/start")[0] == 204
    records = engine._context.containers
    assert [item.state.status.alive for item in records.all()] == [True, True]
    deadline = time.monotonic() + 30
    # The records as they are: an engine that looks would settle them itself.
    while len(records.all()) > 1 or records.all()[0].state.status.alive:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [(item.name, item.state.exit_code) for item in records.all()] == [("kept", 0)]


def test_streams_end_with_the_service(engine: Engine, busybox: str, tmp_path: Path) -> None:
    with engine.api(f"unix://{tmp_path}/d.sock") as url:
        following = Client(url, tmp_path).connected()
        following.sendall(b"GET /v1.43/events HTTP/1.1\r\nHost: d\r\n\r\n")
        assert following.recv(64).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
    assert time.monotonic() - began < 8
    with following:
        while following.recv(65536):
            pass
