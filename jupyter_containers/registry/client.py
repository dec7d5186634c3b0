"""The registry client: the verbs of the Distribution specification, one method each.

Lifecycle: created for one registry and one operation of the engine, used from several threads at
once, closed at the end (``with``).  Reads try the mirrors first and the registry last; writes go to
the registry alone.  Nothing here touches the store: bytes are read from and written to callables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urljoin

import msgspec

from jupyter_containers.errors import (
    BlobNotFoundError,
    ContainersError,
    DigestMismatchError,
    ImageNotFoundError,
    NotFoundError,
    OperationCancelledError,
    RegistryError,
    SizeMismatchError,
    VerificationError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.decoding import DECODE_ERRORS, decode_json
from jupyter_containers.oci.descriptor import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Descriptor,
    RawDocument,
    short_id,
    validate_digest,
)
from jupyter_containers.oci.reference import is_repository, is_tag
from jupyter_containers.options.values import natural
from jupyter_containers.registry.credentials import CredentialSource, FixedCredentials
from jupyter_containers.registry.delivery import Delivery, RetryPolicy, ignore_wait
from jupyter_containers.registry.documents import (
    KNOWN_TYPES,
    MAX_LIST_BYTES,
    bare_type,
    check_digest,
    list_page,
    media_type_of,
    named,
    names_of,
    next_page,
    too_large,
)
from jupyter_containers.registry.download import BlobReader
from jupyter_containers.registry.endpoint import Endpoint, TrustPolicy
from jupyter_containers.registry.exchange import Exchange
from jupyter_containers.registry.problems import RateLimit, read_up_to
from jupyter_containers.registry.referrers import referrers_tag, subject_of, with_referrer
from jupyter_containers.registry.search import FoundRepository, among, search_index
from jupyter_containers.registry.streaming import BlobStream
from jupyter_containers.registry.transport import (
    CERTIFICATE_FOLDERS,
    Request,
    RequestsTransport,
    Response,
    Transport,
)
from jupyter_containers.registry.upload import (
    BlobUpload,
    OpenBlob,
    Progress,
    PushOutcome,
    ignore_progress,
)

MAX_LIST_PAGES = 1000
_ACCEPT = ", ".join((INDEX, DOCKER_LIST, MANIFEST, DOCKER_MANIFEST))

_Result = TypeVar("_Result")


class RegistryClient:
    """A client of one registry.

    ``registry`` is the name in references (``docker.io``); ``endpoint`` is its address, if it
    differs from the name.  ``insecure`` and ``mirrors`` are described in
    :class:`~jupyter_containers.registry.endpoint.TrustPolicy` and
    :func:`~jupyter_containers.registry.endpoint.mirrors_for`.  ``on_wait(host, seconds)`` is called
    from any thread before a pause of a second or more.  A given transport is not closed.
    """

    def __init__(
        self,
        registry: str,
        *,
        credentials: CredentialSource | None = None,
        insecure: Sequence[str] = (),
        mirrors: Sequence[str | Endpoint] = (),
        endpoint: Endpoint | None = None,
        certificate_folders: Sequence[Path] = CERTIFICATE_FOLDERS,
        cancel: CancelToken | None = None,
        retry: RetryPolicy | None = None,
        on_wait: Callable[[str, float], None] = ignore_wait,
        transport: Transport | None = None,
    ) -> None:
        self.registry = registry
        self._cancel = cancel or CancelToken()
        self._retry = retry or RetryPolicy()
        policy = TrustPolicy(tuple(insecure))
        self._own_transport = transport is None
        self._transport = transport or RequestsTransport(
            policy=policy, cancel=self._cancel, certificate_folders=certificate_folders
        )
        source = credentials if credentials is not None else FixedCredentials()

        def exchange(endpoint: Endpoint, patience: RetryPolicy) -> Exchange:
            delivery = Delivery(
                self._transport, policy, retry=patience, cancel=self._cancel, on_wait=on_wait
            )
            return Exchange(endpoint, delivery, policy, source)

        self._main = exchange(endpoint or Endpoint.of_registry(registry), self._retry)
        # With a mirror, going on to the registry is better than waiting for the mirror.
        impatient = RetryPolicy(attempts=1)
        self._mirrors = [
            exchange(Endpoint.of_mirror(each) if isinstance(each, str) else each, impatient)
            for each in mirrors
        ]

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections."""
        if self._own_transport:
            self._transport.close()

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit in the registry's last response; None if it had none."""
        return self._main.rate_limit

    def ping(self) -> None:
        """Return if the registry responds and accepts the credentials, raise otherwise.

        Raises :class:`UnauthorizedError` if it requires credentials, or different ones.
        """
        response = self._main.send(
            Request("GET", self._main.url("")), scopes=(), ok=(200,), subject="a login"
        )
        response.close()

    # Manifests

    def resolve(self, repository: str, reference: str) -> Descriptor:
        """Return the descriptor of a tag or digest, without fetching the manifest where possible.

        Raises :class:`ImageNotFoundError`, :class:`RegistryError`, :class:`VerificationError`.
        """
        return self._read(
            reference, lambda exchange: self._resolve(exchange, repository, reference)
        )

    def manifest(
        self, repository: str, reference: str, expected: Descriptor | None = None
    ) -> RawDocument:
        """Return a manifest or index as it was sent, verified as far as possible.

        With ``expected``, or by digest, the bytes match exactly.  Raises
        :class:`ImageNotFoundError`, :class:`VerificationError` (also for more than 4 MiB, and for a
        media type that the document itself contradicts), :class:`UnsupportedError` (schema 1).
        """
        if expected is not None:
            reference = expected.checked().digest
        return self._read(
            reference, lambda exchange: self._manifest(exchange, repository, reference, expected)
        )

    def push_manifest(self, repository: str, reference: str, document: RawDocument) -> str:
        """Put a manifest under a tag or its digest; return the digest.

        Everything that it names must already be there.  A manifest with a subject is added to the
        list of its referrers if the registry keeps none.
        """
        url = self._main.url(f"{repository}/manifests/{reference}")
        response = self._main.send(
            Request("PUT", url, {"Content-Type": document.media_type}, document.data),
            scopes=(_push_scope(repository),),
            ok=(201, 200, 202),
            subject=f"push of {named(repository, reference)}",
            repeatable=True,
        )
        response.close()
        told = response.headers.get("Docker-Content-Digest", document.digest)
        if told.startswith("sha256:") and told != document.digest:
            raise DigestMismatchError(
                f"{self.registry} stored {told[:80]} instead of {document.digest}"
            )
        subject = subject_of(document)
        if subject and not response.headers.get("OCI-Subject"):
            listed = with_referrer(self._referrers_tag(repository, subject), document)
            if listed is not None:
                self.push_manifest(repository, referrers_tag(subject), listed)
        return document.digest

    def delete_manifest(self, repository: str, reference: str) -> None:
        """Delete a manifest by digest, or a tag where the registry supports that."""
        url = self._main.url(f"{repository}/manifests/{reference}")
        response = self._main.send(
            Request("DELETE", url),
            scopes=(f"repository:{repository}:delete,pull,push",),
            ok=(202, 200, 204, 404),
            subject=f"removal of {named(repository, reference)}",
        )
        response.close()
        if response.status == 404:
            raise self._no_image(self._main, repository, reference)

    def tags(self, repository: str) -> list[str]:
        """Return the repository's tags in the registry's order (lexical, by the specification)."""

        def listed(exchange: Exchange) -> list[str]:
            pages = self._pages(exchange, repository, f"{repository}/tags/list?n=1000")
            return [name for page in pages for name in names_of(page, "tags", is_tag)]

        return self._read("latest", listed)

    def catalog(self) -> list[str]:
        """Return the repositories that the registry lists, in its order.

        Raises :class:`RegistryError` if it lists none to this account, as Docker Hub does.
        """
        names: list[str] = []
        scopes = ("registry:catalog:*",)
        for page in self._pages(self._main, "the catalog", "_catalog?n=1000", scopes):
            names += names_of(page, "repositories", is_repository)
        return names

    def search(self, word: str, limit: int) -> list[FoundRepository]:
        """Return repositories whose name or description contains a word, best first."""
        found = search_index(self._main, word, limit)
        return among(self.catalog(), word, limit) if found is None else found

    def delete_tag(self, repository: str, tag: str) -> str:
        """Delete the manifest of a tag, or the tag; return its digest.

        A registry that cannot delete a tag by itself deletes the manifest, and with it every other
        tag of it.  Raises :class:`ImageNotFoundError` and :class:`RegistryError` (deletion is
        disabled).
        """
        digest = self._resolve(self._main, repository, tag).digest
        try:
            self.delete_manifest(repository, tag)
        except RegistryError as error:
            if error.status not in (400, 405):
                raise
            self.delete_manifest(repository, digest)
        return digest

    def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """Return the manifests whose subject is ``digest``.

        Without a referrers API in the registry, the tag ``<algorithm>-<hex>`` is read instead (OCI
        Distribution Specification 1.1, "Referrers tag schema").
        """
        validate_digest(digest)
        path = f"{repository}/referrers/{digest}"
        if artifact_type:
            path += f"?artifactType={quote(artifact_type, safe='')}"
        try:
            pages = list(self._pages(self._main, repository, path))
        except ImageNotFoundError:
            pages = self._referrers_tag(repository, digest)
        found: list[Descriptor] = []
        for page in pages:
            try:
                found += msgspec.convert(page.get("manifests") or [], list[Descriptor])
            except DECODE_ERRORS as error:
                raise VerificationError(
                    f"{self.registry} sent a malformed list of referrers: {error}"
                ) from error
        return tuple(d for d in found if artifact_type in ("", d.artifact_type))

    # Blobs

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether the repository has the blob."""
        url = self._main.url(f"{repository}/blobs/{validate_digest(digest)}")
        response = self._main.send(
            Request("HEAD", url),
            scopes=(_pull_scope(repository),),
            ok=(200, 404),
            subject=f"blob {short_id(digest)} of {repository}",
        )
        response.close()
        return response.status == 200

    def blob(
        self,
        repository: str,
        descriptor: Descriptor,
        offset: int = 0,
        *,
        cancel: CancelToken | None = None,
    ) -> BlobReader:
        """Return a reader of the blob's bytes from ``offset`` on, for use in a ``with`` block.

        The reader resumes broken connections by itself; see
        :class:`~jupyter_containers.registry.download.BlobReader` for its guarantees. Raises
        :class:`BlobNotFoundError`, :class:`RegistryError`, :class:`SizeMismatchError`.
        """
        descriptor = descriptor.checked()
        return BlobReader(
            descriptor,
            offset,
            lambda start: self._read(
                descriptor.digest,
                lambda exchange: self._open_blob(exchange, repository, descriptor, start),
            ),
            cancel=cancel or self._cancel,
            pause=self._retry.pause,
        )

    def mount_blob(self, repository: str, digest: str, from_repository: str) -> bool:
        """Mount the blob of another repository into this one; return whether that worked."""
        upload = self._blob_upload(repository, Descriptor("", validate_digest(digest), 0), _nothing)
        return upload.mount_only(from_repository)

    def push_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        *,
        mount_from: Sequence[str] = (),
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> PushOutcome:
        """Push a blob; return whether it already existed, was mounted or was uploaded.

        ``open_blob`` returns a new seekable file on each call; it is closed here. ``progress`` is
        called with the bytes sent so far, and may restart when an upload is repeated. Raises
        :class:`RegistryError`, :class:`DigestMismatchError`, :class:`SizeMismatchError`.
        """
        upload = self._blob_upload(repository, descriptor.checked(), open_blob, progress, cancel)
        return upload.push(mount_from)

    def stream_blob(self, repository: str) -> BlobStream:
        """Begin to send a blob whose digest is known only at its end."""
        return BlobStream(self._main, repository)

    # Implementation

    def _blob_upload(
        self,
        repository: str,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> BlobUpload:
        return BlobUpload(
            self._main,
            repository,
            descriptor,
            open_blob,
            progress=progress,
            cancel=cancel or self._cancel,
            pause=self._retry.pause,
        )

    def _read(self, reference: str, operation: Callable[[Exchange], _Result]) -> _Result:
        """Return the first success of mirrors and registry, or raise the registry's error.

        A mirror's "not found" is raised where the registry itself cannot be reached.
        """
        missing: NotFoundError | None = None
        for mirror in self._mirrors:
            if not mirror.endpoint.answers(reference):
                continue
            try:
                return operation(mirror)
            except OperationCancelledError:
                raise
            except ContainersError as error:
                if isinstance(error, NotFoundError):
                    missing = error
                self._cancel.check()
        try:
            return operation(self._main)
        except RegistryError as error:
            if missing is not None and not error.status:
                raise missing from error
            raise

    def _resolve(self, exchange: Exchange, repository: str, reference: str) -> Descriptor:
        response = exchange.send(
            Request(
                "HEAD", exchange.url(f"{repository}/manifests/{reference}"), {"Accept": _ACCEPT}
            ),
            scopes=(_pull_scope(repository),),
            ok=(200, 404, 405),
            subject=named(repository, reference),
        )
        response.close()
        if response.status == 404:
            raise self._no_image(exchange, repository, reference)
        digest = response.headers.get("Docker-Content-Digest", "")
        size = response.headers.get("Content-Length", "")
        media_type = bare_type(response.headers.get("Content-Type", ""))
        complete = media_type in KNOWN_TYPES and _length(size) > 0
        if response.status == 200 and digest and complete:
            by_digest = ":" in reference
            if by_digest and digest.partition(":")[0] == reference.partition(":")[0]:
                _check_same(digest, reference, exchange)
            if _length(size) > MAX_MANIFEST_BYTES:
                raise too_large(repository, reference)
            wanted = reference if by_digest else digest
            return Descriptor(media_type, validate_digest(wanted), _length(size))
        document = self._manifest(exchange, repository, reference, None)
        if ":" in reference:
            return Descriptor(document.media_type, reference, len(document.data))
        return document.descriptor

    def _manifest(
        self, exchange: Exchange, repository: str, reference: str, expected: Descriptor | None
    ) -> RawDocument:
        response = exchange.send(
            Request(
                "GET", exchange.url(f"{repository}/manifests/{reference}"), {"Accept": _ACCEPT}
            ),
            scopes=(_pull_scope(repository),),
            ok=(200, 404),
            subject=named(repository, reference),
        )
        try:
            if response.status == 404:
                raise self._no_image(exchange, repository, reference)
            told = response.headers.get("Content-Length", "")
            if _length(told) > MAX_MANIFEST_BYTES:
                raise too_large(repository, reference)
            data = read_up_to(response, MAX_MANIFEST_BYTES)
        finally:
            response.close()
        if len(data) > MAX_MANIFEST_BYTES:
            raise too_large(repository, reference)
        name = named(repository, reference)
        if ":" in reference:
            check_digest(data, reference, name)
        else:
            check_digest(data, response.headers.get("Docker-Content-Digest", ""), name)
        if expected is not None and len(data) != expected.size:
            raise SizeMismatchError(f"{name} has {len(data)} bytes, not {expected.size}")
        return RawDocument(
            data, media_type_of(data, response.headers.get("Content-Type", ""), name)
        )

    def _open_blob(
        self, exchange: Exchange, repository: str, descriptor: Descriptor, start: int
    ) -> Response:
        digest = descriptor.digest
        url = exchange.url(f"{repository}/blobs/{digest}")

        def asked(headers: dict[str, str]) -> Response:
            return exchange.send(
                Request("GET", url, headers),
                scopes=(_pull_scope(repository),),
                ok=(200, 206, 404, 416),
                subject=f"blob {short_id(digest)} of {repository}",
            )

        response = asked({"Range": f"bytes={start}-{descriptor.size - 1}"} if start else {})
        if response.status == 416 or (response.status == 206 and not start):
            response.close()
            response = asked({})
        if response.status in (404, 416):
            response.close()
            raise BlobNotFoundError(
                f"no blob {digest} in {exchange.endpoint.registry}/{repository}",
                hint="the image is incomplete there: push it again",
            )
        return response

    def _referrers_tag(self, repository: str, digest: str) -> list[dict[str, Any]]:
        try:
            document = self._manifest(self._main, repository, referrers_tag(digest), None)
        except ImageNotFoundError:
            return []
        page = decode_json(document.data)
        return [page] if isinstance(page, dict) else []

    def _pages(
        self, exchange: Exchange, repository: str, path: str, scopes: tuple[str, ...] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the documents of a list, following ``Link`` headers within the registry."""
        url = exchange.url(path)
        for _ in range(MAX_LIST_PAGES):
            request = Request("GET", url, {"Accept": f"application/json, {INDEX}"})
            response = exchange.send(
                request,
                scopes=scopes or (_pull_scope(repository),),
                ok=(200, 404),
                subject=repository,
            )
            try:
                if response.status == 404:
                    raise ImageNotFoundError(
                        f"no repository {repository} in {exchange.endpoint.registry}"
                    )
                data = read_up_to(response, MAX_LIST_BYTES)
            finally:
                response.close()
            yield list_page(data, request)
            following = next_page(response.headers.get("Link", ""))
            if not following:
                return
            try:
                following = urljoin(response.url, following)
            except ValueError:
                following = ""
            if not exchange.is_own(following):
                raise RegistryError(
                    f"{exchange.endpoint.registry} continues a list elsewhere", request=str(request)
                )
            url = following
        raise RegistryError(f"{exchange.endpoint.registry} sends an endless list")

    def _no_image(self, exchange: Exchange, repository: str, reference: str) -> ImageNotFoundError:
        return ImageNotFoundError(
            f"no image {named(repository, reference)} in {exchange.endpoint.registry}",
            hint="check the name and the tag",
        )


def _check_same(told: str, wanted: str, exchange: Exchange) -> None:
    if told != wanted:
        raise DigestMismatchError(
            f"{exchange.endpoint.registry} offers {told[:80]} instead of {wanted}"
        )


def _pull_scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def _push_scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def _nothing() -> Any:
    raise AssertionError("a mount does not read the blob")


def _length(text: str) -> int:
    """Return the ``Content-Length``, 0 if it is missing or malformed."""
    return natural(text) or 0
