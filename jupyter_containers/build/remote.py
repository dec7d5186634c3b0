"""Remote files: downloads over HTTP, and git repositories by the ``git`` program.

A *git address* is ``URL[#ref[:folder]]`` (or ``URL?ref=…&subdir=…``).  Addresses may contain a
password, which is never shown.
"""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from jupyter_containers.errors import BuildError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib, shutil, subprocess

_CHUNK = 1 << 18
_TIMEOUT = 30
_POLL_SECONDS = 0.02


class Validators(msgspec.Struct, frozen=True, omit_defaults=True):
    """A server's validators of a file, and the ``name`` and ``digest`` that it had then."""

    name: str
    digest: str
    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that request the file only if it has changed (RFC 9110, section 13)."""
        pairs = (("If-None-Match", self.etag), ("If-Modified-Since", self.modified))
        return {name: value for name, value in pairs if value}


@dataclass(frozen=True, slots=True)
class Download:
    """A downloaded file; ``validators`` show later whether it has changed."""

    path: Path
    validators: Validators

    @property
    def name(self) -> str:
        """Its name."""
        return self.validators.name

    @property
    def digest(self) -> str:
        """The digest of its contents."""
        return self.validators.digest


def changed(
    url: str, known: Validators, folder: Callable[[], Path], cancel: CancelToken
) -> Download | None:
    """Return the file if the server's version differs from the known one, else None."""
    if not known.headers:
        return download(url, folder(), cancel)
    try:
        return download(url, folder(), cancel, known.headers)
    except BuildError as error:
        cause = error.__cause__
        if isinstance(cause, urllib.error.HTTPError) and cause.code == HTTPStatus.NOT_MODIFIED:
            return None
        raise


