"""Verbs of the engine as a whole: inspect, info, version, doctor, df, prune."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.quantities import binary_size, human_size
from jupyter_containers.commands.render.results import Document, Facts, Lines, Table, Text
from jupyter_containers.commands.render.table import Column, Row, text_table
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import each, filters_of, listing, platform_of
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.lazy_modules import shutil, subprocess

if TYPE_CHECKING:
    from jupyter_containers.engine.system.doctor import DoctorReport

_REFUSED = "Nothing was removed"
# Go's names; importing the full table of the package oci would be slow for a version.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_KINDS = ("container", "image", "network", "volume")


def inspect(session: Session, parsed: Parsed) -> Document | Lines[str]:
    """Return descriptions in Docker's schema, or their text by a template."""
    kind = parsed.flag("kind")
    if kind and kind not in _KINDS:
        raise InvalidArgumentError(f"invalid type: {kind!r}", hint=f"one of {', '.join(_KINDS)}")
    return _inspect(session, parsed, kind)


def inspect_container(session: Session, parsed: Parsed) -> Document | Lines[str]:
    """Return descriptions of containers."""
    return _inspect(session, parsed, "container")


def inspect_image(session: Session, parsed: Parsed) -> Document | Lines[str]:
    """Return descriptions of images."""
    platform = platform_of(parsed)
    if not platform:
        return _inspect(session, parsed, "image")
    return described(lambda name: session.engine.images.inspect(name, **platform), parsed)


def inspect_network(session: Session, parsed: Parsed) -> Document | Lines[str]:
    """Return descriptions of networks."""
    return _inspect(session, parsed, "network")


def inspect_volume(session: Session, parsed: Parsed) -> Document | Lines[str]:
    """Return descriptions of volumes."""
    return _inspect(session, parsed, "volume")


def _inspect(session: Session, parsed: Parsed, kind: str | None) -> Document | Lines[str]:
    engine = session.engine
    size = bool(parsed.flag("size"))
    return described(lambda name: engine.system.inspect(name, kind=kind, size=size), parsed)


def described(describe: Callable[[str], dict[str, Any]], parsed: Parsed) -> Document | Lines[str]:
    """Return the documents of the named objects, or their text by a template."""
    form = parsed.flag("format")
    shown: Callable[[list[dict[str, Any]]], Document | Lines[str]] = Document
    if form and form != "json":
        from jupyter_containers.commands.render.template import Template

        template = Template(form)

        def shown(found: list[dict[str, Any]]) -> Lines[str]:
            return Lines(template.render(description) for description in found)

    return shown(each(parsed.operands["names"], describe, shown))


def _facts(
    facts: dict[str, Any], parsed: Parsed, more: dict[str, Any] | None = None
) -> Facts | Text:
    """Return the facts, or their text by a template, which may also use ``more``."""
    form = parsed.flag("format")
    if not form:
        return Facts(facts)
    from jupyter_containers.commands.render.template import Template

    return Text(
        Template("{{json .}}" if form == "json" else form).render({**facts, **(more or {})})
    )


class Information(Facts):
    """Facts about the engine, in the format of ``docker info``."""

    def __str__(self) -> str:
        shown = {_INFO.get(name, name): value for name, value in self.items()}
        if "MemTotal" in self:
            shown["Total Memory"] = binary_size(self["MemTotal"])
        return str(Facts(shown))


# A leading space indents a heading: it belongs to the line above.
_INFO = {
    "ServerVersion": "Server Version",
    "ContainersRunning": " Running",
    "ContainersPaused": " Paused",
    "ContainersStopped": " Stopped",
    "Driver": "Storage Driver",
    "DefaultRuntime": "Default Runtime",
    "CgroupVersion": "Cgroup Version",
    "CgroupDriver": "Cgroup Driver",
    "SecurityOptions": "Security Options",
    "KernelVersion": "Kernel Version",
    "OperatingSystem": "Operating System",
    "NCPU": "CPUs",
    "MemTotal": "Total Memory",
    "DockerRootDir": "Docker Root Dir",
    "InsecureRegistries": "Insecure Registries",
    "RegistryMirrors": "Registry Mirrors",
}


