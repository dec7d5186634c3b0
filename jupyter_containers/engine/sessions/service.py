"""Sessions of one engine: start them, find them, stop them.

A session is a container with an agent process.  Both end with this Python process: the agent reads
the end of its pipe and ends the container; if that fails, the next engine that starts a session
removes the container.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.images.image import Image
from jupyter_containers.engine.sessions.languages import LANGUAGES, Language, language_of
from jupyter_containers.engine.sessions.languages import language as language_named
from jupyter_containers.engine.sessions.outputs import MOST_OUTPUT_BYTES
from jupyter_containers.engine.sessions.sandbox import CLOSED, contained
from jupyter_containers.engine.sessions.session import Session
from jupyter_containers.errors import ConflictError, ContainersError, SessionNotFoundError
from jupyter_containers.events import EventSink, discard
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import RunFlags
from jupyter_containers.options.values import parse_labels
from jupyter_containers.store.owner import Owner

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.images.service import ImageService

LABEL, OWNER = "jupyter-containers.session", "jupyter-containers.session.owner"
# The main process: ends at once on request, and reaps orphans of the cells.
_WAIT = 'trap "exit 0" TERM; while :; do sleep 86400 & wait $!; done'


class SessionService(Collection[Session]):
    """The sessions that this Python process started."""

    noun = "sessions"

    def __init__(
        self,
        containers: ContainerService,
        result_bytes: int,
        images: ImageService | None = None,
    ) -> None:
        """``images`` know the commands of images, which choose the language."""
        self._containers, self._images, self._result_bytes = containers, images, result_bytes
        self._sessions: dict[str, Session] = {}

    @with_keywords(RunFlags)
    def start(
        self,
        image: str | Image,
        *,
        language: str = "",
        timeout: float | None = None,
        output_bytes: int = MOST_OUTPUT_BYTES,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> Session:
        """Start a container of an image, and in it a process that runs cells.

        ``language`` is ``python``, ``r``, ``node`` or ``shell``, by default what the image has.
        ``timeout`` (seconds) and ``output_bytes`` bound each cell; ``flags`` are those of ``run``.
        Raises :class:`UnsupportedError` if the image lacks the language or ``/bin/sh``.
        """
        return self._start(image, language, timeout, output_bytes, emit, dict(flags), dict)

    @with_keywords(RunFlags)
    def sandbox(
        self,
        image: str | Image,
        *,
        language: str = "",
        timeout: float | None = 60.0,
        output_bytes: int = 1 << 20,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> Session:
        """Start a session for untrusted code.

        It has no network, a read-only root with 256 MB of scratch in ``/tmp``, no capabilities, no
        new privileges, 512 MB of memory, one CPU, 128 processes, and per cell 60 s and 1 MiB of
        output; given flags replace these defaults.  A limit that this host cannot enforce raises
        :class:`UnsupportedError`.  HTML is shown in a frame without scripts.
        """
        closed = {**CLOSED, **flags}
        return self._start(image, language, timeout, output_bytes, emit, closed, contained)

    def get(self, name: str) -> Session:
        """Return the session with this name; raise :class:`SessionNotFoundError`."""
        found = self._sessions.get(name)
        if found is None:
            known = ", ".join(self._sessions) or "none runs"
            raise SessionNotFoundError(
                f"no session {name}: {known}", hint="%container session start IMAGE --name " + name
            )
        return found

    def everything(self) -> Items[Session]:
        """Return all sessions, in the order of their start."""
        return list(self._sessions.values())

    def list(self) -> Items[Session]:
        """Return all sessions, in the order of their start."""
        return self.everything()

    def restart(self, name: str) -> None:
        """Replace the process of a session: variables are lost, files stay."""
        self.get(name).restart()

    def stop(self, name: str) -> None:
        """End a session and remove its container."""
        self.get(name).stop()

    def _start(
        self,
        image: str | Image,
        language: str,
        timeout: float | None,
        output_bytes: int,
        emit: EventSink,
        flags: dict[str, Any],
        change: Callable[[Any], dict[str, Any]],
    ) -> Session:
        if language:
            language_named(language)
        self._remove_abandoned()
        name = flags.get("name")
        if name in self._sessions:
            raise ConflictError(
                f"a session {name} is running", hint=f"%container session stop {name}"
            )
        labels = {**parse_labels(flags.pop("label", None) or ()), OWNER: str(Owner.current())}
        labels[LABEL] = language or "any"
        flags |= {"detach": True, "rm": True, "label": labels, "entrypoint": "/bin/sh"}
        container: Container = self._containers.run(image, ["-c", _WAIT], emit=emit, **flags)  # type: ignore[assignment]  # detached
        session = Session(
            self._containers,
            container.id,
            container.name,
            self._languages(language, container),
            result_bytes=self._result_bytes,
            output_bytes=output_bytes,
            timeout=timeout,
            change=change,
            on_stop=lambda: self._sessions.pop(container.name, None),
        )
        try:
            session.start()
        except BaseException:
            session.stop()
            raise
        self._sessions[session.name] = session
        return session

    def _languages(self, name: str, container: Container) -> Sequence[Language]:
        """Return the languages to try: the one named, that of the image's command, else all."""
        if name:
            return (language_named(name),)
        found = None
        if self._images is not None:
            config = self._images.get(container.image_id).inspect().get("Config") or {}
            words = [config.get("Cmd") or (), config.get("Entrypoint") or ()]
            found = next(filter(None, map(language_of, words)), None)
        return tuple(LANGUAGES.values()) if found is None else (found,)

    def _remove_abandoned(self) -> None:
        """Remove the containers of sessions whose Python process is dead."""
        for container in self._containers.list(all=True, filters={"label": [OWNER]}):
            owner = Owner.parse(container.labels.get(OWNER, ""))
            if owner is not None and not owner.alive:
                try:
                    self._containers.remove(container.id, force=True, volumes=True)
                except ContainersError:
                    continue  # another engine removes it
