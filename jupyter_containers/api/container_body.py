"""The bodies of ``POST /containers/create`` and ``update``, and their translation into options."""

from __future__ import annotations

import csv
import io
import os
import shlex
from typing import Any, ClassVar

import msgspec

from jupyter_containers.api.bodies import Fields
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.limits import DeviceLimit, DeviceRequest
from jupyter_containers.options.network import DEFAULT_NETWORK, NetworkRequest, parse_link

_NANO = 1_000_000_000


class HealthTest(Fields):
    """A health check; times in nanoseconds."""

    Test: tuple[str, ...] = ()
    Interval: int = 0
    Timeout: int = 0
    StartPeriod: int = 0
    StartInterval: int = 0
    Retries: int = 0


class Addresses(Fields):
    """The addresses that an endpoint requests."""

    IPv4Address: str = ""
    IPv6Address: str = ""
    LinkLocalIPs: tuple[str, ...] = ()


class EndpointConfig(Fields):
    """The settings of an endpoint; its fields from ``inspect`` are ignored."""

    __harmless__: ClassVar[frozenset[str]] = frozenset(
        {
            "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway",
            "GlobalIPv6Address", "GlobalIPv6PrefixLen", "DNSNames",
        }
    )  # fmt: skip
    IPAMConfig: Addresses = msgspec.field(default_factory=Addresses)
    Links: tuple[str, ...] = ()
    Aliases: tuple[str, ...] = ()
    MacAddress: str = ""
    GwPriority: int = 0
    DriverOpts: dict[str, str] = msgspec.field(default_factory=dict)

    def request(self, name: str, links: tuple[str, ...] = ()) -> NetworkRequest:
        """Return the connection to the network ``name`` that the body requests."""
        addresses = self.IPAMConfig
        return NetworkRequest(
            name,
            aliases=tuple(self.Aliases),
            ip=addresses.IPv4Address,
            ip6=addresses.IPv6Address,
            mac_address=self.MacAddress,
            link_local_ips=tuple(addresses.LinkLocalIPs),
            links=tuple(parse_link(text) for text in (*self.Links, *links)),
            gateway_priority=self.GwPriority,
            driver_options=tuple(self.DriverOpts.items()) or msgspec.UNSET,
        )


class Networking(Fields):
    """The networks to join, by name or ID."""

    EndpointsConfig: dict[str, EndpointConfig] = msgspec.field(default_factory=dict)


class WeightDevice(Fields):
    """The weight of a block device."""

    Path: str
    Weight: int = 0


class ThrottleDevice(Fields):
    """The rate limit of a block device, per second."""

    Path: str
    Rate: int = 0


class Device(Fields):
    """A device of the host."""

    PathOnHost: str = ""
    PathInContainer: str = ""
    CgroupPermissions: str = ""


class DeviceWish(Fields):
    """Devices that a driver chooses (``DeviceRequest``)."""

    Driver: str = ""
    Count: int = 0
    DeviceIDs: tuple[str, ...] = ()
    Capabilities: tuple[tuple[str, ...], ...] = ()
    Options: dict[str, str] = msgspec.field(default_factory=dict)


class Ulimit(Fields):
    """A limit of each process."""

    Name: str
    Soft: int
    Hard: int


class Restart(Fields):
    """When a container that ended is restarted."""

    Name: str = ""
    MaximumRetryCount: int = 0

    @property
    def text(self) -> str:
        """The policy as the flag ``--restart`` writes it."""
        if self.Name == "on-failure" and self.MaximumRetryCount:
            return f"on-failure:{self.MaximumRetryCount}"
        if self.MaximumRetryCount and self.Name != "on-failure":
            raise InvalidArgumentError(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'"
            )
        return self.Name or "no"


