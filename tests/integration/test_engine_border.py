"""Hostile images and archives by the front ends: typed errors, and no control characters.

The archives are those of a stranger: documents that are not UTF-8 or do not agree, and an image in
which everything that is text carries OSC 52 (which replaces the clipboard), CSI in its two forms
and a mark of direction.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_containers import cli
from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError, InvalidDigestError, VerificationError
from jupyter_containers.magics import load_ipython_extension
from jupyter_containers.magics.registration import registered
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.panel.dockerfile_checks import squiggles
from jupyter_containers.panel.listing import Listing
from tests.integration.engine_fixtures import Place, demolish

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

EVIL = "\x1b]52;c;cm0gLXJmIC8=\x07\x1b[2J\x9b31m\u202e"
# Control sequences of terminals, except the display's own colours.
_ACTS = re.compile("\x1b\\]|\x1b\\[2J|[\x07\x08\x7f-\x9f\u202e]")


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def archive(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return io.BytesIO(stream.getvalue())


LAYER = archive({"file": b"x"}).getvalue()


def config(**more: Any) -> dict[str, Any]:
    layers = {"type": "layers", "diff_ids": [digest(LAYER)]}
    return {"architecture": Platform.host().architecture, "os": "linux", "rootfs": layers, **more}


def docker_archive(document: Any, name: str = "stranger:1") -> io.BytesIO:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    entry = {"Config": "c.json", "Layers": ["l.tar"], "RepoTags": [name]}
    return archive({"c.json": data, "l.tar": LAYER, "manifest.json": json.dumps([entry]).encode()})


def layout(index: bytes, **blobs: bytes) -> io.BytesIO:
    files = {f"blobs/{name.replace('_', '/', 1)}": data for name, data in blobs.items()}
    return archive({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **files})


def index_of(named: str, size: int) -> bytes:
    kind = "application/vnd.oci.image.index.v1+json"
    entry = {
        "mediaType": kind,
        "digest": named,
        "size": size,
        "platform": {"architecture": Platform.host().architecture, "os": "linux"},
    }
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).encode()


_ITSELF = index_of("sha512:" + "a" * 128, 3)
_INNER = index_of(digest(b"x"), 3)
_TWICE = {"type": "layers", "diff_ids": [digest(LAYER)] * 2}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Place.under(tmp_path).engine() as engine:
        try:
            yield engine
        finally:
            demolish(engine)


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (docker_archive(b'{"architecture":"amd64\xff","os":"linux"}'), VerificationError),
        (docker_archive(config(rootfs=_TWICE)), VerificationError),
        (docker_archive(config(rootfs={"diff_ids": []})), VerificationError),
        (docker_archive(config(rootfs={"diff_ids": ["../../x"]})), InvalidDigestError),
        (archive({"manifest.json": b'[{"Config":"\xff","Layers":[]}]'}), VerificationError),
        (archive({"manifest.json": b'[{"Config":"a\\u0000","Layers":[]}]'}), ContainersError),
        (layout(b'{"schemaVersion":2,"manifests":[],"mediaType":"\xff"}'), VerificationError),
        (layout(_ITSELF, **{"sha512_" + "a" * 128: _ITSELF}), VerificationError),
        (
            layout(
                index_of(digest(_INNER), len(_INNER)),
                **{digest(_INNER).replace(":", "_"): _INNER, digest(b"x").replace(":", "_"): b"x"},
            ),
            VerificationError,
        ),
    ],
    ids=[
        "configuration not UTF-8",
        "more diff IDs than layers",
        "fewer diff IDs than layers",
        "a diff ID that is none",
        "manifest.json not UTF-8",
        "manifest.json with NUL",
        "index.json not UTF-8",
        "an index that names itself",
        "an index that leads to nothing",
    ],
)
def test_archives_that_do_not_agree(
    engine: Engine, stream: io.BytesIO, error: type[ContainersError]
) -> None:
    """Seen to fail before for texts that are not UTF-8 (UnicodeDecodeError); others were typed."""
    with pytest.raises(error):
        engine.images.load(stream)
    assert engine.images() == []


def test_an_image_whose_env_is_null_can_be_compared(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seen to fail before: TypeError, None is not iterable."""
    engine.images.load(docker_archive(config(config={"Env": None, "Labels": None}), "null:1"))
    engine.images.load(docker_archive(config(config={"Env": ["A=b"]}), "plain:1"))
    assert cli.main(["diff", "null:1", "plain:1"], make_engine=lambda: lent(engine)) == 0
    assert "Env A: unset → b" in capfd.readouterr().out


