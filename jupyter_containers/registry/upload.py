"""Pushes a blob: found in the repository, mounted from another one, or uploaded.

Vocabulary: an *upload session* is a URL that the registry returns for one upload; it changes with
each request.  A *monolithic* upload sends the whole blob in one request, a *chunked* one in
several, each with its range (``a-b``, both inclusive).

Follows OCI Distribution Specification 1.1, "Pushing blobs" and "Mounting a blob from another
repository".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Literal

from jupyter_containers.errors import (
    ContainersError,
    DeniedError,
    DigestMismatchError,
    OperationCancelledError,
    RegistryError,
    SizeMismatchError,
    TooManyRequestsError,
    UnauthorizedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import Descriptor, short_id
from jupyter_containers.registry.endpoint import with_query
from jupyter_containers.registry.exchange import Exchange
from jupyter_containers.registry.transport import (
    COMMIT_TIMEOUT,
    ConnectionFailedError,
    Request,
    Response,
)

PushOutcome = Literal["exists", "mounted", "uploaded"]
Progress = Callable[[int], None]
OpenBlob = Callable[[], BinaryIO]

PIECE_BYTES = 1024 * 1024
CHUNK_BYTES = 32 * 1024 * 1024
SMALLEST_CHUNK = 64 * 1024
MOUNT_ATTEMPTS = 3
SESSION_ATTEMPTS = 3
FRUITLESS_ATTEMPTS = 4
# Statuses of registries that do not accept a blob in one request.
_NOT_AT_ONCE = (405, 411, 413, 415, 416, 501)
_OCTETS = {"Content-Type": "application/octet-stream"}


def ignore_progress(sent: int) -> None:
    """Ignore the number of bytes sent."""


class FileBody:
    """A part of a file as a request body of known length; each iteration reopens the file.

    ``progress`` is called with the number of bytes of the whole blob handed over so far.
    """

    def __init__(
        self,
        open_blob: OpenBlob,
        start: int,
        length: int,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken,
    ) -> None:
        self._open = open_blob
        self._start = start
        self._length = length
        self._progress = progress
        self._cancel = cancel

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(PIECE_BYTES, self._length)))
        position, end = self._start, self._start + self._length
        with self._open() as stream:
            if position:
                stream.seek(position)
            while position < end:
                self._cancel.check()
                size = stream.readinto(buffer[: end - position])  # type: ignore[attr-defined]  # every binary file has it; typing.BinaryIO does not say so
                if not size:
                    raise SizeMismatchError(f"the blob ended after {position} of {end} bytes")
                yield buffer[:size]
                position += size
                self._progress(position)


class BlobUpload:
    """The push of one blob to one repository; used once, by one thread."""

    def __init__(
        self,
        exchange: Exchange,
        repository: str,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken,
        pause: float = 0.3,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._exchange = exchange
        self._repository = repository
        self._descriptor = descriptor
        self._open = open_blob
        self._progress = progress
        self._cancel = cancel
        self._pause = pause
        self._chunk = chunk_bytes
        self._least = SMALLEST_CHUNK
        self._scopes = (f"repository:{repository}:pull,push",)
        self._subject = f"upload of {short_id(descriptor.digest)} to {repository}"

    def push(self, mount_from: Sequence[str] = ()) -> PushOutcome:
        """Push the blob unless it is there; return how it got there.

        Raises :class:`RegistryError` and :class:`DigestMismatchError` (the registry computed
        another digest).
        """
        if self.exists():
            return "exists"
        session: str | None = None
        for source in [s for s in mount_from if s != self._repository][:MOUNT_ATTEMPTS]:
            if session is not None:
                self._abandon(session)
            session = self.mount(source)
            if session == "":
                return "mounted"
        self._upload(session)
        return "uploaded"

    def exists(self) -> bool:
        """Return whether the repository already has the blob."""
        url = self._exchange.url(f"{self._repository}/blobs/{self._descriptor.digest}")
        response = self._exchange.send(
            Request("HEAD", url), scopes=self._scopes, ok=(200, 404), subject=self._subject
        )
        response.close()
        return response.status == 200

    def mount(self, source: str) -> str | None:
        """Mount the blob of another repository; return an empty text if that worked.

        Otherwise return the session to upload it with, or None if the registry gave none.
        """
        query = [("mount", self._descriptor.digest), ("from", source)]
        url = with_query(self._exchange.url(f"{self._repository}/blobs/uploads/"), query)
        scopes = (*self._scopes, f"repository:{source}:pull")
        try:
            response = self._exchange.send(
                Request("POST", url),
                scopes=scopes,
                ok=(201, 202),
                subject=self._subject,
                repeatable=True,
            )
        except (OperationCancelledError, ConnectionFailedError, TooManyRequestsError):
            raise
        except RegistryError:
            # No permission to read there, or no mounting at all: upload in the ordinary way.
            return None
        response.close()
        if response.status == 201:
            return ""
        return self._session(response)

    def mount_only(self, source: str) -> bool:
        """Mount the blob of another repository; cancel the session if one is offered instead."""
        session = self.mount(source)
        if session:
            self._abandon(session)
        return session == ""

    def _upload(self, session: str | None) -> None:
        """Upload in one request; if the connection fails or the registry refuses, in chunks."""
        at_once = True
        for attempt in range(1, SESSION_ATTEMPTS + 1):
            if session is None:
                session = self._begin()
            try:
                if at_once:
                    self._put_whole(session)
                else:
                    self._put_chunks(session)
                return
            except (UnauthorizedError, DeniedError, TooManyRequestsError):
                self._abandon(session)
                raise
            except RegistryError as error:
                self._cancel.check()
                self._abandon(session)
                lost = isinstance(error, ConnectionFailedError) or error.status >= 500
                refused = at_once and error.status in _NOT_AT_ONCE
                expired = error.status == 404 and not at_once
                if attempt == SESSION_ATTEMPTS or not (lost or refused or expired):
                    raise
                if lost and self.exists():
                    return
            at_once, session = False, None
            if self._cancel.wait(self._pause * attempt):
                self._cancel.check()

    def _begin(self) -> str:
        url = self._exchange.url(f"{self._repository}/blobs/uploads/")
        response = self._exchange.send(
            Request("POST", url),
            scopes=self._scopes,
            ok=(202,),
            subject=self._subject,
            repeatable=True,
        )
        response.close()
        return self._session(response)

    def _session(self, response: Response) -> str:
        least = response.headers.get("OCI-Chunk-Min-Length", "").strip()
        if re.fullmatch(r"[0-9]{1,12}", least):
            self._chunk = max(self._chunk, int(least))
            self._least = int(least)
        return self._exchange.located(response)

    def _put_whole(self, session: str) -> None:
        body = self._body(0, self._descriptor.size)
        self._finish(session, body)

    def _put_chunks(self, session: str) -> None:
        position, fruitless = 0, 0
        while position < self._descriptor.size:
            length = min(self._chunk, self._descriptor.size - position)
            try:
                session, reached = self._patch(session, position, length)
            except RegistryError as error:
                self._cancel.check()
                fruitless += 1
                if error.status == 413 and self._chunk > self._least:
                    self._chunk = max(self._chunk // 4, self._least)
                    continue
                lost = isinstance(error, ConnectionFailedError) or error.status in (416, 500, 503)
                if not lost or fruitless >= FRUITLESS_ATTEMPTS:
                    raise
                if fruitless > 1:
                    # Some servers hang up on a large body without an error about its size.
                    self._chunk = max(length // 16, self._least)
                if self._cancel.wait(self._pause * fruitless):
                    self._cancel.check()
                session, reached = self._status(session)
            if not 0 <= reached <= self._descriptor.size:
                raise RegistryError(f"the registry lost count: {self._subject}")
            if reached > position:
                fruitless = 0
            position = reached
        self._finish(session, b"")

    def _patch(self, session: str, position: int, length: int) -> tuple[str, int]:
        """Send one chunk; return the next session and the number of bytes that the registry has."""
        headers = {**_OCTETS, "Content-Range": f"{position}-{position + length - 1}"}
        request = Request("PATCH", session, headers, self._body(position, length), COMMIT_TIMEOUT)
        response = self._exchange.send(
            request, scopes=self._scopes, ok=(202, 201, 204), subject=self._subject
        )
        response.close()
        return self._exchange.located(response), _session_size(response, position + length)

    def _status(self, session: str) -> tuple[str, int]:
        response = self._exchange.send(
            Request("GET", session), scopes=self._scopes, ok=(204, 202, 200), subject=self._subject
        )
        response.close()
        moved = self._exchange.located(response) if "Location" in response.headers else session
        return moved, _session_size(response, 0)

    def _finish(self, session: str, body: FileBody | bytes) -> None:
        url = with_query(session, [("digest", self._descriptor.digest)])
        request = Request("PUT", url, _OCTETS, body, COMMIT_TIMEOUT)
        try:
            response = self._exchange.send(
                request, scopes=self._scopes, ok=(201, 204), subject=self._subject
            )
        except RegistryError as error:
            if "DIGEST_INVALID" in error.codes:
                raise DigestMismatchError(
                    f"the registry received other bytes than {self._descriptor.digest}"
                ) from error
            raise
        response.close()
        told = response.headers.get("Docker-Content-Digest", self._descriptor.digest)
        algorithm = self._descriptor.digest.partition(":")[0]
        if told.startswith(f"{algorithm}:") and told != self._descriptor.digest:
            raise DigestMismatchError(
                f"the registry stored {told[:80]} instead of {self._descriptor.digest}"
            )

    def _body(self, start: int, length: int) -> FileBody | bytes:
        if not length:
            return b""
        return FileBody(self._open, start, length, progress=self._progress, cancel=self._cancel)

    def _abandon(self, session: str) -> None:
        """Cancel a session; the registry would also expire it by itself."""
        try:
            response = self._exchange.send(
                Request("DELETE", session, read_timeout=5.0),
                scopes=self._scopes,
                ok=tuple(range(200, 600)),
                subject=self._subject,
                repeatable=False,
            )
        except OperationCancelledError:
            raise
        except ContainersError:
            return
        response.close()


def _session_size(response: Response, otherwise: int) -> int:
    """Return the size of a session: ``Range: 0-<last byte>``; ``0-0`` means none or one."""
    found = re.fullmatch(r"\s*(?:bytes=)?0-(\d{1,18})\s*", response.headers.get("Range", "")[:100])
    if not found:
        return otherwise
    last = int(found[1])
    if last == 0:
        # Registries write 0-0 for an empty session too.
        return min(otherwise, 1)
    return last + 1
