"""Sources and targets of mounts that an attacker exchanges: the host's folders stay out of reach.

A second process stands for a container that has the folder above; it has the same rights there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.events import Event, TaskOutput
from tests.integration.build_bench import Bench
from tests.integration.served_image import member, tar
from tests.racing import swapping

NONE: dict[str, Any] = {"network": "none"}
ROUNDS = 12


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a folder that several containers have, with ``sub`` in it."""
    (tmp_path / "shared/sub").mkdir(parents=True)
    (tmp_path / "shared/sub/mine").write_text("mine\n")
    return tmp_path / "shared"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder of the host that no container has."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret of the host\n")
    return tmp_path / "outside"


def swap(shared: Path, outside: Path) -> None:
    (shared / "sub").rename(shared / "away")
    (shared / "sub").symlink_to(outside)


@pytest.mark.parametrize("part", ["", "/mine"])
def test_a_bind_whose_source_became_a_link_is_refused_at_the_restart(
    engine: Engine, busybox: str, shared: Path, outside: Path, part: str
) -> None:
    """CVE-2017-1002101.  Seen to fail at 39323e0: ``restart`` showed the host's folder."""
    (outside / "mine").write_text("secret of the host\n")
    container = engine.run(
        busybox, ["sh", "-c", "cat -r /x /x/* 2>/dev/null; sleep 60"], detach=True,
        volume=f"{shared}/sub{part}:/x", **NONE,
    )  # fmt: skip
    swap(shared, outside)
    for again in (container.restart, container.start):
        with pytest.raises(InvalidArgumentError, match="symbolic link"):
            again()
        assert "secret" not in "".join(line.data.decode() for line in container.logs())
    (shared / "sub").unlink()
    (shared / "away").rename(shared / "sub")
    container.start()
    assert container.exec(["ls", "/x"]).exit_code == 0


def test_a_policys_restart_does_not_follow_a_link(
    engine: Engine, busybox: str, shared: Path, outside: Path
) -> None:
    """Seen to fail at 39323e0: the second run listed the host's folder."""
    container = engine.run(
        busybox, ["sh", "-c", "ls /x; sleep 1; exit 1"], detach=True,
        volume=f"{shared}/sub:/x", restart="on-failure:2", **NONE,
    )  # fmt: skip
    swap(shared, outside)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and "exited" not in str(container.status):
        time.sleep(0.2)
        container = engine.containers.get(container.id)
    assert "secret" not in "".join(line.data.decode() for line in container.logs())
    assert "symbolic link" in container.record.state.error


def test_a_source_that_is_exchanged_during_the_start(
    engine: Engine, busybox: str, shared: Path, outside: Path
) -> None:
    """Seen to fail at 39323e0: 29 of 60 starts had the host's folder."""
    (shared / "link").symlink_to(outside)
    container = engine.containers.create(busybox, ["ls", "/x"], volume=f"{shared}/sub:/x", **NONE)
    seen = set()
    with swapping(shared / "sub", shared / "link"):
        for _ in range(ROUNDS):
            with suppress(ContainersError):
                container.start()
                container.wait()
    seen = {line.data.decode().strip() for line in container.logs()}
    assert seen <= {"mine"}


def test_a_folder_made_for_a_nested_mount_is_not_made_behind_a_link(
    engine: Engine, busybox: str, shared: Path, outside: Path
) -> None:
    """CVE-2024-45310, through runc as it is installed.

    Seen to fail at 39323e0: 11 of 300 starts made a folder in the host's, and the runtime was
    always asked to mount inside the shared folder.
    """
    (shared / "link").symlink_to(f"{'../' * 30}{outside}")
    with swapping(shared / "sub", shared / "link"):
        for number in range(ROUNDS):
            with suppress(ContainersError):
                engine.run(
                    busybox, ["true"], rm=True, volume=[f"{shared}:/s", f"vol:/s/sub/n{number}"],
                    **NONE,
                )  # fmt: skip
    assert os.listdir(outside) == ["secret"]
    container = engine.run(
        busybox, ["sleep", "60"], detach=True, volume=[f"{shared}:/s", "vol:/s/deep/x"], **NONE
    )
    config = json.loads(
        (engine.settings.root / "containers" / container.id / "config.json").read_text()
    )
    assert not [mount for mount in config["mounts"] if mount["destination"].startswith("/s/")]
    assert container.exec(["ls", "/s/deep"]).output == "x\n"


