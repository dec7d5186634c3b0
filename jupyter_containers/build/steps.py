"""Instructions that change only the image's configuration.

:func:`apply` applies one instruction to a :class:`StageState`; those that change files (RUN, COPY,
ADD, and the folder of WORKDIR) belong to the executor.
"""

from __future__ import annotations

import posixpath
import re
import signal
from collections.abc import Callable, Mapping

from jupyter_containers.build import history
from jupyter_containers.build.checks import RELATIVE_WORKDIR, Finding
from jupyter_containers.build.expand import Expansion, ExpansionError, Lexer
from jupyter_containers.build.instructions import (
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    HealthcheckSetting,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from jupyter_containers.build.linting import undefined
from jupyter_containers.build.state import StageState
from jupyter_containers.errors import DockerfileSyntaxError, InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.image import clean_path
from jupyter_containers.options.values import parse_publish


@dataclass(slots=True)
class Expander:
    """Expands the words of one instruction with one snapshot of the variables."""

    instruction: Instruction
    lexer: Lexer
    variables: Mapping[str, str]
    declared: frozenset[str]
    findings: list[Finding] = field(default_factory=list)

    def __call__(self, text: str) -> str:
        """Return the expansion of one word."""
        return self._expand(self.lexer, text).text

    def words(self, text: str, *, quiet: bool = False) -> tuple[str, ...]:
        """Return the words of expanded ``text``; ``quiet`` reports no undefined variable."""
        return self._expand(self.lexer, text, quiet=quiet).words

    def document(self, text: str) -> str:
        """Return the contents of a heredoc, where quotes are ordinary characters."""
        return self._expand(Lexer(plain_quotes=True), text).text

    def _expand(self, lexer: Lexer, text: str, *, quiet: bool = False) -> Expansion:
        where = self.instruction.location
        try:
            expansion = lexer.expand(text, self.variables)
        except ExpansionError as error:
            raise DockerfileSyntaxError(
                f"{self.instruction.keyword}: failed to process {text[:80]!r} "
                f"at position {error.position}: {error.message}",
                location=where.at(text, error.position),
            ) from error
        missing = expansion.unset - self.declared
        if missing and not quiet:
            self.findings.extend(undefined(missing, {**self.variables}, where))
        return expansion


@dataclass(frozen=True, slots=True)
class BuildArguments:
    """Values from ``--build-arg`` and from the arguments before the first FROM."""

    given: Mapping[str, str]
    global_args: Mapping[str, str]


def apply(
    instruction: Instruction, state: StageState, expand: Expander, arguments: BuildArguments
) -> None:
    """Apply a configuration-only instruction to ``state``."""
    if isinstance(instruction, Arg):
        _arg(instruction, state, expand, arguments)
        return
    if type(instruction) in _VERBATIM:
        _VERBATIM[type(instruction)](instruction, state)
    else:
        _EXPANDING[type(instruction)](instruction, state, expand)


def is_config_only(instruction: Instruction) -> bool:
    """Return whether :func:`apply` executes the instruction."""
    return type(instruction) in (Arg, *_VERBATIM, *_EXPANDING)


def _arg(instruction: Arg, state: StageState, expand: Expander, arguments: BuildArguments) -> None:
    declared: list[tuple[str, str | None]] = []
    for written, default in instruction.pairs:
        name = expand(written)
        value: str | None
        if name in arguments.given:
            value = arguments.given[name]
        elif default is not None:
            value = expand(default)
        else:
            value = arguments.global_args.get(name)
        if value is None:
            value = state.args.get(name)
        else:
            state.overriding.add(name)
        state.args[name] = value
        declared.append((name, value))
        # Within one ARG, later defaults see earlier values.
        expand.variables = state.variables()
    state.history.append(history.entry(history.pairs("ARG", declared)))


def _env(instruction: Instruction, state: StageState, expand: Expander) -> None:
    assert isinstance(instruction, Env)
    pairs = [(expand(name), expand(value)) for name, value in instruction.pairs]
    values = state.env | dict(pairs)
    state.overriding.difference_update(name for name, _ in pairs)
    state.change(env=tuple(f"{name}={value}" for name, value in values.items()))
    state.history.append(history.entry(history.pairs("ENV", pairs)))


def _label(instruction: Instruction, state: StageState, expand: Expander) -> None:
    assert isinstance(instruction, Label)
    pairs = [(expand(name), expand(value)) for name, value in instruction.pairs]
    state.change(labels={**state.config.labels, **dict(pairs)})
    state.history.append(history.entry(history.pairs("LABEL", pairs)))


def command_vector(command: Command, state: StageState) -> tuple[str, ...]:
    """Return the argument vector of a command; a shell form uses the stage's shell."""
    return (*state.shell, *command.arguments) if command.shell else command.arguments


def _cmd(instruction: Instruction, state: StageState) -> None:
    assert isinstance(instruction, Cmd)
    vector = command_vector(instruction.command, state)
    state.change(cmd=vector)
    state.cmd_set = True
    state.history.append(history.entry(history.vector("CMD", vector)))


def _entrypoint(instruction: Instruction, state: StageState) -> None:
    assert isinstance(instruction, Entrypoint)
    vector = command_vector(instruction.command, state)
    state.change(entrypoint=vector)
    if not state.cmd_set:
        state.change(cmd=None)
    state.history.append(history.entry(history.vector("ENTRYPOINT", vector)))


def _shell(instruction: Instruction, state: StageState) -> None:
    assert isinstance(instruction, Shell)
    state.change(shell=instruction.arguments)
    state.history.append(history.entry(f"SHELL [{' '.join(instruction.arguments)}]"))


def _expose(instruction: Instruction, state: StageState, expand: Expander) -> None:
    assert isinstance(instruction, Expose)
    ports = [
        port
        for text in instruction.ports
        for word in expand.words(text, quiet=True)
        for port in _ports(word, instruction)
    ]
    exposed: dict[str, dict[str, object]] = {port: {} for port in ports}
    state.change(exposed_ports={**state.config.exposed_ports, **exposed})
    state.history.append(history.entry(history.exposed(ports)))


def _ports(word: str, instruction: Instruction) -> list[str]:
    number, slash, protocol = word.partition("/")
    known = "tcp" if protocol.lower() == "sctp" else protocol
    try:
        mappings = parse_publish(f"{number}{slash}{known}")
    except InvalidArgumentError as error:
        raise DockerfileSyntaxError(
            f"EXPOSE: invalid port {word!r}",
            location=instruction.location,
            hint="write 8000, 53/udp or 8000-8010",
        ) from error
    return [f"{mapping.container_port}/{protocol.lower() or 'tcp'}" for mapping in mappings]


def _volume(instruction: Instruction, state: StageState, expand: Expander) -> None:
    assert isinstance(instruction, Volume)
    paths = [expand(path) for path in instruction.paths]
    if not all(paths):
        raise DockerfileSyntaxError(
            "VOLUME: a volume can not be an empty string", location=instruction.location
        )
    volumes: dict[str, dict[str, object]] = {path: {} for path in paths}
    state.change(volumes={**state.config.volumes, **volumes})
    state.history.append(history.entry(f"VOLUME [{' '.join(paths)}]"))


def _user(instruction: Instruction, state: StageState, expand: Expander) -> None:
    assert isinstance(instruction, User)
    user = expand(instruction.text)
    state.change(user=user)
    state.history.append(history.entry(f"USER {user}"))


def set_workdir(instruction: Workdir, state: StageState, expand: Expander) -> str:
    """Set the image's working directory; return it, absolute and normalized.

    An absolute one stays in the image as written, ``/tmp/`` too, as in BuildKit.
    """
    text = expand(instruction.text)
    if not state.workdir_set and not text.startswith("/"):
        message = f'Relative workdir "{text}" can have unexpected results if the base image changes'
        expand.findings.append(Finding(RELATIVE_WORKDIR, message, instruction.location))
    state.workdir_set = True
    path = clean_path(posixpath.join("/", state.config.working_dir, text))
    state.change(working_dir=text if text.startswith("/") else path)
    return path


def _stop_signal(instruction: Instruction, state: StageState, expand: Expander) -> None:
    assert isinstance(instruction, StopSignal)
    name = expand(instruction.text)
    bare = name.upper().removeprefix("SIG")
    known = {one.name.removeprefix("SIG") for one in signal.Signals}
    real_time = re.fullmatch(r"RTM(?:IN(?:\+\d{1,2})?|AX(?:-\d{1,2})?)", bare)
    number = bare.isdecimal() and 1 <= int(bare[:4]) <= 64
    if not (number or real_time or bare in known):
        raise DockerfileSyntaxError(
            f"STOPSIGNAL: invalid signal {name!r}",
            location=instruction.location,
            hint="write a name such as SIGTERM, or a number",
        )
    state.change(stop_signal=name)
    state.history.append(history.entry(f"STOPSIGNAL {name}"))


def _maintainer(instruction: Instruction, state: StageState) -> None:
    assert isinstance(instruction, Maintainer)
    state.author = instruction.text
    state.history.append(history.entry(f"MAINTAINER {instruction.text}"))


def _onbuild(instruction: Instruction, state: StageState) -> None:
    assert isinstance(instruction, OnBuild)
    # As with BuildKit, a trigger leaves no history until it fires.
    state.change(on_build=(*state.config.on_build, instruction.text))


def _healthcheck(instruction: Instruction, state: StageState) -> None:
    assert isinstance(instruction, HealthcheckSetting)
    state.change(healthcheck=instruction.check)
    state.history.append(history.entry(history.healthcheck(instruction.check)))


_EXPANDING: dict[type[Instruction], Callable[[Instruction, StageState, Expander], None]] = {
    Env: _env,
    Expose: _expose,
    Label: _label,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
}
_VERBATIM: dict[type[Instruction], Callable[[Instruction, StageState], None]] = {
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    HealthcheckSetting: _healthcheck,
    Maintainer: _maintainer,
    OnBuild: _onbuild,
    Shell: _shell,
}
