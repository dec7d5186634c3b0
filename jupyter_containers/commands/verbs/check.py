"""The verb ``system check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_containers.commands.render.quantities import human_size
from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column, Row, html_table, text_table
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Parsed

if TYPE_CHECKING:
    from jupyter_containers.engine.system.fsck import CheckReport
    from jupyter_containers.store.check import Problem

_COLUMNS = (
    Column("Mark", ""),
    Column("Kind", "PROBLEM"),
    Column("Subject", "WHERE"),
    Column("Detail", "DETAIL"),
)


class CheckResult(Table["Problem"]):
    """The remaining problems; ``report`` has the numbers of checked and repaired objects."""

    def __init__(self, report: CheckReport) -> None:
        super().__init__(report.problems, _COLUMNS, lambda item: [_row(item, "✗")])
        self.report = report

    @property
    def exit_status(self) -> int:
        """1 if problems remain."""
        return 1 if self else 0

    def rows(self) -> list[Row]:
        """Return the remaining problems, then the repaired ones."""
        return [*super().rows(), *(_row(item, "✓") for item in self.report.repaired)]

    def _summary(self) -> str:
        report = self.report
        looked = (
            f"{report.blobs} blobs ({human_size(report.bytes)}), "
            f"{report.layers} layers, {report.images} images"
        )
        mended = f", {len(report.repaired)} repaired" if report.repaired else ""
        if not self:
            return f"Checked {looked}: all is well{mended}"
        plural = "" if len(self) == 1 else "s"
        hint = "" if report.repaired else "; repair with: system check --repair"
        return f"Checked {looked}: {len(self)} problem{plural}{mended}{hint}"

    def __str__(self) -> str:
        table = [text_table(_COLUMNS, self.rows()), ""] if self.rows() else []
        return "\n".join([*table, self._summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = html_table(_COLUMNS, self.rows()) if self.rows() else ""
        return f"{table}<div>{self._summary()}</div>"


def _row(problem: Problem, mark: str) -> Row:
    return {
        "Mark": mark,
        "Kind": problem.kind,
        "Subject": problem.subject,
        "Detail": problem.detail,
    }


def check(session: Session, parsed: Parsed) -> CheckResult:
    """Return the problems of the store, repaired with ``--repair``."""
    with session.progress() as emit:
        repair = parsed.flag("repair", False)
        engine = session.mendable_engine if repair else session.engine
        return CheckResult(engine.system.check(repair=repair, emit=emit))
