"""Docker's status codes for the engine's errors, and ``{"message": …}``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_containers.api.call import Answer
from jupyter_containers.errors import (
    AlreadyExistsError,
    ArchiveError,
    BuildError,
    ConflictError,
    ContainersError,
    DeniedError,
    InUseError,
    InvalidArgumentError,
    InvalidStateError,
    NotFoundError,
    OCIRuntimeError,
    QuotaError,
    RegistryError,
    StepFailedError,
    TooManyRequestsError,
    UnauthorizedError,
    UnsupportedError,
)

_STATUSES: tuple[tuple[type[ContainersError], int], ...] = (
    (InvalidArgumentError, 400),
    (NotFoundError, 404),
    (InvalidStateError, 409),
    (AlreadyExistsError, 409),
    (InUseError, 409),
    (ConflictError, 409),
    (UnauthorizedError, 401),
    (DeniedError, 403),
    (TooManyRequestsError, 429),
    (QuotaError, 403),
    (UnsupportedError, 501),
    (ArchiveError, 400),
    (StepFailedError, 500),
    (BuildError, 400),
)


class StatusError(ContainersError):
    """An answer with a status that no error of the engine maps to."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


PAGE_NOT_FOUND = Answer(404, {"message": "page not found"})


def status_of(error: ContainersError) -> int:
    """Return the HTTP status that Docker sends for such an error."""
    if isinstance(error, StatusError):
        return error.status
    if plugin := _plugin(error):
        return 404 if plugin[0] == "volume" else 400
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    if isinstance(error, RegistryError) and error.status == 404:
        return 404
    # Docker: a program that cannot be run is the caller's mistake.
    if isinstance(error, OCIRuntimeError) and error.exit_code in (126, 127):
        return 400
    return 500


def _plugin(error: ContainersError) -> tuple[str, str] | None:
    """Return the kind and name of the plugin that an error is about; there are no plugins here."""
    if isinstance(error, UnsupportedError):
        for word, kind in (("volume driver ", "volume"), ("log driver ", "logging")):
            if error.capability.startswith(word):
                return kind, error.capability.removeprefix(word)
    return None


def message_of(error: ContainersError) -> str:
    """Return the message and its hint in one line; Docker's answer has no field for a hint."""
    text = _docker_words(error)
    if _plugin(error):
        return text
    return f"{text} ({error.hint})" if error.hint else text


def _docker_words(error: ContainersError) -> str:
    # Clients search for these words.
    text = error.message
    if plugin := _plugin(error):
        kind, name = plugin
        return f'error looking up {kind} plugin {name}: plugin "{name}" not found'
    if isinstance(error, NotFoundError) and text.startswith("no such "):
        return f"N{text[1:]}"
    return text


def answer_of(error: ContainersError) -> Answer:
    """Return the answer that reports an error."""
    return Answer(status_of(error), {"message": message_of(error)})


@contextmanager
def unsupported_as(status: int) -> Iterator[None]:
    """Answer with another status for something that is not known here, as Docker does."""
    try:
        yield
    except UnsupportedError as error:
        if _plugin(error):
            raise  # has a status of its own
        raise StatusError(status, message_of(error)) from error