def test_a_stray_file_among_the_blobs(engine: Engine) -> None:
    """Seen to fail before: NotADirectoryError for a file beside the algorithms' folders."""
    engine.images.load(docker_archive(config()))
    folder = os.fsencode(engine.settings.root / "content/blobs")
    for name in (b"README", b"sha256/README", b"sha256/\xff", b"sha256/" + b"a" * 200):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    assert len(engine.images()) == 1
    found = engine.system.check().problems
    assert sorted(os.fsencode(one.subject) for one in found if one.kind == "stray file") == [
        b"content/blobs/README",
        b"content/blobs/sha256/README",
        b"content/blobs/sha256/" + b"a" * 200,
        b"content/blobs/sha256/\xff",
    ]
    assert cli.main(["system", "check"], make_engine=lambda: lent(engine)) in (0, 1)
    engine.system.prune(all=True)
    assert engine.images() == []


class _Lent:
    """The test's engine, which a command does not close."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Engine:
        return self._engine

    def __exit__(self, *_: object) -> None:
        pass


def lent(engine: Engine) -> Any:
    return _Lent(engine)


@pytest.fixture
def stranger(engine: Engine) -> Engine:
    """An engine with an image and a container that are full of control characters."""
    engine.images.load(
        docker_archive(
            config(
                author=f"{EVIL}author",
                created="2020-01-01T00:00:00Z",
                config={
                    "Env": [f"A={EVIL}"],
                    "Labels": {f"l{EVIL}": f"v{EVIL}"},
                    "Entrypoint": [f"/x{EVIL}"],
                    "Cmd": [EVIL],
                    "User": f"u{EVIL}",
                    "WorkingDir": f"/{EVIL}",
                    "ExposedPorts": {f"80{EVIL}": {}},
                    "Volumes": {f"/v{EVIL}": {}},
                    "StopSignal": EVIL,
                    "Healthcheck": {"Test": ["CMD", EVIL]},
                },
                history=[
                    {
                        "created": "2020-01-01T00:00:00Z",
                        "created_by": f"RUN {EVIL}",
                        "comment": EVIL,
                        "author": EVIL,
                    }
                ],
            )
        )
    )
    engine.containers.create("stranger:1", name="web")
    return engine


LINES = (
    ["images"],
    ["images", "--format", "{{json .}}"],
    ["history", "--no-trunc", "stranger:1"],
    ["history", "--format", "{{.CreatedBy}} {{.Comment}}", "stranger:1"],
    ["inspect", "stranger:1"],
    ["inspect", "web"],
    ["inspect", "-f", "{{.Config.Labels}} {{.Config.Env}} {{json .Config}}", "stranger:1"],
    ["inspect", "-f", "{{.Config.User}} {{index .Config.Cmd 0}}", "web"],
    ["ps", "-a", "--no-trunc"],
    ["ps", "-a", "--format", "{{.Command}} {{.Labels}} {{.Ports}} {{.Mounts}}"],
    ["ps", "-a", "--format", "table {{.Command}}\t{{.Labels}}"],
    ["events", "--since", "2020-01-01", "--until", "0s"],
    ["events", "--since", "2020-01-01", "--until", "0s", "--format", "{{.Actor.Attributes}}"],
    ["layers", "stranger:1"],
    ["diff", "stranger:1", "stranger:1"],
    ["port", "web"],
    ["system", "df", "-v"],
    ["start", "web"],
    ["run", "--rm", "stranger:1"],
    ["run", "--rm", "--user", "0", "stranger:1"],
    ["run", f"nobody{EVIL}"],
    ["rm", f"nobody{EVIL}"],
    ["build", f"nowhere{EVIL}"],
    ["tag", "stranger:1", f"x{EVIL}"],
    ["images", "--filter", f"label={EVIL}"],
    ["volume", "inspect", EVIL],
    [f"verb{EVIL}"],
)


@pytest.mark.parametrize("words", LINES, ids=lambda words: " ".join(words)[:40].split("\x1b")[0])
def test_nothing_acts_on_the_terminal(
    stranger: Engine, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Seen to fail with ``printable`` as the identity: OSC 52 in events, inspect -f, errors."""
    cli.main(words, make_engine=lambda: lent(stranger))
    written = capfd.readouterr()
    assert written.out or written.err or words[0] in ("port", "diff", "images")
    assert not _ACTS.search(written.out + written.err)


