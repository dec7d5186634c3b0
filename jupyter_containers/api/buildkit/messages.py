"""The messages of BuildKit's services, with the fields that are read or written here.

The names and numbers are the protocol's.  Times are seconds and nanoseconds since 1970.
"""

from __future__ import annotations

from typing import Annotated

import msgspec


class Message(msgspec.Struct, kw_only=True):
    """The base of messages, and itself the empty message."""


class Timestamp(Message):
    """A point in time."""

    seconds: Annotated[int, 1] = 0
    nanos: Annotated[int, 2] = 0

    @classmethod
    def of(cls, nanoseconds: int) -> Timestamp:
        """Return the moment this many seconds after 1970."""
        return cls(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)


class Detail(Message):
    """A detail of an error: the name of its type, and its bytes (JSON here)."""

    type_url: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


class Status(Message):
    """An error: gRPC's code, a text, details."""

    code: Annotated[int, 1] = 0
    message: Annotated[str, 2] = ""
    details: Annotated[list[Detail], 3] = []


# -- moby.buildkit.v1.Control ------------------------------------------------------------------


class Exporter(Message):
    """The destination of a solve's result."""

    type: Annotated[str, 1] = ""
    attrs: Annotated[dict[str, str], 2] = {}


class CachePlaces(Message):
    """The sources and destinations of the cache."""

    exports: Annotated[list[Exporter], 4] = []
    imports: Annotated[list[Exporter], 5] = []


class SolveRequest(Message):
    """A build: its ``ref``, session, frontend, and exporters."""

    ref: Annotated[str, 1] = ""
    definition: Annotated[bytes, 2] = b""
    exporter: Annotated[str, 3] = ""
    exporter_attrs: Annotated[dict[str, str], 4] = {}
    session: Annotated[str, 5] = ""
    frontend: Annotated[str, 6] = ""
    frontend_attrs: Annotated[dict[str, str], 7] = {}
    cache: Annotated[CachePlaces | None, 8] = None
    entitlements: Annotated[list[str], 9] = []
    frontend_inputs: Annotated[dict[str, bytes], 10] = {}
    source_policy: Annotated[bytes, 12] = b""
    exporters: Annotated[list[Exporter], 13] = []

    @property
    def outputs(self) -> list[Exporter]:
        """The exporters, from the field that this version of the client uses."""
        if self.exporters or not self.exporter:
            return self.exporters
        return [Exporter(type=self.exporter, attrs=self.exporter_attrs)]


class SolveResponse(Message):
    """Metadata of the result."""

    exporter_response: Annotated[dict[str, str], 1] = {}


class StatusRequest(Message):
    """A request for a build's progress."""

    ref: Annotated[str, 1] = ""


class Vertex(Message):
    """A step of a build."""

    digest: Annotated[str, 1] = ""
    inputs: Annotated[list[str], 2] = []
    name: Annotated[str, 3] = ""
    cached: Annotated[bool, 4] = False
    started: Annotated[Timestamp | None, 5] = None
    completed: Annotated[Timestamp | None, 6] = None
    error: Annotated[str, 7] = ""


class VertexStatus(Message):
    """Progress within a step: a transfer, or a part of it."""

    id: Annotated[str, 1] = ""
    vertex: Annotated[str, 2] = ""
    name: Annotated[str, 3] = ""
    current: Annotated[int, 4] = 0
    total: Annotated[int, 5] = 0
    timestamp: Annotated[Timestamp | None, 6] = None
    started: Annotated[Timestamp | None, 7] = None
    completed: Annotated[Timestamp | None, 8] = None


class VertexLog(Message):
    """Output of a step; stream 1 or 2."""

    vertex: Annotated[str, 1] = ""
    timestamp: Annotated[Timestamp | None, 2] = None
    stream: Annotated[int, 3] = 0
    msg: Annotated[bytes, 4] = b""


class Position(Message):
    """A place in a text; lines count from 1."""

    line: Annotated[int, 1] = 0
    character: Annotated[int, 2] = 0


class Range(Message):
    """A range in a text."""

    start: Annotated[Position | None, 1] = None
    end: Annotated[Position | None, 2] = None


class SourceInfo(Message):
    """A Dockerfile."""

    filename: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""


class VertexWarning(Message):
    """A finding of the build checks."""

    vertex: Annotated[str, 1] = ""
    level: Annotated[int, 2] = 0
    short: Annotated[bytes, 3] = b""
    detail: Annotated[list[bytes], 4] = []
    url: Annotated[str, 5] = ""
    info: Annotated[SourceInfo | None, 6] = None
    ranges: Annotated[list[Range], 7] = []


class StatusResponse(Message):
    """New progress of a build."""

    vertexes: Annotated[list[Vertex], 1] = []
    statuses: Annotated[list[VertexStatus], 2] = []
    logs: Annotated[list[VertexLog], 3] = []
    warnings: Annotated[list[VertexWarning], 4] = []


class PlatformFacts(Message):
    """A platform."""

    architecture: Annotated[str, 1] = ""
    os: Annotated[str, 2] = ""
    variant: Annotated[str, 3] = ""


