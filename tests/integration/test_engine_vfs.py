"""Where nothing can be mounted files are copied: the same images and containers come of it.

The driver ``vfs`` is chosen by the settings here; that it is found where overlay mounts do not
work, is in test_rungs.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
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


@pytest.fixture(scope="module")
def copying(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("vfs")
    with Engine(
        root=folder / "root", run_root=folder / "run", storage_driver="vfs", bridge_name="jcvfs"
    ) as copying:
        try:
            copying.bootstrap("busybox")
            yield copying
        finally:
            demolish(copying)


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
    engine: Engine, copying: Engine, busybox: str, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "f").write_text("f\n")
    found = []
    for number, one in enumerate((engine, copying)):
        archive = tmp_path / f"{number}.tar"
        one.build(context, dockerfile=SAME, output=[f"type=tar,dest={archive}"])
        found.append(files_of(archive))
    assert len(found[0]) > 50
    assert found[0] == found[1]


def test_a_container_keeps_what_it_wrote(copying: Engine) -> None:
    copying.run(
        "busybox",
        ["sh", "-c", "echo 1 > /new; rm /bin/vi; touch /etc/passwd"],
        name="writer",
        **NONE,
    )
    try:
        changes = {(one.kind, one.path) for one in copying.diff("writer")}
        assert changes >= {("A", "/new"), ("D", "/bin/vi"), ("C", "/etc/passwd"), ("C", "/etc")}
        assert not any(path == "/bin/sh" for _, path in changes)
        copying.start("writer", attach=True)
        [found] = [one for one in copying.containers(all=True, size=True) if one.name == "writer"]
        assert found.name == "writer"
        document = copying.inspect("writer", size=True)
        assert 2 <= document["SizeRw"] < 100_000
        assert document["GraphDriver"]["Name"] == "vfs"
        copying.commit("writer", "written:1")
        told = copying.run(
            "written:1", ["sh", "-c", "cat /new; ls /bin/vi || true"], rm=True, **NONE
        )
        assert told.output == "1\n"
        assert b"No such file" in told.stderr
        assert len(copying.inspect("written:1")["RootFS"]["Layers"]) == 2
    finally:
        copying.remove("writer", force=True)


def test_containers_do_not_write_into_their_image(copying: Engine) -> None:
    copying.run("busybox", ["sh", "-c", "echo x >> /etc/passwd; rm -rf /bin/vi"], rm=True, **NONE)
    told = copying.run("busybox", ["sh", "-c", "tail -1 /etc/passwd; ls /bin/vi"], rm=True, **NONE)
    assert told.output.splitlines()[0] != "x"
    assert told.output.splitlines()[1] == "/bin/vi"


def test_mounts_of_steps_are_copies_too(copying: Engine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("given\n")
    dockerfile = (
        "FROM busybox AS one\nRUN echo one > /one\n"
        "FROM busybox\n"
        "RUN --mount=type=bind,target=/c,rw cat /c/f > /from && echo changed > /c/f\n"
        "RUN --mount=type=bind,from=one,target=/o cat /o/one >> /from\n"
        "RUN --mount=type=bind,from=one,target=/o,rw rm /o/one && ls /o/bin/sh >> /from\n"
    )
    copying.build(tmp_path, dockerfile=dockerfile, tag="mounts:1")
    told = copying.run("mounts:1", ["cat", "/from"], rm=True, **NONE)
    assert told.output == "given\none\n/o/bin/sh\n"
    assert (tmp_path / "f").read_text() == "given\n"


def test_nothing_is_left_of_a_copy(copying: Engine) -> None:
    root = copying.settings.root
    before = {entry.name for entry in (root / "uppers").iterdir()}
    copying.run("busybox", ["true"], rm=True, **NONE)
    assert {entry.name for entry in (root / "uppers").iterdir()} == before


def test_info_and_doctor_name_the_driver(copying: Engine) -> None:
    assert copying.info()["Driver"] == "vfs"
    found = {item.name: item for item in copying.doctor().capabilities}
    assert not found["overlay"].found
    assert "chosen in the settings" in found["overlay"].detail
    assert found["mounts"].found
    assert copying.doctor().healthy
