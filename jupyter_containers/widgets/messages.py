"""All messages between widgets and their views.

Each carries ``kind``; what a view sends also carries its ID as ``view``, and what is for one view
only has that ID as ``to``.  Times are seconds since the epoch, sizes bytes.
``labextension/src/messages.ts`` is made from this module.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Natural: TypeAlias = Annotated[int, Meta(ge=0)]


# The life of every view.


class Ready(Struct, frozen=True, tag_field="kind", tag="ready"):
    """The view waits for ``hello``; it asks again until that comes."""


class Gone(Struct, frozen=True, tag_field="kind", tag="gone"):
    """The view's notebook was closed."""


class Cleared(Struct, frozen=True, tag_field="kind", tag="cleared"):
    """The view's output was cleared, or its cell removed."""


class Here(Struct, frozen=True, tag_field="kind", tag="here"):
    """The answer to ``who``."""


Life: TypeAlias = Ready | Gone | Cleared | Here


class Who(Struct, frozen=True, tag_field="kind", tag="who"):
    """Every view is to say that it is there."""


class Notice(Struct, frozen=True, tag_field="kind", tag="notice"):
    """An error in one line, empty for none any more; ``gone`` when what was shown is removed."""

    text: str
    gone: bool = False


# Screens: logs and terminals.


class ScreenState(Struct, frozen=True, tag_field="kind", tag="state"):
    """What a screen is, its state in a few words, and whether more may come."""

    title: str
    state: str
    running: bool
    closable: bool


class ScreenHello(ScreenState, frozen=True, tag_field="kind", tag="hello"):
    """The same for a new view; the buffer has what was written so far."""


class Output(Struct, frozen=True, tag_field="kind", tag="output"):
    """More was written: the buffer has it."""


class Resized(Struct, frozen=True, tag_field="kind", tag="size"):
    """The terminal has another size, which the view ``by`` asked for."""

    rows: int
    columns: int
    by: str


class Ack(Struct, frozen=True, tag_field="kind", tag="ack"):
    """So many bytes more are drawn."""

    bytes: Natural


class Close(Struct, frozen=True, tag_field="kind", tag="close"):
    """The reader closes the screen."""


class Input(Struct, frozen=True, tag_field="kind", tag="input"):
    """Keys were typed: the buffer has them."""


class Size(Struct, frozen=True, tag_field="kind", tag="size"):
    """The view has room for so much."""

    rows: Natural
    columns: Natural


class End(Struct, frozen=True, tag_field="kind", tag="end"):
    """The process is to end."""


LogsFromView: TypeAlias = Life | Ack | Close
LogsToView: TypeAlias = ScreenHello | ScreenState | Output | Who
TerminalFromView: TypeAlias = Life | Ack | Close | Input | Size | End
TerminalToView: TypeAlias = ScreenHello | ScreenState | Output | Resized | Who


# The dashboard.


class DashboardPort(Struct, frozen=True):
    """A port; ``url`` is where a browser may open it, empty where it cannot."""

    text: str
    url: str


class Row(Struct, frozen=True):
    """A container; ``cpu`` (percent) and ``memory`` are what it used, the oldest first."""

    id: str
    name: str
    image: str
    state: str
    status: str
    health: str
    ports: list[DashboardPort]
    cpu: list[float]
    memory: list[int]
    limit: int
    busy: str


class Rows(Struct, frozen=True, tag_field="kind", tag="rows"):
    """All containers."""

    rows: list[Row]


class DashboardHello(Rows, frozen=True, tag_field="kind", tag="hello"):
    """All containers, for a new view."""


class Act(Struct, frozen=True, tag_field="kind", tag="act"):
    """Do something with a container."""

    action: Literal["start", "stop", "restart", "remove", "logs", "terminal"]
    id: str


DashboardFromView: TypeAlias = Life | Act
DashboardToView: TypeAlias = DashboardHello | Rows | Notice | Who


# Statistics.


class SampledUsage(Struct, frozen=True):
    """What a container uses; rates are bytes a second, ``oom`` kills since the last sample."""

    id: str
    name: str
    cpu: float
    memory: int
    limit: int
    received: float
    sent: float
    read: float
    written: float
    pids: int
    oom: int


class Sample(Struct, frozen=True):
    """What was used at one moment."""

    time: float
    containers: list[SampledUsage]


class Samples(Struct, frozen=True, tag_field="kind", tag="samples"):
    """More samples, the oldest first."""

    samples: list[Sample]


class StatsHello(Samples, frozen=True, tag_field="kind", tag="hello"):
    """The samples of the last minutes, for a new view."""


StatsFromView: TypeAlias = Life
StatsToView: TypeAlias = StatsHello | Samples | Who


