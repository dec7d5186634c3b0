"""Sidecars of a running container: health checks and log rotation.

Lifecycle: :meth:`Sidecars.begin` at the start of a container that needs one, :meth:`Sidecars.end`
when it has ended; during a pause they are stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.engine.containers.exit_command import notify_command
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.oci.image import ExecutionConfig, Healthcheck
from jupyter_containers.options import ExecOptions
from jupyter_containers.options.health import HealthOptions
from jupyter_containers.options.run import log_rotation
from jupyter_containers.runtime.health import HealthCheck, start_checks
from jupyter_containers.runtime.rotation import finish, start_rotation
from jupyter_containers.runtime.sidecar import end_sidecar, end_sidecars, pause_sidecar
from jupyter_containers.runtime.spec import Spec, exec_process

if TYPE_CHECKING:
    from jupyter_containers.runtime.process import ProcessIdentity

_DEFAULT_SHELL = ("/bin/sh", "-c")
_NANOSECONDS = 1e9


class Sidecars:
    """The sidecars of one store's containers."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def begin(
        self, record: ContainerRecord, bundle: Path, spec: Spec
    ) -> tuple[ProcessIdentity, ...]:
        """Start and return the sidecars of a container that has just started."""
        process = record.state.process
        found: list[ProcessIdentity | None] = []
        if process is None:
            return ()
        check = health_check(record.config, record.options.health)
        if check is not None:
            runtime = self._context.runtime
            found.append(
                start_checks(
                    bundle,
                    process,
                    check,
                    specification=exec_process(spec, ExecOptions(command=check.command)),
                    probe=[runtime.path, *runtime.global_arguments(), "exec"],
                    notify=notify_command(self._context, record.id),
                )
            )
        size, files = log_rotation(record.options)
        if files > 1:
            found.append(start_rotation(bundle, process, max_bytes=size, files=files))
        return tuple(companion for companion in found if companion is not None)

    def forget(self, process: ProcessIdentity) -> None:
        """End the sidecars of ``process``'s container that a dead starter could not record."""
        end_sidecars(process)

    def end(self, record: ContainerRecord) -> None:
        """End the sidecars of a container that has ended."""
        size, files = log_rotation(record.options)
        if files > 1:
            bundle = self._context.settings.layout.containers / record.id
            # The rotation was started last.
            finish(record.state.companions[-1:], bundle, max_bytes=size, files=files)
        for companion in record.state.companions:
            end_sidecar(companion)

    def hold(self, record: ContainerRecord, *, still: bool) -> None:
        """Stop the sidecars during a pause, or continue them."""
        for companion in record.state.companions:
            pause_sidecar(companion, paused=still)


def health_config(config: ExecutionConfig, options: HealthOptions | None) -> Healthcheck | None:
    """Return the image's HEALTHCHECK with the options applied, as ``inspect`` shows it."""
    if options is None:
        return config.healthcheck
    if options.disabled:
        return Healthcheck(test=("NONE",))
    image = config.healthcheck or Healthcheck()
    return Healthcheck(
        test=("CMD-SHELL", options.command) if options.command else image.test,
        interval=round(options.interval * _NANOSECONDS) or image.interval,
        timeout=round(options.timeout * _NANOSECONDS) or image.timeout,
        start_period=round(options.start_period * _NANOSECONDS) or image.start_period,
        start_interval=round(options.start_interval * _NANOSECONDS) or image.start_interval,
        retries=options.retries or image.retries,
    )


def health_check(config: ExecutionConfig, options: HealthOptions | None) -> HealthCheck | None:
    """Return the check to run, with Docker's defaults; None without one."""
    wanted = health_config(config, options)
    if wanted is None or not wanted.test or wanted.test[0] == "NONE":
        return None
    kind, *words = wanted.test
    if kind == "CMD-SHELL":
        words = [*(config.shell or _DEFAULT_SHELL), *words]
    elif kind != "CMD":
        return None
    if not words:
        return None
    return HealthCheck(
        tuple(words),
        wanted.interval / _NANOSECONDS or 30.0,
        wanted.timeout / _NANOSECONDS or 30.0,
        wanted.start_period / _NANOSECONDS,
        wanted.start_interval / _NANOSECONDS or 5.0,
        wanted.retries or 3,
    )
