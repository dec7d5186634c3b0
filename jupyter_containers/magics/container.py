"""The magics.

Lifecycle: registered by ``%load_ext`` without an engine → the first command creates one from the
configuration → it serves all cells of the kernel → closed when the extension is unloaded, the
configuration changes, or the kernel ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from jupyter_containers.commands.execute import perform
from jupyter_containers.commands.grammar.contexts import CONTEXT
from jupyter_containers.commands.parser import (
    parse,
    parse_verb,
    split_context,
    take_context,
)
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import ContainersError, InvalidArgumentError, NotFoundError
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.magics import compose_cell
from jupyter_containers.magics.cell import (
    MAGIC_FLAGS,
    begins_with_from,
    dockerfile_verb,
    is_data,
    split_flags,
    variable_named,
    with_body,
    with_values,
)
from jupyter_containers.magics.frontend import front_end
from jupyter_containers.magics.line import command_lines, interpolated, words_of
from jupyter_containers.magics.page import Page
from jupyter_containers.magics.series import Link, SeriesOfCells
from jupyter_containers.magics.shell import printed
from jupyter_containers.printable import printable
from jupyter_containers.settings import load_settings

if TYPE_CHECKING:
    from jupyter_containers.build.result import StepReport
    from jupyter_containers.engine import Engine
    from jupyter_containers.events import EventSink
    from jupyter_containers.magics.config import ContainersConfig
    from jupyter_containers.magics.sessions import SessionCells


@magics_class
class ContainerMagics(Magics):
    """``%container``, ``%%dockerfile``, ``%%compose`` and ``%%session`` of one shell."""

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
        self._engines: dict[str, Engine] = {}  # by context
        self._engine_pid = 0
        self._engine_lock = threading.Lock()
        # Called after the engine was closed: its users then request the next one.
        self.on_engine_closed: Callable[[], None] | None = None
        self._page = Page(lambda: _cell_number(shell))
        self._cells = SeriesOfCells()
        self._runs = itertools.count()
        config.observe(self._configuration_changed)

    @property
    def engine(self) -> Engine:
        """The kernel's engine of the current context, created on first use."""
        return self._engine_of("")

    def _engine_of(self, context: str) -> Engine:
        """Return the engine of a context; empty for the current one."""
        from jupyter_containers.contexts import DEFAULT, Contexts

        overrides = self._config.overrides()
        if not context:
            context = Contexts(settings=load_settings(overrides=overrides)).current
        with self._engine_lock:
            if self._engine_pid != os.getpid():
                # After a fork (multiprocessing in a cell) engines belong to the parent process.
                self._engines, self._engine_pid = {}, os.getpid()
            if context not in self._engines:
                # The engine of this machine has no use for the name.
                chosen = {} if context == DEFAULT else {"context": context}
                self._engines[context] = self._make_engine(**{**overrides, **chosen})
            return self._engines[context]

    def names(self, kind: str) -> list[str]:
        """Return the names of objects in the store, for completion."""
        return self.engine.system.names(kind)

    def close(self) -> None:
        """Close widgets and engine, if any; the next command would create another engine."""
        self._page.close()
        engines, self._engines = self._engines, {}
        if self.on_engine_closed is not None:
            self.on_engine_closed()
        if self._engine_pid == os.getpid():
            for engine in engines.values():
                engine.close()

    def _configuration_changed(self, change: Any) -> None:
        if change.name != "docker_magic":
            self.close()

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def container(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a container command: ``%container run --rm alpine echo hi``; ``--help`` lists them.

        ``%%container run IMAGE`` runs the cell's text with the image's shell, or with
        ``--interpreter python``; ``%%container run -i IMAGE CMD`` passes it to the command's
        standard input; ``%%container`` alone runs the commands in the cell, one per line.
        ``--out NAME`` binds the result to a variable.  ``%%container run -i df -o result IMAGE``
        passes the variable ``df`` (``$df`` is its file) and reads ``$result.*`` afterwards.
        Within a function ``{{name}}`` is the function's local variable, if it has one.
        """
        if cell is None:
            return self._command(line, None, local_ns)
        if line.strip():
            return self._command(line, cell)
        result = None
        for index, command in enumerate(command_lines(cell)):
            if index and result is not None:
                self._display(result)
            result = self._command(command, None)
        return result

    def _command(
        self, line: str, cell: str | None, local_ns: Mapping[str, Any] | None = None
    ) -> Any:
        namespace = {**self._shell.user_ns, **(local_ns or {})}
        data = partial(is_data, namespace=namespace, is_image=self._is_image)
        before, words = split_context(words_of(line, namespace, self._printed))
        after, parsed = take_context(parse(words, (*MAGIC_FLAGS, CONTEXT), data))
        context = after or before
        parsed, own = split_flags(parsed)
        parsed = with_values(parsed, own, namespace)
        variable = variable_named(own)
        if cell is None:
            if own.get("interpreter"):
                raise InvalidArgumentError(
                    "--interpreter runs the text below the line, but there is none",
                    hint="begin the cell with %%container",
                )
            result = self._perform(parsed, None, context=context)
        else:
            command = with_body(parsed, cell, own, lambda: self._engine_of(context))
            result = self._perform(*command, context=context)
        self._shell.push(dict(getattr(result, "results", {})))
        if variable is not None and not parsed.help:
            self._shell.push({variable: result})
        return result

    def _printed(self, command: str) -> str:
        return printed(command, self.engine.settings)

    def _is_image(self, name: str) -> bool:
        try:
            self.engine.images.get(name)
        except NotFoundError:
            return False
        return True

    @no_var_expand
    @cell_magic
    def dockerfile(self, line: str, cell: str) -> Any:
        """Build the cell's text: ``%%dockerfile -t name [build flags] [context]``.

        The image is the cell's value (``_``); ``--out NAME`` also binds it to a variable;
        ``--interpolate`` replaces ``{{expression}}`` in the text; ``--continue`` extends the image
        of the previous cell, so that several cells build one image step by step.
        """
        namespace = self._shell.user_ns
        words = words_of(line, namespace, self._printed)
        parsed, own = split_flags(parse_verb(dockerfile_verb(), words))
        if parsed.help:
            return self._perform(parsed, None)
        variable = variable_named(own)
        source = f"In[{_cell_number(self._shell)}]"
        # Without a cell ID from the front end, every run counts as a separate cell.
        cell_id = self._page.cell_id or f"run {next(self._runs)}"
        below = self._below(cell_id, cell) if own.get("continue") else None
        if below is not None and (warning := self._cells.warning(below)):
            _say(warning)
        flags = {**self._build_flags(cell, own, below), "source_name": source}
        if self._page.cell_id:
            flags["place"] = self._page.cell_id
        image = self._perform(replace(parsed, flags={**parsed.flags, **flags}), None)
        self._note(cell_id, source, image, below)
        if variable is not None:
            self._shell.push({variable: image})
        return image

    @no_var_expand
    @cell_magic
    def compose(self, line: str, cell: str) -> Any:
        """Bring up the application of the cell's text: ``%%compose [-p NAME] [VERB] [flags]``.

        The cell ends when every service runs and is healthy.  Other verbs read the text too:
        ``%%compose down``, ``%%compose config``.  ``--out NAME`` binds the application to a
        variable; ``--interpolate`` replaces ``{{expression}}`` in the text.
        """
        words = words_of(line, self._shell.user_ns, self._printed)
        parsed, own = split_flags(parse(compose_cell.command_of(words), compose_cell.FLAGS))
        if parsed.help:
            return self._perform(parsed, None)
        variable = variable_named(own)
        text = interpolated(cell, self._shell.user_ns) if own.get("interpolate") else cell
        result = self._perform(compose_cell.prepared(parsed), compose_cell.body_of(text), wait=True)
        if variable is not None:
            self._shell.push({variable: compose_cell.bound(result)})
        return result

    @no_var_expand
    @cell_magic
    def session(self, line: str, cell: str) -> None:
        """Run the cell in a session: ``%%session NAME [-i variable] [-o result]``.

        Variables of the session stay from cell to cell; the last expression, displays and figures
        are shown as in any cell.  ``%container session start IMAGE --name NAME`` starts one.
        """
        words = words_of(line, self._shell.user_ns, self._printed)
        self._session_cells().session(words, cell)

    @no_var_expand
    @cell_magic
    def sandbox(self, line: str, cell: str) -> None:
        """Run a cell that nobody has read: ``%%sandbox [flags of run] [IMAGE]``.

        A container without network, with a read-only root and narrow limits; removed afterwards.
        """
        words = words_of(line, self._shell.user_ns, self._printed)
        self._session_cells().sandbox(words, cell, _notebook_progress)

    def _session_cells(self) -> SessionCells:
        from jupyter_containers.magics.sessions import SessionCells

        return SessionCells(self._shell, lambda: self.engine)

    def forecast(self, source: str, cell_id: str) -> Sequence[StepReport]:
        """Return which steps of a ``%%dockerfile`` cell are cached now, without building.

        The cell may come from an untrusted notebook and was perhaps never run, so nothing in it is
        evaluated.  The value of a step with ``{{expression}}`` is unknown.
        """
        from jupyter_containers.magics.unknowns import UNKNOWN, Unknowns, plain_values

        unknowns = Unknowns()
        line, _, text = source.lstrip().partition("\n")
        words = words_of(unknowns.replaced(line), {})[1:]
        parsed, own = split_flags(parse_verb(dockerfile_verb(), words))
        if parsed.help:
            raise InvalidArgumentError("the cell asks for help and builds nothing")
        if own.get("interpolate"):
            text = unknowns.replaced(text)
        below = self._below(cell_id, text) if own.get("continue") else None
        flags = {**self._flags_of(text, below), "place": cell_id, "call": "cache"}
        variables = plain_values(self._shell.user_ns)
        session = Session(provide_engine=lambda: self.engine, variables=variables)
        try:
            found: Sequence[StepReport] = perform(
                session, replace(parsed, flags={**parsed.flags, **flags})
            )
        except ContainersError as error:
            if expression := unknowns.first_in(f"{error.message} {error.hint}"):
                raise InvalidArgumentError(
                    f"{expression}: {UNKNOWN}",
                    hint="run the cell: a forecast does not evaluate expressions",
                ) from error
            raise
        return unknowns.explained(found)

    def _build_flags(self, cell: str, own: Mapping[str, Any], below: Link | None) -> dict[str, Any]:
        """Return the flags that a cell's text adds to its line."""
        text = interpolated(cell, self._shell.user_ns) if own.get("interpolate") else cell
        return self._flags_of(text, below)

    def _flags_of(self, text: str, below: Link | None) -> dict[str, Any]:
        if below is not None:
            text = f"FROM {below.image}\n{text}"
        # The magic's line counts as a line; the added FROM takes its place in the text.
        return {"dockerfile": text, "lines_above": int(below is None)}

    def _below(self, cell: str, text: str) -> Link:
        """Return the cell whose image ``cell`` extends."""
        if begins_with_from(text):
            raise InvalidArgumentError(
                "a cell that continues another cannot have a FROM",
                hint="omit --continue, or the FROM",
            )
        return self._cells.below(cell)

    def _note(self, cell: str, label: str, image: Any, below: Link | None) -> None:
        identity = getattr(image, "id", "")
        if not identity:
            return  # only files were written: there is no image to continue
        if below is None:
            stale = self._cells.begun(cell, label, identity)
        else:
            stale = self._cells.continued(cell, label, identity, below)
        if stale:
            names = " and ".join(filter(None, (", ".join(stale[:-1]), stale[-1])))
            are, them = ("are", "them") if len(stale) > 1 else ("is", "it")
            _say(f"{names} {are} stale now: built on the old image of this cell; run {them} again")

    def _perform(
        self, parsed: Parsed, body: bytes | None, *, wait: bool = False, context: str = ""
    ) -> Any:
        from jupyter_containers.magics.live import LiveOutput

        shell, number = self._shell, _cell_number(self._shell)
        place = front_end(shell)
        in_terminal = place == "terminal"
        live = LiveOutput(limit=None) if in_terminal else LiveOutput()
        whole = ""
        page = self._page if place == "page" else None
        session = Session(
            provide_engine=lambda: self._engine_of(context),
            context=context or self._config.overrides().get("context", ""),
            program="%container",
            progress=_terminal_progress if in_terminal else _notebook_progress,
            on_output=live,
            stdin=body,
            terminal=_raw_terminal if in_terminal else None,
            open_terminal=page.open_terminal if page else None,
            open_log=page.open_log if page else None,
            # Only in the cell that ran the command is its output already shown.
            shown=lambda: _cell_number(shell) == number,
            variables=shell.user_ns,
        )
        try:
            result = perform(session, parsed)
            if compose_cell.leaves_running(parsed):
                if wait:
                    compose_cell.wait(session, parsed)
                result = compose_cell.view_of(session, parsed)
            whole = _whole_log(parsed, result)
            return page.present(session, parsed, result) if page else result
        except KeyboardInterrupt as interrupt:
            from jupyter_containers.commands.interrupted import answered, remark

            raise answered(remark(parsed, interrupt)) from interrupt
        finally:
            live.close(whole)

    def cell_begins(self, info: Any = None) -> None:
        """Close the widgets of earlier runs of this cell (IPython's ``pre_run_cell``)."""
        self._page.begin_cell(getattr(info, "cell_id", None))

    def _display(self, result: Any) -> None:
        import IPython.display

        display: Any = IPython.display.display  # IPython's functions carry no annotations
        display(result)


def _whole_log(parsed: Parsed, result: Any) -> str:
    """Return a sentence that names the place of a run's whole output."""
    kept = getattr(result, "container_id", "") and not parsed.flag("rm")
    if parsed.verb is None or parsed.verb.starts != "container" or not kept:
        return "_.stdout and _.stderr have the last 16 MB"
    return f"%container logs {result.container_id[:12]} has them"


def _say(text: str) -> None:
    """Show a remark in addition to a cell's result."""
    sys.stderr.write(f"{printable(text)}\n")


def _cell_number(shell: Any) -> int:
    """Return the number in the prompt of the cell that runs."""
    # Whether execution_count is that number or one more depends on IPython's version.
    return int(shell.displayhook.prompt_count)


def _new_engine(**overrides: Any) -> Engine:
    from jupyter_containers import Engine

    return Engine(**overrides)


@contextlib.contextmanager
def _notebook_progress() -> Iterator[EventSink]:
    from jupyter_containers.commands.render.progress import NotebookProgress

    with NotebookProgress() as progress:
        yield progress


@contextlib.contextmanager
def _terminal_progress() -> Iterator[EventSink]:
    from jupyter_containers.commands.render.progress import TerminalProgress
    from jupyter_containers.commands.terminal import terminal_width

    with TerminalProgress(sys.stderr, terminal_width()) as progress:
        yield progress


def _raw_terminal() -> Any:
    from jupyter_containers.commands.terminal import raw_terminal

    return raw_terminal()
