"""A container's record with every kind of value in it."""

from __future__ import annotations

from jupyter_containers.engine.records import ContainerRecord, MountRecord, StateRecord
from jupyter_containers.network.model import Endpoint, Network, PublishedPort
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.oci.state import Status
from jupyter_containers.options import RunOptions
from jupyter_containers.runtime.process import ProcessIdentity

ID = "c0ffee" + "0" * 58
NETWORK = Network(
    id="feed" * 16, name="shop", interface="br0", subnet="10.1.2.0/24", gateway="10.1.2.1"
)
ENDPOINT = Endpoint(
    network_id=NETWORK.id,
    container_id=ID,
    address="10.1.2.3",
    prefix_len=24,
    mac="02:00:00:00:00:01",
    host_interface="veth0",
    gateway="10.1.2.1",
    aliases=("web", ID[:12]),
)
PORT = PublishedPort(
    host_ip="127.0.0.1", host_port=8080, container_ip="10.1.2.3", container_port=80
)
CONFIG = ExecutionConfig(
    env=("PATH=/bin", "A=image", "B=image"),
    entrypoint=("/entry",),
    cmd=("serve",),
    exposed_ports=("80/tcp", "443/tcp"),
    labels={"from": "image", "both": "image"},
    stop_signal="SIGQUIT",
    volumes=("/var/data",),
    working_dir="/srv",
    user="daemon",
)


def a_record(
    *command: str,
    status: Status = Status.RUNNING,
    config: ExecutionConfig = CONFIG,
    mounts: tuple[MountRecord, ...] = (),
    **flags: object,
) -> ContainerRecord:
    alive = status.alive
    return ContainerRecord(
        id=ID,
        name="web",
        options=RunOptions.of("shop/web:1", command or None, **flags),
        manifest_digest="sha256:" + "a" * 64,
        image_id="sha256:" + "b" * 64,
        chain_id="sha256:" + "c" * 64,
        config=config,
        created=1_700_000_000.5,
        phase="ready",
        state=StateRecord(
            status=status,
            process=ProcessIdentity(4242, 1) if alive else None,
            started=1_700_000_001.0,
            finished=0.0 if alive else 1_700_000_002.0,
            exit_code=0 if alive else 3,
        ),
        mounts=mounts,
        endpoints=(ENDPOINT,),
        ports=(PORT,),
    )
