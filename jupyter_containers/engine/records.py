"""What the engine writes down about containers, networks and volumes.

Records are JSON documents in the store's database.  They are immutable values; a change is a new
value written in one transaction.  A container's life in records::

    creating ─▶ created ─▶ running ─▶ exited ─▶ (deleted)
                              ▲─ restarting ◀┘

A record names its *owner*, the process that is creating or starting the container; where one
command does both (``run``) it stays the owner from the one to the other.  No record is ahead of
the truth: ``running`` is written when the runtime has started the program, and until then the
status is that of before.  What a dead owner left half done is finished or undone by whoever looks
at the container next (:mod:`.lifecycle`), who also checks ``running``
against the kernel.
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

# A container that was disconnected from all its networks has none: that is another thing.
_AS_ASKED = (NetworkRequest(""),)

Phase = Literal["creating", "ready"]


class MountRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mount of a container after names were resolved; ``source`` is a path of the host."""

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
    driver_opts: dict[str, str] = {}  # of the volume that is to be made for it
    relabel: str = ""  # z or Z


class StateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a container is in its life; times are seconds since the epoch, 0 for never."""

    status: Status = Status.CREATED
    process: ProcessIdentity | None = None
    monitor: ProcessIdentity | None = None
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    stopped_by_user: bool = False
    restart_count: int = 0  # since somebody last started it by hand
    restart_delay: float = 0.0  # seconds before the last restart
    restart_at: float = 0.0  # when a restarting container is due
    waiter: ProcessIdentity | None = None  # who will restart it then
    companions: tuple[ProcessIdentity, ...] = ()
    pauser: ProcessIdentity | None = None  # who is pausing it, or has for the time of some work
    remove_volumes: bool = False  # asked for by the removal that is under way


class ContainerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One container; ``config`` is its image's, kept so that the image may be untagged.

    ``networks`` are those it is to be in, ``endpoints`` and ``ports`` what it has of them while it
    lives.  ``endpoint`` is only read, from old records.
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
        # Records of before a container could be in several networks.
        if self.endpoint is not None:
            force_setattr(self, "endpoints", (self.endpoint,))
            force_setattr(self, "endpoint", None)


class VolumeRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named (or anonymous) folder that outlives containers.

    ``bound`` is the folder that the options of a bind named when the volume was made, its links
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
    """A build: when, how long (``seconds``), how many of its steps were ``cached``.

    ``source`` is the cell or Dockerfile, ``place`` what it stays the same under (a cell's ID),
    ``image`` the ID of what was made, ``error`` one line.
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
    owner: ProcessIdentity | None = None  # who carries it out, while it runs


class BuiltStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of a build; ``reason`` says why it was not taken from the cache."""

    title: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""


class BuiltSteps(msgspec.Struct, frozen=True):
    """The steps of one build, as they ended."""

    steps: tuple[BuiltStep, ...]


class EndpointRecord(msgspec.Struct, frozen=True):
    """An address taken on a network; its name in the collection is ``network/address``.

    ``names`` are those by which others on the network know the container, ``links`` further names
    that it alone has for others (container ID and alias).
    """

    id: str
    container_id: str
    network_id: str
    address: str
    owner: ProcessIdentity
    address6: str = ""
    names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
