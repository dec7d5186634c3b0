"""Docker's ``HostConfig``: what a container was asked to be on its host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.options.limits import DeviceLimit
from jupyter_containers.options.mounts import MountRequest
from jupyter_containers.options.network import DEFAULT_NETWORK
from jupyter_containers.options.values import parse_restart
from jupyter_containers.runtime.resources import parse_ulimit
from jupyter_containers.runtime.security import MASKED_PATHS, READONLY_PATHS, security_options


def host_config(record: ContainerRecord, runtime: str) -> dict[str, Any]:
    """Return the object of a container's ``inspect``."""
    options = record.options
    policy, retries = parse_restart(options.restart)
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in sorted(options.publish, key=lambda port: (port.container_port, port.protocol)):
        bindings.setdefault(port.container, []).append(
            {"HostIp": port.host_ip, "HostPort": port.host}
        )
    return {
        "AutoRemove": options.rm,
        "Binds": _binds(record),
        "CapAdd": list(options.cap_add) or None,
        "CapDrop": list(options.cap_drop) or None,
        "ContainerIDFile": options.cidfile,
        "Dns": list(options.dns),
        "DnsOptions": list(options.dns_option),
        "DnsSearch": list(options.dns_search),
        "ExtraHosts": list(options.add_host) or None,
        "GroupAdd": list(options.group_add) or None,
        "Init": options.init or None,
        "Links": _links(record),
        "LogConfig": {
            "Type": options.log_driver or "json-file",
            "Config": dict(sorted((options.log_opt or {}).items())),
        },
        **_mounts(record),
        "NetworkMode": options.network,
        "PortBindings": bindings,
        "PublishAllPorts": options.publish_all,
        "ReadonlyRootfs": options.read_only,
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": retries},
        "Runtime": runtime,
        "ShmSize": options.shm_size,
        "StorageOpt": dict(options.storage_opt or {}) or None,
        "Tmpfs": {
            request.target: request.written for request in options.mounts if request.flag == "tmpfs"
        }
        or None,
        "VolumeDriver": options.volume_driver,
        "VolumesFrom": list(options.volumes_from) or None,
        **_isolation(record),
        **_resources(record),
        **_OTHER_SYSTEMS,
    }


# Fields that have a meaning on Windows or with older kernels only: programs look for them.
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
    """Return the links on the default network; those on others are told with these networks."""
    on_default = (item for item in record.networks if item.name == DEFAULT_NETWORK)
    return [
        f"/{name}:/{record.name}/{alias}" for item in on_default for name, alias in item.links
    ] or None


def _isolation(record: ContainerRecord) -> dict[str, Any]:
    options = record.options
    unmasked = security_options(options.security_opt, privileged=options.privileged).unmasked
    return {
        "Annotations": dict(options.annotation or {}) or None,
        "CgroupnsMode": options.cgroupns or "private",
        "IpcMode": options.ipc or "private",
        "MaskedPaths": None if unmasked else list(MASKED_PATHS),
        "PidMode": options.pid,
        "Privileged": options.privileged,
        "ReadonlyPaths": None if unmasked else list(READONLY_PATHS),
        "SecurityOpt": list(options.security_opt) or None,
        "Sysctls": dict(options.sysctl or {}) or None,
        "UTSMode": options.uts,
        "UsernsMode": options.userns,
    }


def _resources(record: ContainerRecord) -> dict[str, Any]:
    options = record.options
    return {
        "BlkioDeviceReadBps": _rates(options.device_read_bps, "Rate"),
        "BlkioDeviceReadIOps": _rates(options.device_read_iops, "Rate"),
        "BlkioDeviceWriteBps": _rates(options.device_write_bps, "Rate"),
        "BlkioDeviceWriteIOps": _rates(options.device_write_iops, "Rate"),
        "BlkioWeight": options.blkio_weight,
        "BlkioWeightDevice": _rates(options.blkio_weight_device, "Weight"),
        "CgroupParent": options.cgroup_parent,
        "CpuPeriod": options.cpu_period,
        "CpuQuota": options.cpu_quota,
        "CpuRealtimePeriod": options.cpu_rt_period,
        "CpuRealtimeRuntime": options.cpu_rt_runtime,
        "CpuShares": options.cpu_shares,
        "CpusetCpus": options.cpuset_cpus,
        "CpusetMems": options.cpuset_mems,
        "DeviceCgroupRules": list(options.device_cgroup_rule) or None,
        "DeviceRequests": _cdi_requests(record),
        "Devices": [
            {
                "PathOnHost": device.path,
                "PathInContainer": device.target,
                "CgroupPermissions": device.access,
            }
            for device in options.device
            if device.path
        ],
        "KernelMemory": options.kernel_memory,
        "Memory": options.memory,
        "MemoryReservation": options.memory_reservation,
        "MemorySwap": options.memory_swap or 2 * options.memory,
        "MemorySwappiness": options.memory_swappiness if options.memory_swappiness >= 0 else None,
        "NanoCpus": round(options.cpus * 1e9),
        "OomKillDisable": options.oom_kill_disable,
        "OomScoreAdj": options.oom_score_adj,
        "PidsLimit": options.pids_limit or None,
        "Ulimits": _ulimits(options.ulimit),
    }


def _rates(limits: Sequence[DeviceLimit], word: str) -> list[dict[str, Any]] | None:
    return [{"Path": limit.path, word: limit.value} for limit in limits] or None


def _cdi_requests(record: ContainerRecord) -> list[dict[str, Any]] | None:
    names = [device.cdi for device in record.options.device if device.cdi]
    return [{"Driver": "cdi", "DeviceIDs": names}] if names else None


def _ulimits(texts: tuple[str, ...]) -> list[dict[str, Any]] | None:
    parsed = [parse_ulimit(text) for text in texts]
    return [{"Name": name, "Hard": hard, "Soft": soft} for name, soft, hard in parsed] or None


def _binds(record: ContainerRecord) -> list[str] | None:
    """Return what ``-v`` asked for, with the folders as they were found."""
    found = {mount.target: mount for mount in record.mounts}
    return [
        ":".join(filter(None, (_source(request, found), request.target, request.written)))
        for request in record.options.mounts
        if request.flag == "volume" and request.source
    ] or None


def _mounts(record: ContainerRecord) -> dict[str, Any]:
    """Return what ``--mount`` asked for; Docker leaves the field out where there is none."""
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
