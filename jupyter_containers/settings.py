"""The settings, resolved once into one frozen value.

Precedence, lowest first: defaults < the administrator's file (``/etc/jupyter_containers/lab.toml``,
its table ``settings``) < config file (TOML) < environment < overrides (traitlets, keyword arguments
of :class:`~jupyter_containers.Engine`).  No other source can change a setting that the
administrator's file locks.

The config file is ``$JUPYTER_CONTAINERS_CONFIG`` or ``jupyter_containers/config.toml`` under
``/etc`` (root) or ``$XDG_CONFIG_HOME`` (everyone else).  The environment variable of a field is
``JUPYTER_CONTAINERS_<FIELD>`` in capitals; lists are separated by commas.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from jupyter_containers.errors import DeniedError, InvalidArgumentError, UntrustedPlaceError
from jupyter_containers.filesystems import check_place, file_system, initial_namespace, is_remote
from jupyter_containers.layout import Layout, StoreLayout
from jupyter_containers.lazy_dataclasses import dataclass, replace

# The administrator's defaults and limits for all users (:mod:`.engine.quotas`).
LAB_FILE = Path("/etc/jupyter_containers/lab.toml")
# The folder in which ``store share`` keeps images for all users of a machine.
SHARED_STORE = "/var/lib/jupyter-containers-shared"
# The machine-wide registry configuration; the other files can only add to it.
SYSTEM_REGISTRY_FILES = (Path("/etc/docker/daemon.json"), Path("/etc/containers/registries.conf"))
_NOBODY = 65534
_ALL_IDS = 2**32 - 1
_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")
# The folder for the store of a user whose home is on another machine.
LOCAL = Path("/var/tmp")
TrustHostCA = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one engine; each field is documented beside it (:func:`meanings`)."""

    root: Annotated[Path, "Folder of images, layers, containers and records; it survives a reboot."]
    run_root: Annotated[
        Path, "Folder of sockets, pid files and locks; it need not survive a reboot."
    ]
    context: Annotated[
        str,
        "The context in which containers run: default is this machine. Empty means the one of "
        "context use.",
    ] = ""
    runtime: Annotated[str, "auto (probed), or the name or path of an OCI runtime."] = "auto"
    storage_driver: Annotated[
        str,
        "auto (probed), overlay, fuse-overlayfs, or vfs, which copies files where nothing can be "
        "mounted.",
    ] = "auto"
    publish_address: Annotated[str, "The address that -p binds by default."] = "127.0.0.1"
    bridge_name: Annotated[str, "Network device of the default network, chosen when empty."] = ""
    subnet_pool: Annotated[str, "IPv4 range (CIDR) from which networks take a /24."] = (
        "10.89.0.0/16"
    )
    insecure_registries: Annotated[tuple[str, ...], "Registries to use without TLS."] = ()
    registry_mirrors: Annotated[tuple[str, ...], "Mirrors of registries."] = ()
    registry_files: Annotated[
        tuple[str, ...],
        "Docker's and Podman's configuration files for registries: mirrors, insecure ones, other "
        "locations.",
    ] = ()
    certificate_folders: Annotated[
        tuple[str, ...],
        "Folders with a folder for each registry: authorities (*.crt) and client certificates "
        "(*.cert, *.key).",
    ] = _CERTIFICATES
    max_concurrent_downloads: Annotated[int, "Layers downloaded at the same time."] = 3
    additional_stores: Annotated[
        tuple[str, ...],
        "Folders of images that are shared with all users (store share): usable as if they "
        "had been pulled, and never changed.",
    ] = (SHARED_STORE,)
    trust_host_ca: Annotated[
        TrustHostCA,
        "Give RUN steps and containers the host's CA bundle: auto, always or never. auto means RUN "
        "steps only, and only if the host has additional CAs.",
    ] = "auto"
    debian_mirror: Annotated[str, "The source of bootstrap's packages."] = ""
    stop_timeout: Annotated[int, "Seconds from stop to kill."] = 10
    pids_limit: Annotated[int, "Default limit of processes in a container."] = 2048
    no_new_privileges: Annotated[
        bool,
        "Disable set-user-ID programs (sudo, su) in containers and RUN steps that do "
        "not ask for it with --security-opt no-new-privileges=false.",
    ] = False
    log_max_bytes: Annotated[int, "Size in bytes at which a log is rotated."] = 64 * 1024 * 1024
    result_max_bytes: Annotated[int, "Maximum size in bytes of a run's results (-o)."] = (
        1024 * 1024 * 1024
    )

    @property
    def layout(self) -> Layout:
        """The folders and files below ``root`` and ``run_root``."""
        return Layout(self.root, self.run_root)


