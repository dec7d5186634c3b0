"""What may be configured, resolved once into one frozen value.

Precedence, lowest first: defaults < the administrator's file (``/etc/jupyter_containers/lab.toml``,
its table ``settings``) < config file (TOML) < environment < overrides (traitlets, keyword arguments
of :class:`~jupyter_containers.Engine`).  What the administrator's file locks, no other changes.

The config file is ``$JUPYTER_CONTAINERS_CONFIG`` or ``jupyter_containers/config.toml`` under
``/etc`` (root) or ``$XDG_CONFIG_HOME`` (everyone else).  The environment variable of a field is
``JUPYTER_CONTAINERS_<FIELD>`` in capitals; lists are separated by commas.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from jupyter_containers.errors import DeniedError, InvalidArgumentError, UntrustedPlaceError
from jupyter_containers.layout import Layout, StoreLayout
from jupyter_containers.places import check_place, file_system, initial_namespace, is_remote

# What the administrator says for all users: defaults, and limits (:mod:`.engine.quotas`).
LAB_FILE = Path("/etc/jupyter_containers/lab.toml")
# Where ``store share`` keeps images for all users of a machine.
SHARED_STORE = "/var/lib/jupyter-containers-shared"
# What the machine says about registries; others can only add to it.
SYSTEM_REGISTRY_FILES = (Path("/etc/docker/daemon.json"), Path("/etc/containers/registries.conf"))
_NOBODY = 65534
_ALL_IDS = 2**32 - 1
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
    ``result_max_bytes`` are read of one run's results (``-o``) at most.  ``no_new_privileges``
    takes the power of set-user-ID programs (sudo, su) from containers and RUN steps that do not ask
    for it with ``--security-opt no-new-privileges=false``.
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
    no_new_privileges: bool = False
    log_max_bytes: int = 64 * 1024 * 1024
    result_max_bytes: int = 1024 * 1024 * 1024

    @property
    def layout(self) -> Layout:
        """The folders and files below ``root`` and ``run_root``."""
        return Layout(self.root, self.run_root)


def load_settings(
    environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings that apply to this process.

    Raises :class:`InvalidArgumentError` for an unknown field or a value of the wrong form,
    naming where it came from, and :class:`DeniedError` for another value of a locked setting.
    """
    environ = os.environ if environ is None else environ
    settings = default_settings(environ)
    lab = read_lab()
    common = lab.get("settings", {})
    settings = _updated(settings, _of_this_user(common, environ), str(LAB_FILE))
    locks = _Locks.of(lab)
    path = config_path(environ)
    if path.is_file():
        check_place(path, "the configuration", f"chmod go-w {path}, and the folders above")
        settings = locks.updated(settings, _read_toml(path), str(path))
    prefix = "JUPYTER_CONTAINERS_"
    known = {field.name for field in fields(Settings)}
    from_environ = {
        name.removeprefix(prefix).lower(): value
        for name, value in environ.items()
        if name.startswith(prefix) and name.removeprefix(prefix).lower() in known
    }
    settings = locks.updated(settings, from_environ, "the environment")
    return locks.updated(settings, overrides or {}, "the arguments")


@dataclass(frozen=True, slots=True)
class _Locks:
    """The settings (``names``) that the administrator's file keeps a user from changing."""

    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, lab: Mapping[str, Any]) -> _Locks:
        if machine_user() == 0 and not lab.get("for_root"):
            return cls()
        locked = lab.get("locked", [])
        common = lab.get("settings", {})
        if not isinstance(locked, list) or not all(isinstance(name, str) for name in locked):
            raise InvalidArgumentError(f"{LAB_FILE}: locked is not a list of settings")
        if missing := [name for name in locked if name not in common]:
            raise InvalidArgumentError(
                f"{LAB_FILE}: locked names {missing[0]}, which [settings] does not set"
            )
        return cls(frozenset(locked))

    def updated(self, settings: Settings, values: Mapping[str, Any], origin: str) -> Settings:
        """Return the settings with a user's values; raise for another value of a locked one."""
        found = _updated(settings, values, origin)
        for name in sorted(self.names & values.keys()):
            if getattr(found, name) != getattr(settings, name):
                raise DeniedError(
                    f"{name} is set by the administrator of this machine, and {origin} changes it",
                    hint=f"{LAB_FILE} locks it: take it out of {origin}",
                )
        return found


def machine_user(uid_map: Path = Path("/proc/self/uid_map")) -> int:
    """Return the user of the machine that this process is, also inside a user namespace.

    -1 stands for somebody whom a namespace within another hides: never root.
    """
    uid = os.geteuid()
    try:
        text = uid_map.read_text()
    except OSError:
        return uid
    ranges = [[int(word) for word in line.split()] for line in text.splitlines()]
    if ranges == [[0, 0, _ALL_IDS]] or not ranges:
        return uid
    for inside, outside, count in ranges:
        if inside <= uid < inside + count:
            return outside + uid - inside or -1
    return -1


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


def check_places(settings: Settings) -> None:
    """Raise :class:`UntrustedPlaceError` for a store or run root that others can change.

    A shared store is its owner's, whom the setting trusts, and nobody else's.
    """
    hint = "give it to this user alone (chown, chmod go-w), or name another in the settings"
    for name, path in (("a store", settings.root), ("a place of sockets", settings.run_root)):
        check_place(path, name, hint)
    for text in settings.additional_stores:
        check_shared_store(Path(text))


def check_shared_store(root: Path) -> None:
    """Raise :class:`UntrustedPlaceError` for a shared store that others than its owner can change.

    For root of the machine the owner has to be root.
    """
    try:
        owner = root.stat().st_uid
    except OSError:
        return
    mine = os.geteuid()
    owners = frozenset({mine} if mine == 0 and initial_namespace() else {mine, owner})
    hint = f"whoever keeps it: chmod go-w {root}, and the folders above"
    layout = StoreLayout(root)
    for path in (root, layout.published, layout.layers, layout.content):
        check_place(path, "a shared store", hint, owners=owners)


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
    if not path.is_file():
        return {}
    hint = f"chown root:root {path} && chmod 644 {path}, and the folders above"
    try:
        check_place(path, "the administrator's file", hint, owners=frozenset())
    except UntrustedPlaceError as error:
        raise InvalidArgumentError(
            f"{path} can be changed by others than root: {error}", hint=hint
        ) from error
    if path.stat().st_mode & 0o022:
        raise InvalidArgumentError(f"{path} can be changed by others than root", hint=hint)
    return _read_toml(path)


def _of_this_user(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return settings with ``{user}``, ``{uid}`` and ``{home}`` filled in in the folders."""
    uid = machine_user()
    # Not what the variables say: they are the user's.
    try:
        entry = pwd.getpwuid(uid)
        known = {"user": entry.pw_name, "uid": str(uid), "home": entry.pw_dir}
    except (KeyError, OverflowError):
        known = {
            "user": environ.get("USER") or environ.get("LOGNAME") or str(uid),
            "uid": str(uid),
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
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}
_CHOICES = {"trust_host_ca": ("auto", "always", "never")}


def _coerced(name: str, value: object, default: object, origin: str) -> object:
    try:
        if isinstance(default, Path):
            return _path(str(value))
        if isinstance(default, tuple):
            items = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]  # TOML lists and traitlets lists both arrive here
            return tuple(str(item).strip() for item in items if str(item).strip())
        if isinstance(default, bool):
            return _SWITCHES[str(value).lower()]
        if isinstance(default, int):
            return _number(str(value))
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
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
