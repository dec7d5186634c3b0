"""Verbs of the Docker Engine API: its service, and its address for other tools."""

from __future__ import annotations

import os
import sys
import threading

from jupyter_containers.commands.render.results import Text
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Parsed
from jupyter_containers.engine.system.serving import (
    IDLE_SECONDS,
    SCHEME,
    service_program,
    socket_path,
    start_service,
)
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.settings import Settings, environment, load_settings


def service(session: Session, parsed: Parsed) -> Text:
    """Serve in this process in a terminal, or in another process for a notebook."""
    idle = float(parsed.flag("time", IDLE_SECONDS))
    if idle < 0:
        raise InvalidArgumentError("invalid time: it is below 0", hint="0 means no limit")
    address = parsed.operands["address"] or ""
    settings = _settings(session)
    if session.whole:
        path = socket_path(settings, address)
        sys.stderr.flush()
        words = service_program(path, idle)
        environ = {**os.environ, **environment(settings)}
        os.execve(words[0], words, environ)  # noqa: S606  # no shell is wanted
    started = start_service(settings, address, idle)
    # Reaps the process when it ends, even if the kernel lives longer.
    threading.Thread(target=started.process.wait, name="api-service", daemon=True).start()
    return Text(f"export DOCKER_HOST={started.url}")


def env(session: Session, parsed: Parsed) -> Text:  # noqa: ARG001  # it has no flags
    """Return the line for a shell: ``eval "$(jupyter container system env)"``."""
    return Text(f"export DOCKER_HOST={SCHEME}{socket_path(_settings(session))}")


def _settings(session: Session) -> Settings:
    return load_settings() if session.whole else session.engine.settings
