"""Checks of a container's options before anything is created.

A request without meaning raises :class:`InvalidArgumentError`; one that this host cannot satisfy
raises :class:`UnsupportedError` and names the capability.  Nothing is silently ignored.

The runtime's spec is built at each start, because the host may have changed by then.  The checks
call the functions that build it and drop what they return: there is no second set of rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_containers.engine.containers.shared_namespaces import OF_CONTAINER
from jupyter_containers.engine.containers.spec_builder import seccomp_file
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.peers import peer
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.limits import DeviceRequest
from jupyter_containers.options.network import MODES
from jupyter_containers.runtime import rlimit_fallback
from jupyter_containers.runtime.cgroup_support import check_cgroup_support
from jupyter_containers.runtime.devices import requested_devices
from jupyter_containers.runtime.host import HostCapabilities
from jupyter_containers.runtime.resources import check_ulimits
from jupyter_containers.runtime.security import effective_capabilities, security_options


def refuse(options: RunOptions, context: EngineContext) -> None:
    """Raise for an option without meaning, or without effect on this host."""
    host = context.host
    if options.network.startswith(OF_CONTAINER):
        peer(context, options.network)
    _check_words(options)
    check_ulimits(options.ulimit, host)
    _check_security(options, host)
    for mode in (options.pid, options.ipc):
        if mode.startswith(OF_CONTAINER):
            peer(context, mode)
    for other in options.volumes_from:
        peer(context, other.name)
    _check_devices(options.device)
    _check_host(options, context)


def warnings_of(options: RunOptions, host: HostCapabilities) -> list[str]:
    """Return the warnings about options that have no effect and need not be refused."""
    return [*_discarded_ports(options), *rlimit_fallback.notices(options, host)]


def _discarded_ports(options: RunOptions) -> list[str]:
    if options.network not in MODES or not (options.publish or options.publish_all):
        return []
    if options.network == "host":
        return ["Published ports are discarded when using host network mode"]
    return ["Published ports are discarded: a container with network none cannot be reached"]


def _check_words(options: RunOptions) -> None:
    """Refuse all values but the one that Docker on Linux accepts."""
    if options.volume_driver not in ("", "local"):
        raise UnsupportedError(
            f"the volume driver {options.volume_driver!r} is not known here",
            capability=f"volume driver {options.volume_driver}",
            provided_by="volumes of the driver local, and binds",
        )
    if options.isolation not in ("", "default"):
        raise UnsupportedError(
            f"the isolation {options.isolation!r} exists only on Windows",
            capability=f"isolation {options.isolation}",
            provided_by="a Windows host; containers here are always isolated by the kernel",
        )
    refuse_content_trust(options.disable_content_trust)


def refuse_content_trust(disabled: bool) -> None:
    """Raise if signed images (Docker's content trust) are requested."""
    if not disabled:
        raise UnsupportedError(
            "images are verified by digest, not by Docker's content trust",
            capability="content trust",
            provided_by="name the image by digest: NAME@sha256:…",
        )


def _check_security(options: RunOptions, host: HostCapabilities) -> None:
    security = security_options(options.security_opt, privileged=options.privileged)
    seccomp_file(options.security_opt, privileged=options.privileged)
    modules = next(
        (item.detail for item in host.capabilities if item.name == "security modules"), ""
    )
    profile = "" if security.apparmor == "unconfined" else security.apparmor
    label = ",".join(word for word in security.labels if word != "disable")
    for module, requested in (("apparmor", profile), ("selinux", label)):
        if requested and module not in modules.split():
            raise UnsupportedError(
                f"security-opt {module} {requested!r} has no effect: {module} is not active here",
                capability=module,
                provided_by=f"a kernel that was booted with {module}",
            )
    if security.seccomp != "unconfined" and options.security_opt and not host.seccomp:
        raise UnsupportedError(
            "this kernel has no seccomp filters",
            capability="seccomp",
            provided_by="a kernel with CONFIG_SECCOMP_FILTER",
        )
    effective_capabilities(
        options.cap_add,
        options.cap_drop,
        privileged=options.privileged,
        available=host.kernel_capabilities,
    )


def _check_devices(requests: Sequence[DeviceRequest]) -> None:
    if not requests:
        return
    from jupyter_containers.runtime.cdi import edits_of

    for request in requests:
        if request.path:
            tuple(requested_devices(request))
    edits_of([request.cdi for request in requests if request.cdi])


def _check_host(options: RunOptions, context: EngineContext) -> None:
    """Check options that depend on this host: cgroups, disk quotas, the runtime."""
    parent = options.cgroup_parent or context.runtime.cgroup_parent
    if ".." in parent.split("/"):
        raise InvalidArgumentError(f"invalid cgroup-parent: {parent!r}")
    check_cgroup_support(options, context.host.cgroups, parent)
    if options.cgroupns == "private" and not context.host.cgroup_namespaces:
        raise UnsupportedError(
            "this kernel has no cgroup namespaces",
            capability="cgroup namespaces",
            provided_by="Linux 4.6",
        )
    for name, value in (options.storage_opt or {}).items():
        if name != "size":
            raise InvalidArgumentError(f"invalid storage-opt: {name}={value}", hint="size=10g")
        raise UnsupportedError(
            "the size of a container's root file system cannot be limited on this file system",
            capability="project quotas",
            provided_by="a store on XFS mounted with pquota; or --read-only with --tmpfs …:size=",
        )
    name = context.runtime.name
    if options.runtime not in ("", name, context.runtime.path, f"io.containerd.{name}.v2"):
        raise UnsupportedError(
            f"the runtime {options.runtime!r} is not the runtime of this store ({name})",
            capability=f"runtime {options.runtime}",
            provided_by=f"the setting runtime={options.runtime}, for all containers of a store",
        )
