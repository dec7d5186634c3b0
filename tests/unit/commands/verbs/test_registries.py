from __future__ import annotations

import getpass
import json
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.oci.descriptor import INDEX, MANIFEST, Descriptor, RawDocument
from jupyter_containers.registry.search import FoundRepository


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def test_login(fake_engine: Any) -> None:
    fake_engine.answers["registries.login"] = "/root/.docker/config.json"
    words = ["login", "-u", "me", "--password-stdin", "r:5000"]
    said = perform(fake_engine, *words, stdin=b"secret\n")
    assert fake_engine.last == ("registries.login", ("r:5000", "me", "secret"), {})
    assert str(said).splitlines() == [
        "WARNING! Your password will be stored unencrypted in /root/.docker/config.json.",
        "Login Succeeded",
    ]
    said = perform(fake_engine, *["login", "-u", "me", "-p", "s"])
    assert fake_engine.last == ("registries.login", ("docker.io", "me", "s"), {})
    assert "Using --password via the CLI is insecure" in said
    fake_engine.answers["registries.login"] = "docker-credential-pass"
    said = perform(fake_engine, *["login", "-u", "me", "--password-stdin"], stdin=b"s")
    assert str(said) == "Login Succeeded"
    with pytest.raises(InvalidArgumentError, match="--username"):
        perform(fake_engine, "login", "--password-stdin", stdin=b"x")
    with pytest.raises(InvalidArgumentError, match="exclude"):
        perform(fake_engine, *["login", "-u", "me", "-p", "s", "--password-stdin"], stdin=b"x")
    with pytest.raises(InvalidArgumentError, match="a password"):
        perform(fake_engine, *["login", "-u", "me", "--password-stdin"], stdin=b"\n")


def test_login_asks_for_what_is_missing(fake_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_engine.answers |= {"registries.login": "x", "registries.relogin": False}
    monkeypatch.setattr("builtins.input", lambda question: "me" if "r.test" in question else "")
    monkeypatch.setattr(getpass, "getpass", lambda question: "hidden" if "me" in question else "")
    perform(fake_engine, "login", "https://r.test/v1/")
    assert fake_engine.last == ("registries.login", ("r.test", "me", "hidden"), {})


def test_login_with_what_is_kept(fake_engine: Any) -> None:
    fake_engine.answers["registries.relogin"] = True
    assert str(perform(fake_engine, "login")).endswith("existing credentials...\nLogin Succeeded")


def test_nobody_to_ask_is_one_line(fake_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class StdinNotImplementedError(RuntimeError):
        pass

    def refuse(question: str) -> str:
        raise StdinNotImplementedError(question)

    fake_engine.answers["registries.relogin"] = False
    monkeypatch.setattr(getpass, "getpass", refuse)
    with pytest.raises(InvalidArgumentError, match="cannot ask for a password") as caught:
        perform(fake_engine, "login", "-u", "me")
    assert "--password-stdin" in caught.value.hint


def test_logout(fake_engine: Any) -> None:
    fake_engine.answers["registries.logout"] = True
    assert perform(fake_engine, "logout") == "Removing login credentials for docker.io"
    fake_engine.answers["registries.logout"] = False
    assert perform(fake_engine, "logout", "r:5000") == "Not logged in to r:5000"


FOUND = [
    FoundRepository("busybox", "Busybox base image.", 3000, official=True),
    FoundRepository("me/busybox", "A" * 60, 2, automated=True),
]


def test_search(fake_engine: Any) -> None:
    fake_engine.answers["registries.search"] = FOUND
    found = perform(fake_engine, "search", "--limit", "5", "busybox")
    assert fake_engine.last == ("registries.search", ("busybox",), {"limit": 5})
    assert str(found).splitlines() == [
        "NAME         DESCRIPTION                                     STARS     OFFICIAL",
        "busybox      Busybox base image.                             3000      [OK]",
        "me/busybox   " + "A" * 44 + "…   2",
    ]
    whole = perform(fake_engine, "search", "--no-trunc", "--format", "{{.Description}}", "x")
    assert whole[1] == "A" * 60


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["stars=3"], ["busybox"]),
        (["is-official=false"], ["me/busybox"]),
        (["is-automated=true"], ["me/busybox"]),
        (["stars=1", "is-official=1"], ["busybox"]),
        (["stars=9999"], []),
    ],
)
def test_search_filters(fake_engine: Any, filters: list[str], names: list[str]) -> None:
    fake_engine.answers["registries.search"] = FOUND
    words = [word for each in filters for word in ("--filter", each)]
    assert [item.name for item in perform(fake_engine, "search", *words, "x")] == names


