"""The paths of an engine on disk, each defined once.

``root`` survives a reboot and holds the store, containers and volumes; ``run_root`` is empty after
one and holds sockets, locks and pid files.  It contains a folder for each user without root, which
the processes inside and outside the user namespace share.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass

# Also the name of the folder itself, which a reset leaves to the process that holds it.
USER_FOLDER = "user"


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The store's part of ``root``."""

    root: Path

    @property
    def records(self) -> Path:
        """The database."""
        return self.root / "records.db"

    @property
    def published(self) -> Path:
        """The record database as published by a shared store; missing in any other store."""
        return self.root / "shared.db"

    @property
    def content(self) -> Path:
        """Blobs, as an OCI image layout."""
        return self.root / "content"

    @property
    def ingest(self) -> Path:
        """Unfinished downloads."""
        return self.root / "ingest"

    @property
    def layers(self) -> Path:
        """Unpacked layers and the upper directories of containers."""
        return self.root / "layers"

    @property
    def staging(self) -> Path:
        """Files and trees before they are renamed into place."""
        return self.root / "staging"

    @property
    def locks(self) -> Path:
        """Lock files."""
        return self.root / "locks"

    @property
    def reserve(self) -> Path:
        """A file that is released when the disk is full."""
        return self.root / "reserve"


@dataclass(frozen=True, slots=True)
class UserLayout:
    """The folder in ``run_root`` of the process that holds a user's namespaces."""

    folder: Path

    @property
    def holder(self) -> Path:
        """The file with the PID and start time of that process."""
        return self.folder / "holder"

    @property
    def lock(self) -> Path:
        """The lock file to hold while that process is looked up or started."""
        return self.folder / "lock"

    @property
    def single(self) -> Path:
        """The file with the reason why only one user ID is mapped."""
        return self.folder / "single"

    @property
    def cgroup(self) -> Path:
        """The control group delegated to the user."""
        return self.folder / "cgroup"

    @property
    def no_cgroup(self) -> Path:
        """The reason why there is no such control group."""
        return self.folder / "no-cgroup"

    @property
    def denied(self) -> Path:
        """The reason why the kernel grants no user namespace."""
        return self.folder / "denied"

    @property
    def uplink(self) -> Path:
        """The control socket of slirp4netns."""
        return self.folder / "uplink.sock"

    @property
    def no_uplink(self) -> Path:
        """The reason why networks have no uplink."""
        return self.folder / "no-uplink"

    @property
    def uplink_weaker(self) -> Path:
        """The protections that slirp4netns lacks here."""
        return self.folder / "uplink-weaker"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one engine."""

    root: Path
    run_root: Path

    @property
    def store(self) -> StoreLayout:
        """The store's part."""
        return StoreLayout(self.root)

    @property
    def user(self) -> UserLayout:
        """The part of a user without root."""
        return UserLayout(self.run_root / USER_FOLDER)

    # -- root ------------------------------------------------------------------------------------

    @property
    def containers(self) -> Path:
        """A bundle for each container, by ID."""
        return self.root / "containers"

    @property
    def volumes(self) -> Path:
        """A folder for each volume, by name."""
        return self.root / "volumes"

    @property
    def contexts(self) -> Path:
        """Cached digests of files in build contexts."""
        return self.root / "contexts"

    @property
    def received(self) -> Path:
        """Trees of build contexts that clients of the API sent."""
        return self.root / "received"

    @property
    def cache_mounts(self) -> Path:
        """The folders of ``RUN --mount=type=cache``."""
        return self.root / "cache-mounts"

    @property
    def exchange(self) -> Path:
        """Inputs and results of containers."""
        return self.root / "exchange"

    @property
    def applications(self) -> Path:
        """Values of secrets and configs, a folder for each project."""
        return self.root / "applications"

    @property
    def registries(self) -> Path:
        """The password files of registries that run here."""
        return self.root / "registries"

    @property
    def boot_id(self) -> Path:
        """The boot ID at the store's last use."""
        return self.root / "boot-id"

    # -- run root --------------------------------------------------------------------------------

    @property
    def runtime(self) -> Path:
        """The runtime's state of containers."""
        return self.run_root / "runtime"

    @property
    def builds(self) -> Path:
        """A bundle for each running build step, by ID."""
        return self.run_root / "builds"

    @property
    def ended(self) -> Path:
        """Notes of exit commands that could not wait for a lock."""
        return self.run_root / "ended"

    @property
    def mounts(self) -> Path:
        """A folder of private mount points for each container, by ID."""
        return self.run_root / "mounts"

    @property
    def api_socket(self) -> Path:
        """The socket of the Docker Engine API."""
        return self.run_root / "docker.sock"

    @property
    def storage_driver(self) -> Path:
        """The storage driver that was found to work."""
        return self.run_root / "storage-driver"

    @property
    def names(self) -> Path:
        """The socket at which the networks' name server accepts containers."""
        return self.run_root / "names.sock"

    @property
    def names_lock(self) -> Path:
        """Held while containers are handed over, so that the name server does not end."""
        return self.run_root / "names.lock"
