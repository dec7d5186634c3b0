"""Private mount namespaces on the real kernel: visible inside, invisible on the host."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from jupyter_containers.errors import OperationCancelledError, StorageError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.mount import Mount
from jupyter_containers.runtime.mounts import PrivateMounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mount namespaces")


def layers(folder: Path, count: int) -> tuple[str, ...]:
    for number in range(count):
        layer = folder / f"layer{number:04}"
        layer.mkdir(parents=True)
        (layer / f"file{number}").write_text(str(number))
        (layer / "same").write_text(str(number))
    return tuple(f"layer{number:04}" for number in range(count))


def mount_of(folder: Path, lowers: tuple[str, ...], *, writable: bool) -> Mount:
    if not writable:
        return Mount(folder, lowers)
    (folder / "upper").mkdir()
    (folder / "work").mkdir()
    return Mount(folder, lowers, folder / "upper", folder / "work")


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 200, 450])
@pytest.mark.parametrize("volatile", [True, False])
def test_any_number_of_layers(tmp_path: Path, count: int, writable: bool, volatile: bool) -> None:
    folder, target = tmp_path / "a,b:c\\d", tmp_path / "target"
    folder.mkdir()
    target.mkdir()
    mount = mount_of(folder, layers(folder, count), writable=writable)
    before = Path("/proc/self/mountinfo").read_text()
    with PrivateMounts() as mounts:
        mounts.overlay(mount, target, volatile=volatile)

        def look() -> tuple[set[str], str, bool]:
            names = set(os.listdir(target))
            same = (target / "same").read_text() if count else ""
            try:
                (target / "new").write_text("x")
            except OSError:
                return names, same, False
            return names, same, True

        names, same, wrote = mounts.call(look)
        assert os.listdir(target) == []
        assert Path("/proc/self/mountinfo").read_text() == before
    expected = {f"file{number}" for number in range(count)} | ({"same"} if count else set())
    assert names == expected
    assert same == ("0" if count else "")
    assert wrote is writable
    assert (folder / "upper/new").exists() is writable


def test_errors_and_values_pass_through(tmp_path: Path) -> None:
    with PrivateMounts() as mounts:
        assert mounts.call(lambda: threading.current_thread().name) == "private-mounts"
        with pytest.raises(ZeroDivisionError):
            mounts.call(lambda: 1 // 0)
        with pytest.raises(StorageError, match="cannot mount"):
            mounts.overlay(Mount(tmp_path, ("no", "such")), tmp_path)
        (tmp_path / "source").mkdir()
        (tmp_path / "source/x").touch()
        (tmp_path / "target").mkdir()
        mounts.bind(tmp_path / "source", tmp_path / "target", read_only=True)
        assert mounts.call(os.listdir, tmp_path / "target") == ["x"]
        assert os.getcwd() != "/" or Path.cwd() == Path("/")
    assert os.listdir(tmp_path / "target") == []
    assert not [item for item in threading.enumerate() if item.name == "private-mounts"]


def test_the_callers_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mount = mount_of(tmp_path, layers(tmp_path, 2), writable=False)
    (tmp_path / "target").mkdir()
    with PrivateMounts() as mounts:
        mounts.overlay(mount, tmp_path / "target")
        assert Path.cwd() == tmp_path


def test_an_interrupted_caller_waits_for_the_work_it_cancels() -> None:
    token = CancelToken()
    done = threading.Event()

    def work(*, cancel: CancelToken) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while not cancel.wait(0.01):
            pass
        time.sleep(0.05)
        done.set()
        cancel.check()

    with PrivateMounts() as mounts:
        with pytest.raises(KeyboardInterrupt):
            mounts.call(work, cancel=token)
        assert done.is_set()
        with pytest.raises(OperationCancelledError):
            mounts.call(token.check)
