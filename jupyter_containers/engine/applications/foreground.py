"""``up`` in the foreground: start, forward the containers' output, end with them.

The lines of every attached container are forwarded with its name in front.  The first
interrupt stops the services in their order, the second kills them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.lines import Followed, ProjectLine, source_of
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.works import Nouns
    from jupyter_containers.engine.containers.container import Container

OnLine = Callable[[ProjectLine], None]
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """The options of a foreground ``up``: whose output is shown, and what ends it.

    ``services`` are those whose output is shown, all if empty.  ``abort`` is ``exit`` or
    ``failure`` if the exit of a container ends all; ``exit_code_from`` names the service whose code
    counts.
    """

    services: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    abort: str = ""
    exit_code_from: str = ""

    def shows(self, service: str) -> bool:
        """Return whether a service's output is shown."""
        return service not in self.hidden and (not self.services or service in self.services)


@dataclass(slots=True)
class Foreground:
    """One foreground ``up``; it lasts until its containers have exited.

    ``containers`` returns the project's containers; ``start``, ``stop`` and ``kill`` act on
    them.
    """

    nouns: Nouns
    attachment: Attachment
    containers: Callable[[], Sequence[Container]]
    start: Callable[[], None]
    stop: Callable[[], None]
    kill: Callable[[], None]
    on_line: OnLine
    _begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    _ended: dict[str, float] = field(default_factory=dict)
    _read: dict[str, float] = field(default_factory=dict)
    _enders: list[threading.Thread] = field(default_factory=list)
    _failure: BaseException | None = None
    _aborting: bool = False

    def run(self) -> int:
        """Run the application; return its exit code."""
        lines = Followed(self.nouns, CancelToken())
        starter = threading.Thread(target=self._run_guarded, args=(self.start,), daemon=True)
        presses = answered = code = 0
        try:
            self._attach(lines)
            starter.start()
            while True:
                try:
                    if presses > answered:
                        code, answered = 130, answered + 1
                        self._stop_or_kill()
                    self._pass_on(lines)
                    ended = self._look(lines)
                    if self._failure is not None:
                        raise self._failure
                    if ended is not None and not self._aborting:
                        code = ended
                        self._aborting = True
                        self._say("", "", "Aborting on container exit...", stream="notice")
                        self._end(self.stop)
                    if self._done(starter):
                        break
                    if self._aborting and not self._busy(starter) and self._some_run():
                        self._end(self.stop)  # the start went on after they were stopped
                except KeyboardInterrupt:
                    presses += 1
            self._pass_on(lines)
            return self._final(code)
        finally:
            lines.close()

    def _attach(self, lines: Followed) -> None:
        """Follow the output of containers that already run, from now on."""
        shown = [one for one in self.containers() if self._shown(one)]
        self._say("", "", f"Attaching to {', '.join(sorted(source_of(one) for one in shown))}")
        for container in shown:
            if container.status.alive:
                self._read[container.id] = container.record.state.started
                lines.follow(container, since=self._begun)

    def _stop_or_kill(self) -> None:
        """Stop the services; kill them at the next interrupt."""
        if self._aborting:
            self._end(self.kill)
            return
        self._aborting = True
        self._end(self.stop)
        self._say("", "", "Gracefully Stopping... press Ctrl+C again to force")

    def _end(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._run_guarded, args=(work,), daemon=True)
        self._enders.append(thread)
        thread.start()

    def _run_guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ContainersError as error:
            # A start that is overtaken by the end may fail; an end that fails is reported.
            if not self._aborting or work != self.start:
                self._failure = error

    def _shown(self, container: Container) -> bool:
        return self.attachment.shows(container.labels.get(labels.SERVICE, ""))

    def _pass_on(self, lines: Followed) -> None:
        for line in lines.take(_LOOK_SECONDS):
            self.on_line(line)

    def _look(self, lines: Followed) -> int | None:
        """Report containers that have exited; return the code that ends the application."""
        found = None
        for container in self.containers():
            state = container.record.state
            if not self._of_this_time(container):
                continue
            if self._shown(container) and self._follows(lines, container):
                continue  # its last lines come before the report of its exit
            if container.status.up or not state.finished:
                continue
            if self._ended.get(container.id) == state.finished:
                continue
            self._ended[container.id] = state.finished
            code = state.exit_code
            if self._shown(container):
                service = container.labels.get(labels.SERVICE, "")
                self._pass_on(lines)
                self._say(
                    source_of(container), service, f"{source_of(container)} exited with code {code}"
                )
            if self.attachment.abort == "exit" or (self.attachment.abort == "failure" and code):
                found = code if found is None else found
        return found

    def _follows(self, lines: Followed, container: Container) -> bool:
        """Read a container's output, once for each run; return whether more may come."""
        started = container.record.state.started
        if lines.is_read(container.id):
            return True
        if not started or self._read.get(container.id) == started:
            return False
        self._read[container.id] = started
        since = datetime.fromtimestamp(self._ended.get(container.id, 0.0), UTC)
        lines.follow(container, since=max(since, self._begun))
        return True

    def _busy(self, starter: threading.Thread) -> bool:
        return starter.is_alive() or any(thread.is_alive() for thread in self._enders)

    def _some_run(self) -> bool:
        return any(one.status.up for one in self.containers() if self._shown(one))

    def _done(self, starter: threading.Thread) -> bool:
        if self._busy(starter):
            return False
        return not any(
            container.status.up
            or (container.record.state.finished and container.id not in self._ended)
            for container in self.containers()
            if self._shown(container) and self._of_this_time(container)
        )

    def _of_this_time(self, container: Container) -> bool:
        started = container.record.state.started
        return started >= self._begun.timestamp() or container.id in self._read

    def _final(self, code: int) -> int:
        wanted = self.attachment.exit_code_from
        if not wanted or code == 130:
            return code
        for container in self.containers():
            if container.labels.get(labels.SERVICE) == wanted:
                return container.record.state.exit_code
        return code

    def _say(self, source: str, service: str, text: str, *, stream: str = "status") -> None:
        data = f"{text}\n".encode()
        self.on_line(ProjectLine(source, service, datetime.now(UTC), stream, data))