class Resources(Fields):
    """Limits; sizes in bytes."""

    __harmless__: ClassVar[frozenset[str]] = frozenset(
        {"CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth", "KernelMemoryTCP"}
    )
    CpuShares: int = 0
    Memory: int = 0
    NanoCpus: int = 0
    CgroupParent: str = ""
    BlkioWeight: int = 0
    BlkioWeightDevice: tuple[WeightDevice, ...] = ()
    BlkioDeviceReadBps: tuple[ThrottleDevice, ...] = ()
    BlkioDeviceWriteBps: tuple[ThrottleDevice, ...] = ()
    BlkioDeviceReadIOps: tuple[ThrottleDevice, ...] = ()
    BlkioDeviceWriteIOps: tuple[ThrottleDevice, ...] = ()
    CpuPeriod: int = 0
    CpuQuota: int = 0
    CpuRealtimePeriod: int = 0
    CpuRealtimeRuntime: int = 0
    CpusetCpus: str = ""
    CpusetMems: str = ""
    Devices: tuple[Device, ...] = ()
    DeviceCgroupRules: tuple[str, ...] = ()
    DeviceRequests: tuple[DeviceWish, ...] = ()
    KernelMemory: int = 0
    MemoryReservation: int = 0
    MemorySwap: int = 0
    MemorySwappiness: int = -1
    OomKillDisable: bool = False
    PidsLimit: int = 0
    Ulimits: tuple[Ulimit, ...] = ()

    def updatable(self) -> dict[str, Any]:
        """Return the limits that ``update`` can change, as flags, without those not given.

        An unlimited number of processes is -1 in the flags, and 0 or less here.
        """
        limits = {
            "cpu_shares": self.CpuShares,
            "memory": self.Memory,
            "cpus": self.NanoCpus / _NANO,
            "blkio_weight": self.BlkioWeight,
            "cpu_period": self.CpuPeriod,
            "cpu_quota": self.CpuQuota,
            "cpu_rt_period": self.CpuRealtimePeriod,
            "cpu_rt_runtime": self.CpuRealtimeRuntime,
            "cpuset_cpus": self.CpusetCpus,
            "cpuset_mems": self.CpusetMems,
            "kernel_memory": self.KernelMemory,
            "memory_reservation": self.MemoryReservation,
            "memory_swap": self.MemorySwap,
            "pids_limit": self.PidsLimit,
        }
        return {name: value for name, value in limits.items() if value}


class Update(Resources):
    """The body of ``POST /containers/{name}/update``."""

    RestartPolicy: Restart | None = None

    def flags(self) -> dict[str, Any]:
        """Return the changes as flags."""
        given = self.updatable()
        if self.RestartPolicy is not None and self.RestartPolicy.Name:
            given["restart"] = self.RestartPolicy.text
        return given


class BindManner(Fields):
    """The options of a bind mount."""

    Propagation: str = ""
    NonRecursive: bool = False
    CreateMountpoint: bool = False
    ReadOnlyNonRecursive: bool = False
    ReadOnlyForceRecursive: bool = False


class VolumeSource(Fields):
    """The driver that creates a volume."""

    Name: str = ""
    Options: dict[str, str] = msgspec.field(default_factory=dict)


class VolumeManner(Fields):
    """The options of a volume mount, and of the volume if it is created."""

    NoCopy: bool = False
    Labels: dict[str, str] = msgspec.field(default_factory=dict)
    DriverConfig: VolumeSource | None = None
    Subpath: str = ""


class TmpfsManner(Fields):
    """The options of a tmpfs mount."""

    SizeBytes: int = 0
    Mode: int = 0


class Mount(Fields):
    """One mount (``--mount``)."""

    __harmless__: ClassVar[frozenset[str]] = frozenset({"Consistency"})
    Type: str = "volume"
    Source: str = ""
    Target: str = ""
    ReadOnly: bool = False
    BindOptions: BindManner | None = None
    VolumeOptions: VolumeManner | None = None
    TmpfsOptions: TmpfsManner | None = None

    @property
    def text(self) -> str:
        """The mount as the flag ``--mount`` writes it."""
        pairs = [f"type={self.Type}", f"target={self.Target}"]
        pairs += [f"source={self.Source}"] if self.Source else []
        pairs += ["readonly"] if self.ReadOnly else []
        if bind := self.BindOptions:
            pairs += [f"bind-propagation={bind.Propagation}"] if bind.Propagation else []
            pairs += ["bind-nonrecursive"] if bind.NonRecursive else []
            pairs += ["bind-create-src"] if bind.CreateMountpoint else []
            pairs += ["bind-recursive=writable"] if bind.ReadOnlyNonRecursive else []
            pairs += ["bind-recursive=readonly"] if bind.ReadOnlyForceRecursive else []
        if volume := self.VolumeOptions:
            pairs += ["volume-nocopy"] if volume.NoCopy else []
            pairs += [f"volume-subpath={volume.Subpath}"] if volume.Subpath else []
            pairs += [f"volume-label={name}={value}" for name, value in volume.Labels.items()]
            driver = volume.DriverConfig or VolumeSource()
            pairs += [f"volume-driver={driver.Name}"] if driver.Name else []
            pairs += [f"volume-opt={name}={value}" for name, value in driver.Options.items()]
        if tmpfs := self.TmpfsOptions:
            pairs += [f"tmpfs-size={tmpfs.SizeBytes}"] if tmpfs.SizeBytes else []
            pairs += [f"tmpfs-mode={tmpfs.Mode:o}"] if tmpfs.Mode else []
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(pairs)
        return line.getvalue()


