"""Dockerfile instructions applied to a configuration without a build (``import --change``)."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_containers.build.expand import Lexer
from jupyter_containers.build.instructions import Arg, Workdir
from jupyter_containers.build.interpret import trigger
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import (
    BuildArguments,
    Expander,
    apply,
    is_config_only,
    set_workdir,
)
from jupyter_containers.errors import InvalidArgumentError, SourceLocation
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.image import ExecutionConfig


def changed_config(
    changes: Iterable[str], config: ExecutionConfig | None = None
) -> ExecutionConfig:
    """Apply instructions to ``config``; raise :class:`InvalidArgumentError` for RUN and such."""
    state = StageState(platform=Platform.host(), config=config or ExecutionConfig())
    for number, text in enumerate(changes, 1):
        where = SourceLocation("--change", number, number, (text,))
        instruction = trigger(text.strip(), where)
        expand = Expander(instruction, Lexer(), state.variables(), frozenset())
        if isinstance(instruction, Workdir):
            set_workdir(instruction, state, expand)
        elif is_config_only(instruction) and not isinstance(instruction, Arg):
            apply(instruction, state, expand, BuildArguments({}, {}))
        else:
            raise InvalidArgumentError(
                f"{instruction.keyword} is not a valid change",
                hint="CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, USER, VOLUME and WORKDIR are",
            )
    return state.config