def test_builds_of_a_stranger(
    engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in (
        f"FROM scratch\nLABEL a='{EVIL}'\nENV B='{EVIL}'\nENTRYPOINT ['{EVIL}']\n",
        f"FROM scratch\n{EVIL} x\n",
        f"FROM scratch AS {EVIL}\nCOPY --from={EVIL} a b\n",
        f"FROM scratch\nRUN {EVIL}\n",
        f"FROM scratch\nHEALTHCHECK --interval={EVIL} CMD x\n",
    ):
        (tmp_path / "Dockerfile").write_text(text)
        for more in (["--progress", "plain"], ["--check"]):
            cli.main(["build", *more, str(tmp_path)], make_engine=lambda: lent(engine))
        for squiggle in squiggles(engine, text):
            assert not _ACTS.search(squiggle.message)
    written = capfd.readouterr()
    assert not _ACTS.search(written.out + written.err)


def test_magics_and_the_panel(stranger: Engine) -> None:
    """Saved notebooks and pages are as clean as terminals."""
    shell = InteractiveShell()
    load_ipython_extension(shell)
    magics = registered(shell)
    assert magics is not None
    magics._make_engine = lambda **_: lent(stranger).__enter__()
    for line in (
        "history --no-trunc stranger:1",
        "ps -a --no-trunc",
        "inspect stranger:1",
        "inspect -f '{{.Config.Labels}}' stranger:1",
        "events --since 2020-01-01 --until 0s",
        "layers stranger:1",
    ):
        value = shell.run_line_magic("container", line)
        shown = repr(value) + str(getattr(value, "_repr_html_", lambda: "")())
        assert not _ACTS.search(shown), line
    with pytest.raises(ContainersError) as caught:
        stranger.run("stranger:1")
    assert not _ACTS.search(caught.value.report())
    assert not any(_ACTS.search(one.command) for one in Listing(stranger).items("containers"))


def called(function: Callable[[], object]) -> str:
    """Return the error of a call as shown to the user."""
    with pytest.raises(ContainersError) as caught:
        function()
    return caught.value.report()


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.build("a" * 5000),
        lambda engine: engine.build("a\0b"),
        lambda engine: engine.build({}, dockerfile="FROM scratch", output="type=local\rx"),
        lambda engine: engine.build("https://[a/x.tar"),
        lambda engine: engine.build("git://[x//]"),
        lambda engine: engine.run("busybox", gpus="1²"),
        lambda engine: engine.run("busybox", cpuset_cpus="0-99999999"),
        lambda engine: engine.run("busybox", memory="9" * 300),
        lambda engine: engine.run("busybox", health_interval="9" * 309 + "s"),
        lambda engine: engine.run("busybox", label=["a=\udcff"]),
        lambda engine: engine.networks.create("net", label=["a=\udcff"]),
        lambda engine: engine.volumes.create("vol", label=["a=\udcff"]),
    ],
)
def test_calls_in_python(engine: Engine, ask: Callable[[Engine], object]) -> None:
    """Seen to fail before: most of them with another exception than a ContainersError."""
    line = called(lambda: ask(engine)).splitlines()[0]
    assert 20 < len(line) < 2100