def info(session: Session, parsed: Parsed) -> Facts | Text:
    """Return facts about the engine and this machine."""
    facts = session.engine.system.info()
    return _facts(facts, parsed) if parsed.flag("format") else Information(facts)


def version(session: Session, parsed: Parsed) -> Facts | Text:  # noqa: ARG001  # needs no engine
    """Return the versions without starting an engine."""
    import os
    import sys

    from jupyter_containers.version import __version__

    machine = os.uname()
    # For templates: Docker's client and server are both this library.
    end = {
        "Version": __version__,
        "Os": machine.sysname.lower(),
        "Arch": _ARCHITECTURES.get(machine.machine, machine.machine),
        "KernelVersion": machine.release,
    }
    facts = {
        "Version": __version__,
        "Python": ".".join(str(part) for part in sys.version_info[:3]),
        "OS/Arch": f"{end['Os']}/{end['Arch']}",
        "Kernel": machine.release,
    }
    return _facts(facts, parsed, {"Client": end, "Server": end})


_DOCTOR = (
    Column("Found", ""),
    Column("Name", "CAPABILITY"),
    Column("Detail", "DETAIL"),
    Column("Why", "NEEDED FOR"),
    Column("ProvidedBy", "PROVIDED BY"),
)


_DOCTOR_TEXT = (*_DOCTOR[:2], Column("Finding", "FOUND, OR NEEDED FOR"))


class Findings(Table[Any]):
    """The capabilities of this machine; a terminal shows the purpose only of missing ones."""

    exit_status = 0
    remark = ""

    def __str__(self) -> str:
        table = text_table(_DOCTOR_TEXT, self.rows())
        return f"{table}\n\n{self.remark}" if self.remark else table


def doctor(session: Session, parsed: Parsed) -> Any:
    """Return the capabilities of this machine, and how to provide the missing ones.

    A terminal command exits with 1 if something is missing that every container needs.
    """
    report = session.engine.system.doctor()
    if parsed.flag("fix"):
        return _fix(report)
    if parsed.flag("format"):
        return listing(report.capabilities, _DOCTOR, lambda item: [_capability_row(item)], parsed)
    findings = Findings(report.capabilities, _DOCTOR, lambda item: [_capability_row(item)])
    findings.exit_status = 0 if report.healthy else 1
    findings.remark = report.remark
    return findings


def _fix(report: DoctorReport) -> Text:
    """Install the missing packages if this process may; otherwise return the command."""
    packages = report.packages
    if not packages:
        return Text("no package is missing")
    command = ["apt-get", "install", "-y", *packages]
    if not (report.root and shutil.which("apt-get")):
        return Text(f"as root: {shlex.join(command)}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ContainersError(
            f"{shlex.join(command)} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}",
            hint="run it in a terminal to see its full output",
        )
    return Text(f"installed {' '.join(packages)}")


def _capability_row(capability: Any) -> Row:
    parts = (capability.detail, f"for: {capability.why}", capability.provided_by)
    missing = "; ".join(text for text in parts if text)
    return {
        "Found": "✓" if capability.found else "✗",
        "Name": capability.name,
        "Detail": capability.detail,
        "Why": capability.why,
        "Finding": capability.detail if capability.found else missing,
        "ProvidedBy": "" if capability.found else capability.provided_by,
    }


_DF = (
    Column("Type", "TYPE"),
    Column("TotalCount", "TOTAL"),
    Column("Active", "ACTIVE"),
    Column("Size", "SIZE"),
    Column("Reclaimable", "RECLAIMABLE"),
)
_DF_FRAME = ("type", "total", "active", "size", "reclaimable")


