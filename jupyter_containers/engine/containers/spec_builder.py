"""Builds a container's bundle from its record: files, mounts, user and runtime spec.

Runs inside the container's private mount namespace, where its root file system is visible.
Every path that the image or the user names is resolved inside that root.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.proxies import configured, of_environment
from jupyter_containers.engine.containers.shared_namespaces import Shared
from jupyter_containers.engine.containers.sources import mount_folder
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.networks.connections import Connection
from jupyter_containers.engine.networks.host_names import Hostnames
from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.engine.volumes.catalog import fill_from_image
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_modules import json, socket
from jupyter_containers.network import names
from jupyter_containers.network.resolver import ADDRESS
from jupyter_containers.network.usermode import host_address
from jupyter_containers.options.limits import DeviceRequest
from jupyter_containers.options.security import SecurityOption
from jupyter_containers.runtime.confinement import Labels
from jupyter_containers.runtime.devices import host_devices, requested_devices
from jupyter_containers.runtime.host import HostCapabilities
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.nesting import compose
from jupyter_containers.runtime.security import security_options
from jupyter_containers.runtime.spec import (
    BindMount,
    ContainerContext,
    Spec,
    TmpfsMount,
    runtime_spec,
)
from jupyter_containers.runtime.targets import Wish, check_folder, check_targets
from jupyter_containers.runtime.users import User, resolve_user
from jupyter_containers.settings import Settings
from jupyter_containers.trees.rooted import Root

# The runtime creates /dev for every container: the mount point is in no layer.
_APT_TARGET = "/dev/apt-of-one-user.conf"
HOST_CA_TARGET = "/dev/host-ca-certificates.crt"
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)


def assemble(
    context: EngineContext,
    record: ContainerRecord,
    bundle: Bundle,
    connection: Connection,
    hostnames: Hostnames,
    shared: Shared,
    mounts: PrivateMounts,
    labels: Labels,
) -> Spec:
    """Write the bundle's files and return the spec; call it where the root is mounted.

    Nested mounts exist when this returns.
    """
    options, config = record.options, record.config
    requested = tuple(_runtime_mount(mount, shared) for mount in record.mounts)
    # Check the requested sources: the engine shows them at other paths.
    check_mounts(bundle.rootfs, [_runtime_mount(mount, Shared()) for mount in record.mounts])
    if not record.state.started:  # files that users empty later stay empty
        for mount in record.mounts:
            fill_from_image(bundle.rootfs, mount, shared.sources.get(mount.target, ""))
    user = _user_at_home(record, bundle)
    trusting = trusts_host_ca(options.trust_host_ca, context.settings)
    host_mounts, host_env = of_the_host(context.host, bundle, trusting=trusting)
    context.runtime.set_cgroup_parent(record.id, options.cgroup_parent)
    files = _name_files(record, bundle, connection, hostnames, context.host)
    container = ContainerContext(
        container_id=record.id,
        rootfs=str(bundle.rootfs),
        host=context.host,
        user=user,
        hostname=hostname_of(record, connection),
        network={"host": "host", "none": "new"}.get(connection.mode, "path"),  # type: ignore[arg-type]  # literals
        netns=connection.namespace.path if connection.namespace else "",
        mounts=(*requested, *host_mounts),
        hosts_file=files["hosts"],
        resolv_conf=files["resolv.conf"],
        hostname_file=files["hostname"],
        cgroup_path=context.runtime.cgroup_path(record.id),
        devices=host_devices() if options.privileged else (),
        seccomp=seccomp_file(options.security_opt, privileged=options.privileged),
        namespaces=shared.namespaces,
        shm=shared.shm,
        default_pids_limit=context.settings.pids_limit,
        labels=labels,
        no_new_privileges=context.settings.no_new_privileges,
        annotations=options.annotation or {},
    )
    extra_env = (*host_env, *hostnames.link_variables(record))
    spec = runtime_spec(with_environment(config, extra_env), options, container)
    _add_devices(spec, options.device)
    places = mount_folder(context, record.id)
    spec["mounts"] = compose(spec["mounts"], bundle.rootfs, places, mounts)
    bundle.write_spec(spec)
    return spec


def _user_at_home(record: ContainerRecord, bundle: Bundle) -> User:
    """Return the user of the first process, after creating the working directory."""
    options, config = record.options, record.config
    with Root(bundle.rootfs) as root:
        user = resolve_user(
            options.user or config.user,
            root.read_text("/etc/passwd"),
            root.read_text("/etc/group"),
            options.group_add,
        )
        make_folder(root, options.workdir or config.cwd, user)
    return user


def _add_devices(spec: Spec, requests: Sequence[DeviceRequest]) -> None:
    if not requests:
        return
    from jupyter_containers.runtime.cdi import add_device, apply_edits, edits_of

    for request in requests:
        for device in requested_devices(request) if request.path else ():
            add_device(spec, device, request.access)
    apply_edits(spec, edits_of([request.cdi for request in requests if request.cdi]))


def trusts_host_ca(requested: bool | None, settings: Settings) -> bool:
    """Return whether a container gets the host's CAs; builds have a separate rule."""
    return settings.trust_host_ca == "always" if requested is None else requested