class PortBinding(Fields):
    """The host address and port of a published port."""

    HostIp: str = ""
    HostPort: str = ""


class Log(Fields):
    """The log driver and its options."""

    Type: str = ""
    Config: dict[str, str] = msgspec.field(default_factory=dict)


class Host(Resources):
    """The part of a container's configuration that depends on its host."""

    __harmless__: ClassVar[frozenset[str]] = Resources.__harmless__ | {
        "ContainerIDFile", "ConsoleSize", "Cgroup",
    }  # fmt: skip
    Binds: tuple[str, ...] = ()
    LogConfig: Log | None = None
    NetworkMode: str = ""
    PortBindings: dict[str, tuple[PortBinding, ...]] = msgspec.field(default_factory=dict)
    RestartPolicy: Restart | None = None
    AutoRemove: bool = False
    VolumeDriver: str = ""
    VolumesFrom: tuple[str, ...] = ()
    Mounts: tuple[Mount, ...] = ()
    CapAdd: tuple[str, ...] = ()
    CapDrop: tuple[str, ...] = ()
    CgroupnsMode: str = ""
    Dns: tuple[str, ...] = ()
    DnsOptions: tuple[str, ...] = ()
    DnsSearch: tuple[str, ...] = ()
    ExtraHosts: tuple[str, ...] = ()
    GroupAdd: tuple[str, ...] = ()
    IpcMode: str = ""
    Links: tuple[str, ...] = ()
    OomScoreAdj: int = 0
    PidMode: str = ""
    Privileged: bool = False
    PublishAllPorts: bool = False
    ReadonlyRootfs: bool = False
    SecurityOpt: tuple[str, ...] = ()
    StorageOpt: dict[str, str] = msgspec.field(default_factory=dict)
    Tmpfs: dict[str, str] = msgspec.field(default_factory=dict)
    UTSMode: str = ""
    UsernsMode: str = ""
    ShmSize: int = 0
    Sysctls: dict[str, str] = msgspec.field(default_factory=dict)
    Runtime: str = ""
    Isolation: str = ""
    Init: bool = False
    Annotations: dict[str, str] = msgspec.field(default_factory=dict)
    MaskedPaths: list[str] | None = None
    ReadonlyPaths: list[str] | None = None


class ContainerBody(Fields):
    """The body of ``POST /containers/create``."""

    __harmless__: ClassVar[frozenset[str]] = frozenset({"ArgsEscaped", "OnBuild", "Shell"})
    Image: str = ""
    Hostname: str = ""
    Domainname: str = ""
    User: str = ""
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ExposedPorts: dict[str, Any] = msgspec.field(default_factory=dict)
    Tty: bool = False
    OpenStdin: bool = False
    StdinOnce: bool = False
    Env: tuple[str, ...] = ()
    Cmd: str | list[str] | None = None
    Healthcheck: HealthTest | None = None
    Volumes: dict[str, Any] = msgspec.field(default_factory=dict)
    WorkingDir: str = ""
    Entrypoint: str | list[str] | None = None
    NetworkDisabled: bool = False
    MacAddress: str = ""
    Labels: dict[str, str] = msgspec.field(default_factory=dict)
    StopSignal: str = ""
    StopTimeout: int | None = None
    Runtime: str = ""  # docker-py's place for that of HostConfig
    HostConfig: Host = msgspec.field(default_factory=Host)
    NetworkingConfig: Networking = msgspec.field(default_factory=Networking)


