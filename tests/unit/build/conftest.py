"""Stand-ins for the rooms below a build: layers are whole folders, blobs and cache dictionaries."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.build.executor import Builder
from jupyter_containers.build.result import BuildResult
from jupyter_containers.build.seams import (
    BaseImage,
    CommittedLayer,
    FailedRun,
    LayerRef,
    StepRequest,
)
from jupyter_containers.errors import ImageNotFoundError
from jupyter_containers.events import CancelToken, Event
from jupyter_containers.oci.descriptor import LAYER_TAR, Descriptor, chain_id, digest_of
from jupyter_containers.oci.image import ImageConfig, parse_image_config
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.build import BuildOptions

Run = Callable[[StepRequest, Path, Callable[[bytes, str], None]], int]


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return every path below ``root`` with its recorded properties, except times."""
    found: dict[str, tuple[Any, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            status = path.lstat()
            content: Any = None
            if path.is_symlink():
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            found[str(path.relative_to(root))] = (
                oct(status.st_mode), status.st_uid, status.st_gid, content
            )  # fmt: skip
    return found


@dataclass
class FakeWorkspace:
    layers: FakeLayers
    parent: str
    root: Path

    def call(self, function: Callable[[str], Any]) -> Any:
        return function(str(self.root))

    def run(self, request: StepRequest, on_output: Any, cancel: CancelToken) -> int:
        self.layers.requests.append(request)
        return self.layers.runner(request, self.root, on_output)

    def keep(self, failed: FailedRun) -> str:
        self.layers.kept.append((failed, listing(self.root)))
        return f"kept{len(self.layers.kept)}"

    def commit(self, *, source_date_epoch: int | None = None) -> CommittedLayer:
        before = listing(self.layers.folder(self.parent))
        after = listing(self.root)
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        diff_id = digest_of(repr(sorted((name, after.get(name)) for name in changed)).encode())
        chain = chain_id([self.parent, diff_id]) if self.parent else diff_id
        if changed:
            folder = self.layers.folder(chain)
            if not folder.exists():
                shutil.move(self.root, folder)
        self.layers.commits += 1
        return CommittedLayer(
            diff_id,
            chain if changed else self.parent,
            Descriptor(LAYER_TAR, diff_id, 1),
            1,
            len(changed),
        )


@dataclass
class FakeLayers:
    base: Path
    runner: Run
    requests: list[StepRequest] = field(default_factory=list)
    opened: int = 0
    kept: list[Any] = field(default_factory=list)
    commits: int = 0

    def folder(self, chain: str) -> Path:
        path = self.base / (chain.rpartition(":")[2] or "empty")
        if not chain:
            path.mkdir(parents=True, exist_ok=True)
        return path

    def has(self, chain: str) -> bool:
        return self.folder(chain).exists()

    def stack(self, parent: str, layer: LayerRef) -> str:
        chain = chain_id([parent, layer.diff_id])
        folder = self.folder(chain)
        if not folder.exists():
            subprocess.run(["cp", "-a", self.folder(parent), folder], check=True)
            subprocess.run(["cp", "-aT", self.folder(layer.diff_id), folder], check=True)
        return chain

    @contextmanager
    def workspace(self, parent: str) -> Iterator[FakeWorkspace]:
        self.opened += 1
        root = self.base / f"work-{self.opened}"
        subprocess.run(["cp", "-a", self.folder(parent), root], check=True)
        try:
            yield FakeWorkspace(self, parent, root)
        finally:
            shutil.rmtree(root, ignore_errors=True)


@dataclass
class FakeImages:
    images: dict[str, BaseImage] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    def resolve(self, name: str, platform: Any, pull: bool) -> BaseImage:
        familiar = Reference.parse(name).familiar
        self.asked.append((familiar, str(platform), pull))
        if familiar not in self.images:
            raise ImageNotFoundError(f"no image {familiar}")
        return self.images[familiar]

    def look(self, name: str, platform: Any) -> BaseImage | None:
        return self.images.get(Reference.parse(name).familiar)


class FakeCache(dict[str, bytes]):
    def __init__(self) -> None:
        super().__init__()
        self.locks: dict[str, threading.Lock] = {}

    def alone(self, key: str, cancel: CancelToken) -> Any:
        return self.locks.setdefault(key, threading.Lock())

    def put(self, key: str, value: bytes, chain: str) -> None:
        self[key] = value


class FakeBlobs(dict[str, bytes]):
    def put(self, data: bytes, media_type: str) -> Descriptor:
        digest = digest_of(data)
        self[digest] = data
        return Descriptor(media_type, digest, len(data))


def extract(stream: Any, folder: str, owner: tuple[int, int] | None) -> None:
    import tarfile

    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if owner:
                member.uid, member.gid = owner
                member.uname = member.gname = ""
            archive.extract(member, folder, numeric_owner=True, filter="tar")


class Bench:
    """A builder with fakes, a context folder, and the results of the builds."""

    def __init__(self, folder: Path) -> None:
        self.context = folder / "context"
        self.context.mkdir()
        self.layers = FakeLayers(folder / "layers", lambda *_: 0)
        self.images = FakeImages()
        self.cache, self.blobs = FakeCache(), FakeBlobs()
        self.events: list[Event] = []
        self.now = 1_700_000_000.0
        self.builder = Builder(
            self.images, self.layers, self.cache, self.blobs, extract, clock=lambda: self.now
        )  # fmt: skip

    def write(self, name: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def image(
        self, name: str, config: dict[str, Any] | None = None, files: dict[str, Any] | None = None
    ) -> BaseImage:
        """Make ``name`` a base image with this config object and these files."""
        import json

        root = self.layers.base / "image"
        root.mkdir(parents=True)
        for path, content in (files or {"etc/os-release": "x"}).items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str) and content.startswith("-> "):
                target.symlink_to(content[3:])
            elif content is None:
                target.mkdir()
            else:
                target.write_text(content)
        diff_id = digest_of(repr(sorted(listing(root).items())).encode())
        folder = self.layers.folder(diff_id)
        if folder.exists():
            shutil.rmtree(root)
        else:
            root.rename(folder)
        document = {
            "architecture": "amd64", "os": "linux", "config": config or {},
            "created": "2020-01-01T00:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "base"}],
        }  # fmt: skip
        parsed: ImageConfig = parse_image_config(json.dumps(document).encode())
        from jupyter_containers.build.seams import LayerRef

        layer = LayerRef(Descriptor(LAYER_TAR, diff_id, 1), diff_id)
        image = BaseImage(name, diff_id, parsed, (layer,), diff_id)
        self.images.images[Reference.parse(name).familiar] = image
        return image

    def build(self, dockerfile: str, **options: Any) -> BuildResult:
        request = BuildOptions.of(self.context, dockerfile=dockerfile, **options)
        return self.builder.build(request, self.events.append)

    def files(self, dockerfile: str, **options: Any) -> dict[str, tuple[Any, ...]]:
        return listing(self.root(self.build(dockerfile, **options)))

    def root(self, result: BuildResult) -> Path:
        return self.layers.folder(result.chain_id)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
