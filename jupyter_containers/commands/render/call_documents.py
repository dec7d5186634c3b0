"""The answers of ``build --call`` as documents, in BuildKit's schema."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_containers.build.checks import Finding
    from jupyter_containers.build.outline import Outline, OutlinedTarget
    from jupyter_containers.build.result import StepReport


def lint_document(findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Return the findings of the build checks."""
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


def outline_document(outline: Outline) -> dict[str, Any]:
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


def targets_document(outline: Outline) -> dict[str, Any]:
    """Return the stages that can be built."""
    return {"targets": [_one(target) for target in outline.targets], "sources": _sources(outline)}


def forecast_document(steps: tuple[StepReport, ...]) -> dict[str, Any]:
    """Return the steps of a build with what the cache has of them."""
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