def container_flags(body: ContainerBody) -> dict[str, Any]:
    """Translate a body into the flags of ``create``, without the image and the command."""
    if not body.Image:
        raise InvalidArgumentError("no image was given: Image is empty")
    flags: dict[str, Any] = {
        "hostname": body.Hostname,
        "domainname": body.Domainname,
        "user": body.User,
        "tty": body.Tty,
        "interactive": body.OpenStdin,
        "detach": not (body.AttachStdin or body.AttachStdout or body.AttachStderr),
        "env": _environment(body.Env),
        "labels": body.Labels,
        "workdir": body.WorkingDir,
        "expose": list(body.ExposedPorts),
        "stop_signal": body.StopSignal,
        "stop_timeout": body.StopTimeout,
        **_entrypoint(body.Entrypoint),
        **_health(body.Healthcheck),
        **_host_flags(body.HostConfig, list(body.Volumes)),
        "runtime": body.HostConfig.Runtime or body.Runtime,
        "network": _networks(body),
    }
    return {name: value for name, value in flags.items() if value not in (None, "", [], {}, ())}


def command_of(body: ContainerBody) -> list[str] | None:
    """Return the words of the command; a string is a single word, as with Docker."""
    return [body.Cmd] if isinstance(body.Cmd, str) else body.Cmd


