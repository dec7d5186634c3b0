"""Verbs that bring applications of Compose files up and down, and run commands in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.results import Text
from jupyter_containers.commands.session import Session, no_progress
from jupyter_containers.commands.verbs.attaching import lent, outcome, said_once, signals
from jupyter_containers.commands.verbs.listing import read_text
from jupyter_containers.commands.verbs.terminals import (
    execute_in_terminal,
    has_places,
    run_in_terminal,
)
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import ContainerFailedError, FlagError, UsageError
from jupyter_containers.events import EventSink
from jupyter_containers.lazy_modules import json

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.application import Application

_OF_PROJECT = ("files", "project", "profiles", "env_files", "folder", "progress", "quiet")
_CREATING = (
    *("build", "force_recreate", "no_build", "no_recreate", "pull", "quiet_pull"),
    *("remove_orphans", "no_deps", "renew_anon_volumes", "always_recreate_deps", "timeout"),
)
_FOREGROUND = (
    *("attach", "no_attach", "attach_dependencies", "abort_on_container_exit"),
    *("abort_on_container_failure", "exit_code_from"),
)


class ExitCode(Text):
    """Nothing to print, and the exit code of the command."""

    __slots__ = ("exit_status",)
    exit_status: int

    @classmethod
    def of(cls, code: int, text: str = "") -> ExitCode:
        """Return one."""
        found = cls(text)
        found.exit_status = code
        return found

    def _ipython_display_(self) -> None:
        """Show the text, if any; the output is displayed already."""
        if self:
            raise NotImplementedError  # IPython's signal for the usual display


def application(session: Session, parsed: Parsed) -> Application:
    """Return the application selected by the flags before the verb."""
    files = tuple(parsed.flag("files", ()))
    source: Any = list(files) or None
    if "-" in files or (not files and isinstance(session.stdin, bytes)):
        if len(files) > 1:
            raise UsageError("the input cannot be merged with files", hint="give one of them")
        source = read_text(session, "a Compose file") + "\n"
    env_files = parsed.flag("env_files")
    return session.engine.applications.compose(
        source,
        project=parsed.flag("project", ""),
        profiles=tuple(parsed.flag("profiles", ())),
        env_files=tuple(env_files) if env_files else None,
        folder=parsed.flag("folder", ""),
    )


def progress(session: Session, parsed: Parsed) -> AbstractContextManager[EventSink]:
    """Return the display for ``--progress``; without a terminal, lines like Compose's."""
    from jupyter_containers.commands.render.project import ProjectProgress

    form = parsed.flag("progress", "auto")
    if form not in ("auto", "tty", "plain", "json", "quiet"):
        raise FlagError(f'unsupported --progress value "{form}"')
    if form == "quiet" or parsed.flag("quiet"):
        return no_progress()
    bare = session.whole and not _is_terminal(2)
    if session.on_output is not None and (form in ("plain", "json") or (form == "auto" and bare)):
        return ProjectProgress(session.on_output, as_json=form == "json")
    return session.progress()


