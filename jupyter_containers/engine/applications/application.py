"""The public ``Application``: the services of a Compose file, with one method for each verb.

Every verb reads the file and the state of the containers again, so an edited file takes effect with
the next ``up``.  An application without a file is known by its project's name alone: then verbs
that create nothing (``down``, ``ps``, ``logs``, ``stop`` …) work from the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose.loading import LoadOptions
from jupyter_containers.compose.project import Project
from jupyter_containers.compose.quantities import boolean
from jupyter_containers.engine.applications import labels, lifecycle, lines
from jupyter_containers.engine.applications.bringing import Bringing, alone, scaled
from jupyter_containers.engine.applications.execution import carry_out
from jupyter_containers.engine.applications.foreground import Attachment, Foreground
from jupyter_containers.engine.applications.images import (
    ImageWish,
    build_one,
    build_order,
    provide,
    pull_all,
)
from jupyter_containers.engine.applications.looking import Looking
from jupyter_containers.engine.applications.observed import Instance, Seen
from jupyter_containers.engine.applications.oneoff import RunWish, oneoff_flags
from jupyter_containers.engine.applications.planning import DownWish, Recreate, UpWish
from jupyter_containers.engine.applications.reporting import Reporter
from jupyter_containers.engine.applications.steps import Plan
from jupyter_containers.engine.applications.view import ProjectView, known
from jupyter_containers.engine.applications.works import Means, Nouns
from jupyter_containers.errors import InvalidArgumentError, NotFoundError, RegistryError
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.lazy_dataclasses import replace

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.watching import Watching
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.containers.streams import OutputSink
    from jupyter_containers.engine.results import RunResult


class Application(Looking):
    """The services of a Compose file; returned by ``engine.compose(…)``."""

    def __init__(self, nouns: Nouns, options: LoadOptions, folder: Path) -> None:
        super().__init__(ProjectView(nouns, options))
        self._bringing = Bringing(self._view, folder)

    # -- up and down -----------------------------------------------------------------------------

    def up(
        self,
        *services: str,
        wait: bool = False,
        wait_timeout: float | None = None,
        no_start: bool = False,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        **flags: Any,
    ) -> Running:
        """Create and start all services, or some with their dependencies; leave them running.

        Unchanged containers stay; changed ones are recreated.  As ``with app.up():`` the
        application is taken down at the end of the block.  An interrupt leaves a project that
        :meth:`down` removes.  ``flags`` are Docker Compose's: ``build``, ``no_build``, ``pull``,
        ``quiet_pull``, ``scale`` (``{service: number}``), ``force_recreate``, ``no_recreate``,
        ``always_recreate_deps``, ``renew_anon_volumes``, ``no_deps``, ``remove_orphans``,
        ``timeout``.
        """
        project, wish, images = self._wishes(services, flags)
        with self._reporting(emit, project) as reporter:
            self._bringing.up(
                project,
                replace(wish, start=not no_start, wait=wait),
                images,
                reporter,
                emit,
                cancel or CancelToken(),
                wait_timeout=wait_timeout,
            )
        return Running(self)

    def create(self, *services: str, emit: EventSink = discard, **flags: Any) -> None:
        """Create the services' containers without starting them; ``flags`` are those of ``up``."""
        self.up(*services, no_start=True, emit=emit, **flags)

    def scale(
        self, counts: Mapping[str, int], *, no_deps: bool = False, emit: EventSink = discard
    ) -> None:
        """Set the number of containers of each service."""
        self.up(*counts, scale=counts, no_deps=no_deps, emit=emit)

    def foreground(
        self,
        *services: str,
        on_line: Callable[[lines.ProjectLine], None],
        attach: Sequence[str] = (),
        no_attach: Sequence[str] = (),
        attach_dependencies: bool = False,
        abort_on_container_exit: bool = False,
        abort_on_container_failure: bool = False,
        exit_code_from: str = "",
        emit: EventSink = discard,
        **flags: Any,
    ) -> int:
        """Create and start the services, wait until they have ended, and return the exit code.

        ``on_line`` receives their output.  An interrupt stops them, a second one kills them.
        Any other ``flags`` are those of :meth:`up`.
        """
        project, wish, images = self._wishes(services, flags)
        if exit_code_from:
            known(exit_code_from, project)
            abort_on_container_exit = not abort_on_container_failure
        for service in (*attach, *no_attach):
            known(service, project)
        abort = "failure" if abort_on_container_failure else ""
        own = {name for name, model in project.services.items() if model.get("attach") is False}
        of_all = attach_dependencies or not services
        attachment = Attachment(
            services=frozenset(attach or (() if of_all else services)),
            hidden=frozenset({*no_attach, *(own - {*attach})}),
            abort="exit" if abort_on_container_exit else abort,
            exit_code_from=exit_code_from,
        )
        timeout = wish.timeout
        with self._reporting(emit, project) as reporter:
            before = replace(wish, start=False)
            self._bringing.up(project, before, images, reporter, emit, CancelToken())
        chosen = tuple(services)
        return Foreground(
            self._view.nouns,
            attachment,
            lambda: self._view.of_services(project),
            lambda: self.start(*(chosen or project.services), emit=emit),
            lambda: self.stop(*chosen, timeout=timeout, emit=emit),
            lambda: self.kill(*chosen, emit=emit),
            on_line,
        ).run()

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
        """Stop and remove the containers and networks, with ``volumes`` also the volumes.

        ``rmi`` removes images too: ``all``, or ``local`` for those without an explicit name.
        """
        if rmi not in ("", "all", "local"):
            raise InvalidArgumentError(f"invalid value for --rmi: {rmi!r}", hint="local or all")
        project = self._view.project_if_any()
        wish = DownWish(
            chosen=frozenset(services),
            volumes=volumes,
            timeout=timeout,
            remove_orphans=remove_orphans,
        )
        with self._reporting(emit, project) as reporter:
            self._bringing.down(project, wish, rmi, reporter, cancel or CancelToken())

    def plan(self, *services: str, **flags: Any) -> Plan:
        """Return the plan of :meth:`up` for the local images; change nothing."""
        project, wish, _ = self._wishes(services, flags)
        return self._bringing.plan(project, wish)

    def _wishes(
        self, services: Sequence[str], flags: Mapping[str, Any]
    ) -> tuple[Project, UpWish, ImageWish]:
        """Return the project and the options that the flags of ``up`` stand for."""
        unknown = sorted(set(flags) - _UP)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r} of up", hint=", ".join(sorted(_UP))
            )
        given = {**dict.fromkeys(_UP, False), **flags}
        for one, other in _EXCLUSIVE:
            if given[one] and given[other]:
                words = (f"--{word.replace('_', '-')}" for word in (one, other))
                raise InvalidArgumentError(f"{' and '.join(words)} are incompatible")
        project = self._view.project(services)
        if given["no_deps"] and services:
            project = alone(project, services)
        never: Recreate = "never" if given["no_recreate"] else "diverged"
        wish = UpWish(
            chosen=frozenset(services),
            recreate="force" if given["force_recreate"] else never,
            recreate_dependencies="force" if given["always_recreate_deps"] else never,
            renew_volumes=bool(given["renew_anon_volumes"]),
            timeout=flags.get("timeout"),
            remove_orphans=bool(given["remove_orphans"]) or _is_on(project, "REMOVE"),
            ignore_orphans=_is_on(project, "IGNORE"),
        )
        images = ImageWish(
            build=bool(given["build"]),
            no_build=bool(given["no_build"]),
            pull=flags.get("pull") or "",
            quiet_pull=bool(given["quiet_pull"]),
        )
        return scaled(project, flags.get("scale") or {}), wish, images

    # -- lifecycle ----------------------------------------------------------------------

    def start(
        self,
        *services: str,
        wait: bool = False,
        wait_timeout: float | None = None,
        emit: EventSink = discard,
    ) -> None:
        """Start existing containers, each after its dependencies."""

        def make(work: _Work) -> Plan:
            return lifecycle.plan_start(work.seen, work.waits, services, wait=wait)

        self._carry_out(services, make, emit, wait_timeout)

    def stop(self, *services: str, timeout: float | None = None, emit: EventSink = discard) -> None:
        """Stop containers, each before its dependencies."""
        self._carry_out(
            services,
            lambda work: lifecycle.plan_stop(work.seen, work.waits, services, timeout),
            emit,
        )

    def restart(
        self,
        *services: str,
        timeout: float | None = None,
        no_deps: bool = False,
        emit: EventSink = discard,
    ) -> None:
        """Restart containers, with the dependents that declare ``restart: true``."""

        def make(work: _Work) -> Plan:
            return lifecycle.plan_restart(work.seen, work.waits, services, timeout, no_deps=no_deps)

        self._carry_out(services, make, emit)

    def kill(
        self,
        *services: str,
        signal: str = "SIGKILL",
        remove_orphans: bool = False,
        emit: EventSink = discard,
    ) -> None:
        """Send a signal to the running containers."""

        def make(work: _Work) -> Plan:
            return lifecycle.plan_kill(work.seen, services, signal, oneoff=remove_orphans)

        self._carry_out(services, make, emit)

    def pause(self, *services: str, emit: EventSink = discard) -> None:
        """Freeze the running containers."""
        self._carry_out(services, lambda work: lifecycle.plan_pause(work.seen, services), emit)

    def unpause(self, *services: str, emit: EventSink = discard) -> None:
        """Resume frozen containers."""
        self._carry_out(services, lambda work: lifecycle.plan_unpause(work.seen, services), emit)

    def removable(self, *services: str) -> list[Instance]:
        """Return the containers that :meth:`rm` would remove."""
        project = self._view.project_if_any()
        return lifecycle.removable(self._view.seen(project), services)

    def rm(
        self,
        *services: str,
        stop: bool = False,
        volumes: bool = False,
        emit: EventSink = discard,
    ) -> list[str]:
        """Remove stopped containers, with ``stop`` running ones too; return their names."""
        if stop:
            self.stop(*services, emit=emit)
        instances = self.removable(*services)

        def make(_: _Work) -> Plan:
            return lifecycle.plan_remove(instances, force=False, volumes=volumes)

        self._carry_out(services, make, emit)
        return [one.name for one in instances]

    def wait(self, *services: str, cancel: CancelToken | None = None) -> dict[str, int]:
        """Wait until one of the services' containers has exited; return exit codes by name."""
        found = self._view.of_services(self._view.project_if_any(), services)
        if not found:
            raise NotFoundError(f'no containers for project "{self.name}"', hint="compose up -d")
        token = cancel or CancelToken()
        while True:
            ended = [one for one in found if not one.reload().status.up]
            if ended:
                return {one.name: one.record.state.exit_code for one in ended}
            token.check()
            token.wait(0.05)

    def exec(
        self, service: str, command: str | Sequence[str], *, index: int = 0, **flags: Any
    ) -> RunResult:
        """Run a command in a running container of a service; see :meth:`ContainerService.exec`."""
        return self._view.nouns.containers.exec(self.one(service, index).id, command, **flags)

    def run(
        self,
        service: str,
        command: Sequence[str] | None = None,
        *,
        wish: RunWish | None = None,
        emit: EventSink = discard,
        on_output: OutputSink | None = None,
        stdin: Any = None,
        check: bool = True,
        **flags: Any,
    ) -> Container | RunResult:
        """Run one command in a new container of a service, after its dependencies have started.

        ``flags`` are ``no_deps``, ``build``, ``pull``, ``remove_orphans``, and fields of
        :class:`RunWish` (``env``, ``user``, ``remove`` …).
        """
        own = {key: flags.pop(key) for key in [*flags] if key not in _RUN}
        asked = replace(wish or RunWish(), **own)
        image, words, more = self.prepared(service, command, wish=asked, emit=emit, **flags)
        return self._view.nouns.containers.run(
            image, words, emit=emit, on_output=on_output, stdin=stdin, check=check, **more
        )

    def prepared(
        self,
        service: str,
        command: Sequence[str] | None = None,
        *,
        wish: RunWish,
        no_deps: bool = False,
        build: bool = False,
        pull: str = "",
        remove_orphans: bool = False,
        emit: EventSink = discard,
    ) -> tuple[str, Sequence[str] | None, dict[str, Any]]:
        """Start a service's dependencies; return image, command and flags of a one-off container.

        These are the arguments of :meth:`ContainerService.run`.
        """
        project, cancel = self._view.project([service]), CancelToken()
        with self._reporting(emit, project) as reporter:
            if not no_deps:
                self._start_dependencies(project, service, reporter, emit, remove_orphans)
            only = alone(project, [service])
            ids = provide(
                only, self._view.nouns, ImageWish(build=build, pull=pull), reporter, emit, cancel
            )
            seen = self._view.seen(project)
            means = self._bringing.means(project, ids, reporter, cancel)
            self._bringing.surroundings(only, reporter, cancel)
            words, flags = oneoff_flags(
                project,
                service,
                command,
                wish,
                image_id=ids[service],
                ids={one.service: one.id for one in reversed(seen.instances) if not one.oneoff},
                files=means.files(service),
            )
        return project.image(service), words, {**flags, "pull": "never"}

    def one(self, service: str, index: int = 0) -> Container:
        """Return a service's running container, by default the first."""
        return self._view.one(self._view.project_if_any(), service, index)

    def _start_dependencies(
        self,
        project: Project,
        service: str,
        reporter: Reporter,
        emit: EventSink,
        remove_orphans: bool,
    ) -> None:
        others = {k: v for k, v in project.services.items() if k != service}
        awaited = project.services[service].get("depends_on") or {}
        if others:
            rest = replace(project, model={**project.model, "services": others})
            wish = UpWish(awaited=awaited, remove_orphans=remove_orphans)
            self._bringing.up(rest, wish, ImageWish(), reporter, emit, CancelToken())

    # -- images ----------------------------------------------------------------------------------

    def build(
        self,
        *services: str,
        with_dependencies: bool = False,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        **flags: Any,
    ) -> dict[str, str]:
        """Build the images of services that have a ``build`` section; return IDs by service.

        ``flags`` are added to those of the file: ``no_cache``, ``pull``, ``build_args`` …
        """
        project = self._view.project(services if with_dependencies else ())
        for service in services:
            known(service, project)
        chosen = [
            name
            for name, model in project.services.items()
            if model.get("build") and (not services or with_dependencies or name in services)
        ]
        token = cancel or CancelToken()
        built = {}
        with self._reporting(emit, project) as reporter:
            for name in build_order(project, chosen):
                built[name] = build_one(project, name, self._view.nouns, emit, token, **flags)
                reporter.finish(f"Image {project.image(name)}", "Built")
        return built

    def pull(
        self,
        *services: str,
        include_deps: bool = False,
        ignore_buildable: bool = False,
        ignore_pull_failures: bool = False,
        policy: str = "",
        emit: EventSink = discard,
    ) -> None:
        """Pull the images of services from their registries."""
        project = self._view.project(services)
        wanted: dict[str, list[str]] = {}
        for service, model in project.services.items():
            if services and service not in services and not include_deps:
                continue
            if not model.get("image") or (ignore_buildable and model.get("build")):
                continue
            if policy == "missing" and project.image(service) in self._view.nouns.images:
                continue
            wanted.setdefault(project.image(service), []).append(service)
        with self._reporting(emit, project) as reporter:
            try:
                pull_all(project, self._view.nouns, wanted, reporter, emit)
            except NotFoundError:
                if not ignore_pull_failures:
                    raise

    def push(
        self,
        *services: str,
        include_deps: bool = False,
        ignore_push_failures: bool = False,
        emit: EventSink = discard,
    ) -> dict[str, str]:
        """Push the images that services build to their registries; return digests."""
        project = self._view.project(services)
        pushed = {}
        with self._reporting(emit, project):
            for service, model in project.services.items():
                chosen = not services or include_deps or service in services
                if chosen and model.get("build") and model.get("image"):
                    image = project.image(service)
                    try:
                        pushed[service] = self._view.nouns.images.push(image, emit=emit)
                    except RegistryError:
                        if not ignore_push_failures:
                            raise
        return pushed

    # -- files -----------------------------------------------------------------------------------

    def cp(self, source: str, target: str, *, index: int = 0, **flags: Any) -> None:
        """Copy files between a service's container (``SERVICE:PATH``) and this machine."""
        project = self._view.project_if_any()
        ends = [self._end_of_copy(project, text, index) for text in (source, target)]
        if ends[0] == source and ends[1] == target:
            raise InvalidArgumentError("unknown copy direction", hint="write SERVICE:PATH for one")
        self._view.nouns.containers.copy(ends[0], ends[1], **flags)

    def _end_of_copy(self, project: Project | None, text: str, index: int) -> str:
        service, colon, path = text.partition(":")
        if not colon or text.startswith(("/", ".")):
            return text
        found = [
            one
            for one in self._view.of_services(project, [service])
            if not index or one.labels.get(labels.NUMBER) == str(index)
        ]
        if not found:
            raise NotFoundError(f'no container found for service "{service}"')
        return f"{found[0].id}:{path}"

    # -- watching files --------------------------------------------------------------------------

    def watch(self, *services: str, emit: EventSink = discard, **flags: Any) -> Watching:
        """Return a watcher of ``develop.watch``; iterate over it to apply changes."""
        from jupyter_containers.engine.applications.watching import Watching

        return Watching(self, self._view, services, emit=emit, **flags)

    # -- common ----------------------------------------------------------------------------------

    def _carry_out(
        self,
        services: Sequence[str],
        make: Callable[[_Work], Plan],
        emit: EventSink,
        timeout: float | None = None,
    ) -> None:
        project = self._view.project_if_any()
        if project is not None:
            for service in services:
                known(service, project)
            if not {*services} <= {*project.services}:
                project = self._view.project(services)  # of profiles that naming them enables
        seen = self._view.seen(project)
        if project is not None:
            enabled = project.services
            kept = (one for one in seen.instances if one.oneoff or one.service in enabled)
            seen = replace(seen, instances=tuple(kept))
        waits = lifecycle.waits_of(project.services if project is not None else None, seen)
        with self._reporting(emit, project) as reporter:
            plan = make(_Work(seen, waits))
            means: Means = self._bringing.means(project, {}, reporter, CancelToken())
            carry_out(plan, seen, means, timeout=timeout)

    @contextmanager
    def _reporting(self, emit: EventSink, project: Project | None) -> Iterator[Reporter]:
        reporter = Reporter(emit)
        if project is not None:
            reporter.warn_all(project.warnings)
        try:
            yield reporter
        finally:
            reporter.close()


