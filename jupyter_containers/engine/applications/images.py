"""The images of a project: use the local one, pull, or build.

Docker Compose's rules: a local image is used; a service with ``build`` is built when its
image is missing or ``pull_policy`` is ``build`` (``--build``); all others are pulled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from jupyter_containers.compose import quantities
from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications.builds import build_flags
from jupyter_containers.engine.applications.planning import ordered
from jupyter_containers.engine.applications.reporting import Reporter
from jupyter_containers.engine.applications.works import Nouns
from jupyter_containers.engine.units import parse_time
from jupyter_containers.errors import ContainersError, ImageNotFoundError, InvalidArgumentError
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.lazy_dataclasses import dataclass

Way = Literal["use", "pull", "build", "pull or build"]
_AGES = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWish:
    """The options for providing images; ``pull`` empty: each service's ``pull_policy`` decides."""

    build: bool = False
    no_build: bool = False
    pull: str = ""
    quiet_pull: bool = False


def way_of(
    model: Mapping[str, Any], wish: ImageWish, here: bool, age: timedelta | None = None
) -> Way:
    """Return how to provide a service's image; ``age`` is the time since it was pulled."""
    policy = wish.pull or model.get("pull_policy", "")
    built = bool(model.get("build")) and not wish.no_build
    if built and (wish.build or (policy == "build" and not wish.pull)):
        return "build"
    if policy == "always" and (model.get("image") or not built):
        return "pull or build" if built else "pull"
    if policy in ("never", "build") or (here and not _is_old(policy, age)):
        if not here and built and policy != "never":
            return "build"
        return "use"
    if here:
        return "pull or build" if built else "pull"
    return "build" if built else "pull"


def _is_old(policy: str, age: timedelta | None) -> bool:
    limit = _AGES.get(policy)
    if policy.startswith("every_"):
        limit = timedelta(microseconds=(quantities.nanoseconds(policy[6:]) or 0) / 1000)
    return limit is not None and (age is None or age > limit)


def provide(
    project: Project,
    nouns: Nouns,
    wish: ImageWish,
    reporter: Reporter,
    emit: EventSink,
    cancel: CancelToken,
) -> dict[str, str]:
    """Pull or build every missing image; return image IDs by service."""
    ids: dict[str, str] = {}
    pulls: dict[str, list[str]] = {}
    builds: list[str] = []
    for service in ordered(project.services):
        model = project.services[service]
        name = project.image(service)
        try:
            image = nouns.images.get(name)
            ids[service] = image.id
        except ImageNotFoundError:
            image = None
        age = None if image is None else _age(nouns, name, model.get("pull_policy", ""))
        way = way_of(model, wish, image is not None, age)
        if way == "build":
            builds.append(service)
        elif way != "use":
            pulls.setdefault(name, []).append(service)
        elif image is None:
            raise ImageNotFoundError(
                f"No such image: {name}", hint=f"compose pull {service}, or compose build {service}"
            )
    builds += pull_all(project, nouns, pulls, reporter, emit if not wish.quiet_pull else discard)
    for service in build_order(project, builds):
        cancel.check()
        build_one(project, service, nouns, emit, cancel)
        reporter.finish(f"Image {project.image(service)}", "Built")
    for service in project.services:
        if service not in ids or service in builds or project.image(service) in pulls:
            ids[service] = nouns.images.get(project.image(service)).id
    return ids


def _age(nouns: Nouns, name: str, policy: str) -> timedelta | None:
    """Return the time since an image was pulled, if the policy needs it; None: unknown."""
    if policy not in _AGES and not policy.startswith("every_"):
        return None
    text = (nouns.images.inspect(name).get("Metadata") or {}).get("LastTagTime", "")
    moment = parse_time(text)
    return None if moment is None else datetime.now(UTC) - moment


def build_order(project: Project, services: Iterable[str]) -> list[str]:
    """Return services ordered so that each follows those whose images are its contexts."""
    needs = {
        name: {
            "depends_on": [
                value[8:]
                for value in ((model.get("build") or {}).get("additional_contexts") or {}).values()
                if value.startswith("service:")
            ]
        }
        for name, model in project.services.items()
    }
    wanted = set(services)
    return [name for name in ordered(needs) if name in wanted]


def pull_all(
    project: Project,
    nouns: Nouns,
    pulls: Mapping[str, Sequence[str]],
    reporter: Reporter,
    emit: EventSink,
) -> list[str]:
    """Pull images concurrently; return the services whose image must be built instead."""

    def one(name: str) -> list[str]:
        services = pulls[name]
        model = project.services[services[0]]
        reporter.status(f"Image {name}", "Pulling")
        try:
            nouns.images.pull(name, platform=model.get("platform") or None, emit=emit)
        except ContainersError:
            can_build = [each for each in services if project.services[each].get("build")]
            if len(can_build) == len(services):
                reporter.finish(f"Image {name}", "Warning: pull failed, it is built")
                return can_build
            reporter.finish(f"Image {name}", "Error", failed=True)
            raise
        reporter.finish(f"Image {name}", "Pulled")
        return []

    if not pulls:
        return []
    with ThreadPoolExecutor(4, thread_name_prefix="compose-pull") as pool:
        return [service for found in pool.map(one, pulls) for service in found]


def build_one(
    project: Project,
    service: str,
    nouns: Nouns,
    emit: EventSink,
    cancel: CancelToken,
    **more: Any,
) -> str:
    """Build a service's image; return its ID."""
    if not project.services[service].get("build"):
        raise InvalidArgumentError(f"service {service} has no build section")
    context, flags = build_flags(project, service)
    return nouns.builds.build(context, emit=emit, cancel=cancel, **{**flags, **more}).id
