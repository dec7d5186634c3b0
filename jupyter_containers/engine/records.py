"""The engine's records of containers, networks and volumes.

Records are JSON documents in the store's database.  They are immutable values; a change is a new
value written in one transaction.  A container's life in records::

    creating ─▶ created ─▶ running ─▶ exited ─▶ (deleted)
                              ▲─ restarting ◀┘

A record names its *owner*, the process that is creating or starting the container; ``run`` owns it
through both.  No record is ahead of the truth: ``running`` is written after the runtime has started
the program; until then the previous status stays.  If the owner dies, the next access to the
container finishes or undoes its work (:mod:`.lifecycle`), and checks ``running`` against the
kernel.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from jupyter_containers.network.model import Endpoint, PublishedPort
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.oci.state import Status
from jupyter_containers.options import RunOptions
from jupyter_containers.options.mounts import Recursion
from jupyter_containers.options.network import NetworkRequest
from jupyter_containers.runtime.process import ProcessIdentity

# A container without networks (all disconnected) is a different case.
_AS_ASKED = (NetworkRequest(""),)

Phase = Literal["creating", "ready"]


class MountRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mount of a container with its names resolved; ``source`` is a path of the host."""

    type: Literal["bind", "volume", "tmpfs"]
    target: str
    source: str = ""
    name: str = ""
    read_only: bool = False
    size: int = 0
    mode: int = 0o1777
    options: tuple[str, ...] = ()
    anonymous: bool = False
    recursion: Recursion = "enabled"
    subpath: str = ""
    driver_opts: dict[str, str] = {}  # the volume to create for it
    relabel: str = ""  # z or Z


class StateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a container; times are seconds since the epoch, 0 for never."""

    status: Status = Status.CREATED
    process: ProcessIdentity | None = None
    monitor: ProcessIdentity | None = None
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    stopped_by_user: bool = False
    restart_count: int = 0  # since the last start by hand
    restart_delay: float = 0.0  # seconds before the last restart
    restart_at: float = 0.0  # when a restarting container is due, seconds since the epoch
    waiter: ProcessIdentity | None = None  # the process that waits for the restart
    companions: tuple[ProcessIdentity, ...] = ()
    pauser: ProcessIdentity | None = None  # pausing it, or has paused it for some work
    remove_volumes: bool = False  # requested by the removal in progress


class ContainerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One container; ``config`` is its image's, kept in case the image is removed.

    ``networks`` are the requested ones; ``endpoints`` and ``ports`` are those it has while it runs.
    ``endpoint`` is only read, from old records.
    """

    id: str
    name: str
    options: RunOptions
    manifest_digest: str
    image_id: str
    chain_id: str
    config: ExecutionConfig
    created: float
    phase: Phase = "creating"
    owner: ProcessIdentity | None = None
    state: StateRecord = StateRecord()
    mounts: tuple[MountRecord, ...] = ()
    networks: tuple[NetworkRequest, ...] = _AS_ASKED
    endpoints: tuple[Endpoint, ...] = ()
    endpoint: Endpoint | None = None
    ports: tuple[PublishedPort, ...] = ()

    def __post_init__(self) -> None:
        if self.networks == _AS_ASKED:
            asked = self.options.networks or (NetworkRequest(self.options.network),)
            force_setattr(self, "networks", asked)
        # Records from before a container could be in several networks.
        if self.endpoint is not None:
            force_setattr(self, "endpoints", (self.endpoint,))
            force_setattr(self, "endpoint", None)


class VolumeRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named or anonymous volume: a folder that outlives containers.

    ``bound`` is the folder named by the options of a bind when the volume was created, links
    resolved.
    """

    id: str
    name: str
    created: float
    labels: dict[str, str] = {}
    anonymous: bool = False
    driver_opts: dict[str, str] = {}
    bound: str = ""


BuildOutcome = Literal["running", "done", "failed", "cancelled", "killed"]


class BuildNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A build: when, duration (``seconds``), number of steps ``cached``.

    ``source`` is the cell or Dockerfile, ``place`` its stable identity (a cell's ID), ``image`` the
    ID of the result, ``error`` one line.
    """

    id: str
    started: float
    seconds: float
    names: tuple[str, ...] = ()
    source: str = ""
    place: str = ""
    image: str = ""
    steps: int = 0
    cached: int = 0
    outcome: BuildOutcome = "done"
    error: str = ""
    owner: ProcessIdentity | None = None  # the process that runs it, until it has finished


class BuiltStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of a build; ``reason`` says why it was not read from the cache."""

    title: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""


class BuiltSteps(msgspec.Struct, frozen=True):
    """The steps of one build, as they finished."""

    steps: tuple[BuiltStep, ...]


class EndpointRecord(msgspec.Struct, frozen=True):
    """An assigned address on a network; its name in the collection is ``network/address``.

    ``names`` are the names of the container on this network, ``links`` further names for other
    containers that only this one resolves (container ID and alias).
    """

    id: str
    container_id: str
    network_id: str
    address: str
    owner: ProcessIdentity
    address6: str = ""
    names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
