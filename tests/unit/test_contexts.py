"""Contexts: the user's file, the current one, the verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_containers import contexts
from jupyter_containers.cli import main
from jupyter_containers.commands.grammar.contexts import CONTEXT
from jupyter_containers.commands.parser import parse, split_context, take_context
from jupyter_containers.contexts import ClusterEndpoint, Contexts
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContextNotFoundError,
    InUseError,
    InvalidArgumentError,
    UntrustedPlaceError,
)

LAB = ClusterEndpoint(namespace="lab", registry="r.example/team")


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contexts:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(contexts.VARIABLE, raising=False)
    return Contexts()


def test_an_endpoint_is_read_and_written() -> None:
    assert ClusterEndpoint.parse("namespace=lab,registry=r.example/team") == LAB
    assert str(LAB) == "namespace=lab,registry=r.example/team"
    assert ClusterEndpoint.parse("owner=ann", LAB).namespace == "lab"
    assert Path(ClusterEndpoint.parse("kubeconfig=a/b").kubeconfig).is_absolute()
    for wrong in ("namespace", "host=x"):
        with pytest.raises(InvalidArgumentError, match="invalid kubernetes endpoint"):
            ClusterEndpoint.parse(wrong)


def test_the_life_of_a_context(known: Contexts) -> None:
    assert [each.name for each in known.all()] == ["default"]
    known.create("lab", LAB, "A lab")
    assert known.get("lab").cluster == LAB
    assert known.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AlreadyExistsError, match='context "lab" already exists'):
        known.create("lab", LAB)
    known.update("lab", kubernetes="owner=ann")
    cluster = known.get("lab").cluster
    assert cluster is not None
    assert (cluster.owner, cluster.namespace) == ("ann", "lab")
    assert known.current == "default"
    assert known.use("lab") == ""
    assert (known.current, known.get().name) == ("lab", "lab")
    with pytest.raises(InUseError, match='context "lab" is in use, set -f flag to force remove'):
        known.remove("lab")
    known.remove("lab", force=True)
    assert known.current == "default"
    with pytest.raises(ContextNotFoundError):
        known.use("lab")


@pytest.mark.parametrize("name", ["default", "a b", "x"])
def test_names_are_dockers(known: Contexts, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        known.create(name, LAB)


def test_the_default_context_stays(known: Contexts) -> None:
    with pytest.raises(InvalidArgumentError, match='context "default" cannot be removed'):
        known.remove("default")


def test_a_file_that_others_can_change_is_refused(known: Contexts) -> None:
    known.create("lab", LAB)
    known.path.chmod(0o666)
    with pytest.raises(UntrustedPlaceError):
        known.all()


def test_a_damaged_file_is_an_error(known: Contexts) -> None:
    known.create("lab", LAB)
    known.path.write_text("[]")
    with pytest.raises(InvalidArgumentError, match="cannot read"):
        known.all()


def test_a_pod_has_the_context_of_its_account(
    known: Contexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t")
    monkeypatch.setattr(contexts, "SERVICE_ACCOUNT", tmp_path)
    assert [each.name for each in known.all()] == ["default", "in-cluster"]
    with pytest.raises(InvalidArgumentError, match="it is not in"):
        known.remove("in-cluster")


def test_the_administrators_contexts(known: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = {"contexts": {"school": {"kubernetes": "namespace=s", "description": "Ours"}}}
    monkeypatch.setattr(contexts, "read_lab", lambda: lab)
    assert known.get("school").description == "Ours"


@pytest.mark.parametrize(
    ("line", "name", "rest"),
    [
        ("--context lab ps", "lab", "ps"),
        ("--context=lab ps -a", "lab", "ps -a"),
        ("ps", "", "ps"),
    ],
)
def test_a_context_is_selected_before_the_command(line: str, name: str, rest: str) -> None:
    assert split_context(line.split()) == (name, rest.split())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ps --context lab", "lab"),
        ("run --context=lab box echo", "lab"),
        ("run box echo --context no", ""),
    ],
)
def test_a_context_is_selected_after_the_command(line: str, name: str) -> None:
    found, parsed = take_context(parse(line.split(), (CONTEXT,)))
    assert found == name
    assert "context" not in parsed.flags


def test_the_verbs(known: Contexts, capfd: pytest.CaptureFixture[str]) -> None:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["context", *words])
        return (code, *capfd.readouterr())

    endpoint = "namespace=lab,registry=r.example/team"
    created = 'Successfully created context "lab"\n'
    assert call("create", "lab", "--kubernetes", endpoint) == (0, "lab\n", created)
    assert call("use", "lab") == (0, "lab\n", 'Current context is now "lab"\n')
    assert call("show")[1] == "lab\n"
    assert call("ls", "-q")[1] == "default\nlab\n"
    assert "lab *" in call("ls")[1]
    assert main(["--context", "default", "context", "show"]) == 0
    assert capfd.readouterr().out == "default\n"
    [document] = json.loads(call("inspect")[1])
    assert document["Endpoints"]["kubernetes"]["Namespace"] == "lab"
    code, _, error = call("rm", "lab")
    assert (code, 'context "lab" is in use' in error) == (1, True)
    assert call("rm", "-f", "lab")[:2] == (0, "lab\n")
    assert main(["--context", "nope", "ps"]) == 1
    assert 'context "nope": context not found' in capfd.readouterr().err
