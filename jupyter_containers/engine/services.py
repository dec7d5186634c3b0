"""The services of an engine by noun, for their substitutes (another process, a test)."""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "containers": "containers.service.ContainerService",
    "images": "images.service.ImageService",
    "networks": "networks.service.NetworkService",
    "volumes": "volumes.service.VolumeService",
    "builds": "builds.service.BuildService",
    "registries": "registries.service.RegistryService",
    "manifests": "images.manifests.ManifestService",
    "stores": "system.stores.StoreService",
    "applications": "applications.service.ApplicationService",
    "workloads": "workloads.service.WorkloadService",
    "sessions": "sessions.service.SessionService",
    "system": "system.service.SystemService",
}
NOUNS = tuple(_HOMES)


def service_class(noun: str) -> type:
    """Return the class of a service by noun; raise :class:`AttributeError` for an unknown one."""
    home = _HOMES.get(noun)
    if home is None:
        raise AttributeError(f"an engine has no {noun!r}", name=noun)
    module, _, name = home.rpartition(".")
    found: type = getattr(import_module(f"jupyter_containers.engine.{module}"), name)
    return found
