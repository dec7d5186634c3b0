from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import RegistryError
from jupyter_containers.registry.credentials import (
    HUB_KEY,
    Credential,
    CredentialStore,
    RepositoryCredentials,
)

HELPER = """#!/bin/sh
# A keychain of one folder: a file for each server.
cd "$(dirname "$0")/keychain" || exit 1
case "$1" in
get) read -r server; name=$(printf %s "$server" | tr '/:' '__')
     [ -f "$name" ] || { echo "credentials not found in native keychain"; exit 1; }
     cat "$name" ;;
store) body=$(cat)
     name=$(printf %s "$body" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/' | tr '/:' '__')
     printf %s "$body" > "$name" ;;
erase) read -r server; rm -f "$(printf %s "$server" | tr '/:' '__')" ;;
esac
"""


def encoded(username: str, secret: str) -> str:
    return base64.b64encode(f"{username}:{secret}".encode()).decode()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    programs = tmp_path / "bin"
    (programs / "keychain").mkdir(parents=True)
    for name, text in (
        ("test", HELPER),
        ("broken", "#!/bin/sh\necho 'keychain is locked' >&2; exit 1\n"),
        ("silly", '#!/bin/sh\necho \'{"Username": "hidden"\'\n'),
    ):
        program = programs / f"docker-credential-{name}"
        program.write_text(text)
        program.chmod(0o755)
    return {
        "HOME": str(tmp_path),
        "PATH": f"{programs}:/usr/bin:/bin",
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }


def write(environ: dict[str, str], document: Any, path: str = ".docker/config.json") -> Path:
    file = Path(environ["HOME"], path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        (HUB_KEY, "docker.io"),
        ("docker.io", "docker.io"),
        ("https://registry-1.docker.io/v2/", "docker.io"),
        ("reg.test:5000", "reg.test:5000"),
        ("https://reg.test:5000", "reg.test:5000"),
        ("https://reg.test/v1/", "reg.test"),
    ],
)
def test_keys_of_old_and_new_form(environ: dict[str, str], key: str, registry: str) -> None:
    write(environ, {"auths": {key: {"auth": encoded("ada", "a:b")}}})
    assert CredentialStore(environ).get(registry) == Credential("ada", "a:b")
    assert CredentialStore(environ).get("other.test") is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"username": "ada", "password": "p"}, Credential("ada", "p")),
        ({"auth": encoded("ada", ""), "identitytoken": "t"}, Credential("ada", "", "t")),
        ({}, None),
        ({"auth": ""}, None),
        ("text", None),
    ],
)
def test_entries(environ: dict[str, str], entry: Any, expected: Credential | None) -> None:
    write(environ, {"auths": {"reg.test": entry}})
    assert CredentialStore(environ).get("reg.test") == expected


@pytest.mark.parametrize(
    "document", ["{", "[]", "nonsense secret", '{"auths": {"reg.test": {"auth": "!secret!"}}}']
)
def test_damaged_files_are_typed_errors_without_secrets(
    environ: dict[str, str], document: str
) -> None:
    write(environ, document)
    with pytest.raises(RegistryError) as caught:
        CredentialStore(environ).get("reg.test")
    assert "secret" not in caught.value.report()


@pytest.mark.parametrize("document", ["", "{}", '{"auths": null}', '{"credHelpers": []}'])
def test_empty_files_hold_nothing(environ: dict[str, str], document: str) -> None:
    write(environ, document)
    assert CredentialStore(environ).get("reg.test") is None


def test_the_order_of_the_files(environ: dict[str, str]) -> None:
    def entry(name: str) -> dict[str, Any]:
        return {"auths": {"reg.test": {"auth": encoded(name, "x")}}}

    store = CredentialStore(environ)
    assert store.get("reg.test") is None
    write(environ, entry("podman"), "run/containers/auth.json")
    assert store.get("reg.test") == Credential("podman", "x")
    write(environ, entry("docker"))
    assert store.get("reg.test") == Credential("docker", "x")
    environ["REGISTRY_AUTH_FILE"] = str(write(environ, entry("explicit"), "auth.json"))
    assert store.get("reg.test") == Credential("explicit", "x")


def test_a_podman_namespace_is_not_the_registry(environ: dict[str, str]) -> None:
    write(environ, {"auths": {"quay.io/team": {"auth": encoded("team", "x")}}})
    assert CredentialStore(environ).get("quay.io") is None
    assert CredentialStore(environ).get("quay.io", "other/app") is None


