"""Contexts and sources from elsewhere: git, archives, image layouts, agents, variables."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine, Image
from jupyter_containers.errors import BuildError, ChecksFailedError, InvalidArgumentError
from jupyter_containers.events import Event, TaskFinished
from tests.integration import golden
from tests.ports import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="needs git")
needs_agent = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="needs openssh-client")


def files(engine: Engine, image: Image, *paths: str) -> list[str]:
    """Return the contents of files of an image."""
    done = engine.run(image, ["cat", *paths], network="none", rm=True)
    return done.stdout.decode().splitlines()


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Yield the address of a git daemon's repository, and its folder."""
    folder = tmp_path_factory.mktemp("git") / "r"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY f /f\n")
    (folder / "f").write_text("main\n")
    (folder / "sub").mkdir()
    (folder / "sub/Dockerfile").write_text("FROM busybox\nCOPY . /sub\n")
    (folder / "sub/g").write_text("g\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "-a", "v1", "-m", "v1")
    (folder / "f").write_text("two\n")
    git(folder, "commit", "-qam", "two")
    port = free_port()
    daemon = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={folder.parent}", "--reuseaddr",
         "--listen=127.0.0.1", f"--port={port}", str(folder.parent)],
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}/r", folder
    finally:
        os.killpg(daemon.pid, 15)
        daemon.wait()


@needs_git
def test_a_git_repository_is_a_context(
    engine: Engine, busybox: str, repository: tuple[str, Path]
) -> None:
    address, _ = repository
    image = engine.build(address, network="none")
    assert files(engine, image, "/f") == ["two"]
    assert files(engine, engine.build(f"{address}#v1", network="none"), "/f") == ["main"]
    image = engine.build(f"{address}#main:sub", network="none")
    assert files(engine, image, "/sub/g") == ["g"]
    with pytest.raises(BuildError, match="no folder 'nope'"):
        engine.build(f"{address}#main:nope")
    with pytest.raises(BuildError, match="no ref 'nope'"):
        engine.build(f"{address}#nope")


