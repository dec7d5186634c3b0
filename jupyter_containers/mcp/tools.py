"""The tools of an assistant: what they do, and what they return as text and pictures.

Every session is a sandbox: an assistant's code runs before anyone has read it.  The engine's own
limits apply, those of the administrator's file among them.  All sessions end with the server.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_containers.errors import ConflictError, SessionNotFoundError

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.sessions.results import SessionResult
    from jupyter_containers.engine.sessions.session import Session

DEFAULT_SESSION = "main"
_MOST_TEXT = 100_000
_MOST_PICTURES = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """What an assistant may use; ``image`` is the only one unless ``images`` is true."""

    image: str = "python"
    images: bool = False
    allow: tuple[str, ...] = ()
    sessions: int = 4
    seconds: float = 60.0
    flags: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a tool: text, and pictures as PNG."""

    text: str
    pictures: tuple[bytes, ...] = ()


class SessionTools:
    """The tools of one server; thread-safe."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def run_code(self, code: str, session: str = DEFAULT_SESSION, timeout: float = 0) -> Reply:
        """Run code in a session and return what it shows; variables stay."""
        limit = min(timeout, self._limits.seconds) if timeout > 0 else self._limits.seconds
        return _reply(self._session(session).run(code, timeout=limit))

    def start_session(self, session: str = DEFAULT_SESSION, image: str = "") -> str:
        """Start a session under a name."""
        with self._lock:
            if session in self._sessions:
                raise ConflictError(f"a session {session} is running", hint="stop it first")
            return self._describe(session, self._start(session, image))

    def stop_session(self, session: str = DEFAULT_SESSION) -> str:
        """End a session: its variables and files are lost."""
        with self._lock:
            found = self._sessions.pop(session, None)
        if found is None:
            raise SessionNotFoundError(f"no session {session}")
        found.stop()
        return f"session {session} has ended"

    def list_sessions(self) -> str:
        """Return the names of the sessions with image, state and number of cells."""
        with self._lock:
            found = [self._describe(name, one) for name, one in self._sessions.items()]
        return "\n".join(found) or "no session runs"

    def list_images(self) -> str:
        """Return the names of the images on this machine."""
        names = sorted(name for image in self._engine.images() for name in image.names)
        return "\n".join(names) or "no images"

    def read_file(self, path: str, session: str = DEFAULT_SESSION) -> str:
        """Return a text file of a session."""
        return _short(self._session(session).files.read_text(path))

    def write_file(self, path: str, text: str, session: str = DEFAULT_SESSION) -> str:
        """Write a text file in a session."""
        self._session(session).files.write(path, text)
        return f"{path}: {len(text.encode())} bytes"

    def list_files(self, path: str = ".", session: str = DEFAULT_SESSION) -> str:
        """Return the entries of a folder in a session."""
        entries = self._session(session).files.list(path)
        return _short(
            "\n".join(
                f"{entry.mode} {entry.size:>10} {entry.name}"
                + (f" -> {entry.target}" if entry.target else "")
                for entry in entries
            )
            or "an empty folder"
        )

    def install(self, packages: Sequence[str], session: str = DEFAULT_SESSION) -> str:
        """Install Python packages in a session."""
        self._session(session).install(*packages)
        return f"installed: {', '.join(packages)}"

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.stop()

    def _session(self, name: str) -> Session:
        """Return a session; the default one is started when it is needed."""
        with self._lock:
            found = self._sessions.get(name)
            if found is not None:
                return found
            if name != DEFAULT_SESSION:
                known = ", ".join(self._sessions) or "none runs"
                raise SessionNotFoundError(f"no session {name}: {known}")
            return self._start(name, "")

    def _start(self, name: str, image: str) -> Session:
        limits = self._limits
        if image and image != limits.image and not limits.images:
            raise ConflictError(
                f"this server starts sessions of {limits.image} only", hint="omit the image"
            )
        if len(self._sessions) >= limits.sessions:
            raise ConflictError(
                f"{limits.sessions} sessions run, and no more are allowed", hint="stop one first"
            )
        session = self._engine.sessions.sandbox(
            image or limits.image,
            allow=limits.allow or None,
            timeout=limits.seconds,
            **limits.flags,
        )
        self._sessions[name] = session
        return session

    def _describe(self, name: str, session: Session) -> str:
        return (
            f"{name}: {session.language} {session.version}, image {session.recipe.image}, "
            f"{session.status}, {session.cells} cells"
        )


def _reply(result: SessionResult) -> Reply:
    """Return the outputs of a cell in their order, pictures beside the text."""
    parts: list[str] = []
    pictures: list[bytes] = []
    for output in result.outputs:
        kind = output["output_type"]
        if kind == "stream":
            parts.append(output["text"])
        elif kind == "error":
            parts.append("\n".join(output["traceback"]) + "\n")
        else:
            data = output["data"]
            png = data.get("image/png")
            if isinstance(png, str) and len(pictures) < _MOST_PICTURES:
                pictures.append(base64.b64decode(png))
            text = data.get("text/markdown") or data.get("text/plain") or ""
            parts.append(f"{text}\n")
    limits = [f"[{sentence}]\n" for sentence in (result.reason, *result.refused) if sentence]
    return Reply(_short("".join([*parts, *limits])) or "(no output)", tuple(pictures))


def _short(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    return f"{text[:_MOST_TEXT]}\n[{len(text) - _MOST_TEXT} characters are left out]"
