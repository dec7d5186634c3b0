"""All messages of a connection; ``labextension/src/lab/protocol.ts`` is made from this module.

Calls carry ``do``, what the kernel tells carries ``kind``.  Times are seconds since the epoch,
sizes bytes, an absent time is 0.  A change that an older page would misread raises ``VERSION``.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

VERSION = 2

Section = Literal["containers", "images", "volumes", "networks", "builds", "registries"]
Action = Literal["start", "stop", "restart", "pause", "unpause", "kill", "remove"]
ProjectAction = Literal["start", "stop", "restart", "down"]
ViewKind = Literal["logs", "terminal", "layers", "project_logs"]
ObjectKind = Literal["container", "image", "volume", "network"]
Language = Literal["dockerfile", "compose"]


class Port(Struct, frozen=True):
    """A port; ``url`` is where a browser may open it, empty where it cannot."""

    text: str
    url: str = ""


class ContainerItem(Struct, frozen=True):
    """A container; ``exit_code`` is -1 before its first end.

    ``status`` are the words of ``ps``, with ``{age}`` for the time since ``since`` where they age.
    ``project`` and ``service`` are those of a Compose file, empty for other containers.
    """

    id: str
    name: str
    image: str
    command: str
    state: str
    status: str
    since: float
    health: str
    created: float
    exit_code: int
    ports: list[Port]
    project: str = ""
    service: str = ""


class ImageItem(Struct, frozen=True):
    """An image; without names it is dangling.  ``containers`` are made of it."""

    id: str
    names: list[str]
    created: float
    size: int
    containers: int


class VolumeItem(Struct, frozen=True):
    """A volume and the names of the containers that have it."""

    id: str
    driver: str
    mountpoint: str
    created: float
    containers: list[str]


class NetworkItem(Struct, frozen=True):
    """A network and the names of the containers in it; a ``fixed`` one is always there."""

    id: str
    name: str
    driver: str
    subnet: str
    internal: bool
    fixed: bool
    containers: list[str]


class BuildItem(Struct, frozen=True):
    """A build that ended; ``source`` is the cell or file, ``place`` a cell's ID."""

    id: str
    name: str
    source: str
    place: str
    image: str
    started: float
    seconds: float
    steps: int
    cached: int
    outcome: str
    error: str


class RegistryItem(Struct, frozen=True):
    """A registry: one that runs here (in ``container``), one with ``credentials``, or both."""

    id: str
    container: str
    volume: str
    credentials: bool


class Usage(Struct, frozen=True):
    """What a container uses now; ``memory_limit`` is 0 for none."""

    id: str
    cpu: float
    memory: int
    memory_limit: int


# What a page calls.


class Watch(Struct, frozen=True, tag_field="do", tag="watch"):
    """The panel is seen, or no longer: what containers use is measured only for one who looks.

    A page that is seen says it again every half minute.
    """

    visible: bool


class Act(Struct, frozen=True, tag_field="do", tag="act"):
    """Do something with a container; a removal is forced."""

    action: Action
    id: str


class ActOnProject(Struct, frozen=True, tag_field="do", tag="act_on_project"):
    """Do something with all containers of a project; ``down`` removes them and its networks."""

    action: ProjectAction
    project: str


class Remove(Struct, frozen=True, tag_field="do", tag="remove"):
    """Remove an image (or one of its names), volume or network."""

    what: ObjectKind
    name: str
    force: bool = False


class Tag(Struct, frozen=True, tag_field="do", tag="tag"):
    """Give an image one more name."""

    image: str
    name: str


class Command(Struct, frozen=True, tag_field="do", tag="command"):
    """Carry out a line as ``%container`` does; progress is reported."""

    line: str


class Login(Struct, frozen=True, tag_field="do", tag="login"):
    """Check credentials against a registry (a name or address, empty for Docker Hub) and keep them.

    They are no part of a line, so that no message can show them.
    """

    registry: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.registry!r}, {self.username!r}, …)"


