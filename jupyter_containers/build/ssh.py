"""SSH agents of RUN steps: ``--mount=type=ssh`` gives the step an agent, never a key.

``--ssh ID`` names an agent's socket or private keys.  For keys a separate agent is started, which
ends with the step.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from jupyter_containers.build.filestep import StepContext
from jupyter_containers.build.mounts import MountSpec
from jupyter_containers.build.seams import StepMount
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import subprocess

_START_SECONDS = 5
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Agents:
    """The sockets for a step, and the variable that names the first of them."""

    sockets: tuple[StepMount, ...]
    env: tuple[str, ...]


def agents(specs: Iterable[MountSpec], around: StepContext) -> Agents:
    """Return the agents that a step mounts.

    An agent that was not provided is left out, or an error if the mount has ``required``.
    """
    sockets: list[StepMount] = []
    for spec in specs:
        if spec.type != "ssh":
            continue
        given = around.ssh.get(spec.id)
        if given is None:
            if spec.required:
                raise around.fail(
                    f"the SSH agent {spec.id} is required and was not provided",
                    hint=f"give it: --ssh {spec.id}=PATH of a key or an agent's socket",
                )
            continue
        mode = 0o600 if spec.mode is None else spec.mode
        source = os.fspath(_socket(given, around))
        sockets.append(
            StepMount(
                "socket", spec.target, source, mode=mode, uid=spec.uid or 0, gid=spec.gid or 0
            )
        )
    return Agents(tuple(sockets), (f"SSH_AUTH_SOCK={sockets[0].target}",) if sockets else ())


def _socket(given: tuple[Path, ...], around: StepContext) -> Path:
    try:
        kinds = [stat.S_ISSOCK(path.stat().st_mode) for path in given]
    except OSError as error:
        raise around.fail(f"cannot read {error.filename}: {error.strerror}") from error
    if kinds == [True]:
        return given[0]
    if any(kinds):
        raise around.fail("--ssh takes one agent's socket, or keys, not both")
    return _agent_of(given, around)


def _agent_of(keys: tuple[Path, ...], around: StepContext) -> Path:
    """Start an agent with the keys; it ends with the step."""
    socket = around.scratch() / "agent"
    try:
        process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", socket],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise UnsupportedError(
            "keys for --ssh need the ssh-agent program",
            capability="--ssh with keys",
            provided_by="apt-get install openssh-client, or name an agent's socket",
        ) from error

    def end() -> None:
        process.terminate()
        process.wait()

    around.stack.callback(end)
    deadline = time.monotonic() + _START_SECONDS
    while not socket.exists() and time.monotonic() < deadline:
        around.cancel.check()
        time.sleep(_POLL_SECONDS)
    for key in keys:
        # Without a terminal and without SSH_ASKPASS there is no prompt for a passphrase.
        environment = {"PATH": os.environ.get("PATH", ""), "SSH_AUTH_SOCK": os.fspath(socket)}
        done = subprocess.run(
            ["ssh-add", "-q", key],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode:
            raise around.fail(
                f"cannot load the SSH key {key}: {done.stderr.decode(errors='replace').strip()}",
                hint="a key with a passphrase goes through an agent: --ssh default",
            )
    return socket
