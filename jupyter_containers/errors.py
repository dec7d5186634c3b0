"""The exception tree: one base class, and classes by what the caller can do about the failure.

::

    ContainersError(message, hint)
    ├ InvalidArgumentError (ValueError)
    │ ├ FlagError
    │ ├ UsageError
    │ ├ InvalidReferenceError
    │ ├ InvalidDigestError
    │ ├ UnknownUserError
    │ ├ DockerfileSyntaxError(location)
    │ └ ComposeFileError(location)
    ├ NotFoundError (LookupError)
    │ ├ ImageNotFoundError
    │ ├ BlobNotFoundError
    │ ├ ContainerNotFoundError
    │ ├ NetworkNotFoundError
    │ ├ VolumeNotFoundError
    │ ├ ContextNotFoundError
    │ ├ ResultNotFoundError
    │ └ SessionNotFoundError
    ├ ConflictError
    │ ├ AlreadyExistsError
    │ ├ InUseError
    │ └ InvalidStateError(status, operation)
    ├ VerificationError
    │ ├ DigestMismatchError
    │ ├ SizeMismatchError
    │ └ ArchiveError
    ├ RegistryError(status, codes, request)
    │ ├ UnauthorizedError
    │ ├ DeniedError
    │ └ TooManyRequestsError
    ├ BuildError(location, instruction)
    │ ├ StepFailedError(exit_code, log_tail)
    │ └ ChecksFailedError(findings)
    ├ StorageError
    │ ├ DiskFullError
    │ ├ ReadOnlyStoreError
    │ ├ DamagedRecordError
    │ ├ UnreadableRecordsError
    │ └ UntrustedPlaceError
    ├ QuotaError
    ├ NetworkError
    ├ ClusterError(status, reason)
    │ ├ ClusterUnreachableError
    │ ├ ClusterForbiddenError
    │ └ PodNotStartedError(reason)
    ├ OCIRuntimeError(argv, exit_code, stderr)
    ├ UnsupportedError(capability, provided_by)
    ├ OperationCancelledError
    ├ ContainerFailedError(exit_code)
    ├ ItemFailedError(index, item, results)
    ├ ServiceNotReadyError(log_tail)
    ├ SessionEndedError
    ├ SessionProtocolError
    └ SessionCellError(traceback)

A message is one printable line without a trailing full stop; ``hint`` says what to do next, or is
empty.
Border modules wrap foreign exceptions (``raise … from error``); only front ends catch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.printable import one_line, printable

_LONGEST = 2000  # characters of a message or a hint


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A range of lines in a text: ``first_line`` and ``last_line`` count from 1, both inclusive.

    ``mark`` is the position of the marked text: line and column in the excerpt (both from 0), and
    length.
    """

    filename: str
    first_line: int
    last_line: int
    excerpt: tuple[str, ...] = ()
    mark: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        return f"{self.filename}:{self.first_line}"

    def at(self, text: str, offset: int | None = None) -> SourceLocation:
        """Return the same location with ``text`` marked, or the single character at ``offset``."""
        for line, written in enumerate(self.excerpt):
            column = written.find(text) if text else -1
            if column >= 0:
                mark = (line, column, len(text)) if offset is None else (line, column + offset, 1)
                return replace(self, mark=mark)
        return self


class ContainersError(Exception):
    """Base class: an operation failed, and nothing half-done is left behind.

    ``done`` lists what succeeded when a command was given several names; ``printed`` is what a
    terminal prints instead of those names.  A message may quote text from any source: its control
    characters are removed here, for every front end.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = one_line(message, _LONGEST)
        super().__init__(self.message)
        self.hint = one_line(hint, _LONGEST)
        self.done: tuple[str, ...] = ()
        self.printed = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the attributes of subclasses too: the engine may run in another process."""
        return _rebuilt, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return self.message

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return self.report().splitlines()

    def report(self) -> str:
        """Return the full text for a person: the message, the details and the hint."""
        lines = [f"{type(self).__name__}: {self.message}", *self.details()]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        if self.done:
            lines.append(f"  done: {', '.join(self.done)}")
        return "\n".join(map(printable, lines))

    def details(self) -> Sequence[str]:
        """Return further lines that explain the message."""
        return ()


def _rebuilt(
    kind: type[ContainersError], args: tuple[Any, ...], values: dict[str, Any]
) -> ContainersError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error


class InvalidArgumentError(ContainersError, ValueError):
    """An argument is not acceptable; a different value would be."""


class FlagError(InvalidArgumentError):
    """A command-line flag is unknown, or its value has the wrong form."""


class UsageError(InvalidArgumentError):
    """A command line has too few or too many words, or words that exclude each other."""


class UnknownUserError(InvalidArgumentError):
    """The container's user database has no user or group of that name."""


