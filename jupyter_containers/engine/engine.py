"""The engine: all operations on images, containers, networks and volumes, as one object.

An engine is a library, not a daemon: it may exit at any time while containers keep running, and any
number of engines share one store.  The operations are methods of its services, one for each noun:
``engine.containers.stop(…)``, ``engine.images.tag(…)``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from jupyter_containers.engine.containers.catalog import Containers
from jupyter_containers.engine.containers.service import ContainerService
from jupyter_containers.engine.containers.sweep import SweptLifecycle
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.garbage import GarbageCollection
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.images.service import ImageService
from jupyter_containers.engine.networks.catalog import Networks
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.engine.networks.service import NetworkService
from jupyter_containers.engine.system.sweep import sweep
from jupyter_containers.engine.volumes.catalog import Volumes
from jupyter_containers.engine.volumes.service import VolumeService
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.settings import Settings, load_settings
from jupyter_containers.store import ImageRecord, Roots

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.service import ApplicationService
    from jupyter_containers.engine.builds.builds import Builds
    from jupyter_containers.engine.builds.service import BuildService
    from jupyter_containers.engine.images.manifests import ManifestService
    from jupyter_containers.engine.registries.service import RegistryService
    from jupyter_containers.engine.sessions.service import SessionService
    from jupyter_containers.engine.system.service import SystemService
    from jupyter_containers.engine.system.stores import StoreService
    from jupyter_containers.engine.workloads.service import WorkloadService

P = ParamSpec("P")
R = TypeVar("R")
_DIGESTS = pattern(rb"sha256:[0-9a-f]{64}")


class ShortCut(Generic[P, R]):
    """A descriptor that exposes a service's method on the engine, with its signature."""

    def __init__(self, noun: str, method: Callable[Concatenate[Any, P], R]) -> None:
        self._noun, self._method = noun, method
        self.__doc__ = method.__doc__

    def __get__(self, engine: Engine | None, owner: type) -> Callable[P, R]:
        """Return the service's method; on the class, the function."""
        if engine is None:
            return cast("Callable[P, R]", self._method)
        found: Callable[P, R] = getattr(getattr(engine, self._noun), self._method.__name__)
        return found


