"""Applications of several containers, as Compose files describe them.

A *project* is the result of interpolating, including, extending and merging one or more files:
services, networks, volumes, configs and secrets in their long forms. :func:`load` reads one.
The package follows the Compose Specification, and Docker Compose 2.40 where that is silent.
"""

from __future__ import annotations

from jupyter_containers.compose.loading import LoadOptions, load
from jupyter_containers.compose.project import Project

__all__ = ["LoadOptions", "Project", "load"]
