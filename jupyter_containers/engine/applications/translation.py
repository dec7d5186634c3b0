"""Translate a service of a Compose file into the flags of ``create``; every field is handled here.

Unsupported fields are in :mod:`.unsupported`.  The names of containers, volumes and networks
come from the project; paths are absolute already.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_containers.compose import quantities
from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications.observed import Attached
from jupyter_containers.engine.applications.planning import container_name
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.options.limits import DeviceLimit
from jupyter_containers.options.mounts import MountRequest, parse_tmpfs
from jupyter_containers.options.network import NetworkRequest, parse_link
from jupyter_containers.options.values import check_name

_RESTART = {"none": "no", "on-failure": "on-failure", "any": "always", "": "always"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The values on which a container's flags depend besides its service.

    ``ids`` are the container IDs that services stand for in ``service:NAME``; ``names`` the names
    of a service's containers, for links; ``files`` the mounts of secrets and configs; if
    ``aliased`` is false, other containers cannot resolve it by the service's name.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inherits: tuple[Attached, ...] = ()
    files: tuple[MountRequest, ...] = ()
    aliased: bool = True


def container_flags(project: Project, service: str, around: Surroundings) -> dict[str, Any]:
    """Return the flags of ``create`` that a container of a service needs."""
    model = project.services[service]
    flags: dict[str, Any] = {
        "name": around.name,
        "labels": dict(around.labels),
        "platform": model.get("platform", ""),
        "network": _networks(project, service, model, around),
        "mounts": (*_mounts(project, model, around), *around.files),
        "volumes_from": _volumes_from(model, around),
        **_process(model),
        **_shared_namespaces(model, around),
        **_health(model.get("healthcheck") or {}),
        **_limits(model),
        **_rates(model.get("blkio_config") or {}),
        **_security(model),
        **_names(model),
        **_ports(model),
        **_logging(model.get("logging") or {}),
        "restart": restart_policy(model),
        "gpus": _gpus(model),
        "device": _devices(model),
        "annotation": model.get("annotations"),
        "init": model.get("init"),
        "runtime": model.get("runtime", ""),
        "storage_opt": model.get("storage_opt"),
        "shm_size": int(model["shm_size"]) if model.get("shm_size") else None,
    }
    return {name: value for name, value in flags.items() if value not in (None, "", [], {}, ())}


def command_of(model: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the words of a service's command; None for the image's command."""
    found: Sequence[str] | None = model.get("command")
    return found


def environment(entries: Mapping[str, str | None]) -> list[str]:
    """Return variables as ``NAME=value``; one without a value is left out."""
    return [f"{name}={value}" for name, value in entries.items() if value is not None]


def _process(model: Mapping[str, Any]) -> dict[str, Any]:
    entrypoint = model.get("entrypoint")
    grace = model.get("stop_grace_period")
    seconds = None if grace is None else (quantities.nanoseconds(grace) or 0) / 10**9
    return {
        "env": environment(model.get("environment") or {}),
        "user": model.get("user", ""),
        "group_add": model.get("group_add"),
        "workdir": model.get("working_dir", ""),
        "tty": model.get("tty", False) or None,
        "interactive": model.get("stdin_open", False) or None,
        "stop_signal": model.get("stop_signal", ""),
        "stop_timeout": None if seconds is None else int(seconds),
        **({} if entrypoint is None else {"entrypoint": tuple(entrypoint) or ("",)}),
    }


def _names(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hostname": model.get("hostname", ""),
        "domainname": model.get("domainname", ""),
        "add_host": [text.replace("=", ":", 1) for text in model.get("extra_hosts", ())],
        "dns": model.get("dns"),
        "dns_option": model.get("dns_opt"),
        "dns_search": model.get("dns_search"),
    }


def _security(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cap_add": model.get("cap_add"),
        "cap_drop": model.get("cap_drop"),
        "privileged": model.get("privileged"),
        "read_only": model.get("read_only"),
        "security_opt": model.get("security_opt"),
        "sysctl": model.get("sysctls"),
        "uts": model.get("uts", ""),
        "userns": model.get("userns_mode", ""),
        "cgroupns": model.get("cgroup", ""),
        "cgroup_parent": model.get("cgroup_parent", ""),
    }


