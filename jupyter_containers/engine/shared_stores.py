"""Image stores shared by a machine's users: readable by all, writable by their owner only.

``share`` puts images into a published store (:mod:`jupyter_containers.store.additional`); engines
whose setting ``additional_stores`` names its folder read it.  Root mounts its layers in place, and
so do users for whom root has mapped the owners (``map_owners``: an idmapped mount that shows root's
files as the user's own).  Other users unpack a layer from the shared blobs at its first use, which
downloads nothing but takes disk space.

The layers cannot be reached by a path on the host, where every user could run an image's
set-user-ID programs: the store's own are closed to all but its owner, a user's mounts to all but
that user.  When root opens an engine, it corrects the modes that an older version left open.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.errors import InvalidArgumentError, NotFoundError, StorageError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.layout import StoreLayout
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.oci.idmap import IDMap, IDMapping
from jupyter_containers.options.values import natural
from jupyter_containers.runtime.idmapped import (
    make_gate,
    make_places,
    mount_idmapped,
    move_behind_gate,
)
from jupyter_containers.runtime.mounts import is_mounted, unmount
from jupyter_containers.runtime.subids import subordinate
from jupyter_containers.settings import SHARED_STORE, Settings, check_shared_store
from jupyter_containers.store import ImageRecord, LayerRecord, Store
from jupyter_containers.store.additional import (
    AdditionalStore,
    close_layers,
    published_names,
    views_name,
)

if TYPE_CHECKING:
    from jupyter_containers.engine.context import EngineContext

# One folder for each user, closed to others, with a mount for each shared store.
MAPPED = Path("/run/jupyter-containers-shared")


@dataclass(frozen=True, slots=True)
class SharedStore:
    """A store of shared images as this user sees it.

    ``layers`` says how its layers are used: ``in place``, ``mapped`` (in place with the user's own
    IDs) or ``unpacked on first use``; ``missing`` if the folder does not exist.
    """

    root: Path
    images: int
    layers: str


def additional_stores(settings: Settings) -> list[AdditionalStore]:
    """Return the shared stores that exist.

    Raises :class:`StorageError` if root would use layers that another user can change.
    """
    found = []
    if os.geteuid() == 0 and MAPPED.is_dir() and IDMap.of_users().initial:
        close_mounts()
    for text in settings.additional_stores:
        store = AdditionalStore(Path(text))
        if store.root != settings.root and store.database.exists():
            check_shared_store(store.root)
            found.append(dataclasses.replace(store, layers=_mountable(store.root)))
    return found


def _mountable(root: Path) -> Path | None:
    """Return the folder from which this process can mount a shared store's layers, or None."""
    users = IDMap.of_users()
    if users.initial:
        if os.geteuid() != 0:
            return None
        close_layers(root)
        # A file server may treat root as nobody, who unpacks like every other user.
        layers = StoreLayout(root).layers
        return layers if os.access(layers, os.R_OK | os.X_OK) else None
    mapped = _mapped(root, users.outside)
    return mapped if users.size > 1 and is_mounted(mapped) else None


def _mapped(root: Path, uid: int) -> Path:
    return MAPPED / str(uid) / views_name(root)


def bring(
    context: EngineContext, record: ImageRecord, emit: EventSink, cancel: CancelToken
) -> None:
    """Unpack the image's layers that a shared store has but this process cannot mount."""

    def report(layer: LayerRecord) -> Callable[[int], object]:
        task, size = short_id(layer.blob.digest), layer.blob.size
        emit(TaskStarted(task, task, size))

        def progress(done: int) -> None:
            emit(TaskProgress(task, done, size, "Extracting"))
            if done >= size:
                emit(TaskFinished(task, "done", "Unpacked from the shared store"))

        return progress

    context.store.snapshots.take_offered(record.chain_id, cancel, report)


def refuse_shared(store: Store, record: ImageRecord, names: Iterable[str]) -> None:
    """Raise :class:`StorageError` if all the names, or an unnamed image, are in a shared store."""
    if not store.additional:
        return
    own = {entry.name for entry in store.records.own_names()}
    wanted = list(names)
    if wanted and not own.isdisjoint(wanted):
        return
    if not wanted and store.records.is_own(record.manifest.digest):
        return
    places = " or ".join(str(each.root) for each in store.additional)
    raise StorageError(
        f"image {wanted[0] if wanted else short_id(record.config_digest)} is shared by {places}",
        hint="it is read-only here; its owner can run: store unshare IMAGE",
    )