@pytest.fixture
def bench(engine: Engine, busybox: str, shared: Path) -> Bench:
    return Bench(engine, shared)


def test_a_context_that_is_exchanged_is_not_bound_from_elsewhere(
    bench: Bench, shared: Path, outside: Path
) -> None:
    """At 39323e0 5 of 20 steps of a longer race showed the host's file."""
    (shared / "link").mkdir()
    (shared / "link/mine").symlink_to(outside / "secret")
    seen = ""
    with swapping(shared / "sub", shared / "link"):
        for _ in range(3 * ROUNDS):
            with suppress(ContainersError):
                bench.build(
                    "FROM busybox\nRUN --mount=type=bind,source=sub/mine,target=/x cat /x\n",
                    no_cache=True,
                )
            seen += bench.output
    assert "secret of the host" not in seen


def test_a_context_that_was_moved_is_not_another_folder(
    engine: Engine, busybox: str, tmp_path: Path, outside: Path
) -> None:
    """A container has the folder above the context.  Seen to fail at 39323e0 with the secret."""
    parent = tmp_path / "parent"
    (parent / "context").mkdir(parents=True)
    (parent / "link").symlink_to(outside)
    bench = Bench(engine, parent / "context")

    def swap_after_the_first_step(event: Event) -> None:
        bench.events.append(event)
        if isinstance(event, TaskOutput) and b"first" in event.data:
            (parent / "context").rename(parent / "away")
            (parent / "link").rename(parent / "context")

    text = "FROM busybox\nRUN echo first\nRUN --mount=type=bind,target=/x cat /x/secret\n"
    with pytest.raises(ContainersError, match=r"cat /x/secret|mount source"):
        engine.build(
            parent / "context", dockerfile=text, no_cache=True, emit=swap_after_the_first_step
        )
    assert "secret of the host" not in bench.output


def test_what_a_step_writes_into_a_context_is_lost(bench: Bench, shared: Path) -> None:
    """Seen to fail at 39323e0 for the file: the step had the host's own."""
    (shared / "file").write_text("as it was\n")
    (shared / "file").chmod(0o640)
    bench.build(
        "FROM busybox\n"
        "RUN --mount=source=sub,target=/d,rw --mount=source=file,target=/f,rw "
        "cat /d/mine /f; echo changed | tee /d/mine /d/new /f; rm /d/mine; cat /f\n",
        no_cache=True,
    )
    assert bench.output.split("\n") == ["mine", "as it was", "changed", "changed", ""]
    assert (shared / "file").read_text() == "as it was\n"
    assert os.listdir(shared / "sub") == ["mine"]
    assert (shared / "sub/mine").read_text() == "mine\n"


def test_mounts_of_a_step_inside_others_leave_nothing_behind(bench: Bench) -> None:
    image = bench.build(
        "FROM busybox AS tools\nRUN mkdir -p /t && echo tool >/t/f\n"
        "FROM busybox\n"
        f"RUN --mount=type=cache,target=/c,id=outer{os.getpid()} "
        "--mount=source=sub,target=/c/a/b --mount=from=tools,source=t/f,target=/c/tool "
        "--mount=type=tmpfs,target=/c/a/t cat /c/a/b/mine /c/tool; touch /c/a/t/x /c/a/y; "
        "stat -f -c %T /c/a/t; ls -d /c/a/b && echo done >/done\n",
        no_cache=True,
    )
    assert bench.output.split() == ["mine", "tool", "tmpfs", "/c/a/b"]
    assert bench.run(image, "ls -d /c /done 2>/dev/null || true") == "/done\n"