@pytest.mark.parametrize("wrong", ["stars=many", "is-official=maybe", "size=3"])
def test_search_filters_that_are_none(fake_engine: Any, wrong: str) -> None:
    fake_engine.answers["registries.search"] = FOUND
    with pytest.raises(InvalidArgumentError, match="invalid filter"):
        perform(fake_engine, "search", "--filter", wrong, "x")


def test_all_tags(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["pull"] = [an_image, an_image]
    assert list(perform(fake_engine, "pull", "-a", "app")) == [an_image]
    name = "localhost:5000/team/app"
    assert perform(fake_engine, "pull", "-a", "-q", name) == [f"{name}:1"]
    assert fake_engine.last[2]["all_tags"] is True
    fake_engine.answers["push"] = {"r:5000/app:1": "sha256:aa", "r:5000/app:2": "sha256:bb"}
    assert perform(fake_engine, "push", "-a", "r:5000/app") == ["1: sha256:aa", "2: sha256:bb"]


def test_what_a_registry_has(fake_engine: Any) -> None:
    item = SimpleNamespace(name="localhost:5000/app", tags=("1", "2"))
    fake_engine.answers |= {"registries.repositories": [item], "registries.list": []}
    listed = perform(fake_engine, "registry", "ls", "localhost:5000")
    assert str(listed).splitlines()[1].split() == ["localhost:5000/app", "1,", "2"]
    with pytest.raises(InvalidArgumentError, match="no registry runs here"):
        perform(fake_engine, "registry", "ls")
    fake_engine.answers["registries.list"] = [SimpleNamespace(address="localhost:5000")]
    assert perform(fake_engine, "registry", "ls", "-q") == ["localhost:5000/app"]
    fake_engine.answers["registries.tags"] = ["1", "2"]
    assert perform(fake_engine, "registry", "tags", "localhost:5000/app") == ["1", "2"]


def test_manifests(fake_engine: Any) -> None:
    words = ["manifest", "create", "--amend", "r:5000/app:1", "r:5000/app:arm", "r:5000/app:amd"]
    assert perform(fake_engine, *words) == "Created manifest list r:5000/app:1"
    assert fake_engine.last == (
        "manifests.create",
        ("r:5000/app:1", ["r:5000/app:arm", "r:5000/app:amd"]),
        {"amend": True, "insecure": False},
    )
    annotation = ["--arch", "arm", "--variant", "v7", "--os-features", "a"]
    perform(fake_engine, "manifest", "annotate", *annotation, "r:5000/app:1", "r:5000/app:arm")
    assert fake_engine.last[2] == {"arch": "arm", "variant": "v7", "os_features": ["a"]}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    raw = RawDocument(json.dumps(document).encode(), INDEX)
    fake_engine.answers["manifests.inspect"] = raw
    shown = perform(fake_engine, "manifest", "inspect", "r:5000/app:1")
    assert shown == document
    assert json.loads(str(shown)) == document
    verbose = perform(fake_engine, "manifest", "inspect", "-v", "r:5000/app:1")
    assert verbose["Ref"] == "r:5000/app:1"
    assert verbose["Descriptor"]["digest"] == raw.digest
    assert verbose["ManifestList"] == document
    with pytest.raises(InvalidArgumentError):
        perform(fake_engine, "manifest", "inspect", "a", "b", "c")


def test_referrers(fake_engine: Any) -> None:
    digest = "sha256:" + "a" * 64
    kind = "application/vnd.example.sbom"
    item = Descriptor(MANIFEST, digest, 700, artifact_type=kind)
    fake_engine.answers["registries.referrers"] = (item,)
    shown = perform(fake_engine, "registry", "referrers", "--artifact-type", kind, "r:5000/app:1")
    assert fake_engine.last == ("registries.referrers", ("r:5000/app:1",), {"artifact_type": kind})
    assert str(shown).splitlines()[1].split() == [digest, kind, "700B"]
    assert perform(fake_engine, "registry", "referrers", "-q", "app") == [digest]
