"""The build context: a local folder, its ignore file and its Dockerfile.

``<Dockerfile>.dockerignore`` beside the Dockerfile takes precedence over ``.dockerignore`` at the
context's root.  An ignored Dockerfile can still be built: the rules do not apply to reading it.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.seams import ContextFile
from jupyter_containers.build.tree import NO_RULES, SourceTree
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root

MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DockerfileText:
    """The text to build and its name in errors; ``path`` is None for a cell's text."""

    text: str
    name: str
    path: Path | None = None


class LocalContext:
    """An open build context; use as a context manager.

    ``store``, the engine's own folder, is never part of a context: a process that reads and closes
    the database that it has open loses its locks on it (fcntl(2)), and with them the records.

    A file that ``leave_out`` matches is copied only by name, unless a ``!`` line of the ignore file
    includes it.
    """

    def __init__(
        self,
        folder: Path,
        dockerfile: Path | None = None,
        digests: FileDigests | None = None,
        store: Path | None = None,
        leave_out: IgnoreRules = NO_RULES,
    ) -> None:
        self.folder = folder
        try:
            self.root = Root(folder)
        except OSError as error:
            raise InvalidArgumentError(
                f"cannot open the context {os.fspath(folder)}: {error.strerror}"
            ) from error
        try:
            rules = _exclude_store(_ignore_rules(self.root, dockerfile), self._place(), store)
            self.tree = SourceTree(self.root, rules, digests=digests, leave_out=leave_out)
        except BaseException:
            self.root.close()
            raise

    def host_file(self, path: str) -> ContextFile:
        """Return the host path of ``path`` in the context, links resolved inside it."""
        status = os.fstat(self.root.descriptor)
        identity = status.st_dev, status.st_ino
        return ContextFile(str(self._place()), identity, self.root.resolve(path))

    def _place(self) -> Path:
        """Return the present path of the open directory, whatever link led to it."""
        return Path(os.readlink(at.path_of(self.root.descriptor)))

    def __enter__(self) -> LocalContext:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.root.close()


def read_dockerfile(options: BuildOptions, folder: Path) -> DockerfileText:
    """Return the Dockerfile of a request; raise :class:`InvalidArgumentError` if there is none.

    ``--file`` is relative to the working directory when the context is a folder of this machine,
    else to the context's ``folder``.
    """
    if options.dockerfile is not None:
        return DockerfileText(options.dockerfile, options.source_name)
    path = options.file or folder / "Dockerfile"
    try:
        if options.file is not None and options.context.kind == "folder":
            with path.open("rb") as stream:
                data = stream.read(MAX_DOCKERFILE_BYTES + 1)
        else:
            # In a folder that others may change: links stay in it, and nothing blocks.
            with Root(folder) as root:
                name = str(options.file or "Dockerfile")
                path = folder / root.resolve(name)
                data = root.read_bytes(name, MAX_DOCKERFILE_BYTES + 1)
    except (OSError, ValueError) as error:
        if not os.path.exists(folder):  # also False for a text that cannot be a path
            raise InvalidArgumentError(
                f"the context {options.context.place!r} does not exist",
                hint="name the folder of the Dockerfile and of the files to COPY",
            ) from error
        raise InvalidArgumentError(
            f"cannot read the Dockerfile {path}: {getattr(error, 'strerror', error)}",
            hint="name another one with --file (-f), or another folder as the context",
        ) from error
    if len(data) > MAX_DOCKERFILE_BYTES:
        raise InvalidArgumentError(f"{path} is over 16 MiB: not a Dockerfile")
    return DockerfileText(data.decode("utf-8", "replace"), path.name, path)


def _ignore_rules(root: Root, dockerfile: Path | None) -> IgnoreRules:
    if dockerfile is not None:
        own = dockerfile.with_name(dockerfile.name + ".dockerignore")
        if own.is_file():
            try:
                with Root(own.parent) as beside:
                    data = beside.read_bytes(own.name, MAX_DOCKERFILE_BYTES)
            except OSError as error:
                raise InvalidArgumentError(f"cannot read {own}: {error.strerror}") from error
            return IgnoreRules.parse(data.decode("utf-8", "replace"), own.name)
    if root.stat(root.resolve(".dockerignore")) is None:
        return IgnoreRules()
    return IgnoreRules.parse(root.read_text(".dockerignore"))


def _exclude_store(rules: IgnoreRules, folder: Path, store: Path | None) -> IgnoreRules:
    if store is None:
        return rules
    place, context = store.resolve(), folder
    if place == context:
        raise InvalidArgumentError(
            f"{os.fspath(folder)} is the engine's own store: it cannot be a context"
        )
    return rules.without(str(place.relative_to(context))) if context in place.parents else rules
