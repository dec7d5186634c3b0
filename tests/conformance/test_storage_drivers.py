"""The contract of storage drivers: the same images and containers, however layers are joined.

An implementation is a line of ``DRIVERS``.  Here the settings choose the driver; for the choice by
the machine's capabilities see ``tests/integration/test_rungs.py``.
"""

from __future__ import annotations

import os
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

DRIVERS = ("overlay", "fuse-overlayfs", "vfs")
NONE = {"network": "none"}
Files = dict[str, tuple[object, ...]]
Built = dict[str, Files]
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


# The entries that SAME creates below its folders: type, mode, owner and link, by name.
MADE = {
    "d": (tarfile.DIRTYPE, 0o755, 0, 0, ""),
    "d/2": (tarfile.REGTYPE, 0o644, 0, 0, ""),
    "e": (tarfile.DIRTYPE, 0o755, 0, 0, ""),
    "e/1": (tarfile.REGTYPE, 0o644, 0, 0, ""),
    "e/2": (tarfile.LNKTYPE, 0o644, 0, 0, "e/1"),
    "bin/vi": (tarfile.SYMTYPE, 0o777, 0, 0, "busybox"),
}


@pytest.fixture(scope="module", params=DRIVERS)
def engine(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces and cgroups")
    if request.param == "fuse-overlayfs" and missing():
        pytest.skip(f"needs fuse-overlayfs: {missing()}")
    folder = tmp_path_factory.mktemp("driver")
    with Engine(
        root=folder / "root",
        run_root=folder / "run",
        storage_driver=request.param,
    ) as engine:
        try:
            engine.images.bootstrap("busybox")
            yield engine
        finally:
            demolish(engine)


@pytest.fixture(scope="module")
def driver(engine: Engine) -> str:
    return engine.settings.storage_driver


@pytest.fixture(scope="module")
def built() -> Built:
    """Return the image built by each driver, by the driver's name."""
    return {}


def files_of(archive: Path) -> Files:
    """Return the metadata and content of every file of a root file system, without times."""
    with tarfile.open(archive) as tar:
        return {
            one.name: (
                one.type,
                one.mode,
                one.uid,
                one.gid,
                one.linkname,
                one.size,
                tar.extractfile(one).read() if one.isreg() else b"",
            )
            for one in tar
        }


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


class TestStorageDriver:
    def test_the_same_dockerfile_makes_the_same_files(
        self, engine: Engine, driver: str, built: Built, tmp_path: Path
    ) -> None:
        context = tmp_path / "context"
        context.mkdir()
        (context / "f").write_text("f\n")
        archive = tmp_path / "built.tar"
        engine.build(context, dockerfile=SAME, output=[f"type=tar,dest={archive}"])
        built[driver] = files = files_of(archive)
        assert {name: files[name][:5] for name in MADE} == MADE
        assert not {"d/1", "d/3", "d/4", "d/f", "var"} & files.keys()
        assert len(files) > 50
        assert all(files == others for others in built.values())

    def test_a_container_keeps_what_it_wrote(self, engine: Engine) -> None:
        engine.run(
            "busybox",
            ["sh", "-c", "echo 1 > /new; rm /bin/vi; touch /etc/passwd"],
            name="writer",
            **NONE,
        )
        try:
            changes = {(one.kind, one.path) for one in engine.containers.diff("writer")}
            assert changes >= {("A", "/new"), ("D", "/bin/vi"), ("C", "/etc/passwd"), ("C", "/etc")}
            assert not any(path == "/bin/sh" for _, path in changes)
            engine.containers.start("writer", attach=True)
            listed = engine.containers(all=True, size=True)
            assert [one for one in listed if one.name == "writer"]
            document = engine.system.inspect("writer", size=True)
            assert 2 <= document["SizeRw"] < 100_000
            assert document["GraphDriver"]["Name"] == engine.system.info()["Driver"]
            engine.containers.commit("writer", "written:1")
            look = ["sh", "-c", "cat /new; ls /bin/vi || true"]
            told = engine.run("written:1", look, rm=True, **NONE)
            assert told.output == "1\n"
            assert b"No such file" in told.stderr
            assert len(engine.system.inspect("written:1")["RootFS"]["Layers"]) == 2
        finally:
            engine.containers.remove("writer", force=True)

    def test_containers_do_not_write_into_their_image(self, engine: Engine) -> None:
        engine.run(
            "busybox", ["sh", "-c", "echo x >> /etc/passwd; rm -rf /bin/vi"], rm=True, **NONE
        )
        told = engine.run(
            "busybox", ["sh", "-c", "tail -1 /etc/passwd; ls /bin/vi"], rm=True, **NONE
        )
        assert told.output.splitlines()[0] != "x"
        assert told.output.splitlines()[1] == "/bin/vi"

    def test_mounts_of_steps_are_made_too(self, engine: Engine, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("given\n")
        dockerfile = (
            "FROM busybox AS one\nRUN echo one > /one\n"
            "FROM busybox\n"
            "RUN --mount=type=bind,target=/c,rw cat /c/f > /from && echo changed > /c/f\n"
            "RUN --mount=type=bind,from=one,target=/o cat /o/one >> /from\n"
            "RUN --mount=type=bind,from=one,target=/o,rw rm /o/one && ls /o/bin/sh >> /from\n"
        )
        engine.build(tmp_path, dockerfile=dockerfile, tag="mounts:1")
        told = engine.run("mounts:1", ["cat", "/from"], rm=True, **NONE)
        assert told.output == "given\none\n/o/bin/sh\n"
        assert (tmp_path / "f").read_text() == "given\n"

    def test_nothing_is_left_of_it(self, engine: Engine, driver: str) -> None:
        root = engine.settings.root
        before = {entry.name for entry in (root / "uppers").iterdir()}
        engine.run("busybox", ["true"], rm=True, **NONE)
        assert {entry.name for entry in (root / "uppers").iterdir()} == before
        assert none_left(root)
        running = engine.run("busybox", ["sleep", "100"], detach=True, **NONE)
        assert len(servers(root)) == (driver == "fuse-overlayfs")
        engine.containers.remove(running.id, force=True)
        assert none_left(root)

    def test_info_and_doctor_name_the_driver(self, engine: Engine, driver: str) -> None:
        assert engine.system.info()["Driver"] == driver
        report = engine.system.doctor()
        found = {item.name: item for item in report.capabilities}
        assert found["overlay"].found == (driver != "vfs")
        assert ("chosen in the settings" in found["overlay"].detail) == (driver != "overlay")
        assert found["mounts"].found
        assert report.healthy


@pytest.mark.skipif(bool(missing()), reason=f"needs fuse-overlayfs: {missing()}")
def test_a_killed_engine_leaves_no_server(tmp_path: Path) -> None:
    """The mounts of fuse-overlayfs have a process; the other drivers have none."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from jupyter_containers.oci.mount import Mount\n"
        "from jupyter_containers.runtime.fuseoverlay import serve_mount\n"
        "root = Path(sys.argv[1])\n"
        "for name in ('one', 'two', 'at'): (root / name).mkdir(parents=True)\n"
        "with serve_mount(Mount(root, ('one', 'two'), fuse=True), root / 'at'):\n"
        "    print('served', flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "killed")], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-9, b"served\n"), done.stderr
    assert none_left(tmp_path)
