"""Docker's ``HostConfig``: the host-dependent options of a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.options import RunOptions
from jupyter_containers.options.flag import Block, declared
from jupyter_containers.options.flags import RunFlags
from jupyter_containers.options.mounts import MountRequest
from jupyter_containers.options.network import DEFAULT_NETWORK
from jupyter_containers.runtime.security import MASKED_PATHS, READONLY_PATHS, security_options


def host_config(record: ContainerRecord, runtime: str) -> dict[str, Any]:
    """Return the ``HostConfig`` object of a container's ``inspect``."""
    options = record.options
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in sorted(options.publish, key=lambda port: (port.container_port, port.protocol)):
        bindings.setdefault(port.container, []).append(
            {"HostIp": port.host_ip, "HostPort": port.host}
        )
    return {
        **_block(
            options,
            "host",
            {
                "Binds": _binds(record),
                "Links": _links(record),
                "LogConfig": {
                    "Type": options.log_driver or "json-file",
                    "Config": dict(sorted((options.log_opt or {}).items())),
                },
                **_mounts(record),
                "PortBindings": bindings,
                "RestartPolicy": {
                    "Name": options.restart.name,
                    "MaximumRetryCount": options.restart.retries,
                },
                "Runtime": runtime,
                "Tmpfs": {
                    request.target: request.written
                    for request in options.mounts
                    if request.flag == "tmpfs"
                }
                or None,
            },
        ),
        **_block(options, "isolation", _hidden_paths(options)),
        **_block(options, "resources", _resources(options)),
        **_OTHER_SYSTEMS,
    }


def _block(options: RunOptions, block: Block, others: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a block: those that options declare for it, and ``others``."""
    fields = dict(others)
    for flag in declared(RunFlags):
        if flag.shown is not None and flag.shown.block == block:
            fields[flag.shown.name] = flag.shown.value(getattr(options, flag.key))
    return dict(sorted(fields.items()))


# Fields that matter only on Windows or with older kernels, but that programs expect.
_OTHER_SYSTEMS: dict[str, Any] = {
    "Cgroup": "",
    "ConsoleSize": [0, 0],
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumBandwidth": 0,
    "IOMaximumIOps": 0,
    "Isolation": "",
    "KernelMemoryTCP": 0,
}


def _links(record: ContainerRecord) -> list[str] | None:
    """Return the links on the default network; other networks list their own."""
    on_default = (item for item in record.networks if item.name == DEFAULT_NETWORK)
    return [
        f"/{name}:/{record.name}/{alias}" for item in on_default for name, alias in item.links
    ] or None


def _hidden_paths(options: RunOptions) -> dict[str, Any]:
    unmasked = security_options(options.security_opt, privileged=options.privileged).unmasked
    return {
        "MaskedPaths": None if unmasked else list(MASKED_PATHS),
        "ReadonlyPaths": None if unmasked else list(READONLY_PATHS),
    }


def _resources(options: RunOptions) -> dict[str, Any]:
    return {
        "DeviceRequests": _cdi_requests(options),
        "Devices": [
            {
                "PathOnHost": device.path,
                "PathInContainer": device.target,
                "CgroupPermissions": device.access,
            }
            for device in options.device
            if device.path
        ],
        "MemorySwap": options.memory_swap or 2 * options.memory,
        "MemorySwappiness": options.memory_swappiness if options.memory_swappiness >= 0 else None,
        "NanoCpus": round(options.cpus * 1e9),
        "Ulimits": [
            {"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft} for limit in options.ulimit
        ]
        or None,
    }


def _cdi_requests(options: RunOptions) -> list[dict[str, Any]] | None:
    names = [device.cdi for device in options.device if device.cdi]
    return [{"Driver": "cdi", "DeviceIDs": names}] if names else None


def _binds(record: ContainerRecord) -> list[str] | None:
    """Return the ``-v`` options, with the host folders as resolved."""
    found = {mount.target: mount for mount in record.mounts}
    return [
        ":".join(filter(None, (_source(request, found), request.target, request.written)))
        for request in record.options.mounts
        if request.flag == "volume" and request.source
    ] or None


def _mounts(record: ContainerRecord) -> dict[str, Any]:
    """Return the ``--mount`` options; Docker omits the field if there are none."""
    found = {mount.target: mount for mount in record.mounts}
    shown = [
        _mount(request, _source(request, found))
        for request in record.options.mounts
        if request.flag == "mount"
    ]
    return {"Mounts": shown} if shown else {}


def _source(request: MountRequest, found: Mapping[str, MountRecord]) -> str:
    mount = found.get(request.target)
    return mount.source if request.type == "bind" and mount else request.source


def _mount(request: MountRequest, source: str) -> dict[str, Any]:
    document: dict[str, Any] = {"Type": request.type}
    if source:
        document["Source"] = source
    document["Target"] = request.target
    if request.read_only:
        document["ReadOnly"] = True
    if request.type == "bind" and request.options:
        document["BindOptions"] = {"Propagation": request.options[0]}
    volume: dict[str, Any] = {} if request.copy else {"NoCopy": True}
    if request.labels:
        volume["Labels"] = dict(label.partition("=")[::2] for label in request.labels)
    if request.driver_options:
        options = dict(option.partition("=")[::2] for option in request.driver_options)
        volume["DriverConfig"] = {"Options": options}
    if request.type == "volume" and volume:
        document["VolumeOptions"] = volume
    if request.type == "tmpfs":
        given = {"SizeBytes": request.size, "Mode": request.mode if request.mode != 0o1777 else 0}
        if shown := {name: value for name, value in given.items() if value}:
            document["TmpfsOptions"] = shown
    return document
