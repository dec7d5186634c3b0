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
    TCP,
    TLSFiles,
    service_environment,
    service_program,
    socket_path,
    start_service,
    url_of,
)
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.settings import Settings, load_settings


def service(session: Session, parsed: Parsed) -> Text:
    """Serve in this process in a terminal, or in another process for a notebook."""
    idle = float(parsed.flag("time", IDLE_SECONDS))
    if idle < 0:
        raise InvalidArgumentError("invalid time: it is below 0", hint="0 means no limit")
    address = parsed.operands["address"] or ""
    settings = _settings(session)
    if parsed.flag("install") or parsed.flag("uninstall"):
        return _units(parsed, settings, address, idle)
    tls = TLSFiles(
        *(os.path.abspath(text) if text else "" for text in map(parsed.flag, _TLS_FLAGS))
    )
    url = url_of(settings, address, tls)
    if session.whole:
        sys.stderr.flush()
        words = service_program(url, idle, tls=tls)
        os.execve(words[0], words, service_environment(settings))  # noqa: S606  # no shell is wanted
    started = start_service(settings, address, idle, tls)
    # Reaped when it ends, however long the kernel lives.
    threading.Thread(target=started.process.wait, name="api-service", daemon=True).start()
    verify = " DOCKER_TLS_VERIFY=1" if started.url.startswith(TCP) else ""
    return Text(f"export DOCKER_HOST={started.url}{verify}")


_TLS_FLAGS = ("tlscacert", "tlscert", "tlskey")


def _units(parsed: Parsed, settings: Settings, address: str, idle: float) -> Text:
    """Install units of systemd, or remove them."""
    from jupyter_containers.engine.system.service_units import (
        install,
        own_units,
        run_systemctl,
        uninstall,
    )

    if parsed.flag("install") and parsed.flag("uninstall"):
        raise InvalidArgumentError("--install and --uninstall exclude each other")
    if any(map(parsed.flag, _TLS_FLAGS)):
        raise InvalidArgumentError("--install is for a unix socket", hint="without certificates")
    units = own_units(socket_path(settings, address), idle)
    return Text((uninstall if parsed.flag("uninstall") else install)(units, run_systemctl))


def env(session: Session, parsed: Parsed) -> Text:  # noqa: ARG001  # it has no flags
    """Return the line for a shell: ``eval "$(jupyter container system env)"``."""
    return Text(f"export DOCKER_HOST={SCHEME}{socket_path(_settings(session))}")


def _settings(session: Session) -> Settings:
    return load_settings() if session.whole else session.engine.settings
