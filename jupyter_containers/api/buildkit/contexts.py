"""The contexts of a solve, received through its session: Dockerfile, ignore file, files.

Received trees are kept below ``received`` of the engine's root, by the client's shared key and the
context's name, so that the next build of the same folder transfers only changes.  A tree in use by
another build is received into a scratch folder instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote_plus

from jupyter_containers.api.buildkit.messages import Bytes
from jupyter_containers.api.buildkit.receiving import received
from jupyter_containers.api.buildkit.registry import Upload
from jupyter_containers.api.buildkit.sessions import Session
from jupyter_containers.api.buildkit.status import Vertices
from jupyter_containers.engine import Engine
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.trees.rooted import Root

UPLOAD = "http://buildkit-session/"
_PULL = "/moby.upload.v1.Upload/Pull"
_IGNORE = ".dockerignore"
_BLOCK = 1 << 20
_MOST_DOCKERFILE = 16 << 20
_MOST_IGNORE = 1 << 20


@dataclass(frozen=True, slots=True)
class Definition:
    """A Dockerfile with its name; ``ignore`` is the text of its own ignore file."""

    name: str
    data: bytes
    ignore: bytes | None


class ClientFiles:
    """The trees of one session; closing ``stack`` releases them."""

    def __init__(
        self,
        engine: Engine,
        session: Session,
        stack: ExitStack,
        vertices: Vertices,
        cancel: CancelToken,
    ) -> None:
        self._engine, self._session, self._stack = engine, session, stack
        self._vertices, self._cancel = vertices, cancel
        self._folders: dict[str, Path] = {}

    def scratch(self) -> Path:
        """Return an empty folder that is removed after the build."""
        return self._stack.enter_context(self._engine.builds.scratch_folder())

    def _claim(self, name: str) -> Path:
        """Return the folder for the tree received under a name, held until the build ends."""
        if name in self._folders:
            return self._folders[name]
        folder = self._folders[name] = self._claim_or_create(name)
        return folder

    def _claim_or_create(self, name: str) -> Path:
        if not self._session.shared_key:
            return self.scratch()
        text = f"{self._session.shared_key}\0{name}"
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        kept = self._stack.enter_context(self._engine.builds.received_context(digest))
        return kept or self.scratch()

    def receive(
        self,
        name: str,
        kept: str,
        title: str,
        *,
        follow: Sequence[str] = (),
        exclude: Sequence[str] = (),
        part: str = "transferring context:",
    ) -> Path:
        """Receive a context's files, or only those in ``follow``; return their folder."""
        folder = self._claim(kept)
        metadata = {"dir-name": [name], "followpaths": [*follow], "exclude-patterns": [*exclude]}
        with self._vertices.step(title) as step:
            step.part(part)
            count = received(
                self._session,
                in_headers(metadata),
                folder,
                self._cancel,
                lambda count: step.part(part, count),
            )
            step.part(part, count, done=True)
        return folder / "tree"

    def definition(self, key: str, filename: str) -> Definition:
        """Return the Dockerfile in a client's folder ``key``."""
        name = os.path.normpath(filename).lstrip("/") or "Dockerfile"
        title = f"[internal] load build definition from {name}"
        beside = f"{name}{_IGNORE}"
        follow = [name, beside, name.lower()]
        tree = self.receive(
            key, "dockerfile", title, follow=follow, part="transferring dockerfile:"
        )
        with Root(tree) as root:
            data = _read(root, name, _MOST_DOCKERFILE)
            if data is None and name.rpartition("/")[2] == "Dockerfile":
                data = _read(root, name.lower(), _MOST_DOCKERFILE)
            if data is None:
                raise InvalidArgumentError(
                    f"failed to read dockerfile: open {name}: no such file or directory"
                )
            return Definition(name, data, _read(root, beside, _MOST_IGNORE))

    def context(self, key: str, ignore: bytes | None) -> Path:
        """Return the folder of the main context; ``ignore`` is the text of its ignore file."""
        if ignore is None:
            title = f"[internal] load {_IGNORE}"
            tree = self.receive(key, "ignore", title, follow=[_IGNORE])
            with Root(tree) as root:
                ignore = _read(root, _IGNORE, _MOST_IGNORE)
        return self.receive(
            key, "context", "[internal] load build context", exclude=_patterns(ignore or b"")
        )

    def named(self, name: str, key: str) -> Path:
        """Return the folder of a named context."""
        tree = self.receive(
            key, f"ignore {name}", f"[context {name}] load {_IGNORE}", follow=[_IGNORE]
        )
        with Root(tree) as root:
            ignore = _read(root, _IGNORE, _MOST_IGNORE)
        title = f"[context {name}] load from client"
        return self.receive(key, f"named {name}", title, exclude=_patterns(ignore or b""))

    def uploaded(self, upload: Upload) -> Path:
        """Return a file with the body of another request."""
        path = self.scratch() / "upload"
        try:
            with (
                self._vertices.step("[internal] load remote build context"),
                path.open("xb") as file,
            ):
                while piece := upload.body.read(_BLOCK):
                    self._cancel.check()
                    file.write(piece)
        finally:
            upload.taken.set()
        return path

    def upload(self, address: str) -> Path:
        """Return a file with the archive that a client pipes into its build."""
        path = self.scratch() / "upload"
        metadata = {
            "urlpath": ["/" + address.removeprefix(UPLOAD)],
            "urlhost": ["buildkit-session"],
            "urlscheme": ["http"],
        }
        with (
            self._vertices.step("[internal] load remote build context") as step,
            self._session.open(_PULL, in_headers(metadata), self._cancel) as stream,
            self._session.linked(self._cancel),
            path.open("xb") as file,
        ):
            for piece in stream.each(Bytes):
                self._cancel.check()
                file.write(piece.data)
                step.part("transferring context:", file.tell())
            step.part("transferring context:", file.tell(), done=True)
        return path


def _read(root: Root, name: str, limit: int) -> bytes | None:
    """Return a file of a received tree, None if there is none of that name."""
    try:
        if not root.exists(name):
            return None
        data = root.read_bytes(name, limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidArgumentError(f"cannot read {name}: {reason}") from error
    if len(data) > limit:
        raise InvalidArgumentError(f"{name} is over {limit >> 20} MiB")
    return data


def _patterns(text: bytes) -> list[str]:
    """Return the patterns of an ignore file, in the form for the client's walk."""
    found = []
    for line in text.decode("utf-8-sig", "replace").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        sign = "!" if pattern.startswith("!") else ""
        path = os.path.normpath(pattern.removeprefix("!").strip()).lstrip("/")
        if path not in ("", "."):
            found.append(sign + path)
    return found


def in_headers(metadata: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return a call's metadata as headers; other texts than ASCII are encoded."""
    found = {}
    for name, values in metadata.items():
        if all(value.isascii() and value.isprintable() for value in values):
            found[name] = values
        else:
            found[name] = [quote_plus(value, errors="surrogateescape") for value in values]
            found[f"{name}-encoded"] = ["1"]
    return found
