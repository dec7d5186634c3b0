from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine.builds import history as module
from jupyter_containers.engine.builds.history import BuildHistory
from jupyter_containers.engine.context import Rooms
from jupyter_containers.engine.records import BuildNote
from jupyter_containers.errors import BuildError, NotFoundError, OperationCancelledError
from jupyter_containers.events import TaskFinished, TaskStarted, discard
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.settings import load_settings

OPTIONS = BuildOptions.of({}, dockerfile="FROM scratch", tag="app:1", source_name="In[2]")


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    rooms = Rooms(load_settings(overrides={"root": tmp_path / "r", "run_root": tmp_path / "s"}))
    yield rooms
    rooms.close()


def test_steps_are_counted_on_their_way(rooms: Rooms) -> None:
    seen: list[Any] = []
    with BuildHistory(rooms).keeping(OPTIONS, seen.append) as entry:
        for task, outcome in (("build-0-1", "cached"), ("build-0-2", "done"), ("pull", "done")):
            entry.receive(TaskStarted(task, f"title of {task}"))
            entry.receive(TaskFinished(task, outcome, "because", 0.5))
        entry.image = "sha256:1"
    assert len(seen) == 6
    [note] = BuildHistory(rooms).all()
    assert (note.steps, note.cached, note.outcome, note.image) == (2, 1, "done", "sha256:1")
    assert (note.names, note.source, note.owner) == (("app:1",), "In[2]", None)
    steps = BuildHistory(rooms).steps(note.id)
    assert [(one.title, one.reason) for one in steps][1] == ("title of build-0-2", "because")
    with pytest.raises(NotFoundError):
        BuildHistory(rooms).steps("other")


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
    rooms: Rooms, error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), BuildHistory(rooms).keeping(OPTIONS, discard):
        raise error
    [note] = BuildHistory(rooms).all()
    assert note.outcome == outcome
    assert "\n" not in note.error


def test_a_build_that_takes_a_moment_is_seen_while_it_runs(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOMENT_SECONDS", 0.0)
    history = BuildHistory(rooms)
    with history.keeping(OPTIONS, discard):
        for _ in range(500):
            if history.all():
                break
            module.time.sleep(0.01)
        [note] = history.all()
        assert note.outcome == "running"
    assert [note.outcome for note in history.all()] == ["done"]


def test_a_build_whose_process_has_died_was_killed(rooms: Rooms) -> None:
    history = BuildHistory(rooms)
    history.begin(BuildNote("1", 1.0, 0.0, outcome="running", owner=ProcessIdentity(1, 1)))
    assert [note.outcome for note in history.all()] == ["killed"]


def test_the_latest_are_kept(rooms: Rooms) -> None:
    history = BuildHistory(rooms)
    for number in range(module.KEPT + 20):
        history.end(BuildNote(str(number), float(number), 1.0), (), known=False)
    assert len(rooms.builds.all()) <= module.KEPT + 5
    assert len(rooms.built_steps.all()) == len(rooms.builds.all())
    assert history.all()[0].id == str(module.KEPT + 19)