class Version(Message):
    """A builder's version."""

    package: Annotated[str, 1] = ""
    version: Annotated[str, 2] = ""
    revision: Annotated[str, 3] = ""


class WorkerRecord(Message):
    """A worker: this machine."""

    id: Annotated[str, 1] = ""
    labels: Annotated[dict[str, str], 2] = {}
    platforms: Annotated[list[PlatformFacts], 3] = []
    version: Annotated[Version | None, 5] = None


class ListWorkersResponse(Message):
    """The workers."""

    record: Annotated[list[WorkerRecord], 1] = []


class InfoResponse(Message):
    """The builder."""

    version: Annotated[Version | None, 1] = None


class DiskUsageRequest(Message):
    """A request for the records of the build cache."""

    filter: Annotated[list[str], 1] = []


class UsageRecord(Message):
    """An entry of the build cache."""

    id: Annotated[str, 1] = ""
    mutable: Annotated[bool, 2] = False
    in_use: Annotated[bool, 3] = False
    size: Annotated[int, 4] = 0
    created_at: Annotated[Timestamp | None, 6] = None
    last_used_at: Annotated[Timestamp | None, 7] = None
    usage_count: Annotated[int, 8] = 0
    description: Annotated[str, 9] = ""
    record_type: Annotated[str, 10] = ""
    shared: Annotated[bool, 11] = False
    parents: Annotated[list[str], 12] = []


class DiskUsageResponse(Message):
    """The records of the build cache."""

    record: Annotated[list[UsageRecord], 1] = []


class PruneRequest(Message):
    """A request to prune the build cache; durations in nanoseconds."""

    filter: Annotated[list[str], 1] = []
    all: Annotated[bool, 2] = False
    keep_duration: Annotated[int, 3] = 0
    reserved_space: Annotated[int, 4] = 0
    max_used_space: Annotated[int, 5] = 0
    min_free_space: Annotated[int, 6] = 0


# -- moby.buildkit.v1.frontend.LLBBridge -------------------------------------------------------


class Capability(Message):
    """A capability that a client may use."""

    id: Annotated[str, 1] = ""
    enabled: Annotated[bool, 2] = False


class Pong(Message):
    """The builder's capabilities."""

    frontend: Annotated[list[Capability], 1] = []
    graph: Annotated[list[Capability], 2] = []
    workers: Annotated[list[WorkerRecord], 3] = []


class FrontendSolveRequest(Message):
    """A request to run a frontend with options."""

    definition: Annotated[bytes, 1] = b""
    frontend: Annotated[str, 2] = ""
    options: Annotated[dict[str, str], 3] = {}
    frontend_inputs: Annotated[dict[str, bytes], 12] = {}
    cache_imports: Annotated[list[Exporter], 13] = []


class Ref(Message):
    """A reference to a result."""

    id: Annotated[str, 1] = ""


class Result(Message):
    """A frontend's result."""

    ref: Annotated[Ref | None, 3] = None
    metadata: Annotated[dict[str, bytes], 10] = {}


class FrontendSolveResponse(Message):
    """The response that carries a frontend's result."""

    result: Annotated[Result | None, 3] = None


class ReturnRequest(Message):
    """The result or error of a client's own frontend."""

    result: Annotated[Result | None, 1] = None
    error: Annotated[Status | None, 2] = None


# -- services of a session ---------------------------------------------------------------------


class Stat(Message):
    """A file of a tree; ``mode`` is Go's, ``modified`` in nanoseconds."""

    path: Annotated[str, 1] = ""
    mode: Annotated[int, 2] = 0
    uid: Annotated[int, 3] = 0
    gid: Annotated[int, 4] = 0
    size: Annotated[int, 5] = 0
    modified: Annotated[int, 6] = 0
    linkname: Annotated[str, 7] = ""


STAT, REQUEST, DATA, FINISH, ERROR = range(5)


class Packet(Message):
    """A packet in the transfer of a tree."""

    type: Annotated[int, 1] = STAT
    stat: Annotated[Stat | None, 2] = None
    id: Annotated[int, 3] = 0
    data: Annotated[bytes, 4] = b""


class Bytes(Message):
    """A chunk of a stream."""

    data: Annotated[bytes, 1] = b""


class ContentRequest(Message):
    """A request for a blob of containerd's content service."""

    digest: Annotated[str, 1] = ""
    offset: Annotated[int, 2] = 0
    size: Annotated[int, 3] = 0


class ContentChunk(Message):
    """A part of a blob."""

    offset: Annotated[int, 1] = 0
    data: Annotated[bytes, 2] = b""


class CredentialsRequest(Message):
    """A request for the credentials of a registry."""

    host: Annotated[str, 1] = ""


class CredentialsResponse(Message):
    """The credentials of a registry."""

    username: Annotated[str, 1] = ""
    secret: Annotated[str, 2] = ""


class SecretRequest(Message):
    """A request for a secret."""

    id: Annotated[str, 1] = ""


class SecretResponse(Message):
    """A secret."""

    data: Annotated[bytes, 1] = b""


class AgentRequest(Message):
    """A request for an SSH agent."""

    id: Annotated[str, 1] = ""


class HealthResponse(Message):
    """The health of a service; 1 means serving."""

    status: Annotated[int, 1] = 0
