"""Work over many items in a cluster: a few pods stay warm, and take item after item.

Unlike containers of this machine, items share a pod, one after the other: files that an item leaves
in it are there for the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from jupyter_containers.engine.images.image import Image, image_name
from jupyter_containers.engine.results import RunResult
from jupyter_containers.engine.workloads.map import Job, carry_out, check_request, title_of
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.kubernetes.unsupported import missing
from jupyter_containers.kubernetes.warm import WarmPods
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import RunFlags
from jupyter_containers.options.values import as_command

if TYPE_CHECKING:
    from jupyter_containers.engine.workloads.service import ItemFlags
    from jupyter_containers.engine.workloads.service_block import Ports, Service
    from jupyter_containers.kubernetes.containers import ClusterContainers

# A restricted user cannot see how large the cluster is; a full quota or full nodes make it less.
_WORKERS = 8


class ClusterWorkloads:
    """Work that takes several pods, or one pod for a block."""

    noun = "workloads"

    def __init__(self, containers: ClusterContainers) -> None:
        self._containers = containers

    @with_keywords(RunFlags)
    def map(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        items: Iterable[Any] = (),
        *,
        workers: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        check: bool = True,
        stdin: bool = False,
        into: str = "",
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        **flags: Unpack[ItemFlags],
    ) -> list[RunResult]:
        """Run a command for every item; return the results in order (:meth:`WorkloadService.map`).

        ``workers`` pods stay for all items, by default 8, fewer if a quota or the nodes are full.
        An item whose pod or node is lost runs again in another pod, so it may run twice.
        """
        todo = [*items]
        given: Mapping[str, Any] = flags
        single = bool(given.get("detach") or given.get("tty") or given.get("name"))
        check_request(stdin, into, workers, retries, single=single)
        for name in ("inputs", "results", "script"):
            if into or given.get(name):
                raise missing("values in and out", "folders of this machine are not on the nodes")
        words = as_command(command)
        name = image_name(image)
        title = title_of(name, words)
        token = cancel or CancelToken()
        count = min(workers or _WORKERS, len(todo))
        shape = {key: value for key, value in given.items() if key != "on_output"}
        with WarmPods(self._containers, name, shape, count, given.get("on_output")) as pods:
            if todo:
                pods.first(emit, token)
            job = Job(pods.run, words, stdin, into, retries, check, timeout)
            return carry_out(job, todo, count, title, emit, token)

    def service(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        ports: Ports = (),
        ready: Callable[[Service], object] | None = None,
        timeout: float = 60.0,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> Service:
        """Return a service for a ``with`` block; see :meth:`WorkloadService.service`."""
        from jupyter_containers.engine.workloads.service import service_block

        return service_block(
            self._containers, image, command, ports, ready, timeout, emit, dict(flags)
        )
