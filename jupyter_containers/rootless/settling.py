"""Enters the user's namespaces with the settings that the user has outside."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.rootless.holder import enter
from jupyter_containers.settings import (
    Settings,
    check_places,
    environment,
    load_settings,
)


def enter_for(
    overrides: dict[str, Any] | None = None, environ: MutableMapping[str, str] | None = None
) -> Settings:
    """Make this process root in its user's namespaces; return the settings from before.

    They are also set as environment variables, so that programs started from here find the same
    store. If the host does not let users create namespaces, the process is unchanged: images and
    registries work, and everything else raises the reason.
    """
    environ = os.environ if environ is None else environ
    settings = load_settings(environ, overrides)
    files = settings.layout.user
    # Outside, where users can be distinguished: inside, every other user is nobody.
    check_places(settings)
    denied = files.denied
    try:
        enter(files)
        denied.unlink(missing_ok=True)
    except UnsupportedError as error:
        denied.write_text(f"{error.message}\n{error.provided_by}")
    environ.update(environment(settings))
    return settings
