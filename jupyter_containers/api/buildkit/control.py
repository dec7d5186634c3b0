"""``POST /grpc``: the gRPC services for clients of BuildKit."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from jupyter_containers.api.buildkit.attributes import check_frontend
from jupyter_containers.api.buildkit.connection import Connection, Stream
from jupyter_containers.api.buildkit.messages import (
    Capability,
    DiskUsageRequest,
    DiskUsageResponse,
    FrontendSolveRequest,
    FrontendSolveResponse,
    HealthResponse,
    InfoResponse,
    ListWorkersResponse,
    Message,
    PlatformFacts,
    Pong,
    PruneRequest,
    Ref,
    Result,
    ReturnRequest,
    SolveRequest,
    SolveResponse,
    StatusRequest,
    Timestamp,
    UsageRecord,
    Version,
    WorkerRecord,
)
from jupyter_containers.api.buildkit.registry import BuildKitState, Named
from jupyter_containers.api.buildkit.rpc import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    UNIMPLEMENTED,
    RpcError,
    framed,
)
from jupyter_containers.api.buildkit.solve import Solve, rpc_error
from jupyter_containers.api.buildkit.status import Progress
from jupyter_containers.api.call import Call
from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    BuildError,
    ContainersError,
    InvalidArgumentError,
    NotFoundError,
    OperationCancelledError,
    UnsupportedError,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.version import __version__

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.cache_records import BuildRecord

_BUILD_ID = "buildkit-controlapi-buildid"
_PACKAGE = "github.com/moby/buildkit"
# The BuildKit version whose protocol this is.
_VERSION = "v0.13.2"
_FRONTEND_CAPABILITIES = (
    "solve.base", "solve.inlinereturn", "resolveimage", "frontend.caps", "frontend.inputs",
    "gateway.evaluate", "gateway.solve.metadata", "gateway.solve.evaluate", "gateway.warnings",
    "importcaches", "proto.refarray", "reference.output", "return", "returnmap",
)  # fmt: skip
_GRAPH_CAPABILITIES = (
    "source.image", "source.local", "source.git", "source.http", "exec.meta.base",
    "exec.meta.network", "exec.mount.bind", "exec.mount.cache", "exec.mount.secret",
    "exec.mount.ssh", "exec.mount.tmpfs", "exec.meta.ulimit", "exec.meta.proxyenv", "file.base",
    "platform", "constraints", "exporter.image.annotations", "exporter.multiple",
)  # fmt: skip
_POLL_SECONDS = 0.1


@dataclass(slots=True)
class _Bridge:
    """A solve whose client is its own frontend: it sends its requests through the bridge."""

    solve: Solve
    attributes: dict[str, str] | None = None
    answered: bool = False
    returned: ReturnRequest | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self) -> Mapping[str, str] | None:
        """Wait for the client's return; return the attributes of its build, None for no build."""
        with self.changed:
            while self.returned is None:
                self.solve.cancel.check()
                self.changed.wait(_POLL_SECONDS)
        error = self.returned.error
        if error is not None and error.code:
            raise RpcError(error.code, error.message, error.details)
        return self.attributes


def grpc(call: Call) -> None:
    """Serve ``POST /grpc`` until the client goes away."""
    bare, early = call.hijack_h2c()
    service = Service(call.engine, call.state.buildkit)
    Connection(bare, early, call.cancel, service.serve).run()


