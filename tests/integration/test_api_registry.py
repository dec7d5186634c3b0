"""Images between the service and a real registry, by Docker's command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client, needs_docker
from tests.integration.engine_fixtures import fresh_engine
from tests.integration.registry_server import DockerRegistry, missing_registry

pytestmark = [
    needs_docker,
    pytest.mark.skipif(missing_registry() != "", reason=missing_registry() or "-"),
]


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


def test_images_go_to_a_registry_and_come_back(
    client: Client, busybox: str, registry: DockerRegistry
) -> None:
    name = f"{registry.host}/api/box:1"
    client.docker("tag", busybox, name)
    pushed = client.docker("push", name).stdout
    assert b"1: digest: sha256:" in pushed
    client.docker("rmi", name)
    assert b"Status: " in client.docker("pull", name).stdout
    assert client.docker("run", "--rm", name, "echo", "back").stdout == b"back\n"
    client.docker("rmi", name)
    missing = client.docker("pull", f"{registry.host}/api/none:1", check=False)
    assert missing.returncode == 1


def test_the_clients_credentials_are_lent_for_one_call(
    client: Client, engine: Engine, busybox: str, tmp_path: Path
) -> None:
    with DockerRegistry(tmp_path / "locked", user=("ada", "s3cret")) as locked:
        name = f"{locked.host}/api/box:1"
        client.docker("tag", busybox, name)
        assert client.docker("push", name, check=False).returncode == 1
        wrong = ("login", "-u", "ada", "--password-stdin", locked.host)
        assert client.docker(*wrong, stdin=b"guess", check=False).returncode == 1
        client.docker(*wrong, stdin=b"s3cret")
        client.docker("push", name)
        client.docker("rmi", name)
        client.docker("pull", name)
        client.docker("rmi", name)
        # They are the client's: the service keeps none.
        assert locked.host not in engine.registries.logins()


def test_a_mirror_is_asked_for_tags_and_believed_where_its_registry_is_out_of_reach(
    engine: Engine, busybox: str, registry: DockerRegistry, tmp_path: Path
) -> None:
    """Seen to fail: the tags were asked of Docker Hub alone, and what it lacks was a 500."""
    hub = f"{registry.host}/library"
    for tag in ("1", "2"):
        engine.images.tag(busybox, f"{hub}/mirrored:{tag}")
        engine.images.push(f"{hub}/mirrored:{tag}")
        engine.images.remove(f"{hub}/mirrored:{tag}")
    settings = {"registry_mirrors": (f"http://{registry.host}",)}
    with (
        fresh_engine(tmp_path / "own", **settings) as own,
        own.api(f"unix://{tmp_path}/d.sock") as url,
    ):
        there = Client(url, tmp_path)
        assert there.request("POST", "/images/create?fromImage=mirrored")[0] == 200
        assert sorted(own.images.names()) == ["mirrored:1", "mirrored:2"]
        status, answer = there.request("POST", "/images/create?fromImage=missing&tag=1")
        assert (status, "does not exist or no pull access" in answer["message"]) == (404, True)