def _is_terminal(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(descriptor)
    return False


def _services(parsed: Parsed) -> tuple[str, ...]:
    return tuple(parsed.operands.get("services", ()))


def _given(parsed: Parsed, keys: Sequence[str]) -> dict[str, Any]:
    return {key: parsed.flags[key] for key in keys if key in parsed.flags}


def counts_of(texts: Sequence[str]) -> dict[str, int]:
    """Parse ``SERVICE=NUMBER``; return the numbers by service."""
    found = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if not equals or not number.isdecimal() or len(number) > 6:
            raise FlagError(f"invalid scale specifier: {text}", hint="write SERVICE=NUMBER")
        found[name] = int(number)
    return found


def _check_up(parsed: Parsed) -> None:
    """Raise for flags of ``up`` that exclude each other, in Compose's words."""
    flag = parsed.flag
    stays = ("abort_on_container_exit", "abort_on_container_failure", "attach")
    if flag("abort_on_container_exit") and flag("abort_on_container_failure"):
        raise UsageError(
            "--abort-on-container-failure cannot be combined with --abort-on-container-exit"
        )
    if flag("wait") and any(flag(key) for key in (*stays, "attach_dependencies")):
        raise UsageError(
            "--wait cannot be combined with --abort-on-container-exit, --attach or "
            "--attach-dependencies"
        )
    if flag("detach") and any(flag(key) for key in (*stays, "attach_dependencies", "watch")):
        raise UsageError(
            "--detach cannot be combined with --abort-on-container-exit, "
            "--abort-on-container-failure, --attach, --attach-dependencies or --watch"
        )


def up(session: Session, parsed: Parsed) -> Any:
    """Bring services up; in the foreground forward their output until they have ended."""
    _check_up(parsed)
    app, services = application(session, parsed), _services(parsed)
    flags = _given(parsed, _CREATING)
    flags["scale"] = counts_of(parsed.flag("scale", ()))
    rest = _given(parsed, ("no_start", "wait", "wait_timeout"))
    if parsed.flag("detach") or rest.get("no_start") or rest.get("wait"):
        with progress(session, parsed) as emit:
            app.up(*services, emit=emit, **rest, **flags)
        return None
    if parsed.flag("watch"):
        with progress(session, parsed) as emit:
            app.up(*services, emit=emit, **flags)
        return watch(session, parsed)
    with progress(session, parsed) as emit:
        code = app.foreground(
            *services,
            on_line=_printer(session, parsed, app),
            emit=emit,
            **_given(parsed, _FOREGROUND),
            **flags,
        )
    if code not in (0, 130) and not session.whole:
        raise ContainerFailedError(f"the application ended with code {code}", exit_code=code)
    return ExitCode.of(code)


def _printer(session: Session, parsed: Parsed, app: Application) -> Any:
    from jupyter_containers.commands.render.project import LinePrinter

    project = app.project(_services(parsed))
    return LinePrinter(
        session.on_output or _nowhere,
        [f"{service}-1" for service in project.services],
        colours=not parsed.flag("no_color") and (not session.whole or _is_terminal(1)),
        prefix=not parsed.flag("no_log_prefix"),
        timestamps=bool(parsed.flag("timestamps")),
    )


def _nowhere(stream: str, data: bytes) -> None:
    del stream, data


def create(session: Session, parsed: Parsed) -> None:
    """Create containers without starting them."""
    flags = _given(parsed, _CREATING)
    flags["scale"] = counts_of(parsed.flag("scale", ()))
    with progress(session, parsed) as emit:
        application(session, parsed).create(*_services(parsed), emit=emit, **flags)


def act(session: Session, parsed: Parsed) -> None:
    """Call the application's method with the verb's name, with the verb's own flags."""
    assert parsed.verb is not None
    method = parsed.verb.name.rpartition(" ")[2]
    flags = {key: value for key, value in parsed.flags.items() if key not in _OF_PROJECT}
    with progress(session, parsed) as emit:
        getattr(application(session, parsed), method)(*_services(parsed), emit=emit, **flags)


def remove(session: Session, parsed: Parsed) -> None:
    """Remove stopped containers after confirmation."""
    from jupyter_containers.events import warn

    app, services = application(session, parsed), _services(parsed)
    with progress(session, parsed) as emit:
        if parsed.flag("stop"):
            app.stop(*services, emit=emit)
        names = [one.name for one in app.removable(*services)]
        if not names:
            warn(emit, "No stopped containers")
            return
        text = f"Going to remove {', '.join(names)}"
        if parsed.flag("force"):
            if session.on_output is not None:
                session.on_output("stdout", f"{text}\n".encode())
        elif not session.confirm(f"{text}. Are you sure?"):
            return
        app.rm(*services, volumes=bool(parsed.flag("volumes")), emit=emit)


def scale(session: Session, parsed: Parsed) -> None:
    """Set the number of containers of services."""
    counts = counts_of(parsed.operands["counts"])
    with progress(session, parsed) as emit:
        application(session, parsed).scale(counts, emit=emit, **_given(parsed, ("no_deps",)))


def run(session: Session, parsed: Parsed) -> Any:
    """Run one command in a new container of a service; return its outcome."""
    from jupyter_containers.engine.applications.oneoff import RunWish
    from jupyter_containers.options.values import as_command, parse_labels

    entrypoint = parsed.flag("entrypoint")
    terminal = _wants_terminal(session, parsed)
    wish = RunWish(
        name=parsed.flag("name", ""),
        env=_environment(parsed),
        labels=parse_labels(parsed.flag("label", ())),
        volumes=tuple(parsed.flag("volume", ())),
        publish=tuple(parsed.flag("publish", ())),
        service_ports=bool(parsed.flag("service_ports")),
        use_aliases=bool(parsed.flag("use_aliases")),
        user=parsed.flag("user", ""),
        workdir=parsed.flag("workdir", ""),
        entrypoint=None if entrypoint is None else as_command(entrypoint),
        cap_add=tuple(parsed.flag("cap_add", ())),
        cap_drop=tuple(parsed.flag("cap_drop", ())),
        remove=bool(parsed.flag("rm")),
        detach=bool(parsed.flag("detach")),
        tty=terminal,
        interactive=terminal or bool(parsed.flag("interactive")),
    )
    app, service = application(session, parsed), parsed.operands["service"]
    command = parsed.operands["command"] or None
    more = _given(parsed, ("no_deps", "build", "pull", "remove_orphans"))
    if terminal and has_places(session):
        with progress(session, parsed) as emit:
            image, words, flags = app.prepared(service, command, wish=wish, emit=emit, **more)
        return run_in_terminal(session, image, words, flags)
    with progress(session, parsed) as emit:
        image, words, flags = app.prepared(service, command, wish=wish, emit=emit, **more)
    if wish.detach:
        return Text(session.engine.containers.run(image, words, **flags).id)  # type: ignore[union-attr]  # detached
    with (
        lent(session, _as_run(parsed, flags)) as streams,
        signals(session, flags),
        said_once(session),
    ):
        result = session.engine.containers.run(image, words, **streams, **flags)
    return outcome(session, result)


def _as_run(parsed: Parsed, flags: Mapping[str, Any]) -> Parsed:
    """Return the command with the terminal that the container has."""
    given = {key: bool(flags.get(key)) for key in ("tty", "interactive")}
    return Parsed(parsed.verb, {**parsed.flags, **given}, parsed.operands)


def _environment(parsed: Parsed) -> tuple[str, ...]:
    from jupyter_containers.options.values import parse_env

    return tuple(parse_env(parsed.flag("env", ()), os.environ))


def _wants_terminal(session: Session, parsed: Parsed) -> bool:
    """Return whether the process gets a terminal: on request, or if both ends are terminals."""
    if parsed.flag("no_tty") or parsed.flag("detach"):
        return False
    if parsed.flag("tty"):
        return True
    return session.whole and _is_terminal(0) and _is_terminal(1)


def execute(session: Session, parsed: Parsed) -> Any:
    """Run a command in a running container of a service; return its outcome."""
    app, service = application(session, parsed), parsed.operands["service"]
    command = parsed.operands["command"]
    if not command:
        raise UsageError("requires at least 2 args", hint="usage: compose exec SERVICE COMMAND")
    container = app.one(service, parsed.flag("index", 0))
    terminal = _wants_terminal(session, parsed)
    flags: dict[str, Any] = _given(parsed, ("detach", "privileged", "user", "workdir"))
    flags["env"] = _environment(parsed)
    if flags.get("detach"):
        session.engine.containers.exec(container.id, command, **flags)
        return None
    if terminal:
        flags |= {"tty": True, "interactive": True}
    elif parsed.flag("interactive") or (session.whole and not _is_terminal(0)):
        flags["interactive"] = True
    if terminal and has_places(session):
        return execute_in_terminal(session, container.name, command, flags)
    with lent(session, _as_run(parsed, flags)) as streams, said_once(session):
        result = session.engine.containers.exec(container.id, command, **streams, **flags)
    return outcome(session, result)


def wait(session: Session, parsed: Parsed) -> ExitCode:
    """Wait until a container exits; return its exit code."""
    app = application(session, parsed)
    codes = app.wait(*_services(parsed))
    name, code = next(iter(codes.items()))
    if parsed.flag("down_project"):
        with progress(session, parsed) as emit:
            app.down(emit=emit)
    return ExitCode.of(code, f'container "{name}" exited with status code {code}')


def copy(session: Session, parsed: Parsed) -> None:
    """Copy files between a container of a service and this machine."""
    flags = _given(parsed, ("archive", "follow_link", "index"))
    app = application(session, parsed)
    app.cp(
        parsed.operands["source"],
        parsed.operands["target"],
        stdin=session.stdin,
        stdout=session.binary_output,
        **flags,
    )


def build(session: Session, parsed: Parsed) -> None:
    """Build the images of services."""
    flags = _given(parsed, ("build_arg", "no_cache", "pull", "ssh", "with_dependencies"))
    app, services = application(session, parsed), _services(parsed)
    with progress(session, parsed) as emit:
        app.build(*services, emit=emit, **flags)
        if parsed.flag("push"):
            app.push(*services, emit=emit)


def watch(session: Session, parsed: Parsed) -> None:
    """Follow changes of files until the caller interrupts."""
    app, services = application(session, parsed), _services(parsed)
    with progress(session, parsed) as emit:
        if not parsed.flag("no_up") and not parsed.flag("watch"):
            app.up(*services, emit=emit, build=True)
        watcher = app.watch(*services, emit=emit, prune=parsed.flag("prune", True))
        for text in _lines(watcher):
            if session.on_output is not None:
                session.on_output("stdout", f"{text}\n".encode())


def _lines(watcher: Any) -> Iterator[str]:
    yield "Watch enabled"
    for change in watcher:
        yield str(change)


def version(session: Session, parsed: Parsed) -> Text:
    """Return the version of Compose that is followed."""
    del session
    from jupyter_containers.engine.applications.labels import COMPOSE_VERSION

    form = parsed.flag("format", "pretty")
    if parsed.flag("short"):
        return Text(COMPOSE_VERSION)
    if form == "json":
        return Text(json.dumps({"version": f"v{COMPOSE_VERSION}"}, separators=(",", ":")))
    return Text(f"Docker Compose version v{COMPOSE_VERSION}")
