"""``-it`` with a terminal on a page: the command returns while the process runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.session import OnOutput, Session, TerminalWork
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import ContainersError, NotFoundError

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine

_SHELL = "command -v bash >/dev/null && exec bash || exec sh"
Size = Callable[[], tuple[int, int]]


def opens_terminal(session: Session, parsed: Parsed) -> bool:
    """Return whether ``-it`` requests a terminal and the front end can open one on a page."""
    return has_places(session) and bool(parsed.flag("interactive") and parsed.flag("tty"))


def has_places(session: Session) -> bool:
    """Return whether terminals open on a page and the input is not a cell's text."""
    return (
        session.open_terminal is not None
        and session.terminal is None
        and not isinstance(session.stdin, bytes)
    )


def attach_in_terminal(
    session: Session, name: str, action: Callable[..., Any], flags: Mapping[str, Any]
) -> Any:
    """Open a terminal on a container's first process and return the terminal."""
    assert session.open_terminal is not None
    container = session.engine.containers.get(name)

    def work(on_output: OnOutput, keys: int, size: Size) -> int:
        lent = {"on_output": on_output, "stdin": keys, "terminal_size": size, "check": False}
        return int(action(container.id, **lent, **flags).exit_code)

    again = f"In a terminal: jupyter container attach {container.name}"
    return session.open_terminal(TerminalWork(f"{container.name} · attach", work, again))


def run_in_terminal(
    session: Session,
    image: str,
    command: Sequence[str] | None,
    flags: Mapping[str, Any],
    about: str = "",
) -> Any:
    """Create a container, open a terminal on it and return the terminal.

    ``about`` replaces the command or image in the terminal's title.
    """
    assert session.open_terminal is not None
    engine = session.engine
    mine = {name: flags[name] for name in ("detach_keys", "sig_proxy") if name in flags}
    flags = {name: value for name, value in flags.items() if name not in mine}
    with session.progress() as emit:
        container = engine.containers.create(image, command, emit=emit, **flags)

    def work(on_output: OnOutput, keys: int, size: Size) -> int:
        result = engine.containers.start(
            container.id,
            attach=True,
            on_output=on_output,
            stdin=keys,
            check=False,
            terminal_size=size,
            **mine,
        )
        return result.exit_code or 0

    shown = about or (shlex.join(command) if command else image)
    again = f"In a terminal: jupyter container exec -it {container.name} sh"
    try:
        return session.open_terminal(TerminalWork(f"{container.name} · {shown}", work, again))
    except ContainersError:
        if flags.get("rm"):
            with suppress(NotFoundError):
                engine.containers.remove(container.id, force=True, volumes=True)
        raise


def execute_in_terminal(
    session: Session, name: str, command: Sequence[str], flags: Mapping[str, Any]
) -> Any:
    """Open a terminal on a command in a running container and return the terminal."""
    assert session.open_terminal is not None
    return session.open_terminal(exec_work(session.engine, name, command, flags))


def shell_work(engine: Engine, name: str) -> TerminalWork:
    """Return work for a terminal: the best shell in a running container."""
    return exec_work(engine, name, ["sh", "-c", _SHELL], {"interactive": True, "tty": True}, "sh")


def exec_work(
    engine: Engine,
    name: str,
    command: Sequence[str],
    flags: Mapping[str, Any],
    shown: str = "",
) -> TerminalWork:
    """Return work for a terminal: a command in a running container."""
    container = engine.containers.get(name)

    def work(on_output: OnOutput, keys: int, size: Size) -> int:
        result = engine.containers.exec(
            container.id,
            command,
            on_output=on_output,
            stdin=keys,
            check=False,
            terminal_size=size,
            **flags,
        )
        return result.exit_code

    shown = shown or shlex.join(command)
    again = f"In a terminal: jupyter container exec -it {container.name} {shown}"
    return TerminalWork(f"{container.name} · {shown}", work, again)
