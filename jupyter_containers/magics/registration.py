"""Loads the magics into a shell, and unloads them completely."""

from __future__ import annotations

import atexit
from typing import Any

from jupyter_containers.magics.cell import dockerfile_verb
from jupyter_containers.magics.config import ContainersConfig
from jupyter_containers.magics.container import ContainerMagics

_NAMES = {
    "line": ("container", "docker"),
    "cell": ("container", "docker", "dockerfile", "compose", "session", "sandbox"),
}


def register(shell: Any) -> None:
    """Register the magics and their configuration, replacing those of an earlier call."""
    unregister(shell)
    config = ContainersConfig(parent=shell)
    magics = ContainerMagics(shell, config)
    shell.register_magics(magics)
    shell.configurables.append(config)
    _complete(shell, magics)
    _mend_pasted(shell)
    _rename(shell, magics, config.docker_magic)
    _show_values(shell)
    config.observe(lambda change: _rename(shell, magics, change.new), "docker_magic")
    _open_connections(shell, magics)
    shell.events.register("pre_run_cell", magics.cell_begins)
    atexit.register(magics.close)


def unregister(shell: Any) -> None:
    """Remove magics and configuration and close the engine; do nothing if not loaded."""
    magics = registered(shell)
    if magics is not None:
        _close_connections(shell)
        _show_values_no_more(shell)
        magics.close()
        _forget_completion(shell)
        _mend_no_more(shell)
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


def _open_connections(shell: Any, magics: ContainerMagics) -> None:
    """Let JupyterLab's panel connect to the kernel's engine."""
    kernel = getattr(shell, "kernel", None)
    comms = getattr(kernel, "comm_manager", None)
    if comms is None:
        return
    from jupyter_containers.panel.connections import Connections

    shell.jupyter_containers_panel = board = Connections(
        comms, lambda: magics.engine, magics.forecast
    )
    magics.on_engine_closed = board.hang_up
    board.open()


def _close_connections(shell: Any) -> None:
    board = shell.__dict__.pop("jupyter_containers_panel", None)
    if board is not None:
        board.close()


def _show_values(shell: Any) -> None:
    """Show containers and images of the engine as HTML too."""
    formatter = getattr(shell, "display_formatter", None)
    if formatter is None:
        return
    known = formatter.formatters["text/html"]
    for (module, name), show in _SHOWN.items():
        known.for_type_by_name(module, name, show)


def _show_values_no_more(shell: Any) -> None:
    formatter = getattr(shell, "display_formatter", None)
    if formatter is not None:
        for module, name in _SHOWN:
            formatter.formatters["text/html"].pop(f"{module}.{name}", None)


def _container_html(container: Any) -> str:
    from jupyter_containers.commands.render.objects import container_html

    return container_html(container)


def _image_html(image: Any) -> str:
    from jupyter_containers.commands.render.objects import image_html

    return image_html(image)


def _application_html(application: Any) -> str:
    from jupyter_containers.commands.render.application import ApplicationView
    from jupyter_containers.commands.render.links import proxy_base

    return ApplicationView(application, application.status(), proxy_base())._repr_html_()


def _text_html(value: Any) -> str:
    from jupyter_containers.commands.render.results import pre

    return pre(repr(value))


# By name, since the engine is not imported before the first command.
_SHOWN = {
    ("jupyter_containers.engine.containers.container", "Container"): _container_html,
    ("jupyter_containers.engine.images.image", "Image"): _image_html,
    ("jupyter_containers.engine.applications.application", "Application"): _application_html,
    ("jupyter_containers.engine.results", "RunResult"): _text_html,
    ("jupyter_containers.engine.registries.local", "LocalRegistry"): _text_html,
    ("jupyter_containers.engine.workloads.service_block", "Service"): _text_html,
}


def _rename(shell: Any, magics: ContainerMagics, docker: bool) -> None:
    """Add or remove the alias ``%docker``; another extension's magic is kept."""
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


def _mend_pasted(shell: Any) -> None:
    """Explain pasted commands, and magics below comments, before IPython reads a cell."""
    from jupyter_containers.magics.pasted import make_transform

    def is_verb(word: str) -> bool:
        from jupyter_containers.commands.grammar import spellings

        return any(word == spelling.partition(" ")[0] for spelling in spellings())

    def has_alias() -> bool:
        return "docker" in shell.magics_manager.magics["line"]

    shell.input_transformers_cleanup.append(make_transform(is_verb, has_alias))


def _mend_no_more(shell: Any) -> None:
    shell.input_transformers_cleanup[:] = [
        transform
        for transform in shell.input_transformers_cleanup
        if getattr(transform, "__module__", "") != f"{__package__}.pasted"
    ]


def registered(shell: Any) -> ContainerMagics | None:
    """Return the magics loaded into the shell, or None."""
    found = shell.magics_manager.registry.get(ContainerMagics.__name__)
    return found if isinstance(found, ContainerMagics) else None
