"""``up``, ``create`` and ``down``: provide images, plan, execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_containers.compose.consistency import scale as scale_of
from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.execution import carry_out
from jupyter_containers.engine.applications.files import ProjectFiles
from jupyter_containers.engine.applications.images import ImageWish, provide
from jupyter_containers.engine.applications.lifecycle import waits_of
from jupyter_containers.engine.applications.observed import Seen
from jupyter_containers.engine.applications.planning import DownWish, UpWish, plan_down, plan_up
from jupyter_containers.engine.applications.reporting import Reporter
from jupyter_containers.engine.applications.steps import Plan
from jupyter_containers.engine.applications.unsupported import ignored
from jupyter_containers.engine.applications.view import ProjectView, known
from jupyter_containers.engine.applications.works import Means
from jupyter_containers.engine.interrupts import answered
from jupyter_containers.errors import InvalidArgumentError, NotFoundError
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.lazy_dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Bringing:
    """Brings a project up and takes it down; ``folder`` has the values of secrets."""

    view: ProjectView
    folder: Path

    def up(
        self,
        project: Project,
        wish: UpWish,
        images: ImageWish,
        reporter: Reporter,
        emit: EventSink,
        cancel: CancelToken,
        *,
        wait_timeout: float | None = None,
    ) -> dict[str, str]:
        """Create and start the containers of a project; return image IDs by service."""
        try:
            reporter.warn_all(ignored(project))
            ids = provide(project, self.view.nouns, images, reporter, emit, cancel)
            seen = self.view.seen(project)
            volumes = self._image_volumes(project, seen)
            plan = plan_up(project, seen, replace(wish, images=ids, image_volumes=volumes))
            carry_out(plan, seen, self.means(project, ids, reporter, cancel), timeout=wait_timeout)
        except KeyboardInterrupt as interrupt:
            raise answered(
                f"up of {project.name} was interrupted: `down` removes what is there"
            ) from interrupt
        return ids

    def means(
        self,
        project: Project | None,
        ids: Mapping[str, str],
        reporter: Reporter,
        cancel: CancelToken,
    ) -> Means:
        """Return the means of executing steps."""
        if project is None:
            return Means(self.view.nouns, reporter, cancel=cancel)
        files, found = ProjectFiles(self.folder, project.name), project
        return Means(
            self.view.nouns,
            reporter,
            project,
            ids,
            lambda service: files.mounts(found, service),
            cancel,
        )

    def surroundings(self, project: Project, reporter: Reporter, cancel: CancelToken) -> None:
        """Create a project's networks and volumes, but no container."""
        bare = replace(project, model={**project.model, "services": {}})
        seen = replace(self.view.seen(project), instances=())
        plan = plan_up(bare, seen, UpWish(start=False))
        carry_out(plan, seen, self.means(project, {}, reporter, cancel))

    def _image_volumes(self, project: Project, seen: Seen) -> dict[str, tuple[str, ...]]:
        """Return the volumes of images, for services whose containers have anonymous volumes."""
        services = {
            one.service for one in seen.instances if any(item.anonymous for item in one.attached)
        }
        found = {}
        for service in services & {*project.services}:
            image = self.view.nouns.images.inspect(project.image(service))
            found[service] = tuple((image.get("Config") or {}).get("Volumes") or ())
        return found

    def down(
        self,
        project: Project | None,
        wish: DownWish,
        rmi: str,
        reporter: Reporter,
        cancel: CancelToken,
    ) -> None:
        """Remove the existing objects of a project."""
        name, seen = self.view.name(project), self.view.seen(project)
        for service in wish.chosen if project is not None else ():
            assert project is not None
            known(service, project)
        if rmi:
            wish = replace(wish, images=self._used_images(name, project, seen, rmi))
        waits = waits_of(project.services if project is not None else None, seen)
        plan = plan_down(
            seen,
            wish,
            depends_on=waits,
            declared=None if project is None else (*project.declared, *project.services),
            networks=_own(seen.networks, name, project, "networks"),
            volumes=_own(seen.volumes, name, project, "volumes"),
        )
        if not len(plan):
            reporter.warn(f'No resource found to remove for project "{name}".')
        carry_out(plan, seen, self.means(project, {}, reporter, cancel))
        if not wish.chosen:
            files = ProjectFiles(self.folder, name)
            files.remove()
            containers = self.view.nouns.containers.list(True, labels.project_filter())
            files.sweep({one.labels.get(labels.PROJECT, "") for one in containers})

    def _used_images(
        self, name: str, project: Project | None, seen: Seen, rmi: str
    ) -> tuple[str, ...]:
        if project is None:
            found = [
                (one.service, self.view.nouns.containers.get(one.id).image)
                for one in seen.instances
            ]
            wanted = [i for s, i in found if rmi == "all" or i == f"{name}-{s}"]
        else:
            wanted = [
                project.image(service)
                for service, model in project.services.items()
                if rmi == "all" or not model.get("image")
            ]
        return tuple(dict.fromkeys(wanted))

    def plan(self, project: Project, wish: UpWish) -> Plan:
        """Return the plan of ``up`` for the local images."""
        ids = {}
        for service in project.services:
            try:
                ids[service] = self.view.nouns.images.get(project.image(service)).id
            except NotFoundError:
                continue
        return plan_up(project, self.view.seen(project), replace(wish, images=ids))


def _own(
    existing: Mapping[str, Mapping[str, str]], name: str, project: Project | None, section: str
) -> list[str]:
    """Return the networks or volumes of the project that are not external."""
    if project is None:
        return list(existing)
    declared = project.model.get(section) or {}
    return [
        str(model.get("name") or f"{name}_{key}")
        for key, model in ((key, model or {}) for key, model in declared.items())
        if not model.get("external")
    ]


def alone(project: Project, services: Sequence[str]) -> Project:
    """Return a project of these services alone, without other dependencies."""
    kept = {}
    for name in services:
        model = dict(project.services[name])
        depends = {k: v for k, v in (model.get("depends_on") or {}).items() if k in services}
        model.pop("depends_on", None)
        kept[name] = {**model, "depends_on": depends} if depends else model
    return replace(project, model={**project.model, "services": kept})


def scaled(project: Project, counts: Mapping[str, int]) -> Project:
    """Return a project with other numbers of containers for some services."""
    if not counts:
        return project
    services: dict[str, Any] = {name: dict(model) for name, model in project.services.items()}
    for name, count in counts.items():
        known(name, project)
        if name not in services:
            raise NotFoundError(f"no such service: {name}", hint="its profile is not enabled")
        if count < 0 or count > 10_000:
            raise InvalidArgumentError(f"invalid scale: {name}={count}")
        services[name]["scale"] = count
        own = services[name].get("container_name")
        if own and scale_of(services[name]) > 1:
            raise InvalidArgumentError(
                f'WARNING: The "{name}" service is using the custom container name "{own}". Each '
                "container has a unique name. Remove the custom name to scale the service"
            )
    return replace(project, model={**project.model, "services": services})
