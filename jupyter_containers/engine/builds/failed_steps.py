"""Failed build steps: the root file system at the end of the command, kept for inspection.

Lifecycle: the step fails → its writable layer is moved aside and recorded → *opened* on first use,
which creates an unnamed image of it (removed by an image prune) → removed after later failures, or
pruned with the build cache.  The step's mounts and secrets are not in it.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import msgspec

from jupyter_containers.build.seams import FailedRun
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.errors import NotFoundError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import secrets
from jupyter_containers.oci.image import ExecutionConfig, History, rfc3339
from jupyter_containers.store import Collection, ImageRecord, LayerRecord

KEPT = 5
_SHOWN = 20


class FailedStep(msgspec.Struct, frozen=True):
    """One failed step; ``image`` is its image's manifest digest after it was opened.

    ``place`` is the location in the Dockerfile, ``parent`` the chain ID below it.
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
        """The time at which it failed."""
        return datetime.fromtimestamp(self.created, UTC)


class FailedSteps:
    """The latest failed steps of one store."""

    def __init__(self, engine_context: EngineContext) -> None:
        self._engine_context = engine_context

    @property
    def _records(self) -> Collection[FailedStep]:
        return self._engine_context.store.records.collection("failed-steps", FailedStep)

    def keep(self, workspace_key: str, parent: str, run: FailedRun) -> str:
        """Move the writable layer of a workspace aside; nothing may be mounted on it."""
        step = FailedStep(
            secrets.token_hex(6),
            run.title,
            run.place,
            run.exit_code,
            run.config,
            parent,
            time.time(),
        )
        # Write the record first: a folder without one would never be removed.
        self._records.insert(step.id, None, step)
        self._engine_context.store.snapshots.uppers.keep(workspace_key, step.key)
        for old in self.all()[KEPT:]:
            self.remove(old)
        return step.id

    def all(self) -> list[FailedStep]:
        """Return the steps, latest first."""
        return self._records.all()[::-1]

    def find(self, name: str = "") -> FailedStep:
        """Return the step with this ID or unique prefix; by default the latest."""
        found = self._records.find(name) if name else next(iter(self.all()), None)
        if found is None:
            raise NotFoundError(
                f"no failed build step {name}".rstrip(),
                hint=f"the last {KEPT} that failed are kept, until builder prune",
            )
        return found

    def image(self, step: FailedStep, images: Images, cancel: CancelToken) -> ImageRecord:
        """Return the image of the step, created on the first call."""
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
        """Return the first changed paths of the step; folders without the names in them."""
        try:
            with self._engine_context.store.snapshots.uppers.changes(step.key) as top:
                return _first_paths(os.fspath(top))
        except NotFoundError:
            return []

    def remove(self, step: FailedStep) -> int:
        """Delete a step with its image and files; return the bytes of its writable layer."""
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
        """Return the chains below the steps, which must be kept as long as they are."""
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