class InvalidReferenceError(InvalidArgumentError):
    """The text is not an image reference (``[registry[:port]/]path[:tag][@digest]``)."""


class InvalidDigestError(InvalidArgumentError):
    """The text is not a digest (``algorithm:hex``) of a supported algorithm."""


class DockerfileSyntaxError(InvalidArgumentError):
    """The Dockerfile does not parse; ``location`` marks the lines."""

    def __init__(self, message: str, *, location: SourceLocation, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.location = location

    def details(self) -> Sequence[str]:
        """Return the marked lines of the Dockerfile."""
        return excerpt_lines(self.location)


class ComposeFileError(InvalidArgumentError):
    """A Compose file, or a file that it names, is not acceptable; ``location`` marks the place."""

    def __init__(self, message: str, *, location: SourceLocation, hint: str = "") -> None:
        super().__init__(f"{location}: {message}", hint=hint)
        self.location = location

    def details(self) -> Sequence[str]:
        """Return the marked line of the file."""
        return excerpt_lines(self.location)


class NotFoundError(ContainersError, LookupError):
    """The named object does not exist here."""


class ImageNotFoundError(NotFoundError):
    """No such image, in the store or in the registry."""


class BlobNotFoundError(NotFoundError):
    """No such blob, in the store or in the registry."""


class ContainerNotFoundError(NotFoundError):
    """No such container."""


class NetworkNotFoundError(NotFoundError):
    """No such network."""


class VolumeNotFoundError(NotFoundError):
    """No such volume."""


class ContextNotFoundError(NotFoundError):
    """No such context."""


class ResultNotFoundError(NotFoundError):
    """A container succeeded but did not write a requested result."""


class ConflictError(ContainersError):
    """The request is valid but conflicts with the present state."""


class AlreadyExistsError(ConflictError):
    """The name (or port, or address) is taken."""


class InUseError(ConflictError):
    """The object is still in use."""


class InvalidStateError(ConflictError):
    """The operation is not allowed in the object's present status."""

    def __init__(self, message: str, *, status: str, operation: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.operation = operation


class VerificationError(ContainersError):
    """Content does not match its descriptor; it was discarded."""


class DigestMismatchError(VerificationError):
    """The digest of the received bytes differs from the expected one."""


class SizeMismatchError(VerificationError):
    """The number of received bytes differs from the expected one."""


class ArchiveError(VerificationError):
    """A layer or image archive is malformed, hostile or over a limit."""


class RegistryError(ContainersError):
    """A registry refused or failed; ``status`` is the HTTP status, 0 without a response."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        codes: Sequence[str] = (),
        request: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = tuple(codes)
        self.request = request


class UnauthorizedError(RegistryError):
    """Credentials are missing or wrong."""


class DeniedError(RegistryError):
    """The credentials are good but do not allow this."""


class TooManyRequestsError(RegistryError):
    """The registry's rate limit is used up."""


class BuildError(ContainersError):
    """A build stopped; ``location`` marks the instruction, or the ``culprit`` in it."""

    def __init__(
        self,
        message: str,
        *,
        location: SourceLocation | None = None,
        instruction: str = "",
        culprit: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.location = location
        self.instruction = instruction
        self.culprit = culprit

    def details(self) -> Sequence[str]:
        """Return the marked lines of the Dockerfile."""
        return excerpt_lines(self.location) if self.location else ()


class StepFailedError(BuildError):
    """A RUN step's process ended with a status other than 0.

    ``command`` is its argument vector; ``snapshot`` names the step's file system, if it was kept.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int,
        log_tail: Sequence[str] = (),
        command: Sequence[str] = (),
        location: SourceLocation | None = None,
        instruction: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, location=location, instruction=instruction, hint=hint)
        self.exit_code = exit_code
        self.log_tail = tuple(log_tail)
        self.command = tuple(command)
        self.snapshot = ""
        self._cause = hint

    def suggest_inspection(self, way: str) -> None:
        """Append to the hint how to inspect the failed step, in the front end's words."""
        self.hint = "; ".join(filter(None, (self._cause, f"inspect its files: {way}")))

    def details(self) -> Sequence[str]:
        """Return the marked lines and the last output of the step."""
        tail = [f"  | {line}" for line in self.log_tail]
        return [*super().details(), *(["  last output:", *tail] if tail else [])]


class ChecksFailedError(BuildError):
    """A check of a Dockerfile reported problems; ``findings`` holds their texts."""

    def __init__(self, message: str, *, findings: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)

    def details(self) -> Sequence[str]:
        """Return each finding with its lines."""
        return [f"  {line}" for text in self.findings for line in text.splitlines()]


class StorageError(ContainersError):
    """The disk or database of the store failed: full, read-only or damaged."""


class DiskFullError(StorageError):
    """The store's disk has no free space or no free inode."""


class ReadOnlyStoreError(StorageError):
    """The file system of the store is read-only."""


class DamagedRecordError(StorageError):
    """One record cannot be read; the others can."""


class UnreadableRecordsError(StorageError):
    """The record database cannot be read at all; ``path`` is its file."""

    def __init__(self, message: str, *, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class UntrustedPlaceError(StorageError):
    """A directory or file belongs to another user, or other users can change it."""


class QuotaError(ContainersError):
    """The administrator's limit for this user is reached (``lab.toml``)."""


class NetworkError(ContainersError):
    """The host's network could not be configured as requested."""


class ClusterError(ContainersError):
    """A cluster refused a request or failed; ``status`` is the HTTP status, 0 without an answer.

    ``reason`` is Kubernetes' word for it (``NotFound``, ``Invalid`` …).
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class ClusterUnreachableError(ClusterError):
    """The cluster's API server does not answer."""


class ClusterForbiddenError(ClusterError):
    """The user's rights in the cluster do not allow the request."""


class PodNotStartedError(ClusterError):
    """The cluster accepted a container but cannot start it; ``reason`` is Kubernetes' word."""


class OCIRuntimeError(ContainersError):
    """The OCI runtime or the monitor failed; ``stderr`` holds its error output."""

    def __init__(
        self,
        message: str,
        *,
        argv: Sequence[str] = (),
        exit_code: int = 125,
        stderr: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.argv = tuple(argv)
        self.exit_code = exit_code
        self.stderr = stderr


class UnsupportedError(ContainersError):
    """This host lacks a capability; ``provided_by`` names what provides it."""

    def __init__(
        self, message: str, *, capability: str, provided_by: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint or provided_by)
        self.capability = capability
        self.provided_by = provided_by


class OperationCancelledError(ContainersError):
    """The caller cancelled the operation; it was cleaned up."""


class ContainerFailedError(ContainersError):
    """A foreground container (or exec) ended with a status other than 0.

    ``oom_killed`` is true when the kernel ended it because it went over its memory limit.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int,
        log_tail: Sequence[str] = (),
        oom_killed: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.oom_killed = oom_killed
        self.exit_code = exit_code
        self.log_tail = tuple(log_tail)

    def details(self) -> Sequence[str]:
        """Return the last lines that the container wrote."""
        return [f"  | {line}" for line in self.log_tail]


class ItemFailedError(ContainersError):
    """An item of a map failed and the others were stopped; ``error`` is the item's own error.

    ``index`` is the item's position, ``results`` holds the results so far, None for unfinished
    items.
    """

    def __init__(
        self,
        message: str,
        *,
        index: int,
        item: object,
        results: Sequence[object],
        error: ContainersError,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.index = index
        self.item = item
        self.results = tuple(results)
        self.error = error

    def details(self) -> Sequence[str]:
        """Return the details of the item's own error: the last lines of its container's output."""
        return self.error.details()


class ServiceNotReadyError(ContainersError):
    """A service did not become ready in time; it was removed."""

    def __init__(self, message: str, *, log_tail: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.log_tail = tuple(log_tail)

    def details(self) -> Sequence[str]:
        """Return the last lines that the service wrote."""
        return [f"  | {line}" for line in self.log_tail]


class SessionNotFoundError(NotFoundError):
    """No session of that name runs in this Python process."""


class SessionEndedError(ContainersError):
    """The process of a session ended; variables that it had are lost."""


class SessionProtocolError(ContainersError):
    """A session sent what is no frame: code in the container wrote to its pipe."""


class SessionCellError(ContainersError):
    """A cell of a session raised an exception; ``traceback`` holds the lines of its traceback."""

    def __init__(self, message: str, *, traceback: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.traceback = tuple(traceback)

    def details(self) -> Sequence[str]:
        """Return the traceback."""
        return [f"  | {line}" for line in self.traceback]

    def _render_traceback_(self) -> list[str]:
        """Return the traceback as the cell's own, for IPython."""
        lines = [printable(line) for line in self.traceback]
        return lines or self.report().splitlines()


def excerpt_lines(location: SourceLocation) -> list[str]:
    """Return the location's source lines, numbered, with carets under the culprit."""
    lines = [f"  {location.filename}:{location.first_line}"]
    line, column, length = location.mark or _keyword(location.excerpt)
    for offset, text in enumerate(location.excerpt):
        # A tab counts as one column, so that the caret lines up with the text.
        lines.append(f"  > {location.first_line + offset:>3} | {text.replace(chr(9), ' ')}")
        if offset == line and length:
            lines.append(f"        | {' ' * column}{'^' * length}")
    return lines


def _keyword(excerpt: Sequence[str]) -> tuple[int, int, int]:
    """Return the position of the first word of an excerpt."""
    first = excerpt[0] if excerpt else ""
    word = first.split(None, 1)[:1]
    return (0, len(first) - len(first.lstrip()), len(word[0])) if word else (0, 0, 0)
