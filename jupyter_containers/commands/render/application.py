"""Renders an application as a picture: services with state, health and ports, and dependencies.

The picture is one SVG in the page's own colours, light or dark.  An application of more than
:data:`MOST_DRAWN` services, and a place without HTML, has a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.commands.render import drawing, graph
from jupyter_containers.commands.render.links import Link, browsable
from jupyter_containers.commands.render.results import Plain, Showable
from jupyter_containers.commands.render.table import Column, Row, html_table, text_table
from jupyter_containers.lazy_modules import html

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.application import Application
    from jupyter_containers.engine.applications.status import ProjectStatus, ServiceStatus

Tone = Literal["good", "waiting", "bad", "off"]
MOST_DRAWN = 20
# Distinguishable on white and on black, also with red-green colour blindness.
COLOURS = (
    "#3b78d8",
    "#d9822b",
    "#1b8a6b",
    "#a651b5",
    "#c23b58",
    "#6b8e23",
    "#0b8fa8",
    "#8a6d3b",
)

_BOX_W, _BOX_H, _GAP_X, _GAP_Y, _EDGE = 216, 92, 56, 18, 12
_ACCENT = "var(--jp-content-link-color,#1976d2)"
_FONT = "var(--jp-ui-font-family,system-ui,sans-serif)"
_GOOD = "var(--jp-success-color1,#388e3c)"
_WAITING = "var(--jp-warn-color1,#b7791f)"
_BAD = "var(--jp-error-color1,#d32f2f)"
_CONDITIONS = {
    "service_started": "has started",
    "service_healthy": "is healthy",
    "service_completed_successfully": "has ended well",
}
_COLUMNS = (
    Column("service", "SERVICE"),
    Column("state", "STATE"),
    Column("ports", "PORTS"),
    Column("needs", "NEEDS"),
    Column("image", "IMAGE"),
)


def colour_of(services: Sequence[str], name: str) -> str:
    """Return the colour of a service, the same in the picture and in the log."""
    return COLOURS[sorted(services).index(name) % len(COLOURS)] if name in services else "#888888"


def words_of(service: ServiceStatus) -> str:
    """Return a service's state in a few words."""
    counted = [one for one in service.containers if not one.oneoff]
    if service.state == "missing":
        return "no container"
    if service.state == "exited":
        codes = {one.exit_code for one in counted}
        return f"exited ({', '.join(str(code) for code in sorted(map(_number, codes)))})"
    if service.state == "mixed":
        return f"{service.running} of {len(counted)} running"
    return f"{service.state}, {service.health}" if service.health else service.state


def tone_of(service: ServiceStatus) -> Tone:
    """Return whether a service is ``good``, ``waiting``, ``bad`` or ``off``."""
    counted = [one for one in service.containers if not one.oneoff]
    failed = any(one.state in ("exited", "dead") and one.exit_code for one in counted)
    if failed or service.health == "unhealthy":
        return "bad"
    if service.health == "starting" or service.state in ("mixed", "restarting", "paused"):
        return "waiting"
    return "good" if service.state == "running" else "off"


def ports_of(service: ServiceStatus, base: str) -> list[tuple[str, str]]:
    """Return each published port in few words, and where a browser may open it."""
    return list(dict.fromkeys(browsable(str(port), base) for port in service.ports))


def svg(status: ProjectStatus, base: str = "") -> str:
    """Return the picture of a project as an SVG element; ``base`` is that of the server's proxy."""
    services = {one.name: one for one in status.services}
    needs = {one.name: [item.service for item in one.depends_on] for one in status.services}
    places = graph.placed(needs)
    columns = 1 + max((x for x, _ in places.values()), default=0)
    rows = 1 + max((y for _, y in places.values()), default=0)
    width = 2 * _EDGE + columns * _BOX_W + (columns - 1) * _GAP_X
    height = 2 * _EDGE + rows * _BOX_H + (rows - 1) * _GAP_Y
    corners = {
        name: (_EDGE + x * (_BOX_W + _GAP_X), _top(y, _height(places, x), rows))
        for name, (x, y) in places.items()
    }
    parts = [
        _arrow(services[name], other, _route(corners, name, other))
        for name, other in graph.edges(needs)
    ]
    several = len({name for one in status.services for name in one.networks}) > 1
    names = list(services)
    for name, corner in corners.items():
        parts.append(_box(services[name], corner, colour_of(names, name), base, several))
    if not services:
        parts.append(drawing.words(_EDGE, 40, "no services", colour=drawing.DIM))
    title = html.escape(f"Application {status.name}", quote=True)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="group" aria-label="{title}" '
        f'style="width:100%;max-width:{width}px;height:auto;font-family:{_FONT}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _height(places: Mapping[str, tuple[int, int]], column: int) -> int:
    return sum(x == column for x, _ in places.values())


