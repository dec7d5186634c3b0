"""Images shared by a machine's users: all can use them, only root can change them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.shared_stores import MAPPED, map_owners, unmap_owners
from jupyter_containers.errors import InvalidArgumentError, NotFoundError, StorageError
from jupyter_containers.store import Store
from tests.integration.account import NEEDS, USER, Account, opened
from tests.integration.engine_fixtures import Place

pytestmark = NEEDS
_APP = """FROM busybox
RUN mkdir /d /e && echo old > /d/old && echo 1 > /owned && chown 7:8 /owned && chmod 600 /owned
RUN rm -r /d && mkdir /d && echo new > /d/new && rm /e -r
RUN echo student:x:1000:1000::/:/bin/sh >> /etc/passwd
"""


@pytest.fixture(scope="module")
def store() -> Iterator[Path]:
    """Return a folder of shared images outside pytest's own, which other users cannot enter."""
    folder = Path(f"/tmp/jc-shared-{os.getpid()}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    for left in (MAPPED / str(USER.pw_uid)).glob("*"):
        raise AssertionError(f"left: {left}")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Engine]:
    place = Place.under(tmp_path_factory.mktemp("teacher"))
    with place.engine(additional_stores=[str(store)]) as engine:
        engine.images.bootstrap("busybox")
        engine.build(dockerfile=_APP, tag="lesson:1")
        assert engine.stores.share(["busybox", "lesson:1"], store=str(store)) == [
            "busybox:latest",
            "lesson:1",
        ]
        yield engine


def student_words(account: Account, store: Path, line: str) -> list[str]:
    return ["env", f"JUPYTER_CONTAINERS_ADDITIONAL_STORES={store}", *account.command(line)]


def student(account: Account, store: Path, line: str) -> str:
    done = account.run(student_words(account, store, line))
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()


def unpacked(account: Account) -> list[str]:
    """Return the directories of layers in the account's own store."""
    folder = account.home / ".local/share/jupyter-containers/layers"
    names = (entry.name for entry in folder.iterdir())
    return sorted(name for name in names if name[0] != "@" and name != "scratch")


_LOOK = (
    "run --rm --network none lesson:1 sh -c "
    "'ls /d; ls -d /e 2>/dev/null; stat -c %u:%g:%a /owned; echo more >> /owned; id -u student'"
)


@pytest.mark.parametrize("kind", ["single", "subordinate"])
def test_a_user_has_the_images_at_once_and_changes_only_copies(
    teacher: Engine, store: Path, kind: str
) -> None:
    with opened(kind) as account:
        listed = student(account, store, "images --format '{{.Repository}}:{{.Tag}}'")
        assert sorted(listed.split()) == ["busybox:latest", "lesson:1"]
        shown = student(account, store, _LOOK)
        owner = "7:8:600" if kind == "subordinate" else "0:0:600"
        assert shown.split() == ["new", owner, "1000"]
        assert len(unpacked(account)) == 4
        own = account.home / ".local/share/jupyter-containers/content/blobs/sha256"
        assert not list(own.iterdir()), "the archives are read where they are"
        told = student(account, store, "store ls --format json")
        assert json.loads(told) == {
            "Root": str(store), "Images": "2", "Layers": "unpacked on first use",
        }  # fmt: skip
        assert "4 layers, 2 images: all is well" in student(account, store, "system check")


def test_mapped_layers_are_used_where_they_are(
    teacher: Engine, store: Path, tmp_path: Path
) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("nobody:400000:65536\n")
    [mount] = map_owners(teacher.settings, "nobody", etc=tmp_path)
    try:
        assert map_owners(teacher.settings, "nobody", etc=tmp_path) == [mount], "once is enough"
        with opened("subordinate") as account:
            assert student(account, store, "store ls --format '{{.Layers}}'") == "mapped\n"
            assert student(account, store, _LOOK).split() == ["new", "7:8:600", "1000"]
            assert unpacked(account) == []
            # Images built on them are the user's own, and the shared image is unchanged.
            (account.home / "Dockerfile").write_text(
                "FROM lesson:1\nRUN rm -r /d && chown 9 /owned\n"
            )
            student(account, store, "build -q -t mine .")
            shown = student(
                account,
                store,
                "run --rm --network none mine sh -c 'ls -d /d 2>/dev/null; stat -c %u /owned'",
            )
            assert shown == "9\n"
            assert len(unpacked(account)) == 1
            assert student(account, store, _LOOK).split() == ["new", "7:8:600", "1000"]
            check = student(account, store, "system check")
            assert "1 layers, 3 images: all is well" in check
            # Without root's mount the same containers go on, from copies of the user's own.
            student(account, store, "create --name later --network none mine ls /d/new")
            assert unmap_owners("nobody") == [mount]
            done = account.run(student_words(account, store, "start -a later"))
            assert done.returncode == 1, "the built image has no /d"
            assert b"/d/new" in done.stderr
    finally:
        unmap_owners("nobody")


