"""Interpolation of a whole model; keys are not interpolated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyter_containers.compose.nodes import marked
from jupyter_containers.compose.problems import ModelError, Path, dotted
from jupyter_containers.compose.template import Template, TemplateError, Variable, variables


def interpolated(
    model: dict[str, Any], environment: Mapping[str, str], unset: Callable[[str], None]
) -> dict[str, Any]:
    """Return a model with its variables replaced; raise :class:`ModelError`."""
    template = Template(environment, unset)

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, str):
            if "$" not in value:
                return value
            try:
                return template.replaced(value)
            except TemplateError as error:
                raise ModelError(
                    path,
                    f"error while interpolating {dotted(path)}: {error}",
                    hint="write $$ for a dollar sign" if "format" in str(error) else "",
                ) from None
        if isinstance(value, dict):
            found = {key: walk(item, (*path, key)) for key, item in value.items()}
            return marked(found, value)
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    found: dict[str, Any] = walk(model, ())
    return found


def used(model: Any) -> dict[str, Variable]:
    """Return the variables of a model by name, in the form of their first use."""
    found: dict[str, Variable] = {}
    stack = [model]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            for variable in variables(value):
                found.setdefault(variable.name, variable)
        elif isinstance(value, dict):
            stack += reversed(value.values())
        elif isinstance(value, list):
            stack += reversed(value)
    return found
