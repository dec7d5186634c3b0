"""Docker's ``inspect`` documents, made from records (Docker Engine API v1.43 field names)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.host_config import host_config
from jupyter_containers.engine.containers.sidecars import health_config
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.documents import (
    execution_document,
    healthcheck_document,
    list_or_none,
)
from jupyter_containers.engine.name_files import shown_path
from jupyter_containers.engine.networks.documents import network_settings
from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.errors import NotFoundError
from jupyter_containers.network.model import Network
from jupyter_containers.oci.image import ExecutionConfig, timestamp
from jupyter_containers.oci.state import Status
from jupyter_containers.options.mounts import PROPAGATIONS
from jupyter_containers.runtime.health import read_health
from jupyter_containers.runtime.spec import process_args

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container


def inspected(context: EngineContext, record: ContainerRecord, folder: Path) -> dict[str, Any]:
    """Return the object of ``docker container inspect`` of a container of this host.

    ``folder`` has its bundle.
    """
    networks = {item.id: item for item in context.networks.all()}
    runtime = context.host.runtime
    document = container_document(record, networks, folder, runtime.name if runtime else "")
    document["GraphDriver"] = _graph_driver(context, record, folder)
    return document


def container_document(
    record: ContainerRecord, networks: dict[str, Network], folder: Path, runtime: str
) -> dict[str, Any]:
    """Return the object of ``docker container inspect``; ``networks`` by ID."""
    options = record.options
    args = process_args(record.config, options)
    return {
        "Id": record.id,
        "Created": timestamp(record.created),
        "Path": args[0],
        "Args": list(args[1:]),
        "State": _state(record, folder),
        "Image": record.image_id,
        "ResolvConfPath": shown_path(folder, record.state.monitor, "resolv.conf"),
        "HostnamePath": shown_path(folder, record.state.monitor, "hostname"),
        "HostsPath": shown_path(folder, record.state.monitor, "hosts"),
        "LogPath": str(folder / "container.log"),
        "Name": f"/{record.name}",
        "RestartCount": record.state.restart_count,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": host_config(record, runtime),
        "Mounts": _mounts(record),
        "Config": {
            **execution_document(record.config),
            "Hostname": options.hostname or record.id[:12],
            "Domainname": options.domainname,
            "User": options.user or record.config.user,
            "AttachStdin": options.interactive and not options.detach,
            "AttachStdout": not options.detach,
            "AttachStderr": not options.detach,
            "Tty": options.tty,
            "OpenStdin": options.interactive,
            "StdinOnce": options.interactive and not options.detach,
            "Env": _environment(record),
            "Entrypoint": list_or_none(_entrypoint(record)),
            "Cmd": list_or_none(_command(record)),
            "ExposedPorts": {name: {} for name in _exposed(record)} or None,
            "Volumes": _volumes(record),
            "StopSignal": options.stop_signal or record.config.stop_signal,
            **({"StopTimeout": options.stop_timeout} if options.stop_timeout >= 0 else {}),
            "Healthcheck": healthcheck_document(health_config(record.config, options.health)),
            "Image": options.image,
            "WorkingDir": _workdir(record),
            "Labels": {**record.config.labels, **(options.labels or {})},
        },
        "NetworkSettings": network_settings(record, networks),
    }


def container_summary(container: Container, networks: dict[str, Network]) -> dict[str, Any]:
    """Return the object of a container in Docker's list (``GET /containers/json``)."""
    record = container.record
    settings = network_settings(record, networks)
    return {
        "Id": record.id,
        "Names": [f"/{record.name}"],
        "Image": container.image_shown,
        "ImageID": record.image_id,
        "Command": " ".join(container.argv),
        "Created": int(record.created),
        "Ports": _port_summaries(record),
        "Labels": container.labels,
        "State": str(record.state.status),
        "Status": container.status_text,
        "HostConfig": {"NetworkMode": record.options.network},
        "NetworkSettings": {"Networks": settings["Networks"]},
        "Mounts": _mounts(record),
    }


def _port_summaries(record: ContainerRecord) -> list[dict[str, Any]]:
    if not record.state.status.alive:
        return []
    published: list[dict[str, Any]] = [
        {
            "IP": port.host_ip,
            "PrivatePort": port.container_port,
            "PublicPort": port.host_port,
            "Type": port.protocol,
        }
        for port in record.ports
    ]
    taken = {f"{port.container_port}/{port.protocol}" for port in record.ports}
    for text in dict.fromkeys((*record.config.exposed_ports, *record.options.expose)):
        number, _, protocol = text.partition("/")
        if text not in taken and number.isdecimal():
            published.append({"PrivatePort": int(number), "Type": protocol or "tcp"})
    return published


