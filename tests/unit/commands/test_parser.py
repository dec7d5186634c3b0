from __future__ import annotations

import inspect
import shlex
from dataclasses import fields

import pytest

from jupyter_containers.commands.grammar import GROUPS, VERBS, members, spellings
from jupyter_containers.commands.help import help_text
from jupyter_containers.commands.parser import parse
from jupyter_containers.commands.words import Call, Verb
from jupyter_containers.engine.services import service_class
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.options.build import BuildOptions


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("run -it i", {"interactive": True, "tty": True}),
        ("run -dit i", {"detach": True, "interactive": True, "tty": True}),
        ("run -p8000:80 i", {"publish": ["8000:80"]}),
        ("run -dp 8000:80 -p 1:1 i", {"detach": True, "publish": ["8000:80", "1:1"]}),
        ("run -m=32m i", {"memory": "32m"}),
        ("run -m 32m i", {"memory": "32m"}),
        ("run -m32m i", {"memory": "32m"}),
        ("run --name=x i", {"name": "x"}),
        ("run --name x i", {"name": "x"}),
        ("run --name= i", {"name": ""}),
        ("run --rm=false i", {"rm": False}),
        ("run -d=false i", {"detach": False}),
        ("run --rm --rm=0 i", {"rm": False}),
        ("run --net n i", {"network": ["n"]}),
        ("run -h box i", {"hostname": "box"}),
        ("run -e A=b=c -eX i", {"env": ["A=b=c", "X"]}),
        ("run --pids-limit -1 i", {"pids_limit": -1}),
        ("run --memory-swap -1 i", {"memory_swap": "-1"}),
        ("run -q i", {"quiet": True}),
        ("run -- i", {}),
        ("stop -t 3 i", {"timeout": 3}),
        ("stop --timeout=3 i", {"timeout": 3}),
        ("ps -aq", {"all": True, "quiet": True}),
        ("container ls -f status=exited", {"filters": ["status=exited"]}),
        ("logs --tail 5 -f i", {"tail": "5", "follow": True}),
        ("logs i -f", {"follow": True}),
        ("history -H=false i", {"human": False}),
    ],
)
def test_flags(line: str, flags: dict[str, object]) -> None:
    assert parse(line.split()).flags == flags


@pytest.mark.parametrize(
    ("line", "operands"),
    [
        ("run i", {"image": "i", "command": []}),
        ("run --rm i ls -l --rm", {"image": "i", "command": ["ls", "-l", "--rm"]}),
        ("run i -- x", {"image": "i", "command": ["--", "x"]}),
        ("run -- i -x", {"image": "i", "command": ["-x"]}),
        ("exec -it web sh -c x", {"name": "web", "command": ["sh", "-c", "x"]}),
        ("rm -f a b", {"names": ["a", "b"]}),
        ("rm a -f b", {"names": ["a", "b"]}),
        ("build -t x .", {"context": "."}),
        ("build", {"context": None}),
        ("build -", {"context": "-"}),
        ("stats", {"names": []}),
        ("rm -- -f", {"names": ["-f"]}),
    ],
)
def test_operands(line: str, operands: dict[str, object]) -> None:
    assert parse(line.split()).operands == operands


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("run --nam x i", "unknown flag: --nam", "--name"),
        ("run --zzz /dev/null i", "unknown flag: --zzz", "--help"),
        ("run -x i", "unknown shorthand flag: 'x' in -x", "--help"),
        ("run --name", "flag needs an argument: --name", "--help"),
        ("run -p", "flag needs an argument: -p, --publish", "--help"),
        ("run", "'run' requires at least 1 argument", "IMAGE [COMMAND] [ARG...]"),
        ("rename a", "'rename' requires 2 arguments", "NEW_NAME"),
        ("build a b", "'build' requires at most 1 argument", "PATH"),
        ("ps x", "'ps' accepts no arguments", "usage: ps"),
        ("run --rm=maybe i", "invalid argument 'maybe' for --rm", "true or false"),
        ("stop -t soon x", "invalid argument 'soon' for -t, --time", "whole number"),
        ("rum x", "unknown command: 'rum'", "run"),
        ("image lss", "unknown command: 'image lss'", "ls"),
        ("image zzz", "unknown command: 'image zzz'", "history, import"),
        ("docker run x", "unknown command: 'docker'", "omit the word"),
        ("compose attach web", "unknown command: 'compose attach'", "logs -f"),
        ("swarm init", "unknown command: 'swarm'", "no swarm here"),
        ("buildx create --use", "unknown command: 'buildx create'", "no builders"),
        ("-H tcp://h:1 ps", "unknown flag: -H", "no daemon"),
        ("run --it i", "unknown flag: --it", "did you mean -it?"),
        ("run -rm i", "unknown shorthand flag: 'r' in -rm", "did you mean --rm?"),
        ("run -name=x i", "unknown shorthand flag: 'n' in -name=x", "did you mean --name?"),
        ("build --memory 1g .", "unknown flag: --memory", "omit it"),
        ("ls", "unknown command: 'ls'", "ps lists containers"),
    ],
)
def test_mistakes(line: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse(line.split())
    assert caught.value.message == message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("group", "verb"),
    [
        ("container ls", "ps"),
        ("image ls", "images"),
        ("image rm", "rmi"),
        ("container run", "run"),
        ("container rm", "rm"),
        ("image build", "build"),
        ("system info", "info"),
    ],
)
def test_group_spelling_is_the_same_verb(group: str, verb: str) -> None:
    assert spellings()[group] is spellings()[verb]


