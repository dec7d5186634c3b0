"""The handle of a container in a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.sidecars import health_check
from jupyter_containers.kubernetes.pods import Found
from jupyter_containers.kubernetes.states import main_status

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.service import ContainerService


class PodContainer(Container):
    """A container that is a pod; ``pod`` is the name of the pod, empty while it has none."""

    def __init__(self, service: Any, found: Found) -> None:
        # The handle uses the methods of the protocol only.
        super().__init__(cast("ContainerService", service), found.record)
        self.pod = found.object_name if found.pod is not None else ""
        self._health = health_of(found)

    @property
    def health(self) -> str:
        """``starting``, ``healthy`` or ``unhealthy``; empty without a health check."""
        return self._health

    @property
    def ports(self) -> list[str]:
        """The published ports as requested, and the exposed ones, while it runs."""
        if not self.status.alive:
            return []
        options = self.record.options
        published = [f"{port.host}->{port.container}" for port in options.publish if port.host]
        shown = [port.container for port in options.publish if not port.host]
        taken = {port.container for port in options.publish}
        exposed = (*self.record.config.exposed_ports, *options.expose)
        return published + shown + [port for port in dict.fromkeys(exposed) if port not in taken]


def health_of(found: Found) -> str:
    """Return the health of a running container: that of its readiness probe."""
    record, pod = found.record, found.pod
    check = health_check(record.config, record.options.health)
    if check is None or pod is None or not record.state.status.alive:
        return ""
    status = main_status(pod)
    if status is not None and status.ready:
        return "healthy"
    import time

    patience = check.start_period + check.retries * (check.interval + check.timeout)
    return "starting" if time.time() - record.state.started < patience else "unhealthy"
