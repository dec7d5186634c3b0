"""Requests as frozen values: the only request types between the front ends and the rooms below.

Field names are Docker's long flags in snake_case.  ``RunOptions.of(image, command, **flags)``
accepts what people write (``memory="512m"``, ``publish=["8000:8000"]``) and returns numbers and
typed values, or raises :class:`~jupyter_containers.errors.InvalidArgumentError`.
``BuildOptions`` is in :mod:`.build`: most commands build nothing.
"""

from jupyter_containers.options.mounts import MountRequest
from jupyter_containers.options.run import ExecOptions, RunOptions
from jupyter_containers.options.values import PortMapping

__all__ = ["ExecOptions", "MountRequest", "PortMapping", "RunOptions"]
