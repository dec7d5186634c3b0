"""The instructions of a Dockerfile as values: one frozen class each, nothing expanded yet.

Vocabulary: the *exec form* of a command is a JSON array, the *shell form* anything else. *Inline*
sources of ADD and COPY are heredocs.  ``interpret`` creates these values from nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from jupyter_containers.build.flags import InstructionFlag, flags_of
from jupyter_containers.build.parser import Heredoc
from jupyter_containers.errors import SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.image import Healthcheck


@dataclass(frozen=True, slots=True)
class Instruction:
    """The base of all instructions: their location and their text as written."""

    location: SourceLocation
    source: str

    @property
    def keyword(self) -> str:
        """The instruction's keyword, in capitals."""
        return self.source.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: an argument vector (exec form) or one text for a shell."""

    arguments: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """Begins a stage on an image, an earlier stage, or ``scratch``."""

    image: str
    name: str = ""
    platform: Annotated[
        str, InstructionFlag(help="Platform of the image: os/arch[/variant]", effect="platform")
    ] = ""


def _one(value: str) -> tuple[str]:
    return (value,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """Runs a command; ``mounts`` are the values of ``--mount`` as written."""

    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: Annotated[
        tuple[str, ...],
        InstructionFlag(
            help="Mount files for this step only: type=bind, cache, secret, ssh or tmpfs",
            kind="many",
            name="mount",
            part="mounts",
            spelled=tuple,
            always=True,
            begins="--mount=type=",
        ),
    ] = ()
    network: Annotated[
        str,
        InstructionFlag(
            help="Network of the step: default, none or host",
            part="network",
            spelled=_one,
            always=True,
        ),
    ] = "default"
    security: Annotated[
        str,
        InstructionFlag(
            help="Privileges of the step: sandbox or insecure",
            part="security",
            spelled=_one,
            always=True,
        ),
    ] = "sandbox"


def _patterns(values: tuple[str, ...]) -> Iterator[str]:
    # Bare, as caches store them; one that looks like a flag must not be parsed as one.
    for value in values:
        yield f"--exclude={value}" if value.startswith("--") else value


_ONLY_COPY, _ONLY_ADD = ("COPY",), ("ADD",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """Copies files; ``sources`` are paths as written, ``inline`` documents to create.

    The order of the flags is their order in the cache key.
    """

    sources: tuple[str, ...]
    destination: str
    inline: tuple[Heredoc, ...] = ()
    from_: Annotated[
        str,
        InstructionFlag(
            help="Copy from a stage, an image or a named context",
            of=_ONLY_COPY,
            effect="sources",
        ),
    ] = ""
    chown: Annotated[
        str,
        InstructionFlag(
            help="Owner of the copied files: user[:group]", expand=True, in_history=True
        ),
    ] = ""
    chmod: Annotated[
        str,
        InstructionFlag(
            help="Mode of the copied files: 755 or u=rwX,go=rX", expand=True, in_history=True
        ),
    ] = ""
    link: Annotated[
        bool,
        InstructionFlag(
            help="Make a layer that does not depend on those below",
            kind="switch",
            effect="parent",
        ),
    ] = False
    exclude: Annotated[
        tuple[str, ...],
        InstructionFlag(
            help="Leave out files that match a pattern", kind="many", expand=True, spelled=_patterns
        ),
    ] = ()
    unpack: Annotated[
        bool | None,
        InstructionFlag(
            help="Unpack archives, downloaded ones too; false: not even local ones",
            kind="switch",
            of=_ONLY_ADD,
            spelled=lambda value: (str(value),),
            always=True,
        ),
    ] = False
    parents: Annotated[
        bool,
        InstructionFlag(
            help="Keep the folders above each source",
            kind="switch",
            of=_ONLY_COPY,
            spelled=lambda value: ("parents",) if value else (),
        ),
    ] = False
    checksum: Annotated[
        str,
        InstructionFlag(
            help="Digest of the download: sha256:…", of=_ONLY_ADD, expand=True, effect="sources"
        ),
    ] = ""
    keep_git_dir: Annotated[
        bool,
        InstructionFlag(help="Keep the .git folder of a repository", kind="switch", of=_ONLY_ADD),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Copy):
    """A COPY that also unpacks local archives and fetches remote sources.

    ``unpack`` None unpacks local archives only.
    """


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """Sets variables of the image."""

    pairs: tuple[tuple[str, str], ...]
    old_form: bool = False


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    """Sets labels of the image."""

    pairs: tuple[tuple[str, str], ...]
    old_form: bool = False


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    """Declares build arguments; a value of None means no default."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    """Sets the default command."""

    command: Command


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    """Sets the entrypoint."""

    command: Command


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    """Sets the shell of later shell forms."""

    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """Documents ports."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    """Marks mount points."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text(Instruction):
    """An instruction whose argument is one text."""

    text: str


@dataclass(frozen=True, slots=True)
class User(Text):
    """Sets the user."""


@dataclass(frozen=True, slots=True)
class Workdir(Text):
    """Sets (and creates) the working directory."""


@dataclass(frozen=True, slots=True)
class StopSignal(Text):
    """Sets the signal that stops containers."""


@dataclass(frozen=True, slots=True)
class Maintainer(Text):
    """Sets the author (deprecated)."""


@dataclass(frozen=True, slots=True)
class OnBuild(Text):
    """Stores an instruction for images built from this one."""


@dataclass(frozen=True, slots=True)
class HealthcheckSetting(Instruction):
    """Sets or disables the health check."""

    check: Healthcheck


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthcheckTimes:
    """The flags of HEALTHCHECK as written."""

    interval: Annotated[
        str, InstructionFlag(help="Time between two checks: 30s", effect="configuration")
    ] = ""
    timeout: Annotated[
        str, InstructionFlag(help="Time that one check may take: 30s", effect="configuration")
    ] = ""
    start_period: Annotated[
        str,
        InstructionFlag(help="Time in which failures do not count: 0s", effect="configuration"),
    ] = ""
    start_interval: Annotated[
        str,
        InstructionFlag(help="Time between checks in the start period", effect="configuration"),
    ] = ""
    retries: Annotated[
        str,
        InstructionFlag(help="Failures in a row that mean unhealthy: 3", effect="configuration"),
    ] = ""


FLAGS: Mapping[str, tuple[InstructionFlag, ...]] = {
    "ADD": flags_of(Add, "ADD"),
    "COPY": flags_of(Copy, "COPY"),
    "FROM": flags_of(From, "FROM"),
    "HEALTHCHECK": flags_of(HealthcheckTimes, "HEALTHCHECK"),
    "RUN": flags_of(Run, "RUN"),
}
"""The flags of each instruction that has any."""