def _environment(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        # In Docker a bare name removes the image's variable; here it would read the service's own.
        if "=" not in entry and entry in os.environ:
            raise InvalidArgumentError(f"the variable {entry} in Env has no value")
        if not entry or entry.startswith("="):
            raise InvalidArgumentError(f"invalid environment variable: {entry}")
    return entries


def _entrypoint(value: str | list[str] | None) -> dict[str, Any]:
    if value is None:
        return {}
    words = [value] if isinstance(value, str) else value
    return {"entrypoint": () if words == [""] else tuple(words)} if words else {}


def _health(check: HealthTest | None) -> dict[str, Any]:
    if check is None:
        return {}
    kind, *words = check.Test or [""]
    flags: dict[str, Any] = {}
    if kind == "NONE":
        return {"no_healthcheck": True}
    if kind == "CMD":
        flags["health_cmd"] = shlex.join(words)
    elif kind == "CMD-SHELL":
        flags["health_cmd"] = " ".join(words)
    elif kind:
        raise InvalidArgumentError(f"invalid Healthcheck.Test: {kind!r} is not a kind of test")
    times = {
        "interval": check.Interval,
        "timeout": check.Timeout,
        "start_period": check.StartPeriod,
        "start_interval": check.StartInterval,
    }
    flags |= {f"health_{name}": f"{value}ns" for name, value in times.items() if value}
    if check.Retries:
        flags["health_retries"] = check.Retries
    return flags


def _networks(body: ContainerBody) -> list[NetworkRequest]:
    """Return the networks to join, the one of the network mode first."""
    endpoints = dict(body.NetworkingConfig.EndpointsConfig)
    mode = body.HostConfig.NetworkMode
    if body.NetworkDisabled:
        mode, endpoints = "none", {}
    if mode in ("", "default"):
        mode = DEFAULT_NETWORK if mode or not endpoints else next(iter(endpoints))
    first = endpoints.pop(mode, None) or endpoints.pop("default", None) or EndpointConfig()
    if body.MacAddress and not first.MacAddress:
        first.MacAddress = body.MacAddress
    requests = [first.request(mode, tuple(body.HostConfig.Links))]
    return requests + [config.request(name) for name, config in endpoints.items()]


def _host_flags(host: Host, volumes: list[str]) -> dict[str, Any]:
    if host.ShmSize < 0:
        raise InvalidArgumentError("SHM size can not be less than 0")
    log = host.LogConfig or Log()
    flags: dict[str, Any] = {
        "volume": [*(_bind(text) for text in host.Binds), *_anonymous(host, volumes)],
        "mount": [mount.text for mount in host.Mounts],
        "tmpfs": [f"{path}:{options}" if options else path for path, options in host.Tmpfs.items()],
        "log_driver": log.Type,
        "log_opt": log.Config,
        "publish": _published(host.PortBindings),
        "restart": host.RestartPolicy.text if host.RestartPolicy else "",
        "rm": host.AutoRemove,
        "volume_driver": host.VolumeDriver,
        "volumes_from": host.VolumesFrom,
        "cap_add": host.CapAdd,
        "cap_drop": host.CapDrop,
        "cgroupns": host.CgroupnsMode,
        "dns": host.Dns,
        "dns_option": host.DnsOptions,
        "dns_search": host.DnsSearch,
        "add_host": host.ExtraHosts,
        "group_add": host.GroupAdd,
        "ipc": host.IpcMode,
        "oom_score_adj": host.OomScoreAdj,
        "pid": host.PidMode,
        "privileged": host.Privileged,
        "publish_all": host.PublishAllPorts,
        "read_only": host.ReadonlyRootfs,
        "security_opt": [*host.SecurityOpt, *_unmasked(host)],
        "storage_opt": host.StorageOpt,
        "uts": host.UTSMode,
        "userns": host.UsernsMode,
        "shm_size": host.ShmSize or None,
        "sysctl": host.Sysctls,
        "isolation": host.Isolation,
        "init": host.Init,
        "annotation": host.Annotations,
        **host.updatable(),
        "cgroup_parent": host.CgroupParent,
        "memory_swappiness": host.MemorySwappiness,
        "oom_kill_disable": host.OomKillDisable,
        "device_cgroup_rule": host.DeviceCgroupRules,
        "device": _devices(host),
        "ulimit": [f"{one.Name}={one.Soft}:{one.Hard}" for one in host.Ulimits],
        "blkio_weight_device": tuple(DeviceLimit(d.Path, d.Weight) for d in host.BlkioWeightDevice),
        "device_read_bps": _rates(host.BlkioDeviceReadBps),
        "device_write_bps": _rates(host.BlkioDeviceWriteBps),
        "device_read_iops": _rates(host.BlkioDeviceReadIOps),
        "device_write_iops": _rates(host.BlkioDeviceWriteIOps),
    }
    return flags


def _rates(limits: tuple[ThrottleDevice, ...]) -> tuple[DeviceLimit, ...]:
    return tuple(DeviceLimit(one.Path, one.Rate) for one in limits)


def _bind(text: str) -> str:
    # The service has another working directory than the client: a relative path means nothing.
    if text.startswith((".", "~")):
        raise InvalidArgumentError(f"invalid bind: {text!r}: its source is not an absolute path")
    return text


def _anonymous(host: Host, volumes: list[str]) -> list[str]:
    """Return the anonymous volumes at whose paths nothing else is mounted."""
    taken = {text.split(":")[1] for text in host.Binds if ":" in text}
    taken |= {mount.Target for mount in host.Mounts} | set(host.Tmpfs)
    return [path for path in volumes if path not in taken]


def _unmasked(host: Host) -> list[str]:
    if host.MaskedPaths is None and host.ReadonlyPaths is None:
        return []
    if not host.MaskedPaths and not host.ReadonlyPaths:
        return ["systempaths=unconfined"]
    from jupyter_containers.runtime.security import MASKED_PATHS, READONLY_PATHS

    usual = set(host.MaskedPaths or MASKED_PATHS) <= set(MASKED_PATHS) and set(
        host.ReadonlyPaths or READONLY_PATHS
    ) <= set(READONLY_PATHS)
    if not usual:
        raise UnsupportedError(
            "HostConfig.MaskedPaths and ReadonlyPaths must be the defaults or empty",
            capability="masked paths",
            provided_by="omit them, or give two empty lists",
        )
    return []


def _published(bindings: dict[str, tuple[PortBinding, ...]]) -> list[str]:
    texts = []
    for port, places in bindings.items():
        for place in places or (PortBinding(),):
            address = f"[{place.HostIp}]" if ":" in place.HostIp else place.HostIp
            if address:
                texts.append(f"{address}:{place.HostPort}:{port}")
            else:
                texts.append(f"{place.HostPort}:{port}" if place.HostPort else port)
    return texts


def _devices(host: Host) -> tuple[DeviceRequest, ...]:
    from jupyter_containers.options.limits import parse_device, parse_gpus

    found = [
        parse_device(
            ":".join(
                (
                    device.PathOnHost,
                    device.PathInContainer or device.PathOnHost,
                    device.CgroupPermissions or "rwm",
                )
            )
        )
        for device in host.Devices
    ]
    for wish in host.DeviceRequests:
        if wish.Driver == "cdi":
            found += [DeviceRequest(cdi=name) for name in wish.DeviceIDs]
        elif "gpu" in [word for group in wish.Capabilities for word in group]:
            ids = ",".join(wish.DeviceIDs)
            count = "all" if wish.Count < 0 else str(wish.Count)
            found += parse_gpus(f"device={ids}" if ids else count)
        else:
            raise UnsupportedError(
                "HostConfig.DeviceRequests must name the driver cdi, or request gpus",
                capability=f"device driver {wish.Driver}",
                provided_by="name a CDI device",
            )
    return tuple(found)
