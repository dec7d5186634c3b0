"""The magics themselves.

Life: registered by ``%load_ext`` with no engine → the first command makes one from the
configuration → it serves every cell of the kernel → closed when the extension is unloaded, the
configuration changes, or the kernel ends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from jupyter_containers.commands.execute import perform
from jupyter_containers.commands.grammar import spellings
from jupyter_containers.commands.parser import parse, parse_verb
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Flag, Parsed, Verb
from jupyter_containers.errors import (
    BuildError,
    DockerfileSyntaxError,
    InvalidArgumentError,
    SourceLocation,
)
from jupyter_containers.magics.frontend import front_end
from jupyter_containers.magics.line import command_lines, words_of

if TYPE_CHECKING:
    from jupyter_containers.commands.session import TerminalWork
    from jupyter_containers.engine import Engine
    from jupyter_containers.events import EventSink
    from jupyter_containers.magics.config import ContainersConfig
    from jupyter_containers.widgets.gallery import Gallery


class Interrupted(KeyboardInterrupt):
    """The person stopped a command; it has cleaned up.  A cell shows it as one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


@magics_class
class ContainerMagics(Magics):
    """``%container``, ``%%container`` and ``%%dockerfile`` of one shell."""

    def __init__(
        self,
        shell: Any,
        config: ContainersConfig,
        make_engine: Callable[..., Engine] | None = None,
    ) -> None:
        super().__init__(shell)
        self._shell = shell
        self._config = config
        self._make_engine = make_engine or _new_engine
        self._engine: Engine | None = None
        self._engine_pid = 0
        self._gallery: Gallery | None = None
        self._cell_id: str | None = None
        config.observe(self._configuration_changed)

    @property
    def engine(self) -> Engine:
        """The kernel's engine, made on first use."""
        if self._engine is None or self._engine_pid != os.getpid():
            # After a fork (multiprocessing in a cell) the parent's engine is not this process's.
            self._engine = self._make_engine(**self._config.overrides())
            self._engine_pid = os.getpid()
        return self._engine

    def close(self) -> None:
        """Close widgets and engine where there are any; the next command would make another."""
        if self._gallery is not None:
            self._gallery.close()
        engine, self._engine = self._engine, None
        if engine is not None and self._engine_pid == os.getpid():
            engine.close()

    def _configuration_changed(self, change: Any) -> None:  # noqa: ARG002  # traitlets' signature
        self.close()

    @no_var_expand
    @line_cell_magic
    def container(self, line: str, cell: str | None = None) -> Any:
        """Run a container command: ``%container run --rm alpine echo hi``; ``--help`` lists them.

        ``%%container run -i IMAGE sh`` gives the cell's text to the command's standard input;
        ``%%container`` alone runs the commands in the cell, one a line.
        """
        namespace = self._shell.user_ns
        if cell is None:
            return self._perform(parse(words_of(line, namespace)), None)
        if line.strip():
            return self._perform(*_with_body(parse(words_of(line, namespace)), cell))
        result = None
        for index, command in enumerate(command_lines(cell)):
            if index and result is not None:
                self._display(result)
            result = self._perform(parse(words_of(command, namespace)), None)
        return result

    @no_var_expand
    @cell_magic
    def dockerfile(self, line: str, cell: str) -> Any:
        """Build the cell's text: ``%%dockerfile -t name [build flags] [context]``.

        The image is the cell's value (``_``); ``--out NAME`` also binds it to a variable.
        """
        verb = _dockerfile_verb()
        parsed = parse_verb(verb, words_of(line, self._shell.user_ns))
        if parsed.help:
            return self._perform(parsed, None)
        flags = dict(parsed.flags)
        variable = flags.pop("out", None)
        if variable is not None and not variable.isidentifier():
            raise InvalidArgumentError(
                f"--out {variable!r} is not a variable's name", hint="write --out image"
            )
        flags["dockerfile"] = cell
        flags["source_name"] = f"In[{_cell_number(self._shell)}]"
        try:
            image = self._perform(replace(parsed, flags=flags), None)
        except (BuildError, DockerfileSyntaxError) as error:
            error.location = _in_the_cell(error.location, flags["source_name"])
            raise
        if variable is not None:
            self._shell.push({variable: image})
        return image

    def _perform(self, parsed: Parsed, body: bytes | None) -> Any:
        from jupyter_containers.magics.live import LiveOutput

        shell, number = self._shell, _cell_number(self._shell)
        place = front_end(shell)
        in_terminal = place == "terminal"
        live = LiveOutput()
        session = Session(
            provide_engine=lambda: self.engine,
            program="%container",
            progress=_terminal_progress if in_terminal else _notebook_progress,
            on_output=live,
            stdin=body,
            terminal=_raw_terminal if in_terminal else None,
            open_terminal=self._open_terminal if place == "page" else None,
            # In the cell that ran the command its output stands above; in a later one it does not.
            shown=lambda: _cell_number(shell) == number,
            variables=shell.user_ns,
        )
        try:
            return perform(session, parsed)
        except KeyboardInterrupt as interrupt:
            verb = parsed.verb.name if parsed.verb else "the command"
            raise Interrupted(f"{verb} was interrupted") from interrupt
        finally:
            live.close()

    @property
    def gallery(self) -> Gallery:
        """The live widgets of this kernel."""
        if self._gallery is None:
            from jupyter_containers.widgets.gallery import Gallery

            self._gallery = Gallery()
            self._gallery.begin(self._cell_id)
        return self._gallery

    def cell_begins(self, info: Any = None) -> None:
        """Close what earlier runs of this cell have left open (IPython's ``pre_run_cell``)."""
        self._cell_id = getattr(info, "cell_id", None)
        if self._gallery is not None:
            self._gallery.begin(self._cell_id)

    def _open_terminal(self, work: TerminalWork) -> Any:
        from jupyter_containers.widgets.terminal import TerminalWidget

        terminal = TerminalWidget(work, self.gallery, lambda: _cell_number(self._shell))
        terminal.show()
        try:
            terminal.start()
        except BaseException:
            terminal.discard()
            raise
        return terminal

    def _display(self, result: Any) -> None:
        import IPython.display

        display: Any = IPython.display.display  # IPython's functions carry no annotations
        display(result)


