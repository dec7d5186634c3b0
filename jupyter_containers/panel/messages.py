"""All messages of a connection; ``labextension/src/lab/protocol.ts`` is generated from this module.

Calls are tagged with ``do``, messages of the kernel with ``kind``.  Times are seconds since the
epoch, 0 if absent; sizes are bytes.  A change that an older page would misread increments
``VERSION``.
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
    """A port; ``url`` is its address for a browser, empty if there is none."""

    text: str
    url: str = ""


class ContainerItem(Struct, frozen=True):
    """A container; ``exit_code`` is -1 before its first end.

    ``status`` is the text of ``ps``, with ``{age}`` in place of the time since ``since``.
    ``project`` and ``service`` are those of a Compose file, empty for other containers; ``session``
    is the language of a session, ``any`` if the image chose it.
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
    session: str = ""


class ImageItem(Struct, frozen=True):
    """An image; without names it is dangling.  ``containers`` were created from it."""

    id: str
    names: list[str]
    created: float
    size: int
    containers: int


class VolumeItem(Struct, frozen=True):
    """A volume and the names of the containers that use it."""

    id: str
    driver: str
    mountpoint: str
    created: float
    containers: list[str]


class NetworkItem(Struct, frozen=True):
    """A network and the names of the containers in it; a ``fixed`` one always exists."""

    id: str
    name: str
    driver: str
    subnet: str
    internal: bool
    fixed: bool
    containers: list[str]


class BuildItem(Struct, frozen=True):
    """A build that has ended; ``source`` is the cell or file, ``place`` a cell's ID."""

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
    """The current usage of a container; ``memory_limit`` is 0 for none.

    ``cell`` is the first line of the cell that runs in this kernel's session.
    """

    id: str
    cpu: float
    memory: int
    memory_limit: int
    cell: str = ""


# Calls of a page.


class Watch(Struct, frozen=True, tag_field="do", tag="watch"):
    """The panel is visible or hidden: the usage of containers is measured only while it is visible.

    A visible page repeats this message every half minute.
    """

    visible: bool


class Act(Struct, frozen=True, tag_field="do", tag="act"):
    """Perform an action on a container; a removal is forced."""

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
    """Give an image another name."""

    image: str
    name: str


class Command(Struct, frozen=True, tag_field="do", tag="command"):
    """Execute a command line like ``%container``, and report its progress."""

    line: str


class Login(Struct, frozen=True, tag_field="do", tag="login"):
    """Check credentials with a registry (a name or address, empty for Docker Hub) and store them.

    They are not part of a command line, so that no message can contain them.
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
    """Return the objects that a prune would remove; with ``all`` also unused named ones."""

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
    """Upload a file to a folder of a container: the call's buffer is the part from ``offset`` on.

    The ``last`` part completes it; ``token`` is the page's ID of the upload.
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
    """Return the steps of a build, and why those that were not cached were not."""

    build: str


class Forecast(Struct, frozen=True, tag_field="do", tag="forecast"):
    """Return the steps of a cell's build: ``cached``, or ``wanted`` with a reason."""

    source: str
    place: str


class NotebookDockerfile(Struct, frozen=True, tag_field="do", tag="notebook_dockerfile"):
    """Return a Dockerfile that reproduces this kernel's environment around a notebook."""

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
    """A call and the number of its answer."""

    id: int
    call: Call


class ToView(Struct, frozen=True, tag_field="kind", tag="to_view"):
    """A message for a view's widget, in the widget's own format."""

    channel: int
    content: dict[str, Any]


class Farewell(Struct, frozen=True, tag_field="kind", tag="farewell"):
    """The page disconnects; the kernel closes the connection.

    JupyterLab deletes a comm's subshell together with the comm, so its own message that a comm was
    closed may never be read.
    """


FromPage: TypeAlias = Request | ToView | Farewell


class Hello(Struct, frozen=True):
    """The message with which a page opens a connection.

    ``left`` are the IDs of connections abandoned by the previous page in the same tab.
    """

    versions: list[int]
    left: list[str] = []


# Results of calls.


class Output(Struct, frozen=True):
    """The output of a command."""

    text: str


class PruneItem(Struct, frozen=True):
    """An object that would be removed."""

    name: str
    size: int


class PruneGroup(Struct, frozen=True):
    """Objects of one kind that would be removed, the largest first; ``size`` is the freed space."""

    name: str
    title: str
    items: list[PruneItem]
    size: int


class Pruned(Struct, frozen=True):
    """The number and size of the removed objects."""

    removed: int
    freed: int


class FileEntry(Struct, frozen=True):
    """An entry of a folder; ``target`` is that of a link."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int
    mode: str
    modified: float
    target: str = ""


class Listing(Struct, frozen=True):
    """The entries of a folder; ``left_out`` is the number of omitted ones."""

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
    """Completions that replace the last ``replaces`` characters."""

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
    """A step of a build; ``reason`` explains why it was not cached."""

    title: str
    outcome: str
    seconds: float
    reason: str


class Opened(Struct, frozen=True):
    """The channel of a view that was opened."""

    channel: int
    title: str


# The result of a call, if it has one.
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


# Messages of the kernel.


class Trouble(Struct, frozen=True):
    """An error: its class, its message in one line, and a hint."""

    name: str
    message: str
    hint: str = ""


class Welcome(Struct, frozen=True, tag_field="kind", tag="welcome"):
    """The connection is open; ``version`` is the common protocol version."""

    version: int
    engine: str
    store: str


class Refused(Struct, frozen=True, tag_field="kind", tag="refused"):
    """There is no common version, or no engine."""

    trouble: Trouble


class Answer(Struct, frozen=True, tag_field="kind", tag="answer"):
    """The result of a call."""

    id: int
    value: Any = None


class Failure(Struct, frozen=True, tag_field="kind", tag="failure"):
    """The error of a call."""

    id: int
    trouble: Trouble


class Progress(Struct, frozen=True, tag_field="kind", tag="progress"):
    """The progress of a call, in one line."""

    id: int
    text: str


Item: TypeAlias = ContainerItem | ImageItem | VolumeItem | NetworkItem | BuildItem | RegistryItem


class Changes(Struct, frozen=True, tag_field="kind", tag="changes"):
    """New and changed items of a section, and the IDs of removed ones."""

    section: Section
    put: list[Any]
    gone: list[str]
    whole: bool = False


class Used(Struct, frozen=True, tag_field="kind", tag="used"):
    """The current usage of the running containers."""

    usage: list[Usage]


class FromView(Struct, frozen=True, tag_field="kind", tag="from_view"):
    """A message from a view's widget for its page."""

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
