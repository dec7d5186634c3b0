"""What docker-py's own tests ask for: each was seen to fail before it was made as Docker has it.

``scripts/test --clients`` runs those tests themselves (:mod:`tests.clients`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool, LogConfig

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


@pytest.fixture
def api(client: Client) -> Iterator[docker.APIClient]:
    made = docker.APIClient(base_url=client.url, version="auto", timeout=20)
    yield made
    made.close()


def started(api: docker.APIClient, image: str, command: str = "sleep 100", **more: object) -> str:
    made = api.create_container(image, command, **more)["Id"]
    api.start(made)
    return made


def test_the_start_of_a_command_says_the_form_of_its_streams(
    api: docker.APIClient, busybox: str
) -> None:
    """A terminal's output in frames.  Seen to fail: the first eight bytes were taken for one."""
    box = started(api, busybox)
    made = api.exec_create(box, "echo hello out", tty=True)
    assert api.exec_start(made) == b"hello out\r\n"
    assert api.exec_start(api.exec_create(box, "echo raw", tty=True), tty=True) == b"raw\r\n"


def test_the_log_of_an_ended_container_is_attached_to(api: docker.APIClient, busybox: str) -> None:
    """The client reads the head with a buffer.  Seen to fail: the log came with the head."""
    box = started(api, busybox, "echo hello")
    api.wait(box)
    assert api.attach(box, stream=False, logs=True) == b"hello\n"


def test_a_build_speaks_as_the_classic_builder(api: docker.APIClient, busybox: str) -> None:
    def build(text: str, **more: object) -> list[dict[str, object]]:
        return list(api.build(fileobj=io.BytesIO(text.encode()), decode=True, **more))

    last = build(f"FROM {busybox}\nRUN exit 3")[-1]
    message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    assert last == {"error": message, "errorDetail": {"code": 3, "message": message}}
    text = f"FROM {busybox}\nENV A=1\nRUN echo err >&2"
    assert {"stream": "\x1b[91merr\n\x1b[0m"} in build(text, tag="suite:1")
    cached = {"stream": " ---> Using cache\n"}
    assert build(text).count(cached) == 2
    assert build(text, cache_from=["suite:1"]).count(cached) == 2
    assert build(text, cache_from=["missing:1"]).count(cached) == 0
    api.remove_image("suite:1")


def test_a_step_of_a_build_knows_the_others_on_its_network(
    api: docker.APIClient, busybox: str
) -> None:
    network = api.create_network("suite")["Id"]
    box = started(api, busybox)
    api.connect_container_to_network(box, network, aliases=["target.suite"])
    text = f"FROM {busybox}\nRUN ping -c1 target.suite\n".encode()
    lines = list(
        api.build(fileobj=io.BytesIO(text), network_mode=network, nocache=True, decode=True)
    )
    assert "error" not in lines[-1], lines
    api.remove_container(box, force=True)
    api.remove_network(network)


def test_networks_have_what_docker_lets_them_have(api: docker.APIClient, busybox: str) -> None:
    pool = IPAMPool(subnet="fd00:389::/64", iprange="fd00:389::a:0/112", gateway="fd00:389::ffff")
    six = api.create_network("suite six", ipam=IPAMConfig(pool_configs=[pool]))["Id"]
    document = api.inspect_network("suite six")
    assert document["EnableIPv6"]
    assert document["IPAM"]["Config"][1] == {
        "Subnet": "fd00:389::/64", "IPRange": "fd00:389::a:0/112", "Gateway": "fd00:389::ffff",
    }  # fmt: skip
    wanted = api.create_endpoint_config(driver_opt={"a.setting": "on"})
    box = api.create_container(
        busybox,
        "sleep 100",
        networking_config=api.create_networking_config({"bridge": wanted}),
        host_config=api.create_host_config(network_mode="bridge", isolation="default"),
        runtime="runc",
    )["Id"]
    api.connect_container_to_network(box, six, mac_address="02:42:ac:11:00:02")
    found = api.inspect_container(box)
    networks = found["NetworkSettings"]["Networks"]
    assert networks["bridge"]["DriverOpts"] == {"a.setting": "on"}
    assert networks["suite six"]["MacAddress"] == "02:42:ac:11:00:02"
    assert (found["HostConfig"]["Isolation"], found["HostConfig"]["Runtime"]) == ("default", "runc")
    api.start(box)
    live = api.inspect_container(box)["NetworkSettings"]["Networks"]["suite six"]
    assert live["GlobalIPv6Address"].startswith("fd00:389::a:")
    assert live["Aliases"] is None
    assert live["DNSNames"] == [found["Name"][1:], box[:12]]
    api.remove_container(box, force=True)
    api.remove_network("suite six")


def test_links_are_made_before_their_container_and_removed_alone(
    api: docker.APIClient, busybox: str
) -> None:
    network = api.create_network("suite")["Id"]
    box = started(api, busybox)
    api.connect_container_to_network(box, network, links=[("later", "bar")])
    host = api.create_host_config(network_mode="suite")
    later = started(api, busybox, name="later", host_config=host)
    pinged = api.exec_create(box, "ping -c1 bar")
    api.exec_start(pinged)
    assert api.exec_inspect(pinged)["ExitCode"] == 0
    linked = started(
        api, busybox, name="linked", host_config=api.create_host_config(links={box: "mylink"})
    )
    hosts = api.exec_start(api.exec_create(linked, "cat /etc/hosts"))
    api.remove_container("linked/mylink", link=True)
    assert b"mylink" in hosts
    assert b"mylink" not in api.exec_start(api.exec_create(linked, "cat /etc/hosts"))
    assert api.inspect_container(linked)["HostConfig"]["Links"] is None
    with pytest.raises(docker.errors.NotFound):
        api.remove_container("linked/mylink", link=True)
    for each in (box, later, linked):
        api.remove_container(each, force=True)
    api.remove_network(network)


def test_refusals_have_dockers_words(api: docker.APIClient, busybox: str) -> None:
    box = started(api, busybox)
    with pytest.raises(docker.errors.APIError, match="stop the container before"):
        api.remove_container(box)
    with pytest.raises(docker.errors.NotFound, match=r'plugin "none\.such" not found'):
        api.create_volume("suite", "none.such")
    log = api.create_host_config(log_config=LogConfig(type="asdf"))
    with pytest.raises(docker.errors.APIError, match="error looking up logging plugin asdf"):
        api.create_container(busybox, "true", host_config=log)
    # A driver of volumes counts where a volume is to be made.
    host = api.create_host_config(volume_driver="foo")
    made = api.create_container(busybox, "true", host_config=host)
    assert api.inspect_container(made)["HostConfig"]["VolumeDriver"] == "foo"
    host = api.create_host_config(volume_driver="foo", binds=["named:/data"])
    with pytest.raises(docker.errors.NotFound, match='volume plugin foo: plugin "foo"'):
        api.create_container(busybox, "true", host_config=host)


def test_an_image_knows_its_parent_and_a_broken_archive_is_a_line(
    api: docker.APIClient, busybox: str
) -> None:
    box = started(api, busybox, "touch /test")
    made = api.commit(box, changes=["LABEL suite=1"])["Id"]
    assert api.inspect_image(made)["Parent"] == api.inspect_image(busybox)["Id"]
    api.tag(made, "suite", "1")
    api.remove_container(box, force=True)
    pruned = api.prune_images({"dangling": False, "label": ["suite=1"]})["ImagesDeleted"]
    assert {"Untagged": "suite:1"} in pruned
    assert {"Deleted": made} in pruned
    assert "error" in list(api.load_image(b"abc"))[-1]
