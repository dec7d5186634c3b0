"""The variables of a project: the caller's, then those of ``.env`` files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from jupyter_containers.compose import dotenv
from jupyter_containers.compose.problems import FileError
from jupyter_containers.errors import (
    ComposeFileError,
    InvalidArgumentError,
    NotFoundError,
    SourceLocation,
)

MAX_BYTES = 4 * 1024 * 1024


def environment_of(
    outer: Mapping[str, str], files: Sequence[str] | None, folder: str
) -> dict[str, str]:
    """Return ``outer`` extended by files; None means the ``.env`` of ``folder``, if it exists."""
    if files is None:
        own = os.path.join(folder, ".env")
        if outer.get("COMPOSE_ENV_FILES"):
            files = outer["COMPOSE_ENV_FILES"].split(",")
        elif os.path.isfile(own):
            files = (own,)
        else:
            return dict(outer)
    found: dict[str, str] = {}
    for name in files:
        path = os.path.join(folder, os.path.expanduser(name))
        found = read(path, outer, "", found)
    return {**found, **outer}


def read(
    path: str, outer: Mapping[str, str], form: str = "", before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables ``before``, updated by those of one file.

    Its values may use the variables of ``outer``, which takes precedence, and of lines above.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"env file {path} not found") from None
    except OSError as error:
        raise NotFoundError(f"env file {path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InvalidArgumentError(
            f"env file {path} is larger than {MAX_BYTES // 1024 // 1024} MiB"
        )
    try:
        text = data.decode("utf-8-sig")
        return (dotenv.parse_raw if form == "raw" else dotenv.parse)(text, outer, before or {})
    except UnicodeDecodeError as error:
        raise ComposeFileError("not UTF-8", location=SourceLocation(path, 1, 1)) from error
    except FileError as problem:
        line = (problem.mark or (0, 0))[0] + 1
        raise ComposeFileError(
            problem.message, location=SourceLocation(path, line, line), hint=problem.hint
        ) from problem