class Inspect(Struct, frozen=True, tag_field="do", tag="inspect"):
    """Return Docker's inspect document."""

    what: ObjectKind
    name: str


class PrunePreview(Struct, frozen=True, tag_field="do", tag="prune_preview"):
    """Return what a prune would remove; with ``all`` also what has a name and is unused."""

    all: bool


class Prune(Struct, frozen=True, tag_field="do", tag="prune"):
    """Remove the groups of a preview."""

    groups: list[str]
    all: bool


class Files(Struct, frozen=True, tag_field="do", tag="files"):
    """List a folder of a container."""

    container: str
    path: str


class Download(Struct, frozen=True, tag_field="do", tag="download"):
    """Return a file of a container, a folder as a tar, in the answer's buffer."""

    container: str
    path: str


class Upload(Struct, frozen=True, tag_field="do", tag="upload"):
    """Put a file into a folder of a container: the call's buffer is the part from ``offset`` on.

    The ``last`` part completes it; ``token`` is the page's name for the upload.
    """

    container: str
    folder: str
    name: str
    token: str
    offset: int
    last: bool


class Check(Struct, frozen=True, tag_field="do", tag="check"):
    """Return the mistakes in a Dockerfile or a Compose file.

    ``path`` is the file's, as JupyterLab names it; empty for a cell.
    """

    text: str
    language: Language = "dockerfile"
    path: str = ""


class Complete(Struct, frozen=True, tag_field="do", tag="complete"):
    """Return what may stand between two parts of a text."""

    before: str
    language: Language = "dockerfile"
    after: str = ""


class Describe(Struct, frozen=True, tag_field="do", tag="describe"):
    """Return what the key at a place in a Compose file means; line and column from 0."""

    text: str
    line: int
    column: int


class BuildSteps(Struct, frozen=True, tag_field="do", tag="build_steps"):
    """Return the steps of a build, with what came from the cache and why the rest did not."""

    build: str


class Forecast(Struct, frozen=True, tag_field="do", tag="forecast"):
    """Return the steps that a cell's build would have now: ``cached``, or ``wanted`` and why."""

    source: str
    place: str


class NotebookDockerfile(Struct, frozen=True, tag_field="do", tag="notebook_dockerfile"):
    """Return a Dockerfile that makes this kernel's environment anew around a notebook."""

    notebook: str


class OpenView(Struct, frozen=True, tag_field="do", tag="open_view"):
    """Open a view of a container, an image or a project."""

    view: ViewKind
    name: str


class CloseView(Struct, frozen=True, tag_field="do", tag="close_view"):
    """Close a view."""

    channel: int


Call: TypeAlias = (
    Watch
    | Act
    | ActOnProject
    | Remove
    | Tag
    | Command
    | Login
    | Inspect
    | PrunePreview
    | Prune
    | Files
    | Download
    | Upload
    | Check
    | Complete
    | Describe
    | BuildSteps
    | Forecast
    | NotebookDockerfile
    | OpenView
    | CloseView
)


class Request(Struct, frozen=True, tag_field="kind", tag="request"):
    """A call and the number under which its answer comes."""

    id: int
    call: Call


class ToView(Struct, frozen=True, tag_field="kind", tag="to_view"):
    """A message for a view's widget, in the widget's own words."""

    channel: int
    content: dict[str, Any]


class Farewell(Struct, frozen=True, tag_field="kind", tag="farewell"):
    """The page goes; the kernel closes the connection.

    JupyterLab deletes a comm's subshell with the comm: its own word that a comm is closed may find
    nobody who reads it.
    """


FromPage: TypeAlias = Request | ToView | Farewell


class Hello(Struct, frozen=True):
    """What a page says when it opens a connection.

    ``left`` are the IDs of connections that the page before it in the same tab has left.
    """

    versions: list[int]
    left: list[str] = []


# What calls return.


class Output(Struct, frozen=True):
    """What a command has to show."""

    text: str


class PruneItem(Struct, frozen=True):
    """A thing that would go."""

    name: str
    size: int


