"""A network as a picture: the host, the bridge, and the containers with addresses and ports.

The picture is an SVG in the page's colours, light or dark; without HTML it is lines of text.  The
value is still Docker's JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_containers.commands.render import drawing
from jupyter_containers.commands.render.results import PRE, Document, Showable
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import html

_WIDTH, _ROW, _TOP = 720, 58, 18
_BUS_X, _CARD_X, _CARD_W = 226, 268, 440
_MOST = 40
_ACCENT = "var(--jp-brand-color1,#1976d2)"
_OPEN = "var(--jp-success-color1,#388e3c)"
_SHUT = "var(--jp-warn-color1,#b7791f)"
_FONT = "var(--jp-ui-font-family,system-ui,sans-serif)"


@dataclass(frozen=True, slots=True)
class Member:
    """A running container in the picture; ``ports`` are in Docker's format."""

    name: str
    addresses: tuple[str, ...]
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """The drawing of one network."""

    name: str
    interface: str
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    internal: bool
    members: tuple[Member, ...]
    driver: str = "bridge"

    @classmethod
    def of(cls, document: dict[str, Any], ports: Mapping[str, Sequence[str]]) -> Picture:
        """Return the picture of a ``network inspect`` object; ``ports`` by container ID."""
        config = document["IPAM"]["Config"]
        members = [
            Member(
                item["Name"],
                tuple(
                    text.partition("/")[0]
                    for text in (item["IPv4Address"], item["IPv6Address"])
                    if text
                ),
                tuple(ports.get(container_id, ())),
            )
            for container_id, item in document["Containers"].items()
        ]
        return cls(
            name=document["Name"],
            interface=document["Options"].get("com.docker.network.bridge.name", ""),
            driver=document["Driver"],
            subnets=tuple(item["Subnet"] for item in config),
            gateways=tuple(item["Gateway"] for item in config if item.get("Gateway")),
            internal=document["Internal"],
            members=tuple(sorted(members, key=lambda member: member.name)),
        )

    def __str__(self) -> str:
        way = (
            self._way if self._shut or not self.gateways else f"gateway {', '.join(self.gateways)}"
        )
        words = [self.name, self.driver + f" {self.interface}".rstrip(), *self.subnets, way]
        lines = ["  ".join(words)]
        wide = max((len(member.name) for member in self.members), default=0)
        for number, member in enumerate(self.members):
            corner = "└─" if number == len(self.members) - 1 else "├─"
            words = [f"{corner} {member.name:<{wide}}", *member.addresses, *member.ports]
            lines.append("  ".join(words))
        if not self.members:
            lines.append("└─ no running container")
        return "\n".join(lines)

    def svg(self) -> str:
        """Return the picture as an SVG element."""
        shown = self.members[:_MOST]
        rows = max(1, len(shown)) + (len(self.members) > _MOST)
        height = _TOP * 2 + max(rows * _ROW, 118)
        middle = height / 2
        parts = [self._host(middle), self._bus(height)]
        offset = _TOP + (height - 2 * _TOP - rows * _ROW) / 2
        for number, member in enumerate(shown):
            parts.append(_card(member, offset + number * _ROW))
        if len(self.members) > _MOST:
            text = f"and {len(self.members) - _MOST} more"
            parts.append(
                drawing.words(_CARD_X, offset + rows * _ROW - 24, text, colour=drawing.DIM)
            )
        elif not shown:
            parts.append(
                drawing.words(_CARD_X, middle + 4, "no running container", colour=drawing.DIM)
            )
        title = html.escape(f"Network {self.name}")
        return (
            f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{title}" '
            f'style="width:100%;max-width:{_WIDTH}px;height:auto;font-family:{_FONT}" '
            f'xmlns="http://www.w3.org/2000/svg"><title>{title}</title>{"".join(parts)}</svg>'
        )

    @property
    def _shut(self) -> bool:
        return self.internal or self.driver == "null"

    @property
    def _way(self) -> str:
        if self._shut:
            return "no way out"
        return "the machine's own" if self.driver == "host" else "to the outside: NAT"

    def _host(self, middle: float) -> str:
        top = middle - 44
        way = self._way
        colour = _SHUT if self._shut else _OPEN
        dash = ' stroke-dasharray="4 4"' if self._shut else ""
        return (
            f'<line x1="168" y1="{middle:g}" x2="{_BUS_X}" y2="{middle:g}" stroke="{colour}" '
            f'stroke-width="2"{dash}/>'
            + _box(12, top, 156, 88)
            + drawing.words(24, top + 24, "this machine", bold=True)
            + "".join(
                drawing.words(24, top + 44 + 15 * number, text, code=True, size=10.5)
                for number, text in enumerate(self.gateways[:2])
            )
            + f'<circle cx="27" cy="{top + 72:g}" r="3.5" fill="{colour}"/>'
            + drawing.words(36, top + 76, way, colour=drawing.DIM, size=11)
        )

    def _bus(self, height: float) -> str:
        top, bottom = _TOP, height - _TOP
        x = _BUS_X
        shown = self.interface and self.interface != self.name
        label = f"{self.name} · {self.interface}" if shown else self.name
        return (
            f'<rect x="{x - 7}" y="{top}" width="14" height="{bottom - top:g}" rx="7" '
            f'fill="{_ACCENT}"/>'
            + drawing.words(x, 12, f"{label}  {'  '.join(self.subnets)}", size=11, anchor="middle")
        )


def _card(member: Member, top: float) -> str:
    middle, left, right = top + _ROW / 2, _CARD_X + 14, _CARD_X + _CARD_W - 14
    parts = [
        f'<line x1="{_BUS_X + 7}" y1="{middle:g}" x2="{_CARD_X}" y2="{middle:g}" '
        f'stroke="{drawing.LINE}" stroke-width="2"/>',
        _box(_CARD_X, top + 4, _CARD_W, _ROW - 8),
        drawing.words(left, middle - 4, drawing.short(member.name, 34), bold=True),
        drawing.words(left, middle + 13, "  ".join(member.addresses), code=True, size=11),
    ]
    if member.ports:
        more = len(member.ports) - 2
        shown = ", ".join(member.ports[:2]) + (f" +{more}" if more > 0 else "")
        parts.append(
            drawing.words(
                right, middle - 4, shown, code=True, size=11, anchor="end", colour=_ACCENT
            )
        )
    name = html.escape(member.name, quote=True)
    return f'<g data-member="{name}">{"".join(parts)}</g>'


def _box(x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" '
        f'fill="{drawing.FILL}" stroke="{drawing.LINE}"/>'
    )


class NetworkDocument(Showable, Document):
    """Descriptions of networks: a picture on a page, JSON in a terminal and as a value."""

    def __init__(self, found: list[dict[str, Any]], pictures: Sequence[Picture]) -> None:
        super().__init__(found)
        self.pictures = tuple(pictures)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's signature
        printer.text("\n\n".join(str(picture) for picture in self.pictures))

    def _repr_html_(self) -> str:
        pictures = "".join(f"<div>{picture.svg()}</div>" for picture in self.pictures)
        return (
            f'{pictures}<details style="color:{drawing.TEXT}"><summary>JSON</summary>'
            f'<pre style="{PRE}">{html.escape(str(self))}</pre></details>'
        )
