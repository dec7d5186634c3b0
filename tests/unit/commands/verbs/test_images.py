from __future__ import annotations

import io
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine.images.layers import ImageDifference
from jupyter_containers.engine.images.tree import LayerNode
from jupyter_containers.engine.results import HistoryEntry
from jupyter_containers.errors import (
    ImageNotFoundError,
    InvalidArgumentError,
    UnsupportedError,
)
from jupyter_containers.events import discard


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def test_images_has_one_row_for_every_name(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["images"] = [an_image]
    found = perform(fake_engine, "images")
    assert found == [an_image]
    assert str(found).splitlines() == [
        "REPOSITORY                TAG       IMAGE ID       CREATED       SIZE",
        "app                       latest    abababababab   2 weeks ago   187MB",
        "localhost:5000/team/app   1         abababababab   2 weeks ago   187MB",
    ]


def test_images_forms(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["images"] = [an_image]
    assert perform(fake_engine, "images", "-q") == ["abababababab"]
    assert perform(fake_engine, "images", "-q", "--no-trunc") == [an_image.id]
    assert perform(fake_engine, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}") == [
        "app:latest",
        "localhost:5000/team/app:1",
    ]
    assert "DIGEST" in str(perform(fake_engine, "images", "--digests"))


def test_images_without_name_or_date(fake_engine: Any, an_image: Any) -> None:
    an_image.names, an_image.created = (), None
    fake_engine.answers["images"] = [an_image]
    assert str(perform(fake_engine, "images", "-a")).splitlines()[1].split() == [
        "<none>", "<none>", "abababababab", "N/A", "187MB",
    ]  # fmt: skip
    assert fake_engine.last == ("images", (), {"filters": None, "all": True})


def test_images_of_a_repository(fake_engine: Any) -> None:
    fake_engine.answers["images"] = []
    perform(fake_engine, "images", "debian")
    assert fake_engine.last[2]["filters"] == {"reference": ["debian"]}


def test_history(fake_engine: Any) -> None:
    created = datetime.now(UTC) - timedelta(hours=3)
    fake_engine.answers["images.history"] = [
        HistoryEntry("sha256:" + "cd" * 32, created, "RUN " + "x" * 60, 12_000_000, "note"),
        HistoryEntry("", created, "ENV A=1", 0),
    ]
    lines = str(perform(fake_engine, "history", "app")).splitlines()
    assert [word.strip() for word in lines[0].split("  ") if word.strip()] == [
        "IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT",
    ]  # fmt: skip
    assert lines[1].startswith("cdcdcdcdcdcd   3 hours ago   RUN " + "x" * 40 + "…")
    assert lines[1].endswith("12MB      note")
    assert lines[2].startswith("<missing>")
    assert "x" * 60 in str(perform(fake_engine, "history", "--no-trunc", "app"))
    assert "12000000" in str(perform(fake_engine, "history", "-H=false", "app"))


def test_rmi_lists_what_went(fake_engine: Any) -> None:
    def remove(name: str, force: bool, no_prune: bool) -> list[str]:
        if name == "no":
            raise ImageNotFoundError("no such image: no")
        return [f"Untagged: {name}"]

    fake_engine.answers["images.remove"] = remove
    assert perform(fake_engine, "rmi", "a", "b") == ["Untagged: a", "Untagged: b"]
    with pytest.raises(ImageNotFoundError):
        perform(fake_engine, "rmi", "no", "b")
    assert perform(fake_engine, "rmi", "-f", "no", "b") == ["Untagged: b"]
    perform(fake_engine, "rmi", "--no-prune", "b")
    assert fake_engine.last[2] == {"force": False, "no_prune": True}


def test_a_tree_of_layers(fake_engine: Any) -> None:
    top = LayerNode("sha256:" + "b" * 64, 3_000_000, ["app:1", "app:2"])
    fake_engine.answers["images.tree"] = [LayerNode("sha256:" + "a" * 64, 1000, [], [top])]
    assert str(perform(fake_engine, "images", "--tree")).splitlines() == [
        "└─ aaaaaaaaaaaa  1kB",
        "   └─ bbbbbbbbbbbb  3MB  app:1  app:2",
    ]
    with pytest.raises(InvalidArgumentError, match="takes no other"):
        perform(fake_engine, "images", "--tree", "-q")


def test_transfers_open_a_progress_unless_quiet(fake_engine: Any, an_image: Any) -> None:
    opened: list[int] = []

    @contextmanager
    def progress() -> Any:
        opened.append(1)
        yield discard

    fake_engine.answers.update(
        {"pull": an_image, "push": "sha256:x", "build": an_image, "images.bootstrap": an_image}
    )
    for words in (["pull", "a"], ["push", "a"], ["bootstrap", "a"], ["build"]):
        perform(fake_engine, *words, progress=progress)
    assert len(opened) == 4
    assert perform(fake_engine, "pull", "-q", "a", progress=progress) is an_image
    assert len(opened) == 4


def test_import(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["images.import_archive"] = an_image
    perform(fake_engine, "import", "-c", "CMD ls", "root.tar", "app")
    assert fake_engine.last == (
        "images.import_archive",
        ("root.tar", "app"),
        {"changes": ("CMD ls",)},
    )
    with pytest.raises(InvalidArgumentError, match="needs an archive"):
        perform(fake_engine, "import", "-")


def test_save_needs_a_place_to_write_to(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no output"):
        perform(fake_engine, "save", "busybox")
    stream = io.BytesIO()
    perform(fake_engine, "save", "busybox", binary_output=stream)
    assert fake_engine.last[:2] == ("images.save", (["busybox"], stream))
    words = ("-o", "x.tar.gz", "--format", "oci-archive", "--platform", "linux/amd64")
    perform(fake_engine, "image", "save", *words, "a", "b:1", binary_output=stream)
    assert fake_engine.last == (
        "images.save",
        (["a", "b:1"], "x.tar.gz"),
        {
            "format": "oci-archive",
            "compression": None,
            "platform": "linux/amd64",
        },
    )


def test_load_tells_what_came(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["images.load"] = [an_image]
    found = perform(fake_engine, "load", "-q", "-i", "x.tar")
    assert fake_engine.last[:2] == ("images.load", ("x.tar",))
    assert list(found) == [an_image]
    assert str(found).splitlines() == [f"Loaded image: {name}" for name in an_image.names]
    an_image.names = ()
    assert str(perform(fake_engine, "load", stdin=b"tar")) == f"Loaded image ID: {an_image.id}"
    for nothing in (None, b""):
        with pytest.raises(InvalidArgumentError, match="needs an archive"):
            perform(fake_engine, "load", stdin=nothing)


def test_diff_of_one_name_is_that_of_a_container(fake_engine: Any) -> None:
    fake_engine.answers["containers.diff"] = []
    perform(fake_engine, "diff", "web")
    assert fake_engine.last[:2] == ("containers.diff", ("web",))
    fake_engine.answers["images.diff"] = ImageDifference("a", "b", (), (), 1, 1, 0)
    found = perform(fake_engine, "diff", "a", "b")
    assert fake_engine.last[:2] == ("images.diff", ("a", "b"))
    assert "0 files and 0 settings differ" in str(found)


@pytest.mark.parametrize("words", [("pull", "x"), ("push", "x"), ("build", ".")])
def test_signatures_are_never_asked_for(fake_engine: Any, words: tuple[str, ...]) -> None:
    perform(fake_engine, *words, "--disable-content-trust")
    assert fake_engine.last[0] == words[0]
    assert "disable_content_trust" not in fake_engine.last[2]
    with pytest.raises(UnsupportedError, match="content trust"):
        perform(fake_engine, *words, "--disable-content-trust=false")


@pytest.mark.parametrize("words", [("push",), ("history",), ("image", "inspect")])
def test_a_platform_is_passed_on(fake_engine: Any, words: tuple[str, ...]) -> None:
    fake_engine.answers |= {"images.history": [], "push": "sha256:0", "images.inspect": {}}
    perform(fake_engine, *words, "--platform", "linux/s390x", "x")
    assert fake_engine.last[2]["platform"] == "linux/s390x"
