"""A build cache of ``type=local``: an image layout in a folder of the client.

The client offers the folder's blobs over its session, as containerd's content service.  They are
copied into an image layout here before the build; the builder verifies them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from jupyter_containers.api.buildkit.contexts import in_headers
from jupyter_containers.api.buildkit.messages import ContentChunk, ContentRequest, Exporter
from jupyter_containers.api.buildkit.sessions import Session
from jupyter_containers.errors import (
    DigestMismatchError,
    InvalidArgumentError,
    SizeMismatchError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import (
    INDEX,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Descriptor,
    RawDocument,
    encode_json,
    validate_digest,
)
from jupyter_containers.oci.image import Manifest, new_index, parse_manifest

_READ = "/containerd.services.content.v1.Content/Read"
_STORE = "buildkit-attachable-store-id"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def received_cache(session: Session, one: Exporter, folder: Path, cancel: CancelToken) -> str:
    """Copy a client's cache into an empty folder; return it in the syntax of ``--cache-from``.

    Of an index, which no cache of this engine is, nothing else is copied: the builder reports it.
    Raises :class:`InvalidArgumentError` for a cache without a folder or digest, and
    :class:`UnsupportedError` if the client does not offer the folder.
    """
    name, digest = one.attrs.get("src", ""), one.attrs.get("digest", "")
    if not name or not digest:
        raise InvalidArgumentError("a cache of type=local needs src and digest")
    if not session.offers(_READ):
        raise UnsupportedError("the client does not offer its cache", capability="local caches")
    source = _Source(session, f"local:{name}", folder, cancel)
    place = source.copy(digest, MAX_MANIFEST_BYTES)
    manifest = parse_manifest(RawDocument(place.read_bytes(), ""))
    if isinstance(manifest, Manifest):
        for blob in (manifest.config, *manifest.layers):
            source.copy(blob.digest, blob.size)
    kind = MANIFEST if isinstance(manifest, Manifest) else INDEX
    entry = Descriptor(kind, digest, place.stat().st_size)
    (folder / "oci-layout").write_bytes(_LAYOUT)
    (folder / "index.json").write_bytes(encode_json(new_index((entry,))))
    return f"type=local,src={folder},tag={digest}"


@dataclass(frozen=True, slots=True)
class _Source:
    """A folder of the client, and the image layout that its blobs are copied to."""

    session: Session
    name: str
    folder: Path
    cancel: CancelToken

    def copy(self, digest: str, most: int) -> Path:
        """Copy a blob of at most ``most`` bytes, verified; return its file."""
        algorithm, _, text = validate_digest(digest).partition(":")
        place = self.folder / "blobs" / algorithm / text
        place.parent.mkdir(parents=True, exist_ok=True)
        hashed, size = hashlib.new(algorithm), 0
        headers = in_headers({_STORE: [self.name]})
        with (
            self.session.open(_READ, headers, self.cancel) as stream,
            self.session.linked(self.cancel),
            place.open("wb") as file,
        ):
            stream.send_last(ContentRequest(digest=digest))
            for chunk in stream.each(ContentChunk):
                self.cancel.check()
                size += len(chunk.data)
                if size > most:
                    raise SizeMismatchError(f"blob {digest} of the cache is over {most} bytes")
                hashed.update(chunk.data)
                file.write(chunk.data)
        if hashed.hexdigest() != text:
            raise DigestMismatchError(f"blob {digest} of the cache has another digest")
        return place
