"""What may be configured, resolved once into one frozen value.

Precedence, lowest first: defaults < the administrator's file (``/etc/jupyter_containers/lab.toml``,
its table ``settings``) < config file (TOML) < environment < overrides (traitlets, keyword arguments
of :class:`~jupyter_containers.Engine`).

The config file is ``$JUPYTER_CONTAINERS_CONFIG`` or ``jupyter_containers/config.toml`` under
``/etc`` (root) or ``$XDG_CONFIG_HOME`` (everyone else).  The environment variable of a field is
``JUPYTER_CONTAINERS_<FIELD>`` in capitals; lists are separated by commas.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.places import file_system, is_remote

# Below the run root: what keeps an ordinary user's namespaces, see the room ``rootless``.
USER_FOLDER = "user"
# What the administrator says for all users: defaults, and limits (:mod:`.engine.quotas`).
LAB_FILE = Path("/etc/jupyter_containers/lab.toml")
# Where ``store share`` keeps images for all users of a machine.
SHARED_STORE = "/var/lib/jupyter-containers-shared"
_NOBODY = 65534
_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")
# Where the store of a user is whose home is on another machine.
LOCAL = Path("/var/tmp")
TrustHostCA = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one engine.

    ``root`` holds images, layers, containers and records and survives a reboot; ``run_root`` holds
    sockets, pid files and locks and does not need to. ``runtime`` is ``auto`` (probed) or the name
    or path of an OCI runtime. ``storage_driver`` is ``auto`` (probed), ``overlay``, ``fuse-
    overlayfs``, or ``vfs``, which copies files where nothing can be mounted. ``publish_address`` is
    where ``-p`` binds when no address is given. ``bridge_name`` is the interface of the default
    network, chosen when empty. ``subnet_pool`` is the IPv4 range (CIDR) that networks take their
    /24 from. ``registry_files`` are Docker's and Podman's own files about registries: mirrors,
    insecure ones, other locations. ``certificate_folders`` hold a folder for each registry with
    authorities (``*.crt``) and client certificates (``*.cert``, ``*.key``). ``additional_stores``
    are folders of images that are shared with everybody (``store share``): they are used here as if
    they had been pulled, and never changed. ``trust_host_ca`` gives RUN steps and containers the
    host's CA bundle: ``auto`` means RUN steps only, and only where the host carries CAs of its own.
    """

    root: Path
    run_root: Path
    runtime: str = "auto"
    storage_driver: str = "auto"
    publish_address: str = "127.0.0.1"
    bridge_name: str = ""
    subnet_pool: str = "10.89.0.0/16"
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    registry_files: tuple[str, ...] = ()
    certificate_folders: tuple[str, ...] = _CERTIFICATES
    max_concurrent_downloads: int = 3
    additional_stores: tuple[str, ...] = (SHARED_STORE,)
    trust_host_ca: TrustHostCA = "auto"
    debian_mirror: str = ""
    stop_timeout: int = 10
    pids_limit: int = 2048
    log_max_bytes: int = 64 * 1024 * 1024


def load_settings(
    environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings that apply to this process.

    Raises :class:`InvalidArgumentError` for an unknown field or a value of the wrong form,
    naming where it came from.
    """
    environ = os.environ if environ is None else environ
    settings = default_settings(environ)
    common = read_lab().get("settings", {})
    settings = _updated(settings, _of_this_user(common, environ), str(LAB_FILE))
    path = config_path(environ)
    if path.is_file():
        settings = _updated(settings, _read_toml(path), str(path))
    prefix = "JUPYTER_CONTAINERS_"
    known = {field.name for field in fields(Settings)}
    from_environ = {
        name.removeprefix(prefix).lower(): value
        for name, value in environ.items()
        if name.startswith(prefix) and name.removeprefix(prefix).lower() in known
    }
    settings = _updated(settings, from_environ, "the environment")
    return _updated(settings, overrides or {}, "the arguments")


def default_settings(environ: Mapping[str, str]) -> Settings:
    """Return the defaults: system folders for root, the user's XDG folders for everyone else."""
    home = Path(environ.get("HOME") or Path.home())
    if os.geteuid() == 0:
        return Settings(
            root=Path("/var/lib/jupyter-containers"),
            run_root=Path("/run/jupyter-containers"),
            registry_files=_registry_files(environ, None),
        )
    name = f"jupyter-containers-{os.geteuid()}"
    root = Path(environ.get("XDG_DATA_HOME") or home / ".local/share") / "jupyter-containers"
    if is_remote(file_system(root)) and not is_remote(file_system(LOCAL)):
        root = LOCAL / name
    runtime = environ.get("XDG_RUNTIME_DIR") or _run_folder()
    return Settings(
        root=root,
        run_root=Path(runtime, "jupyter-containers") if runtime else Path("/tmp", name),
        registry_files=_registry_files(environ, home),
        certificate_folders=(
            str(Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "containers/certs.d")),
            *_CERTIFICATES,
        ),
    )


