"""The panel's calls on a real store: files, pruning, the history of builds."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ContainersError,
    InvalidArgumentError,
    NotFoundError,
    StepFailedError,
)
from jupyter_containers.panel import files as files_module
from jupyter_containers.panel.calls import Calls
from jupyter_containers.panel.messages import (
    Check,
    Command,
    Complete,
    Completion,
    Describe,
    Download,
    Files,
    Forecast,
    Login,
    Prune,
    PrunePreview,
    Squiggle,
    Upload,
)
from jupyter_containers.panel.uploads import Uploads
from tests.integration.engine_fixtures import BUSYBOX, Place, demolish


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with its own store, in which everything is pruned."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    with Place.under(tmp_path).engine() as engine:
        try:
            engine.images.bootstrap(BUSYBOX)
            yield engine
        finally:
            demolish(engine)


@pytest.fixture
def calls(engine: Engine) -> Calls:
    return Calls(engine, lambda _: None, Uploads())


def value(calls: Calls, call: Any, *buffers: bytes) -> Any:
    return calls.perform(call, buffers)[0]


def test_files_go_in_and_out_of_a_container(engine: Engine, calls: Calls) -> None:
    engine.containers.create(BUSYBOX, name="files")
    given = ("files", "/tmp", "new file.txt", "token")
    assert value(calls, Upload(*given, offset=0, last=False), b"hel") is None
    assert value(calls, Files("files", "/tmp")).entries == []
    assert value(calls, Upload(*given, offset=3, last=True), b"lo\n") is None
    listing = value(calls, Files("files", "/tmp"))
    assert [(one.name, one.kind, one.size) for one in listing.entries] == [
        ("new file.txt", "file", 6)
    ]
    assert listing.entries[0].mode == "-rw-r--r--"
    found, [data] = calls.perform(Download("files", "/tmp/new file.txt"), ())
    assert (found.name, data) == ("new file.txt", b"hello\n")
    found, [data] = calls.perform(Download("files", "/tmp"), ())
    assert found.name == "tmp.tar"
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert "tmp/new file.txt" in archive.getnames()
    root = value(calls, Files("files", "/"))
    kinds = [one.kind for one in root.entries]
    assert kinds == sorted(kinds, key=lambda kind: kind != "folder")
    sh = [one for one in value(calls, Files("files", "/bin")).entries if one.name == "sh"]
    assert (sh[0].kind, sh[0].target) in (("link", "busybox"), ("link", "/bin/busybox"))


def test_files_that_are_not_there_are_said(engine: Engine, calls: Calls) -> None:
    engine.containers.create(BUSYBOX, name="files")
    with pytest.raises(NotFoundError, match="could not find /nowhere"):
        value(calls, Files("files", "/nowhere"))
    with pytest.raises(InvalidArgumentError, match="not a folder"):
        value(calls, Files("files", "/bin/busybox"))
    for name in ("", "..", "a/b"):
        with pytest.raises(InvalidArgumentError, match="not a valid file name"):
            value(calls, Upload("files", "/tmp", name, "token", 0, last=True), b"")
    with pytest.raises(InvalidArgumentError, match="part of the upload is missing"):
        value(calls, Upload("files", "/tmp", "late", "token", 5, last=True), b"x")
    # No link of a container leads out of it.
    engine.run(BUSYBOX, ["ln", "-s", "/../../../../etc", "/out"], name="linked")
    assert value(calls, Files("linked", "/out")).path == "/etc"
    inside = {one.name for one in value(calls, Files("linked", "/out")).entries}
    assert "debian_version" not in inside  # of the machine's /etc


def test_a_download_has_a_limit(
    engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.containers.create(BUSYBOX, name="files")
    monkeypatch.setattr(files_module, "MOST_BYTES", 1000)
    with pytest.raises(InvalidArgumentError, match="cannot be sent to a browser"):
        value(calls, Download("files", "/bin/busybox"))


def test_a_prune_removes_what_its_preview_shows(engine: Engine, calls: Calls) -> None:
    text = f"FROM {BUSYBOX}\nRUN head -c 100000 /dev/urandom > /a"
    engine.build({}, dockerfile=text, tag="kept:1")
    engine.build({}, dockerfile=f"{text}\nRUN head -c 200000 /dev/urandom > /b", tag="gone:1")
    engine.run(BUSYBOX, ["sh", "-c", "head -c 50000 /dev/urandom > /x"], name="ended")
    engine.volumes.create("named")
    engine.networks.create("unused")
    engine.images.tag(BUSYBOX, "gone:1")  # the image has no name any more

    narrow = {group.name: group for group in value(calls, PrunePreview(all=False))}
    assert [
        len(narrow[name].items) for name in ("containers", "images", "volumes", "networks")
    ] == [*(1, 1, 0, 1)]
    wide = {group.name: group for group in value(calls, PrunePreview(all=True))}
    assert [item.name for item in wide["volumes"].items] == ["named"]
    assert "kept:1" in [item.name for item in wide["images"].items]
    assert BUSYBOX not in [item.name for item in wide["images"].items]  # "ended" is made of it

    done = value(calls, Prune(["networks", "images", "cache", "containers"], all=False))
    expected = sum(narrow[name].size for name in ("images", "cache", "containers"))
    assert done.freed >= expected
    assert [one.name for one in engine.containers(all=True)] == []
    assert "unused" not in [one.name for one in engine.networks()]
    assert "named" in [one.name for one in engine.volumes()]
    assert {"kept:1", BUSYBOX} <= {name for image in engine.images() for name in image.names}
    after = {group.name: group for group in value(calls, PrunePreview(all=False))}
    assert [len(after[name].items) for name in ("containers", "images", "networks")] == [0, 0, 0]


def test_a_group_that_was_not_chosen_stays(engine: Engine, calls: Calls) -> None:
    engine.containers.create(BUSYBOX, name="stays")
    value(calls, Prune(["images", "networks"], all=True))
    assert [one.name for one in engine.containers(all=True)] == ["stays"]
    assert BUSYBOX in [name for image in engine.images() for name in image.names]


def test_builds_are_written_down(engine: Engine) -> None:
    text = f"FROM {BUSYBOX}\nRUN echo 1 > /a\nRUN echo 2 > /b"
    first = engine.build({}, dockerfile=text, tag="app:1")
    engine.build({}, dockerfile=text, tag=["app:1", "app:2"])
    with pytest.raises(StepFailedError):
        engine.build({}, dockerfile=f"FROM {BUSYBOX}\nRUN exit 4", source_name="In[3]")
    failed, second, begun = engine.builds.history()[:3]
    steps = engine.builds.steps(begun.id)
    assert [(one.title, one.outcome) for one in steps[1:]] == [
        ("[2/3] RUN echo 1 > /a", "done"),
        ("[3/3] RUN echo 2 > /b", "done"),
    ]
    assert steps[1].reason
    with pytest.raises(NotFoundError, match="no such build"):
        engine.builds.steps("nothing")
    assert (begun.outcome, begun.names, begun.steps, begun.image) == (
        *("done", ("app:1",), 3),
        first.id,
    )
    assert (second.names, second.steps, second.cached) == (("app:1", "app:2"), 3, 3)
    assert (failed.outcome, failed.source, failed.image) == ("failed", "In[3]", "")
    assert "exit code 4" in failed.error
    assert failed.started >= second.started >= begun.started > 1.7e9


def test_a_command_line_does_what_it_does_in_a_cell(engine: Engine, calls: Calls) -> None:
    said: list[str] = []
    calls = Calls(engine, said.append, Uploads())
    assert value(calls, Command("run --rm busybox echo 'hello there'")).text == "hello there\n"
    with pytest.raises(ContainersError, match="unknown command"):
        value(calls, Command("explode"))
    with pytest.raises(InvalidArgumentError, match="No closing quotation"):
        value(calls, Command("run 'x"))


def test_checks_mark_lines(calls: Calls) -> None:
    text = "FROM busybox\nMAINTAINER me\nRUN echo $UNKNOWN\n"
    found = value(calls, Check(text))
    assert Squiggle("MaintainerDeprecated", found[0].message, 2, 2, False) == found[0]
    [error] = value(calls, Check("FROM busybox\nCOPPY a b\n"))
    assert (error.first_line, error.is_error) == (2, True)
    assert value(calls, Check("  \n")) == []


def test_compose_files_are_checked_completed_and_described(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "services:\n  web:\n    imag: busybox\n"
    [error] = value(calls, Check(text, "compose"))
    assert (error.first_line, error.column, error.length, error.is_error) == (3, 4, 4, True)
    file = tmp_path / "compose.override.yaml"
    over = "services:\n  web:\n    env_file: not.here\n"
    file.write_text(over)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert value(calls, Check(over, "compose", "~/compose.override.yaml")) == []
    whole = tmp_path / "compose.yaml"
    assert value(calls, Check(f"{over}    image: x\n", "compose", str(whole))) == []
    whole.touch()
    [error] = value(calls, Check(f"{over}    image: x\n", "compose", str(whole)))
    assert (error.first_line, error.column) == (3, 14)
    found = value(calls, Complete("services:\n  web:\n    image: busyb", "compose"))
    assert found == Completion(5, ["busybox:latest"])
    told = value(calls, Describe(text, 1, 3))
    assert told.title == ""
    assert "The image;" in value(calls, Describe("services:\n  web:\n    image: x", 2, 5)).words


def test_what_a_cell_would_build_is_asked_of_the_notebook(calls: Calls) -> None:
    with pytest.raises(InvalidArgumentError, match="no notebook"):
        calls.perform(Forecast("%%dockerfile\nFROM busybox", "cell"), ())
    assert "s3cret" not in repr(Login("quay.io", "ada", "s3cret"))
