"""What failed build steps left: the root as it was when the command ended, for people to look at.

Life: the step fails → its writable layer is put aside and recorded → *opened* on first use, which
makes an image of it (never named, so an image prune takes it) → pushed out by later failures, or
pruned with the build cache.  Nothing of the step's mounts and secrets is in it.
"""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime

import msgspec

from jupyter_containers.build.seams import FailedRun
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.errors import NotFoundError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.image import ExecutionConfig, History, rfc3339
from jupyter_containers.store import Collection, ImageRecord, LayerRecord

KEPT = 5
_SHOWN = 20


class FailedStep(msgspec.Struct, frozen=True):
    """One failed step; ``image`` is its image's manifest digest once it was opened.

    ``place`` is the location in the Dockerfile, ``parent`` the chain id below it.
    """

    id: str
    title: str
    place: str
    exit_code: int
    config: ExecutionConfig
    parent: str
    created: float
    image: str = ""

    @property
    def key(self) -> str:
        """The name of its writable layer."""
        return f"failed-{self.id}"

    @property
    def time(self) -> datetime:
        """When it failed."""
        return datetime.fromtimestamp(self.created, UTC)


class FailedSteps:
    """The failed steps of one store, a few of the latest."""

    def __init__(self, engine_context: EngineContext) -> None:
        self._engine_context = engine_context

    @property
    def _records(self) -> Collection[FailedStep]:
        return self._engine_context.store.records.collection("failed-steps", FailedStep)

    def keep(self, workspace_key: str, parent: str, run: FailedRun) -> str:
        """Put the writable layer of a workspace aside; nothing may be mounted on it."""
        step = FailedStep(
            secrets.token_hex(6),
            run.title,
            run.place,
            run.exit_code,
            run.config,
            parent,
            time.time(),
        )
        # The record first: a folder without one would stay for ever.
        self._records.insert(step.id, None, step)
        self._engine_context.store.snapshots.uppers.keep(workspace_key, step.key)
        for old in self.all()[KEPT:]:
            self.remove(old)
        return step.id

    def all(self) -> list[FailedStep]:
        """Return the steps, the latest first."""
        return self._records.all()[::-1]

    def find(self, name: str = "") -> FailedStep:
        """Return the step with this ID (or its beginning), by default the latest."""
        found = self._records.find(name) if name else next(iter(self.all()), None)
        if found is None:
            raise NotFoundError(
                f"no failed build step {name}".rstrip(),
                hint=f"the last {KEPT} that failed are kept, until builder prune",
            )
        return found

    def image(self, step: FailedStep, images: Images, cancel: CancelToken) -> ImageRecord:
        """Return the image that the step left, made on the first call."""
        store = self._engine_context.store
        existing = store.records.get_image(step.image) if step.image else None
        if existing is not None:
            return existing
        with store.leases.hold([step.parent]) as lease:
            layer = store.snapshots.commit(
                step.key, step.parent, consume=False, lease=lease, cancel=cancel
            )
            chain = layer.chain_id
            layers: list[LayerRecord] = []
            while chain:
                record = store.snapshots.get(chain)
                if record is None:
                    raise NotFoundError(f"a layer below the failed step {step.id} is gone")
                layers.insert(0, record)
                chain = record.parent_chain_id
            created = rfc3339(step.created)
            history = [
                History(created=created, created_by="", comment="below the failed step")
                for _ in layers[:-1]
            ]
            history.append(History(created=created, created_by=step.title, comment="failed"))
            image = images.compose(layers, step.config, history, created, None, lease=lease)
        digest = image.manifest.digest
        self._records.update(step.id, lambda one: msgspec.structs.replace(one, image=digest))
        return image

    def changes(self, step: FailedStep) -> list[str]:
        """Return the first paths that the step changed, folders without their contents' names."""
        try:
            with self._engine_context.store.snapshots.uppers.changes(step.key) as top:
                return _first_paths(os.fspath(top))
        except NotFoundError:
            return []

    def remove(self, step: FailedStep) -> int:
        """Forget a step with its image and files; return the bytes of its writable layer."""
        store = self._engine_context.store
        freed = store.snapshots.size_rw(step.key)
        store.snapshots.discard(step.key)
        if step.image and not store.records.names(step.image):
            users = {record.manifest_digest for record in self._engine_context.containers.all()}
            if step.image not in users:
                store.delete_image(step.image)
        self._records.delete(step.id)
        return freed

    def chain_ids(self) -> set[str]:
        """Return the chains that the steps stand on: no garbage while they are kept."""
        return {step.parent for step in self.all() if step.parent}


def _first_paths(top: str) -> list[str]:
    found: list[str] = []
    for folder, folders, files in os.walk(top):
        folders.sort()
        shown = "/" + os.path.relpath(folder, top) if folder != top else ""
        found += [f"{shown}/{name}" for name in sorted(files)]
        if not folders and not files and shown:
            found.append(f"{shown}/")
        if len(found) >= _SHOWN:
            break
    return found[:_SHOWN]
