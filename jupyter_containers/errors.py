"""The whole error tree: one base, classes by what the caller can do about it.

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
    │ └ ResultNotFoundError
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
    ├ OCIRuntimeError(argv, exit_code, stderr)
    ├ UnsupportedError(capability, provided_by)
    ├ OperationCancelledError
    ├ ContainerFailedError(exit_code)
    ├ ItemFailedError(index, item, results)
    └ ServiceNotReadyError(log_tail)

A message is one printable line without a trailing full stop; ``hint`` says what to do next, or is
empty.
Border modules wrap foreign exceptions (``raise … from error``); only front ends catch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jupyter_containers.printable import one_line, printable

_LONGEST = 2000  # characters of a message or a hint


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A range of lines in a text: ``first_line`` and ``last_line`` count from 1, both inclusive.

    ``mark`` is the culprit's place: line (from 0) and column (from 0) in the excerpt, and length.
    """

    filename: str
    first_line: int
    last_line: int
    excerpt: tuple[str, ...] = ()
    mark: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        return f"{self.filename}:{self.first_line}"

    def at(self, text: str, offset: int | None = None) -> SourceLocation:
        """Return the same lines with ``text`` marked, or its character at ``offset``."""
        for line, written in enumerate(self.excerpt):
            column = written.find(text) if text else -1
            if column >= 0:
                mark = (line, column, len(text)) if offset is None else (line, column + offset, 1)
                return replace(self, mark=mark)
        return self


class ContainersError(Exception):
    """Something the engine was asked to do did not happen; nothing half-done is left behind.

    ``done`` names what succeeded, where one command was given several names; ``printed`` is what
    a terminal shows of it, if not those names.  What a message quotes may come from anybody: its
    control characters are left out here, and so for every front end.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = one_line(message, _LONGEST)
        super().__init__(self.message)
        self.hint = one_line(hint, _LONGEST)
        self.done: tuple[str, ...] = ()
        self.printed = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all that a class adds: an engine may work in another process."""
        return _rebuilt, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return self.message

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return self.report().splitlines()

    def report(self) -> str:
        """Return the text for a person: the message, details if any, and the hint."""
        lines = [f"{type(self).__name__}: {self.message}", *self.details()]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        if self.done:
            lines.append(f"  done: {', '.join(self.done)}")
        return "\n".join(map(printable, lines))

    def details(self) -> Sequence[str]:
        """Return further lines that help to understand the message."""
        return ()


def _rebuilt(
    kind: type[ContainersError], args: tuple[Any, ...], values: dict[str, Any]
) -> ContainersError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error


class InvalidArgumentError(ContainersError, ValueError):
    """A value that the caller gave is not acceptable; a changed value would be."""


class FlagError(InvalidArgumentError):
    """A flag of a command line is unknown, or its value has not the flag's form."""


class UsageError(InvalidArgumentError):
    """A command line has too few or too many words, or words that exclude each other."""


class UnknownUserError(InvalidArgumentError):
    """A container's files know no user or group of that name."""


class InvalidReferenceError(InvalidArgumentError):
    """Not an image reference (``[registry[:port]/]path[:tag][@digest]``)."""


class InvalidDigestError(InvalidArgumentError):
    """Not a digest (``algorithm:hex``) of a supported algorithm."""


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
    """The named thing does not exist here."""


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


class ResultNotFoundError(NotFoundError):
    """A container ended well and has not left a result that was asked for."""


class ConflictError(ContainersError):
    """The request is valid but the present state forbids it."""


class AlreadyExistsError(ConflictError):
    """The name (or port, or address) is taken."""


class InUseError(ConflictError):
    """Something still uses the object."""


