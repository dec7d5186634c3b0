"""Where the kernel's overlay mounts do not work a program makes them, or files are copied: the same
images and containers come of it.

The drivers are chosen by the settings here; that they are found where they are needed, is in
test_rungs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.runtime.fuseoverlay import missing
from tests.integration.engine_fixtures import demolish

NONE = {"network": "none"}
SAME = """\
FROM busybox AS first
RUN mkdir /s && echo s > /s/1 && ln /s/1 /s/2
FROM busybox
RUN mkdir /d && echo 1 > /d/1 && echo 2 > /d/2 && ln /d/1 /d/3 && ln -s 1 /d/4
COPY --chown=7:8 f /d/f
RUN rm /d/2 && chmod 600 /d/1 && touch /bin/vi && rm -r /var
RUN rm -r /d && mkdir /d && echo 2 > /d/2
COPY --from=first /s /e
"""


@pytest.fixture(
    scope="module",
    params=[
        "vfs",
        pytest.param(
            "fuse-overlayfs",
            marks=pytest.mark.skipif(bool(missing()), reason=f"needs fuse-overlayfs: {missing()}"),
        ),
    ],
)
def other(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("driver")
    with Engine(
        root=folder / "root",
        run_root=folder / "run",
        storage_driver=request.param,
        bridge_name="jcvfs",
    ) as other:
        try:
            other.images.bootstrap("busybox")
            yield other
        finally:
            demolish(other)


def files_of(archive: Path) -> dict[str, tuple[object, ...]]:
    """Return what every file of a root file system is, but for its times."""
    with tarfile.open(archive) as tar:
        return {
            one.name: (
                one.type,
                one.mode,
                one.uid,
                one.gid,
                one.size,
                one.linkname,
                tar.extractfile(one).read() if one.isreg() else b"",
            )
            for one in tar
        }


def test_the_same_dockerfile_makes_the_same_files(
    engine: Engine, other: Engine, busybox: str, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "f").write_text("f\n")
    found = []
    for number, one in enumerate((engine, other)):
        archive = tmp_path / f"{number}.tar"
        one.build(context, dockerfile=SAME, output=[f"type=tar,dest={archive}"])
        found.append(files_of(archive))
    assert len(found[0]) > 50
    assert found[0] == found[1]


def test_a_container_keeps_what_it_wrote(other: Engine) -> None:
    other.run(
        "busybox",
        ["sh", "-c", "echo 1 > /new; rm /bin/vi; touch /etc/passwd"],
        name="writer",
        **NONE,
    )
    try:
        changes = {(one.kind, one.path) for one in other.containers.diff("writer")}
        assert changes >= {("A", "/new"), ("D", "/bin/vi"), ("C", "/etc/passwd"), ("C", "/etc")}
        assert not any(path == "/bin/sh" for _, path in changes)
        other.containers.start("writer", attach=True)
        [found] = [one for one in other.containers(all=True, size=True) if one.name == "writer"]
        assert found.name == "writer"
        document = other.system.inspect("writer", size=True)
        assert 2 <= document["SizeRw"] < 100_000
        assert document["GraphDriver"]["Name"] == other.system.info()["Driver"]
        other.containers.commit("writer", "written:1")
        told = other.run("written:1", ["sh", "-c", "cat /new; ls /bin/vi || true"], rm=True, **NONE)
        assert told.output == "1\n"
        assert b"No such file" in told.stderr
        assert len(other.system.inspect("written:1")["RootFS"]["Layers"]) == 2
    finally:
        other.containers.remove("writer", force=True)


def test_containers_do_not_write_into_their_image(other: Engine) -> None:
    other.run("busybox", ["sh", "-c", "echo x >> /etc/passwd; rm -rf /bin/vi"], rm=True, **NONE)
    told = other.run("busybox", ["sh", "-c", "tail -1 /etc/passwd; ls /bin/vi"], rm=True, **NONE)
    assert told.output.splitlines()[0] != "x"
    assert told.output.splitlines()[1] == "/bin/vi"


def test_mounts_of_steps_are_made_too(other: Engine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("given\n")
    dockerfile = (
        "FROM busybox AS one\nRUN echo one > /one\n"
        "FROM busybox\n"
        "RUN --mount=type=bind,target=/c,rw cat /c/f > /from && echo changed > /c/f\n"
        "RUN --mount=type=bind,from=one,target=/o cat /o/one >> /from\n"
        "RUN --mount=type=bind,from=one,target=/o,rw rm /o/one && ls /o/bin/sh >> /from\n"
    )
    other.build(tmp_path, dockerfile=dockerfile, tag="mounts:1")
    told = other.run("mounts:1", ["cat", "/from"], rm=True, **NONE)
    assert told.output == "given\none\n/o/bin/sh\n"
    assert (tmp_path / "f").read_text() == "given\n"


def servers(root: Path) -> list[int]:
    """Return the processes that serve mounts of a store."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_text().split("\0")
            if words[0] == "fuse-overlayfs" and str(root) in words[3]:
                found.append(int(folder.name))
    return found


def none_left(root: Path) -> bool:
    deadline = time.monotonic() + 5
    while servers(root) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not servers(root)


def test_nothing_is_left_of_it(other: Engine) -> None:
    root = other.settings.root
    before = {entry.name for entry in (root / "uppers").iterdir()}
    other.run("busybox", ["true"], rm=True, **NONE)
    assert {entry.name for entry in (root / "uppers").iterdir()} == before
    assert none_left(root)
    running = other.run("busybox", ["sleep", "100"], detach=True, **NONE)
    assert len(servers(root)) == (other.system.info()["Driver"] == "fuse-overlayfs")
    other.containers.remove(running.id, force=True)
    assert none_left(root)


def test_a_killed_engine_leaves_no_server(other: Engine) -> None:
    if other.system.info()["Driver"] == "vfs":
        return  # nobody serves anything
    root = other.settings.root
    program = (
        "import os, sys; from pathlib import Path\n"
        "from jupyter_containers.oci.mount import Mount\n"
        "from jupyter_containers.runtime.fuseoverlay import served\n"
        "root = Path(sys.argv[1])\n"
        "for name in ('one', 'two', 'at'): (root / name).mkdir(parents=True)\n"
        "with served(Mount(root, ('one', 'two'), fuse=True), root / 'at'):\n"
        "    print('served', flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root / "killed")], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-9, b"served\n"), done.stderr
    assert none_left(root)
    shutil.rmtree(root / "killed")


def test_info_and_doctor_name_the_driver(other: Engine) -> None:
    assert other.system.info()["Driver"] in ("vfs", "fuse-overlayfs")
    found = {item.name: item for item in other.system.doctor().capabilities}
    assert found["overlay"].found == (other.system.info()["Driver"] != "vfs")
    assert "chosen in the settings" in found["overlay"].detail
    assert found["mounts"].found
    assert other.system.doctor().healthy
