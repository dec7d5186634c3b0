"""The steps of a plan, each executed with the engine's services."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_containers.compose.project import Project, service_hash
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.conditions import condition_of
from jupyter_containers.engine.applications.observed import Instance, Seen
from jupyter_containers.engine.applications.planning import resolved
from jupyter_containers.engine.applications.reporting import Reporter
from jupyter_containers.engine.applications.steps import (
    Action,
    Await,
    Barrier,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DiscardContainer,
    KeepContainer,
    KillContainer,
    PauseContainer,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    RestartContainer,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
)
from jupyter_containers.engine.applications.translation import (
    Surroundings,
    command_of,
    container_flags,
    hook_flags,
    network_flags,
)
from jupyter_containers.errors import (
    ContainerFailedError,
    ContainerNotFoundError,
    ContainersError,
    ImageNotFoundError,
    InUseError,
    NetworkNotFoundError,
    ServiceNotReadyError,
    VolumeNotFoundError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.service import BuildService
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.images.service import ImageService
    from jupyter_containers.engine.networks.service import NetworkService
    from jupyter_containers.engine.system.service import SystemService
    from jupyter_containers.engine.volumes.service import VolumeService
    from jupyter_containers.options.mounts import MountRequest
    from jupyter_containers.settings import Settings


class Nouns(Protocol):
    """The services of an engine, in this process or in a worker."""

    settings: Settings

    @property
    def containers(self) -> ContainerService:
        """Containers."""

    @property
    def images(self) -> ImageService:
        """Images."""

    @property
    def networks(self) -> NetworkService:
        """Networks."""

    @property
    def volumes(self) -> VolumeService:
        """Volumes."""

    @property
    def builds(self) -> BuildService:
        """Builds."""

    @property
    def system(self) -> SystemService:
        """The store as a whole."""


@dataclass(frozen=True, slots=True)
class Means:
    """The means of executing steps; ``images`` are image IDs, ``files`` mounts, by service."""

    nouns: Nouns
    reporter: Reporter
    project: Project | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    files: Callable[[str], tuple[MountRequest, ...]] = lambda _: ()
    cancel: CancelToken = field(default_factory=CancelToken)


def tasks_of(action: Action) -> tuple[str, ...]:
    """Return the tasks whose progress an action reports."""
    match action:
        case CreateNetwork(name=name) | RemoveNetwork(name=name):
            return (f"Network {name}",)
        case CreateVolume(name=name) | RemoveVolume(name=name):
            return (f"Volume {name}",)
        case RemoveImage(name=name):
            return (f"Image {name}",)
        case CreateContainer(name=name) | StartContainer(name=name):
            return (f"Container {name}",)
        case Await(names=names):
            return tuple(f"Container {name}" for name in names)
        case Barrier():
            return ()
    return (f"Container {action.instance.name}",)


_WORDS: Mapping[type, tuple[str, str]] = {
    RestartContainer: ("Restarting", "Started"),
    KillContainer: ("Killing", "Killed"),
    PauseContainer: ("Pausing", "Paused"),
    UnpauseContainer: ("Unpausing", "Unpaused"),
    RemoveContainer: ("Removing", "Removed"),
}


class Works:
    """Executes each kind of step; ``last`` is the key of the last step of each task."""

    def __init__(self, means: Means, seen: Seen, last: Mapping[str, str]) -> None:
        self._means, self._nouns, self._last = means, means.nouns, last
        self._reporter = means.reporter
        self._ids = {one.name: one.id for one in seen.instances}
        self._by_service: dict[str, dict[int, str]] = {}
        for one in seen.instances:
            if not one.oneoff:
                self._by_service.setdefault(one.service, {})[one.number] = one.name

    def perform(self, step: Step) -> None:
        """Execute one step."""
        self._means.cancel.check()
        match step.action:
            case CreateNetwork():
                self._create_network(step, step.action)
            case RemoveNetwork():
                self._remove_network(step, step.action)
            case CreateVolume():
                self._create_volume(step, step.action)
            case RemoveVolume(name):
                self._remove(step, f"Volume {name}", lambda: self._nouns.volumes.remove(name))
            case RemoveImage(name):
                self._remove(step, f"Image {name}", lambda: self._nouns.images.remove(name))
            case CreateContainer():
                self._create(step, step.action)
            case KeepContainer(instance):
                self._keep(step, instance)
            case StartContainer():
                self._start(step, step.action)
            case StopContainer(instance, timeout):
                self._stop(step, instance, timeout)
            case DiscardContainer():
                self._discard(step, step.action)
            case Await() | Barrier():
                return
            case _:
                self._act(step, step.action)

    def _report(self, step: Step, task: str, text: str) -> None:
        """Report that a step is done; its last step finishes the task."""
        if self._last.get(task, step.key) == step.key:
            self._reporter.finish(task, text)
        else:
            self._reporter.status(task, text)

    # -- networks, volumes, images ---------------------------------------------------------------

    def _create_network(self, step: Step, action: CreateNetwork) -> None:
        task = f"Network {action.name}"
        self._reporter.status(task, "Creating")
        self._nouns.networks.create(
            action.name, label=dict(action.labels), **network_flags(action.model)
        )
        self._report(step, task, "Created")

    def _remove_network(self, step: Step, action: RemoveNetwork) -> None:
        task = f"Network {action.name}"
        if not action.again:
            self._reporter.status(task, "Removing")
        try:
            # Stopped containers keep its name, and join its replacement.
            self._nouns.networks.remove(action.name)
        except InUseError:
            self._report(step, task, "Resource is still in use")
        except NetworkNotFoundError:
            self._report(step, task, "No resource found to remove")
        else:
            self._report(step, task, "Removed")

    def _create_volume(self, step: Step, action: CreateVolume) -> None:
        task = f"Volume {action.name}"
        self._reporter.status(task, "Creating")
        self._nouns.volumes.create(
            action.name,
            driver=action.model.get("driver"),
            label=dict(action.labels),
            opt=dict(action.model.get("driver_opts") or {}),
        )
        self._report(step, task, "Created")

    def _remove(self, step: Step, task: str, remove: Callable[[], object]) -> None:
        self._reporter.status(task, "Removing")
        try:
            remove()
        except InUseError:
            self._report(step, task, "Resource is still in use")
        except (VolumeNotFoundError, ImageNotFoundError):
            self._report(step, task, "Warning: No resource found to remove")
        else:
            self._report(step, task, "Removed")

    # -- containers ------------------------------------------------------------------------------

    def _create(self, step: Step, action: CreateContainer) -> None:
        old = action.replaces
        task = f"Container {old.name if old else action.name}"
        self._reporter.status(task, "Recreate" if old else "Creating")
        if old is None:
            self._record_created(action, self._make(action, action.name))
            self._report(step, task, "Created")
            return
        created = self._make(action, f"{old.id[:12]}_{action.name}")
        self._run_hooks(old, "pre_stop")
        self._nouns.containers.stop(old.id, None)
        self._nouns.containers.remove(old.id)
        self._nouns.containers.rename(created.id, action.name)
        self._record_created(action, created)
        self._report(step, task, "Recreated")

    def _record_created(self, action: CreateContainer, created: Container) -> None:
        self._ids[action.name] = created.id
        self._by_service.setdefault(action.service, {})[action.number] = action.name

    def _make(self, action: CreateContainer, name: str) -> Container:
        project = self._project
        model = project.services[action.service]
        ids = self._first_ids(project)
        own = labels.container_labels(
            project,
            action.service,
            config_hash=service_hash(resolved(model, ids) or model),
            image_id=self._means.images.get(action.service, ""),
            number=action.number,
        )
        if action.replaces is not None:
            own[labels.REPLACES] = f"{action.service}-{action.number}"
        around = Surroundings(
            name=action.name,
            labels=own,
            ids=ids,
            names=self._names(project),
            inherits=action.inherits,
            files=self._means.files(action.service),
        )
        flags = {**container_flags(project, action.service, around), "name": name}
        image = project.image(action.service)
        return self._nouns.containers.create(image, command_of(model), pull="never", **flags)

    @property
    def _project(self) -> Project:
        if self._means.project is None:
            raise AssertionError("containers are made from a file")
        return self._means.project

    def _first_ids(self, project: Project) -> dict[str, str]:
        """Return the ID of each service's first container, if it exists by now."""
        return {
            service: self._ids[names[0]] for service, names in self._names(project).items() if names
        }

    def _names(self, project: Project) -> dict[str, list[str]]:
        return {
            service: [name for _, name in sorted(self._by_service.get(service, {}).items())]
            for service in {**project.services, **self._by_service}
        }

    def _keep(self, step: Step, instance: Instance) -> None:
        if instance.state == "running":
            self._report(step, f"Container {instance.name}", "Running")

    def _start(self, step: Step, action: StartContainer) -> None:
        task = f"Container {action.name}"
        self._reporter.status(task, "Starting")
        try:
            self._nouns.containers.start(self._ids.get(action.name, action.name))
            if self._means.project is not None:
                for hook in self._project.services[action.service].get("post_start", ()):
                    self._hook(action.name, hook)
        except ContainersError:
            self._reporter.finish(task, "Error", failed=True)
            raise
        self._report(step, task, "Started")

    def _run_hooks(self, instance: Instance, when: str) -> None:
        project = self._means.project
        if project is None or instance.state != "running":
            return
        for hook in (project.services.get(instance.service) or {}).get(when, ()):
            self._hook(instance.id, hook)

    def _hook(self, name: str, hook: Mapping[str, Any]) -> None:
        command: Sequence[str] = hook["command"]
        result = self._nouns.containers.exec(name, command, check=False, **hook_flags(hook))
        if result.exit_code:
            raise ContainerFailedError(
                f"the hook {' '.join(command)} of {name} exited with status {result.exit_code}",
                exit_code=result.exit_code,
                log_tail=(result.stdout + result.stderr)
                .decode("utf-8", "replace")
                .splitlines()[-10:],
            )

    def _stop(self, step: Step, instance: Instance, timeout: float | None) -> None:
        task = f"Container {instance.name}"
        self._reporter.status(task, "Stopping")
        self._end(instance, timeout)
        self._report(step, task, "Stopped")

    def _end(self, instance: Instance, timeout: float | None) -> None:
        if instance.running:
            self._run_hooks(instance, "pre_stop")
            with suppress(ContainerNotFoundError):
                self._nouns.containers.stop(instance.id, timeout)

    def _discard(self, step: Step, action: DiscardContainer) -> None:
        instance = action.instance
        task = f"Container {instance.name}"
        self._reporter.status(task, "Stopping")
        self._end(instance, action.timeout)
        self._reporter.status(task, "Stopped")
        self._reporter.status(task, "Removing")
        with suppress(ContainerNotFoundError):
            self._nouns.containers.remove(instance.id, force=True, volumes=action.volumes)
        self._report(step, task, "Removed")

    def _act(
        self,
        step: Step,
        action: RestartContainer
        | KillContainer
        | PauseContainer
        | UnpauseContainer
        | RemoveContainer,
    ) -> None:
        """Execute an action that is a single call of the container service."""
        containers, name = self._nouns.containers, action.instance.id
        task = f"Container {action.instance.name}"
        words = _WORDS[type(action)]
        self._reporter.status(task, words[0])
        match action:
            case RestartContainer(timeout=timeout):
                self._restart(action.instance, timeout)
            case KillContainer(signal=signal):
                containers.kill(name, signal)
            case PauseContainer():
                containers.pause(name)
            case UnpauseContainer():
                containers.unpause(name)
            case RemoveContainer(force=force, volumes=volumes):
                containers.remove(name, force=force, volumes=volumes)
        self._report(step, task, words[1])

    def _restart(self, instance: Instance, timeout: float | None) -> None:
        self._run_hooks(instance, "pre_stop")
        self._nouns.containers.restart(instance.id, timeout)
        project = self._means.project
        if project is not None and instance.service in project.services:
            for hook in project.services[instance.service].get("post_start", ()):
                self._hook(instance.id, hook)

    # -- conditions ------------------------------------------------------------------------------

    def waiting(self, action: Await) -> None:
        """Report that a condition is awaited."""
        for name in action.names:
            self._reporter.status(f"Container {name}", "Waiting")

    def is_met(self, step: Step, deadline: float | None, patience: float = 0.0) -> bool:
        """Return whether a condition is met or given up; raise if it can never be met."""
        action = step.action
        assert isinstance(action, Await)
        if deadline is not None and time.monotonic() > deadline:
            raise ServiceNotReadyError(
                f"application not healthy after {patience:g}s",
                hint=f"{action.service} is not {action.condition.replace('_', ' ')}",
            )
        containers = [self._nouns.containers.get(self._ids[name]) for name in action.names]
        problem, met = condition_of(containers, action)
        if problem is not None:
            if action.required:
                for name in action.names:
                    self._reporter.finish(f"Container {name}", "Error", failed=True)
                raise problem
            self._reporter.warn(f"optional dependency {problem.message}")
            for name in action.names:
                self._report(step, f"Container {name}", "Skipped")
            return True
        if met:
            word = "Exited" if action.condition == "service_completed_successfully" else "Healthy"
            for name in action.names:
                self._report(step, f"Container {name}", word)
        return met
