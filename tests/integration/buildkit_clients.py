"""Clients of BuildKit's protocol that are here: docker 20.10, buildx, Docker Compose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.integration.api_client import Client

_SECONDS = 120
_PLUGINS = ("/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins")
_HERE = Path(sys.executable).parent
_SENT = re.compile(r"transferring context: ([0-9.]+)([kM]?)B")
_UNITS = {"": 1, "k": 1000, "M": 1_000_000}


@cache
def buildx() -> str:
    """Return the path of buildx, empty if it is not here."""
    places = os.pathsep.join((os.environ.get("PATH", ""), str(_HERE), *_PLUGINS))
    return shutil.which("docker-buildx", path=places) or ""


@cache
def asks() -> bool:
    """Return whether buildx is here and knows ``--call`` (since 0.15)."""
    words = [buildx(), "build", "--help"]
    return bool(buildx()) and b"--call" in _said(words)


@cache
def old_docker() -> str:
    """Return the path of a docker command that has BuildKit's client built in (before 23)."""
    for path in (shutil.which("docker"), "/usr/bin/docker"):
        if path is not None and os.access(path, os.X_OK):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
            number = re.search(r"version (\d+)\.", said.stdout)
            if number is not None and int(number[1]) < 23:
                return path
    return ""


@cache
def compose() -> str:
    """Return the path of Docker Compose, empty if it is not here."""
    places = os.pathsep.join((str(_HERE), os.environ.get("PATH", "")))
    return shutil.which("docker-compose", path=places) or ""


def _said(words: list[str]) -> bytes:
    return subprocess.run(words, capture_output=True, check=True).stdout


@dataclass(frozen=True, slots=True)
class Built:
    """A build that has ended: its code, progress, and standard output."""

    code: int
    progress: str
    output: bytes

    @property
    def sent(self) -> int:
        """The bytes of the context that travelled, as the client shows them."""
        found = _SENT.findall(self.progress)
        assert found, self.progress
        return int(float(found[-1][0]) * _UNITS[found[-1][1]])


@dataclass(frozen=True, slots=True)
class Builder:
    """One of the commands that build: ``kind`` is ``buildx`` or ``docker``."""

    kind: str
    client: Client

    def command(self, *words: str) -> list[str]:
        """Return the words of a command that builds."""
        if self.kind == "docker":
            return [old_docker(), "build", *words]
        return [buildx(), "build", *words]

    def environment(self) -> dict[str, str]:
        """Return the variables of such a command."""
        return {
            **os.environ,
            "DOCKER_HOST": self.client.url,
            "DOCKER_CONFIG": str(self.client.config),
            "DOCKER_BUILDKIT": "1",
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            "NO_COLOR": "1",
        }

    def build(self, *words: str, stdin: bytes | None = None, code: int = 0) -> Built:
        """Build with plain progress; the exit code must be ``code``."""
        done = subprocess.run(
            self.command("--progress=plain", *words),
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=self.environment(),
        )
        progress = done.stderr.decode()
        assert done.returncode == code, progress
        return Built(done.returncode, progress, done.stdout)

    def started(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a build; its progress can be read."""
        return subprocess.Popen(
            self.command("--progress=plain", *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment(),
        )
