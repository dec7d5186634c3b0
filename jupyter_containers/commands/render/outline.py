"""The answers of ``build --call``: targets and steps as tables, an outline as several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column, Row, html_table, text_table

if TYPE_CHECKING:
    from jupyter_containers.build.outline import Outline, OutlinedNeed, OutlinedTarget
    from jupyter_containers.build.result import StepReport

_TARGETS = (Column("Target", "TARGET"), Column("Description", "DESCRIPTION"))
_ABOUT = (Column("Target", "TARGET"), Column("Description", "DESCRIPTION"))
_STEPS = (Column("Step", "STEP"), Column("Cache", "CACHE"), Column("Reason", "REASON"))
_ARGS = (
    Column("Name", "BUILD ARG"),
    Column("Value", "VALUE"),
    Column("Description", "DESCRIPTION"),
)


def targets_table(outline: Outline) -> Table[OutlinedTarget]:
    """Return the stages that can be built; the default one is marked."""
    return Table(outline.targets, _TARGETS, _target_rows)


def _target_rows(target: OutlinedTarget) -> Iterator[Row]:
    name = f"{target.name} (default)".strip() if target.default else target.name
    yield {"Target": name, "Description": target.description}


def forecast_table(steps: Sequence[StepReport]) -> Table[StepReport]:
    """Return the steps of a build and whether they are cached."""
    return Table(steps, _STEPS, _step_rows)


def _step_rows(step: StepReport) -> Iterator[Row]:
    yield {
        "Step": step.title,
        "Cache": "cached" if step.cached else "carried out",
        "Reason": step.reason,
    }


class OutlineText:
    """The parameters of a target as tables; ``outline`` is the value."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline

    def __str__(self) -> str:
        outline = self.outline
        head = [("TARGET", outline.name), ("DESCRIPTION", outline.description)]
        lines = [f"{f'{word}:':<12} {text}" for word, text in head if text]
        parts = [text_table(columns, rows) for columns, rows in self._tables()]
        return "\n\n".join(filter(None, ("\n".join(lines), *parts)))

    __repr__ = __str__

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's signature
        printer.text(str(self))

    def _repr_html_(self) -> str:
        outline = self.outline
        about: Row = {"Target": outline.name, "Description": outline.description}
        head = html_table(_ABOUT, [about]) if outline.name or outline.description else ""
        return head + "".join(html_table(columns, rows) for columns, rows in self._tables())

    def _tables(self) -> Iterator[tuple[Sequence[Column], list[Row]]]:
        outline = self.outline
        if outline.args:
            yield (
                _ARGS,
                [
                    {"Name": one.name, "Value": one.value, "Description": one.description}
                    for one in outline.args
                ],
            )
        if outline.secrets:
            yield _needs("SECRET", outline.secrets)
        if outline.ssh:
            yield _needs("SSH", outline.ssh)


def _needs(heading: str, needs: Sequence[OutlinedNeed]) -> tuple[Sequence[Column], list[Row]]:
    columns = (Column("Name", heading), Column("Required", "REQUIRED"))
    return columns, [
        {"Name": one.name, "Required": "true" if one.required else ""} for one in needs
    ]