def test_users_alter_nothing(teacher: Engine, store: Path) -> None:
    with opened("subordinate") as account:
        for place in ("content/blobs/sha256", "layers", "."):
            done = account.run(["touch", str(store / place / "x")])
            assert done.returncode != 0, place
        for hidden in ("records.db", "uppers", "staging", "locks", "ingest"):
            done = account.run(["cat" if hidden.endswith("db") else "ls", str(store / hidden)])
            assert b"Permission denied" in done.stderr, hidden
        done = account.run(student_words(account, store, "rmi lesson:1"))
        assert (done.returncode, done.stdout) == (1, b"")
        assert f"image docker.io/library/lesson:1 is shared by {store}" in done.stderr.decode()
        student(account, store, "tag lesson:1 own:1")
        assert "own " in student(account, store, "images")
        assert student(account, store, "rmi own:1") == "Untagged: own:1\n"
        student(account, store, "image prune -a -f")
        assert "lesson" in student(account, store, "images")
        done = account.run(student_words(account, store, "store share busybox"))
        assert done.returncode != 0
        assert "Traceback" not in done.stderr.decode()
        done = account.run(student_words(account, store, "store map nobody"))
        assert (done.returncode, b"only root maps" in done.stderr) == (1, True)


def test_what_is_shared_keeps_its_digests_and_passes_no_archive(
    teacher: Engine, store: Path, tmp_path: Path
) -> None:
    seen: list[str] = []
    teacher.images.tag("lesson:1", "kept:1")
    teacher.stores.share(
        "kept:1",
        store=str(store),
        emit=lambda event: seen.extend(os.listdir(teacher.settings.root / "staging")),
    )
    with Place.under(tmp_path).engine(additional_stores=[str(store)]) as other:
        [found, own] = [engine.images.get("kept:1") for engine in (other, teacher)]
        assert (found.digest, found.id) == (own.digest, own.id)
    assert seen == []
    teacher.stores.unshare("kept:1", store=str(store))


def test_an_open_kernel_sees_what_is_shared_later(
    teacher: Engine, store: Path, tmp_path: Path
) -> None:
    with Place.under(tmp_path).engine(additional_stores=[str(store)]) as other:
        assert "lesson:2" not in [name for image in other.images() for name in image.names]
        teacher.images.tag("lesson:1", "lesson:2")
        teacher.stores.share("lesson:2", store=str(store))
        assert other.run("lesson:2", ["ls", "/d"], network="none", rm=True).output == "new\n"
        assert not [entry for entry in os.listdir(tmp_path / "root/layers") if entry[0] not in "@s"]
        lines = teacher.stores.unshare("lesson:2", store=str(store))
        assert lines[0] == "Untagged: lesson:2"
        with pytest.raises(NotFoundError, match="lesson:2"):
            other.images.get("lesson:2")
        assert other.build(dockerfile="FROM lesson:1\nRUN ls /d/new\n").names == ()


def test_what_cannot_be_shared_is_said(tmp_path: Path, store: Path, teacher: Engine) -> None:
    place = Place.under(tmp_path)
    with place.engine(additional_stores=[]) as engine:
        engine.images.bootstrap("busybox")
        with pytest.raises(InvalidArgumentError, match="is the store of this engine"):
            engine.stores.share("busybox", store=str(place.root))
    with (
        Place.under(tmp_path / "second").engine(additional_stores=[]) as engine,
        pytest.raises(StorageError, match="holds images that are not shared"),
    ):
        engine.stores.share("busybox", store=str(place.root))
    other = tmp_path / "theirs"
    Store.publish(other)
    os.chown(other, USER.pw_uid, USER.pw_gid)
    with pytest.raises(StorageError, match="belongs to user nobody"):
        Place.under(tmp_path / "third").engine(additional_stores=[str(other)])
    with pytest.raises(NotFoundError, match="no such user: nobody-there"):
        map_owners(teacher.settings, "nobody-there")
    with pytest.raises(InvalidArgumentError, match="daemon has no subordinate ids"):
        map_owners(teacher.settings, "daemon")
