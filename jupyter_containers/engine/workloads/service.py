"""The service of workloads: map over many containers, services for a block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from jupyter_containers.engine.containers.service import ContainerService
from jupyter_containers.engine.containers.workplace import run_options
from jupyter_containers.engine.images.image import Image, image_name
from jupyter_containers.engine.images.service import ImageService
from jupyter_containers.engine.results import RunResult
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import RunFlags
from jupyter_containers.options.given import Ports as Published
from jupyter_containers.options.values import PortMapping, as_command

if TYPE_CHECKING:
    from jupyter_containers.engine.backends import ContainerBackend
    from jupyter_containers.engine.containers.streams import OutputSink
    from jupyter_containers.engine.workloads.service_block import Ports, Service


class ItemFlags(RunFlags, total=False):
    """Keywords of ``map``: the options of ``run``, and the data that every item has in common."""

    inputs: Mapping[str, Any]
    results: Sequence[str]
    script: str
    on_output: OutputSink


class WorkloadService:
    """Work that takes several containers, or one container for a block."""

    noun = "workloads"

    def __init__(self, containers: ContainerService, images: ImageService) -> None:
        self._containers, self._images = containers, images

    @with_keywords(ItemFlags)
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
        """Run a command for every item, each in its own container; return the results in order.

        The item replaces ``{}`` in the command, or is its last argument; with ``stdin`` it is the
        input; with ``into`` the variable of that name (``inputs`` of :meth:`run`).  ``workers``
        containers run at once: by default as many as this machine has CPUs and memory for, given
        their limits.  A failed item is retried up to ``retries`` times.  An item that takes more
        than ``timeout`` seconds is ended and has failed, with exit code 124.  ``flags`` are those
        of :meth:`run`.  Raises :class:`ItemFailedError` for the first item that fails, after ending
        all others; without ``check``, exit codes are only in the results.
        """
        from jupyter_containers.engine.workloads.map import (
            Job,
            carry_out,
            check_request,
            default_workers,
            title_of,
        )

        todo = [*items]
        given: dict[str, Any] = {"rm": True, **flags}
        name = image_name(image)
        words = as_command(command)
        shape = {key: value for key, value in given.items() if key not in _EXCHANGED}
        options = run_options(name, words, shape)
        single = bool(options.detach or options.tty or options.name)
        check_request(stdin, into, workers, retries, single=single)
        if todo:
            # Once for all items.
            self._images.provide(options.image, options.platform, options.pull, emit)
        run = partial(self._map_one, name, given | {"pull": "never"})
        count = min(workers or default_workers(options), len(todo))
        job = Job(run, words, stdin, into, retries, check, timeout)
        title = title_of(name, words)
        return carry_out(job, todo, count, title, emit, cancel or CancelToken())

    def _map_one(
        self, image: str, flags: dict[str, Any], command: Sequence[str], **more: Any
    ) -> RunResult:
        inputs = {**flags.get("inputs", {}), **more.pop("inputs", {})}
        given = {**flags, **more, **({"inputs": inputs} if inputs else {})}
        result = self._containers.run(image, command or None, **given)
        assert isinstance(result, RunResult)  # detach is refused
        return result

    @with_keywords(RunFlags)
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
        """Return a service for a ``with`` block: ready at its start, removed at its end.

        ``ports`` are the container's, published on free ports (or ``{container's: this
        machine's}``); ``service.address``, ``ports`` and ``container`` give access to it.  It is
        ready when its health check succeeds or, without one, when the ports accept connections;
        ``ready`` replaces both.  ``flags`` are those of :meth:`run`.  The block raises
        :class:`ServiceNotReadyError` after ``timeout`` seconds, and :class:`ContainerFailedError`
        if the container ends before.
        """
        return service_block(
            self._containers, image, command, ports, ready, timeout, emit, dict(flags)
        )


def service_block(
    containers: ContainerBackend,
    image: str | Image,
    command: str | Sequence[str] | None,
    ports: Ports,
    ready: Callable[[Service], object] | None,
    timeout: float,
    emit: EventSink,
    flags: dict[str, Any],
) -> Service:
    """Return a service whose container runs in the given backend."""
    from jupyter_containers.engine.workloads.service_block import Service, published, service_name

    name = flags.pop("name", None) or service_name(image_name(image))
    flags["publish"] = [*published(ports), *_listed(flags.get("publish"))]
    flags["detach"] = True
    run = partial(containers.run, image, command, emit=emit, **flags)
    return Service(containers, run, ready, timeout, name)


def _listed(ports: Published) -> list[int | str | PortMapping]:
    if ports is None:
        return []
    return [ports] if isinstance(ports, (int, str, PortMapping)) else [*ports]


_EXCHANGED = ("inputs", "results", "script", "on_output")
