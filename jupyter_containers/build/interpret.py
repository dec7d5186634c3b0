"""Nodes → typed instructions, arguments checked but not expanded.

An exec form that is not valid JSON is silently taken as a shell form, as the Dockerfile reference
says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from jupyter_containers.build import arguments
from jupyter_containers.build.arguments import Flags
from jupyter_containers.build.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthcheckSetting,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    Text,
    User,
    Volume,
    Workdir,
)
from jupyter_containers.build.mounts import mount_source
from jupyter_containers.build.parser import Node, ParsedFile, is_heredoc_word, parse_fragment
from jupyter_containers.errors import DockerfileSyntaxError, InvalidArgumentError, SourceLocation
from jupyter_containers.oci.image import Healthcheck
from jupyter_containers.options.values import parse_duration

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*", re.IGNORECASE)


def typed(parsed: ParsedFile) -> tuple[Instruction, ...]:
    """Return the instructions of a file; raise :class:`DockerfileSyntaxError` at an error."""
    return tuple(make(node) for node in parsed.nodes)


def make(node: Node) -> Instruction:
    """Return the instruction in ``node``."""
    if not node.rest:
        raise DockerfileSyntaxError(
            f"{node.keyword} requires at least one argument", location=node.location
        )
    try:
        return _MAKERS[node.keyword](node)
    except DockerfileSyntaxError:
        raise
    except InvalidArgumentError as error:
        raise DockerfileSyntaxError(
            f"{node.keyword}: {error.message}", location=node.location, hint=error.hint
        ) from error
    except ValueError as error:
        where = node.location
        if isinstance(error, arguments.MisplacedError):
            where = where.at(error.word)
        raise DockerfileSyntaxError(f"{node.keyword}: {error}", location=where) from error


def trigger(text: str, location: SourceLocation) -> Instruction:
    """Return the instruction in an ONBUILD trigger."""
    return make(parse_fragment(text, location))


def _source(node: Node) -> str:
    return " ".join(filter(None, (node.keyword, *node.flags, " ".join(node.rest.split()))))


def _flags(node: Node, **known: str) -> Flags:
    return Flags(node.flags, {name.replace("_", "-"): kind for name, kind in known.items()})


def _from(node: Node) -> Instruction:
    flags = _flags(node, platform="one")
    parts = node.rest.split()
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1].lower() != "as"):
        raise ValueError("requires either one argument, or three: FROM <image> [AS <name>]")
    name = parts[2] if len(parts) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise ValueError(
            f"invalid name for a stage: {name!r}, it begins with a letter and goes on with "
            "letters, digits, '_', '.' or '-'"
        )
    return From(node.location, _source(node), parts[0], name.lower(), flags.one("platform"))


def _command(node: Node) -> Command:
    array = arguments.json_array(node.rest)
    return Command((node.rest,), True) if array is None else Command(array, False)


def _run(node: Node) -> Instruction:
    flags = _flags(node, mount="many", network="one", security="one")
    network, security = flags.one("network") or "default", flags.one("security") or "sandbox"
    if network not in ("default", "none", "host"):
        raise ValueError(f"unsupported network mode {network!r}: one of default, none, host")
    if security not in ("sandbox", "insecure"):
        raise ValueError(f"security {security!r} is not valid: one of sandbox, insecure")
    command = _command(node)
    if not command.arguments:
        raise ValueError("the exec form is empty")
    for mount in flags.many("mount"):
        if "$" in mount_source(mount):
            raise ValueError("from of a mount takes no variables: name a stage FROM it instead")
    return Run(
        node.location,
        _source(node),
        command,
        node.heredocs,
        flags.many("mount"),
        network,
        security,
    )


_CopyKind = TypeVar("_CopyKind", bound=Copy)
_COPY_FLAGS = {
    "from": "one",
    "chown": "one",
    "chmod": "one",
    "link": "switch",
    "parents": "switch",
    "exclude": "many",
}
_ADD_FLAGS = {"checksum": "one", "keep-git-dir": "switch", "unpack": "switch"}


def _copy(node: Node) -> Instruction:
    flags = Flags(node.flags, _COPY_FLAGS)
    return _copy_of(Copy, node, flags)


def _add(node: Node) -> Instruction:
    known = {name: kind for name, kind in _COPY_FLAGS.items() if name not in ("from", "parents")}
    flags = Flags(node.flags, known | _ADD_FLAGS)
    add = _copy_of(Add, node, flags)
    unpack = flags.switch("unpack") if flags.one("unpack") else None
    return replace(
        add,
        checksum=flags.one("checksum"),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=unpack,
    )


def _copy_of(kind: type[_CopyKind], node: Node, flags: Flags) -> _CopyKind:
    array = arguments.json_array(node.rest)
    parts = tuple(node.rest.split()) if array is None else array
    if len(parts) < 2:
        raise ValueError("requires at least two arguments: one or more sources and a destination")
    *sources, destination = parts
    if array is None and is_heredoc_word(destination):
        raise ValueError("a heredoc can not be the destination")
    if "$" in flags.one("from"):
        raise ValueError("--from takes no variables: name a stage with FROM and ARG instead")
    opened = [array is None and is_heredoc_word(source) for source in sources]
    paths = tuple(source for source, inline in zip(sources, opened, strict=True) if not inline)
    return kind(
        node.location,
        _source(node),
        paths,
        node.heredocs if any(opened) else (),
        destination,
        from_=flags.one("from"),
        chown=flags.one("chown"),
        chmod=flags.one("chmod"),
        link=flags.switch("link"),
        parents=flags.switch("parents"),
        exclude=flags.many("exclude"),
    )


def _env(node: Node) -> Instruction:
    _flags(node)
    pairs, old_form = arguments.pairs(node.rest, node.escape)
    return Env(node.location, _source(node), pairs, old_form)


def _label(node: Node) -> Instruction:
    _flags(node)
    pairs, old_form = arguments.pairs(node.rest, node.escape)
    return Label(node.location, _source(node), pairs, old_form)


def _arg(node: Node) -> Instruction:
    _flags(node)
    found: list[tuple[str, str | None]] = []
    for word in arguments.words(node.rest, node.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise ValueError("names can not be blank")
        found.append((name, value if equals else None))
    return Arg(node.location, _source(node), tuple(found))


def _cmd(node: Node) -> Instruction:
    _flags(node)
    return Cmd(node.location, _source(node), _command(node))


def _entrypoint(node: Node) -> Instruction:
    _flags(node)
    return Entrypoint(node.location, _source(node), _command(node))


def _shell(node: Node) -> Instruction:
    _flags(node)
    array = arguments.json_array(node.rest)
    if not array:
        raise ValueError('requires a JSON array: SHELL ["/bin/bash", "-c"]')
    return Shell(node.location, _source(node), array)


def _expose(node: Node) -> Instruction:
    _flags(node)
    # BuildKit sorts them, and so do history and the image's configuration.
    return Expose(node.location, _source(node), tuple(sorted(node.rest.split())))


def _volume(node: Node) -> Instruction:
    _flags(node)
    array = arguments.json_array(node.rest)
    paths = tuple(node.rest.split()) if array is None else array
    if not paths or not all(path.strip() for path in paths):
        raise ValueError("a volume can not be an empty string")
    return Volume(node.location, _source(node), tuple(path.strip() for path in paths))


def _text(kind: type[Text]) -> Callable[[Node], Instruction]:
    def maker(node: Node) -> Instruction:
        _flags(node)
        return kind(node.location, _source(node), node.rest)

    return maker


def _onbuild(node: Node) -> Instruction:
    _flags(node)
    text = "\n".join([node.rest, *(document.content + document.name for document in node.heredocs)])
    inner = parse_fragment(text, node.location, node.escape)
    if inner.keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        raise ValueError(f"{inner.keyword} isn't allowed as a trigger")
    make(inner)
    return OnBuild(node.location, _source(node), text)


def _healthcheck(node: Node) -> Instruction:
    flags = _flags(
        node, interval="one", timeout="one", start_period="one", start_interval="one", retries="one"
    )
    kind, _, rest = node.rest.partition(" ")
    rest = rest.strip()
    if kind.upper() == "NONE":
        if rest or node.flags:
            raise ValueError("NONE takes no arguments")
        return HealthcheckSetting(node.location, _source(node), Healthcheck(test=("NONE",)))
    if kind.upper() != "CMD":
        raise ValueError(f"unknown type {kind!r}: one of CMD, NONE")
    array = arguments.json_array(rest)
    if not rest or array == ():
        raise ValueError("missing command after HEALTHCHECK CMD")
    retries = flags.one("retries") or "0"
    if not retries.isdecimal():
        raise ValueError(f"--retries must be a number of at least 0, not {retries!r}")
    check = Healthcheck(
        test=("CMD-SHELL", rest) if array is None else ("CMD", *array),
        interval=_nanoseconds(flags, "interval"),
        timeout=_nanoseconds(flags, "timeout"),
        start_period=_nanoseconds(flags, "start-period"),
        start_interval=_nanoseconds(flags, "start-interval"),
        retries=int(retries[:9]),
    )
    return HealthcheckSetting(node.location, _source(node), check)


def _nanoseconds(flags: Flags, name: str) -> int:
    text = flags.one(name)
    if not text:
        return 0
    if text != "0" and not text[-1:].isalpha():
        raise ValueError(f"--{name}: missing unit in duration {text!r}, write {text}s")
    value = round(parse_duration(text, f"--{name}") * 1e9)
    if 0 < value < 1_000_000:
        raise ValueError(f"--{name}: {text!r} is less than 1ms")
    return value


_MAKERS: dict[str, Callable[[Node], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _text(Maintainer),
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _text(StopSignal),
    "USER": _text(User),
    "VOLUME": _volume,
    "WORKDIR": _text(Workdir),
}
