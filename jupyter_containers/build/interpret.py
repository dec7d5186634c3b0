"""Nodes → typed instructions, arguments checked but not expanded.

An exec form that is not valid JSON is silently taken as a shell form, as the Dockerfile reference
says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jupyter_containers.build import arguments
from jupyter_containers.build.arguments import Flags
from jupyter_containers.build.flags import read_flags
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
    HealthcheckTimes,
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
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.image import Healthcheck
from jupyter_containers.options.values import parse_duration

_STAGE_NAME = pattern(r"[a-z][a-z0-9_.-]*", re.IGNORECASE)


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


def _no_flags(node: Node) -> None:
    """Raise if there is any flag."""
    Flags(node.flags, {})


def _from(node: Node) -> Instruction:
    flags = read_flags(From, "FROM", node.flags)
    parts = node.rest.split()
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1].lower() != "as"):
        comment = "; a comment is a line of its own" if "#" in node.rest else ""
        raise ValueError(
            f"requires either one argument, or three: FROM <image> [AS <name>]{comment}"
        )
    name = parts[2] if len(parts) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise ValueError(
            f"invalid name for a stage: {name!r}, it begins with a letter and goes on with "
            "letters, digits, '_', '.' or '-'"
        )
    return From(node.location, _source(node), image=parts[0], name=name.lower(), **flags)


def _command(node: Node) -> Command:
    array = arguments.json_array(node.rest)
    return Command((node.rest,), True) if array is None else Command(array, False)


def _run(node: Node) -> Instruction:
    flags = read_flags(Run, "RUN", node.flags)
    run = Run(
        node.location,
        _source(node),
        command=_command(node),
        heredocs=node.heredocs,
        **{name: value for name, value in flags.items() if value},
    )
    if run.network not in ("default", "none", "host"):
        raise ValueError(f"unsupported network mode {run.network!r}: one of default, none, host")
    if run.security not in ("sandbox", "insecure"):
        raise ValueError(f"security {run.security!r} is not valid: one of sandbox, insecure")
    if not run.command.arguments:
        raise ValueError("the exec form is empty")
    for mount in run.mounts:
        if "$" in mount_source(mount):
            raise ValueError("from of a mount takes no variables: name a stage FROM it instead")
    return run


def _copy(node: Node) -> Instruction:
    flags = read_flags(Copy, "COPY", node.flags)
    if "$" in flags.get("from_", ""):
        raise ValueError("--from takes no variables: name a stage with FROM and ARG instead")
    return Copy(node.location, _source(node), **_words(node), **flags)


def _add(node: Node) -> Instruction:
    flags = {"unpack": None} | read_flags(Add, "ADD", node.flags)
    return Add(node.location, _source(node), **_words(node), **flags)


def _words(node: Node) -> dict[str, Any]:
    """Return the sources and the destination of COPY or ADD."""
    array = arguments.json_array(node.rest)
    parts = tuple(node.rest.split()) if array is None else array
    if len(parts) < 2:
        raise ValueError("requires at least two arguments: one or more sources and a destination")
    *sources, destination = parts
    if array is None and is_heredoc_word(destination):
        raise ValueError("a heredoc can not be the destination")
    opened = [array is None and is_heredoc_word(source) for source in sources]
    paths = tuple(source for source, inline in zip(sources, opened, strict=True) if not inline)
    return {
        "sources": paths,
        "inline": node.heredocs if any(opened) else (),
        "destination": destination,
    }


def _env(node: Node) -> Instruction:
    _no_flags(node)
    pairs, old_form = arguments.pairs(node.rest, node.escape)
    return Env(node.location, _source(node), pairs, old_form)


def _label(node: Node) -> Instruction:
    _no_flags(node)
    pairs, old_form = arguments.pairs(node.rest, node.escape)
    return Label(node.location, _source(node), pairs, old_form)


def _arg(node: Node) -> Instruction:
    _no_flags(node)
    found: list[tuple[str, str | None]] = []
    for word in arguments.words(node.rest, node.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise ValueError("names can not be blank")
        found.append((name, value if equals else None))
    return Arg(node.location, _source(node), tuple(found))


def _cmd(node: Node) -> Instruction:
    _no_flags(node)
    return Cmd(node.location, _source(node), _command(node))


def _entrypoint(node: Node) -> Instruction:
    _no_flags(node)
    return Entrypoint(node.location, _source(node), _command(node))


def _shell(node: Node) -> Instruction:
    _no_flags(node)
    array = arguments.json_array(node.rest)
    if not array:
        raise ValueError('requires a JSON array: SHELL ["/bin/bash", "-c"]')
    return Shell(node.location, _source(node), array)


def _expose(node: Node) -> Instruction:
    _no_flags(node)
    # BuildKit sorts them, and so do history and the image's configuration.
    return Expose(node.location, _source(node), tuple(sorted(node.rest.split())))


def _volume(node: Node) -> Instruction:
    _no_flags(node)
    array = arguments.json_array(node.rest)
    paths = tuple(node.rest.split()) if array is None else array
    if not paths or not all(path.strip() for path in paths):
        raise ValueError("a volume can not be an empty string")
    return Volume(node.location, _source(node), tuple(path.strip() for path in paths))


def _text(kind: type[Text]) -> Callable[[Node], Instruction]:
    def maker(node: Node) -> Instruction:
        _no_flags(node)
        return kind(node.location, _source(node), node.rest)

    return maker


def _onbuild(node: Node) -> Instruction:
    _no_flags(node)
    text = "\n".join([node.rest, *(document.content + document.name for document in node.heredocs)])
    inner = parse_fragment(text, node.location, node.escape)
    if inner.keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        raise ValueError(f"{inner.keyword} isn't allowed as a trigger")
    make(inner)
    return OnBuild(node.location, _source(node), text)


def _healthcheck(node: Node) -> Instruction:
    times = HealthcheckTimes(**read_flags(HealthcheckTimes, "HEALTHCHECK", node.flags))
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
    retries = times.retries or "0"
    if not retries.isdecimal():
        raise ValueError(f"--retries must be a number of at least 0, not {retries!r}")
    check = Healthcheck(
        test=("CMD-SHELL", rest) if array is None else ("CMD", *array),
        interval=_nanoseconds(times.interval, "interval"),
        timeout=_nanoseconds(times.timeout, "timeout"),
        start_period=_nanoseconds(times.start_period, "start-period"),
        start_interval=_nanoseconds(times.start_interval, "start-interval"),
        retries=int(retries[:9]),
    )
    return HealthcheckSetting(node.location, _source(node), check)


def _nanoseconds(text: str, name: str) -> int:
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
