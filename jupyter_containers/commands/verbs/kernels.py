"""Verbs of kernels that run in containers."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.results import Lines, Text
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import done, progress_of
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError, NotFoundError, OCIRuntimeError
from jupyter_containers.lazy_modules import json, tempfile
from jupyter_containers.lazy_patterns import pattern

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.events import EventSink

PROVISIONER = "container"
_ARGV = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
_NOT_FOUND = 127  # a shell's exit code for a missing program
_NAME = pattern(r"[a-z0-9._-]+", re.IGNORECASE)


def install(session: Session, parsed: Parsed) -> Text:
    """Write a kernel spec for an image; build one with ipykernel if the image lacks it."""
    from jupyter_client.kernelspec import KernelSpecManager

    image = parsed.operands["image"]
    name = parsed.flag("name") or re.sub(r"[^a-z0-9]+", "-", image.lower()).strip("-")
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"invalid kernel name: {name!r}", hint="letters, digits, '.', '_' and '-'"
        )
    with progress_of(session, parsed) as emit:
        ready = _with_ipykernel(session.engine, image, name, emit)
    options = [
        *(f"--{flag}={parsed.flag(flag)}" for flag in ("memory", "cpus") if parsed.flag(flag)),
        *parsed.flag("option", []),
    ]
    document = {
        "argv": _ARGV,
        "display_name": parsed.flag("display_name") or f"Python in {image}",
        "language": "python",
        "metadata": {
            "debugger": True,
            "kernel_provisioner": {
                "provisioner_name": PROVISIONER,
                "config": {"image": ready, "options": options},
            },
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.json").write_text(json.dumps(document, indent=1))
        prefix = sys.prefix if parsed.flag("sys_prefix") else None
        place = KernelSpecManager().install_kernel_spec(
            folder, kernel_name=name, user=prefix is None, prefix=prefix
        )
    return Text(f"Kernel {name} runs in {ready}: {place}")


def _with_ipykernel(engine: Engine, image: str, name: str, emit: EventSink) -> str:
    """Return the image, or one built from it with ipykernel added."""
    if _runs(engine, image, ["python", "-c", "import ipykernel"], emit):
        return image
    if not _runs(engine, image, ["python", "--version"], emit):
        raise InvalidArgumentError(
            f"{image} has no Python", hint="this command installs only Python kernels"
        )
    tag = f"jupyter-kernel-{name.lower()}:latest"
    dockerfile = f"FROM {image}\nUSER 0\nRUN python -m pip install --no-cache-dir ipykernel\n"
    engine.build(dockerfile=dockerfile, tag=tag, emit=emit)
    return tag


def _runs(engine: Engine, image: str, command: list[str], emit: EventSink) -> bool:
    """Return whether a command exists in an image and succeeds."""
    asked: dict[str, Any] = {"network": "none", "rm": True, "check": False, "entrypoint": ""}
    try:
        return bool(engine.run(image, command, emit=emit, **asked).exit_code == 0)
    except OCIRuntimeError as error:
        if error.exit_code != _NOT_FOUND:
            raise
        return False


def remove(_: Session, parsed: Parsed) -> Lines[str]:
    """Remove kernel specs and return their names."""
    return done(parsed.operands["names"], _remove)


def _remove(name: str) -> None:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        provisioner = manager.get_kernel_spec(name).metadata.get("kernel_provisioner", {})
    except NoSuchKernel as error:
        raise NotFoundError(f"no such kernel: {name}") from error
    if provisioner.get("provisioner_name") != PROVISIONER:
        raise InvalidArgumentError(
            f"the kernel {name} does not run in a container",
            hint=f"jupyter kernelspec remove {name}",
        )
    manager.remove_kernel_spec(name)