# The layers of an image.


class LayerLine(Struct, frozen=True):
    """A layer without its files; ``added``, ``changed`` and ``removed`` count them."""

    number: int
    words: str
    size: int
    wasted: int
    added: int
    changed: int
    removed: int


class WastedPath(Struct, frozen=True):
    """A path of which several layers have bytes that cannot be seen."""

    path: str
    size: int
    layers: int


class LayersHello(Struct, frozen=True, tag_field="kind", tag="hello"):
    """An image and its layers; of ``wasted_paths`` paths those with the most bytes."""

    name: str
    size: int
    efficiency: float
    wasted: int
    paths: list[WastedPath]
    wasted_paths: int
    layers: list[LayerLine]


class TreeEntry(Struct, frozen=True):
    """An entry of a folder; ``hidden`` bytes are those of what the layer removes.

    ``path`` is opaque (hexadecimal): names are bytes.  ``kind`` is empty for an unchanged folder.
    """

    name: str
    path: str
    kind: Literal["", "added", "changed", "removed"]
    folder: bool
    size: int
    hidden: int


class Entries(Struct, frozen=True, tag_field="kind", tag="entries"):
    """The entries of a folder from ``first`` on, of ``total``, as ``open`` asked for them."""

    layer: int
    path: str
    words: str
    entries: list[TreeEntry]
    first: int
    total: int


class Found(Struct, frozen=True, tag_field="kind", tag="found"):
    """How many files of each layer a search has found, by the layer's number."""

    words: str
    layers: dict[str, int]


class Open(Struct, frozen=True, tag_field="kind", tag="open"):
    """List a folder of a layer, from the entry ``first`` on; ``words`` are those of a search."""

    layer: Natural
    path: str = ""
    sort: Literal["name", "size"] = "name"
    words: str = ""
    first: Natural = 0


class Search(Struct, frozen=True, tag_field="kind", tag="search"):
    """Count the files whose path has these words."""

    words: str


LayersFromView: TypeAlias = Life | Open | Search
LayersToView: TypeAlias = LayersHello | Entries | Found | Who


# Networks.


class DrawnNetwork(Struct, frozen=True):
    """A network as a picture, and the names of its members."""

    name: str
    svg: str
    members: list[str]


class News(Struct, frozen=True):
    """Something that happened to a network."""

    time: float
    network: str
    text: str


class Drawn(Struct, frozen=True, tag_field="kind", tag="drawn"):
    """The networks, their inspect document, and what has happened, the oldest first."""

    networks: list[DrawnNetwork]
    json: str
    news: list[News]


class NetworkHello(Drawn, frozen=True, tag_field="kind", tag="hello"):
    """The same for a new view."""


NetworkFromView: TypeAlias = Life
NetworkToView: TypeAlias = NetworkHello | Drawn | Notice | Who


# A container, explained.


class ExplainedSection(Struct, frozen=True):
    """A mechanism: its lines are a fact and how it looks from inside and from outside."""

    title: str
    sentence: str
    lines: list[tuple[str, str, str]]


class Explained(Struct, frozen=True, tag_field="kind", tag="explained"):
    """What isolates a container."""

    name: str
    image: str
    running: bool
    sections: list[ExplainedSection]


class ExplainHello(Explained, frozen=True, tag_field="kind", tag="hello"):
    """The same for a new view."""


ExplainFromView: TypeAlias = Life
ExplainToView: TypeAlias = ExplainHello | Explained | Notice | Who


# An application.


class ServiceLine(Struct, frozen=True):
    """A service; ``tone`` is how good its state is, ``colour`` that of its lines in the log.

    ``cpu`` (percent) and ``memory`` are those of all its containers.
    """

    name: str
    words: str
    tone: Literal["good", "waiting", "bad", "off"]
    colour: str
    image: str
    ports: list[DashboardPort]
    needs: list[str]
    cpu: float
    memory: int


class ApplicationDrawn(Struct, frozen=True, tag_field="kind", tag="drawn"):
    """The services and their picture, which is empty for too many; ``busy`` is what is done."""

    name: str
    words: str
    svg: str
    services: list[ServiceLine]
    containers: int
    running: int
    busy: str


class ApplicationHello(ApplicationDrawn, frozen=True, tag_field="kind", tag="hello"):
    """The same for a new view."""


class ApplicationAct(Struct, frozen=True, tag_field="kind", tag="act"):
    """Do something with the application, or with one service of it."""

    action: Literal["start", "stop", "restart", "down", "logs"]
    service: str = ""


ApplicationFromView: TypeAlias = Life | ApplicationAct
ApplicationToView: TypeAlias = ApplicationHello | ApplicationDrawn | Notice | Who