def with_environment(config: Any, entries: Sequence[str]) -> Any:
    """Return the configuration with those variables that the image does not set."""
    import msgspec

    if not entries:
        return config
    known = {entry.partition("=")[0] for entry in config.env}
    extra = tuple(entry for entry in entries if entry.partition("=")[0] not in known)
    return msgspec.structs.replace(config, env=(*config.env, *extra))


def of_the_host(
    host: HostCapabilities, bundle: Bundle, *, trusting: bool
) -> tuple[tuple[BindMount, ...], tuple[str, ...]]:
    """Return the mounts and variables that depend on the host.

    These are the host's CAs and proxies for a ``trusting`` container, the proxies of the user's
    Docker configuration, and apt's configuration if only one user exists.
    """
    ca_mounts, ca_variables = _host_ca(host) if trusting else ((), ())
    found = (of_environment(os.environ) if trusting else {}) | configured(os.environ)
    variables = (*ca_variables, *(f"{name}={value}" for name, value in found.items()))
    apt_mounts, apt_variables = _of_one_user(host, bundle)
    return (*ca_mounts, *apt_mounts), (*variables, *apt_variables)


def _host_ca(host: HostCapabilities) -> tuple[tuple[BindMount, ...], tuple[str, ...]]:
    """Return the mount and variables that give a container the host's CAs."""
    bundle = host.ca.bundle
    if bundle is None:
        return (), ()
    mount = BindMount(str(bundle), HOST_CA_TARGET, read_only=True)
    return (mount,), tuple(f"{name}={HOST_CA_TARGET}" for name in _CA_VARIABLES)


def _of_one_user(
    host: HostCapabilities, bundle: Bundle
) -> tuple[tuple[BindMount, ...], tuple[str, ...]]:
    """Return the mount and variable that keep apt running as root if no other user exists.

    It would switch to the user ``_apt`` for downloads, and fail.
    """
    if host.users.size != 1:
        return (), ()
    source = bundle.write("apt.conf", 'APT::Sandbox::User "root";\n')
    return (BindMount(source, _APT_TARGET, read_only=True),), (f"APT_CONFIG={_APT_TARGET}",)


def check_mounts(rootfs: Path, mounts: Sequence[BindMount | TmpfsMount]) -> None:
    """Raise :class:`InvalidArgumentError` for mounts that hide required paths."""
    with Root(rootfs) as root:
        check_targets(root, tuple(Wish(one.target, getattr(one, "source", "")) for one in mounts))


def make_folder(root: Root, path: str, user: User) -> None:
    """Create a missing working directory as Docker does, owned by ``user``."""
    check_folder(root, path)
    try:
        root.make_folders(path, 0o755, user.uid, user.gid)
    except OSError as error:
        raise InvalidArgumentError(
            f"cannot create the working directory {path}: {error.strerror}"
        ) from error


