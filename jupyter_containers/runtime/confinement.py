"""Confinement of containers by the host's security modules, AppArmor and SELinux.

Vocabulary: a *profile* is AppArmor's, a *label* (or context) SELinux's: ``user:role:type:level``,
where the level of a container has two *categories*, so that one container's label does not cover
another's files.  Docker's defaults apply: the engine's profile and a label of the policy's
``container_t``, none for privileged containers, and no label where processes or memory are shared
with the host.  ``--security-opt apparmor=…`` and ``label=…`` change them.

Functions read files below ``root``, so that a folder can stand in for a host.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib

# The number changes with the profile's text, so that an outdated profile is never used.
PROFILE_NAME = "jupyter-containers-1"
_CATEGORIES = 1024
_PARTS = ("user", "role", "type", "level")
_HOST = Path("/")

PROFILE = f"""\
profile {PROFILE_NAME} flags=(attach_disconnected, mediate_deleted) {{
  # Everything that the container's capabilities and system calls allow, with these exceptions.
  capability,
  file,
  network,
  umount,

  # Two families of sockets that are in no namespace, by whichever system call.
  deny network alg,
  deny network vsock,

  # The engine ends containers; containers see and trace themselves and each other only.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send, receive) peer={PROFILE_NAME},
  ptrace (trace, read, tracedby, readby) peer={PROFILE_NAME},

  deny mount,

  # What the kernel shows of the whole machine is not written, wherever it is mounted.
  deny /proc/* w,
  deny /proc/{{acpi,asound,bus,driver,dynamic_debug,fs,irq,scsi,tty}}/** wl,
  deny /proc/sys/{{abi,crypto,debug,dev,fs,kernel,user,vm}}/** wl,
  deny /proc/{{kcore,sysrq-trigger}} rwklx,
  deny /sys/{{block,bus,class,dev,devices,hypervisor,module,power}}/** wl,
  deny /sys/fs/{{bpf,btrfs,ext4,f2fs,fuse,pstore,resctrl,selinux,smackfs,xfs}}/** wl,
  deny /sys/kernel/** wl,
  deny /sys/{{firmware,kernel/security}}/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
}}
"""


@dataclass(frozen=True, slots=True)
class SecurityModules:
    """The enabled modules, and the policy's labels for containers (empty if it has none)."""

    apparmor: bool = False
    selinux: bool = False
    process_label: str = ""
    file_label: str = ""

    def has(self, name: str) -> bool:
        """Return whether the module of that name (``apparmor``, ``selinux``) is enabled."""
        return {"apparmor": self.apparmor, "selinux": self.selinux}[name]


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one container: a profile, a process label and a file label."""

    profile: str = ""
    process: str = ""
    mount: str = ""

    @property
    def mount_option(self) -> str:
        """The mount(8) option that labels all files of a file system, or an empty text."""
        return f'context="{self.mount}"' if self.mount else ""


NO_MODULES, NO_LABELS = SecurityModules(), Labels()


def security_modules(root: Path = _HOST) -> SecurityModules:
    """Return the security modules enabled on this host, and their policy's labels."""
    apparmor = _text(root / "sys/module/apparmor/parameters/enabled").startswith("Y")
    selinux = (root / "sys/fs/selinux/enforce").exists()
    process = files = ""
    if selinux:
        kind = _values(root / "etc/selinux/config").get("SELINUXTYPE", "targeted")
        contexts = _values(root / f"etc/selinux/{kind}/contexts/lxc_contexts")
        process, files = contexts.get("process", ""), contexts.get("file", "")
    return SecurityModules(apparmor, selinux, process, files)


def profile_is_loaded(root: Path = _HOST) -> bool:
    """Return whether the engine's profile is loaded into the kernel."""
    profiles = _text(root / "sys/kernel/security/apparmor/profiles")
    return any(line.partition(" ")[0] == PROFILE_NAME for line in profiles.splitlines())


def profile_of(asked: str, modules: SecurityModules, *, privileged: bool, loaded: bool) -> str:
    """Return the AppArmor profile of a container; empty for the engine's own profile.

    ``asked`` is ``--security-opt apparmor=…``, ``loaded`` whether the engine's profile is loaded.
    """
    if not modules.apparmor:
        return ""
    if asked:
        return asked
    if privileged:
        return "unconfined"
    return PROFILE_NAME if loaded else ""


def labels_of(
    asked: Sequence[str], modules: SecurityModules, container_id: str, *, shared: bool
) -> tuple[str, str]:
    """Return the SELinux labels of a container's processes and files; empty for none.

    ``asked`` are the values of ``--security-opt label=…``; ``shared`` is for a container that is
    privileged or shares processes or memory with the host.  The categories derive from the ID, so
    they are the same at every start.
    """
    if not modules.selinux or "disable" in asked or (shared and not asked):
        return "", ""
    process, files = _split(modules.process_label), _split(modules.file_label)
    if not process or not files:
        return "", ""
    process["level"] = files["level"] = f"{process['level'] or 's0'}:{categories(container_id)}"
    for word in asked:
        name, colon, value = word.partition(":")
        if name == "filetype" and value:
            files["type"] = value
        elif name in _PARTS and colon and value:
            process[name] = value
            if name == "level":
                files["level"] = value
        elif word != "nested":
            raise InvalidArgumentError(
                f"invalid security-opt: label={word}",
                hint="label=disable, label=type:NAME, level:…, user:…, role:… or filetype:…",
            )
    return _joined(process), _joined(files)


def shared_label(modules: SecurityModules) -> str:
    """Return the label of files that every container may use (``:z``)."""
    parts = _split(modules.file_label)
    return _joined(parts) if parts else ""


def categories(container_id: str) -> str:
    """Return the two categories of a container, different and in ascending order."""
    number = int.from_bytes(hashlib.sha256(container_id.encode()).digest()[:8], "big")
    first = number % _CATEGORIES
    second = (first + 1 + number // _CATEGORIES % (_CATEGORIES - 1)) % _CATEGORIES
    return f"c{min(first, second)},c{max(first, second)}"


def _split(label: str) -> dict[str, str]:
    parts = label.split(":", 3)
    return dict(zip(_PARTS, [*parts, ""][:4], strict=True)) if len(parts) >= 3 else {}


def _joined(parts: dict[str, str]) -> str:
    return ":".join(parts[name] for name in _PARTS if parts[name])


def _values(file: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in _text(file).splitlines() if "=" in line)
    return {name.strip(): value.strip().strip('"') for name, _, value in lines}


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
