"""BuildKit's subrequests (``--call``, ``--check``): answers about a Dockerfile without a build."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.call_documents import (
    lint_document,
    outline_document,
    targets_document,
)
from jupyter_containers.engine import Engine
from jupyter_containers.errors import UnsupportedError

if TYPE_CHECKING:
    from jupyter_containers.build.checks import Finding

LINT, OUTLINE, TARGETS = "frontend.lint", "frontend.outline", "frontend.targets"
_DESCRIBE = "frontend.subrequests.describe"
_TEXTS = {
    LINT: "Lint a Dockerfile",
    OUTLINE: "List all parameters current build target supports",
    TARGETS: "List all targets current build supports",
    _DESCRIBE: "List available subrequest types",
}
_VERSION = "1.0.0"


def answer(
    engine: Engine, request: str, context: str, flags: dict[str, Any], text: bytes
) -> dict[str, bytes]:
    """Return the metadata that answers a request, as text and as JSON."""
    from jupyter_containers.commands.render.outline import OutlineText, targets_table

    if request == LINT:
        findings = engine.builds.check(context, **flags)
        source = {"filename": "Dockerfile", "data": base64.b64encode(text).decode()}
        document: Any = {**lint_document(findings), "sources": [source]}
        return _metadata(
            document, _findings(findings), {"result.statuscode": str(int(bool(findings))).encode()}
        )
    if request in (OUTLINE, TARGETS):
        outline = engine.builds.outline(context, **flags)
        if request == OUTLINE:
            return _metadata(outline_document(outline), str(OutlineText(outline)))
        return _metadata(targets_document(outline), str(targets_table(outline)))
    if request == _DESCRIBE:
        rows = [
            {"name": name, "version": _VERSION, "type": "rpc", "description": about}
            for name, about in _TEXTS.items()
        ]
        return _metadata(rows, "\n".join(f"{row['name']}: {row['description']}" for row in rows))
    raise UnsupportedError(
        f"the Dockerfile's frontend has no answer to {request[:80]!r}", capability="subrequests"
    )


def _metadata(document: Any, text: str, more: dict[str, bytes] | None = None) -> dict[str, bytes]:
    return {
        "result.json": json.dumps(document, indent=2).encode(),
        "result.txt": f"{text}\n".encode() if text else b"",
        "version": _VERSION.encode(),
        **(more or {}),
    }


def _findings(findings: tuple[Finding, ...]) -> str:
    from jupyter_containers.build.progress import finding_text

    return "\n\n".join(f"WARNING: {finding_text(one)}" for one in findings)
