from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine.builds import history as module
from jupyter_containers.engine.builds.history import BuildHistory
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import BuildNote
from jupyter_containers.errors import BuildError, NotFoundError, OperationCancelledError
from jupyter_containers.events import TaskFinished, TaskStarted, discard
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.settings import load_settings

OPTIONS = BuildOptions.of({}, dockerfile="FROM scratch", tag="app:1", source_name="In[2]")


@pytest.fixture
def engine_context(tmp_path: Path) -> Iterator[EngineContext]:
    engine_context = EngineContext(
        load_settings(overrides={"root": tmp_path / "r", "run_root": tmp_path / "s"})
    )
    yield engine_context
    engine_context.close()


def test_steps_are_counted_on_their_way(engine_context: EngineContext) -> None:
    seen: list[Any] = []
    with BuildHistory(engine_context).keeping(OPTIONS, seen.append) as entry:
        for task, outcome in (("build-0-1", "cached"), ("build-0-2", "done"), ("pull", "done")):
            entry.receive(TaskStarted(task, f"title of {task}"))
            entry.receive(TaskFinished(task, outcome, "because", 0.5))
        entry.image = "sha256:1"
    assert len(seen) == 6
    [note] = BuildHistory(engine_context).all()
    assert (note.steps, note.cached, note.outcome, note.image) == (2, 1, "done", "sha256:1")
    assert (note.names, note.source, note.owner) == (("app:1",), "In[2]", None)
    steps = BuildHistory(engine_context).steps(note.id)
    assert [(one.title, one.reason) for one in steps][1] == ("title of build-0-2", "because")
    with pytest.raises(NotFoundError):
        BuildHistory(engine_context).steps("other")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BuildError("no\nmore"), "failed"),
        (OperationCancelledError("stop"), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (RuntimeError("a fault"), "failed"),
    ],
)
def test_an_end_is_written_down_whatever_it_is(
    engine_context: EngineContext, error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), BuildHistory(engine_context).keeping(OPTIONS, discard):
        raise error
    [note] = BuildHistory(engine_context).all()
    assert note.outcome == outcome
    assert "\n" not in note.error


def test_a_build_that_takes_a_moment_is_seen_while_it_runs(
    engine_context: EngineContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOMENT_SECONDS", 0.0)
    history = BuildHistory(engine_context)
    with history.keeping(OPTIONS, discard):
        for _ in range(500):
            if history.all():
                break
            module.time.sleep(0.01)
        [note] = history.all()
        assert note.outcome == "running"
    assert [note.outcome for note in history.all()] == ["done"]


def test_a_build_whose_process_has_died_was_killed(engine_context: EngineContext) -> None:
    history = BuildHistory(engine_context)
    history.begin(BuildNote("1", 1.0, 0.0, outcome="running", owner=ProcessIdentity(1, 1)))
    assert [note.outcome for note in history.all()] == ["killed"]


def test_the_latest_are_kept(engine_context: EngineContext) -> None:
    history = BuildHistory(engine_context)
    for number in range(module.KEPT + 20):
        history.end(BuildNote(str(number), float(number), 1.0), (), known=False)
    assert len(engine_context.builds.all()) <= module.KEPT + 5
    assert len(engine_context.built_steps.all()) == len(engine_context.builds.all())
    assert history.all()[0].id == str(module.KEPT + 19)
