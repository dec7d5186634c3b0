"""Sessions of one engine: start them, find them, stop them.

A session is a container with an agent process.  Both end with this Python process: the agent reads
the end of its pipe and ends the container; if that fails, the next engine that starts a session
removes the container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, overload

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.images.image import Image
from jupyter_containers.engine.sessions.languages import LANGUAGES, Language, language_of
from jupyter_containers.engine.sessions.languages import language as language_named
from jupyter_containers.engine.sessions.launching import Launched, Launcher, remove_abandoned
from jupyter_containers.engine.sessions.outputs import MOST_OUTPUT_BYTES
from jupyter_containers.engine.sessions.pool import SessionPool
from jupyter_containers.engine.sessions.recipe import Recipe
from jupyter_containers.engine.sessions.sandbox import CLOSED
from jupyter_containers.engine.sessions.session import Session
from jupyter_containers.errors import (
    ConflictError,
    InvalidArgumentError,
    SessionNotFoundError,
)
from jupyter_containers.events import EventSink, discard
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import RunFlags
from jupyter_containers.options.values import parse_size

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.images.service import ImageService
    from jupyter_containers.engine.sessions.asynchronous import Opening
    from jupyter_containers.engine.sessions.egress import Egress
    from jupyter_containers.runtime.logs import LogLine

_POOL_MEMORY = "4g"


class SessionService(Collection[Session]):
    """The sessions that this Python process started."""

    noun = "sessions"

    def __init__(
        self,
        containers: ContainerService,
        result_bytes: int,
        images: ImageService | None = None,
        *,
        proxy: Callable[..., Egress] | None = None,
    ) -> None:
        """``images`` know the commands of images, which choose the language."""
        self._containers, self._images, self._result_bytes = containers, images, result_bytes
        self._launcher = Launcher(containers, self._started, proxy)
        self._sessions: dict[str, Session] = {}
        self._pools: list[SessionPool] = []

    @overload
    def __call__(self) -> Items[Session]: ...
    @overload
    def __call__(self, image: str | Image, *, size: int, **options: Any) -> SessionPool: ...
    def __call__(
        self, image: str | Image | None = None, *, size: int = 0, **options: Any
    ) -> Items[Session] | SessionPool:
        """Return all sessions; with an image and ``size`` a pool of started ones."""
        return self.list() if image is None else self.pool(image, size=size, **options)

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
        recipe = Recipe(_name(image), language, timeout, output_bytes, dict(flags))
        return self._start(recipe, emit)

    @with_keywords(RunFlags)
    def sandbox(
        self,
        image: str | Image,
        *,
        allow: Sequence[str] | None = None,
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

        ``allow`` names the hosts that it may reach: ``pypi.org``, ``*.example.org``.  A proxy of
        this process connects to them, to the ports 80 and 443 of public addresses.
        """
        closed = {**CLOSED, **flags}
        if allow is not None and closed["network"] != "none":
            raise InvalidArgumentError(
                "an allow list needs a sandbox without a network", hint="omit network"
            )
        hosts = None if allow is None else _hosts(allow)
        return self._start(
            Recipe(_name(image), language, timeout, output_bytes, closed, True, hosts), emit
        )

    @with_keywords(RunFlags)
    def pool(
        self,
        image: str | Image,
        *,
        size: int,
        sandbox: bool = False,
        allow: Sequence[str] | None = None,
        most_memory: str | int = _POOL_MEMORY,
        language: str = "",
        timeout: float | None = None,
        output_bytes: int = MOST_OUTPUT_BYTES,
        **flags: Unpack[RunFlags],
    ) -> SessionPool:
        """Keep ``size`` started sessions ready; ``take()`` returns one at once.

        They are started in the background, while they together use less than ``most_memory``.  With
        ``sandbox`` they are those of :meth:`sandbox`; the other arguments are those of
        :meth:`start`.  A pool ends with the engine.
        """
        if size < 1:
            raise InvalidArgumentError(f"invalid size of a pool: {size}")
        if flags.get("name"):
            raise InvalidArgumentError("the sessions of a pool have no common name")
        if allow is not None and not sandbox:
            raise InvalidArgumentError("an allow list is for sandboxes", hint="sandbox=True")
        if language:
            language_named(language)
        given: dict[str, Any] = {**CLOSED, **flags} if sandbox else dict(flags)
        if sandbox:
            timeout = 60.0 if timeout is None else timeout
            output_bytes = min(output_bytes, 1 << 20)
        hosts = None if allow is None else _hosts(allow)
        recipe = Recipe(_name(image), language, timeout, output_bytes, given, sandbox, hosts)
        remove_abandoned(self._containers)
        pool = SessionPool(
            partial(self._ready, recipe),
            self._adopt,
            self._memory_of,
            size=size,
            memory=parse_size(most_memory, "most_memory"),
            on_close=self._forget_pool,
        )
        self._pools.append(pool)
        pool.fill()
        return pool

    def asynchronous(self, image: str | Image, *, sandbox: bool = False, **options: Any) -> Opening:
        """Return a session for ``async with``; ``options`` are those of :meth:`start`."""
        from jupyter_containers.engine.sessions.asynchronous import Opening

        return Opening(partial(self.sandbox if sandbox else self.start, image, **options))

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

    def logs(self, name: str, *, tail: int | None = None) -> Iterator[LogLine]:
        """Return what a session's cells have shown, oldest line first: one megabyte at most."""
        return self.get(name).logs(tail)

    def restart(self, name: str) -> None:
        """Replace the process of a session: variables are lost, files stay."""
        self.get(name).restart()

    def stop(self, name: str) -> None:
        """End a session, with the cell that runs, and remove its container."""
        self.get(name).stop()

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a session that runs no cell; with ``force`` a busy one too."""
        session = self.get(name)
        if session.status == "busy" and not force:
            raise ConflictError(
                f"session {name} runs a cell", hint="interrupt the cell, or rm with --force"
            )
        session.stop()

    def close(self) -> None:
        """End all pools and sessions."""
        for pool in list(self._pools):
            pool.close()
        for session in self.everything():
            session.stop()

    # -- starting --------------------------------------------------------------------------------

    def _start(self, recipe: Recipe, emit: EventSink) -> Session:
        if recipe.language:
            language_named(recipe.language)
        remove_abandoned(self._containers)
        name = recipe.flags.get("name")
        if name in self._sessions:
            raise ConflictError(
                f"a session {name} is running", hint=f"%container session stop {name}"
            )
        session = self._ready(recipe, emit)
        self._adopt(session)
        return session

    def _ready(self, recipe: Recipe, emit: EventSink = discard) -> Session:
        """Return a started session that is not listed yet."""
        session = self._of(self._launcher.launch(recipe, emit))
        try:
            session.start()
        except BaseException:
            session.stop()
            raise
        return session

    def _of(self, launched: Launched) -> Session:
        return Session(
            self._launcher,
            launched,
            self._languages(launched),
            result_bytes=self._result_bytes,
            on_stop=self._forget,
        )

    def _languages(self, launched: Launched) -> Sequence[Language]:
        """Return the languages to try: the one named, that of the image's command, else all."""
        name = launched.recipe.language
        if name:
            return (language_named(name),)
        found = None
        if self._images is not None:
            image = self._containers.get(launched.container).image_id
            config = self._images.get(image).inspect().get("Config") or {}
            words = [config.get("Cmd") or (), config.get("Entrypoint") or ()]
            found = next(filter(None, map(language_of, words)), None)
        return tuple(LANGUAGES.values()) if found is None else (found,)

    def _started(self, launched: Launched) -> Session:
        session = self._of(launched)
        self._adopt(session)
        return session

    def _adopt(self, session: Session) -> None:
        self._sessions[session.name] = session

    def _forget(self, session: Session) -> None:
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]

    def _forget_pool(self, pool: SessionPool) -> None:
        if pool in self._pools:
            self._pools.remove(pool)

    def _memory_of(self, sessions: Sequence[Session]) -> int:
        found = self._containers.stats([session.container_id for session in sessions])
        return sum(sample.memory_usage for sample in found)


def _name(image: str | Image) -> str:
    return image.name if isinstance(image, Image) else image


def _hosts(allow: Sequence[str]) -> tuple[str, ...]:
    from jupyter_containers.engine.sessions.allowlist import AllowList

    return AllowList.of(allow).patterns
