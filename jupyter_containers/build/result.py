"""The result of a build."""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_containers.build.checks import Finding
from jupyter_containers.build.seams import LayerRef
from jupyter_containers.build.sharing import SharedSteps
from jupyter_containers.errors import SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Descriptor
from jupyter_containers.oci.image import ImageConfig
from jupyter_containers.options.buildcache import CacheMode


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step.

    ``reason`` explains why its layer was not taken from the cache; ``size`` is the layer's bytes.
    """

    title: str
    location: SourceLocation
    cached: bool = False
    reason: str = ""
    seconds: float = 0.0
    chain_id: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """An image in the blob store; ``chain_id``, ``layers`` and ``diff_ids`` name its layers.

    The first ``inherited`` layers are the base image's.  ``shared`` are the steps for
    ``--cache-to``, by mode; ``extra`` are the members of the image's configuration beside
    ``config``.
    """

    manifest: Descriptor
    config_digest: str
    config: ImageConfig
    chain_id: str
    steps: tuple[StepReport, ...]
    warnings: tuple[Finding, ...]
    layers: tuple[LayerRef, ...] = ()
    source_date_epoch: int | None = None
    shared: Mapping[CacheMode, SharedSteps] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    inherited: int = 0

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The image's layers, lowest first."""
        return self.config.rootfs.diff_ids

    @property
    def source_date_ns(self) -> int | None:
        """The time of all files that are exported without an image (SOURCE_DATE_EPOCH)."""
        return None if self.source_date_epoch is None else self.source_date_epoch * 10**9
