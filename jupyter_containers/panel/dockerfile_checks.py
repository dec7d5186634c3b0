"""Build checks of a Dockerfile during editing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_containers.errors import (
    BuildError,
    ContainersError,
    DockerfileSyntaxError,
    SourceLocation,
)
from jupyter_containers.panel.messages import Squiggle

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine


def squiggles(engine: Engine, text: str) -> list[Squiggle]:
    """Return the findings of the build checks, or the error that makes them impossible.

    The context is empty, so that typing never makes the engine read a large folder.
    """
    if not text.strip():
        return []
    try:
        found = engine.builds.check({}, dockerfile=text)
    except (DockerfileSyntaxError, BuildError) as error:
        return [_squiggle("", error.message, error.location, is_error=True)]
    except ContainersError as error:
        return [_squiggle("", error.message, None, is_error=True)]
    return [_squiggle(one.rule.name, one.message, one.location, is_error=False) for one in found]


def _squiggle(
    rule: str, message: str, location: SourceLocation | None, *, is_error: bool
) -> Squiggle:
    first, last = (location.first_line, location.last_line) if location else (1, 1)
    return Squiggle(rule, message, first, last, is_error)
