"""How long the test files take: what a parallel run begins with, and what it prints at its end.

A file that takes minutes and is begun last keeps one worker busy while the others have nothing left
to do.  So workers take the files in the order of ``SECONDS``, and then those with most tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

# On two processors, beside three others.  A run prints the slowest; only their order matters.
SECONDS = {
    "tests/notebooks/test_course_without_root.py": 506,
    "tests/notebooks/test_course.py": 420,
    "tests/integration/test_engine_containers_killed_anywhere.py": 272,
    "tests/integration/test_rootless.py": 240,
    "tests/integration/test_full_disk.py": 160,
    "tests/integration/test_engine_killed_anywhere.py": 107,
    "tests/integration/test_damaged_records.py": 90,
    "tests/integration/test_engine_images.py": 88,
    "tests/integration/test_engine_crash.py": 86,
    "tests/browser/test_panel.py": 85,
    "tests/integration/test_engine_containers.py": 80,
    "tests/notebooks/test_interrupts.py": 79,
    "tests/browser/test_terminal.py": 75,
    "tests/integration/test_compose_applications.py": 60,
    "tests/integration/test_sessions.py": 50,
    "tests/notebooks/test_quickstart.py": 50,
    "tests/browser/test_widgets.py": 50,
    "tests/unit/border/test_parsers.py": 45,
    "tests/integration/test_api_buildkit.py": 45,
    "tests/browser/test_views.py": 40,
    "tests/integration/test_isolation_users.py": 35,
    "tests/integration/test_golden.py": 35,
    "tests/integration/test_engine_containers_killed.py": 30,
    "tests/integration/test_soak.py": 30,
    "tests/notebooks/test_tools.py": 30,
    "tests/integration/test_parity.py": 25,
    "tests/integration/test_panel_without_root.py": 25,
    "tests/integration/test_engine_restart.py": 25,
    "tests/integration/test_mount_races.py": 20,
    "tests/integration/test_mount_races_users.py": 20,
    "tests/integration/test_rungs.py": 20,
}
_SHOWN = 15
_SHORT_RUN = 60.0  # seconds of tests; nobody asks for the slowest of a few


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.partition("::")[0]


def longest_first(nodeids: Iterable[str]) -> Callable[[str], tuple[float, str]]:
    """Return a key that sorts tests by file, those files first that take longest."""
    counts = Counter(map(file_of, nodeids))

    def key(nodeid: str) -> tuple[float, str]:
        file = file_of(nodeid)
        return -SECONDS.get(file, counts[file] / 100), file

    return key


def dealt(nodeids: Iterable[str], hands: int) -> dict[str, int]:
    """Deal the files of some tests to ``hands``, so that each gets about as many tests."""
    counts, dealt = [0] * hands, {}
    for file, number in sorted(Counter(map(file_of, nodeids)).items(), key=lambda item: -item[1]):
        dealt[file] = counts.index(min(counts))
        counts[dealt[file]] += number
    return dealt


class Slowest:
    """Prints how long all tests took together, and the slowest files."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of a test."""
        self._seconds[file_of(report.nodeid)] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print them, one file a line as in ``SECONDS``."""
        total = self._seconds.total()
        if total < _SHORT_RUN or len(self._seconds) == 1:
            return
        terminalreporter.section(f"{total:.0f} s of tests, of these in the slowest files")
        for file, seconds in self._seconds.most_common(_SHOWN):
            terminalreporter.write_line(f'    "{file}": {seconds:.0f},')
