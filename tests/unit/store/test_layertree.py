from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.oci.descriptor import LAYER_TAR, digest_of
from jupyter_containers.store import Store
from jupyter_containers.store.layertree import MergedTree, same

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