def hostname_of(record: ContainerRecord, connection: Connection) -> str:
    """Return the container's host name: the given one, the host's, or the short ID."""
    if record.options.hostname:
        return record.options.hostname
    if connection.target is not None and connection.mode == "container":
        return connection.target.options.hostname or connection.target.id[:12]
    on_host = connection.mode == "host" or record.options.uts == "host"
    return socket.gethostname() if on_host else record.id[:12]


def _name_files(
    record: ContainerRecord,
    bundle: Bundle,
    connection: Connection,
    hostnames: Hostnames,
    host: HostCapabilities,
) -> dict[str, str]:
    """Write hosts, resolv.conf and hostname, unless shared with another container's network."""
    if connection.target is not None:
        return {name: str(bundle.names / name) for name in ("hosts", "resolv.conf", "hostname")}
    machine = "" if host.users.initial else host_address()
    head = hosts_text(record, connection, machine)
    return {
        "hosts": hostnames.write(record.id, head),
        "resolv.conf": bundle.write_name_file("resolv.conf", resolv_text(record, connection)),
        "hostname": bundle.write_name_file("hostname", hostname_of(record, connection) + "\n"),
    }


def hosts_text(record: ContainerRecord, connection: Connection, machine: str = "") -> str:
    """Return a container's hosts file, without the names of other containers.

    ``machine`` is the machine's own address if the bridge is in a user's namespace.
    """
    options, endpoints = record.options, connection.endpoints
    routed = next((endpoint for endpoint in endpoints if endpoint.gateway), None)
    gateway = routed.gateway if routed else ""
    gateway = gateway and (machine or gateway)
    on_host = connection.mode == "host"
    host_name = hostname_of(record, connection)
    if options.domainname:
        host_name = f"{host_name}.{options.domainname} {host_name}"
    elif "." in host_name and not on_host:
        host_name = f"{host_name} {host_name.partition('.')[0]}"
    return names.hosts_file(
        host_name,
        [
            address
            for endpoint in endpoints
            for address in (endpoint.address, endpoint.address6)
            if address
        ],
        gateway=gateway,
        extra=names.added_hosts(options.add_host, gateway or ("127.0.0.1" if on_host else "")),
        base=_read_text(Path("/etc/hosts")) if on_host else "",
    )


def resolv_text(record: ContainerRecord, connection: Connection) -> str:
    """Return the container's resolver configuration."""
    options = record.options
    if connection.named:
        return names.embedded_resolv_conf(
            names.read_resolv_conf(),
            ADDRESS,
            search=options.dns_search,
            options=options.dns_option,
        )
    return names.resolv_conf(
        names.read_resolv_conf(),
        servers=options.dns,
        search=options.dns_search,
        options=options.dns_option,
        keep_loopback=options.network == "host",
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _runtime_mount(mount: MountRecord, shared: Shared) -> BindMount | TmpfsMount:
    if mount.type == "tmpfs":
        return TmpfsMount(mount.target, mount.size, mount.mode, mount.read_only, mount.options)
    propagation = next((word for word in mount.options if word != "nocopy"), "rprivate")
    source = shared.sources.get(mount.target, mount.source)
    return BindMount(source, mount.target, mount.read_only, propagation, mount.recursion)


def seccomp_file(
    security_opt: Sequence[SecurityOption], *, privileged: bool
) -> Mapping[str, Any] | None:
    """Return the seccomp profile of a security option, read from its file."""
    name = security_options(security_opt, privileged=privileged).seccomp
    if name in ("", "unconfined"):
        return None
    try:
        profile = json.loads(Path(name).read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"cannot read the seccomp profile {name}: {error}") from error
    if not isinstance(profile, dict):
        raise InvalidArgumentError(f"the seccomp profile {name} is not a JSON object")
    return profile