def _is_on(project: Project, word: str) -> bool:
    """Return whether the variable COMPOSE_REMOVE_ORPHANS or COMPOSE_IGNORE_ORPHANS is true."""
    return boolean(project.environment.get(f"COMPOSE_{word}_ORPHANS", "")) is True


class _Work:
    """The input of a plan."""

    def __init__(self, seen: Seen, waits: lifecycle.Waits) -> None:
        self.seen, self.waits = seen, waits


class Running:
    """An application that is up; as a context manager it is taken down at the end."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __enter__(self) -> Application:
        return self.application

    def __exit__(self, *_: object) -> None:
        self.application.down()

    def __repr__(self) -> str:
        return f"<Running {self.application.name}: {self.application.status().status_text}>"


_UP = frozenset(
    {
        "build", "no_build", "pull", "quiet_pull", "scale", "force_recreate", "no_recreate",
        "always_recreate_deps", "renew_anon_volumes", "no_deps", "remove_orphans", "timeout",
    }
)  # fmt: skip
_RUN = frozenset({"no_deps", "build", "pull", "remove_orphans"})
_EXCLUSIVE = (
    ("build", "no_build"),
    ("force_recreate", "no_recreate"),
    ("renew_anon_volumes", "no_recreate"),
    ("always_recreate_deps", "no_recreate"),
)
