"""Sends one request to a student's web server, which may send anything, for ever, or nothing.

The whole exchange has one deadline and a maximum number of bytes; a redirect is followed only to
the same server.  Nothing else is contacted: no other port or machine, and no proxy.
"""

from __future__ import annotations

import codecs
import http.client
import socket
import time
import urllib.parse

from jupyter_containers.lazy_dataclasses import dataclass

_MOST_BYTES = 4 << 20
_MOST_HOPS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_LOOPBACK = ("127.0.0.1", "localhost")
# Characters that requests does not escape in a URL.
_SAFE = "!$%&'()*+,/:;=?@[]~"
# Python has codecs that take hours for a crafted text.
_CHARSETS = {
    codecs.lookup(name).name
    for name in (
        "utf-8", "utf-16", "ascii", "latin-1", "iso-8859-2", "iso-8859-15", "cp1250", "cp1251",
        "cp1252", "koi8-r", "gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr",
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's response: ``text`` is the beginning of a very long body.

    ``elsewhere`` is the target of a redirect that was not followed.
    """

    status: int
    text: str
    elsewhere: str = ""


def ask(port: int, path: str, seconds: float) -> Answer:
    """Return the response to a GET from the server at a port of this machine.

    Raises :class:`OSError` or :class:`http.client.HTTPException` without one within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    place = urllib.parse.quote(f"/{path.removeprefix('/')}".partition("#")[0], _SAFE)
    for _ in range(_MOST_HOPS):
        answer = _get(port, place, deadline)
        if not answer.elsewhere:
            return answer
        there = _place_here(port, place, answer.elsewhere)
        if there is None:
            return answer
        place = there
    return answer


def _get(port: int, place: str, deadline: float) -> Answer:
    with _Patient(deadline) as connection:
        connection.reach(("127.0.0.1", port))
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.sock = connection
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        client.request("GET", place, headers=headers)
        with client.getresponse() as response:
            data = response.read(_MOST_BYTES)
            location = response.headers.get("Location", "")
            elsewhere = location if response.status in _REDIRECTS else ""
            return Answer(response.status, _text(data, response), elsewhere)


def _place_here(port: int, place: str, location: str) -> str | None:
    """Return the path of a redirect to the same server; None for any other target."""
    try:
        url = urllib.parse.urlsplit(
            urllib.parse.urljoin(f"http://127.0.0.1:{port}{place}", location)
        )
        same = url.scheme == "http" and url.hostname in _LOOPBACK and (url.port or 80) == port
    except ValueError:
        return None
    if not same:
        return None
    query = f"?{url.query}" if url.query else ""
    return urllib.parse.quote(f"/{url.path.removeprefix('/')}{query}", _SAFE)


def _text(data: bytes, response: http.client.HTTPResponse) -> str:
    try:
        charset = codecs.lookup(response.headers.get_content_charset("utf-8")).name
    except (LookupError, ValueError):
        charset = "utf-8"
    return data.decode(charset if charset in _CHARSETS else "utf-8", "replace")


class _Patient(socket.socket):
    """A connection with one deadline for all steps, however slowly bytes arrive."""

    def __init__(self, deadline: float) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self._deadline = deadline

    def reach(self, address: tuple[str, int]) -> None:
        """Connect."""
        self._hurry()
        self.connect(address)

    def recv_into(self, *arguments: object, **named: object) -> int:
        """Receive as a socket does; raise :class:`TimeoutError` after the deadline."""
        self._hurry()
        return super().recv_into(*arguments, **named)  # type: ignore[arg-type]  # passed on

    def _hurry(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self.settimeout(left)