# -- the first content of a volume --------------------------------------------------------------

MANY = 500
# Exchanges a folder of the volume for a link as soon as it is there, once.
SWAP_ONCE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
folder, link, target = sys.argv[1:4]
os.symlink(target, link)
print("ready", flush=True)
while libc.renameat2(-100, os.fsencode(folder), -100, os.fsencode(link), 2):
    pass
"""


@pytest.fixture(scope="module")
def many(engine: Engine) -> str:
    """Return an image with many files in a folder of ``/d``, one of them set-user-ID."""
    engine.build(
        dockerfile="FROM busybox\nRUN mkdir -p /d/a && cd /d/a && chown 5:6 . && chmod 2750 . && "
        f"for i in $(seq {MANY}); do echo x >f$i; done && chmod 4711 f1 && ln f2 g && "
        "ln -s /nowhere l && mkfifo p && touch -d @7 f3\n",
        tag="many:races",
    )
    return "many:races"


def test_a_volume_is_filled_with_what_the_image_has(
    engine: Engine, busybox: str, many: str
) -> None:
    script = (
        "cd /d/a && stat -c '%a %u:%g' . f1 && stat -c %h f2 && readlink l && "
        "test -p p && stat -c %Y f3 && ls | wc -l"
    )
    result = engine.run(many, ["sh", "-c", script], rm=True, volume="filled:/d", **NONE)
    assert result.output.split("\n") == [
        "2750 5:6", "4711 0:6", "2", "/nowhere", "7", str(MANY + 3), "",
    ]  # fmt: skip
    engine.volumes.remove("filled")


def test_a_volume_is_not_filled_through_a_link(
    engine: Engine, busybox: str, many: str, outside: Path, tmp_path: Path
) -> None:
    """A running container has the volume.  Seen to fail at 39323e0: 479 of 500 files, 3 of 3."""
    for number in range(3):
        engine.volumes.create("raced")
        folder = Path(engine.volumes.get("raced").mountpoint)
        words = [str(folder / "a"), str(folder.parent / "link"), str(outside)]
        racer = subprocess.Popen([sys.executable, "-c", SWAP_ONCE, *words], stdout=subprocess.PIPE)
        try:
            assert racer.stdout is not None
            assert racer.stdout.readline() == b"ready\n"
            engine.run(many, ["true"], rm=True, volume="raced:/d", **NONE)
            assert racer.wait(10) == 0
        finally:
            racer.kill()
            racer.wait()
            racer.stdout.close()  # type: ignore[union-attr]  # it has one
        assert os.listdir(outside) == ["secret"], number
        assert outside.stat().st_mode & 0o7777 == 0o755
        engine.volumes.remove("raced")


def test_copying_into_a_stopped_container_does_not_go_through_a_swapped_bind(
    engine: Engine, busybox: str, shared: Path, outside: Path
) -> None:
    """Seen to fail at 39323e0: the file was in the host's folder."""
    container = engine.containers.create(busybox, ["true"], volume=f"{shared}/sub:/x", **NONE)
    swap(shared, outside)
    with suppress(ContainersError):
        engine.containers.copy("-", f"{container.id}:/x", stdin=tar(member("planted", b"x")))
    assert os.listdir(outside) == ["secret"]
    with suppress(ContainersError):
        engine.containers.copy(f"{container.id}:/x/secret", str(shared / "taken"))
    assert not (shared / "taken").exists()


# -- nested mounts without an attack ------------------------------------------------------------


