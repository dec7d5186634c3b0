"""``build --call``: questions about a Dockerfile instead of a build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.call_documents import (
    forecast_document,
    lint_document,
    outline_document,
    targets_document,
)
from jupyter_containers.commands.render.outline import OutlineText, forecast_table, targets_table
from jupyter_containers.commands.render.results import Text
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import ChecksFailedError, InvalidArgumentError
from jupyter_containers.lazy_modules import json

if TYPE_CHECKING:
    from jupyter_containers.build.checks import Finding

# BuildKit has no method like the last one, since its cache cannot be queried.
_METHODS = ("build", "check", "outline", "targets", "cache")


class CallJSON(Text):
    """The answer as JSON; ``exit_status`` is 1 if the checks found problems."""

    __slots__ = ("exit_status",)
    exit_status: int


def call(session: Session, text: str, context: Any, flags: Mapping[str, Any]) -> Any:
    """Return the answer to ``--call=METHOD[,format=json]``; raise if checks find problems."""
    method, as_json = _method(text)
    engine = session.engine
    if method == "check":
        findings = engine.builds.check(context, **flags)
        return (
            _json(lint_document(findings), int(bool(findings))) if as_json else _checked(findings)
        )
    if method == "cache":
        steps = engine.builds.forecast(context, **flags)
        return _json(forecast_document(steps)) if as_json else forecast_table(steps)
    outline = engine.builds.outline(context, **flags)
    if method == "targets":
        return _json(targets_document(outline)) if as_json else targets_table(outline)
    return _json(outline_document(outline)) if as_json else OutlineText(outline)


def _method(text: str) -> tuple[str, bool]:
    method, *rest = text.lower().split(",")
    pairs = dict(item.partition("=")[::2] for item in rest)
    if method not in _METHODS:
        raise InvalidArgumentError(f"invalid call {method!r}", hint=f"one of {', '.join(_METHODS)}")
    form = pairs.pop("format", "text")
    if pairs or form not in ("text", "json"):
        raise InvalidArgumentError(f"invalid call {text!r}", hint=f"write {method},format=json")
    return method, form == "json"


def _checked(findings: tuple[Finding, ...]) -> Text:
    """Return a line if the checks find nothing, or raise with all findings."""
    from jupyter_containers.build.progress import finding_text

    if not findings:
        return Text("Check complete, no warnings found.")
    count = "1 warning has" if len(findings) == 1 else f"{len(findings)} warnings have"
    raise ChecksFailedError(
        f"Check complete, {count} been found!", findings=[finding_text(one) for one in findings]
    )


def _json(document: object, status: int = 0) -> CallJSON:
    found = CallJSON(json.dumps(document, indent=2, ensure_ascii=False))
    found.exit_status = status
    return found
