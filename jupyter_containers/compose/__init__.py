"""Applications of several containers, as Compose files describe them.

A *project* is what one or more files say, after interpolation, inclusion, extension and merging:
services, networks, volumes, configs and secrets in the long forms. :func:`load` reads one. The
room follows the Compose Specification; where that is silent it does what Docker Compose 2.40
does.
"""

from __future__ import annotations

from jupyter_containers.compose.loading import LoadOptions, load
from jupyter_containers.compose.project import Project

__all__ = ["LoadOptions", "Project", "load"]