class Service:
    """The methods of one connection."""

    def __init__(self, engine: Engine, state: BuildKitState) -> None:
        self._engine, self._state = engine, state
        self._bridges: Named[_Bridge] = Named("build")

    def serve(self, stream: Stream) -> None:
        """Answer a call."""
        handler = _METHODS.get(stream.path)
        if handler is None:
            raise RpcError(UNIMPLEMENTED, f"unknown method {stream.path[:200]}")
        try:
            handler(self, stream)
        except UnsupportedError as error:
            raise RpcError(UNIMPLEMENTED, rpc_error(error).message) from error
        except NotFoundError as error:
            raise RpcError(NOT_FOUND, error.message) from error
        except ContainersError as error:
            raise rpc_error(error) from error

    # -- moby.buildkit.v1.Control ---------------------------------------------------------------

    def solve(self, stream: Stream) -> None:
        """Build; answer when the build ends."""
        request = stream.single(SolveRequest)
        if not 0 < len(request.ref) <= 256:
            raise RpcError(INVALID_ARGUMENT, "a solve has a name of at most 256 characters")
        progress = Progress(request.ref, stream.cancel)
        solve = Solve(self._engine, self._state, request, stream.cancel, progress)
        self._state.solves.add(request.ref, progress)
        try:
            check_frontend(request)
            facts = (
                solve.run(request.frontend_attrs) if request.frontend else self._run_bridged(solve)
            )
        except (BuildError, InvalidArgumentError) as error:
            raise rpc_error(error, solve.text) from error
        finally:
            progress.end()
            # The client may ask for the progress of a short build only now.
            self._state.solves.retire(request.ref, progress)
        stream.send(SolveResponse(exporter_response=facts))

    def _run_bridged(self, solve: Solve) -> dict[str, str]:
        """Build what the client requests as its own frontend."""
        bridge = _Bridge(solve)
        self._bridges.add(solve.request.ref, bridge)
        try:
            attributes = bridge.wait()
        finally:
            self._bridges.remove(solve.request.ref, bridge)
        return {} if attributes is None else solve.run(attributes)

    def status(self, stream: Stream) -> None:
        """Send the progress of a build until it ends."""
        request = stream.single(StatusRequest)
        stream.begin()
        try:
            progress = self._state.solves.wait(request.ref, stream.cancel)
            for data in progress.read(stream.cancel):
                stream.send_bytes(framed(data))
        except OperationCancelledError as error:
            raise rpc_error(error) from error

    def list_workers(self, stream: Stream) -> None:
        """Answer with one worker: this machine."""
        stream.single(Message)
        stream.send(ListWorkersResponse(record=[self._worker()]))

    def _worker(self) -> WorkerRecord:
        own = Platform.host()
        return WorkerRecord(
            id="jupyter-containers",
            labels={"org.mobyproject.buildkit.worker.hostname": os.uname().nodename},
            platforms=[
                PlatformFacts(architecture=own.architecture, os=own.os, variant=own.variant)
            ],
            version=_version(),
        )

    def info(self, stream: Stream) -> None:
        """Answer with the builder's version."""
        stream.single(Message)
        stream.send(InfoResponse(version=_version()))

    def disk_usage(self, stream: Stream) -> None:
        """Answer with the records of the build cache."""
        filters = [text for text in stream.single(DiskUsageRequest).filter if text]
        kinds = {text.removeprefix("type==") for text in filters}
        if any(not text.startswith("type==") for text in filters):
            raise RpcError(INVALID_ARGUMENT, "the build cache is filtered by type==KIND only here")
        records = [
            _usage(one) for one in self._engine.builds.records() if not kinds or one.type in kinds
        ]
        stream.send(DiskUsageResponse(record=records))

    def prune(self, stream: Stream) -> None:
        """Remove entries of the build cache; send the removed records."""
        request = stream.single(PruneRequest)
        filters = [text.replace("==", "=", 1) for text in request.filter if text]
        if request.keep_duration:
            filters.append(f"until={request.keep_duration // 10**9}s")
        before = {one.id: one for one in self._engine.builds.records()}
        most = request.max_used_space or request.reserved_space
        result = self._engine.builds.prune(
            all=request.all,
            filters=filters or None,
            max_used_space=most or None,
            min_free_space=request.min_free_space or None,
        )
        stream.begin()
        for name in result.removed:
            stream.send(_usage(before[name]) if name in before else UsageRecord(id=name))

    def history(self, stream: Stream) -> None:
        """Send no builds: the engine has its own history."""
        stream.single(Message)
        stream.begin()

    # -- moby.buildkit.v1.frontend.LLBBridge ----------------------------------------------------

    def ping(self, stream: Stream) -> None:
        """Answer with the capabilities of the bridge."""
        stream.single(Message)
        self._bridge(stream)
        stream.send(
            Pong(
                frontend=[Capability(id=name, enabled=True) for name in _FRONTEND_CAPABILITIES],
                graph=[Capability(id=name, enabled=True) for name in _GRAPH_CAPABILITIES],
                workers=[self._worker()],
            )
        )

    def _bridge(self, stream: Stream) -> _Bridge:
        return self._bridges.wait(stream.headers.get(_BUILD_ID, ""), stream.cancel)

    def ask(self, stream: Stream) -> None:
        """Answer a subrequest at once; record a build for the client's return."""
        request = stream.single(FrontendSolveRequest)
        bridge = self._bridge(stream)
        check_frontend(
            SolveRequest(
                frontend=request.frontend,
                frontend_attrs=request.options,
                definition=request.definition,
                frontend_inputs=request.frontend_inputs,
            )
        )
        if not request.frontend:
            raise RpcError(UNIMPLEMENTED, "a build without a frontend has no result here")
        if request.options.get("requestid"):
            try:
                metadata = bridge.solve.answer(request.options)
            except (BuildError, InvalidArgumentError) as error:
                raise rpc_error(error, bridge.solve.text) from error
            stream.send(FrontendSolveResponse(result=Result(metadata=metadata)))
            return
        if bridge.attributes is not None:
            raise RpcError(UNIMPLEMENTED, "one solve builds one Dockerfile here")
        bridge.attributes = dict(request.options)
        stream.send(FrontendSolveResponse(result=Result(ref=Ref(id=bridge.solve.request.ref))))

    def give_back(self, stream: Stream) -> None:
        """Accept the client's result, so that the solve continues."""
        request = stream.single(ReturnRequest)
        bridge = self._bridge(stream)
        with bridge.changed:
            bridge.returned = request
            bridge.changed.notify_all()
        stream.send(Message())

    # -- others -----------------------------------------------------------------------------------

    def health(self, stream: Stream) -> None:
        """Answer that the service is healthy."""
        stream.single(Message)
        stream.send(HealthResponse(status=1))

    def traces(self, stream: Stream) -> None:
        """Accept the clients' traces and discard them."""
        stream.receive(Message)
        stream.send(Message())


