"""The contexts of one build: the main one and the named ones, opened on first use.

A git repository, an archive, an address or named files become a scratch folder that is removed
after the build.  Images (``docker-image://``, ``oci-layout://``) stay images.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.build.archives import decompressed, is_archive
from jupyter_containers.build.context import LocalContext
from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.remote import Git, GitAddress, download
from jupyter_containers.build.seams import CacheStore, ExtractArchive
from jupyter_containers.build.tree import NO_RULES, SourceTree
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.options.context import ContextSource
from jupyter_containers.trees.rooted import Root

IMAGE_KINDS = ("image", "layout")
Scratch = Callable[[], Path]
OpenDigests = Callable[[Path], FileDigests]


@dataclass(slots=True, kw_only=True)
class Contexts:
    """The contexts that a build reads from; ``stack`` closes them all.

    ``files`` (by name) are added to those of the main context.  ``keep_git_dir`` keeps ``.git`` of
    a main context that is a repository.  ``memory`` holds what servers returned before. ``store``
    is the folder that local contexts exclude.  ``leave_out`` matches files of this machine's
    folders that are copied only by name.
    """

    named: Mapping[str, ContextSource]
    scratch: Scratch
    extract: ExtractArchive | None
    digests: OpenDigests
    cancel: CancelToken
    stack: ExitStack
    files: Mapping[str, bytes] = field(default_factory=dict)
    keep_git_dir: bool = False
    memory: CacheStore | None = None
    store: Path | None = None
    leave_out: IgnoreRules = NO_RULES
    _open: dict[str, LocalContext] = field(default_factory=dict)
    _extra: SourceTree | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def folder(self, source: ContextSource) -> Path:
        """Return a folder with the files of a context."""
        if source.kind == "folder":
            return Path(source.place)
        if source.kind == "files":
            return self._write_files(source.files)
        if source.kind == "git":
            address, git = GitAddress.parse(source.place), Git(self.cancel)
            return git.checkout(
                address, git.commit(address), self.scratch(), keep_git_dir=self.keep_git_dir
            )
        if source.kind == "url":
            got = download(source.place, self.scratch(), self.cancel)
            with got.path.open("rb") as stream:
                if is_archive(stream):
                    return self._unpack(stream)
            # An address that returns text is a Dockerfile and nothing else, as with Docker.
            got.path.rename(got.path.with_name("Dockerfile"))
            return got.path.parent
        if source.data is not None:
            return self._unpack(io.BytesIO(source.data))
        try:
            with open(source.place, "rb") as stream:
                return self._unpack(stream)
        except OSError as error:
            raise InvalidArgumentError(f"cannot read {source.place}: {error.strerror}") from error

    def local(self, source: ContextSource, folder: Path, dockerfile: Path | None) -> LocalContext:
        """Return an open context of the files in ``folder``."""
        on_this_machine = source.kind == "folder"
        digests = self.digests(folder) if on_this_machine else None
        store = self.store if on_this_machine else None
        leave_out = self.leave_out if on_this_machine else NO_RULES
        context = self.stack.enter_context(
            LocalContext(folder, dockerfile, digests, store, leave_out)
        )
        if digests is not None:
            self.stack.callback(digests.save)
        return context

    def image(self, name: str) -> ContextSource | None:
        """Return the named context if it is an image."""
        source = self.named.get(name.lower())
        return source if source is not None and source.kind in IMAGE_KINDS else None

    def tree(self, name: str) -> LocalContext | None:
        """Return the tree of the named context if it has files, opened once for the build."""
        name = name.lower()
        source = self.named.get(name)
        if source is None or source.kind in IMAGE_KINDS:
            return None
        with self._lock:
            if name not in self._open:
                context = self.local(source, self.folder(source), None)
                self._open[name] = context
            return self._open[name]

    @property
    def extra(self) -> SourceTree | None:
        """The tree of the files given in addition to the main context."""
        if not self.files:
            return None
        with self._lock:
            if self._extra is None:
                root = self.stack.enter_context(Root(self._write_files(self.files)))
                self._extra = SourceTree(root)
            return self._extra

    def _write_files(self, files: Mapping[str, bytes]) -> Path:
        folder = self.scratch()
        with Root(folder) as root:
            for name, data in files.items():
                target = folder / root.resolve(name)
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                except OSError as error:
                    raise InvalidArgumentError(
                        f"cannot make the file {name!r}: {error.strerror}"
                    ) from error
                target.chmod(0o644)
        return folder

    def _unpack(self, stream: BinaryIO) -> Path:
        if self.extract is None:
            raise UnsupportedError("archives cannot be unpacked here", capability="archives")
        if not is_archive(stream):
            raise InvalidArgumentError(
                "the context is a file, but no tar archive",
                hint="name a folder, or give the Dockerfile with --file (-f)",
            )
        folder = self.scratch()
        self.extract(decompressed(stream), str(folder), None)
        return folder
