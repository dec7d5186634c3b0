"""The program of a builder pod: one build for a client, over standard input and output.

The files of a context are kept for the client's next build, so only changes travel.  The store and
the build cache are those of the pod's volume.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from jupyter_containers.engine import Engine
from jupyter_containers.errors import BuildError, ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.build_messages import (
    Begin,
    Done,
    Failed,
    Frames,
    Happened,
    SentFile,
    Wanted,
    message,
)
from jupyter_containers.registry import Credential
from jupyter_containers.trees import at, removal
from jupyter_containers.trees.rooted import Root

# The pod ends some time after this file was last touched.
USED = Path("/run/jupyter-containers-builder")
_TOUCH_SECONDS = 30.0
_ATTRIBUTES = 0o7777


class ReceivedTree:
    """The files of a context in ``folder``, and the list of those that are complete."""

    def __init__(self, folder: Path) -> None:
        self.tree, self._index = folder / "tree", folder / "index"
        self._unfinished = folder / "unfinished"
        self._known: dict[str, str] = {}
        if self._unfinished.exists() and self.tree.exists():
            # A build was ended while it received files: nobody knows which.
            self._index.unlink(missing_ok=True)
            removal.remove(self.tree)
        self.tree.mkdir(exist_ok=True)
        with suppress(OSError, msgspec.DecodeError):
            self._known = msgspec.json.decode(self._index.read_bytes(), type=dict[str, str])

    def prepare(self, entries: Sequence[SentFile]) -> tuple[int, ...]:
        """Remove what has changed or is gone; return the numbers of files to receive."""
        wanted = {entry.path: entry.digest for entry in entries}
        kept = {path: digest for path, digest in self._known.items() if wanted.get(path) == digest}
        self._unfinished.touch()
        missing = []
        with Root(self.tree) as root:
            for path in sorted(self._known.keys() - kept.keys(), reverse=True):
                with suppress(OSError), root.place(path) as (directory, name):
                    state = at.stat(directory, name)
                    if stat.S_ISDIR(state.st_mode) and path in wanted:
                        continue  # only its mode has changed, or a file takes its place below
                    remove = at.rmdir if stat.S_ISDIR(state.st_mode) else at.unlink
                    remove(directory, name)
            for number, entry in enumerate(entries):
                if entry.path not in kept and not self._make(root, entry):
                    missing.append(number)
        return tuple(missing)

    def _make(self, root: Root, entry: SentFile) -> bool:
        """Create an entry without contents; return False for a regular file."""
        with root.place(entry.path) as (directory, name):
            found = at.look(directory, name)
            folder = stat.S_ISDIR(entry.mode)
            if found is not None and not (folder and stat.S_ISDIR(found.st_mode)):
                if stat.S_ISDIR(found.st_mode):
                    removal.remove(self.tree / entry.path)
                else:
                    at.unlink(directory, name)
                found = None
            if folder:
                if found is None:
                    at.mkdir(directory, name)
            elif stat.S_ISLNK(entry.mode):
                at.symlink(entry.target, directory, name)
            elif stat.S_ISFIFO(entry.mode):
                at.mknod(directory, name, stat.S_IFIFO | 0o600)
            elif stat.S_ISREG(entry.mode):
                return False
            else:
                raise BuildError(f"{entry.path} is not a file that can be sent")
        return True

    def receive(self, entry: SentFile, frames: Frames) -> None:
        """Write a file's contents."""
        with (
            Root(self.tree) as root,
            root.place(entry.path) as (directory, name),
            os.fdopen(at.create(directory, name), "wb") as file,
        ):
            frames.data_into(file)

    def finish(self, entries: Sequence[SentFile]) -> None:
        """Set the modes and times of all entries, inner ones first; all are complete then."""
        with Root(self.tree) as root:
            for entry in reversed(entries):
                with root.place(entry.path) as (directory, name):
                    if not stat.S_ISLNK(entry.mode):
                        at.chmod(directory, name, entry.mode & _ATTRIBUTES)
                    at.utime(directory, name, (entry.mtime_ns, entry.mtime_ns))
        found = {entry.path: entry.digest for entry in entries}
        self._index.write_bytes(msgspec.json.encode(found))
        self._unfinished.unlink()


def main() -> int:
    """Serve one build."""
    # Whatever else is printed must not be taken for a frame.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(value: msgspec.Struct) -> None:
        with lock, suppress(BrokenPipeError):
            output.write(message(value))
            output.flush()

    frames = Frames(partial(os.read, 0))
    try:
        with _busy():
            begin: Begin = frames.message(Begin)
            send(_build(begin, frames, send))
    except EOFError:
        return 1
    except ContainersError as error:
        send(Failed.of(error))
    except BaseException as error:
        traceback.print_exc()
        send(Failed("ContainersError", f"the builder failed: {type(error).__name__}: {error}"))
        raise
    return 0


def _build(begin: Begin, frames: Frames, send: Callable[[msgspec.Struct], None]) -> Done:
    credentials = {name: Credential(*values) for name, values in begin.credentials.items()}
    cancel = CancelToken()
    with Engine() as engine, _context(engine, begin.name) as folder:
        received = ReceivedTree(folder)
        numbers = received.prepare(begin.entries)
        send(Wanted(numbers))
        for number in numbers:
            received.receive(begin.entries[number], frames)
        received.finish(begin.entries)
        threading.Thread(target=_watch, args=(frames, cancel), daemon=True).start()
        with engine.registries.lending(credentials):
            image = engine.builds.build(
                received.tree,
                emit=lambda event: send(Happened.of(event)),
                cancel=cancel,
                secret_values=begin.secrets,
                files=begin.files,
                tag=begin.push,
                push=True,
                **begin.flags,
            )
        return Done(msgspec.to_builtins(image.record), image.digest)


@contextmanager
def _context(engine: Engine, name: str) -> Iterator[Path]:
    with engine.builds.received_context(name) as folder:
        if folder is not None:
            yield folder
            return
    with engine.builds.scratch_folder() as scratch:  # another build is using it
        yield scratch


def _watch(frames: Frames, cancel: CancelToken) -> None:
    """Cancel the build when the client goes away."""
    with suppress(EOFError):
        frames.next()
    cancel.cancel()


@contextmanager
def _busy() -> Iterator[None]:
    """Keep the pod alive during a block."""
    over = threading.Event()

    def touch() -> None:
        while not over.wait(_TOUCH_SECONDS):
            with suppress(OSError):
                USED.touch()

    with suppress(OSError):
        USED.touch()
    threading.Thread(target=touch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


if __name__ == "__main__":
    sys.exit(main())