def _version() -> Version:
    return Version(package=_PACKAGE, version=_VERSION, revision=f"jupyter-containers-{__version__}")


def _usage(one: BuildRecord) -> UsageRecord:
    return UsageRecord(
        id=one.id,
        size=one.size,
        created_at=_moment(one.created),
        last_used_at=_moment(one.last_used),
        usage_count=1,
        description=one.description,
        record_type=one.type,
        shared=one.shared,
        in_use=one.in_use,
    )


def _moment(value: datetime) -> Timestamp:
    return Timestamp.of(int(value.timestamp() * 10**9))


_CONTROL, _BRIDGE = "/moby.buildkit.v1.Control/", "/moby.buildkit.v1.frontend.LLBBridge/"
_METHODS: dict[str, Callable[[Service, Stream], None]] = {
    f"{_CONTROL}Solve": Service.solve,
    f"{_CONTROL}Status": Service.status,
    f"{_CONTROL}ListWorkers": Service.list_workers,
    f"{_CONTROL}Info": Service.info,
    f"{_CONTROL}DiskUsage": Service.disk_usage,
    f"{_CONTROL}Prune": Service.prune,
    f"{_CONTROL}ListenBuildHistory": Service.history,
    f"{_BRIDGE}Ping": Service.ping,
    f"{_BRIDGE}Solve": Service.ask,
    f"{_BRIDGE}Return": Service.give_back,
    "/grpc.health.v1.Health/Check": Service.health,
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": Service.traces,
}
