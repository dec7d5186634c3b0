"""The file system of a failed step, and its inspection."""

from __future__ import annotations

import os
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine.builds.failed_steps import KEPT
from jupyter_containers.errors import NotFoundError, OperationCancelledError, StepFailedError
from jupyter_containers.events import CancelToken
from tests.integration.build_bench import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

TEXT = """\
FROM busybox
RUN mkdir /w && chown 5:6 /w
USER 5:6
WORKDIR /w
ENV MODE=fast
ARG LEVEL=3
RUN --mount=type=secret,id=t --mount=type=cache,target=/c echo half > done; cat /c/x; exit 3
"""


def fail(bench: Bench, text: str = TEXT, **flags: Any) -> StepFailedError:
    with pytest.raises(StepFailedError) as caught:
        bench.build(text, **flags)
    return caught.value


def verb(bench: Bench, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: bench.engine, **session), words)


def test_a_failed_step_can_be_looked_at(bench: Bench) -> None:
    error = fail(bench, secret_values={"t": "very-secret"})
    assert error.snapshot
    assert bench.engine.system.check().problems == ()
    assert "Engine.builds.failed_image()" in error.hint
    said = verb(bench, "builder", "debug", "sh", "-c", "pwd; id -u; echo $MODE $LEVEL; cat done")
    assert said.stdout == b"/w\n5\nfast 3\nhalf\n"
    listed = verb(bench, "builder", "debug", "ls", "/").stdout.decode()
    assert "bin" in listed.split()
    assert "c" not in listed.split(), "nothing of the mounts is in it"
    facts = verb(bench, "builder", "debug")
    assert facts["Exit code"] == 3
    assert facts["Changed files"] == ["/w/done"]
    assert facts["Working directory"] == "/w"
    said = verb(bench, "builder", "debug", "-i", "sh", stdin=b"cat done\n")
    assert said.stdout == b"half\n"


def test_a_step_is_named_by_its_id(bench: Bench) -> None:
    first = fail(bench, "FROM busybox\nRUN echo first > /f; false\n")
    fail(bench, "FROM busybox\nRUN echo second > /f; false\n")
    said = verb(bench, "builder", "debug", "--step", first.snapshot[:6], "cat", "/f")
    assert said.stdout == b"first\n"
    assert verb(bench, "builder", "debug", "cat", "/f").stdout == b"second\n"
    with pytest.raises(NotFoundError, match="no failed build step ffff"):
        verb(bench, "builder", "debug", "--step", "ffff", "true")


def test_debug_tells_at_once_where_there_is_no_terminal(bench: Bench) -> None:
    written: list[bytes] = []
    with pytest.raises(StepFailedError) as caught:
        verb(
            bench, "build", "--debug", "-", stdin=b"FROM busybox\nRUN echo x > /left; false\n",
            on_output=lambda _, data: written.append(data), program="%container",
        )  # fmt: skip
    assert caught.value.hint == "inspect its files: %container builder debug COMMAND"
    assert b"%container builder debug --step" in b"".join(written)
    assert "/left" in b"".join(written).decode()


def test_only_a_few_are_kept_and_a_prune_removes_them(bench: Bench) -> None:
    uppers = bench.engine._context.settings.root / "uppers"
    for number in range(KEPT + 2):
        fail(bench, f"FROM busybox\nRUN echo {number} > /f; false\n")
    verb(bench, "builder", "debug", "true")
    assert len(bench.engine.builds.failed_steps()) == KEPT
    assert len([one for one in uppers.iterdir() if one.name.startswith("failed-")]) == KEPT
    records = [one for one in bench.engine.builds.records() if one.type == "failed-step"]
    assert len(records) == KEPT
    images = len(bench.engine.images(all=True))
    bench.engine.builds.prune()
    assert bench.engine.builds.failed_steps() == []
    assert not [one for one in uppers.iterdir() if one.name.startswith("failed-")]
    assert len(bench.engine.images(all=True)) == images - 1


def test_a_prune_of_images_spares_what_a_failed_step_stands_on(bench: Bench) -> None:
    fail(bench, "FROM busybox\nRUN echo below > /below\nRUN cat /below; false\n")
    bench.engine.builds.prune(filters=["type=regular"], all=True)
    assert verb(bench, "builder", "debug", "cat", "/below").stdout == b"below\n"


def test_a_cancelled_step_leaves_nothing(bench: Bench) -> None:
    before = [step.id for step in bench.engine.builds.failed_steps()]
    cancel = CancelToken()

    def emit(event: Any) -> None:
        if getattr(event, "data", b"").startswith(b"go"):
            cancel.cancel()

    with pytest.raises(OperationCancelledError):
        bench.engine.build(
            bench.context,
            dockerfile="FROM busybox\nRUN echo go; sleep 30\n",
            emit=emit,
            cancel=cancel,
        )
    assert [step.id for step in bench.engine.builds.failed_steps()] == before