def _run_folder() -> str:
    """Return the folder that systemd made for the user, also where nobody said so."""
    folder = f"/run/user/{os.geteuid()}"
    return folder if os.access(folder, os.W_OK) else ""


def _registry_files(environ: Mapping[str, str], home: Path | None) -> tuple[str, ...]:
    """Return where Docker and Podman keep what they know about registries.

    Of ``registries.conf`` it is the one that Podman would read: named by the environment, the
    user's own, or the machine's.
    """
    docker, containers = ["/etc/docker/daemon.json"], "/etc/containers/registries.conf"
    if home is not None:
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        docker.append(str(config / "docker/daemon.json"))
        own = config / "containers/registries.conf"
        containers = str(own) if own.exists() else containers
    return (*docker, environ.get("CONTAINERS_REGISTRIES_CONF") or containers)


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which another process comes to the same settings, all of them."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    texts = {
        f"JUPYTER_CONTAINERS_{name.upper()}": ",".join(value)
        if isinstance(value, tuple)
        else str(value)
        for name, value in values.items()
    }
    return {**texts, "JUPYTER_CONTAINERS_CONFIG": os.devnull}


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the config file, whether or not it exists."""
    explicit = environ.get("JUPYTER_CONTAINERS_CONFIG")
    if explicit:
        return Path(explicit)
    if os.geteuid() == 0:
        return Path("/etc/jupyter_containers/config.toml")
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config")
    return Path(base, "jupyter_containers", "config.toml")


def read_lab(path: Path = LAB_FILE) -> dict[str, Any]:
    """Return the administrator's file, empty when there is none.

    Raises :class:`InvalidArgumentError` when others than root can write it, or for bad TOML.
    """
    try:
        state = path.stat()
    except OSError:
        return {}
    # In a user namespace root of the machine is nobody known there.
    if state.st_mode & 0o022 or (state.st_uid not in (0, _NOBODY)):
        raise InvalidArgumentError(
            f"{path} can be changed by others than root",
            hint=f"chown root:root {path} && chmod 644 {path}",
        )
    return _read_toml(path)


def _of_this_user(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return settings with ``{user}``, ``{uid}`` and ``{home}`` filled in in the folders."""
    known = {
        "user": environ.get("USER") or environ.get("LOGNAME") or str(os.getuid()),
        "uid": str(os.getuid()),
        "home": environ.get("HOME") or str(Path.home()),
    }
    filled = dict(values)
    for name in ("root", "run_root"):
        for key, value in known.items():
            if name in filled:
                filled[name] = str(filled[name]).replace("{" + key + "}", value)
    return filled


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        text = path.read_text()
        if len(text) <= _MAX_CHARACTERS:
            return tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"cannot read {path}: {error}") from error
    raise InvalidArgumentError(f"cannot read {path}: it is over 1 MiB")


def _updated(settings: Settings, values: Mapping[str, Any], origin: str) -> Settings:
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise InvalidArgumentError(
                f"unknown setting {name!r} in {origin}",
                hint=f"known settings: {', '.join(sorted(known))}",
            )
        changes[name] = _coerced(name, value, known[name], origin)
    return replace(settings, **changes) if changes else settings


_MAX_CHARACTERS = 1024 * 1024  # of a file of settings
_LARGEST = (1 << 63) - 1  # what records hold
_CHOICES = {"trust_host_ca": ("auto", "always", "never")}


def _coerced(name: str, value: object, default: object, origin: str) -> object:
    try:
        if isinstance(default, Path):
            return _path(str(value))
        if isinstance(default, tuple):
            items = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]  # TOML lists and traitlets lists both arrive here
            return tuple(str(item).strip() for item in items if str(item).strip())
        if isinstance(default, int):
            return _number(str(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidArgumentError(
            f"setting {name} in {origin}: {str(value)[:200]!r} does not fit"
        ) from error
    text = str(value)
    if name in _CHOICES and text not in _CHOICES[name]:
        raise InvalidArgumentError(
            f"setting {name} in {origin}: {text!r} is not one of {', '.join(_CHOICES[name])}"
        )
    return text


def _path(text: str) -> Path:
    """Return an absolute path; RuntimeError for the home folder of a user that is not there."""
    if "\0" in text:
        raise ValueError("a path has no NUL")
    return Path(text).expanduser().absolute()


def _number(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError("over 64 bits")
    return number
