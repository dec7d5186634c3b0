"""``%%session`` and ``%%sandbox``: cells that run in a container, with rich outputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.grammar.sessions import SANDBOX_CELL, SESSION_CELL
from jupyter_containers.commands.parser import parse_verb
from jupyter_containers.commands.verbs.sessions import seconds, start_flags
from jupyter_containers.commands.words import Parsed
from jupyter_containers.engine.interrupts import answered
from jupyter_containers.errors import InvalidArgumentError, SessionNotFoundError
from jupyter_containers.magics.live import LiveOutput
from jupyter_containers.magics.session_help import question
from jupyter_containers.printable import printable

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.sessions.session import Session
    from jupyter_containers.events import EventSink

DEFAULT_IMAGE = "python"
Progress = Callable[[], "AbstractContextManager[EventSink]"]


class SessionCells:
    """Runs cells of one shell in sessions."""

    def __init__(self, shell: Any, engine: Callable[[], Engine]) -> None:
        self._shell, self._engine = shell, engine

    def session(self, words: list[str], cell: str) -> None:
        """Run a cell in an existing session."""
        parsed = parse_verb(SESSION_CELL, words)
        found = self._session(parsed.operands.get("name"))
        limit = parsed.flag("timeout")
        from IPython.core.page import page

        if (asked := question(cell)) is not None:
            name, detail = asked
            page(found.inspect(name, len(name), detail) or f"{name} is not known there")
            return
        self._run(found, cell, parsed, None if limit is None else seconds(limit))

    def sandbox(self, words: list[str], cell: str, progress: Progress) -> None:
        """Run a cell in a separate container."""
        parsed = parse_verb(SANDBOX_CELL, words)
        flags = start_flags(parsed)
        for key in ("input", "result"):
            flags.pop(key, None)
        image = parsed.operands.get("image") or DEFAULT_IMAGE
        with progress() as emit:
            started = self._engine().sessions.sandbox(image, emit=emit, **flags)
        with started as session:
            self._run(session, cell, parsed, None)

    def _session(self, name: str | None) -> Session:
        sessions = self._engine().sessions
        if name is not None:
            return sessions.get(name)
        known = sessions.list()
        if len(known) != 1:
            names = ", ".join(one.name for one in known)
            raise SessionNotFoundError(
                f"which session: {names}?" if names else "no session runs",
                hint="%container session start python:3-slim --name py",
            )
        return known[0]

    def _run(self, session: Session, cell: str, parsed: Parsed, limit: float | None) -> None:
        variables: Mapping[str, Any] = self._shell.user_ns
        for name in parsed.flag("input", ()):
            if name not in variables:
                raise InvalidArgumentError(f"there is no variable {name} to hand over")
            session.push(**{name: variables[name]})
        live = LiveOutput()
        try:
            # The magic's line counts in tracebacks, as it does beside the cell.
            done = session.run(
                f"\n{cell}",
                timeout=limit,
                on_output=lambda output: self._show(live, output),
                on_input=self._answer,
            )
        except KeyboardInterrupt as interrupt:
            text = f"the cell was interrupted; the variables of {session.name} stay"
            raise answered(text) from interrupt
        finally:
            live.close()
        sentences = done.refused
        if done.error is not None and done.reason:
            sentences = (*sentences, done.reason)
        for sentence in sentences:
            sys.stderr.write(f"{printable(sentence)}\n")
        done.check()
        self._shell.push({name: session.pull(name) for name in parsed.flag("result", ())})

    def _show(self, live: LiveOutput, output: Mapping[str, Any]) -> None:
        kind = output["output_type"]
        if kind == "stream":
            live(output["name"], output["text"].encode("utf-8", "replace"))
        elif kind == "clear_output":
            from IPython.display import clear_output

            clear_output(wait=output["wait"])  # type: ignore[no-untyped-call]  # IPython's
        elif kind != "error":
            sys.stdout.flush()
            self._shell.display_pub.publish(
                output["data"],
                output["metadata"],
                transient=output.get("transient"),
                update=kind == "update_display_data",
            )

    def _answer(self, prompt: str, hidden: bool) -> str | None:
        from getpass import getpass

        with suppress(EOFError, NotImplementedError, self._no_input()):
            return getpass(prompt) if hidden else input(prompt)
        return None

    @staticmethod
    def _no_input() -> type[Exception]:
        """Return the exception that a kernel raises if its front end accepts no input."""
        from IPython.core.error import StdinNotImplementedError

        kind: type[Exception] = StdinNotImplementedError
        return kind
