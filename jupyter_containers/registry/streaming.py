"""Sends a blob while it is still being made: its digest is known only at the end.

The pieces are sent as chunks of one upload session (OCI Distribution Specification 1.1, "Pushing a
blob in chunks").  Nothing is sent twice: the caller keeps the bytes, and sends the whole blob in
the ordinary way if a :class:`RegistryError` ends the stream.
"""

from __future__ import annotations

import re
from contextlib import suppress

from jupyter_containers.errors import ContainersError
from jupyter_containers.registry.endpoint import with_query
from jupyter_containers.registry.exchange import Exchange
from jupyter_containers.registry.transport import COMMIT_TIMEOUT, Request, Response

CHUNK_BYTES = 8 * 1024 * 1024
_OCTETS = {"Content-Type": "application/octet-stream"}


class BlobStream:
    """One upload session; used by one thread at a time."""

    def __init__(self, exchange: Exchange, repository: str) -> None:
        self._exchange = exchange
        self._scopes = (f"repository:{repository}:pull,push",)
        self._subject = f"upload to {repository}"
        self._pending = bytearray()
        self._sent = 0
        response = self._send(
            Request("POST", exchange.url(f"{repository}/blobs/uploads/")), (202,), repeatable=True
        )
        least = response.headers.get("OCI-Chunk-Min-Length", "").strip()
        known = re.fullmatch(r"[0-9]{1,9}", least)
        self._chunk = max(CHUNK_BYTES, int(least) if known else 0)
        self._session = exchange.located(response)

    def write(self, data: bytes) -> None:
        """Send bytes, joined into chunks."""
        self._pending += data
        while len(self._pending) >= self._chunk:
            self._patch(bytes(self._pending[: self._chunk]))
            del self._pending[: self._chunk]

    def finish(self, digest: str) -> None:
        """Send the rest and commit the blob under its digest."""
        if self._pending:
            self._patch(bytes(self._pending))
            self._pending.clear()
        url = with_query(self._session, [("digest", digest)])
        self._send(Request("PUT", url, _OCTETS, b"", COMMIT_TIMEOUT), (201, 204))

    def abandon(self) -> None:
        """Cancel the upload session; the registry would also expire it by itself."""
        with suppress(ContainersError):
            self._send(Request("DELETE", self._session, read_timeout=5.0), tuple(range(200, 600)))

    def _patch(self, data: bytes) -> None:
        headers = {**_OCTETS, "Content-Range": f"{self._sent}-{self._sent + len(data) - 1}"}
        request = Request("PATCH", self._session, headers, data, COMMIT_TIMEOUT)
        self._session = self._exchange.located(self._send(request, (202, 201, 204)))
        self._sent += len(data)

    def _send(self, request: Request, ok: tuple[int, ...], *, repeatable: bool = False) -> Response:
        response = self._exchange.send(
            request, scopes=self._scopes, ok=ok, subject=self._subject, repeatable=repeatable
        )
        response.close()
        return response