def _top(row: int, of: int, most: int) -> float:
    """Return the upper edge of a box; shorter columns stand in the middle."""
    step = _BOX_H + _GAP_Y
    return _EDGE + row * step + (most - of) * step / 2


def _route(corners: Mapping[str, tuple[float, float]], name: str, other: str) -> str:
    """Return the path of an edge; it leads around the boxes of columns in between."""
    (x1, y1), (x2, y2) = corners[name], corners[other]
    x1, y1, x2, y2 = x1 + _BOX_W, y1 + _BOX_H / 2, x2 - 7, y2 + _BOX_H / 2
    between = [(x, y) for x, y in corners.values() if x1 < x < x2 - _GAP_X]
    blocked = any(
        y - 4 < y1 + (y2 - y1) * (x + _BOX_W / 2 - x1) / (x2 - x1) < y + _BOX_H + 4
        for x, y in between
    )
    if not blocked:
        bend = (x2 - x1) / 2 if not between else _GAP_X / 2
        return f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    over = min(y for _, y in between) - _EDGE / 2 - 1
    under = max(y for _, y in between) + _BOX_H + _EDGE / 2 + 1
    way = over if abs(y1 - over) + abs(y2 - over) <= abs(y1 - under) + abs(y2 - under) else under
    first, last = min(x for x, _ in between), max(x for x, _ in between) + _BOX_W
    one, two = (first - x1) / 2, (x2 - last) / 2
    return (
        f"M{x1:g} {y1:g}C{x1 + one:g} {y1:g} {first - one:g} {way:g} {first:g} {way:g}"
        f"H{last:g}C{last + two:g} {way:g} {x2 - two:g} {y2:g} {x2:g} {y2:g}"
    )


def _arrow(service: ServiceStatus, other: str, route: str) -> str:
    needed = next(item for item in service.depends_on if item.service == other)
    dash = ' stroke-dasharray="5 4"' if needed.condition == "service_started" else ""
    words = f"{service.name} waits until {other} {_CONDITIONS.get(needed.condition, 'is there')}"
    x, y = route.rsplit(" ", 2)[1:]
    return (
        f"<g><title>{drawing.safe(words)}</title>"
        f'<path d="{route}" fill="none" stroke="{drawing.LINE}" stroke-width="1.6"{dash}/>'
        f'<path d="M{x} {y}m6 0l-8 -4.5v9z" fill="{drawing.LINE}"/></g>'
    )


def _box(
    service: ServiceStatus, corner: tuple[float, float], colour: str, base: str, several: bool
) -> str:
    x, y = corner
    left, right = x + 16, x + _BOX_W - 10
    tone = tone_of(service)
    shade = {"good": _GOOD, "waiting": _WAITING, "bad": _BAD, "off": "none"}[tone]
    dash = ' stroke-dasharray="5 4"' if service.state == "missing" else ""
    name = drawing.safe(service.name)
    count = f"{service.running}/{service.scale}" if service.scale != 1 else ""
    parts = [
        f'<rect x="{x:g}" y="{y:g}" width="{_BOX_W}" height="{_BOX_H}" rx="8" '
        f'fill="{drawing.FILL}" stroke="{drawing.LINE}"{dash}/>',
        f'<rect x="{x + 5:g}" y="{y + 10:g}" width="4" height="{_BOX_H - 20}" rx="2" '
        f'fill="{colour}"/>',
        drawing.words(left, y + 22, drawing.short(service.name, 22 if count else 26), bold=True),
        drawing.words(right, y + 22, count, anchor="end", colour=drawing.DIM, size=11),
        f'<circle cx="{left + 4:g}" cy="{y + 37:g}" r="3.5" fill="{shade}" '
        f'stroke="{drawing.DIM if tone == "off" else shade}"/>',
        drawing.words(left + 13, y + 41, drawing.short(_in_few_words(service), 18), size=11.5),
        f'<text x="{right:g}" y="{y + 41:g}" text-anchor="end" data-usage="{name}" '
        f'style="font-size:11px;fill:{drawing.DIM}"></text>',
        drawing.words(
            left, y + 60, drawing.short(service.image, 29), size=11, code=True, colour=drawing.DIM
        ),
        _ports(ports_of(service, base), left, y + 80),
    ]
    parts.append(_beside(service, right, y + 80, several, bool(service.ports)))
    orphan = "" if service.declared else ", not in the file"
    label = drawing.safe(f"{service.name}: {words_of(service)}{orphan}")
    return f'<g role="group" aria-label="{label}" data-service="{name}">{"".join(parts)}</g>'


