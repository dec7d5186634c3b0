"""The connection's own decisions, without a cluster."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.contexts import ClusterEndpoint, Context
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.kubernetes.client import Cluster, Patience
from jupyter_containers.kubernetes.doctor import RIGHTS, role, version_of
from jupyter_containers.kubernetes.engine import ClusterEngine
from jupyter_containers.kubernetes.streams import exit_status
from jupyter_containers.settings import load_settings


def test_a_missing_package_is_named_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError) as caught:
        _ = Cluster("lab", ClusterEndpoint()).config
    assert caught.value.hint == 'pip install "jupyter-containers-engine[kubernetes]"'


@pytest.mark.parametrize("text", [None, "a: b", "clusters: []\ncontexts: []\ncurrent-context: x"])
def test_a_wrong_kubeconfig_is_an_error(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InvalidArgumentError, match="the context lab cannot be used"):
        _ = Cluster("lab", ClusterEndpoint(kubeconfig=str(file))).config


def test_services_of_this_machine_open_its_engine_late(tmp_path: Path) -> None:
    opened: list[Any] = []

    class Local:
        images = "images"

        def close(self) -> None:
            opened.append("closed")

    def local() -> Local:
        opened.append("opened")
        return Local()

    settings = load_settings(overrides={"root": tmp_path / "a", "run_root": tmp_path / "b"})
    with ClusterEngine(Context("lab", "", ClusterEndpoint()), settings, local) as engine:
        assert engine.containers.noun == "containers"
        assert opened == []
        assert engine.images == "images"
        with pytest.raises(AttributeError):
            _ = engine.nonsense
    assert opened == ["opened", "closed"]


def test_a_status_has_an_exit_code() -> None:
    assert exit_status(b'{"status":"Success"}') == (0, "")
    failed = b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}'
    assert exit_status(failed) == (7, "")
    assert exit_status(b'{"status":"Failure","message":"no such"}') == (-1, "no such")
    assert exit_status(b"cut") == (-1, "cut")


@pytest.mark.parametrize(
    ("text", "numbers"), [("v1.20.2", (1, 20)), ("v1.30+", (1, 30)), ("", (0, 0))]
)
def test_versions(text: str, numbers: tuple[int, int]) -> None:
    assert version_of(text) == numbers


def test_the_role_of_the_docs_has_the_rights_that_doctor_asks_for() -> None:
    import yaml

    file = Path(__file__).parents[3] / "docs/install/kubernetes-role.yaml"
    granted = {
        resource: tuple(rule["verbs"])
        for rule in yaml.safe_load(file.read_text())["rules"]
        for resource in rule["resources"]
    }
    assert granted == {resource: verbs for resource, (verbs, _) in RIGHTS.items()}
    cluster = Cluster("lab", ClusterEndpoint(namespace="lab"))
    missing = yaml.safe_load(role(cluster, {"pods/exec": ("get",)}))
    assert missing["rules"] == [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]


def test_patience_ends() -> None:
    patience = Patience(0.0)
    assert patience.more()
    assert not patience.more()