@needs_git
def test_add_clones_a_repository_and_is_cached_by_commit(
    engine: Engine, busybox: str, repository: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = repository
    text = f"FROM busybox\nADD {address}#main /src\nADD --keep-git-dir {address}#v1 /kept/\n"
    events: list[Event] = []
    first = engine.build(tmp_path, dockerfile=text, network="none")
    assert files(engine, first, "/src/f", "/kept/f") == ["two", "main"]
    run = engine.run(first, ["ls", "-A", "/src", "/kept"], network="none", rm=True)
    listed = run.stdout.decode()
    assert (listed.count(".git\n"), listed.count("Dockerfile")) == (1, 2)
    assert engine.build(tmp_path, dockerfile=text, network="none", emit=events.append) == first
    ended = [one.outcome for one in events if isinstance(one, TaskFinished)]
    assert set(ended) == {"cached"}
    (folder / "f").write_text("three\n")
    git(folder, "commit", "-qam", "three")
    again = engine.build(tmp_path, dockerfile=text, network="none")
    assert files(engine, again, "/src/f") == ["three"]
    commit = git(folder, "rev-parse", "v1^{commit}")
    engine.build({"Dockerfile": f"FROM busybox\nADD --checksum={commit} {address}#v1 /x\n"})
    with pytest.raises(BuildError, match="is at"):
        engine.build({"Dockerfile": f"FROM busybox\nADD --checksum={commit} {address}#main /x\n"})


@needs_git
def test_a_repository_with_and_without_its_git_folder_are_two_steps(
    engine: Engine, busybox: str, repository: tuple[str, Path]
) -> None:
    """Seen to fail while --keep-git-dir was not in the key: the second build had no ``.git``."""
    listed = []
    for flag in ("", "--keep-git-dir "):
        text = f"FROM busybox\nADD {flag}{repository[0]}#main /r/\n"
        image = engine.build({}, dockerfile=text, network="none")
        run = engine.run(image, ["ls", "-A", "/r"], network="none", rm=True)
        listed.append(".git\n" in run.stdout.decode())
    assert listed == [False, True]


@needs_git
def test_a_context_keeps_its_git_folder_when_asked(
    engine: Engine, busybox: str, repository: tuple[str, Path]
) -> None:
    address, _ = repository
    listed = []
    for value in ("0", "1"):
        text = "FROM busybox\nCOPY . /all\n"
        image = engine.build(
            address,
            dockerfile=text,
            build_arg=[f"BUILDKIT_CONTEXT_KEEP_GIT_DIR={value}"],
            network="none",
        )
        run = engine.run(image, ["ls", "-A", "/all"], network="none", rm=True)
        listed.append(".git" in run.stdout.decode().split())
    assert listed == [False, True]


@needs_git
def test_submodules_are_part_of_a_repository(
    engine: Engine, busybox: str, repository: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = repository
    outer = folder.parent / "outer"
    if not outer.exists():
        outer.mkdir()
        git(outer, "init", "-q", "-b", "main")
        git(outer, "submodule", "--quiet", "add", address, "inner")
        git(outer, "commit", "-qm", "outer")
    text = f"FROM busybox\nADD {address.rpartition('/')[0]}/outer /src\n"
    image = engine.build(tmp_path, dockerfile=text, network="none")
    run = engine.run(image, ["find", "/src", "-name", ".git"], network="none", rm=True)
    assert files(engine, image, "/src/inner/sub/g") == ["g"]
    assert run.stdout == b""


@needs_git
def test_a_submodule_cannot_read_files_of_this_machine(
    engine: Engine, busybox: str, repository: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = repository
    hostile = folder.parent / "hostile"
    hostile.mkdir()
    git(hostile, "init", "-q", "-b", "main")
    git(hostile, "submodule", "--quiet", "add", f"file://{folder}", "inner")
    git(hostile, "commit", "-qm", "hostile")
    text = f"FROM busybox\nADD {address.rpartition('/')[0]}/hostile /src\n"
    with pytest.raises(BuildError, match="submodule"):
        engine.build(tmp_path, dockerfile=text, network="none")


class _Answers(BaseHTTPRequestHandler):
    """Serves one text with the validators that it is given; ``sent`` counts the bodies."""

    body = b"one\n"
    validator = ("ETag", '"1"')
    sent = 0

    def do_GET(self) -> None:
        name, value = self.validator
        asked = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}[name]
        fresh = self.headers.get(asked) == value
        self.send_response(304 if fresh else 200)
        self.send_header(name, value)
        self.send_header("Content-Length", "0" if fresh else str(len(self.body)))
        self.end_headers()
        if not fresh:
            type(self).sent += 1
            self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("ETag", '"1"'), ("ETag", '"2"')),
        (
            ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
            ("Last-Modified", "Tue, 02 Jan 2024 00:00:00 GMT"),
        ),
    ],
)
def test_an_address_is_fetched_again_only_when_its_file_has_changed(
    engine: Engine,
    busybox: str,
    tmp_path: Path,
    first: tuple[str, str],
    second: tuple[str, str],
) -> None:
    answers = type("Answers", (_Answers,), {"validator": first, "sent": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/file"
            text = f"FROM busybox\nADD {url} /f\n"
            image = engine.build(tmp_path, dockerfile=text, network="none")
            assert files(engine, image, "/f") == ["one"]
            assert engine.build(tmp_path, dockerfile=text, network="none") == image
            assert answers.sent == 1, "the second build asks, and gets nothing"
            elsewhere = f"FROM busybox\nRUN true > /x\nADD {url} /f\n"
            assert files(engine, engine.build(tmp_path, dockerfile=elsewhere), "/f") == ["one"]
            assert answers.sent == 2, "a step that is not cached needs the bytes"
            answers.body, answers.validator = b"two\n", second
            again = engine.build(tmp_path, dockerfile=text, network="none")
            assert files(engine, again, "/f") == ["two"]
            assert answers.sent == 3
        finally:
            server.shutdown()
            thread.join()


def test_archives_and_mappings_are_contexts(engine: Engine, busybox: str, tmp_path: Path) -> None:
    given = {"Dockerfile": "FROM busybox\nCOPY d/f /f\n", "d/f": b"data\n"}
    assert files(engine, engine.build(given), "/f") == ["data"]
    for mode in ("w", "w:gz", "w:xz"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode=mode) as tar:
            for name, data in given.items():
                member = tarfile.TarInfo(name)
                content = data if isinstance(data, bytes) else data.encode()
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        (tmp_path / "context.tar").write_bytes(archive.getvalue())
        for context in (archive.getvalue(), tmp_path / "context.tar"):
            assert files(engine, engine.build(context), "/f") == ["data"]
    with golden.web_server(tmp_path) as address:
        assert files(engine, engine.build(f"{address}/context.tar"), "/f") == ["data"]
        (tmp_path / "D").write_text("FROM busybox\nRUN echo 1 > /one\n")
        assert files(engine, engine.build(f"{address}/D", network="none"), "/one") == ["1"]


def test_an_image_layout_is_a_named_context(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = "FROM busybox\nRUN echo layout > /l\n"
    engine.build(
        tmp_path, dockerfile=text, network="none", tag="lay:1",
        output=f"type=oci,dest={tmp_path}/l.tar",
    )  # fmt: skip
    layout = tmp_path / "layout"
    layout.mkdir()
    with tarfile.open(tmp_path / "l.tar") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.11.4 on
        archive.extractall(layout)
    image = engine.build(
        {"Dockerfile": "FROM lay\nCOPY --from=lay /l /m\n"},
        build_context={"lay": f"oci-layout://{layout}"},
    )
    assert files(engine, image, "/l", "/m") == ["layout", "layout"]


def _mentions(path: Path, engine: Engine) -> bool:
    try:
        words = path.read_bytes()
    except OSError:
        return False
    return words.startswith(b"ssh-agent") and os.fsencode(engine.settings.root) in words


@needs_agent
def test_a_step_sees_an_agent_and_no_key(engine: Engine, debian: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", key], check=True)
    ask = (
        "use IO::Socket::UNIX; $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; "
        'syswrite $s, pack("NC", 1, 11); sysread $s, $a, 4096; print length $a'
    )
    text = (
        f"FROM {debian}\nUSER 1000\nRUN --mount=type=ssh,uid=1000,mode=0600 "
        f"perl -e '{ask}' > /tmp/said; ls -ln $SSH_AUTH_SOCK > /tmp/seen\n"
    )
    image = engine.build({"Dockerfile": text}, ssh=f"default={key}", network="none", no_cache=True)
    [seen] = files(engine, image, "/tmp/seen")
    assert seen.split()[0].startswith("srw-------")
    assert seen.split()[2] == "1000"
    # The agent's answer to "list the identities": its length, its kind and one key.
    [said] = files(engine, image, "/tmp/said")
    assert int(said) > 40
    shown = engine.run(image, ["sh", "-c", "ls -A /run; true"], network="none", rm=True)
    assert b"buildkit" not in shown.stdout
    agents = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions(path, engine)]
    assert agents == []


def test_an_insecure_step_has_all_capabilities(engine: Engine, busybox: str) -> None:
    def capabilities(flags: str, **options: Any) -> int:
        text = f"FROM busybox\nRUN {flags} grep CapEff /proc/self/status > /caps\n"
        image = engine.build({"Dockerfile": text}, network="none", **options)
        return int(files(engine, image, "/caps")[0].split()[1], 16)

    usual = capabilities("")
    granted = capabilities("--security=insecure", allow="security.insecure")
    assert usual == 0xA80425FB
    assert granted & ~usual
    assert granted & 1 << 21  # CAP_SYS_ADMIN


def test_files_beside_the_context(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("from the folder\n")
    text = "FROM busybox\nCOPY f data.csv /one/\nCOPY . /all/\n"
    build = {"dockerfile": text, "files": {"data.csv": "a,b\n", "deep/g": b"g\n"}}
    image = engine.build(tmp_path, **build)
    paths = ("/one/f", "/one/data.csv", "/all/f", "/all/deep/g")
    assert files(engine, image, *paths) == ["from the folder", "a,b", "from the folder", "g"]
    assert engine.build(tmp_path, **build) == image


def test_a_linked_layer_is_the_same_on_another_base(engine: Engine, busybox: str) -> None:
    def layers(first: str) -> tuple[str, ...]:
        text = f"FROM busybox\nRUN echo {first} > /first\nCOPY --link f /a/b/f\n"
        image = engine.build({"Dockerfile": text, "f": "1"}, network="none")
        assert files(engine, image, "/first", "/a/b/f") == [first, "1"]
        return tuple(engine.system.inspect(image.id)["RootFS"]["Layers"])

    one, two = layers("one"), layers("two")
    assert one[-1] == two[-1]
    assert one[-2] != two[-2]


def test_check_only_checks(engine: Engine, busybox: str) -> None:
    from jupyter_containers.commands.execute import execute
    from jupyter_containers.commands.session import Session

    session = Session(lambda: engine, stdin=b"from busybox AS x\nRUN exit 1\nCMD a\n")
    with pytest.raises(ChecksFailedError, match="3 warnings have been found") as caught:
        execute(session, ["build", "--check", "-"])
    assert "JSONArgsRecommended" in caught.value.report()
    assert "> " in caught.value.report()
    clean = Session(lambda: engine, stdin=b"FROM busybox\nRUN exit 1\n")
    assert "no warnings found" in str(execute(clean, ["build", "--check", "-"]))


def test_unchanged_files_are_not_read_again_by_another_engine(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    for number in range(20):
        path = tmp_path / f"f{number}"
        path.write_text("x")
        os.utime(path, (golden.TIME, golden.TIME))
    # Only files that have rested for some seconds are trusted.
    time.sleep(2.6)
    text = "FROM busybox\nCOPY . /all/\n"
    engine.build(tmp_path, dockerfile=text)
    kept = list((engine.settings.root / "contexts").iterdir())
    assert any(b"f19" in path.read_bytes() for path in kept)


def test_the_engines_own_folder_is_no_part_of_a_context(engine: Engine, tmp_path: Path) -> None:
    """Reading the open database and closing it would end this process's locks on it."""
    store = engine._context.settings.root
    (store.parent / "beside").write_text("here\n")
    (store.parent / ".dockerignore").write_text(f"!{store.name}\n")
    try:
        built = engine.build(store.parent, dockerfile="FROM busybox\nCOPY . /all\n")
    finally:
        (store.parent / ".dockerignore").unlink()
    shown = engine.run(built, ["ls", "/all"], network="none", rm=True).stdout.decode().split()
    assert "beside" in shown
    assert store.name not in shown
    with Engine(root=store, run_root=engine._context.settings.run_root) as other:
        other.images.tag("busybox", "seen:1")
    assert engine.system.inspect("seen:1")
    with pytest.raises(InvalidArgumentError, match="own store"):
        engine.build(store, dockerfile="FROM busybox\nCOPY . /\n")
