"""A transport that answers from a list, for tests of the layers above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jupyter_containers.registry.transport import ConnectionFailedError, Request


class Headers(dict[str, str]):
    """Headers that are looked up without regard to case."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name: str, default: str | None = None) -> str | None:
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class FakeResponse:
    """A response whose body comes in the given pieces; an error among them is raised."""

    def __init__(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *pieces: bytes | ConnectionFailedError,
        url: str = "https://reg.test/v2/",
    ) -> None:
        self.status = status
        self.headers = Headers(headers or {})
        self.url = url
        self.closed = False
        self._pieces = list(pieces)

    def read(self, limit: int) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, ConnectionFailedError):
            raise piece
        if len(piece) > limit:
            self._pieces.insert(0, piece[limit:])
        return piece[:limit]

    def close(self) -> None:
        self.closed = True


def broken() -> ConnectionFailedError:
    """Return the error of a connection that broke."""
    return ConnectionFailedError("broke", kind="broken", request="GET https://reg.test/")


class FakeTransport:
    """Answers each request with the next of ``answers``; ``sent`` lists the requests."""

    def __init__(
        self, *answers: FakeResponse | ConnectionFailedError | Callable[[Request], FakeResponse]
    ) -> None:
        self.answers = list(answers)
        self.sent: list[Request] = []

    def send(self, request: Request) -> FakeResponse:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, ConnectionFailedError):
            raise answer
        if isinstance(answer, FakeResponse):
            answer.url = request.url
            return answer
        return answer(request)

    def close(self) -> None:
        pass
