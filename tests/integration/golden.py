"""Golden builds: the contents and layout of a case's folder, and the recorded parts of an image.

A *case* is a folder of ``tests/data/dockerfiles``: a ``Dockerfile``, perhaps a ``context`` of its
own and a ``case.json``:

``context``   the name of a folder of ``tests/data/contexts`` instead of an own one
``options``   keywords of ``Engine.build``; ``{http}`` in a value is the address of ``served``
``flags``     the same for Docker, as it writes them
``make``      files that a repository cannot hold: ``modes``, ``links``, ``hard``, ``archives``,
              ``text``, ``xattrs``, ``owners``, ``fifos``, ``served`` (files of a web server)
``engine``    ``buildah`` where Docker's frontend does not know the instruction yet, ``containerd``
              where it matters that BuildKit merges layers
``fails``     the build must fail

``expected.json`` is the result of the engine that it names for the same input, frozen by
``python -m tests.integration.regenerate_golden``.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

DATA = Path(__file__).parents[1] / "data"
CASES = DATA / "dockerfiles"
CONTEXTS = DATA / "contexts"
NAMES = sorted(path.parent.name for path in CASES.glob("*/Dockerfile"))
TIME = 1_000_000_000  # of every file of a context
_OLD = 1_500_000_000
BASE = "bb"
BASE_CHANGES = ("ENV PATH=/bin", 'CMD ["sh"]')
COMMENT = "buildkit.dockerfile.v0"
_BASE_FILES = {
    "etc/passwd": (
        "root:x:0:0::/:/bin/sh\ngames:x:5:60::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    ),
    "etc/group": "root:x:0:\nstaff:x:50:\ngames:x:60:\nnobody:x:65534:\n",
    "etc/hostname": "",
    "etc/hosts": "",
    "etc/resolv.conf": "",
    "data/one": "1\n",
    "data/two": "2\n",
    "data/deep/three": "3\n",
}
_BASE_LINKS = {"lib": "usr/lib", "app": "/etc"}
_BASE_FOLDERS = ("usr/lib", "tmp", "proc", "sys", "dev", "run", "root")
_SHOWN = 200


def case(name: str) -> dict[str, Any]:
    """Return the content of a case's ``case.json``."""
    path = CASES / name / "case.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def base_tar() -> bytes:
    """Return the root file system of the image ``bb``: busybox and a few files."""
    busybox = Path("/bin/busybox").read_bytes()
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, check=True, text=True)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        folders = {"bin", "etc", "usr", "data", "data/deep", *_BASE_FOLDERS}
        for name in sorted(folders):
            _member(archive, name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755)
        _member(archive, "bin/busybox", tarfile.REGTYPE, 0o755, busybox)
        for applet in sorted(set(applets.stdout.split()) - {"busybox"}):
            _member(archive, f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        for name, text in _BASE_FILES.items():
            _member(archive, name, tarfile.REGTYPE, 0o644, text.encode())
        for name, link in _BASE_LINKS.items():
            _member(archive, name, tarfile.SYMTYPE, 0o777, link=link)
    return target.getvalue()


def _member(
    archive: tarfile.TarFile, name: str, kind: bytes, mode: int, data: bytes = b"", link: str = ""
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname, member.mtime = kind, mode, link, TIME
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


# The files of a case.


def lay_out(name: str, folder: Path) -> tuple[Path, Path]:
    """Return the case's context and its folder of served files, made below ``folder``."""
    about = case(name)
    context, served = folder / "context", folder / "served"
    own = CASES / name / "context"
    given = CONTEXTS / about["context"] if "context" in about else own
    if given.exists():
        shutil.copytree(given, context, symlinks=True)
    else:
        context.mkdir(parents=True)
    served.mkdir()
    for path in (context, *context.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.name == "x.txt" else 0o644)
    make = about.get("make", {})
    _write(make, context, served)
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        os.utime(path, (TIME, TIME), follow_symlinks=False)
    shutil.copy(CASES / name / "Dockerfile", folder / "Dockerfile")
    ignore = CASES / name / "Dockerfile.dockerignore"
    if ignore.exists():
        shutil.copy(ignore, folder / "Dockerfile.dockerignore")
    return context, served


def _write(make: Mapping[str, Any], context: Path, served: Path) -> None:
    for path, text in make.get("text", {}).items():
        target = context / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir(exist_ok=True)
        else:
            target.write_text(text)
            target.chmod(0o644)
    for path, target in make.get("links", {}).items():
        (context / path).symlink_to(target)
    for path, other in make.get("hard", {}).items():
        os.link(context / other, context / path)
    for path in make.get("fifos", []):
        os.mkfifo(context / path)
    for path, members in make.get("archives", {}).items():
        _archive(context / path, context, members)
    for path, members in make.get("served_archives", {}).items():
        _archive(served / path, context, members)
    for path, text in make.get("served", {}).items():
        (served / path).write_text(text)
    _mark(make, context)


def _mark(make: Mapping[str, Any], context: Path) -> None:
    for path, mode in make.get("modes", {}).items():
        (context / path).chmod(int(mode, 8))
    for path, owner in make.get("owners", {}).items():
        os.chown(context / path, *owner)
    for path, values in make.get("xattrs", {}).items():
        for key, value in values.items():
            os.setxattr(context / path, key, bytes.fromhex(value))


def _archive(path: Path, context: Path, members: Iterable[str]) -> None:
    def numbered(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid, member.uname, member.gname, member.mtime = 3, 4, "", "", 7
        return member

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for member in members:
            archive.add(context / member, member, filter=numbered)
    # No times inside, so that the archive is the same bytes every time.
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": partial(gzip.compress, mtime=0), ".bz2": bz2.compress, ".xz": lzma.compress,
    }  # fmt: skip
    path.write_bytes(packers.get(path.suffix, bytes)(plain.getvalue()))


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Yield the address of a web server that gives the files of ``folder``."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# The recorded fields of an image.


class Tree(dict[str, dict[str, Any]]):
    """Stacked layers: every path with its recorded properties."""

    def add(self, stream: BinaryIO) -> bool:
        """Put a layer (an uncompressed tar) on top; return whether there was anything in it."""
        fresh: dict[str, dict[str, Any]] = {}
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path = member.name.strip("/").removeprefix("./")
                folder, _, name = path.rpartition("/")
                if name == ".wh..wh..opq":
                    self._drop(folder, keep=True)
                elif name.startswith(".wh."):
                    self._drop(f"{folder}/{name[4:]}".lstrip("/"))
                elif path not in ("", "."):
                    fresh[path] = self._entry(member, archive, fresh)
        for path, entry in fresh.items():
            if entry["type"] != "folder":
                self._drop(path)
            self[path] = entry
        return bool(fresh)

    def _drop(self, path: str, *, keep: bool = False) -> None:
        if not keep:
            self.pop(path, None)
        for other in [one for one in self if one.startswith(f"{path}/" if path else "")]:
            del self[other]

    def _entry(
        self, member: tarfile.TarInfo, archive: tarfile.TarFile, fresh: Mapping[str, Any]
    ) -> dict[str, Any]:
        if member.islnk():
            target = member.linkname.strip("/").removeprefix("./")
            return dict(fresh.get(target) or self[target])
        kinds = {
            tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo",
            tarfile.CHRTYPE: "character", tarfile.BLKTYPE: "block",
        }  # fmt: skip
        entry: dict[str, Any] = {
            "type": kinds.get(member.type, "file"),
            "owner": f"{member.uid}:{member.gid}",
        }
        if entry["type"] != "link":
            entry["mode"] = f"{member.mode & 0o7777:04o}"
        if member.isreg():
            stream = archive.extractfile(member)
            data = stream.read() if stream else b""
            entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            if 0 < len(data) <= _SHOWN:
                entry["text"] = data.decode("utf-8", "replace")
        if member.issym():
            entry["target"] = member.linkname
        prefix = "SCHILY.xattr."
        xattrs = {
            key.removeprefix(prefix): value.encode("utf-8", "surrogateescape").hex()
            for key, value in member.pax_headers.items()
            if key.startswith(prefix)
        }
        if xattrs:
            entry["xattrs"] = xattrs
        # Older times were kept from a source; the others are those of the build.
        if int(member.mtime) < _OLD and entry["type"] == "file":
            entry["time"] = int(member.mtime)
        return entry

    def beyond(self, base: Tree) -> dict[str, Any]:
        """Return the differences from ``base``; a removed path maps to None."""
        changed = {path: entry for path, entry in self.items() if base.get(path) != entry}
        gone = {path: None for path in base if path not in self}
        return dict(sorted((changed | gone).items()))


def base_tree() -> Tree:
    """Return the files of the image ``bb``."""
    tree = Tree()
    tree.add(io.BytesIO(base_tar()))
    return tree


def outcome(config: Mapping[str, Any], layers: Iterable[BinaryIO], address: str) -> dict[str, Any]:
    """Return the part of ``expected.json`` about an image: its configuration and layers."""
    tree = Tree()
    filled = [tree.add(_plain(layer)) for layer in layers]
    base = base_tree()
    # An image from scratch has nothing from the base; files copied from there are its own.
    files = tree.beyond(base if all(path in tree for path in ("bin/busybox", "bin")) else Tree())
    inner = config.get("config") or {}
    kept = {key: value for key, value in inner.items() if value and key not in ("ArgsEscaped",)}
    history = list(_history(config.get("history", []), filled))
    found = {
        "config": kept, "author": config.get("author", ""), "history": history, "tree": files,
    }  # fmt: skip
    text = json.dumps(found)
    return dict(json.loads(text.replace(address, "{http}") if address else text))


def _history(entries: Iterable[Mapping[str, Any]], filled: list[bool]) -> Iterator[str]:
    """Yield the entries of a build; ``+`` marks those whose layer holds something.

    Docker keeps a layer of a step that changed nothing, this builder does not.
    """
    layers = iter(filled)
    for entry in entries:
        changed = not entry.get("empty_layer") and next(layers, True)
        if entry.get("comment") == COMMENT:
            yield ("+ " if changed else "- ") + entry.get("created_by", "")


def _plain(stream: BinaryIO) -> BinaryIO:
    magic = stream.read(2)
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if magic == b"\x1f\x8b" else stream
