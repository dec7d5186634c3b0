"""An application as the caller holds it: the services of a Compose file, with verbs.

Every verb reads the file again and looks at what exists, so an edited file takes effect with the
next ``up``.  An application without a file is known by its project's name alone: then verbs that
make nothing (``down``, ``ps``, ``logs``, ``stop`` …) work from the labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose.consistency import scale as scale_of
from jupyter_containers.compose.loading import LoadOptions, load
from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.execution import Means, Nouns, carry_out
from jupyter_containers.engine.applications.files import ProjectFiles
from jupyter_containers.engine.applications.images import ImageWish, provide
from jupyter_containers.engine.applications.observed import Seen, instances_of
from jupyter_containers.engine.applications.planning import (
    DownWish,
    Recreate,
    UpWish,
    plan_down,
    plan_up,
)
from jupyter_containers.engine.applications.reporting import Reporter
from jupyter_containers.engine.applications.status import (
    ProjectStatus,
    ResourceStatus,
    project_status,
)
from jupyter_containers.engine.applications.steps import Plan
from jupyter_containers.engine.applications.translation import network_name, volume_name
from jupyter_containers.engine.interrupts import answered
from jupyter_containers.errors import (
    InvalidArgumentError,
    NetworkNotFoundError,
    NotFoundError,
    VolumeNotFoundError,
)
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container


class Application:
    """The services of a Compose file, by ``engine.compose(…)``."""

    def __init__(self, nouns: Nouns, options: LoadOptions, folder: Path) -> None:
        self._nouns, self._options, self._folder = nouns, options, folder

    # -- the file --------------------------------------------------------------------------------

    def project(self, services: Sequence[str] = ()) -> Project:
        """Return what the file says, of all services or of some and what they depend on.

        Raises :class:`ComposeFileError` at the place of the first mistake.
        """
        return load(replace(self._options, services=tuple(services)))

    @property
    def name(self) -> str:
        """The project's name."""
        return self._options.name or self.project().name

    def _project_if_any(self, services: Sequence[str] = ()) -> Project | None:
        """Return what the file says, None where there is a name and no file."""
        options = self._options
        try:
            return self.project(services)
        except NotFoundError:
            if options.name and options.files is None and options.text is None:
                return None
            raise

    # -- up and down -----------------------------------------------------------------------------

    def up(
        self,
        *services: str,
        build: bool = False,
        no_build: bool = False,
        pull: str = "",
        quiet_pull: bool = False,
        scale: Mapping[str, int] | None = None,
        force_recreate: bool = False,
        no_recreate: bool = False,
        always_recreate_deps: bool = False,
        renew_anon_volumes: bool = False,
        no_deps: bool = False,
        remove_orphans: bool = False,
        no_start: bool = False,
        wait: bool = False,
        wait_timeout: float | None = None,
        timeout: float | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Running:
        """Create and start the services, or some and what they depend on; leave them running.

        What has not changed stays as it is; what has is made again.  As ``with app.up():`` the
        application is taken down at the end of the block.  An interrupt leaves a project that
        :meth:`down` removes.
        """
        _check_up(locals())
        project = scaled(self._selected(services, no_deps=no_deps), scale or {})
        policy: Recreate = "force" if force_recreate else "never" if no_recreate else "diverged"
        of_others: Recreate = "never" if no_recreate else "diverged"
        wish = UpWish(
            chosen=frozenset(services),
            recreate=policy,
            recreate_dependencies="force" if always_recreate_deps else of_others,
            renew_volumes=renew_anon_volumes,
            timeout=timeout,
            remove_orphans=remove_orphans,
            start=not no_start,
            wait=wait,
        )
        images = ImageWish(build=build, no_build=no_build, pull=pull, quiet_pull=quiet_pull)
        with self._reporting(emit, project) as reporter:
            self._bring_up(
                project, wish, images, reporter, emit, cancel or CancelToken(), wait_timeout
            )
        return Running(self)

    def _bring_up(
        self,
        project: Project,
        wish: UpWish,
        images: ImageWish,
        reporter: Reporter,
        emit: EventSink,
        cancel: CancelToken,
        wait_timeout: float | None = None,
    ) -> None:
        files = ProjectFiles(self._folder, project.name)
        try:
            ids = provide(project, self._nouns, images, reporter, emit, cancel)
            seen = self._seen(project)
            volumes = self._image_volumes(project, seen)
            plan = plan_up(project, seen, replace(wish, images=ids, image_volumes=volumes))
            means = Means(
                self._nouns,
                reporter,
                project,
                ids,
                lambda service: files.mounts(project, service),
                cancel,
            )
            carry_out(plan, seen, means, timeout=wait_timeout)
        except KeyboardInterrupt as interrupt:
            raise answered(
                f"up of {project.name} was interrupted: `down` removes what is there"
            ) from interrupt

    def _image_volumes(self, project: Project, seen: Seen) -> dict[str, tuple[str, ...]]:
        """Return the volumes that images declare, of services with containers that have some."""
        services = {one.service for one in seen.instances if one.attached}
        found = {}
        for service in services & {*project.services}:
            config = self._nouns.images.inspect(project.image(service)).get("Config") or {}
            found[service] = tuple(config.get("Volumes") or ())
        return found

    def plan(self, *services: str, scale: Mapping[str, int] | None = None) -> Plan:
        """Return what :meth:`up` would do with the images that are here; change nothing."""
        project = scaled(self.project(services), scale or {})
        seen = self._seen(project)
        ids = {}
        for service in project.services:
            try:
                ids[service] = self._nouns.images.get(project.image(service)).id
            except NotFoundError:
                continue
        return plan_up(project, seen, UpWish(images=ids, chosen=frozenset(services)))

    def down(
        self,
        *services: str,
        volumes: bool = False,
        rmi: str = "",
        remove_orphans: bool = False,
        timeout: float | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> None:
        """Stop and remove the containers and networks; ``volumes`` with their files, on request.

        ``rmi`` removes images too: ``all``, or ``local`` for those without a name of their own.
        """
        if rmi not in ("", "all", "local"):
            raise InvalidArgumentError(f"invalid value for --rmi: {rmi!r}", hint="local or all")
        project = self._project_if_any()
        name = project.name if project is not None else self._options.name
        with self._reporting(emit, project) as reporter:
            seen = self._seen_of(name, project)
            plan = self._plan_down(
                name, project, seen, services, volumes, rmi, remove_orphans, timeout
            )
            if not len(plan):
                reporter.warn(f'No resource found to remove for project "{name}".')
            means = Means(self._nouns, reporter, project, cancel=cancel or CancelToken())
            carry_out(plan, seen, means)
            if not services:
                ProjectFiles(self._folder, name).remove()

    def _plan_down(
        self,
        name: str,
        project: Project | None,
        seen: Seen,
        services: Sequence[str],
        volumes: bool,
        rmi: str,
        remove_orphans: bool,
        timeout: float | None,
    ) -> Plan:
        if project is not None:
            for service in services:
                _known(service, project)
            depends_on = {
                key: tuple(model.get("depends_on") or ()) for key, model in project.services.items()
            }
        else:
            depends_on = {one.service: tuple(one.dependencies) for one in seen.instances}
        images: tuple[str, ...] = ()
        if rmi:
            images = self._used_images(name, project, seen, rmi)
        wish = DownWish(
            chosen=frozenset(services),
            volumes=volumes,
            images=images,
            timeout=timeout,
            remove_orphans=remove_orphans,
        )
        return plan_down(
            seen,
            wish,
            depends_on=depends_on,
            declared=None if project is None else (*project.declared, *project.services),
            networks=_own(seen.networks, name, project, "networks"),
            volumes=_own(seen.volumes, name, project, "volumes"),
        )

    def _used_images(
        self, name: str, project: Project | None, seen: Seen, rmi: str
    ) -> tuple[str, ...]:
        if project is None:
            found = {
                one.service: self._nouns.containers.get(one.id).image for one in seen.instances
            }
            own = {f"{name}-{service}" for service in found}
            return tuple(dict.fromkeys(i for i in found.values() if rmi == "all" or i in own))
        return tuple(
            dict.fromkeys(
                project.image(service)
                for service, model in project.services.items()
                if rmi == "all" or not model.get("image")
            )
        )

    # -- looking ---------------------------------------------------------------------------------

    def ps(self, *services: str, all: bool = False, orphans: bool = True) -> list[Container]:
        """Return the running containers of the project, with ``all`` those that have ended too."""
        project = self._project_if_any()
        name = project.name if project is not None else self._options.name
        found = []
        for container in self._containers(name, all=all):
            service = container.labels.get(labels.SERVICE, "")
            if container.labels.get(labels.ONEOFF) == "True" and not all:
                continue
            if services and service not in services:
                continue
            if not orphans and project is not None and service not in project.declared:
                continue
            found.append(container)
        if project is not None:
            for service in services:
                _known(service, project)
        return sorted(found, key=lambda container: container.name)

    def status(self) -> ProjectStatus:
        """Return the project as it is now: services, containers, edges, networks, volumes."""
        project = self._project_if_any()
        name = project.name if project is not None else self._options.name
        containers = self._containers(name, all=True)
        if project is None:
            return project_status(name, containers, None)
        seen = self._seen(project)
        sections: dict[str, list[ResourceStatus]] = {"networks": [], "volumes": []}
        for section, existing in (("networks", seen.networks), ("volumes", seen.volumes)):
            for key, model in (project.model.get(section) or {}).items():
                own = str((model or {}).get("name") or key)
                external = bool((model or {}).get("external"))
                sections[section].append(ResourceStatus(key, own, own in existing, external))
        return project_status(name, containers, project, sections["networks"], sections["volumes"])

    def _containers(self, name: str, *, all: bool) -> list[Container]:
        return self._nouns.containers.list(all, labels.project_filter(name))

    def _seen(self, project: Project) -> Seen:
        return self._seen_of(project.name, project)

    def _seen_of(self, name: str, project: Project | None) -> Seen:
        """Return what exists of a project; without a file, what its labels tell."""
        instances = instances_of(self._containers(name, all=True))
        if project is None:
            chosen = {"label": [f"{labels.PROJECT}={name}"]}
            volumes = {one.name: one.labels for one in self._nouns.volumes.list(filters=chosen)}
            networks = {
                one.name: one.labels
                for one in self._nouns.networks.list()
                if one.labels.get(labels.PROJECT) == name
            }
            return Seen(instances, networks, volumes)
        networks = {}
        for key in project.model.get("networks") or ():
            try:
                network = self._nouns.networks.get(network_name(project, key))
            except NetworkNotFoundError:
                continue
            if network.name == network_name(project, key):
                networks[network.name] = network.labels
        volumes = {}
        for key in project.model.get("volumes") or ():
            try:
                volume = self._nouns.volumes.get(volume_name(project, key))
            except VolumeNotFoundError:
                continue
            volumes[volume.name] = volume.labels
        return Seen(instances, networks, volumes)

    # -- common ----------------------------------------------------------------------------------

    def _selected(self, services: Sequence[str], *, no_deps: bool) -> Project:
        project = self.project(services)
        if not no_deps or not services:
            return project
        kept = {name: _alone(project.services[name], services) for name in services}
        return replace(project, model={**project.model, "services": kept})

    @contextmanager
    def _reporting(self, emit: EventSink, project: Project | None) -> Iterator[Reporter]:
        reporter = Reporter(emit)
        if project is not None:
            reporter.warn_all(project.warnings)
        try:
            yield reporter
        finally:
            reporter.close()

    def __repr__(self) -> str:
        return f"<Application {self._options.name or self._options.files or 'compose.yaml'}>"


class Running:
    """An application that is up; as a context manager it is taken down at the end."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __enter__(self) -> Application:
        return self.application

    def __exit__(self, *_: object) -> None:
        self.application.down()

    def __repr__(self) -> str:
        return f"<{self.application.status().status_text or 'nothing'}>"


def _own(
    existing: Mapping[str, Mapping[str, str]], name: str, project: Project | None, section: str
) -> list[str]:
    """Return the networks or volumes that are the project's own, external ones left out."""
    if project is None:
        return list(existing)
    declared = project.model.get(section) or {}
    return [
        str(model.get("name") or f"{name}_{key}")
        for key, model in ((key, model or {}) for key, model in declared.items())
        if not model.get("external")
    ]


def _known(service: str, project: Project) -> None:
    if service not in project.services and service not in project.declared:
        raise NotFoundError(f"no such service: {service}")


def _alone(model: Mapping[str, Any], services: Sequence[str]) -> dict[str, Any]:
    """Return a service that depends only on those that are chosen with it."""
    depends = {k: v for k, v in (model.get("depends_on") or {}).items() if k in services}
    rest = {key: value for key, value in model.items() if key != "depends_on"}
    return {**rest, "depends_on": depends} if depends else rest


def scaled(project: Project, counts: Mapping[str, int]) -> Project:
    """Return a project in which services have other numbers of containers."""
    if not counts:
        return project
    services = {name: dict(model) for name, model in project.services.items()}
    for name, count in counts.items():
        if name not in services:
            raise NotFoundError(f"no such service: {name}")
        if count < 0:
            raise InvalidArgumentError(f"invalid scale: {name}={count}")
        services[name]["scale"] = count
        if services[name].get("container_name") and scale_of(services[name]) > 1:
            raise InvalidArgumentError(
                f'the service "{name}" has the container name '
                f'"{services[name]["container_name"]}": remove it to scale the service'
            )
    return replace(project, model={**project.model, "services": services})


_EXCLUSIVE = (
    ("build", "no_build"),
    ("force_recreate", "no_recreate"),
    ("renew_anon_volumes", "no_recreate"),
    ("always_recreate_deps", "no_recreate"),
)


def _check_up(given: Mapping[str, Any]) -> None:
    for one, other in _EXCLUSIVE:
        if given[one] and given[other]:
            words = (f"--{word.replace('_', '-')}" for word in (one, other))
            raise InvalidArgumentError(f"{' and '.join(words)} are incompatible")