def test_mounts_inside_mounts(engine: Engine, busybox: str, shared: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/theirs").write_text("theirs")
    (tmp_path / "other/t").mkdir()
    script = (
        "cat /s/sub/mine /s/in/deep/theirs /s/one; touch /s/in/deep/t/x; "
        "touch /s/in/deep/no; touch /s/in/yes; stat -f -c %T /s/in/deep/t; cat /s/v/f"
    )
    engine.run(busybox, ["sh", "-c", "echo kept >/v/f"], rm=True, volume="inner:/v", **NONE)
    result = engine.run(
        busybox, ["sh", "-c", script], rm=True, check=False, tmpfs="/s/in/deep/t",
        volume=[
            f"{tmp_path}/other/theirs:/s/one", f"{tmp_path}/other:/s/in/deep:ro", f"{shared}:/s",
            "inner:/s/v",
        ],
        **NONE,
    )  # fmt: skip
    assert result.output.replace("\n", " ") == "mine theirstheirstmpfs kept "
    assert b"Read-only" in result.stderr
    assert sorted(os.listdir(shared)) == ["in", "one", "sub", "v"]
    assert (shared / "in/yes").exists()
    assert sorted(os.listdir(tmp_path / "other")) == ["t", "theirs"]


def test_a_target_below_a_read_only_mount_must_be_there(
    engine: Engine, busybox: str, shared: Path
) -> None:
    with pytest.raises(ContainersError, match="ead-only file system"):
        engine.run(busybox, ["true"], rm=True, volume=[f"{shared}:/s:ro", "v1:/s/new"], **NONE)
    assert os.listdir(shared) == ["sub"]
    result = engine.run(
        busybox, ["sh", "-c", "touch /s/sub/x && ! touch /s/y"], rm=True,
        volume=[f"{shared}:/s:ro", "inner:/s/sub"], **NONE,
    )  # fmt: skip
    assert result.exit_code == 0


def test_no_mount_point_is_left_of_a_container_that_removes_itself(
    engine: Engine, busybox: str, shared: Path
) -> None:
    """Its monitor removes it, where its mounts are still seen."""
    volume = [f"{shared}:/s", f"{shared}/sub/mine:/s/new/file", "inner:/v"]
    for flags in ({"detach": True}, {}):
        engine.run(busybox, ["true"], rm=True, volume=volume, **flags, **NONE)
    folder = engine.settings.run_root / "mounts"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (os.listdir(folder) or engine.containers(all=True)):
        time.sleep(0.1)
    assert os.listdir(folder) == []
    assert (shared / "sub/mine").read_text() == "mine\n"
    engine.volumes.remove("inner")


def test_a_volume_that_is_a_folder_of_the_host_stays_that_folder(
    engine: Engine, busybox: str, shared: Path, outside: Path, tmp_path: Path
) -> None:
    """Seen to fail at 39323e0: the second container listed the folder behind the new link."""
    (tmp_path / "way").symlink_to(shared)
    engine.volumes.create("bound", opt=["type=none", "o=bind", f"device={tmp_path}/way/sub"])
    flags: dict[str, Any] = {"rm": True, "volume": "bound:/v", **NONE}
    assert engine.run(busybox, ["ls", "/v"], **flags).output == "mine\n"
    swap(shared, outside)
    with pytest.raises(InvalidArgumentError, match="symbolic link"):
        engine.run(busybox, ["ls", "/v"], **flags)
    assert (
        engine.system.inspect("bound", kind="volume")["Options"]["device"] == f"{tmp_path}/way/sub"
    )
    engine.volumes.remove("bound")


def test_containers_at_once_share_one_mount_of_a_volume(engine: Engine, busybox: str) -> None:
    """Taken from the engine's place: the container may have moved its own mount point."""
    engine.volumes.create("memory", opt=["type=tmpfs", "device=tmpfs"])
    first = engine.run(
        busybox, ["sh", "-c", "echo shared >/a/m/f; mv /a /b; ln -s etc /a; sleep 60"],
        detach=True, volume="memory:/a/m", **NONE,
    )  # fmt: skip
    first.exec(["sh", "-c", "until [ -L /a ]; do sleep 0.05; done"])
    seen = engine.run(busybox, ["cat", "/m/f"], rm=True, volume="memory:/m", **NONE)
    assert seen.output == "shared\n"
    first.remove(force=True)
    engine.volumes.remove("memory")
