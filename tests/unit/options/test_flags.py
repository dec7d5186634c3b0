"""Every option is declared once, and every declaration is used."""

from __future__ import annotations

import inspect
import typing
from dataclasses import fields

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from jupyter_containers.commands.grammar import spellings
from jupyter_containers.engine.builds.service import BuildService
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.service import ContainerService
from jupyter_containers.engine.engine import Engine
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.buildflags import BuildFlags
from jupyter_containers.options.flag import Flag, Shown, declared, keywords
from jupyter_containers.options.flags import CreateFlags, ExecFlags, RunFlags, UpdateFlags
from jupyter_containers.options.groupflags import EndpointFlags, HealthFlags, NetworkFlags
from jupyter_containers.options.readers import READERS
from jupyter_containers.rootless import RemoteEngine

# Options that come together in one field, and the field.
TOGETHER = {
    **dict.fromkeys(keywords(HealthFlags), "health"),
    **dict.fromkeys(keywords(NetworkFlags), "networks"),
    **dict.fromkeys(("volume", "mount", "tmpfs", "here"), "mounts"),
    **dict.fromkeys(("label", "label_file"), "labels"),
    "env_file": "env",
    "gpus": "device",
    "net": "network",
}
OPERANDS = {"image", "command", "networks", "health"}


def test_every_option_of_run_has_a_field_and_every_field_an_option() -> None:
    taken = {TOGETHER.get(key, key) for key in keywords(RunFlags)} | {"network"}
    assert taken - set(RunOptions.__struct_fields__) == set()
    assert set(RunOptions.__struct_fields__) - taken - OPERANDS == set()


def test_every_option_of_exec_has_a_field() -> None:
    names = {field.name for field in fields(ExecOptions)} - {"command"}
    assert {TOGETHER.get(key, key) for key in keywords(ExecFlags)} == names


def test_every_option_of_build_has_a_field() -> None:
    together = {
        "annotation": "annotations", "build_arg": "build_args", "build_context": "build_contexts",
        "label": "labels", "load": "outputs", "output": "outputs", "push": "outputs",
        "secret": "secrets", "secret_values": "secrets", "tag": "tags",
    }  # fmt: skip
    names = {field.name for field in fields(BuildOptions)} - {"context"}
    assert {together.get(key, key) for key in keywords(BuildFlags)} == names


@pytest.mark.parametrize(
    ("verb", "family"),
    [
        ("run", RunFlags),
        ("create", CreateFlags),
        ("update", UpdateFlags),
        ("exec", ExecFlags),
        ("network connect", EndpointFlags),
        ("build", BuildFlags),
    ],
)
def test_the_grammar_has_what_is_declared(verb: str, family: type) -> None:
    known = {flag.key: flag for flag in spellings()[verb].flags}
    for flag in declared(family):
        assert known[flag.key] == flag


def test_each_letter_and_spelling_is_one_option() -> None:
    for family in (RunFlags, ExecFlags, UpdateFlags, BuildFlags):
        letters = [flag.short for flag in declared(family) if flag.short]
        names = [name for flag in declared(family) for name in (flag.name, *flag.aliases)]
        assert len(set(letters)) == len(letters)
        assert len(set(names)) == len(names)


def test_every_reading_is_used_and_known() -> None:
    used = {flag.reads for flag in declared(RunFlags)}
    assert used == set(READERS)


def test_a_field_of_inspect_is_one_option_s() -> None:
    names = [flag.shown.name for flag in declared(RunFlags) if flag.shown]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("shown", "given", "value"),
    [
        (Shown("Dns"), (), []),
        (Shown("CapAdd", empty=None), (), None),
        (Shown("CapAdd", empty=None), ("ALL",), ["ALL"]),
        (Shown("Sysctls", empty=None), {"a": "b"}, {"a": "b"}),
        (Shown("IpcMode", empty="private"), "", "private"),
        (Shown("ReadonlyRootfs"), False, False),
    ],
)
def test_how_inspect_shows_a_value(shown: Shown, given: object, value: object) -> None:
    assert shown.value(given) == value


def test_names_come_from_the_keys() -> None:
    flags = {flag.key: flag for flag in declared(RunFlags)}
    assert flags["memory_swap"].name == "memory-swap"
    assert flags["net" if "net" in flags else "network"].aliases == ("net",)
    assert Flag("filter", keyword="filters").key == "filters"


def test_keywords_have_a_static_type() -> None:
    """So an editor completes ``memory=`` and a type checker refuses ``memroy=``."""
    for method, family in (
        (RunOptions.of, RunFlags),
        (ExecOptions.of, ExecFlags),
        (ContainerService.run, RunFlags),
        (ContainerService.create, RunFlags),
        (ContainerService.exec, ExecFlags),
        (ContainerService.update, UpdateFlags),
        (Container.update, UpdateFlags),
        (BuildOptions.of, BuildFlags),
        (BuildService.build, BuildFlags),
    ):
        hint = getattr(method, "__func__", method).__annotations__["flags"]
        assert hint == f"Unpack[{family.__name__}]"
    assert typing.get_args(RunFlags.__annotations__["memory"])[0] == int | str | None


# Without jedi, IPython looks at no method that an instance makes, as a remote engine does.
@pytest.mark.parametrize(
    ("engine", "jedi"), [(Engine, True), (Engine, False), (RemoteEngine, True)]
)
def test_a_notebook_completes_options(engine: type, jedi: bool) -> None:
    """Seen to fail with ``**flags`` alone: IPython completes the names in a signature."""
    call = "containers.run" if engine is Engine else "run"
    made = engine.__new__(engine)
    if engine is Engine:
        made.__dict__["containers"] = ContainerService.__new__(ContainerService)
    else:
        made.__init__()
    shell = InteractiveShell(user_ns={"engine": made})
    shell.Completer.use_jedi = jedi
    text = f"engine.{call}('busybox', memory_s"
    with provisionalcompleter():
        found = {item.text for item in shell.Completer.completions(text, len(text))}
    assert {"memory_swap=", "memory_swappiness="} <= found


def test_a_signature_names_each_keyword_once() -> None:
    for method in (ContainerService.run, ContainerService.exec, Container.exec):
        names = list(inspect.signature(method).parameters)
        assert len(set(names)) == len(names)
        assert "flags" not in names