def download(
    url: str, folder: Path, cancel: CancelToken, headers: Mapping[str, str] | None = None
) -> Download:
    """Download ``url`` into ``folder``; mode 0600, the time of ``Last-Modified`` or 1970."""
    sent = {"Accept-Encoding": "identity", **(headers or {})}
    total = hashlib.sha256()
    try:
        request = urllib.request.Request(url, headers=sent)  # noqa: S310  # http and https only
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310  # the same
            name = _file_name(url, answer.headers)
            path = folder / "download"
            with path.open("xb") as target:
                while chunk := answer.read(_CHUNK):
                    cancel.check()
                    total.update(chunk)
                    target.write(chunk)
            received = answer.headers
    except (OSError, urllib.error.URLError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise BuildError(
            f"cannot download {shown(url)}: {_reason(error)}",
            hint="check the address, and the network of this machine",
        ) from error
    path.chmod(0o600)
    modified = _modified(received)
    os.utime(path, (modified, modified))
    validators = Validators(
        name,
        f"sha256:{total.hexdigest()}",
        received.get("ETag", ""),
        received.get("Last-Modified", ""),
    )
    return Download(path, validators)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", error))


def _file_name(url: str, headers: Message) -> str:
    given = headers.get_filename() or ""
    name = os.path.basename(given) or url_name(url)
    return "download" if name in ("", ".", "..") else name


def _modified(headers: Message) -> int:
    try:
        return max(int(parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()), 0)
    except (ValueError, TypeError):
        return 0


def url_name(url: str) -> str:
    """Return the file name at the end of an address, or an empty text."""
    try:
        return os.path.basename(unquote(urlsplit(url).path))
    except ValueError as error:  # brackets without an address
        raise BuildError(f"not an address: {shown(url)!r}") from error


def shown(url: str) -> str:
    """Return an address without its password."""
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", url)


@dataclass(frozen=True, slots=True)
class GitAddress:
    """A repository at a ref (empty: its default branch) and a folder in it."""

    url: str
    ref: str = ""
    folder: str = ""

    @classmethod
    def parse(cls, text: str) -> GitAddress:
        """Return the parsed address."""
        address, _, fragment = text.partition("#")
        ref, _, folder = fragment.partition(":")
        address, _, query = address.partition("?")
        try:
            words = {key: values[-1] for key, values in parse_qs(query, max_num_fields=20).items()}
        except ValueError as error:
            raise BuildError(f"invalid git address {shown(text)!r}: {error}") from error
        for key in ("ref", "branch", "tag", "commit"):
            ref = ref or words.get(key, "")
        folder = folder or words.get("subdir", "")
        if address.lower().startswith("github.com/"):
            address = f"https://{address}"
        if ref.startswith("-") or address.startswith("-") or "\0" in text:
            raise BuildError(f"invalid git address {shown(text)!r}")
        return cls(address, ref, folder.strip("/"))

    @property
    def is_commit(self) -> bool:
        """True if the ref is a full commit ID."""
        return re.fullmatch(r"[0-9a-f]{40}", self.ref) is not None


@dataclass(frozen=True, slots=True)
class Git:
    """The ``git`` program, stopped by ``cancel``."""

    cancel: CancelToken

    def commit(self, address: GitAddress) -> str:
        """Return the commit ID to which an address refers now."""
        if address.is_commit:
            return address.ref
        wanted = address.ref or "HEAD"
        patterns = [wanted] if wanted == "HEAD" else [wanted, f"{wanted}^{{}}"]
        found: dict[str, str] = {}
        for line in self._run(None, "ls-remote", address.url, *patterns).splitlines():
            commit, _, name = line.partition("\t")
            found[name] = commit
        for name in (f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}"):
            if name in found:
                return found[name]
        if wanted in found:
            return found[wanted]
        raise BuildError(f"{shown(address.url)} has no ref {wanted!r}")

    def checkout(
        self, address: GitAddress, commit: str, folder: Path, *, keep_git_dir: bool = False
    ) -> Path:
        """Check out a commit into ``folder``; return the folder of the address in it."""
        self._run(folder, "init", "-q")
        self._run(folder, "remote", "add", "origin", address.url)
        self._fetch(folder, address, commit)
        self._run(folder, "checkout", "-q", "--detach", commit)
        if (folder / ".gitmodules").exists():
            self._run(folder, "submodule", "update", "--init", "--recursive", "--depth=1", "-q")
        if not keep_git_dir:
            shutil.rmtree(folder / ".git")
            for path in folder.rglob(".git"):
                path.unlink() if path.is_file() else shutil.rmtree(path)
        inside = folder / address.folder
        if not inside.resolve().is_relative_to(folder.resolve()) or not inside.is_dir():
            raise BuildError(f"{shown(address.url)} has no folder {address.folder!r}")
        return inside

    def _fetch(self, folder: Path, address: GitAddress, commit: str) -> None:
        # A server may refuse single commits, or (a plain web server) shallow fetches.
        ref = address.ref or "HEAD"
        attempts = (
            [commit],
            [ref],
            ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"],
        )
        for number, refs in enumerate(attempts):
            depth = ["--depth=1"] if number < 2 else []
            try:
                self._run(folder, "fetch", "-q", "--no-tags", *depth, "origin", *refs)
                self._run(folder, "cat-file", "-e", f"{commit}^{{commit}}")
            except BuildError:
                if number == len(attempts) - 1:
                    raise
            else:
                return

    def _run(self, folder: Path | None, *words: str) -> str:
        environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
            "LC_ALL": "C",
        }
        try:
            process = subprocess.Popen(
                ["git", "-c", "core.hooksPath=/dev/null", *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                umask=0o022,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UnsupportedError(
                "git repositories need the git program",
                capability="git contexts",
                provided_by="apt-get install git",
            ) from error
        output, complaint = self._wait(process)
        if process.returncode:
            lines = complaint.strip().splitlines() or [f"exit code {process.returncode}"]
            raise BuildError(f"git {words[0]} failed: {shown(lines[-1])}")
        return output

    def _wait(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        try:
            while True:
                try:
                    return process.communicate(timeout=_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    self.cancel.check()
        except BaseException:
            process.kill()
            process.wait()
            raise
