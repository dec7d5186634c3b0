from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.seams import StepMount
from jupyter_containers.engine.builds.cache_mounts import CacheMounts
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners are set")


@pytest.fixture
def caches(tmp_path: Path) -> Iterator[CacheMounts]:
    engine_context = EngineContext(Settings(tmp_path / "root", tmp_path / "run"))
    yield CacheMounts(engine_context)
    engine_context.close()


def mount(name: str = "id", **fields: object) -> StepMount:
    return StepMount("cache", "/c", cache_id=name, read_only=False, **fields)


def test_a_cache_keeps_what_was_written(caches: CacheMounts) -> None:
    with caches.hold(mount(mode=0o750, uid=3, gid=4), None, CancelToken()) as folder:
        status = folder.stat()
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 3, 4)
        (folder / "f").write_text("12345")
    with caches.hold(mount(), None, CancelToken()) as again:
        assert again == folder
        assert (again / "f").read_text() == "12345"
    with caches.hold(mount("other"), None, CancelToken()) as other:
        assert other != folder
    assert caches.size() == (5, 5)


def test_a_new_cache_is_filled_once(caches: CacheMounts) -> None:
    def fill(folder: Path) -> None:
        (folder / "seed").write_text("x")

    with caches.hold(mount(chain_id="sha256:1"), fill, CancelToken()) as folder:
        (folder / "seed").unlink()
    with caches.hold(mount(chain_id="sha256:1"), fill, CancelToken()) as folder:
        assert list(folder.iterdir()) == []
    with caches.hold(mount(chain_id="sha256:2"), fill, CancelToken()) as folder:
        assert (folder / "seed").exists()


def test_a_failed_filling_leaves_no_cache(caches: CacheMounts) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), caches.hold(mount(), fill, CancelToken()):
        pass
    assert caches.all() == []


def test_what_is_in_use_is_not_removed(caches: CacheMounts) -> None:
    with caches.hold(mount("idle"), None, CancelToken()) as idle:
        (idle / "f").write_text("123")
    with caches.hold(mount("busy"), None, CancelToken()) as busy:
        assert caches.all() == sorted([(idle, False), (busy, True)])
        assert caches.remove(idle.name) == 3
        assert caches.remove(busy.name) == 0
        assert busy.exists()
        assert not idle.exists()
    assert caches.remove(busy.name) == 0
    assert caches.all() == []


def test_locked_waits(caches: CacheMounts) -> None:
    token = CancelToken()
    with caches.hold(mount(sharing="locked"), None, CancelToken()):
        token.cancel()
        with (
            pytest.raises(OperationCancelledError),
            caches.hold(mount(sharing="locked"), None, token),
        ):
            pass


def test_private_has_a_folder_of_its_own_beside_another(caches: CacheMounts) -> None:
    private = mount(sharing="private")
    with caches.hold(private, None, CancelToken()) as first:
        (first / "f").write_text("x")
        with caches.hold(private, None, CancelToken()) as second:
            assert second != first
            assert list(second.iterdir()) == []
        assert not second.exists()
    with caches.hold(private, None, CancelToken()) as third:
        assert third == first
        assert (third / "f").exists()