def meanings() -> dict[str, tuple[type, str]]:
    """Return the documentation of every setting by name: its type and one or two sentences."""
    hints = get_type_hints(Settings, include_extras=True)
    return {
        field.name: (hints[field.name].__origin__, hints[field.name].__metadata__[0])
        for field in fields(Settings)
    }


def load_settings(
    environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings for this process.

    Raises :class:`InvalidArgumentError`, which names the source, for an unknown field or a value of
    the wrong form, and :class:`DeniedError` for a change of a locked setting.
    """
    environ = os.environ if environ is None else environ
    settings = default_settings(environ)
    lab = read_lab()
    common = lab.get("settings", {})
    settings = _updated(settings, _expand_user(common, environ), str(LAB_FILE))
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
    """The settings (``names``) that the administrator's file locks."""

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
        """Return the settings with a user's values; raise DeniedError for a locked one."""
        found = _updated(settings, values, origin)
        for name in sorted(self.names & values.keys()):
            if getattr(found, name) != getattr(settings, name):
                raise DeniedError(
                    f"{name} is set by the administrator of this machine, "
                    f"and {origin} cannot change it",
                    hint=f"{LAB_FILE} locks it: remove it from {origin}",
                )
        return found


def machine_user(uid_map: Path = Path("/proc/self/uid_map")) -> int:
    """Return the user ID of this process on the machine, also inside a user namespace.

    Returns -1 for a user that a nested namespace hides: never root.
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
    """Return the runtime folder that systemd made for the user, even if no variable names it."""
    folder = f"/run/user/{os.geteuid()}"
    return folder if os.access(folder, os.W_OK) else ""


def _registry_files(environ: Mapping[str, str], home: Path | None) -> tuple[str, ...]:
    """Return the files in which Docker and Podman configure registries.

    Of several ``registries.conf``, it is the one that Podman would read: the one the environment
    names, the user's own, or the machine's.
    """
    docker, containers = ["/etc/docker/daemon.json"], "/etc/containers/registries.conf"
    if home is not None:
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        docker.append(str(config / "docker/daemon.json"))
        own = config / "containers/registries.conf"
        containers = str(own) if own.exists() else containers
    return (*docker, environ.get("CONTAINERS_REGISTRIES_CONF") or containers)


def environment(settings: Settings) -> dict[str, str]:
    """Return all settings as environment variables, for another process to resolve."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    texts = {
        f"JUPYTER_CONTAINERS_{name.upper()}": ",".join(value)
        if isinstance(value, tuple)
        else str(value)
        for name, value in values.items()
    }
    return {**texts, "JUPYTER_CONTAINERS_CONFIG": os.devnull}


def check_places(settings: Settings) -> None:
    """Raise :class:`UntrustedPlaceError` for a store or run root that other users can change.

    An additional store belongs to the one owner whom the setting trusts.
    """
    hint = "give it to this user alone (chown, chmod go-w), or choose another in the settings"
    for name, path in (("a store", settings.root), ("a folder for sockets", settings.run_root)):
        check_place(path, name, hint)
    for text in settings.additional_stores:
        check_shared_store(Path(text))


def check_shared_store(root: Path) -> None:
    """Raise :class:`UntrustedPlaceError` for a shared store that anyone but its owner can change.

    On the machine itself, root accepts only root as its owner.
    """
    try:
        owner = root.stat().st_uid
    except OSError:
        return
    mine = os.geteuid()
    owners = frozenset({mine} if mine == 0 and initial_namespace() else {mine, owner})
    hint = f"ask its owner: chmod go-w {root}, and the folders above"
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

    Raises :class:`InvalidArgumentError` for bad TOML, or when anyone but root can write it.
    """
    if not path.is_file():
        return {}
    hint = f"chown root:root {path} && chmod 644 {path}, and the folders above"
    try:
        check_place(path, "the administrator's file", hint, owners=frozenset())
    except UntrustedPlaceError as error:
        raise InvalidArgumentError(
            f"{path} can be changed by users other than root: {error}", hint=hint
        ) from error
    if path.stat().st_mode & 0o022:
        raise InvalidArgumentError(f"{path} can be changed by users other than root", hint=hint)
    return _read_toml(path)


def _expand_user(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return settings with ``{user}``, ``{uid}`` and ``{home}`` expanded in the folders."""
    uid = machine_user()
    # Not from the environment variables: the user controls them.
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


_MAX_CHARACTERS = 1024 * 1024  # the longest settings file
_LARGEST = (1 << 63) - 1  # the types of fields in records
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}
_CHOICES = {"trust_host_ca": get_args(TrustHostCA)}


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
    """Return an absolute path; raise RuntimeError for the home folder of an unknown user."""
    if "\0" in text:
        raise ValueError("a path cannot contain NUL")
    return Path(text).expanduser().absolute()


def _number(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError("over 64 bits")
    return number