def _cell_number(shell: Any) -> int:
    """Return the number in the prompt of the cell that runs."""
    # Whether execution_count is that number or one more depends on IPython's version.
    return int(shell.displayhook.prompt_count)


def _new_engine(**overrides: Any) -> Engine:
    from jupyter_containers.engine import Engine

    return Engine(**overrides)


def _with_body(parsed: Parsed, cell: str) -> tuple[Parsed, bytes]:
    verb = parsed.verb
    if verb is None or parsed.help:
        return parsed, b""
    if not verb.reads_stdin or parsed.flag("detach"):
        raise InvalidArgumentError(
            f"{verb.name} reads no input, but the cell has text below the first line",
            hint="write %container for one command, or %%container alone for several",
        )
    takes_flag = any(flag.key == "interactive" for flag in verb.flags)
    # Text below the line is meant as input, whether or not -i was said.
    flags = {**parsed.flags, "interactive": True} if takes_flag else parsed.flags
    return replace(parsed, flags=flags), cell.encode()


def _in_the_cell(location: SourceLocation | None, cell: str) -> SourceLocation | None:
    """Return a place in the Dockerfile as a place in its cell, whose first line is the magic's."""
    if location is None or location.filename != cell:
        return location
    return replace(location, first_line=location.first_line + 1, last_line=location.last_line + 1)


def _dockerfile_verb() -> Verb:
    build = spellings()["build"]
    flags = tuple(flag for flag in build.flags if flag.key != "file")
    out = Flag("out", "Bind the image to a variable of this name", metavar="NAME")
    return replace(build, name="dockerfile", flags=(*flags, out), aliases=())


@contextlib.contextmanager
def _notebook_progress() -> Iterator[EventSink]:
    from jupyter_containers.commands.render.progress import NotebookProgress

    with NotebookProgress() as progress:
        yield progress


@contextlib.contextmanager
def _terminal_progress() -> Iterator[EventSink]:
    import sys

    from jupyter_containers.commands.render.progress import TerminalProgress
    from jupyter_containers.commands.terminal import terminal_width

    with TerminalProgress(sys.stderr, terminal_width()) as progress:
        yield progress


def _raw_terminal() -> Any:
    from jupyter_containers.commands.terminal import raw_terminal

    return raw_terminal()
