"""The instructions of a Dockerfile as values: one frozen class each, nothing expanded yet.

Vocabulary: the *exec form* of a command is a JSON array, the *shell form* anything else. *Inline*
sources of ADD and COPY are heredocs.  ``interpret`` creates these values from nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_containers.build.parser import Heredoc
from jupyter_containers.errors import SourceLocation
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


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """Begins a stage on an image, an earlier stage, or ``scratch``."""

    image: str
    name: str
    platform: str


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    """Runs a command; ``mounts`` are the values of ``--mount`` as written."""

    command: Command
    heredocs: tuple[Heredoc, ...]
    mounts: tuple[str, ...]
    network: str
    security: str


@dataclass(frozen=True, slots=True)
class Copy(Instruction):
    """Copies files; ``sources`` are paths as written, ``inline`` documents to create."""

    sources: tuple[str, ...]
    inline: tuple[Heredoc, ...]
    destination: str
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Add(Copy):
    """A COPY that also unpacks local archives and fetches remote sources."""

    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


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
