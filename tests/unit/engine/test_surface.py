"""The engine's public surface: a verb is spelt once, with the service of its noun."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.engine import backends
from jupyter_containers.engine.collection import Collection
from jupyter_containers.engine.engine import Engine
from jupyter_containers.engine.services import NOUNS, service_class
from jupyter_containers.rootless import RemoteEngine

SHORT_CUTS = {"run", "build", "pull", "push", "compose"}
COLLECTION = {"get", "everything", "list", "names"}
SURFACE = {
    "containers": COLLECTION
    | {
        "attach", "commit", "copy", "create", "diff", "exec", "explain",
        "export", "folder", "health", "inspect", "kill", "listen", "log_details", "logs", "pause",
        "port", "prune", "remove", "rename", "restart", "run",
        "run_terminal", "start", "stats", "stop", "terminal",
        "to_dataframe", "top", "unpause", "update", "wait",
    },
    "images": COLLECTION
    | {
        "bootstrap", "diff", "fetch", "handle", "history", "import_archive", "inspect", "layers",
        "load", "provide", "prune", "pull", "push", "remove", "save", "tag", "take",
        "to_dataframe", "tree",
    },
    "networks": COLLECTION
    | {"connect", "create", "disconnect", "inspect", "prune", "remove", "unused"},
    "volumes": COLLECTION | {"create", "inspect", "prune", "remove"},
    "builds": {
        "build", "check", "failed_changes", "failed_image", "failed_step", "failed_steps",
        "forecast", "history", "outline", "prune", "received_context", "records",
        "scratch_folder", "steps",
    },
    "registries": {
        "describe", "lending", "list", "login", "logins", "logout", "referrers", "relogin",
        "remove",
        "repositories", "search", "start", "stop", "tags", "verify",
    },
    "manifests": {"annotate", "create", "inspect", "push", "remove"},
    "stores": {"list", "map", "share", "unmap", "unshare"},
    "applications": COLLECTION | {"compose"},
    "workloads": {"map", "service"},
    "sessions": {
        "asynchronous", "close", "everything", "get", "list", "logs", "pool", "remove", "restart",
        "sandbox", "start", "stop",
    },
    "system": {
        "check", "df", "disk_details", "doctor", "events", "info", "inspect", "names", "prune",
        "prune_preview", "reset",
    },
}  # fmt: skip


def _public(kind: type) -> set[str]:
    return {
        name
        for name in dir(kind)
        if not name.startswith("_") and callable(getattr(kind, name)) and name != "noun"
    }


def test_an_engine_has_its_nouns_and_five_short_cuts() -> None:
    public = {name for name in vars(Engine) if not name.startswith("_")}
    assert public == {*NOUNS, *SHORT_CUTS, "api", "close"}
    assert Engine.__bases__ == (object,)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_service_has_its_verbs(noun: str) -> None:
    assert _public(service_class(noun)) == SURFACE[noun]


@pytest.mark.parametrize(
    ("noun", "protocol"),
    [
        ("containers", backends.ContainerBackend),
        ("networks", backends.NetworkBackend),
        ("volumes", backends.VolumeBackend),
        ("workloads", backends.WorkloadBackend),
    ],
)
def test_a_backend_has_verbs_of_the_surface(noun: str, protocol: type) -> None:
    """The type checker compares signatures; here, that no verb is demanded that is not there."""
    assert {name for name in vars(protocol) if not name.startswith("_")} <= SURFACE[noun]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_verb_says_what_it_does(noun: str) -> None:
    kind = service_class(noun)
    assert [name for name in SURFACE[noun] if not getattr(kind, name).__doc__] == []


@pytest.mark.parametrize("noun", NOUNS)
def test_a_user_without_root_has_the_same(noun: str) -> None:
    """The stand-in in the kernel forwards each verb to the worker; no worker starts for this."""
    remote: Any = RemoteEngine()
    service = getattr(remote, noun)
    assert all(callable(getattr(service, verb)) for verb in SURFACE[noun])
    assert isinstance(service, Collection) == issubclass(service_class(noun), Collection)
    with pytest.raises(AttributeError):
        service.no_such_verb  # noqa: B018  # the access raises
