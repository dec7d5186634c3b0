from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.build.copying import Copier, CopyRules, absolute_destination
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.errors import BuildError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.trees.rooted import Root


class Sides:
    """A source folder, a destination folder, and copies between them."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target = folder / "source", folder / "target"
        self.source.mkdir()
        self.target.mkdir()

    def copy(
        self, patterns: str, destination: str, *, keep_owner: bool = False, **rules: Any
    ) -> None:
        with Root(self.source) as source, Root(self.target) as target:
            tree = SourceTree(source, keep_owner=keep_owner)
            copier = Copier(target, destination, CopyRules(**rules), CancelToken())
            for pattern in patterns.split():
                copier.copy(tree, tree.find(pattern))

    def names(self) -> set[str]:
        return {str(path.relative_to(self.target)) for path in self.target.rglob("*")}


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    made = Sides(tmp_path)
    (made.source / "a").write_text("a")
    (made.source / "b").write_text("b")
    (made.source / "d/e").mkdir(parents=True)
    (made.source / "d/f").write_text("f")
    (made.source / "d/e/g").write_text("g")
    return made


@pytest.mark.parametrize(
    ("patterns", "destination", "expected"),
    [
        ("a", "/x", {"x"}),
        ("a", "/x/", {"x", "x/a"}),
        ("a", "/have", {"have", "have/a"}),
        ("a", "/n/e/w", {"n", "n/e", "n/e/w"}),
        ("d", "/x", {"x", "x/f", "x/e", "x/e/g"}),
        ("d/", "/x/", {"x", "x/f", "x/e", "x/e/g"}),
        ("d", "/", {"f", "e", "e/g"}),
        (".", "/x", {"x", "x/a", "x/b", "x/d", "x/d/f", "x/d/e", "x/d/e/g"}),
        ("../../a", "/x", {"x"}),
        ("/d/e", "/x", {"x", "x/g"}),
        ("a b", "/x/", {"x", "x/a", "x/b"}),
        ("a b", "/x", {"x"}),
        ("?", "/x/", {"x", "x/a", "x/b", "x/f", "x/e", "x/e/g"}),
        ("*/f", "/x/", {"x", "x/f"}),
        ("nomatch*", "/x/", set()),
        ("d/*", "/x/", {"x", "x/f", "x/g"}),
    ],
)
def test_where_things_land(
    sides: Sides, patterns: str, destination: str, expected: set[str]
) -> None:
    (sides.target / "have").mkdir()
    sides.copy(patterns, destination)
    assert sides.names() - {"have"} | ({"have"} & expected) == expected


def test_the_last_of_several_sources_stays(sides: Sides) -> None:
    sides.copy("a b", "/x")
    assert (sides.target / "x").read_text() == "b"


def test_links_in_the_destination_are_followed_inside(sides: Sides, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    for name, goal in [
        ("app", "/etc"), ("up", "../../.."), ("abs", str(victim)), ("file", "/etc/conf"),
        ("d", "/usr/d"),
    ]:  # fmt: skip
        (sides.target / name).symlink_to(goal)
    (sides.target / "usr/d").mkdir(parents=True)
    sides.copy("a", "/app/x")
    sides.copy("a", "/up/escaped")
    sides.copy("a", f"/abs/{'../' * 20}tmp/escaped")
    sides.copy("a", "/abs/y")
    sides.copy("b", "/file")
    sides.copy(".", "/")
    assert (sides.target / "etc/x").read_text() == "a"
    assert (sides.target / "escaped").exists()
    assert (sides.target / "etc/conf").read_text() == "b"
    assert (sides.target / "file").is_symlink()
    # A folder merges into the folder that a link of its name leads to (merged /usr).
    assert (sides.target / "d").is_symlink()
    assert (sides.target / "usr/d/e/g").read_text() == "g"
    assert list(victim.iterdir()) == []
    assert not Path("/tmp/escaped").exists()


def test_a_copied_file_replaces_a_link_and_not_its_goal(sides: Sides) -> None:
    (sides.target / "a").symlink_to("goal")
    (sides.target / "goal").write_text("keep")
    sides.copy(".", "/")
    assert not (sides.target / "a").is_symlink()
    assert (sides.target / "goal").read_text() == "keep"


@pytest.mark.parametrize(
    ("make", "patterns", "destination", "message"),
    [
        ("f/", "d", "/", "a file over the folder /f"),
        ("e", "d", "/", "a folder over the file /e"),
        ("x", "a", "/x/", "[Nn]ot a directory"),
        ("x", "d", "/x", "[Nn]ot a directory"),
        ("x", "a", "/x/y", "[Nn]ot a directory"),
    ],
)
def test_files_and_folders_never_replace_each_other(
    sides: Sides, make: str, patterns: str, destination: str, message: str
) -> None:
    path = sides.target / make.rstrip("/")
    path.mkdir() if make.endswith("/") else path.write_text("")
    with pytest.raises(BuildError, match=message):
        sides.copy(patterns, destination)


def test_modes_times_attributes_and_links_are_kept(sides: Sides) -> None:
    (sides.source / "a").chmod(0o4711)
    os.utime(sides.source / "a", (1, 1_000_000_001.5))
    os.setxattr(sides.source / "a", "user.note", b"x")
    os.link(sides.source / "d/f", sides.source / "d/e/hard")
    (sides.source / "d/link").symlink_to("/nowhere")
    os.mkfifo(sides.source / "d/fifo")
    (sides.source / "d/e").chmod(0o700)
    os.utime(sides.source / "d/e", (5, 5))
    sides.copy(".", "/x")
    copied = (sides.target / "x/a").stat()
    assert copied.st_mode & 0o7777 == 0o4711
    assert copied.st_mtime == 1_000_000_001.5
    assert os.getxattr(sides.target / "x/a", "user.note") == b"x"
    assert (sides.target / "x/d/f").samefile(sides.target / "x/d/e/hard")
    assert os.readlink(sides.target / "x/d/link") == "/nowhere"
    assert (sides.target / "x/d/fifo").is_fifo()
    folder = (sides.target / "x/d/e").stat()
    assert (folder.st_mode & 0o777, folder.st_mtime) == (0o700, 5)
    assert (sides.target / "x").stat().st_mode & 0o777 == 0o755


def test_owners(sides: Sides) -> None:
    from jupyter_containers.build.users import Owner

    os.chown(sides.source / "a", 7, 8)
    sides.copy("a", "/context")
    sides.copy("a", "/stage", keep_owner=True)
    sides.copy("a", "/new/given", owner=Owner(3, 4))
    owners = {
        name: ((sides.target / name).stat().st_uid, (sides.target / name).stat().st_gid)
        for name in ("context", "stage", "new", "new/given")
    }
    assert owners == {"context": (0, 0), "stage": (7, 8), "new": (3, 4), "new/given": (3, 4)}


def test_sockets_do_not_exist_and_exclude_leaves_out(sides: Sides) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(sides.source / "d/socket"))
        sides.copy("d", "/x", exclude=IgnoreRules.of(["e"]))
    assert sides.names() == {"x", "x/f"}
    with pytest.raises(BuildError, match="not found"):
        sides.copy("d/socket", "/y")


def test_source_links_are_followed_inside_the_source(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (sides.source / "inside").symlink_to("/d/f")
    (sides.source / "outside").symlink_to("../secret")
    (sides.source / "out").symlink_to("..")
    sides.copy("inside", "/x/")
    assert (sides.target / "x/inside").read_text() == "f"
    for name in ("outside", "out/secret"):
        with pytest.raises(BuildError, match="not found"):
            sides.copy(name, "/y")


def test_cancel_stops_a_copy(sides: Sides) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with Root(sides.source) as source, Root(sides.target) as target:
        tree = SourceTree(source)
        with pytest.raises(OperationCancelledError):
            Copier(target, "/x", CopyRules(), cancel).copy(tree, tree.find("d"))


@pytest.mark.parametrize(
    ("text", "working_dir", "expected"),
    [
        (".", "/w", "/w/"),
        ("", "/w", "/w/"),
        ("x", "/w", "/w/x"),
        ("x/", "/w", "/w/x/"),
        ("./", "/", "/"),
        ("/x/.", "/w", "/x/"),
        ("../../../x", "/w", "/x"),
        ("//x", "/w", "/x"),
        ("x", "", "/x"),
    ],
)
def test_destinations(text: str, working_dir: str, expected: str) -> None:
    assert absolute_destination(text, working_dir) == expected
