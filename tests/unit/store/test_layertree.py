from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.oci.descriptor import LAYER_TAR, digest_of
from jupyter_containers.store import Store
from jupyter_containers.store.layertree import MergedTree, changes_on, same

Tar = Callable[..., bytes]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: whiteouts are devices")


def folders(store: Store, *tars: bytes) -> list[Path]:
    parent = ""
    for tar in tars:
        blob = store.content.put(tar, LAYER_TAR)
        parent = store.snapshots.unpack(parent, digest_of(tar), blob).chain_id
    return list(reversed(store.snapshots.lower_folders(parent)))


def test_what_each_layer_does(store: Store, make_tar: Tar) -> None:
    tree = MergedTree()
    one, two, three, four = folders(
        store,
        make_tar(("dir", "etc", ""), ("file", "etc/a", "aaaa"), ("file", "opt/x/b", "bb"),
                 ("file", "opt/x/c", "ccc"), ("link", "hard", "etc/a")),
        make_tar(("dir", "etc", ""), ("file", "etc/a", "a"), ("file", "new/n", "n")),
        make_tar(("file", "opt/.wh.x", ""), ("file", "etc/.wh.a", "")),
        make_tar(("file", "new/.wh..wh..opq", ""), ("file", "new/m", "mm"),
                 ("symlink", "etc", "/new")),
    )  # fmt: skip
    found = [(c.path, c.kind, c.size, c.is_folder) for c in tree.apply(one)]
    first = next(size for path, _, size, _ in found if path == "/etc/a")
    assert found == [
        ("/etc", "added", 0, True),
        ("/etc/a", "added", first, False),
        ("/hard", "added", 4 - first, False),
        ("/opt", "added", 0, True),
        ("/opt/x", "added", 0, True),
        ("/opt/x/b", "added", 2, False),
        ("/opt/x/c", "added", 3, False),
    ]
    assert [(c.path, c.kind, c.size) for c in tree.apply(two)] == [
        ("/etc/a", "changed", 1),
        ("/new", "added", 0),
        ("/new/n", "added", 1),
    ]
    assert [(c.path, c.kind, c.size, c.is_folder) for c in tree.apply(three)] == [
        ("/etc/a", "removed", 1, False),
        ("/opt/x", "removed", 5, True),
    ]
    assert [(c.path, c.kind, c.size) for c in tree.apply(four)] == [
        ("/etc", "changed", 0),
        ("/new/m", "added", 2),
        ("/new/n", "removed", 1),
    ]
    assert {path for path, _ in tree.files()} == {"/etc", "/hard", "/opt", "/new", "/new/m"}


def test_the_topmost_layer_is_told_as_by_reading_all(store: Store, make_tar: Tar) -> None:
    layers = folders(
        store,
        make_tar(("file", "etc/a", "a"), ("file", "etc/b", "b"), ("file", "opt/x/y/z", "z"),
                 ("file", "opt/x/w", "w"), ("file", "was/folder/f", "f"), ("file", "f/o/o", "o")),
        make_tar(("file", "opt/.wh..wh..opq", ""), ("file", "opt/x/again", "x"),
                 ("symlink", "link", "/etc"), ("file", "etc/.wh.b", "")),
        make_tar(("file", "etc/a", "aa"), ("file", "etc/b", "new"), ("file", "opt/x/.wh.again", ""),
                 ("file", "opt/x/y/z", "z"), ("file", "was", "file"), ("file", "link/in", "it"),
                 ("file", "f/.wh..wh..opq", ""), ("file", "f/n", "n")),
    )  # fmt: skip
    tree = MergedTree()
    *lowers, top = layers
    for layer in lowers:
        tree.apply(layer)
    everything = [(c.path, c.kind) for c in tree.apply(top)]
    assert [(c.path, c.kind) for c in changes_on(lowers[::-1], top)] == everything
    assert everything == [
        ("/etc/a", "changed"),
        ("/etc/b", "added"),
        ("/f/n", "added"),
        ("/f/o", "removed"),
        ("/link", "changed"),
        ("/link/in", "added"),
        ("/opt/x/again", "removed"),
        ("/opt/x/y", "added"),
        ("/opt/x/y/z", "added"),
        ("/was", "changed"),
    ]


def test_a_layer_is_read_only_where_the_topmost_has_something(
    store: Store, make_tar: Tar, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [("file", f"many/{number}/f", "x") for number in range(50)]
    lower, top = folders(
        store, make_tar(*many, ("file", "few/f", "x")), make_tar(("file", "few/f", "y"))
    )
    read: list[str] = []
    scan = os.scandir

    def note(directory: int) -> object:
        read.append(os.readlink(f"/proc/self/fd/{directory}"))
        return scan(directory)

    monkeypatch.setattr(os, "scandir", note)
    assert [c.path for c in changes_on([lower], top)] == ["/few/f"]
    assert [path for path in read if path.startswith(f"{lower}/")] == [f"{lower}/few"]


def test_states_are_the_same_by_content(store: Store, make_tar: Tar) -> None:
    def only(*members: tuple[str, str, object], **extra: object) -> object:
        tree = MergedTree()
        tree.apply(folders(store, make_tar(*members, **extra))[0])
        return dict(tree.files())["/f"]

    file = only(("file", "f", "one"))
    assert same(file, only(("file", "f", "one"), ("file", "g", "more")))
    assert same(file, only(("file", "f", "one"), mtime=5))
    assert not same(file, only(("file", "f", "two")))
    assert not same(file, only(("file", "f", "longer")))
    assert not same(file, only(("file", "f", "one"), mode=0o600))
    assert not same(file, only(("file", "f", "one"), uid=5))
    assert not same(file, only(("symlink", "f", "one")))
    assert same(only(("symlink", "f", "one")), only(("symlink", "f", "one"), ("dir", "d", "")))
