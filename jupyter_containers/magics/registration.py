"""Loading into a shell and unloading without a trace."""

from __future__ import annotations

import atexit
import html
from typing import Any

from jupyter_containers.magics.cell import dockerfile_verb
from jupyter_containers.magics.config import ContainersConfig
from jupyter_containers.magics.container import ContainerMagics

_NAMES = {"line": ("container", "docker"), "cell": ("container", "docker", "dockerfile")}


def register(shell: Any) -> None:
    """Register the magics and their configuration; a second time replaces the first."""
    unregister(shell)
    config = ContainersConfig(parent=shell)
    magics = ContainerMagics(shell, config)
    shell.register_magics(magics)
    shell.configurables.append(config)
    _complete(shell, magics)
    _rename(shell, magics, config.docker_magic)
    _show_containers(shell)
    config.observe(lambda change: _rename(shell, magics, change.new), "docker_magic")
    _open_switchboard(shell, magics)
    shell.events.register("pre_run_cell", magics.cell_begins)
    atexit.register(magics.close)


def unregister(shell: Any) -> None:
    """Remove magics and configuration and close the engine; nothing happens when not loaded."""
    magics = registered(shell)
    if magics is not None:
        _close_switchboard(shell)
        magics.close()
        _forget_completion(shell)
        shell.events.unregister("pre_run_cell", magics.cell_begins)
        atexit.unregister(magics.close)
    manager = shell.magics_manager
    manager.registry.pop(ContainerMagics.__name__, None)
    for kind, names in _NAMES.items():
        for name in names:
            found = manager.magics[kind].get(name)
            if isinstance(getattr(found, "__self__", None), ContainerMagics):
                del manager.magics[kind][name]
    shell.configurables[:] = [
        item
        for item in shell.configurables
        if not isinstance(item, ContainersConfig | ContainerMagics)
    ]


def _open_switchboard(shell: Any, magics: ContainerMagics) -> None:
    """Let JupyterLab's panel reach the kernel's engine."""
    kernel = getattr(shell, "kernel", None)
    comms = getattr(kernel, "comm_manager", None)
    if comms is None:
        return
    from jupyter_containers.panel.switchboard import Switchboard

    shell.jupyter_containers_panel = board = Switchboard(
        comms, lambda: magics.engine, magics.forecast
    )
    magics.on_engine_closed = board.hang_up
    board.open()


def _close_switchboard(shell: Any) -> None:
    board = shell.__dict__.pop("jupyter_containers_panel", None)
    if board is not None:
        board.close()


def _show_containers(shell: Any) -> None:
    """Show a container with links to its ports, where the notebook server proxies them."""
    formatter = getattr(shell, "display_formatter", None)
    if formatter is not None:
        formatter.formatters["text/html"].for_type_by_name(
            "jupyter_containers.engine.container", "Container", _container_html
        )


def _container_html(container: Any) -> str | None:
    from jupyter_containers.commands.render.links import Link, linked, proxy_base

    if not container.ports:
        return None
    base = proxy_base()
    links = [link for port in container.ports if isinstance(link := linked(port, base), Link)]
    if not links:
        return None
    from jupyter_containers.commands.render.results import PRE

    shown = " ".join(link._repr_html_() for link in links)
    return f'<pre style="{PRE}">{html.escape(repr(container))}\n{shown}</pre>'


def _rename(shell: Any, magics: ContainerMagics, docker: bool) -> None:
    """Offer the magic as ``%docker`` too, or no longer; one of another extension is left alone."""
    for kind in ("line", "cell"):
        known = shell.magics_manager.magics[kind]
        if docker:
            known["docker"] = magics.magics[kind]["container"]
        elif getattr(known.get("docker"), "__self__", None) is magics:
            del known["docker"]


def _complete(shell: Any, magics: ContainerMagics) -> None:
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return
    from jupyter_containers.magics.completion import make_matcher

    completer.custom_matchers.append(make_matcher(magics.names, dockerfile_verb))


def _forget_completion(shell: Any) -> None:
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers[:] = [
            matcher
            for matcher in completer.custom_matchers
            if getattr(matcher, "__module__", "") != f"{__package__}.completion"
        ]


def registered(shell: Any) -> ContainerMagics | None:
    """Return the magics loaded into the shell, or None."""
    found = shell.magics_manager.registry.get(ContainerMagics.__name__)
    return found if isinstance(found, ContainerMagics) else None
