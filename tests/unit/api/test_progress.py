"""Progress of a build in the words of Docker's classic builder."""

from __future__ import annotations

from typing import Any

from jupyter_containers.api.progress import BuildProgress
from jupyter_containers.events import TaskFinished, TaskOutput, TaskStarted


class Sent:
    """The progress of a build, as text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def stream(self, text: str) -> None:
        self.texts.append(text)


def said(*events: Any, cache: bool = True) -> list[str]:
    lines = Sent()
    progress = BuildProgress(lines, cache=cache)  # type: ignore[arg-type]  # a fake
    for event in events:
        progress(event)
    return lines.texts


def test_errors_of_a_step_are_red_and_those_of_checks_are_not() -> None:
    assert said(
        TaskStarted("build-0-2", "[2/2] RUN a"),
        TaskOutput("build-0-2", b"out\n"),
        TaskOutput("build-0-2", b"err\n", "stderr"),
        TaskOutput("checks", b"hint\n", "stderr"),
    ) == ["Step 2/2 : RUN a\n", "out\n", "\x1b[91merr\n\x1b[0m", "hint\n"]


def test_a_base_image_is_not_reported_as_cached() -> None:
    """Clients count the lines.  Seen to fail: FROM was one of them."""
    ends = [TaskFinished(f"build-0-{number}", "cached") for number in (1, 2, 11)]
    assert said(*ends) == [" ---> Using cache\n"] * 2
    assert said(*ends, cache=False) == []
