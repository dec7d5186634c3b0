"""``build --call``: questions about a Dockerfile instead of a build."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.outline import OutlineText, forecast_table, targets_table
from jupyter_containers.commands.render.results import Text
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import ChecksFailedError, InvalidArgumentError

if TYPE_CHECKING:
    from jupyter_containers.build.checks import Finding
    from jupyter_containers.build.outline import Outline, OutlinedTarget
    from jupyter_containers.build.result import StepReport

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
        return _json(_warnings(findings), int(bool(findings))) if as_json else _checked(findings)
    if method == "cache":
        steps = engine.builds.forecast(context, **flags)
        return _json(_forecast(steps)) if as_json else forecast_table(steps)
    outline = engine.builds.outline(context, **flags)
    if method == "targets":
        return _json(_targets(outline)) if as_json else targets_table(outline)
    return _json(_outline(outline)) if as_json else OutlineText(outline)


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


def _warnings(findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "warnings": [
            {
                "ruleName": one.rule.name,
                "description": one.rule.description,
                "detail": one.message,
                **(_place(one.location.first_line, one.location.last_line) if one.location else {}),
            }
            for one in findings
        ]
    }


def _outline(outline: Outline) -> dict[str, Any]:
    """Return an outline in BuildKit's schema, without empty fields."""
    args = [
        {**_filled(name=one.name, description=one.description, value=one.value), **_place(one.line)}
        for one in outline.args
    ]
    needs = {
        kind: [
            {**_filled(name=one.name, required=one.required), **_place(one.line)} for one in found
        ]
        for kind, found in (("secrets", outline.secrets), ("ssh", outline.ssh))
    }
    about = _filled(name=outline.name, description=outline.description)
    return {**about, **_filled(args=args, **needs), "sources": _sources(outline)}


def _targets(outline: Outline) -> dict[str, Any]:
    return {"targets": [_one(target) for target in outline.targets], "sources": _sources(outline)}


def _forecast(steps: tuple[StepReport, ...]) -> dict[str, Any]:
    return {
        "steps": [
            {
                **_filled(title=one.title, reason=one.reason),
                "cached": one.cached,
                **_place(one.location.first_line, one.location.last_line),
            }
            for one in steps
        ]
    }


def _one(target: OutlinedTarget) -> dict[str, Any]:
    found = _filled(
        name=target.name,
        default=target.default,
        description=target.description,
        base=target.base,
    )
    return {**found, **_place(target.line)}


def _sources(outline: Outline) -> list[str]:
    return [base64.b64encode(outline.source.encode()).decode()]


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _place(first: int, last: int = 0) -> dict[str, Any]:
    return {"location": {"ranges": [{"start": {"line": first}, "end": {"line": last or first}}]}}