def effective_config(record: ContainerRecord) -> ExecutionConfig:
    """Return the image's configuration with the container's options applied (``commit``)."""
    options, config = record.options, record.config
    return msgspec.structs.replace(
        config,
        user=options.user or config.user,
        exposed_ports={name: {} for name in _exposed(record)},
        env=tuple(entry for entry in _environment(record) if "=" in entry),
        entrypoint=_entrypoint(record),
        cmd=_command(record),
        working_dir=_workdir(record),
        labels={**config.labels, **(options.labels or {})},
        stop_signal=options.stop_signal or config.stop_signal,
        healthcheck=health_config(config, options.health),
    )


def _environment(record: ContainerRecord) -> list[str]:
    """Return the variables that image and options set; later ones override earlier ones.

    A bare name is a variable that the options remove.
    """
    # In Docker's order: those of the command line first.
    entries: dict[str, str] = {}
    for entry in record.options.env:
        entries[entry.partition("=")[0]] = entry
    for entry in record.config.env:
        entries.setdefault(entry.partition("=")[0], entry)
    return list(entries.values())


def _workdir(record: ContainerRecord) -> str:
    if record.options.workdir:
        return record.options.workdir
    return record.config.cwd if record.config.working_dir else ""


def _entrypoint(record: ContainerRecord) -> tuple[str, ...] | None:
    given = record.options.entrypoint
    return record.config.entrypoint if given is None else given


def _command(record: ContainerRecord) -> tuple[str, ...] | None:
    if record.options.command or record.options.entrypoint is not None:
        return record.options.command
    return record.config.cmd


def _exposed(record: ContainerRecord) -> list[str]:
    published = (port.container for port in record.options.publish)
    return list(dict.fromkeys((*record.config.exposed_ports, *record.options.expose, *published)))


def _volumes(record: ContainerRecord) -> dict[str, dict[str, str]] | None:
    anonymous = [mount.target for mount in record.mounts if mount.anonymous]
    return {name: {} for name in dict.fromkeys((*record.config.volumes, *anonymous))} or None


def _state(record: ContainerRecord, folder: Path) -> dict[str, Any]:
    state = record.state
    health = _health(record, folder)
    return {
        "Status": str(state.status),
        "Running": state.status.up,
        "Paused": state.status is Status.PAUSED,
        "Restarting": state.status is Status.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status is Status.DEAD,
        "Pid": state.process.pid if state.process and state.status.alive else 0,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": timestamp(state.started),
        "FinishedAt": timestamp(state.finished),
        **({"Health": health} if health else {}),
    }


def _health(record: ContainerRecord, folder: Path) -> dict[str, Any] | None:
    health = read_health(folder)
    if health is None:
        return None
    return {
        # As with Docker, a container that is not being checked is not healthy.
        "Status": health.status if record.state.status is Status.RUNNING else "unhealthy",
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": timestamp(result.start),
                "End": timestamp(result.end),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in health.log
        ],
    }


def _mounts(record: ContainerRecord) -> list[dict[str, Any]]:
    """Return all mounts except ``--tmpfs``, which Docker lists in HostConfig only."""
    requests = {request.target: request for request in record.options.mounts}
    shown = []
    for mount in record.mounts:
        request = requests.get(mount.target)
        if request is None or request.flag != "tmpfs":
            shown.append(_mount(mount, request.written if request else ""))
    return shown


def _mount(mount: MountRecord, written: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "Type": mount.type,
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": written,
        "RW": not mount.read_only,
        "Propagation": next((word for word in mount.options if word in PROPAGATIONS), "rprivate")
        if mount.type == "bind"
        else "",
    }
    if mount.type == "volume":
        document |= {"Name": mount.name, "Driver": "local"}
    return document


def _graph_driver(context: EngineContext, record: ContainerRecord, folder: Path) -> dict[str, Any]:
    """Return the folders of a container's files; only its own namespace has them merged."""
    try:
        mount = context.store.snapshots.mount(record.chain_id, record.id)
    except NotFoundError:  # it is being removed
        return {"Data": None, "Name": context.driver.name}
    if not mount.lowers and mount.upper is not None:
        return {"Data": {"Dir": str(mount.upper)}, "Name": "vfs"}  # a copy of all files
    data = {
        "LowerDir": ":".join(str(mount.base / name) for name in mount.lowers),
        "MergedDir": str(Bundle(folder).rootfs),
        "UpperDir": str(mount.upper),
        "WorkDir": str(mount.work),
    }
    return {"Data": data, "Name": "fuse-overlayfs" if mount.fuse else "overlay"}


def log_details(record: ContainerRecord) -> dict[str, str]:
    """Return the labels and variables selected by ``log-opt labels=…`` and ``env=…``."""
    given = record.options.log_opt
    if given is None:
        return {}
    config = effective_config(record)
    pairs = [entry.partition("=") for entry in config.env]
    variables = {name: value for name, _, value in pairs}
    return {
        key: values[key]
        for wanted, values in ((given.labels, config.labels), (given.env, variables))
        for key in wanted
        if key in values
    }