def _ports(ports: Sequence[tuple[str, str]], x: float, y: float) -> str:
    shown, parts = ports[:2], []
    for text, url in shown:
        mark = drawing.words(
            x, y, text, size=11.5, code=True, colour=_ACCENT if url else drawing.TEXT
        )
        if url:
            href, hint = drawing.safe(url), drawing.safe(f"open {url}")
            mark = (
                f'<a href="{href}" target="_blank" rel="noopener" aria-label="{hint}" '
                f'style="text-decoration:underline">{mark}</a>'
            )
        parts.append(mark)
        x += 7.0 * len(text) + 10
    if len(ports) > 2:
        parts.append(drawing.words(x, y, f"+{len(ports) - 2}", size=11, colour=drawing.DIM))
    return "".join(parts)


def _beside(service: ServiceStatus, x: float, y: float, several: bool, narrow: bool) -> str:
    """Return volumes, and networks where there are several, at the lower right."""
    words = [f"volume {name}" for name in service.volumes[:1]]
    if len(service.volumes) > 1:
        words = [f"{len(service.volumes)} volumes"]
    if several and service.networks and not (narrow and words):
        words.append(", ".join(service.networks))
    text = drawing.short(" · ".join(words), 16 if narrow else 32)
    return drawing.words(x, y, text, size=10.5, colour=drawing.DIM, anchor="end")


def _in_few_words(service: ServiceStatus) -> str:
    """Return the state without repeating its health."""
    return service.health if service.state == "running" and service.health else words_of(service)


def _number(code: int | None) -> int:
    return code or 0


class ApplicationView(Showable, Plain):
    """An application in a notebook; ``application`` is the object itself."""

    def __init__(self, application: Application, status: ProjectStatus, base: str = "") -> None:
        self.application, self.status, self.base = application, status, base

    def rows(self) -> list[Row]:
        """Return the services as the rows of a table."""
        return [self._row(one) for one in self.status.services]

    def _row(self, service: ServiceStatus) -> Row:
        ports = ports_of(service, self.base)
        text = ", ".join(words for words, _ in ports)
        linked = Link(text, ports[0][1]) if len(ports) == 1 and ports[0][1] else text
        return {
            "service": service.name,
            "state": words_of(service),
            "ports": linked,
            "needs": ", ".join(item.service for item in service.depends_on),
            "image": service.image,
        }

    @property
    def summary(self) -> str:
        """The project's name and the status of its containers."""
        return f"{self.status.name}  {self.status.status_text or 'no containers'}"

    def __str__(self) -> str:
        return f"{self.summary}\n{text_table(_COLUMNS, self.rows())}"

    def _repr_html_(self) -> str:
        table = html_table(_COLUMNS, self.rows(), "no services")
        if len(self.status.services) > MOST_DRAWN or not self.status.services:
            return f"<div>{drawing.safe(self.summary)}</div>{table}"
        return (
            f"<div>{svg(self.status, self.base)}</div>"
            f'<details style="color:{drawing.TEXT}"><summary>{drawing.safe(self.summary)}</summary>'
            f"{table}</details>"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's signature
        printer.text(str(self))