class Engine:
    """Images, containers, networks and volumes of one store.

    With ``settings`` None, config file and environment are read; ``overrides`` are fields of
    :class:`~jupyter_containers.settings.Settings`.  Use the engine as a context manager or close
    it.  ``run``, ``build``, ``pull``, ``push`` and ``compose`` are short cuts to the services.
    """

    def __init__(self, settings: Settings | None = None, **overrides: Any) -> None:
        self.settings = settings or load_settings(overrides=overrides)
        self._context = EngineContext(self.settings)
        self._images, self._volumes = Images(self._context), Volumes(self._context)
        self._networks = Networks(self._context)
        self._connections = Connections(self._context, self._networks)
        self._lifecycle = SweptLifecycle(self._context, self._connections)
        self._containers = Containers(self._context, self._images, self._volumes, self._lifecycle)
        self._garbage = GarbageCollection(
            self._context.store, (self._of_containers, self._of_builds)
        )
        self._sweep_first()

    def close(self) -> None:
        """Close the store; running containers keep running."""
        self._context.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the services ----------------------------------------------------------------------------

    @cached_property
    def containers(self) -> ContainerService:
        """Containers: call it to list running ones, iterate, ``get(name)``, ``run(…)``."""
        return ContainerService(
            self._context,
            self.images,
            self._containers,
            self._lifecycle,
        )

    @cached_property
    def images(self) -> ImageService:
        """Images: call it to list them, iterate, ``get(name)``, ``pull(…)``."""
        return ImageService(
            self._context,
            self._images,
            lambda: [
                (record.name, record.manifest_digest, record.state.status.alive)
                for record in self._containers.all()
            ],
            self._garbage,
            self._build_text,
        )

    @cached_property
    def networks(self) -> NetworkService:
        """Networks: call it to list them, iterate, ``get(name)``, ``create(…)``."""
        return NetworkService(self._networks, self._connections, self._containers)

    @cached_property
    def volumes(self) -> VolumeService:
        """Volumes: call it to list them, iterate, ``get(name)``, ``create(…)``."""
        return VolumeService(
            self._context,
            self._volumes,
            lambda: [(record.name, record.mounts) for record in self._containers.all()],
        )

    @cached_property
    def builds(self) -> BuildService:
        """Builds: ``build(…)``, checks, history, the build cache."""
        from jupyter_containers.engine.builds.service import BuildService

        return BuildService(self._context, self.images, self._builder, self._garbage)

    @cached_property
    def registries(self) -> RegistryService:
        """Registries: log in, search, list, and run a local one."""
        from jupyter_containers.engine.registries.service import RegistryService

        return RegistryService(self._context, self.images, self.containers)

    @cached_property
    def manifests(self) -> ManifestService:
        """Manifest lists, which combine images for several platforms under one name."""
        from jupyter_containers.engine.images.manifests import ManifestService

        return ManifestService(self._context, self._images)

    @cached_property
    def stores(self) -> StoreService:
        """Image stores shared by the users of this machine."""
        from jupyter_containers.engine.system.stores import StoreService

        return StoreService(self._context, self.images, Engine)

    @cached_property
    def workloads(self) -> WorkloadService:
        """Workloads: ``map`` over many containers, a ``service`` for a ``with`` block."""
        from jupyter_containers.engine.workloads.service import WorkloadService

        return WorkloadService(self.containers, self.images)

    @cached_property
    def applications(self) -> ApplicationService:
        """Applications of Compose files: ``compose(…)`` opens one; call it to list projects."""
        from jupyter_containers.engine.applications.service import ApplicationService

        return ApplicationService(self)

    @cached_property
    def sessions(self) -> SessionService:
        """Sessions: containers that run cell after cell; call it to list them, ``start(…)``."""
        from jupyter_containers.engine.sessions.service import SessionService

        return SessionService(self.containers, self.settings.result_max_bytes)

    @cached_property
    def system(self) -> SystemService:
        """The store as a whole: ``info``, ``df``, ``prune``, ``check``, ``doctor``, ``events``."""
        from jupyter_containers.engine.system.service import SystemService

        return SystemService(
            self._context,
            self.containers,
            self.images,
            self.networks,
            self.volumes,
            lambda: self.builds,
            self._garbage,
            self._sweep,
        )

    # -- short cuts ------------------------------------------------------------------------------

    run = ShortCut("containers", ContainerService.run)

    if TYPE_CHECKING:
        build = ShortCut("builds", BuildService.build)
        compose = ShortCut("applications", ApplicationService.compose)
    else:  # import builds only on first use

        @property
        def build(self) -> Any:
            """Build an image; see :meth:`BuildService.build`."""
            return self.builds.build

        @property
        def compose(self) -> Any:
            """Open an application of a Compose file; see :meth:`ApplicationService.compose`."""
            return self.applications.compose

    @property
    def pull(self) -> Any:
        """Fetch an image from its registry; see :meth:`ImageService.pull`."""
        return self.images.pull

    @property
    def push(self) -> Any:
        """Send an image to its registry; see :meth:`ImageService.push`."""
        return self.images.push

    def api(self, address: str = "") -> AbstractContextManager[str]:
        """Serve the Docker Engine API during a ``with`` block; yield its address.

        ``address`` is ``unix://PATH``; the default is a socket in the run root.
        """
        from jupyter_containers.engine.system.serving import serving

        return serving(self.settings, address)

    # -- shared by the services ------------------------------------------------------------------

    @cached_property
    def _builder(self) -> Builds:
        from jupyter_containers.engine.builds.builds import Builds

        return Builds(self._context, self._images, self._connections, self.images.fetch)

    def _build_text(self, text: str, tag: str, emit: EventSink, cancel: CancelToken) -> ImageRecord:
        return self._builder.build_text(text, tag, emit, cancel)

    def _sweep_first(self) -> None:
        self._sweep()

    def _sweep(self) -> None:
        """Finish or remove what dead processes left behind; runs when an engine opens."""
        sweep(self._context, self._lifecycle)

    def _of_containers(self) -> Roots:
        records = self._context.containers.all()
        # Keep the images of containers whose record is damaged until the record is repaired.
        named = frozenset(
            text.decode()
            for document in self._context.containers.damaged()
            for text in _DIGESTS.findall(document.data)
        )
        return Roots(
            named.union(record.manifest_digest for record in records),
            named.union(record.chain_id for record in records if record.chain_id),
        )

    def _of_builds(self) -> Roots:
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        return Roots(chain_ids=frozenset(FailedSteps(self._context).chain_ids()))


class ReadingEngine(Engine):
    """The engine of one command that only reads; it sweeps only if the machine was restarted.

    Records show their true state without a sweep: every access settles its container.
    """

    def _sweep_first(self) -> None:
        if self._lifecycle.restarted():
            self._sweep()