def listed(settings: Settings) -> list[SharedStore]:
    """Return the shared stores of the settings and how this user uses them."""
    there = {store.root: store for store in additional_stores(settings)}
    found = []
    for text in settings.additional_stores:
        root = Path(text)
        store = there.get(root)
        if store is None:
            found.append(SharedStore(root, 0, "missing"))
            continue
        words = {None: "unpacked on first use", StoreLayout(root).layers: "in place"}
        names = published_names(root)
        found.append(SharedStore(root, len(names), words.get(store.layers, "mapped")))
    return found


def shared_settings(settings: Settings, folder: str) -> Settings:
    """Return the settings of the engine that fills a shared store."""
    root = Path(folder or SHARED_STORE).absolute()
    if root == settings.root:
        raise InvalidArgumentError(
            f"{root} is the store of this engine", hint="share images in a separate folder"
        )
    run_root = settings.run_root.with_name(f"{settings.run_root.name}-shared")
    return dataclasses.replace(settings, root=root, run_root=run_root, additional_stores=())


def map_owners(settings: Settings, user: str, *, etc: Path = Path("/etc")) -> list[Path]:
    """Let a user's containers use the layers of shared stores in place; return the mounts.

    For root only; the mounts last until the next boot.  ``etc`` has subuid(5) and subgid(5).
    Raises :class:`NotFoundError` for an unknown user, :class:`InvalidArgumentError` for one without
    subordinate IDs, :class:`StorageError` if the kernel cannot map owners.
    """
    if os.geteuid() != 0 or not IDMap.of_users().initial:
        raise InvalidArgumentError(
            "only root maps the owners of shared layers",
            hint="as root: jupyter container store map",
        )
    entry = _account(user)
    names = {entry.pw_name, str(entry.pw_uid)}
    users = subordinate(etc / "subuid", names)
    groups = subordinate(etc / "subgid", names)
    if not users or not groups:
        raise InvalidArgumentError(
            f"{user} has no subordinate ids, so its containers have no users to map to",
            hint=f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
        )
    stores = {_mapped(store.root, entry.pw_uid): store for store in additional_stores(settings)}
    if stores:
        _make_closed_folder(MAPPED / str(entry.pw_uid), entry, stores)
    for target, store in stores.items():
        if not is_mounted(target):
            mount_idmapped(
                StoreLayout(store.root).layers,
                target,
                IDMap((IDMapping(0, entry.pw_uid, 1), *users)),
                IDMap((IDMapping(0, entry.pw_gid, 1), *groups)),
            )
    return list(stores)


def _make_closed_folder(folder: Path, entry: pwd.struct_passwd, targets: Iterable[Path]) -> None:
    """Create the user's folder, closed to others, with a mount point for each store."""
    MAPPED.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not is_mounted(folder):
        make_gate(folder, entry.pw_uid, entry.pw_gid)
    make_places(folder, [target.name for target in targets])


def close_mounts(folder: Path = MAPPED) -> None:
    """Close the mounts of an older version to all other users; needs root.

    Raises :class:`StorageError`.
    """
    own = folder.stat().st_dev
    for users in folder.iterdir():
        if not users.name.isdigit() or users.stat().st_dev != own:
            continue  # a file system of its own, behind a closed folder
        mounts = [place for place in users.iterdir() if is_mounted(place)]
        if mounts:
            uid = int(users.name)
            try:
                gid = pwd.getpwuid(uid).pw_gid
            except KeyError:
                gid = uid
            move_behind_gate(users, mounts, uid, gid)


def unmap_owners(user: str) -> list[Path]:
    """Unmount the mounts of :func:`map_owners`; running containers keep theirs."""
    folder = MAPPED / str(_account(user).pw_uid)
    mounts = [place for place in _entries(folder) if is_mounted(place)]
    for mount in mounts:
        unmount(mount)
    if is_mounted(folder):
        unmount(folder)
    for left in _entries(folder):  # mount points of an older version, below the closed folder
        left.rmdir()
    if folder.is_dir():
        folder.rmdir()
    return mounts


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _account(user: str) -> pwd.struct_passwd:
    uid = natural(user)
    try:
        return pwd.getpwnam(user) if uid is None else pwd.getpwuid(uid)
    except (KeyError, OverflowError) as error:
        raise NotFoundError(f"no such user: {user}") from error