def test_registries_with_credentials_are_known(environ: dict[str, str]) -> None:
    store = CredentialStore(environ)
    assert store.registries() == []
    auths = {"https://index.docker.io/v1/": {}, "localhost:5000": {}, "quay.io/team": {}}
    write(environ, {"auths": auths, "credsStore": "test"})
    write(environ, {"auths": {"quay.io": {}, "ghcr.io": {}}}, "run/containers/auth.json")
    assert store.registries() == ["docker.io", "ghcr.io", "localhost:5000", "quay.io"]


def test_the_nearest_namespace_counts(environ: dict[str, str]) -> None:
    keys = {"quay.io": "all", "quay.io/team": "team", "quay.io/team/app": "app"}
    write(environ, {"auths": {key: {"auth": encoded(user, "x")} for key, user in keys.items()}})
    store = CredentialStore(environ)
    for repository, user in (
        ("team/app", "app"),
        ("team/app/part", "app"),
        ("team/apple", "team"),
        ("teams/app", "all"),
        ("", "all"),
    ):
        found = RepositoryCredentials(store, repository).get("quay.io")
        assert found is not None
        assert found.username == user


def test_storing_keeps_what_others_wrote(environ: dict[str, str]) -> None:
    others = {"detachKeys": "ctrl-e", "auths": {"other.test": {"auth": "eDp5"}}}
    file = write(environ, others)
    file.chmod(0o644)
    store = CredentialStore(environ)
    assert store.store("docker.io", Credential("ada", "pass")) == str(file)
    document = json.loads(file.read_text())
    assert document["detachKeys"] == "ctrl-e"
    assert document["auths"] == {
        "other.test": {"auth": "eDp5"},
        HUB_KEY: {"auth": encoded("ada", "pass")},
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store.get("docker.io") == Credential("ada", "pass")
    assert store.erase("docker.io") is True
    assert store.erase("docker.io") is False
    assert json.loads(file.read_text()) == others
    assert os.listdir(file.parent) == ["config.json"]


def test_the_first_login_makes_the_folder(environ: dict[str, str]) -> None:
    environ["DOCKER_CONFIG"] = str(Path(environ["HOME"], "deep", "folder"))
    CredentialStore(environ).store("reg.test", Credential("", identity_token="t"))
    assert stat.S_IMODE(os.stat(environ["DOCKER_CONFIG"]).st_mode) == 0o700
    assert CredentialStore(environ).get("reg.test") == Credential("", identity_token="t")


def test_a_linked_file_stays_a_link(environ: dict[str, str]) -> None:
    real = write(environ, {}, "dotfiles/docker.json")
    link = Path(environ["HOME"], ".docker", "config.json")
    link.parent.mkdir()
    link.symlink_to(real)
    CredentialStore(environ).store("reg.test", Credential("ada", "pass"))
    assert link.is_symlink()
    assert "reg.test" in real.read_text()


def test_an_old_key_is_replaced(environ: dict[str, str]) -> None:
    file = write(environ, {"auths": {"https://reg.test/v1/": {"auth": encoded("old", "x")}}})
    CredentialStore(environ).store("reg.test", Credential("ada", "pass"))
    assert list(json.loads(file.read_text())["auths"]) == ["reg.test"]


@pytest.mark.parametrize(
    "configuration",
    [{"credsStore": "test"}, {"credHelpers": {"reg.test": "test"}, "credsStore": "broken"}],
)
def test_a_helper_keeps_the_secret(environ: dict[str, str], configuration: Any) -> None:
    file = write(environ, configuration)
    store = CredentialStore(environ)
    assert store.get("reg.test") is None
    assert store.store("reg.test", Credential("ada", "hidden")) == "docker-credential-test"
    assert "hidden" not in file.read_text()
    assert json.loads(file.read_text())["auths"] == {"reg.test": {}}
    assert store.get("reg.test") == Credential("ada", "hidden")
    store.store("reg.test", Credential("", identity_token="ident"))
    assert store.get("reg.test") == Credential("", identity_token="ident")
    assert store.erase("reg.test") is True
    assert store.get("reg.test") is None
    assert store.erase("reg.test") is False


@pytest.mark.parametrize(
    ("helper", "words"),
    [
        ("broken", "keychain is locked"),
        ("missing", "not installed"),
        ("../evil", "not a credential helper's name"),
        ("silly", "no valid answer"),
    ],
)
def test_helpers_that_fail(environ: dict[str, str], helper: str, words: str) -> None:
    write(environ, {"credsStore": helper})
    with pytest.raises(RegistryError, match=words) as caught:
        CredentialStore(environ).get("reg.test")
    assert "hidden" not in caught.value.report()


def test_secrets_are_not_shown() -> None:
    assert "pass" not in repr(Credential("ada", "pass", "passtoken"))