def _shared_namespaces(model: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
    return {
        word: _container(str(model.get(word) or ""), around)
        for word in ("ipc", "pid")
        if model.get(word)
    }


def _container(text: str, around: Surroundings) -> str:
    """Return a mode with ``service:NAME`` replaced by the container's ID."""
    return f"container:{around.ids[text[8:]]}" if text.startswith("service:") else text


def _volumes_from(model: Mapping[str, Any], around: Surroundings) -> list[str]:
    found = []
    for text in model.get("volumes_from", ()):
        first, _, rest = str(text).partition(":")
        if first == "container":
            found.append(rest)
        else:
            found.append(":".join(filter(None, (around.ids[first], rest))))
    return found


# -- networks ------------------------------------------------------------------------------------


def _networks(
    project: Project, service: str, model: Mapping[str, Any], around: Surroundings
) -> list[NetworkRequest]:
    """Return the networks to join, the one with the highest priority first."""
    mode = str(model.get("network_mode") or "")
    links = _links(model, around)
    if mode:
        mode = _container(mode, around)
        on_bridge = links if mode in ("bridge", "default") else ()
        return [NetworkRequest("bridge" if mode == "default" else mode, links=on_bridge)]
    joined = model.get("networks") or {}
    names = sorted(joined, key=lambda key: (-int((joined[key] or {}).get("priority", 0)), key))
    found = [_network(project, service, key, joined[key] or {}, links, around) for key in names]
    own = model.get("mac_address")
    if own and found and not found[0].mac_address:
        import dataclasses

        found[0] = dataclasses.replace(found[0], mac_address=own)
    return found or [NetworkRequest("none")]


def _network(
    project: Project,
    service: str,
    key: str,
    model: Mapping[str, Any],
    links: tuple[tuple[str, str], ...],
    around: Surroundings,
) -> NetworkRequest:
    aliases = [around.name]
    if around.aliased:
        aliases += [service, *model.get("aliases", ())]
    return NetworkRequest(
        network_name(project, key),
        aliases=tuple(dict.fromkeys(aliases)),
        ip=model.get("ipv4_address", ""),
        ip6=model.get("ipv6_address", ""),
        mac_address=model.get("mac_address", ""),
        link_local_ips=tuple(model.get("link_local_ips", ())),
        links=links,
        gateway_priority=int(model.get("gw_priority", 0)),
    )


def network_name(project: Project, key: str) -> str:
    """Return the name of a network that a file declares."""
    return str(((project.model.get("networks") or {}).get(key) or {}).get("name") or key)


def _links(model: Mapping[str, Any], around: Surroundings) -> tuple[tuple[str, str], ...]:
    found: dict[tuple[str, str], None] = {}
    for text in model.get("links", ()):
        service, _, alias = str(text).partition(":")
        for name in around.names.get(service, ()):
            for word in (alias or service, name):
                found[name, word] = None
    for text in model.get("external_links", ()):
        found[parse_link(str(text))] = None
    return tuple(found)


def _ports(model: Mapping[str, Any]) -> dict[str, Any]:
    publish, expose = [], [str(one) for one in model.get("expose", ())]
    for port in model.get("ports", ()):
        inside = f"{port['target']}/{port.get('protocol', 'tcp')}"
        published, address = port.get("published", ""), port.get("host_ip", "")
        if ":" in address:
            address = f"[{address}]"
        if address:
            publish.append(f"{address}:{published}:{inside}")
        else:
            publish.append(f"{published}:{inside}" if published else inside)
    return {"publish": publish, "expose": expose}


# -- mounts --------------------------------------------------------------------------------------


def _mounts(
    project: Project, model: Mapping[str, Any], around: Surroundings
) -> tuple[MountRequest, ...]:
    inherited = {item.target: item for item in around.inherits}
    found: dict[str, MountRequest] = {}
    for text in model.get("tmpfs", ()):
        request = parse_tmpfs(text)
        found[request.target] = request
    for item in model.get("volumes", ()):
        if not item.get("source") and item["target"] in inherited:
            continue
        found[item["target"]] = _mount(project, item)
    for target, kept in inherited.items():
        found[target] = MountRequest("volume", target, kept.volume, read_only=kept.read_only)
    return tuple(found.values())


def _mount(project: Project, item: Mapping[str, Any]) -> MountRequest:
    target, read_only = item["target"], bool(item.get("read_only"))
    if item["type"] == "bind":
        bind = item.get("bind") or {}
        return MountRequest(
            "bind",
            target,
            item["source"],
            read_only=read_only,
            options=(bind["propagation"],) if bind.get("propagation") else (),
            create_source=bool(bind.get("create_host_path")),
            recursion=bind.get("recursive") or "enabled",
            relabel=bind.get("selinux", ""),
            flag="volume",
            written="ro" if read_only else "rw",
        )
    if item["type"] == "tmpfs":
        tmpfs = item.get("tmpfs") or {}
        return MountRequest(
            "tmpfs",
            target,
            read_only=read_only,
            size=int(tmpfs.get("size", 0)),
            mode=int(tmpfs.get("mode", 0o1777)),
        )
    volume = item.get("volume") or {}
    source = volume_name(project, item["source"]) if item.get("source") else ""
    return MountRequest(
        "volume",
        target,
        source,
        read_only=read_only,
        copy=not volume.get("nocopy"),
        subpath=volume.get("subpath", ""),
        labels=tuple(f"{name}={value}" for name, value in (volume.get("labels") or {}).items()),
        flag="volume",
        written=("ro" if read_only else "rw") if source else "",
    )


def volume_name(project: Project, key: str) -> str:
    """Return the name of a volume that a file declares; raise if the name is invalid."""
    declared = (project.model.get("volumes") or {}).get(key) or {}
    name = str(declared.get("name") or f"{project.name}_{key}")
    check_name(name, "volume")
    return name


# -- limits and devices --------------------------------------------------------------------------


def _limits(model: Mapping[str, Any]) -> dict[str, Any]:
    resources = (model.get("deploy") or {}).get("resources") or {}
    limits, reservations = resources.get("limits") or {}, resources.get("reservations") or {}
    swap = model.get("memswap_limit")
    flags = {
        "memory": _bytes(limits.get("memory") or model.get("mem_limit")),
        "memory_reservation": _bytes(reservations.get("memory") or model.get("mem_reservation")),
        "memory_swap": _bytes(swap),
        "memory_swappiness": _bytes(model.get("mem_swappiness")),
        "cpus": limits.get("cpus") or model.get("cpus"),
        "cpu_shares": model.get("cpu_shares"),
        "cpu_period": model.get("cpu_period"),
        "cpu_quota": model.get("cpu_quota"),
        "cpu_rt_period": model.get("cpu_rt_period"),
        "cpu_rt_runtime": model.get("cpu_rt_runtime"),
        "cpuset_cpus": model.get("cpuset"),
        "pids_limit": limits.get("pids") or model.get("pids_limit"),
        "oom_kill_disable": model.get("oom_kill_disable"),
        "oom_score_adj": model.get("oom_score_adj"),
        "device_cgroup_rule": model.get("device_cgroup_rules"),
        "ulimit": _ulimits(model.get("ulimits") or {}),
    }
    return {
        name: int(value) if name.startswith("cpu_") and isinstance(value, str) else value
        for name, value in flags.items()
    }


def _bytes(value: Any) -> int | None:
    return None if value is None else int(value)


def _ulimits(entries: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in entries.items():
        if isinstance(value, Mapping):
            found.append(f"{name}={value.get('soft', 0)}:{value.get('hard', 0)}")
        else:
            found.append(f"{name}={value}:{value}")
    return found


def _rates(model: Mapping[str, Any]) -> dict[str, Any]:
    words = ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")
    return {
        "blkio_weight": model.get("weight"),
        "blkio_weight_device": tuple(
            DeviceLimit(item["Path"], int(item.get("Weight", 0)))
            for item in model.get("weight_device", ())
        ),
        **{
            word: tuple(
                DeviceLimit(item["Path"], int(item.get("Rate", 0))) for item in model.get(word, ())
            )
            for word in words
        },
    }


def _devices(model: Mapping[str, Any]) -> list[str]:
    found = []
    for item in model.get("devices", ()):
        source, target = item["source"], item.get("target") or item["source"]
        if not source.startswith("/") and "=" in source:
            found.append(source)  # a CDI device name
        else:
            found.append(f"{source}:{target}:{item.get('permissions') or 'rwm'}")
    return found + [name for item in _reserved(model) for name in _cdi(item)]


def _reserved(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    resources = (model.get("deploy") or {}).get("resources") or {}
    return list((resources.get("reservations") or {}).get("devices") or ())


def _cdi(item: Mapping[str, Any]) -> list[str]:
    return list(item.get("device_ids", ())) if item.get("driver") == "cdi" else []


def _gpus(model: Mapping[str, Any]) -> str:
    """Return the value of ``--gpus`` for the requested GPUs."""
    for item in (*model.get("gpus", ()), *_reserved(model)):
        if item.get("driver") == "cdi":
            continue
        if item.get("device_ids"):
            return f"device={','.join(item['device_ids'])}"
        count = item.get("count", -1)
        return "all" if count == -1 else str(count)
    return ""


# -- health, restarts, logs ----------------------------------------------------------------------


def _health(check: Mapping[str, Any]) -> dict[str, Any]:
    kind, *words = check.get("test") or [""]
    if check.get("disable") or kind == "NONE":
        return {"no_healthcheck": True}
    flags: dict[str, Any] = {}
    if kind == "CMD":
        flags["health_cmd"] = shlex.join(words)
    elif kind == "CMD-SHELL":
        flags["health_cmd"] = " ".join(words)
    for word in ("interval", "timeout", "start_period", "start_interval"):
        if quantities.nanoseconds(check.get(word, "0")):
            flags[f"health_{word}"] = check[word]
    if check.get("retries"):
        flags["health_retries"] = int(check["retries"])
    return flags


def restart_policy(model: Mapping[str, Any]) -> str:
    """Return the value of ``--restart`` for ``restart`` or ``deploy.restart_policy``."""
    own = model.get("restart", "")
    if own:
        return str(own)
    policy = (model.get("deploy") or {}).get("restart_policy")
    if not policy:
        return ""
    word = _RESTART.get(policy.get("condition", ""), policy.get("condition", ""))
    attempts = policy.get("max_attempts", 0)
    return f"{word}:{attempts}" if word == "on-failure" and attempts else word


def _logging(model: Mapping[str, Any]) -> dict[str, Any]:
    return {"log_driver": model.get("driver", ""), "log_opt": model.get("options")}


def network_flags(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags of ``network create`` for a declared network."""
    ipam = model.get("ipam") or {}
    configs = ipam.get("config") or ()
    flags: dict[str, Any] = {
        "driver": model.get("driver", ""),
        "opt": model.get("driver_opts"),
        "internal": model.get("internal"),
        "attachable": model.get("attachable"),
        "ipv6": model.get("enable_ipv6"),
        "ipam_driver": ipam.get("driver", ""),
        "subnet": [item["subnet"] for item in configs if item.get("subnet")],
        "gateway": [item["gateway"] for item in configs if item.get("gateway")],
        "ip_range": [item["ip_range"] for item in configs if item.get("ip_range")],
        "aux_address": {
            name: address
            for item in configs
            for name, address in (item.get("aux_addresses") or {}).items()
        },
    }
    return {name: value for name, value in flags.items() if value not in (None, "", [], {})}


def service_names(project: Project, service: str, count: int) -> list[str]:
    """Return the names of a service's first ``count`` containers."""
    return [container_name(project, service, number + 1) for number in range(count)]


def hook_flags(hook: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags of ``exec`` for a hook."""
    flags = {
        "user": hook.get("user", ""),
        "privileged": hook.get("privileged"),
        "workdir": hook.get("working_dir", ""),
        "env": environment(hook.get("environment") or {}),
    }
    return {name: value for name, value in flags.items() if value}
