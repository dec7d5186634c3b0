"""A Dockerfile that reproduces this kernel's environment: Python, packages, the notebook."""

from __future__ import annotations

import json
import posixpath
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

# Executes the notebook in the container; installed if the kernel's environment lacks it.
_NEEDED = ("ipykernel", "nbclient")


def notebook_dockerfile(
    notebook: str,
    version: tuple[int, int] | None = None,
    packages: Iterable[Distribution] | None = None,
) -> str:
    """Return the Dockerfile's text; ``notebook`` is the notebook's path in its folder."""
    major, minor = version or (sys.version_info.major, sys.version_info.minor)
    name = posixpath.basename(notebook) or "notebook.ipynb"
    pinned, local = frozen(distributions() if packages is None else packages)
    known = {_name(line) for line in pinned}
    needed = [one for one in _NEEDED if one not in known]
    left_out = [f"# omitted, because it is in no index: {line}" for line in local]
    return "\n".join(
        [
            f"# The environment of {name}: build it in the notebook's folder with",
            "#   %container build -t my-notebook .",
            "# and run it; with the folder at /work the results are saved in the notebook:",
            "#   %container run --rm -v .:/work my-notebook",
            f"FROM python:{major}.{minor}-slim",
            "WORKDIR /work",
            "COPY <<EOF requirements.txt",
            *sorted([*pinned, *needed], key=_name),
            "EOF",
            *left_out,
            "RUN pip install --no-cache-dir -r requirements.txt",
            f"COPY {json.dumps([name, './'])}",
            f"CMD {json.dumps(['jupyter', 'execute', *_keeping(pinned), name])}",
            "",
        ]
    )


def _keeping(pinned: list[str]) -> tuple[str, ...]:
    """Return the option that saves results in the notebook, if the pinned nbclient supports it."""
    version = dict(line.partition("==")[::2] for line in pinned).get("nbclient", "")
    numbers = [int(part) for part in version.split(".")[:3] if part.isdecimal()]
    return () if numbers and numbers <= [0, 10, 0] else ("--inplace",)


def _name(line: str) -> str:
    return line.partition("==")[0].partition(" @ ")[0].lower()


def frozen(packages: Iterable[Distribution]) -> tuple[list[str], list[str]]:
    """Return requirements as ``pip freeze`` prints them, and the names of those in no index."""
    pinned: dict[str, str] = {}
    local: list[str] = []
    for package in packages:
        name = str(package.metadata["Name"] or "")
        if not name or name.lower() in pinned or name.lower() in ("pip", "setuptools", "wheel"):
            continue
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        url = str(origin.get("url", ""))
        vcs = origin.get("vcs_info")
        if vcs:
            at = f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}"
            pinned[name.lower()] = f"{name} @ {at}"
        elif url.startswith("file:"):
            local.append(f"{name} {package.version}")
        elif url:
            pinned[name.lower()] = f"{name} @ {url}"
        else:
            pinned[name.lower()] = f"{name}=={package.version}"
    return list(pinned.values()), sorted(local)