class PruneGroup(Struct, frozen=True):
    """Things of one kind that would go, the largest first; ``size`` is what that frees."""

    name: str
    title: str
    items: list[PruneItem]
    size: int


class Pruned(Struct, frozen=True):
    """How much was removed."""

    removed: int
    freed: int


class FileEntry(Struct, frozen=True):
    """An entry of a folder; ``target`` is where a link leads."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int
    mode: str
    modified: float
    target: str = ""


class Listing(Struct, frozen=True):
    """A folder; ``left_out`` entries were too many."""

    path: str
    entries: list[FileEntry]
    left_out: int


class Downloaded(Struct, frozen=True):
    """The name of the file in the answer's buffer."""

    name: str


class Squiggle(Struct, frozen=True):
    """A finding of a check, or an error; lines count from 1.

    ``column`` counts characters from 0 and has ``length``; without a length whole lines are meant.
    """

    rule: str
    message: str
    first_line: int
    last_line: int
    is_error: bool
    column: int = 0
    length: int = 0


class Completion(Struct, frozen=True):
    """What may take the place of the last ``replaces`` characters."""

    replaces: int
    matches: list[str]


class Description(Struct, frozen=True):
    """A key of a Compose file; ``forms`` are example lines, columns count characters from 0.

    Without a ``title`` there is nothing to say.
    """

    title: str
    words: str
    forms: list[str]
    first_column: int
    last_column: int


class Step(Struct, frozen=True):
    """A step of a build; ``reason`` says why it did not come from the cache."""

    title: str
    outcome: str
    seconds: float
    reason: str


class Opened(Struct, frozen=True):
    """The channel of a view that was opened."""

    channel: int
    title: str


# What a call returns, where that is more than nothing.
RETURNS: dict[type[Struct], Any] = {
    Command: Output,
    Login: Output,
    Inspect: Any,
    PrunePreview: list[PruneGroup],
    Prune: Pruned,
    Files: Listing,
    Download: Downloaded,
    Check: list[Squiggle],
    Complete: Completion,
    Describe: Description,
    BuildSteps: list[Step],
    Forecast: list[Step],
    NotebookDockerfile: Output,
    OpenView: Opened,
}


# What the kernel tells.


class Trouble(Struct, frozen=True):
    """An error as a value: its class, one line, and what helps."""

    name: str
    message: str
    hint: str = ""


class Welcome(Struct, frozen=True, tag_field="kind", tag="welcome"):
    """The connection is open; ``version`` is what both speak."""

    version: int
    engine: str
    store: str


class Refused(Struct, frozen=True, tag_field="kind", tag="refused"):
    """There is no common version, or no engine."""

    trouble: Trouble


class Answer(Struct, frozen=True, tag_field="kind", tag="answer"):
    """What a call returned."""

    id: int
    value: Any = None


class Failure(Struct, frozen=True, tag_field="kind", tag="failure"):
    """Why a call failed."""

    id: int
    trouble: Trouble


class Progress(Struct, frozen=True, tag_field="kind", tag="progress"):
    """How far a call is, in one line."""

    id: int
    text: str


Item: TypeAlias = ContainerItem | ImageItem | VolumeItem | NetworkItem | BuildItem | RegistryItem


class Changes(Struct, frozen=True, tag_field="kind", tag="changes"):
    """Items of a section that are new or different, and ids of those that have gone."""

    section: Section
    put: list[Any]
    gone: list[str]
    whole: bool = False


class Used(Struct, frozen=True, tag_field="kind", tag="used"):
    """What the running containers use now."""

    usage: list[Usage]


class FromView(Struct, frozen=True, tag_field="kind", tag="from_view"):
    """A message of a view's widget for its page."""

    channel: int
    content: dict[str, Any]


FromKernel: TypeAlias = Welcome | Refused | Answer | Failure | Progress | Changes | Used | FromView
ITEMS: dict[str, type[Struct]] = {
    "containers": ContainerItem,
    "images": ImageItem,
    "volumes": VolumeItem,
    "networks": NetworkItem,
    "builds": BuildItem,
    "registries": RegistryItem,
}
