"""The settings that a notebook's configuration may override (``c.ContainersConfig.root = …``)."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Int, List, Unicode
from traitlets.config import Configurable


class ContainersConfig(Configurable):
    """Overrides of the settings; None leaves a setting to environment, config file or default.

    The names are those of :class:`jupyter_containers.settings.Settings`; see there for meanings.
    ``%config ContainersConfig.root = "…"`` counts from the next command on.
    """

    root = Unicode(None, allow_none=True, help="Folder of images, layers and containers.").tag(
        config=True
    )
    run_root = Unicode(None, allow_none=True, help="Folder of sockets, pid files and locks.").tag(
        config=True
    )
    runtime = Unicode(
        None, allow_none=True, help="auto, or the name or path of an OCI runtime."
    ).tag(config=True)
    storage_driver = Unicode(
        None, allow_none=True, help="auto, overlay, fuse-overlayfs, or vfs (files are copied)."
    ).tag(config=True)
    publish_address = Unicode(
        None, allow_none=True, help="Where -p binds when no address is given."
    ).tag(config=True)
    bridge_name = Unicode(None, allow_none=True, help="Network device of the default network.").tag(
        config=True
    )
    subnet_pool = Unicode(
        None, allow_none=True, help="Range (CIDR) that networks take their /24 from."
    ).tag(config=True)
    insecure_registries = List(
        Unicode(), None, allow_none=True, help="Registries that are reached without TLS."
    ).tag(config=True)
    registry_mirrors = List(Unicode(), None, allow_none=True, help="Mirrors of registries.").tag(
        config=True
    )
    registry_files = List(
        Unicode(), None, allow_none=True, help="Docker's and Podman's files about registries."
    ).tag(config=True)
    certificate_folders = List(
        Unicode(), None, allow_none=True, help="Folders of certificates, one folder a registry."
    ).tag(config=True)
    max_concurrent_downloads = Int(
        None, allow_none=True, help="Layers downloaded at the same time."
    ).tag(config=True)
    additional_stores = List(
        Unicode(), None, allow_none=True, help="Folders of images that are shared with everybody."
    ).tag(config=True)
    trust_host_ca = Unicode(None, allow_none=True, help="auto, always or never.").tag(config=True)
    debian_mirror = Unicode(None, allow_none=True, help="Where bootstrap takes packages from.").tag(
        config=True
    )
    stop_timeout = Int(None, allow_none=True, help="Seconds from stop to kill.").tag(config=True)
    pids_limit = Int(None, allow_none=True, help="Default limit of processes in a container.").tag(
        config=True
    )
    no_new_privileges = Bool(
        None, allow_none=True, help="Take the power of sudo and su from containers and RUN steps."
    ).tag(config=True)
    log_max_bytes = Int(None, allow_none=True, help="Size in bytes at which a log is rotated.").tag(
        config=True
    )
    result_max_bytes = Int(
        None, allow_none=True, help="Bytes of a run's results that are read at most."
    ).tag(config=True)

    docker_magic = Bool(False, help="Offer %docker and %%docker as other names.").tag(config=True)

    def overrides(self) -> dict[str, Any]:
        """Return the settings that are given here."""
        names = self.class_own_traits(config=True).keys() - {"docker_magic"}
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}
