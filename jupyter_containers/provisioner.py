"""Kernels in containers: a kernel provisioner of jupyter_client.

A kernel spec names it in its metadata (``kernel install`` writes such specs)::

    {"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
     "metadata": {"kernel_provisioner": {
         "provisioner_name": "container",
         "config": {"image": "science:1", "options": ["--memory=4g"]}}}}

The provisioner runs ``jupyter container run`` in the foreground: the server waits for that process,
and signals are sent to the container.  The five ports of the connection file are published on
127.0.0.1 with the same numbers; the notebook's folder is mounted at the same path.

Every user of the machine can read command lines, so variables (``env`` of the spec, ``--env`` among
the options) are passed in a file that only this user can read.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import List, Unicode

from jupyter_containers.commands.grammar.containers import KILL, REMOVE, RUN
from jupyter_containers.lazy_modules import json, secrets
from jupyter_containers.lazy_patterns import pattern

INSIDE = "/run/jupyter-kernel.json"
_PORTS = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
# Variables about this machine: a kernel in a container cannot watch the process that started it.
_KEPT_OUT = ("JPY_PARENT_PID", "PYTHON", "VIRTUAL_ENV", "CONDA")
# --env=NAME=VALUE, -eNAME=VALUE, or the value in the next word.
_VARIABLE = pattern(r"(?:--env|-e)(?:=(.*))?|-e(.+)", re.DOTALL)
_COMMAND = (sys.executable, "-m", "jupyter_containers.cli")


class ContainerProvisioner(LocalProvisioner):
    """Starts kernels in containers."""

    image = Unicode("", help="The image; it has the kernel's program.").tag(config=True)
    options = List(Unicode(), help="Further options of run, such as --memory=4g.").tag(config=True)

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._container = ""
        self._connection_file = ""
        self._variables_file = ""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the container instead of the kernel's command."""
        if not self.image:
            raise ValueError("the kernel spec names no image (metadata.kernel_provisioner.config)")
        assert self.parent is not None  # a kernel manager starts kernels
        outside = self.parent.connection_file
        self._container = f"kernel-{str(self.kernel_id)[:8]}-{secrets.token_hex(2)}"
        self._connection_file = f"{outside}.container"
        self._variables_file = f"{outside}.env"
        with open(outside, encoding="utf-8") as file:
            connection = json.load(file)
        inside = {**connection, "ip": "0.0.0.0"}  # noqa: S104  # inside the container
        _write_closed(self._connection_file, json.dumps(inside))
        environ = {**(kwargs.get("env") or {})}
        words = self._words(cmd, outside, connection, kwargs.get("cwd"), environ)
        kwargs["env"] = environ
        return await super().launch_kernel(words, **kwargs)

    def _words(
        self,
        cmd: list[str],
        outside: str,
        connection: dict[str, Any],
        cwd: str | None,
        environ: dict[str, str],
    ) -> list[str]:
        """Return the command line that runs the kernel's command in a container."""
        words = [*_COMMAND, RUN.name, "--rm", "--name", self._container]
        words += ["--volume", f"{self._connection_file}:{INSIDE}:ro"]
        for name in _PORTS:
            words += ["--publish", f"127.0.0.1:{connection[name]}:{connection[name]}"]
        if cwd and os.path.isdir(cwd):
            words += ["--volume", f"{cwd}:{cwd}", "--workdir", cwd]
        options, given = without_values(self.options)
        # The manager has filled in the placeholders of the spec's values.
        mine = {name: environ.get(name, value) for name, value in self._spec_env().items()}
        if session := environ.get("JPY_SESSION_NAME"):
            mine["JPY_SESSION_NAME"] = session
        words += self._variable_options({**mine, **given}, environ)
        inside = [word.replace(outside, INSIDE) for word in cmd]
        # The manager replaces a bare "python" by its own interpreter.
        if inside and inside[0] == sys.executable:
            inside[0] = "python"
        return [*words, *options, self.image, *inside]

    def _spec_env(self) -> dict[str, str]:
        env: dict[str, str] = self.kernel_spec.env or {}
        return {name: value for name, value in env.items() if not name.startswith(_KEPT_OUT)}

    def _variable_options(self, values: Mapping[str, str], environ: dict[str, str]) -> list[str]:
        """Return the options that pass variables to the container; none contains a value."""
        lines = {name: value for name, value in values.items() if "\n" not in value}
        _write_closed(self._variables_file, "".join(f"{k}={v}\n" for k, v in lines.items()))
        words = ["--env-file", self._variables_file]
        for name in values.keys() - lines.keys():  # it does not fit in a line of a file
            environ[name] = values[name]
            words += ["--env", name]
        return words

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel, since the client command would handle some itself."""
        if self._container and self.has_process:
            await self._command(KILL.name, "--signal", str(int(signum)), self._container)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002  # the base's signature
        """Stop the container, and with it the command that runs it."""
        await self._remove()
        if self.process:
            self.process.kill()

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the remains of the container."""
        await self._remove()
        for file in (self._connection_file, self._variables_file):
            if file and os.path.exists(file):
                os.unlink(file)
        await super().cleanup(restart)

    async def _remove(self) -> None:
        if self._container:
            name, self._container = self._container, ""
            await self._command(REMOVE.name, "--force", name)

    async def _command(self, *words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *words,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.wait()


def without_values(options: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the options of ``run`` without variables that have a value, and those variables."""
    rest: list[str] = []
    given: dict[str, str] = {}
    words = iter(options)
    for word in words:
        found = _VARIABLE.fullmatch(word)
        if found is None:
            rest.append(word)
            continue
        text = found[1] or found[2] or next(words, "")
        name, equals, value = text.partition("=")
        if equals:
            given[name] = value
        elif text:
            rest += ["--env", text]
    return rest, given


def _write_closed(path: str, text: str) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