def df(session: Session, parsed: Parsed) -> Any:
    """Return the disk usage by kind of object."""
    if parsed.flag("verbose"):
        if parsed.flag("format"):
            raise InvalidArgumentError("--verbose and --format exclude each other")
        from jupyter_containers.commands.render.diskdetails import Details

        return Details(session.engine.system.disk_details())
    return listing(
        session.engine.system.df(), _DF, lambda usage: [_df_row(usage)], parsed, frame=_DF_FRAME
    )


def _df_row(usage: Any) -> Row:
    share = f" ({100 * usage.reclaimable // usage.size}%)" if usage.size else ""
    return {
        "Type": usage.type,
        "TotalCount": str(usage.total),
        "Active": str(usage.active),
        "Size": human_size(usage.size),
        "Reclaimable": human_size(usage.reclaimable) + share,
    }


def prune_containers(session: Session, parsed: Parsed) -> Text:
    """Remove all stopped containers."""
    question = "This will remove all stopped containers."
    return _pruned(
        session,
        parsed,
        question,
        lambda engine: engine.containers.prune(filters=filters_of(parsed)),
        "Deleted Containers:",
    )


def prune_images(session: Session, parsed: Parsed) -> Text:
    """Remove dangling images, or with ``--all`` every image that no container uses."""
    everything = parsed.flag("all", False)
    which = "all images without a container" if everything else "all dangling images"
    return _pruned(
        session,
        parsed,
        f"This will remove {which}.",
        lambda engine: engine.images.prune(all=everything, filters=filters_of(parsed)),
        "Deleted Images:",
    )


def prune_networks(session: Session, parsed: Parsed) -> Text:
    """Remove networks that no container uses; they take no space, so none is reported."""
    question = "This will remove all custom networks not used by at least one container."
    if not parsed.flag("force") and not session.confirm(question):
        return Text(_REFUSED)
    names = session.engine.networks.prune(filters=filters_of(parsed)).removed
    return Text("\n".join(["Deleted Networks:", *names, ""]) if names else "")


def prune_volumes(session: Session, parsed: Parsed) -> Text:
    """Remove anonymous volumes, or with ``--all`` every volume, that no container uses."""
    everything = parsed.flag("all", False)
    which = "all" if everything else "anonymous"
    return _pruned(
        session,
        parsed,
        f"This will remove {which} volumes that no container uses.",
        lambda engine: engine.volumes.prune(all=everything, filters=filters_of(parsed)),
        "Deleted Volumes:",
    )


def prune(session: Session, parsed: Parsed) -> Text:
    """Remove all unused objects."""
    question = (
        "This will remove all stopped containers, unused networks, dangling images "
        "and the unused build cache."
    )
    flags = {name: parsed.flag(name, False) for name in ("all", "volumes")}
    return _pruned(
        session,
        parsed,
        question,
        lambda engine: engine.system.prune(filters=filters_of(parsed), **flags),
    )


def reset(session: Session, parsed: Parsed) -> Text:
    """Remove everything, and end a user's namespaces."""
    from jupyter_containers.rootless.holder import end

    question = "This will remove all containers, images, volumes, networks and build caches."
    if not parsed.flag("force") and not session.confirm(question):
        return Text(_REFUSED)
    engine = session.mendable_engine
    run_root = engine.settings.run_root
    gone = engine.system.reset()
    engine.close()
    end(run_root)
    return Text("\n".join(f"Removed {folder}" for folder in gone))


def _pruned(
    session: Session,
    parsed: Parsed,
    question: str,
    action: Callable[[Any], Any],
    heading: str = "Deleted:",
) -> Text:
    if not parsed.flag("force") and not session.confirm(question):
        return Text(_REFUSED)
    return pruned_text(action(session.engine), heading)


def pruned_text(result: Any, heading: str = "Deleted:") -> Text:
    """Return the report of a prune."""
    groups = [(f"Deleted {kind}:", names) for kind, names in result.groups]
    parts = groups or ([(heading, result.removed)] if result.removed else [])
    lines = [line for title, names in parts for line in (title, *names, "")]
    return Text("\n".join([*lines, f"Total reclaimed space: {human_size(result.freed)}"]))