def test_declaration_is_sound() -> None:
    names = [name for verb in VERBS for name in (verb.name, *verb.aliases)]
    assert len(names) == len(set(names))
    for verb in VERBS:
        long = [name for flag in verb.flags for name in (flag.name, *flag.aliases)]
        short = [flag.short for flag in verb.flags if flag.short]
        assert len(long) == len(set(long)), verb.name
        assert len(short) == len(set(short)), verb.name
    assert {name.split()[0] for name in names if " " in name} == set(GROUPS)
    assert all(members(group) for group in GROUPS)


def test_every_verb_has_examples_that_are_its_own() -> None:
    for verb in VERBS:
        assert verb.examples, verb.name
        for line, meaning in verb.examples:
            parsed = parse(shlex.split(line))
            assert parsed.verb is not None, line
            assert (parsed.verb.name, parsed.help) == (verb.name, False), line
            assert not meaning.endswith("."), line


def test_help_shows_examples_by_the_readers_program() -> None:
    told = help_text(parse(["stop", "--help"]), "%container")
    assert "Examples:\n  # asks it to end" in told
    assert "\n  %container stop -t 1 web db\n" in told


def test_every_handler_exists() -> None:
    from importlib import import_module

    for verb in VERBS:
        if isinstance(verb.handler, str):
            module, _, function = verb.handler.partition(":")
            found = import_module(f"jupyter_containers.commands.verbs.{module}")
            assert callable(getattr(found, function)), verb.name


PASSED_ON = [(verb, verb.handler) for verb in VERBS if isinstance(verb.handler, Call)]


@pytest.mark.parametrize(("verb", "call"), PASSED_ON, ids=lambda item: getattr(item, "name", ""))
def test_a_command_that_is_passed_on_fits_its_method(verb: Verb, call: Call) -> None:
    """Every operand and every flag of the command is an argument of the engine's method."""
    flags = {flag.key for flag in verb.flags} - ({"quiet"} if call.progress else set())
    more = {"emit"} if call.progress else set()
    operands = [operand.name for operand in verb.operands]
    assert not call.each or operands == [call.each]
    noun, _, name = call.method.partition(".")
    method = getattr(service_class(noun), name)
    inspect.signature(method).bind(None, *operands, **dict.fromkeys(flags | more))


_SPELT_OTHERWISE = {
    "labels": "label", "outputs": "output", "annotations": "annotation",
    "mounts": "mount", "tags": "tag", "build_args": "build_arg",
    "secrets": "secret", "health": "health_cmd",
    "build_contexts": "build_context", "files": "context_var",
}  # fmt: skip
_NOT_FLAGS = {"image", "command", "context", "dockerfile", "source_name", "place", "lines_above"}
_NOT_FLAGS |= {"networks", "leave_out"}


@pytest.mark.parametrize(
    ("verb", "options"), [("run", RunOptions), ("exec", ExecOptions), ("build", BuildOptions)]
)
def test_every_option_has_a_flag(verb: str, options: type) -> None:
    keys = {flag.key for flag in spellings()[verb].flags}
    names = getattr(options, "__struct_fields__", None) or [item.name for item in fields(options)]
    wanted = set(names) - _NOT_FLAGS
    assert {_SPELT_OTHERWISE.get(name, name) for name in wanted} <= keys


def test_create_has_the_flags_of_run_but_those_of_its_streams() -> None:
    run, create = spellings()["run"], spellings()["create"]
    more = {flag.name for flag in run.flags} - {flag.name for flag in create.flags}
    assert more == {"detach", "detach-keys", "sig-proxy"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "Management commands:"),
        ("--help", "Management commands:"),
        ("help", "bootstrap"),
        ("run --help", "-p, --publish list"),
        ("run -d --help", "Usage:  %container run [OPTIONS] IMAGE [COMMAND] [ARG...]"),
        ("help run", "-h, --hostname"),
        ("ps -h", "--no-trunc"),
        ("image", "history"),
        ("image --help", "Manage images"),
        ("help image ls", "--digests"),
    ],
)
def test_help(line: str, text: str) -> None:
    parsed = parse(line.split())
    assert parsed.help
    assert text in help_text(parsed, "%container")