class InvalidStateError(ConflictError):
    """The operation is not allowed in the object's present status."""

    def __init__(self, message: str, *, status: str, operation: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.operation = operation


class VerificationError(ContainersError):
    """Content is not what its descriptor says; it was discarded."""


class DigestMismatchError(VerificationError):
    """The digest of the received bytes differs from the expected one."""


class SizeMismatchError(VerificationError):
    """The number of received bytes differs from the expected one."""


class ArchiveError(VerificationError):
    """A layer or image archive is malformed, hostile, or over a limit."""


class RegistryError(ContainersError):
    """A registry refused or failed; ``status`` is the HTTP status, 0 when none arrived."""

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

    ``snapshot`` names what the step left, where that was kept.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int,
        log_tail: Sequence[str] = (),
        location: SourceLocation | None = None,
        instruction: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, location=location, instruction=instruction, hint=hint)
        self.exit_code = exit_code
        self.log_tail = tuple(log_tail)
        self.snapshot = ""
        self._cause = hint

    def kept(self, way: str) -> None:
        """End the hint with a way to look at what the step left, in the front end's words."""
        self.hint = "; ".join(filter(None, (self._cause, f"look at what it left: {way}")))

    def details(self) -> Sequence[str]:
        """Return the marked lines and the last output of the step."""
        tail = [f"  | {line}" for line in self.log_tail]
        return [*super().details(), *(["  last output:", *tail] if tail else [])]


class ChecksFailedError(BuildError):
    """A Dockerfile that was only checked has findings; ``findings`` are their texts."""

    def __init__(self, message: str, *, findings: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)

    def details(self) -> Sequence[str]:
        """Return each finding with its lines."""
        return [f"  {line}" for text in self.findings for line in text.splitlines()]


class StorageError(ContainersError):
    """The disk (or database) under the store failed: full, read-only, damaged."""


class DiskFullError(StorageError):
    """No space, or no inode, is left on the disk of the store."""


class ReadOnlyStoreError(StorageError):
    """The file system of the store cannot be written to."""


class DamagedRecordError(StorageError):
    """One record cannot be read; all others can."""


class UnreadableRecordsError(StorageError):
    """The record database as a whole cannot be read; ``path`` is its file."""

    def __init__(self, message: str, *, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class UntrustedPlaceError(StorageError):
    """A folder or file belongs to another user, or others can change it."""


class QuotaError(ContainersError):
    """The administrator's limit for this user is reached (``lab.toml``)."""


class NetworkError(ContainersError):
    """The host's network could not be set up as asked."""


class OCIRuntimeError(ContainersError):
    """The OCI runtime or the monitor failed; ``stderr`` is what it said."""

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
    """This host cannot do it; ``provided_by`` names what would."""

    def __init__(
        self, message: str, *, capability: str, provided_by: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint or provided_by)
        self.capability = capability
        self.provided_by = provided_by


class OperationCancelledError(ContainersError):
    """The work was cancelled by its caller and cleaned up."""


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
    """An item of a map failed, and all others were ended; ``error`` is the item's own.

    ``index`` is its place among the items, ``results`` what had come of each by then, or None.
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
        """Return the details of the item's own error: the last lines that its container wrote."""
        return self.error.details()


class ServiceNotReadyError(ContainersError):
    """A service did not become ready in time; it was removed."""

    def __init__(self, message: str, *, log_tail: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.log_tail = tuple(log_tail)

    def details(self) -> Sequence[str]:
        """Return the last lines that the service wrote."""
        return [f"  | {line}" for line in self.log_tail]


def excerpt_lines(location: SourceLocation) -> list[str]:
    """Return the location's source lines, numbered, with carets under the culprit."""
    lines = [f"  {location.filename}:{location.first_line}"]
    line, column, length = location.mark or _keyword(location.excerpt)
    for offset, text in enumerate(location.excerpt):
        # Tabs are one column wide here, so that the caret stands where the text stands.
        lines.append(f"  > {location.first_line + offset:>3} | {text.replace(chr(9), ' ')}")
        if offset == line and length:
            lines.append(f"        | {' ' * column}{'^' * length}")
    return lines


def _keyword(excerpt: Sequence[str]) -> tuple[int, int, int]:
    """Return the place of the first word of an excerpt."""
    first = excerpt[0] if excerpt else ""
    word = first.split(None, 1)[:1]
    return (0, len(first) - len(first.lstrip()), len(word[0])) if word else (0, 0, 0)
