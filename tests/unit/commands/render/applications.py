"""Applications as values, for tests of what shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyter_containers.engine.applications.status import (
    ContainerStatus,
    Dependency,
    ProjectStatus,
    PublishedAt,
    ServiceStatus,
)


def container(
    service: str, state: str = "running", health: str = "", code: int | None = None
) -> ContainerStatus:
    return ContainerStatus(
        id=f"id-{service}",
        name=f"shop-{service}-1",
        service=service,
        number=1,
        state=state,
        health=health,
        exit_code=code,
        status_text="",
        image="",
        command="",
        created=datetime.fromtimestamp(0, UTC),
        ports=(PublishedAt("0.0.0.0", 8090, 80),) if service == "web" else (),  # shown
    )


def service(
    name: str, *needs: str, state: str = "running", health: str = "", code: int | None = None
) -> ServiceStatus:
    containers = () if state == "missing" else (container(name, state, health, code),)
    return ServiceStatus(
        name=name,
        state=state,
        health=health,
        image=f"{name}:1",
        scale=1,
        containers=containers,
        depends_on=tuple(Dependency(other, "service_healthy") for other in needs),
        networks=("default",),
        volumes=("data",) if name == "db" else (),
    )


def project(*services: ServiceStatus) -> ProjectStatus:
    return ProjectStatus(name="shop", services=services)


SHOP = project(
    service("db", health="healthy"),
    service("migrate", "db", state="exited", code=0),
    service("api", "db", "migrate", health="starting"),
    service("web", "api"),
    service("mail", state="exited", code=3),
    service("cache", state="missing"),
)
